//! When TensorE can start: stationary loads behind running multiplies, multiplies side by side in tiles of the array, and the power
//! ramp (`neuroncore.md` section 2.4).

use std::collections::VecDeque;

use ferrite_ir::dtype::DType;
use ferrite_ir::isa::{Ap, Engine};
use ferrite_ir::machine::MachineModel;
use ferrite_ir::machine::cost::{Multiply, PeTile, Time};

/// A stationary operand.
#[derive(Clone, Copy, Debug)]
pub struct Loaded {
    /// First partition, and how many.
    pub partitions: (u16, u16),
    /// Columns.
    pub columns: u32,
    /// Element type.
    pub dtype: DType,
}

impl Loaded {
    /// That of a load.
    pub fn new(src: &Ap) -> Loaded {
        Loaded {
            partitions: (src.partition, src.partitions),
            columns: src.elements() as u32,
            dtype: src.dtype,
        }
    }
}

/// What a multiply uses and writes.
#[derive(Clone, Debug)]
pub struct Product {
    /// Partitions of the moving operand: the first, and how many.
    pub moving: (u16, u16),
    /// Its element type.
    pub moving_dtype: DType,
    /// Partitions of the result.
    pub rows: u16,
    /// Elements of the result in each.
    pub columns: u32,
    /// Its element type.
    pub dtype: DType,
    /// Whether it is an exact transpose.
    pub transpose: bool,
    tile: PeTile,
    /// First bank of PSUM it writes and the bank behind the last.
    banks: (u64, u64),
}

impl Product {
    /// That of a multiply.
    pub fn new(dst: &Ap, moving: &Ap, transpose: bool, model: &MachineModel) -> Product {
        let (row, k) = (u64::from(moving.partition), u64::from(moving.partitions));
        let (column, m) = (u64::from(dst.partition), u64::from(dst.partitions));
        let bank = model.psum.bytes_per_bank;
        let first = u64::from(dst.offset);
        let last = dst.dims.iter().fold(first, |end, d| {
            end + u64::from(d.step.unsigned_abs()) * u64::from(d.count.saturating_sub(1)) * dst.dtype.bytes() as u64
        });
        Product {
            moving: (moving.partition, moving.partitions),
            moving_dtype: moving.dtype,
            rows: dst.partitions,
            columns: dst.elements() as u32,
            dtype: dst.dtype,
            transpose,
            tile: model.pe_tile(row, k, column, m),
            banks: (first / bank, last / bank + 1),
        }
    }

    /// Floating-point operations, two per multiply-add.
    pub fn flops(&self) -> u64 {
        2 * u64::from(self.moving.1) * u64::from(self.rows) * u64::from(self.columns)
    }
}

/// A multiply that streams through a part of the array.
#[derive(Clone, Copy, Debug)]
struct Running {
    tile: PeTile,
    banks: (u64, u64),
    until: u64,
}

/// What the time of a multiply depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    stationary: (u32, DType),
    moving: (u32, DType),
    transpose: bool,
}

/// State of the array.
#[derive(Clone, Debug)]
pub struct Array {
    /// The stationary operand loaded last.
    pub loaded: Option<Loaded>,
    /// Whether a multiply has used it.
    used: bool,
    /// When its load is done.
    load_done: u64,
    /// Multiplies that may still stream; the last one always.
    running: Vec<Running>,
    /// When the last multiply has issued its last pass.
    issued: u64,
    /// Time and passes of the last multiply: the next one is mostly like it.
    last: Option<(Shape, Time, u64)>,
    /// From the end of a load to the multiply, and between two passes, picoseconds.
    load_to_multiply: u64,
    interval: u64,
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
            last: None,
            load_to_multiply: model.ps(Engine::Tensor, model.pe.load_to_multiply_cycles),
            interval: model.ps(Engine::Tensor, model.pe.issue_interval_cycles),
            ramp: Ramp::new(model),
        }
    }

    /// Earliest start of a load: the load path is free. The shadow set is: the stream is in order, so the multiply
    /// that swapped the previous one in has started.
    pub fn load_start(&self, now: u64) -> u64 {
        now.max(self.load_done)
    }

    /// A load starts.
    pub fn load(&mut self, now: u64, time: Time, loaded: Loaded) {
        self.load_done = now + time.occupancy;
        self.loaded = Some(loaded);
        self.used = false;
    }

    /// Earliest start of a multiply: its stationary operand is there, the passes before it have been issued, and no multiply runs with
    /// which it shares processing elements, or columns and a bank of PSUM.
    pub fn multiply_start(&self, now: u64, product: &Product) -> u64 {
        let ready = if self.used {
            0
        } else {
            self.load_done + self.load_to_multiply
        };
        let mut start = now.max(self.issued).max(ready);
        for r in &self.running {
            if r.until > start {
                let banks = r.banks.0 < product.banks.1 && product.banks.0 < r.banks.1;
                if banks && r.tile.shares_columns(&product.tile) || r.tile.overlaps(&product.tile) {
                    start = r.until;
                }
            }
        }
        start
    }

    /// A multiply starts; its time with the ramp applied.
    pub fn multiply(&mut self, now: u64, product: &Product, model: &MachineModel) -> Time {
        let (columns, dtype) = self
            .loaded
            .as_ref()
            .map_or((0, product.moving_dtype), |s| (s.columns, s.dtype));
        let shape = Shape {
            stationary: (columns, dtype),
            moving: (product.columns, product.moving_dtype),
            transpose: product.transpose,
        };
        let (full, passes) = match self.last {
            Some((last, time, passes)) if last == shape => (time, passes),
            _ => {
                let cost = model.multiply_cost(&Multiply {
                    stationary_columns: u64::from(columns),
                    moving_columns: u64::from(product.columns),
                    stationary: dtype,
                    moving: product.moving_dtype,
                    transpose: product.transpose,
                    onezero: false,
                });
                let (time, passes) = (
                    cost.to_ps(model, Engine::Tensor),
                    model.multiply_passes(dtype, product.moving_dtype),
                );
                self.last = Some((shape, time, passes));
                (time, passes)
            }
        };
        let slow = self.ramp.slowdown(now, full.occupancy);
        let extra = slow - full.occupancy;
        self.used = true;
        // Passes are issued in order, so a multiply in another tile follows the last of this one.
        self.issued = now + slow / passes * (passes - 1) + self.interval;
        self.running.retain(|r| r.until > now);
        self.running.push(Running {
            tile: product.tile,
            banks: product.banks,
            until: now + slow,
        });
        Time {
            data: full.data + extra,
            occupancy: slow,
            latency: full.latency + extra,
        }
    }
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
