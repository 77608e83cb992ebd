//! `dot_general` and its relatives, as batches of matrix products.

use ferrite_ir::diag::Result;
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{DotDims, RaggedDot, TensorType};
use rayon::prelude::*;

use crate::indexing::for_each_index;
use crate::matrix::{Element, Mat};
use crate::movement;
use crate::tensor::{Tensor, row_major, usizes};
use crate::{invalid, unsupported};

/// Floating-point operations up to which `f32` products are taken in `f64` and rounded once.
const ACCURATE: usize = 1 << 27;

/// In what type a product of two dtypes is computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Compute {
    F32,
    F64,
    I64,
    Complex,
    /// Small integers, exact in `f64`.
    IntInF64,
}

/// Chooses the type; `flops` is twice the number of multiplications, `terms` the length of one sum.
pub(crate) fn compute_type(a: DType, b: DType, out: DType, flops: usize, terms: usize) -> Compute {
    if a.is_complex() || b.is_complex() {
        Compute::Complex
    } else if a.is_float() || b.is_float() || out.is_float() {
        let wide = [a, b, out].contains(&DType::F64);
        if wide || flops <= ACCURATE {
            Compute::F64
        } else {
            Compute::F32
        }
    } else if a.bits() + b.bits() + (usize::BITS - terms.leading_zeros()) as usize <= 52 {
        Compute::IntInF64
    } else {
        Compute::I64
    }
}

/// Runs `$body` with `$x` and `$y` as slices of the compute type and makes a tensor of the vector it gives.
macro_rules! with_elements {
    ($compute:expr, $ty:expr, ($a:expr, $b:expr) => |$x:ident, $y:ident| $body:expr) => {{
        use $crate::contraction::Compute;
        use $crate::tensor::Tensor;
        match $compute {
            Compute::F32 => {
                let (p, q) = ($a.to_f32s(), $b.to_f32s());
                let ($x, $y): (&[f32], &[f32]) = (&p, &q);
                Tensor::from_f32s($ty, $body)
            }
            Compute::F64 => {
                let (p, q) = ($a.to_f64s(), $b.to_f64s());
                let ($x, $y): (&[f64], &[f64]) = (&p, &q);
                Tensor::from_f64s($ty, $body)
            }
            Compute::IntInF64 => {
                let (p, q) = ($a.to_f64s(), $b.to_f64s());
                let ($x, $y): (&[f64], &[f64]) = (&p, &q);
                Tensor::from_i64s($ty, $body.into_iter().map(|v: f64| v as i64).collect())
            }
            Compute::I64 => {
                let (p, q) = ($a.to_i64s(), $b.to_i64s());
                let ($x, $y): (&[i64], &[i64]) = (&p, &q);
                Tensor::from_i64s($ty, $body)
            }
            Compute::Complex => {
                let (p, q) = ($a.to_complex(), $b.to_complex());
                let ($x, $y): (&[num_complex::Complex64], &[num_complex::Complex64]) = (&p, &q);
                Tensor::from_complex($ty, $body)
            }
        }
    }};
}
pub(crate) use with_elements;

/// One stride that walks a group of dimensions in row-major order, if there is one.
fn group_stride(shape: &[usize], strides: &[isize], dims: &[i64]) -> Option<isize> {
    let mut merged: Option<isize> = None; // stride of the innermost dimension so far, going outwards
    let mut expected = 0;
    for &d in dims.iter().rev() {
        let (size, stride) = (shape[d as usize], strides[d as usize]);
        if size == 1 {
            continue;
        }
        match merged {
            None => merged = Some(stride),
            Some(_) if stride == expected => {}
            Some(_) => return None,
        }
        expected = stride * size as isize;
    }
    Some(merged.unwrap_or(1))
}

/// One operand of a contraction with its dimensions in three groups.
struct Side<'a> {
    shape: Vec<usize>,
    batch: &'a [i64],
    outer: &'a [i64],
    inner: &'a [i64],
}

