//! A second judge of order, for the fault tests: proves from the text of a program alone, without running it, that every two accesses to a byte of which one
//! writes are ordered, or names two that are not.
//!
//! It shares nothing with the simulator's checks. Those follow one run and forget what can no longer race; this one looks at all pairs, and at all
//! runs: what a wait proves is worked out as a least fixed point. At first only the order of streams and queues is known. A wait for a value proves
//! an update if the others that are not known to come after the wait, or after that update, cannot reach the value without it. Every proof is more order, which can make
//! more proofs possible.
//!
//! It reads programs without branches, counters that only rise, and semaphores that nothing clears before their last use.

use std::collections::BTreeMap;

use ferrite_ir::isa::{
    Ap, DmaAccess, DmaSpace, Engine, Op, Program, Role, Space, Update, UpdateAt, UpdateKind, VarId, VarKind,
};
use ferrite_ir::machine::MachineModel;

/// Engines: each has a chain of steps that begin (their waits have passed) and one of steps that are done. Chains of queues follow: transfers that are done.
const ENGINES: usize = 5;

/// An event: its chain and its place there, from 1.
type Event = (usize, u32);

/// What is known to have happened: how far every chain has come.
type Clock = Vec<u32>;

/// Who touches memory, from what is known when it begins to the event that ends it.
#[derive(Clone, Copy)]
struct Step {
    /// Engine and instruction, for messages and for the order of a stream.
    at: (usize, usize),
    transfer: bool,
    begins: Event,
    ends: Event,
}

/// Bytes in a range of partitions (one for HBM) of a memory: 0 for SBUF, 1 for PSUM, then blocks of HBM.
struct Piece {
    memory: usize,
    partitions: (u64, u64),
    runs: Vec<(u64, u64)>,
}

impl Piece {
    fn overlaps(&self, other: &Piece) -> bool {
        let apart = |a: (u64, u64), b: (u64, u64)| a.0 >= b.1 || b.0 >= a.1;
        let hull = |p: &Piece| (p.runs[0].0, p.runs[p.runs.len() - 1].1);
        if self.memory != other.memory || apart(self.partitions, other.partitions) || apart(hull(self), hull(other)) {
            return false;
        }
        let (mut i, mut j) = (0, 0);
        while i < self.runs.len() && j < other.runs.len() {
            let (a, b) = (self.runs[i], other.runs[j]);
            if !apart(a, b) {
                return true;
            }
            if a.1 <= b.1 { i += 1 } else { j += 1 }
        }
        false
    }
}

struct Access {
    step: Step,
    writes: bool,
    pieces: Vec<Piece>,
}

/// What raises a semaphore.
struct Raise {
    /// Known when it starts on its way, and done with it.
    begins: Event,
    done: Event,
    amount: u64,
    /// Pieces that come in any order: the DMA engines of a transfer.
    parts: u64,
}

struct Waiting {
    begins: Event,
    semaphore: usize,
    value: u64,
    /// Places in the list of the semaphore that it may prove.
    candidates: Vec<usize>,
}

/// A program, and what its waits prove.
pub struct Judge {
    /// Events before others, by chain and place, without what waits prove.
    fixed: Vec<Vec<Vec<Event>>>,
    raises: Vec<Vec<Raise>>,
    waits: Vec<Waiting>,
    /// Number of the wait of an event.
    wait_of: BTreeMap<Event, usize>,
    /// All events in an order that every proof of the whole program respects.
    order: Vec<Event>,
    /// Pairs of steps that touch a byte in common, one of them writing.
    conflicts: Vec<(Step, Step)>,
    /// Clears: where, first and count.
    clears: Vec<(Event, usize, usize)>,
}

