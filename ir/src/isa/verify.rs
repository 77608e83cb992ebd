//! Structural rules of a program: every index points at something, every access stays inside its variable.
//!
//! Limits of the machine (partition starts, free sizes, banks) are not here: the simulator's legality checker judges
//! them independently of the compiler.

use super::{DmaAccess, DmaOp, DmaSpace, Engine, Op, Program};
use crate::diag::{Code, Diagnostic, Result};

/// Checks the structure of a program.
///
/// # Errors
/// The first rule that is broken, with the instruction or transfer that breaks it.
pub fn verify(program: &Program) -> Result<()> {
    let bad = |text: String| Err(Diagnostic::error(Code::BadNeff, text));
    for (index, queue) in program.queues.iter().enumerate() {
        if program.queues[..index].iter().any(|q| q.name == queue.name) {
            return bad(format!("queue `{}` is declared twice", queue.name));
        }
    }
    for (number, transfer) in program.transfers.iter().enumerate() {
        if transfer.queue as usize >= program.queues.len() {
            return bad(format!(
                "transfer {number} names queue {} of {}",
                transfer.queue,
                program.queues.len()
            ));
        }
        for element in &transfer.elements {
            access(program, number, &element.src)?;
            access(program, number, &element.dst)?;
            if element.src.elements() != element.dst.elements() {
                return bad(format!(
                    "transfer {number} copies {} elements into {}",
                    element.src.elements(),
                    element.dst.elements()
                ));
            }
            if element.op == DmaOp::Copy && element.src.dtype.bytes() != element.dst.dtype.bytes() {
                return bad(format!(
                    "transfer {number} copies between elements of different size without a cast"
                ));
            }
        }
    }
    for engine in Engine::ALL {
        let stream = program.stream(engine);
        for (index, instr) in stream.iter().enumerate() {
            match &instr.op {
                Op::DmaTrigger { transfer, .. } if *transfer as usize >= program.transfers.len() => {
                    return bad(format!(
                        "{engine} instruction {index} starts transfer {transfer}, which does not exist"
                    ));
                }
                Op::Branch { target, .. } if *target as usize > stream.len() => {
                    return bad(format!(
                        "{engine} instruction {index} branches to {target}, past the end"
                    ));
                }
                Op::DmaIndirect(indirect) => {
                    let mut vars = std::iter::once(&indirect.var).chain(&indirect.others);
                    if let Some(var) = vars.find(|v| v.0 as usize >= program.vars.len()) {
                        return bad(format!("{engine} instruction {index} names variable {}", var.0));
                    }
                    if indirect.queue as usize >= program.queues.len() {
                        return bad(format!("{engine} instruction {index} names queue {}", indirect.queue));
                    }
                    if indirect.counter.is_none() && !indirect.others.is_empty() {
                        return bad(format!(
                            "{engine} instruction {index} has variables that no counter picks"
                        ));
                    }
                }
                Op::Collective(c) if c.src.0.max(c.dst.0) as usize >= program.vars.len() => {
                    return bad(format!(
                        "{engine} instruction {index} names variable {}",
                        c.src.0.max(c.dst.0)
                    ));
                }
                Op::Collective(c) if c.queue as usize >= program.queues.len() => {
                    return bad(format!("{engine} instruction {index} names queue {}", c.queue));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn access(program: &Program, transfer: usize, access: &DmaAccess) -> Result<()> {
    let DmaSpace::Hbm(var) = access.space else {
        return Ok(());
    };
    let Some(var) = program.vars.get(var.0 as usize) else {
        return Err(Diagnostic::error(
            Code::BadNeff,
            format!("transfer {transfer} names variable {}", var.0),
        ));
    };
    let (mut low, mut high) = (
        access.offset as i128,
        access.offset as i128 + access.dtype.bytes() as i128,
    );
    for d in &access.dims {
        let reach = d.step as i128 * (d.count as i128 - 1);
        if reach < 0 { low += reach } else { high += reach }
    }
    if low < 0 || high > var.bytes as i128 {
        return Err(Diagnostic::error(
            Code::BadNeff,
            format!(
                "transfer {transfer} touches bytes {low}..{high} of `{}`, which has {}",
                var.name, var.bytes
            ),
        ));
    }
    Ok(())
}
