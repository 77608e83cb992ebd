//! Brings every gather, `dynamic_slice` and `torch_index_select` to the canonical gather of rows.
//!
//! ```text
//! Before                                              After
//!   %r = gather(%x: [10, 8], %i: [3, 1]) any            %f = reshape %x : [80]
//!        dimension numbers                              %o = clamp %i to [0, 9], times 8 : i32 [3, 1]
//!   %r = dynamic_slice %x, %i, %j                       %g = gather(%f, %o) offset_dims = [1],
//!   %r = torch_index_select %x, %i                           start_index_map = [0], index_vector_dim = 1,
//!                                                            slice_sizes = [8] : [3, 8]
//!                                                       %r = reshape and transpose of %g
//! ```
//!
//! The row length is the longest contiguous run of a window; offsets are in elements and always inside. Windows that
//! begin at one or at equally spaced known places become `slice`. Where rows of the tensor as it lies would be far more numerous than those of
//! its transpose, it is transposed first.
//!
//! Needs: verified static `hlo` with 32-bit integers. Leaves: verified `hlo` whose only gathers are canonical.

use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{Builder, Dims, Gather, OpId, OpKind, TensorType, TorchIndexSelect, ValueId};

use super::rewrite::{Rewrite, Step, operands, refuse, result_type};
use super::rows::{Offsets, OutOfBounds, Rows, Start, Windows, constant_of, known_integers, row_offsets};

/// Elements that are transposed at the price of one more row to fetch: a descriptor of one element costs about as much
/// as streaming this many elements through an engine (our heuristic).
const ELEMENTS_PER_ROW: i64 = 64;

/// The rule of `legalize-gather`.
pub(crate) fn rewrite(b: &mut Builder<'_>, op: OpId) -> Rewrite {
    match b.func.op(op).kind.clone() {
        OpKind::Gather(g) => {
            if is_canonical(b, op, &g) {
                return Ok(None);
            }
            gather(b, op, &g)
        }
        OpKind::DynamicSlice(_) => dynamic_slice(b, op),
        OpKind::TorchIndexSelect(t) => torch_index_select(b, op, t),
        OpKind::DynamicGather(_) | OpKind::RealDynamicSlice => {
            let kind = b.func.op(op).kind.mnemonic();
            Err(refuse(
                format!("`{kind}` takes its slice sizes at run time"),
                "compile with static shapes: slice sizes must be attributes",
            ))
        }
        _ => Ok(None),
    }
}

/// The canonical gather of rows of `run` elements.
pub(crate) fn canonical(run: i64) -> Gather {
    Gather {
        offset_dims: [1].into_iter().collect(),
        collapsed_slice_dims: Dims::new(),
        operand_batching_dims: Dims::new(),
        start_indices_batching_dims: Dims::new(),
        start_index_map: [0].into_iter().collect(),
        index_vector_dim: 1,
        slice_sizes: [run].into_iter().collect(),
        indices_are_sorted: false,
    }
}

fn is_canonical(b: &Builder<'_>, op: OpId, g: &Gather) -> bool {
    let o = &b.func.op(op).operands;
    let indices = b.func.tensor(o[1]);
    b.func.tensor(o[0]).rank() == 1
        && indices.rank() == 2
        && indices.dtype == DType::I32
        && Gather {
            indices_are_sorted: false,
            ..g.clone()
        } == canonical(g.slice_sizes[0])
}

/// Fetches rows of `run` elements that begin at `offsets` of the flattened `x`: `[rows, run]`.
pub(crate) fn fetch_rows(b: &mut Builder<'_>, x: ValueId, offsets: &Offsets, run: i64) -> Step {
    let elements = b.tensor(x)?.element_count() as i64;
    if let Offsets::Known(all) = offsets
        && let Some(&first) = all.first()
        && all.windows(2).all(|w| w[1] - w[0] == run)
    {
        // The rows lie one behind the other: a slice.
        let flat = b.reshape(x, &[elements])?;
        let rows = all.len() as i64;
        let piece = b.slice_dim(flat, 0, first, rows * run)?;
        return Ok(b.reshape(piece, &[rows, run])?);
    }
    let flat = b.reshape(x, &[elements])?;
    let indices = offsets.value(b)?;
    Ok(b.op1(OpKind::Gather(canonical(run)), &[flat, indices])?)
}

