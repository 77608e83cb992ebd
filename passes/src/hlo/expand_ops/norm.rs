//! Batch normalisation, softmax and the like: row-wise formulas in `f32`.

use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{
    BatchNorm, BinaryOp, Builder, Built, ComparisonDirection, Dims, TensorType, UnaryOp, ValueId, Violation,
};

/// A value per feature, repeated over all other dimensions of `shape`.
fn per_feature(b: &mut Builder<'_>, v: ValueId, shape: &Dims, feature: i64) -> Built {
    b.broadcast_in_dim(v, shape, &[feature])
}

/// All dimensions but one.
fn others(rank: usize, feature: i64) -> Vec<i64> {
    (0..rank as i64).filter(|&d| d != feature).collect()
}

/// `scale`, a number for every element.
fn times(b: &mut Builder<'_>, v: ValueId, scale: f64) -> Built {
    let c = b.like_f(v, scale)?;
    b.mul(v, c)
}

fn plus(b: &mut Builder<'_>, v: ValueId, c: f64) -> Built {
    let c = b.like_f(v, c)?;
    b.add(v, c)
}

/// `(x - mean) (scale rsqrt(variance + epsilon)) + offset`.
pub(super) fn batch_norm_inference(b: &mut Builder<'_>, k: &BatchNorm, operands: &[ValueId]) -> Built {
    let &[x, scale, offset, mean, variance] = operands else {
        return Err(Violation::new("batch_norm_inference", "takes five operands"));
    };
    let (dtype, shape) = type_of(b, x)?;
    let x = b.convert(x, DType::F32)?;
    let [scale, offset, mean, variance] = as_f32(b, [scale, offset, mean, variance])?;
    let y = normalise(b, k, x, scale, offset, mean, variance, &shape)?;
    b.convert(y, dtype)
}

fn type_of(b: &Builder<'_>, x: ValueId) -> Built<(DType, Dims)> {
    let ty = b.tensor(x)?;
    Ok((ty.dtype, ty.shape.clone()))
}

fn as_f32<const N: usize>(b: &mut Builder<'_>, values: [ValueId; N]) -> Built<[ValueId; N]> {
    let mut out = values;
    for v in &mut out {
        *v = b.convert(*v, DType::F32)?;
    }
    Ok(out)
}

#[allow(clippy::too_many_arguments)] // the operands of the operation
fn normalise(
    b: &mut Builder<'_>,
    k: &BatchNorm,
    x: ValueId,
    scale: ValueId,
    offset: ValueId,
    mean: ValueId,
    variance: ValueId,
    shape: &Dims,
) -> Built {
    let stable = plus(b, variance, f64::from(k.epsilon))?;
    let inverse = b.unary(UnaryOp::Rsqrt, stable)?;
    let factor = b.mul(scale, inverse)?;
    let mean = per_feature(b, mean, shape, k.feature_index)?;
    let centred = b.sub(x, mean)?;
    let factor = per_feature(b, factor, shape, k.feature_index)?;
    let scaled = b.mul(centred, factor)?;
    let offset = per_feature(b, offset, shape, k.feature_index)?;
    b.add(scaled, offset)
}

/// Result, mean and (biased) variance over all dimensions but the feature's.
pub(super) fn batch_norm_training(b: &mut Builder<'_>, k: &BatchNorm, operands: &[ValueId]) -> Built<Vec<ValueId>> {
    let &[x, scale, offset] = operands else {
        return Err(Violation::new("batch_norm_training", "takes three operands"));
    };
    let (dtype, shape) = type_of(b, x)?;
    let [x, scale, offset] = as_f32(b, [x, scale, offset])?;
    let dims = others(shape.len(), k.feature_index);
    let count: f64 = dims.iter().map(|&d| shape[d as usize] as f64).product();
    let sum = b.reduce(BinaryOp::Add, x, &dims)?;
    let mean = times(b, sum, 1.0 / count)?;
    let wide_mean = per_feature(b, mean, &shape, k.feature_index)?;
    let centred = b.sub(x, wide_mean)?;
    let squares = b.mul(centred, centred)?;
    let sum = b.reduce(BinaryOp::Add, squares, &dims)?;
    let variance = times(b, sum, 1.0 / count)?;
    let y = normalise(b, k, x, scale, offset, mean, variance, &shape)?;
    [y, mean, variance].into_iter().map(|v| b.convert(v, dtype)).collect()
}

