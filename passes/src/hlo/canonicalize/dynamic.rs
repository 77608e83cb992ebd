//! Dynamic forms of operations whose shapes turn out to be constants.

use ferrite_ir::diag::Result;
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{BroadcastInDim, Builder, Convolution, Dims, Gather, OpId, OpKind, TensorType, ValueId};

use super::algebra::constant;
use super::operand;
use crate::hlo::rewrite::Rewrite;

/// The integers of a constant.
fn integers(b: &Builder<'_>, v: ValueId) -> Option<Dims> {
    let literal = constant(b, v)?;
    Some((0..literal.ty().element_count()).map(|i| literal.get_i64(i)).collect())
}

pub(super) fn staticize(b: &mut Builder<'_>, op: OpId, kind: &OpKind) -> Result<Rewrite> {
    let result = b.tensor(b.func.result(op))?.clone();
    let operands: Vec<ValueId> = b.func.op(op).operands.to_vec();
    let static_operand = operands
        .first()
        .is_some_and(|&v| b.tensor(v).is_ok_and(TensorType::is_static));
    if !result.is_static() || !static_operand {
        return Ok(Rewrite::Keep);
    }
    // A static result type says what the shape operand must hold (the other values are undefined behaviour).
    let values: Vec<Option<Dims>> = operands.iter().map(|&v| integers(b, v)).collect();
    let at = |i: usize| values.get(i).cloned().flatten();
    let x = operand(b, op, 0);
    let built = match kind {
        OpKind::DynamicIota(iota) => b.op1_as(OpKind::Iota(*iota), &[], result),
        OpKind::DynamicReshape => b.op1_as(OpKind::Reshape, &[x], result),
        OpKind::DynamicBroadcastInDim(d) => {
            let broadcast = BroadcastInDim {
                broadcast_dimensions: d.broadcast_dimensions.clone(),
            };
            b.op1_as(OpKind::BroadcastInDim(broadcast), &[x], result)
        }
        OpKind::DynamicPad => match (at(2), at(3), at(4)) {
            (Some(low), Some(high), Some(interior)) => b.pad(x, operands[1], &low, &high, &interior),
            _ => return Ok(Rewrite::Keep),
        },
        OpKind::RealDynamicSlice => match (at(1), at(2), at(3)) {
            (Some(start), Some(limit), Some(strides)) => b.slice(x, &start, &limit, &strides),
            _ => return Ok(Rewrite::Keep),
        },
        OpKind::DynamicGather(g) => match at(2) {
            Some(slice_sizes) => {
                let gather = Gather {
                    slice_sizes,
                    ..g.clone()
                };
                b.op1(OpKind::Gather(gather), &operands[..2])
            }
            None => return Ok(Rewrite::Keep),
        },
        OpKind::DynamicConv(c) => match at(2) {
            Some(padding) if padding.len() == 2 * c.window_strides.len() => {
                let conv = Convolution {
                    padding: padding.chunks_exact(2).map(|p| (p[0], p[1])).collect(),
                    ..c.clone()
                };
                b.op1_as(OpKind::Convolution(conv), &operands[..2], result)
            }
            _ => return Ok(Rewrite::Keep),
        },
        OpKind::GetDimensionSize(d) => {
            let size = b.tensor(x)?.shape[d.dimension as usize];
            Ok(b.constant_i(TensorType::scalar(DType::I32), size))
        }
        OpKind::SetDimensionSize(d) => {
            let size = b.tensor(x)?.shape[d.dimension as usize];
            match at(1) {
                Some(wanted) if wanted[..] == [size] => Ok(x),
                _ => return Ok(Rewrite::Keep),
            }
        }
        _ => return Ok(Rewrite::Keep),
    };
    Ok(built?.into())
}
