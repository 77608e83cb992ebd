//! Whole programs: every instruction, every finding, the published timings.

use ferrite_ir::dtype::DType::{self, BF16, F32, I32, U8, U32};
use ferrite_ir::isa::*;

use crate::testing::*;

fn seq(n: usize) -> Vec<f32> {
    (0..n).map(|i| i as f32 - 7.0).collect()
}

fn run_f32(engine: Engine, inputs: &[(Ap, Vec<u8>)], inst: Inst<Ap>) -> Vec<f32> {
    to_f32(&one_instruction("trn1", engine, inputs, inst).unwrap_or_else(|e| panic!("{e}")))
}

fn tile(offset: u32, n: u32) -> Ap {
    sbuf(F32, 4, offset, &[n])
}

#[test]
fn elementwise_on_vector() {
    let (a, b, dst) = (tile(0, 8), tile(4096, 8), tile(8192, 8));
    let inputs = [(a.clone(), bytes_f32(&seq(32))), (b.clone(), bytes_f32(&[2.0; 32]))];
    let tt = |op| Inst::TensorTensor {
        dst: dst.clone(),
        a: a.clone(),
        b: b.clone(),
        op,
    };
    assert_eq!(run_f32(Engine::Vector, &inputs, tt(AluOp::Multiply))[3], -8.0);
    assert_eq!(
        run_f32(Engine::Vector, &inputs, tt(AluOp::IsGt))[8..11],
        [0.0, 0.0, 1.0]
    );
    let ts = Inst::TensorScalar {
        dst: dst.clone(),
        src: a.clone(),
        first: ScalarStep::imm(AluOp::Add, 1.0),
        second: Some(ScalarStep::imm(AluOp::Subtract, 10.0).reversed()),
    };
    assert_eq!(run_f32(Engine::Vector, &inputs[..1], ts)[0], 16.0);
    let stt = Inst::ScalarTensorTensor {
        dst: dst.clone(),
        src: a.clone(),
        first: ScalarStep::per_partition(AluOp::Multiply, sbuf(F32, 4, 4096, &[])),
        b: b.clone(),
        op1: AluOp::Add,
        reverse1: false,
    };
    assert_eq!(run_f32(Engine::Vector, &inputs, stt)[..2], [-12.0, -10.0]);
    let scan = Inst::TensorTensorScan {
        dst: dst.clone(),
        a: b.clone(),
        b: a.clone(),
        initial: Scalar::f32(1.0),
        op0: AluOp::Multiply,
        op1: AluOp::Add,
    };
    assert_eq!(run_f32(Engine::Vector, &inputs, scan)[..3], [-5.0, -16.0, -37.0]);
    let inst = Inst::Reciprocal {
        dst: dst.clone(),
        src: b.clone(),
    };
    assert_eq!(run_f32(Engine::Vector, &inputs, inst)[31], 0.5);
    let select = Inst::CopyPredicated {
        dst: b.clone(),
        src: a.clone(),
        pred: sbuf(U8, 4, 12288, &[8]),
    };
    let mut with_pred = inputs.to_vec();
    with_pred.push((sbuf(U8, 4, 12288, &[8]), (0..32).map(|i| i % 2).collect()));
    assert_eq!(run_f32(Engine::Vector, &with_pred, select)[..4], [2.0, -6.0, 2.0, -4.0]);
}

