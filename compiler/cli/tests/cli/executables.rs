//! The executables from outside: argv, streams, files, exit codes.

use serde_json::Value;

use crate::*;

#[test]
fn a_model_compiles_to_the_same_bytes_every_time_and_runs() {
    let folder = scratch();
    let path = folder.path();
    for name in ["a.neff", "b/a.neff"] {
        std::fs::create_dir_all(path.join(name).parent().expect("a folder")).expect("made");
    }
    let first = ferrite(path, &["compile", &model(), "-o", "a.neff", "--json"]);
    assert_eq!(code(&first), 0, "{}", stderr(&first));
    let answer: Value = serde_json::from_slice(&first.stdout).expect("one JSON object");
    assert_eq!(answer["target"], "inf2");
    assert!(answer["instructions"].as_u64() > Some(10) && answer["model_flops"].as_u64() > Some(0));
    let second = ferrite(&path.join("b"), &["compile", &model(), "-o", "a.neff"]);
    assert_eq!(code(&second), 0, "{}", stderr(&second));
    let read = |name: &str| std::fs::read(path.join(name)).expect("the NEFF was written");
    assert!(read("a.neff") == read("b/a.neff"), "two compilations differ");

    let inputs = corpus("ops/dot_plain").join("inputs.npz").display().to_string();
    let ran = ferrite(
        path,
        &[
            "run",
            "a.neff",
            "--inputs",
            &inputs,
            "--outputs",
            "out.npz",
            "--profile",
            "p",
            "--json",
        ],
    );
    assert_eq!(code(&ran), 0, "{}", stderr(&ran));
    let answer: Value = serde_json::from_slice(&ran.stdout).expect("one JSON object");
    for key in [
        "latency_us",
        "cycles",
        "instructions",
        "busy_us",
        "hbm_read_bytes",
        "hbm_written_bytes",
        "pe_utilization",
    ] {
        assert!(!answer[key].is_null(), "{key} is missing");
    }
    for file in [
        "out.npz",
        "p/summary.json",
        "p/trace.json",
        "p/timeline.svg",
        "p/timeline.png",
    ] {
        assert!(path.join(file).is_file(), "{file} is missing");
    }
    // Timing does not depend on whether data is simulated.
    let profiled = ferrite(path, &["profile", "a.neff", "--json"]);
    let timing: Value = serde_json::from_slice(&profiled.stdout).expect("one JSON object");
    assert_eq!(timing["cycles"], answer["cycles"]);

    let inspected = ferrite(path, &["inspect", "a.neff", "--disassemble"]);
    assert!(stdout(&inspected).contains("isa."), "{}", stdout(&inspected));
}

#[test]
fn validate_compares_with_interpreter_and_golden() {
    let folder = scratch();
    let case = corpus("ops/dot_plain");
    let right = ferrite(
        folder.path(),
        &["validate", "--case", &case.display().to_string(), "--json"],
    );
    assert_eq!(code(&right), 0, "{}", stderr(&right));
    let answer: Value = serde_json::from_slice(&right.stdout).expect("one JSON object");
    assert_eq!(answer["ok"], true);
    assert!(answer["outputs"][0]["max_abs_err"].is_number() && answer["outputs"][0]["expected"]["ok"] == true);

    let (inputs, expected) = (case.join("inputs.npz"), case.join("expected.npz"));
    let (inputs, expected) = (inputs.display().to_string(), expected.display().to_string());
    let files = ferrite(
        folder.path(),
        &["validate", &model(), "--inputs", &inputs, "--expected", &expected],
    );
    assert_eq!(code(&files), 0, "{}{}", stdout(&files), stderr(&files));
    // Inputs in place of the expected outputs: wrong shapes, so a failed comparison, not a crash.
    let wrong = ferrite(
        folder.path(),
        &["validate", &model(), "--inputs", &inputs, "--expected", &inputs],
    );
    assert_ne!(code(&wrong), 0);
}

#[test]
fn bad_models_give_located_errors() {
    let folder = scratch();
    let path = folder.path();
    let unknown = write_model(path, "%0 = stablehlo.frobnicate %x : tensor<4xf32>");
    let output = ferrite(path, &["compile", &unknown]);
    assert_eq!(code(&output), 1);
    assert!(
        stderr(&output).contains("m.mlir:3:") && stderr(&output).contains("frobnicate"),
        "{}",
        stderr(&output)
    );

    let shapes = write_model(
        path,
        "%0 = stablehlo.transpose %x, dims = [1] : (tensor<4xf32>) -> tensor<4xf32>",
    );
    let output = ferrite(path, &["compile", &shapes]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("m.mlir:3:"), "{}", stderr(&output));

    let whole = std::fs::read(model()).expect("reads");
    std::fs::write(path.join("cut.mlir"), &whole[..whole.len() / 2]).expect("writes");
    let output = ferrite(path, &["compile", "cut.mlir", "--json"]);
    assert_eq!(code(&output), 1);
    let answer: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(answer["ok"], false);
    assert!(answer["errors"][0]["line"].as_u64() > Some(0), "{answer}");

    for args in [
        &["compile", "none.mlir"][..],
        &["inspect", "cut.mlir"],
        &["profile", "cut.mlir"],
    ] {
        let output = ferrite(path, args);
        assert_eq!(code(&output), 1, "{args:?}: {}", stderr(&output));
    }
    assert!(!path.join("cut.neff").exists() && !path.join("m.neff").exists());
}

