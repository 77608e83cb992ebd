//! Contractions: one operation with explicit dimension numbers, and transposes of operands folded into them.

use ferrite_ir::diag::Result;
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{
    BinaryOp, Builder, ComparisonDirection, Dims, Dot, DotDims, DotGeneral, OpId, OpKind, RaggedDot, TensorType,
    ValueId,
};

use super::operand;
use crate::hlo::rewrite::Rewrite;

pub(super) fn dot(b: &mut Builder<'_>, op: OpId, dot: &Dot) -> Result<Rewrite> {
    let (lhs, rhs) = (operand(b, op, 0), operand(b, op, 1));
    let last = b.tensor(lhs)?.rank() as i64 - 1;
    let general = OpKind::DotGeneral(DotGeneral {
        dims: DotDims {
            lhs_contracting: [last].into_iter().collect(),
            rhs_contracting: [0].into_iter().collect(),
            ..DotDims::default()
        },
        precision: dot.precision.clone(),
        algorithm: None,
    });
    let ty = b.tensor(b.func.result(op))?.clone();
    Ok(b.op1_as(general, &[lhs, rhs], ty)?.into())
}

/// Runs of a dimension, each with an operand of its own: the dot of each group with all else masked, joined. A ragged
/// batching dimension is a batching dimension.
pub(super) fn ragged_dot(b: &mut Builder<'_>, op: OpId, ragged: &RaggedDot) -> Result<Rewrite> {
    let (lhs, rhs, sizes) = (operand(b, op, 0), operand(b, op, 1), operand(b, op, 2));
    let ty = b.tensor(b.func.result(op))?.clone();
    let (left, right) = (b.tensor(lhs)?.clone(), b.tensor(rhs)?.clone());
    let counts = b.tensor(sizes)?.clone();
    let (&[d], &[groups]) = (&ragged.lhs_ragged[..], &counts.shape[..]) else {
        return Ok(Rewrite::Keep);
    };
    let whole = |dims: &DotDims| {
        OpKind::DotGeneral(DotGeneral {
            dims: dims.clone(),
            precision: ragged.precision.clone(),
            algorithm: None,
        })
    };
    if ragged.dims.lhs_batching.contains(&d) {
        return Ok(b.op1_as(whole(&ragged.dims), &[lhs, rhs], ty)?.into());
    }
    let contracted = ragged.dims.lhs_contracting.contains(&d);
    let along = &ragged.rhs_group[..];
    if groups == 0 || (!contracted && along.len() != 1) || !left.is_static() {
        return Ok(Rewrite::Keep);
    }
    let place = TensorType::new(DType::I32, &left.shape);
    let place = b.iota(place, d)?;
    let sizes = b.convert(sizes, DType::I32)?;
    let zero = b.constant_i(TensorType::scalar(DType::I32), 0);
    let (mut end, mut total): (ValueId, Option<ValueId>) = (zero, None);
    let mut parts = Vec::new();
    for group in 0..groups {
        let start = end;
        let size = b.slice_dim(sizes, 0, group, 1)?;
        let size = b.reshape(size, &[])?;
        let size = b.binary(BinaryOp::Maximum, size, zero)?;
        end = b.add(start, size)?;
        let (from, to) = (
            b.broadcast_in_dim(start, &left.shape, &[])?,
            b.broadcast_in_dim(end, &left.shape, &[])?,
        );
        let after = b.compare(ComparisonDirection::Ge, place, from)?;
        let before = b.compare(ComparisonDirection::Lt, place, to)?;
        let inside = b.binary(BinaryOp::And, after, before)?;
        let nothing = b.like_i(lhs, 0)?;
        let own = b.select(inside, lhs, nothing)?;
        if contracted {
            let mut shape = ty.shape.clone();
            shape.remove(0);
            let product = b.op1_as(whole(&ragged.dims), &[own, rhs], TensorType::new(ty.dtype, &shape))?;
            parts.push(b.reshape(product, &[&[1], &shape[..]].concat())?);
            continue;
        }
        let g = along[0];
        let other = b.slice_dim(rhs, g as usize, group, 1)?;
        let mut shape = right.shape.clone();
        shape.remove(g as usize);
        let other = b.reshape(other, &shape)?;
        let mut dims = ragged.dims.clone();
        let moved = dims.rhs_batching.iter_mut().chain(dims.rhs_contracting.iter_mut());
        moved.filter(|x| **x > g).for_each(|x| *x -= 1);
        // Rows of other groups are zero: the sum puts each where it belongs.
        let product = b.op1_as(whole(&dims), &[own, other], ty.clone())?;
        total = Some(match total {
            Some(sum) => b.add(sum, product)?,
            None => product,
        });
    }
    Ok(match total {
        Some(sum) => sum.into(),
        None => b.concatenate(&parts, 0)?.into(),
    })
}

