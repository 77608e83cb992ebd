//! Loops and branches: `while`, `if` and `case` as control flow of the tile program.
//!
//! Values that go from one repetition to the next lie in HBM, each in a storage of its own: the initial value is copied
//! there, unless it lies in memory that nothing else needs, and the body leaves the new one there. A result that the body
//! computes when nothing reads the old value any more is computed in that storage; others are copied. So a tensor
//! of which one row is updated is never copied. What the body passes through unchanged stays where it is.
//!
//! A loop with a condition tests it once before and then at its end, so that all engines meet once per repetition; a loop
//! that counts from a constant to a constant tests nothing in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{BinaryOp, ComparisonDirection, OpId, OpKind, RegionId, Type, ValueId};
use ferrite_ir::tile::{BufferId, BufferKind, Control, Engine, Inst, Op, OpKind as TileKind, Space, Touched};

use super::fuse::{self, Plan};
use super::view::{StorageId, StridedView};
use super::{Lower, device_dtype, fuse_limits};

/// The relation of the operands the other way round.
fn swapped(direction: ComparisonDirection) -> ComparisonDirection {
    match direction {
        ComparisonDirection::Lt => ComparisonDirection::Gt,
        ComparisonDirection::Le => ComparisonDirection::Ge,
        ComparisonDirection::Gt => ComparisonDirection::Lt,
        ComparisonDirection::Ge => ComparisonDirection::Le,
        same @ (ComparisonDirection::Eq | ComparisonDirection::Ne) => same,
    }
}

/// When a range of the program touches a buffer: first write and last access.
#[derive(Clone, Copy)]
struct Touches {
    first_write: Option<usize>,
    last: usize,
}

