//! Proves the synchronisation of an encoded program: no race, no deadlock, no semaphore that lies.
//!
//! Written apart from [`super::synchronise`], from the instructions alone. The streams run in an abstract order, each
//! until it waits for a value that is not reached; every engine carries a vector clock of what it can be sure of. An
//! access is legal if every earlier overlapping one (byte for byte, partition for partition) is known to be complete.
//! A value of a semaphore proves something only if its increments come in one order: from the computations of one
//! engine, or from transfers that are started after the last one on the same semaphore is known to be complete.
//! Branches are walked through, never taken: each stretch of code is checked once, in the order of the program. That a
//! loop or another branch changes nothing follows from all engines meeting at every branch, which the simulator's own
//! checks see as it happens.

use std::collections::BTreeMap;

use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::isa::{
    Ap, DmaAccess, DmaOp, DmaSpace, Engine, IndirectKind, Instr, Op, Program, Space, UpdateKind, VarKind,
};
use ferrite_ir::machine::MachineModel;

const ENGINES: usize = Engine::ALL.len();
/// Clock components: computations complete by engine, instructions begun by engine, then transfers by semaphore.
const BEGUN: usize = ENGINES;
const TRANSFERS: usize = 2 * ENGINES;

type Clock = Vec<u32>;

/// Something that touched memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Event {
    /// Component and value of a clock that knows it to be complete.
    component: u16,
    value: u32,
    /// For messages: engine and index in its stream.
    engine: u8,
    index: u32,
}

#[derive(Clone, Default)]
struct Cell {
    writes: Vec<(Event, u128)>,
    reads: Vec<(Event, u128)>,
}

/// Who touched the bytes of one memory.
#[derive(Default)]
struct Shadow {
    cells: BTreeMap<i64, Cell>,
}

/// One semaphore since it was cleared.
#[derive(Clone, Default)]
struct Semaphore {
    value: u32,
    /// Value reached, with what is certain once it is.
    history: Vec<(u32, Clock)>,
    /// Engine whose computations count here; transfers are marked by `transfers`.
    counter: Option<usize>,
    transfers: bool,
    /// Waits that passed: engine and index.
    waits: Vec<(usize, u32)>,
    /// The clear that must have happened before: engine and index.
    cleared: Option<(usize, u32)>,
}

struct Checker<'a> {
    program: &'a Program,
    machine: &'a MachineModel,
    clocks: [Clock; ENGINES],
    semaphores: Vec<Semaphore>,
    generations: Vec<u32>,
    sbuf: Shadow,
    psum: Shadow,
    hbm: BTreeMap<u32, Shadow>,
    /// Space and base of each variable.
    vars: Vec<(u32, i64)>,
}

fn all(partitions: (u16, u16)) -> u128 {
    let width = u32::from(partitions.1.saturating_sub(partitions.0)).min(128);
    let ones = if width == 128 { u128::MAX } else { (1u128 << width) - 1 };
    ones.checked_shl(u32::from(partitions.0)).unwrap_or(0)
}

/// Contiguous runs of a strided pattern.
fn runs(offset: i64, size: i64, dims: &[(i64, i64)]) -> Vec<(i64, i64)> {
    let mut run = size;
    let mut dims: Vec<(i64, i64)> = dims.iter().copied().filter(|d| d.1 > 1 && d.0 != 0).collect();
    while let Some(&(step, count)) = dims.last() {
        if step != run {
            break;
        }
        run *= count;
        dims.pop();
    }
    let mut starts = vec![offset];
    for (step, count) in dims {
        starts = starts
            .iter()
            .flat_map(|&s| (0..count).map(move |i| s + i * step))
            .collect();
    }
    starts.into_iter().map(|s| (s, s + run)).collect()
}