#[test]
fn reductions_and_statistics() {
    let (a, dst) = (sbuf(F32, 4, 0, &[2, 4]), sbuf(F32, 4, 8192, &[2]));
    let inputs = [(a.clone(), bytes_f32(&seq(32)))];
    let reduce = Inst::TensorReduce {
        dst,
        src: a.clone(),
        op: AluOp::Add,
        dims: 1,
        negate: true,
    };
    assert_eq!(run_f32(Engine::Vector, &inputs, reduce)[..2], [22.0, 6.0]);
    let stats = Inst::BnStats {
        dst: sbuf(F32, 4, 8192, &[6]),
        src: a.clone(),
    };
    assert_eq!(
        run_f32(Engine::Vector, &inputs, stats)[..6],
        [4.0, -4.0, 20.0, 4.0, -3.0, 20.0]
    );
    let triples = [(sbuf(F32, 1, 0, &[6]), bytes_f32(&[4.0, -4.0, 20.0, 4.0, -3.0, 20.0]))];
    let aggr = Inst::BnAggr {
        dst: sbuf(F32, 1, 8192, &[2]),
        src: triples[0].0.clone(),
    };
    assert_eq!(run_f32(Engine::Vector, &triples, aggr), [-3.5, 5.25]);
    let max = Inst::Max8 {
        dst: sbuf(F32, 4, 8192, &[8]),
        src: a.clone(),
    };
    assert_eq!(run_f32(Engine::Vector, &inputs, max)[..3], [0.0, -1.0, -2.0]);
    let values = sbuf(F32, 4, 4096, &[8]);
    let mut wanted = vec![99.0; 32];
    wanted[0] = -5.0;
    let both = [inputs[0].clone(), (values.clone(), bytes_f32(&wanted))];
    let find = Inst::FindIndex8 {
        dst: sbuf(U32, 4, 8192, &[8]),
        src: a.clone(),
        values: values.clone(),
    };
    let found = one_instruction("trn1", Engine::Vector, &both, find).expect("legal");
    assert_eq!(found[..8], [2, 0, 0, 0, 255, 255, 255, 255]);
    let dst = sbuf(F32, 4, 8192, &[2, 4]);
    let replace = Inst::MatchReplace8 {
        dst,
        src: a,
        values,
        replacement: 7f32.to_bits(),
    };
    assert_eq!(run_f32(Engine::Vector, &both, replace)[..4], [-7.0, -6.0, 7.0, -4.0]);
}

#[test]
fn permutations() {
    let src = sbuf(F32, 32, 0, &[32]);
    let data: Vec<f32> = (0..1024).map(|i| i as f32).collect();
    let inputs = [(src.clone(), bytes_f32(&data))];
    let t = Inst::Transpose32 {
        dst: sbuf(F32, 32, 8192, &[32]),
        src: src.clone(),
    };
    assert_eq!(run_f32(Engine::Vector, &inputs, t)[1..3], [32.0, 64.0]);
    let mask = (0..32).map(|i| (i + 1) % 32).collect();
    let s = Inst::StreamShuffle {
        dst: sbuf(F32, 32, 8192, &[32]),
        src,
        mask,
    };
    assert_eq!(run_f32(Engine::Vector, &inputs, s)[0], 32.0);
}

#[test]
fn copies_cast_and_fill() {
    let a = tile(0, 4);
    let inputs = [(
        a.clone(),
        bytes_f32(&[
            1.5, 2.5, -1e9, 1e9, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0,
        ]),
    )];
    let copy = Inst::TensorCopy {
        dst: sbuf(DType::I8, 4, 8192, &[4]),
        src: a,
    };
    let out = one_instruction("trn1", Engine::Vector, &inputs, copy).expect("legal");
    assert_eq!(out[..4], [2, 2, 128, 127]);
    let fill = Inst::Memset {
        dst: sbuf(BF16, 4, 8192, &[4]),
        bits: 0x3f80,
    };
    let out = one_instruction("trn1", Engine::GpSimd, &[], fill).expect("legal");
    assert_eq!(out[..2], [0x80, 0x3f]);
}

#[test]
fn activation_scales_adds_and_sums() {
    let (a, sum) = (tile(0, 4), sbuf(F32, 4, 8192, &[]));
    let inputs = [
        (a.clone(), bytes_f32(&seq(16))),
        (sbuf(F32, 4, 4096, &[]), bytes_f32(&[1.0; 4])),
    ];
    let inst = Inst::Activation {
        dst: sum.clone(),
        src: sbuf(F32, 4, 0, &[]),
        func: ActFunc::Square,
        scale: Scalar::f32(2.0),
        bias: Scalar::PerPartition(sbuf(F32, 4, 4096, &[])),
        accumulate: None,
    };
    assert_eq!(run_f32(Engine::Scalar, &inputs, inst)[0], 169.0);

    let mut m = Maker::new("trn1");
    let x = m.input(F32, &[4, 4]);
    let out = m.output(F32, &[4, 1]);
    m.load(x, &a, 0);
    let inst = Inst::Activation {
        dst: tile(4096, 4),
        src: a.clone(),
        func: ActFunc::Relu,
        scale: Scalar::f32(1.0),
        bias: Scalar::f32(0.0),
        accumulate: Some(sum.clone()),
    };
    signal(wait(m.compute(Engine::Scalar, inst), 0, 16), 1);
    wait(m.store(&sum, out, 2), 1, 1);
    assert_eq!(
        to_f32(&m.run(&[bytes_f32(&seq(16))]).expect("legal").outputs[0]),
        [0.0, 0.0, 10.0, 26.0]
    );
}

