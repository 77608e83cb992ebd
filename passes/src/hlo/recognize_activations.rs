//! Finds activation functions that ScalarE has whole in the primitive operations that frameworks emit.
//!
//! Before                                                  After
//!   x * 0.5 * erfc(-x * sqrt(0.5))                          custom_call @AwsNeuronGelu(x)
//!   x * 0.5 * (1 + erf(x * sqrt(0.5)))                      custom_call @AwsNeuronGelu(x)
//!   x * 0.5 * (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))     custom_call @AwsNeuronGeluApprxTanh(x)
//!   1 / (1 + exp(-x))                                       logistic(x)
//!   x * logistic(x)                                         custom_call @AwsNeuronSilu(x)
//!   dy * 0.5 * erfc(-x * sqrt(0.5))                         dy * custom_call @ferrite.gelu_derivative(x)
//!     + dy * x * exp(-x * x / 2) / sqrt(2 pi)
//!
//! Factors may stand in any order. Needs: verified `hlo`, before `expand-ops`. Leaves: verified `hlo`; what became dead to
//! `remove-dead-ops`. Never: matches a constant that is more than a rounding away from the function's.

use ferrite_ir::diag::Result;
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{Attr, BinaryOp, Builder, CustomCall, Module, OpId, OpKind, UnaryOp, ValueId};

use super::GELU_DERIVATIVE;
use super::rewrite::{Rewrite, rewrite_module};
use crate::pass::{Changed, HloPass, PassContext};

/// See the module's own text.
pub struct RecognizeActivations;

impl HloPass for RecognizeActivations {
    const NAME: &'static str = "recognize-activations";
    const DOC: &'static str =
        "Finds GELU, its gradient, and SiLU in primitive operations, which ScalarE computes in one instruction.";

