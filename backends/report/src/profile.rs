//! What a run is reported from: totals, and optionally what ran when.
//!
//! Times are integer picoseconds from the first instruction; bytes and operations are counted over the whole run.

use ferrite_ir::loc::{LocId, LocTable};

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

/// What ran when, on one core.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    /// Rows: engines, then DMA queues.
    pub tracks: Vec<Track>,
    /// Names of instructions and transfers, so that a span holds a number.
    pub names: Vec<String>,
    /// Intervals, in any order.
    pub spans: Vec<Span>,
}

/// A row of a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// Name: `TensorE` or that of a queue.
    pub name: String,
    /// Whether it belongs to a DMA queue.
    pub dma: bool,
}

/// One instruction, or one DMA transfer.
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
    /// Source location.
    pub location: LocId,
}

impl Timeline {
    /// Name of a span; spans of another timeline read as `?`.
    pub fn name_of(&self, span: &Span) -> &str {
        self.names.get(span.name as usize).map_or("?", String::as_str)
    }

    /// Share of `[0, end)` in which something ran, per track and bin; `bins` values between 0 and 1 for each track.
    /// Overlapping spans of a track count once.
    pub fn occupancy(&self, end_ps: u64, bins: usize) -> Vec<Vec<f64>> {
        let mut by_track: Vec<Vec<(u64, u64)>> = vec![Vec::new(); self.tracks.len()];
        for span in &self.spans {
            if let Some(track) = by_track.get_mut(span.track as usize) {
                track.push((span.start_ps, span.end_ps));
            }
        }
        by_track
            .into_iter()
            .map(|spans| fill(union(spans), end_ps, bins))
            .collect()
    }

    /// As [`Timeline::occupancy`], of all DMA queues together: the share of time in which any of them moved data.
    pub fn dma_occupancy(&self, end_ps: u64, bins: usize) -> Vec<f64> {
        let is_dma = |span: &&Span| self.tracks.get(span.track as usize).is_some_and(|t| t.dma);
        let spans = self
            .spans
            .iter()
            .filter(is_dma)
            .map(|s| (s.start_ps, s.end_ps))
            .collect();
        fill(union(spans), end_ps, bins)
    }
}

/// Sorts intervals and merges those that meet.
fn union(mut spans: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    spans.sort_unstable();
    let mut merged: Vec<(u64, u64)> = Vec::new();
    for (start, end) in spans {
        match merged.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    merged
}

fn fill(spans: Vec<(u64, u64)>, end_ps: u64, bins: usize) -> Vec<f64> {
    let mut out = vec![0.0; bins];
    if end_ps == 0 || bins == 0 {
        return out;
    }
    let width = end_ps as f64 / bins as f64;
    for (start, end) in spans {
        let (start, end) = (start as f64 / width, end.min(end_ps) as f64 / width);
        let mut bin = start as usize;
        while bin < bins && (bin as f64) < end {
            out[bin] += (end.min(bin as f64 + 1.0) - start.max(bin as f64)).max(0.0);
            bin += 1;
        }
    }
    out.iter_mut().for_each(|share| *share = share.min(1.0));
    out
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
        cores: vec![core],
        locations,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_spans_count_once() {
        let profile = example();
        let timeline = &profile.cores[0].timeline;
        let bins = timeline.occupancy(profile.latency_ps, 4);
        assert_eq!(
            bins,
            [
                vec![0.0, 1.0, 1.0, 0.0],
                vec![0.0, 0.0, 0.0, 1.0],
                vec![1.0, 0.0, 0.0, 0.0]
            ]
        );
        assert_eq!(timeline.occupancy(profile.latency_ps, 1)[0], [0.5]);
        assert_eq!(timeline.dma_occupancy(profile.latency_ps, 2), [0.5, 0.0]);
    }

    #[test]
    fn an_empty_run_has_no_occupancy() {
        assert_eq!(example().cores[0].timeline.dma_occupancy(0, 2), [0.0, 0.0]);
    }
}
