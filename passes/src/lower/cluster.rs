//! The loop over row tiles and column chunks of a cluster.
//!
//! A tile has up to 128 rows. Where a row must be on chip as a whole (a full value depends on a reduction of its row),
//! there is one chunk with all columns; otherwise columns go by in chunks, and reductions combine the chunks' parts.
//! A contraction whose operands do not both stay on chip goes by panels of one of them, see `contraction`.

use std::collections::BTreeMap;

use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{BinaryOp, OpId, OpKind, ValueId};
use ferrite_ir::tile::{Inst, View};

use super::block::{Blocks, Form, part};
use super::contraction::{Contraction, Schedule};
use super::convolution::Convolved;
use super::elementwise::{Arg, Extent, Val};
use super::fuse::{Access, Class, Cluster, access, reducer};
use super::view::{StorageId, StridedView};
use super::{Lower, device_dtype};
use crate::hlo::orient_convolutions::is_oriented;

/// Bytes of a row that come alone as well as with their neighbours (our choice: a descriptor's fixed time is lost in them).
const CHUNK_BYTES: usize = 512;

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

    /// A cluster without elements still defines its results; a reduction over nothing gives its initial value.
    fn empty_results(&mut self, cluster: &Cluster) -> Result<()> {
        for &op in &cluster.ops {
            let result = self.func.result(op);
            let ty = self.func.tensor(result).clone();
            if ty.element_count() > 0 && matches!(self.func.op(op).kind, OpKind::Reduce(_)) {
                let init = self.view_of(self.func.op(op).operands[1])?;
                self.views[result.index()] = Some(init.broadcast(&ty.shape, &[]));
                continue;
            }
            let dtype = self.supported(ty.dtype, self.op_loc(op))?;
            let storage = self.scratch("empty", dtype, ty.element_count() as i64);
            if ty.element_count() > 0 {
                // A contraction over nothing is zero.
                let zero = self.constant(&ferrite_ir::literal::Literal::splat_i64(ty.clone(), 0));
                self.copy(&zero, &StridedView::contiguous(storage, &ty.shape))?;
            }
            self.views[result.index()] = Some(StridedView::contiguous(storage, &ty.shape));
        }
        Ok(())
    }

    /// Chooses the geometry, allocates results, finds operands.
    fn prepare<'c>(&mut self, cluster: &'c Cluster, index: usize) -> Result<Work<'c>> {
        let (rows, columns) = match cluster.split {
            Some(split) => split,
            None => self.choose_split(cluster, index)?,
        };
        let mut work = Work {
            cluster,
            index,
            rows,
            columns,
            chunk: columns,
            collect: true,
            once: true,
            outputs: BTreeMap::new(),
            contractions: BTreeMap::new(),
            convolutions: BTreeMap::new(),
            span: (0, columns),
            outside: BTreeMap::new(),
        };
        for &op in &cluster.ops {
            self.loc = self.op_loc(op);
            let node = self.func.op(op).clone();
            if let OpKind::Convolution(conv) = &node.kind
                && is_oriented(conv)
            {
                let convolved = self.convolved(op)?;
                work.convolutions.insert(op, convolved);
                continue;
            }
            if matches!(node.kind, OpKind::DotGeneral(_) | OpKind::Convolution(_)) {
                let contraction = self.contraction(op)?;
                work.contractions.insert(op, contraction);
                continue;
            }
            let operands = if matches!(node.kind, OpKind::Reduce(_)) {
                &node.operands[..1]
            } else {
                &node.operands[..]
            };
            for &v in operands {
                self.bind_operand(&mut work, op, v)?;
            }
        }
        self.bind_results(&mut work)?;
        work.chunk = self.chunk_columns(&work);
        Ok(work)
    }

    /// Cuts the view of an operand from outside.
    fn bind_operand(&mut self, work: &mut Work<'_>, op: OpId, v: ValueId) -> Result<()> {
        if access(self.graph, &self.plan, work.index, v) != Some(Access::Outside) || self.splat_of(v).is_some() {
            return Ok(());
        }
        let node = self.func.op(op);
        let class = match &node.kind {
            OpKind::Reduce(_) => Class::Full,
            _ => work
                .cluster
                .class
                .get(&self.func.result(op))
                .copied()
                .unwrap_or(Class::Full),
        };
        if work.outside.contains_key(&(v, class)) {
            return Ok(());
        }
        let mut view = self.view_of(v)?;
        if let OpKind::Reduce(reduce) = &node.kind {
            // Reduced dimensions last; the order among the kept ones stays.
            let rank = view.dims.len() as i64;
            let kept = (0..rank).filter(|d| !reduce.dimensions.contains(d));
            let removed = (0..rank).filter(|d| reduce.dimensions.contains(d));
            let permutation: Vec<i64> = kept.chain(removed).collect();
            view = view.transpose(&permutation);
        }
        let rows = work.rows;
        let blocks = match self.blocks(&view, rows) {
            Some(blocks) => blocks,
            None => {
                let copy = self.contiguous_copy(&view)?;
                let flat = match class {
                    Class::Full => copy.reshape(&[rows, work.columns]),
                    Class::Row => copy.reshape(&[rows]),
                };
                flat.and_then(|f| self.blocks(&f, rows))
                    .ok_or_else(|| Diagnostic::bug("a contiguous value splits at any row count"))?
            }
        };
        work.outside.insert((v, class), blocks);
        Ok(())
    }

    /// Gives every value that is needed outside a storage.
    fn bind_results(&mut self, work: &mut Work<'_>) -> Result<()> {
        for &op in &work.cluster.ops {
            for &result in &self.func.op(op).results {
                if !self.plan.escapes[result.index()] {
                    continue;
                }
                let ty = self.func.tensor(result).clone();
                let dtype = self.supported(ty.dtype, self.op_loc(op))?;
                let view = self.result_storage(result, dtype);
                let class = work.cluster.class.get(&result).copied().unwrap_or(Class::Full);
                let Some(blocks) = self.blocks(&view, work.rows) else {
                    // The storage order chosen for the reader cannot be written by rows: row-major always can.
                    let storage = self.scratch("value", dtype, ty.element_count() as i64);
                    let view = StridedView::contiguous(storage, &ty.shape);
                    let shape: &[i64] = match class {
                        Class::Full => &[work.rows, work.columns],
                        Class::Row => &[work.rows],
                    };
                    let blocks = view.reshape(shape).and_then(|f| self.blocks(&f, work.rows));
                    let blocks = blocks.ok_or_else(|| Diagnostic::bug("a contiguous value splits at any row count"))?;
                    self.views[result.index()] = Some(view);
                    work.outputs.insert(result, blocks);
                    continue;
                };
                self.views[result.index()] = Some(view);
                work.outputs.insert(result, blocks);
            }
        }
        for blocks in work.outputs.values() {
            if let Some(group) = self.group {
                self.units.insert(blocks.storage, group);
            }
        }
        Ok(())
    }

    /// A storage for a result, with the view of the value in it. A value that is only ever read transposed is stored in
    /// the order of its reader.
    pub(super) fn result_storage(&mut self, result: ValueId, dtype: DType) -> StridedView {
        let ty = self.func.tensor(result).clone();
        let storage = self.scratch("value", dtype, ty.element_count() as i64);
        match self.plan.only_transpose.get(&result) {
            Some(permutation) => {
                let shape: Vec<i64> = permutation.iter().map(|&d| ty.shape[d as usize]).collect();
                let mut inverse = vec![0; permutation.len()];
                for (i, &d) in permutation.iter().enumerate() {
                    inverse[d as usize] = i as i64;
                }
                StridedView::contiguous(storage, &shape).transpose(&inverse)
            }
            None => StridedView::contiguous(storage, &ty.shape),
        }
    }

    /// Rows and columns of a cluster that leaves them open: fill 128 partitions with rows as long as possible.
    fn choose_split(&mut self, cluster: &Cluster, index: usize) -> Result<(i64, i64)> {
        let n = cluster.elements;
        let partitions = self.machine.limits.partitions as i64;
        let mut candidates: Vec<i64> = vec![1, n];
        let mut views = Vec::new();
        for &op in &cluster.ops {
            let node = self.func.op(op).clone();
            let shape = &self.func.tensor(self.func.result(op)).shape;
            let mut columns = 1;
            for &extent in shape.iter().rev() {
                columns *= extent;
                candidates.push(columns);
            }
            for &v in &node.operands {
                if access(self.graph, &self.plan, index, v) == Some(Access::Outside) && self.splat_of(v).is_none() {
                    views.push(self.view_of(v)?);
                }
            }
        }
        for tiles in [1, 2, 4, 8, 16] {
            if n % (partitions * tiles) == 0 {
                candidates.push(n / (partitions * tiles));
            }
        }
        candidates.sort_unstable();
        candidates.dedup();
        // Cycles per tile of one instruction, its fixed part included, times the tiles.
        let fixed = (self.machine.vector.issue_overhead_cycles + self.machine.vector.min_ii_cycles) as i64;
        let cost = |columns: i64| {
            let rows = n / columns;
            (rows + partitions - 1) / partitions * (columns + fixed)
        };
        let fits =
            |columns: i64| columns > 0 && n % columns == 0 && views.iter().all(|v| v.split(n / columns).is_some());
        let best = candidates
            .iter()
            .copied()
            .filter(|&c| fits(c))
            .min_by_key(|&c| (cost(c), c));
        let columns = best.unwrap_or_else(|| {
            candidates
                .iter()
                .copied()
                .filter(|&c| c > 0 && n % c == 0)
                .min_by_key(|&c| (cost(c), c))
                .unwrap_or(n)
        });
        Ok((n / columns, columns))
    }

    /// Columns that go by at a time.
    fn chunk_columns(&self, work: &Work<'_>) -> i64 {
        if work.cluster.whole_rows {
            return work.columns;
        }
        if let Some(x) = work.convolutions.values().next() {
            return self.even_chunk(x);
        }
        if !work.contractions.is_empty() {
            // One PSUM bank; ragged widths are balanced.
            let bank = self.bank_columns();
            let pieces = (work.columns + bank - 1) / bank;
            return (work.columns + pieces - 1) / pieces.max(1);
        }
        // A tenth of a partition for each of the values alive at once, estimated by their number.
        let alive = (work.cluster.ops.len() as i64).clamp(4, 16);
        let bytes = self.machine.sbuf.usable_bytes_per_partition as i64 / 2 / alive;
        let chunk = (bytes / 4).clamp(1, work.columns.max(1));
        // Whole inner dimensions, so that what repeats along outer ones is seen to repeat.
        let mut whole = 1;
        for &op in &work.cluster.ops {
            let mut inner = 1;
            for &extent in self.func.tensor(self.func.result(op)).shape.iter().rev() {
                inner *= extent.max(1);
                if inner <= chunk && work.columns % inner == 0 {
                    whole = whole.max(inner);
                }
            }
        }
        chunk / whole * whole
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

    /// PSUM banks that each of some contractions may fill side by side: half of them are for others.
    fn banks_for(&self, contractions: usize) -> usize {
        (self.machine.psum.banks as usize / 2 / contractions.max(1)).max(1)
    }

    /// A contraction's rows and columns as one operand: a PSUM tile if it fits a bank, else collected in SBUF.
    fn contraction_rows(&mut self, x: &Contraction, r: (i64, i64), c: (i64, i64), dtype: DType) -> Result<Val> {
        let b = r.0 / x.m.max(1);
        let m = (r.0 - b * x.m, r.1);
        let bank = self.bank_columns();
        if c.1 <= bank && dtype.is_float() {
            let view = self.contract(x, b, m, c, self.abreast)?;
            return Ok(Val { view, row: c.1 == 1 });
        }
        let pieces = (c.1 + bank - 1) / bank;
        let width = (c.1 + pieces - 1) / pieces;
        let dst = self.sbuf(Extent { p: r.1, n: c.1 }, dtype, "dot");
        for at in (0..c.1).step_by(width as usize) {
            let n = width.min(c.1 - at);
            let src = self.contract(x, b, m, (c.0 + at, n), self.banks_for(1))?;
            self.inst(Inst::TensorCopy {
                dst: part(&dst, 0, r.1, at, n),
                src,
            });
        }
        Ok(Val {
            view: dst,
            row: c.1 == 1,
        })
    }

    /// An operand of a member.
    #[allow(clippy::too_many_arguments)] // one request, spelled out
    fn argument(
        &mut self,
        work: &Work<'_>,
        state: &RowState,
        full: &BTreeMap<ValueId, Val>,
        v: ValueId,
        class: Class,
        r: (i64, i64),
        c: (i64, i64),
    ) -> Result<Arg> {
        if let Some(x) = self.splat_int_of(v) {
            return Ok(Arg::Integer(x));
        }
        if let Some(x) = self.splat_of(v) {
            return Ok(Arg::Number(x));
        }
        let missing =
            |base: ValueId| Diagnostic::bug(format!("value {} of a cluster was not computed in time", base.0));
        match access(self.graph, &self.plan, work.index, v) {
            Some(Access::Same(base)) => {
                let from = match class {
                    Class::Full => full.get(&base),
                    Class::Row => state.row.get(&base),
                };
                from.cloned().map(Arg::Tile).ok_or_else(|| missing(base))
            }
            Some(Access::RowToFull(base)) => {
                let val = state.row.get(&base).ok_or_else(|| missing(base))?;
                Ok(Arg::Tile(Val {
                    row: true,
                    ..val.clone()
                }))
            }
            Some(Access::Outside) => {
                let dtype = device_dtype(self.func.tensor(v).dtype);
                let blocks = work.outside.get(&(v, class)).ok_or_else(|| missing(v))?;
                let columns = if class == Class::Row { (0, 1) } else { c };
                // A row that repeats is read for every tile of rows.
                let varies = blocks.rows.iter().any(|d| d.stride != 0 && d.extent > 1);
                // In panels a row would come again for each of them: its chunks come one by one.
                let mut chunk_alone = class == Class::Full && !work.once;
                // Beside the operands of a contraction it would have to go before its last chunk is wanted.
                if class == Class::Full && varies && !work.contractions.is_empty() && work.chunk < work.columns {
                    chunk_alone |= c.1 as usize * dtype.bytes() >= CHUNK_BYTES;
                }
                let read_later = self.last_use[self.graph.trace(v).0.index()] > self.step;
                let passes = varies && !read_later && (work.once || chunk_alone);
                let before = self.cache.mark_passing(passes);
                let fetched = if class == Class::Full && !work.convolutions.is_empty() {
                    self.fetch_in_span(blocks, r, work.span, columns, dtype)
                } else if chunk_alone {
                    self.fetch_exact(blocks, r, columns, dtype)
                } else {
                    self.fetch(blocks, r, columns, dtype)
                };
                self.cache.mark_passing(before);
                let fetched = fetched?;
                Ok(Arg::Tile(Val {
                    view: fetched.view,
                    row: fetched.row,
                }))
            }
            None => Err(missing(v)),
        }
    }

    /// The part of a reduction that one chunk gives.
    fn reduce_chunk(
        &mut self,
        work: &mut Work<'_>,
        state: &mut RowState,
        full: &BTreeMap<ValueId, Val>,
        op: OpId,
        r: (i64, i64),
        c: (i64, i64),
    ) -> Result<()> {
        let node = self.func.op(op).clone();
        let result = self.func.result(op);
        let binary = self.reducer_of(op)?;
        let dtype = device_dtype(self.func.tensor(result).dtype);
        let e = Extent { p: r.1, n: c.1 };
        let operand = match self.argument(work, state, full, node.operands[0], Class::Full, r, c)? {
            Arg::Tile(val) if val.row => super::block::repeat(&val.view, e.n),
            Arg::Tile(val) => val.view,
            constant => self.column_of(&constant, e, dtype),
        };
        // Sums of narrow floats are kept in fp32 until the last chunk.
        let kept = if dtype.is_float() { DType::F32 } else { dtype };
        let nan = self.nan_matters(op);
        let part_view = self.reduce(binary, kept, &operand, nan, e)?;
        if c.1 == work.columns {
            state.partial.insert(result, part_view);
            return Ok(());
        }
        let chunks = (work.columns + work.chunk - 1) / work.chunk;
        let all = match state.partial.get(&result) {
            Some(all) => all.clone(),
            None => self.sbuf(Extent { p: r.1, n: chunks }, kept, "partial"),
        };
        state.partial.insert(result, all.clone());
        self.inst(Inst::TensorCopy {
            dst: part(&all, 0, r.1, c.0 / work.chunk, 1),
            src: part_view,
        });
        Ok(())
    }

    fn reducer_of(&self, op: OpId) -> Result<BinaryOp> {
        reducer(self.func, op).ok_or_else(|| {
            self.error_at(
                self.op_loc(op),
                ferrite_ir::diag::Code::Unsupported,
                "a `stablehlo.reduce` whose body is not one operation has no device lowering yet",
            )
            .help("write the body as add, multiply, maximum, minimum, and, or, xor")
        })
    }

    /// Combines the parts of a reduction with its initial value.
    fn combine_reduction(
        &mut self,
        work: &mut Work<'_>,
        state: &mut RowState,
        op: OpId,
        r: (i64, i64),
        chunks: i64,
    ) -> Result<()> {
        let result = self.func.result(op);
        let binary = self.reducer_of(op)?;
        let dtype = device_dtype(self.func.tensor(result).dtype);
        let parts = state
            .partial
            .get(&result)
            .cloned()
            .ok_or_else(|| Diagnostic::bug("a reduction without parts"))?;
        let mut view = parts;
        if chunks > 1 {
            let kept = view.dtype;
            let all = Extent { p: r.1, n: chunks };
            view = self.reduce(binary, kept, &view.clone(), self.nan_matters(op), all)?;
        }
        let one = Extent { p: r.1, n: 1 };
        let init = self.func.op(op).operands[1];
        let identity = match self.splat_of(init) {
            Some(x) => is_identity(binary, x, self.func.tensor(init).dtype),
            None => false,
        };
        let mut val = Val { view, row: true };
        if !identity {
            let init = match self
                .splat_int_of(init)
                .map(Arg::Integer)
                .or(self.splat_of(init).map(Arg::Number))
            {
                Some(arg) => arg,
                None => {
                    // A run-time scalar: repeated on every partition.
                    let scalar = self.view_of(init)?.broadcast(&[work.rows], &[]);
                    let blocks = self
                        .blocks(&scalar, work.rows)
                        .ok_or_else(|| Diagnostic::bug("a scalar splits"))?;
                    let fetched = self.fetch(&blocks, r, (0, 1), dtype)?;
                    Arg::Tile(Val {
                        view: fetched.view,
                        row: true,
                    })
                }
            };
            let kept = val.view.dtype;
            val = self.binary(binary, kept, &Arg::Tile(val), &init, one)?;
        }
        if val.view.dtype != dtype {
            // The largest and the smallest of narrow values are such values.
            let exact = matches!(binary, BinaryOp::Maximum | BinaryOp::Minimum) && row_dtype(dtype) == val.view.dtype;
            if !exact {
                val = self.column_as(val, dtype, one);
                val = self.column_as(val, row_dtype(dtype), one);
            }
        }
        self.finish_row(work, state, result, val, r);
        Ok(())
    }

    /// An element-wise operation on one value per row.
    fn row_op(&mut self, work: &mut Work<'_>, state: &mut RowState, op: OpId, r: (i64, i64)) -> Result<()> {
        let node = self.func.op(op).clone();
        let result = self.func.result(op);
        let none = BTreeMap::new();
        let args = node
            .operands
            .iter()
            .map(|&v| self.argument(work, state, &none, v, Class::Row, r, (0, 1)))
            .collect::<Result<Vec<Arg>>>()?;
        let e = Extent { p: r.1, n: 1 };
        let to = self.func.tensor(result).dtype;
        let from = self.func.tensor(node.operands[0]).dtype;
        let reads_bits = matches!(node.kind, OpKind::BitcastConvert);
        let val = if reads_bits || row_dtype(to) == to && row_dtype(from) == from {
            let narrow = args
                .into_iter()
                .map(|arg| self.as_dtype(arg, from, e))
                .collect::<Vec<_>>();
            self.map_op(op, &narrow, e)?
        } else {
            let wide = args
                .into_iter()
                .map(|arg| self.as_dtype(arg, row_dtype(from), e))
                .collect::<Vec<_>>();
            let val = self.map_op_as(op, &wide, (row_dtype(from), row_dtype(to)), e)?;
            let val = self.column_as(val, to, e);
            self.column_as(val, row_dtype(to), e)
        };
        self.finish_row(work, state, result, val, r);
        Ok(())
    }

    /// A column of floats in another float dtype.
    fn as_dtype(&mut self, arg: Arg, dtype: DType, e: Extent) -> Arg {
        match arg {
            Arg::Tile(val) => Arg::Tile(self.column_as(val, dtype, e)),
            other => other,
        }
    }

    fn column_as(&mut self, val: Val, dtype: DType, e: Extent) -> Val {
        if !val.view.dtype.is_float() || !dtype.is_float() || val.view.dtype == dtype {
            return val;
        }
        let dst = self.sbuf(e, dtype, "v");
        self.inst(Inst::TensorCopy {
            dst: dst.clone(),
            src: val.view,
        });
        Val { view: dst, ..val }
    }

    fn finish_row(&mut self, work: &mut Work<'_>, state: &mut RowState, result: ValueId, val: Val, r: (i64, i64)) {
        if let Some(blocks) = work.outputs.get(&result) {
            let dtype = self.storage(blocks.storage).dtype;
            let view = self.plain(&val, Extent { p: r.1, n: 1 }, dtype);
            self.store_result(work, result, r, (0, 1), &view);
        }
        state.row.insert(result, Val { row: true, ..val });
    }

    /// A constant as a repeated column.
    fn column_of(&mut self, constant: &Arg, e: Extent, dtype: DType) -> View {
        let dst = self.sbuf(e, dtype, "constant");
        let bits = Self::bits_of(constant, dtype);
        self.inst(Inst::Memset { dst: dst.clone(), bits });
        dst
    }

    /// An element-wise operation.
    fn map_op(&mut self, op: OpId, args: &[Arg], e: Extent) -> Result<Val> {
        let result = self.func.tensor(self.func.result(op)).dtype;
        let operand = self.func.tensor(self.func.op(op).operands[0]).dtype;
        self.map_op_as(op, args, (operand, result), e)
    }

    /// An element-wise operation whose operands and result have these dtypes on chip.
    fn map_op_as(&mut self, op: OpId, args: &[Arg], (operand, result): (DType, DType), e: Extent) -> Result<Val> {
        let node = self.func.op(op).clone();
        let (to, from) = (self.supported(result, node.loc)?, self.supported(operand, node.loc)?);
        match node.kind {
            OpKind::Unary(unary) => {
                if operand == DType::Bool {
                    // `not` on truth values, which are 0 or 1.
                    return self.binary(BinaryOp::Xor, to, &args[0], &Arg::Integer(1), e);
                }
                self.unary(unary, from, &args[0], self.hint(op), e)
            }
            OpKind::Binary(binary) => {
                let binary = match (operand, binary) {
                    // On truth values these are or and and.
                    (DType::Bool, BinaryOp::Add | BinaryOp::Maximum) => BinaryOp::Or,
                    (DType::Bool, BinaryOp::Multiply | BinaryOp::Minimum) => BinaryOp::And,
                    (_, other) => other,
                };
                let hint = self.hint(op);
                if hint.nearest_quotient && to.is_float() {
                    let dst = self.sbuf(e, to, "quotient");
                    self.divide(&dst, &args[0], &args[1], true, e);
                    return Ok(Val {
                        view: dst,
                        row: e.n == 1,
                    });
                }
                self.binary(binary, to, &args[0], &args[1], e)
            }
            OpKind::Compare(c) => self.compare(c.direction, c.compare_type, from, &args[0], &args[1], e),
            OpKind::Select => Ok(self.select(to, &args[0], &args[1], &args[2], e)),
            OpKind::Convert => self.convert(operand, result, &args[0], e),
            OpKind::CustomCall(call) => self.activation_call(&call.target, to, &args[0], e),
            OpKind::BitcastConvert if from.bytes() == to.bytes() => match &args[0] {
                Arg::Tile(val) => Ok(Val {
                    view: View {
                        dtype: to,
                        ..val.view.clone()
                    },
                    row: val.row,
                }),
                constant => {
                    let tile = self.column_of(constant, e, from);
                    Ok(Val {
                        view: View { dtype: to, ..tile },
                        row: e.n == 1,
                    })
                }
            },
            other => Err(self.error_at(
                node.loc,
                ferrite_ir::diag::Code::Unsupported,
                format!("`{}` between these dtypes has no device lowering yet", other.mnemonic()),
            )),
        }
    }
}

/// The dtype that a value per row has on chip: instructions take it as their scalar in fp32 only.
fn row_dtype(dtype: DType) -> DType {
    match dtype {
        DType::BF16 | DType::F16 => DType::F32,
        other => other,
    }
}

/// Whether `x` changes nothing as initial value of a reduction.
fn is_identity(op: BinaryOp, x: f64, dtype: DType) -> bool {
    match op {
        BinaryOp::Add | BinaryOp::Or | BinaryOp::Xor => x == 0.0,
        BinaryOp::Multiply => x == 1.0,
        BinaryOp::And => {
            if dtype == DType::Bool {
                x == 1.0
            } else {
                x == -1.0
            }
        }
        BinaryOp::Maximum if dtype.is_float() => x == f64::NEG_INFINITY,
        BinaryOp::Minimum if dtype.is_float() => x == f64::INFINITY,
        BinaryOp::Maximum => x == ferrite_ir::literal::int_range(dtype).0 as f64,
        BinaryOp::Minimum => x == ferrite_ir::literal::int_range(dtype).1 as f64,
        _ => false,
    }
}
