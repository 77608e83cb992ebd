//! Where rows begin: the arithmetic shared by gather, scatter, dynamic_slice and dynamic_update_slice.
//!
//! A window of a row-major tensor is a set of equally long contiguous runs ("rows"). The canonical indexed operations
//! name each run by the offset of its first element in the flattened tensor, as `i32`.

use ferrite_ir::dtype::{DType, DTypeClass};
use ferrite_ir::hlo::{BinaryOp, Builder, ComparisonDirection, Dims, Func, OpKind, TensorType, ValueId};
use ferrite_ir::literal::Literal;

use super::rewrite::{Step, refuse};

/// Rows up to which offsets known at compile time become a constant rather than device arithmetic (our choice: 64 KiB).
const MAX_CONSTANT_ROWS: i64 = 16 * 1024;

/// Elements of a run from which on it is cut into rows of its outermost dimension (our choice: a single row passes through
/// one partition).
const LONG_RUN: i64 = 8 * 1024;

/// Elements that such rows must have (our choice: descriptors of 256 elements move at a good part of the full rate).
const SHORT_RUN: i64 = 256;

/// How a window of a tensor falls apart into rows.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    /// Sizes of the tensor.
    pub shape: Dims,
    /// Sizes of the window.
    pub window: Dims,
    /// Row-major strides of the tensor in elements.
    pub strides: Dims,
    /// Dimensions before this one are enumerated row by row; from here on the window is contiguous.
    pub split: usize,
    /// Elements of a row.
    pub run: i64,
}

impl Rows {
    /// The longest rows of `window` in a tensor of `shape`.
    pub fn new(shape: &[i64], window: &[i64]) -> Rows {
        Rows::from_dim(shape, window, 0)
    }

    /// The longest rows that do not reach over dimensions before `first`.
    pub fn from_dim(shape: &[i64], window: &[i64], first: usize) -> Rows {
        let mut split = shape.len();
        let mut run = 1;
        while split > first {
            split -= 1;
            run *= window[split];
            if window[split] != shape[split] {
                break;
            }
        }
        // A long run is cut, so that many partitions and descriptors share it.
        if split < shape.len() && window[split] > 1 && run >= LONG_RUN && run / window[split] >= SHORT_RUN {
            run /= window[split];
            split += 1;
        }
        // Leading dimensions of one element add no rows: take them into the run as well.
        while split > first && shape[split - 1] == 1 {
            split -= 1;
        }
        Rows {
            shape: shape.into(),
            window: window.into(),
            strides: TensorType::new(DType::I32, shape).strides(),
            split,
            run,
        }
    }

    /// Elements of the tensor.
    pub fn elements(&self) -> i64 {
        self.shape.iter().product()
    }

    /// Sizes of the enumerated dimensions.
    pub fn lead(&self) -> &[i64] {
        &self.window[..self.split]
    }

    /// Rows of one window.
    pub fn per_window(&self) -> i64 {
        self.lead().iter().product()
    }

    /// The largest start index along a dimension.
    pub fn bound(&self, d: usize) -> i64 {
        self.shape[d] - self.window[d]
    }
}

/// Where windows begin along one dimension.
#[derive(Clone, Debug)]
pub(crate) enum Start {
    /// Known: one integer per window, row-major over the batch.
    Known(Vec<i64>),
    /// Computed: a tensor of integers with the shape of the batch.
    Computed(ValueId),
}

/// What happens to windows that do not lie inside of the tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutOfBounds {
    /// They are moved inside (gather, dynamic slices).
    Clamp,
    /// Rows that do not lie inside get an offset behind the tensor (scatter). No row may reach over a dimension along
    /// which its window may lie partly outside ([`may_be_partial`]).
    Skip,
}

/// Whether windows may lie partly inside along a dimension, by where they begin.
pub(crate) fn may_be_partial(size: i64, window: i64, start: &Start) -> bool {
    let inside = |all: &[i64]| all.iter().all(|s| (0..=size - window).contains(s));
    window > 1 && !matches!(start, Start::Known(all) if inside(all))
}

/// Offsets of all rows, window by window.
#[derive(Clone, Debug)]
pub(crate) enum Offsets {
    /// Known at compile time.
    Known(Vec<i64>),
    /// An `i32` tensor `[rows, 1]`.
    Computed(ValueId),
}

