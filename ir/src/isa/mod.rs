//! `ir::isa`: instructions and time: what a NEFF holds and all that the simulator sees.
//!
//! A [`Program`] is one instruction stream per engine, HBM variables, DMA queues and static DMA transfers. Operands have
//! addresses. Each engine runs its stream in order; order *between* engines and DMA transfers exists only through
//! semaphores. An instruction carries at most one [`Wait`] and one [`Update`].
//!
//! Our definitions where the public documents are silent (all marked as assumptions in `docs/`):
//! the binary encoding, the linear SBUF address used by DMA (partition times the partition size plus the offset), and
//! that a DMA transfer adds 1 to its semaphore for each of the 16 DMA engines, whether or not the engine had a part in
//! it, in any order.

pub mod text;
mod verify;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

pub use crate::inst::{ActFunc, AluOp, Inst, Role, Scalar, ScalarStep, Steps};
pub use crate::machine::cost::DgeMode;
pub use crate::machine::{Engine, Space};
pub use verify::verify;

use crate::dtype::DType;
use crate::loc::{LocId, LocTable};

/// One free dimension of an access pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ApDim {
    /// Distance between neighbours, in elements (`i16` in hardware). 0 repeats one element.
    pub step: i32,
    /// Number of elements (`u16` in hardware), at least 1.
    pub count: u32,
}

/// Free dimensions, outermost first.
pub type ApDims = SmallVec<[ApDim; 4]>;

/// What an engine reads or writes: the same pattern of elements in a run of neighbouring partitions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ap {
    /// SBUF or PSUM.
    pub space: Space,
    /// First partition.
    pub partition: u16,
    /// Number of partitions.
    pub partitions: u16,
    /// Byte offset of the first element inside each partition.
    pub offset: u32,
    /// How the bytes are read or written.
    pub dtype: DType,
    /// Free dimensions, outermost first; none means one element.
    #[serde(deserialize_with = "crate::inst::short_list")]
    pub dims: ApDims,
}

impl Ap {
    /// Elements per partition.
    pub fn elements(&self) -> usize {
        free_elements(&self.dims)
    }

    /// First byte and end (exclusive) touched inside each partition; gaps between strided elements included.
    pub fn byte_range(&self) -> (i64, i64) {
        free_byte_range(&self.dims, i64::from(self.offset), self.dtype)
    }
}

/// Elements of a list of free dimensions.
pub fn free_elements(dims: &[ApDim]) -> usize {
    dims.iter().fold(1usize, |n, d| n.saturating_mul(d.count as usize))
}

/// Hull of the bytes that a pattern touches, from `offset` on.
pub fn free_byte_range(dims: &[ApDim], offset: i64, dtype: DType) -> (i64, i64) {
    let size = dtype.bytes() as i64;
    let (mut low, mut high) = (offset, offset + size);
    for d in dims {
        let reach = (i64::from(d.step) * (i64::from(d.count) - 1)).saturating_mul(size);
        if reach < 0 {
            low = low.saturating_add(reach);
        } else {
            high = high.saturating_add(reach);
        }
    }
    (low, high)
}

/// Number of an HBM variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct VarId(pub u32);

/// What an HBM variable is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VarKind {
    /// Bound by the caller; number `index` of the inputs.
    Input {
        /// Position among the inputs.
        index: u32,
    },
    /// Bound by the caller; number `index` of the outputs.
    Output {
        /// Position among the outputs.
        index: u32,
    },
    /// A constant that the NEFF carries.
    Const,
    /// Scratch at an offset of the shared scratch space; lifetimes decide who may overlap.
    Scratch {
        /// Byte offset.
        offset: u64,
    },
}

/// An HBM variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Var {
    /// Name, unique in the program.
    pub name: String,
    /// Use.
    pub kind: VarKind,
    /// Size in bytes.
    pub bytes: u64,
    /// Contents of a constant.
    pub data: Option<Arc<[u8]>>,
}

/// One dimension of a DMA access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DmaDim {
    /// Distance between neighbours in bytes; 0 repeats, negative is allowed.
    pub step: i64,
    /// Number of steps, at least 1.
    pub count: u64,
}

/// Where one side of a DMA lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DmaSpace {
    /// An HBM variable.
    Hbm(VarId),
    /// SBUF; addresses are linear: partition times bytes per partition plus offset.
    Sbuf,
}