/// A window read of `x`: the general form behind all operations of this file.
struct Read<'a> {
    x: ValueId,
    window: Dims,
    batch: Dims,
    starts: Vec<(usize, Start)>,
    batching: &'a [(usize, usize)],
}

impl Read<'_> {
    /// The windows as `[batch..., window...]`, each window with all dimensions of the tensor.
    fn emit(mut self, b: &mut Builder<'_>) -> Step {
        let ty = b.tensor(self.x)?.clone();
        let shape: Dims = self.batch.iter().chain(&self.window).copied().collect();
        if shape.contains(&0) {
            return Ok(b.constant_i(ty.with_shape(shape), 0));
        }
        if let Some(slice) = self.as_slice(b)? {
            return Ok(b.reshape(slice, &shape)?);
        }
        if let Some(strided) = self.as_strided_slice(b)? {
            return Ok(b.reshape(strided, &shape)?);
        }
        let rows = Rows::new(&ty.shape, &self.window);
        let batches: i64 = self.batch.iter().product();
        let (order, turned) = full_dims_last(&ty.shape, &self.window);
        let fewer = batches * (rows.per_window() - turned.per_window());
        if fewer > 0 && rows.elements() <= fewer * ELEMENTS_PER_ROW {
            let position = |d: usize| order.iter().position(|&o| o == d as i64).unwrap_or(d);
            let x = b.transpose(self.x, &order)?;
            let batching: Vec<(usize, usize)> = self.batching.iter().map(|&(d, p)| (position(d), p)).collect();
            self.starts.iter_mut().for_each(|(d, _)| *d = position(*d));
            let values = fetch(b, x, &turned, &self.batch, &self.starts, &batching)?;
            let n = self.batch.len();
            let back: Vec<i64> = (0..n as i64)
                .chain((0..order.len()).map(|d| (n + position(d)) as i64))
                .collect();
            return Ok(b.transpose(values, &back)?);
        }
        fetch(b, self.x, &rows, &self.batch, &self.starts, self.batching)
    }

    /// Windows of one index along one dimension at known, equally spaced places (`x[:, ::2]`) are a strided slice, as
    /// `[batch, window...]`.
    fn as_strided_slice(&self, b: &mut Builder<'_>) -> Step<Option<ValueId>> {
        if !self.batching.is_empty() {
            return Ok(None);
        }
        let shape = b.tensor(self.x)?.shape.clone();
        let mut from: Dims = shape.iter().map(|_| 0).collect();
        let mut to: Dims = self.window.clone();
        let mut strides: Dims = shape.iter().map(|_| 1).collect();
        let mut walked = None;
        for (d, start) in &self.starts {
            let bound = shape[*d] - self.window[*d];
            let Start::Known(all) = start else {
                if bound == 0 {
                    continue;
                }
                return Ok(None);
            };
            let all: Vec<i64> = all.iter().map(|s| (*s).clamp(0, bound)).collect();
            let same = all.windows(2).all(|w| w[0] == w[1]);
            if same {
                (from[*d], to[*d]) = (all[0], all[0] + self.window[*d]);
                continue;
            }
            let Some((first, step)) = progression(&all) else {
                return Ok(None);
            };
            if walked.is_some() || self.window[*d] != 1 {
                return Ok(None);
            }
            walked = Some(*d);
            (from[*d], strides[*d]) = (first, step);
            to[*d] = first + (all.len() as i64 - 1) * step + 1;
        }
        let Some(d) = walked else { return Ok(None) };
        let part = b.slice(self.x, &from, &to, &strides)?;
        let order: Vec<i64> = [d as i64]
            .into_iter()
            .chain((0..shape.len() as i64).filter(|&x| x != d as i64))
            .collect();
        Ok(Some(b.transpose(part, &order)?))
    }

    /// One window at a known place is a slice.
    fn as_slice(&self, b: &mut Builder<'_>) -> Step<Option<ValueId>> {
        if self.batch.iter().product::<i64>() != 1 {
            return Ok(None);
        }
        let shape = b.tensor(self.x)?.shape.clone();
        let mut from: Dims = shape.iter().map(|_| 0).collect();
        for (d, start) in &self.starts {
            let bound = shape[*d] - self.window[*d];
            match start {
                _ if bound == 0 => {}
                Start::Known(all) => from[*d] = all[0].clamp(0, bound),
                Start::Computed(_) => return Ok(None),
            }
        }
        let to: Dims = from.iter().zip(&self.window).map(|(f, w)| f + w).collect();
        if from.iter().all(|&f| f == 0) && to == shape {
            return Ok(Some(self.x));
        }
        let strides: Dims = to.iter().map(|_| 1).collect();
        Ok(Some(b.slice(self.x, &from, &to, &strides)?))
    }
}

