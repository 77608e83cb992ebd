//! Matrix products (`neuroncore.md` section 5.3): the steps of the vendor's tutorials, and kernels bound by TensorE.

use ferrite_ir::dtype::DType::{self, BF16, F32};
use ferrite_ir::machine::Engine;
use ferrite_ir::machine::cost::DgeMode;
use ferrite_ir::tile::*;

use super::build::{Kernel, Ring, Rows, view};
use super::{Class, Point};

/// `[m, n] = [k, m]^T . [k, n]` and who starts its transfers.
#[derive(Clone, Copy)]
struct Product {
    m: usize,
    n: usize,
    k: usize,
    dtype: DType,
    trigger: Engine,
}

impl Product {
    fn size(self) -> u64 {
        self.dtype.bytes() as u64
    }

    /// Who starts the stores: never who starts the loads, which would wait behind them.
    fn storer(self) -> Engine {
        match self.trigger {
            Engine::GpSimd => Engine::Sync,
            _ => Engine::GpSimd,
        }
    }

    fn buffers(self, kernel: &mut Kernel) -> (BufferId, BufferId, BufferId) {
        let s = self.size();
        let bytes = |a: usize, b: usize| a as u64 * b as u64 * s;
        kernel.program.model_flops = 2 * self.m as u64 * self.n as u64 * self.k as u64;
        (
            kernel.input(bytes(self.k, self.m)),
            kernel.input(bytes(self.k, self.n)),
            kernel.output(bytes(self.m, self.n)),
        )
    }

    /// Rows `128 k..` of the stationary operand from column `m` on.
    fn lhs(self, buffer: BufferId, k: usize, m: usize) -> Rows {
        let s = self.size();
        Rows {
            buffer,
            offset: (k as u64 * 128 * self.m as u64 + m as u64) * s,
            step: self.m as u64 * s,
        }
    }

    /// Rows `128 k..` of the moving operand, or of the result, from column `n` on.
    fn rhs(self, buffer: BufferId, k: usize, n: usize) -> Rows {
        let s = self.size();
        Rows {
            buffer,
            offset: (k as u64 * 128 * self.n as u64 + n as u64) * s,
            step: self.n as u64 * s,
        }
    }
}

const N: u32 = 512;
const T: u32 = 128;

/// Copies a bank to SBUF and stores it.
fn evict(kernel: &mut Kernel, p: Product, bank: TileId, out: TileId, to: Rows) {
    let result = view(out, 128, 0, p.dtype, N);
    kernel.compute(
        Engine::Vector,
        Inst::TensorCopy {
            dst: result.clone(),
            src: view(bank, 128, 0, F32, N),
        },
    );
    kernel.store_by(p.storer(), to, result);
}

/// Both tiles loaded for every product.
fn tiled(p: Product, buffers: usize) -> Kernel {
    let mut kernel = Kernel::new();
    let (lhs, rhs, out) = p.buffers(&mut kernel);
    let s = p.size() as u32;
    let (lt, rt, ot) = (
        kernel.ring(buffers, T * s),
        kernel.ring(buffers, N * s),
        kernel.ring(2, N * s),
    );
    let banks = kernel.banks(2);
    let mut turn = 0;
    for m in 0..p.m / 128 {
        for n in 0..p.n / 512 {
            let bank = banks.at(turn);
            for k in 0..p.k / 128 {
                let (l, r) = (view(lt.at(k), 128, 0, p.dtype, T), view(rt.at(k), 128, 0, p.dtype, N));
                kernel.load_by(p.trigger, l.clone(), p.lhs(lhs, k, m * 128));
                kernel.load_by(p.trigger, r.clone(), p.rhs(rhs, k, n * 512));
                kernel.matmul(view(bank, 128, 0, F32, N), l, r, k > 0);
            }
            evict(&mut kernel, p, bank, ot.at(turn), p.rhs(out, m, n * 512));
            turn += 1;
        }
    }
    kernel
}

