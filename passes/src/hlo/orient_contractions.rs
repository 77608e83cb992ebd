//! Chooses for every contraction which operand's rows become the rows of the result.
//!
//! ```text
//! Before                                              After
//!   %h = dot_general %x, %w  : [tokens, features]       %a = dot_general %w, %x  : [features, tokens]
//!   %g = add %h, broadcast %b                           %c = add %a, broadcast %b
//!   %y = dot_general %g, %v, contracting features       %g = transpose %c
//!                                                       %y = dot_general %g, %v, contracting features
//! ```
//!
//! The PE array wants the contracting dimension of both operands on the partitions, and rows of a tensor lie on
//! partitions. A result that the next contraction sums along its rows must be transposed on the way, tile by tile;
//! computed the other way round, it need not. Element-wise operations that read nothing else of full size go with their
//! contraction. For each such group the work of its readers is estimated in both orders: what a contraction must transpose,
//! what an element-wise reader would fetch element by element, and the time of the products: few tokens beside many features
//! are better the stationary operand, which many features pass at a time. The transposes that are left are views: whoever
//! reads them sees the other order.
//!
//! Needs: verified static `hlo` after legalization. Leaves: verified `hlo`; `remove-dead-ops` drops views nobody reads.

use std::collections::BTreeMap;

use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::hlo::{Builder, DotDims, DotGeneral, Func, Module, OpId, OpKind, TensorType, ValueId};
use ferrite_ir::literal::Literal;
use ferrite_ir::machine::MachineModel;
use ferrite_ir::machine::cost::Multiply;

use super::legalize::rewrite::{Rewrite, Step, Stop, rewrite_func};
use crate::lower::fuse::is_map;
use crate::lower::view::{StorageId, StridedView, ViewDim, merged};
use crate::pass::{Changed, HloPass, PassContext};

/// See the module's own text.
pub struct OrientContractions;

/// Cost of an element that is fetched alone, in elements transposed on the PE array (our choice: a descriptor of its own
/// costs that much more than a place in a tile).
const ALONE: i64 = 50;

/// A run of this many elements is fetched well (our choice).
const RUN: i64 = 64;

/// Least part of the time of the products that counts for an order: smaller differences are lost in what is not estimated
/// here (our choice).
const FASTER: i64 = 5;

/// Views followed from a value to its readers (our choice: bounds the time).
const MAX_VIEWS: usize = 64;

impl HloPass for OrientContractions {
    const NAME: &'static str = "orient-contractions";
    const DOC: &'static str = "Swaps the operands of contractions whose results are mostly read transposed, with the element-wise operations that follow them.";

    fn run(&self, module: &mut Module, cx: &mut PassContext<'_>) -> Result<Changed> {
        let mut changed = false;
        for func in &mut module.funcs {
            let swapped = Analysis::of(func, cx.machine).swapped();
            if swapped.is_empty() {
                continue;
            }
            let done = rewrite_func(func, &mut |b, op| match swapped.get(&op) {
                Some(order) => swap(b, op, order),
                None => Ok(None),
            });
            match done {
                Ok(c) => changed |= c,
                Err((loc, stop)) => {
                    let error = match stop {
                        Stop::Refused(d) => *d,
                        Stop::Violation(v) => Diagnostic::bug(format!("a swapped contraction is invalid: {v}")),
                    };
                    return Err(error.at(module.locs.get(loc)));
                }
            }
        }
        Ok(Changed::from_bool(changed))
    }
}

/// How the result of a contraction is made of dimensions: batching, rows, columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Order {
    batch: usize,
    rows: usize,
    columns: usize,
}

impl Order {
    /// Dimensions of the result in the order of the swapped result.
    fn there(&self) -> Vec<i64> {
        let (b, r, c) = (self.batch as i64, self.rows as i64, self.columns as i64);
        (0..b).chain(b + r..b + r + c).chain(b..b + r).collect()
    }

