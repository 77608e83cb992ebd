//! Choosing one term for each class that is needed, so that the whole costs least.
//!
//! A term that several others read is paid once: the cost of a choice is the sum over the classes it needs. That is hard
//! to minimize exactly, so two choices are improved step by step and the cheaper one is taken:
//! * the program as it is, and
//! * for each class the term whose tree is cheapest (which alone would count shared terms once for each reader).
//!
//! A step gives one class another term, if what falls away costs more than what comes in: reference counts make that a
//! local question. A step that costs nothing is taken only back towards the program as it was. So the result is never
//! dearer than the program, and what does not pay stays as it stands.

use std::collections::HashMap;
use std::sync::Arc;

use egg::Id;
use ferrite_ir::hlo::TensorType;
use ferrite_ir::machine::MachineModel;
use smallvec::SmallVec;

use super::cost::price;
use super::graph::Graph;
use super::import::Region;
use super::language::Kind;

/// Times that all classes are looked at again (our choice; in practice the second time finds little).
const SWEEPS: usize = 4;

/// What terms are said to cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prices {
    /// What the machine model says.
    #[default]
    Machine,
    /// Less for what rules added than for what the program has: for tests, which so see what a rule makes.
    New,
    /// Anything: for tests, which so see any of the equal programs.
    Arbitrary(u64),
}

impl Prices {
    fn of(self, machine: &MachineModel, kind: &Kind, ty: &TensorType, read: &[&TensorType], new: bool) -> u64 {
        match self {
            Prices::Machine => price(machine, kind, ty, read).max(1),
            Prices::New => 1 + 99 * u64::from(!new),
            Prices::Arbitrary(seed) => {
                let mixed = (kind.hash() ^ seed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                1 + (mixed >> 54)
            }
        }
    }
}

/// A term that is to be computed.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    pub kind: Arc<Kind>,
    pub ty: TensorType,
    /// Numbers of chosen terms.
    pub operands: SmallVec<[u32; 3]>,
    /// The term of the region that it is, if it is one.
    pub origin: Option<u32>,
    /// The first term of the region in its class.
    pub stands_for: Option<u32>,
}

/// What a region shall compute.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    pub terms: Vec<Chosen>,
    /// By term of the region: the chosen term of its class, if that is needed.
    pub of: Vec<Option<u32>>,
    /// Whether anything differs from the region.
    pub changed: bool,
    /// Estimated time of the region and of the plan, picoseconds.
    pub before: u64,
    /// See `before`.
    pub after: u64,
}

/// A term that a class could be computed by.
#[derive(Clone)]
struct Alternative {
    kind: u32,
    operands: SmallVec<[u32; 3]>,
    cost: u64,
    origin: Option<u32>,
}

struct Classes {
    alternatives: Vec<Vec<Alternative>>,
    types: Vec<TensorType>,
    /// First term of the region in the class.
    first: Vec<Option<u32>>,
    roots: Vec<u32>,
}

/// Extracts the cheapest plan; `class_of` names the class of each term of the region.
pub(super) fn extract(graph: &Graph, region: &Region, class_of: &[Id], machine: &MachineModel, prices: Prices) -> Plan {
    let (classes, number) = classes(graph, region, class_of, machine, prices);
    let cheapest = classes.cheapest_trees();
    let original = classes.original(&cheapest);
    let before = paid(region, machine, prices);
    let mut best: Option<Solution<'_>> = None;
    for start in [&original, &cheapest] {
        let mut solution = Solution::new(&classes, start, &cheapest);
        if !solution.is_acyclic() {
            continue;
        }
        solution.improve();
        solution.order();
        debug_assert!(solution.is_acyclic(), "a step made a term need itself");
        // Of two that cost the same, what is nearer to the program.
        if solution.is_acyclic() && best.as_ref().is_none_or(|b| solution.total < b.total) {
            best = Some(solution);
        }
    }
    let Some(mut best) = best else {
        return Plan {
            before,
            after: before,
            ..Plan::default()
        };
    };
    let mut plan = best.plan(graph);
    plan.before = before;
    // Equal terms of the program that became one cost less, though each that is left is the program's.
    plan.changed |= plan.after != before;
    plan.of = class_of
        .iter()
        .map(|&id| best.numbers[number[&graph.egraph.find(id)] as usize])
        .collect();
    plan
}

