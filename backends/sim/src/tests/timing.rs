//! Published timings, seen from whole programs.

use ferrite_neff::{Neff, Streamed, WriteOptions};

use super::*;
use crate::{Simulator, Stats};

fn spans(stats: &Stats, name: &str) -> Vec<(u64, u64)> {
    let Some(t) = &stats.timeline else { return Vec::new() };
    t.spans
        .iter()
        .filter(|s| t.names[s.name as usize] == name)
        .map(|s| (s.start_ps, s.end_ps))
        .collect()
}

#[track_caller]
fn close(ps: u64, ns: f64, tolerance: f64) {
    let got = ps as f64 / 1000.0;
    assert!((got / ns - 1.0).abs() <= tolerance, "{got} ns, expected {ns} ns");
}

#[test]
fn c3_dependent_activations() {
    let mut m = Maker::new("trn1");
    let a = sbuf(F32, 1, 0, &[1]);
    signal(
        m.compute(
            Engine::GpSimd,
            Inst::Memset {
                dst: a.clone(),
                bits: 0,
            },
        ),
        0,
    );
    for i in 0..3 {
        let act = Inst::Activation {
            dst: a.clone(),
            src: a.clone(),
            func: ActFunc::Copy,
            scale: Scalar::f32(1.0),
            bias: Scalar::f32(0.0),
            accumulate: None,
        };
        let instr = m.compute(Engine::Scalar, act);
        if i == 0 {
            wait(instr, 0, 1);
        }
    }
    let stats = m.profile().unwrap_or_else(|e| panic!("{e}")).stats;
    let acts = spans(&stats, "ACTIVATE");
    close(acts[1].1 - acts[1].0, 159.0, 0.01);
    close(acts[2].0 - acts[1].0, 189.0, 0.01);
}

fn matmuls(target: &str, dtype: DType, count: usize) -> Stats {
    let mut m = Maker::new(target);
    let (w, x) = (sbuf(dtype, 128, 0, &[128]), sbuf(dtype, 128, 4096, &[512]));
    m.compute(
        Engine::Vector,
        Inst::Memset {
            dst: w.clone(),
            bits: 0,
        },
    );
    signal(
        m.compute(
            Engine::Vector,
            Inst::Memset {
                dst: x.clone(),
                bits: 0,
            },
        ),
        0,
    );
    for i in 0..count {
        let load = m.push(Engine::Tensor, Op::LoadStationary { src: w.clone() });
        if i == 0 {
            wait(load, 0, 1);
        }
        let dst = psum(F32, 128, 2048 * (i as u32 % 8), &[512]);
        m.push(
            Engine::Tensor,
            Op::MultiplyMoving {
                dst,
                moving: x.clone(),
                accumulate: false,
                transpose: false,
            },
        );
    }
    m.profile().unwrap_or_else(|e| panic!("{e}")).stats
}

#[test]
fn c15_loads_hide_behind_multiplies() {
    let stats = matmuls("trn2", F32, 200);
    let runs = spans(&stats, "MATMUL");
    // 100 products at full rate; two passes each.
    close((runs[199].0 - runs[99].0) / 100, 2.0 * 429.7, 0.005);
    let stats = matmuls("trn1", BF16, 100);
    let runs = spans(&stats, "MATMUL");
    close((runs[99].0 - runs[0].0) / 99, 576.0 / 2.8, 0.001);
}

#[test]
fn the_array_starts_cold_on_v3() {
    let stats = matmuls("trn2", BF16, 30);
    let runs = spans(&stats, "MATMUL");
    let (first, last) = (runs[1].0 - runs[0].0, runs[29].0 - runs[28].0);
    assert_eq!(first, 2 * last);
}

