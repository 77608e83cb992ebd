//! Dots and convolutions on the PE array.
//!
//! Both are one form: for every batch index, `result[m, n] = sum over k of lhs[m, k] * rhs[n, k]`, where each operand is
//! a strided view with batching, free and contracting dimensions. A convolution's left operand is the overlapping view
//! of the (already padded) image, whose contracting dimensions are the window and the features.
//!
//! The left operand is stationary (its rows become the partitions of the result), the right one moves. Both are needed
//! with the contracting dimension on the partitions. Where memory has the free dimension innermost, a block is loaded
//! like that; where it has the contracting dimension innermost, rows are loaded and transposed on the PE array.

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{Convolution, OpId, OpKind, ValueId};
use ferrite_ir::machine::MachineModel;
use ferrite_ir::tile::{Inst, OpKind as TileKind, Space, View};

use super::block::{BlockKey, Blocks, Form, part, sub_columns};
use super::fuse::features_last;
use super::view::{StorageId, StridedView, ViewDim, ViewDims, merged, row_boxes};
use super::{Lower, device_dtype};
use crate::hlo::orient_contractions::operand as operand_cost;

/// Part of a contraction's result that was computed before it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Product {
    operands: [(StorageId, i64); 2],
    batch: i64,
    rows: (i64, i64),
    columns: (i64, i64),
}

/// One operand.
#[derive(Clone, Debug)]
pub(super) struct Operand {
    pub view: StridedView,
    pub batch: ViewDims,
    free: ViewDims,
    contracting: ViewDims,
    /// Dtype on the PE array.
    dtype: DType,
    /// Columns that one load brings in.
    panel: i64,
}

impl Operand {
    fn innermost(dims: &[ViewDim]) -> i64 {
        merged(dims).last().map_or(0, |d| d.stride.abs())
    }

    /// Whether `f` free and `k` contracting indices are loaded with the contracting dimension on partitions; otherwise
    /// they are transposed on the way.
    fn is_direct(&self, f: i64, k: i64) -> bool {
        let (free, summed) = (Self::innermost(&self.free), Self::innermost(&self.contracting));
        f == 1 || k == 1 || free == 1 || free == 0 || summed != 1
    }

    /// Bytes per partition of the operand of one batch index, as the PE array reads it.
    pub(super) fn bytes_on_chip(&self, partitions: i64) -> usize {
        let blocks = (extent(&self.contracting) + partitions - 1) / partitions;
        (blocks * extent(&self.free)) as usize * self.dtype.bytes()
    }

    /// Rows (batching and free dimensions) and columns (contracting ones).
    pub(super) fn rows_and_columns(&self) -> (ViewDims, &ViewDims) {
        let rows = self.batch.iter().chain(&self.free).copied().collect();
        (rows, &self.contracting)
    }

    /// The blocks that the PE array reads.
    pub(super) fn blocks(&self) -> (StorageId, Form) {
        let whole = (extent(&self.free), extent(&self.contracting));
        let form = if self.is_direct(whole.0, whole.1) {
            Form::Rows
        } else {
            Form::Transposed
        };
        (self.view.storage, form)
    }
}

/// Which operand stays on chip while the other goes by, so that as few bytes as possible cross from memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Schedule {
    /// The moving operand stays, this many of its columns at a time; rows go by.
    Columns(i64),
    /// The stationary operand stays, this many of its rows at a time; columns go by.
    Rows(i64),
}

/// A contraction ready to be tiled.
#[derive(Clone, Debug)]
pub(super) struct Contraction {
    pub lhs: Operand,
    pub rhs: Operand,
    /// Rows per batch.
    pub m: i64,
    pub k: i64,
    /// Columns.
    pub n: i64,
    /// Order of the loops.
    pub schedule: Schedule,
}

impl Contraction {
    /// The blocks that stay on chip.
    pub fn staying(&self) -> (StorageId, Form) {
        match self.schedule {
            Schedule::Columns(_) => self.rhs.blocks(),
            Schedule::Rows(_) => self.lhs.blocks(),
        }
    }
}

/// Bytes per partition of an operand that stays on chip while the other goes by (our choice: the rest is for the other, and for
/// what is computed).
pub(super) fn staying_bytes(machine: &MachineModel) -> usize {
    machine.sbuf.usable_bytes_per_partition as usize * 2 / 5
}

