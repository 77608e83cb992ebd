//! Every case of the corpus through the hlo passes of `-O2`, then through the reference interpreter: passes change no
//! result. The same folders and environment variables as `corpus_interp`.

use ferrite_driver::case::Case;
use ferrite_driver::pipeline::Pipeline;
use ferrite_passes::options::CompileOptions;
use ferrite_tests::run_passes;

use crate::corpus_interp::{check, full_corpus, module, repository, run_all};

/// Cases that cannot pass, and why.
const EXCEPTIONS: [(&str, &str); 0] = [];

fn run(case: &Case) -> Result<(), String> {
    let mut module = module(case)?;
    let pipeline = Pipeline::find("-O2").ok_or("there is no -O2")?;
    run_passes(&mut module, pipeline.passes, &CompileOptions::default()).map_err(|d| d.to_string())?;
    check(case, &module)
}

#[test]
fn passes_keep_the_results_of_cases_in_the_repository() {
    run_all(&repository().join("tests/corpus"), &EXCEPTIONS, run);
}

#[test]
fn passes_keep_the_results_of_the_full_corpus() {
    match full_corpus() {
        Some(root) => run_all(&root, &EXCEPTIONS, run),
        None => println!("no corpus: set FERRITE_CORPUS to run all of it"),
    }
}
