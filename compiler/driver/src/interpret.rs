//! Models in the reference interpreter, with arrays from files.

use std::path::Path;

use ferrite_interp::{Interpreter, Tensor};
use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::hlo::{Attr, DYNAMIC, Module, TensorType, Type};

use crate::arrays;

/// Types of the arrays that the entry function takes: tuples are flattened, tokens left out. Sizes may be dynamic. A
/// module without an entry function takes none.
pub fn input_types(module: &Module) -> Vec<TensorType> {
    fn flatten(ty: &Type, out: &mut Vec<TensorType>) {
        match ty {
            Type::Tensor(t) => out.push(t.clone()),
            Type::Token => {}
            Type::Tuple(types) | Type::Future(types) => types.iter().for_each(|t| flatten(t, out)),
        }
    }
    let mut out = Vec::new();
    if let Some(func) = module.entry().map(|id| module.func(id)) {
        for &arg in func.args() {
            flatten(func.ty(arg), &mut out);
        }
    }
    out
}

/// Reads the inputs of a model: `arg0, arg1, ...`. A model that takes none needs no file. A program for several
/// replicas may be given larger arrays, which hold the parts of all replicas along their first dimension.
///
/// # Errors
/// If the file is missing or does not fit the parameters.
pub fn read_inputs(module: &Module, path: Option<&Path>) -> Result<Vec<Tensor>> {
    let mut types = input_types(module);
    if types.is_empty() {
        return Ok(Vec::new());
    }
    if replicas(module) > 1 {
        for size in types.iter_mut().filter_map(|t| t.shape.first_mut()) {
            *size = DYNAMIC;
        }
    }
    let path = path.ok_or_else(|| {
        Diagnostic::error(Code::Usage, format!("the model takes {} arrays", types.len()))
            .help("give them with `--inputs FILE.npz`, named `arg0`, `arg1`, ...")
    })?;
    arrays::read_inputs(path, &types)
}

fn replicas(module: &Module) -> usize {
    let count = module.attrs.get("mhlo.num_replicas").and_then(Attr::as_int);
    count.and_then(|n| usize::try_from(n).ok()).unwrap_or(1).max(1)
}

/// Runs the entry function. A program for several replicas gets its part of every array that is larger than its
/// parameter, along the first dimension; the parts of its results are joined in the same way.
///
/// # Errors
/// As [`Interpreter::run`].
pub fn interpret(module: &Module, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    let replicas = replicas(module);
    if replicas == 1 {
        return Interpreter::new(module).run(inputs);
    }
    let params = input_types(module);
    let part = |t: &Tensor, ty: &TensorType, r: usize| {
        let size = ty.byte_size();
        let bytes = if t.ty() == ty {
            Some(t.bytes())
        } else {
            t.bytes().get(r * size..(r + 1) * size)
        };
        bytes.and_then(|bytes| Tensor::new(ty.clone(), bytes)).ok_or_else(|| {
            let message = format!("{} does not hold the parts of {replicas} replicas, {ty} each", t.ty());
            Diagnostic::error(Code::Usage, message)
        })
    };
    let lists: Vec<Vec<Tensor>> = (0..replicas)
        .map(|r| inputs.iter().zip(&params).map(|(t, ty)| part(t, ty, r)).collect())
        .collect::<Result<_>>()?;
    let results = Interpreter::new(module).run_devices(replicas, 1, &lists)?;
    let join = |i: usize| {
        let parts: Vec<&[u8]> = results.iter().map(|r| r[i].bytes()).collect();
        let mut ty = results[0][i].ty().clone();
        match ty.shape.first_mut() {
            Some(size) => *size *= replicas as i64,
            None => ty.shape.push(replicas as i64),
        }
        Tensor::new(ty, &parts.concat()).ok_or_else(|| Diagnostic::bug("replicas gave results of different sizes"))
    };
    (0..results[0].len()).map(join).collect()
}
