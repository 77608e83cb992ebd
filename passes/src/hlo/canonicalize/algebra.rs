//! Element-wise operations that do nothing, on exact numbers only.

use ferrite_ir::diag::Result;
use ferrite_ir::dtype::{DType, DTypeClass};
use ferrite_ir::hlo::{
    BinaryOp, Builder, Compare, ComparisonDirection, ComparisonType, OpId, OpKind, ReducePrecision, UnaryOp, ValueId,
};
use ferrite_ir::literal::{Literal, int_range};

use super::operand;
use crate::hlo::rewrite::Rewrite;

/// The constant that defines a value.
pub(super) fn constant<'b>(b: &'b Builder<'_>, v: ValueId) -> Option<&'b Literal> {
    match b.func.def_kind(v)? {
        OpKind::Constant(literal) => Some(literal),
        _ => None,
    }
}

/// The number that all elements of a value are, if it is a constant.
pub(super) fn splat(b: &Builder<'_>, v: ValueId) -> Option<f64> {
    constant(b, v)?.splat_value()
}

/// All elements are this integer (exact for 64 bits too).
fn splat_int(b: &Builder<'_>, v: ValueId) -> Option<i64> {
    let literal = constant(b, v)?;
    let int = matches!(
        literal.ty().dtype.class(),
        DTypeClass::Bool | DTypeClass::Signed | DTypeClass::Unsigned
    );
    (int && literal.splat_element().is_some()).then(|| literal.get_i64(0))
}

pub(super) fn unary(b: &mut Builder<'_>, op: OpId, kind: UnaryOp) -> Result<Rewrite> {
    use UnaryOp::*;
    let x = operand(b, op, 0);
    let real = b.tensor(x).is_ok_and(|t| !t.dtype.is_complex());
    if real && matches!(kind, Real | Conj) {
        return Ok(x.into());
    }
    if real && kind == Imag {
        return Ok(b.like_f(x, 0.0)?.into());
    }
    // The negation of an unsigned number is another one, and its magnitude too.
    let unsigned = b.tensor(x).is_ok_and(|t| t.dtype.class() == DTypeClass::Unsigned);
    let Some(inner) = b.func.def(x) else {
        return Ok(Rewrite::Keep);
    };
    let inner_op = b.func.op(inner);
    Ok(match (kind, &inner_op.kind) {
        (Negate, OpKind::Unary(Negate)) | (Not, OpKind::Unary(Not)) | (Conj, OpKind::Unary(Conj)) => {
            inner_op.operands[0].into()
        }
        (Abs, OpKind::Unary(Abs)) | (Real, OpKind::Unary(Real)) => x.into(),
        (
            Floor | Ceil | RoundNearestAfz | RoundNearestEven,
            OpKind::Unary(Floor | Ceil | RoundNearestAfz | RoundNearestEven),
        ) => x.into(),
        (Abs, OpKind::Unary(Negate)) if real && !unsigned => {
            let y = inner_op.operands[0];
            b.unary(Abs, y)?.into()
        }
        (Real, OpKind::Complex) => inner_op.operands[0].into(),
        (Imag, OpKind::Complex) => inner_op.operands[1].into(),
        (Not, OpKind::Compare(c)) => {
            let Some(direction) = opposite(c) else {
                return Ok(Rewrite::Keep);
            };
            let compare = Compare { direction, ..*c };
            let (p, q) = (inner_op.operands[0], inner_op.operands[1]);
            b.op1(OpKind::Compare(compare), &[p, q])?.into()
        }
        _ => Rewrite::Keep,
    })
}

/// The comparison that holds when this one does not: not for floats, where NaN compares false both ways.
fn opposite(c: &Compare) -> Option<ComparisonDirection> {
    use ComparisonDirection::*;
    match c.direction {
        Eq => Some(Ne),
        Ne => Some(Eq),
        _ if !matches!(c.compare_type, ComparisonType::Signed | ComparisonType::Unsigned) => None,
        Ge => Some(Lt),
        Gt => Some(Le),
        Le => Some(Gt),
        Lt => Some(Ge),
    }
}

pub(super) fn binary(b: &mut Builder<'_>, op: OpId, kind: BinaryOp) -> Result<Rewrite> {
    use BinaryOp::*;
    let (x, y) = (operand(b, op, 0), operand(b, op, 1));
    // Arithmetic of truth values, in bodies of reductions too, is logic.
    if b.tensor(x).is_ok_and(|t| t.dtype == DType::Bool) {
        match kind {
            Add | Maximum => return Ok(b.binary(Or, x, y)?.into()),
            Multiply | Minimum => return Ok(b.binary(And, x, y)?.into()),
            _ => {}
        }
    }
    // Constants stand on the right: one place for rules to look at.
    if kind.is_commutative() && constant(b, x).is_some() && constant(b, y).is_none() {
        b.func.op_mut(op).operands.swap(0, 1);
        return Ok(Rewrite::Updated);
    }
    if x == y && matches!(kind, And | Or | Maximum | Minimum) {
        return Ok(x.into());
    }
    let Ok(ty) = b.tensor(x).cloned() else {
        return Ok(Rewrite::Keep);
    };
    let replaced = match ty.dtype.class() {
        DTypeClass::Complex => None,
        DTypeClass::Float => float_identity(b, kind, x, y),
        _ => {
            if x == y && matches!(kind, Xor | Subtract) {
                return Ok(b.constant_i(ty, 0).into());
            }
            integer_identity(b, kind, x, y, ty.dtype)
        }
    };
    Ok(replaced.map_or(Rewrite::Keep, Rewrite::from))
}

