//! `reduce`, `reduce_window`, `select_and_scatter` and `scatter`.
//!
//! Sums of floats are accumulated in `f64` and rounded once.

use ferrite_ir::diag::Result;
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{BinaryOp, ReduceWindow, Scatter, SelectAndScatter, TensorType};
use rayon::prelude::*;

use crate::body::{Body, Simple, from_numbers, numbers};
use crate::convolution::WindowDim;
use crate::indexing::{for_each_index, scatter_positions};
use crate::invalid;
use crate::movement;
use crate::number::{self, Num};
use crate::tensor::{Tensor, row_major, usizes};

/// Splits dimensions into kept and reduced ones and moves the reduced ones last: `[kept, reduced]` elements.
fn rows(x: &Tensor, dimensions: &[i64]) -> Result<(Tensor, Vec<i64>, usize)> {
    let rank = x.shape().len() as i64;
    if dimensions.iter().any(|&d| d < 0 || d >= rank) {
        return Err(invalid(format!(
            "dimensions {dimensions:?} of `stablehlo.reduce` do not fit {}",
            x.ty()
        )));
    }
    let kept: Vec<i64> = (0..rank).filter(|d| !dimensions.contains(d)).collect();
    let reduced: Vec<i64> = (0..rank).filter(|d| dimensions.contains(d)).collect();
    let order = [&kept[..], &reduced[..]].concat();
    let length = reduced.iter().map(|&d| x.shape()[d as usize] as usize).product();
    let shape = kept.iter().map(|&d| x.shape()[d as usize]).collect();
    Ok((movement::transpose(x, &order)?, shape, length))
}

/// Applies a fold to every row of `length` elements.
fn fold_rows<T: Copy + Sync, A: Copy + Send + Sync>(
    x: &[T],
    length: usize,
    count: usize,
    start: Option<A>,
    lift: impl Fn(T) -> A + Sync,
    f: impl Fn(A, A) -> A + Sync,
    neutral: A,
) -> Vec<A> {
    let row = |i: usize| {
        let row = &x[i * length..(i + 1) * length];
        match (start, row.split_first()) {
            (Some(start), _) => row.iter().fold(start, |a, &v| f(a, lift(v))),
            (None, Some((&first, rest))) => rest.iter().fold(lift(first), |a, &v| f(a, lift(v))),
            (None, None) => neutral,
        }
    };
    if x.len() > 1 << 16 {
        (0..count)
            .into_par_iter()
            .with_min_len((1 << 14) / length.max(1) + 1)
            .map(row)
            .collect()
    } else {
        (0..count).map(row).collect()
    }
}

/// Reduction by one operation; without an initial value, of the elements alone (0 for none).
pub(crate) fn reduce_simple(
    op: BinaryOp,
    x: &Tensor,
    init: Option<&Tensor>,
    dimensions: &[i64],
    out: DType,
) -> Result<Tensor> {
    let (x, shape, length) = rows(x, dimensions)?;
    let ty = TensorType::new(out, &shape);
    let count = ty.element_count();
    let undefined = || invalid(format!("`{}` is not defined for `{out}`", op.mnemonic()));
    if out.is_complex() {
        let f = number::binary_complex(op).ok_or_else(undefined)?;
        let start = init.map(|t| t.to_complex()[0]);
        let values = fold_rows(&x.to_complex(), length, count, start, |v| v, f, Default::default());
        return Ok(Tensor::from_complex(ty, values));
    }
    if !out.is_float() {
        let f = number::binary_int(op).ok_or_else(undefined)?;
        let start = init.map(|t| t.to_i64s()[0]);
        let values = fold_rows(&x.to_i64s(), length, count, start, |v| v, |a, b| f(out, a, b), 0);
        return Ok(Tensor::from_i64s(ty, values));
    }
    let f = number::binary_float(op).ok_or_else(undefined)?;
    let start = init.map(|t| t.to_f64s()[0]);
    let values = match (op, x.f32s()) {
        (BinaryOp::Add, Some(v)) => fold_rows(v, length, count, start, |v| v as f64, |a, b| a + b, 0.0),
        (BinaryOp::Maximum, Some(v)) => fold_rows(v, length, count, start, |v| v as f64, number::maximum, 0.0),
        (_, Some(v)) => fold_rows(v, length, count, start, |v| v as f64, f, 0.0),
        (BinaryOp::Add, None) if out == DType::F64 => sum_compensated(&x.to_f64s(), length, count, start),
        (_, None) => fold_rows(&x.to_f64s(), length, count, start, |v| v, f, 0.0),
    };
    Ok(Tensor::from_f64s(ty, values))
}

