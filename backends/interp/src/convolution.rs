//! `convolution`: windows of the input are laid out as the rows of a matrix, which the kernel multiplies.

use ferrite_ir::diag::Result;
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{Convolution, TensorType};
use rayon::prelude::*;

use crate::contraction::{compute_type, with_elements};
use crate::invalid;
use crate::matrix::{Element, Mat};
use crate::movement;
use crate::tensor::{Tensor, row_major, usizes};

/// Elements of the window matrix made at a time.
const CHUNK: usize = 1 << 22;

/// One spatial dimension of a window operation.
#[derive(Clone, Debug)]
pub(crate) struct WindowDim {
    /// Size of the input, before dilation.
    pub input: i64,
    /// Positions in the window.
    pub size: i64,
    pub stride: i64,
    pub low: i64,
    pub high: i64,
    /// Holes between input elements plus one.
    pub base_dilation: i64,
    /// Holes between window positions plus one.
    pub window_dilation: i64,
}

impl WindowDim {
    /// Number of window placements; `None` if the parameters make no sense.
    pub(crate) fn output(&self) -> Option<i64> {
        if self.size < 0 || self.stride < 1 || self.base_dilation < 1 || self.window_dilation < 1 {
            return None;
        }
        let spread = |n: i64, dilation: i64| {
            if n == 0 {
                Some(0)
            } else {
                (n - 1).checked_mul(dilation)?.checked_add(1)
            }
        };
        let padded = spread(self.input, self.base_dilation)?
            .checked_add(self.low)?
            .checked_add(self.high)?;
        let window = spread(self.size, self.window_dilation)?;
        Some(if window > padded || padded < 0 {
            0
        } else {
            (padded - window) / self.stride + 1
        })
    }

    /// The input index under window position `k` of placement `o`; `None` in padding and holes.
    pub(crate) fn source(&self, o: i64, k: i64) -> Option<usize> {
        // Sums of numbers that fit one by one; far outside, saturation is as good as the value.
        let position = (o * self.stride + k * self.window_dilation).saturating_sub(self.low);
        let inside = position >= 0 && position % self.base_dilation == 0;
        let index = position / self.base_dilation;
        (inside && index < self.input).then_some(index as usize)
    }
}

/// Everything about a convolution in its canonical layout: input `[n, spatial.., c]`, kernel `[spatial.., i, o]`.
struct Plan {
    dims: Vec<WindowDim>,
    reversal: Vec<bool>,
    out_spatial: Vec<usize>,
    batch: usize,
    channels: usize,
    kernel_in: usize,
    kernel_out: usize,
    feature_groups: usize,
    batch_groups: usize,
}

impl Plan {
    fn new(attrs: &Convolution, input: &[usize], kernel: &[usize]) -> Option<Plan> {
        let rank = input.len().checked_sub(2)?;
        let lengths = [
            attrs.window_strides.len(),
            attrs.padding.len(),
            attrs.lhs_dilation.len(),
            attrs.rhs_dilation.len(),
        ];
        if lengths.iter().any(|&n| n != rank) {
            return None;
        }
        let dims: Vec<WindowDim> = (0..rank)
            .map(|d| WindowDim {
                input: input[d + 1] as i64,
                size: kernel[d] as i64,
                stride: attrs.window_strides[d],
                low: attrs.padding[d].0,
                high: attrs.padding[d].1,
                base_dilation: attrs.lhs_dilation[d],
                window_dilation: attrs.rhs_dilation[d],
            })
            .collect();
        let out_spatial = dims
            .iter()
            .map(|d| d.output().map(|n| n as usize))
            .collect::<Option<Vec<_>>>()?;
        let plan = Plan {
            dims,
            reversal: (0..rank)
                .map(|d| attrs.window_reversal.get(d).copied().unwrap_or(false))
                .collect(),
            out_spatial,
            batch: input[0],
            channels: input[rank + 1],
            kernel_in: kernel[rank],
            kernel_out: kernel[rank + 1],
            feature_groups: usize::try_from(attrs.feature_group_count).ok().filter(|&g| g > 0)?,
            batch_groups: usize::try_from(attrs.batch_group_count).ok().filter(|&g| g > 0)?,
        };
        let fits = plan.kernel_in.checked_mul(plan.feature_groups) == Some(plan.channels)
            && plan.batch.is_multiple_of(plan.batch_groups)
            && plan.kernel_out.is_multiple_of(plan.feature_groups)
            && plan.kernel_out.is_multiple_of(plan.batch_groups)
            && (plan.feature_groups == 1 || plan.batch_groups == 1);
        fits.then_some(plan)
    }

