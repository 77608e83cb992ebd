//! Brings every convolution to a contraction, or to a convolution without padding, input dilation, reversal and batch
//! groups.
//!
//! Before                                              After
//!   convolution(%x, %w)                                 %p = pad %x, with zeros around and between (sliced where
//!        padding, lhs_dilation, reversal,                    padding is negative)
//!        batch groups                                   %k = reverse %w in its reversed spatial dimensions
//!                                                       convolution(%p, %k) padding 0, lhs_dilation 1, no reversal,
//!                                                            batch_group_count 1
//!
//! Batch groups become feature groups: the group moves from the batch to the features of the input. A convolution
//! whose windows do not overlap (pointwise, patches, one window for the whole image, and the weight gradients of
//! these) is a `dot_general` of reshaped operands. Strides, `rhs_dilation` and feature groups remain otherwise.
//!
//! A convolution with its features first (`orient-convolutions`) keeps its padding where one kernel position needs none of it: the
//! lowering then leaves out what lies outside. It never becomes a `dot_general`.
//!
//! Needs: verified static `hlo`. Leaves: verified `hlo`; every convolution as said.

use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{Builder, Convolution, Dims, DotDims, DotGeneral, OpId, OpKind, Reverse, TensorType, ValueId};

use super::data::pad_or_slice;
use super::rewrite::{Rewrite, Step, operands, refuse, result_type};
use crate::hlo::orient_convolutions::is_oriented;

/// The rule of `legalize-convolution`.
pub(crate) fn rewrite(b: &mut Builder<'_>, op: OpId) -> Rewrite {
    let conv = match &b.func.op(op).kind {
        OpKind::Convolution(c) => c.clone(),
        OpKind::DynamicConv(_) => {
            return Err(refuse(
                "`dynamic_conv` takes its padding at run time",
                "compile with static shapes: padding must be an attribute",
            ));
        }
        _ => return Ok(None),
    };
    let o = operands(b, op);
    let result = result_type(b, op);
    if result.element_count() == 0 || b.tensor(o[0])?.element_count() == 0 || b.tensor(o[1])?.element_count() == 0 {
        return Ok(Some(vec![b.constant_i(result, 0)]));
    }
    let original = conv.clone();
    let mut state = State {
        conv,
        lhs: o[0],
        rhs: o[1],
    };
    if is_oriented(&state.conv) {
        if !state.clips(b)? {
            state.pad_input(b)?;
        }
        state.reverse_kernel(b)?;
        if state.conv == original {
            return Ok(None);
        }
        let kind = OpKind::Convolution(state.conv);
        return Ok(Some(vec![b.op1_as(kind, &[state.lhs, state.rhs], result)?]));
    }
    state.pad_input(b)?;
    state.reverse_kernel(b)?;
    state.regroup_batch(b)?;
    if let Some(dot) = state.as_dot(b, &result)? {
        return Ok(Some(vec![dot]));
    }
    let order = output_order(&state.conv, result.rank());
    if order.iter().enumerate().any(|(i, &d)| i as i64 != d) {
        return Ok(Some(vec![state.reordered(b, &result, &order)?]));
    }
    if state.conv == original {
        return Ok(None);
    }
    let kind = OpKind::Convolution(state.conv);
    Ok(Some(vec![b.op1_as(kind, &[state.lhs, state.rhs], result)?]))
}

/// The result's dimensions in an order that the PE array can produce: batch, pixels, features; or batch, features,
/// pixels, which groups need.
fn output_order(conv: &Convolution, rank: usize) -> Dims {
    let d = &conv.dims;
    let last = d.output_feature as usize == rank - 1 && conv.feature_group_count == 1;
    let mut order = Dims::new();
    order.push(d.output_batch);
    if !last {
        order.push(d.output_feature);
    }
    order.extend(d.output_spatial.iter().copied());
    if last {
        order.push(d.output_feature);
    }
    order
}

/// A convolution on its way.
struct State {
    conv: Convolution,
    lhs: ValueId,
    rhs: ValueId,
}

