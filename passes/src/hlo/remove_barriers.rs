//! Removes optimization barriers, once nothing more is to be kept apart.
//!
//! Before                              After
//!   %1 = optimization_barrier %0        (uses of %1 read %0)
//!
//! Needs: verified `hlo`. Leaves: verified `hlo` without `optimization_barrier`. Runs after the last pass that merges or
//! moves operations across one: barriers keep recomputation (rematerialisation) from being undone.

use ferrite_ir::diag::Result;
use ferrite_ir::hlo::{Module, OpKind};

use super::rewrite::{Rewrite, rewrite_module};
use crate::pass::{Changed, HloPass, PassContext};

/// See the module's own text.
pub struct RemoveBarriers;

impl HloPass for RemoveBarriers {
    const NAME: &'static str = "remove-barriers";
    const DOC: &'static str = "Removes optimization barriers once nothing more is to be kept apart.";

    fn run(&self, module: &mut Module, _: &mut PassContext<'_>) -> Result<Changed> {
        rewrite_module(module, |b, op| {
            let op = b.func.op(op);
            Ok(match op.kind {
                OpKind::OptimizationBarrier => Rewrite::Replace(op.operands.to_vec()),
                _ => Rewrite::Keep,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{module, ops, run};
    use super::*;
    use ferrite_ir::dtype::DType;

    #[test]
    fn barriers_pass_their_operands_through() -> Result<()> {
        let mut m = module(&[(DType::F32, &[4]), (DType::F32, &[2])], |b, args| {
            b.op(OpKind::OptimizationBarrier, args, None)
        });
        assert_eq!(run(RemoveBarriers, &mut m)?, Changed::Yes);
        assert!(ops(&m).is_empty());
        Ok(())
    }
}
