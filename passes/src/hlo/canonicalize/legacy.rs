//! Operations that older producers use, in terms of those that replaced them.

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::hlo::infer::chlo_binary;
use ferrite_ir::hlo::{
    BinaryOp, Broadcast, Builder, ChloBroadcast, Collective, Dims, Gather, OpId, OpKind, TensorType, TorchIndexSelect,
    Type, ValueId,
};

use super::operand;
use crate::hlo::rewrite::Rewrite;

pub(super) fn broadcast(b: &mut Builder<'_>, op: OpId, k: &Broadcast) -> Result<Rewrite> {
    let x = operand(b, op, 0);
    let result = b.tensor(b.func.result(op))?.shape.clone();
    let new = k.broadcast_sizes.len() as i64;
    let dims: Dims = (0..b.tensor(x)?.rank() as i64).map(|d| d + new).collect();
    Ok(b.broadcast_in_dim(x, &result, &dims)?.into())
}

pub(super) fn chlo_broadcast(b: &mut Builder<'_>, op: OpId, k: &ChloBroadcast) -> Result<Rewrite> {
    let result = b.tensor(b.func.result(op))?.clone();
    if !result.is_static() {
        return Ok(Rewrite::Keep);
    }
    let operands: Vec<ValueId> = b.func.op(op).operands.to_vec();
    let rank = result.rank();
    let mut full = Vec::with_capacity(operands.len());
    for v in operands {
        let ty = b.tensor(v)?.clone();
        let dims: Dims = match &k.broadcast_dimensions {
            Some(dims) if dims.len() == ty.rank() && ty.rank() < rank => dims.clone(),
            _ => (rank - ty.rank()..rank).map(|d| d as i64).collect(),
        };
        full.push(if ty.shape == result.shape {
            v
        } else {
            b.broadcast_in_dim(v, &result.shape, &dims)?
        });
    }
    let kind = match (k.op.as_str(), &k.compare) {
        ("select", _) => OpKind::Select,
        ("complex", _) => OpKind::Complex,
        ("compare", Some(compare)) => OpKind::Compare(*compare),
        (name, _) => match chlo_binary(name) {
            Some(binary) => OpKind::Binary(binary),
            None => {
                let message = format!("`chlo.broadcast_{name}` is not an operation");
                return Err(Diagnostic::error(Code::Unsupported, message));
            }
        },
    };
    Ok(b.op1(kind, &full)?.into())
}

pub(super) fn torch_index_select(b: &mut Builder<'_>, op: OpId, t: &TorchIndexSelect) -> Result<Rewrite> {
    let (x, index) = (operand(b, op, 0), operand(b, op, 1));
    let (ty, index_rank) = (b.tensor(x)?.clone(), b.tensor(index)?.rank() as i64);
    let (dim, batch) = (t.dim, t.batch_dims);
    let after = dim + index_rank - batch;
    let rank = ty.rank() as i64 - 1 + index_rank - batch;
    let gather = OpKind::Gather(Gather {
        offset_dims: (batch..dim).chain(after..rank).collect(),
        collapsed_slice_dims: [dim].into_iter().collect(),
        operand_batching_dims: (0..batch).collect(),
        start_indices_batching_dims: (0..batch).collect(),
        start_index_map: [dim].into_iter().collect(),
        index_vector_dim: index_rank,
        slice_sizes: (0..ty.rank() as i64)
            .map(|d| if d < batch || d == dim { 1 } else { ty.shape[d as usize] })
            .collect(),
        indices_are_sorted: false,
    });
    Ok(b.op1(gather, &[x, index])?.into())
}

/// The body, scalar by scalar, becomes the same operations on tensors.
pub(super) fn map(b: &mut Builder<'_>, op: OpId) -> Result<Rewrite> {
    use OpKind::*;
    let shape = b.tensor(operand(b, op, 0))?.shape.clone();
    let region = b.func.op(op).regions[0];
    let body = b.func.region(region).clone();
    let mut lifted: Vec<(ValueId, ValueId)> = body
        .args
        .iter()
        .copied()
        .zip(b.func.op(op).operands.iter().copied())
        .collect();
    for &inner in &body.ops {
        let scalar = b.func.op(inner).clone();
        let elementwise = matches!(
            scalar.kind,
            Constant(_)
                | Unary(_)
                | Binary(_)
                | Compare(_)
                | Select
                | Clamp
                | Convert
                | BitcastConvert
                | ReducePrecision(_)
                | Complex
        );
        let [result] = scalar.results[..] else {
            return Err(not_elementwise(scalar.kind.mnemonic()));
        };
        if !elementwise {
            return Err(not_elementwise(scalar.kind.mnemonic()));
        }
        let dtype = b.tensor(result)?.dtype;
        let ty = TensorType::new(dtype, &shape);
        let new = match &scalar.kind {
            Constant(literal) => {
                let literal = ferrite_ir::literal::Literal::splat(ty, literal.element(0));
                let literal = literal.ok_or_else(|| Diagnostic::bug("a scalar has one element"))?;
                b.constant(literal)
            }
            kind => {
                let mut operands = Vec::with_capacity(scalar.operands.len());
                for &v in &scalar.operands {
                    operands.push(lift(b, &lifted, v, &shape)?);
                }
                b.op1_as(kind.clone(), &operands, ty)?
            }
        };
        lifted.push((result, new));
    }
    let Some(&result) = body.results.first() else {
        return Ok(Rewrite::Keep);
    };
    Ok(lift(b, &lifted, result, &shape)?.into())
}

/// The tensor that stands for a scalar of the body; scalars from outside are broadcast.
fn lift(b: &mut Builder<'_>, lifted: &[(ValueId, ValueId)], v: ValueId, shape: &Dims) -> Result<ValueId> {
    match lifted.iter().rev().find(|(scalar, _)| *scalar == v) {
        Some(&(_, tensor)) => Ok(tensor),
        None => Ok(b.broadcast_in_dim(v, shape, &[])?),
    }
}

fn not_elementwise(name: &str) -> Diagnostic {
    Diagnostic::error(
        Code::Unsupported,
        format!("`{name}` inside of `stablehlo.map` is not supported"),
    )
    .help("apply the operation to whole tensors instead of mapping it")
}

pub(super) fn cross_replica_sum(b: &mut Builder<'_>, op: OpId, c: &Collective) -> Result<Rewrite> {
    let x = operand(b, op, 0);
    let scalar = Type::from(TensorType::scalar(b.tensor(x)?.dtype));
    let body = b.add_region(&[scalar.clone(), scalar], |b, args| {
        b.binary(BinaryOp::Add, args[0], args[1]).map(|v| vec![v])
    })?;
    let results = b.op_with_regions(OpKind::AllReduce(c.clone()), &[x], &[body], None)?;
    Ok(Rewrite::Replace(results))
}
