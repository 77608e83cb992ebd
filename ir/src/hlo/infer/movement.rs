//! Data movement and values from nothing.

use super::{Cx, Infer, merge_size, quantized, same_shape, same_size};
use crate::dtype::DType;
use crate::hlo::ops::{
    Broadcast, BroadcastInDim, Concatenate, Dimension, DynamicBroadcastInDim, DynamicSlice, Iota, Pad, Reverse, Slice,
    Transpose,
};
use crate::hlo::types::{DYNAMIC, Dims, TensorType};

pub(super) fn iota(cx: &Cx<'_>, iota: &Iota) -> Infer<TensorType> {
    cx.arity(0)?;
    let r = cx.hint_tensor(0)?;
    cx.check(r.dtype != DType::Bool, "output", || format!("{r} cannot count up"))?;
    cx.dim(iota.iota_dimension, r.rank(), "C1")?;
    Ok(r.clone())
}

pub(super) fn dynamic_iota(cx: &Cx<'_>, iota: &Iota) -> Infer<TensorType> {
    cx.arity(1)?;
    shape_operand(cx, 0, cx.hint_tensor(0)?.rank(), "C2")?;
    let r = cx.hint_tensor(0)?;
    cx.dim(iota.iota_dimension, r.rank(), "C1")?;
    Ok(r.clone())
}

/// Operand `i` must be a rank-1 integer tensor with `rank` elements.
fn shape_operand(cx: &Cx<'_>, i: usize, rank: usize, constraint: &str) -> Infer<()> {
    let t = cx.tensor(i)?;
    let fits = t.rank() == 1 && t.dtype.is_int() && same_size(t.shape[0], rank as i64);
    cx.check(fits, constraint, || {
        format!("operand {i} must hold {rank} integers, it is {t}")
    })
}

pub(super) fn broadcast_in_dim(cx: &Cx<'_>, b: &BroadcastInDim) -> Infer<TensorType> {
    cx.arity(1)?;
    broadcast_to(cx, &b.broadcast_dimensions)
}

pub(super) fn dynamic_broadcast_in_dim(cx: &Cx<'_>, b: &DynamicBroadcastInDim) -> Infer<TensorType> {
    cx.arity(2)?;
    shape_operand(cx, 1, cx.hint_tensor(0)?.rank(), "C7")?;
    broadcast_to(cx, &b.broadcast_dimensions)
}

fn broadcast_to(cx: &Cx<'_>, dims: &Dims) -> Infer<TensorType> {
    let (x, r) = (cx.tensor(0)?, cx.hint_tensor(0)?);
    cx.same_dtype(x, r, "C1")?;
    cx.length(dims.len(), x.rank(), "broadcast_dimensions", "C2")?;
    cx.dims(dims, r.rank(), "C3")?;
    for (d, &to) in dims.iter().enumerate() {
        let (from, to) = (x.shape[d], r.shape[to as usize]);
        cx.check(from == 1 || same_size(from, to), "C5", || {
            format!("dimension {d} of size {from} cannot become one of size {to}")
        })?;
    }
    Ok(r.clone())
}

pub(super) fn broadcast(cx: &Cx<'_>, b: &Broadcast) -> Infer<TensorType> {
    cx.arity(1)?;
    let x = cx.tensor(0)?;
    cx.check(b.broadcast_sizes.iter().all(|&s| s >= 0), "C1", || {
        format!("broadcast_sizes {:?} has a negative size", b.broadcast_sizes)
    })?;
    Ok(x.with_shape(b.broadcast_sizes.iter().chain(&x.shape).copied()))
}

pub(super) fn reshape(cx: &Cx<'_>) -> Infer<TensorType> {
    cx.arity(1)?;
    let (x, r) = (cx.tensor(0)?, cx.hint_tensor(0)?);
    cx.same_dtype(x, r, "C1")?;
    cx.check(
        !x.is_static() || !r.is_static() || x.element_count() == r.element_count(),
        "C2",
        || {
            format!(
                "{x} has {} elements and {r} has {}",
                x.element_count(),
                r.element_count()
            )
        },
    )?;
    Ok(r.clone())
}

pub(super) fn dynamic_reshape(cx: &Cx<'_>) -> Infer<TensorType> {
    cx.arity(2)?;
    let (x, r) = (cx.tensor(0)?, cx.hint_tensor(0)?);
    cx.same_dtype(x, r, "C1")?;
    shape_operand(cx, 1, r.rank(), "C4")?;
    Ok(r.clone())
}

