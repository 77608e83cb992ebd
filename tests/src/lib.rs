//! What workspace-level tests share: seeded inputs, running passes on text, and comparing numbers.
//!
//! *Where to start.* [`filetest`] for what a filetest may say, [`reference`](mod@reference) for the pages of the book that are made from the code.

pub mod conformance;
pub mod filetest;
pub mod numbers;
pub mod on_device;
pub mod reference;

use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::hlo::Module;
use ferrite_ir::hlo::verify::verify;
use ferrite_ir::machine::MachineModel;
use ferrite_passes::options::CompileOptions;
use ferrite_passes::pass::{PassContext, Run};
use ferrite_passes::registry;

/// The target that tests compile for unless they say otherwise.
pub const TARGET: &str = "trn2";

/// Runs hlo passes by name, verifying the module before and after each.
///
/// # Errors
/// What a pass or the verifier says, or that a name is not that of an hlo pass.
pub fn run_passes(module: &mut Module, names: &[&str], options: &CompileOptions) -> Result<()> {
    let machine = MachineModel::target(TARGET)?;
    let mut cx = PassContext::new(&machine, options);
    verified(module, "the input")?;
    for name in names {
        let pass = registry::find(name).ok_or_else(|| Diagnostic::bug(format!("there is no pass `{name}`")))?;
        let Run::Hlo(run) = &pass.run else {
            return Err(Diagnostic::bug(format!("`{name}` is no pass over hlo")));
        };
        run(module, &mut cx)?;
        verified(module, name)?;
    }
    Ok(())
}

fn verified(module: &Module, after: &str) -> Result<()> {
    verify(module).map_err(|errors| {
        let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Diagnostic::bug(format!("not valid after {after}: {}", all.join("\n")))
    })
}
