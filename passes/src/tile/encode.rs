//! Instruction streams, transfers and variables from a placed and synchronised program: `encode`.
//!
//! A matmul becomes the load of its stationary operand, unless it is loaded still, and the multiplication; a change of
//! activation function loads the function's table set first. An instruction has one wait and one update; further waits
//! are semaphore instructions before it.

use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::isa::{
    self, Ap, Indirect, Instr, Queue, Transfer, Update, UpdateAt, UpdateKind, Var, VarId, VarKind, Wait,
};
use ferrite_ir::loc::LocId;
use ferrite_ir::machine::{Engine, MachineModel};
use ferrite_ir::tile::{BufferKind, Inst, Mem, OpKind, Program, Touched, View};

use super::encode_dma::encode_piece;
use super::place::Placement;
use super::synchronise::{OpSync, RELEASE, SyncPlan, Waits, counter_of};

struct Encoder<'a> {
    program: &'a Program,
    placement: &'a Placement,
    machine: &'a MachineModel,
    out: isa::Program,
    vars: Vec<Option<VarId>>,
    table_set: u8,
    /// Number of resets that an engine has not yet waited for.
    pending_release: [u32; 5],
}

/// Encodes a program.
///
/// # Errors
/// A program whose parts do not belong together: a defect of a pass before.
pub fn encode(
    program: &Program,
    placement: &Placement,
    plan: &SyncPlan,
    machine: &MachineModel,
) -> Result<isa::Program> {
    if plan.ops.len() != program.ops.len() || placement.tiles.len() != program.tiles.len() {
        return Err(Diagnostic::bug("the placement or the plan belongs to another program"));
    }
    let mut out = isa::Program::new(machine.name.clone());
    out.inputs = program.inputs.clone();
    out.outputs = program.outputs.clone();
    out.locs = program.locs.clone();
    out.model_flops = program.model_flops;
    let vars = variables(program, placement, &mut out);
    let mut encoder = Encoder {
        program,
        placement,
        machine,
        out,
        vars,
        table_set: machine.scalar.table_sets.resident as u8,
        pending_release: [0; 5],
    };
    let mut resets = plan.resets.iter().enumerate().peekable();
    for (index, sync) in plan.ops.iter().enumerate() {
        while let Some((number, reset)) = resets.next_if(|(_, r)| r.before == index) {
            encoder.reset(&reset.waits, Some(number as u32 + 1));
        }
        encoder.op(index, sync)?;
    }
    for (_, reset) in resets {
        if plan.semaphores > 0 {
            encoder.reset(&reset.waits, None);
            // Left as found, so that the program may run again.
            let clear = isa::Op::RangeClear {
                first: 0,
                count: plan.semaphores,
            };
            encoder.push(Engine::Sync, Instr::new(clear, LocId::UNKNOWN));
        }
    }
    Ok(encoder.out)
}

fn variables(program: &Program, placement: &Placement, out: &mut isa::Program) -> Vec<Option<VarId>> {
    let mut used = vec![false; program.buffers.len()];
    for op in &program.ops {
        op.for_each(|_, touched| match touched {
            Touched::Hbm(h) => used[h.buffer.index()] = true,
            Touched::Buffer(b) => used[b.index()] = true,
            Touched::Tile(_) => {}
        });
    }
    let mut names = std::collections::BTreeSet::new();
    let mut vars = Vec::with_capacity(program.buffers.len());
    for (index, buffer) in program.buffers.iter().enumerate() {
        let (kind, data) = match &buffer.kind {
            BufferKind::Input(i) => (VarKind::Input { index: *i }, None),
            BufferKind::Output(i) => (VarKind::Output { index: *i }, None),
            _ if !used[index] => {
                vars.push(None);
                continue;
            }
            BufferKind::Const(data) => (VarKind::Const, Some(data.clone())),
            BufferKind::Scratch => (
                VarKind::Scratch {
                    offset: placement.scratch[index],
                },
                None,
            ),
        };
        let mut name = buffer.name.clone();
        if name.is_empty() || names.contains(&name) {
            name = format!("{}_{index}", buffer.name);
            while names.contains(&name) {
                name.push('_');
            }
        }
        names.insert(name.clone());
        vars.push(Some(VarId(out.vars.len() as u32)));
        out.vars.push(Var {
            name,
            kind,
            bytes: buffer.bytes,
            data,
        });
    }
    vars
}