/// Reads the operand of a transpose directly where the free dimensions keep their order: batching and contracting
/// dimensions are named by number, so they may lie anywhere.
pub(super) fn dot_general(b: &mut Builder<'_>, op: OpId, dot: &DotGeneral) -> Result<Rewrite> {
    let mut dims = dot.dims.clone();
    let mut operands = [operand(b, op, 0), operand(b, op, 1)];
    let mut changed = false;
    for (side, v) in operands.iter_mut().enumerate() {
        let Some(def) = b.func.def(*v) else { continue };
        let OpKind::Transpose(t) = &b.func.op(def).kind else {
            continue;
        };
        let p = &t.permutation;
        let free = if side == 0 {
            dims.lhs_free(p.len())
        } else {
            dims.rhs_free(p.len())
        };
        let source: Dims = free.iter().map(|&d| p[d as usize]).collect();
        if !source.is_sorted() {
            continue;
        }
        let (batching, contracting) = if side == 0 {
            (&mut dims.lhs_batching, &mut dims.lhs_contracting)
        } else {
            (&mut dims.rhs_batching, &mut dims.rhs_contracting)
        };
        batching
            .iter_mut()
            .chain(contracting.iter_mut())
            .for_each(|d| *d = p[*d as usize]);
        *v = b.func.op(def).operands[0];
        changed = true;
    }
    if let Some(product) = product(b, op, &operands, &dims)? {
        return Ok(product.into());
    }
    if !changed {
        return Ok(Rewrite::Keep);
    }
    let kind = OpKind::DotGeneral(DotGeneral { dims, ..dot.clone() });
    let ty = b.tensor(b.func.result(op))?.clone();
    Ok(b.op1_as(kind, &operands, ty)?.into())
}

/// A `dot_general` that contracts nothing is a multiplication of broadcast operands.
fn product(b: &mut Builder<'_>, op: OpId, operands: &[ValueId; 2], dims: &DotDims) -> Result<Option<ValueId>> {
    let result = b.tensor(b.func.result(op))?.clone();
    let (lhs, rhs) = (b.tensor(operands[0])?.clone(), b.tensor(operands[1])?.clone());
    let whole = dims.lhs_contracting.is_empty() && lhs.dtype == result.dtype && rhs.dtype == result.dtype;
    if !whole || !result.is_static() {
        return Ok(None);
    }
    let batching = dims.lhs_batching.len() as i64;
    let (lhs_free, rhs_free) = (dims.lhs_free(lhs.rank()), dims.rhs_free(rhs.rank()));
    // Result dimension of every operand dimension, then the operand with its dimensions in that order.
    let mut place = |v: ValueId, batch: &Dims, free: &Dims, first: i64| -> Result<ValueId> {
        let order: Dims = batch.iter().chain(free).copied().collect();
        let v = b.transpose(v, &order)?;
        let to: Dims = (0..batching).chain(first..first + free.len() as i64).collect();
        Ok(b.broadcast_in_dim(v, &result.shape, &to)?)
    };
    let x = place(operands[0], &dims.lhs_batching, &lhs_free, batching)?;
    let y = place(
        operands[1],
        &dims.rhs_batching,
        &rhs_free,
        batching + lhs_free.len() as i64,
    )?;
    Ok(Some(b.mul(x, y)?))
}
