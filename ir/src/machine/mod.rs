//! The machine model: everything we know about a target, in one place.
//!
//! In: a target file (`ir/targets/*.toml`). Out: [`MachineModel`], which answers what an instruction costs
//! ([`cost`]), which engines run it and which limits its operands have.
//! Every number carries a source or is marked as assumed ([`Provenance`]); a file with a bare number is refused.
//! No number about hardware stands anywhere else in the code. Not here: the instructions themselves (`tile`, `isa`),
//! so costs are asked for by plain descriptions ([`cost::Work`], [`cost::Stream`]).

pub mod cost;
mod engine;
mod limits;
mod load;
pub mod params;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

pub use engine::{Engine, Space};
pub use load::Provenance;
pub use params::Instance;
use params::{
    Chip, Clocks, Collectives, Concurrency, Dma, GpSimd, Hbm, Limits, Pe, Peak, Psum, Sbuf, Scalar, Sync, Vector,
};

use crate::diag::{Code, Diagnostic};

/// A generation of the NeuronCore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Generation {
    /// NeuronCore-v2: `inf2`, `trn1`, `trn1n`.
    V2,
    /// NeuronCore-v3: `trn2`.
    V3,
    /// NeuronCore-v4: `trn3`.
    V4,
}

/// Which occupancy the cost functions answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CostModel {
    /// Documented formulas plus the issue overheads fitted to public measurements.
    #[default]
    Calibrated,
    /// The documented formulas alone: no issue overhead.
    Documented,
}

/// What we know of one target.
#[derive(Clone, Debug)]
pub struct MachineModel {
    /// Target name: `inf2`, `trn1`, ...
    pub name: String,
    /// Core generation.
    pub generation: Generation,
    /// Core name, for messages.
    pub core: String,
    /// Occupancy formulas in use.
    pub cost_model: CostModel,
    /// Clocks.
    pub clocks: Clocks,
    /// State buffer.
    pub sbuf: Sbuf,
    /// Accumulator memory.
    pub psum: Psum,
    /// Device memory.
    pub hbm: Hbm,
    /// DMA engines.
    pub dma: Dma,
    /// TensorE.
    pub pe: Pe,
    /// VectorE.
    pub vector: Vector,
    /// ScalarE.
    pub scalar: Scalar,
    /// GpSimdE.
    pub gpsimd: GpSimd,
    /// Sequencers and semaphores.
    pub sync: Sync,
    /// Operand limits.
    pub limits: Limits,
    /// Port sharing.
    pub concurrency: Concurrency,
    /// Collectives.
    pub collectives: Collectives,
    /// Chip.
    pub chip: Chip,
    /// Peak rates.
    pub peak: Peak,
    /// Instance types.
    pub instances: Vec<Instance>,
    /// Where each number comes from, by dotted path (`pe.rows`).
    pub provenance: BTreeMap<String, Provenance>,
    /// Source tag to document.
    pub sources: BTreeMap<String, String>,
}

/// Embedded target files, in the order `ferrite targets` lists them.
const EMBEDDED: [(&str, &str); 5] = [
    ("inf2", include_str!("../../targets/inf2.toml")),
    ("trn1", include_str!("../../targets/trn1.toml")),
    ("trn1n", include_str!("../../targets/trn1n.toml")),
    ("trn2", include_str!("../../targets/trn2.toml")),
    ("trn3", include_str!("../../targets/trn3.toml")),
];

static MODELS: [OnceLock<Result<Arc<MachineModel>, Diagnostic>>; EMBEDDED.len()] =
    [const { OnceLock::new() }; EMBEDDED.len()];

impl MachineModel {
    /// Least and largest magnitude that ScalarE's table of a function takes, if it does not take all.
    pub fn function_range(&self, function: &str) -> Option<(f32, f32)> {
        let &[low, high] = self.scalar.log2_ranges.get(function)?;
        Some(((low as f32).exp2(), (high as f32).exp2()))
    }