impl Encoder<'_> {
    fn push(&mut self, engine: Engine, instr: Instr) {
        let resets = std::mem::take(&mut self.pending_release[engine.index()]);
        if resets > 0 {
            let mut release = Instr::new(isa::Op::Semaphore, instr.loc);
            release.wait = Some(Wait {
                semaphore: RELEASE,
                value: resets,
            });
            self.out.streams[engine.index()].push(release);
        }
        self.out.streams[engine.index()].push(instr);
    }

    /// All waits but the last as instructions of their own; the last is returned.
    fn waits(&mut self, engine: Engine, waits: &Waits, loc: LocId) -> Option<Wait> {
        let mut last = None;
        for &(semaphore, value) in waits {
            if let Some(wait) = last.replace(Wait { semaphore, value }) {
                let mut instr = Instr::new(isa::Op::Semaphore, loc);
                instr.wait = Some(wait);
                self.push(engine, instr);
            }
        }
        last
    }

    /// SyncE waits for everything; then, but at the end, clears all semaphores and releases the others.
    /// The releasing semaphore itself is not cleared: it counts the resets.
    fn reset(&mut self, waits: &[(u16, u32)], number: Option<u32>) {
        for &(semaphore, value) in waits {
            let mut instr = Instr::new(isa::Op::Semaphore, LocId::UNKNOWN);
            instr.wait = Some(Wait { semaphore, value });
            self.push(Engine::Sync, instr);
        }
        let Some(number) = number else { return };
        let total = self.machine.sync.semaphores as u16;
        for (first, count) in [(0, RELEASE), (RELEASE + 1, total.saturating_sub(RELEASE + 1))] {
            let clear = isa::Op::RangeClear { first, count };
            self.push(Engine::Sync, Instr::new(clear, LocId::UNKNOWN));
        }
        let mut release = Instr::new(isa::Op::Semaphore, LocId::UNKNOWN);
        release.update = Some(Update {
            semaphore: RELEASE,
            kind: UpdateKind::Add(1),
            at: UpdateAt::Complete,
        });
        self.push(Engine::Sync, release);
        for engine in Engine::ALL {
            if engine != Engine::Sync {
                self.pending_release[engine.index()] = number;
            }
        }
    }

    fn ap(&self, view: &View) -> Ap {
        Ap {
            space: self.program.tile(view.tile).space,
            partition: view.partition,
            partitions: view.partitions,
            offset: self.placement.tiles[view.tile.index()] + view.offset,
            dtype: view.dtype,
            dims: view.dims.clone(),
        }
    }

    fn queue(&mut self, owner: Engine, purpose: &str) -> u16 {
        let engine = match owner {
            Engine::Tensor => "Tensor",
            Engine::Vector => "Vector",
            Engine::Scalar => "Scalar",
            Engine::GpSimd => "GpSimd",
            Engine::Sync => "Sync",
        };
        let name = format!("q{engine}{purpose}0");
        let found = self.out.queues.iter().position(|q| q.name == name);
        let index = found.unwrap_or_else(|| {
            self.out.queues.push(Queue { name, owner });
            self.out.queues.len() - 1
        });
        index as u16
    }

    fn op(&mut self, index: usize, sync: &OpSync) -> Result<()> {
        let program = self.program;
        let op = &program.ops[index];
        let bug = |text: &str| {
            Diagnostic::bug(format!("tile operation {index} `{}` {text}", op.name())).at(program.locs.get(op.loc))
        };
        let Some(engine) = op.engine else {
            return Err(bug("has no engine"));
        };
        let (body, loc) = match &op.kind {
            OpKind::Matmul {
                dst,
                stationary,
                moving,
                accumulate,
                transpose,
            } => {
                if sync.loads {
                    let src = self.ap(stationary);
                    let wait = self.waits(engine, &sync.load_waits, op.loc);
                    let mut load = Instr::new(isa::Op::LoadStationary { src }, op.loc);
                    load.wait = wait;
                    self.push(engine, load);
                }
                let multiply = isa::Op::MultiplyMoving {
                    dst: self.ap(dst),
                    moving: self.ap(moving),
                    accumulate: *accumulate,
                    transpose: *transpose,
                };
                (multiply, op.loc)
            }
            OpKind::Compute(inst) => {
                if let Inst::Activation { func, .. } = inst {
                    let set = func.table_set();
                    if set != self.table_set && u64::from(set) != self.machine.scalar.table_sets.resident {
                        self.table_set = set;
                        self.push(engine, Instr::new(isa::Op::ActTableLoad { set }, op.loc));
                    }
                }
                let mapped: Result<_, std::convert::Infallible> = inst.try_map(&mut |_, view| Ok(self.ap(view)));
                let Ok(mapped) = mapped;
                (isa::Op::Compute(mapped), op.loc)
            }
            OpKind::Dma(pieces) => {
                let Some(semaphore) = sync.transfer else {
                    return Err(bug("has no semaphore"));
                };
                let mut elements = Vec::with_capacity(pieces.len());
                let mut scratch = true;
                for piece in pieces {
                    encode_piece(piece, self.placement, self.machine, &self.vars, &mut elements);
                    for mem in [&piece.src, &piece.dst] {
                        if let Mem::Hbm(h) = mem {
                            scratch &= matches!(program.buffer(h.buffer).kind, BufferKind::Scratch);
                        }
                    }
                }
                // Intermediate values have rings of their own, so that they do not queue behind prefetched weights.
                let queue = self.queue(engine, if scratch { "SpillReload" } else { "IO" });
                let transfer = self.out.transfers.len() as u32;
                self.out.transfers.push(Transfer {
                    queue,
                    semaphore,
                    elements,
                    loc: op.loc,
                });
                (isa::Op::DmaTrigger { transfer }, op.loc)
            }
            OpKind::Indirect(i) => {
                let (Some(semaphore), Some(var)) = (sync.transfer, self.vars[i.buffer.index()]) else {
                    return Err(bug("has no semaphore or no variable"));
                };
                let queue = self.queue(engine, "DynamicSW");
                let indirect = Indirect {
                    kind: i.kind,
                    queue,
                    semaphore,
                    tile: self.ap(&i.tile),
                    index: self.ap(&i.index),
                    var,
                    offset: i.offset,
                    row_step: i.row_step,
                    row_bytes: i.row_bytes,
                    rows: i.rows,
                    out_of_bounds: i.out_of_bounds,
                };
                (isa::Op::DmaIndirect(Box::new(indirect)), op.loc)
            }
        };
        let wait = self.waits(engine, &sync.waits, loc);
        let mut instr = Instr::new(body, loc);
        instr.wait = wait;
        if sync.signals {
            instr.update = Some(Update {
                semaphore: counter_of(engine),
                kind: UpdateKind::Add(1),
                at: UpdateAt::Complete,
            });
        }
        self.push(engine, instr);
        Ok(())
    }
}