/// Neumaier's sums of rows of `f64`.
fn sum_compensated(x: &[f64], length: usize, count: usize, start: Option<f64>) -> Vec<f64> {
    let row = |i: usize| {
        let (mut sum, mut lost) = (start.unwrap_or(0.0), 0.0);
        for &v in &x[i * length..(i + 1) * length] {
            let next = sum + v;
            lost += if sum.abs() >= v.abs() {
                (sum - next) + v
            } else {
                (v - next) + sum
            };
            sum = next;
        }
        if lost.is_finite() { sum + lost } else { sum }
    };
    (0..count).map(row).collect()
}

/// Reduction by any body, element after element from the initial values.
pub(crate) fn reduce_general(
    inputs: &[&Tensor],
    inits: &[&Tensor],
    dimensions: &[i64],
    out: &[DType],
    body: &mut Body,
) -> Result<Vec<Tensor>> {
    let mut columns = Vec::new();
    let (mut shape, mut length) = (Vec::new(), 0);
    for x in inputs {
        let (rows, kept, n) = rows(x, dimensions)?;
        if !columns.is_empty() && (kept != shape || n != length) {
            return Err(invalid("operands of `stablehlo.reduce` differ in shape"));
        }
        (shape, length) = (kept, n);
        columns.push(numbers(&rows));
    }
    let start: Vec<Num> = inits
        .iter()
        .zip(out)
        .map(|(t, &d)| numbers(t)[0].convert(t.dtype(), d))
        .collect();
    let count: usize = usizes(&shape).iter().product();
    let width = inputs.len();
    let mut results = vec![Vec::with_capacity(count); width];
    let mut args = vec![Num::I(0); 2 * width];
    let mut acc = start.clone();
    for i in 0..count {
        acc.copy_from_slice(&start);
        for k in i * length..(i + 1) * length {
            args[..width].copy_from_slice(&acc);
            for (arg, (column, (x, &dtype))) in args[width..].iter_mut().zip(columns.iter().zip(inputs.iter().zip(out)))
            {
                *arg = if x.dtype() == dtype {
                    column[k]
                } else {
                    column[k].convert(x.dtype(), dtype)
                };
            }
            body.call(&args, &mut acc)?;
        }
        for (result, &number) in results.iter_mut().zip(&acc) {
            result.push(number);
        }
    }
    Ok(results
        .iter()
        .zip(out)
        .map(|(v, &d)| from_numbers(TensorType::new(d, &shape), v))
        .collect())
}

/// The dimensions of a window operation over a shape.
fn window_dims(attrs: &ReduceWindow, shape: &[i64]) -> Result<Vec<WindowDim>> {
    let rank = shape.len();
    let or_ones = |dims: &[i64]| if dims.is_empty() { vec![1; rank] } else { dims.to_vec() };
    let strides = or_ones(&attrs.window_strides);
    let base = or_ones(&attrs.base_dilations);
    let window = or_ones(&attrs.window_dilations);
    let padding = if attrs.padding.is_empty() {
        vec![(0, 0); rank]
    } else {
        attrs.padding.clone()
    };
    if [
        attrs.window_dimensions.len(),
        strides.len(),
        base.len(),
        window.len(),
        padding.len(),
    ] != [rank; 5]
    {
        return Err(invalid("window attributes have another rank than the operand"));
    }
    Ok((0..rank)
        .map(|d| WindowDim {
            input: shape[d],
            size: attrs.window_dimensions[d],
            stride: strides[d],
            low: padding[d].0,
            high: padding[d].1,
            base_dilation: base[d],
            window_dilation: window[d],
        })
        .collect())
}

/// For every placement of a window, in row-major order, the flat input positions under it (padding and holes left
/// out).
struct Placements {
    /// Per dimension and placement: offsets of the input elements under the window.
    tables: Vec<Vec<Vec<usize>>>,
    shape: Vec<usize>,
}

impl Placements {
    fn new(dims: &[WindowDim], shape: &[usize]) -> Result<Placements> {
        let strides = row_major(shape);
        let mut out_shape = Vec::new();
        for d in dims {
            let n = d
                .output()
                .ok_or_else(|| invalid("window attributes must be positive"))?;
            out_shape.push(n as usize);
        }
        crate::check_size(&TensorType::new(
            DType::I64,
            &out_shape.iter().map(|&n| n as i64).collect::<Vec<_>>(),
        ))?;
        let tables = dims
            .iter()
            .zip(&out_shape)
            .zip(&strides)
            .map(|((d, &n), &stride)| {
                let each = |o: usize| {
                    (0..d.size)
                        .filter_map(|k| d.source(o as i64, k))
                        .map(|i| i * stride as usize)
                        .collect()
                };
                (0..n).map(each).collect()
            })
            .collect();
        Ok(Placements {
            tables,
            shape: out_shape,
        })
    }