impl Side<'_> {
    fn size(&self, dims: &[i64]) -> usize {
        dims.iter().map(|&d| self.shape[d as usize]).product()
    }

    /// Offsets of all batches and the strides of the two groups, copying to `storage` if no strides fit.
    fn lay_out<'d, T: Copy>(&self, data: &'d [T], storage: &'d mut Vec<T>) -> (&'d [T], Vec<isize>, isize, isize) {
        let strides = row_major(&self.shape);
        let offsets = |shape: &[usize], strides: &[isize]| {
            let mut offsets = Vec::new();
            let done = for_each_index(shape, |index| {
                offsets.push(index.iter().zip(strides).map(|(&i, &s)| i as isize * s).sum());
                Ok(())
            });
            debug_assert!(done.is_ok());
            offsets
        };
        let outer = group_stride(&self.shape, &strides, self.outer);
        let inner = group_stride(&self.shape, &strides, self.inner);
        if let (Some(outer), Some(inner)) = (outer, inner) {
            let shape: Vec<usize> = self.batch.iter().map(|&d| self.shape[d as usize]).collect();
            let steps: Vec<isize> = self.batch.iter().map(|&d| strides[d as usize]).collect();
            return (data, offsets(&shape, &steps), outer, inner);
        }
        let order = self.batch.iter().chain(self.outer).chain(self.inner);
        let access = movement::Access {
            offset: 0,
            shape: order.clone().map(|&d| self.shape[d as usize]).collect(),
            strides: order.map(|&d| strides[d as usize]).collect(),
        };
        *storage = movement::read(data, &access);
        let (columns, matrix) = (self.size(self.inner), self.size(self.outer) * self.size(self.inner));
        let starts = (0..self.size(self.batch)).map(|b| (b * matrix) as isize).collect();
        (storage, starts, columns as isize, 1)
    }
}

/// The product as `[batch, m, n]` elements.
fn contract<T: Element>(a: &[T], b: &[T], left: &Side, right: &Side) -> Vec<T> {
    let (m, k, n) = (left.size(left.outer), left.size(left.inner), right.size(right.inner));
    let batches = left.size(left.batch);
    let (mut store_a, mut store_b) = (Vec::new(), Vec::new());
    let (a, a_offsets, a_row, a_column) = left.lay_out(a, &mut store_a);
    let (b, b_offsets, b_row, b_column) = right.lay_out(b, &mut store_b);
    let mut out = vec![T::default(); batches * m * n];
    if out.is_empty() {
        return out;
    }
    let heavy = m * n * k > 1 << 20;
    let one = |(i, out): (usize, &mut [T]), threads: bool| {
        let x = Mat {
            data: a,
            offset: a_offsets[i],
            row: a_row,
            column: a_column,
        };
        let y = Mat {
            data: b,
            offset: b_offsets[i],
            row: b_row,
            column: b_column,
        };
        T::product([m, k, n], x, y, out, n, threads);
    };
    if batches > 1 && batches * m * n * k > 1 << 18 {
        out.par_chunks_mut(m * n).enumerate().for_each(|item| one(item, false));
    } else {
        out.chunks_mut(m * n).enumerate().for_each(|item| one(item, heavy));
    }
    out
}

