//! A small builder of tile programs: kernels as they were published, operation by operation.
//!
//! Nothing is optimised: engines, order and buffers are the caller's. Tiles that a published kernel leaves to the vendor's allocator are
//! double buffered (our assumption), by [`Ring`]. Iterations of a loop follow each other, unless the published profile shows an engine
//! busy more than 90 % of the time: then they overlap in stages, as the vendor's scheduler must have done ([`Kernel::stage`]).

use ferrite_ir::diag::Diagnostic;
use ferrite_ir::dtype::DType;
use ferrite_ir::isa;
use ferrite_ir::loc::LocId;
use ferrite_ir::machine::{Engine, MachineModel, Space};
use ferrite_ir::tile::*;
use ferrite_passes::tile::{SyncOptions, encode, place, synchronise};

/// A tile program under construction.
pub struct Kernel {
    /// The program.
    pub program: Program,
    /// When each operation comes: iteration plus stage, then iteration.
    slots: Vec<(usize, usize)>,
    iteration: usize,
    stage: usize,
}

/// Tiles used in turn: the n-th use takes tile n modulo their number.
#[derive(Clone, Debug)]
pub struct Ring(Vec<TileId>);

impl Ring {
    /// The tile of the `n`-th use.
    pub fn at(&self, n: usize) -> TileId {
        self.0[n % self.0.len()]
    }
}

/// `[partitions, elements]` of a tile from byte `offset` on.
pub fn view(tile: TileId, partitions: u16, offset: u32, dtype: DType, elements: u32) -> View {
    View {
        tile,
        partition: 0,
        partitions,
        offset,
        dtype,
        dims: [ApDim {
            step: 1,
            count: elements,
        }]
        .into_iter()
        .collect(),
    }
}

/// The same from partition `first` on.
pub fn on(first: u16, view: View) -> View {
    View {
        partition: first,
        ..view
    }
}

/// `[rows, row_bytes]` of a buffer.
#[derive(Clone, Copy, Debug)]
pub struct Rows {
    /// The buffer.
    pub buffer: BufferId,
    /// Byte offset of the first row.
    pub offset: u64,
    /// Distance between rows, bytes.
    pub step: u64,
}

impl Kernel {
    /// An empty kernel.
    pub fn new() -> Kernel {
        Kernel {
            program: Program::default(),
            slots: Vec::new(),
            iteration: 0,
            stage: 0,
        }
    }

    /// What follows belongs to this stage of the iteration: it comes beside earlier stages of the next iterations. A tile that lives for
    /// `n` stages needs a ring of `n + 1`.
    pub fn stage(&mut self, stage: usize) {
        self.stage = stage;
    }

    /// Ends an iteration; stages of the next one may come beside it.
    pub fn iterate(&mut self) {
        self.iteration += 1;
        self.stage = 0;
    }

    /// Ends a staged loop: nothing that follows comes before it is through.
    pub fn drain(&mut self, stages: usize) {
        self.iteration += stages;
        self.stage = 0;
    }

    fn tensor(name: String, bytes: u64) -> IoTensor {
        IoTensor {
            name,
            dtype: DType::U8,
            shape: vec![bytes as i64],
            alias: None,
            must_alias: false,
        }
    }

    /// An input of `bytes`.
    pub fn input(&mut self, bytes: u64) -> BufferId {
        let index = self.program.inputs.len() as u32;
        let name = format!("input{index}");
        self.program.inputs.push(Kernel::tensor(name.clone(), bytes));
        self.program.add_buffer(name, BufferKind::Input(index), bytes)
    }

    /// An output of `bytes`.
    pub fn output(&mut self, bytes: u64) -> BufferId {
        let index = self.program.outputs.len() as u32;
        let name = format!("output{index}");
        self.program.outputs.push(Kernel::tensor(name.clone(), bytes));
        self.program.add_buffer(name, BufferKind::Output(index), bytes)
    }

    /// Scratch of `bytes` in HBM.
    pub fn scratch(&mut self, bytes: u64) -> BufferId {
        self.program.add_buffer("scratch", BufferKind::Scratch, bytes)
    }

    /// A tile of SBUF.
    pub fn sbuf(&mut self, bytes: u32) -> TileId {
        self.program.add_tile(Space::Sbuf, 128, bytes as usize, "")
    }

    /// A bank of PSUM.
    pub fn psum(&mut self) -> TileId {
        self.program.add_tile(Space::Psum, 128, 2048, "")
    }

    /// `n` tiles of SBUF used in turn.
    pub fn ring(&mut self, n: usize, bytes: u32) -> Ring {
        Ring((0..n).map(|_| self.sbuf(bytes)).collect())
    }

    /// `n` banks of PSUM used in turn.
    pub fn banks(&mut self, n: usize) -> Ring {
        Ring((0..n).map(|_| self.psum()).collect())
    }

    fn push(&mut self, kind: OpKind, engine: Engine) {
        self.slots.push((self.iteration + self.stage, self.iteration));
        self.program.ops.push(Op {
            kind,
            engine: Some(engine),
            loc: LocId::UNKNOWN,
        });
    }

