//! Convolutions with features on partitions and pixels in the free dimension.
//!
//! `result[o, n, y, x] = sum over kernel positions and features i of kernel[i, o] image[i, n, y', x']`: for each position of the
//! kernel one multiplication whose moving operand is the image itself, shifted and strided by its access pattern, all
//! accumulated in one PSUM tile. Padding is not there: a position that meets it leaves out those pixels. The position that
//! needs none comes first and writes all of the result.
//!
//! Pixels go by in *spans*: some whole images, or some rows of one image, so that a span fits well on chip. Whoever computes an
//! image leaves it in spans, and whoever reads it asks for the same ones.
//!
//! An image of few features is *packed*: neighbouring positions of the kernel lie on partitions of their own, each with the image
//! shifted by as much, so that one multiplication does several positions.

use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{Convolution, Dims, OpId, OpKind};
use ferrite_ir::machine::Engine;
use ferrite_ir::tile::{ApDim, ApDims, DmaOp, DmaPiece, Inst, Mem, OpKind as TileKind, Space, View};

use super::Lower;
use super::block::{BlockKey, Blocks, Fetched, Form, part, sub_columns};
use super::view::{RowBox, StorageId, StridedView, ViewDim, ViewDims, merged, row_boxes};
use crate::hlo::legalize::convolution::covering_tap;

/// One spatial dimension.
#[derive(Clone, Copy, Debug)]
struct Axis {
    size: i64,
    out: i64,
    taps: i64,
    stride: i64,
    dilation: i64,
    low: i64,
}

impl Axis {
    /// The result positions of `first..first + count` that meet an element of the image at kernel position `tap`: first and
    /// number.
    fn clip(&self, tap: i64, first: i64, count: i64) -> (i64, i64) {
        let shift = tap * self.dilation - self.low;
        // 0 <= o stride + shift < size
        let low = (-shift).max(0).div_euclid(self.stride) + i64::from((-shift).max(0) % self.stride != 0);
        let high = (self.size - 1 - shift).div_euclid(self.stride);
        let (from, to) = (first.max(low), (first + count - 1).min(high));
        (from, (to - from + 1).max(0))
    }
}

/// Kernel positions that share a multiplication, per spatial dimension.
#[derive(Clone, Copy, Debug)]
struct Pack {
    group: [i64; 2],
    /// Rows of the result that a packed block serves.
    rows: i64,
}

/// A convolution ready to be tiled.
#[derive(Clone, Debug)]
pub(super) struct Convolved {
    /// Features, batch, spatial dimensions.
    image: StridedView,
    /// Input features, output features, spatial dimensions.
    kernel: StridedView,
    dtype: DType,
    axes: Vec<Axis>,
    /// Kernel positions, first the one that meets an element everywhere.
    taps: Vec<Dims>,
    pack: Option<Pack>,
}

/// How the pixels of an image of this size go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// So many images at a time.
    Images(i64),
    /// So many rows of one image at a time.
    Rows(i64),
}

/// A contiguous range of pixels as a box.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PixelBox {
    /// Pixels of the range before it.
    at: i64,
    /// First index per dimension.
    first: Dims,
    /// Indices per dimension.
    count: Dims,
}

/// Cuts pixels `start..start + count` of images into boxes, in order.
fn boxes(extents: &[i64], start: i64, count: i64) -> Vec<PixelBox> {
    fn cut(extents: &[i64], start: i64, count: i64, at: i64, prefix: &mut Dims, out: &mut Vec<PixelBox>) {
        let Some((_, rest)) = extents.split_first() else {
            out.push(PixelBox {
                at,
                first: prefix.clone(),
                count: prefix.iter().map(|_| 1).collect(),
            });
            return;
        };
        let inner: i64 = rest.iter().product();
        let (mut position, end) = (start, start + count);
        while position < end {
            let (index, within) = (position / inner, position % inner);
            if within == 0 && end - position >= inner {
                let whole = (end - position) / inner;
                let ones = prefix.iter().map(|_| 1);
                out.push(PixelBox {
                    at: at + position - start,
                    first: prefix
                        .iter()
                        .copied()
                        .chain([index])
                        .chain(rest.iter().map(|_| 0))
                        .collect(),
                    count: ones.chain([whole]).chain(rest.iter().copied()).collect(),
                });
                position += whole * inner;
            } else {
                let part = (inner - within).min(end - position);
                prefix.push(index);
                cut(rest, within, part, at + position - start, prefix, out);
                prefix.pop();
                position += part;
            }
        }
    }
    let mut out = Vec::new();
    cut(extents, start, count, 0, &mut Dims::new(), &mut out);
    out
}

/// `start..start + count` in as few pieces of at most `most` as possible, all multiples of `unit` and as equal as that allows.
fn balanced(start: i64, count: i64, unit: i64, most: i64, out: &mut Vec<(i64, i64)>) {
    let units = (count + unit - 1) / unit;
    let fit = (most / unit).max(1);
    let pieces = (units + fit - 1) / fit;
    let step = (units + pieces - 1) / pieces.max(1) * unit;
    let mut at = 0;
    while at < count {
        out.push((start + at, step.min(count - at)));
        at += step;
    }
}