/// `dot_general`; the result has dtype `out`. Precision and algorithm say how precise a product has to be at least;
/// here it is as precise as its types allow.
pub(crate) fn dot_general(dims: &DotDims, a: &Tensor, b: &Tensor, out: DType) -> Result<Tensor> {
    let (lhs, rhs) = (usizes(a.shape()), usizes(b.shape()));
    let mut used = [vec![false; lhs.len()], vec![false; rhs.len()]];
    let sides = [
        (&dims.lhs_batching, &dims.lhs_contracting),
        (&dims.rhs_batching, &dims.rhs_contracting),
    ];
    let mut fits =
        dims.lhs_batching.len() == dims.rhs_batching.len() && dims.lhs_contracting.len() == dims.rhs_contracting.len();
    for (used, (batch, contracting)) in used.iter_mut().zip(sides) {
        for &d in batch.iter().chain(contracting) {
            fits &= used.get(d as usize) == Some(&false);
            if let Some(seen) = used.get_mut(d as usize) {
                *seen = true;
            }
        }
    }
    let pairs = |l: &[i64], r: &[i64]| l.iter().zip(r).all(|(&l, &r)| lhs[l as usize] == rhs[r as usize]);
    if !fits || !pairs(&dims.lhs_batching, &dims.rhs_batching) || !pairs(&dims.lhs_contracting, &dims.rhs_contracting) {
        return Err(invalid(format!(
            "`stablehlo.dot_general` cannot contract {} with {}",
            a.ty(),
            b.ty()
        )));
    }
    let (lhs_free, rhs_free) = (dims.lhs_free(lhs.len()), dims.rhs_free(rhs.len()));
    let left = Side {
        shape: lhs,
        batch: &dims.lhs_batching,
        outer: &lhs_free,
        inner: &dims.lhs_contracting,
    };
    let right = Side {
        shape: rhs,
        batch: &dims.rhs_batching,
        outer: &dims.rhs_contracting,
        inner: &rhs_free,
    };
    let shape = dims
        .lhs_batching
        .iter()
        .chain(&lhs_free)
        .map(|&d| left.shape[d as usize] as i64);
    let shape: Vec<i64> = shape
        .chain(rhs_free.iter().map(|&d| right.shape[d as usize] as i64))
        .collect();
    let ty = TensorType::new(out, &shape);
    crate::check_size(&ty)?;
    let terms = left.size(left.inner);
    let flops = 2usize.saturating_mul(ty.element_count()).saturating_mul(terms);
    let compute = compute_type(a.dtype(), b.dtype(), out, flops, terms);
    Ok(with_elements!(compute, ty, (a, b) => |x, y| contract(x, y, &left, &right)))
}

/// `dot`: the last dimension of the left with the first of the right.
pub(crate) fn dot(a: &Tensor, b: &Tensor, out: DType) -> Result<Tensor> {
    if a.shape().is_empty() || b.shape().is_empty() {
        return Err(invalid(format!("`stablehlo.dot` of {} and {}", a.ty(), b.ty())));
    }
    let dims = DotDims {
        lhs_contracting: [a.shape().len() as i64 - 1].as_slice().into(),
        rhs_contracting: [0].as_slice().into(),
        ..DotDims::default()
    };
    dot_general(&dims, a, b, out)
}

/// `chlo.ragged_dot`. Groups are consecutive runs of the ragged dimension, of the lengths in `sizes`.
pub(crate) fn ragged_dot(attrs: &RaggedDot, a: &Tensor, b: &Tensor, sizes: &Tensor, out: DType) -> Result<Tensor> {
    let [ragged] = attrs.lhs_ragged[..] else {
        return Err(invalid("`chlo.ragged_dot` needs exactly one ragged dimension"));
    };
    if sizes.shape().len() != 1 || ragged < 0 || ragged as usize >= a.shape().len() {
        return Err(unsupported("`chlo.ragged_dot` with group sizes per batch"));
    }
    if attrs.dims.lhs_batching.contains(&ragged) {
        return dot_general(&attrs.dims, a, b, out);
    }
    let mut parts = Vec::new();
    let mut start = 0i64;
    let end_of_dim = a.shape()[ragged as usize];
    let wide = if out.is_float() { DType::F64 } else { DType::I64 };
    for &size in sizes.to_i64s().iter() {
        let end = start.saturating_add(size.max(0)).min(end_of_dim);
        let a = masked(a, ragged as usize, start, end)?;
        start = end;
        if attrs.dims.lhs_contracting.contains(&ragged) {
            let product = dot_general(&attrs.dims, &a, b, out)?;
            let mut shape = vec![1];
            shape.extend(product.shape());
            parts.push(movement::reshape(&product, &shape)?);
            continue;
        }
        let [group] = attrs.rhs_group[..] else {
            return Err(invalid(
                "`chlo.ragged_dot` needs exactly one group dimension on the right",
            ));
        };
        let (b, dims) = group_of(b, group, parts.len() as i64, &attrs.dims)?;
        parts.push(dot_general(&dims, &a, &b, wide)?);
    }
    if attrs.dims.lhs_contracting.contains(&ragged) {
        return movement::concatenate(&parts.iter().collect::<Vec<_>>(), 0);
    }
    let mut sum: Option<Tensor> = None;
    for part in parts {
        sum = Some(match sum {
            Some(sum) => crate::elementwise::binary(ferrite_ir::hlo::BinaryOp::Add, &sum, &part)?,
            None => part,
        });
    }
    match sum {
        Some(sum) => Ok(crate::elementwise::convert(&sum, out)),
        None => Err(unsupported("`chlo.ragged_dot` without groups")),
    }
}

