//! What one instruction does, and the time it takes.

use ferrite_ir::diag::Diagnostic;
use ferrite_ir::isa::{Engine, Instr, Op, Reg, RegOrImm, UpdateAt, UpdateKind};
use ferrite_ir::machine::cost::{DgeMode, Time};

use super::collective::Arrival;
use super::control::Register;
use super::transfer::Started;
use super::{Change, Event, IN_FLIGHT, Run};
use crate::dma;
use crate::exec;
use crate::prepare::{Kind, Step};
use crate::stats::Span;
use crate::tensor_time::Product;

/// Whether an exact transpose may use the stationary operand loaded before these instructions.
fn transposed(rest: &[Instr]) -> bool {
    for instr in rest {
        match &instr.op {
            Op::LoadStationary { .. } => return false,
            Op::MultiplyMoving { transpose: true, .. } => return true,
            Op::Branch { .. } => return true, // wherever it goes
            _ => {}
        }
    }
    false
}

impl<'a> Run<'a> {
    /// Runs one instruction at `now`; returns when the next may start.
    pub(super) fn execute(&mut self, now: u64, e: usize, pc: u32, step: &'a Step) -> Result<u64, Diagnostic> {
        let engine = Engine::ALL[e];
        let prepared = self.prepared;
        let mut time = step.time;
        let mut next_pc = pc + 1;
        if let Some(tracker) = &mut self.tracker {
            let wait = step.wait.map(|w| (w.semaphore, w.value));
            tracker
                .start(engine, pc, now, wait, step.accesses)
                .map_err(|text| self.illegal(now, e, pc, text))?;
        }
        if step.table != 0 && self.engines[e].table != step.table {
            let (has, needs) = (self.engines[e].table, step.table);
            let text = format!("needs table set {needs}; the engine has set {has} loaded");
            return Err(self.illegal(now, e, pc, text));
        }
        let mut next = None;
        match step.kind {
            Kind::Plain => self.compute(now, e, pc)?,
            Kind::Load(loaded) => {
                self.array.load(now, time, loaded);
                if let Some(data) = &mut self.data
                    && let Op::LoadStationary { src } = &self.program.streams[e][pc as usize].op
                {
                    let bits = transposed(&self.program.streams[e][pc as usize + 1..]);
                    data.stationary.load(&data.memory, src, bits, &mut data.products);
                }
                next = Some(now); // the multiply may be looked at while the load runs
            }
            Kind::Multiply(number) => {
                let product = &prepared.products[number as usize];
                self.multiply_legal(product)
                    .map_err(|text| self.illegal(now, e, pc, text))?;
                time = self.array.multiply(now, product, self.model);
                let flops = product.flops();
                self.stats.pe_flops += flops;
                self.stats.pe_transpose_flops += if product.transpose { flops } else { 0 };
                self.multiply(e, pc);
                next = Some(now); // the next load runs behind this multiply
            }
            Kind::Trigger(number) => self.static_transfer(now, e, pc, &mut time, number)?,
            Kind::Sequencer(number) | Kind::Other(number) => {
                let instr = &prepared.rare[number as usize];
                if let Op::DmaTrigger { transfer, counter } = &instr.op {
                    let number = self.counted_transfer(now, e, pc, *transfer, *counter)?;
                    self.static_transfer(now, e, pc, &mut time, number)?;
                } else if let Some(target) = self.rare(now, e, pc, step, instr)? {
                    next_pc = target;
                }
            }
        }
        if let (Some(tracker), Some(update)) = (&mut self.tracker, step.update) {
            tracker
                .update(engine, update)
                .map_err(|text| self.illegal(now, e, pc, text))?;
        }
        self.account(now, e, pc, step, time);
        self.engines[e].pc = next_pc;
        Ok(next.unwrap_or(now + time.occupancy))
    }

    /// Starts a static transfer; `time` grows where the engine writes the descriptors itself.
    fn static_transfer(&mut self, now: u64, e: usize, pc: u32, time: &mut Time, number: u32) -> Result<(), Diagnostic> {
        let (engine, prepared) = (Engine::ALL[e], self.prepared);
        let (t, s) = (
            &self.program.transfers[number as usize],
            &prepared.transfers[number as usize],
        );
        if let Some(tracker) = &mut self.tracker {
            tracker
                .transfer(engine, t.queue, t.semaphore, s.accesses)
                .map_err(|text| self.illegal(now, e, pc, text))?;
        }
        let at = now + time.latency;
        let dge = self.program.queues[t.queue as usize].dge;
        if dge == DgeMode::Software && engine == Engine::GpSimd {
            // GpSimdE writes the descriptors itself.
            time.occupancy += self.model.dma_generate_ps(dge);
            time.latency += self.model.dma_generate_ps(dge);
        }
        self.trigger(Started {
            at,
            engine: e,
            instruction: pc,
            queue: t.queue,
            semaphore: t.semaphore,
            dge,
            cost: &s.cost,
            accesses: s.accesses,
            location: t.loc,
        });
        if let Some(data) = &mut self.data {
            dma::run_transfer(t, &mut data.memory, &prepared.layout);
        }
        Ok(())
    }

