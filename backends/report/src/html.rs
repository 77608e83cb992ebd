//! One page with everything about a run, for people: no script, nothing to load.

use std::fmt::Write;

use crate::figure::{Figure, escape};
use crate::hot::hottest;
use crate::profile::Profile;
use crate::summary::Summary;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;color:#1f2933;max-width:1200px;margin:2em auto;padding:0 1em}\
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}table{border-collapse:collapse}\
td,th{padding:.2em 1em .2em 0;text-align:left;vertical-align:top;border-bottom:1px solid #e4e7eb}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}td.s{max-width:46em;overflow-wrap:anywhere}\
.bar{background:#f0f3f6;width:22em;height:1em}.bar div{background:#1971c2;height:1em}svg{width:100%;height:auto}";

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
    out.push_str("<h2>Engines over time</h2>\n");
    out.push_str(&Figure::new(profile).svg());
    engines(&mut out, &summary);
    sources(&mut out, profile);
    opcodes(&mut out, &summary);
    out.push_str("</body></html>\n");
    out
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
    out.push_str("<h2>Roofline</h2>\n<table>\n");
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
        assert!(!page.contains("<script") && !page.contains("src=") && !page.contains("href="));
    }

    #[test]
    fn an_empty_profile_has_a_page() {
        assert!(page(&Profile::default()).contains("<h2>Roofline</h2>"));
    }
}