/// Keeps `start..end` of a dimension and sets the rest to zero.
fn masked(x: &Tensor, dim: usize, start: i64, end: i64) -> Result<Tensor> {
    let mut low = vec![0; x.shape().len()];
    let mut limit = x.shape().to_vec();
    (low[dim], limit[dim]) = (start, end);
    let kept = movement::slice(x, &low, &limit, &vec![1; low.len()])?;
    let mut pad_low = vec![0; low.len()];
    let mut pad_high = vec![0; low.len()];
    (pad_low[dim], pad_high[dim]) = (start, x.shape()[dim] - end);
    let pad = ferrite_ir::hlo::Pad {
        low: pad_low.as_slice().into(),
        high: pad_high.as_slice().into(),
        interior: vec![0; low.len()].as_slice().into(),
    };
    movement::pad(&kept, &Tensor::zeros(TensorType::scalar(x.dtype())), &pad)
}

/// Group `index` of the right operand without its group dimension, with dimension numbers to match.
fn group_of(b: &Tensor, group: i64, index: i64, dims: &DotDims) -> Result<(Tensor, DotDims)> {
    let g = group as usize;
    if group < 0 || g >= b.shape().len() || index >= b.shape()[g] {
        return Err(invalid(format!("`chlo.ragged_dot` has no group {index} in {}", b.ty())));
    }
    let mut low = vec![0; b.shape().len()];
    let mut limit = b.shape().to_vec();
    (low[g], limit[g]) = (index, index + 1);
    let part = movement::slice(b, &low, &limit, &vec![1; low.len()])?;
    let mut shape = b.shape().to_vec();
    shape.remove(g);
    let lower = |d: &i64| if *d > group { d - 1 } else { *d };
    let mut dims = dims.clone();
    dims.rhs_batching = dims.rhs_batching.iter().map(lower).collect();
    dims.rhs_contracting = dims.rhs_contracting.iter().map(lower).collect();
    Ok((movement::reshape(&part, &shape)?, dims))
}

