//! One core's part in a collective.

use ferrite_ir::isa::{Collective, Engine};
use ferrite_ir::machine::MachineModel;
use ferrite_ir::machine::cost::CollectiveCost;

use super::{Change, Event, Run};
use crate::name;
use crate::stats::Span;

/// A collective that a core has triggered.
#[derive(Clone, Debug)]
pub struct Arrival<'a> {
    /// When the trigger was given, picoseconds.
    pub at: u64,
    /// Who gave it.
    pub engine: usize,
    /// By which instruction.
    pub instruction: u32,
    /// What.
    pub collective: &'a Collective,
}

impl<'a> Run<'a> {
    /// The machine.
    pub fn model(&self) -> &'a MachineModel {
        self.model
    }

    /// The instruction of an arrival, for messages.
    pub fn describe(&self, arrival: &Arrival<'_>) -> String {
        let engine = Engine::ALL[arrival.engine];
        let step = self.prepared.step(arrival.engine, arrival.instruction);
        let loc = step.map_or_else(String::new, |s| self.program.locs.describe(s.loc));
        format!(
            "{engine} instruction {}, from {loc}, at {}",
            arrival.instruction,
            name::time(arrival.at)
        )
    }

    /// The bytes that a collective takes from this core; `None` in timing-only runs.
    pub fn collective_operand(&self, c: &Collective) -> Option<Vec<u8>> {
        let data = self.data.as_ref()?;
        let (block, base) = self.prepared.layout.of(c.src)?;
        let start = (base + c.src_offset) as usize;
        let bytes = data.memory.block(block).get(start..start + c.bytes as usize)?;
        Some(bytes.to_vec())
    }

    /// Writes the bytes that a collective brings.
    pub fn collective_result(&mut self, c: &Collective, result: &[u8]) {
        let (Some(data), Some((block, base))) = (&mut self.data, self.prepared.layout.of(c.dst)) else {
            return;
        };
        let start = (base + c.dst_offset) as usize;
        if let Some(out) = data.memory.block_mut(block).get_mut(start..start + result.len()) {
            out.copy_from_slice(result);
        }
    }

    /// A collective of this core starts at `start`.
    pub fn collective(&mut self, start: u64, arrival: &Arrival<'_>, cost: CollectiveCost) {
        let (moves, end) = (start + cost.start_ps, start + cost.start_ps + cost.data_ps);
        let c = arrival.collective;
        self.stats.collectives += 1;
        self.stats.link_bytes += cost.wire_bytes;
        self.stats.hbm_read_bytes += cost.hbm_bytes / 2;
        self.stats.hbm_written_bytes += cost.hbm_bytes / 2;
        self.end = self.end.max(end);
        if cost.data_ps > 0 && cost.hbm_bytes > 0 {
            let rate = (u128::from(cost.hbm_bytes) * 1_000_000 / u128::from(cost.data_ps)) as u64;
            self.push(moves, Event::Traffic { more: true, rate });
            self.push(end, Event::Traffic { more: false, rate });
        }
        let done = end + self.model.dma_done_ps();
        let change = Change::Add(self.model.dma.semaphore_increment as u32);
        let (engine, instruction) = (arrival.engine as u8, arrival.instruction);
        self.push(
            done,
            Event::Semaphore {
                semaphore: c.semaphore,
                change,
                engine,
                instruction,
            },
        );
        if let Some(record) = &mut self.record {
            let name = (self.prepared.names.len() + record.transfer_names.len()) as u32;
            record.transfer_names.push(format!("{:?} {} B", c.kind, c.bytes));
            let location = self.prepared.step(arrival.engine, instruction).map(|s| s.loc);
            record.spans.push(Span {
                track: (Engine::ALL.len() + c.queue as usize) as u32,
                name,
                start_ps: start,
                end_ps: end,
                bytes: cost.wire_bytes,
                instruction,
                location: location.unwrap_or_default(),
            });
        }
    }

    /// A collective's data begins or ends to move through this core's HBM.
    pub(super) fn traffic(&mut self, now: u64, more: bool, rate: u64) {
        let rate = rate as f64 / 1e6;
        let mut finished = std::mem::take(&mut self.finished);
        self.rings
            .add_traffic(now, if more { rate } else { -rate }, &mut finished);
        self.finished = finished;
        self.leave(now);
    }

    /// Bytes per picosecond that this core's transfers want of HBM.
    pub fn hbm_demand(&self) -> f64 {
        self.rings.demand()
    }

    /// Changes what this core's transfers may draw from HBM together, bytes per picosecond.
    pub fn set_hbm(&mut self, now: u64, rate: f64) {
        let mut finished = std::mem::take(&mut self.finished);
        if self.rings.set_cap(now, rate, &mut finished) {
            self.finished = finished;
            self.leave(now);
        } else {
            self.finished = finished;
        }
    }
}
