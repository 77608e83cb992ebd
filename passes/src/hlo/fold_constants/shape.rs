//! Movement of constants, byte for byte.

use ferrite_ir::hlo::{Dims, Pad, Slice, TensorType};
use ferrite_ir::literal::Literal;

/// A literal of type `ty` whose element at an index is the element of `x` at `base + index * steps`.
fn strided(x: &Literal, ty: &TensorType, base: i64, steps: &[i64]) -> Option<Literal> {
    if x.is_splat() {
        return Literal::splat(ty.clone(), x.element(0));
    }
    let size = ty.dtype.bytes();
    let mut bytes = Vec::with_capacity(ty.byte_size());
    let rank = ty.rank();
    let mut index: Dims = ty.shape.iter().map(|_| 0).collect();
    let mut at = base;
    for _ in 0..ty.element_count() {
        bytes.extend_from_slice(x.element(usize::try_from(at).ok()?));
        for d in (0..rank).rev() {
            index[d] += 1;
            at += steps[d];
            if index[d] < ty.shape[d] {
                break;
            }
            at -= index[d] * steps[d];
            index[d] = 0;
        }
    }
    debug_assert_eq!(bytes.len(), size * ty.element_count());
    Literal::new(ty.clone(), bytes)
}

pub(super) fn transpose(x: &Literal, ty: &TensorType, permutation: &[i64]) -> Option<Literal> {
    let strides = x.ty().strides();
    let steps: Dims = permutation.iter().map(|&d| strides[d as usize]).collect();
    strided(x, ty, 0, &steps)
}

pub(super) fn broadcast(x: &Literal, ty: &TensorType, dims: &[i64]) -> Option<Literal> {
    let strides = x.ty().strides();
    let mut steps: Dims = ty.shape.iter().map(|_| 0).collect();
    for (d, &to) in dims.iter().enumerate() {
        if x.ty().shape[d] != 1 {
            steps[to as usize] = strides[d];
        }
    }
    strided(x, ty, 0, &steps)
}

pub(super) fn slice(x: &Literal, ty: &TensorType, s: &Slice) -> Option<Literal> {
    let strides = x.ty().strides();
    let base = s.start.iter().zip(&strides).map(|(a, b)| a * b).sum();
    let steps: Dims = s
        .strides
        .iter()
        .zip(&strides)
        .map(|(a, b)| a.saturating_mul(*b))
        .collect();
    // A step over a dimension of one element is never taken, however large.
    let steps: Dims = steps
        .iter()
        .zip(&ty.shape)
        .map(|(&s, &n)| if n <= 1 { 0 } else { s })
        .collect();
    strided(x, ty, base, &steps)
}

pub(super) fn reverse(x: &Literal, ty: &TensorType, dims: &[i64]) -> Option<Literal> {
    let mut steps = x.ty().strides();
    let mut base = 0;
    for &d in dims {
        let d = d as usize;
        base += (ty.shape[d] - 1).max(0) * steps[d];
        steps[d] = -steps[d];
    }
    strided(x, ty, base, &steps)
}

pub(super) fn concatenate(operands: &[Literal], ty: &TensorType, dimension: usize) -> Option<Literal> {
    let first = operands.first()?.element_if_splat();
    if first.is_some() && operands.iter().all(|l| l.element_if_splat() == first) {
        return Literal::splat(ty.clone(), first?);
    }
    let size = ty.dtype.bytes();
    let outer: i64 = ty.shape[..dimension].iter().product();
    let parts: Vec<_> = operands.iter().map(Literal::to_bytes).collect();
    let mut bytes = Vec::with_capacity(ty.byte_size());
    for i in 0..outer as usize {
        for (literal, part) in operands.iter().zip(&parts) {
            let chunk = literal.ty().shape[dimension..].iter().product::<i64>() as usize * size;
            bytes.extend_from_slice(&part[i * chunk..(i + 1) * chunk]);
        }
    }
    Literal::new(ty.clone(), bytes)
}

pub(super) fn pad(x: &Literal, value: &Literal, ty: &TensorType, p: &Pad) -> Option<Literal> {
    if x.is_splat() && x.element(0) == value.element(0) {
        return Literal::splat(ty.clone(), value.element(0));
    }
    if ty.element_count() > super::MAX_ELEMENTS {
        return None;
    }
    let (from, strides) = (x.ty(), ty.strides());
    let mut bytes = value.element(0).repeat(ty.element_count());
    let size = ty.dtype.bytes();
    let source = from.strides();
    'elements: for i in 0..from.element_count() {
        let mut at = 0;
        for d in 0..from.rank() {
            let index = i as i64 / source[d] % from.shape[d];
            let to = p.low[d].checked_add(index.checked_mul(p.interior[d].checked_add(1)?)?)?;
            if !(0..ty.shape[d]).contains(&to) {
                continue 'elements;
            }
            at += (to * strides[d]) as usize;
        }
        bytes[at * size..(at + 1) * size].copy_from_slice(x.element(i));
    }
    Literal::new(ty.clone(), bytes)
}

pub(super) fn bitcast(x: &Literal, ty: &TensorType) -> Option<Literal> {
    if x.is_splat() && x.ty().dtype.bytes() == ty.dtype.bytes() && x.ty().shape == ty.shape {
        return Literal::splat(ty.clone(), x.element(0));
    }
    // Types of less than a byte are stored in one each: their bits cannot be split like this.
    let whole = |d: ferrite_ir::dtype::DType| d.bits().is_multiple_of(8);
    (whole(x.ty().dtype) && whole(ty.dtype))
        .then(|| Literal::new(ty.clone(), x.to_bytes()))
        .flatten()
}

/// What a literal tells about its elements without looking at them.
trait SplatElement {
    /// The element, if one is stored for all.
    fn element_if_splat(&self) -> Option<&[u8]>;
}

impl SplatElement for Literal {
    fn element_if_splat(&self) -> Option<&[u8]> {
        self.is_splat().then(|| self.element(0))
    }
}
