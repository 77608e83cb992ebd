//! What an instruction costs, from a plain description of it (`neuroncore.md` sections 2 and 3).
//!
//! [`MachineModel::engines`] says where a [`Work`] may run, [`MachineModel::cost`] what it costs there; TensorE and DMA have
//! functions of their own. Costs depend on elements per partition, never on the number of partitions.

mod collective;
mod dma;
mod inst;
mod pe;
mod streaming;

pub use collective::CollectiveCost;
pub use dma::{DgeMode, TransferKind};
pub use inst::{OperandShape, innermost_step_bytes};
pub use pe::{Multiply, PeTile};

use super::{Engine, MachineModel, Space};
use crate::dtype::DType;

/// Cost of one instruction in cycles of its engine's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cycles {
    /// Cycles the memory ports are busy: elements through the pipeline.
    pub data: u64,
    /// Initiation interval: start to the earliest start of the next, independent instruction of the engine.
    pub occupancy: u64,
    /// Start until the result and the semaphore update are visible.
    pub latency: u64,
}

impl Cycles {
    /// The same amounts in picoseconds of `engine`'s clock.
    pub fn to_ps(self, model: &MachineModel, engine: Engine) -> Time {
        Time {
            data: model.ps(engine, self.data),
            occupancy: model.ps(engine, self.occupancy),
            latency: model.ps(engine, self.latency),
        }
    }
}

/// Cost of one instruction in picoseconds; fields as in [`Cycles`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Time {
    /// Memory ports busy.
    pub data: u64,
    /// Initiation interval.
    pub occupancy: u64,
    /// Start to visible result.
    pub latency: u64,
}

/// A tensor operand as the cost functions see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stream {
    /// Memory it lives in.
    pub space: Space,
    /// Element type.
    pub dtype: DType,
    /// Absolute innermost step in bytes; 0 for a broadcast.
    pub step_bytes: u64,
}

impl Stream {
    /// A stream of neighbouring elements.
    pub fn contiguous(space: Space, dtype: DType) -> Stream {
        Stream {
            space,
            dtype,
            step_bytes: dtype.bytes() as u64,
        }
    }

    fn is_contiguous(&self) -> bool {
        self.step_bytes == self.dtype.bytes() as u64
    }
}

/// ALU operators as far as costs and engines tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alu {
    /// Addition.
    Add,
    /// Subtraction.
    Subtract,
    /// Multiplication.
    Multiply,
    /// Maximum.
    Max,
    /// Power: GpSimdE only.
    Power,
    /// Reciprocal square root: GpSimdE only.
    Rsqrt,
    /// Operators on raw integers: VectorE only.
    Bitwise,
    /// 32-bit integer arithmetic that must be exact: GpSimdE only.
    ExactInteger,
    /// Any other arithmetic operator: minimum, comparisons, logical.
    Other,
}

