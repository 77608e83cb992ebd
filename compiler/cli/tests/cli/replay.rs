//! The exact argv and file layout of each public client: files, streams, exit codes.

use std::path::Path;
use std::process::Output;

use crate::*;

/// A client's module, in XLA's text; clients write it as a protocol buffer, and what it is is told by its content.
const MODULE: &str = r#"HloModule m, entry_computation_layout={(f32[4]{0}, f32[4]{0})->(f32[4]{0}, f32[4]{0})}

ENTRY e {
  x = f32[4]{0} parameter(0), frontend_attributes={neff_input_names="query"}
  w = f32[4]{0} parameter(1), frontend_attributes={neff_input_names="weight.must_alias_input"}
  sum = f32[4]{0} add(x, w)
  product = f32[4]{0} multiply(x, w)
  ROOT t = (f32[4]{0}, f32[4]{0}) tuple(sum, product), frontend_attributes={neff_output_names="total,weight"}
}
"#;

/// A binary HloModuleProto.
fn proto(folder: &Path, name: &str) {
    std::fs::copy(corpus("ops/ew_binary_int/model.hlo.pb"), folder.join(name)).expect("copied");
}

fn replay(folder: &Path, line: &str) -> Output {
    let args: Vec<&str> = line.split_whitespace().collect();
    neuronx_cc(folder, &args)
}

/// Names of the tensors in a NEFF.
fn tensors(folder: &Path, neff: &str) -> (Vec<String>, Vec<String>) {
    let inspected = json(&ferrite(folder, &["inspect", neff, "--json"]));
    let names = |what: &str| {
        let all = inspected["programs"][0][what].as_array().expect("tensors").iter();
        all.map(|t| t["name"].as_str().expect("a name").to_string()).collect()
    };
    (names("inputs"), names("outputs"))
}

/// What the modes of the frameworks print: dots, and the status alone on its line.
fn assert_dots_and_status(output: &Output) {
    assert_eq!(code(output), 0, "{}", stderr(output));
    let text = stdout(output);
    let (dots, rest) = text.split_once('\n').expect("a line of dots");
    assert!(!dots.is_empty() && dots.chars().all(|c| c == '.'), "{text}");
    assert_eq!(rest, "Compiler status PASS\n");
    assert_eq!(stderr(output), "");
}

fn npy(values: &[f32]) -> Vec<u8> {
    let header = format!(
        "{{'descr': '<f4', 'fortran_order': False, 'shape': ({},), }}\n",
        values.len()
    );
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    bytes
}

