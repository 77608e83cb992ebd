//! The bridge as a person uses it: `ferrite-mlir` on files, beside the real `mlir-opt-22` and `ferrite`.
//!
//! `ferrite` is the workspace's, built before (`cargo build -p ferrite-cli`), or the one that `FERRITE` names.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ferrite_frontend::Frontend;
use ferrite_ir::text::{self, Operation};

const MODELS: [&str; 3] = ["vit_tiny_forward", "sampling_loop_topk_topp", "mlp_train_adam"];

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn root() -> PathBuf {
    here().join("../..")
}

fn model(name: &str) -> PathBuf {
    root()
        .join("tests/corpus/models")
        .join(name)
        .join("model.stablehlo.mlir")
}

fn sample(name: &str) -> PathBuf {
    here().join("tests/samples").join(name)
}

fn bridge(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ferrite-mlir"))
        .args(arguments)
        .output()
        .unwrap()
}

fn ferrite(arguments: &[&str]) -> Output {
    let executable = std::env::var_os("FERRITE").map_or_else(|| root().join("target/debug/ferrite"), PathBuf::from);
    let help = "build it with `cargo build -p ferrite-cli`, or name it in FERRITE";
    Command::new(&executable)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}: {help}", executable.display()))
}

fn succeeds(output: Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success(),
        "{}\n{said}",
        String::from_utf8_lossy(&output.stdout)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn definitions_in_the_book_are_what_the_code_says() {
    let folder = root().join("docs/dialects");
    for file in ferrite_mlir::irdl::files() {
        let place = folder.join(&file.name);
        if std::env::var_os("BLESS").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&place, &file.text).unwrap();
        }
        let found = fs::read_to_string(&place).unwrap_or_default();
        assert!(
            found == file.text,
            "{} is not up to date: run `make bless`",
            place.display()
        );
    }
}

/// Names of all operations of a tree.
fn names(operation: &Operation, found: &mut Vec<String>) {
    found.push(operation.name.to_string());
    for inner in operation
        .regions
        .iter()
        .flat_map(|r| &r.blocks)
        .flat_map(|b| &b.operations)
    {
        names(inner, found);
    }
}

#[test]
fn every_operation_of_the_corpus_has_a_line_in_the_table() {
    let table: Vec<String> = ferrite_mlir::irdl::hlo_operations()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let mut seen = 0;
    for folder in ["collectives", "models", "ops", "special", "torch_xla"] {
        for case in fs::read_dir(root().join("tests/corpus").join(folder)).unwrap() {
            let file = case.unwrap().path().join("model.stablehlo.mlir");
            let Ok(bytes) = fs::read(&file) else { continue };
            let module = Frontend::read(&bytes, path(&file)).unwrap();
            let printed = ferrite_mlir::portable::print(&module, false);
            let document = text::parse(&printed).unwrap();
            let mut found = Vec::new();
            document
                .operations
                .iter()
                .for_each(|operation| names(operation, &mut found));
            for name in found {
                let name = name.replace("stablehlo_variadic.", "stablehlo.");
                let upstream = ["builtin.", "func.", "vector.", "sdy."]
                    .iter()
                    .any(|d| name.starts_with(d));
                let call = name == "stablehlo.call";
                assert!(
                    upstream || call || table.contains(&name),
                    "{name} in {}",
                    file.display()
                );
                seen += 1;
            }
        }
    }
    assert!(seen > 1000, "only {seen} operations");
}

#[test]
fn every_operation_of_the_book_has_a_line_in_the_table() {
    let table: Vec<String> = ferrite_mlir::irdl::hlo_operations()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let book = fs::read_to_string(root().join("docs/src/ops.md")).unwrap();
    let hlo = book.split("\n## ").find(|part| part.starts_with("hlo\n")).unwrap();
    let mut seen = 0;
    for name in hlo.lines().filter_map(|line| line.strip_prefix("### ")) {
        seen += 1;
        // Headings of groups, which the table has by the names of their operations; upstream's and Shardy's operations.
        let elsewhere = [
            "One operand",
            "Two operands",
            "chlo_broadcast_binary",
            "call",
            "manual_computation",
            "sharding_constraint",
        ];
        let listed = ["stablehlo", "chlo"]
            .iter()
            .any(|dialect| table.contains(&format!("{dialect}.{name}")));
        assert!(listed || elsewhere.contains(&name), "{name}");
    }
    assert!(seen > 70, "only {seen} operations");
}