    /// The value of a counter that picks one of several transfers.
    fn counted(&self, now: u64, e: usize, pc: u32, counter: Option<Reg>) -> Result<u32, Diagnostic> {
        let Some(register) = counter else { return Ok(0) };
        match self.value(now, e, pc, RegOrImm::Reg(register))? {
            Register::Known(value) => u32::try_from(value).map_err(|_| {
                let text = format!("starts a transfer by register {}, which is {value}", register.0);
                self.illegal(now, e, pc, text)
            }),
            Register::Unset | Register::Unknown => {
                let text = "starts a transfer by a value in memory, which a timing-only run does not have";
                Err(self
                    .illegal(now, e, pc, text.into())
                    .help("run the program with inputs instead"))
            }
        }
    }

    /// Number of the static transfer that a counter picks: one of the first one's kind.
    fn counted_transfer(
        &self,
        now: u64,
        e: usize,
        pc: u32,
        transfer: u32,
        counter: Option<Reg>,
    ) -> Result<u32, Diagnostic> {
        let number = transfer.saturating_add(self.counted(now, e, pc, counter)?);
        let of = |n: u32| self.program.transfers.get(n as usize).map(|t| (t.queue, t.semaphore));
        match of(number) {
            None => Err(self.illegal(now, e, pc, format!("starts transfer {number}, which does not exist"))),
            kind if kind != of(transfer) => {
                let text = format!("starts transfer {number}, which has not the queue and the semaphore of {transfer}");
                Err(self.illegal(now, e, pc, text))
            }
            _ => Ok(number),
        }
    }

    /// What an instruction does to bytes, if there are any.
    fn compute(&mut self, now: u64, e: usize, pc: u32) -> Result<(), Diagnostic> {
        if let Some(data) = &mut self.data
            && let Op::Compute(inst) = &self.program.streams[e][pc as usize].op
        {
            let done = exec::compute(&mut data.memory, &mut data.scratch, Engine::ALL[e], inst);
            done.map_err(|text| self.illegal(now, e, pc, text))?;
        }
        Ok(())
    }

    /// The same of a multiply.
    fn multiply(&mut self, e: usize, pc: u32) {
        let Some(data) = &mut self.data else { return };
        let Op::MultiplyMoving {
            dst,
            moving,
            accumulate,
            transpose,
        } = &self.program.streams[e][pc as usize].op
        else {
            return;
        };
        if *transpose {
            data.stationary.transpose(&mut data.memory, dst, &mut data.products);
        } else {
            data.stationary
                .multiply(&mut data.memory, dst, moving, *accumulate, &mut data.products);
        }
    }