    fn run<T: Element>(&self, input: &[T], kernel: &[T]) -> Vec<T> {
        let out_positions: usize = self.out_spatial.iter().product();
        let rows = self.batch / self.batch_groups * out_positions;
        let window: Vec<usize> = self.dims.iter().map(|d| d.size as usize).collect();
        let positions: usize = window.iter().product();
        let depth = positions * self.kernel_in;
        let mut out = vec![T::default(); rows * self.kernel_out];
        let groups = self.feature_groups.max(self.batch_groups);
        let group_out = self.kernel_out / groups;
        if out.is_empty() {
            return out;
        }
        // Where each placement starts looking, per dimension: input index of every window position.
        let spatial: Vec<usize> = self.dims.iter().map(|d| d.input as usize).collect();
        let spatial_strides = row_major(&spatial);
        let tables: Vec<Vec<Option<usize>>> = (0..self.dims.len())
            .map(|d| {
                let (dim, reversed, stride) = (&self.dims[d], self.reversal[d], spatial_strides[d] as usize);
                let each = |o: usize| {
                    (0..dim.size).map(move |k| {
                        let k = if reversed { dim.size - 1 - k } else { k };
                        dim.source(o as i64, k).map(|i| i * stride)
                    })
                };
                (0..self.out_spatial[d]).flat_map(each).collect()
            })
            .collect();
        let image: usize = spatial.iter().product::<usize>() * self.channels;
        let chunk = (CHUNK / depth.max(1)).clamp(1, rows);
        let mut patches = vec![T::default(); chunk * depth];
        for group in 0..groups {
            let (first_image, first_channel) = if self.batch_groups > 1 {
                (group * (self.batch / self.batch_groups), 0)
            } else {
                (0, group * self.kernel_in)
            };
            for first_row in (0..rows).step_by(chunk) {
                let count = chunk.min(rows - first_row);
                let fill = |(i, patch): (usize, &mut [T])| {
                    let row = first_row + i;
                    let base = (first_image + row / out_positions) * image + first_channel;
                    let placement = unravel(row % out_positions, &self.out_spatial);
                    for (p, target) in patch.chunks_exact_mut(self.kernel_in).enumerate() {
                        let mut rest = p;
                        let mut offset = Some(0);
                        for d in (0..window.len()).rev() {
                            let entry = tables[d][placement[d] * window[d] + rest % window[d]];
                            rest /= window[d];
                            offset = offset.and_then(|o| entry.map(|e| o + e));
                        }
                        match offset {
                            Some(o) => {
                                let start = base + o * self.channels;
                                target.copy_from_slice(&input[start..start + self.kernel_in]);
                            }
                            None => target.fill(T::default()),
                        }
                    }
                };
                if depth > 0 {
                    let used = &mut patches[..count * depth];
                    if count * depth > 1 << 14 {
                        used.par_chunks_exact_mut(depth).enumerate().for_each(fill);
                    } else {
                        used.chunks_exact_mut(depth).enumerate().for_each(fill);
                    }
                }
                let a = Mat {
                    data: &patches,
                    offset: 0,
                    row: depth as isize,
                    column: 1,
                };
                let b = Mat {
                    data: kernel,
                    offset: (group * group_out) as isize,
                    row: self.kernel_out as isize,
                    column: 1,
                };
                let start = first_row * self.kernel_out + group * group_out;
                let heavy = count * depth * group_out > 1 << 20;
                T::product(
                    [count, depth, group_out],
                    a,
                    b,
                    &mut out[start..],
                    self.kernel_out,
                    heavy,
                );
            }
        }
        out
    }
}

/// The multi-index of a flat row-major position.
fn unravel(mut flat: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for d in (0..shape.len()).rev() {
        index[d] = flat % shape[d];
        flat /= shape[d];
    }
    index
}