impl State {
    /// Makes padding and input dilation explicit.
    /// The convolution with its result's dimensions in `order`, transposed back.
    fn reordered(mut self, b: &mut Builder<'_>, result: &TensorType, order: &Dims) -> Step {
        let place = |d: i64| order.iter().position(|&o| o == d).unwrap_or(0) as i64;
        let d = &mut self.conv.dims;
        d.output_batch = place(d.output_batch);
        d.output_feature = place(d.output_feature);
        d.output_spatial.iter_mut().for_each(|s| *s = place(*s));
        let ty = result.with_shape(order.iter().map(|&d| result.shape[d as usize]));
        let kind = OpKind::Convolution(self.conv);
        let value = b.op1_as(kind, &[self.lhs, self.rhs], ty)?;
        let back: Dims = (0..order.len() as i64).map(place).collect();
        Ok(b.transpose(value, &back)?)
    }

    /// Whether one kernel position meets an element of the input for every element of the result: then the others add to it where
    /// they meet one, and padding need not be there.
    fn clips(&self, b: &Builder<'_>) -> Step<bool> {
        let c = &self.conv;
        let (x, k) = (b.tensor(self.lhs)?, b.tensor(self.rhs)?);
        let covered = (0..c.padding.len()).all(|i| {
            let size = x.shape[c.dims.input_spatial[i] as usize];
            let taps = k.shape[c.dims.kernel_spatial[i] as usize];
            covering_tap(c, i, size, taps).is_some()
        });
        Ok(covered && c.lhs_dilation.iter().all(|&d| d == 1))
    }

    fn pad_input(&mut self, b: &mut Builder<'_>) -> Step<()> {
        let c = &mut self.conv;
        if c.padding.iter().all(|&p| p == (0, 0)) && c.lhs_dilation.iter().all(|&d| d == 1) {
            return Ok(());
        }
        let ty = b.tensor(self.lhs)?.clone();
        let mut low: Dims = ty.shape.iter().map(|_| 0).collect();
        let (mut high, mut interior) = (low.clone(), low.clone());
        for (i, &d) in c.dims.input_spatial.iter().enumerate() {
            (low[d as usize], high[d as usize]) = c.padding[i];
            interior[d as usize] = c.lhs_dilation[i] - 1;
        }
        let zero = b.constant_i(TensorType::scalar(ty.dtype), 0);
        self.lhs = pad_or_slice(b, self.lhs, zero, &low, &high, &interior)?;
        c.padding.iter_mut().for_each(|p| *p = (0, 0));
        c.lhs_dilation.iter_mut().for_each(|d| *d = 1);
        Ok(())
    }

    fn reverse_kernel(&mut self, b: &mut Builder<'_>) -> Step<()> {
        let c = &mut self.conv;
        let shape = &b.tensor(self.rhs)?.shape;
        let flipped = c.dims.kernel_spatial.iter().zip(&c.window_reversal);
        let dimensions: Dims = flipped
            .filter(|&(&d, &reversed)| reversed && shape[d as usize] > 1)
            .map(|(&d, _)| d)
            .collect();
        c.window_reversal.iter_mut().for_each(|r| *r = false);
        if !dimensions.is_empty() {
            self.rhs = b.op1(OpKind::Reverse(Reverse { dimensions }), &[self.rhs])?;
        }
        Ok(())
    }

    /// Turns batch groups into feature groups: group `g` of the batch becomes group `g` of the input features, and it is
    /// the output features that were split by batch group already.
    fn regroup_batch(&mut self, b: &mut Builder<'_>) -> Step<()> {
        let groups = self.conv.batch_group_count;
        if groups == 1 {
            return Ok(());
        }
        let (batch, feature) = (
            self.conv.dims.input_batch as usize,
            self.conv.dims.input_feature as usize,
        );
        let shape = b.tensor(self.lhs)?.shape.clone();
        let mut split = shape.clone();
        split[batch] /= groups;
        split.insert(batch, groups);
        let x = b.reshape(self.lhs, &split)?;
        // The group goes right before the features; dimensions behind it have moved by one.
        let moved = |d: usize| if d >= batch { d + 1 } else { d };
        let mut order: Vec<i64> = (0..split.len()).filter(|&d| d != batch).map(|d| d as i64).collect();
        let at = order
            .iter()
            .position(|&d| d == moved(feature) as i64)
            .unwrap_or_default();
        order.insert(at, batch as i64);
        let x = b.transpose(x, &order)?;
        let mut joined = shape;
        joined[batch] /= groups;
        joined[feature] *= groups;
        self.lhs = b.reshape(x, &joined)?;
        self.conv.batch_group_count = 1;
        self.conv.feature_group_count = groups;
        Ok(())
    }

