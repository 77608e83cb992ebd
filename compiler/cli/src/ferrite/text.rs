//! Results as text for people.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use ferrite_driver::compare::Comparison;
use ferrite_driver::inspect::{Inspection, ProgramInfo, TensorInfo};
use ferrite_driver::validate::Report;
use ferrite_ir::dtype::DType;
use ferrite_ir::machine::{Engine, MachineModel};
use ferrite_report::{Summary, Written};

// `write!` to a String cannot fail.
macro_rules! line {
    ($text:expr, $($arg:tt)*) => {
        let _ = writeln!($text, $($arg)*);
    };
}

/// Names of engines as people write them, by their keys.
fn engine_name(key: &str) -> &'static str {
    match Engine::from_name(key) {
        Some(Engine::Tensor) => "TensorE",
        Some(Engine::Vector) => "VectorE",
        Some(Engine::Scalar) => "ScalarE",
        Some(Engine::GpSimd) => "GpSimdE",
        Some(Engine::Sync) => "SyncE",
        None => "DMA",
    }
}

/// A number of bytes with a unit.
pub fn bytes(n: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (n as f64, 0);
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{n} B")
    } else {
        format!("{value:.1} {}", units[unit])
    }
}

/// A whole number with a comma every three digits.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// What `compile` made.
pub fn compiled(output: &Path, size: u64, seconds: f64, program: &ProgramInfo) -> String {
    let mut text = String::new();
    line!(
        text,
        "{}: {} for {}, {} instructions, {} DMA transfers, in {seconds:.2} s",
        output.display(),
        bytes(size),
        program.target,
        grouped(program.instructions as u64),
        grouped(program.dma_transfers as u64)
    );
    text
}

/// A simulated run.
pub fn summary(s: &Summary) -> String {
    let mut text = String::new();
    line!(
        text,
        "{} on {}",
        if s.name.is_empty() { "program" } else { &s.name },
        s.target
    );
    line!(
        text,
        "  latency        {:.2} us ({} cycles)",
        s.latency_us,
        grouped(s.cycles)
    );
    line!(text, "  instructions   {}", grouped(s.instructions));
    line!(
        text,
        "  HBM            {} read, {} written",
        bytes(s.hbm_read_bytes),
        bytes(s.hbm_written_bytes)
    );
    line!(
        text,
        "  PE utilization {:.2} % of the bf16 peak",
        100.0 * s.pe_utilization
    );
    line!(text, "");
    line!(
        text,
        "  {:<8} {:>12} {:>12} {:>7}",
        "engine",
        "instructions",
        "busy us",
        "busy"
    );
    let keys = Engine::ALL.iter().map(|e| e.name()).chain(["dma"]);
    for key in keys {
        let busy = s.busy_us.get(key).copied().unwrap_or_default();
        let share = 100.0 * s.utilization.get(key).copied().unwrap_or_default();
        let count =
            s.instructions_per_engine
                .get(key)
                .copied()
                .unwrap_or(if key == "dma" { s.dma_transfers } else { 0 });
        line!(
            text,
            "  {:<8} {:>12} {busy:>12.2} {share:>5.1} %",
            engine_name(key),
            grouped(count)
        );
    }
    text
}

/// Where a profile went.
pub fn written(written: Option<&Written>) -> String {
    let Some(w) = written else { return String::new() };
    let files = [&w.summary, &w.trace, &w.html, &w.svg, &w.png];
    let files: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
    format!("\nwrote {}\n", files.join(", "))
}

/// A validation: a line per output, then the verdict.
pub fn validation(report: &Report) -> String {
    let mut text = String::new();
    line!(
        text,
        "{:<6} {:<24} {:>12} {:>12}  against",
        "output",
        "type",
        "max abs err",
        "max rel err"
    );
    let row = |text: &mut String, name: &str, ty: &str, c: &Comparison, against: &str| {
        let verdict = if c.ok {
            String::new()
        } else if let Some(why) = &c.refused {
            format!("  WRONG: {why}")
        } else {
            format!(
                "  WRONG: {} of {} elements",
                grouped(c.mismatches as u64),
                grouped(c.count as u64)
            )
        };
        line!(
            text,
            "{name:<6} {ty:<24} {:>12.3e} {:>12.3e}  {against}{verdict}",
            c.max_abs_err,
            c.max_rel_err
        );
    };
    for o in &report.outputs {
        let name = format!("out{}", o.index);
        row(&mut text, &name, &o.ty, &o.interpreter, "interpreter");
        if let Some(golden) = &o.expected {
            row(&mut text, "", "", golden, "expected");
        }
    }
    text.push('\n');
    text.push_str(&summary(&report.summary));
    let verdict = if report.ok { "ok" } else { "FAILED" };
    let wrong = report.outputs.iter().filter(|o| !o.ok).count();
    line!(
        text,
        "\nvalidate: {verdict} ({} outputs, {wrong} wrong; auto-cast {})",
        report.outputs.len(),
        report.auto_cast
    );
    text
}

