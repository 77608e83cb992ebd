//! Copies and concatenations that have short runs in memory go by way of SBUF.
//!
//! ```text
//! Pixels repeated by one DMA, an element at a time     By way of SBUF
//!   memory a b c  ->  memory a a b b c c                 load  a b c        long runs
//!                                                        copy  a a b b c c  an access pattern reads each element twice
//!                                                        store a a b b c c  long runs
//! ```
//!
//! A DMA engine takes as long for a few bytes as for a hundred, while an engine's access pattern repeats, interleaves and
//! permutes elements inside a partition at no cost. What the pieces and the result have in common as outer dimensions lies on
//! partitions; the rest of a row is put together in one tile.

use ferrite_ir::diag::Result;
use ferrite_ir::dtype::DType;
use ferrite_ir::machine::cost::TransferKind;
use ferrite_ir::machine::{Engine, Space as MachineSpace};
use ferrite_ir::tile::{Inst, Space};

use super::Lower;
use super::block::{part, repeat, storage_order};
use super::contraction::extent;
use super::convolution::{pattern, shifted};
use super::elementwise::Extent;
use super::view::{StridedView, ViewDim, merged};

/// How many times as long as the way over SBUF a direct transfer may take (our choice: engines have other work).
const WORTH: u64 = 2;

/// Elements beside each other where dimensions end.
fn run(dims: &[ViewDim]) -> i64 {
    merged(dims)
        .last()
        .map_or(1, |d| if d.stride == 1 { d.extent } else { 1 })
}

impl Lower<'_> {
    /// Copies views to parts of a result by way of SBUF, if that is faster and possible; whether it did.
    ///
    /// Each part is a view of the result's storage, with as many dimensions as the result.
    pub(super) fn assemble(&mut self, result: &StridedView, pieces: &[(StridedView, StridedView)]) -> Result<bool> {
        let dtype = self.storage(result.storage).dtype;
        let plain = matches!(
            dtype,
            DType::F32
                | DType::BF16
                | DType::F16
                | DType::I32
                | DType::U32
                | DType::I16
                | DType::U16
                | DType::I8
                | DType::U8
        );
        let buffer = self.storage(result.storage).buffer;
        let apart = pieces.iter().all(|(source, _)| {
            let from = self.storage(source.storage);
            from.dtype == dtype && from.buffer != buffer && source.elements() > 0
        });
        if !plain || !apart {
            return Ok(false);
        }
        let direct = pieces.iter().map(|(source, target)| {
            let run = run(&source.dims).min(run(&target.dims));
            self.transfer_ps(source.elements(), run, dtype)
        });
        let direct: u64 = direct.sum();
        let cuts = 0..result.dims.len();
        let best = cuts.filter_map(|cut| Some((self.by_way(result, pieces, cut, dtype)?, cut)));
        let Some((time, cut)) = best.min() else {
            return Ok(false);
        };
        if direct <= WORTH * time {
            return Ok(false);
        }
        self.assemble_rows(result, pieces, cut, dtype)
    }

    /// Time that the DMA engines need for elements in runs, picoseconds.
    fn transfer_ps(&self, elements: i64, run: i64, dtype: DType) -> u64 {
        let bytes = run as u64 * dtype.bytes() as u64;
        let one = self.machine.descriptor_ps(bytes, MachineSpace::Hbm, TransferKind::Copy);
        (elements / run.max(1)) as u64 * one / self.machine.dma.engines
    }

    /// Time to go by way of SBUF with the first `cut` dimensions as rows, picoseconds; `None` if that is not possible.
    fn by_way(
        &self,
        result: &StridedView,
        pieces: &[(StridedView, StridedView)],
        cut: usize,
        dtype: DType,
    ) -> Option<u64> {
        let most = self.machine.limits.free_dims_max;
        let (rows, columns) = (extent(&result.dims[..cut]), extent(&result.dims[cut..]));
        let line = merged(&result.dims[cut..]);
        let in_order = matches!(line[..], [] | [ViewDim { stride: 1, .. }]);
        if !in_order || columns > self.wide_columns(dtype) {
            return None;
        }
        let tiles = self.tiles(rows).len() as u64;
        let mut time = self.transfer_ps(rows * columns, columns, dtype) + self.machine.dma_start_ps();
        for (source, target) in pieces {
            let outer = target.dims[..cut] == result.dims[..cut];
            let patterns = [&source.dims[cut..], &target.dims[cut..]].map(|d| pattern(d, most));
            if !outer || patterns.iter().any(Option::is_none) {
                return None;
            }
            source.split(rows)?;
            let (stored, _) = storage_order(&source.dims[cut..], most as usize);
            let loaded = rows * extent(&stored);
            time += self.transfer_ps(loaded, run(&stored), dtype) + self.machine.dma_start_ps();
            let copied = tiles * extent(&target.dims[cut..]) as u64;
            time += self.machine.ps(Engine::Vector, copied);
        }
        Some(time)
    }

    fn assemble_rows(
        &mut self,
        result: &StridedView,
        pieces: &[(StridedView, StridedView)],
        cut: usize,
        dtype: DType,
    ) -> Result<bool> {
        let (rows, columns) = (extent(&result.dims[..cut]), extent(&result.dims[cut..]));
        let most = self.machine.limits.free_dims_max;
        let Some(whole) = self.blocks(result, rows) else {
            return Ok(false);
        };
        let mut parts = Vec::new();
        for (source, target) in pieces {
            let (Some(blocks), Some(dims)) = (self.blocks(source, rows), pattern(&target.dims[cut..], most)) else {
                return Ok(false);
            };
            let n = extent(&target.dims[cut..]);
            parts.push((blocks, n, target.offset - result.offset, dims));
        }
        for r in self.tiles(rows) {
            let e = Extent { p: r.1, n: columns };
            let tile = self.new_tile(Space::Sbuf, e.p, e.n, dtype, "assembled");
            for (blocks, n, offset, dims) in &parts {
                let before = self.cache.mark_passing(true);
                let fetched = self.fetch_exact(blocks, r, (0, *n), dtype);
                self.cache.mark_passing(before);
                let fetched = fetched?;
                let src = if fetched.row && *n > 1 {
                    repeat(&fetched.view, *n)
                } else {
                    fetched.view
                };
                let dst = shifted(&part(&tile, 0, r.1, 0, e.n), *offset, dims.clone());
                self.inst(Inst::TensorCopy { dst, src });
            }
            self.store(&whole, r, (0, columns), &tile);
        }
        Ok(true)
    }
}
