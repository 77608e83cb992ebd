//! Computes element types that the engines cannot wrap or overflow in wider ones.
//!
//! Before                              After
//!   %1 = add %0, %0 : i4                %1 = convert %0 : i32
//!                                       %2 = add %1, %1 : i32
//!                                       %3 = convert %2 : i4
//!
//! Integers of fewer than 8 bits lie in bytes, so nothing wraps them: they are computed in 32 bits, whose conversion keeps
//! the low ones. 8-bit floats that engines store with saturation are computed in `f32`, whose conversion gives infinity or
//! NaN. Comparisons, selections and data movement stay. A bitcast between integers of fewer than 8 bits, each in a byte, and
//! wider elements shifts and masks.
//!
//! Needs: verified `hlo` after `expand-ops`. Leaves: verified `hlo` without arithmetic on these types.

use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{
    BinaryOp, Builder, ComparisonDirection, OpId, OpKind, RegionId, TensorType, Type, UnaryOp, ValueId,
};
use ferrite_ir::literal::{Literal, write_f64, write_i64};

use super::rewrite::{Rewrite, Step, operands};

/// The type a small element type is computed in.
fn wider(dtype: DType) -> Option<DType> {
    match dtype {
        DType::I2 | DType::I4 => Some(DType::I32),
        DType::U2 | DType::U4 => Some(DType::U32),
        DType::F8E3M4 | DType::F8E4M3 | DType::F8E4M3FN => Some(DType::F32),
        _ => None,
    }
}

/// Whether nothing may be computed in this type, but in a wider one.
pub(crate) fn is_computed_wider(dtype: DType) -> bool {
    wider(dtype).is_some()
}

/// The rule of `legalize-small-types`.
pub(crate) fn rewrite(b: &mut Builder<'_>, op: OpId) -> Rewrite {
    let kind = b.func.op(op).kind.clone();
    let old = b.func.op(op).results.to_vec();
    let small = |b: &Builder<'_>, v: &ValueId| b.func.ty(*v).tensor().and_then(|t| wider(t.dtype));
    let inputs = operands(b, op);
    let computed = match &kind {
        OpKind::Unary(UnaryOp::IsFinite) => false,
        OpKind::Unary(_) | OpKind::Binary(_) => true,
        OpKind::Reduce(_)
        | OpKind::ReduceWindow(_)
        | OpKind::SelectAndScatter(_)
        | OpKind::Sort(_)
        | OpKind::Map(_)
        | OpKind::Clamp => true,
        // One that only replaces moves data.
        OpKind::Scatter(_) => b.func.op(op).regions.iter().any(|&r| !b.func.region(r).ops.is_empty()),
        // The PE array takes 8-bit floats; only the result is stored.
        OpKind::DotGeneral(_) | OpKind::Convolution(_) => return contraction(b, op, &kind, &old),
        OpKind::BitcastConvert => return bitcast(b, inputs[0], old[0]),
        _ => false,
    };
    if !computed || !inputs.iter().chain(&old).any(|v| small(b, v).is_some()) {
        return Ok(None);
    }
    if let OpKind::Binary(
        shift @ (BinaryOp::ShiftLeft | BinaryOp::ShiftRightArithmetic | BinaryOp::ShiftRightLogical),
    ) = kind
    {
        return shifted(b, shift, inputs[0], inputs[1]).map(|v| Some(vec![v]));
    }
    let mut wide = Vec::with_capacity(inputs.len());
    for &v in &inputs {
        wide.push(match small(b, &v) {
            // Constants stay constants: initial values are looked at later.
            Some(dtype) => match b.func.def_kind(v) {
                Some(OpKind::Constant(literal)) => {
                    let wide = widened_literal(literal, dtype);
                    b.constant(wide)
                }
                _ => b.convert(v, dtype)?,
            },
            None => v,
        });
    }
    let regions = b.func.op(op).regions.to_vec();
    for &region in &regions {
        widen_region(b, region);
    }
    let types: Vec<Type> = old.iter().map(|&v| widened(b.func.ty(v))).collect();
    let new = b.op_with_regions(kind, &wide, &regions, Some(&types))?;
    let mut out = Vec::with_capacity(new.len());
    for (&v, &old) in new.iter().zip(&old) {
        let dtype = b.func.tensor(old).dtype;
        out.push(b.convert(v, dtype)?);
    }
    Ok(Some(out))
}

fn widened(ty: &Type) -> Type {
    match ty {
        Type::Tensor(t) => match wider(t.dtype) {
            Some(dtype) => t.with_dtype(dtype).into(),
            None => ty.clone(),
        },
        other => other.clone(),
    }
}

/// Gives everything in a region of scalars its wider type.
fn widen_region(b: &mut Builder<'_>, region: RegionId) {
    let mut values = b.func.region(region).args.clone();
    let mut ops = Vec::new();
    b.func.walk(region, &mut |func, op| {
        values.extend(func.op(op).results.iter().copied());
        ops.push(op);
    });
    for v in values {
        let ty = widened(b.func.ty(v));
        b.func.set_type(v, ty);
    }
    for op in ops {
        if let OpKind::Constant(literal) = &mut b.func.op_mut(op).kind
            && let Some(dtype) = wider(literal.ty().dtype)
        {
            *literal = widened_literal(literal, dtype);
        }
    }
}

