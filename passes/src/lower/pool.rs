//! Reductions over windows of images with features first: on chip, span by span, without padding in memory.
//!
//! Along each dimension the positions of the result fall into segments whose windows are cut by the image's border in the same
//! way; each combination of segments is one instruction, which reads the image through overlapping access patterns.

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{BinaryOp, Dims, OpId, OpKind};
use ferrite_ir::tile::{ActFunc, AluOp, ApDim, Inst, Scalar, View};

use super::Lower;
use super::block::Blocks;
use super::convolution::{Unit, shifted, strides};
use super::elementwise::Extent;
use super::fuse::reducer;
use super::view::{StridedView, ViewDim, ViewDims};

/// Neighbouring positions of a result whose windows take the same elements relative to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    /// First position and their number.
    out: (i64, i64),
    /// First element of the window that is taken, and their number.
    taps: (i64, i64),
    /// Band of the image that the elements lie in.
    band: i64,
    /// Whether these positions have no earlier part.
    first: bool,
}

/// Cuts positions `first..first + count` of a dimension into segments; a window that reaches over several bands of `band` elements
/// has a part in each.
fn segments(w: &Axis, band: i64, first: i64, count: i64) -> Vec<Segment> {
    let mut out: Vec<Segment> = Vec::new();
    for o in first..first + count {
        let start = o * w.stride - w.low;
        let (from, to) = ((-start).max(0), (w.size - start).min(w.window));
        let mut t = from;
        while t < to {
            let here = (start + t) / band;
            let end = ((here + 1) * band - start).min(to);
            let next = Segment {
                out: (o, 1),
                taps: (t, end - t),
                band: here,
                first: t == from,
            };
            let grown = out
                .iter_mut()
                .find(|s| s.out.0 + s.out.1 == o && (s.taps, s.band, s.first) == (next.taps, next.band, next.first));
            match grown {
                Some(s) => s.out.1 += 1,
                None => out.push(next),
            }
            t = end;
        }
    }
    // What begins a result comes before what adds to it.
    out.sort_by_key(|s| (!s.first, s.out.0));
    out
}

/// One windowed dimension.
#[derive(Clone, Copy, Debug)]
struct Axis {
    size: i64,
    window: i64,
    stride: i64,
    low: i64,
}

/// Windows ready to be taken.
pub(super) struct Pool {
    op: OpId,
    alu: AluOp,
    rows: i64,
    outs: Dims,
    source: Source,
    target: Blocks,
}

/// Where the image is and how it goes by.
struct Source {
    blocks: Blocks,
    batch: i64,
    sizes: Dims,
    axes: Vec<Axis>,
    unit: Unit,
    dtype: DType,
}

