//! Single instructions and transfers (`neuroncore.md` section 5.2).

use ferrite_ir::dtype::DType::{BF16, F8E4M3, F32};
use ferrite_ir::machine::Engine;
use ferrite_ir::machine::cost::DgeMode;
use ferrite_ir::tile::*;

use super::build::{Kernel, Rows, on, view};
use super::{Class, Point, mean_interval, nth, nth_span, nth_start};

fn tensor_tensor() -> Kernel {
    let mut k = Kernel::new();
    let (a, b, c) = (k.sbuf(32768), k.sbuf(32768), k.sbuf(32768));
    let v = |t| view(t, 128, 0, F32, 8192);
    k.zero(Engine::GpSimd, v(a));
    k.zero(Engine::GpSimd, v(b));
    k.tensor_tensor(v(c), v(a), v(b), AluOp::Add);
    k
}

fn activations(n: u32, count: usize, dependent: bool, func: ActFunc, partitions: u16) -> Kernel {
    let mut k = Kernel::new();
    let (a, b) = (k.sbuf(4 * n), k.ring(2, 4 * n));
    k.zero(Engine::GpSimd, view(a, partitions, 0, F32, n));
    for i in 0..count {
        let src = if dependent && i > 0 { b.at(i - 1) } else { a };
        let (dst, src) = (view(b.at(i), partitions, 0, F32, n), view(src, partitions, 0, F32, n));
        k.activation(dst, src, func);
    }
    k
}

fn matmul(m: u32, n: u32) -> Kernel {
    let mut k = Kernel::new();
    let (w, x, acc) = (k.sbuf(256), k.sbuf(1024), k.psum());
    k.zero(Engine::GpSimd, view(x, 128, 0, BF16, n));
    k.zero(Engine::GpSimd, view(w, 128, 0, BF16, m));
    let dst = view(acc, m as u16, 0, F32, n);
    k.matmul(dst, view(w, 128, 0, BF16, m), view(x, 128, 0, BF16, n), false);
    k
}

/// Products of fp32 in a row: K = M = 128, N = 512.
fn fp32_matmuls() -> Kernel {
    let mut k = Kernel::new();
    let (w, x, acc) = (k.ring(2, 512), k.sbuf(2048), k.banks(8));
    for i in 0..2 {
        k.zero(Engine::GpSimd, view(w.at(i), 128, 0, F32, 128));
    }
    k.zero(Engine::GpSimd, view(x, 128, 0, F32, 512));
    for i in 0..400 {
        let dst = view(acc.at(i), 128, 0, F32, 512);
        k.matmul(dst, view(w.at(i), 128, 0, F32, 128), view(x, 128, 0, F32, 512), false);
    }
    k
}

/// One transfer of `rows` descriptors of `bytes`, all of them for one engine if `rows` is 1.
fn transfer(rows: u16, bytes: u32, store: bool) -> Kernel {
    let mut k = Kernel::new();
    let total = u64::from(rows) * u64::from(bytes);
    let tile = k.sbuf(bytes);
    let v = view(tile, rows, 0, F32, bytes / 4);
    let at = |buffer| Rows {
        buffer,
        offset: 0,
        step: u64::from(bytes),
    };
    if store {
        k.zero(Engine::Vector, v.clone());
        let out = k.output(total);
        k.store(at(out), v);
    } else {
        let x = k.input(total);
        k.load(v.clone(), at(x));
        k.activation(v.clone(), v, ActFunc::Copy);
    }
    k
}

/// Loads of `[128, bytes]` in a row on one queue.
fn loads_in_a_row(bytes: u32, count: usize) -> Kernel {
    let mut k = Kernel::new();
    let x = k.input(128 * u64::from(bytes));
    let tiles = k.ring(8, bytes);
    for i in 0..count {
        let rows = Rows {
            buffer: x,
            offset: 0,
            step: u64::from(bytes),
        };
        k.load(view(tiles.at(i), 128, 0, F32, bytes / 4), rows);
    }
    k
}

fn vector_at_16384(which: usize) -> Kernel {
    let mut k = Kernel::new();
    let n = 16384;
    let (a, b, s) = (k.sbuf(2 * n), k.sbuf(4 * n), k.sbuf(4));
    let x = view(a, 128, 0, BF16, n);
    k.zero(Engine::GpSimd, x.clone());
    match which {
        0 => {
            let sum = Some(view(s, 128, 0, F32, 1));
            k.activation_sum(view(b, 128, 0, F32, n), x, ActFunc::Exp, sum);
        }
        1 => k.compute(
            Engine::Vector,
            Inst::TensorReduce {
                dst: view(s, 128, 0, F32, 1),
                src: x,
                op: AluOp::Max,
                dims: 1,
                negate: false,
            },
        ),
        _ => k.tensor_scalar(view(b, 128, 0, F8E4M3, n), x, AluOp::Multiply, 2.0),
    }
    k
}

