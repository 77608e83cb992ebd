//! Products side by side in tiles of the array, and branches beyond the instruction buffer.

use ferrite_ir::machine::MachineModel;

use super::*;

/// A product: first row, rows, first column, columns, bank.
type Product = (u16, u16, u16, u16, u32);

/// Nanoseconds between two rounds of the products, 512 moving columns each, once all are under way.
fn round(target: &str, dtype: DType, products: &[Product]) -> f64 {
    let mut m = Maker::new(target);
    let (w, x) = (sbuf(dtype, 128, 0, &[128]), sbuf(dtype, 128, 4096, &[512]));
    for tile in [&w, &x] {
        m.compute(
            Engine::Vector,
            Inst::Memset {
                dst: tile.clone(),
                bits: 0,
            },
        );
    }
    signal(m.push(Engine::Vector, Op::Semaphore), 0);
    wait(m.push(Engine::Tensor, Op::Semaphore), 0, 1);
    let rounds = 40;
    for _ in 0..rounds {
        for &(row, k, column, columns, bank) in products {
            let rows = |tile: &Ap, n: u32| Ap {
                partition: row,
                partitions: k,
                dims: [ApDim { step: 1, count: n }].into_iter().collect(),
                ..tile.clone()
            };
            let src = rows(&w, u32::from(columns));
            m.push(Engine::Tensor, Op::LoadStationary { src });
            let dst = Ap {
                partition: column,
                ..psum(F32, columns, 2048 * bank, &[512])
            };
            let multiply = Op::MultiplyMoving {
                dst,
                moving: rows(&x, 512),
                accumulate: false,
                transpose: false,
            };
            m.push(Engine::Tensor, multiply);
        }
    }
    let stats = m.profile().unwrap_or_else(|e| panic!("{e}")).stats;
    let timeline = stats.timeline.expect("asked for");
    let starts: Vec<u64> = timeline
        .spans
        .iter()
        .filter(|s| timeline.names[s.name as usize] == "MATMUL")
        .map(|s| s.start_ps)
        .collect();
    let n = products.len();
    (starts[(rounds - 1) * n] - starts[(rounds - 11) * n]) as f64 / 10_000.0
}

#[track_caller]
fn takes(target: &str, dtype: DType, products: &[Product], cycles: f64) {
    let mhz = MachineModel::target(target).expect("known target").clocks.tensor_mhz as f64;
    let got = round(target, dtype, products) * mhz / 1e3;
    assert!((got / cycles - 1.0).abs() < 0.01, "{got} cycles, expected {cycles}");
}

#[test]
fn two_halves_of_the_rows_run_side_by_side() {
    takes("trn1", BF16, &[(0, 64, 0, 128, 0)], 576.0);
    takes("trn1", BF16, &[(0, 64, 0, 128, 0), (64, 64, 0, 128, 1)], 576.0);
    takes("trn2", BF16, &[(0, 64, 0, 128, 0), (64, 64, 0, 128, 1)], 519.0);
    // Two passes each: the neighbour is issued 64 cycles behind the second.
    takes(
        "trn1",
        F32,
        &[(0, 64, 0, 128, 0), (64, 64, 0, 128, 1)],
        2.0 * (1088.0 + 64.0),
    );
}

#[test]
fn what_shares_elements_or_a_bank_takes_turns() {
    takes("trn1", BF16, &[(0, 64, 0, 128, 0), (0, 64, 0, 128, 1)], 2.0 * 576.0);
    takes("trn1", BF16, &[(0, 64, 0, 128, 0), (64, 64, 0, 128, 0)], 2.0 * 576.0);
    takes("trn1", BF16, &[(0, 65, 0, 128, 0), (64, 64, 0, 128, 1)], 2.0 * 576.0);
}

#[test]
fn columns_and_quarters() {
    // Different columns write different partitions, so they may share a bank.
    takes("trn1", BF16, &[(0, 128, 0, 64, 0), (0, 128, 64, 64, 0)], 576.0);
    let quarters = [
        (0, 32, 0, 128, 0),
        (32, 32, 0, 128, 1),
        (64, 32, 0, 128, 2),
        (96, 32, 0, 128, 3),
    ];
    takes("trn2", BF16, &quarters, 519.0);
    // v2 has halves only; multiplies are issued in order, so the halves have to alternate.
    let [a, b, c, d] = quarters;
    takes("trn1", BF16, &[a, c, b, d], 2.0 * 576.0);
}

#[test]
fn far_branches_wait_for_a_fetch() {
    let time = |body: usize| {
        let mut m = Maker::new("trn1");
        let trips = 10;
        let (reg, zero) = (Reg(0), RegOrImm::Imm(0));
        m.push(
            Engine::Sync,
            Op::RegMove {
                dst: reg,
                value: RegOrImm::Imm(trips),
            },
        );
        for _ in 0..body {
            m.push(Engine::Sync, Op::Semaphore);
        }
        m.push(
            Engine::Sync,
            Op::RegAlu {
                dst: reg,
                op: RegOp::Add,
                a: RegOrImm::Reg(reg),
                b: RegOrImm::Imm(-1),
            },
        );
        m.push(
            Engine::Sync,
            Op::Branch {
                cond: BranchCond::Gt,
                a: RegOrImm::Reg(reg),
                b: zero,
                target: 1,
            },
        );
        m.profile().unwrap_or_else(|e| panic!("{e}")).stats.latency_ps / 1000
    };
    // 9 ns each, and 9 fetches of 4 KiB when the body is longer than the buffer.
    let (near, far) = (time(62), time(68));
    let fetch = 1000 + 4096 / 17;
    assert!((9 * fetch..9 * fetch + 700).contains(&(far - near)), "{near} {far}");
}
