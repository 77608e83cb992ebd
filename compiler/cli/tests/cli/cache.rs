//! The compile cache: hits, failures, damage, many processes at once, processes killed at any moment.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use crate::*;

const ADD: &str = "%0 = stablehlo.add %x, %x : tensor<4xf32>";

/// `neuronx-cc compile` of `m.mlir` in `folder` by way of the cache.
fn cached(folder: &Path, cache: &Path, more: &[&str]) -> Command {
    let mut args = vec!["compile", "m.mlir", "--framework=XLA", "--target=trn1", "--verbose=35"];
    args.extend(more);
    let mut command = command(NEURONX_CC, folder, &args);
    command.env("FERRITE_COMPILE_CACHE", cache);
    command
}

fn output(mut command: Command) -> Output {
    command.output().expect("the executable was built")
}

fn log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log-neuron-cc.txt")).expect("a log")
}

/// Folders of the entries of a cache.
fn entries(cache: &Path) -> Vec<PathBuf> {
    let folders = |path: &Path| {
        let all = std::fs::read_dir(path).into_iter().flatten().flatten();
        let mut all: Vec<PathBuf> = all.map(|e| e.path()).filter(|p| p.is_dir()).collect();
        all.sort();
        all
    };
    folders(cache).iter().flat_map(|version| folders(version)).collect()
}

#[test]
fn a_hit_gives_the_same_bytes_as_a_compilation() {
    let (folder, other) = (scratch(), scratch());
    let cache = folder.path().join("cache");
    for path in [folder.path(), other.path()] {
        write_model(path, ADD);
    }
    let direct = neuronx_cc(
        other.path(),
        &["compile", "m.mlir", "--framework=XLA", "--target=trn1", "-o", "a.neff"],
    );
    assert_eq!(code(&direct), 0, "{}", stderr(&direct));
    for (name, what) in [("first.neff", "stored"), ("a.neff", "hit")] {
        let ran = output(cached(folder.path(), &cache, &["-o", name]));
        assert_eq!(code(&ran), 0, "{}", stderr(&ran));
        assert!(stdout(&ran).ends_with("\nCompiler status PASS\n"));
        assert!(
            log(folder.path()).contains(&format!("cache: {what} MODULE_")),
            "{}",
            log(folder.path())
        );
    }
    let read = |path: PathBuf| std::fs::read(path).expect("a NEFF");
    assert!(read(folder.path().join("a.neff")) == read(other.path().join("a.neff")));

    let version = neuronx_cc(folder.path(), &["--version"]);
    let version = stdout(&version)
        .lines()
        .next()
        .expect("a line")
        .rsplit(' ')
        .next()
        .expect("a word")
        .to_string();
    let [entry] = &entries(&cache)[..] else {
        panic!("one entry")
    };
    assert_eq!(
        entry.parent().expect("a folder").file_name().expect("a name"),
        &*format!("neuronxcc-{version}")
    );
    // The hash of ["--target=trn1"] in real caches.
    assert!(entry.to_string_lossy().ends_with("+e30acd3a"), "{}", entry.display());
    assert_eq!(
        files(entry),
        [
            "compile_flags.json",
            "model.done",
            "model.hlo_module.pb",
            "model.neff",
            "model.neff.sha256"
        ]
    );
}

#[test]
fn the_cache_is_off_unless_asked_for() {
    let folder = scratch();
    write_model(folder.path(), ADD);
    let cache = folder.path().join("cache");
    let cache = cache.display().to_string();
    let args = ["compile", "m.mlir", "--framework=XLA", "--cache_dir", &cache];
    assert_eq!(code(&neuronx_cc(folder.path(), &args)), 0);
    assert!(log(folder.path()).contains("FERRITE_COMPILE_CACHE"));
    let off = output(cached(folder.path(), Path::new(&cache), &["--no_cache"]));
    assert_eq!(code(&off), 0);
    assert!(!Path::new(&cache).exists());
    // A cache that cannot be used does not fail a compilation.
    std::fs::write(&cache, "a file").expect("writes");
    let ran = output(cached(folder.path(), Path::new(&cache), &["--verbose=warning"]));
    assert_eq!(code(&ran), 0, "{}", stderr(&ran));
    assert!(stderr(&ran).contains("the compile cache was not used"));
}

