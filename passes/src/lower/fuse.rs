//! Fusion: which operations run together while their data is on chip.
//!
//! A *cluster* works on `rows x columns` elements in row-major order. Each value in it has a class: *full* (every
//! element), or *row* (one element per row). Element-wise operations keep the class, a reduction over the trailing
//! dimensions makes rows out of full values, a broadcast along trailing dimensions makes full values out of rows; a
//! contraction starts a cluster, so that what follows it reads its result before it leaves the chip. Reshapes cost
//! nothing inside, because elements are named by their row-major index.
//!
//! In: an inlined, legalized function. Out: a [`Plan`]: clusters and the operations that stay alone (*moves*), in an
//! order in which everything is computed before it is used.
//! Not here: how a cluster becomes tiles.

use std::collections::{BTreeMap, BTreeSet};

use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{BinaryOp, Convolution, Func, OpId, OpKind, RegionId, UnaryOp, ValueId};

use crate::hlo::orient_convolutions::is_oriented;

mod order;

/// What an element of a cluster's value stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// One value per element.
    Full,
    /// One value per row.
    Row,
}

/// Operations that run together.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// Members in program order.
    pub ops: Vec<OpId>,
    /// Elements of a full value.
    pub elements: i64,
    /// Rows and columns, once an operation has fixed them.
    pub split: Option<(i64, i64)>,
    /// If a batched contraction is inside: rows per batch; no tile may cross such a border.
    pub period: Option<i64>,
    /// Class of every value the members compute.
    pub class: BTreeMap<ValueId, Class>,
    /// Whether a full value depends on a row value of this cluster: then a row must be on chip as a whole.
    pub whole_rows: bool,
    /// Clusters this one reads from.
    reads: BTreeSet<usize>,
    first: u32,
    last: u32,
}

/// A step of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// A cluster, by index.
    Cluster(usize),
    /// A single operation that moves data.
    Move(OpId),
}

/// Clusters and moves in a valid order.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Clusters.
    pub clusters: Vec<Cluster>,
    /// Cluster of every operation, by [`OpId::index`].
    pub cluster_of: Vec<Option<usize>>,
    /// Order.
    pub nodes: Vec<Node>,
    /// Whether a value is read outside of the cluster that computes it, by [`ValueId::index`].
    pub escapes: Vec<bool>,
    /// Values that are only read through one transpose that keeps the innermost dimension: its permutation.
    pub only_transpose: BTreeMap<ValueId, Vec<i64>>,
}

/// Bounds that keep a cluster's data on chip.
#[derive(Clone, Copy, Debug)]
pub struct FuseLimits {
    /// Largest number of columns of a cluster that needs whole rows.
    pub whole_row_columns: i64,
    /// Largest number of operations in a cluster.
    pub ops: usize,
    /// Bytes of a contraction's operand that can stay on chip while rows go by.
    pub staying_bytes: usize,
    /// Rows of a tile.
    pub tile_rows: i64,
}

/// How a member of a cluster sees one of its operands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Computed in the cluster, element for element.
    Same(ValueId),
    /// Computed in the cluster once per row, repeated over the columns.
    RowToFull(ValueId),
    /// Comes from outside.
    Outside,
}

/// Whether the operation only renames indices of its operand.
pub fn is_view(kind: &OpKind) -> bool {
    matches!(
        kind,
        OpKind::Reshape | OpKind::BroadcastInDim(_) | OpKind::Transpose(_) | OpKind::Slice(_) | OpKind::Reverse(_)
    )
}

/// A function with what fusion and lowering need to know about its values again and again.
pub struct Graph<'a> {
    /// The function.
    pub func: &'a Func,
    /// Operations that are never computed by themselves: whoever reads their result applies them on the way.
    lazy: Vec<bool>,
    /// Values from outside that the regions of a control-flow operation use.
    captured: BTreeMap<OpId, Vec<ValueId>>,
}

