//! Tiles loaded from and stored to memory, and the cache of what is on chip already.
//!
//! A *block* is a range of rows and a range of columns of a strided view. Rows lie on partitions, columns in the free
//! dimension. A block that was loaded, or stored by the operation that computed it, stays in the cache until newer
//! blocks need its room; a storage is written once, so a cached block is never stale. What streams by (an optimizer's
//! state, results that nothing reads again) makes room first, so that it does not push out what is read again and again.

use std::collections::HashMap;

use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::dtype::DType;
use ferrite_ir::tile::{ApDim, ApDims, DmaOp, DmaPiece, HbmAccess, Inst, Mem, MemDim, OpKind, Space, TileId, View};
use smallvec::SmallVec;

use super::Lower;
use super::array::in_parts;
use super::view::{RowBox, StorageId, StridedView, ViewDim, ViewDims, merged, row_boxes};

/// What distinguishes cached tiles of the same block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// Rows on partitions.
    Rows,
    /// One row, repeated on all partitions.
    Repeated,
    /// Columns on partitions.
    Transposed,
    /// Rows of an image, shifted by positions of a kernel, see `convolution`.
    Packed,
}

/// Identity of a block.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct BlockKey {
    pub form: Form,
    pub storage: StorageId,
    pub rows: Vec<RowBox>,
    pub cols: Vec<RowBox>,
    pub dtype: DType,
}

#[derive(Clone, Debug)]
struct Entry {
    view: View,
    bytes: usize,
    used: u64,
    /// Goes before all others when room is needed.
    passing: bool,
}

/// Blocks on chip.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    entries: HashMap<BlockKey, Entry>,
    bytes: usize,
    limit: usize,
    clock: u64,
    /// Constant helper tiles (identity matrices, ones), by what they hold.
    pub helpers: HashMap<(&'static str, DType), View>,
    /// `[128, 1]` constants by dtype and bits.
    pub columns: HashMap<(DType, u32), View>,
    /// Parts of blocks that were moved to partition 0.
    pub moved: HashMap<View, View>,
    /// Signs of the block that windows were last taken of.
    pub signs: HashMap<View, View>,
    /// Blocks of each storage, in the order they came.
    of_storage: HashMap<StorageId, Vec<BlockKey>>,
    /// Blocks that stay while a contraction goes over them again and again.
    pinned: Option<(StorageId, Form)>,
    /// Time of [`Cache::pin`].
    pinned_since: u64,
    /// Blocks that stay while several contractions go in step.
    held: Vec<(StorageId, Form)>,
    /// Time of [`Cache::hold`].
    held_since: u64,
    /// What is inserted now is not read again after the rows at hand.
    passing: bool,
}

impl Cache {
    pub fn new(limit: usize) -> Cache {
        Cache {
            entries: HashMap::new(),
            bytes: 0,
            limit,
            clock: 0,
            helpers: HashMap::new(),
            columns: HashMap::new(),
            moved: HashMap::new(),
            signs: HashMap::new(),
            of_storage: HashMap::new(),
            pinned: None,
            pinned_since: 0,
            held: Vec::new(),
            held_since: 0,
            passing: false,
        }
    }

    /// Says whether what is inserted from now on is not read again after the rows at hand; what was said before.
    pub fn mark_passing(&mut self, passing: bool) -> bool {
        std::mem::replace(&mut self.passing, passing)
    }

    /// Keeps the blocks of one operand that are used from now on, until another is pinned, or none. What an earlier
    /// reader left of the same storage, cut another way, is not kept.
    pub fn pin(&mut self, operand: Option<(StorageId, Form)>) {
        self.pinned = operand;
        self.pinned_since = self.clock;
    }

    /// Keeps the blocks of some operands that are used from now on, until told otherwise.
    pub fn hold(&mut self, operands: Vec<(StorageId, Form)>) {
        self.held = operands;
        self.held_since = self.clock;
    }

