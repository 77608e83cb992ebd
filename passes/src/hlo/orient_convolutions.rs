//! Puts the features of images first, from convolution to convolution.
//!
//! ```text
//! Before                                                   After
//!   %1 = convolution(%x, %w) [b,0,1,f]x..->[b,0,1,f]         %0 = transpose %x, dims = [3, 0, 1, 2]
//!   %2 = maximum %1, 0 : [16, 56, 56, 64]                    %1 = convolution(%0, %w) [f,b,0,1]x..->[f,b,0,1]
//!   %3 = convolution(%2, %v) [b,0,1,f]x..->[b,0,1,f]         %2 = maximum %1, 0 : [64, 16, 56, 56]
//!                                                            %3 = convolution(%2, %v) [f,b,0,1]x..->[f,b,0,1]
//!                                                            %4 = transpose %3, dims = [1, 2, 3, 0]
//! ```
//!
//! On the device rows lie on partitions, and the PE array sums over partitions: an image with its features first is the
//! operand that a convolution reads as it lies, shifted from kernel position to kernel position, and its result has that
//! form again. So element-wise operations, windows, reductions, padding, slices and concatenations between convolutions
//! follow; what leaves the chain is transposed back, by a view.
//!
//! Not here: convolutions in groups, with holes in their input or with more than [`MAX_TAPS`] kernel positions (patches and
//! weight gradients), which are contractions over the kernel's window.
//!
//! Needs: verified static `hlo`, before `legalize-convolution`. Leaves: verified `hlo`; transposes that nothing reads to
//! `remove-dead-ops`.

use std::collections::HashMap;
use std::ops::Range;

use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::hlo::{
    BroadcastInDim, Builder, Concatenate, ConvDims, Convolution, Dims, Module, OpId, OpKind, Pad, Reduce, ReduceWindow,
    Slice, TensorType, ValueId,
};
use ferrite_ir::literal::Literal;

use super::legalize::rewrite::{Rewrite, Step, Stop, operands, result_type, rewrite_func};
use crate::lower::fuse::is_map;
use crate::pass::{Changed, HloPass, PassContext};

/// Kernel positions from which on a convolution is a contraction over its window.
pub const MAX_TAPS: i64 = 64;

/// See the module's own text.
pub struct OrientConvolutions;

impl HloPass for OrientConvolutions {
    const NAME: &'static str = "orient-convolutions";
    const DOC: &'static str =
        "Puts features first in convolutions and in what lies between them, so that results are operands as they are.";

    fn run(&self, module: &mut Module, _: &mut PassContext<'_>) -> Result<Changed> {
        let mut changed = false;
        for i in 0..module.funcs.len() {
            let mut chain = Chain::default();
            match rewrite_func(&mut module.funcs[i], &mut |b, op| chain.rewrite(b, op)) {
                Ok(c) => changed |= c,
                Err((loc, stop)) => {
                    let error = match stop {
                        Stop::Refused(d) => *d,
                        Stop::Violation(v) => Diagnostic::bug(format!("an oriented convolution is invalid: {v}")),
                    };
                    return Err(error.at(module.locs.get(loc)));
                }
            }
        }
        Ok(Changed::from_bool(changed))
    }
}

/// A value that exists in another order of its dimensions.
#[derive(Clone, Debug)]
struct Twin {
    value: ValueId,
    /// Dimension `d` of the twin is dimension `order[d]` of the value.
    order: Vec<i64>,
}

/// The values that have a twin with features first.
#[derive(Default)]
struct Chain {
    twins: HashMap<ValueId, Twin>,
}

/// Whether a convolution is computed with its features first.
pub(crate) fn is_oriented(conv: &Convolution) -> bool {
    conv.dims.output_feature == 0
        && conv.dims.output_batch == 1
        && conv
            .dims
            .output_spatial
            .iter()
            .enumerate()
            .all(|(i, &d)| d == i as i64 + 2)
        && conv.feature_group_count == 1
        && conv.batch_group_count == 1
}

fn inverse(order: &[i64]) -> Vec<i64> {
    let mut back = vec![0; order.len()];
    for (i, &d) in order.iter().enumerate() {
        back[d as usize] = i as i64;
    }
    back
}

fn permuted<T: Copy>(values: &[T], order: &[i64]) -> Vec<T> {
    order.iter().map(|&d| values[d as usize]).collect()
}

/// Features, batch, pixels.
fn features_first(batch: i64, feature: i64, spatial: &[i64]) -> Vec<i64> {
    [feature, batch].into_iter().chain(spatial.iter().copied()).collect()
}