fn float_identity(b: &Builder<'_>, kind: BinaryOp, x: ValueId, y: ValueId) -> Option<ValueId> {
    use BinaryOp::*;
    let c = splat(b, y)?;
    let negative_zero = c == 0.0 && c.is_sign_negative();
    let positive_zero = c == 0.0 && c.is_sign_positive();
    let identity = match kind {
        Multiply | Divide | Power => c == 1.0,
        // x + 0.0 turns -0.0 into 0.0, x + -0.0 is x; and the reverse for a difference.
        Add => negative_zero,
        Subtract => positive_zero,
        Maximum => c == f64::NEG_INFINITY,
        Minimum => c == f64::INFINITY,
        _ => false,
    };
    identity.then_some(x)
}

fn integer_identity(b: &Builder<'_>, kind: BinaryOp, x: ValueId, y: ValueId, dtype: DType) -> Option<ValueId> {
    use BinaryOp::*;
    let c = splat_int(b, y)?;
    let ones = if dtype.class() == DTypeClass::Signed {
        -1
    } else {
        int_range(dtype).1 as i64
    };
    let (low, high) = int_range(dtype);
    match kind {
        // For i1, addition is `or` and multiplication `and`.
        Add | Subtract | Or | Xor | ShiftLeft | ShiftRightArithmetic | ShiftRightLogical if c == 0 => Some(x),
        Multiply | Divide | Power if c == 1 => Some(x),
        And if c == ones => Some(x),
        And | Multiply if c == 0 => Some(y),
        Or if c == ones => Some(y),
        Maximum if i128::from(c) == low => Some(x),
        Minimum if i128::from(c) == high => Some(x),
        _ => None,
    }
}

pub(super) fn compare(b: &mut Builder<'_>, op: OpId, c: &Compare) -> Result<Rewrite> {
    use ComparisonDirection::*;
    let (x, y) = (operand(b, op, 0), operand(b, op, 1));
    let Ok(ty) = b.tensor(x).cloned() else {
        return Ok(Rewrite::Keep);
    };
    if x == y && !ty.dtype.is_float() && !ty.dtype.is_complex() {
        let holds = matches!(c.direction, Eq | Ge | Le);
        return Ok(b.constant_i(ty.with_dtype(DType::Bool), i64::from(holds)).into());
    }
    if constant(b, x).is_some() && constant(b, y).is_none() {
        let direction = match c.direction {
            Eq | Ne => c.direction,
            Ge => Le,
            Gt => Lt,
            Le => Ge,
            Lt => Gt,
        };
        let compare = Compare { direction, ..*c };
        return Ok(b.op1(OpKind::Compare(compare), &[y, x])?.into());
    }
    if ty.dtype == DType::Bool {
        match (c.direction, splat_int(b, y)) {
            (Ne, Some(0)) | (Eq, Some(1)) => return Ok(x.into()),
            (Eq, Some(0)) | (Ne, Some(1)) => return Ok(b.unary(UnaryOp::Not, x)?.into()),
            _ => {}
        }
    }
    Ok(Rewrite::Keep)
}

pub(super) fn select(b: &mut Builder<'_>, op: OpId) -> Result<Rewrite> {
    let [pred, on_true, on_false] = [0, 1, 2].map(|i| operand(b, op, i));
    if on_true == on_false {
        return Ok(on_true.into());
    }
    if let Some(c) = splat_int(b, pred) {
        return Ok(if c != 0 { on_true } else { on_false }.into());
    }
    if let Some(OpKind::Unary(UnaryOp::Not)) = b.func.def_kind(pred)
        && let Some(inner) = b.func.def(pred)
    {
        let p = b.func.op(inner).operands[0];
        return Ok(b.select(p, on_false, on_true)?.into());
    }
    if b.tensor(on_true).is_ok_and(|t| t.dtype == DType::Bool) && b.ty(pred) == b.ty(on_true) {
        match (splat_int(b, on_true), splat_int(b, on_false)) {
            (Some(1), Some(0)) => return Ok(pred.into()),
            (Some(0), Some(1)) => return Ok(b.unary(UnaryOp::Not, pred)?.into()),
            (Some(1), None) => return Ok(b.binary(BinaryOp::Or, pred, on_false)?.into()),
            (None, Some(0)) => return Ok(b.binary(BinaryOp::And, pred, on_true)?.into()),
            _ => {}
        }
    }
    Ok(Rewrite::Keep)
}