impl Judge {
    /// Reads a program.
    pub fn new(program: &Program, machine: &MachineModel) -> Judge {
        let mut judge = Judge {
            fixed: vec![Vec::new(); 2 * ENGINES + program.queues.len()],
            raises: (0..machine.sync.semaphores).map(|_| Vec::new()).collect(),
            waits: Vec::new(),
            wait_of: BTreeMap::new(),
            order: Vec::new(),
            conflicts: Vec::new(),
            clears: Vec::new(),
        };
        let blocks = blocks(program);
        let mut accesses = Vec::new();
        let mut owners = vec![None; program.queues.len()];
        for engine in Engine::ALL {
            let e = engine.index();
            for (i, instr) in program.stream(engine).iter().enumerate() {
                let begins = judge.event(e, &[]);
                let ends = judge.event(ENGINES + e, &[begins]);
                let step = Step {
                    at: (e, i),
                    transfer: false,
                    begins,
                    ends,
                };
                let mut add =
                    |step: Step, writes: bool, pieces: Vec<Piece>| accesses.push(Access { step, writes, pieces });
                if let Some(wait) = instr.wait {
                    judge.wait_of.insert(begins, judge.waits.len());
                    let (semaphore, value) = (usize::from(wait.semaphore), u64::from(wait.value));
                    judge.waits.push(Waiting {
                        begins,
                        semaphore,
                        value,
                        candidates: Vec::new(),
                    });
                }
                let mut sent = |judge: &mut Judge, queue: u16, semaphore: u16| {
                    let owner = *owners[usize::from(queue)].get_or_insert(e);
                    assert_eq!(owner, e, "queue {queue} is triggered by two engines");
                    let done = judge.event(2 * ENGINES + usize::from(queue), &[ends]);
                    let amount = machine.dma.semaphore_increment;
                    let raise = Raise {
                        begins: ends,
                        done,
                        amount,
                        parts: amount,
                    };
                    judge.raises[usize::from(semaphore)].push(raise);
                    Step {
                        at: (e, i),
                        transfer: true,
                        begins: ends,
                        ends: done,
                    }
                };
                let ap = |ap: &Ap| vec![on_chip(ap)];
                match &instr.op {
                    Op::Compute(inst) => inst.for_each(|role, a| {
                        add(step, !matches!(role, Role::Read | Role::ReadScalar), ap(a));
                    }),
                    Op::LoadStationary { src } | Op::RegLoad { src, .. } => add(step, false, ap(src)),
                    Op::MultiplyMoving { dst, moving, .. } => {
                        add(step, true, ap(dst));
                        add(step, false, ap(moving));
                    }
                    Op::DmaTrigger { transfer, .. } => {
                        let transfer = &program.transfers[*transfer as usize];
                        let step = sent(&mut judge, transfer.queue, transfer.semaphore);
                        for element in &transfer.elements {
                            add(step, false, dma(&element.src, &blocks, machine));
                            add(step, true, dma(&element.dst, &blocks, machine));
                        }
                    }
                    Op::DmaIndirect(x) => {
                        let moved = sent(&mut judge, x.queue, x.semaphore);
                        let gathers = x.kind == ferrite_ir::isa::IndirectKind::Gather;
                        let (memory, base) = blocks[x.var.0 as usize];
                        let start = |row: u64| base + x.offset + row * x.row_step;
                        let rows = (0..u64::from(x.rows)).map(|r| (start(r), start(r) + x.row_bytes));
                        add(step, false, ap(&x.index));
                        add(moved, gathers, ap(&x.tile));
                        add(
                            moved,
                            !gathers,
                            vec![Piece {
                                memory,
                                partitions: (0, 1),
                                runs: joined(rows.collect()),
                            }],
                        );
                    }
                    Op::RangeClear { first, count } => {
                        judge.clears.push((ends, usize::from(*first), usize::from(*count)))
                    }
                    Op::ActTableLoad { .. } | Op::Semaphore | Op::Nop => {}
                    Op::RegMove { .. } | Op::RegAlu { .. } | Op::Branch { .. } | Op::Collective(_) => {
                        panic!("{engine} instruction {i} is not one that this judge reads")
                    }
                }
                if let Some(Update { semaphore, kind, at }) = instr.update {
                    let UpdateKind::Add(n) = kind else {
                        panic!("{engine} instruction {i} does not add")
                    };
                    let done = if at == UpdateAt::Read { begins } else { ends };
                    let raise = Raise {
                        begins: done,
                        done,
                        amount: u64::from(n),
                        parts: 1,
                    };
                    judge.raises[usize::from(semaphore)].push(raise);
                }
            }
        }
        judge.conflicts = conflicts(&accesses);
        judge.settle();
        judge
    }