#[test]
fn vector_and_gpsimd_exclude_each_other_on_sbuf_of_v2() {
    let overlap = |target| {
        let mut m = Maker::new(target);
        m.compute(
            Engine::Vector,
            Inst::Memset {
                dst: sbuf(F32, 128, 0, &[2048]),
                bits: 1,
            },
        );
        m.compute(
            Engine::GpSimd,
            Inst::Memset {
                dst: sbuf(F32, 128, 16384, &[2048]),
                bits: 1,
            },
        );
        let stats = m.profile().unwrap_or_else(|e| panic!("{e}")).stats;
        let sets = spans(&stats, "MEMSET");
        sets[1].0 > 0
    };
    assert!(overlap("trn1"));
    assert!(!overlap("trn2"));
}

#[test]
fn a_transfer_takes_start_data_and_done() {
    let mut m = Maker::new("trn1");
    let x = m.input(U8, &[128, 4096]);
    m.load(x, &sbuf(U8, 128, 0, &[4096]), 0);
    wait(m.push(Engine::Vector, Op::Nop), 0, 16);
    let stats = m.profile().unwrap_or_else(|e| panic!("{e}")).stats;
    let nop = spans(&stats, "NOP")[0].0;
    let data = 8.0 * (1.0 + 4096.0 / 17.0) + 7.0;
    close(nop, 8.0 + 1000.0 + data + 300.0 + 17.0, 0.001);
    assert_eq!(stats.hbm_read_bytes, 128 * 4096);
}

#[test]
fn transfers_share_engines_and_hbm() {
    let time = |copies: usize| {
        let mut m = Maker::new("trn1");
        let x = m.input(U8, &[1, 16 << 20]);
        let out = m.output(U8, &[1, 16 << 20]);
        for _ in 0..copies {
            let (src, dst) = (m.var_side(x, U8, 16 << 20), m.var_side(out, U8, 16 << 20));
            m.dma(DmaOp::Copy, src, dst, 0);
        }
        let options = crate::Options {
            check: false,
            ..Default::default()
        };
        m.simulator()
            .expect("legal")
            .profile(&options)
            .expect("runs")
            .stats
            .latency_ps
    };
    // HBM to HBM: both sides count against 410 GB/s, which is less than the engines could do.
    let bytes = 2.0 * f64::from(16 << 20);
    close(time(1), 1008.0 + bytes / 410.0, 0.001);
    close(time(3) - time(2), bytes / 410.0, 0.001);
}

#[test]
fn control_hides_behind_the_engine() {
    let mut m = Maker::new("trn1");
    let (i, tile) = (Reg(0), sbuf(F32, 128, 0, &[2048]));
    m.push(
        Engine::Vector,
        Op::RegMove {
            dst: i,
            value: RegOrImm::Imm(0),
        },
    );
    m.compute(Engine::Vector, Inst::Memset { dst: tile, bits: 1 });
    m.push(
        Engine::Vector,
        Op::RegAlu {
            dst: i,
            op: RegOp::Add,
            a: RegOrImm::Reg(i),
            b: RegOrImm::Imm(1),
        },
    );
    let back = Op::Branch {
        cond: BranchCond::Lt,
        a: RegOrImm::Reg(i),
        b: RegOrImm::Imm(20),
        target: 1,
    };
    m.push(Engine::Vector, back);
    let stats = m.profile().unwrap_or_else(|e| panic!("{e}")).stats;
    let sets = spans(&stats, "MEMSET");
    assert_eq!(sets.len(), 20);
    // The same tile is written again and again: the loop runs at the pipeline's pace, its 128 cycles of control beside it.
    close((sets[19].0 - sets[9].0) / 10, (2048.0 + 390.0 + 42.0) / 1.12, 0.001);
    let nops = spans(&stats, "COMPARE_BRANCH");
    assert!(nops[3].0 < sets[3].1, "decoded while the engine works");
}