    /// Forgets the blocks of an operand that will not be read again soon.
    pub fn drop_blocks(&mut self, storage: StorageId, form: Form) {
        let keys: Vec<BlockKey> = self.of_storage.get(&storage).into_iter().flatten().cloned().collect();
        for key in keys.into_iter().filter(|k| k.form == form) {
            self.remove(&key);
        }
    }

    fn remove(&mut self, key: &BlockKey) {
        if let Some(gone) = self.entries.remove(key) {
            self.bytes -= gone.bytes;
            if let Some(keys) = self.of_storage.get_mut(&key.storage) {
                keys.retain(|k| k != key);
            }
        }
    }

    /// A block that contains the one with this key, and where in it that begins: rows and columns.
    fn containing(&self, key: &BlockKey) -> Option<(&BlockKey, i64, i64)> {
        let keys = self.of_storage.get(&key.storage)?;
        keys.iter()
            .filter(|k| k.form == key.form && k.dtype == key.dtype)
            .find_map(|k| place_in(key, k).map(|(row, column)| (k, row, column)))
    }

    /// Forgets everything: no tile lives across control flow.
    pub fn clear(&mut self) {
        *self = Cache::new(self.limit);
    }

    /// Forgets every block of a storage that is about to change.
    pub fn forget(&mut self, storage: StorageId) {
        for key in self.of_storage.remove(&storage).unwrap_or_default() {
            if let Some(gone) = self.entries.remove(&key) {
                self.bytes -= gone.bytes;
            }
        }
    }

    pub fn get(&mut self, key: &BlockKey) -> Option<View> {
        self.clock += 1;
        let clock = self.clock;
        self.entries.get_mut(key).map(|e| {
            e.used = clock;
            e.view.clone()
        })
    }

    pub fn insert(&mut self, key: BlockKey, view: View, bytes: usize) {
        self.clock += 1;
        if bytes > self.limit {
            return;
        }
        while self.bytes + bytes > self.limit {
            // `used` is unique, so the order of the map does not matter.
            let free = self
                .entries
                .iter()
                .filter(|(k, e)| self.pinned != Some((k.storage, k.form)) || e.used <= self.pinned_since)
                .filter(|(k, e)| !self.held.contains(&(k.storage, k.form)) || e.used <= self.held_since);
            let Some(oldest) = free.min_by_key(|(_, e)| (!e.passing, e.used)).map(|(k, _)| k.clone()) else {
                break;
            };
            self.remove(&oldest);
        }
        self.bytes += bytes;
        if !self.entries.contains_key(&key) {
            self.of_storage.entry(key.storage).or_default().push(key.clone());
        }
        if let Some(old) = self.entries.insert(
            key,
            Entry {
                view,
                bytes,
                used: self.clock,
                passing: self.passing,
            },
        ) {
            self.bytes -= old.bytes;
        }
    }
}

/// The one dimension of a box, `(1, 0)` for a single element; `None` for more.
fn single(dims: &[ViewDim]) -> Option<(i64, i64)> {
    match merged(dims)[..] {
        [] => Some((1, 0)),
        [d] => Some((d.extent, d.stride)),
        _ => None,
    }
}

