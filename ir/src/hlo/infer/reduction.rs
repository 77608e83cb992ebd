//! Reductions, windows, sorting and normalisation.

use super::{Cx, Infer, Window, merge_shapes, quantized, same_size};
use crate::dtype::DType;
use crate::hlo::ops::{BatchNorm, Reduce, ReduceWindow, SelectAndScatter, Sort, TopK};
use crate::hlo::types::{DYNAMIC, Dims, TensorType, Type};

/// Splits the operands of `reduce` and `reduce_window`: inputs of one shape, then as many scalar initial values.
fn inputs_and_inits<'a>(cx: &Cx<'a>) -> Infer<Vec<&'a TensorType>> {
    let count = cx.operands.len() / 2;
    cx.check(count >= 1 && cx.operands.len() == 2 * count, "C3", || {
        format!(
            "inputs need as many initial values, {} operands are given",
            cx.operands.len()
        )
    })?;
    let inputs = cx.tensors(0..count)?;
    for (i, t) in inputs.iter().enumerate() {
        cx.same_shape(inputs[0], t, "C1")?;
        let init = cx.tensor(count + i)?;
        cx.check(init.rank() == 0, "I2", || {
            format!("initial value {i} must be a scalar, it is {init}")
        })?;
        cx.same_dtype(t, init, "C2")?;
    }
    Ok(inputs)
}

pub(super) fn reduce(cx: &Cx<'_>, r: &Reduce) -> Infer<Vec<Type>> {
    let inputs = inputs_and_inits(cx)?;
    let shape = merge_shapes(inputs.iter().map(|t| &t.shape));
    cx.dims(&r.dimensions, shape.len(), "C4")?;
    let yielded = cx.yields(0, inputs.len())?;
    let kept: Dims = (0..shape.len())
        .filter(|&d| !r.dimensions.contains(&(d as i64)))
        .map(|d| shape[d])
        .collect(); // C7
    Ok(inputs
        .iter()
        .zip(yielded)
        .map(|(_, y)| TensorType::new(y.dtype, &kept).into())
        .collect())
}

pub(super) fn reduce_window(cx: &Cx<'_>, r: &ReduceWindow) -> Infer<Vec<Type>> {
    let inputs = inputs_and_inits(cx)?;
    let shape = merge_shapes(inputs.iter().map(|t| &t.shape));
    let rank = shape.len();
    for (list, what, constraint) in [
        (&r.window_dimensions, "window_dimensions", "C4"),
        (&r.window_strides, "window_strides", "C6"),
        (&r.base_dilations, "base_dilations", "C8"),
        (&r.window_dilations, "window_dilations", "C10"),
    ] {
        cx.length(list.len(), rank, what, constraint)?;
        cx.check(list.iter().all(|&v| v > 0), constraint, || {
            format!("{what} {list:?} must be positive")
        })?;
    }
    cx.length(r.padding.len(), rank, "padding", "C12")?;
    let yielded = cx.yields(0, inputs.len())?;
    let out: Dims = (0..rank)
        .map(|d| {
            Window {
                size: r.window_dimensions[d],
                stride: r.window_strides[d],
                low: r.padding[d].0,
                high: r.padding[d].1,
                base_dilation: r.base_dilations[d],
                window_dilation: r.window_dilations[d],
            }
            .positions(shape[d])
        })
        .collect(); // C15
    Ok(yielded.iter().map(|y| TensorType::new(y.dtype, &out).into()).collect())
}

pub(super) fn select_and_scatter(cx: &Cx<'_>, s: &SelectAndScatter) -> Infer<TensorType> {
    cx.arity(3)?;
    let (x, source, init) = (cx.tensor(0)?, cx.tensor(1)?, cx.tensor(2)?);
    cx.same_dtype(x, source, "C1")?;
    cx.same_dtype(x, init, "C3")?;
    cx.check(init.rank() == 0, "I3", || {
        format!("the initial value must be a scalar, it is {init}")
    })?;
    for (list, what, constraint) in [
        (&s.window_dimensions, "window_dimensions", "C4"),
        (&s.window_strides, "window_strides", "C6"),
    ] {
        cx.length(list.len(), x.rank(), what, constraint)?;
        cx.check(list.iter().all(|&v| v > 0), constraint, || {
            format!("{what} {list:?} must be positive")
        })?;
    }
    cx.length(s.padding.len(), x.rank(), "padding", "C8")?;
    let windows: Dims = (0..x.rank())
        .map(|d| {
            Window {
                size: s.window_dimensions[d],
                stride: s.window_strides[d],
                low: s.padding[d].0,
                high: s.padding[d].1,
                base_dilation: 1,
                window_dilation: 1,
            }
            .positions(x.shape[d])
        })
        .collect();
    cx.check(super::same_shape(&windows, &source.shape), "C2", || {
        format!("{source} does not match the {windows:?} windows of {x}")
    })?;
    let select = cx.yields(0, 1)?;
    cx.check(select[0].dtype == DType::Bool && select[0].rank() == 0, "C9", || {
        format!("the select region yields {} instead of an i1 scalar", select[0])
    })?;
    let scatter = cx.yields(1, 1)?;
    Ok(x.with_dtype(scatter[0].dtype))
}

