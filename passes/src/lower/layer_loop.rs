//! Equal layers as one loop.
//!
//! The first layer is lowered, once, as the body of a loop over all of them. That is right if each later layer does the same
//! to values of its own, and if nothing that the lowering asks about a value (who reads it last, whether a result takes its
//! place) has another answer there: all of that is compared first. Then what a layer reads from outside is
//!
//! * the same for all layers, and read where it lies;
//! * a value of its own for each, as weights: a buffer that is [per trip](BufferKind::PerTrip);
//! * carried: what the layer before computed, and for the first one what comes before the loop. That is per trip as well: each
//!   layer writes a buffer of its own, which the next one reads.
//!
//! What is read after its layer gets a buffer for each layer; everything else shares memory.

use std::collections::{BTreeMap, BTreeSet};

use ferrite_ir::diag::Result;
use ferrite_ir::hlo::{OpId, OpKind, RegionId, ValueId};
use ferrite_ir::tile::{BufferId, BufferKind, Control};
use rustc_hash::FxHashMap;

use super::Lower;
use super::fuse::{Node, Plan};
use super::layers::{Layers, members};
use super::view::{StorageId, StridedView};
use crate::tile::names::rename_buffers;

/// What a layer's value is in another layer, by the value of the first one.
type Pairs = FxHashMap<ValueId, ValueId>;

/// Where a value from outside of a layer comes from.
#[derive(Clone, Debug)]
enum Source {
    /// The same value for all layers.
    Shared,
    /// One value for each layer, all there before the loop.
    PerTrip(Vec<ValueId>),
    /// For the first layer this value; for later ones what the layer before has in place of the second.
    Carried(ValueId, ValueId),
}

/// The step that computes each operation, by [`OpId::index`].
fn steps_of(plan: &Plan) -> Vec<Option<usize>> {
    let mut steps = vec![None; plan.cluster_of.len()];
    for step in 0..plan.nodes.len() {
        for &op in members(plan, step) {
            steps[op.index()] = Some(step);
        }
    }
    steps
}

/// Compares two layers.
struct Matching<'m, 'a> {
    lower: &'m Lower<'a>,
    plan: &'m Plan,
    step_of: &'m [Option<usize>],
    layers: Layers,
    trip: usize,
    pairs: Pairs,
    /// Values from outside of the first layer, in order.
    outside: Vec<ValueId>,
}

impl Matching<'_, '_> {
    /// Step of the operation that computes a value, if one does.
    fn step(&self, value: ValueId) -> Option<usize> {
        self.lower.func.def(value).and_then(|op| self.step_of[op.index()])
    }

    fn values(&mut self, a: ValueId, b: ValueId) -> bool {
        if let Some(&known) = self.pairs.get(&a) {
            return known == b;
        }
        let func = self.lower.func;
        if func.ty(a) != func.ty(b) {
            return false;
        }
        let own = self.layers.start(0)..self.layers.start(1);
        if self.step(a).is_some_and(|s| own.contains(&s)) {
            // What this layer computes is known once it was compared.
            return false;
        }
        let on_the_way = |def: Option<OpId>| def.filter(|op| self.step_of[op.index()].is_none());
        let same = match (on_the_way(func.def(a)), on_the_way(func.def(b))) {
            (Some(x), Some(y)) => self.on_the_way(a, x, y),
            (None, None) => {
                self.outside.push(a);
                true
            }
            _ => false,
        };
        self.pairs.insert(a, b);
        same
    }

    /// Operations that no step computes: constants, and what is applied on the way.
    fn on_the_way(&mut self, value: ValueId, a: OpId, b: OpId) -> bool {
        let func = self.lower.func;
        let (x, y) = (func.op(a), func.op(b));
        if let (OpKind::Constant(p), OpKind::Constant(q)) = (&x.kind, &y.kind) {
            if p != q && p.splat_element().is_none() && q.splat_element().is_none() {
                self.outside.push(value);
                return true;
            }
            return p == q;
        }
        let operands = x.operands.len() == y.operands.len();
        let lazy = self.lower.graph.is_lazy(a) == self.lower.graph.is_lazy(b);
        operands && lazy && x.kind == y.kind && x.operands.iter().zip(&y.operands).all(|(&p, &q)| self.values(p, q))
    }

