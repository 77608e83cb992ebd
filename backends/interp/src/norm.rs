//! `batch_norm_training`, `batch_norm_inference` and `batch_norm_grad`, computed in `f64`.

use ferrite_ir::diag::Result;
use ferrite_ir::hlo::{BatchNorm, TensorType};

use crate::invalid;
use crate::tensor::Tensor;

/// An operand seen as `[outer, features, inner]`.
struct Layout {
    outer: usize,
    features: usize,
    inner: usize,
}

impl Layout {
    fn new(attrs: &BatchNorm, x: &Tensor, vectors: &[&Tensor]) -> Result<Layout> {
        let d = attrs.feature_index as usize;
        let bad = || {
            invalid(format!(
                "batch norm over dimension {} does not fit {}",
                attrs.feature_index,
                x.ty()
            ))
        };
        let features = *x.shape().get(d).ok_or_else(bad)? as usize;
        if vectors.iter().any(|v| v.count() != features) || !x.dtype().is_float() {
            return Err(bad());
        }
        let product = |dims: &[i64]| dims.iter().map(|&n| n as usize).product();
        Ok(Layout {
            outer: product(&x.shape()[..d]),
            features,
            inner: product(&x.shape()[d + 1..]),
        })
    }

    /// Calls `f(feature, position)` for every element.
    fn each(&self, mut f: impl FnMut(usize, usize)) {
        let mut position = 0;
        for _ in 0..self.outer {
            for c in 0..self.features {
                for _ in 0..self.inner {
                    f(c, position);
                    position += 1;
                }
            }
        }
    }

    /// Elements per feature.
    fn count(&self) -> f64 {
        (self.outer * self.inner) as f64
    }

    fn sums(&self, value: impl Fn(usize, usize) -> f64) -> Vec<f64> {
        let mut sums = vec![0.0; self.features];
        self.each(|c, i| sums[c] += value(c, i));
        sums
    }

    fn vector(&self, x: &Tensor, values: Vec<f64>) -> Tensor {
        Tensor::from_f64s(TensorType::new(x.dtype(), &[self.features as i64]), values)
    }
}

/// Normalised output, batch mean and batch variance (biased).
pub(crate) fn training(attrs: &BatchNorm, x: &Tensor, scale: &Tensor, offset: &Tensor) -> Result<[Tensor; 3]> {
    let layout = Layout::new(attrs, x, &[scale, offset])?;
    let v = x.to_f64s();
    let n = layout.count();
    let mean: Vec<f64> = layout.sums(|_, i| v[i]).into_iter().map(|s| s / n).collect();
    let variance: Vec<f64> = layout
        .sums(|c, i| (v[i] - mean[c]).powi(2))
        .into_iter()
        .map(|s| s / n)
        .collect();
    let y = normalise(
        attrs,
        &layout,
        &v,
        [&scale.to_f64s(), &offset.to_f64s(), &mean, &variance],
    );
    Ok([
        Tensor::from_f64s(x.ty().clone(), y),
        layout.vector(x, mean),
        layout.vector(x, variance),
    ])
}

fn normalise(attrs: &BatchNorm, layout: &Layout, v: &[f64], [scale, offset, mean, variance]: [&[f64]; 4]) -> Vec<f64> {
    let factor: Vec<f64> = (0..layout.features)
        .map(|c| scale[c] / (variance[c] + attrs.epsilon as f64).sqrt())
        .collect();
    let mut y = vec![0.0; v.len()];
    layout.each(|c, i| y[i] = (v[i] - mean[c]) * factor[c] + offset[c]);
    y
}

/// Operands: x, scale, offset, mean, variance.
pub(crate) fn inference(attrs: &BatchNorm, operands: &[&Tensor]) -> Result<Tensor> {
    let &[x, scale, offset, mean, variance] = operands else {
        return Err(invalid("`stablehlo.batch_norm_inference` needs five operands"));
    };
    let layout = Layout::new(attrs, x, &[scale, offset, mean, variance])?;
    let (scale, offset) = (scale.to_f64s(), offset.to_f64s());
    let (mean, variance) = (mean.to_f64s(), variance.to_f64s());
    let y = normalise(attrs, &layout, &x.to_f64s(), [&scale, &offset, &mean, &variance]);
    Ok(Tensor::from_f64s(x.ty().clone(), y))
}

/// Operands: x, scale, mean, variance, grad of output. Results: grads of x, scale and offset.
pub(crate) fn grad(attrs: &BatchNorm, operands: &[&Tensor]) -> Result<[Tensor; 3]> {
    let &[x, scale, mean, variance, dy] = operands else {
        return Err(invalid("`stablehlo.batch_norm_grad` needs five operands"));
    };
    let layout = Layout::new(attrs, x, &[scale, mean, variance])?;
    if dy.count() != x.count() {
        return Err(invalid(format!(
            "gradient {} of `stablehlo.batch_norm_grad` does not fit {}",
            dy.ty(),
            x.ty()
        )));
    }
    let (v, g) = (x.to_f64s(), dy.to_f64s());
    let (scale, mean, variance) = (scale.to_f64s(), mean.to_f64s(), variance.to_f64s());
    let n = layout.count();
    let inverse: Vec<f64> = variance
        .iter()
        .map(|s| 1.0 / (s + attrs.epsilon as f64).sqrt())
        .collect();
    let d_offset = layout.sums(|_, i| g[i]);
    let d_scale = layout.sums(|c, i| g[i] * (v[i] - mean[c]) * inverse[c]);
    let mut d_x = vec![0.0; v.len()];
    layout.each(|c, i| {
        let normal = (v[i] - mean[c]) * inverse[c];
        d_x[i] = scale[c] * inverse[c] * (g[i] - d_offset[c] / n - normal * d_scale[c] / n);
    });
    Ok([
        Tensor::from_f64s(x.ty().clone(), d_x),
        layout.vector(x, d_scale),
        layout.vector(x, d_offset),
    ])
}