/// `einsum` of two operands, or of one.
pub(crate) fn einsum(config: &str, operands: &[&Tensor], out: DType) -> Result<Tensor> {
    let bad = || invalid(format!("einsum `{config}` does not fit its operands"));
    let text: String = config.chars().filter(|c| !c.is_whitespace()).collect();
    let (inputs, result) = text.split_once("->").ok_or_else(bad)?;
    if text.contains('.') {
        return Err(unsupported(format!("einsum `{config}` with an ellipsis")).help("name all dimensions"));
    }
    let inputs: Vec<Vec<char>> = inputs.split(',').map(|s| s.chars().collect()).collect();
    let result: Vec<char> = result.chars().collect();
    if inputs.len() != operands.len() || inputs.iter().zip(operands).any(|(n, t)| n.len() != t.shape().len()) {
        return Err(bad());
    }
    let distinct = |names: &[char]| names.iter().enumerate().all(|(i, c)| !names[..i].contains(c));
    if !inputs.iter().all(|n| distinct(n)) || !distinct(&result) {
        return Err(unsupported(format!(
            "einsum `{config}` with a repeated index in one operand"
        )));
    }
    let (mut names, mut product) = match (&inputs[..], operands) {
        ([a], [x]) => (a.clone(), (*x).clone()),
        ([a, b], [x, y]) => {
            let at = |names: &[char], c: char| names.iter().position(|&n| n == c).map(|i| i as i64);
            let mut dims = DotDims::default();
            for (i, &c) in a.iter().enumerate() {
                let Some(j) = at(b, c) else { continue };
                if result.contains(&c) {
                    dims.lhs_batching.push(i as i64);
                    dims.rhs_batching.push(j);
                } else {
                    dims.lhs_contracting.push(i as i64);
                    dims.rhs_contracting.push(j);
                }
            }
            let mut names: Vec<char> = dims.lhs_batching.iter().map(|&d| a[d as usize]).collect();
            names.extend(a.iter().filter(|c| !b.contains(c)));
            names.extend(b.iter().filter(|c| !a.contains(c)));
            (names, dot_general(&dims, x, y, out)?)
        }
        _ => return Err(bad()),
    };
    let summed: Vec<i64> = (0..names.len())
        .filter(|&d| !result.contains(&names[d]))
        .map(|d| d as i64)
        .collect();
    if !summed.is_empty() {
        product = crate::reduce::reduce_simple(ferrite_ir::hlo::BinaryOp::Add, &product, None, &summed, out)?;
        names.retain(|c| result.contains(c));
    }
    let order: Option<Vec<i64>> = result
        .iter()
        .map(|c| names.iter().position(|n| n == c).map(|i| i as i64))
        .collect();
    movement::transpose(&product, &order.ok_or_else(bad)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f(shape: &[i64], values: &[f32]) -> Tensor {
        match Tensor::from_f32(shape, values) {
            Some(t) => t,
            None => panic!("wrong number of values"),
        }
    }

    #[test]
    fn a_batched_product_with_scattered_dimensions() {
        // lhs[k, b, m], rhs[b, n, k]: sum over k, checked against the definition.
        let (k, b, m, n) = (3, 2, 4, 5);
        let lhs: Vec<f32> = (0..k * b * m).map(|i| (i % 7) as f32).collect();
        let rhs: Vec<f32> = (0..b * n * k).map(|i| (i % 5) as f32 - 2.0).collect();
        let dims = DotDims {
            lhs_batching: [1].as_slice().into(),
            rhs_batching: [0].as_slice().into(),
            lhs_contracting: [0].as_slice().into(),
            rhs_contracting: [2].as_slice().into(),
        };
        let x = f(&[k as i64, b as i64, m as i64], &lhs);
        let y = f(&[b as i64, n as i64, k as i64], &rhs);
        let mut want = Vec::new();
        for ib in 0..b {
            for im in 0..m {
                for i_n in 0..n {
                    want.push(
                        (0..k)
                            .map(|ik| lhs[(ik * b + ib) * m + im] * rhs[(ib * n + i_n) * k + ik])
                            .sum::<f32>(),
                    );
                }
            }
        }
        assert_eq!(
            dot_general(&dims, &x, &y, DType::F32),
            Ok(f(&[b as i64, m as i64, n as i64], &want))
        );
    }

    #[test]
    fn small_integers_wrap_in_the_result_type() {
        let x = Tensor::from_i64s(TensorType::new(DType::I8, &[1, 2]), vec![100, 100]);
        let y = Tensor::from_i64s(TensorType::new(DType::I8, &[2, 1]), vec![2, 1]);
        assert_eq!(dot(&x, &y, DType::I8).map(|t| t.get_i64(0)), Ok(44));
        assert_eq!(dot(&x, &y, DType::I32).map(|t| t.get_i64(0)), Ok(300));
    }

    #[test]
    fn einsum_sums_and_transposes() {
        let x = f(&[2, 2], &[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(
            einsum("ij,jk->ki", &[&x, &x], DType::F32),
            Ok(f(&[2, 2], &[7.0, 15.0, 10.0, 22.0]))
        );
        assert_eq!(einsum("ij->j", &[&x], DType::F32), Ok(f(&[2], &[4.0, 6.0])));
        assert!(einsum("ii->i", &[&x], DType::F32).is_err());
    }
}
