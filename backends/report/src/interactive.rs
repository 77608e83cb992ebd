//! The data behind the interactive timeline of the page, as JSON.

use std::collections::{BTreeMap, HashMap};

use ferrite_ir::isa::Engine;
use ferrite_ir::loc::LocId;
use ferrite_sim::{Reason, Series, Stall};
use serde::Serialize;

use crate::profile::{CoreProfile, Profile, Span};

/// Most intervals of a kind on the page; beyond, neighbours on a row that look alike are drawn as one.
const MOST: usize = 200_000;

/// An interval: row, name, start and length in ns, bytes, instruction, source.
type Bar = (u32, u32, f64, f64, u64, u32, u32);

#[derive(Serialize)]
struct Curve {
    name: String,
    unit: &'static str,
    /// Width of a bin, ns.
    width: f64,
    values: Vec<f64>,
    /// What the machine has.
    limit: f64,
}

/// Everything the script draws.
#[derive(Serialize)]
pub(crate) struct Data {
    end: f64,
    tracks: Vec<String>,
    names: Vec<String>,
    sources: Vec<String>,
    spans: Vec<Bar>,
    stalls: Vec<(u32, f64, f64, u32)>,
    reasons: Vec<String>,
    series: Vec<Curve>,
}

/// Texts by number, each once.
#[derive(Default)]
struct Table {
    texts: Vec<String>,
    known: HashMap<String, u32>,
}

impl Table {
    fn add(&mut self, text: String) -> u32 {
        if let Some(&index) = self.known.get(&text) {
            return index;
        }
        let index = self.texts.len() as u32;
        self.texts.push(text.clone());
        self.known.insert(text, index);
        index
    }
}

fn ns(ps: u64) -> f64 {
    ps as f64 / 1e3
}

/// Names of a core's instructions by engine and place in its stream, for what stalls tell.
pub(crate) fn instruction_names(core: &CoreProfile) -> HashMap<(u32, u32), &str> {
    let t = &core.timeline;
    let named = |s: &Span| Some(((s.track, s.instruction), t.names.get(s.name as usize)?.as_str()));
    let engines = t.spans.iter().filter(|s| (s.track as usize) < Engine::ALL.len());
    engines.filter_map(named).collect()
}

/// Why an engine waited, in words.
pub(crate) fn reason(stall: &Stall, names: &HashMap<(u32, u32), &str>) -> String {
    let engine = |index: u8| Engine::from_index(index as usize).map_or("another engine", ferrite_sim::track_name);
    match stall.reason {
        Reason::Semaphore { semaphore, producer } => match producer {
            Some(p) => {
                let name = names.get(&(u32::from(p.engine), p.instruction)).copied().unwrap_or("?");
                format!("semaphore {semaphore}, raised by {} ({name})", engine(p.engine))
            }
            None => format!("semaphore {semaphore}"),
        },
        Reason::Port { engine: other } => format!("memory port in use by {}", engine(other)),
        Reason::Pipeline => "its own result still in the pipeline".into(),
        Reason::Array => "the array or its load path".into(),
        Reason::Decode => "the sequencer".into(),
    }
}

