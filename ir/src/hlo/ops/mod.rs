//! The operation set: one enum, each variant a struct of its attributes, in the words of the StableHLO specification.

mod collective;
mod contraction;
mod control;
mod elementwise;
mod indexing;
mod movement;
mod reduction;
mod special;
mod table;

pub use collective::*;
pub use contraction::*;
pub use control::*;
pub use elementwise::*;
pub use indexing::*;
pub use movement::*;
pub use reduction::*;
pub use special::*;
pub use table::Effect;

use crate::literal::Literal;

/// What an operation computes, with its attributes. Operand order is that of the StableHLO specification.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // each variant is documented at its struct or by its StableHLO namesake
pub enum OpKind {
    // Values from nothing.
    Constant(Literal),
    Iota(Iota),
    DynamicIota(Iota),

    // Element by element.
    Unary(UnaryOp),
    Binary(BinaryOp),
    /// `chlo.broadcast_*`: binary with implicit broadcasting.
    ChloBroadcastBinary(ChloBroadcast),
    Compare(Compare),
    /// Operands: predicate (scalar or same shape), on_true, on_false.
    Select,
    /// Operands: min, x, max (min and max may be scalars).
    Clamp,
    Convert,
    BitcastConvert,
    ReducePrecision(ReducePrecision),
    /// Operands: real part, imaginary part.
    Complex,
    UniformQuantize,
    UniformDequantize,
    Map(MapOp),

    // Contractions.
    DotGeneral(DotGeneral),
    Dot(Dot),
    /// `chlo.ragged_dot`.
    RaggedDot(RaggedDot),
    Convolution(Convolution),
    DynamicConv(Convolution),
    Einsum(Einsum),
    UnaryEinsum(Einsum),

    // Data movement.
    BroadcastInDim(BroadcastInDim),
    Broadcast(Broadcast),
    DynamicBroadcastInDim(DynamicBroadcastInDim),
    Reshape,
    DynamicReshape,
    Transpose(Transpose),
    Slice(Slice),
    RealDynamicSlice,
    DynamicSlice(DynamicSlice),
    DynamicUpdateSlice,
    Pad(Pad),
    DynamicPad,
    Reverse(Reverse),
    Concatenate(Concatenate),
    GetDimensionSize(Dimension),
    SetDimensionSize(Dimension),

    // Indexing.
    Gather(Gather),
    DynamicGather(Gather),
    Scatter(Scatter),
    TorchIndexSelect(TorchIndexSelect),

    // Reductions.
    Reduce(Reduce),
    ReduceWindow(ReduceWindow),
    SelectAndScatter(SelectAndScatter),
    Sort(Sort),
    TopK(TopK),
    BatchNormTraining(BatchNorm),
    BatchNormInference(BatchNorm),
    BatchNormGrad(BatchNorm),

    // Linear algebra, transforms, random numbers.
    Cholesky(Cholesky),
    TriangularSolve(TriangularSolve),
    Fft(Fft),
    Rng(Rng),
    RngBitGenerator(RngBitGenerator),

    // Control flow and structure.
    While,
    If,
    Case,
    Call(Call),
    Composite(Composite),
    CustomCall(Box<CustomCall>),
    Tuple,
    GetTupleElement(GetTupleElement),
    OptimizationBarrier,
    AfterAll,
    CreateToken,
    Infeed(Feed),
    Outfeed(Feed),
    AsyncStart,
    AsyncDone,

    // Several devices.
    AllGather(AllGather),
    AllReduce(Collective),
    ReduceScatter(ReduceScatter),
    AllToAll(AllToAll),
    CollectivePermute(CollectivePermute),
    CollectiveBroadcast(Collective),
    /// Like `all_reduce`, but only the first member of a group gets the result; the others get zeros.
    CollectiveReduce(Collective),
    CrossReplicaSum(Collective),
    PartitionId,
    ReplicaId,
    Send(Transfer),
    Recv(Transfer),
    /// `sdy.manual_computation`.
    ManualComputation(ManualComputation),
    /// `sdy.sharding_constraint`.
    ShardingConstraint(ShardingConstraint),
}