/// One side of a DMA: elements of `dtype` at `offset` plus the steps. Elements are taken in row-major order of `dims`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DmaAccess {
    /// Memory.
    pub space: DmaSpace,
    /// Byte offset of the first element.
    pub offset: u64,
    /// Element type (a copy without a cast may use bytes of any width).
    pub dtype: DType,
    /// Dimensions, outermost first. At most [`DMA_DIMS`] besides the contiguous innermost run.
    pub dims: SmallVec<[DmaDim; 4]>,
}

/// Dimensions of one side of a DMA element besides its contiguous run. The documented form has at most 4 steps, of which
/// the first is that of the bytes of the run.
pub const DMA_DIMS: usize = 3;

impl DmaAccess {
    /// Number of elements.
    pub fn elements(&self) -> u64 {
        self.dims.iter().fold(1u64, |n, d| n.saturating_mul(d.count))
    }

    /// Bytes of the longest contiguous innermost run.
    pub fn contiguous_bytes(&self) -> u64 {
        let mut run = self.dtype.bytes() as u64;
        for d in self.dims.iter().rev() {
            if d.count == 1 {
                continue;
            }
            if d.step != run as i64 {
                break;
            }
            run = run.saturating_mul(d.count);
        }
        run
    }
}

/// What happens to the data on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DmaOp {
    /// Bytes move unchanged; both sides have the same element size.
    Copy,
    /// Elements are converted through fp32.
    Cast,
    /// The destination accumulates: `dst = dst + src` in fp32.
    Add,
}

/// One piece of a transfer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DmaElement {
    /// Operation.
    pub op: DmaOp,
    /// Source.
    pub src: DmaAccess,
    /// Destination; as many elements as the source.
    pub dst: DmaAccess,
}

/// A DMA transfer whose addresses are fixed, started by [`Op::DmaTrigger`]. Its descriptors exist before the program runs,
/// unless its queue says that a generator writes them ([`Queue::dge`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Queue whose rings hold the descriptors.
    pub queue: u16,
    /// Completion semaphore: receives 16 increments of 1.
    pub semaphore: u16,
    /// Pieces; no two write the same byte.
    pub elements: Vec<DmaElement>,
    /// Where it comes from.
    pub loc: LocId,
}

/// A DMA queue set: one ring on each DMA engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Name in the vendor's pattern (`qSyncIO0`).
    pub name: String,
    /// Engine whose instructions start its transfers.
    pub owner: Engine,
    /// Who writes the descriptors of its transfers.
    pub dge: DgeMode,
}

/// Waits until a semaphore is at least `value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Wait {
    /// Semaphore number.
    pub semaphore: u16,
    /// Smallest value that lets the instruction go on.
    pub value: u32,
}

/// When an update takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UpdateAt {
    /// When the instruction begins to read its operands.
    Read,
    /// When its results are visible.
    Complete,
}

/// What an update does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UpdateKind {
    /// Adds.
    Add(u32),
    /// Subtracts.
    Subtract(u32),
    /// Sets.
    Write(u32),
}

/// Changes a semaphore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Update {
    /// Semaphore number.
    pub semaphore: u16,
    /// Change.
    pub kind: UpdateKind,
    /// Moment.
    pub at: UpdateAt,
}

/// A register of the engine's sequencer (64 of 32 bits).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reg(pub u8);

/// A register or a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RegOrImm {
    /// Register.
    Reg(Reg),
    /// Constant.
    Imm(i32),
}

/// Integer operation on registers; wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum RegOp {
    Add,
    Subtract,
    Multiply,
    Max,
    Min,
}

/// Condition of a branch (signed).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum BranchCond {
    Always,
    Lt,
    Le,
    Eq,
    Ne,
    Ge,
    Gt,
}

/// What happens to a row whose index is out of bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OutOfBounds {
    /// The run stops with an error.
    Error,
    /// The row is not copied.
    Skip,
}

/// Direction of an indirect transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum IndirectKind {
    /// HBM rows to SBUF.
    Gather,
    /// SBUF to HBM rows; rows with equal indices are undefined.
    Scatter,
    /// SBUF added to HBM rows in fp32; indices must be unique.
    ScatterAdd,
}