/// The folder form, with one parameter frozen under this key.
fn traced(folder: &Path, key: &str) {
    std::fs::create_dir_all(folder.join("model/weights")).expect("made");
    let plain = MODULE.replace(", frontend_attributes={neff_input_names=\"query\"}", "");
    let plain = plain.replace(
        ", frontend_attributes={neff_input_names=\"weight.must_alias_input\"}",
        "",
    );
    let plain = plain.replace(", frontend_attributes={neff_output_names=\"total,weight\"}", "");
    std::fs::write(folder.join("model/graph.hlo"), plain).expect("writes");
    let metadata =
        format!(r#"{{"model_files": ["graph.hlo"], "version": "1.0", "weights": {{"{key}": "weights/w.npy"}}}}"#);
    std::fs::write(folder.join("model/metadata.json"), metadata).expect("writes");
    std::fs::write(folder.join("model/weights/w.npy"), npy(&[1.0, 2.0, 3.0, 4.0])).expect("writes");
}

#[test]
fn torch_neuronx_trace() {
    let folder = scratch();
    let path = folder.path();
    traced(path, "0");
    let root = path.display();
    let line = format!(
        "compile {root}/model --framework XLA --target trn1 --output {root}/graph.neff --auto-cast none \
         --model-type transformer"
    );
    let output = replay(path, &line);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    // Default verbosity: the status with a time.
    let text = stdout(&output);
    assert!(
        text.ends_with("Z Compiler status PASS\n") && text.lines().count() == 1,
        "{text}"
    );
    assert_eq!(stderr(&output), "");
    assert_eq!(
        files(path),
        [
            "graph.neff",
            "log-neuron-cc.txt",
            "model/graph.hlo",
            "model/metadata.json",
            "model/weights/w.npy"
        ]
    );
    // The frozen parameter is gone; the other keeps its number.
    assert_eq!(
        tensors(path, "graph.neff"),
        (vec!["input1".into()], vec!["output0".into(), "output1".into()])
    );
}

#[test]
fn torch_xla_lazy() {
    for line in [
        "compile --framework=XLA IN.hlo_module.pb --output OUT.neff --target=trn1 --model-type=transformer --verbose=35",
        "compile --target=trn1 --framework=XLA IN.hlo_module.pb --output OUT.neff --verbose=35",
        "--target=trn1 compile --framework XLA IN.hlo_module.pb --output OUT.neff --verbose=35",
        "compile --framework=XLA IN.hlo_module.pb --output OUT.neff --target=trn1 --verbose=35 --cache_dir=/x --retry_failed_compilation",
    ] {
        let folder = scratch();
        proto(folder.path(), "IN.hlo_module.pb");
        assert_dots_and_status(&replay(folder.path(), line));
        assert_eq!(
            files(folder.path()),
            ["IN.hlo_module.pb", "OUT.neff", "log-neuron-cc.txt"]
        );
    }
}

#[test]
fn torch_xla_lazy_failure() {
    let folder = scratch();
    let path = folder.path();
    let module = MODULE.replace("multiply(x, w)", "custom-call(x, w), custom_call_target=\"Nobody\"");
    std::fs::write(path.join("m.hlo_module.pb"), module).expect("writes");
    let output = replay(
        path,
        "compile --framework=XLA m.hlo_module.pb --output o.neff --target=trn1 --verbose=35",
    );
    assert_eq!(code(&output), 70);
    assert!(
        stderr(&output).starts_with("[ERROR] [NCC_EVRF015] "),
        "{}",
        stderr(&output)
    );
    assert!(
        stdout(&output).trim_end_matches('\n').chars().all(|c| c == '.'),
        "{}",
        stdout(&output)
    );
    assert_eq!(files(path), ["log-neuron-cc.txt", "m.hlo_module.pb"]);
    let log = std::fs::read_to_string(path.join("log-neuron-cc.txt")).expect("a log");
    assert!(log.contains("Diagnostic logs stored in ") && log.ends_with("Subcommand returned with exitcode=70\n"));
}

#[test]
fn jax_and_zml() {
    let folder = scratch();
    let path = folder.path();
    proto(path, "file.code");
    let root = path.display();
    let jax = format!(
        "compile --framework=XLA --target=trn1 --verbose=35 --enable-internal-neff-wrapper --output={root}/file.neff \
         {root}/file.code --model-type=transformer"
    );
    assert_dots_and_status(&replay(path, &jax));
    let zml = format!(
        "compile --framework=XLA --target=trn2 --verbose=35 --enable-internal-neff-wrapper --output={root}/file.neff \
         --optlevel=1 --model-type=transformer --enable-fast-loading-neuron-binaries --enable-fast-context-switch \
         --hbm-scratchpad-page-size=1024 --verbose error --logfile-verbose error --logfile={root}/l.txt {root}/file.code"
    );
    let output = replay(path, &zml);
    assert_eq!(
        (code(&output), stdout(&output), stderr(&output)),
        (0, String::new(), String::new())
    );
    // A plain archive behind the header.
    let neff = std::fs::read(path.join("file.neff")).expect("a NEFF");
    assert_eq!(&neff[1024 + 257..1024 + 262], b"ustar");
    assert_eq!(std::fs::read_to_string(path.join("l.txt")).expect("a log"), "");
}

#[test]
fn transformers_neuronx_dump() {
    let folder = scratch();
    let path = folder.path();
    proto(path, "g.2.27.abc.pb");
    let root = path.display();
    let line = format!(
        "compile --framework=XLA --target=trn1 {root}/g.2.27.abc.pb --output={root}/g.2.27.abc.pb.neff \
         --model-type=transformer --auto-cast=none --execute-repetition=1 --verbose=INFO --pipeline compile SaveTemps"
    );
    let output = replay(path, &line);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).ends_with("Compiler status PASS\n") && stdout(&output).contains(" INFO: "));
    let made = files(path);
    assert!(
        made.iter().any(|f| f.starts_with("sg00/")) && made.contains(&"g.2.27.abc.pb.neff".to_string()),
        "{made:?}"
    );
}

