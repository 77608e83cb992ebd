//! `ferrite export`: a JAX or PyTorch model in a Python script, to a validated NEFF.
//!
//! The framework does the tracing, so that the work is Python's: this starts `neuronxcc.export` with this executable.

use std::path::Path;
use std::process::Command;

use ferrite_driver::files;
use ferrite_ir::diag::{Code, Diagnostic, Result};

use super::args::ExportArgs;

/// The variable with the Python interpreter.
const PYTHON: &str = "FERRITE_PYTHON";

/// Runs the helper on the terminal of this process; returns its exit code.
pub fn run(args: &ExportArgs) -> Result<u8> {
    let python = std::env::var(PYTHON).unwrap_or_else(|_| "python3".to_string());
    let own = std::env::current_exe().map_err(|e| files::failure(Path::new("ferrite"), &e))?;
    let found = Command::new(&python)
        .args(["-c", "import neuronxcc.export"])
        .output()
        .map_err(|e| {
            Diagnostic::error(Code::Io, format!("`{python}`: {e}")).help(format!(
                "name the Python interpreter that has the framework in {PYTHON}"
            ))
        })?;
    if !found.status.success() {
        let text = format!("`{python}` has no package `neuronxcc`");
        return Err(Diagnostic::error(Code::Usage, text).help(format!(
            "`pip install ./compiler/python` from Ferrite's repository, or name another interpreter in {PYTHON}"
        )));
    }
    let status = Command::new(&python)
        .args(["-m", "neuronxcc.export"])
        .args(&args.arguments)
        .env("FERRITE_NEURONX_CC", own.with_file_name("neuronx-cc"))
        .status()
        .map_err(|e| files::failure(Path::new(&python), &e))?;
    Ok(status.code().and_then(|c| u8::try_from(c).ok()).unwrap_or(1))
}