#[test]
fn gpsimd_sequences_and_gathers() {
    let iota = Inst::Iota {
        dst: sbuf(F32, 2, 8192, &[2, 3]),
        base: 10,
        channel_multiplier: 100,
        steps: [5, -1].into_iter().collect(),
    };
    let want = [
        10.0, 9.0, 8.0, 15.0, 14.0, 13.0, 110.0, 109.0, 108.0, 115.0, 114.0, 113.0,
    ];
    assert_eq!(run_f32(Engine::GpSimd, &[], iota), want);
    let a = tile(0, 4);
    let inputs = [(a.clone(), bytes_f32(&seq(16)))];
    let causal = Inst::AffineSelect {
        dst: tile(8192, 4),
        src: a.clone(),
        base: 0,
        channel_multiplier: 1,
        steps: [-1].into_iter().collect(),
        compare: AluOp::IsGe,
        fill: 9f32.to_bits(),
    };
    assert_eq!(run_f32(Engine::GpSimd, &inputs, causal)[4..8], [-3.0, -2.0, 9.0, 9.0]);
    let index = sbuf(U32, 4, 4096, &[2]);
    let picks: Vec<u8> = (0..4).flat_map(|_| [3u32, 0]).flat_map(u32::to_le_bytes).collect();
    let both = [inputs[0].clone(), (index.clone(), picks)];
    let gather = Inst::NGather {
        dst: tile(8192, 2),
        src: a.clone(),
        index,
    };
    assert_eq!(run_f32(Engine::GpSimd, &both, gather)[..4], [-4.0, -7.0, 0.0, -3.0]);
    let sum = Inst::PartitionReduce {
        dst: sbuf(F32, 1, 8192, &[4]),
        src: a,
        op: AluOp::Add,
    };
    assert_eq!(run_f32(Engine::GpSimd, &inputs, sum), [-4.0, 0.0, 4.0, 8.0]);
}

#[test]
fn integers_are_exact_on_gpsimd_only() {
    let (a, b, dst) = (
        sbuf(I32, 1, 0, &[1]),
        sbuf(I32, 1, 4096, &[1]),
        sbuf(I32, 1, 8192, &[1]),
    );
    let word = |x: i32| x.to_le_bytes().to_vec();
    let inputs = [(a.clone(), word(1 << 24)), (b.clone(), word(1))];
    let inst = Inst::TensorTensor {
        dst,
        a,
        b,
        op: AluOp::Add,
    };
    let exact = one_instruction("trn1", Engine::GpSimd, &inputs, inst.clone()).expect("legal");
    assert_eq!(exact, word((1 << 24) + 1));
    let rounded = one_instruction("trn1", Engine::Vector, &inputs, inst).expect("legal");
    assert_eq!(rounded, word(1 << 24));
}

/// `[K, M]` and `[K, N]` loaded, multiplied twice into the same bank, copied out and stored.
fn matmul(k: u16, m_cols: u32, n: u32, target: &str) -> Maker {
    let mut m = Maker::new(target);
    let (w, x) = (
        m.input(F32, &[i64::from(k), i64::from(m_cols)]),
        m.input(F32, &[i64::from(k), i64::from(n)]),
    );
    let out = m.output(F32, &[i64::from(m_cols), i64::from(n)]);
    let (ws, xs) = (sbuf(F32, k, 0, &[m_cols]), sbuf(F32, k, 4096, &[n]));
    let acc = psum(F32, m_cols as u16, 2048, &[n]);
    let result = sbuf(F32, m_cols as u16, 8192, &[n]);
    m.load(w, &ws, 0);
    m.load(x, &xs, 0);
    wait(m.push(Engine::Tensor, Op::LoadStationary { src: ws }), 0, 32);
    let multiply = |accumulate| Op::MultiplyMoving {
        dst: acc.clone(),
        moving: xs.clone(),
        accumulate,
        transpose: false,
    };
    m.push(Engine::Tensor, multiply(false));
    signal(m.push(Engine::Tensor, multiply(true)), 1);
    signal(
        wait(
            m.compute(
                Engine::Vector,
                Inst::TensorCopy {
                    dst: result.clone(),
                    src: acc.clone(),
                },
            ),
            1,
            1,
        ),
        2,
    );
    wait(m.store(&result, out, 3), 2, 1);
    m
}

