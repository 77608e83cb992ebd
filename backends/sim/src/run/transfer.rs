//! DMA transfers on their way, and semaphores.

use ferrite_ir::isa::Engine;
use ferrite_ir::loc::LocId;
use ferrite_ir::machine::cost::DgeMode;

use super::{Change, Event, Run};
use crate::dma::TransferCost;
use crate::stats::{Producer, Span};

/// A transfer whose trigger has been given.
pub(super) struct Started<'c> {
    /// When, picoseconds.
    pub at: u64,
    /// Who gave it.
    pub engine: usize,
    /// By which instruction.
    pub instruction: u32,
    /// Its queue.
    pub queue: u16,
    /// Its completion semaphore.
    pub semaphore: u16,
    /// Who writes its descriptors.
    pub dge: DgeMode,
    /// What it costs.
    pub cost: &'c TransferCost,
    /// What it touches.
    pub accesses: (u32, u32),
    /// Where it comes from.
    pub location: LocId,
}

/// What is remembered of a transfer until it is done.
#[derive(Clone, Debug)]
pub(super) struct Flight<'c> {
    cost: &'c TransferCost,
    accesses: (u32, u32),
    engine: u8,
    instruction: u32,
    queue: u16,
    semaphore: u16,
    location: LocId,
}

impl<'a> Run<'a> {
    /// A trigger has been given: descriptors are made, if they are not there, and fetched; then the transfer reaches the engines.
    pub(super) fn trigger(&mut self, started: Started<'a>) {
        let Started {
            at, queue, dge, cost, ..
        } = started;
        let mut begin = at;
        if dge == DgeMode::Hardware
            && let Some(free) = self.generators.iter_mut().min()
        {
            begin = begin.max(*free);
            *free = begin + self.model.dma_generate_ps(dge);
        }
        begin += self.model.dge_start_ps(dge);
        if let Some(free) = self.queue_free.get_mut(queue as usize) {
            begin = begin.max(*free);
            *free = begin + self.model.queue_interval_ps(dge);
        }
        self.stats.dma_transfers += 1;
        self.stats.dma_descriptors += cost.descriptors;
        self.stats.dma_bytes += cost.bytes;
        self.stats.dma_engine_ps += cost.load.engine_ps.iter().sum::<u64>();
        self.stats.hbm_read_bytes += cost.hbm_read;
        self.stats.hbm_written_bytes += cost.hbm_written;
        let flight = Flight {
            cost,
            accesses: started.accesses,
            engine: started.engine as u8,
            instruction: started.instruction,
            queue,
            semaphore: started.semaphore,
            location: started.location,
        };
        let token = match self.free_flights.pop() {
            Some(token) => {
                self.flights[token as usize] = flight;
                token
            }
            None => {
                self.flights.push(flight);
                self.flights.len() as u32 - 1
            }
        };
        self.push(begin, Event::Arrival(token));
    }

    /// A transfer reaches the DMA engines.
    pub(super) fn arrive(&mut self, now: u64, token: u32) {
        let (queue, cost) = (self.flights[token as usize].queue, self.flights[token as usize].cost);
        if self.under_way.0 == 0 {
            self.under_way.1 = now;
        }
        self.under_way.0 += 1;
        let mut finished = std::mem::take(&mut self.finished);
        self.rings.submit(now, queue, &cost.load, token, &mut finished);
        self.finished = finished;
        self.leave(now);
    }

    /// Settles what has left the DMA engines at `now`, and asks to be called when something will next.
    pub(super) fn leave(&mut self, now: u64) {
        let finished = std::mem::take(&mut self.finished);
        for f in &finished {
            let flight = &self.flights[f.token as usize];
            let (semaphore, engine, instruction) = (flight.semaphore, flight.engine, flight.instruction);
            self.push(
                now + self.model.dma_done_ps(),
                Event::Semaphore {
                    semaphore,
                    change: Change::Add(f.engines),
                    engine,
                    instruction,
                },
            );
            let Some(begun) = f.begun else { continue };
            self.under_way.0 -= 1;
            if self.under_way.0 == 0 {
                self.dma_busy.add(self.under_way.1, now);
            }
            self.end = self.end.max(now);
            self.free_flights.push(f.token);
            let flight = &self.flights[f.token as usize];
            let prepared = self.prepared;
            if let Some(record) = &mut self.record {
                let name = (prepared.names.len() + record.transfer_names.len()) as u32;
                record.transfer_names.push(format!("{} B", flight.cost.bytes));
                record.spans.push(Span {
                    track: (Engine::ALL.len() + flight.queue as usize) as u32,
                    name,
                    start_ps: begun,
                    end_ps: now,
                    bytes: flight.cost.bytes,
                    instruction,
                    location: flight.location,
                });
                let accesses = &prepared.accesses[flight.accesses.0 as usize..flight.accesses.1 as usize];
                record.occupancy.touch(&prepared.regions, accesses, begun, now);
            }
        }
        self.finished = finished;
        self.finished.clear();
        self.rings_changed += 1;
        if let Some(time) = self.rings.next() {
            self.push(time, Event::Rings(self.rings_changed));
        }
    }

    /// Applies a semaphore's change by `by` (engine and instruction) and wakes who waited for it.
    pub(super) fn change(&mut self, now: u64, semaphore: u16, change: Change, by: (u8, u32)) -> Result<(), String> {
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
        if let Some(producer) = self.record.as_mut().and_then(|r| r.producers.get_mut(s)) {
            *producer = Some(Producer {
                engine: by.0,
                instruction: by.1,
            });
        }
        let mut mask = self.waiting[s];
        while mask != 0 {
            let e = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            let stream = &self.prepared.streams[e];
            let wait = stream.get(self.engines[e].pc as usize).and_then(|i| i.wait);
            if wait.is_some_and(|w| u64::from(w.value) <= new) {
                self.waiting[s] &= !(1 << e);
                self.engines[e].blocked = None;
                self.push(now + self.model.wait_to_start_ps(), Event::Engine(e as u8));
            }
        }
        Ok(())
    }
}
