//! The loop over row tiles and column chunks of a cluster.
//!
//! A tile has up to 128 rows. Where a row must be on chip as a whole (a full value depends on a reduction of its row),
//! there is one chunk with all columns; otherwise columns go by in chunks, and reductions combine the chunks' parts.
//! A contraction whose operands do not both stay on chip goes by panels of one of them, see `contraction`.

mod operations;
mod prepare;
mod rows;

use std::collections::BTreeMap;

use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{OpId, OpKind, ValueId};
use ferrite_ir::tile::{Inst, View};

use super::Lower;
use super::block::{Blocks, Form, part};
use super::contraction::{Contraction, Schedule};
use super::convolution::Convolved;
use super::elementwise::{Arg, Extent, Val};
use super::fuse::{Class, Cluster};
use super::view::StorageId;

/// A cluster while it is lowered.
pub(super) struct Work<'c> {
    pub cluster: &'c Cluster,
    index: usize,
    pub rows: i64,
    columns: i64,
    /// Columns of one chunk.
    chunk: i64,
    /// Whether the chunks of a row are collected in one tile before they are stored.
    collect: bool,
    /// Whether each tile of rows comes once, with all its columns.
    once: bool,
    /// Where results go, for the values that are needed outside.
    pub outputs: BTreeMap<ValueId, Blocks>,
    pub contractions: BTreeMap<OpId, Contraction>,
    pub convolutions: BTreeMap<OpId, Convolved>,
    /// Columns that are collected in one tile: the first one and their number.
    span: (i64, i64),
    /// Views of operands from outside, cut into rows and columns.
    pub outside: BTreeMap<(ValueId, Class), Blocks>,
}

/// What is on chip for the current row tile.
#[derive(Default)]
struct RowState {
    /// Values of class row.
    row: BTreeMap<ValueId, Val>,
    /// Parts of reductions, one column per chunk.
    partial: BTreeMap<ValueId, View>,
    /// Output tiles that collect all columns.
    collected: BTreeMap<ValueId, View>,
}

