//! Parse throughput of generic StableHLO text: MLIR's own parser beside ours, on the same text in the same run.
//!
//! Both read the form that `ferrite-mlir export` writes, and verify what they read: MLIR with our definitions, we by the rules
//! of StableHLO. `FERRITE_CORPUS` names the corpus; without it the models of the repository are read.

#![allow(missing_docs)] // made by criterion_group!

use std::fs;
use std::path::{Path, PathBuf};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ferrite_frontend::Frontend;
use ferrite_mlir::portable;

#[path = "../src/mlir.rs"]
#[allow(dead_code)]
mod mlir;

fn cases() -> Vec<PathBuf> {
    let folder = std::env::var_os("FERRITE_CORPUS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/models"),
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

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    group.sample_size(10);
    for case in cases() {
        let file = case.join("model.stablehlo.mlir");
        let name = case.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = fs::read(&file).expect("the file is there");
        let module = Frontend::read(&bytes, &name).expect("the corpus is valid");
        let text = portable::print(&module, false);
        let mlir = mlir::Mlir::new(true).expect("our definitions load");
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_with_input(BenchmarkId::new("mlir", &name), &text, |bencher, text| {
            bencher.iter(|| {
                mlir.parse(text.as_bytes())
                    .map_err(|_| "refused")
                    .expect("MLIR reads it")
            });
        });
        group.bench_with_input(BenchmarkId::new("ferrite", &name), &text, |bencher, text| {
            bencher.iter(|| ferrite_ir::hlo::parse::parse(text).expect("we read it"));
        });
    }
    group.finish();
}

criterion_group!(benches, parse);
criterion_main!(benches);
