//! Instruction streams, transfers and variables from a placed and synchronised program: `encode`.
//!
//! A matmul becomes the load of its stationary operand, unless it is loaded still, and the multiplication; a change of
//! activation function loads the function's table set first. An instruction has one wait and one update; further waits
//! are semaphore instructions before it. Loops and branches are the same on every engine, each with its own registers.

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::isa::{
    self, Ap, BranchCond, DgeMode, DmaSpace, Indirect, Instr, Queue, Reg, RegOp, RegOrImm, Transfer, Update, UpdateAt,
    UpdateKind, Var, VarId, VarKind, Wait,
};
use ferrite_ir::loc::LocId;
use ferrite_ir::machine::{Engine, MachineModel};
use ferrite_ir::tile::{BufferId, BufferKind, Control, Inst, Mem, OpKind, Program, View};

use super::encode_dma::encode_piece;
use super::names::used_buffers;
use super::place::Placement;
use super::synchronise::{FIRST_TRANSFER, OpSync, SyncPlan, Waits, counter_of, is_released, release_of};

struct Encoder<'a> {
    program: &'a Program,
    placement: &'a Placement,
    machine: &'a MachineModel,
    out: isa::Program,
    vars: Vec<Option<VarId>>,
    /// Table set of activation functions that is loaded; none where paths meet.
    table_set: Option<u8>,
    /// Loops and selections that are open.
    open: Vec<Open>,
}

/// A position in each engine's stream.
type Positions = [u32; 5];

/// A loop or selection whose end is not reached.
struct Open {
    /// Whether it is a loop.
    repeats: bool,
    /// Where a loop's body begins.
    start: Positions,
    /// Of a selection: branch instructions to the branches still to come, next one last, and those to the end.
    dispatch: Vec<Positions>,
    leave: Vec<Positions>,
}

/// Variables with this number and later ones stand for buffers that are per trip: the number of the buffer follows.
const FIRST_PER_TRIP: u32 = 1 << 31;

