//! Registers and branches: the sequencer's own instructions.

use ferrite_ir::diag::Diagnostic;
use ferrite_ir::isa::{BranchCond, Engine, Op, Reg, RegOp, RegOrImm};

use super::Run;
use crate::stats::Span;

/// A register: never set, set from data that a timing-only run does not have, or known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Register {
    Unset,
    Unknown,
    Known(i32),
}

impl Run<'_> {
    /// Runs an instruction of the sequencer; `now` is how far its engine is.
    pub(super) fn sequence(&mut self, now: u64, e: usize, pc: u32, rare: u32) -> Result<(), Diagnostic> {
        let instr = &self.prepared.rare[rare as usize];
        let step = &self.prepared.streams[e][pc as usize];
        let depth = self.model.sync.execution_queue_depth.max(1) as usize;
        let state = &self.engines[e];
        // There is no room in a full queue before its oldest instruction has started.
        let room = match state.started.front() {
            Some(&oldest) if state.started.len() >= depth => oldest,
            _ => 0,
        };
        let start = state.sequencer.max(room);
        if let Some(tracker) = &mut self.tracker {
            tracker
                .start(Engine::ALL[e], pc, start, None, (0, 0))
                .map_err(|text| self.illegal(now, e, pc, text))?;
        }
        let end = start + step.time.occupancy;
        let target = self.control(e, pc, start, &instr.op)?;
        let next = target.unwrap_or(pc + 1);
        let fetch = target.map_or(0, |t| self.model.branch_fetch_ps(pc, t));
        let state = &mut self.engines[e];
        state.sequencer = end + fetch;
        state.busy.add(start, end);
        state.instructions += 1;
        state.opcodes[step.name as usize] += 1;
        state.pc = next;
        self.end = self.end.max(end);
        if let Some(record) = &mut self.record {
            record.spans.push(Span {
                track: e as u32,
                name: u32::from(step.name),
                start_ps: start,
                end_ps: end,
                bytes: 0,
                instruction: pc,
                location: instr.loc,
            });
        }
        Ok(())
    }

    /// What a register or branch instruction does; the target of a branch that is taken.
    pub(super) fn control(&mut self, e: usize, pc: u32, now: u64, op: &Op) -> Result<Option<u32>, Diagnostic> {
        match op {
            Op::RegMove { dst, value } => {
                let value = self.value(now, e, pc, *value)?;
                self.set(e, *dst, value);
            }
            Op::RegAlu { dst, op, a, b } => {
                let (a, b) = (self.value(now, e, pc, *a)?, self.value(now, e, pc, *b)?);
                let value = match (a, b) {
                    (Register::Known(a), Register::Known(b)) => Register::Known(match op {
                        RegOp::Add => a.wrapping_add(b),
                        RegOp::Subtract => a.wrapping_sub(b),
                        RegOp::Multiply => a.wrapping_mul(b),
                        RegOp::Max => a.max(b),
                        RegOp::Min => a.min(b),
                    }),
                    _ => Register::Unknown,
                };
                self.set(e, *dst, value);
            }
            Op::RegLoad { dst, src } => {
                let value = match &self.data {
                    Some(data) => {
                        let mut raw = Vec::new();
                        data.memory.load_raw_row(src, 0, &mut raw);
                        Register::Known(raw.first().map_or(0, |&x| x as i32))
                    }
                    None => Register::Unknown,
                };
                self.set(e, *dst, value);
            }
            Op::Branch { cond, a, b, target } => {
                let taken = match (cond, self.value(now, e, pc, *a)?, self.value(now, e, pc, *b)?) {
                    (BranchCond::Always, _, _) => true,
                    (cond, Register::Known(a), Register::Known(b)) => match cond {
                        BranchCond::Always => true,
                        BranchCond::Lt => a < b,
                        BranchCond::Le => a <= b,
                        BranchCond::Eq => a == b,
                        BranchCond::Ne => a != b,
                        BranchCond::Ge => a >= b,
                        BranchCond::Gt => a > b,
                    },
                    _ => {
                        let text = "branches on a value in memory, which a timing-only run does not have";
                        return Err(self
                            .illegal(now, e, pc, text.into())
                            .help("run the program with inputs instead"));
                    }
                };
                return Ok(taken.then_some(*target));
            }
            _ => {}
        }
        Ok(None)
    }

    fn set(&mut self, e: usize, register: Reg, value: Register) {
        if let Some(slot) = self.engines[e].registers.get_mut(register.0 as usize) {
            *slot = value;
        }
    }

    pub(super) fn value(&self, now: u64, e: usize, pc: u32, value: RegOrImm) -> Result<Register, Diagnostic> {
        match value {
            RegOrImm::Imm(x) => Ok(Register::Known(x)),
            RegOrImm::Reg(r) => match self.engines[e].registers.get(r.0 as usize) {
                Some(Register::Unset) | None => {
                    Err(self.illegal(now, e, pc, format!("reads register {}, which nothing set", r.0)))
                }
                Some(known) => Ok(*known),
            },
        }
    }
}
