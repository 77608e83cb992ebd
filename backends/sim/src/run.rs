//! The event loop: engines in order, semaphores, ports, DMA engines.
//!
//! Time is in integer picoseconds. Events are taken in order of time, then of creation, so a run is deterministic. An instruction
//! starts when its semaphore allows it, when the engine is free, when its ports are, and, if it needs a result of the same engine that
//! is still in the pipeline, when that is visible. Its effect on memory happens at its start: a program without races cannot tell.
//! Time never depends on data, except through branches.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use ferrite_ir::diag::{Code, Diagnostic};
use ferrite_ir::isa::{BranchCond, Engine, Instr, Op, Program, Reg, RegOp, RegOrImm, UpdateAt, UpdateKind};
use ferrite_ir::machine::MachineModel;

use crate::check::track::Tracker;
use crate::dma::{self, TransferCost};
use crate::exec::tensor::{Products, Stationary};
use crate::exec::{self, Scratch};
use crate::memory::Memory;
use crate::name;
use crate::options::Options;
use crate::prepare::{PORTS, Prepared};
use crate::stats::{Busy, Span, Stats, Timeline, Track, track_name};
use crate::tensor_time::Array;

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
    /// An engine may go on.
    Engine(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    Add(u32),
    Subtract(u32),
    Write(u32),
}

/// A register: never set, set from data that a timing-only run does not have, or known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Register {
    Unset,
    Unknown,
    Known(i32),
}