/// Access pattern of dimensions; `None` if there are more than `most`.
pub(super) fn pattern(dims: &[ViewDim], most: u64) -> Option<ApDims> {
    let dims = merged(dims);
    (dims.len() as u64 <= most).then(|| {
        dims.iter()
            .map(|d| ApDim {
                step: d.stride as i32,
                count: d.extent as u32,
            })
            .collect()
    })
}

/// Distances of neighbours along each dimension of `shape` in a view whose elements are in the order of `shape`.
pub(super) fn strides(view: &View, shape: &[i64]) -> Option<Dims> {
    let dims = view
        .dims
        .iter()
        .map(|d| ViewDim {
            extent: i64::from(d.count),
            stride: i64::from(d.step),
        })
        .collect();
    let whole = StridedView {
        storage: StorageId(0),
        offset: 0,
        dims,
    };
    Some(whole.reshape(shape)?.dims.iter().map(|d| d.stride).collect())
}

/// A view from some elements on, with other dimensions.
pub(super) fn shifted(view: &View, elements: i64, dims: ApDims) -> View {
    View {
        offset: (i64::from(view.offset) + elements * view.dtype.bytes() as i64) as u32,
        dims,
        ..view.clone()
    }
}

impl Lower<'_> {
    /// The convolution that an operation with its features first computes.
    pub(super) fn convolved(&mut self, op: OpId) -> Result<Convolved> {
        let node = self.func.op(op).clone();
        let OpKind::Convolution(conv) = &node.kind else {
            return Err(Diagnostic::bug("this is no convolution"));
        };
        let (x, w) = (self.view_of(node.operands[0])?, self.view_of(node.operands[1])?);
        let d = &conv.dims;
        let image = [d.input_feature, d.input_batch]
            .into_iter()
            .chain(d.input_spatial.iter().copied());
        let kernel = [d.kernel_input_feature, d.kernel_output_feature]
            .into_iter()
            .chain(d.kernel_spatial.iter().copied());
        let (image, kernel) = (
            x.transpose(&image.collect::<Dims>()),
            w.transpose(&kernel.collect::<Dims>()),
        );
        let out = &self.func.tensor(self.func.result(op)).shape;
        let axes: Vec<Axis> = (0..conv.padding.len())
            .map(|i| Axis {
                size: image.dims[i + 2].extent,
                out: out[d.output_spatial[i] as usize],
                taps: kernel.dims[i + 2].extent,
                stride: conv.window_strides[i],
                dilation: conv.rhs_dilation[i],
                low: conv.padding[i].0,
            })
            .collect();
        let taps = self.taps(op, conv, &axes)?;
        let dtypes = [
            self.multiplied_dtype(node.operands[0])?,
            self.multiplied_dtype(node.operands[1])?,
        ];
        let dtype = if dtypes[1].bytes() > dtypes[0].bytes() {
            dtypes[1]
        } else {
            dtypes[0]
        };
        let mut convolved = Convolved {
            image,
            kernel,
            dtype,
            axes,
            taps,
            pack: None,
        };
        convolved.pack = self.choose_pack(&convolved);
        Ok(convolved)
    }

    /// Kernel positions, first the one that meets an element of the image everywhere.
    fn taps(&self, op: OpId, conv: &Convolution, axes: &[Axis]) -> Result<Vec<Dims>> {
        let mut taps: Vec<Dims> = vec![Dims::new()];
        let mut first = Dims::new();
        for (i, axis) in axes.iter().enumerate() {
            let covering = covering_tap(conv, i, axis.size, axis.taps).ok_or_else(|| {
                Diagnostic::bug("a convolution reached the lowering before it was legalized")
                    .at(self.program.locs.get(self.op_loc(op)))
            })?;
            first.push(covering);
            taps = taps
                .into_iter()
                .flat_map(|t| (0..axis.taps).map(move |i| t.iter().copied().chain([i]).collect()))
                .collect();
        }
        let at = taps.iter().position(|t| *t == first).unwrap_or_default();
        taps[..=at].rotate_right(1);
        Ok(taps)
    }

    /// How images of this size go by, at most `cap` of them together: about as many pixels at a time as one transfer brings in
    /// well.
    fn unit(&self, cap: i64, batch: i64, sizes: &[i64]) -> Unit {
        let most = self.wide_columns(DType::F32);
        let pixels: i64 = sizes.iter().product();
        if pixels <= most {
            let fits = |&g: &i64| batch % g == 0 && cap % g == 0 && g * pixels <= most;
            return Unit::Images((1..=batch).rev().find(fits).unwrap_or(1));
        }
        let (rows, inner) = (sizes[0], pixels / sizes[0].max(1));
        let bands = (pixels + most - 1) / most;
        let band = ((rows + bands - 1) / bands).min((most / inner).max(1)).max(1);
        Unit::Rows(band)
    }

    /// How the images in a storage go by: as they were computed.
    pub(super) fn unit_of(&self, storage: StorageId, batch: i64, sizes: &[i64]) -> Unit {
        let cap = self.units.get(&storage).copied().or(self.group).unwrap_or(batch);
        self.unit(cap, batch, sizes)
    }

    /// The spans in which some images (the first one and their number) of a convolution's result are computed.
    pub(super) fn spans(&self, x: &Convolved, images: (i64, i64)) -> Vec<(i64, i64)> {
        let sizes: Dims = x.axes.iter().map(|a| a.out).collect();
        self.spans_of(x.image.dims[1].extent, &sizes, images)
    }

    /// The spans of some images of this size that are computed now.
    pub(super) fn spans_of(&self, batch: i64, sizes: &[i64], images: (i64, i64)) -> Vec<(i64, i64)> {
        let pixels: i64 = sizes.iter().product();
        let end = images.0 + images.1;
        match self.unit(self.group.unwrap_or(batch), batch, sizes) {
            Unit::Images(g) => (images.0 / g..end / g).map(|i| (i * g * pixels, g * pixels)).collect(),
            Unit::Rows(rows) => {
                let inner = pixels / sizes[0];
                let bands = (0..sizes[0]).step_by(rows as usize);
                let bands: Vec<(i64, i64)> = bands.map(|y| (y * inner, rows.min(sizes[0] - y) * inner)).collect();
                (images.0..end)
                    .flat_map(|n| bands.iter().map(move |&(at, count)| (n * pixels + at, count)))
                    .collect()
            }
        }
    }

    /// [`Lower::fetch`] for columns of a span: all of it, as it was computed, and nothing beyond, which may not be there yet.
    pub(super) fn fetch_in_span(
        &mut self,
        blocks: &Blocks,
        r: (i64, i64),
        span: (i64, i64),
        c: (i64, i64),
        dtype: DType,
    ) -> Result<Fetched> {
        if span.1 <= self.wide_columns(DType::F32) {
            let all = self.fetch_exact(blocks, r, span, dtype)?;
            if all.row && span.1 > 1 {
                return Ok(all);
            }
            if let Some(view) = sub_columns(&all.view, c.0 - span.0, c.1) {
                return Ok(Fetched { view, row: c.1 == 1 });
            }
        }
        self.fetch_exact(blocks, r, c, dtype)
    }

    /// Images of a convolution.
    pub(super) fn batch_of(x: &Convolved) -> i64 {
        x.image.dims[1].extent
    }

    /// The pieces of a span that fit a PSUM bank: whole images or whole rows where possible.
    pub(super) fn chunks_of_span(&self, x: &Convolved, span: (i64, i64)) -> Vec<(i64, i64)> {
        let bank = self.bank_columns();
        let pixels: i64 = x.axes.iter().map(|a| a.out).product();
        let inner = pixels / x.axes[0].out.max(1);
        let mut chunks = Vec::new();
        if pixels <= bank {
            balanced(span.0, span.1, pixels, bank, &mut chunks);
            return chunks;
        }
        let unit = if inner <= bank { inner } else { 1 };
        for at in (0..span.1).step_by(pixels as usize) {
            balanced(span.0 + at, pixels.min(span.1 - at), unit, bank, &mut chunks);
        }
        chunks
    }

    /// Columns of the pieces in which a convolution's row goes by that is needed as a whole.
    pub(super) fn even_chunk(&self, x: &Convolved) -> i64 {
        let bank = self.bank_columns();
        let pixels: i64 = x.axes.iter().map(|a| a.out).product();
        let rows = x.axes[0].out.max(1);
        let inner = pixels / rows;
        let even = (1..=rows).rev().find(|&y| rows % y == 0 && y * inner <= bank);
        match even {
            Some(y) if y * inner * 2 > bank || y == rows => y * inner,
            _ => bank.min(pixels * x.image.dims[1].extent),
        }
    }

    /// Whether and how kernel positions share a multiplication: by the time that the PE array and the transfers take together.
    fn choose_pack(&self, x: &Convolved) -> Option<Pack> {
        let [rows, columns] = x.axes[..] else { return None };
        if rows.dilation != 1 || columns.dilation != 1 || x.taps.len() == 1 {
            return None;
        }
        let (features, batch) = (x.image.dims[0].extent, x.image.dims[1].extent);
        let size = self.storage(x.image.storage).dtype.bytes().max(x.dtype.bytes()) as i64;
        let per_ns = self.machine.dma.bytes_per_ns_per_engine * self.machine.dma.engines as f64;
        let gap = self.machine.pe.gap_cycles as f64 / self.bank_columns() as f64;
        let multiply = |steps: i64| {
            let cycles = (steps * batch * rows.out * columns.out) as f64 * (1.0 + gap);
            self.machine.ps(Engine::Tensor, cycles as u64) as f64 / 1000.0
        };
        let mut best = (multiply(rows.taps * columns.taps), None);
        for gy in 1..=rows.taps {
            for gx in (1..=columns.taps).filter(|gx| columns.taps % gx == 0) {
                let steps = [(rows.taps + gy - 1) / gy, columns.taps / gx];
                let lies = gy % rows.stride == 0 || steps[0] == 1;
                let partitions = gy * gx * features;
                if !lies || gy * gx == 1 || partitions > self.machine.pe.rows as i64 {
                    continue;
                }
                let bytes = partitions * batch * rows.out * x.packed_columns(&columns, gx) * size;
                let time = multiply(steps[0] * steps[1]) + bytes as f64 / per_ns;
                if time < best.0 {
                    best = (time, Some([gy, gx]));
                }
            }
        }
        let group = best.1?;
        let more = (rows.taps - 1) / group[0] * group[0] / rows.stride;
        let most = self.wide_columns(x.dtype) / x.packed_columns(&columns, group[1]) - more;
        let bands = (rows.out + most.max(1) - 1) / most.max(1);
        Some(Pack {
            group,
            rows: (rows.out + bands - 1) / bands,
        })
    }

    /// Rows and columns of a convolution's result: a PSUM tile if it fits a bank, else collected in SBUF.
    pub(super) fn convolution_rows(
        &mut self,
        x: &Convolved,
        r: (i64, i64),
        c: (i64, i64),
        dtype: DType,
    ) -> Result<View> {
        let bank = self.bank_columns();
        if c.1 <= bank {
            return self.convolve(x, r, c);
        }
        let dst = self.new_tile(Space::Sbuf, r.1, c.1, dtype, "conv");
        for (at, n) in self.chunks_of_span(x, c) {
            let src = self.convolve(x, r, (at, n))?;
            self.inst(Inst::TensorCopy {
                dst: part(&dst, 0, r.1, at - c.0, n),
                src,
            });
        }
        Ok(dst)
    }

    /// Result features `m`, pixels `c` in a PSUM tile.
    fn convolve(&mut self, x: &Convolved, m: (i64, i64), c: (i64, i64)) -> Result<View> {
        let dst = self.new_tile(Space::Psum, m.1, c.1, DType::F32, "conv");
        let extents: Dims = [x.image.dims[1].extent]
            .into_iter()
            .chain(x.axes.iter().map(|a| a.out))
            .collect();
        for pixels in boxes(&extents, c.0, c.1) {
            match x.pack {
                Some(pack) => self.convolve_packed(x, pack, &dst, m, &pixels)?,
                None => self.convolve_box(x, &dst, m, &pixels)?,
            }
        }
        Ok(dst)
    }

    fn multiply(&mut self, dst: View, stationary: View, moving: View, accumulate: bool) {
        self.emit(TileKind::Matmul {
            dst,
            stationary,
            moving,
            accumulate,
            transpose: false,
        });
    }

    /// All kernel positions and features, one multiplication for each.
    fn convolve_box(&mut self, x: &Convolved, dst: &View, m: (i64, i64), pixels: &PixelBox) -> Result<()> {
        let rows = self.machine.pe.rows as i64;
        let features = x.image.dims[0].extent;
        for k0 in (0..features).step_by(rows as usize) {
            let k = (k0, rows.min(features - k0));
            let kernel = self.kernel_parts(x, k, m)?;
            let mut spans = Vec::new();
            for (i, (tap, stationary)) in x.taps.iter().zip(kernel).enumerate() {
                let mut first: Dims = Dims::from_slice(&pixels.first[..1]);
                let mut count: Dims = Dims::from_slice(&pixels.count[..1]);
                for (d, axis) in x.axes.iter().enumerate() {
                    let (at, n) = axis.clip(tap[d], pixels.first[d + 1], pixels.count[d + 1]);
                    first.push(at);
                    count.push(n);
                }
                if count.contains(&0) {
                    continue;
                }
                let clipped = PixelBox {
                    at: pixels.at,
                    first,
                    count,
                };
                for piece in self.pieces(x, tap, &clipped) {
                    let moving = self.image_part(x, k, tap, &piece, &mut spans)?;
                    let target = self.result_part(dst, pixels, &piece)?;
                    self.multiply(target, stationary.clone(), moving, k0 > 0 || i > 0);
                }
            }
        }
        Ok(())
    }

    /// The part of the result of a box that one multiplication adds to.
    fn result_part(&self, dst: &View, pixels: &PixelBox, piece: &PixelBox) -> Result<View> {
        let mut stride = 1;
        let mut at = pixels.at;
        let mut dims = ViewDims::new();
        for d in (0..piece.first.len()).rev() {
            at += (piece.first[d] - pixels.first[d]) * stride;
            dims.push(ViewDim {
                extent: piece.count[d],
                stride,
            });
            stride *= pixels.count[d];
        }
        dims.reverse();
        Ok(shifted(dst, at, self.pattern(&dims)?))
    }

    fn pattern(&self, dims: &[ViewDim]) -> Result<ApDims> {
        pattern(dims, self.machine.limits.free_dims_max)
            .ok_or_else(|| Diagnostic::bug("an image has too many dimensions"))
    }

    /// Cuts a box where the spans of the image that it reads end.
    fn pieces(&self, x: &Convolved, tap: &Dims, clipped: &PixelBox) -> Vec<PixelBox> {
        let sizes: Dims = x.axes.iter().map(|a| a.size).collect();
        let unit = self.unit_of(x.image.storage, x.image.dims[1].extent, &sizes);
        let mut pieces = Vec::new();
        let end = clipped.first[0] + clipped.count[0];
        let mut n = clipped.first[0];
        while n < end {
            let images = match unit {
                Unit::Images(g) => (g - n % g).min(end - n),
                Unit::Rows(_) => 1,
            };
            let mut piece = clipped.clone();
            (piece.first[0], piece.count[0]) = (n, images);
            n += images;
            let Unit::Rows(band) = unit else {
                pieces.push(piece);
                continue;
            };
            let axis = x.axes[0];
            let row = |o: i64| o * axis.stride + tap[0] * axis.dilation - axis.low;
            let (mut o, last) = (clipped.first[1], clipped.first[1] + clipped.count[1]);
            while o < last {
                let here = row(o) / band;
                let count = (o..last).take_while(|&o| row(o) / band == here).count() as i64;
                (piece.first[1], piece.count[1]) = (o, count);
                pieces.push(piece.clone());
                o += count;
            }
        }
        pieces
    }

    /// The pixels of the image that a kernel position multiplies for a piece of the result.
    fn image_part(
        &mut self,
        x: &Convolved,
        k: (i64, i64),
        tap: &Dims,
        piece: &PixelBox,
        spans: &mut Vec<(i64, View, Dims)>,
    ) -> Result<View> {
        let sizes: Dims = x.axes.iter().map(|a| a.size).collect();
        let pixels: i64 = sizes.iter().product();
        let inner = pixels / sizes[0].max(1);
        let starts: Dims = x
            .axes
            .iter()
            .enumerate()
            .map(|(d, a)| piece.first[d + 1] * a.stride + tap[d] * a.dilation - a.low)
            .collect();
        let n = piece.first[0];
        // The span, its shape, and where in it the piece begins.
        let (columns, shape, mut at) = match self.unit_of(x.image.storage, x.image.dims[1].extent, &sizes) {
            Unit::Images(g) => {
                let shape: Dims = [g].into_iter().chain(sizes.iter().copied()).collect();
                let at: Dims = [n % g].into_iter().chain(starts.iter().copied()).collect();
                ((n / g * g * pixels, g * pixels), shape, at)
            }
            Unit::Rows(band) => {
                let first = starts[0] / band * band;
                let rows = band.min(sizes[0] - first);
                let mut shape: Dims = [1].into_iter().chain(sizes.iter().copied()).collect();
                shape[1] = rows;
                let mut at: Dims = [0].into_iter().chain(starts.iter().copied()).collect();
                at[1] -= first;
                ((n * pixels + first * inner, rows * inner), shape, at)
            }
        };
        let known = spans.iter().position(|s| s.0 == columns.0);
        let index = match known {
            Some(index) => index,
            None => {
                let blocks = Blocks {
                    storage: x.image.storage,
                    offset: x.image.offset,
                    rows: ViewDims::from_slice(&x.image.dims[..1]),
                    cols: ViewDims::from_slice(&x.image.dims[1..]),
                };
                let mut view = self.fetch_tile(&blocks, k, columns, x.dtype)?;
                if view.partition != 0 || strides(&view, &shape).is_none() {
                    view = self.in_order(view);
                }
                let strides = strides(&view, &shape).ok_or_else(|| Diagnostic::bug("a line has any shape"))?;
                spans.push((columns.0, view, strides));
                spans.len() - 1
            }
        };
        let (_, view, strides) = &spans[index];
        let mut dims = ViewDims::new();
        for (d, &stride) in strides.iter().enumerate() {
            at[d] *= stride;
            let step = if d == 0 { 1 } else { x.axes[d - 1].stride };
            dims.push(ViewDim {
                extent: piece.count[d],
                stride: stride * step,
            });
        }
        Ok(shifted(view, at.iter().sum(), self.pattern(&dims)?))
    }

    /// A copy of a view at the first partition, its elements beside each other.
    pub(super) fn in_order(&mut self, view: View) -> View {
        if let Some(copy) = self.cache.moved.get(&view) {
            return copy.clone();
        }
        let (p, n) = (i64::from(view.partitions), view.elements() as i64);
        let dst = self.new_tile(Space::Sbuf, p, n, view.dtype, "ordered");
        self.inst(Inst::TensorCopy {
            dst: dst.clone(),
            src: view.clone(),
        });
        self.cache.moved.insert(view, dst.clone());
        dst
    }

    /// Whether the kernel's output features lie across rows of memory whose elements are the features and positions that are
    /// summed: such rows are loaded as they are and transposed on the PE array.
    fn kernel_rows(x: &Convolved) -> Option<ViewDims> {
        if x.kernel.dims[1].stride == 1 || x.kernel.dims[1].extent == 1 {
            return None;
        }
        let mut summed: Vec<ViewDim> = x.kernel.dims[2..].to_vec();
        summed.push(x.kernel.dims[0]);
        summed.retain(|d| d.extent != 1);
        summed.sort_by_key(|d| std::cmp::Reverse(d.stride));
        let run = merged(&summed);
        (run.len() == 1 && run[0].stride == 1).then_some(run)
    }

    /// Input features `k` by output features `m`, input features on partitions, for each kernel position in the order of
    /// [`Convolved::taps`].
    fn kernel_parts(&mut self, x: &Convolved, k: (i64, i64), m: (i64, i64)) -> Result<Vec<View>> {
        let position: Vec<ViewDim> = x.kernel.dims[2..].to_vec();
        let distance = |tap: &Dims| -> i64 { tap.iter().zip(&position).map(|(t, d)| t * d.stride).sum() };
        let features = x.kernel.dims[1];
        if let Some(run) = Self::kernel_rows(x) {
            let input = x.kernel.dims[0];
            let block = ViewDims::from_slice(&[ViewDim { extent: k.1, ..input }]);
            let groups: Vec<(i64, ViewDims)> = x
                .taps
                .iter()
                .map(|tap| (k.0 * input.stride + distance(tap), block.clone()))
                .collect();
            let tile = self.transposed_kernel(x, &run, m, &groups)?;
            let places = 0..x.taps.len() as i64;
            return Ok(places.map(|i| part(&tile, 0, k.1, i * m.1, m.1)).collect());
        }
        let count = x.taps.len() as i64 * features.extent;
        let rows = ViewDims::from_slice(&x.kernel.dims[..1]);
        if count <= self.wide_columns(x.dtype) {
            // All positions come at once.
            let shape: Dims = position.iter().map(|d| d.extent).chain([features.extent]).collect();
            let blocks = Blocks {
                storage: x.kernel.storage,
                offset: x.kernel.offset,
                rows: rows.clone(),
                cols: position.iter().copied().chain([features]).collect(),
            };
            let view = self.fetch_tile(&blocks, k, (0, count), x.dtype)?;
            if let Some(strides) = strides(&view, &shape)
                && view.partition == 0
            {
                let stride = strides[position.len()];
                let dims = self.pattern(&[ViewDim { extent: m.1, stride }])?;
                let at = |tap: &Dims| tap.iter().zip(&strides).map(|(t, s)| t * s).sum::<i64>() + m.0 * stride;
                return Ok(x.taps.iter().map(|tap| shifted(&view, at(tap), dims.clone())).collect());
            }
        }
        let mut parts = Vec::with_capacity(x.taps.len());
        for tap in &x.taps {
            let blocks = Blocks {
                storage: x.kernel.storage,
                offset: x.kernel.offset + distance(tap),
                rows: rows.clone(),
                cols: ViewDims::from_slice(&[features]),
            };
            let view = self.fetch_tile(&blocks, k, m, x.dtype)?;
            parts.push(if view.partition == 0 { view } else { self.in_order(view) });
        }
        Ok(parts)
    }

    /// Rows of the kernel, one for each output feature of `m`, transposed: for each group of elements (first one and dimensions,
    /// all of one size) a block of as many partitions, the blocks beside each other.
    fn transposed_kernel(
        &mut self,
        x: &Convolved,
        run: &[ViewDim],
        m: (i64, i64),
        groups: &[(i64, ViewDims)],
    ) -> Result<View> {
        let storage = x.kernel.storage;
        let rows = ViewDims::from_slice(&x.kernel.dims[1..2]);
        let place = |r: RowBox, by: i64| RowBox {
            offset: r.offset + by,
            ..r
        };
        let key = BlockKey {
            form: Form::Transposed,
            storage,
            rows: row_boxes(&rows, m.0, m.1)
                .into_iter()
                .map(|r| place(r, x.kernel.offset))
                .collect(),
            cols: (0..)
                .zip(groups)
                .map(|(at, (offset, dims))| RowBox {
                    at,
                    offset: *offset,
                    dims: dims.clone(),
                })
                .collect(),
            dtype: x.dtype,
        };
        if let Some(view) = self.cache.get(&key) {
            return Ok(view);
        }
        let reach = |dims: &ViewDims| dims.iter().map(|d| (d.extent - 1) * d.stride).sum::<i64>() + 1;
        let p = groups
            .first()
            .map_or(1, |(_, dims)| dims.iter().map(|d| d.extent).product::<i64>());
        // All of the rows if that is not too much, else what the groups need of them.
        let total = run[0].extent;
        let (low, high) = (
            groups.iter().map(|g| g.0).min().unwrap_or(0),
            groups.iter().map(|g| g.0 + reach(&g.1)).max().unwrap_or(total),
        );
        let columns = if total <= self.wide_columns(x.dtype) {
            (0, total)
        } else {
            (low, high - low)
        };
        let blocks = Blocks {
            storage,
            offset: x.kernel.offset,
            rows,
            cols: ViewDims::from_slice(run),
        };
        let mut data = self.fetch_tile(&blocks, m, columns, x.dtype)?;
        if data.partition != 0 {
            data = self.in_order(data);
        }
        let identity = self.identity(x.dtype)?;
        let count = groups.len() as i64;
        let tile = self.new_tile(Space::Sbuf, p, count * m.1, x.dtype, "kernel");
        // Several transposes share a PSUM bank and one copy out of it.
        let in_bank = (self.bank_columns() / m.1).max(1);
        for g0 in (0..count).step_by(in_bank as usize) {
            let here = in_bank.min(count - g0);
            let psum = self.new_tile(Space::Psum, p, here * m.1, DType::F32, "kernel");
            for g in 0..here {
                let (offset, dims) = &groups[(g0 + g) as usize];
                let stationary = shifted(&data, offset - columns.0, self.pattern(dims)?);
                let dst = part(&psum, 0, p, g * m.1, m.1);
                self.multiply(dst, stationary, part(&identity, 0, m.1, 0, m.1), false);
            }
            self.inst(Inst::TensorCopy {
                dst: part(&tile, 0, p, g0 * m.1, here * m.1),
                src: psum,
            });
        }
        let bytes = self.program.tile(tile.tile).bytes as usize;
        self.cache.insert(key, tile.clone(), bytes);
        Ok(tile)
    }

    /// As [`Lower::convolve_box`] for a packed image.
    fn convolve_packed(
        &mut self,
        x: &Convolved,
        pack: Pack,
        dst: &View,
        m: (i64, i64),
        pixels: &PixelBox,
    ) -> Result<()> {
        let (rows, columns) = (x.axes[0], x.axes[1]);
        let [gy, gx] = pack.group;
        let features = x.image.dims[0].extent;
        let width = x.packed_columns(&columns, gx);
        let steps = [(rows.taps + gy - 1) / gy, columns.taps / gx];
        for n in pixels.first[0]..pixels.first[0] + pixels.count[0] {
            let (mut o, last) = (pixels.first[1], pixels.first[1] + pixels.count[1]);
            while o < last {
                let band = o / pack.rows * pack.rows;
                let count = (band + pack.rows).min(last) - o;
                let block = self.packed_block(x, pack, n, band)?;
                let piece = PixelBox {
                    at: pixels.at,
                    first: Dims::from_slice(&[n, o, pixels.first[2]]),
                    count: Dims::from_slice(&[1, count, pixels.count[2]]),
                };
                let target = self.result_part(dst, pixels, &piece)?;
                for by in 0..steps[0] {
                    let high = gy.min(rows.taps - by * gy);
                    for bx in 0..steps[1] {
                        let stationary = self.packed_kernel(x, pack, m, (by, bx))?;
                        let at = (o - band + by * gy / rows.stride) * width + piece.first[2] * columns.stride + bx * gx;
                        let dims = [
                            ViewDim {
                                extent: count,
                                stride: width,
                            },
                            ViewDim {
                                extent: piece.count[2],
                                stride: columns.stride,
                            },
                        ];
                        let used = View {
                            partitions: (high * gx * features) as u16,
                            ..block.clone()
                        };
                        let moving = shifted(&used, at, self.pattern(&dims)?);
                        self.multiply(target.clone(), stationary, moving, by > 0 || bx > 0);
                    }
                }
                o += count;
            }
        }
        Ok(())
    }

    /// The weights of one step of a packed convolution: kernel positions and features on partitions.
    fn packed_kernel(&mut self, x: &Convolved, pack: Pack, m: (i64, i64), step: (i64, i64)) -> Result<View> {
        let [gy, gx] = pack.group;
        let d = &x.kernel.dims;
        let group = |step: (i64, i64)| {
            let dims = ViewDims::from_slice(&[
                ViewDim {
                    extent: gy.min(x.axes[0].taps - step.0 * gy),
                    ..d[2]
                },
                ViewDim { extent: gx, ..d[3] },
                d[0],
            ]);
            (step.0 * gy * d[2].stride + step.1 * gx * d[3].stride, dims)
        };
        let (offset, dims) = group(step);
        let k: i64 = dims.iter().map(|d| d.extent).product();
        if let Some(run) = Self::kernel_rows(x) {
            let tile = self.transposed_kernel(x, &run, m, &[(offset, dims)])?;
            return Ok(part(&tile, 0, k, 0, m.1));
        }
        let blocks = Blocks {
            storage: x.kernel.storage,
            offset: x.kernel.offset + offset,
            rows: dims,
            cols: ViewDims::from_slice(&d[1..2]),
        };
        let view = self.fetch_tile(&blocks, (0, k), m, x.dtype)?;
        Ok(if view.partition == 0 { view } else { self.in_order(view) })
    }

    /// Rows of an image for the result rows from `band` on, once for each kernel position of a group, shifted; zero where there
    /// is padding.
    fn packed_block(&mut self, x: &Convolved, pack: Pack, n: i64, band: i64) -> Result<View> {
        let (rows, columns) = (x.axes[0], x.axes[1]);
        let [gy, gx] = pack.group;
        let (features, image) = (x.image.dims[0], x.image.dims[1]);
        let width = x.packed_columns(&columns, gx);
        let steps = (rows.taps + gy - 1) / gy;
        let height = pack.rows.min(rows.out - band) + (steps - 1) * gy / rows.stride;
        let key = BlockKey {
            form: Form::Packed,
            storage: x.image.storage,
            rows: vec![RowBox {
                at: band,
                offset: x.image.offset + n * image.stride,
                dims: ViewDims::from_slice(&[
                    ViewDim {
                        extent: gy,
                        stride: rows.stride,
                    },
                    ViewDim {
                        extent: gx,
                        stride: columns.stride,
                    },
                ]),
            }],
            cols: vec![RowBox {
                at: rows.low,
                offset: columns.low,
                dims: ViewDims::from_slice(&[
                    ViewDim {
                        extent: height,
                        stride: x.image.dims[2].stride,
                    },
                    ViewDim {
                        extent: width,
                        stride: x.image.dims[3].stride,
                    },
                ]),
            }],
            dtype: x.dtype,
        };
        if let Some(view) = self.cache.get(&key) {
            return Ok(view);
        }
        let tile = self.new_tile(
            Space::Sbuf,
            gy * gx * features.extent,
            height * width,
            x.dtype,
            "packed",
        );
        let op = if self.storage(x.image.storage).dtype == x.dtype {
            DmaOp::Copy
        } else {
            DmaOp::Cast
        };
        let mut pieces = Vec::new();
        let mut padded = false;
        for (ay, ax) in (0..gy).flat_map(|ay| (0..gx).map(move |ax| (ay, ax))) {
            // Stored row `j` is row `(band + j) stride + ay - low` of the image, stored column `j` is column `j + ax - low`.
            let inside = |shift: i64, step: i64, count: i64, size: i64| {
                let from = (0..count).find(|j| j * step + shift >= 0).unwrap_or(count);
                let to = (from..count).find(|j| j * step + shift >= size).unwrap_or(count);
                (from, to - from)
            };
            let shift = (band * rows.stride + ay - rows.low, ax - columns.low);
            let (y, yn) = inside(shift.0, rows.stride, height, rows.size);
            let (c, cn) = inside(shift.1, 1, width, columns.size);
            padded |= yn < height || cn < width;
            if yn == 0 || cn == 0 {
                continue;
            }
            let (down, across) = (x.image.dims[2], x.image.dims[3]);
            let dims = [
                features,
                ViewDim {
                    extent: yn,
                    stride: down.stride * rows.stride,
                },
                ViewDim {
                    extent: cn,
                    stride: across.stride,
                },
            ];
            let offset = x.image.offset
                + n * image.stride
                + (y * rows.stride + shift.0) * down.stride
                + (c + shift.1) * across.stride;
            let target = View {
                partition: ((ay * gx + ax) * features.extent) as u16,
                partitions: features.extent as u16,
                ..tile.clone()
            };
            let lies = [
                ViewDim {
                    extent: yn,
                    stride: width,
                },
                ViewDim { extent: cn, stride: 1 },
            ];
            pieces.push(DmaPiece {
                op,
                src: Mem::Hbm(self.hbm_access(x.image.storage, offset, &dims)),
                dst: Mem::Tile(shifted(&target, y * width + c, self.pattern(&lies)?)),
            });
        }
        if padded {
            self.inst(Inst::Memset {
                dst: tile.clone(),
                bits: 0,
            });
        }
        if !pieces.is_empty() {
            self.emit(TileKind::Dma(pieces));
        }
        let bytes = self.program.tile(tile.tile).bytes as usize;
        self.cache.insert(key, tile.clone(), bytes);
        Ok(tile)
    }
}

