//! `compile-many` and `parallel-compile`.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::*;

fn models(folder: &Path, count: usize) {
    std::fs::create_dir_all(folder.join("models")).expect("made");
    for n in 0..count {
        // Each another program.
        let text = format!(
            "func.func public @main(%x: tensor<{}xf32>) -> tensor<{}xf32> {{\n  %0 = stablehlo.add %x, %x : \
             tensor<{}xf32>\n  return %0 : tensor<{}xf32>\n}}\n",
            n + 2,
            n + 2,
            n + 2,
            n + 2
        );
        std::fs::write(folder.join(format!("models/m{n}.mlir")), text).expect("writes");
    }
}

#[test]
fn a_folder_is_compiled_in_parallel_and_only_once() {
    let folder = scratch();
    let path = folder.path();
    models(path, 4);
    std::fs::write(path.join("models/bad.mlir"), "module { nonsense }").expect("writes");
    let args = [
        "compile-many",
        "models",
        "-o",
        "out",
        "-j",
        "3",
        "--memory",
        "4GB",
        "--cache-dir",
        "cache",
        "--report",
        "r.json",
        "--json",
        "--",
        "--target=trn1",
    ];
    let first = ferrite(path, &args);
    let report = json(&first);
    assert_eq!(code(&first), 1, "{}", stderr(&first));
    assert_eq!(
        (
            report["compilation_summary"]["true"].as_u64(),
            report["compilation_summary"]["false"].as_u64()
        ),
        (Some(4), Some(1))
    );
    assert!(
        report["compilation_report"]["bad.mlir"]["error"]
            .as_str()
            .expect("a text")
            .contains("[ERROR]")
    );
    assert_eq!(report["compilation_report"]["m1.mlir"]["cached"], false);
    assert_eq!(files(&path.join("out")), ["m0.neff", "m1.neff", "m2.neff", "m3.neff"]);
    assert_eq!(
        std::fs::read(path.join("r.json")).ok().map(|r| r.len() > 100),
        Some(true)
    );

    std::fs::remove_dir_all(path.join("out")).expect("removed");
    let report = json(&ferrite(path, &args));
    for (_, item) in report["compilation_report"].as_object().expect("items") {
        assert_eq!(item["cached"], true);
    }
    assert_eq!(files(&path.join("out")).len(), 4);
    // The result is what neuronx-cc gives for that output.
    let direct = neuronx_cc(
        path,
        &[
            "compile",
            "models/m1.mlir",
            "--framework=XLA",
            "--target=trn1",
            "-o",
            "out/m1.direct",
        ],
    );
    assert_eq!(code(&direct), 0);
    let read = |name: &str| std::fs::read(path.join(name)).expect("a NEFF");
    assert!(read("out/m1.neff")[1024..] == read("out/m1.direct")[1024..]);
}

#[test]
fn a_run_that_was_killed_goes_on_where_it_stopped() {
    let folder = scratch();
    let path = folder.path();
    models(path, 6);
    let args = ["compile-many", "models", "-j", "1", "--cache-dir", "cache", "--json"];
    let mut child = command(FERRITE, path, &args)
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("built");
    let start = Instant::now();
    let done = || files(path).iter().filter(|f| f.ends_with("model.done")).count();
    while done() < 2 && start.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let _ = child.wait();
    let before = done();
    assert!(before >= 2);
    let report = json(&ferrite(path, &args));
    let items = report["compilation_report"].as_object().expect("items");
    assert_eq!(items.len(), 6);
    assert!(items.values().filter(|i| i["cached"] == true).count() >= before);
    assert_eq!(report["ok"], true);
}

