//! Every case of the corpus that has expected results, in every form, through the reference interpreter.
//!
//! Runs what is in `tests/corpus/` of this repository, and the full corpus if there is one: the folder that
//! `FERRITE_CORPUS` names, else `../shared/corpus` beside the repository. `FERRITE_CASE=text` keeps the cases whose
//! path contains the text.

use std::path::{Path, PathBuf};
use std::time::Instant;

use ferrite_driver::case::{Arithmetic, Case};
use ferrite_driver::interpret::interpret;
use ferrite_frontend::Frontend;
use ferrite_interp::Tensor;

/// Sets of the corpus that the interpreter runs; the others have no goldens.
const SETS: [&str; 6] = ["ops", "special", "collectives", "models", "torch_xla", "mid"];

/// Forms of a program that say the same.
const FORMS: [&str; 7] = [
    "model.stablehlo.mlir",
    "model.generic.mlir",
    "model.debug.mlir",
    "model.mlirbc",
    "model.hlo.txt",
    "model.long.hlo.txt",
    "model.hlo.pb",
];

/// Files that cannot pass: start of the case, part of the form, and why.
const EXCEPTIONS: [(&str, &str, &str); 1] = [(
    "ops/ew_special_values",
    "model",
    "the expected results flush denormals to zero, as XLA:CPU does; the interpreter keeps them, as IEEE 754 does",
)];

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(PathBuf::new, Path::to_path_buf)
}

/// The full corpus, if it is there.
pub(crate) fn full_corpus() -> Option<PathBuf> {
    let named = std::env::var_os("FERRITE_CORPUS").map(PathBuf::from);
    named
        .or_else(|| Some(repository().parent()?.join("shared/corpus")))
        .filter(|p| p.is_dir())
}

/// Runs one form of a case; the error says what is wrong.
fn run(case: &Case, form: &Path, inputs: &[Tensor]) -> Result<(), String> {
    let bytes = std::fs::read(form).map_err(|e| e.to_string())?;
    let name = form.file_name().unwrap_or_default().to_string_lossy();
    let module =
        Frontend::read(&bytes, &name).map_err(|errors| errors.first().map(|e| e.to_string()).unwrap_or_default())?;
    let results = interpret(&module, inputs).map_err(|e| e.to_string())?;
    let comparisons = case.check(&results, Arithmetic::AsWritten).map_err(|e| e.to_string())?;
    let wrong: Vec<String> = comparisons
        .iter()
        .enumerate()
        .filter(|(_, c)| !c.ok)
        .map(|(i, c)| match &c.refused {
            Some(why) => format!("out{i}: {why}"),
            None => format!(
                "out{i}: {} of {} elements off, max abs {:.3e}, max rel {:.3e}, worst {:?}",
                c.mismatches, c.count, c.max_abs_err, c.max_rel_err, c.worst
            ),
        })
        .collect();
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("; "))
    }
}

fn run_all(root: &Path) {
    let only = std::env::var("FERRITE_CASE").unwrap_or_default();
    let mut cases = Vec::new();
    for set in SETS.iter().map(|s| root.join(s)).filter(|p| p.is_dir()) {
        cases.extend(Case::find(&set).unwrap_or_else(|e| panic!("{e}")));
    }
    cases.retain(|c| c.description.has_golden && c.folder.to_string_lossy().contains(&only));
    let (mut failures, mut ran, mut skipped) = (Vec::new(), 0, 0);
    for case in &cases {
        let name = case
            .folder
            .strip_prefix(root)
            .unwrap_or(&case.folder)
            .display()
            .to_string();
        let start = Instant::now();
        let inputs = case.inputs().unwrap_or_else(|e| panic!("{name}: {e}"));
        println!("{name}: inputs {:.2?}", start.elapsed());
        // The layer-sized ones in one form, unless all are asked for: they take long, and the others say the same.
        let all = !name.starts_with("mid") || std::env::var_os("FERRITE_ALL_FORMS").is_some();
        for form in if all { &FORMS[..] } else { &FORMS[..1] } {
            let Some(path) = case.file(form) else { continue };
            ran += 1;
            let start = Instant::now();
            let outcome = run(case, &path, &inputs);
            let excepted = EXCEPTIONS
                .iter()
                .find(|(case, kind, _)| name.starts_with(case) && form.contains(kind));
            match (outcome, excepted) {
                (Ok(()), None) => println!("  ok   {form} ({:.2?})", start.elapsed()),
                (Err(why), Some((_, _, reason))) => {
                    skipped += 1;
                    println!("  skip {form}: {reason} ({why})");
                }
                (Err(why), None) => {
                    println!("  FAIL {name}/{form}: {why}");
                    failures.push(format!("{name}/{form}"));
                }
                // An exception for a whole set need not hold for each of its cases.
                (Ok(()), Some((case, _, _))) if *case != name => println!("  ok   {form} ({:.2?})", start.elapsed()),
                (Ok(()), Some(_)) => failures.push(format!("{name}/{form} passes and need no longer be an exception")),
            }
        }
    }
    println!(
        "{} of {ran} files of {} cases of {} pass, {skipped} are excepted",
        ran - failures.len() - skipped,
        cases.len(),
        root.display()
    );
    assert!(failures.is_empty(), "{} files fail: {failures:#?}", failures.len());
}

#[test]
fn cases_in_the_repository() {
    run_all(&repository().join("tests/corpus"));
}

#[test]
fn cases_of_the_full_corpus() {
    match full_corpus() {
        Some(root) => run_all(&root),
        None => println!("no corpus: set FERRITE_CORPUS to run all of it"),
    }
}