    fn event(&mut self, chain: usize, after: &[Event]) -> Event {
        self.fixed[chain].push(after.to_vec());
        (chain, self.fixed[chain].len() as u32)
    }

    /// Finds an order of all events, and what each wait proves in the whole program: less can be proved when a wait is gone, never more.
    fn settle(&mut self) {
        let mut proved: Vec<Vec<usize>> = vec![Vec::new(); self.waits.len()];
        loop {
            self.order = self.sorted(&proved);
            let clocks = self.clocks(|w, _| proved[w].clone());
            let next: Vec<Vec<usize>> = (0..self.waits.len())
                .map(|w| {
                    let all = 0..self.raises[self.waits[w].semaphore].len();
                    all.filter(|&r| self.proves(w, r, &clocks)).collect()
                })
                .collect();
            if next == proved {
                break;
            }
            proved = next;
        }
        for (wait, candidates) in self.waits.iter_mut().zip(proved) {
            wait.candidates = candidates;
        }
    }

    /// Kahn's algorithm over the order known so far.
    fn sorted(&self, proved: &[Vec<usize>]) -> Vec<Event> {
        let mut next: Vec<u32> = vec![1; self.fixed.len()];
        let mut order = Vec::new();
        loop {
            let before = order.len();
            for chain in 0..self.fixed.len() {
                while let Some(after) = self.fixed[chain].get(next[chain] as usize - 1) {
                    let event = (chain, next[chain]);
                    let wait = self.wait_of.get(&event).copied();
                    let raised = wait.into_iter().flat_map(|w| {
                        let list = &self.raises[self.waits[w].semaphore];
                        proved[w].iter().map(|&r| list[r].done)
                    });
                    if after.iter().copied().chain(raised).any(|(c, at)| next[c] <= at) {
                        break;
                    }
                    order.push(event);
                    next[chain] += 1;
                }
            }
            if order.len() == before {
                break;
            }
        }
        let all: usize = self.fixed.iter().map(Vec::len).sum();
        assert_eq!(order.len(), all, "the program waits for itself");
        order
    }

    /// What is known at every event, given the proofs of each wait, which may look at what is known so far.
    fn clocks(&self, mut proofs: impl FnMut(usize, &[Vec<Clock>]) -> Vec<usize>) -> Vec<Vec<Clock>> {
        let mut clocks: Vec<Vec<Clock>> = self
            .fixed
            .iter()
            .map(|c| vec![vec![0; self.fixed.len()]; c.len()])
            .collect();
        self.pass(&mut clocks, &mut proofs);
        clocks
    }

    /// One pass over all events in order; says whether anything more is known afterwards.
    fn pass(&self, clocks: &mut [Vec<Clock>], proofs: &mut impl FnMut(usize, &[Vec<Clock>]) -> Vec<usize>) -> bool {
        let mut changed = false;
        for &(chain, at) in &self.order {
            let mut before: Vec<Event> = self.fixed[chain][at as usize - 1].clone();
            if at > 1 {
                before.push((chain, at - 1));
            }
            if let Some(&w) = self.wait_of.get(&(chain, at)) {
                let list = &self.raises[self.waits[w].semaphore];
                before.extend(proofs(w, clocks).into_iter().map(|r| list[r].done));
            }
            let mut clock = std::mem::take(&mut clocks[chain][at as usize - 1]);
            for (c, n) in before {
                let other = &clocks[c][n as usize - 1];
                for (mine, theirs) in clock.iter_mut().zip(other) {
                    changed |= *theirs > *mine;
                    *mine = (*mine).max(*theirs);
                }
            }
            clock[chain] = at;
            clocks[chain][at as usize - 1] = clock;
        }
        changed
    }