/// Whether the operation has regions that run on the device as regions.
pub fn is_control(kind: &OpKind) -> bool {
    matches!(kind, OpKind::While | OpKind::If | OpKind::Case)
}

/// Values that the regions of an operation use and do not define, each once.
fn captures(func: &Func, op: OpId) -> Vec<ValueId> {
    let mut defined = BTreeSet::new();
    let mut used = BTreeSet::new();
    for &region in &func.op(op).regions {
        func.walk_regions(region, &mut |f, r| {
            defined.extend(f.region(r).args.iter().copied());
            used.extend(f.region(r).results.iter().copied());
            for &inner in &f.region(r).ops {
                defined.extend(f.op(inner).results.iter().copied());
                used.extend(f.op(inner).operands.iter().copied());
            }
        });
    }
    used.difference(&defined).copied().collect()
}

impl<'a> Graph<'a> {
    /// Finds the operations that need no code: those that rename indices, and conversions of what comes from memory to a
    /// narrower float that only contractions read, which happen while operands are loaded.
    pub fn new(func: &'a Func) -> Graph<'a> {
        let mut graph = Graph {
            func,
            lazy: vec![false; func.op_count()],
            captured: BTreeMap::new(),
        };
        // Regions of control flow, outer ones first: what inner ones capture is known when their users are.
        let mut regions = vec![func.body()];
        while let Some(region) = regions.pop() {
            graph.scan(region);
            for &op in &func.region(region).ops {
                if is_control(&func.op(op).kind) {
                    graph.captured.insert(op, captures(func, op));
                    regions.extend(func.op(op).regions.iter().copied());
                }
            }
        }
        graph
    }

    /// Decides for the operations of one region.
    fn scan(&mut self, region: RegionId) {
        let func = self.func;
        let body = &func.region(region);
        let lazy = &mut self.lazy;
        // Whether a value is read by contractions only, through views; a reverse walk sees users first.
        let mut only_contracted = vec![true; func.value_count()];
        let mut used = vec![false; func.value_count()];
        for &v in &body.results {
            only_contracted[v.index()] = false;
        }
        for &id in body.ops.iter().rev() {
            let op = func.op(id);
            let result = op.results.first().copied();
            let through = result.is_some_and(|r| only_contracted[r.index()] && used[r.index()]);
            let narrowing = matches!(op.kind, OpKind::Convert)
                && !computed(func, op.operands[0])
                && func.tensor(op.operands[0]).dtype == DType::F32
                && result.is_some_and(|r| matches!(func.tensor(r).dtype, DType::BF16 | DType::F16 | DType::TF32));
            lazy[id.index()] = is_view(&op.kind)
                || (narrowing && through)
                || takes_low_words(func, id)
                || takes_part(func, id).is_some();
            let contraction = matches!(op.kind, OpKind::DotGeneral(_) | OpKind::Convolution(_));
            for &v in &op.operands {
                used[v.index()] = true;
                let keeps = contraction || (lazy[id.index()] && through);
                only_contracted[v.index()] &= keeps;
            }
            for &r in &op.regions {
                // Regions of structured operations may capture values.
                func.walk(r, &mut |f, inner| {
                    for &v in &f.op(inner).operands {
                        only_contracted[v.index()] = false;
                    }
                });
                func.walk_regions(r, &mut |f, inner| {
                    for &v in &f.region(inner).results {
                        only_contracted[v.index()] = false;
                    }
                });
            }
        }
    }

    /// What an operation reads: its operands, and what its regions capture.
    pub fn reads(&self, op: OpId) -> impl DoubleEndedIterator<Item = ValueId> + '_ {
        let captured = self.captured.get(&op).map_or(&[] as &[ValueId], Vec::as_slice);
        self.func.op(op).operands.iter().chain(captured).copied()
    }

    /// Whether an operation needs no code of its own.
    pub fn is_lazy(&self, op: OpId) -> bool {
        self.lazy[op.index()]
    }

