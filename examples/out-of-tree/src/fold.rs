//! A pass over tensors.

use ferrite_ir::diag::Result;
use ferrite_ir::hlo::{BinaryOp, Module, OpId, OpKind};
use ferrite_passes::pass::{Changed, HloPass, PassContext};

/// `max(x, x)` and `min(x, x)` are `x`.
pub struct FoldIdempotent;

impl HloPass for FoldIdempotent {
    const NAME: &'static str = "fold-idempotent";
    const DOC: &'static str = "Replaces the maximum or minimum of a value and itself by the value.";

    fn run(&self, module: &mut Module, _: &mut PassContext<'_>) -> Result<Changed> {
        let mut changed = Changed::No;
        for func in &mut module.funcs {
            for id in (0..func.op_count() as u32).map(OpId) {
                let op = func.op(id);
                let fits = matches!(op.kind, OpKind::Binary(BinaryOp::Maximum | BinaryOp::Minimum));
                if fits && op.operands[0] == op.operands[1] {
                    func.replace_uses(func.result(id), func.op(id).operands[0]);
                    changed = Changed::Yes;
                }
            }
        }
        Ok(changed)
    }
}
