//! Brings every `reduce_window` to an explicit pad and a `reduce_window` of one operation, or to element-wise steps.
//!
//! Before                                              After
//!   reduce_window(%x, %init), any padding and           %p = pad %x, %init
//!        dilation, add/max/min/mul/and/or               reduce_window(%p, %init) without padding, base_dilations 1
//!   reduce_window over all of the windowed dimensions   reduce
//!   reduce_window, any other body or several inputs     slices of the padded inputs, combined by the body applied to
//!                                                       whole tensors
//!
//! A cumulative reduction stays as it is where the device scans: `add`, `maximum`, `minimum` or `multiply`, along one
//! dimension `d` of size `n` with `window_dimensions[d] = n`, padding `(n-1, 0)` (a prefix) or `(0, n-1)` (a suffix), and
//! sizes, strides, dilations of 1 and padding 0 everywhere else. See [`cumulative`].
//!
//! Windows of an image whose first two dimensions have none keep their padding, which is the neutral element; it is not there when they
//! are computed. Padding that the program wrote before them becomes theirs.
//!
//! Steps: windows are reduced one dimension at a time, the innermost first, so that the order of elements is kept;
//! along a dimension by doubling (`log2` of the window) or, where windows move by more than one, by its slices.
//!
//! Needs: verified static `hlo`. Leaves: verified `hlo`; every `reduce_window` as said.

use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{BinaryOp, Builder, Dims, Func, OpId, OpKind, Reduce, ReduceWindow, RegionId, ValueId, neutral};

use super::body::{apply_body, reducer_region, single_reducer};
use super::data::pad_or_slice;
use super::reduce::separate_reducers;
use super::rewrite::{Rewrite, Step, operands};

/// Window slices that are combined directly where windows move by more than one (our choice, bounds code size).
const MAX_SLICES: i64 = 32;

/// A cumulative reduction that the device scans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cumulative {
    /// What is accumulated: `Add`, `Maximum`, `Minimum` or `Multiply`.
    pub op: BinaryOp,
    /// The dimension scanned along.
    pub dimension: usize,
    /// From the last element to the first.
    pub reverse: bool,
}

/// Recognises the cumulative form of `reduce_window`, which is left to the tile level.
pub fn cumulative(func: &Func, op: OpId) -> Option<Cumulative> {
    let o = func.op(op);
    let OpKind::ReduceWindow(w) = &o.kind else { return None };
    let binary = single_reducer(func, o.regions[0])?;
    if o.operands.len() != 2
        || !matches!(
            binary,
            BinaryOp::Add | BinaryOp::Maximum | BinaryOp::Minimum | BinaryOp::Multiply
        )
    {
        return None;
    }
    let x = func.ty(o.operands[0]).tensor()?;
    if x.dtype != func.ty(o.results[0]).tensor()?.dtype {
        return None;
    }
    let (dimension, reverse) = scan_direction(w, &x.shape)?;
    Some(Cumulative {
        op: binary,
        dimension,
        reverse,
    })
}

fn scan_direction(w: &ReduceWindow, shape: &[i64]) -> Option<(usize, bool)> {
    let ones = [&w.window_strides, &w.base_dilations, &w.window_dilations];
    if ones.iter().any(|v| v.iter().any(|&s| s != 1)) {
        return None;
    }
    let mut wide = (0..shape.len()).filter(|&d| w.window_dimensions[d] != 1 || w.padding[d] != (0, 0));
    let (d, None) = (wide.next()?, wide.next()) else {
        return None;
    };
    let n = shape[d];
    if w.window_dimensions[d] != n || n < 2 {
        return None;
    }
    match w.padding[d] {
        (low, 0) if low == n - 1 => Some((d, false)),
        (0, high) if high == n - 1 => Some((d, true)),
        _ => None,
    }
}