impl Lower<'_> {
    /// Lowers one cluster.
    pub(super) fn cluster(&mut self, cluster: &Cluster) -> Result<()> {
        match self.open_cluster(cluster)? {
            Some(mut work) => {
                let tiles = self.row_tiles(&work, 0, work.rows);
                self.run_tiles(&mut work, &tiles)
            }
            None => Ok(()),
        }
    }

    /// Everything about a cluster but its loops; `None` if there is nothing to compute.
    pub(super) fn open_cluster<'c>(&mut self, cluster: &'c Cluster) -> Result<Option<Work<'c>>> {
        let Some(&first) = cluster.ops.first() else {
            return Ok(None);
        };
        self.loc = self.op_loc(first);
        if cluster.elements == 0 || cluster.split.is_some_and(|(r, _)| r == 0) {
            self.empty_results(cluster)?;
            return Ok(None);
        }
        self.prepare_cluster(cluster).map(Some)
    }

    /// Computes some row tiles of a cluster.
    pub(super) fn run_tiles(&mut self, work: &mut Work<'_>, tiles: &[(i64, i64)]) -> Result<()> {
        if let Some(image) = work.convolutions.values().next().cloned()
            && !self.reduces(work)
        {
            return self.by_spans(work, &image, tiles, (0, Self::batch_of(&image)));
        }
        let chunks: Vec<(i64, i64)> = (0..work.columns.max(1))
            .step_by(work.chunk.max(1) as usize)
            .map(|c0| (c0, work.chunk.min(work.columns - c0)))
            .collect();
        let chunks = if work.columns == 0 { Vec::new() } else { chunks };
        let contraction = work.contractions.values().next();
        let staying = contraction.map(Contraction::staying);
        self.cache.pin(staying);
        let done = match contraction.map(|c| c.schedule) {
            Some(schedule) if tiles.len() > 1 && chunks.len() > 1 && !self.reduces(work) => {
                self.by_panels(work, schedule, staying, tiles, &chunks)
            }
            _ => self.by_rows(work, tiles, &chunks),
        };
        self.cache.pin(None);
        done
    }

    /// Computes some columns of some row tiles of a cluster without reductions.
    pub(super) fn run_columns(&mut self, work: &mut Work<'_>, tiles: &[(i64, i64)], columns: (i64, i64)) -> Result<()> {
        (work.collect, work.once) = (false, false);
        let staying = work.contractions.values().next().map(Contraction::staying);
        self.cache.pin(staying);
        let end = columns.0 + columns.1;
        for &r in tiles {
            for first in (columns.0..end).step_by(work.chunk.max(1) as usize) {
                let c = (first, work.chunk.min(end - first));
                self.chunk(work, &mut RowState::default(), r, c)?;
            }
        }
        self.cache.pin(None);
        Ok(())
    }

    /// Row tile by row tile.
    fn by_rows(&mut self, work: &mut Work<'_>, tiles: &[(i64, i64)], chunks: &[(i64, i64)]) -> Result<()> {
        // A right operand that one row tile reads goes by once.
        if tiles.len() == 1 && chunks.len() > 1 {
            self.abreast = self.banks_for(work.contractions.len());
        }
        for &r in tiles {
            let mut state = RowState::default();
            for &c in chunks {
                self.chunk(work, &mut state, r, c)?;
            }
            self.abreast = 1;
            self.finish_rows(work, &mut state, r, chunks)?;
        }
        debug_assert!(self.ahead.is_empty(), "columns that nobody asked for");
        self.ahead.clear();
        Ok(())
    }

    /// Operands, results and geometry of a cluster.
    pub(super) fn prepare_cluster<'c>(&mut self, cluster: &'c Cluster) -> Result<Work<'c>> {
        let first = cluster.ops.first();
        let index = first
            .and_then(|op| self.plan.cluster_of[op.index()])
            .unwrap_or_default();
        self.prepare(cluster, index)
    }

    /// The convolution of a cluster that goes by spans, and the cluster's row tiles.
    pub(super) fn spanned(&self, work: &Work<'_>) -> Result<(Convolved, Vec<(i64, i64)>)> {
        let convolved = work.convolutions.values().next().cloned();
        let convolved = convolved.ok_or_else(|| Diagnostic::bug("a run of images has another contraction"))?;
        Ok((convolved, self.row_tiles(work, 0, work.rows)))
    }

    /// Span by span of the pixels of some images of a convolution, in each all features: what comes next finds spans on chip as it
    /// wants them.
    pub(super) fn by_spans(
        &mut self,
        work: &mut Work<'_>,
        image: &Convolved,
        tiles: &[(i64, i64)],
        images: (i64, i64),
    ) -> Result<()> {
        for span in self.spans(image, images) {
            work.span = span;
            let chunks = self.chunks_of_span(image, span);
            work.chunk = chunks.iter().map(|c| c.1).max().unwrap_or(1);
            for &r in tiles {
                let mut state = RowState::default();
                for &c in &chunks {
                    self.chunk(work, &mut state, r, c)?;
                }
            }
        }
        Ok(())
    }

    /// In the order that keeps part of one operand on chip while the other goes by.
    fn by_panels(
        &mut self,
        work: &mut Work<'_>,
        schedule: Schedule,
        staying: Option<(StorageId, Form)>,
        tiles: &[(i64, i64)],
        chunks: &[(i64, i64)],
    ) -> Result<()> {
        let (rows, columns) = match schedule {
            Schedule::Columns(n) if n >= work.columns => return self.by_rows(work, tiles, chunks),
            Schedule::Columns(n) => (tiles.len(), (n / work.chunk.max(1)).max(1) as usize),
            Schedule::Rows(m) => ((m / tiles[0].1.max(1)).max(1) as usize, 1),
        };
        work.collect = false;
        work.once = false;
        let forget = |this: &mut Self| {
            if let Some((storage, form)) = staying {
                this.cache.drop_blocks(storage, form);
            }
        };
        for (i, tiles) in tiles.chunks(rows).enumerate() {
            if i > 0 {
                forget(self);
            }
            for (j, chunks) in chunks.chunks(columns).enumerate() {
                if j > 0 && columns > 1 {
                    forget(self);
                }
                for &r in tiles {
                    for &c in chunks {
                        self.chunk(work, &mut RowState::default(), r, c)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether the cluster has values per row, which need all columns of it at a time.
    pub(super) fn reduces(&self, work: &Work<'_>) -> bool {
        work.cluster.class.values().any(|&c| c == Class::Row)
    }

    /// Rows `first..end` in ranges of at most 128 rows; none crosses a border between batches.
    pub(super) fn row_tiles(&self, work: &Work<'_>, first: i64, end: i64) -> Vec<(i64, i64)> {
        let partitions = self.machine.limits.partitions as i64;
        let period = work.cluster.period.unwrap_or(work.rows).max(1);
        let mut tiles = Vec::new();
        let mut start = first;
        while start < end {
            let border = (start / period + 1) * period;
            let count = partitions.min(border - start).min(end - start);
            tiles.push((start, count));
            start += count;
        }
        tiles
    }

    /// Computes one chunk of one row tile.
    fn chunk(&mut self, work: &mut Work<'_>, state: &mut RowState, r: (i64, i64), c: (i64, i64)) -> Result<()> {
        let whole = c.1 == work.columns;
        let mut full: BTreeMap<ValueId, Val> = BTreeMap::new();
        let ops = work.cluster.ops.clone();
        for op in ops {
            self.loc = self.op_loc(op);
            let node = self.func.op(op).clone();
            let result = self.func.result(op);
            let class = work.cluster.class.get(&result).copied().unwrap_or(Class::Full);
            let dtype = self.supported(self.func.tensor(result).dtype, node.loc)?;
            if let Some(convolved) = work.convolutions.get(&op).cloned() {
                let view = self.convolution_rows(&convolved, r, c, dtype)?;
                let val = Val { view, row: c.1 == 1 };
                self.finish_full(work, state, result, val.clone(), r, c)?;
                full.insert(result, val);
                continue;
            }
            if let Some(contraction) = work.contractions.get(&op) {
                let contraction = contraction.clone();
                let val = self.contraction_rows(&contraction, r, c, dtype)?;
                self.finish_full(work, state, result, val.clone(), r, c)?;
                full.insert(result, val);
                continue;
            }
            if let OpKind::Reduce(_) = node.kind {
                self.reduce_chunk(work, state, &full, op, r, c)?;
                if whole {
                    self.combine_reduction(work, state, op, r, 1)?;
                }
                continue;
            }
            if class == Class::Row {
                if whole {
                    self.row_op(work, state, op, r)?;
                }
                continue;
            }
            let e = Extent { p: r.1, n: c.1 };
            let mut args = node
                .operands
                .iter()
                .map(|&v| self.argument(work, state, &full, v, Class::Full, r, c))
                .collect::<Result<Vec<Arg>>>()?;
            if let (OpKind::BitcastConvert, [Arg::Tile(Val { row: true, .. })]) = (&node.kind, &args[..]) {
                let from = self.func.tensor(node.operands[0]).dtype;
                args = vec![self.as_dtype(args.remove(0), from, Extent { p: r.1, n: 1 })];
            }
            self.wanted = self
                .collector(work, state, result, r)
                .map(|all| part(&all, 0, r.1, c.0 - work.span.0, c.1));
            let val = self.map_op(op, &args, e)?;
            self.wanted = None;
            self.finish_full(work, state, result, val.clone(), r, c)?;
            full.insert(result, val);
        }
        Ok(())
    }

    /// The tile that collects all columns of an output, where it is computed in chunks and a row fits.
    fn collector(&mut self, work: &Work<'_>, state: &mut RowState, result: ValueId, r: (i64, i64)) -> Option<View> {
        let dtype = self.storage(work.outputs.get(&result)?.storage).dtype;
        let fits = work.span.1 as usize * dtype.bytes() <= self.options.cache_bytes / 4;
        if !work.collect || !fits || work.chunk >= work.span.1 {
            return None;
        }
        if let Some(all) = state.collected.get(&result) {
            return Some(all.clone());
        }
        let all = self.sbuf(Extent { p: r.1, n: work.span.1 }, dtype, "rows");
        state.collected.insert(result, all.clone());
        Some(all)
    }

    /// After the last chunk: what depends on whole rows.
    fn finish_rows(
        &mut self,
        work: &mut Work<'_>,
        state: &mut RowState,
        r: (i64, i64),
        chunks: &[(i64, i64)],
    ) -> Result<()> {
        if chunks.len() == 1 {
            return Ok(());
        }
        for &op in &work.cluster.ops {
            self.loc = self.op_loc(op);
            let result = self.func.result(op);
            if matches!(self.func.op(op).kind, OpKind::Reduce(_)) {
                self.combine_reduction(work, state, op, r, chunks.len() as i64)?;
            } else if work.cluster.class.get(&result) == Some(&Class::Row) {
                self.row_op(work, state, op, r)?;
            }
        }
        Ok(())
    }

    /// Stores a full value if it is needed outside, collecting chunks into rows where rows fit.
    fn finish_full(
        &mut self,
        work: &mut Work<'_>,
        state: &mut RowState,
        result: ValueId,
        val: Val,
        r: (i64, i64),
        c: (i64, i64),
    ) -> Result<()> {
        let Some(blocks) = work.outputs.get(&result) else {
            return Ok(());
        };
        let dtype = self.storage(blocks.storage).dtype;
        let e = Extent { p: r.1, n: c.1 };
        let Some(all) = self.collector(work, state, result, r) else {
            let view = self.plain(&val, e, dtype);
            self.store_result(work, result, r, c, &view);
            return Ok(());
        };
        let place = part(&all, 0, r.1, c.0 - work.span.0, c.1);
        if val.view != place {
            let src = if val.row {
                super::block::repeat(&val.view, e.n)
            } else {
                val.view
            };
            self.inst(Inst::TensorCopy { dst: place, src });
        }
        if c.0 + c.1 == work.span.0 + work.span.1 {
            self.store_result(work, result, r, work.span, &all);
        }
        Ok(())
    }

    /// Stores a part of a result. What no operation reads later passes through the cache only.
    fn store_result(&mut self, work: &Work<'_>, result: ValueId, r: (i64, i64), c: (i64, i64), tile: &View) {
        let read_later = self.last_use[result.index()] > self.step;
        let before = self.cache.mark_passing(!read_later);
        self.store(&work.outputs[&result], r, c, tile);
        self.cache.mark_passing(before);
    }

    /// A value as a contiguous SBUF tile of a dtype.
    fn plain(&mut self, val: &Val, e: Extent, dtype: DType) -> View {
        let contiguous = val.view.dims == super::block::line(e.n);
        let in_sbuf = self.program.tile(val.view.tile).space == ferrite_ir::tile::Space::Sbuf;
        if contiguous && in_sbuf && val.view.dtype == dtype {
            return val.view.clone();
        }
        let dst = self.sbuf(e, dtype, "out");
        let src = if val.row {
            super::block::repeat(&val.view, e.n)
        } else {
            val.view.clone()
        };
        self.inst(Inst::TensorCopy { dst: dst.clone(), src });
        dst
    }
}