pub(super) fn complex(b: &mut Builder<'_>, op: OpId) -> Result<Rewrite> {
    let part = |v: ValueId, wanted: UnaryOp| match b.func.def(v) {
        Some(id) if b.func.op(id).kind == OpKind::Unary(wanted) => Some(b.func.op(id).operands[0]),
        _ => None,
    };
    let real = part(operand(b, op, 0), UnaryOp::Real);
    let imag = part(operand(b, op, 1), UnaryOp::Imag);
    match (real, imag) {
        (Some(z), Some(w)) if z == w && b.ty(z) == b.ty(b.func.result(op)) => Ok(z.into()),
        _ => Ok(Rewrite::Keep),
    }
}

/// Exponent bits and mantissa bits (without the hidden one) of a float type.
fn float_bits(dtype: DType) -> Option<(i64, i64)> {
    match dtype {
        DType::F32 => Some((8, 23)),
        DType::F64 => Some((11, 52)),
        DType::TF32 => Some((8, 10)),
        other => other
            .minifloat()
            .map(|m| (m.exponent_bits as i64, m.mantissa_bits as i64)),
    }
}

pub(super) fn reduce_precision(b: &mut Builder<'_>, op: OpId, r: &ReducePrecision) -> Result<Rewrite> {
    let x = operand(b, op, 0);
    let bits = b.tensor(x).ok().and_then(|t| float_bits(t.dtype));
    let keeps = bits.is_some_and(|(e, m)| r.exponent_bits >= e && r.mantissa_bits >= m);
    Ok(if keeps { x.into() } else { Rewrite::Keep })
}

/// Whether every value of `from` is a value of `to`, signs of zeros and NaNs included.
pub(crate) fn is_exact(from: DType, to: DType) -> bool {
    use DTypeClass::*;
    if from == to {
        return true;
    }
    let ieee = |d: DType| {
        matches!(d, DType::F32 | DType::F64)
            || d.minifloat()
                .is_some_and(|m| matches!(m.specials, ferrite_ir::dtype::Specials::Ieee))
    };
    match (from.class(), to.class()) {
        (Bool, Signed | Unsigned) => true,
        (Bool, Float) => float_bits(to).is_some(),
        (Signed, Signed) | (Unsigned, Unsigned) => from.bits() <= to.bits(),
        (Unsigned, Signed) => from.bits() < to.bits(),
        (Signed | Unsigned, Float) => {
            matches!(to, DType::F32 | DType::F64 | DType::BF16)
                && float_bits(to).is_some_and(|(_, m)| from.bits() as i64 <= m + 1)
        }
        (Float, Float) => match (float_bits(from), float_bits(to)) {
            // Special values must survive too: small floats without infinities widen into IEEE ones.
            (Some((e, m)), Some((f, n))) => e <= f && m <= n && ieee(to) && from != DType::TF32,
            _ => false,
        },
        _ => false,
    }
}

/// Whether a conversion to `to` of what was converted to `through` is one of `from`: `through` must have all values of `from`, and
/// a float must not stand between integers of which the last has not those of the first, because floats saturate where integers wrap.
pub(crate) fn converts_directly(from: DType, through: DType, to: DType) -> bool {
    let wraps = from.is_int() && to.is_int() && !is_exact(from, to);
    is_exact(from, through) && !(wraps && through.is_float())
}

pub(super) fn convert(b: &mut Builder<'_>, op: OpId) -> Result<Rewrite> {
    let x = operand(b, op, 0);
    let result = b.func.result(op);
    if b.ty(x) == b.ty(result) {
        return Ok(x.into());
    }
    let Some(inner) = b.func.def(x) else {
        return Ok(Rewrite::Keep);
    };
    if b.func.op(inner).kind != OpKind::Convert {
        return Ok(Rewrite::Keep);
    }
    let origin = b.func.op(inner).operands[0];
    let (Ok(from), Ok(through), Ok(to)) = (b.tensor(origin), b.tensor(x), b.tensor(result)) else {
        return Ok(Rewrite::Keep);
    };
    let direct = converts_directly(from.dtype, through.dtype, to.dtype);
    if from.extra.is_some() || to.extra.is_some() || !direct {
        return Ok(Rewrite::Keep);
    }
    let to = to.dtype;
    Ok(b.convert(origin, to)?.into())
}

pub(super) fn bitcast_convert(b: &mut Builder<'_>, op: OpId) -> Result<Rewrite> {
    let x = operand(b, op, 0);
    let result = b.func.result(op);
    if b.ty(x) == b.ty(result) {
        return Ok(x.into());
    }
    match b.func.def(x) {
        Some(inner) if b.func.op(inner).kind == OpKind::BitcastConvert => {
            let origin = b.func.op(inner).operands[0];
            let ty = b.tensor(result)?.clone();
            // The bits of three types may split differently; only what types is replaced.
            Ok(b.op1_as(OpKind::BitcastConvert, &[origin], ty)
                .map_or(Rewrite::Keep, Rewrite::from))
        }
        _ => Ok(Rewrite::Keep),
    }
}
