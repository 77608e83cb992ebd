//! What is known of every instruction and transfer before the run: times, ports, regions.

use ferrite_ir::isa::{
    Ap, DmaAccess, DmaDim, DmaOp, DmaSpace, Engine, IndirectKind, Instr, Op, OutOfBounds, Program, Role, Space, Update,
    VarKind, Wait,
};
use ferrite_ir::loc::LocId;
use ferrite_ir::machine::MachineModel;
use ferrite_ir::machine::cost::{DgeMode, Time};
use rustc_hash::FxHashMap;
use smallvec::{SmallVec, smallvec};

use crate::check::region::{self, Mem, Region};
use crate::dma::{TransferCost, indirect_cost, transfer_cost};
use crate::interleave;
use crate::memory::HbmLayout;
use crate::name;
use crate::tensor_time::{Loaded, Product};

/// How a step touches a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// Reads.
    Read,
    /// Writes.
    Write,
    /// Reads what it writes.
    ReadWrite,
    /// A matmul that overwrites.
    Matmul,
    /// A matmul that adds to what a matmul wrote.
    Accumulate,
}

impl Touch {
    /// Whether memory changes.
    pub fn writes(self) -> bool {
        self != Touch::Read
    }
}

/// One access: index into [`Prepared::regions`] and its kind.
pub type Access = (u32, Touch);

/// Port of VectorE and GpSimdE on SBUF, where they exclude each other.
const PORT_SBUF: u16 = 1;
/// Port of VectorE and ScalarE on PSUM, where they exclude each other.
const PORT_PSUM: u16 = 2;
/// First of the ports of PSUM banks, where engines exclude each other by bank.
const PORT_BANK: u32 = 2;
/// Instructions of an engine for which room is made at once.
const EXPECTED_MAX: u64 = 1 << 20;
/// Ports in all.
pub const PORTS: usize = 16;

/// What the loop of events has to know of an operation.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Nothing besides its time, unless there is data.
    Plain,
    /// A stationary operand is loaded.
    Load(Loaded),
    /// Index into [`Prepared::products`].
    Multiply(u32),
    /// Number of the transfer that is started.
    Trigger(u32),
    /// The sequencer's own, without semaphores: it decodes ahead. Index into [`Prepared::rare`].
    Sequencer(u32),
    /// Index into [`Prepared::rare`].
    Other(u32),
}

/// An instruction: all that a run for its time needs, so that it walks through these alone and not through the program, which
/// is several times as large and need not be there.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it is.
    pub kind: Kind,
    /// Its wait.
    pub wait: Option<Wait>,
    /// Its update.
    pub update: Option<Update>,
    /// Time; of a multiply only known when its stationary operand is.
    pub time: Time,
    /// Ports it occupies while data streams.
    pub ports: u16,
    /// Range of [`Prepared::accesses`].
    pub accesses: (u32, u32),
    /// Table set it needs, 0 for none.
    pub table: u8,
    /// Index into [`Prepared::names`].
    pub name: u16,
    /// Where it comes from.
    pub loc: LocId,
}

/// A static or indirect transfer.
#[derive(Clone, Debug)]
pub struct TransferStep {
    /// What it costs.
    pub cost: TransferCost,
    /// Range of [`Prepared::accesses`].
    pub accesses: (u32, u32),
}

/// A program made ready to run.
pub struct Prepared {
    /// Steps by engine.
    pub streams: [Vec<Step>; 5],
    /// Static transfers.
    pub transfers: Vec<TransferStep>,
    /// Indirect transfers and collectives, by engine and instruction index: one for each value of a counter.
    pub indirect: std::collections::BTreeMap<(usize, u32), SmallVec<[TransferStep; 1]>>,
    /// Regions of all accesses; equal access patterns share one.
    pub regions: Vec<Region>,
    /// Accesses of steps and transfers.
    pub accesses: Vec<Access>,
    /// What multiplies use and write; equal ones share one.
    pub products: Vec<Product>,
    /// Instructions that are more than their time, as branches.
    pub rare: Vec<Instr>,
    /// Opcode names.
    pub names: Vec<&'static str>,
    /// Memories that something writes.
    pub written: Vec<bool>,
    /// HBM blocks that hold something before the run.
    pub bound: Vec<bool>,
    /// By HBM block, the most bytes that every run of every access starts and ends at a multiple of; 0 where there is none.
    pub grains: Vec<u64>,
    /// Where HBM variables lie.
    pub layout: HbmLayout,
}

