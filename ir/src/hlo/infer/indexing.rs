//! Gather and scatter.

use super::{Cx, Infer, merge_size, same_size};
use crate::hlo::ops::{Gather, Scatter, TorchIndexSelect};
use crate::hlo::types::{DYNAMIC, Dims, TensorType, Type};

/// `true` for lists in ascending order.
fn sorted(dims: &[i64]) -> bool {
    dims.windows(2).all(|w| w[0] <= w[1])
}

/// Sizes of `t` without the dimensions in `without`.
fn sizes_without(t: &TensorType, without: &[i64]) -> Dims {
    (0..t.rank() as i64)
        .filter(|d| !without.contains(d))
        .map(|d| t.shape[d as usize])
        .collect()
}

/// Sizes of the index tensor outside of its index vector.
fn batch_sizes(cx: &Cx<'_>, indices: &TensorType, index_vector_dim: i64, mapped: usize, c: [&str; 2]) -> Infer<Dims> {
    cx.check(indices.dtype.is_int(), "I2", || {
        format!("indices must be integers, they are {indices}")
    })?;
    cx.check((0..=indices.rank() as i64).contains(&index_vector_dim), c[0], || {
        format!(
            "index_vector_dim {index_vector_dim} is outside of rank {}",
            indices.rank()
        )
    })?;
    let length = indices.shape.get(index_vector_dim as usize).copied().unwrap_or(1);
    cx.check(same_size(length, mapped as i64), c[1], || {
        format!("index vectors have {length} entries for {mapped} dimensions")
    })?;
    Ok(sizes_without(indices, &[index_vector_dim]))
}

fn concat(parts: &[&Dims]) -> Dims {
    parts.iter().flat_map(|d| d.iter().copied()).collect()
}

pub(super) fn gather(cx: &Cx<'_>, g: &Gather, sizes_known: bool) -> Infer<TensorType> {
    cx.arity(if sizes_known { 2 } else { 3 })?;
    let (x, indices) = (cx.tensor(0)?, cx.tensor(1)?);
    let gone = concat(&[&g.collapsed_slice_dims, &g.operand_batching_dims]);
    cx.check(x.rank() == g.offset_dims.len() + gone.len(), "C1", || {
        format!(
            "{} offset, {} collapsed and {} batching dimensions do not make up rank {}",
            g.offset_dims.len(),
            g.collapsed_slice_dims.len(),
            g.operand_batching_dims.len(),
            x.rank()
        )
    })?;
    let batch = batch_sizes(cx, indices, g.index_vector_dim, g.start_index_map.len(), ["C2", "C3"])?;
    let rank = batch.len() + g.offset_dims.len();
    cx.check(sorted(&g.offset_dims), "C4", || {
        format!("offset_dims {:?} are not ascending", g.offset_dims)
    })?;
    cx.dims(&g.offset_dims, rank, "C5")?;
    cx.dims(&gone, x.rank(), "C6")?;
    cx.check(sorted(&g.collapsed_slice_dims), "C7", || {
        format!("collapsed_slice_dims {:?} are not ascending", g.collapsed_slice_dims)
    })?;
    cx.check(sorted(&g.operand_batching_dims), "C10", || {
        format!("operand_batching_dims {:?} are not ascending", g.operand_batching_dims)
    })?;
    cx.dims(&g.start_indices_batching_dims, indices.rank(), "C14")?;
    cx.check(
        !g.start_indices_batching_dims.contains(&g.index_vector_dim),
        "C15",
        || format!("index_vector_dim {} is also a batching dimension", g.index_vector_dim),
    )?;
    cx.length(
        g.start_indices_batching_dims.len(),
        g.operand_batching_dims.len(),
        "start_indices_batching_dims",
        "C16",
    )?;
    for (&o, &i) in g.operand_batching_dims.iter().zip(&g.start_indices_batching_dims) {
        let (o, i) = (x.shape[o as usize], indices.shape[i as usize]);
        cx.check(same_size(o, i), "C17", || {
            format!("batching dimensions have sizes {o} and {i}")
        })?;
    }
    cx.dims(
        &concat(&[&g.start_index_map, &g.operand_batching_dims]),
        x.rank(),
        "C18",
    )?;
    let mut offsets = Dims::new();
    if sizes_known {
        cx.length(g.slice_sizes.len(), x.rank(), "slice_sizes", "C20")?;
        for (d, (&size, &of)) in g.slice_sizes.iter().zip(&x.shape).enumerate() {
            cx.check(size >= 0 && (of == DYNAMIC || size <= of), "C21", || {
                format!("slice size {size} is outside of dimension {d} with {of} elements")
            })?;
            if gone.contains(&(d as i64)) {
                cx.check(size <= 1, "C8", || {
                    format!("slice size {size} of dropped dimension {d} is above 1")
                })?;
            } else {
                offsets.push(size);
            }
        }
    } else {
        let hint = cx.hint_tensor(0)?;
        cx.check(hint.rank() == rank, "results", || {
            format!("{hint} must have rank {rank}")
        })?;
        offsets.extend(g.offset_dims.iter().map(|&d| hint.shape[d as usize]));
    }
    let (mut batch, mut offsets) = (batch.into_iter(), offsets.into_iter());
    let shape: Dims = (0..rank as i64)
        .map(|d| {
            let next = if g.offset_dims.contains(&d) {
                offsets.next()
            } else {
                batch.next()
            };
            next.unwrap_or(1)
        })
        .collect(); // C22
    Ok(TensorType { shape, ..x.clone() })
}

