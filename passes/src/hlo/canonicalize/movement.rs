//! Data movement that moves nothing, or moves twice.

use ferrite_ir::diag::Result;
use ferrite_ir::hlo::{
    BinaryOp, BroadcastInDim, Builder, Concatenate, Dims, DynamicSlice, Func, Iota, OpId, OpKind, Pad, Reduce,
    RegionId, Reverse, Slice, TensorType, Transpose, ValueId, neutral,
};

use super::algebra::constant;
use super::operand;
use crate::hlo::rewrite::Rewrite;

/// The operand of the operation that defines `v`, if `wanted` takes that operation.
fn through<'b, T>(b: &'b Builder<'_>, v: ValueId, wanted: impl Fn(&'b OpKind) -> Option<T>) -> Option<(ValueId, T)> {
    let op = b.func.op(b.func.def(v)?);
    wanted(&op.kind).map(|t| (op.operands[0], t))
}

pub(super) fn iota(b: &mut Builder<'_>, op: OpId, iota: &Iota) -> Result<Rewrite> {
    let ty = b.tensor(b.func.result(op))?.clone();
    let size = ty.shape.get(iota.iota_dimension as usize);
    Ok(match size {
        Some(1) => b.constant_i(ty, 0).into(),
        _ => Rewrite::Keep,
    })
}

pub(super) fn reshape(b: &mut Builder<'_>, op: OpId) -> Result<Rewrite> {
    let x = operand(b, op, 0);
    let result = b.func.result(op);
    if b.ty(x) == b.ty(result) {
        return Ok(x.into());
    }
    let shape = b.tensor(result)?.shape.clone();
    if let Some((y, ())) = through(b, x, |k| (*k == OpKind::Reshape).then_some(())) {
        return Ok(b.reshape(y, &shape)?.into());
    }
    if let Some(literal) = constant(b, x).and_then(|l| l.reshaped(&shape)) {
        return Ok(b.constant(literal).into());
    }
    Ok(Rewrite::Keep)
}

pub(super) fn transpose(b: &mut Builder<'_>, op: OpId, t: &Transpose) -> Result<Rewrite> {
    let x = operand(b, op, 0);
    let ty = b.tensor(x)?.clone();
    if ty.extra.is_some() {
        return Ok(Rewrite::Keep);
    }
    if let Some((y, permutation)) = through(b, x, |k| match k {
        OpKind::Transpose(inner) => Some(
            t.permutation
                .iter()
                .map(|&d| inner.permutation[d as usize])
                .collect::<Dims>(),
        ),
        _ => None,
    }) {
        return Ok(b.transpose(y, &permutation)?.into());
    }
    let real: Dims = t
        .permutation
        .iter()
        .copied()
        .filter(|&d| ty.shape[d as usize] != 1)
        .collect();
    let shape = b.tensor(b.func.result(op))?.shape.clone();
    if real.is_sorted() {
        return Ok(b.reshape(x, &shape)?.into());
    }
    if let Some((y, dims)) = through(b, x, |k| match k {
        OpKind::BroadcastInDim(inner) => Some(inner.broadcast_dimensions.clone()),
        _ => None,
    }) {
        let position = |d: i64| t.permutation.iter().position(|&p| p == d).unwrap_or_default() as i64;
        let dims: Dims = dims.iter().map(|&d| position(d)).collect();
        return Ok(b.broadcast_in_dim(y, &shape, &dims)?.into());
    }
    if let Some(literal) = constant(b, x)
        && literal.splat_element().is_some()
        && let Some(literal) = literal.reshaped(&shape)
    {
        return Ok(b.constant(literal).into());
    }
    Ok(Rewrite::Keep)
}

pub(super) fn broadcast_in_dim(b: &mut Builder<'_>, op: OpId, k: &BroadcastInDim) -> Result<Rewrite> {
    let x = operand(b, op, 0);
    let (ty, result) = (b.tensor(x)?.clone(), b.tensor(b.func.result(op))?.clone());
    if ty.extra.is_some() || result.extra.is_some() || !result.is_static() || !ty.is_static() {
        return Ok(Rewrite::Keep);
    }
    let dims = &k.broadcast_dimensions;
    if let Some(literal) = constant(b, x)
        && let Some(element) = literal.splat_element()
        && let Some(literal) = ferrite_ir::literal::Literal::splat(result.clone(), element)
    {
        return Ok(b.constant(literal).into());
    }
    if let Some((y, inner)) = through(b, x, |k| match k {
        OpKind::BroadcastInDim(inner) => Some(inner.broadcast_dimensions.clone()),
        _ => None,
    }) {
        let dims: Dims = inner.iter().map(|&d| dims[d as usize]).collect();
        return Ok(b.broadcast_in_dim(y, &result.shape, &dims)?.into());
    }
    if ty.element_count() == result.element_count() {
        // Nothing is repeated: dimensions of size 1 come and others change places.
        let real: Dims = (0..ty.rank()).filter(|&d| ty.shape[d] != 1).map(|d| dims[d]).collect();
        if real.is_sorted() {
            return Ok(b.reshape(x, &result.shape)?.into());
        }
    }
    Ok(Rewrite::Keep)
}