    fn run(&self, module: &mut Module, _: &mut PassContext<'_>) -> Result<Changed> {
        rewrite_module(module, |b, op| {
            let found = match b.func.op(op).kind {
                OpKind::Binary(BinaryOp::Multiply) => activation(b, op).map(|(target, x)| (target, x, Vec::new())),
                OpKind::Binary(BinaryOp::Divide) => {
                    return match logistic(b, op) {
                        Some(x) => Ok(b.unary(UnaryOp::Logistic, x)?.into()),
                        None => Ok(Rewrite::Keep),
                    };
                }
                OpKind::Binary(BinaryOp::Add) => gelu_gradient(b, op).map(|(x, dy)| (GELU_DERIVATIVE, x, dy)),
                _ => None,
            };
            let Some((target, x, factors)) = found else {
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
            let mut value = b.op1_as(kind, &[x], ty)?;
            for factor in factors {
                value = b.mul(factor, value)?;
            }
            Ok(value.into())
        })
    }
}

/// The operand of GELU and the other factors, if a sum is the derivative of GELU times them.
fn gelu_gradient(b: &Builder<'_>, op: OpId) -> Option<(ValueId, Vec<ValueId>)> {
    let result = b.func.result(op);
    if !matches!(b.tensor(result).ok()?.dtype, DType::F32 | DType::BF16 | DType::F16) {
        return None;
    }
    let [first, second] = b.func.op(op).operands[..] else {
        return None;
    };
    let density = std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2 / 2.0;
    [(first, second), (second, first)]
        .into_iter()
        .find_map(|(with_density, with_distribution)| {
            let p = deeply(b, with_density);
            // exp(-x * x / 2), which tells what x is.
            let (place, x) = p.factors.iter().enumerate().find_map(|(i, &v)| {
                let exponent = deeply(b, under(b, v, UnaryOp::Exponential)?);
                match exponent.factors[..] {
                    [x, y] if x == y && close(exponent.constant, -0.5) => Some((i, x)),
                    _ => None,
                }
            })?;
            let mut others = p.factors.clone();
            others.remove(place);
            let place = others.iter().position(|&v| v == x)?;
            others.remove(place);
            let q = deeply(b, with_distribution);
            let place = q.factors.iter().position(|&v| is_distribution(b, v, x))?;
            let mut factors = q.factors.clone();
            factors.remove(place);
            let (mut a, mut c) = (others, factors.clone());
            a.sort_unstable();
            c.sort_unstable();
            (close(p.constant, density) && q.constant == 0.5 && a == c).then_some((x, factors))
        })
}

/// Whether `v` is twice the normal distribution at `x`.
fn is_distribution(b: &Builder<'_>, v: ValueId, x: ValueId) -> bool {
    let root_half = std::f64::consts::FRAC_1_SQRT_2;
    if let Some(e) = under(b, v, UnaryOp::Erfc) {
        return is_scaled(b, e, x, -root_half);
    }
    one_plus(b, v).any(|erf| under(b, erf, UnaryOp::Erf).is_some_and(|e| is_scaled(b, e, x, root_half)))
}

/// What 1 is added to, if `v` is such a sum.
fn one_plus<'b>(b: &'b Builder<'_>, v: ValueId) -> impl Iterator<Item = ValueId> + 'b {
    let sum = b.func.def(v).map(|d| b.func.op(d));
    let operands = sum
        .filter(|s| s.kind == OpKind::Binary(BinaryOp::Add))
        .map(|s| &s.operands);
    operands.into_iter().flat_map(move |o| {
        [(o[0], o[1]), (o[1], o[0])]
            .into_iter()
            .filter(|&(_, one)| splat(b, one) == Some(1.0))
            .map(|(other, _)| other)
    })
}

/// Whether `v` is `sqrt(2 / pi) * (x + 0.044715 * x^3)`.
fn is_tanh_argument(b: &Builder<'_>, v: ValueId, x: ValueId) -> bool {
    let p = taken_apart(b, v);
    let [sum] = p.factors[..] else { return false };
    let Some(op) = b.func.def(sum).map(|d| b.func.op(d)) else {
        return false;
    };
    let cube = match op.operands[..] {
        [a, c] if op.kind == OpKind::Binary(BinaryOp::Add) && a == x => c,
        [c, a] if op.kind == OpKind::Binary(BinaryOp::Add) && a == x => c,
        _ => return false,
    };
    let c = taken_apart(b, cube);
    let cubed = match c.factors[..] {
        [power] => b.func.def(power).map(|d| b.func.op(d)).is_some_and(|op| {
            op.kind == OpKind::Binary(BinaryOp::Power) && op.operands[0] == x && splat(b, op.operands[1]) == Some(3.0)
        }),
        [a, d, e] => a == x && d == x && e == x,
        _ => false,
    };
    let factor = (2.0 / std::f64::consts::PI).sqrt();
    cubed && close(p.constant, factor) && close(c.constant, 0.044715)
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

/// Takes multiplications and negations apart, `depth` levels deep at most.
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
    apart(b, v, 3)
}

/// As [`taken_apart`], for what a framework's differentiation made: a long chain of products.
fn deeply(b: &Builder<'_>, v: ValueId) -> Product {
    apart(b, v, 8)
}

fn apart(b: &Builder<'_>, v: ValueId, depth: usize) -> Product {
    let mut p = Product {
        constant: 1.0,
        factors: Vec::new(),
    };
    product(b, v, depth, &mut p);
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

/// The operand of the logistic function, if a quotient is its formula.
fn logistic(b: &Builder<'_>, op: OpId) -> Option<ValueId> {
    let [one, sum] = b.func.op(op).operands[..] else {
        return None;
    };
    if !matches!(b.tensor(sum).ok()?.dtype, DType::F32 | DType::BF16 | DType::F16) || splat(b, one) != Some(1.0) {
        return None;
    }
    one_plus(b, sum).find_map(|e| {
        let p = taken_apart(b, under(b, e, UnaryOp::Exponential)?);
        match p.factors[..] {
            [x] if p.constant == -1.0 => Some(x),
            _ => None,
        }
    })
}

/// The activation that a product is, with its operand.
fn activation(b: &Builder<'_>, op: OpId) -> Option<(&'static str, ValueId)> {
    let result = b.func.result(op);
    if !matches!(b.tensor(result).ok()?.dtype, DType::F32 | DType::BF16 | DType::F16) {
        return None;
    }
    let p = taken_apart(b, result);
    let [first, second] = p.factors[..] else { return None };
    for (x, other) in [(first, second), (second, first)] {
        if p.constant == 1.0 && under(b, other, UnaryOp::Logistic) == Some(x) {
            return Some(("AwsNeuronSilu", x));
        }
        if p.constant != 0.5 {
            continue;
        }
        if is_distribution(b, other, x) {
            return Some(("AwsNeuronGelu", x));
        }
        if one_plus(b, other).any(|t| under(b, t, UnaryOp::Tanh).is_some_and(|e| is_tanh_argument(b, e, x))) {
            return Some(("AwsNeuronGeluApprxTanh", x));
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
    fn silu_is_found_by_its_formula() -> Result<()> {
        for sign in [-1.0, 1.0] {
            let mut m = module(&[(DType::BF16, &[4, 8])], move |b, args| {
                let x = args[0];
                let sign = b.like_f(x, sign)?;
                let one = b.like_f(x, 1.0)?;
                let e = b.mul(x, sign)?;
                let e = b.unary(UnaryOp::Exponential, e)?;
                let sum = b.add(one, e)?;
                let quotient = b.div(one, sum)?;
                Ok(vec![b.mul(x, quotient)?])
            });
            run(RecognizeActivations, &mut m)?;
            assert_eq!(ops(&m).contains(&"custom_call"), sign < 0.0);
        }
        Ok(())
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