/// First row and column of `part` in `whole`, if it lies inside.
fn place_in(part: &BlockKey, whole: &BlockKey) -> Option<(i64, i64)> {
    let ([r], [c], [rows], [cols]) = (&part.rows[..], &part.cols[..], &whole.rows[..], &whole.cols[..]) else {
        return None;
    };
    let distance = r.offset + c.offset - rows.offset - cols.offset;
    let ((n, step), (count, pitch)) = (single(&r.dims)?, single(&rows.dims)?);
    if distance < 0 || pitch < 0 || (n > 1 && step != pitch) {
        return None;
    }
    let (row, rest, wide) = match (single(&c.dims), single(&cols.dims)) {
        (Some((m, narrow)), Some((wide, unit))) if m == 1 || (narrow == unit && unit > 0) => {
            let span = unit * (wide - 1);
            let (row, rest) = if pitch > span {
                (distance / pitch, distance % pitch)
            } else if unit > pitch * (count - 1) && unit > 0 {
                // Rows lie between the columns.
                let (column, left) = (distance / unit, distance % unit);
                if pitch > 0 && left % pitch == 0 {
                    (left / pitch, column * unit)
                } else if left == 0 {
                    (0, column * unit)
                } else {
                    return None;
                }
            } else if count == 1 {
                (0, distance)
            } else {
                return None;
            };
            if unit == 0 {
                (row, rest, (m, wide, 0))
            } else if rest % unit == 0 {
                (row, rest / unit, (m, wide, 1))
            } else {
                return None;
            }
        }
        _ if c.dims == cols.dims && (pitch > 0 || distance == 0) => {
            let row = if pitch > 0 { distance / pitch } else { 0 };
            (row, distance - row * pitch, (1, 1, 0))
        }
        _ => return None,
    };
    let (m, columns, unit) = wide;
    let fits = row + n <= count && rest + m <= columns && (unit == 1 || rest == 0);
    fits.then_some((row, rest))
}

/// Free dimensions of `count` neighbouring elements.
pub(super) fn line(count: i64) -> ApDims {
    if count == 1 {
        ApDims::new()
    } else {
        SmallVec::from_slice(&[ApDim {
            step: 1,
            count: count as u32,
        }])
    }
}

/// Part of a view with one free dimension list that is contiguous: elements `c0..c0 + cn`, partitions `p0..p0 + p`.
pub(super) fn part(view: &View, p0: i64, p: i64, c0: i64, cn: i64) -> View {
    View {
        partition: view.partition + p0 as u16,
        partitions: p as u16,
        offset: view.offset + (c0 as usize * view.dtype.bytes()) as u32,
        dims: line(cn),
        ..view.clone()
    }
}

/// The same value for `cn` columns: steps of 0.
pub(super) fn repeat(view: &View, cn: i64) -> View {
    let dims = if cn == 1 {
        ApDims::new()
    } else {
        SmallVec::from_slice(&[ApDim {
            step: 0,
            count: cn as u32,
        }])
    };
    View { dims, ..view.clone() }
}

/// A block as an operand.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    pub view: View,
    /// One value per partition instead of one per element.
    pub row: bool,
}

/// Rows and columns of a view.
pub(super) struct Blocks {
    pub storage: StorageId,
    pub offset: i64,
    pub rows: ViewDims,
    pub cols: ViewDims,
}

fn repeats(dims: &[ViewDim]) -> bool {
    dims.iter().all(|d| d.stride == 0 || d.extent == 1)
}

