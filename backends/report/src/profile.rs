//! What a run is reported from: totals, and optionally what ran when.
//!
//! Times are integer picoseconds from the first instruction; bytes and operations are counted over the whole run.

use ferrite_ir::dtype::DType;
use ferrite_ir::isa::{Engine, Program};
use ferrite_ir::loc::LocTable;
use ferrite_ir::machine::MachineModel;
use ferrite_sim::Stats;
pub use ferrite_sim::{Span, Timeline, Track};

/// One run of a program on one or more cores.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// Name of the program.
    pub name: String,
    /// Target: `trn2`.
    pub target: String,
    /// From the first instruction or DMA packet to the last, set-up excluded.
    pub latency_ps: u64,
    /// Cycles of the target's base clock in that time.
    pub cycles: u64,
    /// Floating-point operations of the model: two for each multiply-accumulate of its contractions.
    pub model_flops: u64,
    /// What TensorE of all cores together could do, in bf16 operations per second.
    pub peak_flops: f64,
    /// HBM bandwidth of all cores together, in bytes per second.
    pub hbm_bandwidth: f64,
    /// Bytes of SBUF of one core.
    pub sbuf_bytes: u64,
    /// Bytes of PSUM of one core.
    pub psum_bytes: u64,
    /// The cores.
    pub cores: Vec<CoreProfile>,
    /// Where operations stand in the model's source.
    pub locations: LocTable,
}

/// What one core did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CoreProfile {
    /// Engines, in the order in which they are shown.
    pub engines: Vec<EngineProfile>,
    /// Time in which at least one DMA transfer moved data.
    pub dma_busy_ps: u64,
    /// DMA transfers.
    pub dma_transfers: u64,
    /// Bytes read from HBM.
    pub hbm_read_bytes: u64,
    /// Bytes written to HBM.
    pub hbm_written_bytes: u64,
    /// Floating-point operations on TensorE, transposes and broadcasts included.
    pub hardware_flops: u64,
    /// What ran when; empty if it was not recorded.
    pub timeline: Timeline,
}

/// What one engine did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EngineProfile {
    /// Key in the summary: `tensor`, `vector`, `scalar`, `gpsimd` or `sync`.
    pub key: &'static str,
    /// Name of the track: `TensorE`.
    pub name: &'static str,
    /// Instructions executed.
    pub instructions: u64,
    /// Time in which at least one instruction executed; waiting for semaphores is not in it.
    pub busy_ps: u64,
    /// Instructions by name.
    pub opcodes: Vec<(String, u64)>,
}

impl Profile {
    /// The profile of a run on one core.
    pub fn new(name: &str, program: &Program, machine: &MachineModel, stats: Stats) -> Profile {
        Profile {
            name: name.to_string(),
            target: program.target.clone(),
            latency_ps: stats.latency_ps,
            cycles: stats.cycles,
            model_flops: program.model_flops,
            peak_flops: machine.peak_flops(DType::BF16),
            hbm_bandwidth: machine.hbm.cap_gb_per_s * 1e9,
            sbuf_bytes: machine.sbuf.partitions * machine.sbuf.bytes_per_partition,
            psum_bytes: machine.psum.partitions * machine.psum.bytes_per_partition,
            cores: vec![stats.into()],
            locations: program.locs.clone(),
        }
    }
}

impl From<Stats> for CoreProfile {
    fn from(stats: Stats) -> CoreProfile {
        let engine = |engine: Engine| {
            let of = stats.engine(engine);
            EngineProfile {
                key: engine.name(),
                name: track_name(engine),
                instructions: of.instructions,
                busy_ps: of.busy_ps,
                opcodes: of
                    .opcodes
                    .iter()
                    .map(|&(name, count)| (name.to_string(), count))
                    .collect(),
            }
        };
        CoreProfile {
            engines: Engine::ALL.map(engine).into(),
            dma_busy_ps: stats.dma_busy_ps,
            dma_transfers: stats.dma_transfers,
            hbm_read_bytes: stats.hbm_read_bytes,
            hbm_written_bytes: stats.hbm_written_bytes,
            hardware_flops: stats.pe_flops,
            timeline: stats.timeline.unwrap_or_default(),
        }
    }
}

