//! Throughput of the front ends, in every form that a case of the corpus has.

#![allow(missing_docs)] // made by criterion_group!

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ferrite_benches::corpus;
use ferrite_frontend::Frontend;

const CASES: [&str; 3] = [
    "models/vit_tiny_forward",
    "full/bert_base_b1_s128",
    "full/vit_b16_train_adam_b8_f32",
];

const FORMS: [&str; 5] = [
    "model.stablehlo.mlir",
    "model.generic.mlir",
    "model.hlo.txt",
    "model.hlo.pb",
    "model.mlirbc",
];

fn parse(c: &mut Criterion) {
    for case in CASES {
        let mut group = c.benchmark_group(case);
        group.sample_size(20);
        for form in FORMS {
            let Ok(bytes) = std::fs::read(corpus().join(case).join(form)) else {
                eprintln!("{case}/{form}: not in this corpus");
                continue;
            };
            group.throughput(Throughput::Bytes(bytes.len() as u64));
            group.bench_function(form, |b| b.iter(|| Frontend::read(&bytes, form).map(|m| m.funcs.len())));
        }
        group.finish();
    }
}

criterion_group!(benches, parse);
criterion_main!(benches);