    /// The value behind a chain of lazy operations, and the chain from it outwards.
    pub fn trace(&self, value: ValueId) -> (ValueId, Vec<OpId>) {
        let mut chain = Vec::new();
        let mut at = value;
        while let Some(op) = self.func.def(at) {
            if !self.lazy[op.index()] {
                break;
            }
            chain.push(op);
            at = self.func.op(op).operands[0];
        }
        chain.reverse();
        (at, chain)
    }
}

/// Whether a value, seen through views, is computed by engines, which narrow it for nothing as they write it.
fn computed(func: &Func, value: ValueId) -> bool {
    let mut at = value;
    while let Some(def) = func.def(at) {
        let op = func.op(def);
        if !is_view(&op.kind) {
            let contraction = matches!(
                op.kind,
                OpKind::DotGeneral(_) | OpKind::Convolution(_) | OpKind::Reduce(_)
            );
            return contraction || is_map(&op.kind);
        }
        at = op.operands[0];
    }
    false
}

/// Whether the operation works element by element.
pub fn is_map(kind: &OpKind) -> bool {
    if let OpKind::CustomCall(call) = kind {
        return crate::hlo::activation_call(&call.target);
    }
    matches!(
        kind,
        OpKind::Unary(_)
            | OpKind::Binary(_)
            | OpKind::Compare(_)
            | OpKind::Select
            | OpKind::Convert
            | OpKind::BitcastConvert
    )
}

/// Whether the operation narrows 64-bit integers to 32 bits: a view of every other word.
pub fn takes_low_words(func: &Func, id: OpId) -> bool {
    let op = func.op(id);
    matches!(op.kind, OpKind::Convert)
        && matches!(func.tensor(op.operands[0]).dtype, DType::I64 | DType::U64)
        && matches!(func.tensor(func.result(id)).dtype, DType::I32 | DType::U32)
}

/// Whether the operation takes a part of a complex number: a view of every other word.
pub fn takes_part(func: &Func, id: OpId) -> Option<i64> {
    let op = func.op(id);
    let complex = op
        .operands
        .first()
        .is_some_and(|&v| func.ty(v).tensor().is_some_and(|t| t.dtype == DType::C64));
    match op.kind {
        OpKind::Unary(UnaryOp::Real) if complex => Some(0),
        OpKind::Unary(UnaryOp::Imag) if complex => Some(1),
        _ => None,
    }
}

/// Whether the operation converts between 64 bits and 32, which memory has and the engines do not, or reads bits as
/// elements of another width.
fn crosses_width(func: &Func, id: OpId) -> bool {
    let op = func.op(id);
    let wide = |dtype: DType| matches!(dtype, DType::I64 | DType::U64 | DType::F64);
    let dtypes = || (func.tensor(op.operands[0]).dtype, func.tensor(func.result(id)).dtype);
    match op.kind {
        OpKind::Convert => wide(dtypes().0) || wide(dtypes().1),
        OpKind::BitcastConvert => dtypes().0.bytes() != dtypes().1.bytes() || dtypes().0.bytes() > 4,
        _ => false,
    }
}

/// The reducer of a one-operand reduction whose body is a single known operation.
pub fn reducer(func: &Func, op: OpId) -> Option<BinaryOp> {
    let region = func.region(*func.op(op).regions.first()?);
    let [only] = region.ops[..] else { return None };
    let inner = func.op(only);
    let OpKind::Binary(binary) = inner.kind else {
        return None;
    };
    let straight = inner.operands[..] == region.args[..] || (inner.operands.iter().rev().eq(region.args.iter()));
    (region.args.len() == 2 && straight && region.results[..] == inner.results[..] && binary.is_commutative())
        .then_some(binary)
}

/// Whether a convolution's result has its features innermost. Otherwise they follow the batch (the legal orders).
pub fn features_last(conv: &Convolution) -> bool {
    conv.dims.output_feature > conv.dims.output_batch + 1
}

