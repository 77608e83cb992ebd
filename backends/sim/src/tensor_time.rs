//! When TensorE can start: stationary loads behind running multiplies, multiplies side by side in tiles of the array, and the power
//! ramp (`neuroncore.md` section 2.4).

use std::collections::VecDeque;

use ferrite_ir::isa::{Ap, Engine};
use ferrite_ir::machine::MachineModel;
use ferrite_ir::machine::cost::{Multiply, PeTile, Time};

/// A multiply that streams through a part of the array.
#[derive(Clone, Copy, Debug)]
struct Running {
    tile: PeTile,
    /// First bank of PSUM it writes and the bank behind the last.
    banks: (u64, u64),
    until: u64,
}

/// State of the array.
#[derive(Clone, Debug)]
pub struct Array {
    /// The stationary operand loaded last.
    pub loaded: Option<Ap>,
    /// Whether a multiply has used it.
    used: bool,
    /// When its load is done.
    load_done: u64,
    /// Multiplies that may still stream; the last one always.
    running: Vec<Running>,
    /// When the last multiply has issued its last pass.
    issued: u64,
    ramp: Ramp,
}

impl Array {
    /// Nothing loaded, cold.
    pub fn new(model: &MachineModel) -> Array {
        Array {
            loaded: None,
            used: false,
            load_done: 0,
            running: Vec::new(),
            issued: 0,
            ramp: Ramp::new(model),
        }
    }

    /// Earliest start of a load: the load path is free. The shadow set is: the stream is in order, so the multiply
    /// that swapped the previous one in has started.
    pub fn load_start(&self, now: u64) -> u64 {
        now.max(self.load_done)
    }

    /// A load starts.
    pub fn load(&mut self, now: u64, time: Time, src: &Ap) {
        self.load_done = now + time.occupancy;
        self.loaded = Some(src.clone());
        self.used = false;
    }

    /// Earliest start of a multiply: its stationary operand is there, the passes before it have been issued, and no multiply runs with
    /// which it shares processing elements, or columns and a bank of PSUM.
    pub fn multiply_start(&self, now: u64, dst: &Ap, moving: &Ap, model: &MachineModel) -> u64 {
        let ready = if self.used {
            0
        } else {
            self.load_done + model.ps(Engine::Tensor, model.pe.load_to_multiply_cycles)
        };
        let mut start = now.max(self.issued).max(ready);
        if self.running.iter().any(|r| r.until > start) {
            let (tile, banks) = place(dst, moving, model);
            for r in &self.running {
                let collide = r.tile.shares_columns(&tile) && r.banks.0 < banks.1 && banks.0 < r.banks.1;
                if collide || r.tile.overlaps(&tile) {
                    start = start.max(r.until);
                }
            }
        }
        start
    }

    /// A multiply starts; its time with the ramp applied.
    pub fn multiply(&mut self, now: u64, dst: &Ap, moving: &Ap, transpose: bool, model: &MachineModel) -> Time {
        let (columns, dtype) = self
            .loaded
            .as_ref()
            .map_or((0, moving.dtype), |s| (s.elements() as u64, s.dtype));
        let cost = model.multiply_cost(&Multiply {
            stationary_columns: columns,
            moving_columns: dst.elements() as u64,
            stationary: dtype,
            moving: moving.dtype,
            transpose,
            onezero: false,
        });
        let full = cost.to_ps(model, Engine::Tensor);
        let slow = self.ramp.slowdown(now, full.occupancy);
        let extra = slow - full.occupancy;
        self.used = true;
        // Passes are issued in order, so a multiply in another tile follows the last of this one.
        let passes = model.multiply_passes(dtype, moving.dtype);
        let interval = model.ps(Engine::Tensor, model.pe.issue_interval_cycles);
        self.issued = now + slow / passes * (passes - 1) + interval;
        self.running.retain(|r| r.until > now);
        let (tile, banks) = place(dst, moving, model);
        self.running.push(Running {
            tile,
            banks,
            until: now + slow,
        });
        Time {
            data: full.data + extra,
            occupancy: slow,
            latency: full.latency + extra,
        }
    }
}

/// The tile of the array and the banks of PSUM that a multiply uses.
fn place(dst: &Ap, moving: &Ap, model: &MachineModel) -> (PeTile, (u64, u64)) {
    let (row, k) = (u64::from(moving.partition), u64::from(moving.partitions));
    let (column, m) = (u64::from(dst.partition), u64::from(dst.partitions));
    let bank = model.psum.bytes_per_bank;
    let first = u64::from(dst.offset);
    let last = dst.dims.iter().fold(first, |end, d| {
        end + u64::from(d.step.unsigned_abs()) * u64::from(d.count.saturating_sub(1)) * dst.dtype.bytes() as u64
    });
    (model.pe_tile(row, k, column, m), (first / bank, last / bank + 1))
}

/// The power ramp: a reduced rate until the array has been busy for a window, and again when it falls below half use
/// in a window. Two steps, our assumption: only the ends of the ramp are public.
#[derive(Clone, Debug)]
struct Ramp {
    initial: f64,
    window: u64,
    warm: bool,
    accumulated: u64,
    recent: VecDeque<(u64, u64)>,
    recent_busy: u64,
}

impl Ramp {
    fn new(model: &MachineModel) -> Ramp {
        Ramp {
            initial: model.pe.ramp_initial,
            window: (model.pe.ramp_us * 1e6).round() as u64,
            warm: false,
            accumulated: 0,
            recent: VecDeque::new(),
            recent_busy: 0,
        }
    }

    /// Occupancy of a multiply that takes `full` at full rate and starts at `now`.
    fn slowdown(&mut self, now: u64, full: u64) -> u64 {
        if self.window == 0 || self.initial >= 1.0 {
            return full;
        }
        let from = now.saturating_sub(self.window);
        while let Some(&(start, end)) = self.recent.front()
            && end <= from
        {
            self.recent_busy -= end - start;
            self.recent.pop_front();
        }
        if self.warm {
            let cut = self.recent.front().map_or(0, |&(start, _)| from.saturating_sub(start));
            if (self.recent_busy - cut) * 2 < self.window {
                self.warm = false;
                self.accumulated = 0;
            }
        }
        let occupancy = if self.warm {
            full
        } else {
            (full as f64 / self.initial).round() as u64
        };
        if !self.warm {
            let start = self.recent.back().map_or(now, |&(_, end)| end.max(now));
            self.accumulated += (now + occupancy).saturating_sub(start);
            self.warm = self.accumulated >= self.window;
        }
        // Multiplies side by side are one array at work.
        let start = self.recent.back().map_or(now, |&(_, end)| end.max(now));
        if start < now + occupancy {
            self.recent.push_back((start, now + occupancy));
            self.recent_busy += now + occupancy - start;
        }
        occupancy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_array_warms_up_and_cools_down() {
        let model = MachineModel::target("trn2").expect("known target");
        let mut ramp = Ramp::new(&model);
        let full = 216_000; // 512 columns and the gap at 2.4 GHz
        let mut now = 0;
        let mut slow = 0;
        for _ in 0..40 {
            let t = ramp.slowdown(now, full);
            slow += u64::from(t > full);
            now += t;
        }
        assert_eq!(slow, 7); // 3 us at half rate
        now += 3_000_000;
        assert_eq!(ramp.slowdown(now, full), 2 * full);
    }

    #[test]
    fn the_second_generation_has_no_ramp() {
        let model = MachineModel::target("trn1").expect("known target");
        assert_eq!(Ramp::new(&model).slowdown(0, 1000), 1000);
    }
}
