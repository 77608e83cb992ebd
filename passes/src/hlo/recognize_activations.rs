//! Finds activation functions that ScalarE has whole in the primitive operations that frameworks emit.
//!
//! Before                                                  After
//!   x * 0.5 * erfc(-x * sqrt(0.5))                          custom_call @AwsNeuronGelu(x)
//!   x * 0.5 * (1 + erf(x * sqrt(0.5)))                      custom_call @AwsNeuronGelu(x)
//!   x * logistic(x)                                         custom_call @AwsNeuronSilu(x)
//!
//! Factors may stand in any order. Needs: verified `hlo`, before `expand-ops`. Leaves: verified `hlo`; what became dead to
//! `remove-dead-ops`. Never: matches a constant that is more than a rounding away from the function's.

use ferrite_ir::diag::Result;
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{Attr, BinaryOp, Builder, CustomCall, Module, OpId, OpKind, UnaryOp, ValueId};

use super::rewrite::{Rewrite, rewrite_module};
use crate::pass::{Changed, HloPass, PassContext};

/// See the module's own text.
pub struct RecognizeActivations;

impl HloPass for RecognizeActivations {
    const NAME: &'static str = "recognize-activations";
    const DOC: &'static str = "Finds GELU and SiLU in primitive operations, which ScalarE computes in one instruction.";

    fn run(&self, module: &mut Module, _: &mut PassContext<'_>) -> Result<Changed> {
        rewrite_module(module, |b, op| {
            if !matches!(b.func.op(op).kind, OpKind::Binary(BinaryOp::Multiply)) {
                return Ok(Rewrite::Keep);
            }
            let Some((target, x)) = activation(b, op) else {
                return Ok(Rewrite::Keep);
            };
            let kind = OpKind::CustomCall(Box::new(CustomCall {
                target: target.to_string(),
                has_side_effect: false,
                backend_config: Attr::String(String::new()),
                api_version: 1,
                called_computations: Vec::new(),
                operand_layouts: None,
                result_layouts: None,
                output_operand_aliases: Vec::new(),
            }));
            let ty = b.tensor(b.func.result(op))?.clone();
            Ok(b.op1_as(kind, &[x], ty)?.into())
        })
    }
}

/// Whether two constants agree but for rounding to the narrowest dtype that models use for them (bf16).
fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= b.abs() / 256.0
}

/// A product taken apart: its constant, and the factors that are none.
#[derive(Default)]
struct Product {
    constant: f64,
    factors: Vec<ValueId>,
}

/// The number that every element of a value is.
fn splat(b: &Builder<'_>, mut v: ValueId) -> Option<f64> {
    loop {
        let op = b.func.op(b.func.def(v)?);
        match &op.kind {
            OpKind::Constant(literal) => return literal.splat_value(),
            OpKind::BroadcastInDim(_) | OpKind::Reshape => v = op.operands[0],
            _ => return None,
        }
    }
}

/// Takes multiplications and negations apart, three levels deep at most.
fn product(b: &Builder<'_>, v: ValueId, depth: usize, into: &mut Product) {
    if let Some(c) = splat(b, v) {
        into.constant *= c;
        return;
    }
    if let Some(op) = b.func.def(v).filter(|_| depth > 0).map(|d| b.func.op(d)) {
        match &op.kind {
            OpKind::Binary(BinaryOp::Multiply) => {
                product(b, op.operands[0], depth - 1, into);
                product(b, op.operands[1], depth - 1, into);
                return;
            }
            OpKind::Unary(UnaryOp::Negate) => {
                into.constant = -into.constant;
                product(b, op.operands[0], depth - 1, into);
                return;
            }
            OpKind::Binary(BinaryOp::Divide) => {
                if let Some(c) = splat(b, op.operands[1]).filter(|&c| c != 0.0) {
                    into.constant /= c;
                    product(b, op.operands[0], depth - 1, into);
                    return;
                }
            }
            _ => {}
        }
    }
    into.factors.push(v);
}

fn taken_apart(b: &Builder<'_>, v: ValueId) -> Product {
    let mut p = Product {
        constant: 1.0,
        factors: Vec::new(),
    };
    product(b, v, 3, &mut p);
    p
}

/// The operand of a unary operation.
fn under(b: &Builder<'_>, v: ValueId, op: UnaryOp) -> Option<ValueId> {
    let def = b.func.op(b.func.def(v)?);
    (def.kind == OpKind::Unary(op)).then(|| def.operands[0])
}

/// Whether `v` is `factor * x`.
fn is_scaled(b: &Builder<'_>, v: ValueId, x: ValueId, factor: f64) -> bool {
    let p = taken_apart(b, v);
    p.factors == [x] && close(p.constant, factor)
}

/// The activation that a product is, with its operand.
fn activation(b: &Builder<'_>, op: OpId) -> Option<(&'static str, ValueId)> {
    let result = b.func.result(op);
    if !matches!(b.tensor(result).ok()?.dtype, DType::F32 | DType::BF16 | DType::F16) {
        return None;
    }
    let p = taken_apart(b, result);
    let [first, second] = p.factors[..] else { return None };
    let root_half = std::f64::consts::FRAC_1_SQRT_2;
    for (x, other) in [(first, second), (second, first)] {
        if p.constant == 1.0 && under(b, other, UnaryOp::Logistic) == Some(x) {
            return Some(("AwsNeuronSilu", x));
        }
        if p.constant != 0.5 {
            continue;
        }
        if let Some(e) = under(b, other, UnaryOp::Erfc)
            && is_scaled(b, e, x, -root_half)
        {
            return Some(("AwsNeuronGelu", x));
        }
        let sum = b.func.op(b.func.def(other)?);
        if sum.kind != OpKind::Binary(BinaryOp::Add) {
            continue;
        }
        for (erf, one) in [(sum.operands[0], sum.operands[1]), (sum.operands[1], sum.operands[0])] {
            if splat(b, one) == Some(1.0)
                && let Some(e) = under(b, erf, UnaryOp::Erf)
                && is_scaled(b, e, x, root_half)
            {
                return Some(("AwsNeuronGelu", x));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::testing::{module, ops, run};
    use super::*;
    use ferrite_ir::hlo::TensorType;

    fn gelu(scale: f64) -> Module {
        module(&[(DType::F32, &[4, 8])], move |b, args| {
            let ty = TensorType::new(DType::F32, &[4, 8]);
            let x = args[0];
            let half = b.constant_f(ty.clone(), 0.5);
            let c = b.constant_f(ty, scale);
            let halved = b.mul(half, x)?;
            let negated = b.unary(UnaryOp::Negate, x)?;
            let e = b.mul(negated, c)?;
            let e = b.unary(UnaryOp::Erfc, e)?;
            Ok(vec![b.mul(halved, e)?])
        })
    }

    #[test]
    fn gelu_is_found_by_its_constants() -> Result<()> {
        let mut exact = gelu(std::f64::consts::FRAC_1_SQRT_2);
        run(RecognizeActivations, &mut exact)?;
        assert!(ops(&exact).contains(&"custom_call"));
        let mut other = gelu(0.9);
        run(RecognizeActivations, &mut other)?;
        assert!(!ops(&other).contains(&"custom_call"));
        Ok(())
    }
}