pub(super) fn extent(dims: &[ViewDim]) -> i64 {
    dims.iter().map(|d| d.extent).product()
}

fn pick(view: &StridedView, dims: &[i64]) -> ViewDims {
    dims.iter().map(|&d| view.dims[d as usize]).collect()
}

impl Lower<'_> {
    /// The contraction that an operation computes.
    pub(super) fn contraction(&mut self, op: OpId) -> Result<Contraction> {
        let node = self.func.op(op).clone();
        let (x, w) = (node.operands[0], node.operands[1]);
        let (lhs, rhs) = match &node.kind {
            OpKind::DotGeneral(dot) => {
                let d = &dot.dims;
                let (l, r) = (self.view_of(x)?, self.view_of(w)?);
                let lhs_free = d.lhs_free(l.dims.len());
                let rhs_free = d.rhs_free(r.dims.len());
                (
                    self.operand(x, l, |v| {
                        (
                            pick(v, &d.lhs_batching),
                            pick(v, &lhs_free),
                            pick(v, &d.lhs_contracting),
                        )
                    })?,
                    self.operand(w, r, |v| {
                        (
                            pick(v, &d.rhs_batching),
                            pick(v, &rhs_free),
                            pick(v, &d.rhs_contracting),
                        )
                    })?,
                )
            }
            OpKind::Convolution(conv) => {
                let out = self.func.tensor(self.func.result(op)).shape.clone();
                if !is_plain(conv, &out) {
                    return Err(
                        Diagnostic::bug("a convolution reached the lowering before it was legalized")
                            .at(self.program.locs.get(node.loc)),
                    );
                }
                let (l, r) = (self.view_of(x)?, self.view_of(w)?);
                let kernel_shape = r.shape();
                let image = |v: &StridedView| image_dims(conv, v, &kernel_shape, &out);
                let kernel = |v: &StridedView| kernel_dims(conv, v, out[conv.dims.output_batch as usize]);
                if features_last(conv) {
                    (self.operand(x, l, image)?, self.operand(w, r, kernel)?)
                } else {
                    (self.operand(w, r, kernel)?, self.operand(x, l, image)?)
                }
            }
            other => return Err(Diagnostic::bug(format!("`{}` is no contraction", other.mnemonic()))),
        };
        let (mut lhs, mut rhs) = (lhs, rhs);
        order_contracting(&mut lhs, &mut rhs);
        let (m, k, n) = (extent(&lhs.free), extent(&lhs.contracting), extent(&rhs.free));
        let mut contraction = Contraction {
            lhs,
            rhs,
            m,
            k,
            n,
            schedule: Schedule::Columns(n),
        };
        self.choose_schedule(&mut contraction);
        Ok(contraction)
    }

    /// Chooses what stays on chip, and how much of each operand a load brings in.
    fn choose_schedule(&self, c: &mut Contraction) {
        let usable = self.machine.sbuf.usable_bytes_per_partition as i64;
        let rows = self.machine.pe.rows as i64;
        let blocks = ((c.k + rows - 1) / rows).max(1);
        // Bytes per partition of one row or column of an operand, all blocks of the contracting dimension.
        let unit = |o: &Operand| blocks * o.dtype.bytes() as i64;
        let (a, b) = (c.m * unit(&c.lhs), c.n * unit(&c.rhs));
        let room = staying_bytes(self.machine) as i64;
        let step = self.bank_columns();
        let columns = (room / unit(&c.rhs) / step * step).max(step).min(c.n.max(1));
        let lines = (room / unit(&c.lhs) / rows * rows).max(rows).min(c.m.max(1));
        let times = |whole: i64, part: i64| (whole + part - 1) / part.max(1);
        let batched = extent(&c.lhs.batch) > 1;
        // What crosses: one operand once, the other once for each part of the first.
        let (by_columns, by_rows) = (b + a * times(c.n, columns), a + b * times(c.m, lines));
        c.schedule = if batched || b <= room || by_columns <= by_rows {
            Schedule::Columns(columns)
        } else {
            Schedule::Rows(lines)
        };
        // Weights that pass a single tile of rows come in large pieces, one in use and one on its way: nothing else needs
        // the room.
        let kept = match c.schedule {
            Schedule::Columns(n) => n * unit(&c.rhs),
            Schedule::Rows(m) => m * unit(&c.lhs),
        };
        let most = if batched {
            // Two such operands and what is computed of them (our choice).
            usable / 5
        } else if c.m > rows {
            usable / 8
        } else {
            usable * 3 / 8
        };
        let passing = ((usable * 3 / 4 - kept) / 2).clamp(usable / 8, most);
        for (operand, stays) in [
            (&mut c.lhs, matches!(c.schedule, Schedule::Rows(_))),
            (&mut c.rhs, matches!(c.schedule, Schedule::Columns(_))),
        ] {
            let unit = blocks * operand.dtype.bytes() as i64;
            // Blocks that several batch indices share stay until all of them were, beside those of other operands.
            let share = if stays && !batched { room } else { passing };
            operand.panel = (share / unit).min(self.wide_columns(operand.dtype));
        }
    }

    fn operand(
        &mut self,
        value: ValueId,
        view: StridedView,
        dims: impl Fn(&StridedView) -> (ViewDims, ViewDims, ViewDims),
    ) -> Result<Operand> {
        let dtype = self.multiplied_dtype(value)?;
        let (batch, free, contracting) = dims(&view);
        Ok(Operand {
            view,
            batch,
            free,
            contracting,
            dtype,
            panel: 0,
        })
    }

    /// The dtype that an operand has on the PE array.
    pub(super) fn multiplied_dtype(&self, value: ValueId) -> Result<DType> {
        Ok(match device_dtype(self.func.tensor(value).dtype) {
            d if self.machine.matmul_dtype_ok(d) => d,
            // Integers go through fp32, where products of 8-bit values and their sums are exact up to 2^24.
            DType::I8 | DType::U8 | DType::I16 | DType::U16 | DType::I4 | DType::U4 => DType::F32,
            other => {
                let loc = self.loc;
                return Err(self
                    .error_at(
                        loc,
                        Code::Unsupported,
                        format!("the PE array of {} does not take `{other}`", self.machine.name),
                    )
                    .help("convert the operands to f32 or bf16 first"));
            }
        })
    }

    /// `result[m0..m0 + mn, n0..n0 + nn]` of batch `b` in a PSUM tile.
    ///
    /// Where `abreast` equal parts of the columns are asked for one after the other, and all that the first needs of the
    /// right operand leaves no room for long rows, the next parts are computed along with it, each in a bank of its own:
    /// each block of the contracting dimension is then loaded once for all of them, in rows that are so much longer.
    pub(super) fn contract(
        &mut self,
        c: &Contraction,
        b: i64,
        m: (i64, i64),
        n: (i64, i64),
        abreast: usize,
    ) -> Result<View> {
        let key = Product {
            operands: [&c.lhs, &c.rhs].map(|o| (o.view.storage, o.view.offset)),
            batch: b,
            rows: m,
            columns: n,
        };
        if let Some(at) = self.ahead.iter().position(|(k, _)| *k == key) {
            return Ok(self.ahead.swap_remove(at).1);
        }
        let width = abreast as i64 * n.1;
        let group = if c.rhs.panel < width && c.rhs.is_direct(n.1, self.machine.pe.rows as i64) {
            (n.0, width.min(c.n - n.0))
        } else {
            n
        };
        let starts = (group.0..group.0 + group.1).step_by(n.1.max(1) as usize);
        let columns: Vec<(i64, i64)> = starts.map(|at| (at, n.1.min(group.0 + group.1 - at))).collect();
        let tiles = columns
            .iter()
            .map(|n| self.new_tile(Space::Psum, m.1, n.1, DType::F32, "dot"));
        let tiles: Vec<View> = tiles.collect();
        let panel = c.rhs.panel.max(group.1);
        let block = self.machine.pe.rows as i64;
        for k0 in (0..c.k).step_by(block as usize) {
            let kn = block.min(c.k - k0);
            for (&n, dst) in columns.iter().zip(&tiles) {
                let mut stationary = self.k_major(&c.lhs, c.lhs.panel, b, m, (k0, kn))?;
                let mut moving = self.k_major(&c.rhs, panel, b, n, (k0, kn))?;
                if stationary.partition != moving.partition {
                    stationary = self.at_first_partition(stationary);
                    moving = self.at_first_partition(moving);
                }
                self.emit(TileKind::Matmul {
                    dst: dst.clone(),
                    stationary,
                    moving,
                    accumulate: k0 > 0,
                    transpose: false,
                });
            }
        }
        let mut tiles = columns.into_iter().zip(tiles);
        let first = tiles.next();
        let later = tiles.map(|(columns, tile)| (Product { columns, ..key }, tile));
        self.ahead.extend(later);
        first
            .map(|(_, tile)| tile)
            .ok_or_else(|| Diagnostic::bug("a contraction without columns"))
    }

    /// `kn` contracting indices on partitions, `fn` free indices beside each other; a load may bring in `panel` of these.
    fn k_major(&mut self, operand: &Operand, panel: i64, b: i64, f: (i64, i64), k: (i64, i64)) -> Result<View> {
        let batch = row_boxes(&operand.batch, b, 1);
        let offset = operand.view.offset + batch[0].offset;
        if operand.is_direct(f.1, k.1) {
            self.load_k_major(operand, panel, b, offset, f, k)
        } else {
            self.transpose_rows(operand, b, offset, f, k)
        }
    }

    /// Loads a block with the contracting dimension on partitions, as wide as is useful to later requests.
    fn load_k_major(
        &mut self,
        operand: &Operand,
        room: i64,
        b: i64,
        offset: i64,
        f: (i64, i64),
        k: (i64, i64),
    ) -> Result<View> {
        // Of a storage that is still being filled, other batch indices are not there yet.
        let growing = self.growing.contains(&operand.view.storage);
        let (cols, at) = widen(&operand.free, &operand.batch, b, if growing { 0 } else { room });
        let total = extent(&cols);
        let first = f.0 + at;
        let most = (room / f.1).max(1) * f.1;
        let panel = if total <= most {
            (0, total)
        } else {
            // Panels start at multiples of their width, so that neighbours share them.
            let start = first / most * most;
            if first + f.1 <= start + most {
                (start, most.min(total - start))
            } else {
                (first, f.1)
            }
        };
        let blocks = Blocks {
            storage: operand.view.storage,
            offset: offset - at * innermost_stride(&operand.free),
            rows: operand.contracting.clone(),
            cols,
        };
        self.fetch_columns(&blocks, k, panel, (first, f.1), operand.dtype)
    }

    /// Loads rows of the free dimension and transposes them on the PE array.
    fn transpose_rows(&mut self, operand: &Operand, b: i64, offset: i64, f: (i64, i64), k: (i64, i64)) -> Result<View> {
        let key_rows = row_boxes(&operand.free, f.0, f.1)
            .into_iter()
            .map(|r| super::view::RowBox {
                offset: r.offset + offset,
                ..r
            })
            .collect();
        let key = BlockKey {
            form: Form::Transposed,
            storage: operand.view.storage,
            rows: key_rows,
            cols: row_boxes(&operand.contracting, k.0, k.1),
            dtype: operand.dtype,
        };
        if let Some(view) = self.cache.get(&key) {
            return Ok(view);
        }
        let size = self.storage(operand.view.storage).dtype.bytes() as i64;
        let tiles = extent(&operand.free) / self.machine.pe.rows as i64 + 1;
        // A third of a partition (our choice): the other operand, and what is computed, want room too.
        let room = self.machine.sbuf.usable_bytes_per_partition as i64 / 3 / (size * tiles);
        let growing = self.growing.contains(&operand.view.storage);
        let (cols, at) = widen(&operand.contracting, &operand.batch, b, if growing { 0 } else { room });
        let blocks = Blocks {
            storage: operand.view.storage,
            offset: offset - at * innermost_stride(&operand.contracting),
            rows: operand.free.clone(),
            cols,
        };
        let total = extent(&blocks.cols);
        let most = self.wide_columns(DType::F32);
        let panel = if total <= most { (0, total) } else { (at + k.0, k.1) };
        let source_dtype = self.storage(operand.view.storage).dtype;
        let source_dtype = if self.machine.matmul_dtype_ok(source_dtype) {
            source_dtype
        } else {
            operand.dtype
        };
        let tile = self.new_tile(Space::Sbuf, k.1, f.1, operand.dtype, "transposed");
        let identity = self.identity(source_dtype)?;
        let square = self.machine.limits.pe_transpose_block as i64;
        let bank = self.bank_columns();
        // Several transposes share a PSUM bank and one copy out of it.
        for bank0 in (0..f.1).step_by(bank as usize) {
            let in_bank = bank.min(f.1 - bank0);
            let psum = self.new_tile(Space::Psum, k.1, in_bank, DType::F32, "transpose");
            for f0 in (0..in_bank).step_by(square as usize) {
                let n = square.min(in_bank - f0);
                let data = self.fetch_columns(&blocks, (f.0 + bank0 + f0, n), panel, (at + k.0, k.1), source_dtype)?;
                let at = i64::from(data.partition);
                self.emit(TileKind::Matmul {
                    dst: part(&psum, 0, k.1, f0, n),
                    stationary: data,
                    // Any square on the diagonal is an identity.
                    moving: part(&identity, at, n, at, n),
                    accumulate: false,
                    transpose: false,
                });
            }
            self.inst(Inst::TensorCopy {
                dst: part(&tile, 0, k.1, bank0, in_bank),
                src: psum,
            });
        }
        let bytes = self.program.tile(tile.tile).bytes as usize;
        self.cache.insert(key, tile.clone(), bytes);
        Ok(tile)
    }

    /// Columns `c` of a block, out of the wider `panel` where that serves others too.
    fn fetch_columns(
        &mut self,
        blocks: &Blocks,
        r: (i64, i64),
        panel: (i64, i64),
        c: (i64, i64),
        dtype: DType,
    ) -> Result<View> {
        let wide = self.fetch_tile(blocks, r, panel, dtype)?;
        match sub_columns(&wide, c.0 - panel.0, c.1) {
            Some(view) => Ok(view),
            // The panel lies in another order than it is read: this part alone can be loaded in order.
            None => self.fetch_tile(blocks, r, c, dtype),
        }
    }

    /// A block as a tile of its own width, whatever repeats in it.
    pub(super) fn fetch_tile(&mut self, blocks: &Blocks, r: (i64, i64), c: (i64, i64), dtype: DType) -> Result<View> {
        let fetched = self.fetch_exact(blocks, r, c, dtype)?;
        Ok(if fetched.row && c.1 > 1 {
            super::block::repeat(&fetched.view, c.1)
        } else {
            fetched.view
        })
    }
}

