//! What is known of every instruction and transfer before the run: times, ports, regions.

use std::collections::HashMap;

use ferrite_ir::isa::{
    Ap, DmaAccess, DmaDim, DmaOp, DmaSpace, Engine, IndirectKind, Op, OutOfBounds, Program, Role, Space, VarKind,
};
use ferrite_ir::machine::MachineModel;
use ferrite_ir::machine::cost::{DgeMode, Time};

use crate::check::region::{self, Mem, Region};
use crate::dma::{TransferCost, indirect_cost, transfer_cost};
use crate::interleave;
use crate::memory::HbmLayout;
use crate::name;

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
/// Ports in all.
pub const PORTS: usize = 16;

/// An instruction.
#[derive(Clone, Debug)]
pub struct Step {
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
    /// Indirect transfers, by engine and instruction index.
    pub indirect: std::collections::BTreeMap<(usize, u32), TransferStep>,
    /// Regions of all accesses; equal access patterns share one.
    pub regions: Vec<Region>,
    /// Accesses of steps and transfers.
    pub accesses: Vec<Access>,
    /// Opcode names.
    pub names: Vec<&'static str>,
    /// Memories that something writes.
    pub written: Vec<bool>,
    /// HBM blocks that hold something before the run.
    pub bound: Vec<bool>,
    /// Where HBM variables lie.
    pub layout: HbmLayout,
}

struct Builder<'a> {
    model: &'a MachineModel,
    /// Regions of access patterns that have come before: programs use few tiles, often.
    known: HashMap<Ap, Option<u32>>,
    out: Prepared,
}

/// Prepares a program that has passed [`crate::check::operands::check`].
pub fn prepare(program: &Program, model: &MachineModel) -> Prepared {
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
        names: Vec::new(),
        written: vec![false; layout.block_bytes.len() + 2],
        bound,
        layout,
    };
    let known = HashMap::new();
    let mut b = Builder { model, known, out };
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
    for engine in Engine::ALL {
        let steps = program
            .stream(engine)
            .iter()
            .enumerate()
            .map(|(i, instr)| b.step(engine, i as u32, &instr.op))
            .collect();
        b.out.streams[engine.index()] = steps;
    }
    for &(region, touch) in &b.out.accesses {
        if touch.writes() {
            let mem = b.out.regions[region as usize].mem;
            b.out.written[mem.0 as usize] = true;
        }
    }
    b.out
}

impl Builder<'_> {
    fn add(&mut self, region: Region, touch: Touch) {
        self.out.accesses.push((self.out.regions.len() as u32, touch));
        self.out.regions.push(region);
    }

    fn ap(&mut self, ap: &Ap, touch: Touch) {
        let index = match self.known.get(ap) {
            Some(index) => *index,
            None => {
                let index = region::of_ap(ap).map(|(region, _)| {
                    self.out.regions.push(region);
                    self.out.regions.len() as u32 - 1
                });
                self.known.insert(ap.clone(), index);
                index
            }
        };
        if let Some(index) = index {
            self.out.accesses.push((index, touch));
        }
    }

    fn dma(&mut self, access: &DmaAccess, touch: Touch) {
        for region in region::of_dma(access, &self.out.layout, self.model).0 {
            self.add(region, touch);
        }
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

    fn step(&mut self, engine: Engine, index: u32, op: &Op) -> Step {
        let model = self.model;
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
            Op::ActTableLoad { set } => whole(model.table_load_ps(u64::from(*set))),
            Op::LoadStationary { src } => {
                self.ap(src, Touch::Read);
                model
                    .load_stationary_cost(src.elements() as u64, src.dtype)
                    .to_ps(model, engine)
            }
            Op::MultiplyMoving {
                dst,
                moving,
                accumulate,
                ..
            } => {
                self.ap(dst, if *accumulate { Touch::Accumulate } else { Touch::Matmul });
                self.ap(moving, Touch::Read);
                Time::default()
            }
            Op::DmaTrigger { .. } => whole(model.dma_trigger_ps(DgeMode::Static)),
            Op::DmaIndirect(i) => {
                let start = self.out.accesses.len() as u32;
                let rows = DmaAccess {
                    space: DmaSpace::Hbm(i.var),
                    offset: i.offset,
                    dtype: ferrite_ir::dtype::DType::U8,
                    dims: [
                        DmaDim {
                            step: i.row_step as i64,
                            count: u64::from(i.rows),
                        },
                        DmaDim {
                            step: 1,
                            count: i.row_bytes,
                        },
                    ]
                    .into_iter()
                    .collect(),
                };
                let (tile, hbm) = match i.kind {
                    // Rows out of bounds keep what the tile held.
                    IndirectKind::Gather if i.out_of_bounds == OutOfBounds::Skip => (Touch::ReadWrite, Touch::Read),
                    IndirectKind::Gather => (Touch::Write, Touch::Read),
                    IndirectKind::Scatter => (Touch::Read, Touch::Write),
                    IndirectKind::ScatterAdd => (Touch::Read, Touch::ReadWrite),
                };
                self.ap(&i.tile, tile);
                if i.rows > 0 {
                    self.dma(&rows, hbm);
                }
                let accesses = (start, self.out.accesses.len() as u32);
                let step = TransferStep {
                    cost: indirect_cost(i, model),
                    accesses,
                };
                self.out.indirect.insert((engine.index(), index), step);
                // The index is read by the engine itself, which then makes the descriptors.
                let start = self.out.accesses.len() as u32;
                self.ap(&i.index, Touch::Read);
                let busy = model.dma_trigger_ps(DgeMode::Software) + model.dma_generate_ps(DgeMode::Software);
                return Step {
                    time: whole(busy),
                    ports: 0,
                    accesses: (start, self.out.accesses.len() as u32),
                    table: 0,
                    name: self.name(op),
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
                self.out.indirect.insert((engine.index(), index), step);
                let end = self.out.accesses.len() as u32;
                return Step {
                    time: whole(model.dma_trigger_ps(DgeMode::Static)),
                    ports: 0,
                    accesses: (end, end),
                    table: 0,
                    name: self.name(op),
                };
            }
            Op::Semaphore | Op::RangeClear { .. } => whole(model.event_semaphore_ps()),
            Op::RegMove { .. } | Op::RegAlu { .. } | Op::Nop => cycles(model.sync.register_op_cycles),
            Op::RegLoad { src, .. } => {
                self.ap(src, Touch::Read);
                cycles(model.sync.register_load_sbuf_cycles)
            }
            Op::Branch { .. } => cycles(model.sync.branch_cycles),
        };
        let accesses = (start, self.out.accesses.len() as u32);
        let touched = &self.out.accesses[start as usize..];
        let ports = touched
            .iter()
            .fold(0, |m, a| m | self.ports(engine, &self.out.regions[a.0 as usize]));
        Step {
            time,
            ports,
            accesses,
            table,
            name: self.name(op),
        }
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
