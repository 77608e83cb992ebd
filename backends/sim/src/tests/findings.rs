//! Fault injection: each mistake is named.

use super::*;

#[track_caller]
fn finds(m: &Maker, what: &str) {
    let error = m.error();
    assert!(error.contains(what), "expected `{what}` in: {error}");
}

#[test]
fn a_dropped_wait_is_a_race() {
    for (engine, index) in [(Engine::Tensor, 0), (Engine::Vector, 0), (Engine::Sync, 2)] {
        let mut m = matmul(32, 32, 64, "trn1");
        assert_eq!(m.error(), "");
        m.program.streams[engine.index()][index].wait = None;
        let error = m.error();
        let found = error.contains("data race") || error.contains("nothing wrote");
        assert!(found && error.contains("layer/op"), "{engine} {index}: {error}");
    }
}

#[test]
fn waiting_for_one_of_two_transfers_is_a_race() {
    let mut m = matmul(32, 32, 64, "trn1");
    m.program.streams[Engine::Tensor.index()][0].wait = Some(Wait {
        semaphore: 0,
        value: 16,
    });
    finds(&m, "data race");
}

#[test]
fn a_shifted_address_is_found() {
    let mut m = matmul(32, 32, 64, "trn1");
    let Op::MultiplyMoving { moving, .. } = &mut m.program.streams[0][1].op else {
        panic!("a multiply")
    };
    moving.offset += 4;
    finds(&m, "reads partition 0, byte 4352 of sbuf, which nothing wrote");
}

#[test]
fn accumulating_onto_nothing() {
    let mut m = matmul(32, 32, 64, "trn1");
    let Op::MultiplyMoving { accumulate, .. } = &mut m.program.streams[0][1].op else {
        panic!("a multiply")
    };
    *accumulate = true;
    finds(&m, "accumulates onto partition 0, byte 2048 of PSUM");
}

#[test]
fn write_after_read_needs_order() {
    let mut m = Maker::new("trn1");
    let (a, b) = (sbuf(F32, 128, 0, &[64]), sbuf(F32, 128, 4096, &[64]));
    m.compute(
        Engine::Vector,
        Inst::Memset {
            dst: a.clone(),
            bits: 0,
        },
    );
    signal(m.push(Engine::Vector, Op::Semaphore), 0);
    wait(m.compute(Engine::Scalar, activation(&b, &a)), 0, 1);
    m.compute(Engine::Vector, Inst::Memset { dst: a, bits: 0 });
    finds(&m, "data race: writes partitions 0..128, bytes 0..256 of sbuf");
}

fn activation(dst: &Ap, src: &Ap) -> Inst<Ap> {
    Inst::Activation {
        dst: dst.clone(),
        src: src.clone(),
        func: ActFunc::Copy,
        scale: Scalar::f32(1.0),
        bias: Scalar::f32(0.0),
        accumulate: None,
    }
}

#[test]
fn deadlock_names_everyone() {
    let mut m = Maker::new("trn1");
    signal(wait(m.push(Engine::Vector, Op::Semaphore), 0, 1), 1);
    signal(wait(m.push(Engine::Scalar, Op::Semaphore), 1, 1), 0);
    finds(
        &m,
        "deadlock: vector instruction 0 (`EVENT_SEMAPHORE`, from layer/op, line 3) waits since 0.000 us for semaphore 0 >= 1, which is 0 and which waits for scalar instruction 0",
    );
}

#[test]
fn counters_overflow_and_underflow() {
    let mut m = Maker::new("trn1");
    m.push(Engine::Sync, Op::Semaphore).update = Some(Update {
        semaphore: 3,
        kind: UpdateKind::Add(65_536),
        at: UpdateAt::Complete,
    });
    finds(&m, "raises semaphore 3 to 65536");
    let mut m = Maker::new("trn1");
    m.push(Engine::Sync, Op::Semaphore).update = Some(Update {
        semaphore: 3,
        kind: UpdateKind::Subtract(1),
        at: UpdateAt::Complete,
    });
    finds(&m, "subtracts 1 from semaphore 3, which is 0");
}