/// What the terms of a region that are needed cost.
fn paid(region: &Region, machine: &MachineModel, prices: Prices) -> u64 {
    let mut needed = vec![false; region.terms.len()];
    for &root in &region.roots {
        needed[root as usize] = true;
    }
    let mut total = 0;
    for (term, needs) in region.terms.iter().enumerate().rev() {
        if !needed[term] {
            continue;
        }
        needs.operands.iter().for_each(|&o| needed[o as usize] = true);
        let read: SmallVec<[&TensorType; 3]> = needs.operands.iter().map(|&o| &region.terms[o as usize].ty).collect();
        total += prices.of(machine, &needs.kind, &needs.ty, &read, false);
    }
    total
}

/// Dense numbers for classes, and their alternatives: those of the region first.
fn classes(
    graph: &Graph,
    region: &Region,
    class_of: &[Id],
    machine: &MachineModel,
    prices: Prices,
) -> (Classes, HashMap<Id, u32>) {
    let egraph = &graph.egraph;
    let mut ids: Vec<Id> = egraph.classes().map(|c| c.id).collect();
    ids.sort_unstable();
    let number: HashMap<Id, u32> = ids.iter().enumerate().map(|(i, &id)| (id, i as u32)).collect();
    let of = |id: Id| number[&egraph.find(id)];
    // Which term of the region each (class, kind, operands) is.
    let mut first: Vec<Option<u32>> = vec![None; ids.len()];
    let mut origins: HashMap<(u32, u32, SmallVec<[u32; 3]>), u32> = HashMap::new();
    for (i, term) in region.terms.iter().enumerate() {
        let class = of(class_of[i]);
        first[class as usize].get_or_insert(i as u32);
        let operands: SmallVec<[u32; 3]> = term.operands.iter().map(|&o| of(class_of[o as usize])).collect();
        let Some(kind) = graph.kind_number(&term.kind) else {
            continue;
        };
        origins.entry((class, kind, operands)).or_insert(i as u32);
    }
    let mut alternatives = Vec::with_capacity(ids.len());
    let mut types = Vec::with_capacity(ids.len());
    for (i, &id) in ids.iter().enumerate() {
        let class = &egraph[id];
        let ty = graph.ty(super::graph::Class::of(id)).clone();
        let mut found: Vec<Alternative> = Vec::new();
        for node in &class.nodes {
            let late = node.operands.iter().any(|&o| egraph[o].data.level > class.data.level);
            let operands: SmallVec<[u32; 3]> = node.operands.iter().map(|&o| of(o)).collect();
            // A term that is there only later than its class is needed, or reads itself, is none.
            if late || operands.contains(&(i as u32)) {
                continue;
            }
            let kind = egraph.analysis.kind(node.kind);
            let read: SmallVec<[&TensorType; 3]> = node
                .operands
                .iter()
                .map(|&o| graph.ty(super::graph::Class::of(o)))
                .collect();
            let origin = origins.get(&(i as u32, node.kind, operands.clone())).copied();
            let cost = prices.of(machine, kind, &ty, &read, origin.is_none());
            found.push(Alternative {
                kind: node.kind,
                operands,
                cost,
                origin,
            });
        }
        found.sort_by(|a, b| {
            let key = |x: &Alternative| (x.origin.unwrap_or(u32::MAX), x.cost, x.kind);
            key(a).cmp(&key(b)).then_with(|| a.operands.cmp(&b.operands))
        });
        alternatives.push(found);
        types.push(ty);
    }
    let roots = region.roots.iter().map(|&r| of(class_of[r as usize])).collect();
    let classes = Classes {
        alternatives,
        types,
        first,
        roots,
    };
    (classes, number)
}

impl Classes {
    /// The program as it is: of each class its first term. The operands of that stand before it, so nothing reads itself.
    /// Where that term is there too late for its class, the cheapest one stands in.
    fn original(&self, cheapest: &[u32]) -> Vec<u32> {
        let first = |(c, alternatives): (usize, &Vec<Alternative>)| match alternatives.first() {
            Some(a) if a.origin.is_some() => 0,
            _ => cheapest[c],
        };
        self.alternatives.iter().enumerate().map(first).collect()
    }