#[test]
fn the_parts_of_an_array_are_the_whole() {
    let folder = scratch();
    let path = folder.path();
    models(path, 5);
    let mut names = Vec::new();
    for part in ["0/2", "1/2"] {
        let report = json(&ferrite(
            path,
            &[
                "compile-many",
                "models",
                "--cache-dir",
                "cache",
                "--shard",
                part,
                "--json",
            ],
        ));
        names.extend(report["compilation_report"].as_object().expect("items").keys().cloned());
    }
    names.sort();
    assert_eq!(names, ["m0.mlir", "m1.mlir", "m2.mlir", "m3.mlir", "m4.mlir"]);
    assert_eq!(code(&ferrite(path, &["compile-many", "models", "--shard", "2/2"])), 2);
    let mut slurm = command(
        FERRITE,
        path,
        &["compile-many", "models", "--cache-dir", "cache", "--json"],
    );
    slurm
        .env("SLURM_ARRAY_TASK_ID", "3")
        .env("SLURM_ARRAY_TASK_MIN", "1")
        .env("SLURM_ARRAY_TASK_COUNT", "3");
    let report = json(&slurm.output().expect("built"));
    assert_eq!(report["compilation_report"].as_object().map(|r| r.len()), Some(1));
}

#[test]
fn a_model_larger_than_the_memory_fails_alone() {
    let folder = scratch();
    let path = folder.path();
    // A model that takes many times as long as the bound's clock ticks.
    std::fs::create_dir_all(path.join("models")).expect("made");
    let large = corpus("models/vit_tiny_forward/model.stablehlo.mlir");
    std::fs::copy(large, path.join("models/vit.mlir")).expect("copied");
    let args = [
        "compile-many",
        "models",
        "--cache-dir",
        "cache",
        "--memory",
        "1MB",
        "--json",
    ];
    let ran = ferrite(path, &args);
    assert_eq!(code(&ran), 1);
    assert!(stdout(&ran).contains("--memory"), "{}", stdout(&ran));
    // It is no failure of the program: with room it is compiled.
    assert_eq!(
        code(&ferrite(path, &["compile-many", "models", "--cache-dir", "cache"])),
        0
    );
}

#[test]
fn the_graphs_of_a_program_are_collected_and_compiled() {
    let folder = scratch();
    let path = folder.path();
    models(path, 2);
    // What a framework does: a compilation a graph, then it reads the NEFF.
    let script = format!(
        "for n in 0 1; do {NEURONX_CC} compile --framework=XLA models/m$n.mlir --output $n.neff --target=trn1 \
         --verbose=35 || exit 1; test -s $n.neff || exit 2; done"
    );
    let args = [
        "parallel-compile",
        "--cache-dir",
        "cache",
        "--json",
        "--command",
        "collect",
        "sh",
        "-c",
        &script,
    ];
    let collected = ferrite(path, &args);
    assert_eq!(code(&collected), 0, "{}", stderr(&collected));
    assert!(!files(&path.join("cache")).iter().any(|f| f.ends_with("model.neff")));
    // A placeholder has the tensors, and is refused by the simulator.
    let inspected = json(&ferrite(path, &["inspect", "0.neff", "--json"]));
    assert_eq!(inspected["programs"][0]["inputs"][0]["name"], "input0");
    assert_ne!(code(&ferrite(path, &["profile", "0.neff"])), 0);

    let mut compile = command(
        FERRITE,
        path,
        &[
            "parallel-compile",
            "--cache-dir",
            "cache",
            "--command",
            "compile",
            "-j",
            "2",
        ],
    );
    let compiled = compile
        .env("NEURON_PARALLEL_COMPILE_DUMP_RESULTS", "1")
        .output()
        .expect("built");
    assert_eq!(code(&compiled), 0, "{}{}", stdout(&compiled), stderr(&compiled));
    assert!(
        stdout(&compiled).contains("total: 2, done: 2, failed: 0, locked: 0, remaining: 0"),
        "{}",
        stdout(&compiled)
    );
    assert!(path.join("parallel_compile_report.json").is_file());

    // The program now finds its results.
    let mut run = command("sh", path, &["-c", &script]);
    assert!(
        run.env("FERRITE_COMPILE_CACHE", "cache")
            .output()
            .expect("ran")
            .status
            .success()
    );
    let log = std::fs::read_to_string(path.join("log-neuron-cc.txt")).expect("a log");
    assert_eq!(log.matches("cache: hit").count(), 2, "{log}");
    assert_eq!(code(&ferrite(path, &["profile", "0.neff"])), 0);
    assert_eq!(
        code(&ferrite(
            path,
            &["parallel-compile", "--cache-dir", "cache", "--command", "clean"]
        )),
        0
    );
    assert!(files(&path.join("cache")).is_empty());
}