/// Name of an engine's track.
const fn track_name(engine: Engine) -> &'static str {
    match engine {
        Engine::Tensor => "TensorE",
        Engine::Vector => "VectorE",
        Engine::Scalar => "ScalarE",
        Engine::GpSimd => "GpSimdE",
        Engine::Sync => "SyncE",
    }
}

/// A profile for tests of this crate: one core, two engines, one queue.
#[cfg(test)]
pub(crate) fn example() -> Profile {
    use ferrite_ir::loc::{Location, Source};
    let mut locations = LocTable::default();
    let name = "jit(step)/\"mlp\"".to_string();
    let location = locations.add(Location {
        line: 7,
        column: 3,
        source: Some(Source::Name { name, child: None }),
    });
    let span = |track, name, start_ps, end_ps, bytes| Span {
        track,
        name,
        start_ps,
        end_ps,
        bytes,
        instruction: 0,
        location,
    };
    let track = |name: &str, dma| Track {
        name: name.to_string(),
        dma,
    };
    let engine = |key, name, instructions, busy_ps| EngineProfile {
        key,
        name,
        instructions,
        busy_ps,
        opcodes: vec![],
    };
    let timeline = Timeline {
        tracks: vec![
            track("TensorE", false),
            track("VectorE", false),
            track("qSyncIn0", true),
        ],
        names: vec!["MATMUL".into(), "TENSOR_TENSOR".into(), "w -> SB".into()],
        spans: vec![
            span(2, 2, 0, 500_000, 4096),
            span(0, 0, 500_000, 1_000_000, 0),
            span(0, 0, 900_000, 1_500_000, 0),
            span(1, 1, 1_500_000, 2_000_000, 0),
        ],
        ..Timeline::default()
    };
    let core = CoreProfile {
        engines: vec![
            engine("tensor", "TensorE", 2, 1_000_000),
            engine("vector", "VectorE", 1, 500_000),
        ],
        dma_busy_ps: 500_000,
        dma_transfers: 1,
        hbm_read_bytes: 4096,
        hbm_written_bytes: 0,
        hardware_flops: 1000,
        timeline,
    };
    Profile {
        name: "example".into(),
        target: "trn2".into(),
        latency_ps: 2_000_000,
        cycles: 2400,
        model_flops: 1000,
        peak_flops: 1e9,
        hbm_bandwidth: 8.192e9,
        sbuf_bytes: 1 << 20,
        psum_bytes: 1 << 16,
        cores: vec![core],
        locations,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ferrite_ir::isa::{Ap, ApDim, Inst, Instr, Op, Space};
    use ferrite_ir::loc::LocId;
    use ferrite_sim::{Options, Simulator};

    use super::*;

    /// One instruction of VectorE on `target`, profiled.
    fn profile(target: &str) -> (Profile, Arc<MachineModel>) {
        let mut program = Program::new(target);
        let dst = Ap {
            space: Space::Sbuf,
            partition: 0,
            partitions: 128,
            offset: 0,
            dtype: DType::F32,
            dims: [ApDim { step: 1, count: 512 }].into_iter().collect(),
        };
        let memset = Op::Compute(Inst::Memset { dst, bits: 0 });
        program.streams[Engine::Vector.index()] = vec![Instr::new(memset, LocId::UNKNOWN)];
        let machine = MachineModel::target(target).unwrap();
        let options = Options {
            timeline: true,
            ..Options::default()
        };
        let result = Simulator::new(&program, machine.clone())
            .unwrap()
            .profile(&options)
            .unwrap();
        (Profile::new("tiny", &program, &machine, result.stats), machine)
    }

    #[test]
    fn a_simulated_run_fills_the_profile() {
        let (profile, machine) = profile("inf2");
        let vector = &profile.cores[0].engines[Engine::Vector.index()];
        assert_eq!((vector.key, vector.instructions), ("vector", 1));
        assert_eq!(vector.busy_ps, profile.latency_ps);
        assert_eq!(profile.peak_flops, machine.peak_flops(DType::BF16));
    }

    #[test]
    fn every_engine_has_the_track_of_its_name() {
        let (profile, _) = profile("trn2");
        let core = &profile.cores[0];
        for engine in &core.engines {
            assert!(
                core.timeline.tracks.iter().any(|track| track.name == engine.name),
                "{}",
                engine.name
            );
        }
        assert_eq!(core.timeline.spans.len(), 1);
    }
}