#[test]
fn tables_have_to_be_loaded() {
    let mut m = Maker::new("trn1");
    let a = sbuf(F32, 1, 0, &[1]);
    m.compute(
        Engine::GpSimd,
        Inst::Memset {
            dst: a.clone(),
            bits: 0,
        },
    );
    signal(m.push(Engine::GpSimd, Op::Semaphore), 0);
    let Inst::Activation {
        dst, src, scale, bias, ..
    } = activation(&a, &a)
    else {
        panic!("an activation")
    };
    let exp = Inst::Activation {
        dst,
        src,
        func: ActFunc::Exp,
        scale,
        bias,
        accumulate: None,
    };
    wait(m.compute(Engine::Scalar, exp), 0, 1);
    finds(&m, "needs table set 1; the engine has set 0 loaded");
    m.program.streams[Engine::Scalar.index()].insert(0, Instr::new(Op::ActTableLoad { set: 1 }, Default::default()));
    assert_eq!(m.error(), "");
}

#[test]
fn unknown_table_sets() {
    let mut m = Maker::new("trn1");
    m.push(Engine::Scalar, Op::ActTableLoad { set: 12 });
    finds(&m, "there is no table set 12");
}

#[test]
fn static_limits() {
    let ok = sbuf(F32, 128, 0, &[64]);
    let one = |engine: Engine, target: &str, inst: Inst<Ap>| {
        let mut m = Maker::new(target);
        m.compute(engine, inst);
        m.simulator().err().map(|all| all[0].to_string()).unwrap_or_default()
    };
    let fill = |dst: Ap| one(Engine::Vector, "trn1", Inst::Memset { dst, bits: 0 });
    assert_eq!(fill(ok.clone()), "");
    let cases = [
        (
            Ap {
                partition: 16,
                partitions: 32,
                ..ok.clone()
            },
            "32 partitions from 16",
        ),
        (
            Ap {
                partition: 64,
                partitions: 65,
                ..ok.clone()
            },
            "65 partitions from 64",
        ),
        (
            Ap {
                offset: 180_224 - 128,
                ..ok.clone()
            },
            "touches bytes 180096..180352",
        ),
        (sbuf(F32, 1, 0, &[1, 1, 1, 1, 1]), "5 free dimensions"),
        (
            Ap {
                dims: [ApDim { step: 0, count: 4 }].into_iter().collect(),
                ..ok.clone()
            },
            "writes a byte twice",
        ),
        (
            Ap {
                dims: [ApDim { step: -1, count: 4 }].into_iter().collect(),
                ..ok.clone()
            },
            "negative step",
        ),
        (sbuf(DType::I64, 1, 0, &[4]), "engines do not compute with"),
        (psum(F32, 1, 2, &[4]), "not a multiple of 4"),
        (
            Ap {
                space: Space::Hbm,
                ..ok.clone()
            },
            "in HBM",
        ),
    ];
    for (dst, what) in cases {
        let got = fill(dst);
        assert!(got.contains(what), "expected `{what}` in: {got}");
    }
    let p = psum(F32, 128, 0, &[64]);
    let both = Inst::TensorTensor {
        dst: ok.clone(),
        a: p.clone(),
        b: p.clone(),
        op: AluOp::Add,
    };
    assert!(one(Engine::Vector, "trn1", both).contains("both inputs are in PSUM"));
    let copy = |dst: &Ap, src: &Ap| Inst::TensorCopy {
        dst: dst.clone(),
        src: src.clone(),
    };
    assert!(one(Engine::GpSimd, "trn1", copy(&ok, &p)).contains("does not read psum"));
    assert!(one(Engine::Scalar, "trn1", copy(&ok, &ok)).contains("does not run on the scalar engine"));
    assert_eq!(one(Engine::Scalar, "trn2", copy(&ok, &ok)), "");
    let bits = Inst::TensorTensor {
        dst: ok.clone(),
        a: ok.clone(),
        b: ok.clone(),
        op: AluOp::BitwiseXor,
    };
    assert!(one(Engine::Vector, "trn1", bits).contains("combines the bits of f32"));
}