/// An initial value that is not the neutral element of the reducer is combined with every window afterwards, once:
/// padding then takes the neutral element, and a run-time value is no longer in the way.
fn initial_afterwards(b: &mut Builder<'_>, op: OpId, kind: BinaryOp) -> Step<Option<ValueId>> {
    let (x, init) = (b.func.op(op).operands[0], b.func.op(op).operands[1]);
    let ty = b.func.tensor(b.func.op(op).results[0]).clone();
    let scalar = b.tensor(init)?.clone();
    if ty.element_count() == 0 || scalar.dtype != ty.dtype {
        return Ok(None);
    }
    let Some(neutral) = neutral(kind, &scalar) else {
        return Ok(None);
    };
    if let Some(OpKind::Constant(literal)) = b.func.def_kind(init)
        && literal.element(0) == neutral.element(0)
    {
        return Ok(None);
    }
    let operation = b.func.op(op).kind.clone();
    let regions = b.func.op(op).regions.to_vec();
    let neutral = b.constant(neutral);
    let windows = b.op_id(operation, &[x, neutral], &regions, Some(&[ty.clone().into()]))?;
    let result = match rewrite(b, windows)? {
        Some(values) => {
            let region = b.region;
            b.func.region_mut(region).ops.retain(|&o| o != windows);
            values[0]
        }
        None => b.func.result(windows),
    };
    let init = b.broadcast_in_dim(init, &ty.shape, &[])?;
    Ok(Some(b.binary(kind, init, result)?))
}

/// The rule of `legalize-window`.
pub(crate) fn rewrite(b: &mut Builder<'_>, op: OpId) -> Rewrite {
    let OpKind::ReduceWindow(w) = b.func.op(op).kind.clone() else {
        return Ok(None);
    };
    let o = operands(b, op);
    let body = b.func.op(op).regions[0];
    let count = o.len() / 2;
    let out: Dims = b.func.tensor(b.func.op(op).results[0]).shape.clone();
    let dtypes: Vec<_> = b.func.op(op).results.iter().map(|&r| b.func.tensor(r).dtype).collect();
    let shape = b.tensor(o[0])?.shape.clone();
    let single = (count == 1).then(|| single_reducer(b.func, body)).flatten();
    if let Some(kind) = single
        && let Some(result) = initial_afterwards(b, op, kind)?
    {
        return Ok(Some(vec![result]));
    }
    if cumulative(b.func, op).is_some() {
        return Ok(None);
    }
    if let Some(windows) = absorb_padding(b, op, &w)? {
        return Ok(Some(windows));
    }
    if is_image_window(b.func, op) {
        return Ok(None);
    }
    let canonical = w.padding.iter().all(|&p| p == (0, 0)) && w.base_dilations.iter().all(|&d| d == 1);
    let global = canonical && (0..shape.len()).all(|d| w.window_dimensions[d] == 1 || out[d] == 1);
    if single.is_some_and(is_device_reducer) && canonical && !global && b.tensor(o[0])?.dtype == dtypes[0] {
        return Ok(None);
    }
    // Bodies may compute in a wider type than the inputs have.
    let mut inputs = Vec::with_capacity(count);
    let mut inits = Vec::with_capacity(count);
    for i in 0..count {
        inputs.push(b.convert(o[i], dtypes[i])?);
        inits.push(b.convert(o[count + i], dtypes[i])?);
    }
    if out.contains(&0) {
        let empty = dtypes
            .iter()
            .map(|&d| b.constant_i(ferrite_ir::hlo::TensorType::new(d, &out), 0));
        return Ok(Some(empty.collect()));
    }
    if count > 1
        && let Some(parts) = separate_reducers(b.func, body)
    {
        let mut results = Vec::with_capacity(count);
        for (i, part) in parts.into_iter().enumerate() {
            let scalar = b.tensor(inits[i])?.clone();
            let body = reducer_region(b, part, scalar)?;
            let one = Windows { w: &w, body, out: &out };
            results.extend(one.lower(b, &inputs[i..=i], &inits[i..=i], Some(part))?);
        }
        return Ok(Some(results));
    }
    let windows = Windows { w: &w, body, out: &out };
    Ok(Some(windows.lower(b, &inputs, &inits, single)?))
}