/// Products of a result in PSUM and a scalar, added to a tile: 512 elements, in a row.
fn scalar_tensor_tensor() -> Kernel {
    let mut k = Kernel::new();
    let (a, c, acc) = (k.sbuf(2048), k.ring(4, 2048), k.psum());
    let (w, x) = (k.sbuf(256), k.sbuf(1024));
    k.zero(Engine::GpSimd, view(a, 128, 0, F32, 512));
    k.zero(Engine::GpSimd, view(w, 128, 0, BF16, 128));
    k.zero(Engine::GpSimd, view(x, 128, 0, BF16, 512));
    let product = view(acc, 128, 0, F32, 512);
    k.matmul(
        product.clone(),
        view(w, 128, 0, BF16, 128),
        view(x, 128, 0, BF16, 512),
        false,
    );
    for i in 0..40 {
        k.compute(
            Engine::Vector,
            Inst::ScalarTensorTensor {
                dst: view(c.at(i), 128, 0, F32, 512),
                src: product.clone(),
                first: ScalarStep::imm(AluOp::Multiply, 2.0),
                b: view(a, 128, 0, F32, 512),
                op1: AluOp::Add,
                reverse1: false,
            },
        );
    }
    k
}

fn table_load() -> Kernel {
    activations(128, 2, false, ActFunc::Exp, 128)
}

/// Half the partitions: the cost of VectorE does not depend on them.
fn tensor_tensor_64() -> Kernel {
    let mut k = Kernel::new();
    let (a, b, c) = (k.sbuf(32768), k.sbuf(32768), k.sbuf(32768));
    let v = |t| on(64, view(t, 64, 0, F32, 8192));
    k.zero(Engine::GpSimd, v(a));
    k.zero(Engine::GpSimd, v(b));
    k.tensor_tensor(v(c), v(a), v(b), AluOp::Add);
    k
}

