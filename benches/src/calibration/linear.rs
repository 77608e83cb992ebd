//! Products with something around them (`neuroncore.md` section 5.3): fp32, operands transposed on TensorE, what does not fit spilled as the
//! published counters say.

use ferrite_ir::dtype::DType::F32;
use ferrite_ir::machine::Engine;
use ferrite_ir::tile::*;

use super::build::{Kernel, Ring, Rows, view};
use super::{Class, Point};

/// Four `[128, 128]` blocks of `src`, `step` bytes apart, transposed into one bank and copied to `dst` by ScalarE.
fn turn(k: &mut Kernel, identity: TileId, bank: TileId, src: impl Fn(u32) -> View, dst: View) {
    for i in 0..4u32 {
        k.matmul(
            view(bank, 128, i * 512, F32, 128),
            src(i),
            view(identity, 128, 0, F32, 128),
            false,
        );
    }
    k.activation(dst, view(bank, 128, 0, F32, 512), ActFunc::Copy);
}

fn identity(k: &mut Kernel) -> TileId {
    let tile = k.sbuf(512);
    k.zero(Engine::GpSimd, view(tile, 128, 0, F32, 128));
    tile
}

/// A `[128, 512]` block of a scratch buffer that holds one after another.
fn block(buffer: BufferId, number: usize) -> Rows {
    Rows {
        buffer,
        offset: number as u64 * 128 * 2048,
        step: 2048,
    }
}

/// B-1: `down(silu(x gate) * (x up))`, M4096 N3072 K1024. The published counters say that x is transposed once and spilled (16.8 MB), and that
/// gate and up are made together: of their results only the product is spilled (50.3 MB).
fn swiglu() -> Kernel {
    let mut k = Kernel::new();
    let (m, n, d) = (4096u64, 3072u64, 1024u64);
    k.program.model_flops = 3 * 2 * m * n * d;
    let (x, out) = (k.input(m * d * 4), k.output(m * d * 4));
    let (gate, up, down) = (k.input(d * n * 4), k.input(d * n * 4), k.input(n * d * 4));
    let (turned_x, product) = (k.scratch(m * d * 4), k.scratch(m * n * 4));
    let identity = identity(&mut k);
    let (flips, banks) = (k.banks(2), k.banks(6));
    let mut bank = 0;
    let mut next = |k: &Ring| {
        bank += 1;
        k.at(bank)
    };
    // Weights of one third of the columns, and of all rows in the second part.
    let weights: Vec<TileId> = (0..24).map(|_| k.sbuf(4096)).collect();
    let (xt, right) = (k.ring(2, 4096), k.ring(2, 8 * 2048));
    let (hidden, work) = (k.ring(3, 2048), [k.ring(2, 2048), k.ring(2, 2048)]);
    let wide = |tile| view(tile, 128, 0, F32, 1024);
    let mut count = 0;
    for i0 in 0..3u64 {
        for (i1, &tile) in weights[..16].iter().enumerate() {
            let buffer = if i1 < 8 { gate } else { up };
            let from = Rows {
                buffer,
                offset: ((i1 % 8) as u64 * 128 * n + 1024 * i0) * 4,
                step: n * 4,
            };
            k.load(wide(tile), from);
        }
        for i2 in 0..8usize {
            let columns = right.at(i0 as usize * 8 + i2);
            let part = |row: u32| view(columns, 128, row * 2048, F32, 512);
            if i0 == 0 {
                for i3 in 0..4u32 {
                    let tile = xt.at(i3 as usize);
                    let from = Rows {
                        buffer: x,
                        offset: (i2 as u64 * 512 + u64::from(i3) * 128) * d * 4,
                        step: d * 4,
                    };
                    k.load(wide(tile), from);
                    for half in 0..2u32 {
                        // Eight blocks of one row tile land in the eight column tiles.
                        let dims = [ApDim { step: 512, count: 4 }, ApDim { step: 1, count: 128 }];
                        let dst = View {
                            dims: dims.into_iter().collect(),
                            ..view(columns, 128, half * 4 * 2048 + i3 * 512, F32, 1)
                        };
                        let src = |i: u32| view(tile, 128, (half * 4 + i) * 512, F32, 128);
                        turn(&mut k, identity, flips.at((2 * i3 + half) as usize), src, dst);
                    }
                }
                for row in 0..8u32 {
                    k.store(block(turned_x, i2 * 8 + row as usize), part(row));
                }
            } else {
                for row in 0..8u32 {
                    k.load(part(row), block(turned_x, i2 * 8 + row as usize));
                }
            }
            for i5 in 0..8u32 {
                let sums = [next(&banks), next(&banks)].map(|b| view(b, 128, 0, F32, 512));
                for (which, sum) in sums.iter().enumerate() {
                    for row in 0..8u32 {
                        let w = view(weights[which * 8 + row as usize], 128, i5 * 512, F32, 128);
                        k.matmul(sum.clone(), w, part(row), row > 0);
                    }
                }
                let [g, u] = sums;
                let piece = |ring: &Ring| view(ring.at(count), 128, 0, F32, 512);
                let (h, a, b) = (piece(&hidden), piece(&work[0]), piece(&work[1]));
                k.activation(h.clone(), g, ActFunc::Copy);
                k.activation(a.clone(), h.clone(), ActFunc::Exp);
                k.activation(a.clone(), a.clone(), ActFunc::Copy);
                k.compute(Engine::Vector, Inst::Reciprocal { dst: b.clone(), src: a });
                k.tensor_tensor(b.clone(), h.clone(), b.clone(), AluOp::Multiply);
                k.tensor_tensor(h.clone(), b, u, AluOp::Multiply);
                k.store(block(product, (i2 * 3 + i0 as usize) * 8 + i5 as usize), h);
                count += 1;
            }
        }
    }
    for (row, &tile) in weights.iter().enumerate() {
        let from = Rows {
            buffer: down,
            offset: row as u64 * 128 * d * 4,
            step: d * 4,
        };
        k.load(wide(tile), from);
    }
    let left: Vec<Ring> = (0..24).map(|_| k.ring(1, 2048)).collect();
    let packed = k.ring(2, 4096);
    for i16 in 0..8usize {
        for (row, ring) in left.iter().enumerate() {
            k.load(view(ring.at(i16), 128, 0, F32, 512), block(product, i16 * 24 + row));
        }
        for i19 in 0..4u32 {
            let result = packed.at(i19 as usize);
            for i20 in 0..2u32 {
                let sum = view(next(&banks), 128, 0, F32, 512);
                for (row, ring) in left.iter().enumerate() {
                    let l = view(ring.at(i16), 128, i19 * 512, F32, 128);
                    k.matmul(sum.clone(), l, view(weights[row], 128, i20 * 2048, F32, 512), row > 0);
                }
                k.activation(view(result, 128, i20 * 2048, F32, 512), sum, ActFunc::Copy);
            }
            let to = Rows {
                buffer: out,
                offset: (i16 as u64 * 512 + u64::from(i19) * 128) * d * 4,
                step: d * 4,
            };
            k.store(to, wide(result));
        }
    }
    k
}