/// `convolution`; the result has dtype `out`.
pub(crate) fn convolution(attrs: &Convolution, input: &Tensor, kernel: &Tensor, out: DType) -> Result<Tensor> {
    let bad = || {
        invalid(format!(
            "`stablehlo.convolution` does not fit {} and {}",
            input.ty(),
            kernel.ty()
        ))
    };
    let dims = &attrs.dims;
    let list = |first: &[i64], middle: &[i64], last: &[i64]| [first, middle, last].concat();
    let rank = input.shape().len();
    let spatial = rank.checked_sub(2).ok_or_else(bad)?;
    let counts = [
        dims.input_spatial.len(),
        dims.kernel_spatial.len(),
        dims.output_spatial.len(),
    ];
    if counts.iter().any(|&n| n != spatial) || kernel.shape().len() != rank {
        return Err(bad());
    }
    let x = movement::transpose(
        input,
        &list(&[dims.input_batch], &dims.input_spatial, &[dims.input_feature]),
    )?;
    let w = [dims.kernel_input_feature, dims.kernel_output_feature];
    let w = movement::transpose(kernel, &list(&[], &dims.kernel_spatial, &w))?;
    let plan = Plan::new(attrs, &usizes(x.shape()), &usizes(w.shape())).ok_or_else(bad)?;
    let mut shape = vec![(plan.batch / plan.batch_groups) as i64];
    shape.extend(plan.out_spatial.iter().map(|&n| n as i64));
    shape.push(plan.kernel_out as i64);
    let ty = TensorType::new(out, &shape);
    crate::check_size(&ty)?;
    let terms = plan
        .dims
        .iter()
        .fold(plan.kernel_in, |n, d| n.saturating_mul(d.size as usize));
    let flops = 2usize.saturating_mul(ty.element_count()).saturating_mul(terms);
    let compute = compute_type(x.dtype(), w.dtype(), out, flops, terms);
    let y = with_elements!(compute, ty, (x, w) => |x, w| plan.run(x, w));
    // The canonical dimension that each result dimension is.
    let canonical = list(&[dims.output_batch], &dims.output_spatial, &[dims.output_feature]);
    let place = (0..rank as i64).map(|d| canonical.iter().position(|&c| c == d).map(|i| i as i64));
    movement::transpose(&y, &place.collect::<Option<Vec<_>>>().ok_or_else(bad)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrite_ir::hlo::ConvDims;

    fn attrs(stride: i64, padding: (i64, i64), lhs_dilation: i64, groups: i64) -> Convolution {
        Convolution {
            dims: ConvDims {
                input_batch: 0,
                input_feature: 1,
                input_spatial: [2].as_slice().into(),
                kernel_input_feature: 1,
                kernel_output_feature: 0,
                kernel_spatial: [2].as_slice().into(),
                output_batch: 0,
                output_feature: 1,
                output_spatial: [2].as_slice().into(),
            },
            window_strides: [stride].as_slice().into(),
            padding: vec![padding],
            lhs_dilation: [lhs_dilation].as_slice().into(),
            rhs_dilation: [1].as_slice().into(),
            window_reversal: vec![false],
            feature_group_count: groups,
            batch_group_count: 1,
            precision: Vec::new(),
        }
    }

    fn f(shape: &[i64], values: &[f32]) -> Tensor {
        match Tensor::from_f32(shape, values) {
            Some(t) => t,
            None => panic!("wrong number of values"),
        }
    }

    #[test]
    fn padding_stride_and_dilation() {
        let x = f(&[1, 1, 3], &[1.0, 2.0, 3.0]);
        let w = f(&[1, 1, 2], &[1.0, 10.0]);
        assert_eq!(
            convolution(&attrs(1, (1, 0), 1, 1), &x, &w, DType::F32),
            Ok(f(&[1, 1, 3], &[10.0, 21.0, 32.0]))
        );
        assert_eq!(
            convolution(&attrs(2, (0, 0), 1, 1), &x, &w, DType::F32),
            Ok(f(&[1, 1, 1], &[21.0]))
        );
        let dilated = f(&[1, 1, 4], &[1.0, 20.0, 2.0, 30.0]);
        assert_eq!(convolution(&attrs(1, (0, 0), 2, 1), &x, &w, DType::F32), Ok(dilated));
    }

    #[test]
    fn groups_see_only_their_channels() {
        let x = f(&[1, 2, 2], &[1.0, 2.0, 3.0, 4.0]);
        let w = f(&[2, 1, 1], &[10.0, 100.0]);
        let want = f(&[1, 2, 2], &[10.0, 20.0, 300.0, 400.0]);
        assert_eq!(convolution(&attrs(1, (0, 0), 1, 2), &x, &w, DType::F32), Ok(want));
        assert!(convolution(&attrs(1, (0, 0), 1, 3), &x, &w, DType::F32).is_err());
    }
}
