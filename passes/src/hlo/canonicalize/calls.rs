//! Custom calls that mean nothing here, tuples, and collectives of one device.

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::hlo::{
    Builder, Collective, CollectivePermute, CustomCall, GetTupleElement, OpId, OpKind, Type, ValueId,
};

use super::{algebra, operand};
use crate::hlo::rewrite::Rewrite;

/// Custom calls that return their operands. Names as the clients write them.
const IDENTITIES: &[&str] = &[
    "annotate_device_placement",
    "interpreter.probe",
    "AwsNeuronTransferWithStaticRing",
    "AwsNeuronLNCShardingConstraint",
    "LayoutConstraint",
    "MoveToDevice",
    "MoveToHost",
];

/// As [`IDENTITIES`], for any ending.
const IDENTITY_PREFIXES: &[&str] = &["AwsNeuronModuleMarker", "NeuronBoundaryMarker"];

/// Identities while there is one partition.
const SHARDINGS: &[&str] = &["Sharding", "SPMDFullToShardShape", "SPMDShardToFullShape"];

pub(super) fn custom_call(b: &mut Builder<'_>, op: OpId, call: &CustomCall, one_partition: bool) -> Result<Rewrite> {
    let target = call.target.as_str();
    // What a traced model asserts of its shapes.
    if target == "shape_assertion" || target == "stablehlo.shape_assertion" {
        let holds = operand(b, op, 0);
        let Some(holds) = algebra::constant(b, holds).map(|c| c.get_i64(0) != 0) else {
            return Ok(Rewrite::Keep);
        };
        if holds {
            return Ok(Rewrite::Replace(Vec::new()));
        }
        let text = b
            .func
            .op(op)
            .attrs
            .as_ref()
            .and_then(|a| a.get("error_message")?.as_str().map(str::to_string));
        let text = text.unwrap_or_else(|| "an assertion about shapes does not hold".to_string());
        return Err(Diagnostic::error(Code::Usage, text).help("give other sizes with `--dim-binding`"));
    }
    // Checks of test programs compare on the host; on the device there is no one to tell.
    if target.starts_with("check.") && b.func.op(op).results.is_empty() {
        return Ok(Rewrite::Replace(Vec::new()));
    }
    let identity = IDENTITIES.contains(&target)
        || IDENTITY_PREFIXES.iter().any(|p| target.starts_with(p))
        || (one_partition && SHARDINGS.contains(&target));
    if !identity {
        return Ok(Rewrite::Keep);
    }
    let operands: Vec<ValueId> = b.func.op(op).operands.to_vec();
    let results: Vec<Type> = b.func.op(op).results.iter().map(|&v| b.ty(v).clone()).collect();
    let types: Vec<Type> = operands.iter().map(|&v| b.ty(v).clone()).collect();
    if types == results {
        return Ok(Rewrite::Replace(operands));
    }
    if results == [Type::Tuple(types)] {
        return Ok(b.op1(OpKind::Tuple, &operands)?.into());
    }
    Ok(Rewrite::Keep)
}

pub(super) fn get_tuple_element(b: &mut Builder<'_>, op: OpId, g: &GetTupleElement) -> Result<Rewrite> {
    let tuple = operand(b, op, 0);
    Ok(match b.func.def(tuple) {
        Some(def) if b.func.op(def).kind == OpKind::Tuple => b.func.op(def).operands[g.index as usize].into(),
        _ => Rewrite::Keep,
    })
}

/// A collective in which every device is alone returns its operands: its groups say so, or there is one device.
pub(super) fn lonely(b: &mut Builder<'_>, op: OpId, c: &Collective, alone: bool) -> Result<Rewrite> {
    let single = c.replica_groups.iter().all(|g| g.len() == 1);
    let alone = single && (alone || !c.replica_groups.is_empty());
    let op = b.func.op(op);
    let same =
        op.operands.len() == op.results.len() && op.operands.iter().zip(&op.results).all(|(&a, &r)| b.ty(a) == b.ty(r));
    Ok(if alone && same {
        Rewrite::Replace(op.operands.to_vec())
    } else {
        Rewrite::Keep
    })
}

/// One device sends to itself, or receives nothing, which is zero.
pub(super) fn permute_alone(b: &mut Builder<'_>, op: OpId, c: &CollectivePermute) -> Result<Rewrite> {
    if c.source_target_pairs.contains(&(0, 0)) {
        return Ok(Rewrite::Replace(b.func.op(op).operands.to_vec()));
    }
    let mut zeros = Vec::new();
    for r in b.func.op(op).results.clone() {
        let ty = b.tensor(r)?.clone();
        zeros.push(b.constant_i(ty, 0));
    }
    Ok(Rewrite::Replace(zeros))
}
