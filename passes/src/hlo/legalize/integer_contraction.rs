//! Integer contractions as exact contractions of floats.
//!
//! Before                              After
//!   %2 = dot_general %0, %1 : i32       limbs of some bits of %0 and %1, as bf16;
//!                                       products of each pair of limbs, accumulated in f32 below 2^24;
//!                                       their sum in i32, each shifted to its place, modulo 2^32
//!
//! The PE array multiplies floats and adds in fp32, which is exact for whole numbers to 2^24. The limbs have as many bits
//! as the number of summands leaves. A contraction over nothing is zero, whatever the type.
//!
//! Needs: verified `hlo` after `legalize-64bit`. Leaves: verified `hlo` without integer contractions.

use ferrite_ir::dtype::{DType, DTypeClass};
use ferrite_ir::hlo::{BinaryOp, Builder, OpId, OpKind, TensorType, ValueId};

use super::rewrite::{Rewrite, Step, operands, refuse};

/// Bits that an fp32 accumulator holds exactly.
const ACCUMULATOR_BITS: i64 = 24;
/// Bits of a whole number that bf16 holds exactly.
const LIMB_BITS: i64 = 8;

/// The rule of `legalize-integer-contraction`.
pub(crate) fn rewrite(b: &mut Builder<'_>, op: OpId) -> Rewrite {
    let kind = b.func.op(op).kind.clone();
    let inputs = operands(b, op);
    let terms: i64 = match &kind {
        OpKind::DotGeneral(dot) => {
            let shape = &b.tensor(inputs[0])?.shape;
            dot.dims.lhs_contracting.iter().map(|&d| shape[d as usize]).product()
        }
        OpKind::Convolution(conv) => {
            let shape = &b.tensor(inputs[1])?.shape;
            let spatial: i64 = conv.dims.kernel_spatial.iter().map(|&d| shape[d as usize]).product();
            spatial * shape[conv.dims.kernel_input_feature as usize]
        }
        _ => return Ok(None),
    };
    let result = b.func.tensor(b.func.op(op).results[0]).clone();
    if terms == 0 || result.element_count() == 0 {
        let zero = TensorType::scalar(result.dtype);
        let zero = b.constant_f(zero, 0.0);
        return Ok(Some(vec![b.broadcast_in_dim(zero, &result.shape, &[])?]));
    }
    let (lhs, rhs) = (b.tensor(inputs[0])?.dtype, b.tensor(inputs[1])?.dtype);
    // Of truth values, whether any pair is true: whether their number is not zero.
    let whole = |dtype: DType| dtype.is_int() || dtype == DType::Bool;
    if !whole(lhs) || !whole(rhs) || !whole(result.dtype) {
        return Ok(None);
    }
    // Bits of the number of summands, rounded up.
    let count = 64 - i64::from((terms - 1).max(0).leading_zeros());
    let magnitude = |dtype: DType| dtype.bits() as i64 - i64::from(dtype.class() == DTypeClass::Signed);
    let narrow = lhs.bits().max(rhs.bits()) as i64 <= LIMB_BITS;
    let width = if narrow && magnitude(lhs) + magnitude(rhs) + count <= ACCUMULATOR_BITS {
        LIMB_BITS // the operands as they are
    } else {
        ((ACCUMULATOR_BITS - count) / 2).min(LIMB_BITS)
    };
    if width < 1 {
        return Err(refuse(
            format!("an integer contraction over {terms} terms is not exact on this device"),
            "contract in parts, or convert the operands to f32",
        ));
    }
    let left = limbs(b, inputs[0], width)?;
    let right = limbs(b, inputs[1], width)?;
    let mut total: Option<ValueId> = None;
    for (i, &x) in (0i64..).zip(&left) {
        for (j, &y) in (0i64..).zip(&right) {
            let place = (i + j) * width;
            if place > 0 && place >= result.dtype.bits() as i64 {
                continue;
            }
            let part = b.op1_as(kind.clone(), &[x, y], result.with_dtype(DType::F32))?;
            let mut part = b.convert(part, DType::I32)?;
            if place > 0 {
                let by = b.like_i(part, place)?;
                part = b.binary(BinaryOp::ShiftLeft, part, by)?;
            }
            total = Some(match total {
                None => part,
                Some(sum) => b.add(sum, part)?,
            });
        }
    }
    let Some(total) = total else { return Ok(None) };
    Ok(Some(vec![b.convert(total, result.dtype)?]))
}

/// The parts of an integer, lowest first, as bf16: all but the highest without sign.
fn limbs(b: &mut Builder<'_>, x: ValueId, width: i64) -> Step<Vec<ValueId>> {
    let dtype = b.tensor(x)?.dtype;
    let signed = dtype.class() == DTypeClass::Signed;
    let bits = (dtype.bits() as i64).max(1);
    let count = (bits + width - 1) / width;
    let word = b.convert(x, if signed { DType::I32 } else { DType::U32 })?;
    let mut out = Vec::with_capacity(count as usize);
    for i in 0..count {
        let mut limb = word;
        if i > 0 {
            let by = b.like_i(limb, i * width)?;
            let shift = if signed {
                BinaryOp::ShiftRightArithmetic
            } else {
                BinaryOp::ShiftRightLogical
            };
            limb = b.binary(shift, limb, by)?;
        }
        if i + 1 < count {
            let mask = b.like_i(limb, (1 << width) - 1)?;
            limb = b.binary(BinaryOp::And, limb, mask)?;
        }
        out.push(b.convert(limb, DType::BF16)?);
    }
    Ok(out)
}
