//! Kernels bound by VectorE (`neuroncore.md` section 5.3).

use ferrite_ir::dtype::DType::F32;
use ferrite_ir::machine::Engine;
use ferrite_ir::tile::*;

use super::build::{Kernel, Rows, on, view};
use super::{Class, Point};

/// Scan of a state-space model over `[channels, seq]` with 16 states.
#[derive(Clone, Copy)]
struct Mamba {
    channels: u64,
    seq: u64,
    /// Tiles of the sequence.
    tile: u64,
    /// Whether `delta` and `u` are loaded once per channel tile, or for every state.
    hoisted: bool,
    /// Whether iterations overlap.
    staged: bool,
}

const STATES: u64 = 16;

fn mamba(m: Mamba) -> Kernel {
    let mut k = Kernel::new();
    let bytes = m.channels * m.seq * 4;
    let (delta, u, out) = (k.input(bytes), k.input(bytes), k.output(bytes));
    let (a, b, c) = (
        k.input(m.channels * STATES * 4),
        k.input(STATES * m.seq * 4),
        k.input(STATES * m.seq * 4),
    );
    let n = m.tile as u32;
    let size = n * 4;
    let depth = if m.staged { 4 } else { 1 };
    let (dt, ut, at) = (k.ring(2, size), k.ring(2, size), k.ring(8, 4));
    let (bt, ct) = (k.ring(depth + 1, size), k.ring(depth + 1, size));
    let (da, du) = (k.ring(depth + 1, size), k.ring(depth, size));
    let (dbu, scan, scan_c) = (k.ring(depth, size), k.ring(depth, size), k.ring(depth, size));
    let ones = k.sbuf(512);
    k.zero(Engine::GpSimd, view(ones, 1, 0, F32, 128));
    let tiles = (m.channels / 128) as usize;
    let steps = (m.seq / m.tile) as usize;
    let sums: Vec<TileId> = (0..if m.hoisted { 4 } else { tiles * steps })
        .map(|_| k.sbuf(size))
        .collect();
    let last: Vec<TileId> = (0..tiles as u64 * STATES).map(|_| k.sbuf(4)).collect();
    let banks = k.banks(8);
    let (mut turn, mut bank, mut count) = (0, 0, 0);
    let rows = |buffer, tile: usize, step: usize| Rows {
        buffer,
        offset: (tile as u64 * 128 * m.seq + step as u64 * m.tile) * 4,
        step: m.seq * 4,
    };
    let mut one = |k: &mut Kernel, tile: usize, step: usize, state: u64, load: bool, sum: TileId| {
        let (d, x) = (view(dt.at(turn), 128, 0, F32, n), view(ut.at(turn), 128, 0, F32, n));
        let du = view(du.at(turn), 128, 0, F32, n);
        let stage = |k: &mut Kernel, stage: usize| {
            if m.staged {
                k.stage(stage);
            }
        };
        if load {
            k.load(d.clone(), rows(delta, tile, step));
            k.load(x.clone(), rows(u, tile, step));
            k.tensor_tensor(du.clone(), d.clone(), x, AluOp::Multiply);
        }
        let ai = view(at.at(count), 128, 0, F32, 1);
        let from = Rows {
            buffer: a,
            offset: (tile as u64 * 128 * STATES + state) * 4,
            step: STATES * 4,
        };
        k.load(ai.clone(), from);
        let da = view(da.at(count), 128, 0, F32, n);
        k.compute(
            Engine::Scalar,
            Inst::Activation {
                dst: da.clone(),
                src: d,
                func: ActFunc::Exp,
                scale: Scalar::PerPartition(ai),
                bias: Scalar::f32(0.0),
                accumulate: None,
            },
        );
        // Rows of B and C reach all partitions by a product with ones.
        for (ring, buffer) in [(&bt, b), (&ct, c)] {
            let from = Rows {
                buffer,
                offset: (state * m.seq + step as u64 * m.tile) * 4,
                step: m.seq * 4,
            };
            k.load(view(ring.at(count), 1, 0, F32, n), from);
        }
        let dbu = view(dbu.at(count), 128, 0, F32, n);
        let mut spread = |k: &mut Kernel, row: TileId, dst: &View, src: &View| {
            for start in (0..n).step_by(512) {
                let width = (n - start).min(512);
                let psum = view(banks.at(bank), 128, 0, F32, width);
                bank += 1;
                k.matmul(
                    psum.clone(),
                    view(ones, 1, 0, F32, 128),
                    view(row, 1, start * 4, F32, width),
                    false,
                );
                let part = |v: &View| view(v.tile, 128, start * 4, F32, width);
                k.tensor_tensor(part(dst), part(src), psum, AluOp::Multiply);
            }
        };
        spread(k, bt.at(count), &dbu, &du);
        stage(k, 1);
        let result = view(scan.at(count), 128, 0, F32, n);
        let carry = view(last[tile * STATES as usize + state as usize], 128, 0, F32, 1);
        let initial = if step > 0 {
            Scalar::PerPartition(carry.clone())
        } else {
            Scalar::f32(0.0)
        };
        k.compute(
            Engine::Vector,
            Inst::TensorTensorScan {
                dst: result.clone(),
                a: da,
                b: dbu,
                initial,
                op0: AluOp::Multiply,
                op1: AluOp::Add,
            },
        );
        if steps > 1 {
            k.activation(carry, view(scan.at(count), 128, (n - 1) * 4, F32, 1), ActFunc::Copy);
        }
        stage(k, 2);
        let weighted = view(scan_c.at(count), 128, 0, F32, n);
        spread(k, ct.at(count), &weighted, &result);
        stage(k, 3);
        let sum = view(sum, 128, 0, F32, n);
        if state == 0 {
            k.compute(
                Engine::GpSimd,
                Inst::Memset {
                    dst: sum.clone(),
                    bits: 0,
                },
            );
        }
        k.tensor_tensor(sum.clone(), sum.clone(), weighted, AluOp::Add);
        if !m.hoisted || state + 1 == STATES {
            turn += 1;
        }
        count += 1;
        if state + 1 == STATES && m.hoisted {
            k.store(rows(out, tile, step), sum.clone());
        }
        if m.staged {
            k.iterate();
        }
    };
    if m.hoisted {
        for tile in 0..tiles {
            for step in 0..steps {
                let sum = sums[(tile * steps + step) % 4];
                for state in 0..STATES {
                    one(&mut k, tile, step, state, state == 0, sum);
                }
            }
        }
    } else {
        for state in 0..STATES {
            for (place, &sum) in sums.iter().enumerate() {
                one(&mut k, place / steps, place % steps, state, true, sum);
            }
        }
        k.drain(depth);
        for (place, &sum) in sums.iter().enumerate() {
            k.store(rows(out, place / steps, place % steps), view(sum, 128, 0, F32, n));
        }
    }
    k
}

