//! Reduces in two steps where one would leave partitions idle.
//!
//! ```text
//! Before                                                  After
//!   reduce(%x: [32, 60, 1024]) add along 1, 2 : [32]        %0 = reduce(%x) add along 2 : [32, 60]
//!                                                           %1 = reduce(%0) add along 1 : [32]
//! ```
//!
//! Rows lie on partitions, one engine lane each: 32 long rows keep 32 of 128 lanes busy, 1920 shorter ones all of them.
//! Group norms reduce like this. Only where the innermost dimension is reduced, so that rows stay runs of memory, and
//! something outside of it is reduced as well.
//!
//! Needs: verified static `hlo` whose reductions are of one operation (others are left). Leaves: verified `hlo`. The order in
//! which a reduction combines its elements is free.

use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::hlo::{Builder, Module, OpId, OpKind, Reduce, ValueId, Violation};

use super::rewrite::{Rewrite, rewrite_module};
use crate::lower::fuse::reducer;
use crate::pass::{Changed, HloPass, PassContext};

/// See the module's own text.
pub struct SplitReductions;

/// Shortest row that is worth an instruction of its own (our choice: about an instruction's fixed cost in cycles).
const MIN_ROW: i64 = 64;

impl HloPass for SplitReductions {
    const NAME: &'static str = "split-reductions";
    const DOC: &'static str =
        "Reduces inner dimensions first where the result alone has fewer rows than the machine has partitions.";

    fn run(&self, module: &mut Module, context: &mut PassContext<'_>) -> Result<Changed> {
        let partitions = context.machine.limits.partitions as i64;
        rewrite_module(module, |b, op| match b.func.op(op).kind.clone() {
            OpKind::Reduce(reduce) => match split(b, op, &reduce, partitions) {
                Ok(value) => Ok(value.map_or(Rewrite::Keep, Rewrite::from)),
                Err(v) => Err(Diagnostic::bug(format!(
                    "`{}` built an invalid operation: {v}",
                    Self::NAME
                ))),
            },
            _ => Ok(Rewrite::Keep),
        })
    }
}

fn split(
    b: &mut Builder<'_>,
    op: OpId,
    reduce: &Reduce,
    partitions: i64,
) -> std::result::Result<Option<ValueId>, Violation> {
    let node = b.func.op(op).clone();
    let ([x, init], [result]) = (&node.operands[..], &node.results[..]) else {
        return Ok(None);
    };
    let Some(binary) = reducer(b.func, op) else {
        return Ok(None);
    };
    let ty = b.tensor(*x)?.clone();
    if ty.dtype != b.tensor(*result)?.dtype || ty.element_count() == 0 || !binary.is_commutative() {
        return Ok(None);
    }
    let mut dims: Vec<i64> = reduce.dimensions.to_vec();
    dims.sort_unstable();
    let innermost = ty.rank() as i64 - 1;
    if dims.len() < 2 || dims.last() != Some(&innermost) {
        return Ok(None);
    }
    let extent = |dims: &[i64]| dims.iter().map(|&d| ty.shape[d as usize]).product::<i64>();
    let mut rows = b.tensor(*result)?.element_count() as i64;
    let mut outer = 0;
    while rows < partitions && outer + 1 < dims.len() && extent(&dims[outer + 1..]) >= MIN_ROW {
        rows *= ty.shape[dims[outer] as usize];
        outer += 1;
    }
    // Nothing but dimensions of one element was moved: nothing is gained.
    if extent(&dims[..outer]) <= 1 {
        return Ok(None);
    }
    let inner = b.reduce(binary, *x, &dims[outer..])?;
    let removed = |d: i64| dims[outer..].iter().filter(|&&r| r < d).count() as i64;
    let left: Vec<i64> = dims[..outer].iter().map(|&d| d - removed(d)).collect();
    Ok(Some(b.reduce_from(binary, inner, *init, &left)?))
}