    /// Dimensions of the swapped result in the order of the result.
    fn back(&self) -> Vec<i64> {
        let swapped = Order {
            rows: self.columns,
            columns: self.rows,
            ..*self
        };
        swapped.there()
    }
}

fn permuted(shape: &[i64], order: &[i64]) -> Vec<i64> {
    order.iter().map(|&d| shape[d as usize]).collect()
}

/// A contraction, or several of the same form, with what goes with it.
#[derive(Clone, Debug)]
struct Group {
    order: Order,
    ops: Vec<OpId>,
}

struct Analysis<'a> {
    func: &'a Func,
    machine: &'a MachineModel,
    /// Operations that read a value; none for the results of a region.
    users: Vec<Vec<Option<OpId>>>,
    groups: Vec<Group>,
    /// Group of each operation; groups that were joined lead on to another.
    group_of: BTreeMap<OpId, usize>,
}

impl<'a> Analysis<'a> {
    fn of(func: &'a Func, machine: &'a MachineModel) -> Analysis<'a> {
        let mut users = vec![Vec::new(); func.value_count()];
        let mut contractions = Vec::new();
        func.walk_regions(func.body(), &mut |f, region| {
            for &op in &f.region(region).ops {
                for &v in &f.op(op).operands {
                    users[v.index()].push(Some(op));
                }
            }
            for &v in &f.region(region).results {
                users[v.index()].push(None);
            }
        });
        func.walk(func.body(), &mut |_, op| contractions.push(op));
        let mut analysis = Analysis {
            func,
            machine,
            users,
            groups: Vec::new(),
            group_of: BTreeMap::new(),
        };
        for op in contractions {
            analysis.place(op);
        }
        analysis
    }

    fn place(&mut self, id: OpId) {
        let op = self.func.op(id);
        let [result] = op.results[..] else { return };
        let Some(ty) = self.func.ty(result).tensor() else {
            return;
        };
        if let OpKind::DotGeneral(dot) = &op.kind {
            let (lhs, rhs) = (self.func.tensor(op.operands[0]), self.func.tensor(op.operands[1]));
            let order = Order {
                batch: dot.dims.lhs_batching.len(),
                rows: dot.dims.lhs_free(lhs.rank()).len(),
                columns: dot.dims.rhs_free(rhs.rank()).len(),
            };
            if dot.algorithm.is_none() && ty.dtype.is_float() && ty.element_count() > 0 {
                self.group_of.insert(id, self.groups.len());
                self.groups.push(Group { order, ops: vec![id] });
            }
            return;
        }
        if !is_map(&op.kind) || op.operands.is_empty() {
            return;
        }
        let mut homes: Vec<usize> = Vec::new();
        for &v in &op.operands {
            if self.func.ty(v).tensor().is_none_or(|t| t.shape != ty.shape) {
                return;
            }
            match self.func.def(v).and_then(|def| self.group_of.get(&def).copied()) {
                Some(home) => homes.push(home),
                None if self.follows(v) => {}
                None => return,
            }
        }
        homes.sort_unstable();
        homes.dedup();
        let Some((&first, others)) = homes.split_first() else {
            return;
        };
        if others.iter().any(|&g| self.groups[g].order != self.groups[first].order) {
            return;
        }
        for &g in others {
            let ops = std::mem::take(&mut self.groups[g].ops);
            for &op in &ops {
                self.group_of.insert(op, first);
            }
            self.groups[first].ops.extend(ops);
        }
        self.groups[first].ops.push(id);
        self.group_of.insert(id, first);
    }

    /// Whether a value can be had in any order: one number, or a broadcast of something smaller.
    fn follows(&self, v: ValueId) -> bool {
        match self.func.def_kind(v) {
            Some(OpKind::Constant(literal)) => literal.is_splat(),
            Some(OpKind::BroadcastInDim(_)) => {
                let source = self.func.def(v).map(|op| self.func.op(op).operands[0]);
                source.is_some_and(|s| self.func.tensor(s).element_count() < self.func.tensor(v).element_count())
            }
            _ => false,
        }
    }

    /// The operations to swap, with their orders.
    fn swapped(&self) -> BTreeMap<OpId, Order> {
        let mut found = BTreeMap::new();
        for (index, group) in self.groups.iter().enumerate() {
            let (mut as_is, mut other) = (0i64, 0i64);
            let mut products = [0i64; 2];
            for &op in &group.ops {
                let v = self.func.result(op);
                let shape = &self.func.tensor(v).shape;
                let there = permuted(shape, &group.order.there());
                let views = [
                    StridedView::contiguous(StorageId(0), shape),
                    StridedView::contiguous(StorageId(0), &there).transpose(&group.order.back()),
                ];
                let reading = self.reading(index, v, &views);
                let multiplying = self.multiplying(op);
                for (sum, i) in [(&mut as_is, 0), (&mut other, 1)] {
                    *sum = sum.saturating_add(reading[i]);
                    products[i] = products[i].saturating_add(multiplying[i]);
                }
            }
            if (products[0] - products[1]).abs() > products[0].max(products[1]) / FASTER {
                as_is = as_is.saturating_add(products[0]);
                other = other.saturating_add(products[1]);
            }
            if other < as_is {
                found.extend(group.ops.iter().map(|&op| (op, group.order)));
            }
        }
        found
    }

    /// Time of the PE array for a contraction as it is and with its operands swapped, as elements that it could transpose
    /// meanwhile.
    fn multiplying(&self, op: OpId) -> [i64; 2] {
        let op = self.func.op(op);
        let OpKind::DotGeneral(dot) = &op.kind else {
            return [0; 2];
        };
        let [lhs, rhs] = [0, 1].map(|i| self.func.tensor(op.operands[i]));
        let extent = |t: &TensorType, dims: &[i64]| dims.iter().map(|&d| t.shape[d as usize]).product::<i64>();
        let batch = extent(lhs, &dot.dims.lhs_batching);
        let summed = extent(lhs, &dot.dims.lhs_contracting);
        let rows = extent(lhs, &dot.dims.lhs_free(lhs.rank()));
        let columns = extent(rhs, &dot.dims.rhs_free(rhs.rank()));
        let pe = &self.machine.pe;
        let parts = |all: i64, part: u64| (all as u64).div_ceil(part.max(1));
        let multiply = |stationary_columns: u64, moving_columns: u64, transpose: bool| Multiply {
            stationary_columns,
            moving_columns,
            stationary: lhs.dtype,
            moving: rhs.dtype,
            transpose,
            onezero: false,
        };
        // A square is transposed, and copied out of PSUM in about the same time (our choice).
        let square = 2 * self
            .machine
            .multiply_cost(&multiply(pe.columns, pe.columns, true))
            .occupancy;
        [(rows, columns), (columns, rows)].map(|(stationary, moving)| {
            let (tile, most) = (pe.stationary_free_max.min(stationary as u64), pe.moving_free_max);
            let of = |columns: u64| match columns {
                0 => 0,
                _ => self.machine.multiply_cost(&multiply(tile, columns, false)).occupancy,
            };
            let load = self.machine.load_stationary_cost(tile, lhs.dtype).occupancy;
            let one = load + moving as u64 / most * of(most) + of(moving as u64 % most);
            let tiles = (batch as u64)
                .saturating_mul(parts(summed, pe.rows))
                .saturating_mul(parts(stationary, pe.stationary_free_max));
            let cycles = tiles.saturating_mul(one);
            i64::try_from(cycles.saturating_mul(pe.rows * pe.columns) / square.max(1)).unwrap_or(i64::MAX)
        })
    }

    /// What the readers of a value pay, through views, for each of two ways it may lie in memory.
    fn reading(&self, group: usize, value: ValueId, views: &[StridedView; 2]) -> [i64; 2] {
        let mut costs = [0i64; 2];
        let mut stack = vec![(value, views.clone())];
        let mut steps = 0;
        while let Some((v, views)) = stack.pop() {
            for user in &self.users[v.index()] {
                let Some(user) = user else {
                    add(&mut costs, views.each_ref().map(plain));
                    continue;
                };
                let op = self.func.op(*user);
                if v == value && self.group_of.get(user) == Some(&group) {
                    continue;
                }
                let shape = op
                    .results
                    .first()
                    .and_then(|&r| self.func.ty(r).tensor())
                    .map(|t| &t.shape);
                let through: Option<[StridedView; 2]> = match (&op.kind, shape) {
                    (OpKind::Transpose(t), _) => Some(views.each_ref().map(|x| x.transpose(&t.permutation))),
                    (OpKind::Slice(s), _) => Some(views.each_ref().map(|x| x.slice(&s.start, &s.limit, &s.strides))),
                    (OpKind::Reverse(r), _) => Some(views.each_ref().map(|x| x.reverse(&r.dimensions))),
                    (OpKind::Reshape, Some(shape)) => Some(views.each_ref().map(|x| {
                        x.reshape(shape)
                            .unwrap_or_else(|| StridedView::contiguous(StorageId(0), shape))
                    })),
                    _ => None,
                };
                if let OpKind::Reshape = op.kind
                    && let Some(shape) = shape
                {
                    // What strides cannot express is copied.
                    let lost = |x: &StridedView| {
                        if x.reshape(shape).is_none() {
                            2 * x.elements() + plain(x)
                        } else {
                            0
                        }
                    };
                    add(&mut costs, views.each_ref().map(lost));
                }
                match through {
                    Some(views) if steps < MAX_VIEWS => {
                        steps += 1;
                        stack.push((op.results[0], views));
                    }
                    Some(_) => {}
                    None => add(&mut costs, views.each_ref().map(|x| self.read(*user, v, x))),
                }
            }
        }
        costs
    }

    /// What one operation pays to read an operand that lies so.
    fn read(&self, user: OpId, v: ValueId, view: &StridedView) -> i64 {
        let op = self.func.op(user);
        match &op.kind {
            OpKind::DotGeneral(dot) => {
                let d = &dot.dims;
                let side = |batch: &[i64], contracting: &[i64]| {
                    let free: Vec<ViewDim> = (0..view.dims.len() as i64)
                        .filter(|i| !batch.contains(i) && !contracting.contains(i))
                        .map(|i| view.dims[i as usize])
                        .collect();
                    let summed: Vec<ViewDim> = contracting.iter().map(|&i| view.dims[i as usize]).collect();
                    operand(view.elements(), &free, &summed)
                };
                let mut cost = 0i64;
                if op.operands[0] == v {
                    cost += side(&d.lhs_batching, &d.lhs_contracting);
                }
                if op.operands[1] == v {
                    cost += side(&d.rhs_batching, &d.rhs_contracting);
                }
                cost
            }
            OpKind::Reduce(reduce) => {
                let rank = view.dims.len() as i64;
                let kept = (0..rank).filter(|d| !reduce.dimensions.contains(d));
                let summed = (0..rank).filter(|d| reduce.dimensions.contains(d));
                let order: Vec<i64> = kept.chain(summed).collect();
                plain(&view.transpose(&order))
            }
            _ => plain(view),
        }
    }
}