/// Stationary tiles loaded once per block of `bm` rows of the result, moving ones once per block of `bn` columns.
fn hoisted(p: Product, bm: usize, bn: usize, buffers: usize) -> Kernel {
    let mut kernel = Kernel::new();
    let (lhs, rhs, out) = p.buffers(&mut kernel);
    let s = p.size() as u32;
    let depth = p.k / 128;
    let tiles = |kernel: &mut Kernel, count: usize, bytes: u32| -> Vec<Ring> {
        (0..count).map(|_| kernel.ring(buffers, bytes)).collect()
    };
    let lt = tiles(&mut kernel, bm * depth, T * s);
    let rt = tiles(&mut kernel, bn * depth, N * s);
    let (ot, banks) = (kernel.ring(2, N * s), kernel.banks(4));
    let (mut turn, mut block) = (0, 0);
    for m in 0..p.m / 128 / bm {
        for b in 0..bm {
            for k in 0..depth {
                let to = view(lt[b * depth + k].at(m), 128, 0, p.dtype, T);
                kernel.load_by(p.trigger, to, p.lhs(lhs, k, (m * bm + b) * 128));
            }
        }
        for n in 0..p.n / 512 / bn {
            for b in 0..bn {
                for k in 0..depth {
                    let to = view(rt[b * depth + k].at(block), 128, 0, p.dtype, N);
                    kernel.load_by(p.trigger, to, p.rhs(rhs, k, (n * bn + b) * 512));
                }
            }
            for i in 0..bm {
                for j in 0..bn {
                    let bank = banks.at(turn);
                    for k in 0..depth {
                        let l = view(lt[i * depth + k].at(m), 128, 0, p.dtype, T);
                        let r = view(rt[j * depth + k].at(block), 128, 0, p.dtype, N);
                        kernel.matmul(view(bank, 128, 0, F32, N), l, r, k > 0);
                    }
                    evict(
                        &mut kernel,
                        p,
                        bank,
                        ot.at(turn),
                        p.rhs(out, m * bm + i, (n * bn + j) * 512),
                    );
                    turn += 1;
                }
            }
            block += 1;
        }
    }
    kernel
}

/// All three dimensions in blocks; partial results are summed in SBUF by VectorE.
fn blocked(p: Product, bm: usize, bn: usize, bk: usize) -> Kernel {
    let mut kernel = Kernel::new();
    let (lhs, rhs, out) = p.buffers(&mut kernel);
    let s = p.size() as u32;
    let (wide_m, wide_n) = ((bm * 128) as u32, (bn * 512) as u32);
    let (mt, kt) = (p.m / 128, p.k / 128);
    let lt: Vec<Ring> = (0..bk).map(|_| kernel.ring(2, wide_m * s)).collect();
    let rt: Vec<Ring> = (0..bk).map(|_| kernel.ring(2, wide_n * s)).collect();
    let sums: Vec<TileId> = (0..mt).map(|_| kernel.sbuf(wide_n * s)).collect();
    let (banks, ot) = (kernel.banks(8), kernel.ring(2, wide_n * s));
    let (mut lblock, mut rblock, mut turn) = (0, 0, 0);
    for n in 0..p.n / 512 / bn {
        for k in 0..kt / bk {
            for (b, ring) in rt.iter().enumerate() {
                let to = view(ring.at(rblock), 128, 0, p.dtype, wide_n);
                kernel.load_by(p.trigger, to, p.rhs(rhs, k * bk + b, n * bn * 512));
            }
            for m in 0..mt / bm {
                for (b, ring) in lt.iter().enumerate() {
                    let to = view(ring.at(lblock), 128, 0, p.dtype, wide_m);
                    kernel.load_by(p.trigger, to, p.lhs(lhs, k * bk + b, m * bm * 128));
                }
                for j in 0..bn {
                    for i in 0..bm {
                        let bank = view(banks.at(turn), 128, 0, F32, N);
                        for b in 0..bk {
                            let l = view(lt[b].at(lblock), 128, i as u32 * T * s, p.dtype, T);
                            let r = view(rt[b].at(rblock), 128, j as u32 * N * s, p.dtype, N);
                            kernel.matmul(bank.clone(), l, r, b > 0);
                        }
                        let sum = view(sums[m * bm + i], 128, j as u32 * N * s, p.dtype, N);
                        if k == 0 {
                            kernel.compute(Engine::Vector, Inst::TensorCopy { dst: sum, src: bank });
                        } else {
                            kernel.tensor_tensor(sum.clone(), bank, sum, AluOp::Add);
                        }
                        turn += 1;
                    }
                }
                lblock += 1;
            }
            rblock += 1;
        }
        for (m, &sum) in sums.iter().enumerate() {
            let packed = view(ot.at(m), 128, 0, p.dtype, wide_n);
            kernel.activation(packed.clone(), view(sum, 128, 0, p.dtype, wide_n), ActFunc::Copy);
            kernel.store_by(p.storer(), p.rhs(out, m, n * bn * 512), packed);
        }
    }
    kernel
}

