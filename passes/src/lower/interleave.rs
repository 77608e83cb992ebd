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

use std::collections::{BTreeMap, BTreeSet};

use ferrite_ir::diag::Result;
use ferrite_ir::tile::{BufferId, Touched};

use super::Lower;
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

/// Clusters that run together.
struct Group<'c> {
    count: i64,
    /// With their steps in the plan.
    works: Vec<(usize, Work<'c>)>,
    /// Batch dimensions of what the clusters compute.
    outputs: BTreeMap<StorageId, Option<ViewDims>>,
}

impl<'c> Group<'c> {
    fn new(count: i64) -> Group<'c> {
        Group {
            count,
            works: Vec::new(),
            outputs: BTreeMap::new(),
        }
    }

    fn push(&mut self, step: usize, work: Work<'c>) {
        for blocks in work.outputs.values() {
            let dims = leading(&blocks.rows, self.count);
            let same = self.outputs.get(&blocks.storage).is_none_or(|old| *old == dims);
            self.outputs.insert(blocks.storage, dims.filter(|_| same));
        }
        self.works.push((step, work));
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
            group.push(step, work);
        }
        let mut next = step + 1;
        while let Some(Node::Cluster(index)) = plan.nodes.get(next) {
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
                group.push(at, work);
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
            group.push(at, work);
        }
        self.run_group(group)?;
        Ok(next - step)
    }

    fn run_group(&mut self, mut group: Group<'_>) -> Result<()> {
        for batch in 0..group.count {
            for (step, work) in &mut group.works {
                self.step = *step;
                let period = work.rows / group.count;
                let tiles = self.row_tiles(work, batch * period, (batch + 1) * period);
                self.run_tiles(work, &tiles)?;
            }
        }
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