    /// Of each class the term whose tree costs least.
    fn cheapest_trees(&self) -> Vec<u32> {
        let count = self.alternatives.len();
        let mut readers: Vec<Vec<u32>> = vec![Vec::new(); count];
        for (c, alternatives) in self.alternatives.iter().enumerate() {
            for &o in alternatives.iter().flat_map(|a| a.operands.iter()) {
                if readers[o as usize].last() != Some(&(c as u32)) {
                    readers[o as usize].push(c as u32);
                }
            }
        }
        let mut cost: Vec<u64> = vec![u64::MAX; count];
        let mut choice = vec![0u32; count];
        let mut queue: std::collections::VecDeque<u32> = (0..count as u32).collect();
        let mut queued = vec![true; count];
        while let Some(c) = queue.pop_front() {
            let at = c as usize;
            queued[at] = false;
            for (i, alternative) in self.alternatives[at].iter().enumerate() {
                let operands = alternative.operands.iter().map(|&o| cost[o as usize]);
                // Without saturation at the top, what cannot be computed yet would wrap.
                let total = operands.fold(alternative.cost, u64::saturating_add);
                if total < cost[at] {
                    cost[at] = total;
                    choice[at] = i as u32;
                    for &r in &readers[at] {
                        if !std::mem::replace(&mut queued[r as usize], true) {
                            queue.push_back(r);
                        }
                    }
                }
            }
        }
        choice
    }
}

/// A choice for every class, and which of them are needed.
struct Solution<'c> {
    classes: &'c Classes,
    choice: Vec<u32>,
    /// How often a class is needed: by the terms of needed classes, and as a root.
    count: Vec<u32>,
    /// A place after that of all operands, unless equal; for needed classes.
    place: Vec<u32>,
    total: u64,
    /// Numbers in the plan; filled by [`Solution::plan`].
    numbers: Vec<Option<u32>>,
}

impl<'c> Solution<'c> {
    /// The program that `start` chooses; classes that it does not need get what `spare` chooses.
    fn new(classes: &'c Classes, start: &[u32], spare: &[u32]) -> Solution<'c> {
        let count = classes.alternatives.len();
        let mut solution = Solution {
            classes,
            choice: start.to_vec(),
            count: vec![0; count],
            place: vec![0; count],
            total: 0,
            numbers: vec![None; count],
        };
        for &root in &classes.roots {
            solution.need(root, None);
        }
        for (c, &spare) in spare.iter().enumerate() {
            if solution.count[c] == 0 {
                solution.choice[c] = spare;
            }
        }
        solution.order();
        solution
    }

    fn chosen(&self, class: u32) -> &'c Alternative {
        &self.classes.alternatives[class as usize][self.choice[class as usize] as usize]
    }

    /// One more reader of a class. Classes that become needed get this place.
    fn need(&mut self, class: u32, place: Option<u32>) {
        let mut stack = vec![class];
        while let Some(c) = stack.pop() {
            self.count[c as usize] += 1;
            if self.count[c as usize] > 1 {
                continue;
            }
            if let Some(place) = place {
                self.place[c as usize] = place;
            }
            let chosen = self.chosen(c);
            self.total += chosen.cost;
            stack.extend(chosen.operands.iter().copied());
        }
    }

    /// One reader of a class less.
    fn release(&mut self, class: u32) {
        let mut stack = vec![class];
        while let Some(c) = stack.pop() {
            self.count[c as usize] -= 1;
            if self.count[c as usize] == 0 {
                let chosen = self.chosen(c);
                self.total -= chosen.cost;
                stack.extend(chosen.operands.iter().copied());
            }
        }
    }

    /// Whether no term needs itself. Readers of a cycle would stand before what they read.
    fn is_acyclic(&self) -> bool {
        let needed = (0..self.choice.len() as u32).filter(|&c| self.count[c as usize] > 0);
        needed.into_iter().all(|c| {
            let place = self.place[c as usize];
            self.chosen(c).operands.iter().all(|&o| self.place[o as usize] < place)
        })
    }