/// B-2: `rmsnorm(x w + z) g`, M4096 N2048 K2048; the weights stay in SBUF, x is transposed again for every 512 columns, as the counters say.
fn matmul_add_rmsnorm() -> Kernel {
    let mut k = Kernel::new();
    let (m, n) = (4096u64, 2048u64);
    k.program.model_flops = 2 * m * n * n;
    let (x, w, z) = (k.input(m * n * 4), k.input(n * n * 4), k.input(m * n * 4));
    let (g, out) = (k.input(128 * n * 4), k.output(m * n * 4));
    let identity = identity(&mut k);
    let rows = |buffer, row: u64| Rows {
        buffer,
        offset: row * 128 * n * 4,
        step: n * 4,
    };
    let whole = |tile| view(tile, 128, 0, F32, 2048);
    let weights: Vec<TileId> = (0..16).map(|_| k.sbuf(8192)).collect();
    for (row, &tile) in weights.iter().enumerate() {
        k.load(whole(tile), rows(w, row as u64));
    }
    // SBUF has room for one tile of each.
    let (xt, sum, zt, gt) = (k.sbuf(8192), k.sbuf(8192), k.sbuf(8192), k.sbuf(8192));
    k.load(whole(gt), rows(g, 0));
    let (turned, total) = (k.ring(6, 2048), k.ring(2, 4));
    let (flips, banks) = (k.banks(2), k.banks(6));
    let (mut flip, mut bank) = (0, 0);
    for i in 0..32u64 {
        k.load(whole(xt), rows(x, i));
        for column in 0..4u32 {
            let acc = view(banks.at(bank), 128, 0, F32, 512);
            bank += 1;
            for group in 0..4u32 {
                let left = turned.at(flip);
                let src = |b: u32| view(xt, 128, (group * 4 + b) * 512, F32, 128);
                turn(&mut k, identity, flips.at(flip), src, view(left, 128, 0, F32, 512));
                flip += 1;
                for b in 0..4u32 {
                    let right = view(weights[(group * 4 + b) as usize], 128, column * 2048, F32, 512);
                    k.matmul(acc.clone(), view(left, 128, b * 512, F32, 128), right, group + b > 0);
                }
            }
            k.activation(view(sum, 128, column * 2048, F32, 512), acc, ActFunc::Copy);
        }
        k.load(whole(zt), rows(z, i));
        k.tensor_tensor(whole(sum), whole(sum), whole(zt), AluOp::Add);
        k.activation(whole(zt), whole(sum), ActFunc::Square);
        let norm = view(total.at(i as usize), 128, 0, F32, 1);
        k.compute(
            Engine::Vector,
            Inst::TensorReduce {
                dst: norm.clone(),
                src: whole(zt),
                op: AluOp::Add,
                dims: 1,
                negate: false,
            },
        );
        k.activation(norm.clone(), norm.clone(), ActFunc::Rsqrt);
        k.tensor_per_partition(whole(sum), whole(sum), AluOp::Multiply, norm);
        k.tensor_tensor(whole(sum), whole(sum), whole(gt), AluOp::Multiply);
        k.store(rows(out, i), whole(sum));
    }
    k
}

