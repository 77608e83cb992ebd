//! Costs and engines of [`Inst`], for both levels that use it.

use super::{Alu, Cycles, Stream, Work};
use crate::dtype::DType;
use crate::inst::{AluOp, Inst};
use crate::isa::{Ap, ApDim};
use crate::machine::{Engine, MachineModel};

/// What the cost functions need to know of an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OperandShape {
    /// Memory, dtype and innermost step.
    pub stream: Stream,
    /// Elements per partition.
    pub elements: u64,
}

/// Absolute innermost step of an access pattern in bytes: that of the last dimension with more than one element.
pub fn innermost_step_bytes(dims: &[ApDim], dtype: DType) -> u64 {
    let size = dtype.bytes() as u64;
    let inner = dims.iter().rev().find(|d| d.count > 1);
    inner.map_or(size, |d| u64::from(d.step.unsigned_abs()) * size)
}

impl From<&Ap> for OperandShape {
    fn from(ap: &Ap) -> OperandShape {
        let step_bytes = innermost_step_bytes(&ap.dims, ap.dtype);
        OperandShape {
            stream: Stream {
                space: ap.space,
                dtype: ap.dtype,
                step_bytes,
            },
            elements: ap.elements() as u64,
        }
    }
}

fn alu(op: AluOp) -> Alu {
    match op {
        AluOp::Add => Alu::Add,
        AluOp::Subtract => Alu::Subtract,
        AluOp::Multiply => Alu::Multiply,
        AluOp::Max => Alu::Max,
        AluOp::Power => Alu::Power,
        op if op.is_bitwise() => Alu::Bitwise,
        _ => Alu::Other,
    }
}

impl MachineModel {
    /// The [`Work`] of an instruction.
    pub fn work<A>(&self, inst: &Inst<A>) -> Work {
        match inst {
            Inst::Activation { accumulate, .. } => Work::Activation {
                reduce: accumulate.is_some(),
            },
            Inst::TensorTensor { op, .. } => Work::TensorTensor(alu(*op)),
            Inst::TensorScalar { first, second, .. } => {
                Work::TensorScalar(alu(first.op), second.as_ref().map(|s| alu(s.op)))
            }
            Inst::ScalarTensorTensor { first, op1, .. } => Work::ScalarTensorTensor(alu(first.op), alu(*op1)),
            Inst::TensorTensorScan { .. } => Work::TensorTensorScan,
            Inst::TensorReduce { op, .. } => Work::TensorReduce(alu(*op)),
            Inst::BnStats { .. } => Work::BnStats,
            Inst::BnAggr { .. } => Work::BnAggr,
            Inst::TensorCopy { .. } => Work::TensorCopy,
            Inst::Memset { bits, .. } => Work::Memset { zero: *bits == 0 },
            Inst::CopyPredicated { .. } => Work::TensorCopyPredicated,
            Inst::Reciprocal { .. } => Work::Reciprocal,
            Inst::Transpose32 { .. } => Work::Transpose32,
            Inst::StreamShuffle { .. } => Work::StreamShuffle,
            Inst::Max8 { .. } => Work::Max8,
            Inst::FindIndex8 { .. } => Work::FindIndex8,
            Inst::MatchReplace8 { .. } => Work::MatchReplace8,
            Inst::Iota { .. } => Work::Iota,
            Inst::AffineSelect { .. } => Work::AffineSelect,
            Inst::NGather { .. } => Work::NGather,
            Inst::PartitionReduce { .. } => Work::PartitionReduce,
        }
    }

    /// The engines that run an instruction on this target.
    pub fn inst_engines<A>(&self, inst: &Inst<A>) -> &'static [Engine] {
        self.engines(&self.work(inst))
    }

    /// Cost of an instruction on an engine; `None` when the engine cannot run it.
    pub fn inst_cost<A>(&self, engine: Engine, inst: &Inst<A>, operand: impl Fn(&A) -> OperandShape) -> Option<Cycles> {
        let dst = operand(inst.dst());
        let (inputs, n): ([Option<OperandShape>; 2], u64) = match inst {
            Inst::Activation { src, .. }
            | Inst::TensorScalar { src, .. }
            | Inst::TensorReduce { src, .. }
            | Inst::BnStats { src, .. }
            | Inst::BnAggr { src, .. }
            | Inst::TensorCopy { src, .. }
            | Inst::Reciprocal { src, .. }
            | Inst::Transpose32 { src, .. }
            | Inst::StreamShuffle { src, .. }
            | Inst::Max8 { src, .. }
            | Inst::FindIndex8 { src, .. }
            | Inst::MatchReplace8 { src, .. }
            | Inst::AffineSelect { src, .. }
            | Inst::PartitionReduce { src, .. } => {
                let src = operand(src);
                ([Some(src), None], src.elements)
            }
            Inst::TensorTensor { a, b, .. } | Inst::TensorTensorScan { a, b, .. } => {
                ([Some(operand(a)), Some(operand(b))], dst.elements)
            }
            Inst::ScalarTensorTensor { src, b, .. } => ([Some(operand(src)), Some(operand(b))], dst.elements),
            Inst::CopyPredicated { src, pred, .. } => ([Some(operand(src)), Some(operand(pred))], dst.elements),
            Inst::NGather { src, index, .. } => ([Some(operand(src)), Some(operand(index))], dst.elements),
            Inst::Memset { .. } | Inst::Iota { .. } => ([None, None], dst.elements),
        };
        let streams: smallvec::SmallVec<[Stream; 2]> = inputs.iter().flatten().map(|o| o.stream).collect();
        self.cost(engine, &self.work(inst), n, &streams, dst.stream)
    }
}
