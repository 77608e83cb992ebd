//! The event loop: engines in order, semaphores, ports, DMA engines.
//!
//! Time is in integer picoseconds. Events are taken in order of time, then of creation, so a run is deterministic. An instruction
//! starts when its semaphore allows it, when the engine is free, when its ports are, and, if it needs a result of the same engine that
//! is still in the pipeline, when that is visible. Its effect on memory happens at its start: a program without races cannot tell.
//! Time never depends on data, except through branches.
//!
//! A sequencer decodes ahead of its engine, as far as the execution queue is deep: register and branch instructions without
//! semaphores take the sequencer's time, and the engine's only when it runs out of decoded instructions.

mod collective;
mod control;
mod execute;
mod outcome;
mod transfer;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use ferrite_ir::diag::Diagnostic;
use ferrite_ir::isa::{Engine, Program};
use ferrite_ir::machine::MachineModel;

use crate::check::track::Tracker;
use crate::exec::Scratch;
use crate::exec::tensor::{Products, Stationary};
use crate::live::Occupancy;
use crate::memory::Memory;
use crate::options::Options;
use crate::prepare::{Kind, PORTS, Prepared, Step};
use crate::rings::{Finished, Rings};
use crate::series::Series;
use crate::stats::{Busy, Producer, Reason, Span, Stall, Stats};
use crate::tensor_time::Array;
pub use collective::Arrival;
use control::Register;
use transfer::Flight;

/// Results in the pipeline that a later instruction of the same engine may need.
const IN_FLIGHT: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A semaphore changes: number, engine and instruction for messages.
    Semaphore {
        semaphore: u16,
        change: Change,
        engine: u8,
        instruction: u32,
    },
    /// Semaphores are cleared.
    Clear { first: u16, count: u16 },
    /// A transfer reaches the DMA engines.
    Arrival(u32),
    /// A collective's data starts or stops to move: bytes per microsecond of HBM that it takes or gives back.
    Traffic { more: bool, rate: u64 },
    /// A transfer may leave a DMA engine, unless something has changed since.
    Rings(u64),
    /// An engine may go on.
    Engine(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    Add(u32),
    Subtract(u32),
    Write(u32),
}

struct EngineState {
    pc: u32,
    registers: Vec<Register>,
    in_flight: VecDeque<(u64, u32)>,
    last_done: u64,
    /// When the sequencer is free to decode.
    sequencer: u64,
    /// Starts of the last instructions that went through the execution queue, as many as it holds.
    started: VecDeque<u64>,
    waiting_since: Option<u64>,
    blocked: Option<u16>,
    finished: bool,
    busy: Busy,
    occupied: Busy,
    wait: u64,
    instructions: u64,
    opcodes: Vec<u64>,
    table: u8,
}

/// What functional runs hold besides.
pub struct Data {
    /// Memories.
    pub memory: Memory,
    scratch: Scratch,
    stationary: Stationary,
    products: Products,
}

impl Data {
    /// A memory with fresh buffers.
    pub fn new(memory: Memory) -> Data {
        Data {
            memory,
            scratch: Scratch::default(),
            stationary: Stationary::default(),
            products: Products::default(),
        }
    }
}

/// What is recorded when a timeline is asked for.
#[derive(Default)]
struct Record {
    spans: Vec<Span>,
    stalls: Vec<Stall>,
    transfer_names: Vec<String>,
    occupancy: Occupancy,
    /// Who changed each semaphore last.
    producers: Vec<Option<Producer>>,
}

/// One run of one core.
pub struct Run<'a> {
    program: &'a Program,
    prepared: &'a Prepared,
    model: &'a MachineModel,
    options: &'a Options,
    /// Present in functional runs.
    pub data: Option<Data>,
    /// Present when order and initialisation are checked.
    pub tracker: Option<Tracker<'a>>,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    created: u64,
    engines: Vec<EngineState>,
    semaphores: Vec<u64>,
    waiting: Vec<u8>,
    ports: [(u64, u8); PORTS],
    array: Array,
    rings: Rings,
    /// Number of the last change of the rings.
    rings_changed: u64,
    finished: Vec<Finished>,
    flights: Vec<Flight<'a>>,
    free_flights: Vec<u32>,
    /// Transfers on the DMA engines, and since when there is one.
    under_way: (u32, u64),
    dma_busy: Busy,
    /// When each queue may start another transfer.
    queue_free: Vec<u64>,
    /// When each hardware descriptor generator is free.
    generators: Vec<u64>,
    stats: Stats,
    record: Option<Box<Record>>,
    executed: u64,
    end: u64,
    /// Whether no other core can change what this one sees.
    pub alone: bool,
    /// Collectives triggered since the last look.
    pub arrivals: Vec<Arrival<'a>>,
}