/// B-11: `x w + (x a) b`, M4096 N12288 K5120 R128, results transposed back. The counters say that the low-rank part (201 MB), x transposed (84 MB) and the
/// partial sums of each quarter of K (805 MB) go through HBM.
fn lora() -> Kernel {
    let mut k = Kernel::new();
    let (m, n, d) = (4096u64, 12288u64, 5120u64);
    k.program.model_flops = 2 * m * n * d + 2 * m * 128 * (n + d);
    let (x, w, out) = (k.input(m * d * 4), k.input(d * n * 4), k.output(m * n * 4));
    let (a, b) = (k.input(d * 128 * 4), k.input(128 * n * 4));
    let (turned, low, partial) = (k.scratch(m * d * 4), k.scratch(m * n * 4), k.scratch(m * n * 4));
    let identity = identity(&mut k);
    let (flips, banks) = (k.banks(2), k.banks(6));
    let (mut flip, mut bank) = (0, 0);
    let at: Vec<TileId> = (0..40).map(|_| k.sbuf(512)).collect();
    for (row, &tile) in at.iter().enumerate() {
        let from = Rows {
            buffer: a,
            offset: row as u64 * 128 * 512,
            step: 512,
        };
        k.load(view(tile, 128, 0, F32, 128), from);
    }
    // x transposed, by blocks of 512 rows: `turned` holds 40 tiles of [128, 512] for each of 8 blocks.
    let (xt, xs) = (k.ring(4, 4096), k.ring(2, 8 * 2048));
    let reduced = k.ring(2, 2048);
    let (bt, lt) = (k.ring(2, 4096), k.ring(4, 2048));
    for i3 in 0..8usize {
        let acc = view(banks.at(bank), 128, 0, F32, 512);
        bank += 1;
        for i4 in 0..5usize {
            let columns = xs.at(i4);
            for i5 in 0..4u32 {
                let tile = xt.at(i5 as usize);
                let from = Rows {
                    buffer: x,
                    offset: ((i3 as u64 * 512 + u64::from(i5) * 128) * d + i4 as u64 * 1024) * 4,
                    step: d * 4,
                };
                k.load(view(tile, 128, 0, F32, 1024), from);
                for half in 0..2u32 {
                    let dims = [ApDim { step: 512, count: 4 }, ApDim { step: 1, count: 128 }];
                    let dst = View {
                        dims: dims.into_iter().collect(),
                        ..view(columns, 128, half * 4 * 2048 + i5 * 512, F32, 1)
                    };
                    let src = |i: u32| view(tile, 128, (half * 4 + i) * 512, F32, 128);
                    turn(&mut k, identity, flips.at(flip), src, dst);
                    flip += 1;
                }
            }
            for row in 0..8usize {
                let part = view(columns, 128, row as u32 * 2048, F32, 512);
                k.matmul(
                    acc.clone(),
                    view(at[i4 * 8 + row], 128, 0, F32, 128),
                    part.clone(),
                    i4 + row > 0,
                );
                k.store(block(turned, i3 * 40 + i4 * 8 + row), part);
            }
        }
        let r = view(reduced.at(i3), 128, 0, F32, 512);
        k.activation(r.clone(), acc, ActFunc::Copy);
        for i9 in 0..12usize {
            let tile = bt.at(i9);
            let from = Rows {
                buffer: b,
                offset: i9 as u64 * 4096,
                step: n * 4,
            };
            k.load(view(tile, 128, 0, F32, 1024), from);
            for column in 0..8usize {
                let acc = view(banks.at(bank), 128, 0, F32, 512);
                bank += 1;
                k.matmul(
                    acc.clone(),
                    view(tile, 128, column as u32 * 512, F32, 128),
                    r.clone(),
                    false,
                );
                let result = view(lt.at(column), 128, 0, F32, 512);
                k.activation(result.clone(), acc, ActFunc::Copy);
                k.store(block(low, (i9 * 8 + i3) * 8 + column), result);
            }
        }
    }
    let wt: Vec<Ring> = (0..10).map(|_| k.ring(1, 4096)).collect();
    let right: Vec<Ring> = (0..10).map(|_| k.ring(2, 2048)).collect();
    let (sums, again, back) = (k.ring(3, 2048), k.ring(3, 2048), k.ring(2, 2048));
    let (mut group, mut count) = (0, 0);
    for i13 in 0..12usize {
        for i14 in 0..4usize {
            for (row, ring) in wt.iter().enumerate() {
                let from = Rows {
                    buffer: w,
                    offset: ((i14 as u64 * 10 + row as u64) * 128 * n + i13 as u64 * 1024) * 4,
                    step: n * 4,
                };
                k.load(view(ring.at(0), 128, 0, F32, 1024), from);
            }
            for i18 in 0..8usize {
                for (row, ring) in right.iter().enumerate() {
                    let from = block(turned, i18 * 40 + i14 * 10 + row);
                    k.load(view(ring.at(group), 128, 0, F32, 512), from);
                }
                for i23 in 0..8usize {
                    let place = block(partial, (i13 * 8 + i18) * 8 + i23);
                    let (sum, old) = (
                        view(sums.at(count), 128, 0, F32, 512),
                        view(again.at(count), 128, 0, F32, 512),
                    );
                    if i14 > 0 {
                        k.load(old.clone(), place);
                    }
                    let acc = view(banks.at(bank), 128, 0, F32, 512);
                    bank += 1;
                    for (row, ring) in right.iter().enumerate() {
                        let l = view(wt[row].at(0), 128, i23 as u32 * 512, F32, 128);
                        k.matmul(acc.clone(), l, view(ring.at(group), 128, 0, F32, 512), row > 0);
                    }
                    if i14 == 0 {
                        k.compute(
                            Engine::Vector,
                            Inst::TensorCopy {
                                dst: sum.clone(),
                                src: acc,
                            },
                        );
                    } else {
                        k.tensor_tensor(sum.clone(), acc, old, AluOp::Add);
                    }
                    k.store(place, sum);
                    count += 1;
                }
                group += 1;
            }
        }
        for i18 in 0..8usize {
            for i23 in 0..8usize {
                let number = (i13 * 8 + i18) * 8 + i23;
                let (sum, other) = (
                    view(sums.at(count), 128, 0, F32, 512),
                    view(again.at(count), 128, 0, F32, 512),
                );
                k.load(sum.clone(), block(partial, number));
                k.load(other.clone(), block(low, number));
                k.tensor_tensor(sum.clone(), sum.clone(), other, AluOp::Add);
                let result = view(back.at(count), 128, 0, F32, 512);
                let src = |i: u32| view(sum.tile, 128, i * 512, F32, 128);
                turn(&mut k, identity, flips.at(flip), src, result.clone());
                flip += 1;
                count += 1;
                for row in 0..4u64 {
                    let to = Rows {
                        buffer: out,
                        offset: ((i18 as u64 * 512 + row * 128) * n + (i13 * 8 + i23) as u64 * 128) * 4,
                        step: n * 4,
                    };
                    k.store(to, view(result.tile, 128, row as u32 * 512, F32, 128));
                }
            }
        }
    }
    k
}

/// The points.
pub fn points() -> Vec<Point> {
    use Class::Mixed;

    vec![
        Point::new("B-1", "trn1", Mixed, "swiglu M4096 N3072 K1024", 4.222e6, swiglu),
        Point::new(
            "B-2",
            "trn1",
            Mixed,
            "matmul_add_rmsnorm M4096 N2048 K2048",
            2.667e6,
            matmul_add_rmsnorm,
        ),
        Point::new("B-11", "trn1", Mixed, "lora M4096 N12288 K5120 R128", 30.17e6, lora),
    ]
}