/// A convolution as batches of rows and columns in the row-major order of its result: features by pixels of all images
/// where features come first, pixels by features where they are innermost, features of a group by pixels where they follow
/// the batch.
pub fn convolution_rows(conv: &Convolution, result: &[i64]) -> (i64, i64, i64) {
    let features = result[conv.dims.output_feature as usize];
    let batch = result[conv.dims.output_batch as usize];
    let pixels: i64 = conv.dims.output_spatial.iter().map(|&d| result[d as usize]).product();
    if is_oriented(conv) {
        (1, features, batch * pixels)
    } else if features_last(conv) {
        (1, batch * pixels, features)
    } else {
        (
            batch * conv.feature_group_count,
            features / conv.feature_group_count,
            pixels,
        )
    }
}

/// Product of the trailing dimensions that a reduction removes, if it removes only such.
fn trailing_reduction(shape: &[i64], dimensions: &[i64]) -> Option<i64> {
    let first = shape.len() - dimensions.len();
    dimensions
        .iter()
        .all(|&d| d as usize >= first)
        .then(|| shape[first..].iter().product())
}

/// Groups the operations of one region: a function's body, or one of a control-flow operation.
pub fn plan(graph: &Graph<'_>, region: RegionId, limits: FuseLimits) -> Plan {
    let func = graph.func;
    let mut planner = Planner {
        graph,
        func,
        region,
        limits,
        plan: Plan {
            cluster_of: vec![None; func.op_count()],
            ..Plan::default()
        },
        move_reads: BTreeMap::new(),
        readers: BTreeMap::new(),
    };
    for &op in &func.region(region).ops {
        for v in graph.reads(op) {
            planner.readers.entry(graph.trace(v).0).or_default().push(op);
        }
    }
    for &op in &func.region(region).ops {
        planner.place(op);
    }
    planner.order();
    planner.find_escapes();
    planner.plan.only_transpose = only_transposed(graph, region);
    planner.plan
}

/// Values whose every use is the same transpose that keeps the innermost dimension where it is.
fn only_transposed(graph: &Graph<'_>, region: RegionId) -> BTreeMap<ValueId, Vec<i64>> {
    let func = graph.func;
    let mut found: BTreeMap<ValueId, Vec<i64>> = BTreeMap::new();
    let mut refused: BTreeSet<ValueId> = func.region(region).results.iter().copied().collect();
    for &op in &func.region(region).ops {
        for v in graph.reads(op) {
            match &func.op(op).kind {
                OpKind::Transpose(t) if t.permutation.last() == Some(&(t.permutation.len() as i64 - 1)) => {
                    let permutation = t.permutation.to_vec();
                    if *found.entry(v).or_insert_with(|| permutation.clone()) != permutation {
                        refused.insert(v);
                    }
                }
                _ => {
                    refused.insert(v);
                }
            }
        }
    }
    found.retain(|v, _| !refused.contains(v));
    found
}

struct Planner<'a> {
    graph: &'a Graph<'a>,
    func: &'a Func,
    region: RegionId,
    limits: FuseLimits,
    plan: Plan,
    /// Clusters that a move depends on, directly or through other moves.
    move_reads: BTreeMap<OpId, BTreeSet<usize>>,
    /// Operations that read a value, directly or through views.
    readers: BTreeMap<ValueId, Vec<OpId>>,
}