/// Whether these are windows of an image whose first two dimensions have none, with the neutral element as padding: the lowering leaves
/// padding out.
pub(crate) fn is_image_window(func: &Func, op: OpId) -> bool {
    let o = func.op(op);
    let OpKind::ReduceWindow(w) = &o.kind else { return false };
    let (Some(kind), [x, init]) = (single_reducer(func, o.regions[0]), &o.operands[..]) else {
        return false;
    };
    let (ty, out) = (func.tensor(*x), func.tensor(o.results[0]));
    let rank = ty.rank();
    let one = |d: usize| w.window_dimensions[d] == 1 && w.window_strides[d] == 1 && w.padding[d] == (0, 0);
    let reducer = matches!(kind, BinaryOp::Add | BinaryOp::Maximum | BinaryOp::Minimum);
    let floats = matches!(ty.dtype, DType::F32 | DType::BF16 | DType::F16) && ty.dtype == out.dtype;
    let plain = w.base_dilations.iter().chain(&w.window_dilations).all(|&d| d == 1);
    if !(3..=4).contains(&rank) || !one(0) || !one(1) || !reducer || !floats || !plain || out.element_count() == 0 {
        return false;
    }
    let neutral_init = matches!(func.def_kind(*init), Some(OpKind::Constant(literal))
        if neutral(kind, func.tensor(*init)).is_some_and(|n| n.element(0) == literal.element(0)));
    // Every window has an element, and not all of them one of all.
    let meets = (2..rank).all(|d| {
        let last = (out.shape[d] - 1) * w.window_strides[d] - w.padding[d].0;
        w.padding[d].0 < w.window_dimensions[d] && last < ty.shape[d] && w.padding[d].0 >= 0 && w.padding[d].1 >= 0
    });
    let global = (2..rank).all(|d| w.window_dimensions[d] == 1 || out.shape[d] == 1);
    neutral_init && meets && !global
}

/// Padding with the neutral element that stands before windows becomes theirs.
fn absorb_padding(b: &mut Builder<'_>, op: OpId, w: &ReduceWindow) -> Rewrite {
    let o = operands(b, op);
    let (Some(def), [x, init]) = (b.func.def(o[0]), &o[..]) else {
        return Ok(None);
    };
    let OpKind::Pad(pad) = b.func.op(def).kind.clone() else {
        return Ok(None);
    };
    let element = |v: ValueId| match b.func.def_kind(v) {
        Some(OpKind::Constant(literal)) if literal.ty().element_count() > 0 => Some(literal.element(0).to_vec()),
        _ => None,
    };
    let filler = b.func.op(def).operands[1];
    let grows = pad.low.iter().chain(&pad.high).all(|&p| p >= 0) && pad.interior.iter().all(|&p| p == 0);
    let same = element(filler).is_some() && element(filler) == element(*init);
    if !grows || !same || w.base_dilations.iter().any(|&d| d != 1) || b.tensor(*x)?.dtype != b.tensor(filler)?.dtype {
        return Ok(None);
    }
    let kind = OpKind::ReduceWindow(ReduceWindow {
        padding: (0..w.padding.len())
            .map(|d| (w.padding[d].0 + pad.low[d], w.padding[d].1 + pad.high[d]))
            .collect(),
        ..w.clone()
    });
    let inner = b.func.op(def).operands[0];
    let regions = b.func.op(op).regions.to_vec();
    let ty = b.func.tensor(b.func.op(op).results[0]).clone();
    let windows = b.op_id(kind, &[inner, *init], &regions, Some(&[ty.into()]))?;
    if is_image_window(b.func, windows) {
        return Ok(Some(vec![b.func.result(windows)]));
    }
    // Elsewhere padding is explicit.
    let region = b.region;
    b.func.region_mut(region).ops.retain(|&o| o != windows);
    Ok(None)
}

fn is_device_reducer(op: BinaryOp) -> bool {
    use BinaryOp::*;
    matches!(op, Add | Maximum | Minimum | Multiply | And | Or)
}

struct Windows<'a> {
    w: &'a ReduceWindow,
    body: RegionId,
    out: &'a Dims,
}