#[test]
fn optimum_neuron_export() {
    let folder = scratch();
    let path = folder.path();
    traced(path, "w"); // a key that is a parameter's name
    std::fs::write(
        path.join("model/graph.hlo"),
        std::fs::read(corpus("ops/ew_binary_int/model.hlo.pb")).expect("reads"),
    )
    .expect("writes");
    let line = |cast: &str| {
        format!(
            "compile model --framework XLA --output graph.neff --auto-cast {cast} --optlevel 2 --target inf2 \
             --model-type transformer --enable-fast-loading-neuron-binaries"
        )
    };
    // The key is no parameter of that module.
    let wrong = replay(path, &line("none"));
    assert_eq!(code(&wrong), 70);
    assert!(
        stderr(&wrong).contains("weight `w` is no parameter"),
        "{}",
        stderr(&wrong)
    );
    std::fs::write(path.join("model/metadata.json"), "{}").expect("writes");
    for cast in ["none", "matmult --auto-cast-type bf16", "all --auto-cast-type fp16"] {
        let output = replay(path, &line(cast));
        assert_eq!(code(&output), 0, "{cast}: {}", stderr(&output));
    }
}

#[test]
fn nxd_inference() {
    let folder = scratch();
    let path = folder.path();
    proto(path, "model.MODULE_0123456789abcdef0123+e30acd3a.hlo_module.pb");
    let stem = "model.MODULE_0123456789abcdef0123+e30acd3a";
    let mut args: Vec<String> = format!(
        "compile --framework=XLA {stem}.hlo_module.pb --output {stem}.neff --target=trn1 --enable-saturate-infinity \
         --enable-mixed-precision-accumulation --model-type transformer --auto-cast=none --lnc=1 \
         --hbm-scratchpad-page-size=1024 -O1 --internal-enable-dge-levels spill_reload --internal-bir-enable-sb-allocation"
    )
    .split_whitespace()
    .map(str::to_string)
    .collect();
    args.push(
        "--tensorizer-options=--enable-ccop-compute-overlap --cc-pipeline-tiling-factor=2 --vectorize-strided-dma "
            .into(),
    );
    args.push("--internal-dma-order-constraints={\"a\": [1]}".into());
    args.push("--internal-backend-options=--enable-verifier=false".into());
    args.push("--internal-hlo2tensorizer-options= --modular-flow-mac-threshold=10 ".into());
    args.push("--internal-hlo2tensorizer-options=--verify-hlo=true".into());
    args.push("--logfile=log-neuron-cc.txt".into());
    args.push("--verbose=35".into());
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let output = neuronx_cc(path, &args);
    assert_dots_and_status(&output);
    let header = json(&ferrite(path, &["inspect", &format!("{stem}.neff"), "--json"]));
    assert_eq!(header["header"]["name"], stem); // a reader looks for MODULE_ in it
}