/// First value and positive step of equally spaced numbers.
fn progression(all: &[i64]) -> Option<(i64, i64)> {
    let step = all.get(1)? - all[0];
    (step > 0 && all.windows(2).all(|w| w[1] - w[0] == step)).then_some((all[0], step))
}

fn fetch(
    b: &mut Builder<'_>,
    x: ValueId,
    rows: &Rows,
    batch: &[i64],
    starts: &[(usize, Start)],
    batching: &[(usize, usize)],
) -> Step {
    let windows = Windows {
        batch,
        starts,
        batching,
        out_of_bounds: OutOfBounds::Clamp,
    };
    let offsets = row_offsets(b, rows, &windows)?;
    let values = fetch_rows(b, x, &offsets, rows.run)?;
    let shape: Dims = batch.iter().chain(&rows.window).copied().collect();
    Ok(b.reshape(values, &shape)?)
}

/// The order of dimensions that puts those which the window covers whole last, and the rows of such a transpose.
pub(crate) fn full_dims_last(shape: &[i64], window: &[i64]) -> (Dims, Rows) {
    let partial = (0..shape.len()).filter(|&d| window[d] != shape[d]);
    let full = (0..shape.len()).filter(|&d| window[d] == shape[d]);
    let order: Dims = partial.chain(full).map(|d| d as i64).collect();
    let pick = |from: &[i64]| -> Dims { order.iter().map(|&d| from[d as usize]).collect() };
    let rows = Rows::new(&pick(shape), &pick(window));
    (order, rows)
}

/// Start indices along each mapped dimension, taken out of an index tensor.
pub(crate) fn split_starts(
    b: &mut Builder<'_>,
    indices: ValueId,
    index_vector_dim: i64,
    map: &[i64],
    batch: &[i64],
) -> Step<Vec<(usize, Start)>> {
    let ty = b.tensor(indices)?.clone();
    let known = constant_of(b.func, indices).map(|l| known_integers(&l));
    let axis = index_vector_dim as usize;
    if let Some(parts) = joined_along(b, indices, index_vector_dim, map.len()) {
        let mut starts = Vec::with_capacity(map.len());
        for (part, &d) in parts.into_iter().zip(map) {
            let start = match constant_of(b.func, part) {
                Some(literal) => Start::Known(known_integers(&literal)),
                None => Start::Computed(b.reshape(part, batch)?),
            };
            starts.push((d as usize, start));
        }
        return Ok(starts);
    }
    let mut starts = Vec::with_capacity(map.len());
    for (k, &d) in map.iter().enumerate() {
        let start = match &known {
            Some(all) => {
                let inner: usize = ty.shape.iter().skip(axis + 1).product::<i64>() as usize;
                let length = map.len();
                let one = all
                    .iter()
                    .enumerate()
                    .filter(|(i, _)| i / inner.max(1) % length == k)
                    .map(|(_, &v)| v)
                    .collect();
                Start::Known(one)
            }
            None => {
                let one = if axis < ty.rank() && map.len() > 1 {
                    b.slice_dim(indices, axis, k as i64, 1)?
                } else {
                    indices
                };
                Start::Computed(b.reshape(one, batch)?)
            }
        };
        starts.push((d as usize, start));
    }
    Ok(starts)
}

/// The columns of an index tensor that was put together from one tensor per index.
fn joined_along(b: &Builder<'_>, indices: ValueId, dimension: i64, count: usize) -> Option<Vec<ValueId>> {
    let op = b.func.op(b.func.def(indices)?);
    let joined = matches!(&op.kind, OpKind::Concatenate(c) if c.dimension == dimension);
    (joined && op.operands.len() == count && count > 1).then(|| op.operands.to_vec())
}

