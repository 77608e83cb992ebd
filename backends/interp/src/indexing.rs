//! `gather`, `scatter` and `torch_index_select`.

use ferrite_ir::diag::Result;
use ferrite_ir::hlo::{Gather, Scatter, TensorType};

use crate::invalid;
use crate::movement::{Access, read};
use crate::tensor::{Tensor, map_width, row_major, usizes};

/// Start indices with the index vectors taken apart: `count` vectors of `depth` integers.
struct StartIndices<'a> {
    values: std::borrow::Cow<'a, [i64]>,
    /// Shape without the index vector dimension.
    batch_shape: Vec<usize>,
    /// Strides of the batch dimensions in `values`.
    batch_strides: Vec<isize>,
    depth: usize,
    depth_stride: isize,
}

impl<'a> StartIndices<'a> {
    fn new(indices: &'a Tensor, index_vector_dim: i64) -> Result<StartIndices<'a>> {
        let shape = usizes(indices.shape());
        let strides = row_major(&shape);
        let v = index_vector_dim as usize;
        if index_vector_dim < 0 || v > shape.len() || indices.dtype().is_complex() {
            return Err(invalid(format!(
                "index_vector_dim {index_vector_dim} does not fit indices {}",
                indices.ty()
            )));
        }
        let keep = |d: &usize| *d != v;
        Ok(StartIndices {
            values: indices.to_i64s(),
            batch_shape: (0..shape.len()).filter(keep).map(|d| shape[d]).collect(),
            batch_strides: (0..shape.len()).filter(keep).map(|d| strides[d]).collect(),
            depth: shape.get(v).copied().unwrap_or(1),
            depth_stride: strides.get(v).copied().unwrap_or(1),
        })
    }

    fn get(&self, base: isize, component: usize) -> i64 {
        self.values[(base + component as isize * self.depth_stride) as usize]
    }
}

/// Calls `f` for every multi-index of a shape, in row-major order; stops at the first error.
pub(crate) fn for_each_index(shape: &[usize], mut f: impl FnMut(&[usize]) -> Result<()>) -> Result<()> {
    if shape.contains(&0) {
        return Ok(());
    }
    let mut index = vec![0; shape.len()];
    loop {
        f(&index)?;
        let mut d = shape.len();
        loop {
            if d == 0 {
                return Ok(());
            }
            d -= 1;
            index[d] += 1;
            if index[d] < shape[d] {
                break;
            }
            index[d] = 0;
        }
    }
}

/// Dimension numbers that gather and scatter share, in terms of the operand.
struct Window<'a> {
    /// Operand dimensions without a window dimension of their own.
    collapsed: Vec<usize>,
    batching: &'a [i64],
    indices_batching: &'a [i64],
    index_map: &'a [i64],
    index_vector_dim: i64,
}

impl Window<'_> {
    /// Start in the operand for one index vector, unclamped.
    fn start(&self, indices: &StartIndices, batch: &[usize], rank: usize) -> Vec<i64> {
        let base: isize = batch
            .iter()
            .zip(&indices.batch_strides)
            .map(|(&i, &s)| i as isize * s)
            .sum();
        let mut start = vec![0i64; rank];
        for (component, &d) in self.index_map.iter().enumerate() {
            start[d as usize] = indices.get(base, component);
        }
        for (&d, &from) in self.batching.iter().zip(self.indices_batching) {
            // Batch dimensions of the indices are counted with the index vector dimension in place.
            let position = if from > self.index_vector_dim { from - 1 } else { from };
            start[d as usize] = batch[position as usize] as i64;
        }
        start
    }

    fn check(&self, rank: usize, indices: &StartIndices, what: &str) -> Result<()> {
        let inside = |dims: &[i64], n: usize| dims.iter().all(|&d| d >= 0 && (d as usize) < n);
        let indices_rank = indices.batch_shape.len() + 1;
        let fits = inside(self.index_map, rank)
            && self.index_map.len() == indices.depth
            && inside(self.batching, rank)
            && self.batching.len() == self.indices_batching.len()
            && inside(self.indices_batching, indices_rank)
            && !self.indices_batching.contains(&self.index_vector_dim)
            && self.collapsed.iter().all(|&d| d < rank);
        if fits {
            Ok(())
        } else {
            Err(invalid(format!(
                "dimension numbers of `stablehlo.{what}` do not fit its operands"
            )))
        }
    }
}