/// Puts the contracting dimensions, whose order is free, in the one of three orders in which the operands are fetched
/// best: as the program names them, or as either operand lies in memory.
fn order_contracting(lhs: &mut Operand, rhs: &mut Operand) {
    let count = lhs.contracting.len();
    if count < 2 || rhs.contracting.len() != count {
        return;
    }
    let as_named: Vec<usize> = (0..count).collect();
    let as_lies = |o: &Operand| {
        let mut order = as_named.clone();
        order.sort_by_key(|&i| std::cmp::Reverse(o.contracting[i].stride.abs()));
        order
    };
    let picked = |o: &Operand, order: &[usize]| -> ViewDims { order.iter().map(|&i| o.contracting[i]).collect() };
    let cost = |order: &Vec<usize>| {
        let of = |o: &Operand| operand_cost(o.view.elements(), &o.free, &picked(o, order));
        of(lhs) + of(rhs)
    };
    let orders = [as_named.clone(), as_lies(lhs), as_lies(rhs)];
    let Some(best) = orders.iter().min_by_key(|order| cost(order)).cloned() else {
        return;
    };
    lhs.contracting = picked(lhs, &best);
    rhs.contracting = picked(rhs, &best);
}

/// Whether a convolution is in the form that the lowering takes.
fn is_plain(conv: &Convolution, out: &[i64]) -> bool {
    let ordered = conv.dims.output_batch == 0 && conv.dims.output_spatial.windows(2).all(|w| w[0] + 1 == w[1]);
    let last = conv.dims.output_feature as usize == out.len() - 1;
    let place = if features_last(conv) {
        last && conv.feature_group_count == 1
    } else {
        conv.dims.output_feature == 1
    };
    ordered
        && place
        && conv.padding.iter().all(|&p| p == (0, 0))
        && conv.lhs_dilation.iter().all(|&x| x == 1)
        && !conv.window_reversal.iter().any(|&r| r)
        && conv.batch_group_count == 1
}