pub(super) fn scatter(cx: &Cx<'_>, s: &Scatter) -> Infer<Vec<Type>> {
    let count = cx.operands.len().saturating_sub(1) / 2;
    cx.check(count >= 1 && cx.operands.len() == 2 * count + 1, "operands", || {
        format!(
            "`scatter` takes inputs, indices and as many updates, {} operands are given",
            cx.operands.len()
        )
    })?;
    let inputs = cx.tensors(0..count)?;
    let indices = cx.tensor(count)?;
    let updates = cx.tensors(count + 1..2 * count + 1)?;
    let (x, update) = (inputs[0], updates[0]);
    for t in &inputs[1..] {
        cx.same_shape(x, t, "C1")?;
    }
    for t in &updates[1..] {
        cx.same_shape(update, t, "C3")?;
    }
    let gone = concat(&[&s.inserted_window_dims, &s.input_batching_dims]);
    cx.check(x.rank() == s.update_window_dims.len() + gone.len(), "C2", || {
        format!(
            "{} window, {} inserted and {} batching dimensions do not make up rank {}",
            s.update_window_dims.len(),
            s.inserted_window_dims.len(),
            s.input_batching_dims.len(),
            x.rank()
        )
    })?;
    let mapped = s.scatter_dims_to_operand_dims.len();
    let batch = batch_sizes(cx, indices, s.index_vector_dim, mapped, ["C22", "C19"])?;
    cx.check(sorted(&s.update_window_dims), "C7", || {
        format!("update_window_dims {:?} are not ascending", s.update_window_dims)
    })?;
    cx.dims(&s.update_window_dims, update.rank(), "C8")?;
    cx.dims(&gone, x.rank(), "C9")?;
    cx.check(sorted(&s.inserted_window_dims), "C10", || {
        format!("inserted_window_dims {:?} are not ascending", s.inserted_window_dims)
    })?;
    cx.check(sorted(&s.input_batching_dims), "C12", || {
        format!("input_batching_dims {:?} are not ascending", s.input_batching_dims)
    })?;
    cx.dims(&s.scatter_indices_batching_dims, indices.rank(), "C15")?;
    cx.length(
        s.scatter_indices_batching_dims.len(),
        s.input_batching_dims.len(),
        "scatter_indices_batching_dims",
        "C17",
    )?;
    for (&o, &i) in s.input_batching_dims.iter().zip(&s.scatter_indices_batching_dims) {
        let (o, i) = (x.shape[o as usize], indices.shape[i as usize]);
        cx.check(same_size(o, i), "C18", || {
            format!("batching dimensions have sizes {o} and {i}")
        })?;
    }
    cx.dims(
        &concat(&[&s.scatter_dims_to_operand_dims, &s.input_batching_dims]),
        x.rank(),
        "C20",
    )?;
    let scattered = sizes_without(update, &s.update_window_dims);
    cx.check(super::same_shape(&scattered, &batch), "C4", || {
        format!("{update} updates {scattered:?} positions, the indices {indices} name {batch:?}")
    })?;
    let window: Dims = s.update_window_dims.iter().map(|&d| update.shape[d as usize]).collect();
    let room = sizes_without(x, &gone);
    for (&w, &r) in window.iter().zip(&room) {
        cx.check(w == DYNAMIC || r == DYNAMIC || w <= r, "C4", || {
            format!("window {window:?} is larger than the {room:?} of {x}")
        })?;
    }
    for (&x, &u) in inputs.iter().zip(&updates) {
        cx.same_dtype(x, u, "C6")?;
    }
    let yielded = cx.yields(0, count)?;
    Ok(inputs
        .iter()
        .zip(yielded)
        .map(|(t, y)| t.with_dtype(y.dtype).into())
        .collect())
}

pub(super) fn torch_index_select(cx: &Cx<'_>, t: &TorchIndexSelect) -> Infer<TensorType> {
    cx.arity(2)?;
    let (x, index) = (cx.tensor(0)?, cx.tensor(1)?);
    let dim = cx.dim(t.dim, x.rank(), "dim")?;
    cx.check(
        (0..=index.rank() as i64).contains(&t.batch_dims) && t.batch_dims <= t.dim && index.dtype.is_int(),
        "batch_dims",
        || {
            format!(
                "{} batch dimensions do not fit indices {index} and dimension {dim}",
                t.batch_dims
            )
        },
    )?;
    let batch = t.batch_dims as usize;
    for d in 0..batch {
        let (a, b) = (x.shape[d], index.shape[d]);
        cx.check(same_size(a, b), "batch_dims", || {
            format!("batch dimensions have sizes {a} and {b}")
        })?;
    }
    let mut shape: Dims = x.shape[..dim].into();
    for d in 0..batch {
        shape[d] = merge_size(shape[d], index.shape[d]);
    }
    shape.extend_from_slice(&index.shape[batch..]);
    shape.extend_from_slice(&x.shape[dim + 1..]);
    Ok(x.with_shape(shape))
}
