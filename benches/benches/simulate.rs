//! Speed of the simulator: instructions per second for time alone, with checks and with data, and with data against the same products by
//! a plain call of the GEMM crate.

#![allow(missing_docs)] // made by criterion_group!

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ferrite_benches::speed::products;
use ferrite_sim::{Options, Simulator, column_sums};

fn simulate(c: &mut Criterion) {
    let program = products(2000);
    let simulator = Simulator::for_program(&program).unwrap_or_else(|e| panic!("{}", e[0]));
    let instructions: usize = program.streams.iter().map(Vec::len).sum();
    let mut group = c.benchmark_group("simulate");
    group.sample_size(10);
    group.throughput(Throughput::Elements(instructions as u64));
    for (name, check) in [("time", false), ("time and checks", true)] {
        let options = Options {
            check,
            ..Options::default()
        };
        group.bench_function(name, |b| {
            b.iter(|| simulator.profile(&options).map(|r| r.stats.latency_ps))
        });
    }
    group.finish();
}

/// 100 tiles of `[128, 1024] . [1024, 512]`: simulated with their data, and as one product each.
fn functional(c: &mut Criterion) {
    let tiles = 100;
    let program = products(tiles);
    let simulator = Simulator::for_program(&program).unwrap_or_else(|e| panic!("{}", e[0]));
    let options = Options {
        check: false,
        ..Options::default()
    };
    let (m, n, k) = (128usize, 512usize, 1024usize);
    let (a, b) = (vec![1f32; k * m], vec![1f32; k * n]);
    let mut out = vec![0f32; m * n];
    let mut group = c.benchmark_group("products");
    group.sample_size(10);
    group.throughput(Throughput::Elements((2 * m * n * k * tiles) as u64));
    group.bench_function("simulated", |bench| {
        bench.iter(|| simulator.run::<&[u8]>(&[], &options).map(|r| r.stats.latency_ps))
    });
    group.bench_function("plain", |bench| {
        bench.iter(|| (0..tiles).for_each(|_| column_sums(&a, &b, k, m, n, &mut out)))
    });
    group.finish();
}

criterion_group!(benches, simulate, functional);
criterion_main!(benches);
