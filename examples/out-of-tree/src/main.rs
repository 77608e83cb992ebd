//! A compiler of one's own: Ferrite with a pass, e-graph rules, a scheduler, a pipeline and a machine that it does not know.

mod fold;
mod rules;
mod scheduler;

use std::process::ExitCode;

use ferrite_driver::Extensions;
use ferrite_ir::machine::MachineModel;
use ferrite_passes::hlo::egraph::Egraph;

fn main() -> ExitCode {
    let inf2 = MachineModel::target_text("inf2").unwrap_or_default(); // or a file: include_str!("mine.toml")
    let mine = inf2.replace("name = \"inf2\"", "name = \"mine\"");
    let more = Extensions::default()
        .hlo(|| fold::FoldIdempotent)
        .hlo(|| Egraph::default().with(rules::MINE))
        .tile(scheduler::AdvanceLoads::default)
        .pipeline("-O2", "-O2,fold-idempotent,remove-dead-ops")
        .machine(&mine);
    more.map_or(ExitCode::FAILURE, ferrite_cli::ferrite::run_process)
}