/// Checks a program.
///
/// # Errors
/// A [`Diagnostic::bug`] that names both sides of a race, or the engines of a deadlock.
pub fn check_sync(program: &Program, machine: &MachineModel) -> Result<()> {
    let mut inputs = BTreeMap::new();
    for (v, var) in program.vars.iter().enumerate() {
        if let VarKind::Input { index } = var.kind {
            inputs.insert(index, v as u32);
        }
    }
    let scratch = program.vars.len() as u32;
    let vars = program
        .vars
        .iter()
        .enumerate()
        .map(|(v, var)| match var.kind {
            VarKind::Scratch { offset } => (scratch, offset as i64),
            VarKind::Output { index } => {
                let alias = program.outputs.get(index as usize).and_then(|o| o.alias);
                (alias.and_then(|a| inputs.get(&a).copied()).unwrap_or(v as u32), 0)
            }
            VarKind::Input { .. } | VarKind::Const => (v as u32, 0),
        })
        .collect();
    let count = (machine.sync.semaphores as usize).max(1);
    let mut checker = Checker {
        program,
        machine,
        clocks: std::array::from_fn(|_| vec![0; TRANSFERS + count]),
        semaphores: vec![Semaphore::default(); count],
        generations: vec![0; count],
        sbuf: Shadow::default(),
        psum: Shadow::default(),
        hbm: BTreeMap::new(),
        vars,
    };
    let mut at = [0usize; ENGINES];
    loop {
        let mut moved = false;
        for engine in Engine::ALL {
            let e = engine.index();
            while let Some(instr) = program.streams[e].get(at[e]) {
                if !checker.step(engine, at[e] as u32, instr)? {
                    break;
                }
                at[e] += 1;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    let mut stuck = Vec::new();
    for engine in Engine::ALL {
        let stream = program.stream(engine);
        if let Some(instr) = stream.get(at[engine.index()]) {
            let wait = instr.wait.map_or(String::new(), |w| {
                let value = checker.semaphores.get(w.semaphore as usize).map_or(0, |s| s.value);
                format!(" for semaphore {} >= {} (is {value})", w.semaphore, w.value)
            });
            stuck.push(format!("{engine} instruction {} waits{wait}", at[engine.index()]));
        }
    }
    if !stuck.is_empty() {
        return Err(Diagnostic::bug(format!("deadlock: {}", stuck.join(", "))));
    }
    Ok(())
}

impl Checker<'_> {
    fn bug(&self, engine: Engine, index: u32, text: &str) -> Diagnostic {
        let loc = self.program.streams[engine.index()][index as usize].loc;
        Diagnostic::bug(format!("{engine} instruction {index} {text}")).at(self.program.locs.get(loc))
    }

    /// Runs one instruction; false if it must wait.
    fn step(&mut self, engine: Engine, index: u32, instr: &Instr) -> Result<bool> {
        let e = engine.index();
        let after_clear = |this: &Self, semaphore: usize| match this.semaphores[semaphore].cleared {
            Some((by, at)) if by != e && this.clocks[e][BEGUN + by] <= at => Err(this.bug(
                engine,
                index,
                &format!("uses semaphore {semaphore}, which may be cleared later"),
            )),
            _ => Ok(()),
        };
        if let Some(wait) = instr.wait {
            let s = wait.semaphore as usize;
            if s >= self.semaphores.len() {
                return Err(self.bug(engine, index, "waits for a semaphore that does not exist"));
            }
            if self.semaphores[s].value < wait.value {
                return Ok(false);
            }
            after_clear(self, s)?;
            let semaphore = &mut self.semaphores[s];
            semaphore.waits.push((e, index));
            let certain = semaphore.history.partition_point(|(v, _)| *v < wait.value);
            // With transfers, a value between two completions proves the one below only.
            let known = match semaphore.history.get(certain) {
                Some((v, clock)) if *v == wait.value || !semaphore.transfers => Some(clock),
                _ if certain > 0 => semaphore.history.get(certain - 1).map(|(_, clock)| clock),
                _ => None,
            };
            if let Some(known) = known {
                for (mine, theirs) in self.clocks[e].iter_mut().zip(known) {
                    *mine = (*mine).max(*theirs);
                }
            }
        }
        self.clocks[e][BEGUN + e] = index + 1;
        let mut computes = false;
        match &instr.op {
            Op::Compute(inst) => {
                computes = true;
                let mut accesses = Vec::new();
                inst.for_each(|role, ap| accesses.push((role.reads(), role.writes(), ap.clone())));
                for (reads, writes, ap) in accesses {
                    self.on_chip(engine, index, None, reads, writes, &ap)?;
                }
            }
            Op::LoadStationary { src } => {
                computes = true;
                self.on_chip(engine, index, None, true, false, src)?;
            }
            Op::MultiplyMoving {
                dst,
                moving,
                accumulate,
                ..
            } => {
                computes = true;
                self.on_chip(engine, index, None, true, false, moving)?;
                self.on_chip(engine, index, None, *accumulate, true, dst)?;
            }
            Op::RegLoad { src, .. } => {
                computes = true;
                self.on_chip(engine, index, None, true, false, src)?;
            }
            // A loop is walked once, as its first repetition; the simulator checks the others.
            Op::DmaTrigger { transfer, .. } => {
                let transfer = &self.program.transfers[*transfer as usize];
                let event = self.start_transfer(engine, index, transfer.semaphore, &after_clear)?;
                for element in &transfer.elements {
                    self.by_dma(engine, index, event, true, false, &element.src)?;
                    self.by_dma(engine, index, event, element.op == DmaOp::Add, true, &element.dst)?;
                }
            }
            Op::DmaIndirect(i) => {
                let event = self.start_transfer(engine, index, i.semaphore, &after_clear)?;
                let gather = i.kind == IndirectKind::Gather;
                self.on_chip(engine, index, Some(event), true, false, &i.index)?;
                self.on_chip(engine, index, Some(event), !gather, gather, &i.tile)?;
                let (space, base) = self.vars[i.var.0 as usize];
                let bytes = self.program.vars[i.var.0 as usize].bytes as i64;
                self.touch(
                    engine,
                    index,
                    event,
                    true,
                    Some(space),
                    &[(base, base + bytes)],
                    1,
                    (gather, !gather),
                )?;
            }
            Op::Collective(c) => {
                let event = self.start_transfer(engine, index, c.semaphore, &after_clear)?;
                for (var, offset, bytes, role) in [
                    (c.src, c.src_offset, c.bytes, (true, false)),
                    (c.dst, c.dst_offset, c.result_bytes(), (false, true)),
                ] {
                    let (space, base) = self.vars[var.0 as usize];
                    let low = base + offset as i64;
                    let range = [(low, low + bytes as i64)];
                    self.touch(engine, index, event, true, Some(space), &range, 1, role)?;
                }
            }
            // The clear of an engine's own release is counted like a computation.
            Op::RangeClear { first, count } => {
                computes = true;
                for s in *first as usize..(*first as usize + *count as usize).min(self.semaphores.len()) {
                    self.clear(engine, index, s)?;
                }
            }
            Op::ActTableLoad { .. } | Op::Semaphore | Op::Nop | Op::RegMove { .. } | Op::RegAlu { .. } => {}
            Op::Branch { .. } => {}
        }
        if let Some(update) = instr.update {
            let s = update.semaphore as usize;
            if s >= self.semaphores.len() {
                return Err(self.bug(engine, index, "updates a semaphore that does not exist"));
            }
            after_clear(self, s)?;
            let mut certain = self.clocks[e].clone();
            if computes {
                certain[e] = index + 1;
            }
            let semaphore = &mut self.semaphores[s];
            let value = match update.kind {
                UpdateKind::Add(n) => semaphore.value + n,
                UpdateKind::Write(n) if n > semaphore.value => n,
                UpdateKind::Write(_) | UpdateKind::Subtract(_) => {
                    return Err(self.bug(engine, index, "lowers a semaphore, which proves nothing"));
                }
            };
            if semaphore.transfers || semaphore.counter.is_some_and(|c| c != e) {
                return Err(self.bug(
                    engine,
                    index,
                    &format!("counts on semaphore {s} like others, in no certain order"),
                ));
            }
            semaphore.counter = Some(e);
            semaphore.value = value;
            semaphore.history.push((value, certain));
            self.in_range(engine, index, s)?;
        }
        Ok(true)
    }

    fn in_range(&self, engine: Engine, index: u32, semaphore: usize) -> Result<()> {
        let bits = self.machine.sync.semaphore_bits as u32;
        if u64::from(self.semaphores[semaphore].value) >> bits > 0 {
            return Err(self.bug(engine, index, &format!("lets semaphore {semaphore} overflow")));
        }
        Ok(())
    }

    fn start_transfer(
        &mut self,
        engine: Engine,
        index: u32,
        semaphore: u16,
        after_clear: &dyn Fn(&Self, usize) -> Result<()>,
    ) -> Result<Event> {
        let s = semaphore as usize;
        let e = engine.index();
        if s >= self.semaphores.len() {
            return Err(self.bug(engine, index, "completes on a semaphore that does not exist"));
        }
        after_clear(self, s)?;
        if self.semaphores[s].counter.is_some() {
            return Err(self.bug(
                engine,
                index,
                &format!("completes on semaphore {s}, which counts something else"),
            ));
        }
        if self.clocks[e][TRANSFERS + s] < self.generations[s] {
            let text = format!("starts a second transfer on semaphore {s} while the first may be under way");
            return Err(self.bug(engine, index, &text));
        }
        self.generations[s] += 1;
        let generation = self.generations[s];
        let mut certain = self.clocks[e].clone();
        certain[TRANSFERS + s] = generation;
        let semaphore = &mut self.semaphores[s];
        semaphore.transfers = true;
        semaphore.value += self.machine.dma.semaphore_increment as u32;
        semaphore.history.push((semaphore.value, certain));
        self.in_range(engine, index, s)?;
        Ok(Event {
            component: (TRANSFERS + s) as u16,
            value: generation,
            engine: e as u8,
            index,
        })
    }

    fn clear(&mut self, engine: Engine, index: u32, s: usize) -> Result<()> {
        let e = engine.index();
        let semaphore = std::mem::take(&mut self.semaphores[s]);
        if let Some((_, last)) = semaphore.history.last() {
            let counted = match semaphore.counter {
                Some(by) if by != e => self.clocks[e][by] >= last[by],
                Some(_) => true,
                None => self.clocks[e][TRANSFERS + s] >= last[TRANSFERS + s],
            };
            if !counted {
                return Err(self.bug(
                    engine,
                    index,
                    &format!("clears semaphore {s} before its last increment"),
                ));
            }
        }
        for (by, at) in semaphore.waits {
            if by != e && self.clocks[e][BEGUN + by] <= at {
                let text = format!("clears semaphore {s} while {} may still wait for it", Engine::ALL[by]);
                return Err(self.bug(engine, index, &text));
            }
        }
        self.semaphores[s].cleared = Some((e, index));
        Ok(())
    }

    fn on_chip(
        &mut self,
        engine: Engine,
        index: u32,
        event: Option<Event>,
        reads: bool,
        writes: bool,
        ap: &Ap,
    ) -> Result<()> {
        let size = ap.dtype.bytes() as i64;
        let dims: Vec<(i64, i64)> = ap
            .dims
            .iter()
            .map(|d| (i64::from(d.step) * size, i64::from(d.count)))
            .collect();
        // PSUM is told from SBUF by negative addresses of its own shadow.
        let mask = all((ap.partition, ap.partition + ap.partitions));
        let ranges = runs(i64::from(ap.offset), size, &dims);
        let transfer = event.is_some();
        let event = event.unwrap_or(Event {
            component: engine.index() as u16,
            value: index + 1,
            engine: engine.index() as u8,
            index,
        });
        let (limit, psum) = match ap.space {
            Space::Psum => (self.machine.psum.bytes_per_partition, true),
            Space::Sbuf | Space::Hbm => (self.machine.sbuf.bytes_per_partition, false),
        };
        if ranges.iter().any(|r| r.0 < 0 || r.1 > limit as i64) {
            return Err(self.bug(engine, index, "touches what lies outside of the memory"));
        }
        let shadow = if psum { &mut self.psum } else { &mut self.sbuf };
        let race = shadow.touch(
            &self.clocks[engine.index()],
            event,
            transfer,
            &ranges,
            mask,
            (reads, writes),
        );
        self.report(engine, index, race)
    }

    fn by_dma(
        &mut self,
        engine: Engine,
        index: u32,
        event: Event,
        reads: bool,
        writes: bool,
        access: &DmaAccess,
    ) -> Result<()> {
        let size = access.dtype.bytes() as i64;
        let dims: Vec<(i64, i64)> = access.dims.iter().map(|d| (d.step, d.count as i64)).collect();
        match access.space {
            DmaSpace::Hbm(var) => {
                let (space, base) = self.vars[var.0 as usize];
                let ranges = runs(base + access.offset as i64, size, &dims);
                self.touch(engine, index, event, true, Some(space), &ranges, 1, (reads, writes))
            }
            DmaSpace::Sbuf => {
                let partition = self.machine.sbuf.bytes_per_partition as i64;
                let (start, offset) = (access.offset as i64 / partition, access.offset as i64 % partition);
                if let Some(((step, count), free)) = dims.split_first()
                    && *step == partition
                {
                    let mask = all((start as u16, (start + count) as u16));
                    let ranges = runs(offset, size, free);
                    return self.touch(engine, index, event, true, None, &ranges, mask, (reads, writes));
                }
                for (low, high) in runs(access.offset as i64, size, &dims) {
                    let (p, at) = (low / partition, low % partition);
                    let range = [(at, at + high - low)];
                    self.touch(
                        engine,
                        index,
                        event,
                        true,
                        None,
                        &range,
                        all((p as u16, p as u16 + 1)),
                        (reads, writes),
                    )?;
                }
                Ok(())
            }
        }
    }

    /// `hbm` is the HBM space; none for SBUF.
    #[allow(clippy::too_many_arguments)] // one access, spelled out
    fn touch(
        &mut self,
        engine: Engine,
        index: u32,
        event: Event,
        transfer: bool,
        hbm: Option<u32>,
        ranges: &[(i64, i64)],
        mask: u128,
        role: (bool, bool),
    ) -> Result<()> {
        let shadow = match hbm {
            Some(space) => self.hbm.entry(space).or_default(),
            None => &mut self.sbuf,
        };
        let race = shadow.touch(&self.clocks[engine.index()], event, transfer, ranges, mask, role);
        self.report(engine, index, race)
    }

    fn report(&self, engine: Engine, index: u32, race: Option<(Event, i64)>) -> Result<()> {
        let Some((other, at)) = race else { return Ok(()) };
        let by = Engine::ALL[other.engine as usize];
        let what = if other.component as usize >= TRANSFERS {
            "the transfer started by "
        } else {
            ""
        };
        let there = &self.program.streams[other.engine as usize][other.index as usize];
        let text = format!(
            "races with {what}{by} instruction {} ({}) at byte {at}",
            other.index,
            self.program.locs.describe(there.loc)
        );
        Err(self.bug(engine, index, &text))
    }
}

impl Shadow {
    fn split(&mut self, at: i64) {
        if !self.cells.contains_key(&at) {
            let cell = self
                .cells
                .range(..at)
                .next_back()
                .map(|(_, c)| c.clone())
                .unwrap_or_default();
            self.cells.insert(at, cell);
        }
    }

    /// The first earlier access that is not known to be complete.
    fn touch(
        &mut self,
        clock: &Clock,
        event: Event,
        transfer: bool,
        ranges: &[(i64, i64)],
        mask: u128,
        (reads, writes): (bool, bool),
    ) -> Option<(Event, i64)> {
        let ordered = |old: &Event| {
            let same = !transfer && old.component == event.component;
            *old == event || same || clock[old.component as usize] >= old.value
        };
        for &(low, high) in ranges {
            self.split(low);
            self.split(high);
            for (&at, cell) in self.cells.range_mut(low..high) {
                let against = cell
                    .writes
                    .iter()
                    .chain(if writes { cell.reads.as_slice() } else { &[] });
                for (old, theirs) in against {
                    if theirs & mask != 0 && !ordered(old) {
                        return Some((*old, at));
                    }
                }
                let list = if writes { &mut cell.writes } else { &mut cell.reads };
                for (old, theirs) in list.iter_mut() {
                    // Ordered before this access, so this one stands for it; readers only of the same chain.
                    if writes || old.component == event.component {
                        *theirs &= !mask;
                    }
                }
                list.retain(|(_, theirs)| *theirs != 0);
                list.push((event, mask));
                if writes {
                    for (_, theirs) in &mut cell.reads {
                        *theirs &= !mask;
                    }
                    cell.reads.retain(|(_, theirs)| *theirs != 0);
                }
                debug_assert!(reads || writes);
            }
        }
        None
    }
}