    /// Calls `f` with the input positions under one placement.
    fn each(&self, placement: &[usize], mut f: impl FnMut(usize) -> Result<()>) -> Result<()> {
        let lists: Vec<&[usize]> = placement
            .iter()
            .enumerate()
            .map(|(d, &o)| &self.tables[d][o][..])
            .collect();
        let Some((last, outer)) = lists.split_last() else {
            return f(0);
        };
        if lists.iter().any(|l| l.is_empty()) {
            return Ok(());
        }
        let mut index = vec![0; outer.len()];
        loop {
            let base: usize = index.iter().zip(outer).map(|(&i, l)| l[i]).sum();
            for &o in *last {
                f(base + o)?;
            }
            let mut d = outer.len();
            loop {
                if d == 0 {
                    return Ok(());
                }
                d -= 1;
                index[d] += 1;
                if index[d] < outer[d].len() {
                    break;
                }
                index[d] = 0;
            }
        }
    }
}

/// `reduce_window`. Padding holds the initial value, which is taken to be neutral: it enters once per window.
pub(crate) fn reduce_window(
    attrs: &ReduceWindow,
    inputs: &[&Tensor],
    inits: &[&Tensor],
    out: &[DType],
    kind: Option<Simple>,
    body: &mut Body,
) -> Result<Vec<Tensor>> {
    let Some(first) = inputs.first() else {
        return Ok(Vec::new());
    };
    if inputs.iter().any(|x| x.shape() != first.shape()) {
        return Err(invalid("operands of `stablehlo.reduce_window` differ in shape"));
    }
    let placements = Placements::new(&window_dims(attrs, first.shape())?, &usizes(first.shape()))?;
    let shape: Vec<i64> = placements.shape.iter().map(|&n| n as i64).collect();
    if let (Some(Simple::Fold(op)), [x], [init], [dtype]) = (kind, inputs, inits, out) {
        let ty = TensorType::new(*dtype, &shape);
        if let (true, Some(f)) = (dtype.is_float(), number::binary_float(op)) {
            let (v, start) = (x.to_f64s(), init.to_f64s()[0]);
            let values = fold_windows(&placements, &v, start, f)?;
            return Ok(vec![Tensor::from_f64s(ty, values)]);
        }
        if let (false, false, Some(f)) = (dtype.is_float(), dtype.is_complex(), number::binary_int(op)) {
            let (v, start) = (x.to_i64s(), init.to_i64s()[0]);
            let values = fold_windows(&placements, &v, start, |a, b| f(*dtype, a, b))?;
            return Ok(vec![Tensor::from_i64s(ty, values)]);
        }
    }
    let columns: Vec<Vec<Num>> = inputs.iter().map(|x| numbers(x)).collect();
    let start: Vec<Num> = inits
        .iter()
        .zip(out)
        .map(|(t, &d)| numbers(t)[0].convert(t.dtype(), d))
        .collect();
    let width = inputs.len();
    let mut results = vec![Vec::new(); width];
    let mut args = vec![Num::I(0); 2 * width];
    for_each_index(&placements.shape, |placement| {
        let mut acc = start.clone();
        placements.each(placement, |position| {
            args[..width].copy_from_slice(&acc);
            for (arg, (column, (x, &dtype))) in args[width..].iter_mut().zip(columns.iter().zip(inputs.iter().zip(out)))
            {
                *arg = column[position].convert(x.dtype(), dtype);
            }
            body.call(&args, &mut acc)
        })?;
        for (result, &number) in results.iter_mut().zip(&acc) {
            result.push(number);
        }
        Ok(())
    })?;
    Ok(results
        .iter()
        .zip(out)
        .map(|(v, &d)| from_numbers(TensorType::new(d, &shape), v))
        .collect())
}

fn fold_windows<T: Copy>(placements: &Placements, x: &[T], start: T, f: impl Fn(T, T) -> T) -> Result<Vec<T>> {
    let mut out = Vec::with_capacity(placements.shape.iter().product());
    for_each_index(&placements.shape, |placement| {
        let mut acc = start;
        placements.each(placement, |position| {
            acc = f(acc, x[position]);
            Ok(())
        })?;
        out.push(acc);
        Ok(())
    })?;
    Ok(out)
}