impl Chain {
    fn rewrite(&mut self, b: &mut Builder<'_>, op: OpId) -> Rewrite {
        let kind = b.func.op(op).kind.clone();
        if b.func.op(op).results.len() != 1 || b.func.ty(b.func.result(op)).tensor().is_none() {
            return Ok(None);
        }
        match &kind {
            OpKind::Convolution(conv) => self.convolution(b, op, conv),
            OpKind::Reduce(reduce) => self.reduce(b, op, reduce),
            OpKind::ReduceWindow(window) => self.window(b, op, window),
            OpKind::Pad(pad) => {
                let Some(x) = self.first_twin(b, op) else {
                    return Ok(None);
                };
                let kind = OpKind::Pad(Pad {
                    low: Dims::from_vec(permuted(&pad.low, &x.order)),
                    high: Dims::from_vec(permuted(&pad.high, &x.order)),
                    interior: Dims::from_vec(permuted(&pad.interior, &x.order)),
                });
                let value = b.op1(kind, &[x.value, operands(b, op)[1]])?;
                self.leave(b, value, &x.order)
            }
            OpKind::Slice(slice) => {
                let Some(x) = self.first_twin(b, op) else {
                    return Ok(None);
                };
                let kind = OpKind::Slice(Slice {
                    start: Dims::from_vec(permuted(&slice.start, &x.order)),
                    limit: Dims::from_vec(permuted(&slice.limit, &x.order)),
                    strides: Dims::from_vec(permuted(&slice.strides, &x.order)),
                });
                let value = b.op1(kind, &[x.value])?;
                self.leave(b, value, &x.order)
            }
            OpKind::Transpose(t) => {
                // The same elements: the twin stays, in other terms.
                let Some(x) = self.first_twin(b, op) else {
                    return Ok(None);
                };
                let from = inverse(&t.permutation);
                let order: Vec<i64> = x.order.iter().map(|&d| from[d as usize]).collect();
                self.leave(b, x.value, &order)
            }
            OpKind::Concatenate(c) => self.concatenate(b, op, c),
            OpKind::Reshape => self.reshape(b, op),
            OpKind::BroadcastInDim(broadcast) => self.broadcast(b, op, broadcast),
            OpKind::Clamp => {
                let o = operands(b, op);
                let Some(x) = self.twins.get(&o[1]).cloned() else {
                    return Ok(None);
                };
                let mut bound = |v: ValueId| match b.tensor(v)?.rank() {
                    0 => Ok(v),
                    _ => self.follow(b, v, &x.order),
                };
                let parts = [bound(o[0])?, x.value, bound(o[2])?];
                let value = b.op1(OpKind::Clamp, &parts)?;
                self.leave(b, value, &x.order)
            }
            kind if is_map(kind) => self.map(b, op),
            _ => Ok(None),
        }
    }

    fn first_twin(&self, b: &Builder<'_>, op: OpId) -> Option<Twin> {
        self.twins.get(b.func.op(op).operands.first()?).cloned()
    }

    /// Names the twin of a result and returns the result itself: the twin, transposed back.
    fn leave(&mut self, b: &mut Builder<'_>, value: ValueId, order: &[i64]) -> Rewrite {
        let result = b.transpose(value, &inverse(order))?;
        let twin = Twin {
            value,
            order: order.to_vec(),
        };
        self.twins.insert(result, twin);
        Ok(Some(vec![result]))
    }

    /// A value in this order.
    fn ordered(&self, b: &mut Builder<'_>, v: ValueId, order: &[i64]) -> Step {
        match self.twins.get(&v) {
            Some(twin) if twin.order == order => Ok(twin.value),
            _ => Ok(b.transpose(v, order)?),
        }
    }

    fn convolution(&mut self, b: &mut Builder<'_>, op: OpId, conv: &Convolution) -> Rewrite {
        let d = &conv.dims;
        let o = operands(b, op);
        let (result, kernel) = (result_type(b, op), b.tensor(o[1])?.clone());
        let taps: i64 = d.kernel_spatial.iter().map(|&k| kernel.shape[k as usize]).product();
        let fits = conv.feature_group_count == 1
            && conv.batch_group_count == 1
            && conv.lhs_dilation.iter().all(|&x| x == 1)
            && (1..=3).contains(&d.kernel_spatial.len())
            && (1..=MAX_TAPS).contains(&taps)
            && result.dtype.is_float()
            && result.element_count() > 0
            && b.tensor(o[0])?.element_count() > 0;
        if !fits || is_oriented(conv) {
            return Ok(None);
        }
        let image = features_first(d.input_batch, d.input_feature, &d.input_spatial);
        let order = features_first(d.output_batch, d.output_feature, &d.output_spatial);
        let x = self.ordered(b, o[0], &image)?;
        let spatial: Dims = (2..order.len() as i64).collect();
        let kind = OpKind::Convolution(Convolution {
            dims: ConvDims {
                input_batch: 1,
                input_feature: 0,
                input_spatial: spatial.clone(),
                output_batch: 1,
                output_feature: 0,
                output_spatial: spatial,
                ..d.clone()
            },
            ..conv.clone()
        });
        let ty = TensorType::new(result.dtype, &permuted(&result.shape, &order));
        let value = b.op1_as(kind, &[x, o[1]], ty)?;
        self.leave(b, value, &order)
    }

