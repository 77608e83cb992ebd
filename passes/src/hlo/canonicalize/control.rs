//! Branches that are known, loops that do not run.

use ferrite_ir::diag::Result;
use ferrite_ir::hlo::{Builder, OpId, OpKind};

use super::algebra::constant;
use super::operand;
use crate::hlo::rewrite::Rewrite;

pub(super) fn branches(b: &mut Builder<'_>, op: OpId) -> Result<Rewrite> {
    let regions = b.func.op(op).regions.clone();
    let index = constant(b, operand(b, op, 0)).map(|c| c.get_i64(0));
    let taken = match (&b.func.op(op).kind, index) {
        (OpKind::Case, _) if regions.len() == 1 => 0,
        (OpKind::If, Some(predicate)) => usize::from(predicate == 0),
        // An index out of range takes the last branch.
        (OpKind::Case, Some(index)) => usize::try_from(index).unwrap_or(usize::MAX).min(regions.len() - 1),
        _ => return Ok(Rewrite::Keep),
    };
    let branch = regions[taken];
    let ops = std::mem::take(&mut b.func.region_mut(branch).ops);
    let results = b.func.region(branch).results.clone();
    b.func.region_mut(b.region).ops.extend(ops);
    Ok(Rewrite::Replace(results))
}

pub(super) fn while_loop(b: &mut Builder<'_>, op: OpId) -> Result<Rewrite> {
    let condition = b.func.region(b.func.op(op).regions[0]).results[0];
    let never = constant(b, condition).is_some_and(|c| c.get_i64(0) == 0);
    Ok(if never {
        Rewrite::Replace(b.func.op(op).operands.to_vec())
    } else {
        Rewrite::Keep
    })
}
