//! TensorE: the stationary matrix and its products.

use ferrite_ir::dtype::DType;
use ferrite_ir::isa::Ap;

use crate::gemm::column_sums;
use crate::memory::Memory;

/// The stationary matrix that the next multiply uses.
#[derive(Clone, Debug, Default)]
pub struct Stationary {
    /// `[K, M]`, row-major.
    values: Vec<f32>,
    /// Raw bits in the same layout, for the exact transpose mode.
    raw: Vec<u32>,
    /// Contraction rows.
    rows: usize,
    /// Result rows.
    columns: usize,
    /// Operand dtype.
    dtype: Option<DType>,
}

/// Buffers kept between products.
#[derive(Default)]
pub struct Products {
    moving: Vec<f32>,
    sums: Vec<f32>,
    row: Vec<f32>,
    raw_row: Vec<u32>,
}

impl Stationary {
    /// Loads `[K, M]`: K partitions of M elements. Only an exact transpose needs their bits.
    pub fn load(&mut self, memory: &Memory, src: &Ap, bits: bool, buffers: &mut Products) {
        self.rows = src.partitions as usize;
        self.columns = src.elements();
        self.dtype = Some(src.dtype);
        self.values.clear();
        self.raw.clear();
        for p in 0..self.rows {
            memory.append_row(src, p, &mut self.values);
            if bits {
                memory.load_raw_row(src, p, &mut buffers.raw_row);
                self.raw.extend_from_slice(&buffers.raw_row);
            }
        }
    }

    /// `dst[M, N] (+)= stationary[K, M]^T . moving[K, N]`. Products are summed over ascending k from zero in fp32, and the
    /// sum is then added to the accumulator.
    pub fn multiply(&self, memory: &mut Memory, dst: &Ap, moving: &Ap, accumulate: bool, buffers: &mut Products) {
        let n = moving.elements();
        buffers.moving.clear();
        for p in 0..moving.partitions as usize {
            memory.append_row(moving, p, &mut buffers.moving);
        }
        let k = self.rows.min(moving.partitions as usize);
        buffers.sums.clear();
        buffers.sums.resize(self.columns * n, 0.0);
        column_sums(&self.values, &buffers.moving, k, self.columns, n, &mut buffers.sums);
        for p in 0..(dst.partitions as usize).min(self.columns) {
            let sums = &mut buffers.sums[p * n..(p + 1) * n];
            if accumulate {
                memory.load_row(dst, p, &mut buffers.row);
                for (x, &old) in sums.iter_mut().zip(&buffers.row) {
                    *x += old;
                }
            }
            memory.store_row(dst, p, sums);
        }
    }

    /// Exact transpose: `dst[M, K]` receives the stationary operand's bits. Results of the same width keep their bits, others are
    /// converted through fp32.
    pub fn transpose(&self, memory: &mut Memory, dst: &Ap, buffers: &mut Products) {
        for p in 0..(dst.partitions as usize).min(self.columns) {
            if self.dtype == Some(dst.dtype) {
                buffers.raw_row.clear();
                buffers
                    .raw_row
                    .extend((0..self.rows).map(|k| self.raw[k * self.columns + p]));
                memory.store_raw_row(dst, p, &buffers.raw_row);
            } else {
                buffers.row.clear();
                buffers
                    .row
                    .extend((0..self.rows).map(|k| self.values[k * self.columns + p]));
                memory.store_row(dst, p, &buffers.row);
            }
        }
    }
}