#[test]
fn generated_descriptors_pace_a_queue() {
    let interval = |dge| {
        let mut m = Maker::new("trn2");
        m.program.queues[0].dge = dge;
        let x = m.input(U8, &[128, 64]);
        for i in 0..9 {
            m.load(x, &sbuf(U8, 128, 64 * i, &[64]), 0);
        }
        let stats = m.profile().unwrap_or_else(|e| panic!("{e}")).stats;
        let loads = spans(&stats, "8192 B");
        (loads[8].0 - loads[0].0) / 8
    };
    close(interval(DgeMode::Hardware), 860.0, 0.001);
    assert!(interval(DgeMode::Static) < 200_000);
}

/// A transfer, a loop, an engine that waits.
fn small_program() -> Maker {
    let mut m = Maker::new("trn2");
    let x = m.input(F32, &[4, 8]);
    let tile = sbuf(F32, 4, 0, &[8]);
    m.load(x, &tile, 0);
    let reg = Reg(0);
    m.push(
        Engine::Vector,
        Op::RegMove {
            dst: reg,
            value: RegOrImm::Imm(0),
        },
    );
    let copy = Inst::TensorCopy {
        dst: sbuf(F32, 4, 64, &[8]),
        src: tile,
    };
    wait(m.compute(Engine::Vector, copy), 0, 16);
    m.push(
        Engine::Vector,
        Op::RegAlu {
            dst: reg,
            op: RegOp::Add,
            a: RegOrImm::Reg(reg),
            b: RegOrImm::Imm(1),
        },
    );
    m.push(
        Engine::Vector,
        Op::Branch {
            cond: BranchCond::Lt,
            a: RegOrImm::Reg(reg),
            b: RegOrImm::Imm(5),
            target: 1,
        },
    );
    m
}

fn streamed(program: &Program) -> Streamed {
    let neff = Neff::new("x", program.clone());
    let file = neff.write(&WriteOptions::default()).expect("written");
    Neff::stream(file.into()).expect("read")
}

#[test]
fn a_streamed_program_takes_the_same_time() {
    let m = small_program();
    let Streamed { neff, code } = streamed(&m.program);
    assert_eq!(neff.programs[0].instruction_count(), 0);
    let simulator =
        Simulator::streamed(&neff.programs[0], &code[0], m.model.clone()).unwrap_or_else(|e| panic!("{}", e[0]));
    let options = crate::Options {
        timeline: true,
        ..crate::Options::default()
    };
    let whole = Simulator::new(&m.program, m.model.clone()).unwrap_or_else(|e| panic!("{}", e[0]));
    let (whole, alone) = (whole.profile(&options), simulator.profile(&options));
    assert_eq!(alone.as_ref().map(|r| r.stats.instructions()), Ok(1 + 1 + 3 * 5));
    assert_eq!(alone, whole);
    let refused = simulator.run(&[vec![0u8; 128]], &options).map(|r| r.outputs);
    assert!(refused.is_err_and(|e| e.message.contains("for its time alone")));
}

#[test]
fn a_streamed_program_is_checked() {
    let mut m = small_program();
    m.compute(
        Engine::Vector,
        Inst::Memset {
            dst: sbuf(F32, 200, 0, &[8]),
            bits: 0,
        },
    );
    let Streamed { neff, code } = streamed(&m.program);
    let found = Simulator::streamed(&neff.programs[0], &code[0], m.model.clone()).err();
    assert!(found.is_some());
    assert_eq!(found, Simulator::new(&m.program, m.model.clone()).err());

    let mut m = small_program();
    let Streamed { neff, mut code } = streamed(&m.program);
    m.program.streams[Engine::Vector.index()][3].op = Op::DmaTrigger {
        transfer: 7,
        counter: None,
    };
    // The code of one program with the transfers of another.
    let broken = {
        let mut other = m.program.clone();
        other.transfers = vec![other.transfers[0].clone(); 8];
        streamed(&other)
    };
    code[0] = broken.code[0].clone();
    let found = Simulator::streamed(&neff.programs[0], &code[0], m.model.clone()).err();
    let text = found.map(|f| f[0].message.clone()).unwrap_or_default();
    assert!(text.contains("starts transfer 7, which does not exist"), "{text}");
}