impl Lower<'_> {
    /// All engines meet: nothing stays on chip.
    pub(super) fn meet(&mut self, control: Control) {
        self.cache.clear();
        self.emit(TileKind::Control(control));
    }

    /// Every engine loads an integer into its test register.
    fn load_test(&mut self, view: &StridedView) -> Result<()> {
        let blocks = self
            .blocks(view, 1)
            .ok_or_else(|| Diagnostic::bug("a scalar is one row"))?;
        let dtype = self.storage(view.storage).dtype;
        let mut src = self.fetch(&blocks, (0, 1), (0, 1), dtype)?.view;
        if dtype != DType::I32 {
            let dst = self.new_tile(Space::Sbuf, 1, 1, DType::I32, "test");
            self.inst(Inst::TensorCopy { dst: dst.clone(), src });
            src = dst;
        }
        for engine in Engine::ALL {
            self.program.ops.push(Op {
                kind: TileKind::LoadTest { src: src.clone() },
                engine: Some(engine),
                loc: self.loc,
            });
        }
        Ok(())
    }

    fn plan_region(&self, region: RegionId) -> Rc<Plan> {
        Rc::new(fuse::plan(self.graph, region, fuse_limits(self.machine, self.options)))
    }

    /// Lowers a region with its arguments in the given places; where its results are.
    fn region(&mut self, region: RegionId, plan: &Rc<Plan>, args: &[StridedView]) -> Result<Vec<StridedView>> {
        let body = self.func.region(region);
        let results = body.results.clone();
        let mut local: BTreeSet<ValueId> = body.args.iter().copied().collect();
        for &op in &body.ops {
            local.extend(self.func.op(op).results.iter().copied());
        }
        // Views found in the region hold inside it only: it may not run at all, or again.
        let views = self.views.clone();
        for (&arg, view) in self.func.region(region).args.iter().zip(args) {
            self.views[arg.index()] = Some(view.clone());
        }
        let outer_plan = std::mem::replace(&mut self.plan, plan.clone());
        let last_read = fuse::last_reads(self.graph, region, plan);
        let outer_reads = std::mem::replace(&mut self.last_read, last_read);
        let last_use = fuse::last_uses(self.graph, plan);
        let outer_uses = std::mem::replace(&mut self.last_use, last_use);
        let outer_local = self.local.replace(local);
        let (step, loc) = (self.step, self.loc);
        self.steps()?;
        let found = results.iter().map(|&v| self.view_of(v)).collect::<Result<Vec<_>>>()?;
        self.plan = outer_plan;
        self.last_read = outer_reads;
        self.last_use = outer_uses;
        self.local = outer_local;
        self.views = views;
        (self.step, self.loc) = (step, loc);
        Ok(found)
    }

    /// Makes sure that what the regions of an operation capture is in memory before them.
    fn bind_captured(&mut self, op: OpId) -> Result<()> {
        let operands = self.func.op(op).operands.len();
        let captured: Vec<ValueId> = self.graph.reads(op).skip(operands).collect();
        for v in captured {
            let (base, chain) = self.graph.trace(v);
            self.view_of(base)?;
            for link in chain {
                self.view_of(self.func.result(link))?;
            }
        }
        Ok(())
    }

    /// A storage for a value that control flow gives.
    fn control_storage(&mut self, value: ValueId) -> Result<StridedView> {
        let Type::Tensor(ty) = self.func.ty(value).clone() else {
            let loc = self.loc;
            return Err(self
                .error_at(
                    loc,
                    Code::Unsupported,
                    format!("a value of type `{}` passes through control flow", self.func.ty(value)),
                )
                .help("only tensors can be carried through loops and branches on the device"));
        };
        // Wider elements than the engines compute with only pass by.
        let dtype = device_dtype(ty.dtype);
        let storage = self.scratch("carried", dtype, ty.element_count() as i64);
        Ok(StridedView::contiguous(storage, &ty.shape))
    }

    /// Where a carried value lives: where the initial value lies, if nothing else needs it there, or in a copy.
    fn carry(&mut self, init: ValueId, arg: ValueId, claimed: &mut BTreeSet<BufferId>) -> Result<StridedView> {
        let (root, _) = self.graph.trace(init);
        let splat = self.splat_of(init).is_some() || self.splat_int_of(init).is_some();
        if !splat {
            let view = self.view_of(init)?;
            let buffer = self.storage(view.storage).buffer;
            let own = matches!(self.program.buffer(buffer).kind, BufferKind::Scratch);
            if own && self.is_whole(&view) && self.is_last_read(root, &view) && claimed.insert(buffer) {
                return Ok(view);
            }
        }
        let target = self.control_storage(arg)?;
        if splat {
            self.fill(&target, init)?;
        } else {
            let source = self.view_of(init)?;
            self.copy(&source, &target)?;
        }
        Ok(target)
    }

    pub(super) fn while_loop(&mut self, op: OpId) -> Result<()> {
        let node = self.func.op(op).clone();
        let (cond, body) = (node.regions[0], node.regions[1]);
        self.bind_captured(op)?;
        let args = self.func.region(body).args.clone();
        let fixed: Vec<bool> = args
            .iter()
            .zip(&self.func.region(body).results)
            .map(|(arg, result)| arg == result)
            .collect();
        let trips = self.trip_count(op);
        let mut claimed = BTreeSet::new();
        let mut places = Vec::with_capacity(args.len());
        for ((&init, &arg), &fixed) in node.operands.iter().zip(&args).zip(&fixed) {
            if fixed || trips == Some(0) {
                let view = self.view_of(init)?;
                self.shared.insert(view.storage);
                places.push(view);
            } else {
                places.push(self.carry(init, arg, &mut claimed)?);
            }
        }
        if trips != Some(0) {
            self.repeat(cond, body, &places, &fixed, trips)?;
        }
        for (&result, place) in node.results.iter().zip(&places) {
            self.views[result.index()] = Some(place.clone());
        }
        Ok(())
    }

    /// A loop that runs at least once if `trips` is known.
    fn repeat(
        &mut self,
        cond: RegionId,
        body: RegionId,
        places: &[StridedView],
        fixed: &[bool],
        trips: Option<u32>,
    ) -> Result<()> {
        let (cond_plan, body_plan) = (self.plan_region(cond), self.plan_region(body));
        if trips.is_none() {
            let test = self.region(cond, &cond_plan, places)?;
            self.load_test(&test[0])?;
            self.meet(Control::Switch(2));
            self.meet(Control::NextBranch);
        }
        if trips != Some(1) {
            self.meet(Control::Loop);
        }
        let start = (self.program.ops.len(), self.program.buffers.len());
        let results = self.region(body, &body_plan, places)?;
        let moving: Vec<usize> = (0..places.len()).filter(|&k| !fixed[k]).collect();
        let moves = moving.iter().map(|&k| (results[k].clone(), places[k].clone()));
        let delivered = self.deliver(start, moves.collect())?;
        match trips {
            Some(1) => {}
            Some(n) => self.meet(Control::Repeat(n)),
            None => {
                let mut now = places.to_vec();
                for (&k, view) in moving.iter().zip(delivered) {
                    now[k] = view;
                }
                let test = self.region(cond, &cond_plan, &now)?;
                self.load_test(&test[0])?;
                self.meet(Control::RepeatWhile);
                self.meet(Control::EndSwitch);
            }
        }
        Ok(())
    }

    pub(super) fn switch(&mut self, op: OpId) -> Result<()> {
        let node = self.func.op(op).clone();
        self.bind_captured(op)?;
        let index = self.view_of(node.operands[0])?;
        let mut branches = node.regions.to_vec();
        if matches!(node.kind, OpKind::If) {
            // By number: false is 0.
            branches.reverse();
        }
        let targets = node
            .results
            .iter()
            .map(|&r| self.control_storage(r))
            .collect::<Result<Vec<_>>>()?;
        self.load_test(&index)?;
        self.meet(Control::Switch(branches.len() as u32));
        for (number, &branch) in branches.iter().enumerate() {
            if number > 0 {
                self.meet(Control::NextBranch);
            }
            let plan = self.plan_region(branch);
            let start = (self.program.ops.len(), self.program.buffers.len());
            let results = self.region(branch, &plan, &[])?;
            self.deliver(start, results.into_iter().zip(targets.iter().cloned()).collect())?;
        }
        self.meet(Control::EndSwitch);
        for (&result, target) in node.results.iter().zip(targets) {
            self.views[result.index()] = Some(target);
        }
        Ok(())
    }

    /// Brings results of a region, lowered since `start` (operations and buffers), to their places. Where each can be read
    /// now.
    fn deliver(&mut self, start: (usize, usize), moves: Vec<(StridedView, StridedView)>) -> Result<Vec<StridedView>> {
        let buffer = |this: &Self, view: &StridedView| this.storage(view.storage).buffer;
        let stays = |this: &Self, (from, to): &(StridedView, StridedView)| {
            buffer(this, from) == buffer(this, to) && from.offset == to.offset && from.dims == to.dims
        };
        let overwritten: BTreeSet<BufferId> = moves
            .iter()
            .filter(|m| !stays(self, m))
            .map(|(_, to)| buffer(self, to))
            .collect();
        let mut sources = Vec::with_capacity(moves.len());
        for (from, to) in &moves {
            let (from, to) = (from.clone(), to.clone());
            let lost = !stays(self, &(from.clone(), to)) && overwritten.contains(&buffer(self, &from));
            sources.push(if lost { self.contiguous_copy(&from)? } else { from });
        }
        let touches = self.touches(start.0);
        let mut renamed: BTreeMap<BufferId, BufferId> = BTreeMap::new();
        let mut copies = Vec::new();
        for (source, (_, to)) in sources.iter().zip(&moves) {
            if stays(self, &(source.clone(), to.clone())) {
                continue;
            }
            let (own, target) = (buffer(self, source), buffer(self, to));
            let (a, b) = (self.storage(source.storage), self.storage(to.storage));
            let fresh = own.index() >= start.1
                && matches!(self.program.buffer(own).kind, BufferKind::Scratch)
                && self.program.buffer(own).bytes == self.program.buffer(target).bytes
                && a.dtype == b.dtype;
            let begins = touches.get(&own).and_then(|t| t.first_write);
            let ends = touches.get(&target).map(|t| t.last);
            let free = begins.is_some_and(|begins| ends.is_none_or(|ends| ends < begins));
            if fresh && free && self.is_whole(source) && self.is_whole(to) && !renamed.contains_key(&own) {
                renamed.insert(own, target);
            } else {
                copies.push((source.clone(), to.clone()));
            }
        }
        self.rename_buffers(start.0, &renamed);
        for (source, to) in copies {
            self.copy(&source, &to)?;
        }
        let written: Vec<StorageId> = moves.iter().map(|(_, to)| to.storage).collect();
        for storage in written {
            self.cache.forget(storage);
        }
        Ok(sources)
    }

    /// First write and last access of every buffer since operation `start`; what a loop inside does, it does from its
    /// first operation to its last.
    fn touches(&self, start: usize) -> BTreeMap<BufferId, Touches> {
        let mut span: Vec<(usize, usize)> = (start..self.program.ops.len()).map(|i| (i, i)).collect();
        // Inner loops come first, so that outer ones have the last word.
        for (begin, end) in self.program.loops() {
            if begin >= start {
                span[begin - start..=end - start].fill((begin, end));
            }
        }
        let mut found: BTreeMap<BufferId, Touches> = BTreeMap::new();
        for (op, &(begin, end)) in self.program.ops[start..].iter().zip(&span) {
            op.for_each(|role, touched| {
                let buffer = match touched {
                    Touched::Hbm(h) => h.buffer,
                    Touched::Buffer(b) => b,
                    Touched::Tile(_) => return,
                };
                let entry = found.entry(buffer).or_insert(Touches {
                    first_write: None,
                    last: end,
                });
                entry.last = entry.last.max(end);
                if role.writes() {
                    entry.first_write.get_or_insert(begin);
                }
            });
        }
        found
    }

    /// Replaces buffers in the operations since `start`, and in all storages.
    fn rename_buffers(&mut self, start: usize, renamed: &BTreeMap<BufferId, BufferId>) {
        if renamed.is_empty() {
            return;
        }
        for op in &mut self.program.ops[start..] {
            crate::tile::names::rename_buffers(op, &|b| renamed.get(&b).copied().unwrap_or(b));
        }
        for storage in &mut self.storages {
            if let Some(&to) = renamed.get(&storage.buffer) {
                storage.buffer = to;
            }
        }
    }

    /// How often a loop runs that counts from a constant to a constant in constant steps.
    fn trip_count(&self, op: OpId) -> Option<u32> {
        let node = self.func.op(op);
        let (cond, body) = (self.func.region(node.regions[0]), self.func.region(node.regions[1]));
        let test = self.func.op(self.func.def(*cond.results.first()?)?);
        let OpKind::Compare(compare) = &test.kind else {
            return None;
        };
        let position = |v: ValueId| cond.args.iter().position(|&a| a == self.graph.trace(v).0);
        let (k, limit, direction) = match (position(test.operands[0]), position(test.operands[1])) {
            (Some(k), None) => (k, self.splat_int_of(test.operands[1])?, compare.direction),
            (None, Some(k)) => (k, self.splat_int_of(test.operands[0])?, swapped(compare.direction)),
            _ => return None,
        };
        let next = self.func.op(self.func.def(body.results[k])?);
        let counts = |v: ValueId| self.graph.trace(v).0 == body.args[k];
        let (a, b) = (*next.operands.first()?, *next.operands.get(1)?);
        let step = match next.kind {
            OpKind::Binary(BinaryOp::Add) if counts(a) => self.splat_int_of(b)?,
            OpKind::Binary(BinaryOp::Add) if counts(b) => self.splat_int_of(a)?,
            OpKind::Binary(BinaryOp::Subtract) if counts(a) => self.splat_int_of(b)?.checked_neg()?,
            _ => return None,
        };
        let dtype = self.func.tensor(body.args[k]).dtype;
        if dtype != DType::I32 {
            return None;
        }
        let first = self.splat_int_of(node.operands[k])?;
        let distance = match direction {
            ComparisonDirection::Lt if step > 0 => limit - first,
            ComparisonDirection::Le if step > 0 => limit - first + 1,
            ComparisonDirection::Gt if step < 0 => first - limit,
            ComparisonDirection::Ge if step < 0 => first - limit + 1,
            _ => return None,
        };
        let size = step.checked_abs()?;
        let trips = (distance.max(0) + size - 1) / size;
        // The last value must not wrap around on the way.
        let last = first.checked_add(step.checked_mul(trips)?)?;
        i32::try_from(last).ok()?;
        i32::try_from(trips).ok().map(|n| n as u32)
    }
}