impl<'a> Run<'a> {
    /// A run that has not started.
    pub fn new(
        program: &'a Program,
        prepared: &'a Prepared,
        model: &'a MachineModel,
        options: &'a Options,
        data: Option<Data>,
    ) -> Run<'a> {
        let engine = || EngineState {
            pc: 0,
            registers: vec![Register::Unset; model.sync.registers_per_sequencer as usize],
            in_flight: VecDeque::new(),
            last_done: 0,
            sequencer: 0,
            started: VecDeque::new(),
            waiting_since: None,
            blocked: None,
            finished: false,
            busy: Busy::default(),
            occupied: Busy::default(),
            wait: 0,
            instructions: 0,
            opcodes: vec![0; prepared.names.len()],
            table: 0,
        };
        let mut rings = Rings::new(
            model.dma.engines as usize,
            program.queues.len(),
            model.ring_switch_ps(),
            model.dma_duplex_factor(),
            model.hbm.cap_gb_per_s / 1000.0,
            model.hbm.gb_per_s_per_chip / model.hbm.interleave_ways as f64 / 1000.0,
        );
        let record = options.timeline.then(|| {
            rings.traffic = Some(Series::default());
            Box::new(Record {
                producers: vec![None; model.sync.semaphores as usize],
                occupancy: Occupancy::new(model),
                ..Record::default()
            })
        });
        let mut run = Run {
            program,
            prepared,
            model,
            options,
            data,
            tracker: options.check.then(|| Tracker::new(program, prepared, model)),
            events: BinaryHeap::new(),
            created: 0,
            engines: Engine::ALL.iter().map(|_| engine()).collect(),
            semaphores: vec![0; model.sync.semaphores as usize],
            waiting: vec![0; model.sync.semaphores as usize],
            ports: [(0, u8::MAX); PORTS],
            array: Array::new(model),
            rings,
            rings_changed: 0,
            finished: Vec::new(),
            flights: Vec::new(),
            free_flights: Vec::new(),
            under_way: (0, 0),
            dma_busy: Busy::default(),
            queue_free: vec![0; program.queues.len()],
            generators: vec![0; model.dma.hardware_dge_blocks as usize],
            stats: Stats::default(),
            record,
            executed: 0,
            end: 0,
            alone: true,
            arrivals: Vec::new(),
        };
        for engine in Engine::ALL {
            run.push(0, Event::Engine(engine.index() as u8));
        }
        run
    }

    /// When the next event happens; `None` when there is none.
    pub fn next_event(&self) -> Option<u64> {
        self.events.peek().map(|Reverse((time, _, _))| *time)
    }

    /// Whether every engine is at the end of its stream.
    pub fn ended(&self) -> bool {
        self.engines.iter().all(|e| e.finished)
    }

    /// Handles the next event; `false` when there is none.
    pub fn step(&mut self) -> Result<bool, Diagnostic> {
        let Some(Reverse((now, _, event))) = self.events.pop() else {
            return Ok(false);
        };
        match event {
            Event::Semaphore {
                semaphore,
                change,
                engine,
                instruction,
            } => {
                self.change(now, semaphore, change, (engine, instruction))
                    .map_err(|text| self.illegal(now, engine as usize, instruction, text))?;
            }
            Event::Clear { first, count } => {
                for s in first..first.saturating_add(count) {
                    if let Some(value) = self.semaphores.get_mut(s as usize) {
                        *value = 0;
                    }
                }
            }
            Event::Arrival(flight) => self.arrive(now, flight),
            Event::Rings(change) if change == self.rings_changed => {
                let mut finished = std::mem::take(&mut self.finished);
                self.rings.advance(now, &mut finished);
                self.finished = finished;
                self.leave(now);
            }
            Event::Rings(_) => {}
            Event::Traffic { more, rate } => self.traffic(now, more, rate),
            Event::Engine(e) => self.advance(now, e as usize)?,
        }
        Ok(true)
    }

    fn push(&mut self, time: u64, event: Event) {
        self.created += 1;
        self.events.push(Reverse((time, self.created, event)));
    }

    /// Lets an engine run until it has to give way to another event.
    fn advance(&mut self, mut now: u64, e: usize) -> Result<(), Diagnostic> {
        let prepared = self.prepared;
        let stream = prepared.streams[e].as_slice();
        loop {
            let pc = self.engines[e].pc;
            let Some(step) = stream.get(pc as usize) else {
                self.engines[e].finished = true;
                return Ok(());
            };
            if let Some(wait) = step.wait
                && self.semaphores[wait.semaphore as usize] < u64::from(wait.value)
            {
                self.waiting[wait.semaphore as usize] |= 1 << e;
                self.engines[e].blocked = Some(wait.semaphore);
                self.engines[e].waiting_since.get_or_insert(now);
                return Ok(());
            }
            if let Some(since) = self.engines[e].waiting_since.take() {
                self.engines[e].wait += now - since;
                if let (Some(record), Some(wait)) = (&mut self.record, step.wait) {
                    let producer = record.producers.get(wait.semaphore as usize).copied().flatten();
                    let semaphore = wait.semaphore;
                    let reason = Reason::Semaphore { semaphore, producer };
                    record.stall(e, pc, since, now, reason);
                }
            }
            if let Kind::Sequencer(rare) = step.kind {
                self.count(pc)?;
                self.sequence(now, e, pc, rare)?;
                continue;
            }
            let (start, reason) = self.start_time(now, e, step);
            if start > now {
                if let (Some(record), Some(reason)) = (&mut self.record, reason) {
                    record.stall(e, pc, now, start, reason);
                }
                self.push(start, Event::Engine(e as u8));
                return Ok(());
            }
            let next = self.execute(now, e, pc, step)?;
            self.count(pc).map_err(|d| d.at(self.program.locs.get(step.loc)))?;
            let state = &mut self.engines[e];
            if state.started.len() as u64 >= self.model.sync.execution_queue_depth.max(1) {
                state.started.pop_front();
            }
            state.started.push_back(now);
            if !self.alone || self.events.peek().is_some_and(|Reverse((time, _, _))| *time <= next) {
                self.push(next, Event::Engine(e as u8));
                return Ok(());
            }
            now = next;
        }
    }

    /// Counts an instruction against the limit.
    fn count(&mut self, pc: u32) -> Result<(), Diagnostic> {
        self.executed += 1;
        if self.executed <= self.options.max_instructions {
            return Ok(());
        }
        let text = format!(
            "still running after {} instructions, at instruction {pc}",
            self.options.max_instructions
        );
        Err(Diagnostic::error(ferrite_ir::diag::Code::Illegal, text)
            .help("raise the limit if the program is meant to run that long"))
    }

    /// Earliest start of an instruction whose semaphore has allowed it, and what it waits for until then.
    fn start_time(&self, now: u64, e: usize, step: &Step) -> (u64, Option<Reason>) {
        let (mut start, mut reason) = (now, None);
        let mut later = |time: u64, why: Reason| {
            if time > start {
                (start, reason) = (time, Some(why));
            }
        };
        later(self.engines[e].sequencer, Reason::Decode);
        match step.kind {
            Kind::Load(_) => later(self.array.load_start(now), Reason::Array),
            Kind::Multiply(number) => {
                let product = &self.prepared.products[number as usize];
                later(self.array.multiply_start(now, product), Reason::Array);
            }
            _ => {}
        }
        let mut mask = step.ports;
        while mask != 0 {
            let port = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            let (until, owner) = self.ports[port];
            if owner != e as u8 {
                later(until, Reason::Port { engine: owner });
            }
        }
        // A result of this engine that is still in the pipeline. TensorE accumulates without waiting.
        if e != Engine::Tensor.index() && self.engines[e].last_done > now {
            let restart = self.model.ps(Engine::ALL[e], self.model.sync.restart_cycles);
            let list = &self.prepared.accesses[step.accesses.0 as usize..step.accesses.1 as usize];
            for &(done, region) in &self.engines[e].in_flight {
                let result = &self.prepared.regions[region as usize];
                if done > now
                    && list
                        .iter()
                        .any(|a| self.prepared.regions[a.0 as usize].overlaps(result))
                {
                    later(done + restart, Reason::Pipeline);
                }
            }
        }
        (start, reason)
    }
}

impl Record {
    fn stall(&mut self, engine: usize, instruction: u32, start_ps: u64, end_ps: u64, reason: Reason) {
        if end_ps > start_ps {
            self.stalls.push(Stall {
                track: engine as u32,
                instruction,
                start_ps,
                end_ps,
                reason,
            });
        }
    }
}
