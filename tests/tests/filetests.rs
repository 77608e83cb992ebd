//! Runs every file under `tests/filetests`. `BLESS=1` rewrites what they expect; `FILETEST=TEXT` runs those whose path
//! contains the text.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ferrite_driver::{Extensions, pipeline};
use ferrite_passes::registry::Registry;
use ferrite_tests::filetest::{pipeline_of, run};
use similar::TextDiff;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("filetests")
}

fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder of filetests is there") {
        let path = entry.expect("its entries can be read").path();
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|e| e == "mlir") {
            out.push(path);
        }
    }
    out.sort();
}

fn all() -> Vec<(String, PathBuf)> {
    let mut paths = Vec::new();
    files(&root(), &mut paths);
    let named = paths.into_iter().map(|path| {
        let name = path.strip_prefix(root()).unwrap_or(&path).with_extension("");
        (name.display().to_string(), path)
    });
    named.collect()
}

#[test]
fn every_filetest_gives_what_it_says() {
    let bless = std::env::var_os("BLESS").is_some_and(|v| v == "1");
    let wanted = std::env::var("FILETEST").unwrap_or_default();
    let mut failures = Vec::new();
    let mut times = Vec::new();
    for (name, path) in all().iter().filter(|(name, _)| name.contains(&wanted)) {
        let text = fs::read_to_string(path).expect("a filetest is text");
        let start = Instant::now();
        let outcome = run(&text);
        times.push((start.elapsed(), name.clone()));
        let failure = match outcome {
            Err(error) => error,
            Ok(found) if found == text => continue,
            Ok(found) if bless => {
                fs::write(path, found).expect("a filetest can be rewritten");
                continue;
            }
            Ok(found) => {
                let diff = TextDiff::from_lines(&text, &found);
                let diff = diff
                    .unified_diff()
                    .context_radius(3)
                    .header("expected", "found")
                    .to_string();
                format!("{diff}(`make bless` takes what was found)")
            }
        };
        let rerun = format!("FILETEST={name} cargo nextest run --locked -p ferrite-tests -E 'test(every_filetest)'");
        failures.push(format!("{name}: {failure}\nrun it again: {rerun}"));
    }
    assert!(!times.is_empty(), "no filetest has `{wanted}` in its path");
    let total: f64 = times.iter().map(|t| t.0.as_secs_f64()).sum();
    times.sort();
    let slowest = times
        .last()
        .map(|(time, name)| format!("{name}, {:.2} s", time.as_secs_f64()));
    println!(
        "{} filetests in {total:.1} s (the slowest: {})",
        times.len(),
        slowest.unwrap_or_default()
    );
    assert!(
        failures.is_empty(),
        "{} of {} fail:\n{}",
        failures.len(),
        times.len(),
        failures.join("\n\n")
    );
}

#[test]
fn every_pass_has_a_filetest() {
    let mut covered = BTreeSet::new();
    for (_, path) in all() {
        let text = fs::read_to_string(&path).expect("a filetest is text");
        let passes = pipeline_of(&text).map(|p| pipeline::resolve(p, &Extensions::default()));
        covered.extend(passes.and_then(Result::ok).unwrap_or_default().iter().map(|p| p.name()));
    }
    let registry = Registry::standard();
    let missing: Vec<&str> = registry
        .entries()
        .map(|e| e.about.name)
        .filter(|n| !covered.contains(n))
        .collect();
    assert!(missing.is_empty(), "passes without a filetest: {}", missing.join(", "));
}