    /// Regions of operations that compute, as reducers are.
    fn regions(&mut self, a: RegionId, b: RegionId) -> bool {
        let func = self.lower.func;
        let (x, y) = (func.region(a), func.region(b));
        if x.args.len() != y.args.len() || x.ops.len() != y.ops.len() || x.results.len() != y.results.len() {
            return false;
        }
        let typed = x.args.iter().zip(&y.args).all(|(&p, &q)| func.ty(p) == func.ty(q));
        self.pairs.extend(x.args.iter().copied().zip(y.args.iter().copied()));
        typed
            && x.ops.iter().zip(&y.ops).all(|(&p, &q)| self.computations(p, q))
            && x.results.iter().zip(&y.results).all(|(&p, &q)| self.values(p, q))
    }

    fn computations(&mut self, a: OpId, b: OpId) -> bool {
        let func = self.lower.func;
        let (x, y) = (func.op(a), func.op(b));
        let counts = x.operands.len() == y.operands.len()
            && x.results.len() == y.results.len()
            && x.regions.len() == y.regions.len();
        let same = counts
            && x.kind == y.kind
            && x.results
                .iter()
                .zip(&y.results)
                .all(|(&p, &q)| func.ty(p) == func.ty(q))
            && x.operands.iter().zip(&y.operands).all(|(&p, &q)| self.values(p, q))
            && x.regions.iter().zip(&y.regions).all(|(&p, &q)| self.regions(p, q));
        self.pairs
            .extend(x.results.iter().copied().zip(y.results.iter().copied()));
        same
    }

    /// Whether the lowering is told the same of two operations.
    fn told_alike(&self, a: OpId, b: OpId) -> bool {
        let (lower, plan) = (self.lower, self.plan);
        let (x, y) = (lower.func.op(a), lower.func.op(b));
        let reduces = matches!(x.kind, OpKind::Reduce(_));
        lower.in_place.contains(&a) == lower.in_place.contains(&b)
            && lower.hint(a) == lower.hint(b)
            && (!reduces || lower.nan_matters(a) == lower.nan_matters(b))
            && x.results.iter().zip(&y.results).all(|(&p, &q)| {
                plan.escapes[p.index()] == plan.escapes[q.index()]
                    && plan.only_transpose.get(&p) == plan.only_transpose.get(&q)
                    && self.layers.no_later(&lower.last_read, (p, 0), (q, self.trip))
            })
    }

    fn steps(&mut self, offset: usize) -> bool {
        let plan = self.plan;
        let at = |trip: usize| self.layers.start(trip) + offset;
        let (first, later) = (at(0), at(self.trip));
        let alike = match (plan.nodes[first], plan.nodes[later]) {
            (Node::Move(_), Node::Move(_)) => true,
            (Node::Cluster(a), Node::Cluster(b)) => {
                let (a, b) = (&plan.clusters[a], &plan.clusters[b]);
                (a.elements, a.split, a.period, a.whole_rows) == (b.elements, b.split, b.period, b.whole_rows)
            }
            _ => false,
        };
        let (a, b) = (members(plan, first), members(plan, later));
        alike
            && a.len() == b.len()
            && a.iter()
                .zip(b)
                .all(|(&p, &q)| self.computations(p, q) && self.told_alike(p, q))
    }
}

/// A layer of its own, and what it stands for.
struct Body {
    layers: Layers,
    /// By layer, after the first one.
    pairs: Vec<Pairs>,
    /// Values from outside.
    sources: BTreeMap<ValueId, Source>,
}

impl Body {
    /// What a value of the first layer is in another one.
    fn value(&self, value: ValueId, trip: usize) -> ValueId {
        match trip.checked_sub(1) {
            Some(later) => self.pairs[later].get(&value).copied().unwrap_or(value),
            None => value,
        }
    }
}

/// What of a loop is known when its body is lowered.
#[derive(Default)]
struct Operands {
    /// For storages that are per trip, the storage of each repetition.
    storages: FxHashMap<StorageId, Vec<StorageId>>,
    /// What is carried: its buffer in the loop, where it lies before, and the value that the next layer takes.
    carried: Vec<(BufferId, StridedView, ValueId)>,
}

/// State to go back to.
struct Saved {
    views: Vec<Option<StridedView>>,
    shared: BTreeSet<StorageId>,
    units: BTreeMap<StorageId, i64>,
    counts: [usize; 4],
}