/// Gradients of operand, scale and offset.
pub(super) fn batch_norm_grad(b: &mut Builder<'_>, k: &BatchNorm, operands: &[ValueId]) -> Built<Vec<ValueId>> {
    let &[x, scale, mean, variance, grad] = operands else {
        return Err(Violation::new("batch_norm_grad", "takes five operands"));
    };
    let (dtype, shape) = type_of(b, x)?;
    let [x, scale, mean, variance, grad] = as_f32(b, [x, scale, mean, variance, grad])?;
    let feature = k.feature_index;
    let dims = others(shape.len(), feature);
    let count: f64 = dims.iter().map(|&d| shape[d as usize] as f64).product();
    let stable = plus(b, variance, f64::from(k.epsilon))?;
    let inverse = b.unary(UnaryOp::Rsqrt, stable)?;
    let mean = per_feature(b, mean, &shape, feature)?;
    let centred = b.sub(x, mean)?;
    let product = b.mul(grad, centred)?;
    let product_sum = b.reduce(BinaryOp::Add, product, &dims)?;
    let grad_scale = b.mul(product_sum, inverse)?;
    let grad_offset = b.reduce(BinaryOp::Add, grad, &dims)?;
    // scale / stddev (grad - mean(grad) - centred mean(grad centred) / (variance + epsilon))
    let mean_grad = times(b, grad_offset, 1.0 / count)?;
    let slope = b.mul(grad_scale, inverse)?;
    let slope = times(b, slope, 1.0 / count)?;
    let slope = per_feature(b, slope, &shape, feature)?;
    let trend = b.mul(centred, slope)?;
    let mean_grad = per_feature(b, mean_grad, &shape, feature)?;
    let rest = b.sub(grad, mean_grad)?;
    let rest = b.sub(rest, trend)?;
    let factor = b.mul(scale, inverse)?;
    let factor = per_feature(b, factor, &shape, feature)?;
    let grad_x = b.mul(rest, factor)?;
    [grad_x, grad_scale, grad_offset]
        .into_iter()
        .map(|v| b.convert(v, dtype))
        .collect()
}

/// Repeats a reduced value along `dimension` of `shape`.
fn along(b: &mut Builder<'_>, v: ValueId, shape: &Dims, dimension: i64) -> Built {
    b.broadcast_in_dim(v, shape, &others(shape.len(), dimension))
}

/// `exp(x - max x) / sum exp(x - max x)` along one dimension.
pub(super) fn softmax(b: &mut Builder<'_>, x: ValueId, dimension: i64) -> Built {
    let (dtype, shape) = type_of(b, x)?;
    let x = b.convert(x, DType::F32)?;
    let max = b.reduce(BinaryOp::Maximum, x, &[dimension])?;
    let max = along(b, max, &shape, dimension)?;
    let shifted = b.sub(x, max)?;
    let e = b.unary(UnaryOp::Exponential, shifted)?;
    let sum = b.reduce(BinaryOp::Add, e, &[dimension])?;
    let sum = along(b, sum, &shape, dimension)?;
    let y = b.div(e, sum)?;
    b.convert(y, dtype)
}

/// `y (grad - sum(grad y))` along one dimension, where `y` is the softmax.
pub(super) fn softmax_backward(b: &mut Builder<'_>, grad: ValueId, y: ValueId, dimension: i64) -> Built {
    let (dtype, shape) = type_of(b, grad)?;
    let [grad, y] = as_f32(b, [grad, y])?;
    let product = b.mul(grad, y)?;
    let sum = b.reduce(BinaryOp::Add, product, &[dimension])?;
    let sum = along(b, sum, &shape, dimension)?;
    let rest = b.sub(grad, sum)?;
    let r = b.mul(y, rest)?;
    b.convert(r, dtype)
}

/// `x rsqrt(mean(x^2) + epsilon) weight` along one dimension, in `f32`, as `result`.
pub(super) fn rms_norm(
    b: &mut Builder<'_>,
    [x, weight, epsilon]: [ValueId; 3],
    dimension: i64,
    result: DType,
) -> Built {
    let (_, shape) = type_of(b, x)?;
    let size = shape.get(dimension as usize).copied().unwrap_or(1);
    let [x, weight, epsilon] = as_f32(b, [x, weight, epsilon])?;
    let squares = b.mul(x, x)?;
    let sum = b.reduce(BinaryOp::Add, squares, &[dimension])?;
    let mean = times(b, sum, 1.0 / size as f64)?;
    let reduced = b.tensor(mean)?.shape.clone();
    let epsilon = b.reshape(epsilon, &[])?;
    let epsilon = b.broadcast_in_dim(epsilon, &reduced, &[])?;
    let stable = b.add(mean, epsilon)?;
    let inverse = b.unary(UnaryOp::Rsqrt, stable)?;
    let inverse = along(b, inverse, &shape, dimension)?;
    let y = b.mul(x, inverse)?;
    let weight = if b.tensor(weight)?.rank() == shape.len() {
        let dims: Vec<i64> = (0..shape.len() as i64).collect();
        b.broadcast_in_dim(weight, &shape, &dims)?
    } else {
        b.broadcast_in_dim(weight, &shape, &[dimension])?
    };
    let y = b.mul(y, weight)?;
    b.convert(y, result)
}

/// The first index of the largest (or smallest) element along one dimension, as `result`. NaN is the extreme.
pub(super) fn arg_extreme(b: &mut Builder<'_>, x: ValueId, dimension: i64, largest: bool, result: DType) -> Built {
    let (dtype, shape) = type_of(b, x)?;
    let op = if largest { BinaryOp::Maximum } else { BinaryOp::Minimum };
    let extreme = b.reduce(op, x, &[dimension])?;
    let extreme = along(b, extreme, &shape, dimension)?;
    let mut hit = b.compare(ComparisonDirection::Eq, x, extreme)?;
    if dtype.is_float() {
        let nan = b.compare(ComparisonDirection::Ne, x, x)?;
        hit = b.binary(BinaryOp::Or, hit, nan)?;
    }
    let index = b.iota(TensorType::new(DType::I32, &shape), dimension)?;
    let size = shape.get(dimension as usize).copied().unwrap_or(1);
    let none = b.like_i(index, size)?;
    let candidates = b.select(hit, index, none)?;
    let first = b.reduce(BinaryOp::Minimum, candidates, &[dimension])?;
    b.convert(first, result)
}