    fn reduce(&mut self, b: &mut Builder<'_>, op: OpId, reduce: &Reduce) -> Rewrite {
        let o = operands(b, op);
        let (Some(x), [_, init]) = (self.first_twin(b, op), &o[..]) else {
            return Ok(None);
        };
        let place = inverse(&x.order);
        let mut dimensions: Dims = reduce.dimensions.iter().map(|&d| place[d as usize]).collect();
        dimensions.sort_unstable();
        let regions = b.func.op(op).regions.to_vec();
        let ty = result_type(b, op);
        // Kept dimensions of the twin, as dimensions of the result.
        let kept: Vec<i64> = x
            .order
            .iter()
            .filter(|d| !reduce.dimensions.contains(d))
            .map(|&d| d - reduce.dimensions.iter().filter(|&&r| r < d).count() as i64)
            .collect();
        let hint = TensorType::new(ty.dtype, &permuted(&ty.shape, &kept));
        let kind = OpKind::Reduce(Reduce { dimensions });
        let value = b.op_with_regions(kind, &[x.value, *init], &regions, Some(&[hint.into()]))?[0];
        self.leave(b, value, &kept)
    }

    fn window(&mut self, b: &mut Builder<'_>, op: OpId, w: &ReduceWindow) -> Rewrite {
        let o = operands(b, op);
        let (Some(x), [_, init]) = (self.first_twin(b, op), &o[..]) else {
            return Ok(None);
        };
        let dims = |v: &Dims| Dims::from_vec(permuted(v, &x.order));
        let kind = OpKind::ReduceWindow(ReduceWindow {
            window_dimensions: dims(&w.window_dimensions),
            window_strides: dims(&w.window_strides),
            base_dilations: dims(&w.base_dilations),
            window_dilations: dims(&w.window_dilations),
            padding: permuted(&w.padding, &x.order),
        });
        let regions = b.func.op(op).regions.to_vec();
        let ty = result_type(b, op);
        let hint = TensorType::new(ty.dtype, &permuted(&ty.shape, &x.order));
        let value = b.op_with_regions(kind, &[x.value, *init], &regions, Some(&[hint.into()]))?[0];
        self.leave(b, value, &x.order)
    }

    fn concatenate(&mut self, b: &mut Builder<'_>, op: OpId, c: &Concatenate) -> Rewrite {
        let o = operands(b, op);
        let Some(order) = self.common_order(&o) else {
            return Ok(None);
        };
        let parts: Vec<ValueId> = o.iter().map(|&v| self.ordered(b, v, &order)).collect::<Step<_>>()?;
        let dimension = inverse(&order)[c.dimension as usize];
        let value = b.concatenate(&parts, dimension)?;
        self.leave(b, value, &order)
    }

    /// A reshape that splits and joins dimensions which stand beside each other in the twin too.
    fn reshape(&mut self, b: &mut Builder<'_>, op: OpId) -> Rewrite {
        let Some(x) = self.first_twin(b, op) else {
            return Ok(None);
        };
        let to = result_type(b, op).shape;
        let from = b.tensor(operands(b, op)[0])?.shape.clone();
        let Some(groups) = groups(&from, &to) else {
            return Ok(None);
        };
        let mut order = Vec::with_capacity(to.len());
        let mut at = 0;
        while at < x.order.len() {
            let Some((from, to)) = groups.iter().find(|g| g.0.start as i64 == x.order[at]) else {
                return Ok(None);
            };
            let same = from
                .clone()
                .map(|d| d as i64)
                .eq(x.order[at..].iter().copied().take(from.len()));
            if !same {
                return Ok(None);
            }
            at += from.len();
            order.extend(to.clone().map(|d| d as i64));
        }
        // Dimensions of one element that belong to nothing stay where they are, at the end.
        order.extend((0..to.len() as i64).filter(|d| !groups.iter().any(|g| g.1.contains(&(*d as usize)))));
        let value = b.reshape(x.value, &permuted(&to, &order))?;
        self.leave(b, value, &order)
    }

    /// A broadcast along dimensions of one element.
    fn broadcast(&mut self, b: &mut Builder<'_>, op: OpId, broadcast: &BroadcastInDim) -> Rewrite {
        let shape = result_type(b, op).shape;
        let kept = (0..shape.len() as i64).eq(broadcast.broadcast_dimensions.iter().copied());
        let Some(x) = self.first_twin(b, op).filter(|_| kept) else {
            return Ok(None);
        };
        let all: Vec<i64> = (0..shape.len() as i64).collect();
        let value = b.broadcast_in_dim(x.value, &permuted(&shape, &x.order), &all)?;
        self.leave(b, value, &x.order)
    }

