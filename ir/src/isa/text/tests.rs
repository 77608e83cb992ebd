use super::*;
use crate::dtype::DType;
use crate::inst::ScalarStep;
use crate::isa::*;
use crate::loc::{Location, Source};

fn ap(space: Space, dtype: DType) -> Ap {
    let dims = [ApDim { step: 512, count: 2 }, ApDim { step: -1, count: 512 }];
    Ap {
        space,
        partition: 32,
        partitions: 96,
        offset: 64,
        dtype,
        dims: dims.into_iter().collect(),
    }
}

/// One instruction of every kind, and every form of operand.
fn program() -> Program {
    let sbuf = || ap(Space::Sbuf, DType::BF16);
    let psum = || ap(Space::Psum, DType::F32);
    let steps = || Steps::from_slice(&[1, -2]);
    let step = |op, value| ScalarStep::imm(op, value);
    let compute = vec![
        Inst::Activation {
            dst: sbuf(),
            src: psum(),
            func: ActFunc::GeluApprxTanh,
            scale: Scalar::f32(0.1),
            bias: Scalar::PerPartition(sbuf()),
            accumulate: Some(sbuf()),
        },
        Inst::Activation {
            dst: sbuf(),
            src: psum(),
            func: ActFunc::Copy,
            scale: Scalar::f32(f32::INFINITY),
            bias: Scalar::Imm(0x7fc0_0001),
            accumulate: None,
        },
        Inst::TensorTensor {
            dst: sbuf(),
            a: sbuf(),
            b: psum(),
            op: AluOp::IsGe,
        },
        Inst::TensorScalar {
            dst: sbuf(),
            src: sbuf(),
            first: step(AluOp::Multiply, -0.0).reversed(),
            second: Some(ScalarStep::per_partition(AluOp::Add, sbuf())),
        },
        Inst::TensorScalar {
            dst: sbuf(),
            src: sbuf(),
            first: ScalarStep {
                op: AluOp::ShiftLeft,
                scalar: Scalar::Imm(16),
                reverse: false,
            },
            second: None,
        },
        Inst::ScalarTensorTensor {
            dst: sbuf(),
            src: sbuf(),
            first: step(AluOp::Max, 1e-40),
            b: sbuf(),
            op1: AluOp::Subtract,
            reverse1: true,
        },
        Inst::TensorTensorScan {
            dst: sbuf(),
            a: sbuf(),
            b: sbuf(),
            initial: Scalar::f32(1.0),
            op0: AluOp::Multiply,
            op1: AluOp::Add,
        },
        Inst::TensorReduce {
            dst: sbuf(),
            src: sbuf(),
            op: AluOp::Max,
            dims: 1,
            negate: true,
        },
        Inst::BnStats {
            dst: sbuf(),
            src: sbuf(),
        },
        Inst::BnAggr {
            dst: sbuf(),
            src: sbuf(),
        },
        Inst::TensorCopy {
            dst: sbuf(),
            src: ap(Space::Sbuf, DType::F8E4M3FN),
        },
        Inst::Memset {
            dst: sbuf(),
            bits: u32::MAX,
        },
        Inst::CopyPredicated {
            dst: sbuf(),
            src: sbuf(),
            pred: ap(Space::Sbuf, DType::U8),
        },
        Inst::Reciprocal {
            dst: sbuf(),
            src: sbuf(),
        },
        Inst::Transpose32 {
            dst: sbuf(),
            src: sbuf(),
        },
        Inst::StreamShuffle {
            dst: sbuf(),
            src: sbuf(),
            mask: (0..32).collect(),
        },
        Inst::Max8 {
            dst: sbuf(),
            src: sbuf(),
        },
        Inst::FindIndex8 {
            dst: sbuf(),
            src: sbuf(),
            values: sbuf(),
        },
        Inst::MatchReplace8 {
            dst: sbuf(),
            src: sbuf(),
            values: sbuf(),
            replacement: 7,
        },
        Inst::Iota {
            dst: sbuf(),
            base: -3,
            channel_multiplier: 2,
            steps: steps(),
        },
        Inst::AffineSelect {
            dst: sbuf(),
            src: sbuf(),
            base: 1,
            channel_multiplier: -1,
            steps: steps(),
            compare: AluOp::NotEqual,
            fill: 5,
        },
        Inst::NGather {
            dst: sbuf(),
            src: sbuf(),
            index: sbuf(),
        },
        Inst::PartitionReduce {
            dst: sbuf(),
            src: sbuf(),
            op: AluOp::Add,
        },
    ];
    let reg = RegOrImm::Reg(Reg(3));
    let indirect = Indirect {
        kind: IndirectKind::ScatterAdd,
        queue: 0,
        semaphore: 9,
        tile: sbuf(),
        index: sbuf(),
        var: VarId(0),
        counter: Some(Reg(5)),
        others: vec![VarId(1)],
        offset: 16,
        row_step: 32,
        row_bytes: 8,
        rows: 2,
        out_of_bounds: OutOfBounds::Skip,
    };
    let control = vec![
        Op::ActTableLoad { set: 4 },
        Op::LoadStationary { src: sbuf() },
        Op::MultiplyMoving {
            dst: psum(),
            moving: sbuf(),
            accumulate: true,
            transpose: false,
        },
        Op::DmaTrigger {
            transfer: 0,
            counter: None,
        },
        Op::DmaTrigger {
            transfer: 0,
            counter: Some(Reg(3)),
        },
        Op::DmaIndirect(Box::new(indirect)),
        Op::Semaphore,
        Op::RangeClear { first: 3, count: 4 },
        Op::RegMove {
            dst: Reg(1),
            value: RegOrImm::Imm(-4),
        },
        Op::RegAlu {
            dst: Reg(2),
            op: RegOp::Multiply,
            a: reg,
            b: RegOrImm::Imm(5),
        },
        Op::RegLoad {
            dst: Reg(3),
            src: ap(Space::Sbuf, DType::I32),
        },
        Op::Branch {
            cond: BranchCond::Ne,
            a: reg,
            b: reg,
            target: 0,
        },
        Op::Nop,
    ];
    let mut program = Program::new("trn2");
    program.model_flops = 1 << 40;
    let name = Source::Name {
        name: "jit(f)/\"dot\"".into(),
        child: None,
    };
    let file = Source::File {
        file: "model.py".into(),
        line: 7,
        column: 1,
    };
    let both = Source::Fused(vec![
        name.clone(),
        Source::CallSite {
            callee: file.into(),
            caller: name.into(),
        },
    ]);
    let loc = program.locs.add(Location {
        line: 1,
        column: 1,
        source: Some(both),
    });
    program.streams[1] = compute
        .into_iter()
        .map(|inst| Instr::new(Op::Compute(inst), loc))
        .collect();
    program.streams[4] = control.into_iter().map(|op| Instr::new(op, LocId::UNKNOWN)).collect();
    program.streams[1][0].wait = Some(Wait {
        semaphore: 15,
        value: 1,
    });
    for (kind, at) in [
        (UpdateKind::Add(1), UpdateAt::Complete),
        (UpdateKind::Subtract(2), UpdateAt::Read),
        (UpdateKind::Write(3), UpdateAt::Complete),
    ] {
        let index = program.streams[1].iter().position(|i| i.update.is_none()).unwrap();
        program.streams[1][index].update = Some(Update { semaphore: 8, kind, at });
    }
    let var = |name: &str, kind, data: Option<Vec<u8>>| Var {
        name: name.to_string(),
        kind,
        bytes: 64,
        data: data.map(Into::into),
    };
    program.vars = vec![
        var("input0", VarKind::Input { index: 0 }, None),
        var("a \"weight\"", VarKind::Const, Some((0..64).collect())),
        var("s", VarKind::Scratch { offset: 128 }, None),
        var("output0", VarKind::Output { index: 0 }, None),
    ];
    let tensor = |name: &str, dtype, alias| IoTensor {
        name: name.to_string(),
        dtype,
        shape: vec![2, 4],
        alias,
        must_alias: alias.is_some(),
    };
    program.inputs = vec![tensor("input0", DType::C64, None)];
    program.outputs = vec![tensor("output0", DType::F64, Some(0))];
    program.queues = vec![Queue {
        name: "qSyncIO0".to_string(),
        owner: Engine::Sync,
        dge: DgeMode::Hardware,
    }];
    let access = |space, offset| DmaAccess {
        space,
        offset,
        dtype: DType::U8,
        dims: [DmaDim { step: 16, count: 2 }, DmaDim { step: 1, count: 8 }]
            .into_iter()
            .collect(),
    };
    let element = |var| DmaElement {
        op: DmaOp::Cast,
        src: access(DmaSpace::Hbm(VarId(var)), 0),
        dst: access(DmaSpace::Sbuf, 1 << 24),
    };
    program.transfers = vec![Transfer {
        queue: 0,
        semaphore: 2,
        elements: vec![element(0), element(1)],
        loc,
    }];
    program
}