#[test]
fn matmul_accumulates() {
    let m = matmul(3, 2, 2, "trn1");
    let (w, x) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
    let result = m.run(&[bytes_f32(&w), bytes_f32(&x)]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(to_f32(&result.outputs[0]), [12.0, 16.0, 16.0, 20.0]);
    assert_eq!(result.stats.pe_flops, 2 * 2 * 3 * 2 * 2);
    let profile = m.profile().expect("no data needed");
    assert_eq!(profile.stats.latency_ps, result.stats.latency_ps);
    assert!(profile.stats.timeline.is_some_and(|t| t.spans.len() == 8 + 3 - 1));
}

#[test]
fn exact_transpose_keeps_bits() {
    let mut m = Maker::new("trn2");
    let x = m.input(BF16, &[4, 2]);
    let out = m.output(BF16, &[2, 4]);
    let src = sbuf(BF16, 4, 0, &[2]);
    let identity = sbuf(BF16, 4, 4096, &[4]);
    m.load(x, &src, 0);
    m.compute(
        Engine::GpSimd,
        Inst::Memset {
            dst: identity.clone(),
            bits: 0,
        },
    );
    signal(m.push(Engine::GpSimd, Op::Semaphore), 4);
    wait(m.push(Engine::Tensor, Op::Semaphore), 4, 1);
    wait(m.push(Engine::Tensor, Op::LoadStationary { src }), 0, 16);
    let acc = psum(BF16, 2, 0, &[4]);
    signal(
        m.push(
            Engine::Tensor,
            Op::MultiplyMoving {
                dst: acc.clone(),
                moving: identity,
                accumulate: false,
                transpose: true,
            },
        ),
        1,
    );
    let result = sbuf(BF16, 2, 8192, &[4]);
    signal(
        wait(
            m.compute(
                Engine::Vector,
                Inst::TensorCopy {
                    dst: result.clone(),
                    src: acc,
                },
            ),
            1,
            1,
        ),
        2,
    );
    wait(m.store(&result, out, 3), 2, 1);
    let nan = [0xc1u8, 0x7f];
    let mut bytes = vec![0u8; 16];
    bytes[2..4].copy_from_slice(&nan);
    let result = m.run(&[bytes]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(result.outputs[0][8..10], nan);
}

#[test]
fn loops_run_on_registers() {
    let mut m = Maker::new("trn1");
    let i = Reg(0);
    m.push(
        Engine::Sync,
        Op::RegMove {
            dst: i,
            value: RegOrImm::Imm(0),
        },
    );
    signal(
        m.push(
            Engine::Sync,
            Op::RegAlu {
                dst: i,
                op: RegOp::Add,
                a: RegOrImm::Reg(i),
                b: RegOrImm::Imm(1),
            },
        ),
        9,
    );
    let back = Op::Branch {
        cond: BranchCond::Lt,
        a: RegOrImm::Reg(i),
        b: RegOrImm::Imm(5),
        target: 1,
    };
    m.push(Engine::Sync, back);
    wait(m.push(Engine::Vector, Op::Nop), 9, 5);
    let stats = m.profile().unwrap_or_else(|e| panic!("{e}")).stats;
    assert_eq!(stats.engine(Engine::Sync).instructions, 11);
}

#[test]
fn branches_on_data_need_data() {
    let mut m = Maker::new("trn1");
    let x = m.input(I32, &[1, 1]);
    let cell = sbuf(I32, 1, 0, &[]);
    m.load(x, &cell, 0);
    wait(m.push(Engine::Sync, Op::RegLoad { dst: Reg(1), src: cell }), 0, 16);
    let skip = Op::Branch {
        cond: BranchCond::Gt,
        a: RegOrImm::Reg(Reg(1)),
        b: RegOrImm::Imm(3),
        target: 4,
    };
    m.push(Engine::Sync, skip);
    m.push(Engine::Sync, Op::Nop);
    assert!(m.profile().err().is_some_and(|e| e.message.contains("timing-only")));
    let steps = |x: i32| {
        m.run(&[x.to_le_bytes().to_vec()])
            .expect("legal")
            .stats
            .engine(Engine::Sync)
            .instructions
    };
    assert_eq!((steps(9), steps(1)), (3, 4));
}

#[test]
fn gather_and_scatter_rows() {
    let mut m = Maker::new("trn1");
    m.program.queues.push(Queue {
        name: "qPoolDyn0".into(),
        owner: Engine::GpSimd,
        dge: DgeMode::Software,
    });
    let (table, index) = (m.input(F32, &[5, 2]), m.input(I32, &[3, 1]));
    let out = m.output(F32, &[3, 2]);
    let (tile, rows) = (sbuf(F32, 3, 0, &[2]), sbuf(I32, 3, 4096, &[]));
    m.load(index, &rows, 0);
    let gather = Indirect {
        kind: IndirectKind::Gather,
        queue: 1,
        semaphore: 1,
        tile: tile.clone(),
        index: rows,
        counter: None,
        others: Vec::new(),
        var: table,
        offset: 0,
        row_step: 8,
        row_bytes: 8,
        rows: 5,
        out_of_bounds: OutOfBounds::Error,
    };
    wait(m.push(Engine::GpSimd, Op::DmaIndirect(Box::new(gather))), 0, 16);
    wait(m.store(&tile, out, 2), 1, 16);
    let table: Vec<f32> = (0..10).map(|x| x as f32).collect();
    let pick = |rows: [i32; 3]| m.run(&[bytes_f32(&table), rows.iter().flat_map(|r| r.to_le_bytes()).collect()]);
    assert_eq!(
        to_f32(&pick([4, 0, 4]).expect("legal").outputs[0]),
        [8.0, 9.0, 0.0, 1.0, 8.0, 9.0]
    );
    assert!(
        pick([4, 5, 0])
            .err()
            .is_some_and(|e| e.message.contains("out of bounds"))
    );
}

/// A loop of SyncE whose repetitions start transfers by a counter: `x[i]` goes to `y[i]`.
fn counted(times: i32) -> (Maker, Reg) {
    let mut m = Maker::new("inf2");
    let reg = Reg(2);
    let inputs: Vec<VarId> = (0..3).map(|_| m.input(F32, &[1, 4])).collect();
    let outputs: Vec<VarId> = (0..3).map(|_| m.output(F32, &[1, 4])).collect();
    m.push(
        Engine::Sync,
        Op::RegMove {
            dst: reg,
            value: RegOrImm::Imm(0),
        },
    );
    for (&x, &y) in inputs.iter().zip(&outputs) {
        let (src, dst) = (m.var_side(x, F32, 4), m.var_side(y, F32, 4));
        m.dma(DmaOp::Copy, src, dst, 0);
    }
    // All but the first of the triggers give way to the loop.
    m.program.streams[Engine::Sync.index()].truncate(2);
    m.program.streams[Engine::Sync.index()][1].op = Op::DmaTrigger {
        transfer: 0,
        counter: Some(reg),
    };
    wait(m.push(Engine::Sync, Op::Semaphore), 0, 16);
    m.push(Engine::Sync, Op::RangeClear { first: 0, count: 1 });
    m.push(
        Engine::Sync,
        Op::RegAlu {
            dst: reg,
            op: RegOp::Add,
            a: RegOrImm::Reg(reg),
            b: RegOrImm::Imm(1),
        },
    );
    m.push(
        Engine::Sync,
        Op::Branch {
            cond: BranchCond::Lt,
            a: RegOrImm::Reg(reg),
            b: RegOrImm::Imm(times),
            target: 1,
        },
    );
    (m, reg)
}

#[test]
fn a_counter_picks_the_transfer_of_each_repetition() {
    let x: Vec<Vec<u8>> = (0..3).map(|i| bytes_f32(&[i as f32, 1.0, 2.0, 3.0])).collect();
    let (m, _) = counted(3);
    let outputs = m.run(&x).unwrap_or_else(|e| panic!("{e}")).outputs;
    assert_eq!(outputs, x);
    // Timing does not need the data.
    m.profile().unwrap_or_else(|e| panic!("{e}"));
    let text = |m: &Maker| m.run(&x).err().map_or(String::new(), |e| e.message);
    assert!(text(&counted(4).0).contains("starts transfer 3, which does not exist"));
    let (mut other, _) = counted(3);
    other.program.transfers[2].semaphore = 5;
    assert!(text(&other).contains("has not the queue and the semaphore of 0"));
    let (mut below, reg) = counted(3);
    below.program.streams[Engine::Sync.index()][0].op = Op::RegMove {
        dst: reg,
        value: RegOrImm::Imm(-1),
    };
    assert!(text(&below).contains("by register 2, which is -1"));
    let (mut unset, _) = counted(3);
    unset.program.streams[Engine::Sync.index()][0].op = Op::Nop;
    assert!(text(&unset).contains("reads register 2, which nothing set"));
}

#[test]
fn a_counter_picks_the_variable_of_an_indirect_transfer() {
    let gathered = |count: i32| {
        let mut m = Maker::new("trn1");
        m.program.queues.push(Queue {
            name: "qPoolDynamic0".into(),
            owner: Engine::GpSimd,
            dge: DgeMode::Software,
        });
        let (first, second, index) = (m.input(F32, &[2, 2]), m.input(F32, &[2, 2]), m.input(I32, &[1, 1]));
        let out = m.output(F32, &[1, 2]);
        let (tile, rows) = (sbuf(F32, 1, 0, &[2]), sbuf(I32, 1, 4096, &[]));
        m.load(index, &rows, 0);
        m.push(
            Engine::GpSimd,
            Op::RegMove {
                dst: Reg(1),
                value: RegOrImm::Imm(count),
            },
        );
        let gather = Indirect {
            kind: IndirectKind::Gather,
            queue: 1,
            semaphore: 1,
            tile: tile.clone(),
            index: rows,
            var: first,
            counter: Some(Reg(1)),
            others: vec![second],
            offset: 0,
            row_step: 8,
            row_bytes: 8,
            rows: 2,
            out_of_bounds: OutOfBounds::Error,
        };
        wait(m.push(Engine::GpSimd, Op::DmaIndirect(Box::new(gather))), 0, 16);
        wait(m.store(&tile, out, 2), 1, 16);
        let tables = [[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]].map(|t| bytes_f32(&t));
        let [a, b] = tables;
        m.run(&[a, b, 1i32.to_le_bytes().to_vec()])
    };
    for (count, want) in [(0, [2.0, 3.0]), (1, [6.0, 7.0])] {
        assert_eq!(to_f32(&gathered(count).expect("legal").outputs[0]), want);
    }
    let error = gathered(2).err().map_or(String::new(), |e| e.message);
    assert!(error.contains("has no variable for a counter of 2"), "{error}");
}

#[test]
fn dma_casts_and_accumulates() {
    let mut m = Maker::new("trn1");
    let (x, y) = (m.input(F32, &[1, 4]), m.input(BF16, &[1, 4]));
    let out = m.output(BF16, &[1, 4]);
    let (cast, copy) = (m.var_side(x, F32, 4), m.var_side(y, BF16, 4));
    let to = m.var_side(out, BF16, 4);
    m.dma(DmaOp::Cast, cast, to.clone(), 0);
    wait(m.dma(DmaOp::Add, copy, to, 1), 0, 16);
    let ones: Vec<u8> = [0x80u8, 0x3f].repeat(4);
    let outputs = m
        .run(&[bytes_f32(&[1.0, 2.0, 3.0, 4.0]), ones])
        .unwrap_or_else(|e| panic!("{e}"))
        .outputs;
    let values: Vec<f32> = outputs[0]
        .as_chunks::<2>()
        .0
        .iter()
        .map(|b| half::bf16::from_le_bytes(*b).to_f32())
        .collect();
    assert_eq!(values, [2.0, 3.0, 4.0, 5.0]);
}

mod cores;
mod findings;
mod random;
mod tiles;
mod timing;
