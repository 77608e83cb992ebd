//! What unit tests of hlo passes share.

use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::verify::verify;
use ferrite_ir::hlo::{Builder, Func, Module, TensorType, ValueId, Violation};
use ferrite_ir::machine::MachineModel;

use crate::options::CompileOptions;
use crate::pass::{Changed, HloPass, PassContext};

/// A module whose only function takes tensors of the given types.
pub fn module(
    args: &[(DType, &[i64])],
    fill: impl FnOnce(&mut Builder<'_>, &[ValueId]) -> Result<Vec<ValueId>, Violation>,
) -> Module {
    let mut func = Func::new("main");
    let args: Vec<ValueId> = args
        .iter()
        .map(|(d, s)| func.add_arg(func.body(), TensorType::new(*d, s).into()))
        .collect();
    let mut b = Builder::body(&mut func);
    let results = fill(&mut b, &args).expect("tests build valid programs");
    b.finish(&results);
    Module {
        funcs: vec![func],
        ..Module::default()
    }
}

/// Runs a pass between two verifications.
pub fn run(pass: impl HloPass, module: &mut Module) -> Result<Changed> {
    run_with(pass, module, &CompileOptions::default())
}

/// Runs a pass with options between two verifications.
pub fn run_with(pass: impl HloPass, module: &mut Module, options: &CompileOptions) -> Result<Changed> {
    let machine = MachineModel::target("trn2")?;
    verified(module)?;
    let changed = pass.run(module, &mut PassContext::new(&machine, options))?;
    verified(module)?;
    Ok(changed)
}

fn verified(module: &Module) -> Result<()> {
    verify(module).map_err(|mut errors| errors.pop().unwrap_or_else(|| Diagnostic::bug("no error")))
}

/// Mnemonics of the entry function's body, in order.
pub fn ops(module: &Module) -> Vec<&'static str> {
    let func = &module.funcs[0];
    let names = func
        .region(func.body())
        .ops
        .iter()
        .map(|&op| func.op(op).kind.mnemonic());
    names.map(|n| n.split_once('.').map_or(n, |(_, name)| name)).collect()
}
