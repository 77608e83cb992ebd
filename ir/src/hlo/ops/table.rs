//! One table of all operations: mnemonic, regions and effect.

use super::OpKind;

/// What an operation does besides computing its results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: it may be removed, moved, merged.
    Pure,
    /// It talks to another device, the host or the random state: it stays where it is.
    Effectful,
}

impl OpKind {
    /// Full mnemonic, dialect included. `chlo.broadcast_*` give their dialect's prefix only.
    pub fn mnemonic(&self) -> &'static str {
        match self {
            OpKind::Constant(_) => "stablehlo.constant",
            OpKind::Iota(_) => "stablehlo.iota",
            OpKind::DynamicIota(_) => "stablehlo.dynamic_iota",
            OpKind::Unary(op) => op.mnemonic(),
            OpKind::Binary(op) => op.mnemonic(),
            OpKind::ChloBroadcastBinary(_) => "chlo.broadcast",
            OpKind::Compare(_) => "stablehlo.compare",
            OpKind::Select => "stablehlo.select",
            OpKind::Clamp => "stablehlo.clamp",
            OpKind::Convert => "stablehlo.convert",
            OpKind::BitcastConvert => "stablehlo.bitcast_convert",
            OpKind::ReducePrecision(_) => "stablehlo.reduce_precision",
            OpKind::Complex => "stablehlo.complex",
            OpKind::UniformQuantize => "stablehlo.uniform_quantize",
            OpKind::UniformDequantize => "stablehlo.uniform_dequantize",
            OpKind::Map(_) => "stablehlo.map",
            OpKind::DotGeneral(_) => "stablehlo.dot_general",
            OpKind::Dot(_) => "stablehlo.dot",
            OpKind::RaggedDot(_) => "chlo.ragged_dot",
            OpKind::Convolution(_) => "stablehlo.convolution",
            OpKind::DynamicConv(_) => "stablehlo.dynamic_conv",
            OpKind::Einsum(_) => "stablehlo.einsum",
            OpKind::UnaryEinsum(_) => "stablehlo.unary_einsum",
            OpKind::BroadcastInDim(_) => "stablehlo.broadcast_in_dim",
            OpKind::Broadcast(_) => "stablehlo.broadcast",
            OpKind::DynamicBroadcastInDim(_) => "stablehlo.dynamic_broadcast_in_dim",
            OpKind::Reshape => "stablehlo.reshape",
            OpKind::DynamicReshape => "stablehlo.dynamic_reshape",
            OpKind::Transpose(_) => "stablehlo.transpose",
            OpKind::Slice(_) => "stablehlo.slice",
            OpKind::RealDynamicSlice => "stablehlo.real_dynamic_slice",
            OpKind::DynamicSlice(_) => "stablehlo.dynamic_slice",
            OpKind::DynamicUpdateSlice => "stablehlo.dynamic_update_slice",
            OpKind::Pad(_) => "stablehlo.pad",
            OpKind::DynamicPad => "stablehlo.dynamic_pad",
            OpKind::Reverse(_) => "stablehlo.reverse",
            OpKind::Concatenate(_) => "stablehlo.concatenate",
            OpKind::GetDimensionSize(_) => "stablehlo.get_dimension_size",
            OpKind::SetDimensionSize(_) => "stablehlo.set_dimension_size",
            OpKind::Gather(_) => "stablehlo.gather",
            OpKind::DynamicGather(_) => "stablehlo.dynamic_gather",
            OpKind::Scatter(_) => "stablehlo.scatter",
            OpKind::TorchIndexSelect(_) => "stablehlo.torch_index_select",
            OpKind::Reduce(_) => "stablehlo.reduce",
            OpKind::ReduceWindow(_) => "stablehlo.reduce_window",
            OpKind::SelectAndScatter(_) => "stablehlo.select_and_scatter",
            OpKind::Sort(_) => "stablehlo.sort",
            OpKind::TopK(_) => "chlo.top_k",
            OpKind::BatchNormTraining(_) => "stablehlo.batch_norm_training",
            OpKind::BatchNormInference(_) => "stablehlo.batch_norm_inference",
            OpKind::BatchNormGrad(_) => "stablehlo.batch_norm_grad",
            OpKind::Cholesky(_) => "stablehlo.cholesky",
            OpKind::TriangularSolve(_) => "stablehlo.triangular_solve",
            OpKind::Fft(_) => "stablehlo.fft",
            OpKind::Rng(_) => "stablehlo.rng",
            OpKind::RngBitGenerator(_) => "stablehlo.rng_bit_generator",
            OpKind::While => "stablehlo.while",
            OpKind::If => "stablehlo.if",
            OpKind::Case => "stablehlo.case",
            OpKind::Call(_) => "func.call",
            OpKind::Composite(_) => "stablehlo.composite",
            OpKind::CustomCall(_) => "stablehlo.custom_call",
            OpKind::Tuple => "stablehlo.tuple",
            OpKind::GetTupleElement(_) => "stablehlo.get_tuple_element",
            OpKind::OptimizationBarrier => "stablehlo.optimization_barrier",
            OpKind::AfterAll => "stablehlo.after_all",
            OpKind::CreateToken => "stablehlo.create_token",
            OpKind::Infeed(_) => "stablehlo.infeed",
            OpKind::Outfeed(_) => "stablehlo.outfeed",
            OpKind::AsyncStart => "stablehlo.async_start",
            OpKind::AsyncDone => "stablehlo.async_done",
            OpKind::AllGather(_) => "stablehlo.all_gather",
            OpKind::AllReduce(_) => "stablehlo.all_reduce",
            OpKind::ReduceScatter(_) => "stablehlo.reduce_scatter",
            OpKind::AllToAll(_) => "stablehlo.all_to_all",
            OpKind::CollectivePermute(_) => "stablehlo.collective_permute",
            OpKind::CollectiveBroadcast(_) => "stablehlo.collective_broadcast",
            OpKind::CollectiveReduce(_) => "stablehlo.collective_reduce",
            OpKind::CrossReplicaSum(_) => "stablehlo.cross-replica-sum",
            OpKind::PartitionId => "stablehlo.partition_id",
            OpKind::ReplicaId => "stablehlo.replica_id",
            OpKind::Send(_) => "stablehlo.send",
            OpKind::Recv(_) => "stablehlo.recv",
            OpKind::ManualComputation(_) => "sdy.manual_computation",
            OpKind::ShardingConstraint(_) => "sdy.sharding_constraint",
        }
    }

    /// Whether the operation may be removed, moved or merged. Operations with regions are as pure as their regions.
    pub fn effect(&self) -> Effect {
        match self {
            OpKind::Rng(_)
            | OpKind::Infeed(_)
            | OpKind::Outfeed(_)
            | OpKind::Send(_)
            | OpKind::Recv(_)
            | OpKind::AsyncStart
            | OpKind::AsyncDone
            | OpKind::Call(_) => Effect::Effectful,
            OpKind::CustomCall(call) if call.has_side_effect => Effect::Effectful,
            _ => Effect::Pure,
        }
    }

    /// Number of regions the operation has; `None` where it varies (`case`).
    pub fn region_count(&self) -> Option<usize> {
        match self {
            OpKind::Case => None,
            OpKind::While | OpKind::If | OpKind::SelectAndScatter(_) => Some(2),
            OpKind::Reduce(_)
            | OpKind::ReduceWindow(_)
            | OpKind::Sort(_)
            | OpKind::Scatter(_)
            | OpKind::Map(_)
            | OpKind::AllReduce(_)
            | OpKind::CollectiveReduce(_)
            | OpKind::ReduceScatter(_)
            | OpKind::ManualComputation(_)
            | OpKind::AsyncStart => Some(1),
            _ => Some(0),
        }
    }

    /// Whether an operation only moves elements, or leaves what to do with them to its regions or to another function.
    pub fn passes_storage(&self) -> bool {
        use OpKind::*;
        matches!(
            self,
            Constant(_)
                | Reshape
                | DynamicReshape
                | Transpose(_)
                | BroadcastInDim(_)
                | Broadcast(_)
                | DynamicBroadcastInDim(_)
                | Slice(_)
                | RealDynamicSlice
                | DynamicSlice(_)
                | DynamicUpdateSlice
                | Pad(_)
                | DynamicPad
                | Reverse(_)
                | Concatenate(_)
                | GetDimensionSize(_)
                | SetDimensionSize(_)
                | Gather(_)
                | DynamicGather(_)
                | TorchIndexSelect(_)
                | BitcastConvert
                | Select
                | Reduce(_)
                | ReduceWindow(_)
                | SelectAndScatter(_)
                | Scatter(_)
                | Sort(_)
                | Map(_)
                | While
                | If
                | Case
                | Call(_)
                | Composite(_)
                | CustomCall(_)
                | Tuple
                | GetTupleElement(_)
                | OptimizationBarrier
                | ShardingConstraint(_)
                | ManualComputation(_)
                | AllGather(_)
                | AllReduce(_)
                | CollectiveReduce(_)
                | ReduceScatter(_)
                | AllToAll(_)
                | CollectivePermute(_)
                | CollectiveBroadcast(_)
                | AsyncStart
                | AsyncDone
                | Infeed(_)
                | Outfeed(_)
                | Send(_)
                | Recv(_)
        )
    }
}
