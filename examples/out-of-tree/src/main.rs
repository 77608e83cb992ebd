//! A compiler of one's own: Ferrite with a pass, a pipeline and a machine that it does not know.

use std::process::ExitCode;

use ferrite_driver::Extensions;
use ferrite_ir::diag::Result;
use ferrite_ir::hlo::{BinaryOp, Module, OpId, OpKind};
use ferrite_ir::machine::MachineModel;
use ferrite_passes::pass::{Changed, HloPass, PassContext};

/// `max(x, x)` and `min(x, x)` are `x`.
struct FoldIdempotent;

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

fn main() -> ExitCode {
    let inf2 = MachineModel::target_text("inf2").unwrap_or_default(); // or a file: include_str!("mine.toml")
    let mine = inf2.replace("name = \"inf2\"", "name = \"mine\"");
    let more = Extensions::default().hlo(|| FoldIdempotent);
    let more = more.pipeline("-O2", "-O2,fold-idempotent,remove-dead-ops");
    let more = more.machine(&mine);
    more.map_or(ExitCode::FAILURE, ferrite_cli::ferrite::run_process)
}
