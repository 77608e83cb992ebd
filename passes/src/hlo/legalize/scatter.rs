//! Brings every scatter and `dynamic_update_slice` to the canonical scatter of rows.
//!
//! ```text
//! Before                                              After
//!   %r = scatter(%x: [10, 8], %i: [3, 1],               %f = reshape %x : [80]
//!        %u: [3, 8]) any dimension numbers,             %o = %i inside [0, 9] ? 8 * %i : 80     i32 [3, 1]
//!        any combiner                                   %s = scatter(%f, %o, %u: [3, 8]) update_window_dims = [1],
//!   %r = dynamic_update_slice %x, %u, %i, %j                 scatter_dims_to_operand_dims = [0], index_vector_dim = 1
//!                                                       %r = reshape %s : [10, 8]
//! ```
//!
//! The body is `return update`, or `add` of floats. What lies outside of the tensor is skipped element by element, as the
//! specification says (XLA skips whole windows): rows there have an offset behind the tensor. Two rows are the same or do
//! not touch.
//! `unique_indices` says that no two rows inside are the same; without it, rows take effect in order, which is left to
//! few rows.
//!
//! More rows that may be the same are made distinct, a chunk at a time: an equality matrix of offsets tells which rows
//! are repeated later (these are skipped) and combines the updates of equal rows (sums of floats by a matrix product,
//! where an infinite update makes the sums of its chunk NaN). Other combiners then fetch the rows, combine and write
//! back; combiners that are not a single commutative operation do so for few rows, one after the other.
//!
//! Needs: verified static `hlo` with 32-bit integers. Leaves: verified `hlo` whose only scatters are canonical.

use std::collections::HashSet;

use ferrite_ir::dtype::{DType, DTypeClass};
use ferrite_ir::hlo::{
    BinaryOp, Builder, ComparisonDirection, Dims, DotDims, DotGeneral, OpId, OpKind, Precision, RegionId, Scatter,
    TensorType, Type, ValueId, neutral,
};

use super::body::{apply_body, reducer_region, returns_args, single_reducer};
use super::gather::{batch_of, fetch_rows, full_dims_last, scalar_starts, split_starts};
use super::rewrite::{Rewrite, Step, operands, refuse};
use super::rows::{Offsets, OutOfBounds, Rows, Start, Windows, may_be_partial, row_offsets};

/// Elements that are transposed at the price of one more row, there and back (our heuristic, see `gather`).
const ELEMENTS_PER_ROW: i64 = 32;
/// Rows that may be the same and are simply written in order: each waits for the one before (our choice).
const MAX_ORDERED_ROWS: i64 = 8;
/// Rows that are compared with one another at a time (our choice: work grows with the square, chunks with the inverse).
const CHUNK_ROWS: i64 = 512;
/// Chunks of one scatter (our choice, bounds code size).
const MAX_CHUNKS: i64 = 1024;
/// Elements looked at to combine the rows of a chunk where that is no matrix product (our choice).
const MAX_PAIR_STEPS: i64 = 1 << 22;
/// Rows that are combined one after the other where nothing better is known (our choice, bounds code size).
const MAX_SEQUENTIAL_ROWS: i64 = 64;

/// The rule of `legalize-scatter`.
pub(crate) fn rewrite(b: &mut Builder<'_>, op: OpId) -> Rewrite {
    match b.func.op(op).kind.clone() {
        OpKind::Scatter(s) => {
            if is_canonical(b, op, &s) {
                return Ok(None);
            }
            scatter(b, op, &s)
        }
        OpKind::DynamicUpdateSlice => dynamic_update_slice(b, op),
        _ => Ok(None),
    }
}

/// The canonical scatter of rows.
pub(crate) fn canonical(unique_indices: bool) -> Scatter {
    Scatter {
        update_window_dims: [1].into_iter().collect(),
        inserted_window_dims: Dims::new(),
        input_batching_dims: Dims::new(),
        scatter_indices_batching_dims: Dims::new(),
        scatter_dims_to_operand_dims: [0].into_iter().collect(),
        index_vector_dim: 1,
        indices_are_sorted: false,
        unique_indices,
    }
}