/// B-14: the first scan over whole rows of 7,168, as published. SBUF holds `u`, one sum, and one tile of each other kind; the sum of the second channel
/// tile goes through HBM with every state (published: 55 MB each way), so hardly anything overlaps.
fn mamba_whole() -> Kernel {
    let mut k = Kernel::new();
    let (seq, tiles) = (7168u64, 2usize);
    let bytes = 128 * tiles as u64 * seq * 4;
    let (delta, u, out) = (k.input(bytes), k.input(bytes), k.output(bytes));
    let (a, b, c) = (
        k.input(128 * tiles as u64 * STATES * 4),
        k.input(STATES * seq * 4),
        k.input(STATES * seq * 4),
    );
    let spilled = k.scratch(128 * seq * 4);
    let n = seq as u32;
    let size = n * 4;
    let (ones, at) = (k.sbuf(512), k.ring(8, 4));
    k.zero(Engine::GpSimd, view(ones, 1, 0, F32, 128));
    let whole = |tile| view(tile, 128, 0, F32, n);
    let rows = |buffer, tile: usize| Rows {
        buffer,
        offset: tile as u64 * 128 * seq * 4,
        step: seq * 4,
    };
    let kept: Vec<TileId> = (0..tiles).map(|_| k.sbuf(size)).collect();
    for (tile, &to) in kept.iter().enumerate() {
        k.load(whole(to), rows(u, tile));
    }
    let (values, decay, row, sum) = (k.sbuf(size), k.sbuf(size), k.sbuf(size), k.sbuf(size));
    let banks = k.banks(8);
    let mut bank = 0;
    for state in 0..STATES {
        for (tile, &factor) in kept.iter().enumerate() {
            k.load(whole(values), rows(delta, tile));
            let scale = view(at.at(state as usize * tiles + tile), 128, 0, F32, 1);
            let from = Rows {
                buffer: a,
                offset: (tile as u64 * 128 * STATES + state) * 4,
                step: STATES * 4,
            };
            k.load(scale.clone(), from);
            k.compute(
                Engine::Scalar,
                Inst::Activation {
                    dst: whole(decay),
                    src: whole(values),
                    func: ActFunc::Exp,
                    scale: Scalar::PerPartition(scale),
                    bias: Scalar::f32(0.0),
                    accumulate: None,
                },
            );
            k.tensor_tensor(whole(values), whole(values), whole(factor), AluOp::Multiply);
            let mut spread = |k: &mut Kernel, buffer| {
                let from = Rows {
                    buffer,
                    offset: state * seq * 4,
                    step: seq * 4,
                };
                k.load(view(row, 1, 0, F32, n), from);
                for start in (0..n).step_by(512) {
                    let psum = view(banks.at(bank), 128, 0, F32, 512);
                    bank += 1;
                    let part = view(values, 128, start * 4, F32, 512);
                    k.matmul(
                        psum.clone(),
                        view(ones, 1, 0, F32, 128),
                        view(row, 1, start * 4, F32, 512),
                        false,
                    );
                    k.tensor_tensor(part.clone(), part, psum, AluOp::Multiply);
                }
            };
            spread(&mut k, b);
            k.compute(
                Engine::Vector,
                Inst::TensorTensorScan {
                    dst: whole(values),
                    a: whole(decay),
                    b: whole(values),
                    initial: Scalar::f32(0.0),
                    op0: AluOp::Multiply,
                    op1: AluOp::Add,
                },
            );
            spread(&mut k, c);
            // The first sum stays, the second takes the place of the factors.
            let to = if tile == 0 { sum } else { decay };
            if state == 0 {
                k.compute(
                    Engine::Vector,
                    Inst::TensorCopy {
                        dst: whole(to),
                        src: whole(values),
                    },
                );
            } else {
                if tile > 0 {
                    k.load(whole(to), rows(spilled, 0));
                }
                k.tensor_tensor(whole(to), whole(to), whole(values), AluOp::Add);
            }
            match (tile, state + 1 == STATES) {
                (_, true) => k.store(rows(out, tile), whole(to)),
                (0, false) => {}
                (_, false) => k.store(rows(spilled, 0), whole(to)),
            }
        }
    }
    k
}