pub(super) fn slice(b: &mut Builder<'_>, op: OpId, s: &Slice) -> Result<Rewrite> {
    let x = operand(b, op, 0);
    if b.ty(x) == b.ty(b.func.result(op)) && b.tensor(x)?.is_static() {
        return Ok(x.into());
    }
    if let Some((y, inner)) = through(b, x, |k| match k {
        OpKind::Slice(inner) => Some(inner.clone()),
        _ => None,
    }) {
        // Element i of the outer slice is element start + i * stride of the inner one. Saturation cannot be reached:
        // both slices lie in their operands.
        let rank = inner.start.len();
        let at = |d: usize, i: i64| inner.start[d].saturating_add(i.saturating_mul(inner.strides[d]));
        let result = b.tensor(b.func.result(op))?.shape.clone();
        let start: Dims = (0..rank).map(|d| at(d, s.start[d])).collect();
        let strides: Dims = (0..rank)
            .map(|d| s.strides[d].saturating_mul(inner.strides[d]))
            .collect();
        let limit: Dims = (0..rank)
            .map(|d| match result[d] {
                0 => start[d],
                n => start[d]
                    .saturating_add((n - 1).saturating_mul(strides[d]))
                    .saturating_add(1),
            })
            .collect();
        if let Ok(v) = b.slice(y, &start, &limit, &strides) {
            return Ok(v.into());
        }
    }
    if let Some(literal) = constant(b, x).cloned()
        && let Some(element) = literal.splat_element()
    {
        let ty = b.tensor(b.func.result(op))?.clone();
        if let Some(literal) = ferrite_ir::literal::Literal::splat(ty, element) {
            return Ok(b.constant(literal).into());
        }
    }
    Ok(Rewrite::Keep)
}

pub(super) fn pad(b: &mut Builder<'_>, op: OpId, p: &Pad) -> Result<Rewrite> {
    let x = operand(b, op, 0);
    let size = &b.tensor(x)?.shape;
    let nothing = p.low.iter().chain(&p.high).all(|&n| n == 0)
        && p.interior
            .iter()
            .zip(size)
            .all(|(&n, &size)| n == 0 || (0..=1).contains(&size));
    if nothing {
        return Ok(x.into());
    }
    // Padding a splat with its own value.
    if let (Some(x), Some(value)) = (constant(b, x), constant(b, operand(b, op, 1)))
        && x.splat_element().is_some_and(|e| e == value.element(0))
    {
        let ty = b.tensor(b.func.result(op))?.clone();
        if let Some(literal) = ferrite_ir::literal::Literal::splat(ty, value.element(0)) {
            return Ok(b.constant(literal).into());
        }
    }
    // Only cutting edges is a slice.
    let cuts = p.interior.iter().all(|&n| n == 0) && p.low.iter().chain(&p.high).all(|&n| n <= 0);
    if cuts && b.tensor(x)?.is_static() {
        let shape = b.tensor(x)?.shape.clone();
        let start: Dims = p.low.iter().map(|&n| n.saturating_neg()).collect();
        let limit: Dims = shape.iter().zip(&p.high).map(|(&n, &h)| n.saturating_add(h)).collect();
        let strides: Dims = shape.iter().map(|_| 1).collect();
        if let Ok(v) = b.slice(x, &start, &limit, &strides) {
            return Ok(v.into());
        }
    }
    Ok(Rewrite::Keep)
}

pub(super) fn concatenate(b: &mut Builder<'_>, op: OpId, c: &Concatenate) -> Result<Rewrite> {
    let operands = b.func.op(op).operands.clone();
    if let [x] = operands[..] {
        return Ok(x.into());
    }
    let along = c.dimension as usize;
    let full: Vec<ValueId> = operands
        .iter()
        .copied()
        .filter(|&v| b.tensor(v).map_or(true, |t| t.shape[along] != 0))
        .collect();
    if full.len() == operands.len() {
        return Ok(Rewrite::Keep);
    }
    match full[..] {
        [] => Ok(operands[0].into()),
        _ => Ok(b.concatenate(&full, c.dimension)?.into()),
    }
}