/// Sizes of the batch of an index tensor, and the position in it of each of its dimensions in `batching`.
pub(crate) fn batch_of(indices: &TensorType, index_vector_dim: i64, batching: &[i64]) -> (Dims, Vec<usize>) {
    let dims: Vec<i64> = (0..indices.rank() as i64).filter(|&d| d != index_vector_dim).collect();
    let positions = batching
        .iter()
        .filter_map(|b| dims.iter().position(|d| d == b))
        .collect();
    (dims.iter().map(|&d| indices.shape[d as usize]).collect(), positions)
}

fn gather(b: &mut Builder<'_>, op: OpId, g: &Gather) -> Rewrite {
    let o = operands(b, op);
    let result = result_type(b, op);
    if result.element_count() == 0 {
        return Ok(Some(vec![b.constant_i(result, 0)]));
    }
    let indices = b.tensor(o[1])?.clone();
    let (batch, positions) = batch_of(&indices, g.index_vector_dim, &g.start_indices_batching_dims);
    let starts = split_starts(b, o[1], g.index_vector_dim, &g.start_index_map, &batch)?;
    let batching: Vec<(usize, usize)> = g
        .operand_batching_dims
        .iter()
        .map(|&d| d as usize)
        .zip(positions)
        .collect();
    let read = Read {
        x: o[0],
        window: g.slice_sizes.clone(),
        batch: batch.clone(),
        starts,
        batching: &batching,
    };
    let values = read.emit(b)?;
    // Drop the dimensions that the result does not have, then put batch and offset dimensions where it wants them.
    let kept = (0..g.slice_sizes.len() as i64)
        .filter(|d| !g.collapsed_slice_dims.contains(d) && !g.operand_batching_dims.contains(d))
        .map(|d| g.slice_sizes[d as usize]);
    let shape: Dims = batch.iter().copied().chain(kept).collect();
    let values = b.reshape(values, &shape)?;
    let (mut next_batch, mut next_offset) = (0..batch.len() as i64, batch.len() as i64..);
    let order: Vec<i64> = (0..result.rank() as i64)
        .filter_map(|d| {
            if g.offset_dims.contains(&d) {
                next_offset.next()
            } else {
                next_batch.next()
            }
        })
        .collect();
    let values = b.transpose(values, &order)?;
    Ok(Some(vec![values]))
}

fn dynamic_slice(b: &mut Builder<'_>, op: OpId) -> Rewrite {
    let o = operands(b, op);
    let window = result_type(b, op).shape;
    let starts = scalar_starts(b, &o[1..]);
    let read = Read {
        x: o[0],
        window,
        batch: Dims::new(),
        starts,
        batching: &[],
    };
    Ok(Some(vec![read.emit(b)?]))
}

/// One scalar start index per dimension.
pub(crate) fn scalar_starts(b: &Builder<'_>, indices: &[ValueId]) -> Vec<(usize, Start)> {
    indices
        .iter()
        .map(|&v| match constant_of(b.func, v) {
            Some(literal) => Start::Known(known_integers(&literal)),
            None => Start::Computed(v),
        })
        .enumerate()
        .collect()
}

fn torch_index_select(b: &mut Builder<'_>, op: OpId, t: TorchIndexSelect) -> Rewrite {
    let o = operands(b, op);
    let (x, indices) = (b.tensor(o[0])?.clone(), b.tensor(o[1])?.clone());
    let (dim, batch_dims) = (t.dim, t.batch_dims);
    let rank = x.rank() as i64;
    // batch dimensions, dimensions before `dim`, dimensions of the index, dimensions behind `dim`
    let index_rank = indices.rank() as i64 - batch_dims;
    let offset_dims: Dims = (batch_dims..dim)
        .chain(dim + index_rank..rank - 1 + index_rank)
        .collect();
    let batching: Dims = (0..batch_dims).collect();
    let slice_sizes: Dims = (0..rank)
        .map(|d| {
            if d == dim || d < batch_dims {
                1
            } else {
                x.shape[d as usize]
            }
        })
        .collect();
    let g = Gather {
        offset_dims,
        collapsed_slice_dims: [dim].into_iter().collect(),
        operand_batching_dims: batching.clone(),
        start_indices_batching_dims: batching,
        start_index_map: [dim].into_iter().collect(),
        index_vector_dim: indices.rank() as i64,
        slice_sizes,
        indices_are_sorted: false,
    };
    gather(b, op, &g)
}