/// `gather` with known slice sizes: starts are clamped so that every slice lies inside.
pub(crate) fn gather(attrs: &Gather, sizes: &[i64], x: &Tensor, indices: &Tensor) -> Result<Tensor> {
    let starts = StartIndices::new(indices, attrs.index_vector_dim)?;
    let shape = usizes(x.shape());
    let strides = row_major(&shape);
    let rank = shape.len();
    let dropped = attrs.collapsed_slice_dims.iter().chain(&attrs.operand_batching_dims);
    let window = Window {
        collapsed: dropped.map(|&d| d as usize).collect(),
        batching: &attrs.operand_batching_dims,
        indices_batching: &attrs.start_indices_batching_dims,
        index_map: &attrs.start_index_map,
        index_vector_dim: attrs.index_vector_dim,
    };
    window.check(rank, &starts, "gather")?;
    let window_dims: Vec<usize> = (0..rank).filter(|d| !window.collapsed.contains(d)).collect();
    let out_rank = starts.batch_shape.len() + window_dims.len();
    let fits = sizes.len() == rank
        && sizes.iter().zip(&shape).all(|(&s, &n)| s >= 0 && s as usize <= n)
        && attrs.offset_dims.len() == window_dims.len()
        && attrs.offset_dims.iter().all(|&d| d >= 0 && (d as usize) < out_rank);
    if !fits {
        return Err(invalid(format!(
            "slice sizes {sizes:?} of `stablehlo.gather` do not fit {}",
            x.ty()
        )));
    }
    // Gather to batch dimensions first and window dimensions last, then move the window dimensions to their places.
    let window_shape: Vec<usize> = window_dims.iter().map(|&d| sizes[d] as usize).collect();
    let mut access = Access {
        offset: 0,
        shape: window_shape.clone(),
        strides: window_dims.iter().map(|&d| strides[d]).collect(),
    };
    let mut offsets = Vec::with_capacity(starts.batch_shape.iter().product());
    for_each_index(&starts.batch_shape, |batch| {
        let start = window.start(&starts, batch, rank);
        let offset = (0..rank)
            .map(|d| start[d].clamp(0, shape[d] as i64 - sizes[d]) as isize * strides[d])
            .sum();
        offsets.push(offset);
        Ok(())
    })?;
    let flat: Vec<i64> = starts
        .batch_shape
        .iter()
        .chain(&window_shape)
        .map(|&n| n as i64)
        .collect();
    let ty = TensorType::new(x.dtype(), &flat);
    crate::check_size(&ty)?;
    let one = window_shape.iter().all(|&n| n == 1);
    let buf = map_width!(&*x.buf, v => {
        if one {
            offsets.iter().map(|&o: &isize| v[o as usize]).collect()
        } else {
            let mut out = Vec::with_capacity(ty.element_count());
            for &offset in &offsets {
                access.offset = offset;
                out.extend(read(v, &access));
            }
            out
        }
    });
    let gathered = Tensor::from_buf(ty, buf);
    let batch_rank = starts.batch_shape.len() as i64;
    let (mut next_batch, mut next_window) = (0, batch_rank);
    let permutation: Vec<i64> = (0..out_rank as i64)
        .map(|d| {
            let next = if attrs.offset_dims.contains(&d) {
                &mut next_window
            } else {
                &mut next_batch
            };
            *next += 1;
            *next - 1
        })
        .collect();
    crate::movement::transpose(&gathered, &permutation)
}

/// Calls `f(target, source)` for every update element of a scatter that lies inside the operand: flat positions in
/// the inputs and in the updates, in row-major order of the updates.
pub(crate) fn scatter_positions(
    attrs: &Scatter,
    input: &Tensor,
    indices: &Tensor,
    updates: &Tensor,
    mut f: impl FnMut(usize, usize) -> Result<()>,
) -> Result<()> {
    let starts = StartIndices::new(indices, attrs.index_vector_dim)?;
    let shape = usizes(input.shape());
    let strides = row_major(&shape);
    let rank = shape.len();
    let dropped = attrs.inserted_window_dims.iter().chain(&attrs.input_batching_dims);
    let window = Window {
        collapsed: dropped.map(|&d| d as usize).collect(),
        batching: &attrs.input_batching_dims,
        indices_batching: &attrs.scatter_indices_batching_dims,
        index_map: &attrs.scatter_dims_to_operand_dims,
        index_vector_dim: attrs.index_vector_dim,
    };
    window.check(rank, &starts, "scatter")?;
    let window_dims: Vec<usize> = (0..rank).filter(|d| !window.collapsed.contains(d)).collect();
    let update_shape = usizes(updates.shape());
    let update_strides = row_major(&update_shape);
    let is_window = |d: usize| attrs.update_window_dims.contains(&(d as i64));
    let batch_dims: Vec<usize> = (0..update_shape.len()).filter(|&d| !is_window(d)).collect();
    let batch_shape: Vec<usize> = batch_dims.iter().map(|&d| update_shape[d]).collect();
    if attrs.update_window_dims.len() != window_dims.len()
        || attrs
            .update_window_dims
            .iter()
            .any(|&d| d < 0 || d as usize >= update_shape.len())
        || batch_shape != starts.batch_shape
    {
        return Err(invalid(format!(
            "updates {} of `stablehlo.scatter` do not fit {}",
            updates.ty(),
            input.ty()
        )));
    }
    // Offsets of a window's elements: per operand dimension, in the operand and in the updates.
    let window_shape: Vec<usize> = attrs
        .update_window_dims
        .iter()
        .map(|&d| update_shape[d as usize])
        .collect();
    let mut window_index = Vec::new();
    for_each_index(&window_shape, |index| {
        let target: isize = index
            .iter()
            .zip(&window_dims)
            .map(|(&i, &d)| i as isize * strides[d])
            .sum();
        let source: isize = index
            .iter()
            .zip(&attrs.update_window_dims)
            .map(|(&i, &d)| i as isize * update_strides[d as usize])
            .sum();
        window_index.push((index.to_vec(), target, source));
        Ok(())
    })?;
    for_each_index(&batch_shape, |batch| {
        let start = window.start(&starts, batch, rank);
        let inside_fixed = window
            .collapsed
            .iter()
            .all(|&d| start[d] >= 0 && start[d] < shape[d] as i64);
        if !inside_fixed {
            return Ok(());
        }
        let base: i128 = start.iter().zip(&strides).map(|(&s, &n)| s as i128 * n as i128).sum();
        let source: isize = batch
            .iter()
            .zip(&batch_dims)
            .map(|(&i, &d)| i as isize * update_strides[d])
            .sum();
        for (index, target_offset, source_offset) in &window_index {
            let inside = index.iter().zip(&window_dims).all(|(&i, &d)| {
                let position = start[d].saturating_add(i as i64);
                position >= 0 && position < shape[d] as i64
            });
            if inside {
                f(
                    (base + *target_offset as i128) as usize,
                    (source + source_offset) as usize,
                )?;
            }
        }
        Ok(())
    })
}

