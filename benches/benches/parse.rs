//! Throughput of the StableHLO reader on the largest texts of the corpus.

#![allow(missing_docs)] // made by criterion_group!

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ferrite_benches::corpus;
use ferrite_frontend::Frontend;

fn parse(c: &mut Criterion) {
    let mut group = c.benchmark_group("parse");
    group.sample_size(20);
    for case in [
        "models/vit_tiny_forward",
        "full/bert_base_b1_s128",
        "full/vit_b16_train_adam_b8_f32",
    ] {
        let path = corpus().join(case).join("model.stablehlo.mlir");
        let Ok(text) = std::fs::read(&path) else {
            eprintln!("{case}: not in this corpus");
            continue;
        };
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(case, |b| b.iter(|| Frontend::read(&text, case).map(|m| m.funcs.len())));
    }
    group.finish();
}

criterion_group!(benches, parse);
criterion_main!(benches);