fn is_canonical(b: &Builder<'_>, op: OpId, s: &Scatter) -> bool {
    let o = b.func.op(op);
    let [x, indices, update] = o.operands[..] else {
        return false;
    };
    let simple = Scatter {
        indices_are_sorted: false,
        ..s.clone()
    } == canonical(s.unique_indices);
    let body = o.regions[0];
    simple
        && b.func.tensor(x).rank() == 1
        && b.func.tensor(update).rank() == 2
        && b.func.tensor(indices).rank() == 2
        && b.func.tensor(indices).dtype == DType::I32
        && (returns_args(b.func, body, &[1])
            || (single_reducer(b.func, body) == Some(BinaryOp::Add)
                && b.func.tensor(x).dtype.class() == DTypeClass::Float))
        && (s.unique_indices || b.func.tensor(update).shape[0] <= MAX_ORDERED_ROWS)
}

/// How an update meets what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Combiner {
    /// The update replaces it.
    Set,
    /// One commutative operation.
    Binary(BinaryOp),
    /// Anything else; the number of inputs is that of the scatter.
    Body(RegionId),
}

/// Rows to write and where.
struct Write {
    /// Flattened inputs.
    inputs: Vec<ValueId>,
    /// Updates as `[rows, run]`.
    updates: Vec<ValueId>,
    offsets: Offsets,
    run: i64,
    unique: bool,
}

fn scatter(b: &mut Builder<'_>, op: OpId, s: &Scatter) -> Rewrite {
    let o = operands(b, op);
    let body = b.func.op(op).regions[0];
    let count = o.len() / 2;
    let (inputs, indices, updates) = (&o[..count], o[count], &o[count + 1..]);
    let x = b.tensor(inputs[0])?.clone();
    let update = b.tensor(updates[0])?.clone();
    if update.element_count() == 0 || x.element_count() == 0 {
        return Ok(Some(results_as(b, op, inputs)?));
    }

    let gone = |d: &i64| s.inserted_window_dims.contains(d) || s.input_batching_dims.contains(d);
    let mut sizes = s.update_window_dims.iter().map(|&d| update.shape[d as usize]);
    let window: Dims = (0..x.rank() as i64)
        .map(|d| if gone(&d) { 1 } else { sizes.next().unwrap_or(1) })
        .collect();
    let index_type = b.tensor(indices)?.clone();
    let (batch, positions) = batch_of(&index_type, s.index_vector_dim, &s.scatter_indices_batching_dims);
    let starts = split_starts(b, indices, s.index_vector_dim, &s.scatter_dims_to_operand_dims, &batch)?;
    let batching: Vec<(usize, usize)> = s
        .input_batching_dims
        .iter()
        .map(|&d| d as usize)
        .zip(positions)
        .collect();
    let unique = s.unique_indices || windows_are_unique(&window, &batch, &starts, &batching);

    // Updates as [batch..., window...] with every dimension of the input.
    let full: Dims = batch.iter().chain(&window).copied().collect();
    let order: Vec<i64> = (0..update.rank() as i64)
        .filter(|d| !s.update_window_dims.contains(d))
        .chain(s.update_window_dims.iter().copied())
        .collect();
    let mut values = Vec::with_capacity(count);
    for &u in updates {
        let u = b.transpose(u, &order)?;
        values.push(b.reshape(u, &full)?);
    }
    let combiner = combiner(b, body, count);
    let windows = Placement {
        batch,
        window,
        starts,
        batching,
        out_of_bounds: OutOfBounds::Skip,
        unique,
    };
    let written = windows.write(b, inputs, &values, combiner)?;
    Ok(Some(results_as(b, op, &written)?))
}

/// Converts to the result types of the operation: a body may compute in a wider type.
fn results_as(b: &mut Builder<'_>, op: OpId, values: &[ValueId]) -> Step<Vec<ValueId>> {
    let types: Vec<DType> = b.func.op(op).results.iter().map(|&r| b.func.tensor(r).dtype).collect();
    let mut out = Vec::with_capacity(values.len());
    for (&v, dtype) in values.iter().zip(types) {
        out.push(b.convert(v, dtype)?);
    }
    Ok(out)
}