impl Windows<'_> {
    fn lower(
        &self,
        b: &mut Builder<'_>,
        inputs: &[ValueId],
        inits: &[ValueId],
        single: Option<BinaryOp>,
    ) -> Step<Vec<ValueId>> {
        let w = self.w;
        let shape = b.tensor(inputs[0])?.shape.clone();
        if let (Some(op), Some((d, reverse))) = (single, scan_direction(w, &shape)) {
            let scans = matches!(
                op,
                BinaryOp::Add | BinaryOp::Maximum | BinaryOp::Minimum | BinaryOp::Multiply
            );
            if scans {
                return self.emit(b, w.clone(), op, inputs, inits);
            }
            return self.scan(b, inputs, inits, d, reverse);
        }
        if let Some((d, reverse)) = scan_direction(w, &shape) {
            return self.scan(b, inputs, inits, d, reverse);
        }
        let low: Dims = w.padding.iter().map(|p| p.0).collect();
        let high: Dims = w.padding.iter().map(|p| p.1).collect();
        let interior: Dims = w.base_dilations.iter().map(|d| d - 1).collect();
        let mut padded = Vec::with_capacity(inputs.len());
        for (&x, &init) in inputs.iter().zip(inits) {
            padded.push(pad_or_slice(b, x, init, &low, &high, &interior)?);
        }
        let rank = self.out.len();
        match single {
            Some(op) if is_device_reducer(op) => {
                let plain = ReduceWindow {
                    base_dilations: w.base_dilations.iter().map(|_| 1).collect(),
                    padding: w.padding.iter().map(|_| (0, 0)).collect(),
                    ..w.clone()
                };
                let global = (0..rank).all(|d| w.window_dimensions[d] == 1 || self.out[d] == 1);
                if global {
                    return self.global(b, op, padded[0], inits[0]);
                }
                self.emit(b, plain, op, &padded, inits)
            }
            _ => self.steps(b, padded, inits),
        }
    }

    fn emit(
        &self,
        b: &mut Builder<'_>,
        w: ReduceWindow,
        op: BinaryOp,
        inputs: &[ValueId],
        inits: &[ValueId],
    ) -> Step<Vec<ValueId>> {
        let scalar = b.tensor(inits[0])?.clone();
        let body = reducer_region(b, op, scalar)?;
        let operands = [inputs[0], inits[0]];
        Ok(b.op_with_regions(OpKind::ReduceWindow(w), &operands, &[body], None)?)
    }

    /// One window per windowed dimension: take its elements, then reduce.
    fn global(&self, b: &mut Builder<'_>, op: BinaryOp, x: ValueId, init: ValueId) -> Step<Vec<ValueId>> {
        let w = self.w;
        let shape = b.tensor(x)?.shape.clone();
        let mut limit = shape.clone();
        let mut strides: Dims = shape.iter().map(|_| 1).collect();
        let mut dims = Dims::new();
        for d in 0..shape.len() {
            if w.window_dimensions[d] == 1 {
                strides[d] = w.window_strides[d];
                limit[d] = (self.out[d] - 1) * strides[d] + 1;
            } else {
                strides[d] = w.window_dilations[d];
                limit[d] = (w.window_dimensions[d] - 1) * strides[d] + 1;
                dims.push(d as i64);
            }
        }
        let zeros: Dims = shape.iter().map(|_| 0).collect();
        let x = if limit == shape && strides.iter().all(|&s| s == 1) {
            x
        } else {
            b.slice(x, &zeros, &limit, &strides)?
        };
        let scalar = b.tensor(init)?.clone();
        let body = reducer_region(b, op, scalar)?;
        let reduce = OpKind::Reduce(Reduce { dimensions: dims });
        let reduced = b.op_with_regions(reduce, &[x, init], &[body], None)?;
        Ok(vec![b.reshape(reduced[0], self.out)?])
    }

    /// A prefix or suffix along `d` by doubling: after step `k` every element holds `2^k` of its window.
    fn scan(
        &self,
        b: &mut Builder<'_>,
        inputs: &[ValueId],
        inits: &[ValueId],
        d: usize,
        reverse: bool,
    ) -> Step<Vec<ValueId>> {
        let n = self.out[d];
        let mut all = inputs.to_vec();
        let mut step = 1;
        while step < n {
            let earlier = self.each(b, &all, |b, x| Ok(b.slice_dim(x, d, 0, n - step)?))?;
            let later = self.each(b, &all, |b, x| Ok(b.slice_dim(x, d, step, n - step)?))?;
            let joined = self.combine(b, &earlier, &later)?;
            let rest = if reverse { n - step } else { 0 };
            let rest = self.each(b, &all, |b, x| Ok(b.slice_dim(x, d, rest, step)?))?;
            for (i, (&j, &r)) in joined.iter().zip(&rest).enumerate() {
                let parts = if reverse { [j, r] } else { [r, j] };
                all[i] = b.concatenate(&parts, d as i64)?;
            }
            step *= 2;
        }
        self.with_inits(b, all, inits)
    }

    /// The general form: one dimension after the other, the innermost first.
    fn steps(&self, b: &mut Builder<'_>, padded: Vec<ValueId>, inits: &[ValueId]) -> Step<Vec<ValueId>> {
        let mut all = padded;
        for d in (0..self.out.len()).rev() {
            let (size, stride) = (self.w.window_dimensions[d], self.w.window_strides[d]);
            let (dilation, positions) = (self.w.window_dilations[d], self.out[d]);
            if size == 1 || (stride > 1 && size <= MAX_SLICES) {
                let mut slices = Vec::with_capacity(size as usize);
                for i in 0..size {
                    let slice = self.each(b, &all, |b, x| strided(b, x, d, i * dilation, positions, stride))?;
                    slices.push(slice);
                }
                all = self.tree(b, slices)?;
            } else {
                all = self.doubling(b, all, d, size, dilation)?;
                all = self.each(b, &all, |b, x| strided(b, x, d, 0, positions, stride))?;
            }
        }
        self.with_inits(b, all, inits)
    }

    /// Windows of `size` at every position along `d`.
    fn doubling(
        &self,
        b: &mut Builder<'_>,
        all: Vec<ValueId>,
        d: usize,
        size: i64,
        dilation: i64,
    ) -> Step<Vec<ValueId>> {
        // `power` holds windows of `width`; `done` holds windows of `have`, both from their first position on.
        let (mut power, mut width) = (all, 1);
        let mut done: Option<(Vec<ValueId>, i64)> = None;
        let mut left = size;
        loop {
            if left & 1 == 1 {
                done = Some(match done {
                    None => (power.clone(), width),
                    Some((values, have)) => (self.join(b, &values, &power, d, have * dilation)?, have + width),
                });
            }
            left >>= 1;
            if left == 0 {
                break;
            }
            power = self.join(b, &power, &power, d, width * dilation)?;
            width *= 2;
        }
        Ok(done.map(|(values, _)| values).unwrap_or(power))
    }

    /// `first[i]` combined with `second[i + shift]`, wherever both exist.
    fn join(
        &self,
        b: &mut Builder<'_>,
        first: &[ValueId],
        second: &[ValueId],
        d: usize,
        shift: i64,
    ) -> Step<Vec<ValueId>> {
        let a = b.tensor(first[0])?.shape[d];
        let c = b.tensor(second[0])?.shape[d];
        let count = a.min(c - shift);
        let left = self.each(b, first, |b, x| strided(b, x, d, 0, count, 1))?;
        let right = self.each(b, second, |b, x| strided(b, x, d, shift, count, 1))?;
        self.combine(b, &left, &right)
    }

    fn tree(&self, b: &mut Builder<'_>, mut all: Vec<Vec<ValueId>>) -> Step<Vec<ValueId>> {
        while all.len() > 1 {
            let mut next = Vec::with_capacity(all.len().div_ceil(2));
            for pair in all.chunks(2) {
                next.push(match pair {
                    [x, y] => self.combine(b, x, y)?,
                    _ => pair[0].clone(),
                });
            }
            all = next;
        }
        Ok(all.pop().unwrap_or_default())
    }

    fn with_inits(&self, b: &mut Builder<'_>, all: Vec<ValueId>, inits: &[ValueId]) -> Step<Vec<ValueId>> {
        let shape = b.tensor(all[0])?.shape.clone();
        let inits = self.each(b, inits, |b, init| Ok(b.broadcast_in_dim(init, &shape, &[])?))?;
        self.combine(b, &inits, &all)
    }

    fn combine(&self, b: &mut Builder<'_>, first: &[ValueId], second: &[ValueId]) -> Step<Vec<ValueId>> {
        let shape = b.tensor(first[0])?.shape.clone();
        let args: Vec<ValueId> = first.iter().chain(second).copied().collect();
        apply_body(b, self.body, &args, &shape)
    }

    fn each(
        &self,
        b: &mut Builder<'_>,
        values: &[ValueId],
        mut f: impl FnMut(&mut Builder<'_>, ValueId) -> Step,
    ) -> Step<Vec<ValueId>> {
        values.iter().map(|&v| f(b, v)).collect()
    }
}

/// `count` elements along `d` from `start`, every `stride`; `x` itself if that is all of it.
fn strided(b: &mut Builder<'_>, x: ValueId, d: usize, start: i64, count: i64, stride: i64) -> Step {
    let shape = b.tensor(x)?.shape.clone();
    if start == 0 && count == shape[d] && (stride == 1 || count == 1) {
        return Ok(x);
    }
    let mut from: Dims = shape.iter().map(|_| 0).collect();
    let mut to = shape;
    let mut strides = from.iter().map(|_| 1).collect::<Dims>();
    from[d] = start;
    to[d] = start + (count - 1) * stride + 1;
    strides[d] = stride;
    Ok(b.slice(x, &from, &to, &strides)?)
}