#[test]
fn matmul_limits() {
    let finds = |change: &dyn Fn(&mut Maker), what: &str| {
        let mut m = matmul(32, 32, 64, "trn1");
        change(&mut m);
        let error = m.error();
        assert!(error.contains(what), "expected `{what}` in: {error}");
    };
    fn multiply(m: &mut Maker) -> (&mut Ap, &mut Ap) {
        match &mut m.program.streams[0][1].op {
            Op::MultiplyMoving { dst, moving, .. } => (dst, moving),
            _ => panic!("a multiply"),
        }
    }
    finds(&|m| multiply(m).0.offset = 4096 - 64, "2 PSUM banks of at most 1");
    finds(&|m| multiply(m).0.space = Space::Sbuf, "does not write sbuf");
    finds(&|m| multiply(m).0.dtype = BF16, "TensorE writes f32");
    finds(&|m| multiply(m).1.dtype = I32, "does not multiply i32");
    finds(&|m| multiply(m).1.dtype = BF16, "does not multiply f32 by bf16");
    finds(&|m| multiply(m).1.partitions = 16, "the stationary one on 0..32");
    finds(&|m| multiply(m).0.partitions = 16, "the stationary operand 32 columns");
}

#[test]
fn dma_limits() {
    let mut m = matmul(32, 32, 64, "trn1");
    m.program.transfers[0].elements[0].dst.offset = 180_200;
    finds(&m, "have 180224 usable");
    let mut m = matmul(32, 32, 64, "trn1");
    m.program.queues[0].owner = Engine::Scalar;
    finds(&m, "belongs to the scalar engine");
    let mut m = matmul(32, 32, 64, "trn1");
    let to_input = m.var_side(VarId(0), F32, 4);
    m.program.transfers[2].elements[0].dst = DmaAccess {
        dims: [DmaDim { step: 4, count: 2048 }].into_iter().collect(),
        ..to_input
    };
    assert!(!m.error().is_empty());
}

#[test]
fn variables_have_to_fit() {
    let mut m = Maker::new("trn1");
    m.program.vars.push(Var {
        name: "huge".into(),
        kind: VarKind::Scratch { offset: 0 },
        bytes: 1 << 50,
        data: None,
    });
    finds(&m, "take 1125899906842624 bytes; the HBM of a chip has 34359738368");
}

#[test]
fn elements_of_a_transfer_do_not_write_a_byte_twice() {
    let mut m = matmul(32, 32, 64, "trn1");
    let element = m.program.transfers[0].elements[0].clone();
    m.program.transfers[0].elements.push(element.clone());
    finds(
        &m,
        "elements 0 and 1 both write a byte within 0..128 of partition 0: overlapping DMA writes",
    );
    // Many elements: the first and the last.
    let mut m = matmul(32, 32, 64, "trn1");
    for i in 1..100 {
        let mut next = element.clone();
        next.dst.offset += 128 * i;
        m.program.transfers[0].elements.push(next);
    }
    let error = m.error();
    assert!(!error.contains("overlapping"), "{error}");
    m.program.transfers[0].elements.push(element);
    finds(&m, "elements 0 and 100 both write");
}