pub(super) fn transpose(cx: &Cx<'_>, t: &Transpose) -> Infer<TensorType> {
    cx.arity(1)?;
    let x = cx.tensor(0)?;
    cx.check(is_permutation(&t.permutation, x.rank()), "C2", || {
        format!("{:?} is no permutation of {} dimensions", t.permutation, x.rank())
    })?;
    if quantized(x) {
        return Ok(cx.hint_tensor(0)?.clone());
    }
    Ok(x.with_shape(t.permutation.iter().map(|&d| x.shape[d as usize])))
}

/// Whether `dims` holds each of `0..rank` once.
pub fn is_permutation(dims: &[i64], rank: usize) -> bool {
    let mut seen = vec![false; rank];
    dims.len() == rank
        && dims.iter().all(|&d| {
            usize::try_from(d)
                .ok()
                .and_then(|d| seen.get_mut(d))
                .is_some_and(|s| !std::mem::replace(s, true))
        })
}

pub(super) fn slice(cx: &Cx<'_>, s: &Slice) -> Infer<TensorType> {
    cx.arity(1)?;
    let x = cx.tensor(0)?;
    for (list, what) in [
        (&s.start, "start_indices"),
        (&s.limit, "limit_indices"),
        (&s.strides, "strides"),
    ] {
        cx.length(list.len(), x.rank(), what, "C2")?;
    }
    let mut shape = Dims::new();
    for d in 0..x.rank() {
        let (start, limit, stride, size) = (s.start[d], s.limit[d], s.strides[d], x.shape[d]);
        cx.check(
            0 <= start && start <= limit && (size == DYNAMIC || limit <= size),
            "C3",
            || format!("[{start}:{limit}] is outside of dimension {d} with {size} elements"),
        )?;
        cx.check(stride > 0, "C4", || {
            format!("stride {stride} of dimension {d} is not positive")
        })?;
        shape.push((limit - start).div_euclid(stride) + i64::from((limit - start).rem_euclid(stride) != 0));
    }
    Ok(TensorType { shape, ..x.clone() })
}

pub(super) fn real_dynamic_slice(cx: &Cx<'_>) -> Infer<TensorType> {
    cx.arity(4)?;
    let (x, r) = (cx.tensor(0)?, cx.hint_tensor(0)?);
    cx.same_dtype(x, r, "C1")?;
    cx.check(x.rank() == r.rank(), "C1", || format!("ranks of {x} and {r} differ"))?;
    for i in 1..4 {
        shape_operand(cx, i, x.rank(), "C2")?;
    }
    Ok(r.clone())
}

/// Scalar integer start indices from operand `first` on.
fn start_indices(cx: &Cx<'_>, first: usize, rank: usize, constraint: &str) -> Infer<()> {
    cx.length(cx.operands.len() - first, rank, "start_indices", constraint)?;
    for i in first..cx.operands.len() {
        cx.scalar_int(i, constraint)?;
        cx.same_dtype(cx.tensor(first)?, cx.tensor(i)?, constraint)?;
    }
    Ok(())
}

pub(super) fn dynamic_slice(cx: &Cx<'_>, s: &DynamicSlice) -> Infer<TensorType> {
    cx.at_least(1)?;
    let x = cx.tensor(0)?;
    start_indices(cx, 1, x.rank(), "C2")?;
    cx.length(s.sizes.len(), x.rank(), "slice_sizes", "C2")?;
    for (d, (&size, &of)) in s.sizes.iter().zip(&x.shape).enumerate() {
        cx.check(size >= 0 && (of == DYNAMIC || size <= of), "C4", || {
            format!("slice size {size} is outside of dimension {d} with {of} elements")
        })?;
    }
    Ok(TensorType {
        shape: s.sizes.clone(),
        ..x.clone()
    })
}

pub(super) fn dynamic_update_slice(cx: &Cx<'_>) -> Infer<TensorType> {
    cx.at_least(2)?;
    let (x, update) = (cx.tensor(0)?, cx.tensor(1)?);
    cx.same_dtype(x, update, "C2")?;
    cx.check(x.rank() == update.rank(), "C3", || {
        format!("ranks of {x} and {update} differ")
    })?;
    start_indices(cx, 2, x.rank(), "C4")?;
    for (d, (&size, &of)) in update.shape.iter().zip(&x.shape).enumerate() {
        cx.check(of == DYNAMIC || size == DYNAMIC || size <= of, "C6", || {
            format!("update size {size} is outside of dimension {d} with {of} elements")
        })?;
    }
    Ok(x.clone())
}