pub(super) fn reverse(b: &mut Builder<'_>, op: OpId, r: &Reverse) -> Result<Rewrite> {
    let x = operand(b, op, 0);
    let shape = b.tensor(x)?.shape.clone();
    let real: Dims = r
        .dimensions
        .iter()
        .copied()
        .filter(|&d| !(0..=1).contains(&shape[d as usize]))
        .collect();
    if real.is_empty() {
        return Ok(x.into());
    }
    if let Some((y, inner)) = through(b, x, |k| match k {
        OpKind::Reverse(inner) => Some(inner.dimensions.clone()),
        _ => None,
    }) {
        let dimensions: Dims = (0..shape.len() as i64)
            .filter(|d| inner.contains(d) != r.dimensions.contains(d))
            .collect();
        return Ok(b.op1(OpKind::Reverse(Reverse { dimensions }), &[y])?.into());
    }
    Ok(Rewrite::Keep)
}

/// The start indices from operand `first` on, if all are constants, clamped so that `sizes` elements fit.
fn constant_starts(b: &Builder<'_>, op: OpId, first: usize, shape: &[i64], sizes: &[i64]) -> Option<Dims> {
    let operands = &b.func.op(op).operands[first..];
    operands
        .iter()
        .zip(shape.iter().zip(sizes))
        .map(|(&v, (&of, &size))| {
            if of == size {
                return Some(0); // any index clamps to 0
            }
            let literal = constant(b, v)?;
            let unsigned = literal.ty().dtype.class() == ferrite_ir::dtype::DTypeClass::Unsigned;
            let start = literal.get_i64(0);
            // A u64 above the i64 range reads as negative.
            let start = if unsigned && start < 0 { i64::MAX } else { start };
            Some(start.clamp(0, of - size))
        })
        .collect()
}

pub(super) fn dynamic_slice(b: &mut Builder<'_>, op: OpId, s: &DynamicSlice) -> Result<Rewrite> {
    let x = operand(b, op, 0);
    let ty = b.tensor(x)?.clone();
    if !ty.is_static() {
        return Ok(Rewrite::Keep);
    }
    let Some(start) = constant_starts(b, op, 1, &ty.shape, &s.sizes) else {
        return Ok(Rewrite::Keep);
    };
    let limit: Dims = start.iter().zip(&s.sizes).map(|(a, b)| a + b).collect();
    let strides: Dims = start.iter().map(|_| 1).collect();
    Ok(b.slice(x, &start, &limit, &strides)?.into())
}

pub(super) fn dynamic_update_slice(b: &mut Builder<'_>, op: OpId) -> Result<Rewrite> {
    let (x, update) = (operand(b, op, 0), operand(b, op, 1));
    if b.ty(x) == b.ty(update) && b.tensor(x)?.is_static() {
        return Ok(update.into());
    }
    if b.tensor(update)?.shape.contains(&0) {
        return Ok(x.into());
    }
    Ok(Rewrite::Keep)
}

/// If a body of two arguments computes one binary operation of them, that operation.
pub(crate) fn binary_body(func: &Func, region: RegionId) -> Option<BinaryOp> {
    let region = func.region(region);
    let ([a, b], [op], [result]) = (&region.args[..], &region.ops[..], &region.results[..]) else {
        return None;
    };
    let op = func.op(*op);
    let OpKind::Binary(kind) = op.kind else { return None };
    let direct = op.operands[..] == [*a, *b] || (kind.is_commutative() && op.operands[..] == [*b, *a]);
    (direct && op.results[0] == *result).then_some(kind)
}

pub(super) fn reduce(b: &mut Builder<'_>, op: OpId, r: &Reduce) -> Result<Rewrite> {
    let [x, init] = b.func.op(op).operands[..] else {
        return Ok(Rewrite::Keep);
    };
    let ty = b.tensor(x)?.clone();
    let trivial = r.dimensions.iter().all(|&d| ty.shape[d as usize] == 1) && ty.is_static();
    let result = b.tensor(b.func.result(op))?.clone();
    if !trivial || result.dtype != ty.dtype {
        return Ok(Rewrite::Keep);
    }
    let Some(kind) = binary_body(b.func, b.func.op(op).regions[0]) else {
        return Ok(Rewrite::Keep);
    };
    // x + 0.0 is not x for x = -0.0: the operation itself says what becomes of it.
    let keeps = neutral(kind, &TensorType::scalar(ty.dtype));
    let same = constant(b, init).is_some_and(|c| Some(c) == keeps.as_ref());
    let exact = !(ty.dtype.is_float() && kind == BinaryOp::Add);
    let y = b.reshape(x, &result.shape)?;
    if same && exact {
        return Ok(y.into());
    }
    let init = b.broadcast_in_dim(init, &result.shape, &[])?;
    Ok(b.binary(kind, init, y)?.into())
}
