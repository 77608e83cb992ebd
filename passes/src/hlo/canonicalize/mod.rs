//! Brings operations into the one form that later passes expect, and removes those that do nothing.
//!
//! Before                                          After
//!   %1 = reshape %0 : 2x3 -> 2x3                    (uses of %1 read %0)
//!   %2 = transpose (transpose %0, p), q             %2 = transpose %0, p[q]
//!   %3 = dot (transpose %0), %1                     %3 = dot_general %0, %1, other dimension numbers
//!   %4 = chlo.broadcast_add %0, %1                  %4 = add (broadcast_in_dim %0), %1
//!   %5 = custom_call @Sharding(%0)                  (uses of %5 read %0; one partition only)
//!   %6 = custom_call @ApproxTopK(%0, iota, ..)      %6 = chlo.top_k %0, which finds exactly what is asked for
//!
//! Needs: verified `hlo`. Leaves: verified `hlo` without legacy operations (`dot`, `broadcast`, `einsum`, `map`,
//! `torch_index_select`, `chlo.broadcast_*`, `cross-replica-sum`) and without dynamic forms of operations whose shapes
//! are constants; what is dead to `remove-dead-ops`.
//! Never: changes a number, the sign of a zero included.

mod algebra;
mod approx_top_k;
mod calls;
mod contraction;
mod control;
mod dynamic;
mod einsum;
mod legacy;
mod movement;

pub(crate) use algebra::{converts_directly, is_exact};
pub(crate) use movement::binary_body;

use std::collections::BTreeMap;

use ferrite_ir::diag::Result;
use ferrite_ir::hlo::{Attr, Builder, Func, Module, OpId, OpKind};

use super::rewrite::{Rewrite, rewrite_module};
use crate::pass::{Changed, HloPass, PassContext};

/// See the module's own text.
pub struct Canonicalize;

impl HloPass for Canonicalize {
    const NAME: &'static str = "canonicalize";
    const DOC: &'static str = "Brings operations into the one form that later passes expect and removes those that do nothing, without changing any number.";

    fn run(&self, module: &mut Module, _: &mut PassContext<'_>) -> Result<Changed> {
        let one_partition = devices(module, "mhlo.num_partitions") <= 1;
        let facts = Facts {
            one_partition,
            alone: one_partition && devices(module, "mhlo.num_replicas") <= 1 && !names_others(module),
            comparators: approx_top_k::comparators(module),
        };
        rewrite_module(module, |b, op| visit(b, op, &facts))
    }
}

/// What rules know of the module.
struct Facts {
    /// Shardings mean nothing: there is one partition.
    one_partition: bool,
    /// There is one partition and one replica.
    alone: bool,
    /// The functions that selections of the largest compare with.
    comparators: BTreeMap<String, Func>,
}

fn devices(module: &Module, attribute: &str) -> i64 {
    module.attrs.get(attribute).and_then(Attr::as_int).unwrap_or(1)
}

/// Whether a collective names a device besides the first: HLO does not say how many there are.
fn names_others(module: &Module) -> bool {
    let mut others = false;
    for func in &module.funcs {
        func.walk(func.body(), &mut |f, op| {
            let groups = match &f.op(op).kind {
                OpKind::AllReduce(c) | OpKind::CollectiveBroadcast(c) | OpKind::CollectiveReduce(c) => {
                    &c.replica_groups
                }
                OpKind::AllGather(a) => &a.collective.replica_groups,
                OpKind::ReduceScatter(r) => &r.collective.replica_groups,
                OpKind::AllToAll(a) => &a.collective.replica_groups,
                OpKind::CollectivePermute(c) => {
                    others |= c.source_target_pairs.iter().any(|&(a, b)| a > 0 || b > 0);
                    return;
                }
                _ => return,
            };
            others |= groups.iter().flatten().any(|&device| device > 0);
        });
    }
    others
}

fn visit(b: &mut Builder<'_>, op: OpId, facts: &Facts) -> Result<Rewrite> {
    use OpKind::*;
    let kind = b.func.op(op).kind.clone();
    match &kind {
        Unary(u) => algebra::unary(b, op, *u),
        Binary(k) => algebra::binary(b, op, *k),
        Compare(c) => algebra::compare(b, op, c),
        Select => algebra::select(b, op),
        Complex => algebra::complex(b, op),
        ReducePrecision(r) => algebra::reduce_precision(b, op, r),
        Convert => algebra::convert(b, op),
        BitcastConvert => algebra::bitcast_convert(b, op),
        Iota(i) => movement::iota(b, op, i),
        Reshape => movement::reshape(b, op),
        Transpose(t) => movement::transpose(b, op, t),
        BroadcastInDim(k) => movement::broadcast_in_dim(b, op, k),
        Slice(s) => movement::slice(b, op, s),
        Pad(p) => movement::pad(b, op, p),
        Concatenate(c) => movement::concatenate(b, op, c),
        Reverse(r) => movement::reverse(b, op, r),
        DynamicSlice(s) => movement::dynamic_slice(b, op, s),
        DynamicUpdateSlice => movement::dynamic_update_slice(b, op),
        Reduce(r) => movement::reduce(b, op, r),
        DotGeneral(d) => contraction::dot_general(b, op, d),
        Dot(d) => contraction::dot(b, op, d),
        RaggedDot(r) => contraction::ragged_dot(b, op, r),
        Einsum(e) => einsum::einsum(b, op, &e.config),
        UnaryEinsum(e) => einsum::einsum(b, op, &e.config),
        Broadcast(k) => legacy::broadcast(b, op, k),
        ChloBroadcastBinary(k) => legacy::chlo_broadcast(b, op, k),
        TorchIndexSelect(t) => legacy::torch_index_select(b, op, t),
        Map(_) => legacy::map(b, op),
        CrossReplicaSum(c) => legacy::cross_replica_sum(b, op, c),
        CreateToken => Ok(b.op1(AfterAll, &[])?.into()),
        DynamicIota(_)
        | DynamicReshape
        | DynamicBroadcastInDim(_)
        | DynamicPad
        | RealDynamicSlice
        | DynamicGather(_)
        | DynamicConv(_)
        | GetDimensionSize(_)
        | SetDimensionSize(_) => dynamic::staticize(b, op, &kind),
        CustomCall(c) if approx_top_k::is(c) => approx_top_k::rewrite(b, op, c, &facts.comparators),
        CustomCall(c) => calls::custom_call(b, op, c, facts.one_partition),
        ShardingConstraint(_) if facts.one_partition => Ok(operand(b, op, 0).into()),
        GetTupleElement(g) => calls::get_tuple_element(b, op, g),
        If | Case => control::branches(b, op),
        While => control::while_loop(b, op),
        AllReduce(c) | CollectiveBroadcast(c) | CollectiveReduce(c) => calls::lonely(b, op, c, facts.alone),
        AllGather(a) => calls::lonely(b, op, &a.collective, facts.alone),
        ReduceScatter(r) => calls::lonely(b, op, &r.collective, facts.alone),
        AllToAll(a) => calls::lonely(b, op, &a.collective, facts.alone),
        CollectivePermute(c) if facts.alone => calls::permute_alone(b, op, c),
        PartitionId | ReplicaId if facts.alone => {
            let ty = b.tensor(b.func.result(op))?.clone();
            Ok(b.constant_i(ty, 0).into())
        }
        _ => Ok(Rewrite::Keep),
    }
}

/// Operand `i` of an operation.
fn operand(b: &Builder<'_>, op: OpId, i: usize) -> ferrite_ir::hlo::ValueId {
    b.func.op(op).operands[i]
}

#[cfg(test)]
mod tests;