/// Both operands resident, sums in PSUM over all of K.
fn resident(p: Product) -> Kernel {
    let mut kernel = Kernel::new();
    let (lhs, rhs, out) = p.buffers(&mut kernel);
    let s = p.size() as u32;
    let kt = p.k / 128;
    let lt: Vec<TileId> = (0..kt).map(|_| kernel.sbuf(p.m as u32 * s)).collect();
    let rt: Vec<TileId> = (0..kt).map(|_| kernel.sbuf(p.n as u32 * s)).collect();
    let (banks, ot) = (kernel.banks(8), kernel.ring(4, N * s));
    for k in 0..kt {
        // A stationary tile is wanted with the first columns of the moving one.
        let engine = if k % 2 == 0 { Engine::Sync } else { Engine::Scalar };
        kernel.load_by(engine, view(lt[k], 128, 0, p.dtype, p.m as u32), p.lhs(lhs, k, 0));
        kernel.load_by(engine, view(rt[k], 128, 0, p.dtype, p.n as u32), p.rhs(rhs, k, 0));
    }
    // The first row of results goes k by k, as the operands come in: four banks at a time.
    let groups = p.n / 512;
    for m in 0..p.m / 128 {
        for k in 0..kt {
            for n in 0..groups {
                let bank = view(banks.at(m * groups + n), 128, 0, F32, N);
                let l = view(lt[k], 128, m as u32 * T * s, p.dtype, T);
                kernel.matmul(bank, l, view(rt[k], 128, n as u32 * N * s, p.dtype, N), k > 0);
            }
        }
        for n in 0..groups {
            let turn = m * groups + n;
            evict(&mut kernel, p, banks.at(turn), ot.at(turn), p.rhs(out, m, n * 512));
        }
    }
    kernel
}

/// `[m, n] = [k, m]^T . [k, n]` in bf16 with both operands resident: for comparisons with other simulators. `m` and `k` are multiples of 128, `n` is one of 512
/// up to 4,096.
pub fn gemm(m: usize, n: usize, k: usize) -> Kernel {
    resident(Product {
        m,
        n,
        k,
        dtype: BF16,
        trigger: Engine::Sync,
    })
}