/// A compute instruction of VectorE, ScalarE or GpSimdE, by NKI's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    /// `tensor_tensor`.
    TensorTensor(Alu),
    /// `tensor_scalar` with one or two operators.
    TensorScalar(Alu, Option<Alu>),
    /// `tensor_scalar_reduce`.
    TensorScalarReduce,
    /// `tensor_scalar_cumulative`.
    TensorScalarCumulative,
    /// `scalar_tensor_tensor`.
    ScalarTensorTensor(Alu, Alu),
    /// `tensor_tensor_scan`.
    TensorTensorScan,
    /// `tensor_reduce`.
    TensorReduce(Alu),
    /// `bn_stats`.
    BnStats,
    /// `bn_aggr`.
    BnAggr,
    /// `tensor_copy`.
    TensorCopy,
    /// `memset`; whether the value is zero.
    Memset {
        /// The constant is 0.
        zero: bool,
    },
    /// `tensor_copy_predicated`: inputs are source and predicate.
    TensorCopyPredicated,
    /// `select_reduce`.
    SelectReduce,
    /// `range_select`.
    RangeSelect,
    /// `reciprocal`.
    Reciprocal,
    /// 32 x 32 block transpose.
    Transpose32,
    /// `nc_stream_shuffle`.
    StreamShuffle,
    /// `max8`.
    Max8,
    /// `nc_find_index8`.
    FindIndex8,
    /// `nc_match_replace8`.
    MatchReplace8,
    /// `dropout`.
    Dropout,
    /// `rng`.
    Rng,
    /// `rand2`.
    Rand2,
    /// Generator state and helper loads: `set_rng_seed`, `rand_get_state`, `rand_set_state`, `load_mask_register`, `match_value_load`.
    SmallState,
    /// `exponential`.
    Exponential,
    /// `quantize_mx`.
    QuantizeMx,
    /// `activation`; whether it also sums along the free dimensions and reads the sum out.
    Activation {
        /// `reduce_res` or `activation_reduce`.
        reduce: bool,
    },
    /// `activate2`.
    Activate2 {
        /// With a reduction.
        reduce: bool,
    },
    /// `iota`.
    Iota,
    /// `affine_select`.
    AffineSelect,
    /// `local_gather`.
    LocalGather {
        /// Indices per processor.
        indices: u64,
        /// Elements gathered per index.
        elements_per_index: u64,
    },
    /// `nc_n_gather`.
    NGather,
    /// `tensor_partition_reduce`.
    PartitionReduce,
    /// `sequence_bounds`.
    SequenceBounds,
    /// `nonzero_with_count`.
    NonzeroWithCount,
    /// `topk` of `k` values.
    TopK {
        /// Values kept.
        k: u64,
    },
}