/// B-7: rotary embedding of `[128, 64 x 4096]` fp32 in tiles of 512.
fn rope() -> Kernel {
    let mut k = Kernel::new();
    let s = 64 * 4096u64;
    let (x, out) = (k.input(128 * s * 4), k.output(128 * s * 4));
    let (cos, sin) = (k.input(64 * s * 4), k.input(64 * s * 4));
    let ring = |k: &mut Kernel| k.ring(2, 2048);
    let (xt, co, si, ot) = (ring(&mut k), ring(&mut k), ring(&mut k), ring(&mut k));
    let (odd, products) = (ring(&mut k), [ring(&mut k), ring(&mut k), ring(&mut k), ring(&mut k)]);
    for i in 0..(s / 512) as usize {
        let rows = |buffer| Rows {
            buffer,
            offset: i as u64 * 2048,
            step: s * 4,
        };
        let half = |t: TileId| view(t, 64, 0, F32, 512);
        k.load(view(xt.at(i), 128, 0, F32, 512), rows(x));
        k.load(half(co.at(i)), rows(cos));
        k.load(half(si.at(i)), rows(sin));
        let (even, o) = (half(xt.at(i)), half(odd.at(i)));
        k.activation(o.clone(), on(64, half(xt.at(i))), ActFunc::Copy);
        let [ec, oc, es, os] = [0, 1, 2, 3].map(|p: usize| half(products[p].at(i)));
        k.tensor_tensor(ec.clone(), even.clone(), half(co.at(i)), AluOp::Multiply);
        k.tensor_tensor(oc.clone(), o.clone(), half(co.at(i)), AluOp::Multiply);
        k.tensor_tensor(es.clone(), even, half(si.at(i)), AluOp::Multiply);
        k.tensor_tensor(os.clone(), o, half(si.at(i)), AluOp::Multiply);
        k.tensor_tensor(half(ot.at(i)), ec, os, AluOp::Subtract);
        k.tensor_tensor(on(64, half(ot.at(i))), oc, es, AluOp::Add);
        k.store(rows(out), view(ot.at(i), 128, 0, F32, 512));
    }
    k
}

