//! Where the steps of a plan repeat: the layers of a model.
//!
//! Between two layers nothing stays on chip, so that all of them are the same and can be one loop (see `layer_loop`). That
//! costs some loads, and is done only where a layer takes long. A layer begins where few bytes pass from one to the next.

use std::hash::{Hash, Hasher};

use ferrite_ir::hlo::{OpId, OpKind, Type, ValueId};
use ferrite_ir::machine::MachineModel;
use rustc_hash::FxHasher;

use super::fuse::{Graph, Node, Plan, is_control};
use crate::repeats::{Repeat, repeats};

pub(super) fn members(plan: &Plan, step: usize) -> &[OpId] {
    match &plan.nodes[step] {
        Node::Cluster(c) => &plan.clusters[*c].ops,
        Node::Move(op) => std::slice::from_ref(op),
    }
}

struct Steps<'a> {
    graph: &'a Graph<'a>,
    plan: &'a Plan,
    machine: &'a MachineModel,
}

impl Steps<'_> {
    /// Equal for steps that do the same to values of the same types. Control flow is like nothing else.
    fn print(&self, step: usize) -> Option<u64> {
        let func = self.graph.func;
        let mut state = FxHasher::default();
        for &op in members(self.plan, step) {
            let node = func.op(op);
            if is_control(&node.kind) {
                return None;
            }
            node.kind.mnemonic().hash(&mut state);
            for &value in node.results.iter().chain(&node.operands) {
                func.ty(value).hash(&mut state);
            }
        }
        Some(state.finish())
    }

    fn bytes(&self, value: ValueId) -> u64 {
        match self.graph.func.ty(value) {
            Type::Tensor(ty) => ty.byte_size() as u64,
            _ => 0,
        }
    }

    /// Least time of a step, picoseconds: that of its contractions on the PE array, and of the weights they read on their way
    /// from memory.
    fn least_ps(&self, step: usize) -> (u64, u64) {
        let func = self.graph.func;
        let (mut array, mut memory) = (0, 0);
        for &op in members(self.plan, step) {
            let node = func.op(op);
            let contracted = match &node.kind {
                OpKind::DotGeneral(dot) => {
                    let shape = &func.tensor(node.operands[0]).shape;
                    dot.dims.lhs_contracting.iter().map(|&d| shape[d as usize]).product()
                }
                OpKind::Convolution(conv) => {
                    let kernel = &func.tensor(node.operands[1]).shape;
                    let features = kernel[conv.dims.kernel_output_feature as usize].max(1);
                    kernel.iter().product::<i64>() / features
                }
                _ => continue,
            };
            let result = func.tensor(node.results[0]);
            let flops = 2.0 * result.element_count() as f64 * contracted as f64;
            array += (flops / self.machine.peak_flops(ferrite_ir::dtype::DType::BF16) * 1e12) as u64;
            for &operand in &node.operands {
                if func.def(self.graph.trace(operand).0).is_none() {
                    memory += self.machine.hbm_ps(self.bytes(operand));
                }
            }
        }
        (array, memory)
    }

    /// For each step the bytes computed before it that it or a later one reads.
    fn crossing(&self, last_read: &[usize]) -> Vec<u64> {
        let func = self.graph.func;
        let steps = self.plan.nodes.len();
        let mut change = vec![0i64; steps + 2];
        for step in 0..steps {
            for &op in members(self.plan, step) {
                for &value in &func.op(op).results {
                    let last = last_read[value.index()].min(steps - 1);
                    if last > step {
                        let bytes = self.bytes(value) as i64;
                        change[step + 1] += bytes;
                        change[last + 1] -= bytes;
                    }
                }
            }
        }
        let mut crossing = 0;
        let sums = change.into_iter().map(|c| {
            crossing += c;
            crossing as u64
        });
        sums.take(steps).collect()
    }
}

/// Layers that follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layers {
    /// Step of the plan at which the first one begins.
    pub begin: usize,
    /// Steps of each.
    pub period: usize,
    /// How many.
    pub trips: usize,
}

impl Layers {
    /// First step of a layer, or the step after the last one.
    pub fn start(&self, trip: usize) -> usize {
        self.begin + trip * self.period
    }

    /// Whether a value in one layer is read as late as one in another, or later; all that is after its layer is one time. What
    /// is done to the first because it is read no more then holds for the second.
    pub fn no_later(&self, last_read: &[usize], first: (ValueId, usize), second: (ValueId, usize)) -> bool {
        let read = |(value, trip): (ValueId, usize)| {
            last_read[value.index()]
                .saturating_sub(self.start(trip))
                .min(self.period)
        };
        read(first) >= read(second)
    }

    /// The first steps of all layers, and the step after the last one.
    pub fn boundaries(&self) -> impl Iterator<Item = usize> + '_ {
        (0..=self.trips).map(|trip| self.start(trip))
    }
}

/// Layers that take at least `least_ps` picoseconds each. `last_read` has the last step that reads each value.
pub(super) fn layers(
    graph: &Graph<'_>,
    plan: &Plan,
    machine: &MachineModel,
    last_read: &[usize],
    least_ps: u64,
) -> Vec<Layers> {
    let steps = Steps { graph, plan, machine };
    let count = plan.nodes.len();
    let prints: Vec<Option<u64>> = (0..count).map(|step| steps.print(step)).collect();
    let times: Vec<(u64, u64)> = (0..count).map(|step| steps.least_ps(step)).collect();
    let time = |begin: usize, length: usize| {
        let (array, memory) = times[begin..begin + length]
            .iter()
            .fold((0, 0), |sum: (u64, u64), t| (sum.0 + t.0, sum.1 + t.1));
        array.max(memory)
    };
    let mut candidates: Vec<(u64, Repeat)> = repeats(&prints)
        .into_iter()
        .filter_map(|found| {
            let layer = time(found.begin, found.period);
            (layer >= least_ps).then(|| (layer * (found.trips() as u64 - 1), found))
        })
        .collect();
    // What saves most first; of equal ones the shorter period.
    candidates.sort_by_key(|(saved, found)| (std::cmp::Reverse(*saved), found.period, found.begin));
    let crossing = if candidates.is_empty() {
        Vec::new()
    } else {
        steps.crossing(last_read)
    };
    let mut layers: Vec<Layers> = Vec::new();
    let mut taken: Vec<std::ops::Range<usize>> = Vec::new();
    for (_, found) in candidates {
        let range = found.begin..found.begin + found.length;
        if taken.iter().any(|t| t.start < range.end && range.start < t.end) {
            continue;
        }
        // Every offset keeps all repetitions or loses one; of those that keep two, what passes least between layers.
        let trips = |offset: usize| (found.length - offset) / found.period;
        let offsets = (0..found.period).filter(|&offset| trips(offset) > 1);
        let Some(offset) = offsets.min_by_key(|&offset| (crossing[found.begin + offset + found.period], offset)) else {
            continue;
        };
        layers.push(Layers {
            begin: found.begin + offset,
            period: found.period,
            trips: trips(offset),
        });
        taken.push(range);
    }
    layers
}