/// B-10: `[2048, 4096]^T . [2048, 10944]` in fp32, rows of the operands interleaved by 16 in HBM.
fn transpose_matmul() -> Kernel {
    let mut kernel = Kernel::new();
    let (m, k, n) = (4096u64, 2048u64, 10944u64);
    kernel.program.model_flops = 2 * m * n * k;
    let (lhs, rhs, out) = (
        kernel.input(k * m * 4),
        kernel.input(k * n * 4),
        kernel.output(m * n * 4),
    );
    let lt: Vec<Ring> = (0..16).map(|_| kernel.ring(1, 4096)).collect();
    let rt: Vec<Ring> = (0..16).map(|_| kernel.ring(1, 4096)).collect();
    let (banks, ot) = (kernel.banks(8), kernel.ring(2, 4096));
    let (mut block, mut turn) = (0, 0);
    for i0 in 0..4u64 {
        for (i1, ring) in lt.iter().enumerate() {
            let from = Rows {
                buffer: lhs,
                offset: (i1 as u64 * m + 1024 * i0) * 4,
                step: 16 * m * 4,
            };
            kernel.load(view(ring.at(i0 as usize), 128, 0, F32, 1024), from);
        }
        for i2 in 0..11u64 {
            let width = (n - 1024 * i2).min(1024) as u32;
            for (i3, ring) in rt.iter().enumerate() {
                let from = Rows {
                    buffer: rhs,
                    offset: (i3 as u64 * n + 1024 * i2) * 4,
                    step: 16 * n * 4,
                };
                kernel.load(view(ring.at(block), 128, 0, F32, width), from);
            }
            for i4 in 0..8u32 {
                let packed = ot.at(i4 as usize);
                for i5 in 0..2u32 {
                    let columns = width.saturating_sub(512 * i5).min(512);
                    if columns == 0 {
                        continue;
                    }
                    let bank = view(banks.at(turn), 128, 0, F32, columns);
                    turn += 1;
                    for i6 in 0..16 {
                        let l = view(lt[i6].at(i0 as usize), 128, i4 * 512, F32, 128);
                        let r = view(rt[i6].at(block), 128, i5 * 2048, F32, columns);
                        kernel.matmul(bank.clone(), l, r, i6 > 0);
                    }
                    kernel.activation(view(packed, 128, i5 * 2048, F32, columns), bank, ActFunc::Copy);
                }
                let to = Rows {
                    buffer: out,
                    offset: ((8 * i0 + u64::from(i4)) * 128 * n + 1024 * i2) * 4,
                    step: n * 4,
                };
                kernel.store(to, view(packed, 128, 0, F32, width));
            }
            block += 1;
        }
    }
    kernel
}

/// B-4: fp32, the left operand transposed on TensorE; the right one is loaded again for every row of tiles, as the published count of
/// 9.06 GB read says.
fn matmul_with_transposes() -> Kernel {
    let mut kernel = Kernel::new();
    let (m, k, n) = (4096u64, 5120u64, 12288u64);
    kernel.program.model_flops = 2 * m * n * k;
    let (lhs, rhs, out) = (
        kernel.input(m * k * 4),
        kernel.input(k * n * 4),
        kernel.output(m * n * 4),
    );
    let identity = kernel.sbuf(512);
    kernel.zero(Engine::GpSimd, view(identity, 128, 0, F32, 128));
    let rt = kernel.ring(12, 4096);
    let lt = kernel.ring(2, 4096);
    let transposed: Vec<Ring> = (0..10).map(|_| kernel.ring(2, 2048)).collect();
    let (banks, turned, ot) = (kernel.banks(4), kernel.banks(4), kernel.ring(2, 4096));
    let (mut loaded, mut block, mut flips) = (0, 0, 0);
    for i0 in 0..12u64 {
        for i3 in 0..32u64 {
            for i4 in 0..5usize {
                let from = Rows {
                    buffer: lhs,
                    offset: (i3 * 128 * k + i4 as u64 * 1024) * 4,
                    step: k * 4,
                };
                let tile = lt.at(i4 + 5 * block);
                kernel.load(view(tile, 128, 0, F32, 1024), from);
                for half in 0..2usize {
                    let bank = turned.at(flips);
                    flips += 1;
                    for i5 in 0..4u32 {
                        let part = view(tile, 128, (half as u32 * 4 + i5) * 512, F32, 128);
                        kernel.matmul(
                            view(bank, 128, i5 * 512, F32, 128),
                            part,
                            view(identity, 128, 0, F32, 128),
                            false,
                        );
                    }
                    let to = view(transposed[i4 * 2 + half].at(block), 128, 0, F32, 512);
                    kernel.activation(to, view(bank, 128, 0, F32, 512), ActFunc::Copy);
                }
            }
            let (b0, b1) = (banks.at(2 * block), banks.at(2 * block + 1));
            for step in 0..40usize {
                let from = Rows {
                    buffer: rhs,
                    offset: (step as u64 * 128 * n + 1024 * i0) * 4,
                    step: n * 4,
                };
                let tile = rt.at(loaded);
                loaded += 1;
                kernel.load(view(tile, 128, 0, F32, 1024), from);
                let l = view(transposed[step / 4].at(block), 128, (step % 4) as u32 * 512, F32, 128);
                for (half, bank) in [b0, b1].into_iter().enumerate() {
                    let r = view(tile, 128, half as u32 * 2048, F32, 512);
                    kernel.matmul(view(bank, 128, 0, F32, 512), l.clone(), r, step > 0);
                }
            }
            let packed = ot.at(block);
            for (half, bank) in [b0, b1].into_iter().enumerate() {
                let to = view(packed, 128, half as u32 * 2048, F32, 512);
                kernel.activation(to, view(bank, 128, 0, F32, 512), ActFunc::Copy);
            }
            let to = Rows {
                buffer: out,
                offset: (i3 * 128 * n + 1024 * i0) * 4,
                step: n * 4,
            };
            kernel.store(to, view(packed, 128, 0, F32, 1024));
            block += 1;
        }
    }
    kernel
}

