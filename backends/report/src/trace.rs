//! The timeline as Chrome trace events, which Perfetto (ui.perfetto.dev) opens: one process per core, one thread per
//! engine and DMA queue, one counter for the HBM traffic.

use std::io::{self, Write};

use serde::Serialize;

use crate::profile::{CoreProfile, Profile, Span};

#[derive(Serialize)]
struct Event<'a> {
    name: &'a str,
    ph: &'static str,
    pid: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    tid: Option<usize>,
    /// Microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    ts: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dur: Option<f64>,
    args: Args<'a>,
}

#[derive(Default, Serialize)]
struct Args<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sort_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(rename = "GB/s", skip_serializing_if = "Option::is_none")]
    rate: Option<f64>,
}

/// Writes the trace, event by event.
pub fn write(profile: &Profile, out: &mut dyn Write) -> io::Result<()> {
    let mut events = Events { out, first: true };
    events.out.write_all(b"{\"displayTimeUnit\":\"ns\",\"traceEvents\":[")?;
    for (pid, core) in profile.cores.iter().enumerate() {
        write_core(profile, pid, core, &mut events)?;
    }
    events.out.write_all(b"\n]}\n")
}

fn write_core(profile: &Profile, pid: usize, core: &CoreProfile, events: &mut Events) -> io::Result<()> {
    let timeline = &core.timeline;
    let process = format!("{} {} core {pid}", profile.target, profile.name);
    let meta = |name, tid, args| Event {
        name,
        ph: "M",
        pid,
        tid,
        ts: None,
        dur: None,
        args,
    };
    events.put(&meta(
        "process_name",
        None,
        Args {
            name: Some(&process),
            ..Args::default()
        },
    ))?;
    for (tid, track) in timeline.tracks.iter().enumerate() {
        events.put(&meta(
            "thread_name",
            Some(tid),
            Args {
                name: Some(&track.name),
                ..Args::default()
            },
        ))?;
        events.put(&meta(
            "thread_sort_index",
            Some(tid),
            Args {
                sort_index: Some(tid),
                ..Args::default()
            },
        ))?;
    }

    let mut spans: Vec<&Span> = timeline.spans.iter().collect();
    spans.sort_by_key(|s| (s.start_ps, s.track, s.end_ps));
    // Neighbours often share a location: describe it once.
    let mut described = (profile.locations.get(Default::default()), String::new());
    for span in &spans {
        let location = profile.locations.get(span.location);
        if !std::ptr::eq(described.0, location) {
            described = (location, profile.locations.describe(span.location));
        }
        events.put(&Event {
            name: timeline.names.get(span.name as usize).map_or("?", String::as_str),
            ph: "X",
            pid,
            tid: Some(span.track as usize),
            ts: Some(us(span.start_ps)),
            dur: Some(us(span.end_ps.saturating_sub(span.start_ps))),
            args: Args {
                source: (!described.1.is_empty()).then_some(&described.1),
                bytes: (span.bytes > 0).then_some(span.bytes),
                ..Args::default()
            },
        })?;
    }
    for (at, rate) in traffic(&spans) {
        let args = Args {
            rate: Some(rate),
            ..Args::default()
        };
        events.put(&Event {
            name: "DMA traffic",
            ph: "C",
            pid,
            tid: None,
            ts: Some(us(at)),
            dur: None,
            args,
        })?;
    }
    Ok(())
}

/// Steps of the rate at which transfers move bytes, in GB/s, each transfer at its own mean rate.
fn traffic(spans: &[&Span]) -> Vec<(u64, f64)> {
    let mut changes: Vec<(u64, f64)> = Vec::new();
    for span in spans.iter().filter(|s| s.bytes > 0 && s.end_ps > s.start_ps) {
        let rate = span.bytes as f64 * 1e3 / (span.end_ps - span.start_ps) as f64;
        changes.extend([(span.start_ps, rate), (span.end_ps, -rate)]);
    }
    changes.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut steps: Vec<(u64, f64)> = Vec::new();
    let mut now = 0.0;
    for (at, change) in changes {
        now += change;
        let rounded = ((now * 1e3_f64).round() / 1e3).max(0.0);
        match steps.last_mut() {
            Some(last) if last.0 == at => last.1 = rounded,
            _ => steps.push((at, rounded)),
        }
    }
    steps
}

fn us(ps: u64) -> f64 {
    ps as f64 / 1e6
}

struct Events<'a> {
    out: &'a mut dyn Write,
    first: bool,
}

impl Events<'_> {
    fn put(&mut self, event: &Event) -> io::Result<()> {
        self.out
            .write_all(if std::mem::take(&mut self.first) { b"\n" } else { b",\n" })?;
        Ok(serde_json::to_writer(&mut *self.out, event)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::example;

    fn events() -> Vec<serde_json::Value> {
        let mut out = Vec::new();
        write(&example(), &mut out).unwrap();
        let trace: serde_json::Value = serde_json::from_slice(&out).unwrap();
        trace["traceEvents"].as_array().unwrap().clone()
    }

    #[test]
    fn spans_keep_name_track_time_and_source() {
        let events = events();
        let matmul = events.iter().find(|e| e["name"] == "MATMUL").unwrap();
        assert_eq!(
            (&matmul["ph"], &matmul["tid"], &matmul["ts"]),
            (&"X".into(), &0.into(), &0.5.into())
        );
        assert_eq!(matmul["dur"], 0.5);
        assert_eq!(matmul["args"]["source"], "jit(step)/\"mlp\", line 7");
    }

    #[test]
    fn every_track_is_named() {
        let names: Vec<_> = events().into_iter().filter(|e| e["name"] == "thread_name").collect();
        assert_eq!(names.len(), 3);
        assert_eq!(names[2]["args"]["name"], "qSyncIn0");
    }

    #[test]
    fn traffic_rises_and_falls() {
        let counters: Vec<_> = events().into_iter().filter(|e| e["ph"] == "C").collect();
        let rates: Vec<f64> = counters.iter().map(|e| e["args"]["GB/s"].as_f64().unwrap()).collect();
        assert_eq!(rates, [8.192, 0.0]);
    }
}