impl Lower<'_> {
    /// A reduction over windows of an image whose first two dimensions have none (`is_image_window`).
    pub(super) fn pool(&mut self, op: OpId) -> Result<()> {
        let pool = self.prepare_pool(op)?;
        let batch = pool.source.batch;
        self.pool_images(&pool, (0, batch))
    }

    /// Operand and result of windows.
    pub(super) fn prepare_pool(&mut self, op: OpId) -> Result<Pool> {
        self.loc = self.op_loc(op);
        let node = self.func.op(op).clone();
        let (OpKind::ReduceWindow(w), Some(binary)) = (&node.kind, reducer(self.func, op)) else {
            return Err(Diagnostic::bug("these are no windows"));
        };
        let alu = pool_op(binary).ok_or_else(|| {
            self.error_at(
                self.loc,
                Code::Unsupported,
                format!("windows of `{}` have no lowering yet", binary.mnemonic()),
            )
        })?;
        let result = self.new_result(op, 0)?;
        if let Some(group) = self.group {
            self.units.insert(result.storage, group);
        }
        let view = self.view_of(node.operands[0])?;
        // Features on partitions; with few features, those of all images.
        let joined = view.dims[0].extent < view.dims[1].extent;
        let lead = if joined { 2 } else { 1 };
        let cut = |view: &StridedView| -> Blocks {
            let (rows, rest) = view.dims.split_at(lead);
            let one = joined.then_some(ViewDim { extent: 1, stride: 0 });
            Blocks {
                storage: view.storage,
                offset: view.offset,
                rows: ViewDims::from_slice(rows),
                cols: one.into_iter().chain(rest.iter().copied()).collect(),
            }
        };
        let (blocks, target) = (cut(&view), cut(&result));
        let sizes: Dims = view.dims[2..].iter().map(|d| d.extent).collect();
        let batch = blocks.cols[0].extent;
        Ok(Pool {
            op,
            alu,
            rows: blocks.rows.iter().map(|d| d.extent).product(),
            outs: result.dims[2..].iter().map(|d| d.extent).collect(),
            target,
            source: Source {
                batch,
                axes: (2..view.dims.len())
                    .map(|d| Axis {
                        size: view.dims[d].extent,
                        window: w.window_dimensions[d],
                        stride: w.window_strides[d],
                        low: w.padding[d].0,
                    })
                    .collect(),
                unit: self.unit_of(view.storage, batch, &sizes),
                sizes,
                blocks,
                dtype: self.storage(view.storage).dtype,
            },
        })
    }

    /// The windows of some images: the first one and their number.
    pub(super) fn pool_images(&mut self, pool: &Pool, images: (i64, i64)) -> Result<()> {
        self.loc = self.op_loc(pool.op);
        let source = &pool.source;
        for (at, n) in self.spans_of(source.batch, &pool.outs, images) {
            for rows in self.tiles(pool.rows) {
                let e = Extent { p: rows.1, n };
                let mut dst = self.sbuf(e, source.dtype, "pool");
                self.pool_span(pool, rows, (at, n), pool.alu, &dst, false)?;
                if matches!(pool.alu, AluOp::Max | AluOp::Min) {
                    // The engines leave out what is no number.
                    let sum = self.sbuf(e, DType::BF16, "sum");
                    self.pool_span(pool, rows, (at, n), AluOp::Add, &sum, true)?;
                    dst = self.nan_by_signs(dst, sum, e);
                }
                self.store(&pool.target, rows, (at, n), &dst);
            }
        }
        Ok(())
    }

    /// The windows of one span of the result, or of the signs of their elements.
    fn pool_span(
        &mut self,
        pool: &Pool,
        rows: (i64, i64),
        (at, n): (i64, i64),
        alu: AluOp,
        dst: &View,
        signs: bool,
    ) -> Result<()> {
        let (source, outs) = (&pool.source, &pool.outs);
        let pixels: i64 = outs.iter().product();
        let inner: i64 = outs[1..].iter().product();
        let (first, count) = if n >= pixels {
            (0, outs[0])
        } else {
            (at % pixels / inner, n / inner)
        };
        let band = match source.unit {
            Unit::Images(_) => source.sizes[0],
            Unit::Rows(rows) => rows,
        };
        let mut parts = vec![segments(&source.axes[0], band, first, count)];
        for (axis, &out) in source.axes.iter().zip(outs).skip(1) {
            parts.push(segments(axis, axis.size, 0, out));
        }
        let mut known: Vec<((i64, i64), (View, Dims))> = Vec::new();
        for image in at / pixels..(at + n - 1) / pixels + 1 {
            let base = (image * pixels - at).max(0);
            let mut chosen: Vec<Vec<Segment>> = vec![Vec::new()];
            for along in &parts {
                chosen = chosen
                    .iter()
                    .flat_map(|c| along.iter().map(move |s| c.iter().copied().chain([*s]).collect()))
                    .collect();
            }
            for segment in chosen {
                let key = (image, segment[0].band);
                let place = known.iter().position(|k| k.0 == key);
                let index = match place {
                    Some(index) => index,
                    None => {
                        let block = self.pool_source(source, rows, key, signs)?;
                        known.push((key, block));
                        known.len() - 1
                    }
                };
                let (view, steps) = known[index].1.clone();
                // Elements before this image's band in the block, dimension by dimension.
                let mut offset = match source.unit {
                    Unit::Images(g) => image % g * steps[0],
                    Unit::Rows(_) => 0,
                };
                let (mut outer, mut window) = (Vec::new(), Vec::new());
                for (d, s) in segment.iter().enumerate() {
                    let axis = source.axes[d];
                    let start = s.out.0 * axis.stride - axis.low + s.taps.0 - if d == 0 { s.band * band } else { 0 };
                    offset += start * steps[d + 1];
                    outer.push(ApDim {
                        step: (axis.stride * steps[d + 1]) as i32,
                        count: s.out.1 as u32,
                    });
                    window.push(ApDim {
                        step: steps[d + 1] as i32,
                        count: s.taps.1 as u32,
                    });
                }
                let src = shifted(&view, offset, outer.iter().chain(&window).copied().collect());
                let mut to = base;
                let mut lies = Vec::new();
                let mut step = 1;
                for (d, s) in segment.iter().enumerate().rev() {
                    to += (s.out.0 - if d == 0 { first } else { 0 }) * step;
                    lies.push(ApDim {
                        step: step as i32,
                        count: s.out.1 as u32,
                    });
                    step *= outs[d];
                }
                lies.reverse();
                let part = shifted(dst, to, lies.into_iter().collect());
                let dims = window.len() as u8;
                if segment.iter().all(|s| s.first) {
                    self.inst(Inst::TensorReduce {
                        dst: part,
                        src,
                        op: alu,
                        dims,
                        negate: false,
                    });
                    continue;
                }
                let e = Extent {
                    p: rows.1,
                    n: segment.iter().map(|s| s.out.1).product(),
                };
                let more = self.sbuf(e, DType::F32, "part");
                self.inst(Inst::TensorReduce {
                    dst: more.clone(),
                    src,
                    op: alu,
                    dims,
                    negate: false,
                });
                let more = View {
                    dims: part
                        .dims
                        .iter()
                        .rev()
                        .scan(1, |step, d| {
                            let dim = ApDim {
                                step: *step,
                                count: d.count,
                            };
                            *step *= d.count as i32;
                            Some(dim)
                        })
                        .collect::<Vec<ApDim>>()
                        .into_iter()
                        .rev()
                        .collect(),
                    ..more
                };
                self.inst(Inst::TensorTensor {
                    dst: part.clone(),
                    a: part,
                    b: more,
                    op: alu,
                });
            }
        }
        Ok(())
    }

    /// The block of the image that holds a band of one image, with the distances of its neighbours; or the signs of it.
    fn pool_source(
        &mut self,
        source: &Source,
        rows: (i64, i64),
        (image, band): (i64, i64),
        signs: bool,
    ) -> Result<(View, Dims)> {
        let pixels: i64 = source.sizes.iter().product();
        let inner: i64 = source.sizes[1..].iter().product();
        let mut shape: Dims = [1].into_iter().chain(source.sizes.iter().copied()).collect();
        let columns = match source.unit {
            Unit::Images(g) => {
                shape[0] = g;
                (image / g * g * pixels, g * pixels)
            }
            Unit::Rows(most) => {
                shape[1] = most.min(source.sizes[0] - band * most);
                (image * pixels + band * most * inner, shape[1] * inner)
            }
        };
        debug_assert!(image < source.batch);
        let mut view = self.fetch_tile(&source.blocks, rows, columns, source.dtype)?;
        if signs {
            if let Some(known) = self.cache.signs.get(&view) {
                view = known.clone();
            } else {
                let e = Extent {
                    p: rows.1,
                    n: columns.1,
                };
                let dst = self.sbuf(e, DType::BF16, "signs");
                self.inst(Inst::Activation {
                    dst: dst.clone(),
                    src: view.clone(),
                    func: ActFunc::Sign,
                    scale: Scalar::f32(1.0),
                    bias: Scalar::f32(0.0),
                    accumulate: None,
                });
                // Only the next windows over the same image use them.
                self.cache.signs.clear();
                self.cache.signs.insert(view, dst.clone());
                view = dst;
            }
        } else if strides(&view, &shape).is_none() {
            view = self.in_order(view);
        }
        let steps = strides(&view, &shape).ok_or_else(|| Diagnostic::bug("a line has any shape"))?;
        Ok((view, steps))
    }
}