/// The points.
pub fn points() -> Vec<Point> {
    use Class::{Dma, Single};

    let mut all = vec![
        Point::new("C-1", "trn1", Single, "tensor_tensor fp32 [128, 8192]", 14_987.0, tensor_tensor).measure(|r| nth_span(r, "TENSOR_TENSOR", 0)),
        Point::new("C-1 (64 lanes)", "trn1", Single, "the same on 64 partitions", 14_968.0, tensor_tensor_64).measure(|r| nth_span(r, "TENSOR_TENSOR", 0)),
        Point::new("C-2", "trn1", Single, "activation fp32, 8,192 elements", 6_000.0, || activations(8192, 2, false, ActFunc::Relu, 128))
            .measure(|r| nth_span(r, "ACTIVATE", 1)),
        Point::new("C-3", "trn1", Single, "activation of 1 element: duration", 159.0, || activations(1, 3, true, ActFunc::Relu, 128))
            .measure(|r| nth_span(r, "ACTIVATE", 1)),
        Point::new("C-3 (interval)", "trn1", Single, "the same: interval when dependent", 189.0, || activations(1, 6, true, ActFunc::Relu, 128))
            .measure(|r| mean_interval(r, "ACTIVATE")),
        Point::new("C-4", "trn1", Single, "LDWEIGHTS of 1 column: duration", 67.0, || matmul(1, 128)).measure(|r| nth_span(r, "LDWEIGHTS", 0)),
        Point::new("C-4 (to MATMUL)", "trn1", Single, "LDWEIGHTS start to MATMUL start", 26.0, || matmul(1, 128))
            .measure(|r| nth_start(r, "MATMUL", 0) - nth_start(r, "LDWEIGHTS", 0)),
        Point::new("C-5", "trn1", Single, "MATMUL bf16, N = 128", 188.0, || matmul(128, 128)).measure(|r| nth_span(r, "MATMUL", 0)),
        Point::new("C-6", "trn1", Dma, "32 KiB on one DMA engine", 1_810.0, || transfer(1, 32768, false)).measure(|r| nth_span(r, "32768 B", 0)),
        Point::new("C-8", "trn2", Dma, "32 KiB HBM -> SBUF on one DMA engine", 1_416.0, || transfer(1, 32768, false)).measure(|r| nth_span(r, "32768 B", 0)),
        Point::new("C-8 (store)", "trn2", Dma, "32 KiB SBUF -> HBM on one DMA engine", 1_215.0, || transfer(1, 32768, true))
            .measure(|r| nth_span(r, "32768 B", 0)),
        Point::new("C-9", "trn2", Dma, "8 descriptors of 256 B per engine", 97.0, || transfer(128, 256, false)).measure(|r| nth_span(r, "32768 B", 0)),
        Point::new("C-10", "trn2", Dma, "trigger to data (published 820 to 1,000 ns)", 1_000.0, || transfer(128, 2048, false))
            .measure(|r| nth_start(r, "262144 B", 0) - nth_start(r, "DMA_TRIGGER", 0)),
        Point::new("C-10 (done)", "trn2", Dma, "end of data to the waiting engine's start", 317.0, || transfer(128, 2048, false))
            .measure(|r| nth_start(r, "ACTIVATE", 0) - nth_start(r, "262144 B", 0) - nth_span(r, "262144 B", 0)),
        Point::new("C-12", "trn2", Single, "activation N = 128", 400.0, || activations(128, 2, false, ActFunc::Relu, 128)).measure(|r| nth_span(r, "ACTIVATE", 1)),
        Point::new("C-12 (4,096)", "trn2", Single, "activation N = 4,096", 3_700.0, || activations(4096, 2, false, ActFunc::Relu, 128))
            .measure(|r| nth_span(r, "ACTIVATE", 1)),
        Point::new("C-13", "trn2", Single, "ACT_TABLE_LOAD", 1_280.0, table_load).measure(|r| nth_span(r, "ACT_TABLE_LOAD", 0)),
        Point::new("C-15", "trn2", Single, "fp32 pass K = M = 128, N = 512, in a row", 429.7, fp32_matmuls)
            .measure(|r| (nth_start(r, "MATMUL", 399) - nth_start(r, "MATMUL", 199)) / 400.0)
            .within(2.0),
        Point::new("C-16 (activation_reduce)", "trn2", Single, "table load and activation_reduce of 16,384", 15_300.0, || vector_at_16384(0))
            .measure(|r| {
                let (start, end) = nth(r, "ACTIVATE", 0);
                end - start + nth_span(r, "ACT_TABLE_LOAD", 0)
            })
            .because("the published figure includes a table load; a function that has a table stands for the square, which has none in our grouping"),
        Point::new("C-16 (tensor_reduce)", "trn2", Single, "absolute maximum of 16,384", 17_200.0, || vector_at_16384(1)).measure(|r| nth_span(r, "TENSOR_REDUCE", 0)),
        Point::new("C-16 (tensor_scalar)", "trn2", Single, "bf16 to fp8, 16,384", 8_800.0, || vector_at_16384(2)).measure(|r| nth_span(r, "TENSOR_SCALAR", 0)),
        Point::new("C-16 (stt)", "trn2", Single, "scalar_tensor_tensor 512, one side in PSUM: interval", 650.0, scalar_tensor_tensor)
            .measure(|r| mean_interval(r, "SCALAR_TENSOR_TENSOR")),
        Point::new("C-17", "trn2", Single, "MATMUL fp32, one of its two passes: duration", 600.0, fp32_matmuls)
            .measure(|r| nth_span(r, "MATMUL", 300) - (nth_start(r, "MATMUL", 301) - nth_start(r, "MATMUL", 300)) / 2.0)
            .because("the picture shows the passes one by one; our instruction is both, so the first pass is taken off"),
    ];
    let plateau = 368.0;
    for (bytes, percent) in [
        (32u32, 1.3),
        (64, 2.6),
        (128, 5.0),
        (256, 10.3),
        (512, 20.6),
        (1024, 42.3),
        (2048, 81.3),
        (4096, 96.6),
        (8192, 98.3),
        (16384, 99.0),
    ] {
        let total = 128.0 * f64::from(bytes);
        let id = format!("C-14 ({bytes} B)");
        all.push(
            Point::new(
                &id,
                "trn2",
                Dma,
                "loads of [128, bytes] in a row on one queue",
                total / (plateau * percent / 100.0),
                move || loads_in_a_row(bytes, 24),
            )
            .generated(DgeMode::Hardware)
            .measure(move |r| {
                let name = format!("{} B", 128 * bytes);
                (nth_start(r, &name, 23) + nth_span(r, &name, 23) - nth_start(r, &name, 7) - nth_span(r, &name, 7))
                    / 16.0
            }),
        );
    }
    for (bytes, rate, note) in [
        (512u32, 17.0, "rows of 512 B"),
        (2048, 22.0, "rows of 2 KiB"),
        (8192, 22.0, "rows of 8 KiB"),
    ] {
        let id = format!("C-18 ({bytes} B)");
        let per_engine = 8.0 * f64::from(bytes);
        all.push(
            Point::new(&id, "trn2", Dma, note, per_engine / rate, move || {
                loads_in_a_row(bytes, 24)
            })
            .measure(move |r| {
                let name = format!("{} B", 128 * bytes);
                (nth_start(r, &name, 23) + nth_span(r, &name, 23) - nth_start(r, &name, 7) - nth_span(r, &name, 7))
                    / 16.0
            }),
        );
    }
    all
}