#[test]
fn nkipy() {
    let folder = scratch();
    let path = folder.path();
    std::fs::write(path.join("hlo_module.pb"), MODULE).expect("writes");
    let line = format!(
        "compile --framework XLA {}/hlo_module.pb --pipeline compile SaveTemps --target trn1 --output=kernel.neff --lnc 1 \
         --internal-tensorizer-opt-level=2",
        path.display()
    );
    let output = replay(path, &line);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(path.join("kernel.neff").is_file());
    let names = (
        vec!["query".to_string(), "weight.must_alias_input".to_string()],
        vec!["total".to_string(), "weight".to_string()],
    );
    assert_eq!(tensors(path, "kernel.neff"), names);
}

#[test]
fn tensorflow_and_vllm() {
    let folder = scratch();
    let path = folder.path();
    proto(path, "hlo_module.pb");
    let tf = "compile hlo_module.pb --framework XLA --verbose=35 --pipeline compile SaveTemps --output hlo_module.neff \
              --fast-math=none --fp32-cast=matmult-fp16 --neuroncore-pipeline-cores=1";
    assert_dots_and_status(&replay(path, tf));
    let neff = std::fs::read(path.join("hlo_module.neff")).expect("a NEFF");
    // What its reader takes from the header: cores, and cores per node. Without a target: a logical core of trn2.
    let word = |at: usize| u32::from_le_bytes(neff[at..at + 4].try_into().expect("four bytes"));
    assert_eq!((word(168), neff[480..544].iter().max()), (2, Some(&2)));

    proto(path, "graph.hlo");
    let vllm = "compile graph.hlo --framework XLA --target trn1 --output graph_k.neff --logfile log.txt -O1";
    assert_eq!(code(&replay(path, vllm)), 0);
    assert!(path.join("graph_k.neff").is_file() && path.join("log.txt").is_file());
    // What is out of scope is refused in words.
    std::fs::write(path.join("penguin.py"), "import penguin\n").expect("writes");
    let nki = replay(
        path,
        "compile --framework XLA penguin.py --internal-tensorizer-opt-level=nki --target trn2",
    );
    assert_eq!(code(&nki), 70);
    assert!(stderr(&nki).contains("penguin.py"), "{}", stderr(&nki));
}

#[test]
fn several_models_and_standard_input() {
    let folder = scratch();
    let path = folder.path();
    std::fs::create_dir(path.join("out")).expect("made");
    for name in ["a.pb", "b.pb"] {
        proto(path, name);
    }
    let both = replay(path, "compile a.pb b.pb --framework=XLA --target=trn1 --output out");
    assert_eq!(code(&both), 0, "{}", stderr(&both));
    assert_eq!(files(&path.join("out")), ["a.neff", "b.neff"]);
    // One that fails does not stop the other.
    std::fs::write(
        path.join("a.pb"),
        "HloModule m\n\nENTRY e { ROOT x = f32[4]{0} nonsense() }\n",
    )
    .expect("writes");
    std::fs::remove_dir_all(path.join("out")).expect("removed");
    std::fs::create_dir(path.join("out")).expect("made");
    let one = replay(path, "compile a.pb b.pb --framework=XLA --target=trn1 --output out");
    assert_eq!((code(&one), files(&path.join("out"))), (70, vec!["b.neff".to_string()]));

    let mut piped = command(
        NEURONX_CC,
        path,
        &["compile", "-", "--framework=XLA", "--target=trn1", "-o", "s.neff"],
    );
    let model = std::fs::File::open(path.join("b.pb")).expect("opens");
    let output = piped.stdin(model).output().expect("built");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(path.join("s.neff").is_file());
    std::fs::write(
        path.join("bad.mlir"),
        "module {\n  func.func @main() {\n    nonsense\n  }\n}\n",
    )
    .expect("writes");
    let mut piped = command(NEURONX_CC, path, &["compile", "-", "--framework=XLA", "--target=trn1"]);
    let output = piped
        .stdin(std::fs::File::open(path.join("bad.mlir")).expect("opens"))
        .output()
        .expect("built");
    assert_eq!(code(&output), 70);
    assert!(stderr(&output).contains("<stdin>:3:"), "{}", stderr(&output));
}