/// Indirect DMA with descriptors made by GpSimd (software DGE): one row per partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Indirect {
    /// Direction.
    pub kind: IndirectKind,
    /// Queue.
    pub queue: u16,
    /// Completion semaphore (16 increments).
    pub semaphore: u16,
    /// The SBUF side: each partition holds one row.
    pub tile: Ap,
    /// `[P, 1]` int32 row numbers in SBUF.
    pub index: Ap,
    /// The HBM side.
    pub var: VarId,
    /// Register that picks the HBM side: 0 for `var`, 1 for the first of `others`, and so on.
    pub counter: Option<Reg>,
    /// What takes the place of `var` by the counter; empty without one.
    pub others: Vec<VarId>,
    /// Byte offset of row 0.
    pub offset: u64,
    /// Distance between rows in bytes.
    pub row_step: u64,
    /// Bytes of a row, contiguous in HBM. Equals the bytes per partition of `tile` (dtype of `tile` on both sides).
    pub row_bytes: u64,
    /// Rows `0..rows` are in bounds.
    pub rows: u32,
    /// What happens to others.
    pub out_of_bounds: OutOfBounds,
}

/// What the cores of a group do together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CollectiveKind {
    /// Everyone gets all operands, one after the other.
    AllGather,
    /// Everyone gets the reduction of all operands.
    AllReduce,
    /// Member `i` gets part `i` of the reduction of all operands.
    ReduceScatter,
    /// Member `i` gets part `i` of every operand, one after the other.
    AllToAll,
    /// The second of a pair gets the operand of the first; who is no pair's second gets zeros.
    Permute,
}

/// A collective: the CC-cores move data between the HBM of several NeuronCores (`neuroncore.md` section 2.11). The n-th trigger of a
/// channel on one core meets the n-th of that channel on the others of its group. Encoding and completion (as many increments as a
/// DMA transfer) are ours.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Collective {
    /// What is done.
    pub kind: CollectiveKind,
    /// Reduction: add, max or min, in fp32. Others ignore it.
    pub op: AluOp,
    /// Element type.
    pub dtype: DType,
    /// Tells collectives apart that may be under way together.
    pub channel: u32,
    /// Queue it belongs to.
    pub queue: u16,
    /// Completion semaphore.
    pub semaphore: u16,
    /// Operand.
    pub src: VarId,
    /// Byte offset of the operand.
    pub src_offset: u64,
    /// Result.
    pub dst: VarId,
    /// Byte offset of the result.
    pub dst_offset: u64,
    /// Bytes of the operand on one core.
    pub bytes: u64,
    /// Groups of cores, all of one size; of a permutation, pairs of source and target. A core belongs to one group at most, in a
    /// permutation to one as source and one as target.
    pub groups: Vec<Vec<u32>>,
}

impl Collective {
    /// Members of a group.
    pub fn ranks(&self) -> u64 {
        self.groups.first().map_or(1, |g| g.len() as u64).max(1)
    }

    /// Bytes of the result on one core.
    pub fn result_bytes(&self) -> u64 {
        match self.kind {
            CollectiveKind::AllGather => self.bytes.saturating_mul(self.ranks()),
            CollectiveKind::ReduceScatter => self.bytes / self.ranks(),
            CollectiveKind::AllReduce | CollectiveKind::AllToAll | CollectiveKind::Permute => self.bytes,
        }
    }
}

/// What an instruction does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Op {
    /// Vector, Scalar or GpSimd instruction.
    Compute(Inst<Ap>),
    /// ScalarE: loads a table set of activation functions.
    ActTableLoad {
        /// Set number ([`ActFunc::table_set`]).
        set: u8,
    },
    /// TensorE: loads `[K, M]` (K partitions, M elements per partition) as the next stationary matrix.
    LoadStationary {
        /// Operand in SBUF.
        src: Ap,
    },
    /// TensorE: `dst[M, N] (+)= stationary[K, M]^T . moving[K, N]` with the stationary matrix loaded last.
    MultiplyMoving {
        /// `[M, N]` fp32 in one PSUM bank.
        dst: Ap,
        /// `[K, N]` in SBUF, on the same partitions as the stationary matrix.
        moving: Ap,
        /// Adds to `dst` (which a matmul must have written) instead of overwriting it.
        accumulate: bool,
        /// Exact transpose mode (v3 and later): the stationary operand is data, the moving one the identity.
        transpose: bool,
    },
    /// Starts a static transfer; the instruction is done when the trigger is given.
    ///
    /// With a counter a loop starts another transfer in each repetition. The documents do not say how a loop moves on in the
    /// rings of a queue; that a register takes the place of a constant, as in other instructions, is our assumption.
    DmaTrigger {
        /// Index into [`Program::transfers`].
        transfer: u32,
        /// Register whose value is added to the index. All transfers that it can name have the queue and the semaphore of
        /// the first.
        counter: Option<Reg>,
    },
    /// GpSimdE: starts an indirect transfer.
    DmaIndirect(Box<Indirect>),
    /// `EVENT_SEMAPHORE`: nothing but its wait and its update.
    Semaphore,
    /// `EVENT_SEMAPHORE_RANGE_CLEAR`: sets semaphores to 0.
    RangeClear {
        /// First.
        first: u16,
        /// How many.
        count: u16,
    },
    /// `dst = value`.
    RegMove {
        /// Register.
        dst: Reg,
        /// Value.
        value: RegOrImm,
    },
    /// `dst = a op b`.
    RegAlu {
        /// Register.
        dst: Reg,
        /// Operation.
        op: RegOp,
        /// Left operand.
        a: RegOrImm,
        /// Right operand.
        b: RegOrImm,
    },
    /// Loads one 32-bit integer from SBUF (one partition, one element, `i32` or `u32`).
    RegLoad {
        /// Register.
        dst: Reg,
        /// Operand.
        src: Ap,
    },
    /// `COMPARE_BRANCH`: continues at instruction `target` of the same stream if the condition holds.
    Branch {
        /// Condition.
        cond: BranchCond,
        /// Left operand.
        a: RegOrImm,
        /// Right operand.
        b: RegOrImm,
        /// Index into the stream.
        target: u32,
    },
    /// `NOP`.
    Nop,
    /// `PSEUDO_TRIGGER_COLLECTIVE_2`: starts a collective; any engine may.
    Collective(Box<Collective>),
}