struct EngineState {
    pc: u32,
    registers: Vec<Register>,
    in_flight: VecDeque<(u64, u32)>,
    last_done: u64,
    waiting_since: Option<u64>,
    blocked: Option<u16>,
    finished: bool,
    busy: Busy,
    occupied: u64,
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
    dma_free: Vec<u64>,
    hbm_free: u64,
    dma_busy: Busy,
    stats: Stats,
    spans: Vec<Span>,
    transfer_names: Vec<String>,
    executed: u64,
    end: u64,
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
            waiting_since: None,
            blocked: None,
            finished: false,
            busy: Busy::default(),
            occupied: 0,
            wait: 0,
            instructions: 0,
            opcodes: vec![0; prepared.names.len()],
            table: 0,
        };
        Run {
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
            dma_free: vec![0; model.dma.engines as usize],
            hbm_free: 0,
            dma_busy: Busy::default(),
            stats: Stats::default(),
            spans: Vec::new(),
            transfer_names: Vec::new(),
            executed: 0,
            end: 0,
        }
    }

    /// Runs to the end.
    pub fn run(&mut self) -> Result<Stats, Diagnostic> {
        for engine in Engine::ALL {
            self.push(0, Event::Engine(engine.index() as u8));
        }
        while let Some(Reverse((now, _, event))) = self.events.pop() {
            match event {
                Event::Semaphore {
                    semaphore,
                    change,
                    engine,
                    instruction,
                } => {
                    self.change(now, semaphore, change)
                        .map_err(|text| self.illegal(engine as usize, instruction, text))?;
                }
                Event::Clear { first, count } => {
                    for s in first..first.saturating_add(count) {
                        if let Some(value) = self.semaphores.get_mut(s as usize) {
                            *value = 0;
                        }
                    }
                }
                Event::Engine(e) => self.advance(now, e as usize)?,
            }
        }
        if self.engines.iter().any(|e| !e.finished) {
            return Err(self.deadlock());
        }
        Ok(self.finish())
    }

    fn push(&mut self, time: u64, event: Event) {
        self.created += 1;
        self.events.push(Reverse((time, self.created, event)));
    }

    /// Lets an engine run until it has to give way to another event.
    fn advance(&mut self, mut now: u64, e: usize) -> Result<(), Diagnostic> {
        let engine = Engine::ALL[e];
        let (program, prepared) = (self.program, self.prepared);
        let stream = program.stream(engine);
        loop {
            let pc = self.engines[e].pc;
            let (Some(instr), Some(step)) = (stream.get(pc as usize), prepared.streams[e].get(pc as usize)) else {
                self.engines[e].finished = true;
                return Ok(());
            };
            if let Some(wait) = instr.wait
                && self.semaphores[wait.semaphore as usize] < u64::from(wait.value)
            {
                self.waiting[wait.semaphore as usize] |= 1 << e;
                self.engines[e].blocked = Some(wait.semaphore);
                self.engines[e].waiting_since.get_or_insert(now);
                return Ok(());
            }
            if let Some(since) = self.engines[e].waiting_since.take() {
                self.engines[e].wait += now - since;
            }
            let start = self.start_time(now, e, &instr.op, step.ports, step.accesses);
            if start > now {
                self.push(start, Event::Engine(e as u8));
                return Ok(());
            }
            let next = self.execute(now, e, pc, instr)?;
            self.executed += 1;
            if self.executed > self.options.max_instructions {
                let text = format!("still running after {} instructions", self.options.max_instructions);
                return Err(self
                    .illegal(e, pc, text)
                    .help("raise the limit if the program is meant to run that long"));
            }
            if self.events.peek().is_some_and(|Reverse((time, _, _))| *time <= next) {
                self.push(next, Event::Engine(e as u8));
                return Ok(());
            }
            now = next;
        }
    }

    /// Earliest start of an instruction whose semaphore has allowed it.
    fn start_time(&self, now: u64, e: usize, op: &Op, ports: u16, accesses: (u32, u32)) -> u64 {
        let mut start = now;
        match op {
            Op::LoadStationary { .. } => start = self.array.load_start(start),
            Op::MultiplyMoving { .. } => start = self.array.multiply_start(start, self.model),
            _ => {}
        }
        let mut mask = ports;
        while mask != 0 {
            let port = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            let (until, owner) = self.ports[port];
            if owner != e as u8 {
                start = start.max(until);
            }
        }
        // A result of this engine that is still in the pipeline. TensorE accumulates without waiting.
        if e != Engine::Tensor.index() && self.engines[e].in_flight.iter().any(|f| f.0 > now) {
            let restart = self.model.ps(Engine::ALL[e], self.model.sync.restart_cycles);
            let list = &self.prepared.accesses[accesses.0 as usize..accesses.1 as usize];
            for &(done, region) in &self.engines[e].in_flight {
                let result = &self.prepared.regions[region as usize];
                if done > now
                    && list
                        .iter()
                        .any(|a| self.prepared.regions[a.0 as usize].overlaps(result))
                {
                    start = start.max(done + restart);
                }
            }
        }
        start
    }

    /// Runs one instruction at `now`; returns when the next may start.
    fn execute(&mut self, now: u64, e: usize, pc: u32, instr: &'a Instr) -> Result<u64, Diagnostic> {
        let engine = Engine::ALL[e];
        let prepared = self.prepared;
        let step = &prepared.streams[e][pc as usize];
        let mut time = step.time;
        let mut next_pc = pc + 1;
        if let Some(tracker) = &mut self.tracker {
            let wait = instr.wait.map(|w| (w.semaphore, w.value));
            tracker
                .start(engine, pc, wait, step.accesses)
                .map_err(|text| self.illegal(e, pc, text))?;
        }
        if step.table != 0 && self.engines[e].table != step.table {
            let (has, needs) = (self.engines[e].table, step.table);
            return Err(self.illegal(
                e,
                pc,
                format!("needs table set {needs}; the engine has set {has} loaded"),
            ));
        }
        let mut next = None;
        match &instr.op {
            Op::Compute(inst) => {
                if let Some(data) = &mut self.data {
                    let done = exec::compute(&mut data.memory, &mut data.scratch, engine, inst);
                    done.map_err(|text| self.illegal(e, pc, text))?;
                }
            }
            Op::ActTableLoad { set } => self.engines[e].table = *set,
            Op::LoadStationary { src } => {
                self.array.load(now, time, src);
                if let Some(data) = &mut self.data {
                    data.stationary.load(&data.memory, src, &mut data.products);
                }
                next = Some(now); // the multiply may be looked at while the load runs
            }
            Op::MultiplyMoving {
                dst,
                moving,
                accumulate,
                transpose,
            } => {
                self.multiply_legal(dst, moving, *transpose)
                    .map_err(|text| self.illegal(e, pc, text))?;
                time = self.array.multiply(now, dst, moving, *transpose, self.model);
                let flops = 2 * u64::from(moving.partitions) * u64::from(dst.partitions) * dst.elements() as u64;
                self.stats.pe_flops += flops;
                self.stats.pe_transpose_flops += if *transpose { flops } else { 0 };
                if let Some(data) = &mut self.data {
                    if *transpose {
                        data.stationary.transpose(&mut data.memory, dst, &mut data.products);
                    } else {
                        data.stationary
                            .multiply(&mut data.memory, dst, moving, *accumulate, &mut data.products);
                    }
                }
                next = Some(now); // the next load runs behind this multiply
            }
            Op::DmaTrigger { transfer } => {
                let number = *transfer as usize;
                let (t, s) = (&self.program.transfers[number], &prepared.transfers[number]);
                if let Some(tracker) = &mut self.tracker {
                    tracker
                        .transfer(engine, t.queue, t.semaphore, s.accesses)
                        .map_err(|text| self.illegal(e, pc, text))?;
                }
                self.transfer(now + time.latency, e, pc, (t.queue, t.semaphore), &s.cost, t.loc);
                if let Some(data) = &mut self.data {
                    dma::run_transfer(t, &mut data.memory, &prepared.layout);
                }
            }
            Op::DmaIndirect(i) => {
                let Some(s) = prepared.indirect.get(&(e, pc)) else {
                    return Err(Diagnostic::bug("an indirect transfer was not prepared"));
                };
                if let Some(tracker) = &mut self.tracker {
                    tracker
                        .transfer(engine, i.queue, i.semaphore, s.accesses)
                        .map_err(|text| self.illegal(e, pc, text))?;
                }
                self.transfer(now + time.latency, e, pc, (i.queue, i.semaphore), &s.cost, instr.loc);
                if let Some(data) = &mut self.data {
                    let done = dma::run_indirect(i, &mut data.memory, &prepared.layout);
                    done.map_err(|text| self.illegal(e, pc, text))?;
                }
            }
            Op::RangeClear { first, count } => {
                if let Some(tracker) = &mut self.tracker {
                    tracker
                        .clear(engine, *first, *count)
                        .map_err(|text| self.illegal(e, pc, text))?;
                }
                self.push(
                    now + time.latency,
                    Event::Clear {
                        first: *first,
                        count: *count,
                    },
                );
            }
            Op::RegMove { dst, value } => {
                let value = self.value(e, pc, *value)?;
                self.set(e, *dst, value);
            }
            Op::RegAlu { dst, op, a, b } => {
                let (a, b) = (self.value(e, pc, *a)?, self.value(e, pc, *b)?);
                let value = match (a, b) {
                    (Register::Known(a), Register::Known(b)) => Register::Known(match op {
                        RegOp::Add => a.wrapping_add(b),
                        RegOp::Subtract => a.wrapping_sub(b),
                        RegOp::Multiply => a.wrapping_mul(b),
                        RegOp::Max => a.max(b),
                        RegOp::Min => a.min(b),
                    }),
                    _ => Register::Unknown,
                };
                self.set(e, *dst, value);
            }
            Op::RegLoad { dst, src } => {
                let value = match &self.data {
                    Some(data) => {
                        let mut raw = Vec::new();
                        data.memory.load_raw_row(src, 0, &mut raw);
                        Register::Known(raw.first().map_or(0, |&x| x as i32))
                    }
                    None => Register::Unknown,
                };
                self.set(e, *dst, value);
            }
            Op::Branch { cond, a, b, target } => {
                let taken = match (cond, self.value(e, pc, *a)?, self.value(e, pc, *b)?) {
                    (BranchCond::Always, _, _) => true,
                    (cond, Register::Known(a), Register::Known(b)) => match cond {
                        BranchCond::Always => true,
                        BranchCond::Lt => a < b,
                        BranchCond::Le => a <= b,
                        BranchCond::Eq => a == b,
                        BranchCond::Ne => a != b,
                        BranchCond::Ge => a >= b,
                        BranchCond::Gt => a > b,
                    },
                    _ => {
                        let text = "branches on a value in memory, which a timing-only run does not have";
                        return Err(self
                            .illegal(e, pc, text.into())
                            .help("run the program with inputs instead"));
                    }
                };
                if taken {
                    next_pc = *target;
                }
            }
            Op::Semaphore | Op::Nop => {}
        }
        if let (Some(tracker), Some(update)) = (&mut self.tracker, instr.update) {
            tracker
                .update(engine, update)
                .map_err(|text| self.illegal(e, pc, text))?;
        }
        self.account(now, e, pc, instr, time);
        self.engines[e].pc = next_pc;
        Ok(next.unwrap_or(now + time.occupancy))
    }

    /// Ports, pipeline, completion, update and statistics of an instruction that started at `now`.
    fn account(&mut self, now: u64, e: usize, pc: u32, instr: &Instr, time: ferrite_ir::machine::cost::Time) {
        let prepared = self.prepared;
        let step = &prepared.streams[e][pc as usize];
        let mut mask = step.ports;
        while mask != 0 {
            let port = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            self.ports[port] = (now + time.data, e as u8);
        }
        let done = now + time.latency;
        let state = &mut self.engines[e];
        if e != Engine::Tensor.index() {
            while state.in_flight.front().is_some_and(|f| f.0 <= now) || state.in_flight.len() >= IN_FLIGHT {
                state.in_flight.pop_front();
            }
            for &(region, touch) in &prepared.accesses[step.accesses.0 as usize..step.accesses.1 as usize] {
                if touch.writes() {
                    state.in_flight.push_back((done, region));
                }
            }
        }
        // Instructions of one engine complete in order.
        state.last_done = state.last_done.max(done);
        let visible = state.last_done;
        state.busy.add(now, done);
        state.occupied += time.occupancy;
        state.instructions += 1;
        state.opcodes[step.name as usize] += 1;
        self.end = self.end.max(done);
        if self.options.timeline {
            self.spans.push(Span {
                track: e as u32,
                name: u32::from(step.name),
                start_ps: now,
                end_ps: done,
                bytes: 0,
                location: instr.loc,
            });
        }
        if let Some(update) = instr.update {
            let change = match update.kind {
                UpdateKind::Add(n) => Change::Add(n),
                UpdateKind::Subtract(n) => Change::Subtract(n),
                UpdateKind::Write(n) => Change::Write(n),
            };
            let at = if update.at == UpdateAt::Read { now } else { visible };
            let semaphore = update.semaphore;
            self.push(
                at,
                Event::Semaphore {
                    semaphore,
                    change,
                    engine: e as u8,
                    instruction: pc,
                },
            );
        }
    }

    /// Starts a transfer on the DMA engines; `now` is when its trigger is given.
    fn transfer(
        &mut self,
        now: u64,
        e: usize,
        pc: u32,
        to: (u16, u16),
        cost: &TransferCost,
        loc: ferrite_ir::loc::LocId,
    ) {
        let start = now + self.model.dma_start_ps();
        // Rings are served first come, first served by each DMA engine.
        let mut ends: Vec<u64> = self
            .dma_free
            .iter()
            .zip(&cost.engine_ps)
            .map(|(free, ps)| start.max(*free) + ps)
            .collect();
        let begin = self.dma_free.iter().map(|free| start.max(*free)).min().unwrap_or(start);
        // HBM limits all of them together.
        let hbm = cost.hbm_read + cost.hbm_written;
        if hbm > 0 {
            let busy = begin.max(self.hbm_free) + self.model.hbm_ps(hbm);
            self.hbm_free = busy;
            let last = ends.iter().copied().max().unwrap_or(start);
            let late = busy.saturating_sub(last);
            ends.iter_mut().for_each(|end| *end += late);
        }
        let last = ends.iter().copied().max().unwrap_or(start);
        self.dma_busy.add(begin, last);
        self.stats.dma_transfers += 1;
        self.stats.dma_descriptors += cost.descriptors;
        self.stats.dma_bytes += cost.bytes;
        self.stats.dma_engine_ps += cost.engine_ps.iter().sum::<u64>();
        self.stats.hbm_read_bytes += cost.hbm_read;
        self.stats.hbm_written_bytes += cost.hbm_written;
        self.end = self.end.max(last);
        if self.options.timeline {
            let name = (self.prepared.names.len() + self.transfer_names.len()) as u32;
            self.transfer_names.push(format!("{} B", cost.bytes));
            let track = (Engine::ALL.len() + to.0 as usize) as u32;
            self.spans.push(Span {
                track,
                name,
                start_ps: begin,
                end_ps: last,
                bytes: cost.bytes,
                location: loc,
            });
        }
        self.dma_free.clone_from(&ends);
        ends.sort_unstable();
        let done = self.model.dma_done_ps();
        for same in ends.chunk_by(|a, b| a == b) {
            let change = Change::Add(same.len() as u32);
            self.push(
                same[0] + done,
                Event::Semaphore {
                    semaphore: to.1,
                    change,
                    engine: e as u8,
                    instruction: pc,
                },
            );
        }
    }

    /// Applies a semaphore's change and wakes who waited for it.
    fn change(&mut self, now: u64, semaphore: u16, change: Change) -> Result<(), String> {
        let s = semaphore as usize;
        let value = self.semaphores[s];
        let new = match change {
            Change::Add(n) => value + u64::from(n),
            Change::Subtract(n) => match value.checked_sub(u64::from(n)) {
                Some(new) => new,
                None => return Err(format!("subtracts {n} from semaphore {semaphore}, which is {value}")),
            },
            Change::Write(n) => u64::from(n),
        };
        let max = (1u64 << self.model.sync.semaphore_bits) - 1;
        if new > max {
            return Err(format!(
                "raises semaphore {semaphore} to {new}; its counter ends at {max}"
            ));
        }
        self.semaphores[s] = new;
        let mut mask = self.waiting[s];
        while mask != 0 {
            let e = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            let stream = self.program.stream(Engine::ALL[e]);
            let wait = stream.get(self.engines[e].pc as usize).and_then(|i| i.wait);
            if wait.is_some_and(|w| u64::from(w.value) <= new) {
                self.waiting[s] &= !(1 << e);
                self.engines[e].blocked = None;
                self.push(now + self.model.wait_to_start_ps(), Event::Engine(e as u8));
            }
        }
        Ok(())
    }

    fn set(&mut self, e: usize, register: Reg, value: Register) {
        if let Some(slot) = self.engines[e].registers.get_mut(register.0 as usize) {
            *slot = value;
        }
    }

    fn value(&self, e: usize, pc: u32, value: RegOrImm) -> Result<Register, Diagnostic> {
        match value {
            RegOrImm::Imm(x) => Ok(Register::Known(x)),
            RegOrImm::Reg(r) => match self.engines[e].registers.get(r.0 as usize) {
                Some(Register::Unset) | None => {
                    Err(self.illegal(e, pc, format!("reads register {}, which nothing set", r.0)))
                }
                Some(known) => Ok(*known),
            },
        }
    }

    /// What a multiply needs of the stationary operand loaded last.
    fn multiply_legal(
        &self,
        dst: &ferrite_ir::isa::Ap,
        moving: &ferrite_ir::isa::Ap,
        transpose: bool,
    ) -> Result<(), String> {
        let Some(s) = &self.array.loaded else {
            return Err("multiplies before a stationary operand is loaded".into());
        };
        if (s.partition, s.partitions) != (moving.partition, moving.partitions) {
            return Err(format!(
                "the moving operand is on partitions {}..{}, the stationary one on {}..{}",
                moving.partition,
                moving.partition + moving.partitions,
                s.partition,
                s.partition + s.partitions
            ));
        }
        if s.elements() != dst.partitions as usize {
            return Err(format!(
                "the result has {} partitions, the stationary operand {} columns",
                dst.partitions,
                s.elements()
            ));
        }
        if transpose {
            if dst.elements() != s.partitions as usize {
                return Err(format!(
                    "transposes {} partitions into {} columns",
                    s.partitions,
                    dst.elements()
                ));
            }
            if dst.dtype.bytes() == 2 && dst.dtype != s.dtype {
                return Err(format!("transposes {} into {}", s.dtype, dst.dtype));
            }
        } else if !self.model.matmul_pair_ok(s.dtype, moving.dtype) {
            return Err(format!("TensorE does not multiply {} by {}", s.dtype, moving.dtype));
        }
        Ok(())
    }

    /// A finding at an instruction.
    fn illegal(&self, e: usize, pc: u32, text: String) -> Diagnostic {
        let engine = Engine::ALL[e];
        let instr = self.program.stream(engine).get(pc as usize);
        let name = instr.map_or("?", |i| name::of(&i.op));
        let d = Diagnostic::error(Code::Illegal, format!("{engine} instruction {pc} (`{name}`): {text}"));
        match instr {
            Some(i) => d.at(self.program.locs.get(i.loc)),
            None => d,
        }
    }

    fn deadlock(&self) -> Diagnostic {
        let mut stuck = Vec::new();
        let mut first = None;
        for engine in Engine::ALL {
            let state = &self.engines[engine.index()];
            let Some(semaphore) = state.blocked.filter(|_| !state.finished) else {
                continue;
            };
            let instr = self.program.stream(engine).get(state.pc as usize);
            let wanted = instr.and_then(|i| i.wait).map_or(0, |w| w.value);
            let (name, loc) = instr.map_or(("?", String::new()), |i| {
                (name::of(&i.op), self.program.locs.describe(i.loc))
            });
            let value = self.semaphores[semaphore as usize];
            stuck.push(format!(
                "{engine} instruction {} (`{name}`, from {loc}) waits for semaphore {semaphore} >= {wanted}, which is {value}",
                state.pc
            ));
            first = first.or(instr);
        }
        let d = Diagnostic::error(Code::Illegal, format!("deadlock: {}", stuck.join("; ")));
        match first {
            Some(i) => d.at(self.program.locs.get(i.loc)),
            None => d,
        }
    }

    fn finish(&mut self) -> Stats {
        let mut stats = std::mem::take(&mut self.stats);
        stats.latency_ps = self.end;
        stats.cycles = self.model.profiler_cycles(self.end);
        stats.dma_busy_ps = self.dma_busy.total();
        for (out, state) in stats.engines.iter_mut().zip(&self.engines) {
            out.instructions = state.instructions;
            out.busy_ps = state.busy.total();
            out.occupied_ps = state.occupied;
            out.wait_ps = state.wait;
            let counts = self.prepared.names.iter().zip(&state.opcodes);
            out.opcodes = counts.filter(|(_, n)| **n > 0).map(|(name, n)| (*name, *n)).collect();
            out.opcodes.sort_unstable();
        }
        if self.options.timeline {
            let engines = Engine::ALL.into_iter().map(|e| Track {
                name: track_name(e).into(),
                dma: false,
            });
            let queues = self.program.queues.iter().map(|q| Track {
                name: q.name.clone(),
                dma: true,
            });
            let names = self.prepared.names.iter().map(|n| n.to_string());
            let mut spans = std::mem::take(&mut self.spans);
            spans.sort_by_key(|s| (s.start_ps, s.track));
            stats.timeline = Some(Timeline {
                tracks: engines.chain(queues).collect(),
                names: names.chain(std::mem::take(&mut self.transfer_names)).collect(),
                spans,
            });
        }
        stats
    }
}
