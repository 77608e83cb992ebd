//! Contractions: one operation with explicit dimension numbers, and transposes of operands folded into them.

use ferrite_ir::diag::Result;
use ferrite_ir::hlo::{Builder, Dims, Dot, DotDims, DotGeneral, OpId, OpKind, ValueId};

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