#[test]
fn a_stale_read_is_a_race_whoever_comes_first() {
    // ScalarE reads what VectorE wrote before and writes again, ordered after the first write only.
    let mut m = Maker::new("trn1");
    let (a, b) = (sbuf(F32, 128, 0, &[64]), sbuf(F32, 128, 4096, &[64]));
    let fill = |dst: &Ap| Inst::Memset {
        dst: dst.clone(),
        bits: 0,
    };
    signal(m.compute(Engine::Vector, fill(&a)), 0);
    // Long enough that the reader comes first.
    m.compute(Engine::Vector, fill(&sbuf(F32, 128, 8192, &[4096])));
    signal(m.compute(Engine::Vector, fill(&a)), 1);
    wait(m.compute(Engine::Scalar, activation(&b, &a)), 0, 1);
    finds(&m, "vector instruction 2 (`MEMSET`)");
    finds(&m, "which scalar instruction 0 (`ACTIVATE`, from layer/op, line 3) at");
    wait(&mut m.program.streams[Engine::Scalar.index()][0], 1, 1);
    assert_eq!(m.error(), "");
}

#[test]
fn a_read_before_the_write_names_who_writes_later() {
    let mut m = Maker::new("trn1");
    let (a, b) = (sbuf(F32, 128, 0, &[64]), sbuf(F32, 128, 4096, &[64]));
    m.push(Engine::Vector, Op::Nop);
    m.compute(
        Engine::Vector,
        Inst::Memset {
            dst: a.clone(),
            bits: 0,
        },
    );
    m.compute(Engine::Scalar, activation(&b, &a));
    finds(
        &m,
        "nothing wrote; vector instruction 1 (`MEMSET`, from layer/op, line 3) writes it later, and nothing orders the two",
    );
}

#[test]
fn outputs_have_to_be_written() {
    let mut m = Maker::new("trn1");
    m.output(F32, &[2, 2]);
    finds(&m, "without writing byte 0 of output `output0`");
}

#[test]
fn endless_programs_stop() {
    let mut m = Maker::new("trn1");
    m.push(
        Engine::Sync,
        Op::Branch {
            cond: BranchCond::Always,
            a: RegOrImm::Imm(0),
            b: RegOrImm::Imm(0),
            target: 0,
        },
    );
    let options = crate::Options {
        max_instructions: 1000,
        ..Default::default()
    };
    let error = m
        .simulator()
        .expect("legal")
        .profile(&options)
        .err()
        .map(|e| e.message)
        .unwrap_or_default();
    assert!(error.contains("after 1000 instructions"), "{error}");
}

#[test]
fn unset_registers_are_not_read() {
    let mut m = Maker::new("trn1");
    m.push(
        Engine::Sync,
        Op::RegMove {
            dst: Reg(0),
            value: RegOrImm::Reg(Reg(5)),
        },
    );
    finds(&m, "reads register 5, which nothing set");
}

#[test]
fn inputs_have_to_fit() {
    let m = matmul(32, 32, 64, "trn1");
    let sim = m.simulator().expect("legal");
    let error = sim
        .run(&[vec![0u8; 4]], &Default::default())
        .err()
        .map(|e| e.message)
        .unwrap_or_default();
    assert!(error.contains("has 2 inputs, 1 were given"));
}

#[test]
fn the_first_byte_of_hbm_that_nothing_wrote_is_named() {
    // What is written is remembered in units that every access divides into: 4 bytes here, 100 where all transfers are alike.
    for (read, missing) in [
        (26, "byte 100 of `output0`"),
        (50, "byte 100 of `output0`"),
        (25, "byte 100 of output `output0`"),
    ] {
        let mut m = Maker::new("trn1");
        let out = m.output(F32, &[50]);
        let dst = sbuf(F32, 1, 0, &[25]);
        signal(m.compute(Engine::Vector, Inst::Memset { dst, bits: 0 }), 1);
        wait(m.store(&sbuf(F32, 1, 0, &[25]), out, 0), 1, 1);
        wait(m.load(out, &sbuf(F32, 1, 1024, &[read]), 2), 0, 16);
        let error = m.run(&[]).expect_err("bytes are missing").to_string();
        assert!(error.contains(missing), "{read}: {error}");
    }
}
