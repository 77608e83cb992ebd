//! Runs folders of small programs through the front end, the printer and the reference interpreter.
//!
//! `conformance DIR...` takes every `NAME.mlir`. Where `NAME.inputs.npz` and `NAME.expected.npz` stand beside it the
//! results are compared; a program without parameters is evaluated for its own checks (`check.expect_*`). Each program
//! is also printed in custom and in generic form and read back. A file may hold several programs, parted by lines
//! `// -----`. With `--parse` programs are read and verified only. With `--print FOLDER` what was printed is kept there,
//! for other parsers to read. With `--device TARGET` each is also compiled, simulated and compared with the interpreter;
//! of a program without parameters the constants become parameters first, so that there is something to compute. One line
//! for each failure, then a summary; the exit code is 1 if anything failed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ferrite_driver::arrays;
use ferrite_driver::compare::{Tolerance, compare};
use ferrite_frontend::Frontend;
use ferrite_interp::{Interpreter, Tensor};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::print::{self, PrintOptions};
use ferrite_ir::hlo::{Module, Type};
use ferrite_tests::conformance::{programs, round_trip};
use ferrite_tests::on_device;

/// What one program came to.
enum Outcome {
    Passed,
    Failed(String),
}

/// How far results may be from another implementation's, by type: a few units in the last place of a short chain of
/// operations, and of sums of a few hundred terms.
fn tolerance(dtype: DType) -> Tolerance {
    let epsilon = match dtype {
        DType::F64 | DType::C128 => 1e-13,
        DType::F32 | DType::C64 => 2e-5,
        DType::F16 => 2e-3,
        _ => 1.6e-2,
    };
    Tolerance::new(epsilon, epsilon)
}

fn entry_types(module: &Module) -> Option<(Vec<ferrite_ir::hlo::TensorType>, Vec<DType>)> {
    let func = module.func(module.entry()?);
    let tensor = |ty: &Type| ty.tensor().cloned();
    let inputs = func.args().iter().filter_map(|&v| tensor(func.ty(v))).collect();
    let outputs = func
        .result_types()
        .iter()
        .filter_map(|t| t.tensor().map(|t| t.dtype))
        .collect();
    Some((inputs, outputs))
}

/// What to do with programs besides reading and evaluating them.
#[derive(Default)]
struct Asked {
    only_parse: bool,
    device: Option<String>,
}

fn run(module: &Module, base: &Path, asked: &Asked) -> Result<(), String> {
    // Without an entry function there are only tests that take nothing.
    let (inputs, outputs) = entry_types(module).unwrap_or_default();
    let say = |e: ferrite_ir::diag::Diagnostic| e.to_string();
    let file = base.with_extension("inputs.npz");
    let inputs: Vec<Tensor> = if inputs.is_empty() {
        Vec::new()
    } else if file.is_file() {
        arrays::read_inputs(&file, &inputs).map_err(say)?
    } else {
        return Ok(());
    };
    let results = Interpreter::new(module).run(&inputs).map_err(say)?;
    if let Some(target) = &asked.device {
        on_device::check(module, &inputs, target)?;
    }
    let file = base.with_extension("expected.npz");
    if !file.is_file() {
        return Ok(());
    }
    let mut expected = arrays::read_npz(&file).map_err(say)?;
    let expected = arrays::take_numbered(&mut expected, "out", &outputs).map_err(say)?;
    for (i, (got, want)) in results.iter().zip(&expected).enumerate() {
        let found = compare(got, want, tolerance(got.dtype()));
        if !found.ok {
            let why = found.refused.unwrap_or_else(|| {
                let (at, got, want) = found.worst.unwrap_or_default();
                format!("{} of {} off, at {at}: {got} not {want}", found.mismatches, found.count)
            });
            return Err(format!("out{i}: {why}"));
        }
    }
    Ok(())
}

/// Keeps the printed forms of a program.
fn keep(module: &Module, folder: &Path, name: &str) -> Result<(), String> {
    for (form, generic, locations) in [("custom", false, true), ("generic", true, false)] {
        let options = PrintOptions { generic, locations };
        let path = folder.join(format!("{name}.{form}.mlir"));
        std::fs::write(&path, print::print_with(module, options)).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

fn program(text: &str, base: &Path, kept: Option<(&Path, &str)>, asked: &Asked) -> Outcome {
    let outcome = Frontend::read(text.as_bytes(), "program")
        .map_err(|errors| {
            let error = errors.first().map(ToString::to_string).unwrap_or_default();
            format!("refused: {error}")
        })
        .and_then(|module| {
            if asked.only_parse {
                return Ok(());
            }
            if let Some((folder, name)) = kept {
                keep(&module, folder, name)?;
            }
            run(&module, base, asked)?;
            round_trip(&module)
        });
    match outcome {
        Ok(()) => Outcome::Passed,
        Err(why) => Outcome::Failed(why),
    }
}

fn main() -> ExitCode {
    let mut files: Vec<PathBuf> = Vec::new();
    let mut folder = None;
    let mut asked = Asked::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--print" {
            folder = arguments.next().map(PathBuf::from);
            continue;
        }
        if argument == "--parse" {
            asked.only_parse = true;
            continue;
        }
        if argument == "--device" {
            asked.device = arguments.next();
            continue;
        }
        let path = PathBuf::from(argument);
        match std::fs::read_dir(&path) {
            Ok(entries) => files.extend(entries.filter_map(|e| Some(e.ok()?.path()))),
            Err(_) => files.push(path),
        }
    }
    files.retain(|p| p.extension().is_some_and(|e| e == "mlir"));
    files.sort();
    let (mut passed, mut failed) = (0, 0);
    for file in &files {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => {
                println!("FAIL {}: {error}", file.display());
                failed += 1;
                continue;
            }
        };
        for (i, part) in programs(&text).enumerate() {
            let base = file.with_extension("");
            let name = format!("{}.{i}", file.file_stem().unwrap_or_default().to_string_lossy());
            let kept = folder.as_deref().map(|folder| (folder, &name[..]));
            let outcome = std::panic::catch_unwind(|| program(part, &base, kept, &asked))
                .unwrap_or_else(|_| Outcome::Failed("panicked".to_string()));
            match outcome {
                Outcome::Passed => passed += 1,
                Outcome::Failed(why) => {
                    failed += 1;
                    println!("FAIL {name}: {}", why.replace('\n', " "));
                }
            }
        }
    }
    println!("{passed} of {} programs pass", passed + failed);
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