/// Positions in the operand that each window of a `select_and_scatter` selects, one per source element.
pub(crate) fn select_positions(
    attrs: &SelectAndScatter,
    operand: &Tensor,
    select: &mut Body,
) -> Result<Vec<Option<usize>>> {
    let window = ReduceWindow {
        window_dimensions: if attrs.window_dimensions.is_empty() {
            operand.shape().iter().map(|_| 1).collect()
        } else {
            attrs.window_dimensions.clone()
        },
        window_strides: attrs.window_strides.clone(),
        base_dilations: Default::default(),
        window_dilations: Default::default(),
        padding: attrs.padding.clone(),
    };
    let placements = Placements::new(&window_dims(&window, operand.shape())?, &usizes(operand.shape()))?;
    let values = numbers(operand);
    let mut selected = Vec::new();
    for_each_index(&placements.shape, |placement| {
        let mut best: Option<usize> = None;
        placements.each(placement, |position| {
            let keep = match best {
                Some(best) => select.test(&[values[best], values[position]])?,
                None => false,
            };
            if !keep {
                best = Some(position);
            }
            Ok(())
        })?;
        selected.push(best);
        Ok(())
    })?;
    Ok(selected)
}

/// The second half of `select_and_scatter`: source elements are combined into the selected positions.
pub(crate) fn scatter_selected(
    selected: &[Option<usize>],
    operand: &Tensor,
    source: &Tensor,
    init: &Tensor,
    scatter: &mut Body,
) -> Result<Tensor> {
    if selected.len() != source.count() || init.count() != 1 {
        return Err(invalid(format!(
            "source {} of `stablehlo.select_and_scatter` does not fit",
            source.ty()
        )));
    }
    let dtype = source.dtype();
    let mut out = vec![numbers(init)[0]; operand.count()];
    for (position, value) in selected.iter().zip(numbers(source)) {
        if let Some(position) = *position {
            let mut result = [Num::I(0)];
            scatter.call(&[out[position], value], &mut result)?;
            out[position] = result[0];
        }
    }
    Ok(from_numbers(operand.ty().with_dtype(dtype), &out))
}

/// `scatter`, in row-major order of the updates. Updates outside the operand are skipped.
pub(crate) fn scatter(
    attrs: &Scatter,
    inputs: Vec<Tensor>,
    indices: &Tensor,
    updates: &[&Tensor],
    kind: Option<Simple>,
    body: &mut Body,
) -> Result<Vec<Tensor>> {
    let (Some(input), Some(update)) = (inputs.first(), updates.first()) else {
        return Err(invalid("`stablehlo.scatter` without operands"));
    };
    if inputs.iter().any(|t| t.shape() != input.shape()) || updates.iter().any(|t| t.shape() != update.shape()) {
        return Err(invalid("operands of `stablehlo.scatter` differ in shape"));
    }
    let (dtype, same) = (input.dtype(), input.dtype() == update.dtype());
    let reference = input.clone();
    let positions =
        |f: &mut dyn FnMut(usize, usize) -> Result<()>| scatter_positions(attrs, &reference, indices, update, f);
    if inputs.len() == 1 && same {
        match kind {
            Some(Simple::Second) => {
                let mut out = input.clone();
                drop(inputs);
                let width = dtype.bytes();
                let source = update.bytes();
                let target = out.bytes_mut();
                positions(&mut |to, from| {
                    target[to * width..(to + 1) * width].copy_from_slice(&source[from * width..(from + 1) * width]);
                    Ok(())
                })?;
                return Ok(vec![out]);
            }
            Some(Simple::Fold(op)) if dtype.is_float() => {
                if let Some(f) = number::binary_float(op) {
                    let (mut out, source) = (input.to_f64s().into_owned(), update.to_f64s());
                    positions(&mut |to, from| {
                        out[to] = f(out[to], source[from]);
                        Ok(())
                    })?;
                    return Ok(vec![Tensor::from_f64s(input.ty().clone(), out)]);
                }
            }
            Some(Simple::Fold(op)) if !dtype.is_complex() => {
                if let Some(f) = number::binary_int(op) {
                    let (mut out, source) = (input.to_i64s().into_owned(), update.to_i64s());
                    positions(&mut |to, from| {
                        out[to] = f(dtype, out[to], source[from]);
                        Ok(())
                    })?;
                    return Ok(vec![Tensor::from_i64s(input.ty().clone(), out)]);
                }
            }
            _ => {}
        }
    }
    let width = inputs.len();
    let mut out: Vec<Vec<Num>> = inputs.iter().map(numbers).collect();
    let sources: Vec<Vec<Num>> = updates.iter().map(|t| numbers(t)).collect();
    let mut args = vec![Num::I(0); 2 * width];
    let mut results = vec![Num::I(0); width];
    positions(&mut |to, from| {
        for i in 0..width {
            args[i] = out[i][to];
            args[width + i] = sources[i][from];
        }
        body.call(&args, &mut results)?;
        for i in 0..width {
            out[i][to] = results[i];
        }
        Ok(())
    })?;
    Ok(inputs
        .iter()
        .zip(&out)
        .map(|(t, v)| from_numbers(t.ty().clone(), v))
        .collect())
}
