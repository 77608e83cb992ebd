//! Replaces operations that the device has no instruction for by formulas over those it has.
//!
//! Before                              After
//!   %1 = clamp %lo, %0, %hi             %1 = minimum (maximum %0, %lo), %hi
//!   %2 = power %0, 3.0                  %2 = multiply (multiply %0, %0), %0
//!   %3 = custom_call @AwsNeuronSoftmax  max, subtract, exponential, sum, divide
//!
//! Needs: verified `hlo` after `inline`, `canonicalize` and `legalize-64bit`; `f64` that is still there is computed as `f32`.
//! Leaves: verified `hlo` whose element-wise operations on real numbers are abs, add, and, ceil, compare, convert,
//! cosine, divide, erf, exponential, floor, is_finite, log, logistic, maximum, minimum, multiply, negate, not, or,
//! round_nearest_even, rsqrt, select, shifts, sign, sine, sqrt, subtract, tanh and xor; no `batch_norm_*`, no custom call.
//! Smaller floats are computed in `f32` and rounded once. Comparators of sorts stay as they are.
//! Complex numbers are not here (`split-complex`).

mod calls;
mod elementary;
mod expr;
mod integer;
mod norm;
mod power;
mod special;

use ferrite_ir::diag::Result;
use ferrite_ir::dtype::{DType, DTypeClass};
use ferrite_ir::hlo::{
    BinaryOp, Builder, Built, Compare, ComparisonDirection, ComparisonType, Module, OpId, OpKind, ReducePrecision,
    UnaryOp, ValueId,
};

use self::expr::{E, formula};
use self::power::Known;
use super::rewrite::{Rewrite, rewrite_module_outside};
use crate::pass::{Changed, HloPass, PassContext};

/// See the module's own text.
pub struct ExpandOps;

impl HloPass for ExpandOps {
    const NAME: &'static str = "expand-ops";
    const DOC: &'static str = "Replaces operations that the device has no instruction for (special functions, powers, batch normalisation, known custom calls) by formulas over those it has.";

    fn run(&self, module: &mut Module, _: &mut PassContext<'_>) -> Result<Changed> {
        rewrite_module_outside(module, |kind| matches!(kind, OpKind::Sort(_)), visit)
    }
}

fn visit(b: &mut Builder<'_>, op: OpId) -> Result<Rewrite> {
    let kind = b.func.op(op).kind.clone();
    let operands: Vec<ValueId> = b.func.op(op).operands.to_vec();
    Ok(match &kind {
        OpKind::Unary(u) => unary(b, *u, operands[0])?,
        OpKind::Binary(k) => binary(b, *k, operands[0], operands[1])?,
        OpKind::Clamp => clamp(b, &operands)?.into(),
        OpKind::Compare(c) => compare(b, c, operands[0], operands[1])?,
        OpKind::Select => select(b, &operands)?,
        OpKind::ReducePrecision(r) => reduce_precision(b, r, operands[0])?.into(),
        OpKind::BatchNormInference(k) => norm::batch_norm_inference(b, k, &operands)?.into(),
        OpKind::BatchNormTraining(k) => Rewrite::Replace(norm::batch_norm_training(b, k, &operands)?),
        OpKind::BatchNormGrad(k) => Rewrite::Replace(norm::batch_norm_grad(b, k, &operands)?),
        OpKind::CustomCall(c) => calls::custom_call(b, op, c)?,
        _ => Rewrite::Keep,
    })
}

/// A formula on `f32`; other floats are widened before and rounded after.
fn in_f32<const N: usize>(
    b: &mut Builder<'_>,
    inputs: [ValueId; N],
    f: impl for<'g> FnOnce([E<'g>; N]) -> E<'g>,
) -> Built {
    let dtype = b.tensor(inputs[0])?.dtype;
    let mut wide = inputs;
    for v in &mut wide {
        *v = b.convert(*v, DType::F32)?;
    }
    let r = formula(b, wide, f)?;
    if b.tensor(r)?.dtype == DType::F32 {
        b.convert(r, dtype)
    } else {
        Ok(r) // a truth value
    }
}

fn unary(b: &mut Builder<'_>, op: UnaryOp, x: ValueId) -> Built<Rewrite> {
    use UnaryOp::*;
    let class = b.tensor(x)?.dtype.class();
    if class == DTypeClass::Complex {
        return Ok(Rewrite::Keep);
    }
    let f: for<'g> fn(E<'g>) -> E<'g> = match op {
        Abs | Ceil | Cosine | Erf | Exponential | Floor | IsFinite | Log | Logistic | Negate | Not
        | RoundNearestEven | Rsqrt | Sign | Sine | Sqrt | Tanh | Imag | Real => return Ok(Rewrite::Keep),
        Conj => return Ok(x.into()),
        Square => return Ok(b.mul(x, x)?.into()),
        PopulationCount => return Ok(formula(b, [x], |[x]| integer::popcnt(x))?.into()),
        CountLeadingZeros => return Ok(formula(b, [x], |[x]| integer::count_leading_zeros(x))?.into()),
        Cbrt => elementary::cbrt,
        ExponentialMinusOne => elementary::expm1,
        LogPlusOne => elementary::log1p,
        RoundNearestAfz => elementary::round_nearest_afz,
        Tan | ChloTan => elementary::tan,
        Acos => elementary::acos,
        Acosh => elementary::acosh,
        Asin => elementary::asin,
        Asinh => elementary::asinh,
        Atan => elementary::atan,
        Atanh => elementary::atanh,
        Cosh => elementary::cosh,
        Sinh => elementary::sinh,
        BesselI1e => special::bessel_i1e,
        Digamma => special::digamma,
        ErfInv => special::erf_inv,
        Erfc => special::erfc,
        Lgamma => special::lgamma,
        IsInf => |x| x.is_inf(),
        IsNegInf => |x| x.equals(f64::NEG_INFINITY),
        IsPosInf => |x| x.equals(f64::INFINITY),
    };
    Ok(in_f32(b, [x], |[x]| f(x))?.into())
}

