//! Clusters that share batch indices run together, batch by batch.
//!
//! ```text
//! One after the other                          Interleaved
//!   for each head: p = softmax(q k)              for each head:
//!   for each head: o = p v                         p = softmax(q k)
//!                                                  o = p v
//! ```
//!
//! What one cluster of batched contractions leaves for the next then is on chip when it is read: the probabilities of one
//! head fit where those of all heads do not, and never reach memory. Only neighbours in the plan are joined, and only if
//! each reads of the others what belongs to the same batch index.
//!
//! Where one batch is too much as well (the probabilities of a long sequence), clusters of a batch go on in step, some rows
//! at a time, as long as each reads of the others the same rows, or sums along them as the moving operand of a contraction.

use std::collections::{BTreeMap, BTreeSet};

use ferrite_ir::diag::Result;
use ferrite_ir::tile::{BufferId, Touched};

use super::Lower;
use super::block::Blocks;
use super::cluster::Work;
use super::fuse::{Cluster, Node, Plan};
use super::view::{StorageId, ViewDim, ViewDims, merged};

/// Batches of a cluster of a batched contraction; 1 for the others.
fn batches(cluster: &Cluster) -> i64 {
    match (cluster.split, cluster.period) {
        (Some((rows, _)), Some(period)) if period > 0 && cluster.elements > 0 => rows / period,
        _ => 1,
    }
}

/// The dimensions inside those that together have `count` indices.
fn trailing(dims: &[ViewDim], count: i64) -> Option<ViewDims> {
    let mut left = count;
    let mut inner = ViewDims::new();
    for &d in dims {
        if left == 1 {
            inner.push(d);
        } else if left % d.extent == 0 {
            left /= d.extent;
        } else if d.extent % left == 0 {
            inner.push(ViewDim {
                extent: d.extent / left,
                ..d
            });
            left = 1;
        } else {
            return None;
        }
    }
    Some(inner)
}

/// The outer dimensions that together have `count` indices; `None` if no cut is there.
fn leading(dims: &[ViewDim], count: i64) -> Option<ViewDims> {
    let mut left = count;
    let mut outer = ViewDims::new();
    for &d in dims {
        if left == 1 {
            break;
        }
        if left % d.extent == 0 {
            outer.push(d);
            left /= d.extent;
        } else if d.extent % left == 0 {
            outer.push(ViewDim {
                extent: left,
                stride: d.stride * (d.extent / left),
            });
            left = 1;
        } else {
            return None;
        }
    }
    (left == 1).then(|| merged(&outer))
}

/// Where a result of a cluster lies, cut into its rows and columns.
struct Produced {
    offset: i64,
    rows: ViewDims,
    columns: ViewDims,
}

impl Produced {
    fn of(offset: i64, rows: &[ViewDim], columns: &[ViewDim]) -> Produced {
        Produced {
            offset,
            rows: merged(rows),
            columns: merged(columns),
        }
    }

    /// Whether a reader that cuts the same storage so finds in its row what the cluster wrote in the same row.
    fn is(&self, other: &Produced) -> bool {
        self.offset == other.offset && self.rows == other.rows && self.columns == other.columns
    }
}

/// One value per column of each batch, the same in all rows, as the cluster that computed one value per row cuts it.
fn along_columns(b: &Blocks, count: i64) -> Option<Produced> {
    let batch = leading(&b.rows, count)?;
    let inner = trailing(&b.rows, count)?;
    if inner.iter().any(|d| d.stride != 0 && d.extent > 1) {
        return None;
    }
    let rows: ViewDims = batch.iter().chain(&b.cols).copied().collect();
    Some(Produced::of(b.offset, &rows, &[]))
}

/// What of a run a cluster needs before it can compute a part of its own result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    /// For some rows, the same rows.
    Rows,
    /// For some columns, the rows of the same indices.
    Columns,
    /// All of the batch.
    All,
}

/// Neighbouring clusters of a group that can go through one batch in step, some rows at a time.
#[derive(Default)]
struct Run {
    /// Position of its first cluster in the group.
    first: usize,
    /// What each cluster needs of those before it.
    needs: Vec<Needs>,
    /// Results of its clusters.
    outputs: BTreeMap<StorageId, Produced>,
    /// Bytes per partition that one batch of these results takes.
    bytes: usize,
    /// Bytes per partition of the operands of contractions that every step needs as a whole.
    operands: usize,
}