impl MachineModel {
    /// The engines that run `work` on this target, cheapest kind first; empty where it does not exist.
    pub fn engines(&self, work: &Work) -> &'static [Engine] {
        use Engine::{GpSimd, Scalar, Vector};
        let only_gpsimd = |op: Alu| matches!(op, Alu::Power | Alu::Rsqrt | Alu::ExactInteger);
        let only_vector = |op: Alu| op == Alu::Bitwise;
        match *work {
            Work::TensorTensor(op) if only_gpsimd(op) => &[GpSimd],
            Work::TensorTensor(op) if only_vector(op) => &[Vector],
            Work::TensorTensor(_) => &[Vector, GpSimd],
            Work::TensorScalar(a, b) => {
                let ops = [Some(a), b];
                if ops.into_iter().flatten().any(only_gpsimd) {
                    &[GpSimd]
                } else if ops.into_iter().flatten().any(only_vector) {
                    &[Vector]
                } else if self.scalar.tensor_scalar
                    && matches!((a, b), (Alu::Multiply, None | Some(Alu::Add)) | (Alu::Add, None))
                {
                    &[Vector, Scalar, GpSimd]
                } else {
                    &[Vector, GpSimd]
                }
            }
            Work::TensorCopy if self.scalar.tensor_copy => &[Vector, Scalar, GpSimd],
            Work::TensorCopy | Work::Memset { .. } => &[Vector, GpSimd],
            Work::TensorScalarReduce
            | Work::TensorScalarCumulative
            | Work::ScalarTensorTensor(..)
            | Work::TensorTensorScan
            | Work::TensorReduce(_)
            | Work::BnStats
            | Work::BnAggr
            | Work::TensorCopyPredicated
            | Work::SelectReduce
            | Work::Reciprocal
            | Work::Transpose32
            | Work::StreamShuffle
            | Work::Max8
            | Work::FindIndex8
            | Work::MatchReplace8
            | Work::Dropout => &[Vector],
            Work::RangeSelect if self.vector.range_select => &[Vector],
            Work::Rng | Work::SmallState if self.gpsimd.rng => &[Vector, GpSimd],
            Work::Rng | Work::SmallState => &[Vector],
            Work::Rand2 if self.vector.rng_state_words > 0 => &[Vector],
            Work::Exponential if self.vector.exponential => &[Vector],
            Work::QuantizeMx if self.vector.quantize_mx => &[Vector],
            Work::Activation { .. } => &[Scalar],
            Work::Activate2 { .. } if self.scalar.activate2 => &[Scalar],
            Work::Iota
            | Work::AffineSelect
            | Work::LocalGather { .. }
            | Work::NGather
            | Work::PartitionReduce
            | Work::SequenceBounds => &[GpSimd],
            Work::NonzeroWithCount | Work::TopK { .. } if self.gpsimd.topk => &[GpSimd],
            Work::RangeSelect
            | Work::Rand2
            | Work::Exponential
            | Work::QuantizeMx
            | Work::Activate2 { .. }
            | Work::NonzeroWithCount
            | Work::TopK { .. } => &[],
        }
    }

    /// Cost of `work` on `engine` over `n` elements per partition; `None` when the engine cannot run it.
    ///
    /// `inputs` are the tensor operands in instruction order (per-partition scalars left out), `output` the destination.
    /// `n` counts what streams through: the input's elements for reductions, the output's otherwise.
    pub fn cost(&self, engine: Engine, work: &Work, n: u64, inputs: &[Stream], output: Stream) -> Option<Cycles> {
        if !self.engines(work).contains(&engine) {
            return None;
        }
        match engine {
            Engine::Vector => Some(self.vector_cost(work, n, inputs, output)),
            Engine::Scalar => Some(self.scalar_cost(work, n, inputs, output)),
            Engine::GpSimd => Some(self.gpsimd_cost(work, n, inputs, output)),
            Engine::Tensor | Engine::Sync => None,
        }
    }

    /// The table set an activation function needs, by NKI's function name; `None` for an unknown function.
    pub fn table_set(&self, function: &str) -> Option<u64> {
        let sets = &self.scalar.table_sets.sets;
        sets.iter()
            .position(|set| set.iter().any(|name| name == function))
            .map(|i| i as u64)
    }

    /// Time of loading a table set, picoseconds; 0 for the resident one.
    pub fn table_load_ps(&self, set: u64) -> u64 {
        if set == self.scalar.table_sets.resident {
            0
        } else {
            super::ns_to_ps(self.scalar.table_load_ns)
        }
    }

    /// A cost with the interval stretched to the least one of an instruction whose address comes from a register.
    pub fn with_dynamic_address(&self, cost: Cycles) -> Cycles {
        Cycles {
            occupancy: cost.occupancy.max(self.sync.dynamic_address_cycles),
            ..cost
        }
    }

    /// Semaphore visible to waiting engine's start, picoseconds.
    pub fn wait_to_start_ps(&self) -> u64 {
        super::ns_to_ps(self.sync.wait_to_start_ns)
    }

    /// Time a sequencer waits when it branches to `target` from `pc`, picoseconds: nothing within its buffer, else until a DMA packet
    /// brings the instructions there (our assumption: the start and the bytes of any transfer).
    pub fn branch_fetch_ps(&self, pc: u32, target: u32) -> u64 {
        if u64::from(pc.abs_diff(target)) <= self.sync.prefetch_instructions {
            return 0;
        }
        let bytes = self.sync.prefetch_instructions * self.sync.instruction_bytes;
        super::ns_to_ps(self.dma.start_ns + bytes as f64 / self.dma.bytes_per_ns_per_engine)
    }

    /// Own time of a stand-alone semaphore instruction, picoseconds.
    pub fn event_semaphore_ps(&self) -> u64 {
        super::ns_to_ps(self.sync.event_semaphore_ns)
    }
}

/// Whole cycles of `n` elements at `per_element` cycles each.
fn stream_cycles(n: u64, per_element: f64) -> u64 {
    (n as f64 * per_element - 1e-6).ceil().max(0.0) as u64
}
