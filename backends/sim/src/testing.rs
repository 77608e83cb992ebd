//! Hand-made programs for tests.

use std::sync::Arc;

use ferrite_ir::diag::Diagnostic;
use ferrite_ir::dtype::DType;
use ferrite_ir::isa::*;
use ferrite_ir::loc::{LocId, Location, Source};
use ferrite_ir::machine::MachineModel;

use crate::{Options, RunResult, Simulator};

/// A program under construction.
pub struct Maker {
    pub program: Program,
    pub model: Arc<MachineModel>,
    loc: LocId,
}

pub fn ap(space: Space, dtype: DType, partitions: u16, offset: u32, counts: &[u32]) -> Ap {
    let mut step = 1;
    let mut dims: ApDims = counts
        .iter()
        .rev()
        .map(|&count| {
            let d = ApDim { step, count };
            step *= count as i32;
            d
        })
        .collect();
    dims.reverse();
    Ap {
        space,
        partition: 0,
        partitions,
        offset,
        dtype,
        dims,
    }
}

pub fn sbuf(dtype: DType, partitions: u16, offset: u32, counts: &[u32]) -> Ap {
    ap(Space::Sbuf, dtype, partitions, offset, counts)
}

pub fn psum(dtype: DType, partitions: u16, offset: u32, counts: &[u32]) -> Ap {
    ap(Space::Psum, dtype, partitions, offset, counts)
}

impl Maker {
    pub fn new(target: &str) -> Maker {
        let mut program = Program::new(target);
        program.queues.push(Queue {
            name: "qSyncIO0".into(),
            owner: Engine::Sync,
            dge: DgeMode::Static,
        });
        let loc = program.locs.add(Location {
            line: 3,
            column: 1,
            source: Some(Source::Name {
                name: "layer/op".into(),
                child: None,
            }),
        });
        Maker {
            program,
            model: MachineModel::target(target).expect("known target"),
            loc,
        }
    }

    fn io(&mut self, kind: VarKind, name: &str, dtype: DType, shape: &[i64]) -> (VarId, IoTensor) {
        let bytes = shape.iter().product::<i64>() as u64 * dtype.bytes() as u64;
        self.program.vars.push(Var {
            name: name.into(),
            kind,
            bytes,
            data: None,
        });
        let tensor = IoTensor {
            name: name.into(),
            dtype,
            shape: shape.into(),
            alias: None,
            must_alias: false,
        };
        (VarId(self.program.vars.len() as u32 - 1), tensor)
    }

    pub fn input(&mut self, dtype: DType, shape: &[i64]) -> VarId {
        let index = self.program.inputs.len() as u32;
        let (var, tensor) = self.io(VarKind::Input { index }, &format!("input{index}"), dtype, shape);
        self.program.inputs.push(tensor);
        var
    }

    pub fn output(&mut self, dtype: DType, shape: &[i64]) -> VarId {
        let index = self.program.outputs.len() as u32;
        let (var, tensor) = self.io(VarKind::Output { index }, &format!("output{index}"), dtype, shape);
        self.program.outputs.push(tensor);
        var
    }

    pub fn push(&mut self, engine: Engine, op: Op) -> &mut Instr {
        let instr = Instr::new(op, self.loc);
        let stream = &mut self.program.streams[engine.index()];
        stream.push(instr);
        stream.last_mut().expect("just pushed")
    }

    pub fn compute(&mut self, engine: Engine, inst: Inst<Ap>) -> &mut Instr {
        self.push(engine, Op::Compute(inst))
    }

    /// One side of a DMA that covers a tile, partition by partition.
    pub fn tile_side(&self, tile: &Ap) -> DmaAccess {
        let partition = self.model.sbuf.bytes_per_partition;
        let size = tile.dtype.bytes() as i64;
        let mut dims: smallvec::SmallVec<[DmaDim; 4]> = smallvec::SmallVec::new();
        dims.push(DmaDim {
            step: partition as i64,
            count: u64::from(tile.partitions),
        });
        dims.extend(tile.dims.iter().map(|d| DmaDim {
            step: i64::from(d.step) * size,
            count: u64::from(d.count),
        }));
        let offset = u64::from(tile.partition) * partition + u64::from(tile.offset);
        DmaAccess {
            space: DmaSpace::Sbuf,
            offset,
            dtype: tile.dtype,
            dims,
        }
    }

