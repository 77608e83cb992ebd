//! Runs of operations on images, a few images at a time.
//!
//! What convolutions and pooling make of a batch does not fit on chip where the images are large. A run of them takes some
//! images through all of its operations before it takes the next ones, so that only what leaves the run goes to memory; its
//! weights stay on chip for that time. Runs are as long as weights and images fit.

use std::collections::{BTreeMap, BTreeSet};

use ferrite_ir::diag::Result;
use ferrite_ir::hlo::{OpId, OpKind, ValueId};

use super::cluster::Work;
use super::convolution::Convolved;
use super::fuse::{Class, Node, Plan, is_control};
use super::pool::Pool;
use super::{Lower, device_dtype};
use crate::hlo::legalize::window::is_image_window;
use crate::hlo::orient_convolutions::is_oriented;

/// Pixels that a multiplication should have left when a batch is cut (our choice: half of a PSUM bank on v2).
const BANKS_PER_GROUP: i64 = 2;

/// Runs that are on chip at a time: images begin while those before them end (our choice; ResNet-50 at batch 16 takes 3.99 ms
/// with one, 3.39 with two and 4.31 with three, simulated on inf2).
const RUNS_ON_CHIP: i64 = 2;

/// A run.
pub(super) struct Run {
    /// Steps of the plan that come first: what images are multiplied with.
    before: Vec<usize>,
    /// Steps of the plan that take images.
    images: Vec<usize>,
    /// Images of the batch, and how many of them go through the run at a time.
    batch: i64,
    group: i64,
    /// First step after the run.
    pub end: usize,
}

