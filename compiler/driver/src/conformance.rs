//! Programs that check themselves: `check.*` calls, as public conformance programs have them.
//!
//! The device has no checks. The values that a program checks become outputs, what they are checked against is computed
//! by the interpreter, and the rule of the check is applied to both on the host. A value of 64-bit floats is checked in
//! 32 bits, in which the device computes it.

use ferrite_interp::{Tensor, interpret};
use ferrite_ir::diag::{Code, Diagnostic, Result};
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
    /// Whether the check must hold; a program may expect `check.eq` to answer no.
    holds: bool,
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
/// order; answers of checks are no outputs any more. A check of an answer says what the answer must be, and becomes part
/// of the check that gives it.
///
/// # Errors
/// If what a value is checked against cannot be evaluated without inputs, or if a value is checked against an answer.
pub fn take_checks(module: &mut Module) -> Result<Vec<Check>> {
    let Some(entry) = module.entry() else {
        return Ok(Vec::new());
    };
    let locs = module.locs.clone();
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
    // The check whose answer a check looks at.
    let asked: Vec<Option<usize>> = got
        .iter()
        .map(|v| found.iter().position(|(op, _)| func.op(*op).results.contains(v)))
        .collect();
    if let Some(at) = want.iter().position(|v| answers.contains(v)) {
        let place = locs.get(func.op(found[at].0).loc);
        let advice = "let the answer be the first operand and what it must be the second";
        return Err(
            Diagnostic::error(Code::Usage, "a value is checked against the answer of another check")
                .at(place)
                .help(advice),
        );
    }
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
    let mut checks: Vec<Check> = found
        .into_iter()
        .zip(want)
        .map(|((_, call), want)| Check {
            call,
            want,
            holds: true,
        })
        .collect();
    // An answer comes before what looks at it: from the last check to the first, what each must answer is known.
    for at in (0..checks.len()).rev() {
        if let Some(inner) = asked[at] {
            checks[inner].holds = (checks[at].want.get_i64(0) != 0) == checks[at].holds;
        }
    }
    let mut looks_at_value = asked.iter().map(Option::is_none);
    checks.retain(|_| looks_at_value.next() == Some(true));
    let outputs = got.into_iter().zip(&asked).filter(|(_, inner)| inner.is_none());
    let outputs: Vec<ValueId> = outputs.map(|(value, _)| value).chain(kept).collect();
    set_results(module.func_mut(entry), &outputs);
    Ok(checks)
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
            Ok(_) if !self.holds => Comparison::refused("`check.eq` answers yes, the program expects no"),
            Err(error) if self.holds => Comparison::refused(error.message),
            _ => Comparison {
                ok: true,
                count: got.count(),
                mismatches: 0,
                max_abs_err: 0.0,
                max_rel_err: 0.0,
                worst: None,
                refused: None,
            },
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
    #[test]
    fn the_answer_of_a_check_may_be_checked() {
        for (expected, value, other) in [("true", 4.0, 5.0), ("false", 5.0, 4.0)] {
            let mut m = module(&format!(
                "func.func @main() {{
                  %0 = stablehlo.constant dense<[1.0, 2.0]> : tensor<2xf32>
                  %1 = stablehlo.add %0, %0 : tensor<2xf32>
                  %2 = stablehlo.constant dense<[2.0, 4.0]> : tensor<2xf32>
                  %3 = stablehlo.custom_call @check.eq(%1, %2) : (tensor<2xf32>, tensor<2xf32>) -> tensor<i1>
                  %4 = stablehlo.constant dense<{expected}> : tensor<i1>
                  stablehlo.custom_call @check.expect_eq(%3, %4) {{has_side_effect = true}} : (tensor<i1>, tensor<i1>) -> ()
                  return
                }}"
            ));
            let checks = take_checks(&mut m).unwrap();
            assert_eq!(checks.len(), 1, "{expected}");
            assert_eq!(m.output_types()[0].to_string(), "tensor<2xf32>");
            let compare = |x: f32| checks[0].compare(&Tensor::from_f32(&[2], &[2.0, x]).unwrap()).ok;
            assert!(compare(value), "{expected}");
            assert!(!compare(other), "{expected}");
        }
    }
}