fn combiner(b: &Builder<'_>, body: RegionId, count: usize) -> Combiner {
    let updates: Vec<usize> = (count..2 * count).collect();
    if returns_args(b.func, body, &updates) {
        return Combiner::Set;
    }
    match single_reducer(b.func, body) {
        Some(op) if count == 1 => Combiner::Binary(op),
        _ => Combiner::Body(body),
    }
}

fn dynamic_update_slice(b: &mut Builder<'_>, op: OpId) -> Rewrite {
    let o = operands(b, op);
    let (x, update) = (b.tensor(o[0])?.clone(), b.tensor(o[1])?.clone());
    if update.shape == x.shape {
        return Ok(Some(vec![o[1]]));
    }
    if update.element_count() == 0 {
        return Ok(Some(vec![o[0]]));
    }
    let windows = Placement {
        batch: Dims::new(),
        window: update.shape,
        starts: scalar_starts(b, &o[2..]),
        batching: Vec::new(),
        out_of_bounds: OutOfBounds::Clamp,
        unique: true,
    };
    Ok(Some(windows.write(b, &[o[0]], &[o[1]], Combiner::Set)?))
}

/// Windows of a tensor to be written.
struct Placement {
    batch: Dims,
    window: Dims,
    starts: Vec<(usize, Start)>,
    batching: Vec<(usize, usize)>,
    out_of_bounds: OutOfBounds,
    unique: bool,
}

impl Placement {
    /// Writes `values` (`[batch..., window...]`) into `inputs`.
    fn write(
        mut self,
        b: &mut Builder<'_>,
        inputs: &[ValueId],
        values: &[ValueId],
        combiner: Combiner,
    ) -> Step<Vec<ValueId>> {
        let shape = b.tensor(inputs[0])?.shape.clone();
        let mut from = disjoint_from(&shape, &self.window, &self.batch, &self.starts);
        if self.out_of_bounds == OutOfBounds::Skip {
            let partial = self
                .starts
                .iter()
                .filter(|(d, start)| may_be_partial(shape[*d], self.window[*d], start));
            from = from.max(partial.map(|(d, _)| d + 1).max().unwrap_or(0));
        }
        let rows = Rows::from_dim(&shape, &self.window, from);
        let (order, turned) = full_dims_last(&shape, &self.window);
        let batches: i64 = self.batch.iter().product();
        let fewer = batches * (rows.per_window() - turned.per_window());
        if from > 0 || fewer <= 0 || rows.elements() > fewer * ELEMENTS_PER_ROW {
            return self.write_rows(b, &rows, inputs, values, combiner);
        }
        let position = |d: usize| order.iter().position(|&o| o == d as i64).unwrap_or(d);
        self.starts.iter_mut().for_each(|(d, _)| *d = position(*d));
        self.batching.iter_mut().for_each(|(d, _)| *d = position(*d));
        let n = self.batch.len() as i64;
        let value_order: Vec<i64> = (0..n).chain(order.iter().map(|d| n + d)).collect();
        let back: Vec<i64> = (0..order.len()).map(|d| position(d) as i64).collect();
        let turn = |b: &mut Builder<'_>, all: &[ValueId], order: &[i64]| -> Step<Vec<ValueId>> {
            all.iter().map(|&v| Ok(b.transpose(v, order)?)).collect()
        };
        let inputs = turn(b, inputs, &order)?;
        let values = turn(b, values, &value_order)?;
        let written = self.write_rows(b, &turned, &inputs, &values, combiner)?;
        turn(b, &written, &back)
    }

    fn write_rows(
        &self,
        b: &mut Builder<'_>,
        rows: &Rows,
        inputs: &[ValueId],
        values: &[ValueId],
        combiner: Combiner,
    ) -> Step<Vec<ValueId>> {
        let windows = Windows {
            batch: &self.batch,
            starts: &self.starts,
            batching: &self.batching,
            out_of_bounds: self.out_of_bounds,
        };
        let offsets = row_offsets(b, rows, &windows)?;
        let count = self.batch.iter().product::<i64>() * rows.per_window();
        let known_unique = match &offsets {
            Offsets::Known(all) => all.iter().collect::<HashSet<_>>().len() == all.len(),
            Offsets::Computed(_) => false,
        };
        let mut write = Write {
            inputs: Vec::new(),
            updates: Vec::new(),
            unique: self.unique || count == 1 || known_unique,
            offsets,
            run: rows.run,
        };
        for (&x, &v) in inputs.iter().zip(values) {
            write.inputs.push(b.reshape(x, &[rows.elements()])?);
            write.updates.push(b.reshape(v, &[count, rows.run])?);
        }
        let written = write.emit(b, combiner)?;
        written.into_iter().map(|w| Ok(b.reshape(w, &rows.shape)?)).collect()
    }
}

