//! Names of instructions as the vendor's profiles print them (`neuroncore.md` section 6.1).

use ferrite_ir::isa::{Inst, Op};

/// The opcode's name.
pub fn of(op: &Op) -> &'static str {
    match op {
        Op::Compute(inst) => match inst {
            Inst::Activation { .. } => "ACTIVATE",
            Inst::TensorTensor { .. } => "TENSOR_TENSOR",
            Inst::TensorScalar { .. } => "TENSOR_SCALAR",
            Inst::ScalarTensorTensor { .. } => "SCALAR_TENSOR_TENSOR",
            Inst::TensorTensorScan { .. } => "TENSOR_TENSOR_SCAN",
            Inst::TensorReduce { .. } => "TENSOR_REDUCE",
            Inst::BnStats { .. } => "BN_STATS",
            Inst::BnAggr { .. } => "BN_AGGR",
            Inst::TensorCopy { .. } => "TENSOR_COPY",
            Inst::Memset { .. } => "MEMSET",
            Inst::CopyPredicated { .. } => "TENSOR_COPY_PREDICATED",
            Inst::Reciprocal { .. } => "RECIPROCAL",
            Inst::Transpose32 { .. } => "TRANSPOSE",
            Inst::StreamShuffle { .. } => "STREAM_SHUFFLE",
            Inst::Max8 { .. } => "MAX8",
            Inst::FindIndex8 { .. } => "FIND_INDEX8",
            Inst::MatchReplace8 { .. } => "MATCH_REPLACE8",
            Inst::Iota { .. } => "IOTA",
            Inst::AffineSelect { .. } => "AFFINE_SELECT",
            Inst::NGather { .. } => "N_GATHER",
            Inst::PartitionReduce { .. } => "PARTITION_REDUCE",
        },
        Op::ActTableLoad { .. } => "ACT_TABLE_LOAD",
        Op::LoadStationary { .. } => "LDWEIGHTS",
        Op::MultiplyMoving { .. } => "MATMUL",
        Op::DmaTrigger { .. } => "DMA_TRIGGER",
        Op::DmaIndirect(_) => "DMA_INDIRECT",
        Op::Semaphore => "EVENT_SEMAPHORE",
        Op::RangeClear { .. } => "EVENT_SEMAPHORE_RANGE_CLEAR",
        Op::RegMove { .. } => "REGISTER_MOVE",
        Op::RegAlu { .. } => "REGISTER_ALU",
        Op::RegLoad { .. } => "TENSOR_LOAD",
        Op::Branch { .. } => "COMPARE_BRANCH",
        Op::Nop => "NOP",
        Op::Collective(_) => "TRIGGER_COLLECTIVE",
    }
}

/// A time as messages show it.
pub fn time(ps: u64) -> String {
    format!("{:.3} us", ps as f64 / 1e6)
}
