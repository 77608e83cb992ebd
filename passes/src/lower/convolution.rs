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

mod geometry;
mod kernel;
mod packed;
mod spans;

use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{Convolution, Dims, OpId, OpKind};
use ferrite_ir::tile::{ApDims, Inst, OpKind as TileKind, Space, View};

use self::geometry::{Axis, PixelBox, boxes};
pub(super) use self::geometry::{pattern, shifted, strides};
use self::packed::Pack;
pub(super) use self::spans::Unit;
use super::Lower;
use super::block::{Blocks, part};
use super::view::{StridedView, ViewDim, ViewDims};
use crate::hlo::legalize::convolution::covering_tap;

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
}