/// The number that all elements of a value are, seen through what repeats or widens it.
fn known_number(b: &Builder<'_>, mut v: ValueId) -> Option<f64> {
    loop {
        let op = b.func.op(b.func.def(v)?);
        match &op.kind {
            OpKind::Constant(literal) => return literal.splat_value(),
            OpKind::BroadcastInDim(_) | OpKind::Reshape | OpKind::Transpose(_) => v = op.operands[0],
            _ => return None,
        }
    }
}

fn binary(b: &mut Builder<'_>, op: BinaryOp, x: ValueId, y: ValueId) -> Built<Rewrite> {
    let class = b.tensor(x)?.dtype.class();
    let float = class == DTypeClass::Float;
    if class == DTypeClass::Complex {
        return Ok(Rewrite::Keep);
    }
    Ok(match op {
        BinaryOp::Power if float => {
            let known = match (known_number(b, x), known_number(b, y)) {
                (_, Some(y)) => Some(Known::Exponent(y)),
                (Some(x), None) => Some(Known::Base(x)),
                _ => None,
            };
            in_f32(b, [x, y], |[x, y]| power::power(x, y, known))?.into()
        }
        BinaryOp::Power => {
            let exponent = known_number(b, y).map(|n| n as i64).filter(|n| (0..=64).contains(n));
            formula(b, [x, y], |[x, y]| power::integer_power(x, y, exponent))?.into()
        }
        BinaryOp::Remainder if float => in_f32(b, [x, y], |[x, y]| elementary::remainder(x, y))?.into(),
        BinaryOp::Remainder => formula(b, [x, y], |[x, y]| integer::remainder(x, y))?.into(),
        BinaryOp::Atan2 => in_f32(b, [x, y], |[y, x]| elementary::atan2(y, x))?.into(),
        BinaryOp::Polygamma => in_f32(b, [x, y], |[n, x]| special::polygamma(n, x))?.into(),
        BinaryOp::Zeta => in_f32(b, [x, y], |[x, q]| special::zeta(x, q))?.into(),
        // In the type itself: the neighbour of a wider float is another number.
        BinaryOp::NextAfter if matches!(b.tensor(x)?.dtype, DType::F32 | DType::F16 | DType::BF16) => {
            formula(b, [x, y], |[x, y]| elementary::next_after(x, y))?.into()
        }
        _ => Rewrite::Keep,
    })
}

fn clamp(b: &mut Builder<'_>, operands: &[ValueId]) -> Built {
    let shape = b.tensor(operands[1])?.shape.clone();
    let min = widen_scalar(b, operands[0], &shape)?;
    let max = widen_scalar(b, operands[2], &shape)?;
    let low = b.binary(BinaryOp::Maximum, operands[1], min)?;
    b.binary(BinaryOp::Minimum, low, max)
}

/// A scalar, repeated to a shape; anything else as it is.
fn widen_scalar(b: &mut Builder<'_>, v: ValueId, shape: &[i64]) -> Built {
    if b.tensor(v)?.rank() == 0 && !shape.is_empty() {
        b.broadcast_in_dim(v, shape, &[])
    } else {
        Ok(v)
    }
}

fn select(b: &mut Builder<'_>, operands: &[ValueId]) -> Built<Rewrite> {
    let shape = b.tensor(operands[1])?.shape.clone();
    let pred = widen_scalar(b, operands[0], &shape)?;
    if pred == operands[0] {
        return Ok(Rewrite::Keep);
    }
    Ok(b.select(pred, operands[1], operands[2])?.into())
}

fn compare(b: &mut Builder<'_>, c: &Compare, x: ValueId, y: ValueId) -> Built<Rewrite> {
    use ComparisonDirection::*;
    let class = b.tensor(x)?.dtype.class();
    if c.compare_type == ComparisonType::TotalOrder && class == DTypeClass::Float {
        let mut keys = [x, y];
        for v in &mut keys {
            let wide = b.convert(*v, DType::F32)?;
            *v = formula(b, [wide], |[x]| integer::total_order_key(x))?;
        }
        return Ok(b.compare(c.direction, keys[0], keys[1])?.into());
    }
    if c.compare_type == ComparisonType::WeakOrder {
        return Ok(crate::hlo::legalize::data::weak_order(b, c.direction, x, y)?.into());
    }
    if class != DTypeClass::Bool {
        return Ok(Rewrite::Keep);
    }
    Ok(formula(b, [x, y], |[x, y]| match c.direction {
        Ne => x.binary(BinaryOp::Xor, y),
        Eq => !x.binary(BinaryOp::Xor, y),
        Lt => !x & y,
        Gt => x & !y,
        Le => !x | y,
        Ge => x | !y,
    })?
    .into())
}

fn reduce_precision(b: &mut Builder<'_>, r: &ReducePrecision, x: ValueId) -> Built {
    let dtype = b.tensor(x)?.dtype;
    if (r.exponent_bits, r.mantissa_bits) == (8, 7) {
        let narrow = b.convert(x, DType::BF16)?;
        return b.convert(narrow, dtype);
    }
    in_f32(b, [x], |[x]| {
        integer::reduce_precision(x, r.exponent_bits, r.mantissa_bits)
    })
}

#[cfg(test)]
mod tests;
