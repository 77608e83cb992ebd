//! One page with everything about a run, for people: figures, a zoomable timeline, search. Nothing is loaded from anywhere.

use std::fmt::Write;

use crate::figure::escape;
use crate::hot::hottest;
use crate::interactive::{Data, stalls};
use crate::profile::Profile;
use crate::summary::Summary;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;color:#1f2933;max-width:1200px;margin:2em auto;padding:0 1em}\
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}table{border-collapse:collapse}\
td,th{padding:.2em 1em .2em 0;text-align:left;vertical-align:top;border-bottom:1px solid #e4e7eb}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}td.s{max-width:46em;overflow-wrap:anywhere}\
.bar{background:#f0f3f6;width:22em;height:1em}.bar div{background:#1971c2;height:1em}svg{width:100%;height:auto}\
#timeline{width:100%;border:1px solid #e4e7eb;cursor:grab}#search{width:20em;padding:.2em}\
#tip{display:none;position:absolute;background:#1f2933;color:#fff;padding:.3em .6em;font-size:12px;white-space:pre-line;max-width:300px;pointer-events:none;z-index:1}";

/// Draws the timeline.
const SCRIPT: &str = include_str!("page/view.js");

/// Most rows of the list of reasons to wait.
const STALLS: usize = 25;
/// Most rows of the list of source operations.
const HOTTEST: usize = 40;

/// The page. Writing to a string has no error, so results of `write!` are dropped.
pub fn page(profile: &Profile) -> String {
    let summary = Summary::new(profile);
    let title = escape(&format!("{} on {}", profile.name, profile.target));
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n"
    );
    figures(&mut out, &summary);
    bounds(&mut out, profile, &summary);
    timeline(&mut out);
    engines(&mut out, &summary);
    waits(&mut out, profile);
    sources(&mut out, profile);
    opcodes(&mut out, &summary);
    let _ = write!(
        out,
        "<script type=\"application/json\" id=\"data\">{}</script>\n<script>\n{SCRIPT}</script>\n</body></html>\n",
        Data::new(profile).json()
    );
    out
}

fn timeline(out: &mut String) {
    out.push_str(
        "<h2>Over time</h2>\n<p><input id=\"search\" type=\"search\" placeholder=\"instruction or source; Enter goes to the next\"> \
<button id=\"all\">whole run</button> <span id=\"found\"></span></p>\n<canvas id=\"timeline\"></canvas><div id=\"tip\"></div>\n\
<p>Wheel zooms, dragging moves, a double click shows the whole run. Orange: an engine waits; hold the pointer over it for the reason.</p>\n",
    );
}

/// What the engines waited for.
fn waits(out: &mut String, profile: &Profile) {
    let all = stalls(profile, STALLS);
    if all.is_empty() {
        return;
    }
    out.push_str("<h2>Waiting</h2>\n<table><tr><th>engine</th><th>for</th><th class=\"n\">us</th><th class=\"n\">times</th></tr>\n");
    for (track, reason, us, count) in all {
        let _ = writeln!(
            out,
            "<tr><th>{}</th><td class=\"s\">{}</td><td class=\"n\">{us:.2}</td><td class=\"n\">{count}</td></tr>",
            escape(&track),
            escape(&reason)
        );
    }
    out.push_str("</table>\n");
}

fn figures(out: &mut String, summary: &Summary) {
    out.push_str("<table>\n");
    let mut row = |name: &str, value: String| {
        let _ = writeln!(out, "<tr><th>{name}</th><td class=\"n\">{value}</td></tr>");
    };
    row("latency", format!("{:.2} us", summary.latency_us));
    row("cycles", summary.cycles.to_string());
    row("cores", summary.cores.to_string());
    row("instructions", summary.instructions.to_string());
    row("DMA transfers", summary.dma_transfers.to_string());
    row("HBM read", format!("{:.2} MB", summary.hbm_read_bytes as f64 / 1e6));
    row(
        "HBM written",
        format!("{:.2} MB", summary.hbm_written_bytes as f64 / 1e6),
    );
    row(
        "model operations",
        format!("{:.3} GFLOP", summary.model_flops as f64 / 1e9),
    );
    row("TensorE, model operations (MFU)", percent(summary.pe_utilization));
    row("TensorE, all operations (HFU)", percent(summary.hfu));
    row("HBM bandwidth (MBU)", percent(summary.hbm_utilization));
    out.push_str("</table>\n");
}

/// The two bounds of the roofline, and how far the run is from the larger one.
fn bounds(out: &mut String, profile: &Profile, summary: &Summary) {
    let us = |work: f64, rate: f64| if rate > 0.0 { work / rate * 1e6 } else { 0.0 };
    let bytes = (summary.hbm_read_bytes + summary.hbm_written_bytes) as f64;
    let compute = us(summary.model_flops as f64, profile.peak_flops);
    let memory = us(bytes, profile.hbm_bandwidth);
    let bound = compute.max(memory);
    out.push_str("<h2>Roofline</h2>\n");
    roofline(out, profile, summary);
    out.push_str("<table>\n");
    let mut row = |name: &str, value: f64| {
        let width = if summary.latency_us > 0.0 {
            (100.0 * value / summary.latency_us).min(100.0)
        } else {
            0.0
        };
        let _ = writeln!(
            out,
            "<tr><th>{name}</th><td class=\"n\">{value:.2} us</td><td><div class=\"bar\"><div style=\"width:{width:.1}%\"></div></div></td></tr>"
        );
    };
    row("model operations at peak", compute);
    row("HBM traffic at full bandwidth", memory);
    row("this run", summary.latency_us);
    out.push_str("</table>\n");
    if bound > 0.0 {
        let what = if compute >= memory { "operations" } else { "HBM traffic" };
        let _ = writeln!(
            out,
            "<p>Bound by {what}; {:.2} times the bound.</p>",
            summary.latency_us / bound
        );
    }
}

/// The roofline, both axes logarithmic, with the run as a point.
fn roofline(out: &mut String, profile: &Profile, summary: &Summary) {
    let bytes = (summary.hbm_read_bytes + summary.hbm_written_bytes) as f64;
    let flops = summary.model_flops as f64;
    if bytes <= 0.0 || flops <= 0.0 || profile.hbm_bandwidth <= 0.0 || profile.peak_flops <= 0.0 {
        return;
    }
    let (width, height) = (560.0, 200.0);
    let ridge = profile.peak_flops / profile.hbm_bandwidth;
    let intensity = flops / bytes;
    let achieved = flops / (summary.latency_us * 1e-6).max(1e-12);
    // Two decades on each side of what is shown.
    let (low, high) = (ridge.min(intensity).log10() - 1.0, ridge.max(intensity).log10() + 1.0);
    let top = profile.peak_flops.log10() + 0.3;
    let bottom = (profile.hbm_bandwidth.log10() + low).min(achieved.log10()) - 0.3;
    let x = |v: f64| 40.0 + (v.log10() - low) / (high - low) * (width - 50.0);
    let y = |v: f64| 10.0 + (top - v.log10()) / (top - bottom) * (height - 40.0);
    let left = 10f64.powf(low);
    let _ = writeln!(
        out,
        "<svg viewBox=\"0 0 {width} {height}\" style=\"max-width:{width}px\" font-size=\"11\"><polyline fill=\"none\" stroke=\"#1f2933\" \
points=\"{:.1},{:.1} {:.1},{:.1} {:.1},{:.1}\"/><circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"#e8590c\"/>\
<text x=\"{:.1}\" y=\"{:.1}\">{:.2} TFLOP/s at {intensity:.1} FLOP/B</text><text x=\"40\" y=\"{:.1}\">FLOP per byte of HBM traffic; ridge at {ridge:.0}</text></svg>",
        x(left),
        y(left * profile.hbm_bandwidth),
        x(ridge),
        y(profile.peak_flops),
        width - 10.0,
        y(profile.peak_flops),
        x(intensity),
        y(achieved),
        (x(intensity) + 8.0).min(width - 220.0),
        y(achieved) + 14.0,
        achieved / 1e12,
        height - 8.0
    );
}

fn engines(out: &mut String, summary: &Summary) {
    out.push_str("<h2>Engines</h2>\n<table><tr><th></th><th class=\"n\">busy us</th><th class=\"n\">busy</th><th class=\"n\">instructions</th></tr>\n");
    for (key, us) in &summary.busy_us {
        let count = summary
            .instructions_per_engine
            .get(key)
            .copied()
            .unwrap_or(summary.dma_transfers);
        let share = percent(summary.utilization.get(key).copied().unwrap_or(0.0));
        let _ = writeln!(
            out,
            "<tr><th>{key}</th><td class=\"n\">{us:.2}</td><td class=\"n\">{share}</td><td class=\"n\">{count}</td></tr>"
        );
    }
    out.push_str("</table>\n");
}

fn sources(out: &mut String, profile: &Profile) {
    let all = hottest(profile, HOTTEST);
    if all.is_empty() {
        return;
    }
    out.push_str("<h2>Hottest source operations</h2>\n<table><tr><th>source</th><th class=\"n\">us</th><th class=\"n\">count</th><th>where</th></tr>\n");
    for hot in all {
        let mut tracks: Vec<(&String, &f64)> = hot.per_track_us.iter().collect();
        tracks.sort_by(|a, b| b.1.total_cmp(a.1).then_with(|| a.0.cmp(b.0)));
        let tracks: Vec<String> = tracks.into_iter().map(|(name, us)| format!("{name} {us:.2}")).collect();
        let _ = writeln!(
            out,
            "<tr><td class=\"s\">{}</td><td class=\"n\">{:.2}</td><td class=\"n\">{}</td><td>{}</td></tr>",
            escape(&hot.source),
            hot.busy_us,
            hot.count,
            escape(&tracks.join(", "))
        );
    }
    out.push_str("</table>\n");
}

fn opcodes(out: &mut String, summary: &Summary) {
    if summary.instructions_per_opcode.is_empty() {
        return;
    }
    let mut all: Vec<(&String, &u64)> = summary.instructions_per_opcode.iter().collect();
    all.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
    out.push_str("<h2>Instructions</h2>\n<table>\n");
    for (name, count) in all {
        let _ = writeln!(out, "<tr><th>{}</th><td class=\"n\">{count}</td></tr>", escape(name));
    }
    out.push_str("</table>\n");
}

fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::example;

    #[test]
    fn the_page_has_figures_bounds_picture_and_sources() {
        let page = page(&example());
        for part in [
            "2.00 us",
            "Bound by operations; 2.00 times",
            "<svg",
            "<canvas id=\"timeline\"",
            "jit(step)/&quot;mlp&quot;, line 7",
            "TensorE 1.10",
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
    }

    #[test]
    fn the_page_loads_nothing_and_escapes_names() {
        let profile = Profile {
            name: "<script>".to_string(),
            ..example()
        };
        let page = page(&profile);
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script> on"));
        assert!(!page.contains("src=") && !page.contains("href=") && !page.contains("http"));
    }

    #[test]
    fn an_empty_profile_has_a_page() {
        assert!(page(&Profile::default()).contains("<h2>Roofline</h2>"));
    }
}