    /// Whether wait `w` cannot pass before the `r`-th raise of its semaphore is done, whatever the timing.
    fn proves(&self, w: usize, r: usize, clocks: &[Vec<Clock>]) -> bool {
        let wait = &self.waits[w];
        let list = &self.raises[wait.semaphore];
        let raise = &list[r];
        let most: u64 = list
            .iter()
            .map(|other| {
                let begins = &clocks[other.begins.0][other.begins.1 as usize - 1];
                let part = other.amount / other.parts;
                if knows(begins, wait.begins) || knows(begins, raise.done) {
                    0 // it comes after
                } else if other.done.0 == raise.done.0 && other.done.1 >= raise.done.1 {
                    // The same ring of the same queue, or the same engine: in order, so one part of it is missing.
                    other.amount - part
                } else {
                    other.amount
                }
            })
            .sum();
        most < wait.value
    }

    /// Two accesses that nothing orders, or a clear that may meet a use, when the wait of an instruction (if any) is deleted; `None` is the proof that all are in order.
    pub fn unordered_without(&self, deleted: Option<(usize, usize)>) -> Option<String> {
        let gone = deleted.and_then(|(e, i)| self.wait_of.get(&(e, i as u32 + 1)).copied());
        let mut proofs = |w: usize, clocks: &[Vec<Clock>]| {
            let found = self.waits[w].candidates.iter().copied();
            if Some(w) == gone {
                Vec::new()
            } else {
                found.filter(|&r| self.proves(w, r, clocks)).collect()
            }
        };
        let mut clocks = self.clocks(|_, _| Vec::new());
        while self.pass(&mut clocks, &mut proofs) {}
        let at = |event: Event| &clocks[event.0][event.1 as usize - 1];
        let free = |(a, b): &&(Step, Step)| !knows(at(b.begins), a.ends) && !knows(at(a.begins), b.ends);
        if let Some((a, b)) = self.conflicts.iter().find(free) {
            return Some(format!("{} and {}", describe(a), describe(b)));
        }
        for &(clear, first, count) in &self.clears {
            let in_range = |s: usize| (first..first + count).contains(&s);
            let late = |begins: Event, done: Event| !knows(at(clear), done) && !knows(at(begins), clear);
            let raise = (first..first + count)
                .flat_map(|s| &self.raises[s])
                .find(|r| late(r.begins, r.done));
            let mut waits = self
                .waits
                .iter()
                .enumerate()
                .filter(|(w, x)| Some(*w) != gone && in_range(x.semaphore));
            if raise.is_some() || waits.any(|(_, w)| late(w.begins, w.begins)) {
                return Some(format!("the clear of semaphores from {first} on and a use of one"));
            }
        }
        None
    }
}

fn knows(clock: &Clock, event: Event) -> bool {
    clock[event.0] >= event.1
}

fn describe(step: &Step) -> String {
    let engine = Engine::from_index(step.at.0).map_or(String::from("?"), |e| e.to_string());
    let what = if step.transfer { "the transfer of " } else { "" };
    format!("{what}{engine} instruction {}", step.at.1)
}

/// Pairs that touch a byte in common, one of them writing, and that no stream orders by itself.
fn conflicts(accesses: &[Access]) -> Vec<(Step, Step)> {
    let mut out = Vec::new();
    for (n, a) in accesses.iter().enumerate() {
        for b in &accesses[n + 1..] {
            let same_engine = !a.step.transfer && !b.step.transfer && a.step.at.0 == b.step.at.0;
            let same = a.step.transfer && b.step.transfer && a.step.at == b.step.at;
            if (a.writes || b.writes)
                && !same_engine
                && !same
                && a.pieces.iter().any(|x| b.pieces.iter().any(|y| x.overlaps(y)))
            {
                out.push((a.step, b.step));
            }
        }
    }
    out
}