#[test]
fn wrong_command_lines_exit_with_2() {
    let folder = scratch();
    for args in [
        &["compile"][..],
        &["compile", "m.mlir", "--no-such-option"],
        &["compile", "m.mlir", "-O", "7"],
        &["frobnicate"],
        &["validate"],
        &["targets", "--print", "inf1"],
    ] {
        assert_eq!(code(&ferrite(folder.path(), args)), 2, "{args:?}");
    }
    let target = ferrite(folder.path(), &["compile", &model(), "--target", "trn9"]);
    assert_eq!(code(&target), 2);
    assert!(stderr(&target).contains("known targets are"), "{}", stderr(&target));
}

#[test]
fn opt_runs_any_list_and_dumps() {
    let folder = scratch();
    let path = folder.path();
    let model = write_model(path, "%0 = stablehlo.add %x, %x : tensor<4xf32>");
    let printed = ferrite(path, &["opt", "--passes", "inline,canonicalize", &model]);
    assert_eq!(code(&printed), 0, "{}", stderr(&printed));
    assert!(stdout(&printed).contains("stablehlo.add"));
    let dumped = ferrite(
        path,
        &[
            "compile",
            &model,
            "--dump-ir",
            "ir",
            "--print-after",
            "inline",
            "--time-passes",
        ],
    );
    assert_eq!(code(&dumped), 0, "{}", stderr(&dumped));
    assert!(path.join("ir/00-inline.hlo.mlir").is_file());
    assert!(stdout(&dumped).contains("// after inline") && stdout(&dumped).contains("to hlo"));
    let unknown = ferrite(path, &["opt", "--passes", "remove-ops", &model]);
    assert_eq!(code(&unknown), 2);
    assert!(stderr(&unknown).contains("remove-dead-ops"), "{}", stderr(&unknown));
    let never = ferrite(path, &["compile", &model, "--print-after", "inlin"]);
    assert_eq!(code(&never), 2);
}

#[test]
fn frozen_weights_leave_the_other_inputs_their_names() {
    let folder = scratch();
    let inputs = corpus("ops/dot_plain").join("inputs.npz").display().to_string();
    let all = ferrite(
        folder.path(),
        &["compile", &model(), "--weights", &inputs, "-o", "w.neff", "--json"],
    );
    assert_eq!(code(&all), 0, "{}", stderr(&all));
    let inspected = ferrite(folder.path(), &["inspect", "w.neff", "--json"]);
    let answer: Value = serde_json::from_slice(&inspected.stdout).expect("one JSON object");
    assert_eq!(answer["programs"][0]["inputs"].as_array().map(Vec::len), Some(0));
}

#[test]
fn the_argv_of_framework_clients_compiles() {
    let folder = scratch();
    let path = folder.path();
    let model = model();
    let lazy = [
        "--target=trn1",
        "compile",
        "--framework",
        "XLA",
        &model,
        "--output",
        "o.neff",
        "--verbose=35",
    ];
    let output = neuronx_cc(path, &lazy);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).starts_with('.') && stdout(&output).ends_with("\nCompiler status PASS\n"));
    assert!(path.join("o.neff").is_file() && path.join("log-neuron-cc.txt").is_file());

    let nkipy = [
        "compile",
        "--framework",
        "XLA",
        &model,
        "--pipeline",
        "compile",
        "SaveTemps",
        "--target",
        "trn1",
        "--output=n.neff",
        "--lnc",
        "1",
        "--internal-tensorizer-opt-level=2",
        "--logfile",
        "l.txt",
    ];
    let output = neuronx_cc(path, &nkipy);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).ends_with("Compiler status PASS\n"));
    assert!(path.join("n.neff").is_file() && path.join("sg00/00-inline.hlo.mlir").is_file());
    let log = std::fs::read_to_string(path.join("l.txt")).expect("a log");
    assert!(
        log.contains("--internal-tensorizer-opt-level") && log.contains("Peak scratchpad usage"),
        "{log}"
    );
}

