//! What a cluster has before its loops: geometry, operands from outside, places for results.

use std::collections::BTreeMap;

use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{OpId, OpKind, ValueId};

use super::Work;
use crate::hlo::orient_convolutions::is_oriented;
use crate::lower::Lower;
use crate::lower::fuse::{Access, Class, Cluster, access};
use crate::lower::view::StridedView;

impl Lower<'_> {
    /// A cluster without elements still defines its results; a reduction over nothing gives its initial value.
    pub(super) fn empty_results(&mut self, cluster: &Cluster) -> Result<()> {
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
    pub(super) fn prepare<'c>(&mut self, cluster: &'c Cluster, index: usize) -> Result<Work<'c>> {
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
                let class = work.cluster.class.get(&result).copied().unwrap_or(Class::Full);
                let dtype = self.supported(ty.dtype, self.op_loc(op))?;
                let dtype = self.narrower(op, class).unwrap_or(dtype);
                let view = self.result_storage(result, dtype);
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

    /// The narrower float that a result is converted from, if it may lie in memory as that: conversions that widen are exact,
    /// and whatever engines read or the PE array takes they convert on the way.
    fn narrower(&self, op: OpId, class: Class) -> Option<DType> {
        let node = self.func.op(op);
        let result = self.func.result(op);
        let (to, from) = match node.kind {
            OpKind::Convert => (self.func.tensor(result).dtype, self.func.tensor(node.operands[0]).dtype),
            _ => return None,
        };
        let widens = to == DType::F32 && matches!(from, DType::BF16 | DType::F16);
        // A value per row is a scalar operand, which is fp32.
        (widens && class == Class::Full && self.read_by_clusters(result)).then_some(from)
    }

    /// Whether clusters alone read a value, as a number.
    fn read_by_clusters(&self, value: ValueId) -> bool {
        let by_cluster = |&user: &OpId| {
            if self.graph.is_lazy(user) {
                return self.read_by_clusters(self.func.result(user));
            }
            let takes_bits = matches!(self.func.op(user).kind, OpKind::BitcastConvert);
            !takes_bits && self.plan.cluster_of[user.index()].is_some()
        };
        !self.returned[value.index()] && self.users[value.index()].iter().all(by_cluster)
    }

    /// A storage for a result, with the view of the value in it. A value that is only ever read transposed is stored in
    /// the order of its reader.
    pub(in crate::lower) fn result_storage(&mut self, result: ValueId, dtype: DType) -> StridedView {
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
}