/// B-12: one step of AdamW over `[10944, 2048]` fp32. Of the published operations, the two that algebra removes are gone, and those with a
/// constant run on ScalarE, as its published active time says.
fn adamw() -> Kernel {
    let mut k = Kernel::new();
    let (m, n) = (10944u64, 2048u64);
    let inputs = [0; 4].map(|_| k.input(m * n * 4));
    let out = k.output(m * n * 4);
    let loaded = [0; 4].map(|_| k.ring(2, 4096));
    let result = k.ring(2, 4096);
    let work: Vec<_> = (0..9).map(|_| k.ring(6, 2048)).collect();
    let mut turn = 0;
    for i0 in 0..86u64 {
        let partitions = (m - 128 * i0).min(128) as u16;
        for i1 in 0..2u64 {
            let rows = |buffer| Rows {
                buffer,
                offset: (128 * i0 * n + 1024 * i1) * 4,
                step: n * 4,
            };
            let at = turn / 2;
            for (ring, &buffer) in loaded.iter().zip(&inputs) {
                k.load(view(ring.at(at), partitions, 0, F32, 1024), rows(buffer));
            }
            for i2 in 0..2u32 {
                let part = |r: usize| view(loaded[r].at(at), partitions, i2 * 2048, F32, 512);
                let w = |i: usize| view(work[i].at(turn), partitions, 0, F32, 512);
                let (theta, m1, v1, g) = (part(0), part(1), part(2), part(3));
                k.activation(w(0), theta, ActFunc::Copy);
                k.activation(w(1), m1, ActFunc::Copy);
                k.activation(w(2), g.clone(), ActFunc::Copy);
                k.activation(w(5), v1, ActFunc::Copy);
                k.activation(w(6), g, ActFunc::Square);
                k.stage(1);
                k.tensor_tensor(w(3), w(1), w(2), AluOp::Add);
                k.tensor_tensor(w(7), w(5), w(6), AluOp::Add);
                k.stage(2);
                k.activation(w(4), w(3), ActFunc::Copy);
                k.activation(w(7), w(7), ActFunc::Sqrt);
                k.activation(w(7), w(7), ActFunc::Copy);
                k.stage(3);
                k.compute(Engine::Vector, Inst::Reciprocal { dst: w(8), src: w(7) });
                k.stage(4);
                k.tensor_tensor(w(8), w(4), w(8), AluOp::Multiply);
                k.stage(5);
                let dst = view(result.at(at), partitions, i2 * 2048, F32, 512);
                k.tensor_tensor(dst, w(0), w(8), AluOp::Subtract);
                if i2 == 1 {
                    k.store(rows(out), view(result.at(at), partitions, 0, F32, 1024));
                }
                turn += 1;
                k.iterate();
            }
        }
    }
    k
}