    /// Instructions that are more than their time; the target of a branch that is taken.
    fn rare(
        &mut self,
        now: u64,
        e: usize,
        pc: u32,
        step: &'a Step,
        instr: &'a Instr,
    ) -> Result<Option<u32>, Diagnostic> {
        let (engine, prepared) = (Engine::ALL[e], self.prepared);
        let time = step.time;
        match &instr.op {
            Op::ActTableLoad { set } => self.engines[e].table = *set,
            Op::DmaIndirect(i) => {
                let trip = self.counted(now, e, pc, i.counter)? as usize;
                let var = std::iter::once(&i.var).chain(&i.others).nth(trip);
                let prepared_step = prepared.indirect.get(&(e, pc)).and_then(|s| s.get(trip));
                let (Some(&var), Some(s)) = (var, prepared_step) else {
                    let text = format!("has no variable for a counter of {trip}");
                    return Err(self.illegal(now, e, pc, text));
                };
                if let Some(tracker) = &mut self.tracker {
                    tracker
                        .transfer(engine, i.queue, i.semaphore, s.accesses)
                        .map_err(|text| self.illegal(now, e, pc, text))?;
                }
                self.trigger(Started {
                    at: now + self.model.dma_trigger_ps(DgeMode::Software),
                    engine: e,
                    instruction: pc,
                    queue: i.queue,
                    semaphore: i.semaphore,
                    dge: DgeMode::Software,
                    cost: &s.cost,
                    accesses: s.accesses,
                    location: instr.loc,
                });
                if let Some(data) = &mut self.data {
                    let done = dma::run_indirect(i, var, &mut data.memory, &prepared.layout);
                    done.map_err(|text| self.illegal(now, e, pc, text))?;
                }
            }
            Op::Collective(c) => {
                let Some(s) = prepared.indirect.get(&(e, pc)).and_then(|s| s.first()) else {
                    return Err(Diagnostic::bug("a collective was not prepared"));
                };
                if let Some(tracker) = &mut self.tracker {
                    tracker
                        .transfer(engine, c.queue, c.semaphore, s.accesses)
                        .map_err(|text| self.illegal(now, e, pc, text))?;
                }
                self.arrivals.push(Arrival {
                    at: now + time.latency,
                    engine: e,
                    instruction: pc,
                    collective: c,
                });
            }
            Op::RangeClear { first, count } => {
                if let Some(tracker) = &mut self.tracker {
                    tracker
                        .clear(engine, *first, *count)
                        .map_err(|text| self.illegal(now, e, pc, text))?;
                }
                let (first, count) = (*first, *count);
                self.push(now + time.latency, Event::Clear { first, count });
            }
            op @ (Op::RegMove { .. } | Op::RegAlu { .. } | Op::RegLoad { .. } | Op::Branch { .. }) => {
                let target = self.control(e, pc, now, op)?;
                // What the sequencer decodes next may depend on it.
                let fetch = target.map_or(0, |t| self.model.branch_fetch_ps(pc, t));
                let state = &mut self.engines[e];
                state.sequencer = state.sequencer.max(now + time.occupancy + fetch);
                return Ok(target);
            }
            Op::Compute(_)
            | Op::LoadStationary { .. }
            | Op::MultiplyMoving { .. }
            | Op::DmaTrigger { .. }
            | Op::Semaphore
            | Op::Nop => {}
        }
        Ok(None)
    }

    /// Ports, pipeline, completion, update and statistics of an instruction that started at `now`.
    fn account(&mut self, now: u64, e: usize, pc: u32, step: &Step, time: Time) {
        let prepared = self.prepared;
        let mut mask = step.ports;
        while mask != 0 {
            let port = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            self.ports[port] = (now + time.data, e as u8);
        }
        let done = now + time.latency;
        let state = &mut self.engines[e];
        let accesses = &prepared.accesses[step.accesses.0 as usize..step.accesses.1 as usize];
        if e != Engine::Tensor.index() {
            while state.in_flight.front().is_some_and(|f| f.0 <= now) || state.in_flight.len() >= IN_FLIGHT {
                state.in_flight.pop_front();
            }
            for &(region, touch) in accesses {
                if touch.writes() {
                    state.in_flight.push_back((done, region));
                }
            }
        }
        // Instructions of one engine complete in order.
        state.last_done = state.last_done.max(done);
        let visible = state.last_done;
        state.busy.add(now, done);
        state.occupied.add(now, now + time.occupancy);
        state.instructions += 1;
        state.opcodes[step.name as usize] += 1;
        self.end = self.end.max(done);
        if let Some(record) = &mut self.record {
            record.spans.push(Span {
                track: e as u32,
                name: u32::from(step.name),
                start_ps: now,
                end_ps: done,
                bytes: 0,
                instruction: pc,
                location: step.loc,
            });
            record.occupancy.touch(&prepared.regions, accesses, now, done);
        }
        if let Some(update) = step.update {
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

    /// What a multiply needs of the stationary operand loaded last.
    fn multiply_legal(&self, product: &Product) -> Result<(), String> {
        let Some(s) = &self.array.loaded else {
            return Err("multiplies before a stationary operand is loaded".into());
        };
        if s.partitions != product.moving {
            let range = |(first, count): (u16, u16)| format!("{first}..{}", first + count);
            return Err(format!(
                "the moving operand is on partitions {}, the stationary one on {}",
                range(product.moving),
                range(s.partitions)
            ));
        }
        if s.columns != u32::from(product.rows) {
            return Err(format!(
                "the result has {} partitions, the stationary operand {} columns",
                product.rows, s.columns
            ));
        }
        if product.transpose {
            if product.columns != u32::from(s.partitions.1) {
                return Err(format!(
                    "transposes {} partitions into {} columns",
                    s.partitions.1, product.columns
                ));
            }
            if product.dtype.bytes() == 2 && product.dtype != s.dtype {
                return Err(format!("transposes {} into {}", s.dtype, product.dtype));
            }
        } else if !self.model.matmul_pair_ok(s.dtype, product.moving_dtype) {
            return Err(format!(
                "TensorE does not multiply {} by {}",
                s.dtype, product.moving_dtype
            ));
        }
        Ok(())
    }
}
