//! The checks that need a run: order, initialisation, races.

use std::sync::Arc;

use ferrite_ir::isa::{Engine, Program, Update, UpdateAt, UpdateKind};
use ferrite_ir::machine::MachineModel;

use super::init::InitMap;
use super::region::{Mem, Region};
use super::shadow::{Origin, Shadow};
use super::sync::{Clock, ENGINES, Semaphores, SyncError, Thread};
use crate::name;
use crate::prepare::{Kind, Prepared, Touch, TransferStep, space_of};

/// Instructions from one look at what can be forgotten to the next.
const FORGETTING: u32 = 4096;

/// State of the checks.
pub struct Tracker<'a> {
    program: &'a Program,
    prepared: &'a Prepared,
    init: InitMap,
    /// Regions all of whose bytes have been written: that does not change again.
    full: Vec<bool>,
    /// Writes to PSUM by something else than a matmul, plus 1.
    plain_writes: u32,
    /// By region, that number when a matmul was the last to write all of it; 0 for never.
    by_matmul: Vec<u32>,
    shadow: Shadow,
    semaphores: Semaphores,
    /// Instructions until what everyone knows is forgotten.
    until_forgetting: u32,
    dma_increment: u64,
    /// What each engine knows.
    clocks: [Clock; ENGINES],
    /// The instruction that each engine started last, and when, picoseconds.
    last: [Option<(u32, u64)>; ENGINES],
    /// The same of the last wait of each engine for each semaphore, for messages.
    waits: Vec<[(u32, u64); ENGINES]>,
    /// Transfers started on each queue.
    started: Vec<u32>,
}