    /// The contraction that a convolution without overlapping windows is.
    fn as_dot(&self, b: &mut Builder<'_>, result: &TensorType) -> Step<Option<ValueId>> {
        let c = &self.conv;
        let (x, k) = (b.tensor(self.lhs)?.shape.clone(), b.tensor(self.rhs)?.shape.clone());
        let Some(views) = spatial_views(c, &x, &k, &result.shape) else {
            return Ok(None);
        };
        let (lhs, places) = split_input(b, self.lhs, c, &views)?;
        let groups = c.feature_group_count;
        let rhs = split_last_groups(b, self.rhs, c.dims.kernel_output_feature as usize, groups)?;
        let kernel_place = |d: i64| d + i64::from(groups > 1 && d >= c.dims.kernel_output_feature);
        let mut dims = DotDims::default();
        if groups > 1 {
            dims.lhs_batching.push(places.group);
            dims.rhs_batching.push(c.dims.kernel_output_feature);
        }
        dims.lhs_contracting.push(places.feature);
        dims.rhs_contracting.push(kernel_place(c.dims.kernel_input_feature));
        for (&w, &d) in places.window.iter().zip(&c.dims.kernel_spatial) {
            dims.lhs_contracting.push(w);
            dims.rhs_contracting.push(kernel_place(d));
        }
        let lhs_rank = b.tensor(lhs)?.rank();
        let free = dims.lhs_free(lhs_rank);
        let dot = dot_like(b, lhs, rhs, dims, c, result.dtype)?;
        // The result is [group,] free dimensions of the input in order, output features.
        let first = i64::from(groups > 1);
        let place = |d: i64| first + free.iter().position(|&f| f == d).unwrap_or_default() as i64;
        let mut source = vec![0; result.rank()];
        source[c.dims.output_batch as usize] = place(places.batch);
        for (&out, &d) in places.position.iter().zip(&c.dims.output_spatial) {
            source[d as usize] = place(out);
        }
        source[c.dims.output_feature as usize] = first + free.len() as i64;
        if groups > 1 {
            source.insert(c.dims.output_feature as usize, 0);
        }
        let dot = b.transpose(dot, &source)?;
        Ok(Some(b.reshape(dot, &result.shape)?))
    }
}

/// The first position of the kernel along spatial dimension `i` that meets an element of an input of `size` elements for every
/// position of the result.
pub(crate) fn covering_tap(c: &Convolution, i: usize, size: i64, taps: i64) -> Option<i64> {
    let (low, high) = c.padding[i];
    let reach = (taps - 1) * c.rhs_dilation[i] + 1;
    let last = (size + low + high - reach) / c.window_strides[i] * c.window_strides[i];
    (0..taps).find(|t| {
        let first = t * c.rhs_dilation[i] - low;
        first >= 0 && first + last < size
    })
}

/// How one spatial dimension of the input falls apart into output position and window position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    /// Windows of one element every `stride`.
    Point { stride: i64, count: i64 },
    /// One output position; the window takes an element every `dilation`.
    Whole { dilation: i64, count: i64 },
    /// Windows side by side: `[positions, window]`.
    Patches { positions: i64, window: i64 },
    /// Dilated windows whose holes the positions fill: `[window, positions]`.
    Comb { positions: i64, window: i64 },
}

