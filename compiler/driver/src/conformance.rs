//! Programs that check themselves: `check.*` calls, as public conformance programs have them.
//!
//! The device has no checks. The values that a program checks become outputs, what they are checked against is computed
//! by the interpreter, and the rule of the check is applied to both on the host. A value of 64-bit floats is checked in
//! 32 bits, in which the device computes it.

use ferrite_interp::{Tensor, interpret};
use ferrite_ir::diag::Result;
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{Builder, CustomCall, Func, Module, OpId, OpKind, TensorType, Type, ValueId};
use ferrite_ir::literal::Literal;

use crate::compare::Comparison;

/// One `check.*` call of a program.
#[derive(Clone, Debug)]
pub struct Check {
    call: Box<CustomCall>,
    /// What the value must be.
    want: Tensor,
}

/// Prefix of the targets.
const PREFIX: &str = "check.";

/// Whether a program checks itself.
pub fn checks_itself(module: &Module) -> bool {
    module.funcs.iter().any(|func| {
        let mut found = false;
        func.walk(func.body(), &mut |func, op| found |= check_call(func, op).is_some());
        found
    })
}

fn check_call(func: &Func, op: OpId) -> Option<Box<CustomCall>> {
    match &func.op(op).kind {
        OpKind::CustomCall(call) if call.target.starts_with(PREFIX) && func.op(op).operands.len() == 2 => {
            Some(call.clone())
        }
        _ => None,
    }
}

/// Takes the checks out of the entry function, without parameters, of an inlined program. The values they look at become its first outputs, in
/// order; answers of checks are no outputs any more.
///
/// # Errors
/// If what a value is checked against cannot be evaluated without inputs.
pub fn take_checks(module: &mut Module) -> Result<Vec<Check>> {
    let Some(entry) = module.entry() else {
        return Ok(Vec::new());
    };
    let func = module.func_mut(entry);
    let body = func.body();
    let found: Vec<(OpId, Box<CustomCall>)> = func
        .region(body)
        .ops
        .iter()
        .filter_map(|&op| Some((op, check_call(func, op)?)))
        .collect();
    let operands =
        |func: &Func, i: usize| -> Vec<ValueId> { found.iter().map(|(op, _)| func.op(*op).operands[i]).collect() };
    let (got, want) = (operands(func, 0), operands(func, 1));
    let answers: Vec<ValueId> = found
        .iter()
        .flat_map(|(op, _)| func.op(*op).results.iter().copied())
        .collect();
    let kept: Vec<ValueId> = func
        .region(body)
        .results
        .iter()
        .copied()
        .filter(|v| !answers.contains(v))
        .collect();
    // Whatever else reads an answer reads that the check holds.
    let mut ops = std::mem::take(&mut func.region_mut(body).ops);
    for answer in answers {
        let Type::Tensor(ty) = func.ty(answer).clone() else {
            continue;
        };
        let loc = func.loc;
        let truth = Builder::new(func, body, loc).constant(Literal::splat_i64(ty, 1));
        func.replace_uses(answer, truth);
    }
    let truths = std::mem::take(&mut func.region_mut(body).ops);
    ops.retain(|op| !found.iter().any(|(check, _)| check == op));
    func.region_mut(body).ops = truths.into_iter().chain(ops).collect();

    let mut expected = module.clone();
    set_results(expected.func_mut(entry), &want);
    let want = interpret(&expected, &[])?;
    set_results(module.func_mut(entry), &got.into_iter().chain(kept).collect::<Vec<_>>());
    let checks = found.into_iter().zip(want);
    Ok(checks.map(|((_, call), want)| Check { call, want }).collect())
}

/// Makes values the results of a function.
fn set_results(func: &mut Func, values: &[ValueId]) {
    let body = func.body();
    func.region_mut(body).results = values.to_vec();
    func.results = vec![Default::default(); values.len()];
}

impl Check {
    /// Applies the rule to a value that the device computed.
    pub fn compare(&self, got: &Tensor) -> Comparison {
        let (got, want) = (narrow(got), narrow(&self.want));
        let mut func = Func::new("main");
        let body = func.body();
        let args: Vec<ValueId> = [&got, &want]
            .iter()
            .map(|t| func.add_arg(body, t.ty().clone().into()))
            .collect();
        let loc = func.loc;
        func.append(body, OpKind::CustomCall(self.call.clone()), &args, Vec::new(), &[], loc);
        let module = Module {
            funcs: vec![func],
            ..Module::default()
        };
        match interpret(&module, &[got.clone(), want]) {
            Ok(_) => Comparison {
                ok: true,
                count: got.count(),
                mismatches: 0,
                max_abs_err: 0.0,
                max_rel_err: 0.0,
                worst: None,
                refused: None,
            },
            Err(error) => Comparison::refused(error.message),
        }
    }
}

/// Floats of 64 bits in 32.
fn narrow(x: &Tensor) -> Tensor {
    let dtype = match x.dtype() {
        DType::F64 => DType::F32,
        _ => return x.clone(),
    };
    let ty = TensorType::new(dtype, x.shape());
    Tensor::from_f64_vec(ty, x.to_f64_vec()).unwrap_or_else(|| x.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrite_frontend::Frontend;

    fn module(text: &str) -> Module {
        Frontend::read(text.as_bytes(), "test").unwrap_or_else(|e| panic!("{}", e[0]))
    }

    #[test]
    fn checked_values_become_outputs() {
        let mut m = module(
            "func.func @main() -> tensor<i1> {
              %0 = stablehlo.constant dense<[1.0, 2.0]> : tensor<2xf32>
              %1 = stablehlo.add %0, %0 : tensor<2xf32>
              %2 = stablehlo.constant dense<[2.0, 4.0]> : tensor<2xf32>
              %3 = stablehlo.custom_call @check.eq(%1, %2) : (tensor<2xf32>, tensor<2xf32>) -> tensor<i1>
              return %3 : tensor<i1>
            }",
        );
        assert!(checks_itself(&m));
        let checks = take_checks(&mut m).unwrap();
        assert_eq!(m.output_types().len(), 1);
        assert_eq!(m.output_types()[0].to_string(), "tensor<2xf32>");
        let right = Tensor::from_f32(&[2], &[2.0, 4.0]).unwrap();
        let wrong = Tensor::from_f32(&[2], &[2.0, 5.0]).unwrap();
        assert!(checks[0].compare(&right).ok);
        assert!(!checks[0].compare(&wrong).ok);
    }
}