/// A program without its locations, which text numbers anew.
fn without_locations(mut program: Program) -> Program {
    program.locs = Default::default();
    program
        .streams
        .iter_mut()
        .flatten()
        .for_each(|instr| instr.loc = LocId::UNKNOWN);
    program
        .transfers
        .iter_mut()
        .for_each(|transfer| transfer.loc = LocId::UNKNOWN);
    program
}

const ALL: PrintOptions = PrintOptions {
    locations: true,
    constants: true,
};

#[test]
fn a_program_survives() {
    let text = print(&program(), ALL);
    let read = parse(&text).unwrap_or_else(|errors| panic!("{errors:?}\n{text}"));
    assert_eq!(without_locations(read), without_locations(program()), "{text}");
}

#[test]
fn printing_what_was_read_gives_the_same_text() {
    let text = print(&program(), ALL);
    assert_eq!(print(&parse(&text).unwrap(), ALL), text);
}

#[test]
fn locations_keep_the_source_and_gain_the_position() {
    let text = print(&program(), ALL);
    let read = parse(&text).unwrap();
    let instr = &read.streams[1][0];
    let location = read.locs.get(instr.loc);
    assert_eq!(location.source, program().locs.get(program().streams[1][0].loc).source);
    assert!(
        text.lines()
            .nth(location.line as usize - 1)
            .unwrap()
            .contains("isa.activation")
    );
}