fn spatial_views(c: &Convolution, x: &[i64], k: &[i64], out: &[i64]) -> Option<Vec<View>> {
    (0..c.dims.input_spatial.len())
        .map(|i| {
            let positions = out[c.dims.output_spatial[i] as usize];
            let window = k[c.dims.kernel_spatial[i] as usize];
            let size = x[c.dims.input_spatial[i] as usize];
            let (stride, dilation) = (c.window_strides[i], c.rhs_dilation[i]);
            if window == 1 {
                Some(View::Point {
                    stride,
                    count: positions,
                })
            } else if positions == 1 {
                Some(View::Whole {
                    dilation,
                    count: window,
                })
            } else if dilation == 1 && stride == window && positions * window <= size {
                Some(View::Patches { positions, window })
            } else if stride == 1 && dilation == positions && positions * window <= size {
                Some(View::Comb { positions, window })
            } else {
                None
            }
        })
        .collect()
}

/// Where the dimensions of a split input are.
struct Places {
    batch: i64,
    group: i64,
    feature: i64,
    /// Output positions, per spatial dimension.
    position: Vec<i64>,
    /// Window positions, per spatial dimension.
    window: Vec<i64>,
}

fn split_input(b: &mut Builder<'_>, x: ValueId, c: &Convolution, views: &[View]) -> Step<(ValueId, Places)> {
    let shape = b.tensor(x)?.shape.clone();
    let mut limit = shape.clone();
    let mut strides: Dims = shape.iter().map(|_| 1).collect();
    for (view, &d) in views.iter().zip(&c.dims.input_spatial) {
        let d = d as usize;
        match *view {
            View::Point { stride: step, count } | View::Whole { dilation: step, count } => {
                limit[d] = (count - 1) * step + 1;
                strides[d] = step;
            }
            View::Patches { positions, window } | View::Comb { positions, window } => limit[d] = positions * window,
        }
    }
    let zeros: Dims = shape.iter().map(|_| 0).collect();
    let x = if limit == shape && strides.iter().all(|&s| s == 1) {
        x
    } else {
        b.slice(x, &zeros, &limit, &strides)?
    };
    let mut split = Dims::new();
    let mut places = Places {
        batch: 0,
        group: 0,
        feature: 0,
        position: vec![0; views.len()],
        window: vec![0; views.len()],
    };
    for (d, &size) in b.tensor(x)?.shape.iter().enumerate() {
        let here = split.len() as i64;
        let d = d as i64;
        if d == c.dims.input_batch {
            places.batch = here;
            split.push(size);
        } else if d == c.dims.input_feature {
            if c.feature_group_count > 1 {
                places.group = here;
                split.push(c.feature_group_count);
            }
            places.feature = split.len() as i64;
            split.push(size / c.feature_group_count);
        } else if let Some(i) = c.dims.input_spatial.iter().position(|&s| s == d) {
            let (first, second, window_first) = match views[i] {
                View::Point { count, .. } => (count, 1, false),
                View::Whole { count, .. } => (1, count, false),
                View::Patches { positions, window } => (positions, window, false),
                View::Comb { positions, window } => (window, positions, true),
            };
            split.extend([first, second]);
            let (p, w) = if window_first {
                (here + 1, here)
            } else {
                (here, here + 1)
            };
            (places.position[i], places.window[i]) = (p, w);
        }
    }
    Ok((b.reshape(x, &split)?, places))
}

/// Splits dimension `d` into `[groups, rest]`.
fn split_last_groups(b: &mut Builder<'_>, x: ValueId, d: usize, groups: i64) -> Step {
    if groups == 1 {
        return Ok(x);
    }
    let mut shape = b.tensor(x)?.shape.clone();
    shape[d] /= groups;
    shape.insert(d, groups);
    Ok(b.reshape(x, &shape)?)
}

fn dot_like(b: &mut Builder<'_>, lhs: ValueId, rhs: ValueId, dims: DotDims, c: &Convolution, dtype: DType) -> Step {
    let dot = DotGeneral {
        dims,
        precision: c.precision.clone(),
        algorithm: None,
    };
    Ok(b.op_as_dtype(OpKind::DotGeneral(dot), &[lhs, rhs], dtype)?)
}
