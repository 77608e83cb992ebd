//! `ir::tile`: tiles and engines: what runs on one NeuronCore, before time and addresses are fixed.
//!
//! A [`Program`] is a list of operations in *program order*, which defines its meaning: each operation sees what the
//! ones before it wrote. Tiles are blocks of SBUF or PSUM without an address, HBM buffers have none either. Operations
//! write into tiles that were allocated before (destination passing), because an accumulation group, a tile filled by
//! several instructions and an in-place update are all several writes to one tile; so tiles are *not* single
//! assignment, and dependences are what overlaps in program order.
//!
//! Later passes decide, in this order: which engine runs an operation ([`Op::engine`]), in which order (the list is
//! reordered within its dependences), where tiles lie (`place`), which semaphores keep the order, and the encoding.

pub mod text;
mod verify;

use std::borrow::Cow;
use std::sync::Arc;

pub use crate::inst::{ActFunc, AluOp, Inst, Role, Scalar, ScalarStep, Steps};
pub use crate::isa::{ApDim, ApDims, DmaOp, IndirectKind, IoTensor, OutOfBounds, free_byte_range, free_elements};
pub use crate::machine::{Engine, Space};
pub use verify::verify;

use smallvec::SmallVec;

use crate::dtype::DType;
use crate::loc::{LocId, LocTable};

/// A tile of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TileId(pub u32);

impl TileId {
    /// The id as an index of dense side tables.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// An HBM buffer of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(pub u32);

impl BufferId {
    /// The id as an index of dense side tables.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A block of SBUF or PSUM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// SBUF or PSUM.
    pub space: Space,
    /// Partitions used, from the first one of the tile.
    pub partitions: u16,
    /// Bytes per partition. A PSUM tile never exceeds one bank.
    pub bytes: u32,
    /// For dumps (`%12_q`); need not be unique.
    pub name: Cow<'static, str>,
}

/// Part of a tile as an operand: the same pattern of elements in a run of neighbouring partitions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// The tile.
    pub tile: TileId,
    /// First partition, relative to the tile.
    pub partition: u16,
    /// Number of partitions.
    pub partitions: u16,
    /// Byte offset of the first element in each partition, relative to the tile.
    pub offset: u32,
    /// How the bytes are read or written.
    pub dtype: DType,
    /// Free dimensions, outermost first; none means one element.
    pub dims: ApDims,
}

impl View {
    /// Elements per partition.
    pub fn elements(&self) -> usize {
        free_elements(&self.dims)
    }

    /// Hull of the bytes touched in each partition, relative to the tile.
    pub fn byte_range(&self) -> (i64, i64) {
        free_byte_range(&self.dims, i64::from(self.offset), self.dtype)
    }
}

/// What an HBM buffer is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BufferKind {
    /// Input number `0` of the program.
    Input(u32),
    /// Output number `0` of the program.
    Output(u32),
    /// A constant with its bytes.
    Const(Arc<[u8]>),
    /// Scratch.
    Scratch,
    /// Stands for one of these buffers in each repetition of the innermost loop around its use: as many as the loop has
    /// repetitions, all of one size and none of them per trip itself. So a loop over equal layers reads and writes what
    /// belongs to each.
    PerTrip(Vec<BufferId>),
}

/// An HBM buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// Name for dumps and the NEFF; made unique by the encoder.
    pub name: String,
    /// Use.
    pub kind: BufferKind,
    /// Size in bytes.
    pub bytes: u64,
}

/// One dimension of a memory access by DMA. For a tile side, the first entry may be the partition dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MemDim {
    /// Distance between neighbours: bytes for HBM and for free dimensions of a tile.
    pub step: i64,
    /// Number of steps, at least 1.
    pub count: u64,
}

/// The HBM side of a DMA: elements of `dtype` in row-major order of `dims`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HbmAccess {
    /// The buffer.
    pub buffer: BufferId,
    /// Byte offset of the first element.
    pub offset: u64,
    /// Element type.
    pub dtype: DType,
    /// Dimensions, outermost first; steps in bytes, 0 to repeat.
    pub dims: SmallVec<[MemDim; 6]>,
}

impl HbmAccess {
    /// Number of elements.
    pub fn elements(&self) -> u64 {
        self.dims.iter().fold(1, |n, d| n.saturating_mul(d.count))
    }

    /// Hull of the bytes touched.
    pub fn byte_range(&self) -> (i64, i64) {
        let start = i64::try_from(self.offset).unwrap_or(i64::MAX);
        let (mut low, mut high) = (start, start.saturating_add(self.dtype.bytes() as i64));
        for d in &self.dims {
            let last = i64::try_from(d.count).unwrap_or(i64::MAX).saturating_sub(1);
            let reach = d.step.saturating_mul(last);
            if reach < 0 {
                low = low.saturating_add(reach);
            } else {
                high = high.saturating_add(reach);
            }
        }
        (low, high)
    }
}