/// Register that holds what is tested.
const TEST: Reg = Reg(0);

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
        table_set: Some(machine.scalar.table_sets.resident as u8),
        open: Vec::new(),
    };
    let mut resets = plan.resets.iter().peekable();
    for (index, sync) in plan.ops.iter().enumerate() {
        while let Some(reset) = resets.next_if(|r| r.before == index) {
            encoder.meet(&reset.waits);
            encoder.release(plan.semaphores);
        }
        match program.ops[index].control() {
            Some(control) => encoder.control(control, program.ops[index].loc)?,
            None => encoder.op(index, sync)?,
        }
    }
    for reset in resets {
        if plan.semaphores > 0 {
            encoder.meet(&reset.waits);
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
    let used = used_buffers(program);
    let mut names = std::collections::BTreeSet::new();
    let mut vars = Vec::with_capacity(program.buffers.len());
    for (index, buffer) in program.buffers.iter().enumerate() {
        let (kind, data) = match &buffer.kind {
            BufferKind::Input(i) => (VarKind::Input { index: *i }, None),
            BufferKind::Output(i) => (VarKind::Output { index: *i }, None),
            BufferKind::PerTrip(_) => {
                // No variable: its members have theirs. The number stands for it until they take its place.
                vars.push(Some(VarId(FIRST_PER_TRIP + index as u32)));
                continue;
            }
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

    /// SyncE waits for everything.
    fn meet(&mut self, waits: &[(u16, u32)]) {
        for &(semaphore, value) in waits {
            let mut instr = Instr::new(isa::Op::Semaphore, LocId::UNKNOWN);
            instr.wait = Some(Wait { semaphore, value });
            self.push(Engine::Sync, instr);
        }
    }

    /// SyncE clears the semaphores in use and releases the others, each of which clears what released it and counts that.
    fn release(&mut self, semaphores: u16) {
        let counters = Engine::ALL.len() as u16;
        let transfers = semaphores.saturating_sub(FIRST_TRANSFER);
        for (first, count) in [(0, counters), (FIRST_TRANSFER, transfers)] {
            if count > 0 {
                let clear = isa::Op::RangeClear { first, count };
                self.push(Engine::Sync, Instr::new(clear, LocId::UNKNOWN));
            }
        }
        let add = |semaphore| Update {
            semaphore,
            kind: UpdateKind::Add(1),
            at: UpdateAt::Complete,
        };
        for engine in Engine::ALL.into_iter().filter(|&e| is_released(e)) {
            let semaphore = release_of(engine);
            let mut release = Instr::new(isa::Op::Semaphore, LocId::UNKNOWN);
            release.update = Some(add(semaphore));
            self.push(Engine::Sync, release);
            let clear = isa::Op::RangeClear {
                first: semaphore,
                count: 1,
            };
            let mut taken = Instr::new(clear, LocId::UNKNOWN);
            taken.wait = Some(Wait { semaphore, value: 1 });
            taken.update = Some(add(counter_of(engine)));
            self.push(engine, taken);
        }
    }

    fn positions(&self) -> Positions {
        std::array::from_fn(|e| self.out.streams[e].len() as u32)
    }

    /// The same instruction on every engine; where they lie.
    fn everywhere(&mut self, op: &isa::Op, loc: LocId) -> Positions {
        let at = self.positions();
        for engine in Engine::ALL {
            self.push(engine, Instr::new(op.clone(), loc));
        }
        at
    }

    /// Lets branches that were encoded before their target was known go on here.
    fn land(&mut self, branches: &[Positions]) {
        let here = self.positions();
        for positions in branches {
            for (e, &at) in positions.iter().enumerate() {
                if let Some(isa::Op::Branch { target, .. }) =
                    self.out.streams[e].get_mut(at as usize).map(|i| &mut i.op)
                {
                    *target = here[e];
                }
            }
        }
    }

    /// Register that counts the repetitions of the innermost loop.
    fn counter(&self, loc: LocId) -> Result<Reg> {
        let number = self.open.iter().rposition(|o| o.repeats).map_or(0, |at| at + 1) as u64;
        if number >= self.machine.sync.registers_per_sequencer {
            return Err(Diagnostic::error(
                Code::Unsupported,
                format!(
                    "loops are nested deeper than the {} registers of a sequencer",
                    self.machine.sync.registers_per_sequencer
                ),
            )
            .at(self.program.locs.get(loc))
            .help("move inner loops out, or join nested loops into one"));
        }
        Ok(Reg(number as u8))
    }

    /// Loops and branches, the same on every engine, after all have met.
    fn control(&mut self, control: Control, loc: LocId) -> Result<()> {
        let branch = |cond, a, b| isa::Op::Branch { cond, a, b, target: 0 };
        let always = branch(BranchCond::Always, RegOrImm::Imm(0), RegOrImm::Imm(0));
        let stray = || Diagnostic::bug(format!("`{}` has no beginning", control.name()));
        // What is loaded depends on the way here.
        self.table_set = None;
        match control {
            Control::Loop => {
                self.open.push(Open {
                    repeats: true,
                    start: [0; 5],
                    dispatch: Vec::new(),
                    leave: Vec::new(),
                });
                let dst = self.counter(loc)?;
                let value = RegOrImm::Imm(0);
                self.everywhere(&isa::Op::RegMove { dst, value }, loc);
                let start = self.positions();
                if let Some(open) = self.open.last_mut() {
                    open.start = start;
                }
            }
            Control::Repeat(times) => {
                let dst = self.counter(loc)?;
                let count = isa::Op::RegAlu {
                    dst,
                    op: RegOp::Add,
                    a: RegOrImm::Reg(dst),
                    b: RegOrImm::Imm(1),
                };
                self.everywhere(&count, loc);
                let last = RegOrImm::Imm(i32::try_from(times).unwrap_or(i32::MAX));
                let back = branch(BranchCond::Lt, RegOrImm::Reg(dst), last);
                self.repeat(&back, loc).ok_or_else(stray)?;
            }
            Control::RepeatWhile => {
                let back = branch(BranchCond::Ne, RegOrImm::Reg(TEST), RegOrImm::Imm(0));
                self.repeat(&back, loc).ok_or_else(stray)?;
            }
            Control::Switch(branches) => {
                let mut dispatch = Vec::new();
                for number in 0..branches {
                    let go = if number + 1 < branches {
                        branch(BranchCond::Eq, RegOrImm::Reg(TEST), RegOrImm::Imm(number as i32))
                    } else {
                        always.clone()
                    };
                    dispatch.push(self.everywhere(&go, loc));
                }
                dispatch.reverse();
                let first = dispatch.pop();
                self.land(first.as_slice());
                self.open.push(Open {
                    repeats: false,
                    start: [0; 5],
                    dispatch,
                    leave: Vec::new(),
                });
            }
            Control::NextBranch => {
                let leave = self.everywhere(&always, loc);
                let open = self.open.last_mut().ok_or_else(stray)?;
                open.leave.push(leave);
                let next = open.dispatch.pop();
                self.land(next.as_slice());
            }
            Control::EndSwitch => {
                let open = self.open.pop().ok_or_else(stray)?;
                self.land(&open.leave);
            }
        }
        Ok(())
    }

    /// Ends the innermost loop with a branch to its start.
    fn repeat(&mut self, back: &isa::Op, loc: LocId) -> Option<()> {
        let at = self.everywhere(back, loc);
        let open = self.open.pop()?;
        for (e, &index) in at.iter().enumerate() {
            if let Some(isa::Op::Branch { target, .. }) = self.out.streams[e].get_mut(index as usize).map(|i| &mut i.op)
            {
                *target = open.start[e];
            }
        }
        Some(())
    }

    /// The variable that one stands for in a repetition of the loop.
    fn var_in(&self, var: VarId, trip: usize) -> VarId {
        let member =
            var.0
                .checked_sub(FIRST_PER_TRIP)
                .and_then(|buffer| match &self.program.buffer(BufferId(buffer)).kind {
                    BufferKind::PerTrip(members) => self.vars[members.get(trip)?.index()],
                    _ => None,
                });
        member.unwrap_or(var)
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
            self.out.queues.push(Queue {
                name,
                owner,
                dge: DgeMode::Static,
            });
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
                    if Some(set) != self.table_set && u64::from(set) != self.machine.scalar.table_sets.resident {
                        self.table_set = Some(set);
                        self.push(engine, Instr::new(isa::Op::ActTableLoad { set }, op.loc));
                    }
                }
                let mapped: Result<_, std::convert::Infallible> = inst.try_map(&mut |_, view| Ok(self.ap(view)));
                let Ok(mapped) = mapped;
                (isa::Op::Compute(mapped), op.loc)
            }
            OpKind::LoadTest { src } => {
                let src = self.ap(src);
                (isa::Op::RegLoad { dst: TEST, src }, op.loc)
            }
            OpKind::Control(_) => return Err(bug("is no operation of one engine")),
            OpKind::Dma(pieces) => {
                let Some(semaphore) = sync.transfer else {
                    return Err(bug("has no semaphore"));
                };
                let mut elements = Vec::with_capacity(pieces.len());
                let mut scratch = true;
                let mut trips = None;
                for piece in pieces {
                    encode_piece(piece, self.placement, self.machine, &self.vars, &mut elements);
                    for mem in [&piece.src, &piece.dst] {
                        if let Mem::Hbm(h) = mem {
                            let members = program.members(&h.buffer);
                            let own = |m: &BufferId| matches!(program.buffer(*m).kind, BufferKind::Scratch);
                            scratch &= members.iter().all(own);
                            if let BufferKind::PerTrip(members) = &program.buffer(h.buffer).kind {
                                trips = Some(members.len());
                            }
                        }
                    }
                }
                // Intermediate values have rings of their own, so that they do not queue behind prefetched weights.
                let queue = self.queue(engine, if scratch { "SpillReload" } else { "IO" });
                let transfer = self.out.transfers.len() as u32;
                for trip in 0..trips.unwrap_or(1) {
                    let mut elements = elements.clone();
                    for side in elements.iter_mut().flat_map(|e| [&mut e.src, &mut e.dst]) {
                        if let DmaSpace::Hbm(var) = &mut side.space {
                            *var = self.var_in(*var, trip);
                        }
                    }
                    self.out.transfers.push(Transfer {
                        queue,
                        semaphore,
                        elements,
                        loc: op.loc,
                    });
                }
                let counter = trips.map(|_| self.counter(op.loc)).transpose()?;
                (isa::Op::DmaTrigger { transfer, counter }, op.loc)
            }
            OpKind::Indirect(i) => {
                let (Some(semaphore), Some(var)) = (sync.transfer, self.vars[i.buffer.index()]) else {
                    return Err(bug("has no semaphore or no variable"));
                };
                let queue = self.queue(engine, "DynamicSW");
                let (mut counter, mut others) = (None, Vec::new());
                if let BufferKind::PerTrip(members) = &program.buffer(i.buffer).kind {
                    counter = Some(self.counter(op.loc)?);
                    others = (1..members.len()).map(|trip| self.var_in(var, trip)).collect();
                }
                let indirect = Indirect {
                    kind: i.kind,
                    queue,
                    semaphore,
                    tile: self.ap(&i.tile),
                    index: self.ap(&i.index),
                    var: self.var_in(var, 0),
                    counter,
                    others,
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