/// What a NEFF holds.
pub fn inspection(i: &Inspection) -> String {
    let mut text = String::new();
    let h = &i.header;
    line!(text, "name           {}", h.name);
    line!(text, "written by     {} (NEFF version {})", h.build_version, h.version);
    line!(
        text,
        "size           {} in {} files",
        bytes(h.file_bytes),
        i.files.len()
    );
    line!(text, "hash           {}", h.hash);
    line!(text, "uuid           {}", h.uuid);
    line!(text, "feature bits   {}", h.feature_bits);
    for (core, p) in i.programs.iter().enumerate() {
        line!(text, "\ncore {core}, {}", p.target);
        let tensors = |text: &mut String, title: &str, list: &[TensorInfo]| {
            for (index, t) in list.iter().enumerate() {
                let shape: String = t.shape.iter().map(|d| format!("{d}x")).collect();
                let alias = t
                    .alias
                    .map(|a| format!("  shares the buffer of input {a}"))
                    .unwrap_or_default();
                let title = if index == 0 { title } else { "" };
                line!(text, "  {title:<12} {:<16} tensor<{shape}{}>{alias}", t.name, t.dtype);
            }
        };
        tensors(&mut text, "inputs", &p.inputs);
        tensors(&mut text, "outputs", &p.outputs);
        line!(text, "  {:<12} {}", "instructions", grouped(p.instructions as u64));
        for engine in Engine::ALL {
            let count = p
                .instructions_per_engine
                .get(engine.name())
                .copied()
                .unwrap_or_default();
            line!(
                text,
                "    {:<10} {:>10}",
                engine_name(engine.name()),
                grouped(count as u64)
            );
        }
        line!(
            text,
            "  {:<12} {} transfers of {} elements",
            "DMA",
            grouped(p.dma_transfers as u64),
            grouped(p.dma_elements as u64)
        );
        for (queue, owner) in &p.queues {
            line!(text, "    {queue:<24} {}", engine_name(owner));
        }
        line!(
            text,
            "  {:<12} {} variables, {} of constants, {} of scratch",
            "HBM",
            p.variables,
            bytes(p.constant_bytes),
            bytes(p.scratch_bytes)
        );
        line!(
            text,
            "  {:<12} {:.4} GFLOP in contractions",
            "model",
            p.model_flops as f64 / 1e9
        );
    }
    text
}

/// Targets with the figures that tell them apart.
pub fn targets(machines: &[Arc<MachineModel>]) -> String {
    let mut text = String::new();
    line!(
        text,
        "{:<7} {:<16} {:<12} {:>5} {:>14} {:>10} {:>12} {:>13}",
        "target",
        "core",
        "chip",
        "cores",
        "SBUF per part.",
        "HBM a core",
        "DMA GB/s",
        "bf16 TFLOP/s"
    );
    for m in machines {
        line!(
            text,
            "{:<7} {:<16} {:<12} {:>5} {:>14} {:>10} {:>12.0} {:>13.1}",
            m.name,
            m.core,
            m.chip.name,
            m.chip.cores,
            bytes(m.sbuf.usable_bytes_per_partition),
            bytes(m.hbm.bytes_per_core),
            m.dma_bytes_per_s() / 1e9,
            m.peak_flops(DType::BF16) / 1e12
        );
    }
    text
}

/// Lines of at most `width` characters, broken at blanks.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(last) if last.len() + 1 + word.len() <= width => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!(grouped(1234567), "1,234,567");
        assert_eq!(grouped(12), "12");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(3 << 20), "3.0 MiB");
    }

    #[test]
    fn words_are_never_lost() {
        let text = "one two three four";
        assert_eq!(wrapped(text, 9), ["one two", "three", "four"]);
        assert_eq!(wrapped("averyverylongword", 4), ["averyverylongword"]);
    }
}