impl Write {
    fn emit(self, b: &mut Builder<'_>, combiner: Combiner) -> Step<Vec<ValueId>> {
        let adds_floats =
            combiner == Combiner::Binary(BinaryOp::Add) && b.tensor(self.inputs[0])?.dtype.class() == DTypeClass::Float;
        if self.unique {
            return match combiner {
                Combiner::Set => self.store(b, None),
                Combiner::Binary(op) if adds_floats => self.store(b, Some(op)),
                _ => self.combine(b, combiner),
            };
        }
        let rows = b.tensor(self.updates[0])?.shape[0];
        match combiner {
            Combiner::Set | Combiner::Binary(BinaryOp::Add) if adds_floats || combiner == Combiner::Set => {
                if rows <= MAX_ORDERED_ROWS {
                    return self.store(b, adds_floats.then_some(BinaryOp::Add));
                }
                self.in_chunks(b, combiner)
            }
            Combiner::Binary(op) if neutral(op, &TensorType::scalar(b.tensor(self.updates[0])?.dtype)).is_some() => {
                self.in_chunks(b, combiner)
            }
            _ => self.one_by_one(b, combiner),
        }
    }

    /// Makes the rows of one chunk after the other distinct, and writes them.
    fn in_chunks(mut self, b: &mut Builder<'_>, combiner: Combiner) -> Step<Vec<ValueId>> {
        let rows = b.tensor(self.updates[0])?.shape[0];
        // Pairs of rows with all their elements are looked at where there is no matrix product to do it.
        let by_product = combiner == Combiner::Set
            || (combiner == Combiner::Binary(BinaryOp::Add)
                && b.tensor(self.inputs[0])?.dtype.class() == DTypeClass::Float);
        let chunk = if by_product {
            CHUNK_ROWS
        } else {
            (1..=CHUNK_ROWS.ilog2())
                .rev()
                .map(|bits| 1i64 << bits)
                .find(|c| c * c * self.run <= MAX_PAIR_STEPS)
                .unwrap_or(1)
        };
        if rows.div_euclid(chunk) > MAX_CHUNKS {
            return Err(refuse(
                format!("a scatter of {rows} rows of {} elements that may be the same", self.run),
                "set unique_indices if no index occurs twice, or scatter in parts",
            ));
        }
        for from in (0..rows).step_by(chunk as usize) {
            let count = chunk.min(rows - from);
            let part = self.part(b, from, count)?;
            self.inputs = part.distinct(b, combiner)?;
        }
        Ok(self.inputs)
    }

    /// Some of the rows.
    fn part(&self, b: &mut Builder<'_>, from: i64, count: i64) -> Step<Write> {
        let offsets = match &self.offsets {
            Offsets::Known(all) => Offsets::Known(all[from as usize..(from + count) as usize].to_vec()),
            Offsets::Computed(v) => Offsets::Computed(b.slice_dim(*v, 0, from, count)?),
        };
        let mut updates = Vec::with_capacity(self.updates.len());
        for &u in &self.updates {
            updates.push(b.slice_dim(u, 0, from, count)?);
        }
        Ok(Write {
            inputs: self.inputs.clone(),
            updates,
            offsets,
            run: self.run,
            unique: count == 1,
        })
    }