impl Run {
    fn needs_of(&self, work: &Work<'_>, count: i64) -> Needs {
        if self.needs.last() == Some(&Needs::Columns) {
            return Needs::All;
        }
        let own = |storage: StorageId| self.outputs.get(&storage);
        let mut needs = None;
        let mut want = |found: Needs| {
            let joined = needs.is_none_or(|n| n == found);
            needs = Some(if joined { found } else { Needs::All });
        };
        for b in work.outside.values() {
            if let Some(produced) = own(b.storage) {
                if produced.is(&Produced::of(b.offset, &b.rows, &b.cols)) {
                    want(Needs::Rows);
                } else if along_columns(b, count).is_some_and(|read| produced.is(&read)) {
                    want(Needs::Columns);
                } else {
                    want(Needs::All);
                }
            }
        }
        for c in work.contractions.values() {
            for (operand, way) in [(&c.lhs, Needs::Rows), (&c.rhs, Needs::Columns)] {
                if let Some(produced) = own(operand.view.storage) {
                    let (rows, columns) = operand.rows_and_columns();
                    let same = produced.is(&Produced::of(operand.view.offset, &rows, columns));
                    want(if same { way } else { Needs::All });
                }
            }
        }
        needs.unwrap_or(Needs::All)
    }
}

/// Clusters that run together.
struct Group<'c> {
    count: i64,
    /// With their steps in the plan.
    works: Vec<(usize, Work<'c>)>,
    /// Batch dimensions of what the clusters compute.
    outputs: BTreeMap<StorageId, Option<ViewDims>>,
    runs: Vec<Run>,
}

impl<'c> Group<'c> {
    fn new(count: i64) -> Group<'c> {
        Group {
            count,
            works: Vec::new(),
            outputs: BTreeMap::new(),
            runs: Vec::new(),
        }
    }

    /// Whether the cluster reads results of the group, each at its own batch index only.
    fn feeds(&self, work: &Work<'_>) -> bool {
        let mut reads = false;
        let mut fits = |storage: StorageId, dims: Option<ViewDims>| match self.outputs.get(&storage) {
            Some(produced) => {
                reads = true;
                produced.is_some() && *produced == dims
            }
            None => true,
        };
        let outside = work
            .outside
            .values()
            .all(|b| fits(b.storage, leading(&b.rows, self.count)));
        let operands = work.contractions.values().flat_map(|c| [&c.lhs, &c.rhs]);
        let contracted = operands
            .into_iter()
            .all(|o| fits(o.view.storage, leading(&o.batch, self.count)));
        outside && contracted && reads
    }
}