/// The points.
pub fn points() -> Vec<Point> {
    use Class::Matmul;

    let tutorial = |dtype, trigger| Product {
        m: 4096,
        n: 8192,
        k: 8192,
        dtype,
        trigger,
    };
    let v2 = tutorial(BF16, Engine::Sync);
    let v3 = tutorial(F32, Engine::GpSimd);
    vec![
        Point::new("C-20", "trn1", Matmul, "bf16 4096 x 8192 x 8192, tiled", 51.80e6, move || tiled(v2, 2)),
        Point::new("C-21", "trn1", Matmul, "the same, loads hoisted", 42.96e6, move || hoisted(v2, 1, 1, 2)),
        Point::new("C-22", "trn1", Matmul, "the same, free dimensions blocked", 22.07e6, move || hoisted(v2, 2, 2, 1)),
        Point::new("C-23", "trn1", Matmul, "the same, fully blocked (16, 2, 8)", 6.97e6, move || blocked(v2, 16, 2, 8)),
        Point::new("C-24", "trn2", Matmul, "fp32 4096 x 8192 x 8192, v2, software DGE", 39.89e6, move || tiled(v3, 4)).generated(DgeMode::Software)
            .because("four buffers: the published DMA active time of 99.93 % needs more than two"),
        Point::new("C-25", "trn2", Matmul, "the same, v3: loads hoisted", 28.20e6, move || hoisted(v3, 1, 1, 1)).generated(DgeMode::Software),
        Point::new("C-26", "trn2", Matmul, "the same, v4: free dimensions blocked", 28.41e6, move || hoisted(v3, 1, 1, 1)).generated(DgeMode::Software)
            .because("the published blocks exceed SBUF and its MBU of 42.55 % shows that nothing is reused: the loads are those of v3"),
        Point::new("C-27", "trn2", Matmul, "the same, v5: fully blocked", 28.30e6, move || blocked(v3, 8, 2, 4)).generated(DgeMode::Software),
        Point::new("C-28", "trn2", Matmul, "bf16 2048^3, best", 244_200.0, || {
            resident(Product {
                m: 2048,
                n: 2048,
                k: 2048,
                dtype: BF16,
                trigger: Engine::Sync,
            })
        }),
        Point::new("B-4", "trn1", Matmul, "fp32 matmul M4096 N12288 K5120", 35.20e6, matmul_with_transposes),
        Point::new("B-10", "trn1", Matmul, "fp32 transpose_matmul M4096 K2048 N10944", 9.61e6, transpose_matmul),
    ]
}