    /// Combines equal rows with one another, lets only one of each take effect, and writes.
    fn distinct(self, b: &mut Builder<'_>, combiner: Combiner) -> Step<Vec<ValueId>> {
        if self.unique {
            return self.emit(b, combiner);
        }
        let rows = b.tensor(self.updates[0])?.shape[0];
        let offsets = self.offsets.value(b)?;
        let square = [rows, rows];
        let column = b.broadcast_in_dim(offsets, &square, &[0, 1])?;
        let flat = b.reshape(offsets, &[rows])?;
        let row = b.broadcast_in_dim(flat, &square, &[1])?;
        let equal = b.compare(ComparisonDirection::Eq, column, row)?;
        // Of equal rows the last one counts.
        let place = TensorType::new(DType::I32, &square);
        let (this, other) = (b.iota(place.clone(), 0)?, b.iota(place, 1)?);
        let later = b.compare(ComparisonDirection::Gt, other, this)?;
        let repeated = b.binary(BinaryOp::And, equal, later)?;
        let repeated = b.reduce(BinaryOp::Or, repeated, &[1])?;
        let repeated = b.reshape(repeated, &[rows, 1])?;
        let elements = b.tensor(self.inputs[0])?.element_count() as i64;
        let outside = b.like_i(offsets, elements)?;
        let offsets = b.select(repeated, outside, offsets)?;
        let updates = match combiner {
            Combiner::Binary(op) => vec![self.merged(b, op, equal)?],
            _ => self.updates,
        };
        let write = Write {
            inputs: self.inputs,
            updates,
            offsets: Offsets::Computed(offsets),
            run: self.run,
            unique: true,
        };
        write.emit(b, combiner)
    }

    /// For each row, the combination of the updates of all rows equal to it: sums of floats as a product with the
    /// matrix of equality, others element by element.
    fn merged(&self, b: &mut Builder<'_>, op: BinaryOp, equal: ValueId) -> Step {
        let update = self.updates[0];
        let ty = b.tensor(update)?.clone();
        let rows = ty.shape[0];
        if op == BinaryOp::Add && ty.dtype.class() == DTypeClass::Float {
            let weights = b.convert(equal, ty.dtype)?;
            let dims = DotDims {
                lhs_contracting: [1].into_iter().collect(),
                rhs_contracting: [0].into_iter().collect(),
                ..DotDims::default()
            };
            let dot = OpKind::DotGeneral(DotGeneral {
                dims,
                precision: vec![Precision::Highest; 2],
                algorithm: None,
            });
            return Ok(b.op_as_dtype(dot, &[weights, update], ty.dtype)?);
        }
        let cube = [rows, rows, self.run];
        let equal = b.broadcast_in_dim(equal, &cube, &[0, 1])?;
        let all = b.broadcast_in_dim(update, &cube, &[1, 2])?;
        let nothing = neutral(op, &ty.with_shape(cube))
            .ok_or_else(|| ferrite_ir::hlo::Violation::new("scatter", "the combiner has no neutral element"))?;
        let nothing = b.constant(nothing);
        let picked = b.select(equal, all, nothing)?;
        Ok(b.reduce(op, picked, &[1])?)
    }

    /// One canonical scatter per input: with `add`, or replacing.
    fn store(&self, b: &mut Builder<'_>, op: Option<BinaryOp>) -> Step<Vec<ValueId>> {
        let indices = self.offsets.value(b)?;
        let mut out = Vec::with_capacity(self.inputs.len());
        for (&x, &update) in self.inputs.iter().zip(&self.updates) {
            let scalar = TensorType::scalar(b.tensor(x)?.dtype);
            let body = match op {
                Some(op) => reducer_region(b, op, scalar)?,
                None => {
                    let scalar = Type::from(scalar);
                    b.add_region(&[scalar.clone(), scalar], |_, args| Ok(vec![args[1]]))?
                }
            };
            let kind = OpKind::Scatter(canonical(self.unique));
            let result = b.op_with_regions(kind, &[x, indices, update], &[body], None)?;
            out.extend(result);
        }
        Ok(out)
    }

