//! Computes operations on constants, where the result is exact.
//!
//! Before                              After
//!   %1 = constant 2.0                   %3 = constant 6.0
//!   %2 = constant 3.0
//!   %3 = multiply %1, %2
//!
//! Splats of any size fold to splats; other constants and iotas fold while the result has at most [`MAX_ELEMENTS`]
//! elements, and conversions, transposes and the like also where the result takes no more bytes than the operand.
//! Arithmetic is exact or correctly rounded: functions that engines approximate (exp, tanh, ...) are not folded.
//!
//! Needs: verified `hlo`. Leaves: verified `hlo`; unused constants to `remove-dead-ops`.
//! Never: changes a result, the sign of a zero included.

mod arithmetic;
mod shape;

use ferrite_ir::diag::Result;
use ferrite_ir::hlo::{Builder, Module, OpId, OpKind, TensorType, ValueId};
use ferrite_ir::literal::{Literal, write_i64};

use super::rewrite::{Rewrite, rewrite_module};
use crate::pass::{Changed, HloPass, PassContext};

/// Results of other than splats fold up to this many elements: index tensors and tables, not weights.
const MAX_ELEMENTS: usize = 1024;

/// Conversions and movement of larger constants fold up to this many elements.
const MAX_MOVED: usize = 1 << 26;

/// See the module's own text.
pub struct FoldConstants;

impl HloPass for FoldConstants {
    const NAME: &'static str = "fold-constants";
    const DOC: &'static str = "Computes operations on constants, where the result is exact and small.";

    fn run(&self, module: &mut Module, _: &mut PassContext<'_>) -> Result<Changed> {
        rewrite_module(module, |b, op| {
            Ok(match fold(b, op) {
                Some(literal) => b.constant(literal).into(),
                None => Rewrite::Keep,
            })
        })
    }
}

fn fold(b: &Builder<'_>, op: OpId) -> Option<Literal> {
    use OpKind::*;
    let op = b.func.op(op);
    let ([result], false) = (&op.results[..], op.operands.is_empty()) else {
        return None;
    };
    let ty = b.ty(*result).tensor()?;
    if !ty.is_static() || ty.extra.is_some() {
        return None;
    }
    if !matches!(
        op.kind,
        Unary(_)
            | Binary(_)
            | Compare(_)
            | Select
            | Convert
            | BitcastConvert
            | Reshape
            | Transpose(_)
            | BroadcastInDim(_)
            | Slice(_)
            | Concatenate(_)
            | Pad(_)
            | Reverse(_)
            | Reduce(_)
    ) {
        return None;
    }
    let operands: Vec<Literal> = op.operands.iter().map(|&v| known(b, v)).collect::<Option<_>>()?;
    let moved = matches!(op.kind, Convert | Reshape | Transpose(_) | Slice(_) | Reverse(_));
    let shrinks = moved && ty.element_count() <= MAX_MOVED && ty.byte_size() <= operands[0].ty().byte_size();
    let splats = operands.iter().all(Literal::is_splat);
    // One element stands for all where every operand is a splat and no element moves.
    let count = match &op.kind {
        Unary(_) | Binary(_) | Compare(_) | Select | Convert if splats => 1,
        _ if ty.element_count() <= MAX_ELEMENTS || shrinks || splats => ty.element_count(),
        _ => return None,
    };
    match &op.kind {
        Unary(u) => arithmetic::unary(*u, &operands[0], ty, count),
        Binary(k) => arithmetic::binary(*k, &operands[0], &operands[1], ty, count),
        Compare(c) => arithmetic::compare(c, &operands[0], &operands[1], ty, count),
        Select => arithmetic::select(&operands[0], &operands[1], &operands[2], ty, count),
        Convert => arithmetic::convert(&operands[0], ty, count),
        BitcastConvert => shape::bitcast(&operands[0], ty),
        Reshape => operands[0].reshaped(&ty.shape),
        Transpose(t) => shape::transpose(&operands[0], ty, &t.permutation),
        BroadcastInDim(k) => shape::broadcast(&operands[0], ty, &k.broadcast_dimensions),
        Slice(s) => shape::slice(&operands[0], ty, s),
        Concatenate(c) => shape::concatenate(&operands, ty, c.dimension as usize),
        Pad(p) => shape::pad(&operands[0], &operands[1], ty, p),
        Reverse(r) => shape::reverse(&operands[0], ty, &r.dimensions),
        Reduce(r) if op.operands.len() == 2 => {
            let kind = super::canonicalize::binary_body(b.func, op.regions[0])?;
            arithmetic::reduce(kind, &operands[0], &operands[1], ty, &r.dimensions)
        }
        _ => None,
    }
}

/// The constant that a value is; small iotas are written out.
fn known(b: &Builder<'_>, v: ValueId) -> Option<Literal> {
    match b.func.def_kind(v)? {
        OpKind::Constant(literal) if literal.ty().extra.is_none() => Some(literal.clone()),
        OpKind::Iota(iota) => {
            let ty = b.ty(v).tensor()?;
            (ty.element_count() <= MAX_ELEMENTS && ty.is_static() && !ty.dtype.is_complex())
                .then(|| written_out(ty, iota.iota_dimension as usize))
                .flatten()
        }
        _ => None,
    }
}

fn written_out(ty: &TensorType, dimension: usize) -> Option<Literal> {
    let stride = ty.strides()[dimension];
    let size = ty.shape[dimension];
    let mut bytes = vec![0u8; ty.byte_size()];
    for (i, out) in bytes.chunks_exact_mut(ty.dtype.bytes()).enumerate() {
        write_i64(ty.dtype, i as i64 / stride % size, out);
    }
    Literal::new(ty.clone(), bytes)
}

/// A literal whose element `i` is what `f` writes; splats where `count` is 1.
fn each(ty: &TensorType, count: usize, mut f: impl FnMut(usize, &mut [u8]) -> Option<()>) -> Option<Literal> {
    let size = ty.dtype.bytes();
    let mut bytes = vec![0u8; size * count];
    for (i, out) in bytes.chunks_exact_mut(size).enumerate() {
        f(i, out)?;
    }
    Literal::new(ty.clone(), bytes)
}

#[cfg(test)]
mod tests;