impl Convolved {
    /// Columns of a packed image.
    fn packed_columns(&self, axis: &Axis, group: i64) -> i64 {
        (axis.out - 1) * axis.stride + axis.taps - group + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_cover_a_range_in_order() {
        let extents = [2, 3, 4];
        for start in 0..24 {
            for count in 1..=24 - start {
                let mut at = 0;
                for b in boxes(&extents, start, count) {
                    assert_eq!(b.at, at);
                    let first = b.first.iter().zip(&extents).fold(0, |i, (x, e)| i * e + x);
                    assert_eq!(first, start + at);
                    at += b.count.iter().product::<i64>();
                }
                assert_eq!(at, count);
            }
        }
    }

    #[test]
    fn clipping_leaves_what_meets_the_image() {
        for (size, stride, dilation, low, taps) in [(5, 1, 1, 1, 3), (7, 2, 1, 3, 7), (6, 3, 2, 2, 3), (4, 1, 1, 0, 2)]
        {
            let out = 9;
            let axis = Axis {
                size,
                out,
                taps,
                stride,
                dilation,
                low,
            };
            for tap in 0..taps {
                for first in 0..out {
                    for count in 1..=out - first {
                        let meets = |o: &i64| (0..size).contains(&(o * stride + tap * dilation - low));
                        let want: Vec<i64> = (first..first + count).filter(meets).collect();
                        let (at, n) = axis.clip(tap, first, count);
                        assert_eq!(want, (at..at + n).collect::<Vec<i64>>());
                    }
                }
            }
        }
    }

    #[test]
    fn balanced_pieces_are_multiples_of_their_unit() {
        let mut pieces = Vec::new();
        balanced(100, 3136, 56, 512, &mut pieces);
        assert_eq!(pieces.len(), 7);
        assert!(pieces.iter().all(|p| p.1 == 448));
        pieces.clear();
        balanced(0, 784, 49, 512, &mut pieces);
        assert_eq!(pieces, [(0, 392), (392, 392)]);
    }
}