/// An instruction.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Instr {
    /// What it does.
    pub op: Op,
    /// What it waits for before it starts.
    pub wait: Option<Wait>,
    /// What it signals.
    pub update: Option<Update>,
    /// Where it comes from.
    pub loc: LocId,
}

impl Instr {
    /// An instruction without synchronisation.
    pub fn new(op: Op, loc: LocId) -> Instr {
        Instr {
            op,
            wait: None,
            update: None,
            loc,
        }
    }
}

/// A tensor that the caller binds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IoTensor {
    /// Name in the NEFF (`input0`, `output0`, ...).
    pub name: String,
    /// Element type of the caller's buffer.
    pub dtype: DType,
    /// Shape.
    pub shape: Vec<i64>,
    /// For an output: the input that may or must share its buffer.
    pub alias: Option<u32>,
    /// For an aliased output: the buffers are always one.
    pub must_alias: bool,
}

/// A program of one NeuronCore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Target it was made for (`inf2`).
    pub target: String,
    /// Instructions, by [`Engine::index`].
    pub streams: [Vec<Instr>; 5],
    /// HBM variables.
    pub vars: Vec<Var>,
    /// DMA queues.
    pub queues: Vec<Queue>,
    /// Static transfers.
    pub transfers: Vec<Transfer>,
    /// Inputs in the order of the caller.
    pub inputs: Vec<IoTensor>,
    /// Outputs in the order of the caller.
    pub outputs: Vec<IoTensor>,
    /// Source locations.
    pub locs: LocTable,
    /// Floating-point operations of the model's contractions (2 per multiply-add), for utilisation figures.
    pub model_flops: u64,
}

impl Program {
    /// An empty program.
    pub fn new(target: impl Into<String>) -> Program {
        Program {
            target: target.into(),
            streams: Default::default(),
            vars: Vec::new(),
            queues: Vec::new(),
            transfers: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            locs: LocTable::default(),
            model_flops: 0,
        }
    }

    /// The stream of an engine.
    pub fn stream(&self, engine: Engine) -> &[Instr] {
        &self.streams[engine.index()]
    }

    /// Instructions of all engines.
    pub fn instruction_count(&self) -> usize {
        self.streams.iter().map(Vec::len).sum()
    }

    /// The semaphore that a transfer started by `op` raises when it is done.
    pub fn transfer_semaphore(&self, op: &Op) -> Option<u16> {
        match op {
            Op::DmaTrigger { transfer, .. } => self.transfers.get(*transfer as usize).map(|t| t.semaphore),
            Op::DmaIndirect(indirect) => Some(indirect.semaphore),
            Op::Collective(collective) => Some(collective.semaphore),
            _ => None,
        }
    }

    /// Bytes of scratch space in HBM.
    pub fn scratch_bytes(&self) -> u64 {
        let end = |v: &Var| match v.kind {
            VarKind::Scratch { offset } => offset.saturating_add(v.bytes),
            _ => 0,
        };
        self.vars.iter().map(end).max().unwrap_or(0)
    }
}
