//! Parse throughput of generic StableHLO text: MLIR's own parser beside ours, on the same text in the same run.
//!
//! Both read the form that `ferrite-mlir export` writes, and verify what they read: MLIR with our definitions, we by the rules
//! of StableHLO. What is measured is processor time, which a busy machine does not distort as it does the clock on the wall; both use
//! one thread and the allocator of the system. `FERRITE_CORPUS` names the corpus; without it the models of the repository are read. With `WRITE=1` a run of
//! all cases writes its medians to `benches/results/parse.md`.

#![allow(missing_docs)] // criterion calls functions that nobody documents.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BenchmarkId, Criterion, Throughput};
use ferrite_frontend::Frontend;
use ferrite_mlir::portable;

#[path = "../src/mlir.rs"]
#[allow(dead_code)]
mod mlir;

/// Processor time of this thread, in nanoseconds.
struct ProcessorTime;

impl ProcessorTime {
    fn now() -> u64 {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the call writes to `time` alone.
        let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
        assert!(failed == 0, "the system has a clock for threads");
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    }
}

impl Measurement for ProcessorTime {
    type Intermediate = u64;
    type Value = u64;

    fn start(&self) -> u64 {
        Self::now()
    }

    fn end(&self, start: u64) -> u64 {
        Self::now() - start
    }

    fn add(&self, a: &u64, b: &u64) -> u64 {
        a + b
    }

    fn zero(&self) -> u64 {
        0
    }

    fn to_f64(&self, value: &u64) -> f64 {
        *value as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        // It takes nanoseconds too.
        WallTime.formatter()
    }
}

/// Who reads, in the order of the table's columns.
const READERS: [&str; 2] = ["mlir", "ferrite"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn cases() -> Vec<PathBuf> {
    let folder = std::env::var_os("FERRITE_CORPUS").map_or_else(
        || root().join("tests/corpus/models"),
        |corpus| Path::new(&corpus).join("full"),
    );
    let mut all: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|case| case.join("model.stablehlo.mlir").is_file())
        .collect();
    all.sort();
    all
}

/// Measures all cases; their names with the bytes of text that were read.
fn parse(criterion: &mut Criterion<ProcessorTime>) -> Vec<(String, usize)> {
    let mut group = criterion.benchmark_group("parse");
    group.sample_size(10);
    let mut read = Vec::new();
    for case in cases() {
        let file = case.join("model.stablehlo.mlir");
        let name = case.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = fs::read(&file).expect("the file is there");
        let module = Frontend::read(&bytes, &name).expect("the corpus is valid");
        let text = portable::print(&module, false);
        let mlir = mlir::Mlir::new(true).expect("our definitions load");
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_with_input(BenchmarkId::new(READERS[0], &name), &text, |bencher, text| {
            bencher.iter(|| {
                mlir.parse(text.as_bytes())
                    .map_err(|_| "refused")
                    .expect("MLIR reads it")
            });
        });
        group.bench_with_input(BenchmarkId::new(READERS[1], &name), &text, |bencher, text| {
            bencher.iter(|| ferrite_ir::hlo::parse::parse(text).expect("we read it"));
        });
        read.push((name, text.len()));
    }
    group.finish();
    read
}

/// The median of a measurement, in milliseconds.
fn median(folder: &Path, reader: &str, name: &str) -> f64 {
    let file = folder.join("parse").join(reader).join(name).join("new/estimates.json");
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let estimates: serde_json::Value = serde_json::from_str(&text).expect("criterion writes JSON");
    estimates["median"]["point_estimate"].as_f64().expect("a number") / 1e6
}

fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(root()).output();
    let text = output.map_or_else(|_| Vec::new(), |output| output.stdout);
    String::from_utf8_lossy(&text)
        .lines()
        .next()
        .unwrap_or("unknown")
        .to_string()
}

fn write(folder: &Path, read: &[(String, usize)]) {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let cpu = cpu.map_or("unknown processor", |name| name.trim_start_matches(['\t', ' ', ':']));
    let mut text = format!(
        "# Reading text, beside MLIR\n\n\
         Written by `WRITE=1 cargo bench --manifest-path compiler/mlir/Cargo.toml`. Commit `{}`, {cpu}, one thread, processor time; medians of 10 samples.\n\
         Both read what `ferrite-mlir export` writes of a model, and verify it: MLIR 22 with our definitions, Ferrite by the rules of StableHLO.\n\n\
         | model | KiB of text | MLIR ms | Ferrite ms | MLIR MiB/s | Ferrite MiB/s | times as fast |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        first_line("git", &["rev-parse", "--short=12", "HEAD"])
    );
    for (name, bytes) in read {
        let [theirs, ours] = READERS.map(|reader| median(folder, reader, name));
        let rate = |ms: f64| *bytes as f64 / 1048.576 / ms;
        let _ = writeln!(
            text,
            "| {name} | {:.0} | {theirs:.2} | {ours:.2} | {:.1} | {:.1} | {:.2} |",
            *bytes as f64 / 1024.0,
            rate(theirs),
            rate(ours),
            theirs / ours
        );
    }
    let file = root().join("benches/results/parse.md");
    fs::write(&file, text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}

fn main() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("criterion");
    let mut criterion = Criterion::default()
        .with_measurement(ProcessorTime)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .output_directory(&folder)
        .configure_from_args();
    let read = parse(&mut criterion);
    criterion.final_summary();
    if std::env::var_os("WRITE").is_some() {
        write(&folder, &read);
    }
}