impl Planner<'_> {
    fn place(&mut self, op: OpId) {
        let kind = &self.func.op(op).kind;
        if self.graph.is_lazy(op) || matches!(kind, OpKind::Constant(_) | OpKind::Iota(_)) {
            return;
        }
        let elements = |v: ValueId| self.func.tensor(v).element_count() as i64;
        if crosses_width(self.func, op) {
            self.add_move(op);
        } else if is_map(kind) {
            let result = self.func.result(op);
            self.join_or_start(op, elements(result), None);
        } else if let OpKind::Reduce(reduce) = kind
            && self.func.op(op).results.len() == 1
        {
            let operand = self.func.op(op).operands[0];
            let shape = &self.func.tensor(operand).shape;
            let columns: i64 = reduce.dimensions.iter().map(|&d| shape[d as usize]).product();
            let total: i64 = shape.iter().product();
            let rows = elements(self.func.result(op));
            let inside = trailing_reduction(shape, &reduce.dimensions).is_some();
            self.join_or_start_reduce(op, total, (rows, columns), inside);
        } else if let OpKind::DotGeneral(dot) = kind {
            let operands = &self.func.op(op).operands;
            let (lhs, rhs) = (self.func.tensor(operands[0]), self.func.tensor(operands[1]));
            let size = |shape: &[i64], dims: &[i64]| dims.iter().map(|&d| shape[d as usize]).product::<i64>();
            let batch = size(&lhs.shape, &dot.dims.lhs_batching);
            let m = size(&lhs.shape, &dot.dims.lhs_free(lhs.rank()));
            let n = size(&rhs.shape, &dot.dims.rhs_free(rhs.rank()));
            self.start_contraction(op, batch, m, n);
        } else if let OpKind::Convolution(conv) = kind {
            let result = self.func.tensor(self.func.result(op));
            let (batch, m, n) = convolution_rows(conv, &result.shape);
            self.start_contraction(op, batch, m, n);
        } else {
            self.add_move(op);
        }
    }

    fn add_move(&mut self, op: OpId) {
        let mut reads = BTreeSet::new();
        for v in self.graph.reads(op) {
            self.collect_reads(v, None, &mut reads);
        }
        self.move_reads.insert(op, reads);
    }

    /// Adds the clusters that a value from outside `inside` depends on directly.
    fn collect_reads(&self, value: ValueId, inside: Option<usize>, reads: &mut BTreeSet<usize>) {
        let (base, _) = self.graph.trace(value);
        let Some(def) = self.func.def(base) else { return };
        match self.plan.cluster_of[def.index()] {
            Some(cluster) if Some(cluster) != inside => {
                reads.insert(cluster);
            }
            Some(_) => {}
            None => {
                if let Some(through) = self.move_reads.get(&def) {
                    reads.extend(through.iter().copied());
                }
            }
        }
    }

    /// Clusters that compute operands of `op`, latest first.
    fn candidates(&self, op: OpId) -> Vec<usize> {
        let mut found: Vec<usize> = self
            .func
            .op(op)
            .operands
            .iter()
            .filter_map(|&v| self.cluster_of_base(v))
            .collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.dedup();
        found
    }

    fn cluster_of_base(&self, value: ValueId) -> Option<usize> {
        self.plan.cluster_of[self.func.def(self.graph.trace(value).0)?.index()]
    }

    fn join_or_start(&mut self, op: OpId, elements: i64, split: Option<(i64, i64)>) {
        let candidates = self.candidates(op);
        if let [later @ .., first] = &candidates[..] {
            // What was begun apart and meets an older contraction now: the update of a parameter meets its gradient.
            for &cluster in later {
                if self.fits(op, *first, elements).is_some() && self.fits(op, cluster, elements).is_some() {
                    self.absorb(*first, cluster, op);
                }
            }
        }
        for cluster in self.candidates(op) {
            if let Some((class, needs_rows)) = self.fits(op, cluster, elements)
                && self.join_keeps_order(op, cluster)
            {
                self.join(op, cluster, class);
                self.plan.clusters[cluster].whole_rows |= needs_rows;
                return;
            }
        }
        self.start(op, elements, split, Class::Full);
    }

    /// Makes the members of a younger cluster, element-wise all of them, members of an older contraction's one, if only `op`
    /// reads them and nothing lies between the two clusters that one of them needs of the other.
    fn absorb(&mut self, into: usize, from: usize, op: OpId) {
        let (old, young) = (&self.plan.clusters[into], &self.plan.clusters[from]);
        let element_wise = young.split.is_none() && young.class.values().all(|&c| c == Class::Full);
        let fits = old.elements == young.elements && old.ops.len() + young.ops.len() < self.limits.ops;
        let begun_later = young.first > old.first;
        let contraction = old.ops.first().is_some_and(|&op| {
            let kind = &self.func.op(op).kind;
            matches!(kind, OpKind::DotGeneral(_) | OpKind::Convolution(_))
        });
        let read_here = young.class.keys().all(|v| {
            let mut readers = self.readers.get(v).into_iter().flatten();
            let returned = self.func.region(self.region).results.contains(v);
            !returned && readers.all(|r| *r == op || young.ops.contains(r))
        });
        if !contraction
            || !element_wise
            || !fits
            || !begun_later
            || !read_here
            || self.depends(into, from)
            || self.depends(from, into)
        {
            return;
        }
        let young = std::mem::take(&mut self.plan.clusters[from]);
        for op in &young.ops {
            self.plan.cluster_of[op.index()] = Some(into);
        }
        let old = &mut self.plan.clusters[into];
        old.ops.extend(young.ops);
        old.ops.sort_unstable();
        old.class.extend(young.class);
        old.reads.extend(young.reads);
        old.last = old.last.max(young.last);
        let reads = self.plan.clusters.iter_mut().map(|c| &mut c.reads);
        for reads in reads.chain(self.move_reads.values_mut()) {
            if reads.remove(&from) {
                reads.insert(into);
            }
        }
    }

    /// Whether a cluster reads another one, directly or by way of others.
    fn depends(&self, cluster: usize, on: usize) -> bool {
        let mut seen = BTreeSet::new();
        let mut stack: Vec<usize> = self.plan.clusters[cluster].reads.iter().copied().collect();
        while let Some(c) = stack.pop() {
            if c == on {
                return true;
            }
            // What was complete before the other began cannot depend on it.
            if self.plan.clusters[c].last >= self.plan.clusters[on].first && seen.insert(c) {
                stack.extend(self.plan.clusters[c].reads.iter().copied());
            }
        }
        false
    }

    /// Class that an element-wise operation would have in a cluster, and whether it makes whole rows necessary.
    fn fits(&self, op: OpId, cluster: usize, elements: i64) -> Option<(Class, bool)> {
        let it = &self.plan.clusters[cluster];
        if it.ops.len() >= self.limits.ops {
            return None;
        }
        let mut class: Option<Class> = None;
        let mut needs_rows = false;
        for &v in &self.func.op(op).operands {
            let this = match access(self.graph, &self.plan, cluster, v) {
                None => return None,
                Some(Access::Outside) => continue,
                Some(Access::Same(base)) => it.class.get(&base).copied()?,
                Some(Access::RowToFull(_)) => {
                    needs_rows = true;
                    Class::Full
                }
            };
            if *class.get_or_insert(this) != this {
                return None;
            }
        }
        let class = class?;
        let expected = match (class, it.split) {
            (Class::Full, _) => it.elements,
            (Class::Row, Some((rows, _))) => rows,
            (Class::Row, None) => return None,
        };
        let too_wide = needs_rows
            && (it
                .split
                .is_none_or(|(_, columns)| columns > self.limits.whole_row_columns)
                || self.weights_pass(cluster));
        (expected == elements && !too_wide).then_some((class, needs_rows))
    }

    /// Whether a contraction of the cluster has weights that do not stay on chip, and several tiles of rows. Row by row they
    /// would come from memory again for each tile; what needs whole rows is done afterwards, and its operand comes once more.
    fn weights_pass(&self, cluster: usize) -> bool {
        self.plan.clusters[cluster].ops.iter().any(|&op| {
            let node = self.func.op(op);
            let OpKind::DotGeneral(dot) = &node.kind else {
                return false;
            };
            let weights = self.func.tensor(node.operands[1]);
            let free = dot.dims.lhs_free(self.func.tensor(node.operands[0]).shape.len());
            let rows: i64 = free
                .iter()
                .map(|&d| self.func.tensor(node.operands[0]).shape[d as usize])
                .product();
            dot.dims.lhs_batching.is_empty()
                && rows > self.limits.tile_rows
                && weights.byte_size() > self.limits.staying_bytes
        })
    }

    fn join_or_start_reduce(&mut self, op: OpId, total: i64, split: (i64, i64), inside: bool) {
        if inside {
            for cluster in self.candidates(op) {
                let it = &self.plan.clusters[cluster];
                let operand = self.func.op(op).operands[0];
                let same = match access(self.graph, &self.plan, cluster, operand) {
                    Some(Access::Same(base)) => it.class.get(&base) == Some(&Class::Full),
                    // The full value is a repeated row: reduce it as a value of its own instead.
                    _ => false,
                };
                // The initial value is read from memory.
                let init = self.cluster_of_base(self.func.op(op).operands[1]) != Some(cluster);
                let agrees = init && it.elements == total && it.split.is_none_or(|s| s == split);
                let period_ok = it.period.is_none_or(|p| split.0 % p == 0) && !self.weights_pass(cluster);
                if same && agrees && period_ok && it.ops.len() < self.limits.ops && self.join_keeps_order(op, cluster) {
                    self.plan.clusters[cluster].split = Some(split);
                    self.join(op, cluster, Class::Row);
                    return;
                }
            }
        }
        self.start(op, total, Some(split), Class::Row);
    }

    fn start_contraction(&mut self, op: OpId, batch: i64, m: i64, n: i64) {
        let cluster = self.start(op, batch * m * n, Some((batch * m, n)), Class::Full);
        if batch > 1 {
            self.plan.clusters[cluster].period = Some(m);
        }
    }

    fn start(&mut self, op: OpId, elements: i64, split: Option<(i64, i64)>, class: Class) -> usize {
        let cluster = self.plan.clusters.len();
        self.plan.clusters.push(Cluster {
            elements,
            split,
            first: op.0,
            last: op.0,
            ..Cluster::default()
        });
        self.join(op, cluster, class);
        cluster
    }

    fn join(&mut self, op: OpId, cluster: usize, class: Class) {
        let mut reads = std::mem::take(&mut self.plan.clusters[cluster].reads);
        for &v in &self.func.op(op).operands {
            self.collect_reads(v, Some(cluster), &mut reads);
        }
        reads.remove(&cluster);
        let it = &mut self.plan.clusters[cluster];
        it.reads = reads;
        it.ops.push(op);
        it.last = it.last.max(op.0);
        for &result in &self.func.op(op).results {
            it.class.insert(result, class);
        }
        self.plan.cluster_of[op.index()] = Some(cluster);
    }

    /// Whether no operand from outside depends on the cluster, so that the cluster can still run in one go.
    fn join_keeps_order(&self, op: OpId, cluster: usize) -> bool {
        let mut stack: Vec<usize> = Vec::new();
        for &v in &self.func.op(op).operands {
            let Some(def) = self.func.def(self.graph.trace(v).0) else {
                continue;
            };
            match self.plan.cluster_of[def.index()] {
                // An operand of the cluster itself that only a materialised copy could give.
                Some(c) if c == cluster => {
                    if access(self.graph, &self.plan, cluster, v).is_none() {
                        return false;
                    }
                }
                Some(c) => stack.push(c),
                None => {
                    if let Some(reads) = self.move_reads.get(&def) {
                        stack.extend(reads.iter().copied());
                    }
                }
            }
        }
        let first = self.plan.clusters[cluster].first;
        let mut seen = BTreeSet::new();
        while let Some(c) = stack.pop() {
            if c == cluster {
                return false;
            }
            // What was complete before the cluster began cannot depend on it.
            if self.plan.clusters[c].last < first || !seen.insert(c) {
                continue;
            }
            stack.extend(self.plan.clusters[c].reads.iter().copied());
        }
        true
    }

    /// Marks the values that something outside of their cluster reads.
    fn find_escapes(&mut self) {
        let mut escapes = vec![false; self.func.value_count()];
        let body = self.func.region(self.region);
        for &v in &body.results {
            escapes[self.graph.trace(v).0.index()] = true;
        }
        for &op in &body.ops {
            if self.graph.is_lazy(op) {
                continue;
            }
            for v in self.graph.reads(op) {
                let (base, _) = self.graph.trace(v);
                let home = self.func.def(base).and_then(|def| self.plan.cluster_of[def.index()]);
                if home.is_none() || home != self.plan.cluster_of[op.index()] {
                    escapes[base.index()] = true;
                }
            }
        }
        self.plan.escapes = escapes;
    }
}