impl Data {
    pub(crate) fn new(profile: &Profile) -> Data {
        let (mut names, mut sources, mut reasons) = (Table::default(), Table::default(), Table::default());
        let mut data = Data {
            end: ns(profile.latency_ps),
            tracks: Vec::new(),
            names: Vec::new(),
            sources: Vec::new(),
            spans: Vec::new(),
            stalls: Vec::new(),
            reasons: Vec::new(),
            series: Vec::new(),
        };
        let mut places: BTreeMap<LocId, u32> = BTreeMap::new();
        let all: usize = profile.cores.iter().map(|c| c.timeline.spans.len()).sum();
        let gap = if all > MOST {
            profile.latency_ps / MOST as u64 * 4
        } else {
            0
        };
        for (number, core) in profile.cores.iter().enumerate() {
            let timeline = &core.timeline;
            let first = data.tracks.len() as u32;
            let prefix = if profile.cores.len() > 1 {
                format!("core {number} ")
            } else {
                String::new()
            };
            data.tracks
                .extend(timeline.tracks.iter().map(|t| format!("{prefix}{}", t.name)));
            let mut last: Vec<Option<usize>> = vec![None; timeline.tracks.len()];
            for s in &timeline.spans {
                let Some(last) = last.get_mut(s.track as usize) else {
                    continue;
                };
                let name = names.add(timeline.names.get(s.name as usize).cloned().unwrap_or_default());
                if let Some(before) = last.and_then(|i| data.spans.get_mut(i))
                    && gap > 0
                    && before.1 == name
                    && ns(s.start_ps) <= before.2 + before.3 + ns(gap)
                {
                    before.3 = before.3.max(ns(s.end_ps) - before.2);
                    before.4 += s.bytes;
                    continue;
                }
                let source = *places
                    .entry(s.location)
                    .or_insert_with(|| sources.add(profile.locations.describe(s.location)));
                *last = Some(data.spans.len());
                let (start, length) = (ns(s.start_ps), ns(s.end_ps.saturating_sub(s.start_ps)));
                data.spans
                    .push((first + s.track, name, start, length, s.bytes, s.instruction, source));
            }
            let known = instruction_names(core);
            for stall in timeline.stalls.iter().filter(|s| s.end_ps - s.start_ps > gap) {
                let text = reasons.add(reason(stall, &known));
                let (start, length) = (ns(stall.start_ps), ns(stall.end_ps - stall.start_ps));
                data.stalls.push((first + stall.track, start, length, text));
            }
            let mut curve = |name: &str, unit, series: &Series, scale: f64, limit: f64| {
                data.series.push(Curve {
                    name: format!("{prefix}{name}"),
                    unit,
                    width: ns(series.width_ps),
                    values: series.means().map(|x| (x * scale * 1e3).round() / 1e3).collect(),
                    limit,
                });
            };
            let cores = profile.cores.len().max(1) as f64;
            // Bytes per picosecond are thousands of GB/s.
            curve(
                "HBM",
                "GB/s",
                &timeline.hbm_bytes_per_ps,
                1e3,
                profile.hbm_bandwidth / 1e9 / cores,
            );
            curve(
                "SBUF in use",
                "MB",
                &timeline.sbuf_bytes,
                1e-6,
                profile.sbuf_bytes as f64 / 1e6,
            );
            curve(
                "PSUM in use",
                "MB",
                &timeline.psum_bytes,
                1e-6,
                profile.psum_bytes as f64 / 1e6,
            );
        }
        data.names = names.texts;
        data.sources = sources.texts;
        data.reasons = reasons.texts;
        data
    }

    /// The data as text that may stand in a script element.
    pub(crate) fn json(&self) -> String {
        // Nothing in it fails to serialise; an empty object draws nothing.
        let text = serde_json::to_string(self).unwrap_or_else(|_| "{}".into());
        text.replace("</", "<\\/").replace("<!--", "<\\!--")
    }
}

/// Time lost by engine and reason, longest first: row, reason, microseconds, number.
pub(crate) fn stalls(profile: &Profile, most: usize) -> Vec<(String, String, f64, u64)> {
    let mut sums: BTreeMap<(String, String), (u64, u64)> = BTreeMap::new();
    for core in &profile.cores {
        let known = instruction_names(core);
        for stall in &core.timeline.stalls {
            let track = core.timeline.tracks.get(stall.track as usize);
            let key = (
                track.map_or_else(String::new, |t| t.name.clone()),
                reason(stall, &known),
            );
            let sum = sums.entry(key).or_default();
            sum.0 += stall.end_ps - stall.start_ps;
            sum.1 += 1;
        }
    }
    let mut all: Vec<_> = sums
        .into_iter()
        .map(|((track, reason), (ps, count))| (track, reason, ps as f64 / 1e6, count))
        .collect();
    all.sort_by(|a, b| b.2.total_cmp(&a.2).then_with(|| (&a.0, &a.1).cmp(&(&b.0, &b.1))));
    all.truncate(most);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::example;
    use ferrite_sim::Producer;

    #[test]
    fn the_data_cannot_end_its_script_element() {
        let mut profile = example();
        profile.cores[0].timeline.names[0] = "</script><script>alert(1)".into();
        let json = Data::new(&profile).json();
        assert!(!json.contains("</script"), "{json}");
        let back: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(back["names"][1], "</script><script>alert(1)");
        assert_eq!(back["spans"].as_array().unwrap().len(), 4);
    }

    #[test]
    fn a_stall_names_who_ended_it() {
        let mut profile = example();
        let producer = Some(Producer {
            engine: 0,
            instruction: 0,
        });
        profile.cores[0].timeline.stalls = vec![Stall {
            track: 1,
            instruction: 0,
            start_ps: 0,
            end_ps: 1_500_000,
            reason: Reason::Semaphore { semaphore: 3, producer },
        }];
        let all = stalls(&profile, 5);
        assert_eq!(all[0].0, "VectorE");
        assert_eq!(
            (all[0].1.as_str(), all[0].2),
            ("semaphore 3, raised by TensorE (MATMUL)", 1.5)
        );
    }

    #[test]
    fn neighbours_are_merged_when_there_are_too_many() {
        let mut profile = example();
        let one = profile.cores[0].timeline.spans[1];
        let many = (0..MOST as u64 + 10).map(|i| Span {
            start_ps: i * 10,
            end_ps: i * 10 + 10,
            ..one
        });
        profile.cores[0].timeline.spans = many.collect();
        assert!(Data::new(&profile).spans.len() < 10);
    }
}
