//! Questions about operand limits (`neuroncore.md` section 2.2).

use super::{MachineModel, Space};
use crate::dtype::DType;

/// Whether this is one of the 8-bit floats that engines compute with.
pub(super) fn is_fp8(dtype: DType) -> bool {
    matches!(dtype, DType::F8E3M4 | DType::F8E4M3 | DType::F8E4M3FN | DType::F8E5M2)
}

impl MachineModel {
    /// Whether an operand of `count` partitions may start at partition `start`: up to a quadrant at any quadrant, up to half of the
    /// partitions at either half, more at 0 only.
    pub fn partition_range_ok(&self, start: u64, count: u64) -> bool {
        let all = self.limits.partitions;
        let quadrant = self.limits.quadrant_partitions;
        let Some(end) = start.checked_add(count) else {
            return false;
        };
        if count == 0 || end > all {
            return false;
        }
        match count {
            c if c <= quadrant => start.is_multiple_of(quadrant),
            c if c <= all / 2 => start.is_multiple_of(all / 2),
            _ => start == 0,
        }
    }

    /// Bytes of one partition of an on-chip memory that a program may use; `None` for HBM.
    pub fn partition_bytes(&self, space: Space) -> Option<u64> {
        match space {
            Space::Hbm => None,
            Space::Sbuf => Some(self.sbuf.usable_bytes_per_partition),
            Space::Psum => Some(self.psum.bytes_per_partition),
        }
    }

    /// Most elements per partition of one operand; `None` for HBM.
    pub fn free_elements_max(&self, space: Space) -> Option<u64> {
        match space {
            Space::Hbm => None,
            Space::Sbuf => Some(self.limits.free_elements_sbuf_max),
            Space::Psum => Some(self.limits.free_elements_psum_max),
        }
    }

    /// Whether TensorE multiplies operands of this dtype (`neuroncore.md` section 3.9).
    pub fn matmul_dtype_ok(&self, dtype: DType) -> bool {
        match dtype {
            DType::F32 | DType::TF32 | DType::BF16 | DType::F16 | DType::F8E4M3 | DType::F8E5M2 => true,
            DType::F8E4M3FN => self.pe.fp8_e4m3fn,
            DType::F8E3M4 => self.pe.fp8_e3m4,
            _ => false,
        }
    }

    /// Whether two matmul operand dtypes may meet: fp32 and tf32 only with each other, e4m3 and e4m3fn not together.
    pub fn matmul_pair_ok(&self, stationary: DType, moving: DType) -> bool {
        let wide = |d: DType| matches!(d, DType::F32 | DType::TF32);
        let pair = [stationary, moving];
        self.matmul_dtype_ok(stationary)
            && self.matmul_dtype_ok(moving)
            && wide(stationary) == wide(moving)
            && !(pair.contains(&DType::F8E4M3) && pair.contains(&DType::F8E4M3FN))
    }

    /// Most columns of a moving operand for a result dtype.
    pub fn moving_free_max(&self, result: DType) -> u64 {
        if result == DType::BF16 && self.pe.bf16_result {
            self.pe.moving_free_max_bf16_result
        } else {
            self.pe.moving_free_max
        }
    }
}