pub(super) fn pad(cx: &Cx<'_>, p: &Pad) -> Infer<TensorType> {
    cx.arity(2)?;
    let (x, value) = (cx.tensor(0)?, cx.tensor(1)?);
    cx.same_dtype(x, value, "C1")?;
    cx.check(value.rank() == 0, "I2", || {
        format!("the padding value must be a scalar, it is {value}")
    })?;
    let mut shape = Dims::new();
    for (list, what) in [
        (&p.low, "edge_padding_low"),
        (&p.high, "edge_padding_high"),
        (&p.interior, "interior_padding"),
    ] {
        cx.length(list.len(), x.rank(), what, "C2")?;
    }
    for d in 0..x.rank() {
        cx.check(p.interior[d] >= 0, "C3", || {
            format!("interior padding {} of dimension {d} is negative", p.interior[d])
        })?;
        if x.shape[d] == DYNAMIC {
            shape.push(DYNAMIC);
            continue;
        }
        let n = x.shape[d] as i128;
        let size = n + (n - 1).max(0) * p.interior[d] as i128 + p.low[d] as i128 + p.high[d] as i128;
        let size = i64::try_from(size).ok().filter(|&s| s >= 0);
        let size = size.ok_or_else(|| {
            cx.violation(
                "C4",
                format!("padding of dimension {d} with {n} elements leaves no valid size"),
            )
        })?;
        shape.push(size);
    }
    Ok(TensorType { shape, ..x.clone() })
}

pub(super) fn dynamic_pad(cx: &Cx<'_>) -> Infer<TensorType> {
    cx.arity(5)?;
    let (x, r) = (cx.tensor(0)?, cx.hint_tensor(0)?);
    cx.same_dtype(x, cx.tensor(1)?, "C1")?;
    cx.same_dtype(x, r, "C1")?;
    cx.check(x.rank() == r.rank(), "C1", || format!("ranks of {x} and {r} differ"))?;
    for i in 2..5 {
        shape_operand(cx, i, x.rank(), "C2")?;
    }
    Ok(r.clone())
}

pub(super) fn reverse(cx: &Cx<'_>, r: &Reverse) -> Infer<TensorType> {
    cx.arity(1)?;
    let x = cx.tensor(0)?;
    cx.dims(&r.dimensions, x.rank(), "C2")?;
    Ok(x.clone())
}

pub(super) fn concatenate(cx: &Cx<'_>, c: &Concatenate) -> Infer<TensorType> {
    cx.check(!cx.operands.is_empty(), "C3", || "there is nothing to join".to_string())?;
    let first = cx.tensor(0)?;
    let along = cx.dim(c.dimension, first.rank(), "C4")?;
    let mut shape = first.shape.clone();
    for i in 1..cx.operands.len() {
        let t = cx.tensor(i)?;
        cx.same_dtype(first, t, "C1")?;
        cx.check(t.rank() == first.rank(), "C2", || {
            format!("ranks of {first} and {t} differ")
        })?;
        let mut expected = shape.clone();
        expected[along] = t.shape[along];
        cx.check(same_shape(&expected, &t.shape), "C2", || {
            format!("shapes of {first} and {t} differ outside of dimension {along}")
        })?;
        for d in 0..shape.len() {
            shape[d] = match (d == along, shape[d], t.shape[d]) {
                (false, a, b) => merge_size(a, b),
                (true, DYNAMIC, _) | (true, _, DYNAMIC) => DYNAMIC,
                (true, a, b) => a.saturating_add(b),
            };
        }
    }
    Ok(TensorType { shape, ..first.clone() })
}

pub(super) fn get_dimension_size(cx: &Cx<'_>, d: &Dimension) -> Infer<TensorType> {
    cx.arity(1)?;
    cx.dim(d.dimension, cx.tensor(0)?.rank(), "C1")?;
    Ok(TensorType::scalar(DType::I32))
}

pub(super) fn set_dimension_size(cx: &Cx<'_>, d: &Dimension) -> Infer<TensorType> {
    cx.arity(2)?;
    let x = cx.tensor(0)?;
    let along = cx.dim(d.dimension, x.rank(), "C1")?;
    cx.scalar_int(1, "I2")?;
    let mut shape = x.shape.clone();
    shape[along] = DYNAMIC;
    Ok(x.with_shape(shape))
}