/// A step of a run, ready to take images.
enum Taker<'p> {
    Cluster(Box<(Work<'p>, Convolved)>, Vec<(i64, i64)>),
    Pool(Box<Pool>),
}

/// What a step of a run needs on chip, in bytes per partition.
struct Need {
    weights: i64,
    /// Values that it makes, for one image.
    made: Vec<(ValueId, i64)>,
    /// Pixels of the result of one image.
    pixels: i64,
    batch: i64,
}

impl Lower<'_> {
    /// The run that begins at a step of the plan, if the batch must be cut there.
    pub(super) fn image_run(&self, plan: &Plan, start: usize) -> Option<Run> {
        let first = self.need(plan, start)?;
        if first.batch == 1 {
            return None;
        }
        let limit = self.options.cache_bytes as i64 / RUNS_ON_CHIP;
        let (mut before, mut images) = (Vec::new(), Vec::new());
        let mut needs: Vec<Need> = Vec::new();
        let mut inside: BTreeSet<ValueId> = BTreeSet::new();
        let mut best = None;
        for step in start..self.stop {
            let members = members(plan, step);
            if members.iter().any(|&op| is_control(&self.func.op(op).kind)) {
                break;
            }
            let reads: Vec<ValueId> = members
                .iter()
                .flat_map(|&op| self.graph.reads(op))
                .map(|v| self.graph.trace(v).0)
                .collect();
            let Some(need) = self.need(plan, step).filter(|n| n.batch == first.batch) else {
                // A move may update a buffer that images were read from.
                if matches!(plan.nodes[step], Node::Move(_)) || reads.iter().any(|v| inside.contains(v)) {
                    break;
                }
                before.push(step);
                continue;
            };
            // Images are read as they lie: a copy would have to wait for all of them.
            let renamed = members.iter().flat_map(|&op| self.graph.reads(op)).any(|v| {
                let (base, chain) = self.graph.trace(v);
                inside.contains(&base) && !chain.is_empty()
            });
            if renamed {
                break;
            }
            inside.extend(need.made.iter().map(|m| m.0));
            inside.extend(members.iter().map(|&op| self.func.result(op)));
            needs.push(need);
            images.push(step);
            let Some(group) = self.group_of(plan, &images, &needs, limit) else {
                break;
            };
            best = Some((group, images.len(), before.len(), step + 1));
        }
        let (group, count, early, end) = best?;
        if group == first.batch || count < 2 {
            return None;
        }
        images.truncate(count);
        before.truncate(early);
        // What stands between the last image step and the end of the run belongs to what follows.
        before.retain(|&s| s < end);
        Some(Run {
            before,
            images,
            batch: first.batch,
            group,
            end,
        })
    }

    /// The most images that fit together with the weights of some steps; `None` if too few do.
    fn group_of(&self, plan: &Plan, images: &[usize], needs: &[Need], limit: i64) -> Option<i64> {
        let batch = needs.first()?.batch;
        let weights: i64 = needs.iter().map(|n| n.weights).sum();
        // Bytes of one image on chip after each step, from the step that makes a value to the last one that reads it.
        let mut last: BTreeMap<ValueId, usize> = BTreeMap::new();
        for (i, &step) in images.iter().enumerate() {
            for v in members(plan, step).iter().flat_map(|&op| self.graph.reads(op)) {
                last.insert(self.graph.trace(v).0, i);
            }
        }
        let mut peak = 1;
        let mut alive: Vec<(usize, i64)> = Vec::new();
        for (i, need) in needs.iter().enumerate() {
            for (v, bytes) in &need.made {
                alive.push((last.get(v).copied().unwrap_or(i), *bytes));
            }
            peak = peak.max(alive.iter().map(|a| a.1).sum::<i64>());
            alive.retain(|a| a.0 > i);
        }
        let fewest = needs.iter().map(|n| n.pixels).min().unwrap_or(1).max(1);
        let enough = (self.bank_columns() / BANKS_PER_GROUP).min(fewest * batch);
        (1..=batch)
            .rev()
            .filter(|g| batch % g == 0)
            .find(|g| weights + peak * g <= limit)
            .filter(|g| g * fewest >= enough)
    }

    /// What a step needs, if it takes images one by one.
    fn need(&self, plan: &Plan, step: usize) -> Option<Need> {
        let partitions = self.machine.limits.partitions as i64;
        let blocks = |features: i64| (features + partitions - 1) / partitions;
        let members = members(plan, step);
        let made = |members: &[OpId], batch: i64| -> Vec<(ValueId, i64)> {
            let results = members.iter().map(|&op| self.func.result(op));
            results
                .filter(|v| plan.escapes[v.index()])
                .map(|v| {
                    let ty = self.func.tensor(v);
                    let each = ty.element_count() as i64 / (ty.shape[0] * batch).max(1);
                    (v, blocks(ty.shape[0]) * each * device_dtype(ty.dtype).bytes() as i64)
                })
                .collect()
        };
        match plan.nodes[step] {
            Node::Cluster(index) => {
                let cluster = &plan.clusters[index];
                let &op = cluster.ops.first()?;
                let OpKind::Convolution(conv) = &self.func.op(op).kind else {
                    return None;
                };
                if !is_oriented(conv) || cluster.class.values().any(|&c| c == Class::Row) {
                    return None;
                }
                let shape = &self.func.tensor(self.func.result(op)).shape;
                let ranked = |&op: &OpId| self.func.tensor(self.func.result(op)).shape == *shape;
                if shape.contains(&0) || !cluster.ops.iter().all(ranked) {
                    return None;
                }
                let kernel = self.func.tensor(self.func.op(op).operands[1]);
                let inputs = kernel.shape[conv.dims.kernel_input_feature as usize];
                let weights = blocks(inputs) * (kernel.element_count() as i64 / inputs.max(1));
                Some(Need {
                    weights: weights * device_dtype(kernel.dtype).bytes() as i64,
                    made: made(members, shape[1]),
                    pixels: shape[2..].iter().product(),
                    batch: shape[1],
                })
            }
            Node::Move(op) => {
                if !is_image_window(self.func, op) {
                    return None;
                }
                let shape = &self.func.tensor(self.func.result(op)).shape;
                let joined = shape[0] < shape[1];
                (!joined).then(|| Need {
                    weights: 0,
                    made: made(members, shape[1]),
                    pixels: shape[2..].iter().product(),
                    batch: shape[1],
                })
            }
        }
    }

    /// The images that no step after this one reads.
    fn images_last_read(&self, plan: &Plan, step: usize) -> Vec<ValueId> {
        let mut found = Vec::new();
        for &op in members(plan, step) {
            let node = self.func.op(op);
            let first = matches!(node.kind, OpKind::Convolution(_) | OpKind::ReduceWindow(_));
            let images = if first { &node.operands[..1] } else { &node.operands[..] };
            let shape = &self.func.tensor(self.func.result(op)).shape;
            for &v in images {
                // Next to an image all of its size are images; what is repeated over one is not.
                let (base, chain) = self.graph.trace(v);
                let alike = first || chain.is_empty() && self.func.tensor(v).shape == *shape;
                if alike && self.last_use[base.index()] == step {
                    found.push(base);
                }
            }
        }
        found
    }

    /// Lowers a run.
    pub(super) fn lower_run(&mut self, plan: &Plan, run: &Run) -> Result<()> {
        for &step in &run.before {
            self.step = step;
            match plan.nodes[step] {
                Node::Cluster(index) => self.cluster(&plan.clusters[index])?,
                Node::Move(op) => self.move_op(op)?,
            }
        }
        self.group = Some(run.group);
        let mut takers = Vec::new();
        for &step in &run.images {
            self.step = step;
            takers.push(match plan.nodes[step] {
                Node::Cluster(index) => {
                    let work = self.prepare_cluster(&plan.clusters[index])?;
                    let (convolved, tiles) = self.spanned(&work)?;
                    Taker::Cluster(Box::new((work, convolved)), tiles)
                }
                Node::Move(op) => Taker::Pool(Box::new(self.prepare_pool(op)?)),
            });
        }
        for image in (0..run.batch).step_by(run.group as usize) {
            for (taker, &step) in takers.iter_mut().zip(&run.images) {
                self.step = step;
                match taker {
                    Taker::Cluster(opened, tiles) => {
                        let (work, convolved) = &mut **opened;
                        self.by_spans(work, convolved, tiles, (image, run.group))?;
                    }
                    Taker::Pool(pool) => self.pool_images(pool, (image, run.group))?,
                }
                // These images are done with: what they leave on chip would push out the weights that the next ones need.
                for v in self.images_last_read(plan, step) {
                    if let Some(view) = &self.views[v.index()] {
                        self.cache.forget(view.storage);
                    }
                }
            }
        }
        self.group = None;
        Ok(())
    }
}

/// The operations of a step.
fn members(plan: &Plan, step: usize) -> &[OpId] {
    match &plan.nodes[step] {
        Node::Cluster(c) => &plan.clusters[*c].ops,
        Node::Move(op) => std::slice::from_ref(op),
    }
}
