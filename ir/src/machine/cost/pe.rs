//! Costs of TensorE: stationary loads and multiply passes (`neuroncore.md` sections 2.4 and 3.2).

use super::Cycles;
use crate::dtype::DType;
use crate::machine::MachineModel;

/// One MultiplyMoving as the cost functions see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Multiply {
    /// Columns of the stationary operand.
    pub stationary_columns: u64,
    /// Columns of the moving operand.
    pub moving_columns: u64,
    /// dtype of the stationary operand.
    pub stationary: DType,
    /// dtype of the moving operand.
    pub moving: DType,
    /// Transposes by the identity: uses the transpose mode where there is one.
    pub transpose: bool,
    /// One operand is known to hold only zeros and ones.
    pub onezero: bool,
}

impl MachineModel {
    /// Passes a product of these dtypes takes.
    fn passes(&self, stationary: DType, moving: DType) -> u64 {
        if stationary == DType::F32 || moving == DType::F32 {
            self.pe.fp32_passes.max(1)
        } else {
            1
        }
    }

    /// Cost of loading a stationary operand of `columns` columns. `latency` is until its own semaphore update is visible; the first
    /// multiply may start `pe.load_to_multiply_cycles` after `occupancy`.
    pub fn load_stationary_cost(&self, columns: u64, dtype: DType) -> Cycles {
        let one = columns
            .div_ceil(self.pe.load_columns_per_cycle)
            .max(self.pe.load_min_cycles);
        let data = one * self.passes(dtype, dtype);
        Cycles {
            data,
            occupancy: data,
            latency: data + self.pe.load_latency_cycles,
        }
    }

    /// Cost of a MultiplyMoving, all its passes included. Double-row and MX operands cost the same for more contraction.
    pub fn multiply_cost(&self, m: &Multiply) -> Cycles {
        let pe = &self.pe;
        let columns = m
            .moving_columns
            .max(m.stationary_columns.min(pe.stationary_floor_cycles));
        let passes = self.passes(m.stationary, m.moving);
        let mut rate = if passes > 1 {
            pe.fp32_cycles_per_column_and_pass
        } else {
            pe.cycles_per_column
        };
        if passes > 1 {
            if m.transpose && pe.transpose_mode {
                rate /= pe.transpose_fp32_speedup as f64;
            } else if m.onezero {
                rate *= pe.fp32_onezero_factor;
            }
        }
        if m.transpose && pe.background_transpose {
            rate /= pe.background_transpose_speedup as f64;
        }
        let data = super::stream_cycles(columns, rate) * passes;
        Cycles {
            data,
            occupancy: data + pe.gap_cycles * passes,
            latency: data + pe.latency_cycles,
        }
    }
}
