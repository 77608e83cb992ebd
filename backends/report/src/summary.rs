//! The figures of a run as one JSON object.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::profile::{EngineProfile, Profile};

/// Totals of a run over all its cores. Field names are part of the command line's contract.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Name of the program.
    pub name: String,
    /// Target: `trn2`.
    pub target: String,
    /// Cores that took part.
    pub cores: usize,
    /// Device time in microseconds.
    pub latency_us: f64,
    /// Device time in cycles of the base clock.
    pub cycles: u64,
    /// Instructions executed by all engines.
    pub instructions: u64,
    /// Instructions by engine.
    pub instructions_per_engine: BTreeMap<&'static str, u64>,
    /// Instructions by name.
    pub instructions_per_opcode: BTreeMap<String, u64>,
    /// Microseconds in which an engine, or DMA, worked; mean over the cores.
    pub busy_us: BTreeMap<&'static str, f64>,
    /// `busy_us` over `latency_us`.
    pub utilization: BTreeMap<&'static str, f64>,
    /// DMA transfers.
    pub dma_transfers: u64,
    /// Bytes read from HBM.
    pub hbm_read_bytes: u64,
    /// Bytes written to HBM.
    pub hbm_written_bytes: u64,
    /// Bytes read and written over what HBM could move in this time.
    pub hbm_utilization: f64,
    /// Floating-point operations of the model.
    pub model_flops: u64,
    /// Operations of the model over what TensorE could do in this time, in bf16 (MFU).
    pub pe_utilization: f64,
    /// The same with everything TensorE did, transposes included (HFU).
    pub hfu: f64,
}

impl Summary {
    /// The totals of `profile`.
    pub fn new(profile: &Profile) -> Summary {
        let cores = &profile.cores;
        let engines = || cores.iter().flat_map(|c| &c.engines);
        let total =
            |key: &str, of: fn(&EngineProfile) -> u64| -> u64 { engines().filter(|e| e.key == key).map(of).sum() };
        let seconds = profile.latency_ps as f64 * 1e-12;
        let ratio = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let mean_us = |ps: u64| ratio(ps as f64 * 1e-6, cores.len() as f64);

        let mut instructions_per_engine = BTreeMap::new();
        let mut instructions_per_opcode = BTreeMap::new();
        let mut busy_us = BTreeMap::from([("dma", mean_us(cores.iter().map(|c| c.dma_busy_ps).sum()))]);
        for engine in engines() {
            instructions_per_engine.insert(engine.key, total(engine.key, |e| e.instructions));
            busy_us.insert(engine.key, mean_us(total(engine.key, |e| e.busy_ps)));
            for (name, count) in &engine.opcodes {
                *instructions_per_opcode.entry(name.clone()).or_default() += count;
            }
        }
        let latency_us = seconds * 1e6;
        let hbm_read_bytes: u64 = cores.iter().map(|c| c.hbm_read_bytes).sum();
        let hbm_written_bytes: u64 = cores.iter().map(|c| c.hbm_written_bytes).sum();
        let hardware_flops: u64 = cores.iter().map(|c| c.hardware_flops).sum();
        Summary {
            name: profile.name.clone(),
            target: profile.target.clone(),
            cores: cores.len(),
            latency_us,
            cycles: profile.cycles,
            instructions: engines().map(|e| e.instructions).sum(),
            instructions_per_engine,
            instructions_per_opcode,
            utilization: busy_us.iter().map(|(&key, &us)| (key, ratio(us, latency_us))).collect(),
            busy_us,
            dma_transfers: cores.iter().map(|c| c.dma_transfers).sum(),
            hbm_read_bytes,
            hbm_written_bytes,
            hbm_utilization: ratio(
                (hbm_read_bytes + hbm_written_bytes) as f64,
                profile.hbm_bandwidth * seconds,
            ),
            model_flops: profile.model_flops,
            pe_utilization: ratio(profile.model_flops as f64, profile.peak_flops * seconds),
            hfu: ratio(hardware_flops as f64, profile.peak_flops * seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::example;

    #[test]
    fn figures_follow_from_the_profile() {
        let s = Summary::new(&example());
        assert_eq!((s.latency_us, s.instructions, s.hbm_read_bytes), (2.0, 3, 4096));
        assert_eq!(s.busy_us["tensor"], 1.0);
        assert_eq!(s.utilization["vector"], 0.25);
        assert!((s.pe_utilization - 0.5).abs() < 1e-12 && (s.hbm_utilization - 0.25).abs() < 1e-12);
    }

    #[test]
    fn the_mean_over_two_cores_is_that_of_one() {
        let mut profile = example();
        profile.cores.push(profile.cores[0].clone());
        let s = Summary::new(&profile);
        assert_eq!((s.busy_us["tensor"], s.instructions_per_engine["tensor"]), (1.0, 4));
    }

    #[test]
    fn a_run_without_time_has_finite_figures() {
        let json = serde_json::to_string(&Summary::new(&Profile::default())).unwrap();
        assert!(!json.contains("null"), "{json}");
    }
}