impl Lower<'_> {
    /// The first layers of some that are equal, as many as can be one loop; `None` if not even two can.
    fn equal_layers(&self, plan: &Plan, layers: Layers) -> Option<Body> {
        let step_of = steps_of(plan);
        let mut pairs: Vec<Pairs> = Vec::new();
        let mut outside: Vec<ValueId> = Vec::new();
        for trip in 1..layers.trips {
            let mut matching = Matching {
                lower: self,
                plan,
                step_of: &step_of,
                layers,
                trip,
                pairs: Pairs::default(),
                outside: Vec::new(),
            };
            if !(0..layers.period).all(|offset| matching.steps(offset)) {
                break;
            }
            outside = matching.outside;
            pairs.push(matching.pairs);
        }
        let trips = pairs.len() + 1;
        let body = Body {
            layers: Layers { trips, ..layers },
            pairs,
            sources: BTreeMap::new(),
        };
        let sources = outside.into_iter().map(|v| Some((v, self.source(&body, &step_of, v)?)));
        let sources = sources.collect::<Option<BTreeMap<_, _>>>()?;
        (trips > 1).then_some(Body { sources, ..body })
    }

    /// Where a value from outside of the first layer comes from, if all layers agree.
    fn source(&self, body: &Body, step_of: &[Option<usize>], value: ValueId) -> Option<Source> {
        let layers = body.layers;
        let values: Vec<ValueId> = (0..layers.trips).map(|trip| body.value(value, trip)).collect();
        if values.iter().all(|&v| v == value) {
            return Some(Source::Shared);
        }
        let no_later = |trip: usize| layers.no_later(&self.last_read, (value, 0), (values[trip], trip));
        if !(1..layers.trips).all(no_later) {
            return None;
        }
        let step = |v: ValueId| self.func.def(v).and_then(|op| step_of[op.index()]);
        let before = |v: ValueId| step(v).is_none_or(|s| s < layers.begin);
        if values.iter().all(|&v| before(v)) {
            return Some(Source::PerTrip(values));
        }
        let made = values[1];
        let own = step(made).is_some_and(|s| (layers.start(0)..layers.start(1)).contains(&s));
        let handed_on = (1..layers.trips).all(|trip| body.value(made, trip - 1) == values[trip]);
        (own && handed_on && before(value)).then_some(Source::Carried(value, made))
    }

    /// Lowers layers as one loop; the step after them, or `None` if they are not equal enough, with nothing changed.
    pub(super) fn layer_loop(&mut self, plan: &Plan, layers: Layers) -> Result<Option<usize>> {
        let Some(body) = self.equal_layers(plan, layers) else {
            return Ok(None);
        };
        let saved = Saved {
            views: self.views.clone(),
            shared: self.shared.clone(),
            units: self.units.clone(),
            counts: self.counts(),
        };
        let stop = self.stop;
        let after = self.lower_layers(plan, &body, &saved)?;
        self.stop = stop;
        if after.is_none() {
            let [ops, tiles, buffers, storages] = saved.counts;
            self.program.ops.truncate(ops);
            self.program.tiles.truncate(tiles);
            self.program.buffers.truncate(buffers);
            self.storages.truncate(storages);
            (self.views, self.shared, self.units) = (saved.views, saved.shared, saved.units);
        }
        self.cache.clear();
        Ok(after)
    }

    fn counts(&self) -> [usize; 4] {
        let p = &self.program;
        [p.ops.len(), p.tiles.len(), p.buffers.len(), self.storages.len()]
    }

    /// A view of a buffer that stands for another one in each repetition; each view has the form of the first one.
    fn per_trip(&mut self, operands: &mut Operands, views: &[StridedView]) -> StridedView {
        let storages: Vec<StorageId> = views.iter().map(|v| v.storage).collect();
        // What is carried is one view here, and each has a buffer of its own: they may begin in one place and part later.
        let known = operands
            .storages
            .iter()
            .find(|(_, s)| views.len() > 1 && **s == storages);
        let known = known.map(|(id, _)| *id);
        let storage = known.unwrap_or_else(|| {
            let first = self.storage(storages[0]).clone();
            let members = storages.iter().map(|s| self.storage(*s).buffer).collect();
            let buffer = self.per_trip_buffer(members);
            let storage = self.storage_of(buffer, first.dtype);
            // What several share in other ways is nobody's to overwrite.
            let meets = |s: &Vec<StorageId>| s.iter().any(|s| storages.contains(s));
            let others: Vec<StorageId> = operands
                .storages
                .iter()
                .filter(|(_, s)| meets(s))
                .map(|(id, _)| *id)
                .collect();
            if !others.is_empty() {
                self.shared.extend(others);
                self.shared.insert(storage);
            }
            operands.storages.insert(storage, storages);
            storage
        });
        StridedView {
            storage,
            ..views[0].clone()
        }
    }

    fn per_trip_buffer(&mut self, members: Vec<BufferId>) -> BufferId {
        let first = self.program.buffer(members[0]);
        let (name, bytes) = (format!("{}_per_trip", first.name), first.bytes);
        self.program.add_buffer(name, BufferKind::PerTrip(members), bytes)
    }

    fn storage_of(&mut self, buffer: BufferId, dtype: ferrite_ir::dtype::DType) -> StorageId {
        self.storages.push(super::Storage { buffer, dtype });
        StorageId(self.storages.len() as u32 - 1)
    }

    /// Whether views differ in nothing but the buffers they are of.
    fn alike(&self, a: &StridedView, b: &StridedView) -> bool {
        let (x, y) = (self.storage(a.storage), self.storage(b.storage));
        let (p, q) = (self.program.buffer(x.buffer), self.program.buffer(y.buffer));
        a.offset == b.offset && a.dims == b.dims && x.dtype == y.dtype && p.bytes == q.bytes
    }

    /// Whether buffers are of one kind, and so may be overwritten or not.
    fn of_one_kind(&self, views: &[StridedView]) -> bool {
        let kind = |v: &StridedView| std::mem::discriminant(&self.program.buffer(self.storage(v.storage).buffer).kind);
        views.iter().all(|v| kind(v) == kind(&views[0]))
    }

    /// Whether a view has every element of its buffer once, in whatever order.
    fn fills(&self, view: &StridedView) -> bool {
        let mut dims: Vec<(i64, i64)> = view
            .dims
            .iter()
            .map(|d| (d.stride, d.extent))
            .filter(|d| d.1 != 1)
            .collect();
        dims.sort_unstable();
        let storage = self.storage(view.storage);
        let mut elements = 1;
        let in_order = dims.iter().all(|&(stride, extent)| {
            let fits = stride == elements;
            elements *= extent;
            fits
        });
        let bytes = self.program.buffer(storage.buffer).bytes;
        in_order && view.offset == 0 && elements as u64 * storage.dtype.bytes() as u64 == bytes
    }

    /// The values that a layer computes and something after it reads.
    fn kept(&self, plan: &Plan, layers: Layers) -> Vec<ValueId> {
        let end = layers.start(1);
        let steps = layers.start(0)..end;
        let computed = steps
            .flat_map(|step| members(plan, step))
            .flat_map(|&op| &self.func.op(op).results);
        computed.copied().filter(|v| self.last_read[v.index()] >= end).collect()
    }

    fn lower_layers(&mut self, plan: &Plan, body: &Body, saved: &Saved) -> Result<Option<usize>> {
        let layers = body.layers;
        // Inside the loop a value lies where its source says; what is only applied on the way is found again.
        let mut inside: Vec<Option<StridedView>> = vec![None; self.views.len()];
        for (&first, later) in body.pairs[0].iter().filter(|(a, b)| a == b) {
            if body.pairs.iter().all(|p| p.get(&first) == Some(later)) {
                inside[first.index()] = self.views[first.index()].clone();
            }
        }
        let mut operands = Operands::default();
        for (&value, source) in &body.sources {
            let view = match source {
                Source::Shared => self.view_of(value)?,
                Source::PerTrip(values) => {
                    let views = values.iter().map(|&v| self.view_of(v)).collect::<Result<Vec<_>>>()?;
                    if !views.iter().all(|v| self.alike(v, &views[0])) || !self.of_one_kind(&views) {
                        return Ok(None);
                    }
                    self.per_trip(&mut operands, &views)
                }
                Source::Carried(first, made) => {
                    let mut view = self.view_of(*first)?;
                    if !self.fills(&view) {
                        view = self.contiguous_copy(&view)?;
                    }
                    let here = self.per_trip(&mut operands, std::slice::from_ref(&view));
                    let buffer = self.storage(here.storage).buffer;
                    operands.carried.push((buffer, view, *made));
                    here
                }
            };
            inside[value.index()] = Some(view);
        }
        let outside = std::mem::replace(&mut self.views, inside);
        self.meet(Control::Loop);
        let start = self.counts();
        self.stop = layers.start(1);
        let mut step = layers.begin;
        while step < self.stop {
            step += self.run(plan, step)?;
        }
        // What is read later, with the view it has in the loop.
        let kept = self.kept(plan, layers);
        let mut results: Vec<(ValueId, StridedView)> = Vec::with_capacity(kept.len());
        for value in kept {
            match self.views[value.index()].clone() {
                Some(view) => results.push((value, view)),
                None => return Ok(None),
            }
        }
        // What is carried must lie as it did before the loop, in a buffer that the layer fills.
        let mut handed: Vec<(BufferId, BufferId)> = Vec::new();
        for (operand, init, made) in std::mem::take(&mut operands.carried) {
            let Some((_, view)) = results.iter().find(|(v, _)| *v == made) else {
                return Ok(None);
            };
            let (view, buffer) = (view.clone(), self.storage(view.storage).buffer);
            let fresh = buffer.index() >= start[2] && self.alike(&view, &init);
            if fresh || buffer == operand {
                handed.push((operand, buffer));
                continue;
            }
            let target = self.scratch("carried", self.storage(init.storage).dtype, init.elements());
            let target = StridedView {
                storage: target,
                ..init.clone()
            };
            self.copy(&view, &target)?;
            handed.push((operand, self.storage(target.storage).buffer));
        }
        self.meet(Control::Repeat(layers.trips as u32));
        self.views = outside;
        let mut fresh: BTreeSet<BufferId> = results.iter().map(|(_, v)| self.storage(v.storage).buffer).collect();
        fresh.extend(handed.iter().map(|h| h.1));
        fresh.retain(|b| b.index() >= start[2] && matches!(self.program.buffer(*b).kind, BufferKind::Scratch));
        let mut own: FxHashMap<BufferId, Vec<BufferId>> = FxHashMap::default();
        let mut renamed: FxHashMap<BufferId, BufferId> = FxHashMap::default();
        for buffer in fresh {
            let bytes = self.program.buffer(buffer).bytes;
            let mut all = vec![buffer];
            for _ in 1..layers.trips {
                let name = format!("layer_{}", self.program.buffers.len());
                all.push(self.program.add_buffer(name, BufferKind::Scratch, bytes));
            }
            renamed.insert(buffer, self.per_trip_buffer(all.clone()));
            own.insert(buffer, all);
        }
        for op in &mut self.program.ops[start[0]..] {
            rename_buffers(op, &|b| renamed.get(&b).copied().unwrap_or(b));
        }
        for &(operand, result) in &handed {
            let BufferKind::PerTrip(members) = self.program.buffer(operand).kind.clone() else {
                continue;
            };
            let written = own.get(&result).map_or(&members[..], Vec::as_slice);
            let later = (0..layers.trips - 1).map(|trip| *written.get(trip).unwrap_or(&members[0]));
            let all = members.iter().copied().chain(later).collect();
            self.program.buffers[operand.index()].kind = BufferKind::PerTrip(all);
        }
        for (value, view) in results {
            // Storages of their own for each layer, the same for all values that share one in the loop.
            let (buffer, dtype) = (self.storage(view.storage).buffer, self.storage(view.storage).dtype);
            if let (Some(all), false) = (own.get(&buffer), operands.storages.contains_key(&view.storage)) {
                let storages: Vec<StorageId> = all.iter().map(|&b| self.storage_of(b, dtype)).collect();
                if let Some(&unit) = self.units.get(&view.storage) {
                    self.units.extend(storages.iter().map(|&s| (s, unit)));
                }
                operands.storages.insert(view.storage, storages);
            }
            for trip in 0..layers.trips {
                let storage = match operands.storages.get(&view.storage) {
                    // What is carried and changed in place has one place.
                    Some(all) => *all.get(trip).unwrap_or(&all[0]),
                    None => view.storage,
                };
                let place = StridedView {
                    storage,
                    ..view.clone()
                };
                self.views[body.value(value, trip).index()] = Some(place);
            }
        }
        debug_assert!(saved.counts.iter().zip(self.counts()).all(|(a, b)| *a <= b));
        Ok(Some(layers.start(layers.trips)))
    }
}