/// The same numbers in a wider type.
fn widened_literal(literal: &Literal, dtype: DType) -> Literal {
    let ty = literal.ty().with_dtype(dtype);
    let count = if literal.is_splat() { 1 } else { ty.element_count() };
    let mut bytes = vec![0u8; count * dtype.bytes()];
    for (i, out) in bytes.chunks_exact_mut(dtype.bytes()).enumerate() {
        if dtype.is_float() {
            write_f64(dtype, literal.get_f64(i), out);
        } else {
            write_i64(dtype, literal.get_i64(i), out);
        }
    }
    // As many elements as the type has, or one for all.
    Literal::new(ty.clone(), bytes).unwrap_or_else(|| Literal::splat_i64(ty, 0))
}

/// A shift by an amount that is taken without sign; from the width on nothing is left but the sign.
fn shifted(b: &mut Builder<'_>, op: BinaryOp, x: ValueId, by: ValueId) -> Step {
    let ty = b.tensor(x)?.clone();
    let bits = ty.dtype.bits() as i64;
    let word = |b: &mut Builder<'_>, v: ValueId| -> Step {
        let v = b.convert(v, DType::I32)?;
        let mask = b.like_i(v, (1 << bits) - 1)?;
        Ok(b.binary(BinaryOp::And, v, mask)?)
    };
    let amount = word(b, by)?;
    let value = match op {
        BinaryOp::ShiftRightArithmetic => {
            // Extended from the width's own highest bit.
            let up = b.convert(x, DType::I32)?;
            let unused = b.like_i(up, 32 - bits)?;
            let up = b.binary(BinaryOp::ShiftLeft, up, unused)?;
            b.binary(BinaryOp::ShiftRightArithmetic, up, unused)?
        }
        _ => word(b, x)?,
    };
    let moved = b.binary(op, value, amount)?;
    let moved = if op == BinaryOp::ShiftRightArithmetic {
        moved
    } else {
        let width = b.like_i(amount, bits)?;
        let inside = b.compare(ComparisonDirection::Lt, amount, width)?;
        let zero = b.like_i(moved, 0)?;
        b.select(inside, moved, zero)?
    };
    Ok(b.convert(moved, ty.dtype)?)
}

/// A contraction whose result is stored with saturation gets an `f32` result.
fn contraction(b: &mut Builder<'_>, op: OpId, kind: &OpKind, old: &[ValueId]) -> Rewrite {
    let ty = b.func.tensor(old[0]).clone();
    if wider(ty.dtype) != Some(DType::F32) {
        return Ok(None);
    }
    let inputs = operands(b, op);
    let wide = b.op1_as(kind.clone(), &inputs, ty.with_dtype(DType::F32))?;
    Ok(Some(vec![b.convert(wide, ty.dtype)?]))
}

/// A bitcast from or to integers of fewer than 8 bits, of another width.
fn bitcast(b: &mut Builder<'_>, x: ValueId, result: ValueId) -> Rewrite {
    let (from, to) = (b.tensor(x)?.clone(), b.func.tensor(result).clone());
    let (have, want) = (from.dtype.bits(), to.dtype.bits());
    let (narrow, wide) = (have.min(want), have.max(want));
    if narrow >= 8 || have == want || wide > 32 || [from.dtype, to.dtype].contains(&DType::Bool) {
        return Ok(None);
    }
    let unsigned = |bits: usize| match bits {
        8 => Some(DType::U8),
        16 => Some(DType::U16),
        32 => Some(DType::U32),
        _ => None, // fewer than 8 bits: a conversion keeps the low ones
    };
    // The parts of a wide element are the last dimension, lowest first.
    let parts = if have < want { &from.shape } else { &to.shape };
    let count = wide / narrow;
    let places: Vec<u8> = (0..count).flat_map(|i| ((i * narrow) as u32).to_le_bytes()).collect();
    let places = Literal::new(TensorType::new(DType::U32, &[count as i64]), places)
        .ok_or_else(|| ferrite_ir::hlo::Violation::new("constant", "wrong number of values"))?;
    let places = b.constant(places);
    let places = b.broadcast_in_dim(places, parts, &[parts.len() as i64 - 1])?;
    if have < want {
        let word = b.convert(x, DType::U32)?;
        let mask = b.like_i(word, (1 << have) - 1)?;
        let word = b.binary(BinaryOp::And, word, mask)?;
        let word = b.binary(BinaryOp::ShiftLeft, word, places)?;
        let joined = b.reduce(BinaryOp::Or, word, &[parts.len() as i64 - 1])?;
        let joined = b.convert(joined, unsigned(want).unwrap_or(to.dtype))?;
        return Ok(Some(vec![b.bitcast(joined, to.dtype)?]));
    }
    let word = match unsigned(have) {
        Some(dtype) => b.bitcast(x, dtype)?,
        None => x,
    };
    let word = b.convert(word, DType::U32)?;
    let mask = b.like_i(word, (1 << have.min(31)) - 1)?;
    let word = if have < 8 {
        b.binary(BinaryOp::And, word, mask)?
    } else {
        word
    };
    let dims: Vec<i64> = (0..from.rank() as i64).collect();
    let word = b.broadcast_in_dim(word, parts, &dims)?;
    let word = b.binary(BinaryOp::ShiftRightLogical, word, places)?;
    let mask = b.like_i(word, (1 << want) - 1)?;
    let word = b.binary(BinaryOp::And, word, mask)?;
    Ok(Some(vec![b.convert(word, to.dtype)?]))
}