fn add(sum: &mut [i64; 2], more: [i64; 2]) {
    sum.iter_mut().zip(more).for_each(|(s, m)| *s = s.saturating_add(m));
}

/// Cost of fetching runs of `run` elements.
fn fetched(elements: i64, run: i64) -> i64 {
    if run >= RUN { 0 } else { elements * ALONE / run.max(1) }
}

/// Elements beside each other at the end of the order in which a view is read.
fn run_of(dims: &[ViewDim]) -> i64 {
    match merged(dims).last() {
        None => RUN,
        Some(d) if d.stride == 1 => d.extent,
        Some(d) if d.stride == 0 => RUN,
        Some(_) => 1,
    }
}

/// Cost of reading a value row by row.
fn plain(view: &StridedView) -> i64 {
    // A value shorter than a run is no worse for it.
    let whole = view.dims.last().map_or(1, |d| d.extent);
    let run = run_of(&view.dims);
    fetched(view.elements(), if run >= whole && run > 1 { RUN } else { run })
}

/// Cost of reading an operand of a contraction, which is wanted with the summed dimensions on partitions.
pub(crate) fn operand(elements: i64, free: &[ViewDim], summed: &[ViewDim]) -> i64 {
    let extent = |dims: &[ViewDim]| dims.iter().map(|d| d.extent).product::<i64>();
    if extent(free) == 1 || extent(summed) == 1 {
        return 0;
    }
    let (free_run, summed_run) = (run_of(free), run_of(summed));
    if free_run > 1 || summed_run <= 1 {
        let most = extent(free);
        return fetched(elements, if free_run >= most { RUN } else { free_run });
    }
    let most = extent(summed);
    elements + fetched(elements, if summed_run >= most { RUN } else { summed_run })
}