#[test]
fn operands_are_readable() {
    let text = print(&program(), PrintOptions::default());
    for part in [
        r##"dst = #isa.ap<"sbuf", 32, 96, 64, bf16, [512, -1], [2, 512]>"##,
        r##"first = #isa.step<"logical_shift_left", 16>"##,
        r##"wait = #isa.wait<15, 1>"##,
        r##"update = #isa.update<8, "add", 1, "complete">"##,
        r##"#isa.access<@input0, 0, ui8, [16, 1], [2, 8]>"##,
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn mistakes_are_reported_where_they_stand() {
    let text = print(&program(), PrintOptions::default());
    for (old, new, message) in [
        ("\"isa.nop\"", "\"isa.nap\"", "`isa.nap` is no instruction"),
        (
            "op = \"is_ge\"",
            "op = \"is_huge\"",
            "`op`: `is_huge` is no ALU operation",
        ),
        ("set = 4", "set = 400", "`set`: 400 is out of range, 0 to 255"),
        ("transfer = 0", "transfer = 0, spare", "has no attribute `spare`"),
        ("@input0", "@nothing", "variable `nothing` does not exist"),
        ("first = 3, ", "", "`first`: is missing"),
    ] {
        assert!(text.contains(old), "{old} in\n{text}");
        let errors = parse(&text.replacen(old, new, 1)).unwrap_err();
        assert!(errors[0].message.contains(message), "{errors:?}");
        let line = text.lines().position(|line| line.contains(old)).unwrap() as u32 + 1;
        assert_eq!(errors[0].location.line, line, "{errors:?}");
    }
}

#[test]
fn a_transfer_that_does_not_exist_is_refused() {
    let text = print(&program(), PrintOptions::default());
    assert!(parse(&text.replace("transfer = 0", "transfer = 7")).is_err());
}

proptest::proptest! {
    #[test]
    fn changed_text_does_not_panic(
        at in proptest::prelude::any::<proptest::sample::Index>(),
        with in "[ -~]{0,6}|[0-9]{1,20}|[\\[\\]<>,#\"@]{1,4}",
        cut in 0..6usize,
    ) {
        let text = print(&program(), PrintOptions { locations: false, constants: true });
        let start = at.index(text.len());
        let end = (start + cut).min(text.len());
        let _ = parse(&format!("{}{with}{}", &text[..start], &text[end..]));
    }

    #[test]
    fn immediates_keep_their_bits(bits in proptest::prelude::any::<u32>()) {
        let mut program = Program::new("inf2");
        let dst = ap(Space::Sbuf, DType::F32);
        let first = ScalarStep { op: AluOp::Multiply, scalar: Scalar::Imm(bits), reverse: false };
        let inst = Inst::TensorScalar { dst: dst.clone(), src: dst, first, second: None };
        program.streams[1].push(Instr::new(Op::Compute(inst), LocId::UNKNOWN));
        let read = parse(&print(&program, PrintOptions::default())).unwrap();
        proptest::prop_assert_eq!(without_locations(read), program);
    }
}
