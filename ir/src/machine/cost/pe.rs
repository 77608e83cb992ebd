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

/// The part of the array that a product uses: rows by where its operands lie, columns by where its result does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeTile {
    /// First row and the row behind the last.
    pub rows: (u64, u64),
    /// First column and the column behind the last.
    pub columns: (u64, u64),
}

/// Whether two half-open ranges have something in common.
fn meet(a: (u64, u64), b: (u64, u64)) -> bool {
    a.0 < b.1 && b.0 < a.1
}

impl PeTile {
    /// Whether two products use rows and columns in common.
    pub fn overlaps(&self, other: &PeTile) -> bool {
        meet(self.rows, other.rows) && self.shares_columns(other)
    }

    /// Whether the results of two products leave the array through the same columns.
    pub fn shares_columns(&self, other: &PeTile) -> bool {
        meet(self.columns, other.columns)
    }
}

impl MachineModel {
    /// The tile of the array that a product of `k` contraction rows from partition `row` into `m` partitions from `column` uses.
    ///
    /// The array is split into tiles of the sizes `pe.row_tiles`, in rows and in columns alike and at multiples of their size; a product takes the
    /// smallest that contains it. Products in tiles without a common processing element run side by side (`neuroncore.md` section 2.4).
    pub fn pe_tile(&self, row: u64, k: u64, column: u64, m: u64) -> PeTile {
        let side = |whole: u64, first: u64, count: u64| {
            let end = first + count.max(1);
            let fits = |size: u64| size > 0 && end <= first - first % size + size;
            let size = self.pe.row_tiles.iter().copied().filter(|&s| fits(s)).min();
            size.map_or((0, whole.max(end)), |s| (first - first % s, first - first % s + s))
        };
        PeTile {
            rows: side(self.pe.rows, row, k),
            columns: side(self.pe.columns, column, m),
        }
    }

    /// Passes a product of these dtypes takes.
    pub fn multiply_passes(&self, stationary: DType, moving: DType) -> u64 {
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
        let data = one * self.multiply_passes(dtype, dtype);
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
        let passes = self.multiply_passes(m.stationary, m.moving);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_take_the_smallest_tile_that_contains_them() {
        let v2 = MachineModel::target("trn1").expect("known target");
        let v3 = MachineModel::target("trn2").expect("known target");
        let tile = |rows, columns| PeTile { rows, columns };
        assert_eq!(v2.pe_tile(64, 64, 0, 128), tile((64, 128), (0, 128)));
        assert_eq!(v2.pe_tile(32, 32, 64, 33), tile((0, 64), (64, 128)));
        assert_eq!(v3.pe_tile(32, 32, 96, 1), tile((32, 64), (96, 128)));
        assert_eq!(v3.pe_tile(0, 65, 0, 64), tile((0, 128), (0, 64)));
        assert_eq!(v3.pe_tile(32, 64, 0, 64), tile((0, 128), (0, 64)));
    }

    #[test]
    fn tiles_overlap_where_they_share_elements() {
        let v2 = MachineModel::target("trn1").expect("known target");
        let (low, high) = (v2.pe_tile(0, 64, 0, 128), v2.pe_tile(64, 64, 0, 128));
        assert!(!low.overlaps(&high) && low.shares_columns(&high));
        assert!(low.overlaps(&v2.pe_tile(0, 128, 64, 64)));
        assert!(!v2.pe_tile(0, 128, 0, 64).overlaps(&v2.pe_tile(0, 128, 64, 64)));
    }
}