/// What `roundtrip` says of a file.
fn levels(files: &[&Path]) -> Vec<String> {
    let mut arguments = vec!["roundtrip", "--mlir-opt", "mlir-opt-22"];
    arguments.extend(files.iter().map(|file| path(file)));
    let said = succeeds(bridge(&arguments));
    said.lines()
        .filter_map(|line| Some(line.rsplit_once(": ")?.1.to_string()))
        .collect()
}

#[test]
fn conformance_programs_come_back_from_mlir_opt() {
    // `remnants.mlir` holds upstream operations that only the front end reads, `refused.mlir` what nobody reads, and
    // `shardings.mlir` attributes of Shardy that are none, which MLIR prints in another form.
    let folder = tempfile::tempdir().unwrap();
    let mut programs = Vec::new();
    for name in ["forms", "interpreter", "quantized", "values"] {
        let file = root().join("tests/conformance").join(name).with_extension("mlir");
        let text = fs::read_to_string(file).unwrap();
        for (number, program) in text.split("\n// -----\n").enumerate() {
            let file = folder.path().join(format!("{name}_{number}.mlir"));
            fs::write(&file, program).unwrap();
            programs.push(file);
        }
    }
    let files: Vec<&Path> = programs.iter().map(PathBuf::as_path).collect();
    let said = levels(&files);
    assert!(said.len() > 20 && said.len() == files.len(), "{said:?}");
    assert!(said.iter().all(|line| line == "hlo, the same"), "{said:?}");
}

/// Symbols inside of operations that have no definition, where MLIR looks for none.
#[test]
fn calls_inside_of_regions_come_back_from_mlir_opt() {
    let folder = tempfile::tempdir().unwrap();
    let body = folder.path().join("body.mlir");
    fs::write(
        &body,
        "module @m {
  func.func public @main(%x: tensor<7x3xf32>) -> tensor<3xf32> {
    %c = stablehlo.constant dense<0.0> : tensor<f32>
    %0 = stablehlo.reduce(%x init: %c) across dimensions = [0] : (tensor<7x3xf32>, tensor<f32>) -> tensor<3xf32>
     reducer(%a: tensor<f32>, %b: tensor<f32>)  {
      %1 = stablehlo.compare GT, %a, %b : (tensor<f32>, tensor<f32>) -> tensor<i1>
      %2 = func.call @where(%1, %a, %b) : (tensor<i1>, tensor<f32>, tensor<f32>) -> tensor<f32>
      stablehlo.return %2 : tensor<f32>
    }
    return %0 : tensor<3xf32>
  }
  func.func private @where(%p: tensor<i1>, %a: tensor<f32>, %b: tensor<f32>) -> tensor<f32> {
    %0 = stablehlo.select %p, %a, %b : tensor<i1>, tensor<f32>
    return %0 : tensor<f32>
  }
}
",
    )
    .unwrap();
    let ring = root().join("tests/corpus/collectives/ring_loop_4/model.stablehlo.mlir");
    assert_eq!(levels(&[&body, &ring]), ["hlo, the same", "hlo, the same"]);
}

#[test]
fn every_level_of_three_models_comes_back_from_mlir_opt() {
    let folder = tempfile::tempdir().unwrap();
    for name in MODELS {
        let hlo = model(name);
        let (tile, isa) = (folder.path().join("tile.mlir"), folder.path().join("isa.mlir"));
        succeeds(ferrite(&[
            "opt",
            path(&hlo),
            "--passes",
            "hlo(-O2),lower",
            "-o",
            path(&tile),
        ]));
        succeeds(ferrite(&["opt", path(&hlo), "-o", path(&isa)]));
        let said = succeeds(bridge(&[
            "roundtrip",
            "--mlir-opt",
            "mlir-opt-22",
            path(&hlo),
            path(&tile),
            path(&isa),
        ]));
        let levels: Vec<&str> = said.lines().filter_map(|line| line.split(": ").nth(1)).collect();
        assert_eq!(levels, ["hlo, the same", "tile, the same", "isa, the same"], "{said}");
    }
}

#[test]
fn definitions_refuse_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.mlir");
    let wrong = |from: &str, to: &str| {
        let text = r#""tile.program"() ({
  %t0 = "tile.tile"() {name = "x", space = "sbuf", partitions = 1, bytes = 4} : () -> !tile.memory
  "tile.memset"(%t0) {dst = #tile.view<0, 0, 1, 0, f32, [1], [1]>, bits = 0} : (!tile.memory) -> ()
  "vector.yield"() : () -> ()
}) {model_flops = 0} : () -> ()
"#;
        assert!(text.contains(from));
        fs::write(&file, text.replace(from, to)).unwrap();
        let output = bridge(&["check", path(&file)]);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(wrong("memset", "memset").0, Some(0));
    let (code, said) = wrong("\"sbuf\"", "\"disk\"");
    assert_eq!(code, Some(1));
    assert!(
        said.contains("does not satisfy the constraint") && said.contains(":2:9"),
        "{said}"
    );
    assert!(wrong("#tile.view<0,", "#tile.view<").1.contains("expected 7"));
    assert!(wrong(", bits = 0", "").1.contains("\"bits\" is expected"));
    assert!(wrong("memset", "memsat").1.contains("tile.memsat"));
}

