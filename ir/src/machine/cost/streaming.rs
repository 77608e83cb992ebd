//! Costs of VectorE, ScalarE and GpSimdE.

use super::{Alu, Cycles, Stream, Work, stream_cycles};
use crate::dtype::DType;
use crate::machine::limits::is_fp8;
use crate::machine::{CostModel, MachineModel, Space};

fn is_16bit(dtype: DType) -> bool {
    matches!(dtype, DType::BF16 | DType::F16)
}

impl MachineModel {
    /// Whether a dtype takes part in the 16-bit modes of VectorE.
    fn is_narrow(&self, dtype: DType) -> bool {
        is_16bit(dtype) || (self.vector.fp8_counts_as_16bit && is_fp8(dtype))
    }

    /// How much the widest steps slow the ports down: the mean over what is read, or what is written, whichever is more.
    fn step_factor(&self, inputs: &[Stream], output: Stream) -> f64 {
        let factor = |s: &Stream| {
            if s.step_bytes > self.limits.full_rate_step_bytes_max {
                self.limits.slow_step_factor as f64
            } else {
                1.0
            }
        };
        let read = if inputs.is_empty() {
            1.0
        } else {
            inputs.iter().map(factor).sum::<f64>() / inputs.len() as f64
        };
        read.max(factor(&output))
    }

    /// Performance mode of `tensor_copy` and `tensor_scalar` on VectorE (A3; `neuroncore.md` section 2.5).
    fn vector_mode(&self, scalar: bool, input: Stream, output: Stream) -> f64 {
        let narrow = self.is_narrow(input.dtype) && self.is_narrow(output.dtype);
        let contiguous = input.is_contiguous() && output.is_contiguous();
        let psum_sides = [input, output].iter().filter(|s| s.space == Space::Psum).count();
        if narrow && psum_sides == 0 && contiguous && self.vector.mode_4x {
            4.0
        } else if narrow && self.vector.mode_2x && (psum_sides == 0 || (psum_sides == 1 && contiguous)) {
            2.0
        } else if scalar && psum_sides == 0 && contiguous && is_16bit(input.dtype) && is_fp8(output.dtype) {
            self.vector.fp8_output_mode.max(1) as f64
        } else {
            1.0
        }
    }

    /// Cycles per element of a two-operand elementwise instruction on VectorE.
    fn two_operand_rate(&self, fast_op: bool, inputs: &[Stream], output: Stream) -> f64 {
        let v = &self.vector;
        if inputs.iter().any(|s| s.space == Space::Psum) {
            return v.tensor_tensor_psum_cycles_per_element;
        }
        let streams = || inputs.iter().chain([&output]);
        if v.mode_2x {
            // A3: both inputs in SBUF, all three 16-bit.
            if streams().all(|s| self.is_narrow(s.dtype)) {
                return v.tensor_tensor_16bit_cycles_per_element;
            }
        } else if fast_op && streams().all(|s| s.dtype == DType::BF16 && s.is_contiguous() && s.space == Space::Sbuf) {
            return v.tensor_tensor_16bit_cycles_per_element;
        }
        v.tensor_tensor_cycles_per_element
    }

    pub(super) fn vector_cost(&self, work: &Work, n: u64, inputs: &[Stream], output: Stream) -> Cycles {
        let v = &self.vector;
        let base = v.cycles_per_element;
        let add_sub_mul = |op: Alu| matches!(op, Alu::Add | Alu::Subtract | Alu::Multiply);
        let mut tail = 0;
        let rate = match *work {
            Work::TensorTensor(op) => self.two_operand_rate(add_sub_mul(op), inputs, output),
            Work::ScalarTensorTensor(op0, op1) => {
                let bf16 = inputs.iter().all(|s| s.dtype == DType::BF16);
                if bf16 && op0 == Alu::Subtract && op1 == Alu::Multiply && n.is_multiple_of(2) {
                    base
                } else {
                    self.two_operand_rate(false, inputs, output)
                }
            }
            Work::TensorScalar(..) | Work::TensorCopy => {
                let scalar = matches!(work, Work::TensorScalar(..));
                base / inputs
                    .first()
                    .map_or(1.0, |&input| self.vector_mode(scalar, input, output))
            }
            Work::TensorScalarReduce => {
                tail = v.reduce_tail_cycles;
                base
            }
            Work::TensorTensorScan => v.scan_cycles_per_element,
            Work::TensorReduce(op) => {
                let bf16 = inputs.iter().chain([&output]).all(|s| s.dtype == DType::BF16);
                if bf16 && matches!(op, Alu::Add | Alu::Max) {
                    v.reduce_16bit_cycles_per_element
                } else {
                    base
                }
            }
            Work::BnAggr => v.bn_aggr_cycles_per_element,
            Work::Memset { zero } => {
                if zero && is_16bit(output.dtype) {
                    v.memset_zero_16bit_cycles_per_element
                } else {
                    base
                }
            }
            Work::TensorCopyPredicated | Work::SelectReduce => {
                if inputs.iter().take(2).filter(|s| s.space == Space::Psum).count() == 1 {
                    v.predicated_psum_cycles_per_element
                } else {
                    v.predicated_cycles_per_element
                }
            }
            Work::Reciprocal => v.reciprocal_cycles_per_element,
            Work::Rand2 => base / v.rand2_values_per_cycle.max(1) as f64,
            Work::Exponential => base / v.exponential_elements_per_cycle.max(1) as f64,
            Work::QuantizeMx => base / v.quantize_mx_elements_per_cycle.max(1) as f64,
            Work::SmallState => 0.0,
            // The rest has the base cost; works of other engines never come here (`MachineModel::cost`).
            _ => base,
        };
        let data = stream_cycles(n, rate * self.step_factor(inputs, output)) + tail;
        self.pipelined(data, v.min_ii_cycles, v.issue_overhead_cycles, v.latency_cycles)
    }

