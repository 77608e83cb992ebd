//! Kernels that mix TensorE with the others (`neuroncore.md` section 5.3).

use ferrite_ir::dtype::DType::F32;
use ferrite_ir::machine::Engine;
use ferrite_ir::tile::*;

use super::build::{Kernel, Ring, Rows, view};
use super::{Class, Point};

/// B-8: sixteen products `[4096, 64] . [64, 4096]` in fp32, the left operand transposed on TensorE for every block of columns.
fn bmm() -> Kernel {
    let mut k = Kernel::new();
    let (b, m, n, d) = (16u64, 4096u64, 4096u64, 64u64);
    k.program.model_flops = 2 * b * m * n * d;
    let (lhs, rhs, out) = (k.input(b * m * d * 4), k.input(b * d * n * 4), k.output(b * m * n * 4));
    let identity = k.sbuf(512);
    k.zero(Engine::GpSimd, view(identity, 128, 0, F32, 128));
    let (rt, lt) = (k.ring(2, 4096), k.ring(4, 256));
    let turned = k.ring(2, 4096);
    let (flips, banks, ot) = (k.banks(2), k.banks(6), k.ring(4, 4096));
    let (mut block, mut group, mut flip, mut bank, mut row) = (0, 0, 0, 0, 0);
    for i0 in 0..b {
        for i1 in 0..4u64 {
            let from = Rows {
                buffer: rhs,
                offset: (i0 * d * n + 1024 * i1) * 4,
                step: n * 4,
            };
            let right = rt.at(block);
            block += 1;
            k.load(view(right, 64, 0, F32, 1024), from);
            for i2 in 0..4u64 {
                let left = turned.at(group);
                group += 1;
                for half in 0..2u32 {
                    let psum = flips.at(flip);
                    for i3 in 0..4u32 {
                        let tile = lt.at(4 * flip + i3 as usize);
                        let first = 1024 * i2 + 512 * u64::from(half) + 128 * u64::from(i3);
                        let from = Rows {
                            buffer: lhs,
                            offset: (i0 * m + first) * d * 4,
                            step: d * 4,
                        };
                        k.load(view(tile, 128, 0, F32, 64), from);
                        let dst = view(psum, 64, i3 * 512, F32, 128);
                        k.matmul(
                            dst,
                            view(tile, 128, 0, F32, 64),
                            view(identity, 128, 0, F32, 128),
                            false,
                        );
                    }
                    flip += 1;
                    k.activation(
                        view(left, 64, half * 2048, F32, 512),
                        view(psum, 64, 0, F32, 512),
                        ActFunc::Copy,
                    );
                }
                for i4 in 0..8u32 {
                    let packed = ot.at(row);
                    row += 1;
                    for i5 in 0..2u32 {
                        let psum = view(banks.at(bank), 128, 0, F32, 512);
                        bank += 1;
                        let (l, r) = (view(left, 64, i4 * 512, F32, 128), view(right, 64, i5 * 2048, F32, 512));
                        k.matmul(psum.clone(), l, r, false);
                        k.activation(view(packed, 128, i5 * 2048, F32, 512), psum, ActFunc::Copy);
                    }
                    let to = Rows {
                        buffer: out,
                        offset: ((i0 * m + 1024 * i2 + 128 * u64::from(i4)) * n + 1024 * i1) * 4,
                        step: n * 4,
                    };
                    k.store(to, view(packed, 128, 0, F32, 1024));
                }
            }
        }
    }
    k
}

