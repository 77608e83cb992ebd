//! Sums over leading dimensions become products with a row of ones.
//!
//! ```text
//! Before                                              After
//!   %s = reduce(%x: [64, 197, 768], 0) add              %1 = constant dense<1> : [64, 197]
//!        dimensions = [0, 1]                            %s = dot_general %1, %x, contracting [0, 1] x [0, 1]
//! ```
//!
//! On the device rows lie on partitions, and engines reduce along the free dimension only: a sum over rows would have to read memory
//! column by column. The PE array sums over partitions. Dimensions that are kept and lie outside of the last summed one are
//! batching dimensions. The product accumulates in fp32, so a sum in a narrower type is more exact than one step by step.
//!
//! Needs: verified static `hlo`, after auto-cast (these products are not the program's). Leaves: verified `hlo`.

use ferrite_ir::hlo::{BinaryOp, Builder, DotDims, OpId, OpKind, TensorType};

use super::rewrite::{Rewrite, operands, result_type};
use crate::lower::fuse::reducer;

/// Fewest elements beside each other that are worth a product (our choice: fewer are no better than single elements).
const MIN_COLUMNS: i64 = 8;

/// The rule of `sum-by-matmul`.
pub(crate) fn rewrite(b: &mut Builder<'_>, op: OpId) -> Rewrite {
    let OpKind::Reduce(reduce) = &b.func.op(op).kind else {
        return Ok(None);
    };
    let summed = reduce.dimensions.clone();
    let [x, init] = operands(b, op)[..] else {
        return Ok(None);
    };
    let ty = b.func.tensor(x).clone();
    let (Some(&last), Some(BinaryOp::Add)) = (summed.iter().max(), reducer(b.func, op)) else {
        return Ok(None);
    };
    let inner: i64 = ty.shape[last as usize + 1..].iter().product();
    if !ty.dtype.is_float() || ty.dtype.bytes() > 4 || inner < MIN_COLUMNS || ty.element_count() == 0 {
        return Ok(None);
    }
    let mut contracting: Vec<i64> = summed.to_vec();
    contracting.sort_unstable();
    let batching: Vec<i64> = (0..last).filter(|d| !contracting.contains(d)).collect();
    let sizes = batching.iter().chain(&contracting).map(|&d| ty.shape[d as usize]);
    let ones_shape: Vec<i64> = sizes.collect();
    let ones = b.constant_f(TensorType::new(ty.dtype, &ones_shape), 1.0);
    let count = batching.len() as i64;
    let dims = DotDims {
        lhs_batching: (0..count).collect(),
        rhs_batching: batching.into_iter().collect(),
        lhs_contracting: (count..ones_shape.len() as i64).collect(),
        rhs_contracting: contracting.into_iter().collect(),
    };
    let result = result_type(b, op);
    let mut sum = b.dot_general(ones, x, dims, result.dtype)?;
    let zero = match b.func.def_kind(init) {
        Some(OpKind::Constant(literal)) => literal.splat_value() == Some(0.0),
        _ => false,
    };
    if !zero {
        let init = b.broadcast_in_dim(init, &result.shape, &[])?;
        sum = b.add(sum, init)?;
    }
    Ok(Some(vec![sum]))
}