/// B-13: SiLU of `[4096, 7168]` fp32 as exp, add, reciprocal, multiply; the addition runs on ScalarE, as its published active time says.
fn silu() -> Kernel {
    let mut k = Kernel::new();
    let (x, out) = (k.input(4096 * 7168 * 4), k.output(4096 * 7168 * 4));
    let (xt, ot) = (k.ring(2, 4096), k.ring(2, 4096));
    let (et, rt) = (k.ring(2, 2048), k.ring(2, 2048));
    let (mut turn, mut part) = (0, 0);
    for i0 in 0..32u64 {
        for i1 in 0..7u64 {
            let rows = |buffer| Rows {
                buffer,
                offset: (i0 * 7168 + 1024 * i1) * 4,
                step: 32 * 7168 * 4,
            };
            k.load(view(xt.at(turn), 128, 0, F32, 1024), rows(x));
            for i2 in 0..2u32 {
                let src = view(xt.at(turn), 128, i2 * 2048, F32, 512);
                let (e, r) = (view(et.at(part), 128, 0, F32, 512), view(rt.at(part), 128, 0, F32, 512));
                k.activation(e.clone(), src.clone(), ActFunc::Exp);
                k.activation(e.clone(), e.clone(), ActFunc::Copy);
                k.compute(Engine::Vector, Inst::Reciprocal { dst: r.clone(), src: e });
                k.tensor_tensor(view(ot.at(turn), 128, i2 * 2048, F32, 512), src, r, AluOp::Multiply);
                part += 1;
            }
            k.store(rows(out), view(ot.at(turn), 128, 0, F32, 1024));
            turn += 1;
        }
    }
    k
}

/// The points.
pub fn points() -> Vec<Point> {
    use Class::Vector;

    let m = |channels, seq, tile, hoisted, staged| {
        move || {
            mamba(Mamba {
                channels,
                seq,
                tile,
                hoisted,
                staged,
            })
        }
    };
    vec![
        Point::new("C-30", "trn1", Vector, "Mamba v1, 256 channels, 512", 172_930.0, m(256, 512, 512, false, false))
            .because("5 instructions of VectorE per step take 5,215 cycles in the published run and 4,717 in C-32, with the same sizes; ours is the latter"),
        Point::new("C-32 (v1)", "trn1", Vector, "Mamba v1, 4,096 channels, 512", 2.34e6, m(4096, 512, 512, false, true)),
        Point::new("C-32 (v2)", "trn1", Vector, "Mamba v2, 4,096 channels, 512", 1.61e6, m(4096, 512, 512, true, true)),
        Point::new("C-34 (v3, 2048)", "trn1", Vector, "Mamba v3, 4,096 channels, 2,048", 6.6e6, m(4096, 2048, 512, true, true)),
        Point::new("C-33 (v3)", "trn1", Vector, "Mamba v3, 4,096 channels, 8,192", 27.8e6, m(4096, 8192, 512, true, true)),
        Point::new("B-7", "trn1", Vector, "rope B1 H64 N4096 D128", 4.333e6, rope)
            .because(
                "the published run moves its 403 MB at 93 GB/s and leaves VectorE idle for 28 % of the time, the best published variant (3.333 ms) is ours; its rows of 2 KiB lie 1 MiB apart in \
                 HBM, further than those of any other point: pages of one bank, which we do not model, would explain it",
            ),
        Point::new("B-12", "trn1", Vector, "adamw M10944 N2048", 2.0e6, adamw),
        Point::new("B-13", "trn1", Vector, "silu M4096 N7168", 1.333e6, silu),
        Point::new("B-14", "trn1", Vector, "mamba M7168 C256 S16", 2.889e6, mamba_whole)
            .because("whole rows, one buffer of each kind and one sum spilled, as the published counters say"),
    ]
}