/// Batching, free and contracting dimensions of the image of a convolution: its overlapping windows.
fn image_dims(conv: &Convolution, v: &StridedView, kernel: &[i64], out: &[i64]) -> (ViewDims, ViewDims, ViewDims) {
    let d = &conv.dims;
    let (mut pixels, mut window) = (ViewDims::new(), ViewDims::new());
    for (s, &dim) in d.input_spatial.iter().enumerate() {
        let stride = v.dims[dim as usize].stride;
        let size = out[d.output_spatial[s] as usize];
        pixels.push(ViewDim {
            extent: size,
            stride: stride * conv.window_strides[s],
        });
        let taps = kernel[d.kernel_spatial[s] as usize];
        window.push(ViewDim {
            extent: taps,
            stride: stride * conv.rhs_dilation[s],
        });
    }
    let (batch, features) = (v.dims[d.input_batch as usize], v.dims[d.input_feature as usize]);
    let group = features.extent / conv.feature_group_count;
    window.push(ViewDim {
        extent: group,
        stride: features.stride,
    });
    if features_last(conv) {
        let free = std::iter::once(batch).chain(pixels).collect();
        (ViewDims::new(), free, window)
    } else {
        let groups = ViewDim {
            extent: conv.feature_group_count,
            stride: features.stride * group,
        };
        (ViewDims::from_slice(&[batch, groups]), pixels, window)
    }
}