impl Offsets {
    /// The offsets as an `i32` tensor `[rows, 1]`.
    pub fn value(&self, b: &mut Builder<'_>) -> Step {
        match self {
            Offsets::Computed(v) => Ok(*v),
            Offsets::Known(offsets) => constant_i32(b, &[offsets.len() as i64, 1], offsets),
        }
    }
}

/// The windows to enumerate.
pub(crate) struct Windows<'a> {
    /// Shape of the batch of windows.
    pub batch: &'a [i64],
    /// Dimension of the tensor and where windows begin along it. Others begin at 0.
    pub starts: &'a [(usize, Start)],
    /// Dimension of the tensor that is walked along with a dimension of the batch.
    pub batching: &'a [(usize, usize)],
    /// Treatment of windows outside.
    pub out_of_bounds: OutOfBounds,
}

/// Offsets of the rows of all windows.
///
/// # Errors
/// Tensors whose offsets do not fit `i32`.
pub(crate) fn row_offsets(b: &mut Builder<'_>, rows: &Rows, windows: &Windows<'_>) -> Step<Offsets> {
    let elements = rows.elements();
    // Twice: a skipped row lies at `elements` plus the offset inside of its window.
    if elements > i64::from(i32::MAX) / 2 {
        return Err(refuse(
            format!("a tensor of {elements} elements is indexed; offsets are 32-bit integers and end at 1073741823"),
            "split the tensor, or shard it over cores",
        ));
    }
    let space: Dims = windows.batch.iter().chain(rows.lead()).copied().collect();
    let count: i64 = space.iter().product();
    // What does not depend on run-time values: batching dimensions and the rows inside of a window.
    let mut steps: Vec<(usize, i64)> = Vec::new();
    for &(d, position) in windows.batching {
        steps.push((position, rows.strides[d]));
    }
    for d in 0..rows.split {
        steps.push((windows.batch.len() + d, rows.strides[d]));
    }
    steps.retain(|&(d, stride)| space[d] > 1 && stride > 0);

    let known = windows.starts.iter().all(|(_, s)| matches!(s, Start::Known(_)));
    if known && count <= MAX_CONSTANT_ROWS {
        return Ok(Offsets::Known(known_offsets(rows, windows, &space, &steps)));
    }
    let partial: Vec<&(usize, Start)> = match windows.out_of_bounds {
        OutOfBounds::Clamp => Vec::new(),
        OutOfBounds::Skip => {
            let all = windows.starts.iter();
            all.filter(|(d, start)| may_be_partial(rows.shape[*d], rows.window[*d], start))
                .collect()
        }
    };
    steps.retain(|&(d, _)| !partial.iter().any(|(p, _)| windows.batch.len() + p == d));
    let start = window_offset(b, rows, windows)?;
    let inner = affine(b, &space, &steps)?;
    let batch_dims: Vec<i64> = (0..windows.batch.len() as i64).collect();
    let mut total = match (start, inner) {
        (None, None) => b.constant_i(TensorType::new(DType::I32, &space), 0),
        (None, Some(i)) => i,
        (Some((offset, _)), None) => b.broadcast_in_dim(offset, &space, &batch_dims)?,
        (Some((offset, _)), Some(i)) => {
            let offset = b.broadcast_in_dim(offset, &space, &batch_dims)?;
            b.add(offset, i)?
        }
    };
    let mut valid = match start {
        Some((_, Some(valid))) => Some(b.broadcast_in_dim(valid, &space, &batch_dims)?),
        _ => None,
    };
    for (d, start) in partial {
        let (offset, inside) = partial_rows(b, rows, windows, &space, *d, start)?;
        total = b.add(total, offset)?;
        valid = Some(match valid {
            None => inside,
            Some(v) => b.binary(BinaryOp::And, v, inside)?,
        });
    }
    if let Some(valid) = valid {
        let outside = b.constant_i(TensorType::new(DType::I32, &space), elements);
        total = b.select(valid, total, outside)?;
    }
    Ok(Offsets::Computed(b.reshape(total, &[count, 1])?))
}