#[test]
fn samples_of_torch_mlir_validate() {
    let folder = tempfile::tempdir().unwrap();
    let mut count = 0;
    for file in fs::read_dir(here().join("tests/samples")).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_none_or(|e| e != "mlir") {
            continue;
        }
        let stem = file
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .split('.')
            .next()
            .unwrap()
            .to_string();
        let lowered = folder.path().join("lowered.mlir");
        succeeds(bridge(&["import", path(&file), "-o", path(&lowered)]));
        let (inputs, expected) = (format!("{stem}.inputs.npz"), format!("{stem}.expected.npz"));
        let said = succeeds(ferrite(&[
            "validate",
            path(&lowered),
            "--inputs",
            path(&sample(&inputs)),
            "--expected",
            path(&sample(&expected)),
        ]));
        assert!(said.contains("validate: ok"), "{}: {said}", file.display());
        count += 1;
    }
    assert!(count >= 9, "only {count} samples");
}

#[test]
fn bytecode_is_read_as_text_is() {
    let folder = tempfile::tempdir().unwrap();
    let bytecode = folder.path().join("model.mlirbc");
    let text = sample("cnn.linalg.mlir");
    let made = Command::new("mlir-opt-22")
        .args([path(&text), "--emit-bytecode", "-o", path(&bytecode)])
        .output()
        .unwrap();
    succeeds(made);
    let lines = |text: String| -> Vec<String> {
        // Locations are kept in bytecode under the name of the file, and in text have none.
        let kept = text.lines().filter(|line| !line.starts_with("#loc"));
        kept.map(|line| line.split(" loc(").next().unwrap_or("").to_string())
            .collect()
    };
    let from_text = succeeds(bridge(&["import", path(&text)]));
    assert!(
        from_text.contains("cnn.linalg.mlir\":"),
        "locations name the file: {from_text}"
    );
    let from_bytecode = succeeds(bridge(&["import", path(&bytecode)]));
    assert_eq!(lines(from_text), lines(from_bytecode));
}

#[test]
fn what_cannot_be_lowered_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.mlir");
    let text = r#"func.func @main(%x: tensor<4x?xf32>) -> tensor<4x?xf32> {
  return %x : tensor<4x?xf32>
}
func.func @other(%x: tensor<4xf32>, %y: memref<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}
func.func @third(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = arith.constant 0 : index
  %p = arith.constant 0.0 : f32
  %0 = vector.transfer_read %x[%c], %p : tensor<4xf32>, vector<4xf32>
  %d = arith.addf %0, %0 : vector<4xf32>
  %1 = vector.transfer_write %d, %x[%c] : vector<4xf32>, tensor<4xf32>
  return %1 : tensor<4xf32>
}
"#;
    fs::write(&file, text).unwrap();
    let output = bridge(&["import", path(&file)]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("`tensor<4x?xf32>` has a dimension of unknown size"),
        "{said}"
    );
    assert!(said.contains("model.mlir:1:1"), "{said}");
    assert!(said.contains("`memref<4xf32>` is no tensor and no number"), "{said}");
    assert!(
        said.contains("`vector.transfer_read` cannot be lowered") && said.contains("model.mlir:10:8"),
        "{said}"
    );
    assert!(said.contains("before bufferization and vectorization"), "{said}");
}

#[test]
fn upstream_passes_run_on_our_modules() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.mlir");
    fs::write(
        &file,
        "func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {\n  %0 = call @twice(%x) : (tensor<4xf32>) -> tensor<4xf32>\n  \
         return %0 : tensor<4xf32>\n}\nfunc.func private @twice(%x: tensor<4xf32>) -> tensor<4xf32> {\n  \
         %0 = stablehlo.add %x, %x : tensor<4xf32>\n  return %0 : tensor<4xf32>\n}\n",
    )
    .unwrap();
    let said = succeeds(bridge(&["opt", path(&file), "--passes", "symbol-dce,cse"]));
    assert!(said.contains("stablehlo.add") && said.contains("@twice"), "{said}");
    let output = bridge(&["opt", path(&file), "--passes", "no-such-pass"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("no-such-pass"));
}