    /// Needed classes, operands first; sets their places.
    fn order(&mut self) -> Vec<u32> {
        let mut done = vec![false; self.choice.len()];
        let mut begun = done.clone();
        let mut order = Vec::new();
        for &root in &self.classes.roots {
            let mut stack = vec![(root, 0usize)];
            while let Some((c, next)) = stack.pop() {
                // What is begun and comes again as an operand is part of a cycle: `is_acyclic` finds it.
                if done[c as usize] || (next == 0 && std::mem::replace(&mut begun[c as usize], true)) {
                    continue;
                }
                match self.chosen(c).operands.get(next) {
                    Some(&operand) => {
                        stack.push((c, next + 1));
                        stack.push((operand, 0));
                    }
                    None => {
                        done[c as usize] = true;
                        self.place[c as usize] = order.len() as u32;
                        order.push(c);
                    }
                }
            }
        }
        order
    }

    /// Whether computing `class` by `alternative` would make something need itself, and whether places say at once that not.
    /// Classes that are not needed now keep choices of different times, which may need each other.
    fn cyclic(&self, class: u32, alternative: &Alternative) -> (bool, bool) {
        let limit = self.place[class as usize];
        let mut in_order = true;
        // Whether all that a class needs was looked at.
        let mut closed: HashMap<u32, bool> = HashMap::from([(class, false)]);
        let mut stack: Vec<(u32, bool)> = alternative.operands.iter().map(|&o| (o, false)).collect();
        while let Some((c, left)) = stack.pop() {
            if left {
                closed.insert(c, true);
                continue;
            }
            match closed.get(&c) {
                Some(true) => continue,
                Some(false) => return (true, in_order),
                None => {}
            }
            if self.count[c as usize] > 0 {
                if self.place[c as usize] < limit {
                    continue;
                }
                in_order = false;
            }
            closed.insert(c, false);
            stack.push((c, true));
            stack.extend(self.chosen(c).operands.iter().map(|&o| (o, false)));
        }
        (false, in_order)
    }

    fn switch(&mut self, class: u32, to: u32) {
        let place = Some(self.place[class as usize]);
        let old = self.chosen(class);
        let new = &self.classes.alternatives[class as usize][to as usize];
        for &o in &new.operands {
            self.need(o, place);
        }
        for &o in &old.operands {
            self.release(o);
        }
        self.total = self.total - old.cost + new.cost;
        self.choice[class as usize] = to;
    }

    /// Takes steps that pay until there are none, or the number of sweeps is used up.
    fn improve(&mut self) {
        for _ in 0..SWEEPS {
            let mut changed = false;
            for &class in self.order().iter().rev() {
                let count = self.classes.alternatives[class as usize].len() as u32;
                for to in 0..count {
                    let from = self.choice[class as usize];
                    if to == from || self.count[class as usize] == 0 {
                        continue;
                    }
                    let alternative = &self.classes.alternatives[class as usize][to as usize];
                    let (cyclic, in_order) = self.cyclic(class, alternative);
                    if cyclic {
                        continue;
                    }
                    let before = self.total;
                    let towards_original = alternative.origin.is_some() && self.chosen(class).origin.is_none();
                    self.switch(class, to);
                    if self.total < before || (self.total == before && towards_original) {
                        changed = true;
                        if !in_order {
                            self.order();
                        }
                    } else {
                        self.switch(class, from);
                    }
                }
            }
            if !changed {
                break;
            }
        }
    }

    fn plan(&mut self, graph: &Graph) -> Plan {
        let mut plan = Plan {
            after: self.total,
            ..Plan::default()
        };
        for class in self.order() {
            let chosen = self.chosen(class);
            let number = |c: &u32| match self.numbers[*c as usize] {
                Some(n) => n,
                None => unreachable!("operands come first"),
            };
            let operands = chosen.operands.iter().map(number).collect();
            let stands_for = self.classes.first[class as usize];
            plan.changed |= chosen.origin.is_none();
            plan.terms.push(Chosen {
                kind: graph.egraph.analysis.kind(chosen.kind).clone(),
                ty: self.classes.types[class as usize].clone(),
                operands,
                origin: chosen.origin,
                stands_for,
            });
            self.numbers[class as usize] = Some(plan.terms.len() as u32 - 1);
        }
        plan
    }
}
