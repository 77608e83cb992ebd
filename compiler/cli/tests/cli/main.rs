//! The executables from outside: argv, streams, files, exit codes.

mod book;
mod cache;
mod codes;
mod executables;
mod many;
mod replay;
mod workbench;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn corpus(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/corpus")
        .join(case)
}

fn model() -> String {
    corpus("ops/dot_plain")
        .join("model.stablehlo.mlir")
        .display()
        .to_string()
}

/// Variables that change what the executables do: a test sets them itself.
const VARIABLES: [&str; 5] = [
    "FERRITE_COMPILE_CACHE",
    "NEURON_COMPILE_CACHE_URL",
    "NEURON_EXTRACT_GRAPHS_ONLY",
    "NEURON_PARALLEL_COMPILE_DUMP_RESULTS",
    "SLURM_ARRAY_TASK_ID",
];

const NEURONX_CC: &str = env!("CARGO_BIN_EXE_neuronx-cc");
const FERRITE: &str = env!("CARGO_BIN_EXE_ferrite");

fn command(program: &str, folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).args(args);
    for name in VARIABLES {
        command.env_remove(name);
    }
    command
}

fn run(program: &str, folder: &Path, args: &[&str]) -> Output {
    command(program, folder, args)
        .output()
        .expect("the executable was built")
}

fn ferrite(folder: &Path, args: &[&str]) -> Output {
    run(FERRITE, folder, args)
}

/// The one JSON object on stdout.
fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}{}", stdout(output), stderr(output)))
}

/// Names of the files below a folder, sorted.
fn files(folder: &Path) -> Vec<String> {
    fn collect(root: &Path, folder: &Path, names: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            if entry.path().is_dir() {
                collect(root, &entry.path(), names);
            } else {
                let below = entry.path().strip_prefix(root).expect("below").display().to_string();
                names.push(below);
            }
        }
    }
    let mut names = Vec::new();
    collect(folder, folder, &mut names);
    names.sort();
    names
}

fn neuronx_cc(folder: &Path, args: &[&str]) -> Output {
    run(NEURONX_CC, folder, args)
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it was not killed")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A program of one operation on `%x: tensor<4xf32>`, with this line as its body.
fn write_model(folder: &Path, line: &str) -> String {
    let text = format!(
        "module {{\n  func.func public @main(%x: tensor<4xf32>) -> tensor<4xf32> {{\n    {line}\n    \
         return %0 : tensor<4xf32>\n  }}\n}}\n"
    );
    let path = folder.join("m.mlir");
    std::fs::write(&path, text).expect("writes");
    path.display().to_string()
}
