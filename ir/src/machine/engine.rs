//! The five instruction streams of a NeuronCore.

use std::fmt;

/// An engine with its own sequencer. Each runs its instruction stream in order, asynchronously to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// TensorE: the systolic array. Reads SBUF, writes PSUM.
    Tensor,
    /// VectorE: streaming arithmetic over SBUF and PSUM.
    Vector,
    /// ScalarE: activation functions over SBUF and PSUM.
    Scalar,
    /// GpSimdE: eight programmable processors over SBUF.
    GpSimd,
    /// SyncE: registers, semaphores and DMA triggers only.
    Sync,
}

impl Engine {
    /// All engines, in the order of [`Engine::index`].
    pub const ALL: [Engine; 5] = [
        Engine::Tensor,
        Engine::Vector,
        Engine::Scalar,
        Engine::GpSimd,
        Engine::Sync,
    ];

    /// Position in [`Engine::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The engine at a position of [`Engine::ALL`].
    pub fn from_index(index: usize) -> Option<Engine> {
        Engine::ALL.get(index).copied()
    }

    /// Lower-case name as used in text forms: `tensor`, `vector`, `scalar`, `gpsimd`, `sync`.
    pub const fn name(self) -> &'static str {
        match self {
            Engine::Tensor => "tensor",
            Engine::Vector => "vector",
            Engine::Scalar => "scalar",
            Engine::GpSimd => "gpsimd",
            Engine::Sync => "sync",
        }
    }

    /// The inverse of [`Engine::name`].
    pub fn from_name(name: &str) -> Option<Engine> {
        Engine::ALL.into_iter().find(|e| e.name() == name)
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A memory an operand can live in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Space {
    /// Device memory, reached by DMA only.
    Hbm,
    /// State buffer: 128 partitions.
    Sbuf,
    /// Matmul accumulators: 128 partitions of eight banks.
    Psum,
}

impl Space {
    /// Lower-case name: `hbm`, `sbuf`, `psum`.
    pub const fn name(self) -> &'static str {
        match self {
            Space::Hbm => "hbm",
            Space::Sbuf => "sbuf",
            Space::Psum => "psum",
        }
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Engine {
    /// Whether the engine reads operands in `space` (`neuroncore.md` section 2.1).
    pub const fn reads(self, space: Space) -> bool {
        match self {
            Engine::Tensor => matches!(space, Space::Sbuf),
            Engine::Vector | Engine::Scalar => matches!(space, Space::Sbuf | Space::Psum),
            Engine::GpSimd => matches!(space, Space::Sbuf),
            Engine::Sync => false,
        }
    }

    /// Whether the engine writes results to `space` (`neuroncore.md` section 2.1).
    pub const fn writes(self, space: Space) -> bool {
        match self {
            Engine::Tensor => matches!(space, Space::Psum),
            Engine::Vector | Engine::Scalar => matches!(space, Space::Sbuf | Space::Psum),
            Engine::GpSimd => matches!(space, Space::Sbuf),
            Engine::Sync => false,
        }
    }
}