/// One side of a DMA. A [`View`] is walked partition by partition (partition outermost), each partition's elements in
/// row-major order of its free dimensions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Mem {
    /// HBM.
    Hbm(HbmAccess),
    /// SBUF.
    Tile(View),
}

impl Mem {
    /// Number of elements.
    pub fn elements(&self) -> u64 {
        match self {
            Mem::Hbm(h) => h.elements(),
            Mem::Tile(v) => (v.elements() as u64).saturating_mul(u64::from(v.partitions)),
        }
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        match self {
            Mem::Hbm(h) => h.dtype,
            Mem::Tile(v) => v.dtype,
        }
    }
}

/// One piece of a DMA transfer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DmaPiece {
    /// Copy, cast or accumulate.
    pub op: DmaOp,
    /// Source.
    pub src: Mem,
    /// Destination; as many elements as the source, taken in the same order.
    pub dst: Mem,
}

/// An indirect transfer: one HBM row per partition of a tile.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Indirect {
    /// Direction.
    pub kind: IndirectKind,
    /// The SBUF side; each partition holds one row.
    pub tile: View,
    /// `[P, 1]` int32 row numbers.
    pub index: View,
    /// The HBM side.
    pub buffer: BufferId,
    /// Byte offset of row 0.
    pub offset: u64,
    /// Distance between rows in bytes.
    pub row_step: u64,
    /// Bytes of a row.
    pub row_bytes: u64,
    /// Rows `0..rows` are in bounds.
    pub rows: u32,
    /// What happens to others.
    pub out_of_bounds: OutOfBounds,
}

/// What an operation does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OpKind {
    /// `dst[M, N] (+)= stationary[K, M]^T . moving[K, N]` on TensorE (`nc_matmul`); `dst` is fp32 in PSUM.
    Matmul {
        /// `[M, N]` in PSUM.
        dst: View,
        /// `[K, M]` in SBUF.
        stationary: View,
        /// `[K, N]` in SBUF, on the same partitions as `stationary`.
        moving: View,
        /// Adds to `dst` instead of overwriting it.
        accumulate: bool,
        /// Exact transpose mode (v3 and later).
        transpose: bool,
    },
    /// An instruction of Vector, Scalar or GpSimd.
    Compute(Inst<View>),
    /// A transfer; its pieces run in any order.
    Dma(Vec<DmaPiece>),
    /// An indirect transfer.
    Indirect(Box<Indirect>),
    /// The engine's sequencer loads one 32-bit integer from SBUF into its test register, which the next [`Control`]
    /// tests. A control operation that tests needs one of these for every engine directly before it.
    LoadTest {
        /// One element of `i32` on one partition.
        src: View,
    },
    /// Where all engines loop or branch together.
    Control(Control),
}

/// A point of control flow. All engines meet there: what comes before is complete before anything after it begins, and
/// no tile lives across it; values pass in HBM. Loops and selections nest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Control {
    /// Begins a loop, whose body runs at least once.
    Loop,
    /// Ends the innermost loop, which runs again if the test register is not 0.
    RepeatWhile,
    /// Ends the innermost loop, which runs this often in all (at least once).
    Repeat(u32),
    /// Begins a selection among this many branches (at least one): the one whose number is in the test register, the last
    /// one for any other number. The first branch follows.
    Switch(u32),
    /// Ends a branch; the next one follows.
    NextBranch,
    /// Ends the last branch.
    EndSwitch,
}

impl Control {
    /// Whether the test register decides.
    pub fn tests(self) -> bool {
        matches!(self, Control::RepeatWhile | Control::Switch(_))
    }

    /// Name in the text form.
    pub fn name(self) -> &'static str {
        match self {
            Control::Loop => "loop",
            Control::RepeatWhile => "repeat_while",
            Control::Repeat(_) => "repeat",
            Control::Switch(_) => "switch",
            Control::NextBranch => "next_branch",
            Control::EndSwitch => "end_switch",
        }
    }
}

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Op {
    /// What it does.
    pub kind: OpKind,
    /// The engine that runs it, or that triggers it for DMA. `None` until engines are assigned, and always for
    /// [`OpKind::Control`], which every engine runs.
    pub engine: Option<Engine>,
    /// Where it comes from.
    pub loc: LocId,
}