/// Memory and offset of every variable: outputs share the memory of the input that they alias, scratch variables one memory.
fn blocks(program: &Program) -> Vec<(usize, u64)> {
    let (scratch, inputs) = (2, program.inputs.len());
    let place = |(number, var): (usize, &ferrite_ir::isa::Var)| match var.kind {
        VarKind::Scratch { offset } => (scratch, offset),
        VarKind::Input { index } => (scratch + 1 + index as usize, 0),
        VarKind::Output { index } => match program.outputs[index as usize].alias {
            Some(input) => (scratch + 1 + input as usize, 0),
            None => (scratch + 1 + inputs + number, 0),
        },
        VarKind::Const => (scratch + 1 + inputs + number, 0),
    };
    program.vars.iter().enumerate().map(place).collect()
}

/// Sorted, touching ones made one.
fn joined(mut runs: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    runs.sort_unstable();
    let mut out: Vec<(u64, u64)> = Vec::new();
    for run in runs {
        match out.last_mut() {
            Some(last) if run.0 <= last.1 => last.1 = last.1.max(run.1),
            _ => out.push(run),
        }
    }
    out
}

/// Starts of all elements: steps in bytes and counts, outermost first.
fn starts(from: i64, dims: &[(i64, u64)]) -> Vec<i64> {
    dims.iter().fold(vec![from], |all, &(step, count)| {
        all.iter()
            .flat_map(|&at| (0..count as i64).map(move |i| at + i * step))
            .collect()
    })
}

fn on_chip(ap: &Ap) -> Piece {
    let size = ap.dtype.bytes() as i64;
    let dims: Vec<(i64, u64)> = ap
        .dims
        .iter()
        .map(|d| (i64::from(d.step) * size, u64::from(d.count)))
        .collect();
    let runs = starts(i64::from(ap.offset), &dims)
        .into_iter()
        .map(|at| (at as u64, (at + size) as u64));
    Piece {
        memory: usize::from(ap.space == Space::Psum),
        partitions: (u64::from(ap.partition), u64::from(ap.partition + ap.partitions)),
        runs: joined(runs.collect()),
    }
}

fn dma(access: &DmaAccess, blocks: &[(usize, u64)], machine: &MachineModel) -> Vec<Piece> {
    let size = access.dtype.bytes() as i64;
    let dims: Vec<(i64, u64)> = access.dims.iter().map(|d| (d.step, d.count)).collect();
    let all = starts(access.offset as i64, &dims);
    match access.space {
        DmaSpace::Hbm(VarId(var)) => {
            let (memory, base) = blocks[var as usize];
            let runs = all.into_iter().map(|at| (base + at as u64, base + (at + size) as u64));
            vec![Piece {
                memory,
                partitions: (0, 1),
                runs: joined(runs.collect()),
            }]
        }
        DmaSpace::Sbuf => {
            let partition = machine.sbuf.bytes_per_partition as i64;
            let mut rows: BTreeMap<u64, Vec<(u64, u64)>> = BTreeMap::new();
            for at in all {
                let (p, byte) = (at / partition, at % partition);
                rows.entry(p as u64)
                    .or_default()
                    .push((byte as u64, (byte + size) as u64));
            }
            let mut out: Vec<Piece> = Vec::new();
            for (p, runs) in rows {
                let runs = joined(runs);
                match out.last_mut() {
                    Some(last) if last.partitions.1 == p && last.runs == runs => last.partitions.1 = p + 1,
                    _ => out.push(Piece {
                        memory: 0,
                        partitions: (p, p + 1),
                        runs,
                    }),
                }
            }
            out
        }
    }
}