impl Lower<'_> {
    /// Lowers the cluster at `step` of the plan with those that follow it and can run with it; how many they are.
    pub(super) fn batch_by_batch(&mut self, plan: &Plan, step: usize) -> Result<usize> {
        let Some(Node::Cluster(first)) = plan.nodes.get(step) else {
            return Ok(0);
        };
        let count = batches(&plan.clusters[*first]);
        if count <= 1 {
            self.cluster(&plan.clusters[*first])?;
            return Ok(1);
        }
        let mut group = Group::new(count);
        if let Some(work) = self.open_cluster(&plan.clusters[*first])? {
            self.join(&mut group, step, work);
        }
        let mut next = step + 1;
        while let Some(Node::Cluster(index)) = plan.nodes[..self.stop].get(next) {
            let cluster = &plan.clusters[*index];
            if batches(cluster) != count {
                break;
            }
            let (start, cache) = (self.program.ops.len(), self.cache.clone());
            self.step = next;
            let opened = self.open_cluster(cluster)?;
            let at = next;
            next += 1;
            let Some(work) = opened else { continue };
            if group.feeds(&work) && !self.reads_any(start, group.outputs.keys()) {
                self.join(&mut group, at, work);
                continue;
            }
            // What was prepared for it reads what the group computes: it comes after the group.
            let prepared = self.program.ops.split_off(start);
            if !prepared.is_empty() {
                self.cache = cache;
            }
            self.run_group(group)?;
            if !prepared.is_empty() {
                self.cache.clear();
            }
            self.program.ops.extend(prepared);
            group = Group::new(count);
            self.join(&mut group, at, work);
        }
        self.run_group(group)?;
        Ok(next - step)
    }

    /// What a cluster needs of the last run of a group.
    fn needs(&self, group: &Group<'_>, work: &Work<'_>) -> Needs {
        match group
            .runs
            .last()
            .map_or(Needs::All, |run| run.needs_of(work, group.count))
        {
            Needs::Columns if self.reduces(work) => Needs::All,
            needs => needs,
        }
    }

    fn join<'c>(&self, group: &mut Group<'c>, step: usize, work: Work<'c>) {
        let needs = self.needs(group, &work);
        if needs == Needs::All {
            group.runs.push(Run {
                first: group.works.len(),
                ..Run::default()
            });
        }
        let partitions = self.machine.limits.partitions as i64;
        let tiles = (work.rows / group.count + partitions - 1) / partitions;
        for blocks in work.outputs.values() {
            let dims = leading(&blocks.rows, group.count);
            let same = group.outputs.get(&blocks.storage).is_none_or(|old| *old == dims);
            group.outputs.insert(blocks.storage, dims.filter(|_| same));
            if let Some(run) = group.runs.last_mut() {
                let produced = Produced::of(blocks.offset, &blocks.rows, &blocks.cols);
                let columns: i64 = blocks.cols.iter().map(|d| d.extent).product();
                run.bytes += (tiles * columns) as usize * self.storage(blocks.storage).dtype.bytes();
                run.outputs.insert(blocks.storage, produced);
            }
        }
        if let Some(run) = group.runs.last_mut() {
            run.needs.push(needs);
            for c in work.contractions.values() {
                let whole = if needs == Needs::Columns { &c.lhs } else { &c.rhs };
                run.operands += whole.bytes_on_chip(partitions);
            }
        }
        group.works.push((step, work));
    }

    fn run_group(&mut self, mut group: Group<'_>) -> Result<()> {
        self.growing = group.outputs.keys().copied().collect();
        for batch in 0..group.count {
            for run in &group.runs {
                let works = &mut group.works[run.first..run.first + run.needs.len()];
                // What is small enough stays on chip as a whole, and the engines switch less between kinds of work.
                let room = self.options.cache_bytes;
                if works.len() > 1 && run.bytes > room / 4 && run.operands <= room / 2 {
                    self.in_step(works, &run.needs, group.count, batch)?;
                    continue;
                }
                for (step, work) in works {
                    self.step = *step;
                    let period = work.rows / group.count;
                    let tiles = self.row_tiles(work, batch * period, (batch + 1) * period);
                    self.run_tiles(work, &tiles)?;
                }
            }
        }
        self.growing.clear();
        Ok(())
    }

    /// Goes through one batch some rows at a time: each cluster computes what these rows allow.
    fn in_step(&mut self, works: &mut [(usize, Work<'_>)], needs: &[Needs], count: i64, batch: i64) -> Result<()> {
        let period = works[0].1.rows / count;
        let at_a_time = match needs.last() {
            Some(Needs::Columns) => self.bank_columns(),
            _ => self.machine.limits.partitions as i64,
        };
        let mut whole = Vec::new();
        for ((_, work), needs) in works.iter().zip(needs) {
            for c in work.contractions.values() {
                whole.push(if *needs == Needs::Columns { &c.lhs } else { &c.rhs }.blocks());
            }
        }
        self.cache.hold(whole);
        for first in (0..period).step_by(at_a_time as usize) {
            let some = at_a_time.min(period - first);
            for ((step, work), needs) in works.iter_mut().zip(needs) {
                self.step = *step;
                let own = work.rows / count;
                if *needs == Needs::Columns {
                    let tiles = self.row_tiles(work, batch * own, (batch + 1) * own);
                    self.run_columns(work, &tiles, (first, some))?;
                } else {
                    let start = batch * own + first;
                    let tiles = self.row_tiles(work, start, start + some);
                    self.run_tiles(work, &tiles)?;
                }
            }
        }
        self.cache.hold(Vec::new());
        Ok(())
    }

    /// Whether operations from `start` on touch one of the storages.
    fn reads_any<'s>(&self, start: usize, storages: impl Iterator<Item = &'s StorageId>) -> bool {
        let buffers: BTreeSet<BufferId> = storages.map(|&s| self.storage(s).buffer).collect();
        self.program.ops[start..].iter().any(|op| {
            let mut any = false;
            op.for_each(|_, touched| {
                any |= match touched {
                    Touched::Hbm(access) => buffers.contains(&access.buffer),
                    Touched::Buffer(buffer) => buffers.contains(&buffer),
                    Touched::Tile(_) => false,
                };
            });
            any
        })
    }
}
