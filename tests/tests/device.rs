//! Programs on the simulated device, whole and quick: compiled in this process, run with the legality checker on.

use ferrite_driver::compile;
use ferrite_driver::options::CompileOptions;
use ferrite_driver::run::{self, RunOptions};
use ferrite_interp::Tensor;
use ferrite_ir::diag::Diagnostic;
use ferrite_ir::hlo::Module;

/// Compiles a module and runs it in the simulator.
///
/// # Errors
/// What stops compiler or simulator.
pub fn on_device(module: &Module, options: &CompileOptions, inputs: &[Tensor]) -> Result<Vec<Tensor>, Vec<Diagnostic>> {
    let compiled = compile::compile(module.clone(), options)?;
    Ok(run::run(&compiled.neff, inputs, &RunOptions::default())?.outputs)
}