impl Lower<'_> {
    pub(super) fn emit(&mut self, kind: OpKind) {
        match kind {
            OpKind::Matmul { .. } => {
                for part in in_parts(kind, self.machine) {
                    self.program.push(part, self.loc);
                }
            }
            other => self.program.push(other, self.loc),
        }
    }

    pub(super) fn inst(&mut self, mut inst: Inst<View>) {
        // What only moves keeps its bytes: an engine that reads and stores a small float makes its infinities finite.
        if let Inst::TensorCopy { dst, src } = &mut inst
            && dst.dtype == src.dtype
            && super::elementwise::stores_saturated(dst.dtype).is_some()
        {
            (dst.dtype, src.dtype) = (DType::U8, DType::U8);
        }
        self.emit(OpKind::Compute(inst));
    }

    /// A tile of `p` partitions of `n` elements and a view of all of it.
    pub(super) fn new_tile(&mut self, space: Space, p: i64, n: i64, dtype: DType, name: &'static str) -> View {
        let tile: TileId = self
            .program
            .add_tile(space, p as usize, n as usize * dtype.bytes(), name);
        View {
            tile,
            partition: 0,
            partitions: p as u16,
            offset: 0,
            dtype,
            dims: line(n),
        }
    }

    /// Splits a view into rows and columns. `None` if the cut goes through a dimension unevenly.
    pub(super) fn blocks(&self, view: &StridedView, rows: i64) -> Option<Blocks> {
        let (rows, cols) = view.split(rows)?;
        Some(Blocks {
            storage: view.storage,
            offset: view.offset,
            rows,
            cols,
        })
    }

    /// fp32 columns of a PSUM bank: the widest result of one matmul.
    pub(super) fn bank_columns(&self) -> i64 {
        let fp32 = DType::F32.bytes() as u64;
        (self.machine.psum.bytes_per_bank / fp32).min(self.machine.pe.moving_free_max) as i64
    }

    /// A contiguous copy of a view.
    pub(super) fn contiguous_copy(&mut self, view: &StridedView) -> Result<StridedView> {
        let dtype = self.storage(view.storage).dtype;
        let storage = self.scratch("copy", dtype, view.elements());
        let target = StridedView::contiguous(storage, &view.shape());
        if !self.assemble(&target, &[(view.clone(), target.clone())])? {
            self.copy(view, &target)?;
        }
        Ok(target)
    }

    fn hbm(&self, storage: StorageId, offset: i64, dims: &[&[ViewDim]]) -> HbmAccess {
        let storage = self.storage(storage);
        let size = storage.dtype.bytes() as i64;
        let all: ViewDims = dims.iter().flat_map(|d| d.iter().copied()).collect();
        HbmAccess {
            buffer: storage.buffer,
            offset: (offset * size) as u64,
            dtype: storage.dtype,
            dims: merged(&all)
                .iter()
                .map(|d| MemDim {
                    step: d.stride * size,
                    count: d.extent as u64,
                })
                .collect(),
        }
    }

    pub(super) fn hbm_access(&self, storage: StorageId, offset: i64, dims: &[ViewDim]) -> HbmAccess {
        self.hbm(storage, offset, &[dims])
    }

    /// Loads rows `r0..r0 + p`, columns `c0..c0 + cn` as a tile of `dtype`, or finds it on chip. Rows that are all equal
    /// come as one row repeated on every partition, columns that are all equal as one value per partition.
    pub(super) fn fetch(&mut self, b: &Blocks, r: (i64, i64), c: (i64, i64), dtype: DType) -> Result<Fetched> {
        // A row that is not too long comes as a whole, so that all its chunks share one block.
        let total: i64 = b.cols.iter().map(|d| d.extent).product();
        if c.1 < total && total <= self.wide_columns(dtype) {
            let all = self.fetch(b, r, (0, total), dtype)?;
            if all.row {
                return Ok(all);
            }
            if let Some(view) = sub_columns(&all.view, c.0, c.1) {
                return Ok(Fetched { view, row: c.1 == 1 });
            }
        }
        self.fetch_exact(b, r, c, dtype)
    }

    /// [`Lower::fetch`] of just these columns.
    pub(super) fn fetch_exact(&mut self, b: &Blocks, r: (i64, i64), c: (i64, i64), dtype: DType) -> Result<Fetched> {
        let rows = row_boxes(&b.rows, r.0, r.1);
        let cols = row_boxes(&b.cols, c.0, c.1);
        let same_rows = repeats(&rows[0].dims) && rows.iter().all(|x| repeats(&x.dims) && x.offset == rows[0].offset);
        let same_cols = repeats(&cols[0].dims) && cols.iter().all(|x| repeats(&x.dims) && x.offset == cols[0].offset);
        if same_rows && r.1 > 1 {
            let row = vec![RowBox {
                at: 0,
                offset: b.offset + rows[0].offset,
                dims: ViewDims::new(),
            }];
            if same_cols {
                let cols = vec![RowBox {
                    dims: ViewDims::new(),
                    ..cols[0].clone()
                }];
                let view = self.repeated(b.storage, row, cols, 1, dtype)?;
                return Ok(Fetched {
                    view: View {
                        partitions: r.1 as u16,
                        ..view
                    },
                    row: true,
                });
            }
            let view = self.repeated(b.storage, row, cols, c.1, dtype)?;
            return Ok(Fetched {
                view: View {
                    partitions: r.1 as u16,
                    ..view
                },
                row: false,
            });
        }
        let rows = rows
            .into_iter()
            .map(|x| RowBox {
                offset: x.offset + b.offset,
                ..x
            })
            .collect();
        if same_cols {
            let cols = vec![RowBox {
                dims: ViewDims::new(),
                ..cols[0].clone()
            }];
            let view = self.load(b.storage, rows, r.1, cols, 1, dtype)?;
            return Ok(Fetched { view, row: true });
        }
        let view = self.load(b.storage, rows, r.1, cols, c.1, dtype)?;
        Ok(Fetched { view, row: c.1 == 1 })
    }

    fn key(form: Form, storage: StorageId, mut rows: Vec<RowBox>, mut cols: Vec<RowBox>, dtype: DType) -> BlockKey {
        if let [only] = &mut cols[..] {
            rows.iter_mut().for_each(|r| r.offset += only.offset);
            only.offset = 0;
        }
        BlockKey {
            form,
            storage,
            rows,
            cols,
            dtype,
        }
    }

    /// Columns that one DMA brings in well and that leave room for others: 16 KiB per partition on v2.
    pub(super) fn wide_columns(&self, dtype: DType) -> i64 {
        self.machine.sbuf.usable_bytes_per_partition as i64 / 11 / dtype.bytes() as i64
    }

    fn load(
        &mut self,
        storage: StorageId,
        rows: Vec<RowBox>,
        p: i64,
        cols: Vec<RowBox>,
        cn: i64,
        dtype: DType,
    ) -> Result<View> {
        let key = Self::key(Form::Rows, storage, rows, cols, dtype);
        if let Some(view) = self.cache.get(&key).or_else(|| self.part_of_block(&key, p, cn)) {
            return Ok(view);
        }
        let op = if self.storage(storage).dtype == dtype {
            DmaOp::Copy
        } else {
            DmaOp::Cast
        };
        let view = if let [only] = &key.cols[..] {
            // One box of columns: stored in the order of memory, read in the order of the view.
            let (stored, dims) = storage_order(&only.dims, self.machine.limits.free_dims_max as usize);
            let count: i64 = stored.iter().map(|d| d.extent).product();
            let tile = self.new_tile(Space::Sbuf, p, count, dtype, "load");
            let pieces = key.rows.iter().map(|r| {
                let n: i64 = r.dims.iter().map(|d| d.extent).product();
                DmaPiece {
                    op,
                    src: Mem::Hbm(self.hbm(storage, r.offset, &[&r.dims, &stored])),
                    dst: Mem::Tile(part(&tile, r.at, n, 0, count)),
                }
            });
            let pieces: Vec<DmaPiece> = pieces.collect();
            self.emit(OpKind::Dma(pieces));
            View { dims, ..tile }
        } else {
            let tile = self.new_tile(Space::Sbuf, p, cn, dtype, "load");
            let mut pieces = Vec::new();
            for r in &key.rows {
                let n: i64 = r.dims.iter().map(|d| d.extent).product();
                for c in &key.cols {
                    let m: i64 = c.dims.iter().map(|d| d.extent).product();
                    pieces.push(DmaPiece {
                        op,
                        src: Mem::Hbm(self.hbm(storage, r.offset + c.offset, &[&r.dims, &c.dims])),
                        dst: Mem::Tile(part(&tile, r.at, n, c.at, m)),
                    });
                }
            }
            self.emit(OpKind::Dma(pieces));
            tile
        };
        let bytes = self.program.tile(view.tile).bytes as usize;
        self.cache.insert(key, view.clone(), bytes);
        Ok(view)
    }

    /// A block as part of a larger one that is on chip: rows from where engines can begin to read.
    fn part_of_block(&mut self, key: &BlockKey, p: i64, cn: i64) -> Option<View> {
        let (whole, row, column) = self.cache.containing(key)?;
        let whole = whole.clone();
        let view = self.cache.get(&whole)?;
        let start = u64::from(view.partition) + row as u64;
        if !self.machine.partition_range_ok(start, p as u64) || row + p > i64::from(view.partitions) {
            return None;
        }
        let view = View {
            partition: start as u16,
            partitions: p as u16,
            ..view
        };
        if view.elements() as i64 == cn && column == 0 {
            return Some(view);
        }
        sub_columns(&view, column, cn)
    }

    /// A view that begins at partition 0: moved there if it does not.
    pub(super) fn at_first_partition(&mut self, view: View) -> View {
        if view.partition == 0 {
            return view;
        }
        if let Some(moved) = self.cache.moved.get(&view) {
            return moved.clone();
        }
        let dst = self.new_tile(
            Space::Sbuf,
            i64::from(view.partitions),
            view.elements() as i64,
            view.dtype,
            "moved",
        );
        self.inst(Inst::TensorCopy {
            dst: dst.clone(),
            src: view.clone(),
        });
        self.cache.moved.insert(view, dst.clone());
        dst
    }

    /// One row on all partitions: floats through the PE array (a row of ones times the row), the rest by DMA.
    fn repeated(
        &mut self,
        storage: StorageId,
        row: Vec<RowBox>,
        cols: Vec<RowBox>,
        cn: i64,
        dtype: DType,
    ) -> Result<View> {
        if let [only] = &cols[..] {
            // What repeats inside the row comes once, and is read again and again.
            let (stored, dims) = storage_order(&only.dims, self.machine.limits.free_dims_max as usize);
            let count: i64 = stored.iter().map(|d| d.extent).product();
            if count < cn {
                let once = vec![RowBox {
                    dims: stored,
                    ..only.clone()
                }];
                let view = self.repeated(storage, row, once, count, dtype)?;
                return Ok(View { dims, ..view });
            }
        }
        let key = Self::key(Form::Repeated, storage, row.clone(), cols.clone(), dtype);
        if let Some(view) = self.cache.get(&key) {
            return Ok(view);
        }
        let p = self.machine.limits.partitions as i64;
        let in_order = cols.iter().all(|c| merged(&c.dims).len() <= 1);
        let view = if matches!(dtype, DType::F32 | DType::BF16 | DType::F16) && cn >= 16 && in_order {
            let line = self.load(storage, row, 1, cols, cn, dtype)?;
            let ones = self.ones(dtype)?;
            let tile = self.new_tile(Space::Sbuf, p, cn, dtype, "repeat");
            let bank = self.bank_columns();
            for c0 in (0..cn).step_by(bank as usize) {
                let n = bank.min(cn - c0);
                let psum = self.new_tile(Space::Psum, p, n, DType::F32, "repeat");
                let moving =
                    sub_columns(&line, c0, n).ok_or_else(|| Diagnostic::bug("a row is not one run of elements"))?;
                self.emit(OpKind::Matmul {
                    dst: psum.clone(),
                    // The row may be one of a block, on whatever partition that has it.
                    stationary: View {
                        partition: moving.partition,
                        partitions: 1,
                        ..ones.clone()
                    },
                    moving,
                    accumulate: false,
                    transpose: false,
                });
                self.inst(Inst::TensorCopy {
                    dst: part(&tile, 0, p, c0, n),
                    src: psum,
                });
            }
            tile
        } else {
            let tile = self.new_tile(Space::Sbuf, p, cn, dtype, "repeat");
            let op = if self.storage(storage).dtype == dtype {
                DmaOp::Copy
            } else {
                DmaOp::Cast
            };
            let all = [ViewDim { extent: p, stride: 0 }];
            let pieces = cols
                .iter()
                .map(|c| {
                    let m: i64 = c.dims.iter().map(|d| d.extent).product();
                    DmaPiece {
                        op,
                        src: Mem::Hbm(self.hbm(storage, row[0].offset + c.offset, &[&all, &c.dims])),
                        dst: Mem::Tile(part(&tile, 0, p, c.at, m)),
                    }
                })
                .collect();
            self.emit(OpKind::Dma(pieces));
            tile
        };
        let bytes = self.program.tile(view.tile).bytes as usize;
        self.cache.insert(key, view.clone(), bytes);
        Ok(view)
    }

    /// Stores a tile (`p` partitions, `cn` contiguous columns) as rows `r0..`, columns `c0..` of a view, and remembers
    /// that it is on chip.
    pub(super) fn store(&mut self, b: &Blocks, r: (i64, i64), c: (i64, i64), tile: &View) {
        let rows: Vec<RowBox> = row_boxes(&b.rows, r.0, r.1)
            .into_iter()
            .map(|x| RowBox {
                offset: x.offset + b.offset,
                ..x
            })
            .collect();
        let cols = row_boxes(&b.cols, c.0, c.1);
        let key = Self::key(Form::Rows, b.storage, rows, cols, tile.dtype);
        let op = if self.storage(b.storage).dtype == tile.dtype {
            DmaOp::Copy
        } else {
            DmaOp::Cast
        };
        let mut pieces = Vec::new();
        for r in &key.rows {
            let n: i64 = r.dims.iter().map(|d| d.extent).product();
            for c in &key.cols {
                let m: i64 = c.dims.iter().map(|d| d.extent).product();
                pieces.push(DmaPiece {
                    op,
                    src: Mem::Tile(part(tile, r.at, n, c.at, m)),
                    dst: Mem::Hbm(self.hbm(b.storage, r.offset + c.offset, &[&r.dims, &c.dims])),
                });
            }
        }
        self.emit(OpKind::Dma(pieces));
        // Equal bytes only: a cast on the way changes what a later reader would see.
        if op == DmaOp::Copy {
            let bytes = self.program.tile(tile.tile).bytes as usize;
            self.cache.insert(key, tile.clone(), bytes);
        }
    }

    /// A row of ones on partition 0, for repeating rows.
    fn ones(&mut self, dtype: DType) -> Result<View> {
        if let Some(view) = self.cache.helpers.get(&("ones", dtype)) {
            return Ok(view.clone());
        }
        let p = self.machine.limits.partitions as i64;
        let view = self.new_tile(Space::Sbuf, p, p, dtype, "ones");
        self.inst(Inst::Memset {
            dst: view.clone(),
            bits: one_bits(dtype),
        });
        self.cache.helpers.insert(("ones", dtype), view.clone());
        Ok(view)
    }

    /// The identity matrix, for transposes on the PE array.
    pub(super) fn identity(&mut self, dtype: DType) -> Result<View> {
        if let Some(view) = self.cache.helpers.get(&("identity", dtype)) {
            return Ok(view.clone());
        }
        let p = self.machine.limits.partitions as i64;
        let ones = self.ones(dtype)?;
        let view = self.new_tile(Space::Sbuf, p, p, dtype, "identity");
        self.inst(Inst::AffineSelect {
            dst: view.clone(),
            src: ones,
            base: 0,
            channel_multiplier: 1,
            steps: SmallVec::from_slice(&[-1]),
            compare: ferrite_ir::tile::AluOp::IsEqual,
            fill: 0,
        });
        self.cache.helpers.insert(("identity", dtype), view.clone());
        Ok(view)
    }
}