/// Batching, free and contracting dimensions of the kernel of a convolution, which every batch reads.
fn kernel_dims(conv: &Convolution, v: &StridedView, batch: i64) -> (ViewDims, ViewDims, ViewDims) {
    let d = &conv.dims;
    let mut window = pick(v, &d.kernel_spatial);
    window.push(v.dims[d.kernel_input_feature as usize]);
    let features = v.dims[d.kernel_output_feature as usize];
    if features_last(conv) {
        return (ViewDims::new(), ViewDims::from_slice(&[features]), window);
    }
    let group = features.extent / conv.feature_group_count;
    let batching = [
        ViewDim {
            extent: batch,
            stride: 0,
        },
        ViewDim {
            extent: conv.feature_group_count,
            stride: features.stride * group,
        },
    ];
    let free = ViewDim {
        extent: group,
        stride: features.stride,
    };
    (ViewDims::from_slice(&batching), ViewDims::from_slice(&[free]), window)
}

fn innermost_stride(dims: &[ViewDim]) -> i64 {
    merged(dims).last().map_or(1, |d| d.stride)
}

/// Adds batching dimensions that continue a run of columns in memory, so that one block serves several batch indices: as
/// many as fit into `room` columns, since others would push a block out before they use it.
/// Returns the wider columns and the position in them of column 0 of batch `b`.
fn widen(cols: &[ViewDim], batch: &[ViewDim], b: i64, room: i64) -> (ViewDims, i64) {
    let run = merged(cols);
    let [only] = run[..] else { return (run, 0) };
    if only.stride <= 0 {
        return (run, 0);
    }
    let mut wide = only;
    let mut at = 0;
    // Index of `b` along every merged batching dimension.
    let mut left: Vec<(ViewDim, i64)> = Vec::new();
    let mut rest = b;
    for d in merged(batch).into_iter().rev() {
        left.push((d, rest % d.extent));
        rest /= d.extent;
    }
    while let Some(i) = left.iter().position(|(d, _)| d.stride == wide.stride * wide.extent) {
        let (d, index) = left.remove(i);
        let most = (room / wide.extent.max(1)).clamp(1, d.extent);
        let Some(count) = (1..=most).rev().find(|count| d.extent % count == 0) else {
            break;
        };
        at += index % count * wide.extent;
        wide.extent *= count;
        if count < d.extent {
            break;
        }
    }
    (ViewDims::from_slice(&[wide]), at)
}
