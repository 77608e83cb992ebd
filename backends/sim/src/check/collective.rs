//! Judges collectives.

use ferrite_ir::isa::{AluOp, Collective, CollectiveKind, Program};
use ferrite_ir::machine::MachineModel;

use super::operands::{Rule, must};

/// Checks a collective: operand and result inside their variables, a reduction that exists, groups that are groups.
pub fn collective(c: &Collective, program: &Program, model: &MachineModel) -> Rule {
    must!(
        u64::from(c.semaphore) < model.sync.semaphores,
        "there is no semaphore {}: a core has {}",
        c.semaphore,
        model.sync.semaphores
    );
    let size = c.dtype.bytes() as u64;
    must!(
        c.bytes > 0 && size > 0 && c.bytes.is_multiple_of(size),
        "{} bytes are no whole elements of {}",
        c.bytes,
        c.dtype
    );
    for (what, var, offset, bytes) in [
        ("operand", c.src, c.src_offset, c.bytes),
        ("result", c.dst, c.dst_offset, c.result_bytes()),
    ] {
        let Some(var) = program.vars.get(var.0 as usize) else {
            return Err(format!("the {what} is variable {}, which does not exist", var.0));
        };
        let end = offset.checked_add(bytes);
        must!(
            end.is_some_and(|end| end <= var.bytes),
            "the {what} is bytes {offset}..{} of `{}`, which has {}",
            end.unwrap_or(u64::MAX),
            var.name,
            var.bytes
        );
    }
    let reduces = matches!(c.kind, CollectiveKind::AllReduce | CollectiveKind::ReduceScatter);
    must!(
        !reduces || matches!(c.op, AluOp::Add | AluOp::Max | AluOp::Min),
        "does not reduce with `{}`",
        c.op.name()
    );
    let parts = matches!(c.kind, CollectiveKind::ReduceScatter | CollectiveKind::AllToAll);
    must!(
        !parts || c.bytes.is_multiple_of(c.ranks() * size),
        "{} bytes do not divide among {} cores",
        c.bytes,
        c.ranks()
    );
    let permutes = c.kind == CollectiveKind::Permute;
    let mut seen = std::collections::BTreeSet::new();
    for group in &c.groups {
        let want = if permutes { 2 } else { c.ranks() as usize };
        must!(
            group.len() == want,
            "a group of {} cores among groups of {want}",
            group.len()
        );
        for (place, &rank) in group.iter().enumerate() {
            let role = if permutes { place } else { 0 };
            must!(seen.insert((role, rank)), "core {rank} is in two groups");
        }
    }
    Ok(())
}