/// Of each row, its part of the offset along a dimension of windows that may lie partly outside, and whether it lies inside.
fn partial_rows(
    b: &mut Builder<'_>,
    rows: &Rows,
    windows: &Windows<'_>,
    space: &[i64],
    d: usize,
    start: &Start,
) -> Step<(ValueId, ValueId)> {
    let (size, window) = (rows.shape[d], rows.window[d]);
    let start = match start {
        Start::Computed(v) => *v,
        Start::Known(all) => constant_i32_saturating(b, windows.batch, all)?,
    };
    // Farther away is as much outside.
    let start = clamped(b, start, -window, size)?;
    let batch_dims: Vec<i64> = (0..windows.batch.len() as i64).collect();
    let start = b.broadcast_in_dim(start, space, &batch_dims)?;
    let within = b.iota(TensorType::new(DType::I32, space), (windows.batch.len() + d) as i64)?;
    let place = b.add(start, within)?;
    let inside = clamped(b, place, 0, size - 1)?;
    let valid = b.compare(ComparisonDirection::Eq, inside, place)?;
    let stride = b.like_i(inside, rows.strides[d])?;
    Ok((b.mul(inside, stride)?, valid))
}

/// Offset of each window's first element, and which windows lie inside if that is not certain.
fn window_offset(b: &mut Builder<'_>, rows: &Rows, windows: &Windows<'_>) -> Step<Option<(ValueId, Option<ValueId>)>> {
    let mut sum: Option<ValueId> = None;
    let mut valid: Option<ValueId> = None;
    let mut known = vec![0; windows.batch.iter().product::<i64>() as usize];
    for (d, start) in windows.starts {
        let bound = rows.bound(*d);
        // These are left to the rows.
        if windows.out_of_bounds == OutOfBounds::Skip && may_be_partial(rows.shape[*d], rows.window[*d], start) {
            continue;
        }
        let start = match start {
            Start::Computed(v) => *v,
            Start::Known(all)
                if windows.out_of_bounds == OutOfBounds::Clamp || all.iter().all(|s| (0..=bound).contains(s)) =>
            {
                for (k, s) in known.iter_mut().zip(all) {
                    *k += (*s).clamp(0, bound) * rows.strides[*d];
                }
                continue;
            }
            Start::Known(all) => constant_i32_saturating(b, windows.batch, all)?,
        };
        let offset = match windows.out_of_bounds {
            OutOfBounds::Clamp if bound == 0 => continue,
            OutOfBounds::Clamp => clamped(b, start, 0, bound)?,
            OutOfBounds::Skip => {
                let inside = clamped(b, start, 0, bound)?;
                let wide = b.tensor(start)?.dtype;
                let back = if needs_clamp_before_convert(wide) {
                    b.convert(inside, wide)?
                } else {
                    inside
                };
                let start = if needs_clamp_before_convert(wide) {
                    start
                } else {
                    b.convert(start, DType::I32)?
                };
                let ok = b.compare(ComparisonDirection::Eq, back, start)?;
                valid = Some(match valid {
                    None => ok,
                    Some(v) => b.binary(BinaryOp::And, v, ok)?,
                });
                if bound == 0 {
                    continue;
                }
                inside
            }
        };
        let stride = b.like_i(offset, rows.strides[*d])?;
        let term = if rows.strides[*d] == 1 {
            offset
        } else {
            b.mul(offset, stride)?
        };
        sum = Some(match sum {
            None => term,
            Some(s) => b.add(s, term)?,
        });
    }
    if known.iter().any(|&k| k != 0) {
        let known = constant_i32(b, windows.batch, &known)?;
        sum = Some(match sum {
            None => known,
            Some(s) => b.add(s, known)?,
        });
    }
    if sum.is_none() && valid.is_none() {
        return Ok(None);
    }
    let sum = match sum {
        Some(s) => s,
        None => b.constant_i(TensorType::new(DType::I32, windows.batch), 0),
    };
    Ok(Some((sum, valid)))
}

/// Integers that `i32` does not hold must be clamped before they are converted.
fn needs_clamp_before_convert(dtype: DType) -> bool {
    dtype.bits() > 32 || dtype == DType::U32
}

/// `min(max(start, low), bound)` as `i32`.
fn clamped(b: &mut Builder<'_>, start: ValueId, low: i64, bound: i64) -> Step {
    let dtype = b.tensor(start)?.dtype;
    let early = needs_clamp_before_convert(dtype);
    let mut x = if early { start } else { b.convert(start, DType::I32)? };
    if dtype.class() == DTypeClass::Signed {
        let low = b.like_i(x, low)?;
        x = b.binary(BinaryOp::Maximum, x, low)?;
    }
    let high = b.like_i(x, bound)?;
    x = b.binary(BinaryOp::Minimum, x, high)?;
    Ok(b.convert(x, DType::I32)?)
}

