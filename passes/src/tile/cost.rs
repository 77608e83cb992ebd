//! What a tile operation costs, for balancing and scheduling: estimates from the machine model, in picoseconds.
//!
//! Waits are not here; the simulator alone knows them.

use ferrite_ir::machine::cost::{DgeMode, Multiply, OperandShape, Stream, TransferKind, innermost_step_bytes};
use ferrite_ir::machine::{Engine, MachineModel, Space};
use ferrite_ir::tile::{DmaOp, DmaPiece, Inst, Mem, Op, OpKind, Program, View};

/// Estimated times of one operation, picoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OpCost {
    /// Time until the engine can start the next, independent operation.
    pub occupancy: u64,
    /// Time until the result is visible to others.
    pub latency: u64,
    /// Time the memory ports are busy.
    pub data: u64,
    /// Time a transfer keeps each DMA engine that it uses busy.
    pub dma: u64,
    /// DMA engines it uses: the first ones, as many as it has descriptors.
    pub dma_engines: u64,
    /// Time the HBM needs for its bytes.
    pub hbm: u64,
}

/// An operand as the machine model sees it.
pub(crate) fn operand(program: &Program, view: &View) -> OperandShape {
    OperandShape {
        stream: Stream {
            space: program.tile(view.tile).space,
            dtype: view.dtype,
            step_bytes: innermost_step_bytes(&view.dims, view.dtype),
        },
        elements: view.elements() as u64,
    }
}

/// Cost of an instruction on an engine; `None` when the engine cannot run it.
pub(crate) fn inst_cost(
    program: &Program,
    machine: &MachineModel,
    engine: Engine,
    inst: &Inst<View>,
) -> Option<OpCost> {
    let cycles = machine.inst_cost(engine, inst, |v| operand(program, v))?;
    let time = cycles.to_ps(machine, engine);
    Some(OpCost {
        occupancy: time.occupancy,
        latency: time.latency,
        data: time.data,
        ..OpCost::default()
    })
}

/// Cost of an operation on the engine it is assigned to (on the first possible one if it is not).
pub(crate) fn op_cost(program: &Program, machine: &MachineModel, op: &Op) -> OpCost {
    match &op.kind {
        OpKind::Matmul {
            stationary,
            moving,
            transpose,
            ..
        } => {
            let load = machine.load_stationary_cost(stationary.elements() as u64, stationary.dtype);
            let multiply = machine.multiply_cost(&Multiply {
                stationary_columns: stationary.elements() as u64,
                moving_columns: moving.elements() as u64,
                stationary: stationary.dtype,
                moving: moving.dtype,
                transpose: *transpose,
                onezero: false,
            });
            let (load, multiply) = (
                load.to_ps(machine, Engine::Tensor),
                multiply.to_ps(machine, Engine::Tensor),
            );
            OpCost {
                // The load hides behind the multiplication before it.
                occupancy: multiply.occupancy.max(load.occupancy),
                latency: multiply.latency,
                data: multiply.data,
                ..OpCost::default()
            }
        }
        OpKind::Compute(inst) => {
            let engine = op
                .engine
                .or_else(|| machine.inst_engines(inst).first().copied())
                .unwrap_or(Engine::Vector);
            inst_cost(program, machine, engine, inst).unwrap_or_default()
        }
        OpKind::Dma(pieces) => {
            let (mut busy, mut total, mut hbm_bytes) = (0u64, 0u64, 0u64);
            for piece in pieces {
                let (count, each) = descriptors(machine, piece);
                busy = busy.saturating_add(count.saturating_mul(each));
                total = total.saturating_add(count);
                let bytes = piece.src.elements() * piece.src.dtype().bytes() as u64;
                let sides = [&piece.src, &piece.dst];
                hbm_bytes += bytes * sides.iter().filter(|m| matches!(m, Mem::Hbm(_))).count() as u64;
            }
            dma_cost(machine, DgeMode::Static, busy, total, hbm_bytes)
        }
        OpKind::Indirect(i) => {
            let split = machine.descriptors_for(i.row_bytes);
            let count = u64::from(i.tile.partitions) * split;
            let each = machine.descriptor_ps(i.row_bytes.div_ceil(split), Space::Hbm, TransferKind::Copy);
            let bytes = u64::from(i.tile.partitions) * i.row_bytes;
            let mut cost = dma_cost(machine, DgeMode::Software, count * each, count, bytes);
            let generate = machine.dma_generate_ps(DgeMode::Software);
            cost.occupancy += generate;
            cost.latency += generate;
            cost
        }
        OpKind::LoadTest { .. } => {
            let time = machine.ps(Engine::Sync, machine.sync.register_load_sbuf_cycles);
            OpCost {
                occupancy: time,
                latency: time,
                ..OpCost::default()
            }
        }
        // What meeting costs depends on what is under way.
        OpKind::Control(_) => OpCost::default(),
    }
}

/// `busy` is the time of all `descriptors` together on one engine.
fn dma_cost(machine: &MachineModel, mode: DgeMode, busy: u64, descriptors: u64, hbm_bytes: u64) -> OpCost {
    let engines = descriptors.clamp(1, machine.dma.engines.max(1));
    let (dma, hbm) = ((busy / engines).max(1), machine.hbm_ps(hbm_bytes));
    OpCost {
        occupancy: machine.dma_trigger_ps(mode),
        latency: machine.dma_start_ps() + dma.max(hbm) + machine.dma_done_ps(),
        data: 0,
        dma,
        dma_engines: engines,
        hbm,
    }
}

/// Number of descriptors of a piece and the time of each on one DMA engine.
fn descriptors(machine: &MachineModel, piece: &DmaPiece) -> (u64, u64) {
    let run = contiguous_bytes(&piece.src).min(contiguous_bytes(&piece.dst)).max(1);
    let bytes = piece.src.elements().max(1) * piece.src.dtype().bytes() as u64;
    let split = machine.descriptors_for(run);
    let kind = match piece.op {
        DmaOp::Add => TransferKind::Compute,
        DmaOp::Copy | DmaOp::Cast => TransferKind::Copy,
    };
    let count = bytes.div_ceil(run).saturating_mul(split);
    let source = match piece.src {
        Mem::Hbm(_) => Space::Hbm,
        Mem::Tile(_) => Space::Sbuf,
    };
    (count, machine.descriptor_ps(run.div_ceil(split), source, kind))
}

/// Bytes of the innermost contiguous run of one side.
fn contiguous_bytes(mem: &Mem) -> u64 {
    let size = mem.dtype().bytes() as u64;
    let grow = |run: &mut u64, step: i64, count: u64| {
        if count != 1 {
            if step != *run as i64 {
                return false;
            }
            *run = run.saturating_mul(count);
        }
        true
    };
    let mut run = size;
    match mem {
        Mem::Hbm(h) => {
            for d in h.dims.iter().rev() {
                if !grow(&mut run, d.step, d.count) {
                    break;
                }
            }
        }
        Mem::Tile(v) => {
            for d in v.dims.iter().rev() {
                if !grow(&mut run, i64::from(d.step) * size as i64, u64::from(d.count)) {
                    break;
                }
            }
        }
    }
    run
}
