//! Data movement and element-wise forms: what has a simpler equivalent becomes that.
//!
//! Before                                              After
//!   pad %x with negative edges                          slice, and pad with what is left
//!   select %p : i1, %a, %b                              select of the broadcast predicate
//!   clamp %lo, %x, %hi                                  minimum(maximum(%x, %lo), %hi), bounds broadcast
//!   map %x, %y ({ body })                               the body on whole tensors
//!   compare TOTALORDER %x, %y of floats                 compare of integers in the same order
//!   compare WEAKORDER %x, %y                            compare of numbers, or of which are NaN
//!
//! Needs: verified static `hlo`. Leaves: verified `hlo`.

use ferrite_ir::dtype::{DType, DTypeClass};
use ferrite_ir::hlo::{
    BinaryOp, Builder, Built, Compare, ComparisonDirection, ComparisonType, Dims, OpId, OpKind, UnaryOp, ValueId,
};

use super::body::apply_body;
use super::rewrite::{Rewrite, Step, operands, result_type};

/// The rule of `legalize-data`.
pub(crate) fn rewrite(b: &mut Builder<'_>, op: OpId) -> Rewrite {
    let o = operands(b, op);
    let value = match b.func.op(op).kind.clone() {
        OpKind::Pad(p) => {
            if p.low.iter().chain(&p.high).all(|&v| v >= 0) {
                return Ok(None);
            }
            pad_or_slice(b, o[0], o[1], &p.low, &p.high, &p.interior)?
        }
        OpKind::Select => {
            let shape = result_type(b, op).shape;
            if b.tensor(o[0])?.shape == shape {
                return Ok(None);
            }
            let pred = b.broadcast_in_dim(o[0], &shape, &[])?;
            b.select(pred, o[1], o[2])?
        }
        OpKind::Clamp => {
            let low = like(b, o[0], o[1])?;
            let high = like(b, o[2], o[1])?;
            let x = b.binary(BinaryOp::Maximum, o[1], low)?;
            b.binary(BinaryOp::Minimum, x, high)?
        }
        OpKind::Compare(c) if c.compare_type == ComparisonType::TotalOrder => {
            if b.tensor(o[0])?.dtype.class() != DTypeClass::Float || b.tensor(o[0])?.dtype.bits() > 32 {
                return Ok(None);
            }
            let (x, y) = (total_order_key(b, o[0])?, total_order_key(b, o[1])?);
            let compare = Compare {
                direction: c.direction,
                compare_type: ComparisonType::Signed,
            };
            b.op1(OpKind::Compare(compare), &[x, y])?
        }
        OpKind::Compare(c) if c.compare_type == ComparisonType::WeakOrder => weak_order(b, c.direction, o[0], o[1])?,
        OpKind::Map(_) => {
            let shape = result_type(b, op).shape;
            let body = b.func.op(op).regions[0];
            return Ok(Some(apply_body(b, body, &o, &shape)?));
        }
        _ => return Ok(None),
    };
    Ok(Some(vec![value]))
}

/// Comparison where all NaN are one value above infinity: that of the numbers, or what follows from which are NaN.
pub(crate) fn weak_order(b: &mut Builder<'_>, direction: ComparisonDirection, x: ValueId, y: ValueId) -> Built {
    use ComparisonDirection::*;
    if direction == Ne {
        let equal = weak_order(b, Eq, x, y)?;
        return b.unary(UnaryOp::Not, equal);
    }
    if matches!(direction, Gt | Ge) {
        let other = if direction == Gt { Lt } else { Le };
        return weak_order(b, other, y, x);
    }
    let numbers = b.compare(direction, x, y)?;
    let above = b.compare(Ne, y, y)?;
    let special = match direction {
        Le => above,
        _ => {
            let nan = if direction == Lt { Eq } else { Ne };
            let below = b.compare(nan, x, x)?;
            b.binary(BinaryOp::And, below, above)?
        }
    };
    b.binary(BinaryOp::Or, numbers, special)
}

/// `i32` integers in the total order of the floats `x` of up to 32 bits: `-NaN < -inf < ... < -0 < +0 < ... < +NaN`.
pub(crate) fn total_order_key(b: &mut Builder<'_>, x: ValueId) -> Step {
    // Narrower floats are exact in 32 bits and keep their order.
    let x = b.convert(x, DType::F32)?;
    let bits = b.bitcast(x, DType::I32)?;
    // The magnitude of negative numbers counts backwards.
    let mask = b.like_i(bits, i64::from(i32::MAX))?;
    let flipped = b.binary(BinaryOp::Xor, bits, mask)?;
    let zero = b.like_i(bits, 0)?;
    let negative = b.compare(ComparisonDirection::Lt, bits, zero)?;
    Ok(b.select(negative, flipped, bits)?)
}

/// `x`, broadcast to the shape of `y` if it is a scalar.
fn like(b: &mut Builder<'_>, x: ValueId, y: ValueId) -> Step {
    let shape = b.tensor(y)?.shape.clone();
    if b.tensor(x)?.shape == shape {
        return Ok(x);
    }
    Ok(b.broadcast_in_dim(x, &shape, &[])?)
}

/// `x` padded with `value` where amounts are positive, and cut where they are negative. `x` itself if nothing changes.
pub(crate) fn pad_or_slice(
    b: &mut Builder<'_>,
    x: ValueId,
    value: ValueId,
    low: &[i64],
    high: &[i64],
    interior: &[i64],
) -> Step {
    let shape = b.tensor(x)?.shape.clone();
    let rank = shape.len();
    let dilated = |d: usize| shape[d] + (shape[d] - 1).max(0) * interior[d];
    let size = |d: usize| dilated(d) + low[d] + high[d];
    // Everything cut away, or nothing there: only padding is left.
    if (0..rank).any(|d| size(d) <= 0 || shape[d] == 0 || -low[d] >= dilated(d) || -high[d] >= dilated(d)) {
        let out: Dims = (0..rank).map(|d| size(d).max(0)).collect();
        if out.contains(&0) || (0..rank).any(|d| shape[d] == 0 || -low[d] >= dilated(d) || -high[d] >= dilated(d)) {
            return Ok(b.broadcast_in_dim(value, &out, &[])?);
        }
    }
    // Without holes the cut comes first, so that less is moved.
    let early: Vec<bool> = (0..rank).map(|d| interior[d] == 0).collect();
    let x = cut(b, x, low, high, |d| early[d])?;
    let positive = |v: &[i64]| -> Dims { v.iter().map(|&p| p.max(0)).collect() };
    let (grow_low, grow_high) = (positive(low), positive(high));
    let grows = grow_low.iter().chain(&grow_high).chain(interior).any(|&v| v != 0);
    let x = if grows {
        b.pad(x, value, &grow_low, &grow_high, interior)?
    } else {
        x
    };
    cut(b, x, low, high, |d| !early[d])
}

/// Removes what negative amounts of the chosen dimensions say.
fn cut(b: &mut Builder<'_>, x: ValueId, low: &[i64], high: &[i64], chosen: impl Fn(usize) -> bool) -> Step {
    let shape = b.tensor(x)?.shape.clone();
    let amount = |v: &[i64], d: usize| if chosen(d) { (-v[d]).max(0) } else { 0 };
    let from: Dims = (0..shape.len()).map(|d| amount(low, d)).collect();
    let to: Dims = (0..shape.len()).map(|d| shape[d] - amount(high, d)).collect();
    if from.iter().all(|&f| f == 0) && to == shape {
        return Ok(x);
    }
    let strides: Dims = shape.iter().map(|_| 1).collect();
    Ok(b.slice(x, &from, &to, &strides)?)
}