/// B-6, and B-3 with a second operand: the norm of each row, transposed on TensorE, times `[1024, 2048]`; fp32.
fn rmsnorm_matmul(add: bool) -> Kernel {
    let mut k = Kernel::new();
    let (m, n, d) = (4096u64, 2048u64, 1024u64);
    k.program.model_flops = 2 * m * n * d;
    let (x, y, w) = (k.input(m * d * 4), k.input(m * d * 4), k.input(d * n * 4));
    let out = k.output(m * n * 4);
    let identity = k.sbuf(512);
    k.zero(Engine::GpSimd, view(identity, 128, 0, F32, 128));
    let (xt, yt, again) = (k.ring(2, 4096), k.ring(2, 4096), k.ring(2, 4096));
    let (square, scaled, norm) = (k.ring(2, 2048), k.ring(2, 2048), k.ring(2, 2048));
    let (partial, sum) = (k.ring(4, 4), k.ring(2, 4));
    let turned: Vec<Ring> = (0..8).map(|_| k.ring(2, 4096)).collect();
    let wt: Vec<Ring> = (0..8).map(|_| k.ring(2, 4096)).collect();
    let (flips, banks, ot) = (k.banks(2), k.banks(6), k.ring(2, 4096));
    let (mut turn, mut flip, mut bank, mut part, mut wave) = (0, 0, 0, 0, 0);
    for i0 in 0..4usize {
        for (i1, to) in turned.iter().enumerate() {
            let rows = |buffer| Rows {
                buffer,
                offset: (8 * i0 + i1) as u64 * 128 * d * 4,
                step: d * 4,
            };
            let whole = |ring: &Ring| view(ring.at(turn), 128, 0, F32, 1024);
            k.load(whole(&xt), rows(x));
            if add {
                k.load(whole(&yt), rows(y));
                k.tensor_tensor(whole(&xt), whole(&xt), whole(&yt), AluOp::Add);
            }
            let total = view(sum.at(turn), 128, 0, F32, 1);
            for half in 0..2u32 {
                let piece = |ring: &Ring, p: usize| view(ring.at(p), 128, 0, F32, 512);
                k.activation(
                    piece(&square, part),
                    view(xt.at(turn), 128, half * 2048, F32, 512),
                    ActFunc::Square,
                );
                k.activation(piece(&scaled, part), piece(&square, part), ActFunc::Copy);
                let one = view(partial.at(part), 128, 0, F32, 1);
                k.compute(
                    Engine::Vector,
                    Inst::TensorReduce {
                        dst: one.clone(),
                        src: piece(&scaled, part),
                        op: AluOp::Add,
                        dims: 1,
                        negate: false,
                    },
                );
                if half == 0 {
                    k.compute(
                        Engine::Vector,
                        Inst::TensorCopy {
                            dst: total.clone(),
                            src: one,
                        },
                    );
                } else {
                    k.tensor_tensor(total.clone(), total.clone(), one, AluOp::Add);
                }
                part += 1;
            }
            k.activation(total.clone(), total.clone(), ActFunc::Rsqrt);
            let source = if add { &xt } else { &again };
            if !add {
                k.load(whole(&again), rows(x));
            }
            for half in 0..2u32 {
                let normed = view(norm.at(part + half as usize), 128, 0, F32, 512);
                let src = view(source.at(turn), 128, half * 2048, F32, 512);
                k.tensor_per_partition(normed.clone(), src, AluOp::Multiply, total.clone());
                let psum = flips.at(flip);
                flip += 1;
                for i4 in 0..4u32 {
                    let stationary = view(normed.tile, 128, i4 * 512, F32, 128);
                    k.matmul(
                        view(psum, 128, i4 * 512, F32, 128),
                        stationary,
                        view(identity, 128, 0, F32, 128),
                        false,
                    );
                }
                k.activation(
                    view(to.at(i0), 128, half * 2048, F32, 512),
                    view(psum, 128, 0, F32, 512),
                    ActFunc::Copy,
                );
            }
            turn += 1;
        }
        for i5 in 0..2u32 {
            for (row, ring) in wt.iter().enumerate() {
                let from = Rows {
                    buffer: w,
                    offset: (row as u64 * 128 * n + 1024 * u64::from(i5)) * 4,
                    step: n * 4,
                };
                k.load(view(ring.at(wave), 128, 0, F32, 1024), from);
            }
            for (i8, left) in turned.iter().enumerate() {
                let packed = ot.at(i8);
                for i9 in 0..2u32 {
                    let psum = view(banks.at(bank), 128, 0, F32, 512);
                    bank += 1;
                    for (row, ring) in wt.iter().enumerate() {
                        let l = view(left.at(i0), 128, row as u32 * 512, F32, 128);
                        let r = view(ring.at(wave), 128, i9 * 2048, F32, 512);
                        k.matmul(psum.clone(), l, r, row > 0);
                    }
                    k.activation(view(packed, 128, i9 * 2048, F32, 512), psum, ActFunc::Copy);
                }
                let to = Rows {
                    buffer: out,
                    offset: ((8 * i0 + i8) as u64 * 128 * n + 1024 * u64::from(i5)) * 4,
                    step: n * 4,
                };
                k.store(to, view(packed, 128, 0, F32, 1024));
            }
            wave += 1;
        }
    }
    k
}

/// The points.
pub fn points() -> Vec<Point> {
    use Class::Mixed;

    vec![
        Point::new(
            "B-3",
            "trn1",
            Mixed,
            "add_rmsnorm_matmul M4096 N2048 K1024",
            1.222e6,
            || rmsnorm_matmul(true),
        ),
        Point::new(
            "B-6",
            "trn1",
            Mixed,
            "rmsnorm_matmul M4096 N2048 K1024",
            1.056e6,
            || rmsnorm_matmul(false),
        ),
        Point::new("B-8", "trn1", Mixed, "bmm B16 M4096 K64 N4096", 4.611e6, bmm),
    ]
}