#[test]
fn failures_are_remembered_until_they_are_retried() {
    let folder = scratch();
    let cache = folder.path().join("cache");
    write_model(folder.path(), "%0 = stablehlo.frobnicate %x : tensor<4xf32>");
    let first = output(cached(folder.path(), &cache, &[]));
    let second = output(cached(folder.path(), &cache, &[]));
    assert_eq!((code(&first), code(&second)), (70, 70));
    assert!(stderr(&second).starts_with(&stderr(&first)), "{}", stderr(&second));
    assert!(stderr(&second).contains("remembered"));
    let third = output(cached(folder.path(), &cache, &["--retry_failed_compilation"]));
    assert_eq!(code(&third), 70);
    assert!(!stderr(&third).contains("remembered"));
    assert!(!folder.path().join("file.neff").exists());
}

#[test]
fn the_cache_is_looked_after() {
    let folder = scratch();
    let path = folder.path();
    let cache = path.join("cache").display().to_string();
    let model = write_model(path, ADD);
    for level in ["-O1", "-O2"] {
        assert_eq!(code(&output(cached(path, Path::new(&cache), &[level]))), 0);
    }
    let ask = |args: &[&str]| {
        let mut all = vec!["cache"];
        all.extend(args);
        all.extend(["--cache-dir", &cache, "--json"]);
        // Flags of a model end the command line.
        if let Some(split) = all.iter().position(|a| *a == "--") {
            let tail: Vec<&str> = all.drain(split..).collect();
            let (flags, own) = tail.split_at(tail.len() - 3);
            all.extend(own);
            all.extend(flags);
        }
        ferrite(path, &all)
    };
    let listed = json(&ask(&["list"]));
    assert_eq!(listed["entries"].as_array().map(Vec::len), Some(2));
    assert_eq!(listed["entries"][0]["state"], "done");
    let found = ask(&["lookup", &model, "--", "--target=trn1", "-O1"]);
    assert_eq!((code(&found), json(&found)["ok"].as_bool()), (0, Some(true)));
    assert_eq!(code(&ask(&["lookup", &model, "--", "--target=trn2"])), 1);
    assert_eq!(json(&ask(&["verify"]))["checked"], 2);

    // One changed byte is found, removed, and made again.
    let neff = entries(Path::new(&cache))[0].join("model.neff");
    let mut bytes = std::fs::read(&neff).expect("a NEFF");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&neff, &bytes).expect("writes");
    let verified = ask(&["verify"]);
    assert_eq!(
        (code(&verified), json(&verified)["damaged"].as_array().map(Vec::len)),
        (1, Some(1))
    );
    for level in ["-O1", "-O2"] {
        assert_eq!(code(&output(cached(path, Path::new(&cache), &[level]))), 0);
    }
    assert_eq!(code(&ask(&["verify"])), 0);

    // To a store and from it into another cache.
    let shared = format!("file://{}", path.join("shared").display());
    assert_eq!(
        json(&ask(&["synchronize", &shared]))["pushed"].as_array().map(Vec::len),
        Some(2)
    );
    let other = path.join("other").display().to_string();
    let pulled = ferrite(
        path,
        &[
            "cache",
            "synchronize",
            &shared,
            "--pull",
            "--cache-dir",
            &other,
            "--json",
        ],
    );
    assert_eq!(
        json(&pulled)["pulled"].as_array().map(Vec::len),
        Some(2),
        "{}",
        stderr(&pulled)
    );
    assert_eq!(code(&ferrite(path, &["cache", "verify", "--cache-dir", &other])), 0);

    assert_eq!(code(&ask(&["prune"])), 2);
    assert_eq!(
        json(&ask(&["prune", "--older-than", "1h"]))["removed"]
            .as_array()
            .map(Vec::len),
        Some(0)
    );
    assert_eq!(
        json(&ask(&["prune", "--max-size", "1kB"]))["removed"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    assert_eq!(json(&ask(&["list"]))["entries"].as_array().map(Vec::len), Some(0));
}

const PROCESSES: usize = 32;

/// One process in a folder of its own.
fn start(root: &Path, cache: &Path, number: usize, more: &[&str]) -> (PathBuf, Child) {
    let folder = root.join(number.to_string());
    std::fs::create_dir_all(&folder).expect("made");
    write_model(&folder, ADD);
    let mut command = cached(&folder, cache, more);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    (folder, command.spawn().expect("the executable was built"))
}

#[test]
fn many_processes_compile_one_model_once() {
    let root = scratch();
    let cache = root.path().join("cache");
    let all: Vec<_> = (0..PROCESSES)
        .map(|n| start(root.path(), &cache, n, &["-o", "m.neff"]))
        .collect();
    let (mut stored, mut hit) = (0, 0);
    let mut results = Vec::new();
    for (folder, mut child) in all {
        assert!(child.wait().expect("it ends").success());
        let log = log(&folder);
        stored += usize::from(log.contains("cache: stored"));
        hit += usize::from(log.contains("cache: hit"));
        results.push(std::fs::read(folder.join("m.neff")).expect("a NEFF"));
    }
    assert_eq!((stored, hit), (1, PROCESSES - 1));
    assert!(results.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn processes_killed_at_any_moment_leave_no_wrong_entry() {
    const LEVELS: [&str; 4] = ["-O1", "-O2", "--auto-cast=all", "--auto-cast=matmult"];
    let (root, reference) = (scratch(), scratch());
    let cache = root.path().join("cache");
    let expected: Vec<Vec<u8>> = LEVELS
        .iter()
        .map(|level| {
            write_model(reference.path(), ADD);
            let args = [
                "compile",
                "m.mlir",
                "--framework=XLA",
                "--target=trn1",
                "-o",
                "m.neff",
                level,
            ];
            assert_eq!(code(&neuronx_cc(reference.path(), &args)), 0);
            std::fs::read(reference.path().join("m.neff")).expect("a NEFF")
        })
        .collect();
    let mut all: Vec<_> = (0..PROCESSES)
        .map(|n| start(root.path(), &cache, n, &["-o", "m.neff", LEVELS[n % 4]]))
        .collect();
    // Half of them, spread over the whole time that the work takes.
    for (n, (_, child)) in all.iter_mut().enumerate().filter(|(n, _)| n % 2 == 0) {
        std::thread::sleep(Duration::from_millis(5 * (n as u64 % 7)));
        let _ = child.kill();
    }
    for (n, (folder, child)) in all.iter_mut().enumerate() {
        let status = child.wait().expect("it ends");
        let made = std::fs::read(folder.join("m.neff")).ok();
        assert!(n % 2 == 0 || status.success(), "{n}: {status}");
        // There is the whole result or none.
        assert!(made.as_ref().is_none_or(|m| *m == expected[n % 4]), "{n} is torn");
        assert!(made.is_some() || !status.success());
    }
    for (n, level) in LEVELS.iter().enumerate() {
        let (folder, mut child) = start(root.path(), &cache, n, &["-o", "m.neff", level]);
        assert!(child.wait().expect("it ends").success());
        assert!(std::fs::read(folder.join("m.neff")).expect("a NEFF") == expected[n]);
    }
    let place = cache.display().to_string();
    let verified = ferrite(root.path(), &["cache", "verify", "--cache-dir", &place, "--json"]);
    assert_eq!(json(&verified)["checked"], 4, "{}", stdout(&verified));
    assert_eq!(code(&verified), 0);
    assert_eq!(
        code(&ferrite(root.path(), &["cache", "clear-locks", "--cache-dir", &place])),
        0
    );
    for entry in entries(&cache) {
        let odd: Vec<String> = files(&entry)
            .into_iter()
            .filter(|f| f.starts_with('.') || f.ends_with("lock"))
            .collect();
        assert!(odd.is_empty(), "{odd:?}");
    }
}