/// The rule: the swapped operation, and its transpose in place of the old result.
fn swap(b: &mut Builder<'_>, id: OpId, order: &Order) -> Rewrite {
    let op = b.func.op(id).clone();
    let ty = b.func.tensor(op.results[0]).clone();
    let swapped = if let OpKind::DotGeneral(dot) = &op.kind {
        let dims = DotDims {
            lhs_batching: dot.dims.rhs_batching.clone(),
            rhs_batching: dot.dims.lhs_batching.clone(),
            lhs_contracting: dot.dims.rhs_contracting.clone(),
            rhs_contracting: dot.dims.lhs_contracting.clone(),
        };
        let kind = OpKind::DotGeneral(DotGeneral {
            dims,
            precision: dot.precision.iter().rev().cloned().collect(),
            algorithm: None,
        });
        append(b, id, kind, &[op.operands[1], op.operands[0]], &ty, order)
    } else {
        let operands = op
            .operands
            .iter()
            .map(|&v| other_order(b, v, order))
            .collect::<Step<Vec<_>>>()?;
        append(b, id, op.kind.clone(), &operands, &ty, order)
    };
    Ok(Some(vec![b.transpose(swapped, &order.back())?]))
}

fn append(
    b: &mut Builder<'_>,
    from: OpId,
    kind: OpKind,
    operands: &[ValueId],
    ty: &TensorType,
    order: &Order,
) -> ValueId {
    let ty = TensorType::new(ty.dtype, &permuted(&ty.shape, &order.there()));
    let (region, loc) = (b.region, b.loc);
    let op = b.func.append(region, kind, operands, vec![ty.into()], &[], loc);
    b.func.op_mut(op).attrs = b.func.op(from).attrs.clone();
    b.func.result(op)
}

/// An operand in the order of the swapped results.
fn other_order(b: &mut Builder<'_>, v: ValueId, order: &Order) -> Step {
    let ty = b.func.tensor(v).clone();
    let shape = permuted(&ty.shape, &order.there());
    if let Some(def) = b.func.def(v) {
        match b.func.op(def).kind.clone() {
            OpKind::Transpose(t) if t.permutation[..] == order.back()[..] => return Ok(b.func.op(def).operands[0]),
            OpKind::Constant(literal) => {
                let element = literal.splat_element().map(<[u8]>::to_vec);
                let ty = TensorType::new(ty.dtype, &shape);
                if let Some(literal) = element.and_then(|e| Literal::splat(ty, &e)) {
                    return Ok(b.constant(literal));
                }
            }
            OpKind::BroadcastInDim(broadcast) => {
                let place = order.back();
                let dims: Vec<i64> = broadcast
                    .broadcast_dimensions
                    .iter()
                    .map(|&d| place[d as usize])
                    .collect();
                let source = b.func.op(def).operands[0];
                return Ok(b.broadcast_in_dim(source, &shape, &dims)?);
            }
            _ => {}
        }
    }
    Ok(b.transpose(v, &order.there())?)
}