pub(super) fn sort(cx: &Cx<'_>, s: &Sort) -> Infer<Vec<Type>> {
    cx.at_least(1)?;
    let inputs = cx.tensors(0..cx.operands.len())?;
    for t in &inputs {
        cx.same_shape(inputs[0], t, "C2")?;
    }
    let rank = inputs[0].rank() as i64;
    cx.check((-rank..rank).contains(&s.dimension), "C4", || {
        format!("dimension {} is outside of rank {rank}", s.dimension)
    })?;
    let yielded = cx.yields(0, 1)?;
    cx.check(yielded[0].dtype == DType::Bool && yielded[0].rank() == 0, "C5", || {
        format!("the comparator yields {} instead of an i1 scalar", yielded[0])
    })?;
    Ok(inputs.into_iter().map(|t| t.clone().into()).collect())
}

pub(super) fn top_k(cx: &Cx<'_>, t: &TopK) -> Infer<Vec<Type>> {
    cx.arity(1)?;
    let x = cx.tensor(0)?;
    cx.check(x.rank() >= 1, "operands", || {
        "a scalar has no largest elements".to_string()
    })?;
    let last = x.shape[x.rank() - 1];
    cx.check(t.k >= 0 && (last == DYNAMIC || t.k <= last), "k", || {
        format!("k {} is outside of the last dimension with {last} elements", t.k)
    })?;
    let mut shape = x.shape.clone();
    shape[x.rank() - 1] = t.k;
    Ok(vec![
        x.with_shape(shape.clone()).into(),
        TensorType::new(DType::I32, &shape).into(),
    ])
}

/// Checks the feature dimension and the per-feature operands in `features`; returns the feature count's type.
fn features(cx: &Cx<'_>, b: &BatchNorm, range: std::ops::Range<usize>) -> Infer<TensorType> {
    let x = cx.tensor(0)?;
    let d = cx.dim(b.feature_index, x.rank(), "C1")?;
    cx.check(x.dtype.is_float() || quantized(x), "I1", || {
        format!("{x} is not of a float type")
    })?;
    for i in range {
        let t = cx.tensor(i)?;
        cx.same_dtype(x, t, "C2")?;
        cx.check(t.rank() == 1 && same_size(t.shape[0], x.shape[d]), "C3", || {
            format!("operand {i} must have {} elements, it is {t}", x.shape[d])
        })?;
    }
    Ok(x.with_shape([x.shape[d]]))
}

pub(super) fn batch_norm_training(cx: &Cx<'_>, b: &BatchNorm) -> Infer<Vec<Type>> {
    cx.arity(3)?;
    let feature = features(cx, b, 1..3)?;
    Ok(vec![
        cx.tensor(0)?.clone().into(),
        feature.clone().into(),
        feature.into(),
    ])
}

pub(super) fn batch_norm_inference(cx: &Cx<'_>, b: &BatchNorm) -> Infer<TensorType> {
    cx.arity(5)?;
    features(cx, b, 1..5)?;
    Ok(cx.tensor(0)?.clone())
}

pub(super) fn batch_norm_grad(cx: &Cx<'_>, b: &BatchNorm) -> Infer<Vec<Type>> {
    cx.arity(5)?;
    let feature = features(cx, b, 1..4)?;
    let (x, grad) = (cx.tensor(0)?, cx.tensor(4)?);
    cx.same_dtype(x, grad, "C2")?;
    cx.same_shape(x, grad, "C3")?;
    Ok(vec![x.clone().into(), feature.clone().into(), feature.into()])
}