    /// The order that the twins among some values have, if there are twins and they agree.
    fn common_order(&self, values: &[ValueId]) -> Option<Vec<i64>> {
        let mut orders = values.iter().filter_map(|v| self.twins.get(v)).map(|t| &t.order);
        let first = orders.next()?;
        orders.all(|o| o == first).then(|| first.clone())
    }

    fn map(&mut self, b: &mut Builder<'_>, op: OpId) -> Rewrite {
        let o = operands(b, op);
        let shape = result_type(b, op).shape;
        let same = o
            .iter()
            .all(|&v| b.func.ty(v).tensor().is_some_and(|t| t.shape == shape));
        let Some(order) = self.common_order(&o).filter(|_| same) else {
            return Ok(None);
        };
        let parts: Vec<ValueId> = o.iter().map(|&v| self.follow(b, v, &order)).collect::<Step<_>>()?;
        let ty = TensorType::new(result_type(b, op).dtype, &permuted(&shape, &order));
        let kind = b.func.op(op).kind.clone();
        let (region, loc) = (b.region, b.loc);
        let new = b.func.append(region, kind, &parts, vec![ty.into()], &[], loc);
        b.func.op_mut(new).attrs = b.func.op(op).attrs.clone();
        let value = b.func.result(new);
        self.leave(b, value, &order)
    }

    /// An operand of an element-wise operation in this order: constants and broadcasts are made anew.
    fn follow(&self, b: &mut Builder<'_>, v: ValueId, order: &[i64]) -> Step {
        if let Some(def) = b.func.def(v) {
            match b.func.op(def).kind.clone() {
                OpKind::Constant(literal) => {
                    let ty = b.tensor(v)?;
                    let ty = TensorType::new(ty.dtype, &permuted(&ty.shape, order));
                    let element = literal.splat_element().map(<[u8]>::to_vec);
                    if let Some(literal) = element.and_then(|e| Literal::splat(ty, &e)) {
                        return Ok(b.constant(literal));
                    }
                }
                OpKind::BroadcastInDim(broadcast) => {
                    let place = inverse(order);
                    let shape = permuted(&b.tensor(v)?.shape.clone(), order);
                    let source = b.func.op(def).operands[0];
                    let dims: Vec<i64> = broadcast
                        .broadcast_dimensions
                        .iter()
                        .map(|&d| place[d as usize])
                        .collect();
                    return broadcast_sorted(b, source, &shape, &dims);
                }
                _ => {}
            }
        }
        self.ordered(b, v, order)
    }
}

/// Ranges of neighbouring dimensions that a reshape turns into each other, as small as they can be. `None` for values
/// without elements.
fn groups(from: &[i64], to: &[i64]) -> Option<Vec<(Range<usize>, Range<usize>)>> {
    if from.contains(&0) {
        return None;
    }
    let mut groups = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < from.len() {
        let (first, start) = (i, j);
        let (mut left, mut right) = (from[i], 1);
        i += 1;
        while left != right {
            if left < right {
                left *= *from.get(i)?;
                i += 1;
            } else {
                right *= *to.get(j)?;
                j += 1;
            }
        }
        // A dimension of one element that both have is the same; others go with what stands before them.
        if from[first] == 1 && i - first == 1 && to.get(j) == Some(&1) {
            j += 1;
        }
        while from[first] != 1 && to.get(j) == Some(&1) && from.get(i) != Some(&1) {
            j += 1;
        }
        groups.push((first..i, start..j));
    }
    Some(groups)
}

/// A broadcast whose operand's dimensions come in the order of the result, without those that repeat.
fn broadcast_sorted(b: &mut Builder<'_>, source: ValueId, shape: &[i64], dims: &[i64]) -> Step {
    let from = b.tensor(source)?.shape.clone();
    let mut kept: Vec<usize> = (0..dims.len()).filter(|&i| from[i] != 1).collect();
    let sizes: Vec<i64> = kept.iter().map(|&i| from[i]).collect();
    let mut x = if kept.len() == dims.len() {
        source
    } else {
        b.reshape(source, &sizes)?
    };
    let places: Vec<usize> = kept.clone();
    kept.sort_by_key(|&i| dims[i]);
    if kept != places {
        let order: Vec<i64> = kept
            .iter()
            .map(|i| places.iter().position(|p| p == i).unwrap_or_default() as i64)
            .collect();
        x = b.transpose(x, &order)?;
    }
    let to: Vec<i64> = kept.iter().map(|&i| dims[i]).collect();
    Ok(b.broadcast_in_dim(x, shape, &to)?)
}