/// `torch_index_select`: `result[b..., i..., o...] = x[b..., index[b..., i...], o...]`.
pub(crate) fn torch_index_select(x: &Tensor, index: &Tensor, dim: i64, batch_dims: i64) -> Result<Tensor> {
    let shape = usizes(x.shape());
    let (dim, batch) = (dim as usize, batch_dims as usize);
    let index_shape = usizes(index.shape());
    if dim >= shape.len() || batch > dim || batch > index_shape.len() || shape[..batch] != index_shape[..batch] {
        return Err(invalid(format!(
            "`stablehlo.torch_index_select` of {} by {}",
            x.ty(),
            index.ty()
        )));
    }
    let outer: usize = shape[..batch].iter().product();
    let middle: usize = shape[batch..dim].iter().product();
    let inner: usize = shape[dim + 1..].iter().product();
    let picks: usize = index_shape[batch..].iter().product();
    let values = index.to_i64s();
    let mut out_shape: Vec<usize> = shape[..dim].to_vec();
    out_shape.extend(&index_shape[batch..]);
    out_shape.extend(&shape[dim + 1..]);
    let ty = x.ty().with_shape(out_shape.iter().map(|&n| n as i64));
    if shape[dim] == 0 && ty.element_count() > 0 {
        return Err(invalid("`stablehlo.torch_index_select` out of an empty dimension"));
    }
    let buf = map_width!(&*x.buf, v => {
        let mut out = Vec::with_capacity(ty.element_count());
        for b in 0..outer {
            for m in 0..middle {
                for p in 0..picks {
                    let i = values[b * picks + p].clamp(0, shape[dim] as i64 - 1) as usize;
                    let start = ((b * middle + m) * shape[dim] + i) * inner;
                    out.extend_from_slice(&v[start..start + inner]);
                }
            }
        }
        out
    });
    Ok(Tensor::from_buf(ty, buf))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(shape: &[i64], values: &[i32]) -> Tensor {
        match Tensor::from_i32(shape, values) {
            Some(t) => t,
            None => panic!("wrong number of values"),
        }
    }

    #[test]
    fn rows_are_gathered_and_starts_clamped() {
        let table = t(&[3, 2], &[0, 1, 10, 11, 20, 21]);
        let attrs = Gather {
            offset_dims: [1].as_slice().into(),
            collapsed_slice_dims: [0].as_slice().into(),
            operand_batching_dims: [].as_slice().into(),
            start_indices_batching_dims: [].as_slice().into(),
            start_index_map: [0].as_slice().into(),
            index_vector_dim: 1,
            slice_sizes: [1, 2].as_slice().into(),
            indices_are_sorted: false,
        };
        let rows = gather(&attrs, &[1, 2], &table, &t(&[3, 1], &[2, 0, 9]));
        assert_eq!(rows, Ok(t(&[3, 2], &[20, 21, 0, 1, 20, 21])));
    }

    #[test]
    fn updates_outside_are_skipped() {
        let attrs = Scatter {
            update_window_dims: [].as_slice().into(),
            inserted_window_dims: [0].as_slice().into(),
            input_batching_dims: [].as_slice().into(),
            scatter_indices_batching_dims: [].as_slice().into(),
            scatter_dims_to_operand_dims: [0].as_slice().into(),
            index_vector_dim: 1,
            indices_are_sorted: false,
            unique_indices: false,
        };
        let (x, i, u) = (t(&[3], &[0, 0, 0]), t(&[3, 1], &[1, -1, 2]), t(&[3], &[5, 6, 7]));
        let mut seen = Vec::new();
        let done = scatter_positions(&attrs, &x, &i, &u, |to, from| {
            seen.push((to, from));
            Ok(())
        });
        assert_eq!((done, seen), (Ok(()), vec![(1, 0), (2, 2)]));
    }
}
