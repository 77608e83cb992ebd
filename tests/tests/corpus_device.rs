//! Every single-device case of the corpus that has expected results: compiled, simulated with the legality checker on,
//! compared with the interpreter and with the expected results.
//!
//! Which cases run is decided as for the interpreter: see `corpus_interp`. What cannot pass is listed with the
//! diagnostic that it must give; a listed case that passes fails the test, so that the list stays true.

use std::path::Path;
use std::time::Instant;

use ferrite_driver::case::Case;
use ferrite_driver::options::{AutoCast, CompileOptions};
use ferrite_driver::validate::{self, ValidateOptions};

use super::corpus_interp::{full_corpus, repository};

/// Sets that run in the simulator. `mid` takes too long here: `ferrite validate --case` runs it.
const SETS: [&str; 4] = ["ops", "special", "models", "torch_xla"];

/// Cases that do not pass on inf2, and the text that the first diagnostic must contain.
const REFUSED: [(&str, &str); 4] = [
    // Values that need 64 bits.
    ("ops/dt_convert_64bit", "differs"),
    // f8E4M3FN is not a dtype of inf2 (NCC_EVRF051).
    ("ops/dt_convert_floats", "f8E4M3FN"),
    ("ops/dt_f8_dot", "f8E4M3FN"),
    // The expected numbers were computed with denormal ones flushed to zero; the interpreter agrees with the device.
    ("ops/ew_special_values", "differs"),
];

/// `None` if the case passes, else what is wrong.
fn run(folder: &Path, auto_cast: AutoCast) -> Option<String> {
    let options = ValidateOptions {
        compile: CompileOptions {
            auto_cast,
            ..CompileOptions::default()
        },
        rtol: None,
        atol: None,
        timeline: false,
        seed: None,
    };
    match validate::case(folder, &options) {
        Ok(done) if done.report.ok => None,
        Ok(done) => {
            let wrong: Vec<usize> = done.report.outputs.iter().filter(|o| !o.ok).map(|o| o.index).collect();
            Some(format!("differs in outputs {wrong:?}"))
        }
        Err(diagnostics) => Some(diagnostics.first().map_or_else(String::new, ToString::to_string)),
    }
}

fn run_sets(auto_cast: AutoCast, sets: &[&str]) {
    let mut roots = vec![repository().join("tests/corpus")];
    roots.extend(full_corpus());
    let only = std::env::var("FERRITE_CASE").ok();
    let (mut passed, mut listed) = (0, 0);
    let mut failures = Vec::new();
    let begin = Instant::now();
    for root in &roots {
        let before = passed;
        let mut cases = Vec::new();
        for set in sets.iter().map(|s| root.join(s)).filter(|p| p.is_dir()) {
            cases.extend(Case::find(&set).expect("the corpus can be read"));
        }
        for case in cases {
            let name = case
                .folder
                .strip_prefix(root)
                .unwrap_or(&case.folder)
                .display()
                .to_string();
            let wanted = only.as_ref().is_none_or(|text| name.contains(text.as_str()));
            if !wanted || !case.description.has_golden || case.description.num_devices > 1 {
                continue;
            }
            let refusal = REFUSED.iter().find(|(refused, _)| *refused == name);
            match (run(&case.folder, auto_cast), refusal) {
                (None, None) => passed += 1,
                (Some(problem), Some((_, text))) if problem.contains(text) => listed += 1,
                (None, Some(_)) => failures.push(format!("{name}: passes, but is listed as refused")),
                (Some(problem), _) => failures.push(format!("{name}: {problem}")),
            }
        }
        println!("{}: {} cases passed", root.display(), passed - before);
    }
    println!(
        "device corpus: {passed} passed, {listed} refused as listed, {} wrong, in {:.0?}",
        failures.len(),
        begin.elapsed()
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(passed > 0 || only.is_some(), "no case ran");
}

#[test]
fn device_agrees_with_the_corpus_as_written() {
    run_sets(AutoCast::None, &SETS);
}

#[test]
fn device_agrees_with_the_corpus_under_auto_cast() {
    run_sets(AutoCast::Matmult, &["models"]);
}