#[test]
fn failures_of_neuronx_cc_are_70_and_its_misuse_is_2() {
    let folder = scratch();
    let path = folder.path();
    let bad = write_model(path, "%0 = stablehlo.frobnicate %x : tensor<4xf32>");
    let failed = neuronx_cc(
        path,
        &[
            "compile",
            &bad,
            "--framework",
            "XLA",
            "--target",
            "inf2",
            "--output",
            "x.neff",
        ],
    );
    assert_eq!(code(&failed), 70);
    assert!(stderr(&failed).contains("[ERROR] [FE_"), "{}", stderr(&failed));
    assert!(!path.join("x.neff").exists());
    let log = std::fs::read_to_string(path.join("log-neuron-cc.txt")).expect("a log");
    assert!(log.contains("exitcode=70"));

    let misused = neuronx_cc(path, &["compile", &bad, "--framework", "XLA", "--no-such-option"]);
    assert_eq!(code(&misused), 2);
    assert!(stderr(&misused).contains("[NCC_EARG002]"), "{}", stderr(&misused));
    for args in [
        &["compile"][..],
        &[],
        &["frobnicate"],
        &["compile", "a", "b", "--framework=XLA", "--output=x.neff"],
    ] {
        assert_eq!(code(&neuronx_cc(path, args)), 2, "{args:?}");
    }
}

#[test]
fn version_and_help_are_where_clients_look() {
    let folder = scratch();
    let version = neuronx_cc(folder.path(), &["--version"]);
    assert_eq!(code(&version), 0);
    for text in [stdout(&version), stderr(&version)] {
        let first = text.lines().next().expect("a line");
        let number = first
            .strip_prefix("NeuronX Compiler version ")
            .expect("the documented words");
        let (digits, hash) = number.split_once('+').expect("a hash");
        assert!(
            digits.split('.').count() == 4 && digits.split('.').all(|n| n.parse::<u32>().is_ok()),
            "{first}"
        );
        assert!(
            hash.len() == 8 && hash.chars().all(|c| c.is_ascii_hexdigit()),
            "{first}"
        );
    }
    for args in [&["--help"][..], &["compile", "--help"], &["list-operators", "--help"]] {
        let help = neuronx_cc(folder.path(), args);
        assert_eq!(code(&help), 0, "{args:?}");
        assert!(stdout(&help).starts_with("usage: neuronx-cc"));
    }
    let operators = neuronx_cc(folder.path(), &["list-operators", "--framework", "XLA"]);
    assert!(stdout(&operators).lines().any(|l| l == "Dot"));
}

#[test]
fn a_logical_core_of_two_has_two_subgraphs() {
    let folder = scratch();
    let path = folder.path();
    let args = [
        "compile",
        &model(),
        "--framework=XLA",
        "--target=trn2",
        "--lnc",
        "2",
        "-o",
        "two.neff",
    ];
    let output = neuronx_cc(path, &args);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let inspected = json(&ferrite(path, &["inspect", "two.neff", "--json"]));
    let header = &inspected["header"];
    assert_eq!(
        (header["cores"].as_u64(), header["lnc_size"].as_u64()),
        (Some(2), Some(2))
    );
    for file in ["sg00/def.json", "sg01/def.json", "sg01/PE0.bin"] {
        assert!(inspected["files"][file].is_number(), "{file}");
    }
    let inputs = corpus("ops/dot_plain").join("inputs.npz").display().to_string();
    let ran = ferrite(path, &["run", "two.neff", "--inputs", &inputs, "--outputs", "out.npz"]);
    assert_eq!(code(&ran), 0, "{}", stderr(&ran));
    for (program, expected) in [("inf2", 2), ("trn3", 0)] {
        let output = ferrite(path, &["compile", &model(), "--target", program, "--lnc", "2"]);
        assert_eq!(code(&output), expected, "{}", stderr(&output));
    }
}

#[test]
fn a_machine_model_of_ones_own_compiles_and_runs() {
    let folder = scratch();
    let path = folder.path();
    let printed = ferrite(path, &["targets", "--print", "inf2"]);
    std::fs::write(path.join("my.toml"), &printed.stdout).expect("writes");
    let output = ferrite(path, &["compile", &model(), "--target-file", "my.toml", "-o", "m.neff"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(
        code(&ferrite(path, &["profile", "m.neff", "--target-file", "my.toml"])),
        0
    );
    std::fs::write(path.join("my.toml"), "nonsense = 1").expect("writes");
    assert_ne!(
        code(&ferrite(path, &["compile", &model(), "--target-file", "my.toml"])),
        0
    );
}

#[test]
fn broken_rules_of_the_operation_set_have_the_documented_code() {
    let folder = scratch();
    let line = "%0 = stablehlo.transpose %x, dims = [1] : (tensor<4xf32>) -> tensor<4xf32>";
    let model = write_model(folder.path(), line);
    let output = neuronx_cc(
        folder.path(),
        &["compile", &model, "--framework=XLA", "--target=inf2", "--verbose=35"],
    );
    assert_eq!(code(&output), 70);
    assert!(
        stderr(&output).starts_with("[ERROR] [NCC_EVRF064] "),
        "{}",
        stderr(&output)
    );
}