    /// Fetches the rows, combines them with the updates and writes them back. Rows are distinct or combine to the same.
    fn combine(&self, b: &mut Builder<'_>, combiner: Combiner) -> Step<Vec<ValueId>> {
        // Skipped rows are fetched from somewhere inside: what is combined with them is not written.
        let elements = b.tensor(self.inputs[0])?.element_count() as i64;
        let last = elements - self.run;
        let inside = match &self.offsets {
            Offsets::Known(all) => Offsets::Known(all.iter().map(|&o| o.min(last)).collect()),
            Offsets::Computed(v) => {
                let last = b.like_i(*v, last)?;
                Offsets::Computed(b.binary(BinaryOp::Minimum, *v, last)?)
            }
        };
        let mut args = Vec::with_capacity(2 * self.inputs.len());
        for &x in &self.inputs {
            args.push(fetch_rows(b, x, &inside, self.run)?);
        }
        args.extend(&self.updates);
        let combined = match combiner {
            Combiner::Set => self.updates.clone(),
            Combiner::Binary(op) => vec![b.binary(op, args[0], args[1])?],
            Combiner::Body(body) => {
                let shape = b.tensor(args[0])?.shape.clone();
                apply_body(b, body, &args, &shape)?
            }
        };
        let mut updates = Vec::with_capacity(combined.len());
        for (c, &x) in combined.into_iter().zip(&self.inputs) {
            let dtype = b.tensor(x)?.dtype;
            updates.push(b.convert(c, dtype)?);
        }
        let write = Write {
            inputs: self.inputs.clone(),
            updates,
            offsets: self.offsets.clone(),
            ..*self
        };
        write.store(b, None)
    }

    /// Combines and writes one row after the other.
    fn one_by_one(&self, b: &mut Builder<'_>, combiner: Combiner) -> Step<Vec<ValueId>> {
        let rows = b.tensor(self.updates[0])?.shape[0];
        if rows > MAX_SEQUENTIAL_ROWS {
            return Err(refuse(
                format!(
                    "a scatter combines {rows} rows that may be the same with a computation of its own; \
                     up to {MAX_SEQUENTIAL_ROWS} are done one by one"
                ),
                "set unique_indices if no index occurs twice, or combine with add, multiply, minimum or maximum",
            ));
        }
        let mut inputs = self.inputs.clone();
        for i in 0..rows {
            let mut one = self.part(b, i, 1)?;
            one.inputs = inputs;
            inputs = one.combine(b, combiner)?;
        }
        Ok(inputs)
    }
}

/// Windows up to which uniqueness is looked for (our choice: bounds compile time).
const MAX_UNIQUE_WINDOWS: i64 = 1 << 20;

/// Whether coordinates that are known at compile time tell all windows apart, so that no two can touch.
fn windows_are_unique(window: &[i64], batch: &[i64], starts: &[(usize, Start)], batching: &[(usize, usize)]) -> bool {
    let count = batch.iter().product::<i64>();
    if count > MAX_UNIQUE_WINDOWS {
        return false;
    }
    // Windows longer than one element along a dimension could overlap in part: only single indices tell.
    let known: Vec<&Vec<i64>> = starts
        .iter()
        .filter_map(|(d, s)| match s {
            Start::Known(all) if window[*d] == 1 => Some(all),
            _ => None,
        })
        .collect();
    let mut seen = HashSet::new();
    (0..count).all(|w| {
        let mut key: Vec<i64> = known.iter().map(|all| all[w as usize]).collect();
        key.extend(batching.iter().map(|&(_, p)| {
            let inner: i64 = batch[p + 1..].iter().product();
            w / inner % batch[p]
        }));
        seen.insert(key)
    })
}

/// The first dimension from which windows are the same or disjoint: behind every indexed dimension along which they may
/// overlap in part.
fn disjoint_from(shape: &[i64], window: &[i64], batch: &[i64], starts: &[(usize, Start)]) -> usize {
    if batch.iter().product::<i64>() <= 1 {
        return 0;
    }
    let overlapping = starts.iter().filter(|(d, _)| window[*d] > 1 && window[*d] < shape[*d]);
    overlapping.map(|(d, _)| d + 1).max().unwrap_or(0)
}