    /// Names of the targets that [`MachineModel::target`] knows.
    pub fn targets() -> impl Iterator<Item = &'static str> {
        EMBEDDED.iter().map(|(name, _)| *name)
    }

    /// The model of a `--target` name. An unknown name, and `inf1`, are errors that name the accepted ones.
    pub fn target(name: &str) -> Result<Arc<MachineModel>, Diagnostic> {
        if name == "inf1" {
            return Err(Diagnostic::error(
                Code::Usage,
                "NeuronCore-v1 is not supported; use inf2, trn1, trn1n, trn2 or trn3",
            ));
        }
        let Some(index) = EMBEDDED.iter().position(|(known, _)| *known == name) else {
            let known: Vec<&str> = Self::targets().collect();
            return Err(Diagnostic::error(Code::Usage, format!("unknown target `{name}`"))
                .help(format!("known targets are {}", known.join(", "))));
        };
        MODELS[index]
            .get_or_init(|| Self::from_toml(EMBEDDED[index].1).map(Arc::new))
            .clone()
    }

    /// The embedded text of a target file, as a starting point for an edited one.
    pub fn target_text(name: &str) -> Option<&'static str> {
        EMBEDDED.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
    }

    /// Reads a target file. Errors: syntax, unknown or missing fields, numbers without source or `assumed` reason,
    /// unknown source tags, values that cannot describe a machine (a clock of 0, ...).
    pub fn from_toml(text: &str) -> Result<MachineModel, Diagnostic> {
        load::from_toml(text)
    }

    /// The same model with another [`CostModel`].
    pub fn with_cost_model(mut self, cost_model: CostModel) -> MachineModel {
        self.cost_model = cost_model;
        self
    }

    /// Clock of an engine, MHz.
    pub fn clock_mhz(&self, engine: Engine) -> u64 {
        match engine {
            Engine::Tensor => self.clocks.tensor_mhz,
            Engine::Vector => self.clocks.vector_mhz,
            Engine::Scalar => self.clocks.scalar_mhz,
            Engine::GpSimd => self.clocks.gpsimd_mhz,
            Engine::Sync => self.clocks.sync_mhz,
        }
    }

    /// Duration of `cycles` of an engine's clock in picoseconds, rounded to nearest.
    pub fn ps(&self, engine: Engine, cycles: u64) -> u64 {
        let mhz = u128::from(self.clock_mhz(engine));
        let ps = (u128::from(cycles) * 1_000_000 + mhz / 2) / mhz;
        u64::try_from(ps).unwrap_or(u64::MAX)
    }

    /// Cycles of the profiler's base clock in a duration.
    pub fn profiler_cycles(&self, ps: u64) -> u64 {
        let cycles = u128::from(ps) * u128::from(self.clocks.profiler_mhz) / 1_000_000;
        u64::try_from(cycles).unwrap_or(u64::MAX)
    }

    /// Peak FLOP/s of TensorE for an operand dtype (1 multiply-add counts 2).
    pub fn peak_flops(&self, dtype: crate::dtype::DType) -> f64 {
        use crate::dtype::DType;
        let tera = match dtype {
            DType::F32 => self.peak.fp32_tflops,
            DType::TF32 => self.peak.tf32_tflops,
            DType::F16 => self.peak.fp16_tflops,
            d if limits::is_fp8(d) => self.peak.fp8_tflops,
            _ => self.peak.bf16_tflops,
        };
        tera * 1e12
    }

    /// Sustained DMA bandwidth of one core, bytes per second, never above what its HBM gives.
    pub fn dma_bytes_per_s(&self) -> f64 {
        (self.dma.bytes_per_ns_per_engine * self.dma.engines as f64).min(self.hbm.cap_gb_per_s) * 1e9
    }
}

/// Nanoseconds as whole picoseconds.
pub(crate) fn ns_to_ps(ns: f64) -> u64 {
    (ns * 1000.0).round() as u64
}

#[cfg(test)]
mod tests;