/// Bits of 1 in a dtype of at most 32 bits.
fn one_bits(dtype: DType) -> u32 {
    let mut bytes = [0u8; 16];
    ferrite_ir::literal::write_i64(dtype, 1, &mut bytes);
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// Columns `c0..c0 + cn` of a loaded tile whose elements may lie in another order than they are read.
/// `None` if one access pattern cannot name them.
pub(super) fn sub_columns(view: &View, c0: i64, cn: i64) -> Option<View> {
    let dims: ViewDims = view
        .dims
        .iter()
        .map(|d| ViewDim {
            extent: i64::from(d.count),
            stride: i64::from(d.step),
        })
        .collect();
    let boxes = row_boxes(&dims, c0, cn);
    let [only] = &boxes[..] else { return None };
    Some(View {
        offset: view.offset + (only.offset as usize * view.dtype.bytes()) as u32,
        dims: only
            .dims
            .iter()
            .map(|d| ApDim {
                step: d.stride as i32,
                count: d.extent as u32,
            })
            .collect(),
        ..view.clone()
    })
}

/// Dimensions in the order of memory (largest stride first, repetitions left out), and the access pattern that reads a
/// tile stored so in the order of the view.
pub(super) fn storage_order(dims: &[ViewDim], max_dims: usize) -> (ViewDims, ApDims) {
    let mut order: SmallVec<[usize; 6]> = (0..dims.len()).filter(|&i| dims[i].stride != 0).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(dims[i].stride.abs()));
    let stored: ViewDims = order.iter().map(|&i| dims[i]).collect();
    let mut steps: SmallVec<[i64; 6]> = dims.iter().map(|_| 0).collect();
    let mut step = 1;
    for &i in order.iter().rev() {
        steps[i] = step;
        step *= dims[i].extent;
    }
    let read: ViewDims = dims
        .iter()
        .zip(&steps)
        .map(|(d, &stride)| ViewDim {
            extent: d.extent,
            stride,
        })
        .collect();
    let ap: ApDims = merged(&read)
        .iter()
        .map(|d| ApDim {
            step: d.stride as i32,
            count: d.extent as u32,
        })
        .collect();
    if ap.len() > max_dims {
        // Too many dimensions for one access pattern: the load itself puts the elements in order.
        let count: i64 = dims.iter().map(|d| d.extent).product();
        return (dims.iter().copied().collect(), line(count));
    }
    (stored, ap)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(storage: u32, row: i64) -> BlockKey {
        let at = |offset: i64| {
            vec![RowBox {
                at: 0,
                offset,
                dims: ViewDims::new(),
            }]
        };
        BlockKey {
            form: Form::Rows,
            storage: StorageId(storage),
            rows: at(row),
            cols: at(0),
            dtype: DType::F32,
        }
    }

    fn put(cache: &mut Cache, key: BlockKey) {
        let view = View {
            tile: TileId(0),
            partition: 0,
            partitions: 1,
            offset: 0,
            dtype: DType::F32,
            dims: line(1),
        };
        cache.insert(key, view, 10);
    }

    #[test]
    fn what_streams_by_makes_room_first() {
        let mut cache = Cache::new(30);
        put(&mut cache, key(0, 0));
        let before = cache.mark_passing(true);
        put(&mut cache, key(1, 0));
        cache.mark_passing(before);
        put(&mut cache, key(0, 1));
        put(&mut cache, key(0, 2));
        assert!(cache.get(&key(0, 0)).is_some());
        assert!(cache.get(&key(1, 0)).is_none());
    }

    #[test]
    fn only_what_is_used_since_the_pin_is_kept() {
        let mut cache = Cache::new(30);
        put(&mut cache, key(0, 0));
        put(&mut cache, key(0, 1));
        cache.pin(Some((StorageId(0), Form::Rows)));
        assert!(cache.get(&key(0, 0)).is_some());
        put(&mut cache, key(1, 0));
        put(&mut cache, key(1, 1));
        // The block that nobody asked for since then went, the other one stays before what is newer.
        assert!(cache.get(&key(0, 1)).is_none());
        put(&mut cache, key(1, 2));
        assert!(cache.get(&key(0, 0)).is_some());
    }
}