/// The last step of a plan at which an operation reads each value, by [`ValueId::index`]; 0 where none does.
pub fn last_uses(graph: &Graph<'_>, plan: &Plan) -> Vec<usize> {
    let func = graph.func;
    let mut last = vec![0; func.value_count()];
    for (step, node) in plan.nodes.iter().enumerate() {
        let members = match node {
            Node::Cluster(c) => plan.clusters[*c].ops.as_slice(),
            Node::Move(op) => std::slice::from_ref(op),
        };
        for v in members.iter().flat_map(|&op| graph.reads(op)) {
            let (base, chain) = graph.trace(v);
            for value in chain.iter().map(|&op| func.result(op)).chain([base]) {
                last[value.index()] = step;
            }
        }
    }
    last
}

/// Last step of the plan that reads each value, views of it included, by [`ValueId::index`]; results of the region
/// count as read after the last step.
pub fn last_reads(graph: &Graph<'_>, region: RegionId, plan: &Plan) -> Vec<usize> {
    let mut last = last_uses(graph, plan);
    for &v in &graph.func.region(region).results {
        last[graph.trace(v).0.index()] = plan.nodes.len();
    }
    last
}

/// How a member of `cluster` would see `value`; `None` if the value is computed in the cluster but reordered on the way.
pub fn access(graph: &Graph<'_>, plan: &Plan, cluster: usize, value: ValueId) -> Option<Access> {
    let func = graph.func;
    let (base, chain) = graph.trace(value);
    let Some(def) = func.def(base) else {
        return Some(Access::Outside);
    };
    if plan.cluster_of[def.index()] != Some(cluster) {
        return Some(Access::Outside);
    }
    let it = &plan.clusters[cluster];
    let mut class = *it.class.get(&base)?;
    let original = class;
    for op in chain {
        let OpKind::BroadcastInDim(broadcast) = &func.op(op).kind else {
            if matches!(func.op(op).kind, OpKind::Reshape) {
                continue;
            }
            return None;
        };
        let from = &func.tensor(func.op(op).operands[0]).shape;
        let to = &func.tensor(func.result(op)).shape;
        let mapping = &broadcast.broadcast_dimensions;
        let increasing = mapping.windows(2).all(|w| w[0] < w[1]);
        let (count_from, count_to): (i64, i64) = (from.iter().product(), to.iter().product());
        if !increasing {
            return None;
        }
        if count_from == count_to {
            continue;
        }
        // Rows repeated over the columns: everything that is mapped lies before everything that repeats.
        let (rows, columns) = it.split?;
        let mapped = |d: usize| {
            mapping
                .iter()
                .position(|&m| m as usize == d)
                .is_some_and(|i| from[i] == to[d] && to[d] > 1)
        };
        let repeats = (0..to.len()).find(|&d| to[d] > 1 && !mapped(d)).unwrap_or(to.len());
        let leading: i64 = to[..repeats].iter().product();
        let rest_repeats = (repeats..to.len()).all(|d| to[d] == 1 || !mapped(d));
        if class != Class::Row || leading != rows || count_from != rows || count_to != rows * columns || !rest_repeats {
            return None;
        }
        class = Class::Full;
    }
    Some(if class == original {
        Access::Same(base)
    } else {
        Access::RowToFull(base)
    })
}
