//! What a run reports. Times are integer picoseconds from the start of the program.

use ferrite_ir::isa::Engine;
use ferrite_ir::loc::LocId;

use crate::series::Series;

/// Totals of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// From the first instruction to the last result or DMA packet.
    pub latency_ps: u64,
    /// The same in cycles of the target's base clock.
    pub cycles: u64,
    /// Engines, by [`Engine::index`].
    pub engines: [EngineStats; 5],
    /// DMA transfers.
    pub dma_transfers: u64,
    /// DMA descriptors, one side counted.
    pub dma_descriptors: u64,
    /// Bytes moved by DMA.
    pub dma_bytes: u64,
    /// Time in which at least one DMA engine moved data.
    pub dma_busy_ps: u64,
    /// Busy time of all DMA engines together.
    pub dma_engine_ps: u64,
    /// Bytes read from HBM.
    pub hbm_read_bytes: u64,
    /// Bytes written to HBM.
    pub hbm_written_bytes: u64,
    /// Collectives that this core took part in.
    pub collectives: u64,
    /// Bytes that left this core in them.
    pub link_bytes: u64,
    /// Floating-point operations on TensorE, transposes included (2 per multiply-add).
    pub pe_flops: u64,
    /// Of these, those of exact transposes.
    pub pe_transpose_flops: u64,
    /// What ran when, if it was asked for.
    pub timeline: Option<Timeline>,
}

impl Stats {
    /// Instructions executed by all engines.
    pub fn instructions(&self) -> u64 {
        self.engines.iter().map(|e| e.instructions).sum()
    }

    /// What one engine did.
    pub fn engine(&self, engine: Engine) -> &EngineStats {
        &self.engines[engine.index()]
    }
}

/// What one engine did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EngineStats {
    /// Instructions executed.
    pub instructions: u64,
    /// Time in which at least one instruction executed, pipeline latency included, waiting excluded.
    pub busy_ps: u64,
    /// Time in which the engine could not start an instruction because another still occupied it.
    pub occupied_ps: u64,
    /// Time spent waiting for semaphores.
    pub wait_ps: u64,
    /// Instructions by name, sorted by name.
    pub opcodes: Vec<(&'static str, u64)>,
}

/// What ran when.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    /// Rows: the five engines, then the DMA queues.
    pub tracks: Vec<Track>,
    /// Names of instructions and transfers.
    pub names: Vec<String>,
    /// Intervals, in order of their start.
    pub spans: Vec<Span>,
    /// Intervals in which an engine could not go on, in order of their start.
    pub stalls: Vec<Stall>,
    /// Bytes of SBUF that hold something that is still read, over all partitions.
    pub sbuf_bytes: Series,
    /// Bytes of PSUM that hold something that is still read.
    pub psum_bytes: Series,
    /// Bytes read and written in HBM per picosecond.
    pub hbm_bytes_per_ps: Series,
}

/// Who changed a semaphore: an instruction, or the transfer it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Producer {
    /// [`Engine::index`].
    pub engine: u8,
    /// Index in its stream.
    pub instruction: u32,
}

/// Why an engine could not start an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It waited for a semaphore.
    Semaphore {
        /// Number.
        semaphore: u16,
        /// Whose change ended the wait.
        producer: Option<Producer>,
    },
    /// A memory port was another engine's.
    Port {
        /// [`Engine::index`] of the other.
        engine: u8,
    },
    /// A result of the same engine was still in the pipeline.
    Pipeline,
    /// TensorE's array or its load path was taken.
    Array,
    /// The sequencer had not decoded it.
    Decode,
}

/// An interval in which an engine could not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// Index in [`Timeline::tracks`].
    pub track: u32,
    /// The instruction that could not start: index in the engine's stream.
    pub instruction: u32,
    /// Start.
    pub start_ps: u64,
    /// End, after the start.
    pub end_ps: u64,
    /// Why.
    pub reason: Reason,
}

/// A row of a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// Name: `TensorE` or that of a queue.
    pub name: String,
    /// Whether it belongs to a DMA queue.
    pub dma: bool,
}

/// One instruction or transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Index in [`Timeline::tracks`].
    pub track: u32,
    /// Index in [`Timeline::names`].
    pub name: u32,
    /// Start.
    pub start_ps: u64,
    /// End, not before the start.
    pub end_ps: u64,
    /// Bytes moved by a transfer.
    pub bytes: u64,
    /// Index in its engine's stream; of a transfer, the instruction that started it.
    pub instruction: u32,
    /// Source location.
    pub location: LocId,
}

/// Union of intervals that come in order of their starts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Busy {
    total: u64,
    until: u64,
}

impl Busy {
    /// Adds `start..end`.
    pub fn add(&mut self, start: u64, end: u64) {
        self.total += end.saturating_sub(start.max(self.until));
        self.until = self.until.max(end);
    }

    /// Length of the union.
    pub fn total(&self) -> u64 {
        self.total
    }
}

/// Name of an engine's track.
pub fn track_name(engine: Engine) -> &'static str {
    match engine {
        Engine::Tensor => "TensorE",
        Engine::Vector => "VectorE",
        Engine::Scalar => "ScalarE",
        Engine::GpSimd => "GpSimdE",
        Engine::Sync => "SyncE",
    }
}
