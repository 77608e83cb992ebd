//! Programs on the simulated device, for `examples/conformance.rs`.
//!
//! A program of which all is known gives constant folding everything to do and the device nothing; [`lift`] makes its
//! constants parameters, and their values its inputs.

use ferrite_driver::compare::compare;
use ferrite_driver::options::CompileOptions;
use ferrite_driver::run::{self, RunOptions};
use ferrite_driver::{compile, conformance, validate};
use ferrite_interp::{Tensor, interpret};
use ferrite_ir::diag::Diagnostic;
use ferrite_ir::hlo::{Module, OpKind, Type};

/// Makes the constants of the entry function's body its parameters, except those that hold a few integers, or integers in
/// one dimension, which are sizes and places more often than numbers to compute with. Returns their values.
pub fn lift(module: &mut Module) -> Vec<Tensor> {
    let mut inputs = Vec::new();
    let Some(entry) = module.entry() else {
        return inputs;
    };
    let func = module.func_mut(entry);
    let body = func.body();
    for op in func.region(body).ops.clone() {
        let OpKind::Constant(literal) = &func.op(op).kind else {
            continue;
        };
        let ty = literal.ty().clone();
        let sizes = ty.dtype.is_int() && (ty.rank() < 2 || ty.element_count() <= 4);
        if ty.extra.is_some() || sizes {
            continue;
        }
        inputs.push(Tensor::from_literal(literal));
        let value = func.result(op);
        let arg = func.add_arg(body, Type::Tensor(ty));
        func.replace_uses(value, arg);
        func.region_mut(body).ops.retain(|&o| o != op);
    }
    inputs
}

/// Compiles a program, simulates it, and compares its results with the interpreter's and with its own checks.
///
/// # Errors
/// Why it is refused or what is wrong with the results.
pub fn check(module: &Module, inputs: &[Tensor], target: &str) -> Result<(), String> {
    let options = CompileOptions {
        target: target.to_string(),
        ..CompileOptions::default()
    };
    if !inputs.is_empty() || module.entry().is_none() || !conformance::checks_itself(module) {
        return compared(module, inputs, &options).map_err(|why| format!("device: {why}"));
    }
    let all = |errors: Vec<Diagnostic>| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let mut bare = validate::run_passes(module.clone(), "inline", &options).map_err(all)?;
    conformance::take_checks(&mut bare).map_err(|e| e.to_string())?;
    let mut lifted = bare.clone();
    let inputs = lift(&mut lifted);
    compared(&lifted, &inputs, &options).map_err(|why| format!("device, constants given: {why}"))?;
    compared(&bare, &[], &options).map_err(|why| format!("device: {why}"))
}

fn compared(module: &Module, inputs: &[Tensor], options: &CompileOptions) -> Result<(), String> {
    let first = |errors: Vec<Diagnostic>| errors.first().map_or_else(String::new, ToString::to_string);
    let wanted = interpret(module, inputs).map_err(|e| format!("not interpreted: {e}"))?;
    let compiled = compile::compile(module.clone(), options).map_err(|e| format!("refused: {}", first(e)))?;
    let done =
        run::run(&compiled.neff, inputs, &RunOptions::default()).map_err(|e| format!("not run: {}", first(e)))?;
    if done.outputs.len() != wanted.len() {
        return Err(format!("{} outputs, not {}", done.outputs.len(), wanted.len()));
    }
    for (i, (got, want)) in done.outputs.iter().zip(&wanted).enumerate() {
        let found = compare(got, want, validate::default_tolerance(want, None));
        if !found.ok {
            let why = found.refused.unwrap_or_else(|| {
                let (at, got, want) = found.worst.unwrap_or_default();
                format!(
                    "{} of {} off, at {at}: {got:?} not {want:?}",
                    found.mismatches, found.count
                )
            });
            return Err(format!("out{i}: {why}"));
        }
    }
    Ok(())
}