impl Prepared {
    /// An instruction; `None` past the end of its stream.
    pub fn step(&self, engine: usize, index: u32) -> Option<&Step> {
        self.streams.get(engine)?.get(index as usize)
    }

    /// The opcode's name.
    pub fn name(&self, step: &Step) -> &'static str {
        self.names.get(usize::from(step.name)).copied().unwrap_or("?")
    }
}

/// Makes a program ready, one instruction after the other.
pub struct Builder<'a> {
    model: &'a MachineModel,
    /// Regions of access patterns that have come before: programs use few tiles, often.
    known: FxHashMap<Ap, Option<u32>>,
    /// The same for sides of transfers, which can be several regions.
    known_dma: FxHashMap<DmaAccess, SmallVec<[u32; 1]>>,
    /// Products by the regions of their two operands, and whether they transpose.
    known_products: FxHashMap<(u32, u32, bool), u32>,
    out: Prepared,
}

/// Prepares a program that has passed [`crate::check::operands::check`].
pub fn prepare(program: &Program, model: &MachineModel) -> Prepared {
    let mut builder = Builder::new(program, model);
    for engine in Engine::ALL {
        let stream = program.stream(engine);
        builder.expect(engine, stream.len() as u64);
        stream.iter().for_each(|instr| builder.push(engine, instr));
    }
    builder.finish()
}

/// Variables and transfers of a program.
fn builder<'a>(program: &Program, model: &'a MachineModel) -> Builder<'a> {
    let layout = HbmLayout::new(program);
    let mut bound = vec![false; layout.block_bytes.len()];
    for (var, place) in program.vars.iter().zip(&layout.place) {
        if matches!(var.kind, VarKind::Input { .. } | VarKind::Const) {
            bound[place.0 as usize] = true;
        }
    }
    let out = Prepared {
        streams: Default::default(),
        transfers: Vec::with_capacity(program.transfers.len()),
        indirect: Default::default(),
        regions: Vec::new(),
        accesses: Vec::new(),
        products: Vec::new(),
        rare: Vec::new(),
        names: Vec::new(),
        written: vec![false; layout.block_bytes.len() + 2],
        grains: vec![0; layout.block_bytes.len()],
        bound,
        layout,
    };
    let mut b = Builder {
        model,
        known: FxHashMap::default(),
        known_dma: FxHashMap::default(),
        known_products: FxHashMap::default(),
        out,
    };
    for (number, transfer) in program.transfers.iter().enumerate() {
        let start = b.out.accesses.len() as u32;
        for element in &transfer.elements {
            b.dma(&element.src, Touch::Read);
            b.dma(
                &element.dst,
                if element.op == DmaOp::Add {
                    Touch::ReadWrite
                } else {
                    Touch::Write
                },
            );
        }
        let accesses = (start, b.out.accesses.len() as u32);
        let mut cost = transfer_cost(transfer, number, model);
        cost.load.ways = interleave::shares(transfer, &b.out.layout, model);
        b.out.transfers.push(TransferStep { cost, accesses });
    }
    b
}