    pub(super) fn scalar_cost(&self, work: &Work, n: u64, inputs: &[Stream], output: Stream) -> Cycles {
        let s = &self.scalar;
        let mut rate = s.cycles_per_element;
        let mut tail = 0;
        match *work {
            Work::Activation { reduce } | Work::Activate2 { reduce } if reduce => tail = s.accumulator_read_cycles,
            Work::TensorScalar(..) | Work::TensorCopy
                if s.tensor_scalar_2x_16bit && inputs.iter().chain([&output]).all(|x| self.is_narrow(x.dtype)) =>
            {
                rate /= 2.0;
            }
            _ => {}
        }
        let data = stream_cycles(n, rate * self.step_factor(inputs, output)) + tail;
        self.pipelined(data, s.min_ii_cycles, s.issue_overhead_cycles, s.latency_cycles)
    }

    pub(super) fn gpsimd_cost(&self, work: &Work, n: u64, inputs: &[Stream], output: Stream) -> Cycles {
        let g = &self.gpsimd;
        let alu_rate = |op: Alu| match op {
            Alu::Power => g.power_cycles_per_element,
            Alu::Rsqrt => g.rsqrt_cycles_per_element,
            _ => g.cycles_per_element,
        };
        let mut groups = 1;
        let mut tail = 0;
        let rate = match *work {
            Work::TensorTensor(op) => alu_rate(op),
            Work::TensorScalar(a, b) => alu_rate(a).max(b.map_or(0.0, alu_rate)),
            Work::LocalGather {
                indices,
                elements_per_index,
            } => {
                let e = elements_per_index.max(1) as f64;
                let word = g.local_gather_word_bytes as f64;
                let fill = (g.local_gather_base_bytes as f64 + word * e) / (word * e);
                let c = fill
                    / (word / output.dtype.bytes().max(1) as f64)
                        .min(e)
                        .max(f64::MIN_POSITIVE);
                let data = stream_cycles(indices.saturating_mul(elements_per_index), c);
                return self.started(data, 1);
            }
            Work::NGather => {
                groups = n.div_ceil(g.gather_group_elements).max(1);
                g.gather_cycles_per_element
            }
            Work::PartitionReduce => g.partition_reduce_cycles_per_element,
            Work::SequenceBounds => g.sequence_bounds_cycles_per_element,
            Work::NonzeroWithCount => g.nonzero_cycles_per_element,
            Work::TopK { k } => {
                tail = k;
                g.topk_cycles_per_element
            }
            Work::SmallState => 0.0,
            _ => g.cycles_per_element,
        };
        self.started(stream_cycles(n, rate * self.step_factor(inputs, output)) + tail, groups)
    }

    /// VectorE and ScalarE: the pipeline takes `data` cycles, the next instruction waits for the issue overhead too.
    fn pipelined(&self, data: u64, min_ii: u64, overhead: u64, latency: u64) -> Cycles {
        let overhead = match self.cost_model {
            CostModel::Calibrated => overhead,
            CostModel::Documented => 0,
        };
        Cycles {
            data,
            occupancy: (data + overhead).max(min_ii),
            latency: data + latency,
        }
    }

    /// GpSimdE: a start-up before the data.
    fn started(&self, data: u64, groups: u64) -> Cycles {
        let busy = data + groups * self.gpsimd.start_cycles;
        Cycles {
            data,
            occupancy: busy,
            latency: busy + self.gpsimd.latency_cycles,
        }
    }
}