    fn rows(rows: Rows, view: &View) -> Mem {
        let size = view.dtype.bytes() as i64;
        Mem::Hbm(HbmAccess {
            buffer: rows.buffer,
            offset: rows.offset,
            dtype: view.dtype,
            dims: [
                MemDim {
                    step: rows.step as i64,
                    count: u64::from(view.partitions),
                },
                MemDim {
                    step: size,
                    count: view.elements() as u64,
                },
            ]
            .into_iter()
            .collect(),
        })
    }

    /// Loads rows, triggered by `engine`.
    pub fn load_by(&mut self, engine: Engine, dst: View, from: Rows) {
        let src = Kernel::rows(from, &dst);
        let piece = DmaPiece {
            op: DmaOp::Copy,
            src,
            dst: Mem::Tile(dst),
        };
        self.push(OpKind::Dma(vec![piece]), engine);
    }

    /// Loads rows, triggered by SyncE.
    pub fn load(&mut self, dst: View, from: Rows) {
        self.load_by(Engine::Sync, dst, from);
    }

    /// Stores rows, triggered by GpSimdE, so that no load waits behind them.
    pub fn store(&mut self, to: Rows, src: View) {
        self.store_by(Engine::GpSimd, to, src);
    }

    /// Stores rows, triggered by `engine`.
    pub fn store_by(&mut self, engine: Engine, to: Rows, src: View) {
        let dst = Kernel::rows(to, &src);
        let piece = DmaPiece {
            op: DmaOp::Copy,
            src: Mem::Tile(src),
            dst,
        };
        self.push(OpKind::Dma(vec![piece]), engine);
    }

    /// `dst (+)= stationary^T . moving`.
    pub fn matmul(&mut self, dst: View, stationary: View, moving: View, accumulate: bool) {
        let transpose = false;
        self.push(
            OpKind::Matmul {
                dst,
                stationary,
                moving,
                accumulate,
                transpose,
            },
            Engine::Tensor,
        );
    }

    /// `dst = a op b` on VectorE.
    pub fn tensor_tensor(&mut self, dst: View, a: View, b: View, op: AluOp) {
        self.push(OpKind::Compute(Inst::TensorTensor { dst, a, b, op }), Engine::Vector);
    }

    /// `dst = src op value` on VectorE.
    pub fn tensor_scalar(&mut self, dst: View, src: View, op: AluOp, value: f32) {
        let first = ScalarStep::imm(op, value);
        let second = None;
        self.push(
            OpKind::Compute(Inst::TensorScalar {
                dst,
                src,
                first,
                second,
            }),
            Engine::Vector,
        );
    }

    /// `dst = src op scalar` with one scalar per partition, on VectorE.
    pub fn tensor_per_partition(&mut self, dst: View, src: View, op: AluOp, scalar: View) {
        let first = ScalarStep::per_partition(op, scalar);
        let second = None;
        self.push(
            OpKind::Compute(Inst::TensorScalar {
                dst,
                src,
                first,
                second,
            }),
            Engine::Vector,
        );
    }

    /// `dst = func(src)` on ScalarE.
    pub fn activation(&mut self, dst: View, src: View, func: ActFunc) {
        self.activation_sum(dst, src, func, None);
    }

    /// `dst = func(src)` on ScalarE, and its sum per partition.
    pub fn activation_sum(&mut self, dst: View, src: View, func: ActFunc, accumulate: Option<View>) {
        let (scale, bias) = (Scalar::f32(1.0), Scalar::f32(0.0));
        self.push(
            OpKind::Compute(Inst::Activation {
                dst,
                src,
                func,
                scale,
                bias,
                accumulate,
            }),
            Engine::Scalar,
        );
    }

    /// Any other instruction.
    pub fn compute(&mut self, engine: Engine, inst: Inst<View>) {
        self.push(OpKind::Compute(inst), engine);
    }

    /// Zeros a whole tile on `engine`.
    pub fn zero(&mut self, engine: Engine, dst: View) {
        self.compute(engine, Inst::Memset { dst, bits: 0 });
    }

    /// Addresses, semaphores and instructions for `machine`, in program order.
    ///
    /// # Errors
    /// A kernel that does not fit, which is a defect of the kernel.
    pub fn assemble(self, machine: &MachineModel) -> Result<isa::Program, Diagnostic> {
        let program = self.finish();
        verify(&program)?;
        let placement = match place(&program, machine, None, false) {
            Ok(placement) => placement,
            Err(error) => return Err(Diagnostic::bug(format!("a calibration kernel does not fit: {error:?}"))),
        };
        let plan = synchronise(&program, &placement, machine, &SyncOptions::default())?;
        encode(&program, &placement, &plan, machine)
    }

    /// The program with its operations in order.
    pub fn finish(mut self) -> Program {
        let mut order: Vec<((usize, usize), Op)> = self.slots.into_iter().zip(self.program.ops).collect();
        order.sort_by_key(|(slot, _)| *slot);
        self.program.ops = order.into_iter().map(|(_, op)| op).collect();
        self.program
    }
}

impl Default for Kernel {
    fn default() -> Kernel {
        Kernel::new()
    }
}