/// Sum of `index along dimension * stride` over a space, or nothing if there are no steps.
fn affine(b: &mut Builder<'_>, space: &[i64], steps: &[(usize, i64)]) -> Step<Option<ValueId>> {
    if steps.is_empty() {
        return Ok(None);
    }
    let count: i64 = space.iter().product();
    if count <= MAX_CONSTANT_ROWS {
        let values: Vec<i64> = (0..count).map(|i| affine_at(space, steps, i)).collect();
        return constant_i32(b, space, &values).map(Some);
    }
    let mut sum: Option<ValueId> = None;
    for &(d, stride) in steps {
        let index = b.iota(TensorType::new(DType::I32, space), d as i64)?;
        let factor = b.like_i(index, stride)?;
        let term = b.mul(index, factor)?;
        sum = Some(match sum {
            None => term,
            Some(s) => b.add(s, term)?,
        });
    }
    Ok(sum)
}

fn affine_at(space: &[i64], steps: &[(usize, i64)], linear: i64) -> i64 {
    steps
        .iter()
        .map(|&(d, stride)| {
            let inner: i64 = space[d + 1..].iter().product();
            linear / inner % space[d] * stride
        })
        .sum()
}

fn known_offsets(rows: &Rows, windows: &Windows<'_>, space: &[i64], steps: &[(usize, i64)]) -> Vec<i64> {
    let per_window = rows.per_window().max(1);
    let count: i64 = space.iter().product();
    (0..count)
        .map(|i| {
            let window = (i / per_window) as usize;
            let mut offset = affine_at(space, steps, i);
            for (d, start) in windows.starts {
                let Start::Known(all) = start else { continue };
                let (s, bound) = (all[window], rows.bound(*d));
                if windows.out_of_bounds == OutOfBounds::Clamp {
                    offset += s.clamp(0, bound) * rows.strides[*d];
                    continue;
                }
                let within = if *d < rows.split {
                    affine_at(space, &[(windows.batch.len() + d, 1)], i)
                } else {
                    0
                };
                let end = if *d < rows.split { rows.shape[*d] - 1 } else { bound };
                if !(0..=end).contains(&s.saturating_add(within)) {
                    return rows.elements();
                }
                offset += s * rows.strides[*d];
            }
            offset
        })
        .collect()
}

/// An `i32` constant.
pub(crate) fn constant_i32(b: &mut Builder<'_>, shape: &[i64], values: &[i64]) -> Step {
    let ty = TensorType::new(DType::I32, shape);
    let bytes: Vec<u8> = values.iter().flat_map(|&v| (v as i32).to_le_bytes()).collect();
    match values {
        [first, rest @ ..] if rest.iter().all(|v| v == first) => Ok(b.constant_i(ty, *first)),
        _ => match Literal::new(ty, bytes) {
            Some(literal) => Ok(b.constant(literal)),
            None => Err(ferrite_ir::hlo::Violation::new("constant", "wrong number of values").into()),
        },
    }
}

fn constant_i32_saturating(b: &mut Builder<'_>, shape: &[i64], values: &[i64]) -> Step {
    let clamp = |v: &i64| (*v).clamp(i64::from(i32::MIN), i64::from(i32::MAX));
    constant_i32(b, shape, &values.iter().map(clamp).collect::<Vec<_>>())
}

/// The constant that a value is, seen through reshapes.
pub(crate) fn constant_of(func: &Func, mut v: ValueId) -> Option<Literal> {
    // Chains of reshapes are short; the bound keeps hostile ones cheap.
    for _ in 0..16 {
        let op = func.op(func.def(v)?);
        match &op.kind {
            OpKind::Constant(literal) => return literal.reshaped(&func.ty(v).tensor()?.shape),
            OpKind::Reshape => v = op.operands[0],
            _ => return None,
        }
    }
    None
}

/// The integers of a constant; `None` for unsigned 64-bit values that `i64` does not hold.
pub(crate) fn known_integers(literal: &Literal) -> Vec<i64> {
    let unsigned = literal.ty().dtype == DType::U64;
    (0..literal.ty().element_count())
        .map(|i| {
            let v = literal.get_i64(i);
            if unsigned && v < 0 { i64::MAX } else { v }
        })
        .collect()
}