impl<'a> Builder<'a> {
    /// Begins with the variables and transfers of a program; its instructions follow by [`Builder::push`].
    pub fn new(program: &Program, model: &'a MachineModel) -> Builder<'a> {
        builder(program, model)
    }

    /// Makes room for an engine's instructions.
    pub fn expect(&mut self, engine: Engine, count: u64) {
        // A number in a file is not believed before its instructions are seen.
        let count = count.min(EXPECTED_MAX) as usize;
        self.out.streams[engine.index()].reserve_exact(count);
    }

    /// The next instruction of an engine.
    pub fn push(&mut self, engine: Engine, instr: &Instr) {
        let index = self.out.streams[engine.index()].len() as u32;
        let step = self.step(engine, index, instr);
        self.out.streams[engine.index()].push(step);
    }

    /// The program, made ready.
    pub fn finish(self) -> Prepared {
        let mut out = self.out;
        for &(region, touch) in &out.accesses {
            if touch.writes() {
                let mem = out.regions[region as usize].mem;
                out.written[mem.0 as usize] = true;
            }
        }
        out
    }

    fn add(&mut self, region: Region) -> u32 {
        let block = region.mem.block();
        if let Some(grain) = block.and_then(|b| self.out.grains.get_mut(b as usize)) {
            region.for_each_run(|low, high| {
                if *grain == 0 || low % *grain != 0 || high % *grain != 0 {
                    *grain = region::gcd(region::gcd(*grain, low), high);
                }
            });
        }
        self.out.regions.push(region);
        self.out.regions.len() as u32 - 1
    }

    /// The access of an operand; its region, if it touches anything.
    fn ap(&mut self, ap: &Ap, touch: Touch) -> Option<u32> {
        let index = match self.known.get(ap) {
            Some(index) => *index,
            None => {
                let index = region::of_ap(ap).map(|(region, _)| self.add(region));
                self.known.insert(ap.clone(), index);
                index
            }
        };
        self.out.accesses.extend(index.map(|index| (index, touch)));
        index
    }

    fn dma(&mut self, access: &DmaAccess, touch: Touch) {
        if let Some(regions) = self.known_dma.get(access) {
            self.out.accesses.extend(regions.iter().map(|&r| (r, touch)));
            return;
        }
        let regions = region::of_dma(access, &self.out.layout, self.model).0;
        let regions: SmallVec<[u32; 1]> = regions.into_iter().map(|r| self.add(r)).collect();
        self.out.accesses.extend(regions.iter().map(|&r| (r, touch)));
        self.known_dma.insert(access.clone(), regions);
    }

    /// Number of a product whose result and moving operand have these regions.
    fn product(&mut self, regions: (Option<u32>, Option<u32>), dst: &Ap, moving: &Ap, transpose: bool) -> u32 {
        let next = self.out.products.len() as u32;
        let number = match regions {
            (Some(to), Some(from)) => *self.known_products.entry((to, from, transpose)).or_insert(next),
            _ => next,
        };
        if number == next {
            self.out.products.push(Product::new(dst, moving, transpose, self.model));
        }
        number
    }

    fn name(&mut self, op: &Op) -> u16 {
        let name = name::of(op);
        let known = self.out.names.iter().position(|n| *n == name);
        known.unwrap_or_else(|| {
            self.out.names.push(name);
            self.out.names.len() - 1
        }) as u16
    }

    /// Ports of an operand: see `neuroncore.md` section 2.1.
    fn ports(&self, engine: Engine, region: &Region) -> u16 {
        let c = &self.model.concurrency;
        match (engine, region.mem) {
            (Engine::Vector | Engine::GpSimd, Mem::SBUF) if c.vector_gpsimd_share_sbuf_exclusively => PORT_SBUF,
            (Engine::Vector | Engine::Scalar, Mem::PSUM) if c.vector_scalar_share_psum_exclusively => PORT_PSUM,
            (_, Mem::PSUM) if c.psum_conflict_by_bank => {
                let bank = self.model.psum.bytes_per_bank;
                let most = PORTS as u64 - u64::from(PORT_BANK) - 1;
                let (first, last) = ((region.low / bank).min(most), ((region.high - 1) / bank).min(most));
                (first..=last).fold(0, |mask, b| mask | 1 << (PORT_BANK + b as u32))
            }
            _ => 0,
        }
    }

    fn step(&mut self, engine: Engine, index: u32, instr: &Instr) -> Step {
        let (model, op) = (self.model, &instr.op);
        let (wait, update) = (instr.wait, instr.update);
        let mut kind = Kind::Plain;
        let mut rare = false;
        let start = self.out.accesses.len() as u32;
        let cycles = |n: u64| {
            let ps = model.ps(engine, n);
            Time {
                data: ps,
                occupancy: ps,
                latency: ps,
            }
        };
        let whole = |ps: u64| Time {
            data: ps,
            occupancy: ps,
            latency: ps,
        };
        let mut table = 0;
        let time = match op {
            Op::Compute(inst) => {
                kind = Kind::Plain;
                inst.for_each(|role, ap| {
                    let touch = match role {
                        Role::Read | Role::ReadScalar => Touch::Read,
                        Role::Write | Role::WriteScalar => Touch::Write,
                        Role::ReadWrite => Touch::ReadWrite,
                    };
                    self.ap(ap, touch);
                });
                if let ferrite_ir::isa::Inst::Activation { func, .. } = inst {
                    let set = model.table_set(func.name()).unwrap_or(model.scalar.table_sets.resident);
                    table = if set == model.scalar.table_sets.resident {
                        0
                    } else {
                        set as u8
                    };
                }
                // The legality check has refused engines that do not run it.
                model
                    .inst_cost(engine, inst, |a| a.into())
                    .unwrap_or_default()
                    .to_ps(model, engine)
            }
            Op::ActTableLoad { set } => {
                rare = true;
                whole(model.table_load_ps(u64::from(*set)))
            }
            Op::LoadStationary { src } => {
                self.ap(src, Touch::Read);
                kind = Kind::Load(Loaded::new(src));
                model
                    .load_stationary_cost(src.elements() as u64, src.dtype)
                    .to_ps(model, engine)
            }
            Op::MultiplyMoving {
                dst,
                moving,
                accumulate,
                transpose,
            } => {
                let to = self.ap(dst, if *accumulate { Touch::Accumulate } else { Touch::Matmul });
                let from = self.ap(moving, Touch::Read);
                kind = Kind::Multiply(self.product((to, from), dst, moving, *transpose));
                Time::default()
            }
            Op::DmaTrigger { transfer, counter } => {
                match counter {
                    None => kind = Kind::Trigger(*transfer),
                    Some(_) => rare = true,
                }
                whole(model.dma_trigger_ps(DgeMode::Static))
            }
            Op::DmaIndirect(i) => {
                let (tile, hbm) = match i.kind {
                    // Rows out of bounds keep what the tile held.
                    IndirectKind::Gather if i.out_of_bounds == OutOfBounds::Skip => (Touch::ReadWrite, Touch::Read),
                    IndirectKind::Gather => (Touch::Write, Touch::Read),
                    IndirectKind::Scatter => (Touch::Read, Touch::Write),
                    IndirectKind::ScatterAdd => (Touch::Read, Touch::ReadWrite),
                };
                let dims = [(i.row_step as i64, u64::from(i.rows)), (1, i.row_bytes)];
                let steps = std::iter::once(&i.var).chain(&i.others).map(|&var| {
                    let start = self.out.accesses.len() as u32;
                    self.ap(&i.tile, tile);
                    if i.rows > 0 {
                        let rows = DmaAccess {
                            space: DmaSpace::Hbm(var),
                            offset: i.offset,
                            dtype: ferrite_ir::dtype::DType::U8,
                            dims: dims.iter().map(|&(step, count)| DmaDim { step, count }).collect(),
                        };
                        self.dma(&rows, hbm);
                    }
                    TransferStep {
                        cost: indirect_cost(i, model),
                        accesses: (start, self.out.accesses.len() as u32),
                    }
                });
                let steps = steps.collect();
                self.out.indirect.insert((engine.index(), index), steps);
                // The index is read by the engine itself, which then makes the descriptors.
                let start = self.out.accesses.len() as u32;
                self.ap(&i.index, Touch::Read);
                let busy = model.dma_trigger_ps(DgeMode::Software) + model.dma_generate_ps(DgeMode::Software);
                return Step {
                    kind: Kind::Other(self.rare(instr)),
                    wait,
                    update,
                    time: whole(busy),
                    ports: 0,
                    accesses: (start, self.out.accesses.len() as u32),
                    table: 0,
                    name: self.name(op),
                    loc: instr.loc,
                };
            }
            Op::Collective(c) => {
                let start = self.out.accesses.len() as u32;
                for (var, offset, bytes, touch) in [
                    (c.src, c.src_offset, c.bytes, Touch::Read),
                    (c.dst, c.dst_offset, c.result_bytes(), Touch::Write),
                ] {
                    let access = DmaAccess {
                        space: DmaSpace::Hbm(var),
                        offset,
                        dtype: ferrite_ir::dtype::DType::U8,
                        dims: [DmaDim { step: 1, count: bytes }].into_iter().collect(),
                    };
                    self.dma(&access, touch);
                }
                let step = TransferStep {
                    cost: TransferCost::default(),
                    accesses: (start, self.out.accesses.len() as u32),
                };
                self.out.indirect.insert((engine.index(), index), smallvec![step]);
                let end = self.out.accesses.len() as u32;
                return Step {
                    kind: Kind::Other(self.rare(instr)),
                    wait,
                    update,
                    time: whole(model.dma_trigger_ps(DgeMode::Static)),
                    ports: 0,
                    accesses: (end, end),
                    table: 0,
                    name: self.name(op),
                    loc: instr.loc,
                };
            }
            Op::Semaphore => {
                kind = Kind::Plain;
                whole(model.event_semaphore_ps())
            }
            Op::RangeClear { .. } => {
                rare = true;
                whole(model.event_semaphore_ps())
            }
            Op::Nop => cycles(model.sync.register_op_cycles),
            Op::RegMove { .. } | Op::RegAlu { .. } => {
                rare = true;
                cycles(model.sync.register_op_cycles)
            }
            Op::RegLoad { src, .. } => {
                rare = true;
                self.ap(src, Touch::Read);
                cycles(model.sync.register_load_sbuf_cycles)
            }
            Op::Branch { .. } => {
                rare = true;
                cycles(model.sync.branch_cycles)
            }
        };
        if rare {
            // One with a semaphore takes its place in the execution queue like any other.
            let ahead = wait.is_none()
                && update.is_none()
                && matches!(op, Op::RegMove { .. } | Op::RegAlu { .. } | Op::Branch { .. });
            let number = self.rare(instr);
            kind = if ahead {
                Kind::Sequencer(number)
            } else {
                Kind::Other(number)
            };
        }
        let accesses = (start, self.out.accesses.len() as u32);
        let touched = &self.out.accesses[start as usize..];
        let ports = touched
            .iter()
            .fold(0, |m, a| m | self.ports(engine, &self.out.regions[a.0 as usize]));
        Step {
            kind,
            wait,
            update,
            time,
            ports,
            accesses,
            table,
            name: self.name(op),
            loc: instr.loc,
        }
    }

    /// Keeps an instruction that a run looks up.
    fn rare(&mut self, instr: &Instr) -> u32 {
        self.out.rare.push(instr.clone());
        self.out.rare.len() as u32 - 1
    }
}

/// Whether an operand is in PSUM; for messages.
pub fn space_of(mem: Mem) -> &'static str {
    match mem {
        Mem::SBUF => Space::Sbuf.name(),
        Mem::PSUM => Space::Psum.name(),
        _ => Space::Hbm.name(),
    }
}