impl<'a> Tracker<'a> {
    /// Nothing has happened.
    pub fn new(program: &'a Program, prepared: &'a Prepared, model: &MachineModel) -> Tracker<'a> {
        let threads = ENGINES + program.queues.len();
        let blocks = prepared
            .layout
            .block_bytes
            .iter()
            .zip(&prepared.bound)
            .zip(&prepared.grains)
            .map(|((&bytes, &bound), &grain)| (bytes, bound, grain));
        let mut semaphores = Semaphores::new(model.sync.semaphores as usize, model.dma.semaphore_increment);
        for step in prepared.streams.iter().flatten() {
            if let Some(update) = step.update.filter(|u| u.at == UpdateAt::Read) {
                semaphores.hold(update.semaphore as usize);
            }
        }
        Tracker {
            program,
            prepared,
            init: InitMap::new(
                (model.sbuf.partitions, model.sbuf.bytes_per_partition),
                (model.psum.partitions, model.psum.bytes_per_partition),
                model.limits.quadrant_partitions,
                blocks,
            ),
            full: vec![false; prepared.regions.len()],
            plain_writes: 1,
            by_matmul: vec![0; prepared.regions.len()],
            shadow: Shadow::new(prepared.written.clone(), &prepared.regions),
            semaphores,
            until_forgetting: FORGETTING,
            dma_increment: model.dma.semaphore_increment,
            clocks: std::array::from_fn(|_| Clock::from_elem(0, threads)),
            last: Default::default(),
            waits: vec![Default::default(); model.sync.semaphores as usize],
            started: vec![0; program.queues.len()],
        }
    }

    /// An engine starts instruction `index` at `now` (picoseconds): its wait passes, its operands are touched.
    pub fn start(
        &mut self,
        engine: Engine,
        index: u32,
        now: u64,
        wait: Option<(u16, u32)>,
        accesses: (u32, u32),
    ) -> Result<(), String> {
        let e = engine.index();
        self.until_forgetting -= 1;
        if self.until_forgetting == 0 {
            self.until_forgetting = FORGETTING;
            self.forget();
        }
        self.last[e] = Some((index, now));
        let sequence = self.clocks[e][e] + 1;
        self.clocks[e][e] = sequence;
        if let Some((semaphore, value)) = wait {
            if let Some(waits) = self.waits.get_mut(semaphore as usize) {
                waits[e] = (index, now);
            }
            let mut clock = std::mem::take(&mut self.clocks[e]);
            let passed = self
                .semaphores
                .wait(semaphore as usize, e, sequence, u64::from(value), &mut clock);
            self.clocks[e] = clock;
            passed.map_err(|error| self.describe(semaphore, error))?;
        }
        let origin = Origin {
            engine: e as u8,
            instruction: index,
            start_ps: now,
        };
        self.touch(accesses, e, sequence, origin, None)
    }

    /// Forgets updates of semaphores that all engines know which have something left to do.
    fn forget(&mut self) {
        let mut known: Option<Clock> = None;
        for (e, stream) in self.prepared.streams.iter().enumerate() {
            let ended = match (stream.last(), self.last[e]) {
                (None, _) => true,
                // A branch may lead back.
                (Some(step), Some((index, _))) => {
                    let branches = matches!(step.kind, Kind::Sequencer(_) | Kind::Other(_));
                    index as usize + 1 == stream.len() && !branches
                }
                (Some(_), None) => false,
            };
            if ended {
                continue;
            }
            match &mut known {
                None => known = Some(self.clocks[e].clone()),
                Some(known) => known
                    .iter_mut()
                    .zip(&self.clocks[e])
                    .for_each(|(a, b)| *a = (*a).min(*b)),
            }
        }
        if let Some(known) = known {
            self.semaphores.forget(&known);
        }
    }

    /// The update of the instruction that the engine started last.
    pub fn update(&mut self, engine: Engine, update: Update) -> Result<(), String> {
        let e = engine.index();
        let mut known = self.clocks[e].clone();
        let sequence = known[e];
        if update.at == UpdateAt::Read {
            known[e] = 0; // beginning to read proves nothing about what the engine has done
        }
        let known = Arc::new(known);
        let semaphore = update.semaphore as usize;
        let done = match update.kind {
            UpdateKind::Add(n) => self
                .semaphores
                .add(semaphore, e, sequence, u64::from(n), &known, &known),
            UpdateKind::Subtract(n) => {
                self.semaphores.subtract(semaphore, e, sequence, u64::from(n));
                Ok(())
            }
            UpdateKind::Write(n) => self.semaphores.reset(semaphore, e, sequence, u64::from(n), &known),
        };
        done.map_err(|error| self.describe(update.semaphore, error))
    }

    /// The engine clears semaphores.
    pub fn clear(&mut self, engine: Engine, first: u16, count: u16) -> Result<(), String> {
        let known = Arc::new(self.clocks[engine.index()].clone());
        let sequence = known[engine.index()];
        for semaphore in first..first.saturating_add(count) {
            let done = self
                .semaphores
                .reset(semaphore as usize, engine.index(), sequence, 0, &known);
            done.map_err(|error| self.describe(semaphore, error))?;
        }
        Ok(())
    }

    /// The instruction that the engine started last triggers a transfer.
    pub fn transfer(&mut self, engine: Engine, queue: u16, semaphore: u16, accesses: (u32, u32)) -> Result<(), String> {
        let e = engine.index();
        let (index, now) = self.last[e].unwrap_or_default();
        let thread = ENGINES + queue as usize;
        let Some(started) = self.started.get_mut(queue as usize) else {
            return Ok(());
        };
        *started += 1;
        let sequence = *started;
        let issued = self.clocks[e].clone();
        let origin = Origin {
            engine: e as u8,
            instruction: index,
            start_ps: now,
        };
        self.touch(accesses, thread, sequence, origin, Some(&issued))?;
        let mut known = issued.clone();
        known[thread] = sequence;
        let (semaphore_index, amount) = (semaphore as usize, self.dma_increment);
        let added = self
            .semaphores
            .add(semaphore_index, thread, sequence, amount, &issued, &Arc::new(known));
        added.map_err(|error| self.describe(semaphore, error))
    }

    /// First byte of a region that nothing wrote.
    pub fn unwritten(&self, region: &Region) -> Option<(u16, u64)> {
        self.init.unwritten(region)
    }

    fn touch(
        &mut self,
        accesses: (u32, u32),
        thread: Thread,
        sequence: u32,
        origin: Origin,
        known: Option<&Clock>,
    ) -> Result<(), String> {
        let prepared = self.prepared;
        let list = &prepared.accesses[accesses.0 as usize..accesses.1 as usize];
        for &(index, touch) in list {
            let region = &prepared.regions[index as usize];
            if matches!(touch, Touch::Read | Touch::ReadWrite) && !self.full[index as usize] {
                if let Some((partition, byte)) = self.init.unwritten(region) {
                    return Err(self.uninitialised(region, partition, byte));
                }
                self.full[index as usize] = true;
            }
            if touch == Touch::Accumulate && self.by_matmul[index as usize] != self.plain_writes {
                if let Some((partition, byte)) = self.init.not_accumulated(region) {
                    return Err(format!(
                        "accumulates onto partition {partition}, byte {byte} of PSUM, which no matmul wrote last"
                    ));
                }
                self.by_matmul[index as usize] = self.plain_writes;
            }
            let clock = known.unwrap_or(&self.clocks[origin.engine as usize]);
            let race = self.shadow.access(
                &prepared.regions,
                index,
                touch.writes(),
                thread,
                sequence,
                clock,
                origin,
            );
            if let Some(race) = race {
                let before = &prepared.regions[race.other_region as usize];
                let (new, old) = (
                    if touch.writes() { "writes" } else { "reads" },
                    if race.other_writes { "wrote" } else { "reads" },
                );
                return Err(format!(
                    "data race: {new} {}, which {} {old} ({}); nothing orders the two",
                    describe(region),
                    self.origin(race.other),
                    describe(before),
                ));
            }
        }
        for &(index, touch) in list {
            // What accumulates was there before.
            if touch.writes() && touch != Touch::Accumulate {
                let region = &prepared.regions[index as usize];
                let (by_matmul, psum) = (touch == Touch::Matmul, region.mem == Mem::PSUM);
                if psum && !by_matmul {
                    self.plain_writes += 1;
                }
                if !std::mem::replace(&mut self.full[index as usize], true) {
                    self.init.write(region, by_matmul);
                } else if psum && !(by_matmul && self.by_matmul[index as usize] == self.plain_writes) {
                    self.init.write_again(region, by_matmul);
                }
                if by_matmul {
                    self.by_matmul[index as usize] = self.plain_writes;
                }
            }
        }
        Ok(())
    }

    fn uninitialised(&self, region: &Region, partition: u16, byte: u64) -> String {
        let space = space_of(region.mem);
        // Scratch variables share a block; of those that overlap in time the first is as good as any.
        let named = region.mem.block().and_then(|block| {
            let mut vars = self.program.vars.iter().zip(&self.prepared.layout.place);
            let (var, place) = vars.find(|(v, p)| p.0 == block && p.1 <= byte && byte - p.1 < v.bytes)?;
            Some(format!("byte {} of `{}`", byte - place.1, var.name))
        });
        let at = named.unwrap_or_else(|| format!("partition {partition}, byte {byte} of {space}"));
        let later = self.writer_to_come(region, partition, byte);
        let later = later.map_or(String::new(), |by| {
            format!("; {by} writes it later, and nothing orders the two")
        });
        format!("reads {at}, which nothing wrote{later}")
    }

    /// The first instruction not reached yet that writes a byte, for messages.
    fn writer_to_come(&self, region: &Region, partition: u16, byte: u64) -> Option<String> {
        let wanted = Region {
            mem: region.mem,
            first: partition,
            end: partition + 1,
            low: byte,
            high: byte + 1,
            runs: None,
            comb: None,
        };
        let prepared = self.prepared;
        let writes = |accesses: (u32, u32)| {
            let list = &prepared.accesses[accesses.0 as usize..accesses.1 as usize];
            list.iter()
                .any(|(r, touch)| touch.writes() && prepared.regions[*r as usize].overlaps(&wanted))
        };
        for engine in Engine::ALL {
            let e = engine.index();
            let from = self.last[e].map_or(0, |h| h.0 as usize + 1);
            for (index, step) in prepared.streams[e].iter().enumerate().skip(from) {
                let transfers: &[TransferStep] = match step.kind {
                    Kind::Trigger(transfer) => prepared.transfers.get(transfer as usize..).map_or(&[], |t| &t[..1]),
                    _ => prepared.indirect.get(&(e, index as u32)).map_or(&[], |t| t),
                };
                if writes(step.accesses) || transfers.iter().any(|t| writes(t.accesses)) {
                    let (name, loc) = (prepared.name(step), self.program.locs.describe(step.loc));
                    return Some(format!("{engine} instruction {index} (`{name}`, from {loc})"));
                }
            }
        }
        None
    }

    /// An instruction, for messages.
    fn origin(&self, origin: Origin) -> String {
        let Some(engine) = Engine::from_index(origin.engine as usize) else {
            return String::from("?");
        };
        let step = self.prepared.step(origin.engine as usize, origin.instruction);
        let (name, loc) = step.map_or(("?", String::new()), |s| {
            (self.prepared.name(s), self.program.locs.describe(s.loc))
        });
        format!(
            "{engine} instruction {} (`{name}`, from {loc}) at {}",
            origin.instruction,
            name::time(origin.start_ps)
        )
    }

    fn thread(&self, thread: Thread) -> String {
        match Engine::from_index(thread) {
            Some(engine) => format!("the {engine} engine"),
            None => self
                .program
                .queues
                .get(thread - ENGINES)
                .map_or_else(|| "a queue".into(), |q| format!("queue `{}`", q.name)),
        }
    }

    fn describe(&self, semaphore: u16, error: SyncError) -> String {
        match error {
            SyncError::UpdateUnordered { waiter, .. } => {
                let waits = self.waits.get(semaphore as usize);
                let (index, start_ps) = waits.and_then(|w| w.get(waiter)).copied().unwrap_or_default();
                let origin = Origin {
                    engine: waiter as u8,
                    instruction: index,
                    start_ps,
                };
                format!(
                    "updates semaphore {semaphore} without being ordered after the wait of {}, which it could satisfy too early",
                    self.origin(origin)
                )
            }
            SyncError::ResetUnordered { updater } => {
                format!(
                    "resets semaphore {semaphore} while an update by {} may be under way",
                    self.thread(updater)
                )
            }
            SyncError::ResetBeforeWait { waiter } => {
                format!(
                    "resets semaphore {semaphore} while {} may still wait for it",
                    self.thread(waiter)
                )
            }
            SyncError::AfterReset { engine } => {
                format!(
                    "uses semaphore {semaphore} without being ordered after its reset by {}",
                    self.thread(engine)
                )
            }
        }
    }
}

/// A region, for messages.
fn describe(region: &Region) -> String {
    let space = space_of(region.mem);
    match region.mem.block() {
        Some(_) => format!("bytes {}..{} of {space}", region.low, region.high),
        None => format!(
            "partitions {}..{}, bytes {}..{} of {space}",
            region.first, region.end, region.low, region.high
        ),
    }
}
