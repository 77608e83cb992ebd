//! Packed images: several kernel positions share a multiplication, each with its own shifted image on partitions of its own.

use ferrite_ir::diag::Result;
use ferrite_ir::hlo::Dims;
use ferrite_ir::machine::Engine;
use ferrite_ir::tile::{DmaOp, DmaPiece, Inst, Mem, OpKind as TileKind, Space, View};

use super::Convolved;
use super::geometry::{Axis, PixelBox, shifted};
use crate::lower::Lower;
use crate::lower::block::{BlockKey, Blocks, Form, part};
use crate::lower::view::{RowBox, ViewDim, ViewDims};

/// Kernel positions that share a multiplication, per spatial dimension.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pack {
    group: [i64; 2],
    /// Rows of the result that a packed block serves.
    rows: i64,
}

impl Lower<'_> {
    /// Whether and how kernel positions share a multiplication: by the time that the PE array and the transfers take together.
    pub(super) fn choose_pack(&self, x: &Convolved) -> Option<Pack> {
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

    /// As [`Lower::convolve_box`] for a packed image.
    pub(super) fn convolve_packed(
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