/// What an operation touches, for dependence analysis.
#[derive(Clone, Copy, Debug)]
pub enum Touched<'a> {
    /// Part of a tile.
    Tile(&'a View),
    /// Part of a buffer.
    Hbm(&'a HbmAccess),
    /// A whole buffer, where the part is known at run time only.
    Buffer(BufferId),
}

impl Op {
    /// Calls `f` for every operand.
    pub fn for_each<'a>(&'a self, mut f: impl FnMut(Role, Touched<'a>)) {
        match &self.kind {
            OpKind::Matmul {
                dst,
                stationary,
                moving,
                accumulate,
                ..
            } => {
                f(
                    if *accumulate { Role::ReadWrite } else { Role::Write },
                    Touched::Tile(dst),
                );
                f(Role::Read, Touched::Tile(stationary));
                f(Role::Read, Touched::Tile(moving));
            }
            OpKind::Compute(inst) => inst.for_each(|role, v| f(role, Touched::Tile(v))),
            OpKind::Dma(pieces) => {
                for piece in pieces {
                    let written = if piece.op == DmaOp::Add {
                        Role::ReadWrite
                    } else {
                        Role::Write
                    };
                    for (role, mem) in [(written, &piece.dst), (Role::Read, &piece.src)] {
                        match mem {
                            Mem::Hbm(h) => f(role, Touched::Hbm(h)),
                            Mem::Tile(v) => f(role, Touched::Tile(v)),
                        }
                    }
                }
            }
            OpKind::Indirect(i) => {
                let (tile, hbm) = match i.kind {
                    // Rows out of bounds keep what the tile held.
                    IndirectKind::Gather if i.out_of_bounds == OutOfBounds::Skip => (Role::ReadWrite, Role::Read),
                    IndirectKind::Gather => (Role::Write, Role::Read),
                    IndirectKind::Scatter | IndirectKind::ScatterAdd => (Role::Read, Role::ReadWrite),
                };
                f(tile, Touched::Tile(&i.tile));
                f(Role::Read, Touched::Tile(&i.index));
                f(hbm, Touched::Buffer(i.buffer));
            }
            OpKind::LoadTest { src } => f(Role::Read, Touched::Tile(src)),
            OpKind::Control(_) => {}
        }
    }

    /// The control flow of an operation that is some.
    pub fn control(&self) -> Option<Control> {
        match self.kind {
            OpKind::Control(control) => Some(control),
            _ => None,
        }
    }

    /// NKI's name of the operation.
    pub fn name(&self) -> &'static str {
        match &self.kind {
            OpKind::Matmul { .. } => "nc_matmul",
            OpKind::Compute(inst) => inst.name(),
            OpKind::Dma(_) => "dma_copy",
            OpKind::Indirect(_) => "dma_indirect",
            OpKind::LoadTest { .. } => "load_test",
            OpKind::Control(control) => control.name(),
        }
    }
}

/// A program of one NeuronCore before time and addresses.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// Tiles.
    pub tiles: Vec<Tile>,
    /// HBM buffers.
    pub buffers: Vec<Buffer>,
    /// Operations in program order.
    pub ops: Vec<Op>,
    /// Inputs in the order of the caller.
    pub inputs: Vec<IoTensor>,
    /// Outputs in the order of the caller.
    pub outputs: Vec<IoTensor>,
    /// Source locations.
    pub locs: LocTable,
    /// Floating-point operations of the model's contractions (2 per multiply-add).
    pub model_flops: u64,
}

impl Program {
    /// Adds a tile.
    pub fn add_tile(
        &mut self,
        space: Space,
        partitions: usize,
        bytes: usize,
        name: impl Into<Cow<'static, str>>,
    ) -> TileId {
        self.tiles.push(Tile {
            space,
            partitions: partitions as u16,
            bytes: bytes as u32,
            name: name.into(),
        });
        TileId(self.tiles.len() as u32 - 1)
    }

    /// Adds a buffer.
    pub fn add_buffer(&mut self, name: impl Into<String>, kind: BufferKind, bytes: u64) -> BufferId {
        self.buffers.push(Buffer {
            name: name.into(),
            kind,
            bytes,
        });
        BufferId(self.buffers.len() as u32 - 1)
    }

    /// Adds an operation at the end.
    pub fn push(&mut self, kind: OpKind, loc: LocId) {
        self.ops.push(Op {
            kind,
            engine: None,
            loc,
        });
    }

    /// First and last operation of every loop, inner loops before the ones they stand in.
    pub fn loops(&self) -> Vec<(usize, usize)> {
        let mut open = Vec::new();
        let mut loops = Vec::new();
        for (index, op) in self.ops.iter().enumerate() {
            match op.control() {
                Some(Control::Loop) => open.push(index),
                Some(Control::Repeat(_) | Control::RepeatWhile) => loops.extend(open.pop().map(|begin| (begin, index))),
                _ => {}
            }
        }
        loops
    }

    /// The buffers that one stands for: one for each repetition if it is per trip, else itself.
    pub fn members<'a>(&'a self, id: &'a BufferId) -> &'a [BufferId] {
        match &self.buffer(*id).kind {
            BufferKind::PerTrip(members) => members,
            _ => std::slice::from_ref(id),
        }
    }

    /// A tile.
    pub fn tile(&self, id: TileId) -> &Tile {
        &self.tiles[id.index()]
    }

    /// A buffer.
    pub fn buffer(&self, id: BufferId) -> &Buffer {
        &self.buffers[id.index()]
    }
}