    /// One side of a DMA over a dense variable.
    pub fn var_side(&self, var: VarId, dtype: DType, elements: u64) -> DmaAccess {
        let dims = [DmaDim {
            step: dtype.bytes() as i64,
            count: elements,
        }]
        .into_iter()
        .collect();
        DmaAccess {
            space: DmaSpace::Hbm(var),
            offset: 0,
            dtype,
            dims,
        }
    }

    /// Triggers a transfer on SyncE; its semaphore is `semaphore`.
    pub fn dma(&mut self, op: DmaOp, src: DmaAccess, dst: DmaAccess, semaphore: u16) -> &mut Instr {
        let transfer = self.program.transfers.len() as u32;
        let elements = vec![DmaElement { op, src, dst }];
        self.program.transfers.push(Transfer {
            queue: 0,
            semaphore,
            elements,
            loc: self.loc,
        });
        self.push(
            Engine::Sync,
            Op::DmaTrigger {
                transfer,
                counter: None,
            },
        )
    }

    /// Loads a dense variable into a tile.
    pub fn load(&mut self, var: VarId, tile: &Ap, semaphore: u16) -> &mut Instr {
        let elements = tile.elements() as u64 * u64::from(tile.partitions);
        let (src, dst) = (self.var_side(var, tile.dtype, elements), self.tile_side(tile));
        self.dma(DmaOp::Copy, src, dst, semaphore)
    }

    /// Stores a tile into a dense variable.
    pub fn store(&mut self, tile: &Ap, var: VarId, semaphore: u16) -> &mut Instr {
        let elements = tile.elements() as u64 * u64::from(tile.partitions);
        let (src, dst) = (self.tile_side(tile), self.var_side(var, tile.dtype, elements));
        self.dma(DmaOp::Copy, src, dst, semaphore)
    }

    pub fn simulator(&self) -> Result<Simulator<'_>, Vec<Diagnostic>> {
        Simulator::new(&self.program, self.model.clone())
    }

    pub fn run(&self, inputs: &[Vec<u8>]) -> Result<RunResult, Diagnostic> {
        self.simulator()
            .map_err(|mut all| all.remove(0))?
            .run(inputs, &Options::default())
    }

    pub fn profile(&self) -> Result<RunResult, Diagnostic> {
        self.simulator().map_err(|mut all| all.remove(0))?.profile(&Options {
            timeline: true,
            ..Options::default()
        })
    }

    /// The message of the first error, static or of a run with zeros as inputs.
    pub fn error(&self) -> String {
        let size = |t: &IoTensor| t.shape.iter().product::<i64>() as usize * t.dtype.bytes();
        let inputs: Vec<Vec<u8>> = self.program.inputs.iter().map(|t| vec![0; size(t)]).collect();
        self.run(&inputs).err().map(|e| e.to_string()).unwrap_or_default()
    }
}

pub fn wait(instr: &mut Instr, semaphore: u16, value: u32) -> &mut Instr {
    instr.wait = Some(Wait { semaphore, value });
    instr
}

pub fn signal(instr: &mut Instr, semaphore: u16) -> &mut Instr {
    instr.update = Some(Update {
        semaphore,
        kind: UpdateKind::Add(1),
        at: UpdateAt::Complete,
    });
    instr
}

pub fn bytes_f32(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

pub fn to_f32(bytes: &[u8]) -> Vec<f32> {
    bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|b| f32::from_le_bytes(*b))
        .collect()
}

/// Loads inputs of `[partitions, n]` fp32, runs one instruction over tiles 0, 4096, ... and stores `dst`.
/// Semaphores: 0 loads, 1 the instruction, 2 the store.
pub fn one_instruction(
    target: &str,
    engine: Engine,
    inputs: &[(Ap, Vec<u8>)],
    inst: Inst<Ap>,
) -> Result<Vec<u8>, Diagnostic> {
    let mut m = Maker::new(target);
    for (tile, _) in inputs {
        let var = m.input(tile.dtype, &[i64::from(tile.partitions), tile.elements() as i64]);
        m.load(var, tile, 0);
    }
    let dst = inst.dst().clone();
    let out = m.output(dst.dtype, &[i64::from(dst.partitions), dst.elements() as i64]);
    signal(wait(m.compute(engine, inst), 0, 16 * inputs.len() as u32), 1);
    wait(m.store(&dst, out, 2), 1, 1);
    let data: Vec<Vec<u8>> = inputs.iter().map(|(_, bytes)| bytes.clone()).collect();
    let mut result = m.run(&data)?;
    Ok(result.outputs.remove(0))
}