fn pool_op(binary: BinaryOp) -> Option<AluOp> {
    match binary {
        BinaryOp::Add => Some(AluOp::Add),
        BinaryOp::Maximum => Some(AluOp::Max),
        BinaryOp::Minimum => Some(AluOp::Min),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_take_every_element_of_every_window_once() {
        for (size, window, stride, low, out) in [(7, 3, 2, 1, 4), (6, 3, 1, 1, 6), (9, 2, 2, 0, 4), (5, 5, 1, 2, 5)] {
            let axis = Axis {
                size,
                window,
                stride,
                low,
            };
            for band in 1..=size {
                let parts = segments(&axis, band, 0, out);
                for o in 0..out {
                    let mut taken: Vec<i64> = Vec::new();
                    let of_output = parts.iter().filter(|s| (s.out.0..s.out.0 + s.out.1).contains(&o));
                    for (begun, s) in of_output.enumerate() {
                        assert!(s.first == (begun == 0));
                        let at = |t: i64| o * stride - low + t;
                        taken.extend((s.taps.0..s.taps.0 + s.taps.1).map(at));
                        assert!((s.taps.0..s.taps.0 + s.taps.1).all(|t| at(t) / band == s.band));
                    }
                    taken.sort_unstable();
                    let start = o * stride - low;
                    let want: Vec<i64> = (start.max(0)..(start + window).min(size)).collect();
                    assert_eq!(taken, want);
                }
            }
        }
    }
}
