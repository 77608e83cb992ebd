//! Random programs: whatever the fields hold, the answer is a result or a finding, never a panic.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::Options;

fn dtype() -> impl Strategy<Value = DType> {
    prop_oneof![3 => Just(F32), 2 => Just(BF16), 1 => Just(I32), 1 => Just(U8), 1 => proptest::sample::select(&DType::ALL[..])]
}

fn small_or_any(most: u32) -> impl Strategy<Value = u32> {
    prop_oneof![8 => 0..most, 1 => any::<u32>()]
}

fn operand() -> impl Strategy<Value = Ap> {
    let space = prop_oneof![4 => Just(Space::Sbuf), 2 => Just(Space::Psum), 1 => Just(Space::Hbm)];
    let dim = (
        prop_oneof![6 => Just(1), 2 => 0..70i32, 1 => any::<i32>()],
        prop_oneof![8 => 1..20u32, 1 => any::<u32>()],
    )
        .prop_map(|(step, count)| ApDim { step, count });
    let partitions = prop_oneof![6 => Just((0u16, 32u16)), 2 => (0..130u16, 0..130u16), 1 => any::<(u16, u16)>()];
    (space, partitions, small_or_any(64), dtype(), vec(dim, 0..3)).prop_map(
        |(space, (partition, partitions), offset, dtype, dims)| Ap {
            space,
            partition,
            partitions,
            offset,
            dtype,
            dims: dims.into_iter().collect(),
        },
    )
}

fn alu() -> impl Strategy<Value = AluOp> {
    proptest::sample::select(&AluOp::ALL[..])
}

fn scalar() -> impl Strategy<Value = Scalar<Ap>> {
    prop_oneof![
        any::<u32>().prop_map(Scalar::Imm),
        operand().prop_map(Scalar::PerPartition)
    ]
}

fn step() -> impl Strategy<Value = ScalarStep<Ap>> {
    (alu(), scalar(), any::<bool>()).prop_map(|(op, scalar, reverse)| ScalarStep { op, scalar, reverse })
}

/// An instruction whose operands have one shape more often than not.
fn inst() -> impl Strategy<Value = Inst<Ap>> {
    let operands = (operand(), operand(), operand(), 0..4u8).prop_map(|(dst, mut a, mut b, alike)| {
        if alike > 0 {
            for x in [&mut a, &mut b] {
                *x = Ap {
                    space: x.space,
                    dtype: x.dtype,
                    offset: x.offset,
                    ..dst.clone()
                };
            }
        }
        (dst, a, b)
    });
    let numbers = (any::<u32>(), any::<i32>(), 0..4u8, any::<bool>());
    (operands, alu(), alu(), (step(), step()), scalar(), numbers, 0..21usize).prop_map(
        |((dst, a, b), op, op2, (first, second), s, (bits, int, small, flag), which)| match which {
            0 => Inst::Activation {
                dst,
                src: a,
                func: ActFunc::ALL[bits as usize % ActFunc::ALL.len()],
                scale: Scalar::f32(1.0),
                bias: s,
                accumulate: flag.then_some(b),
            },
            1 => Inst::TensorTensor { dst, a, b, op },
            2 => Inst::TensorScalar {
                dst,
                src: a,
                first,
                second: flag.then_some(second),
            },
            3 => Inst::ScalarTensorTensor {
                dst,
                src: a,
                first,
                b,
                op1: op,
                reverse1: flag,
            },
            4 => Inst::TensorTensorScan {
                dst,
                a,
                b,
                initial: s,
                op0: op,
                op1: op2,
            },
            5 => Inst::TensorReduce {
                dst,
                src: a,
                op,
                dims: small,
                negate: flag,
            },
            6 => Inst::BnStats { dst, src: a },
            7 => Inst::BnAggr { dst, src: a },
            8 => Inst::TensorCopy { dst, src: a },
            9 => Inst::Memset { dst, bits },
            10 => Inst::CopyPredicated { dst, src: a, pred: b },
            11 => Inst::Reciprocal { dst, src: a },
            12 => Inst::Transpose32 { dst, src: a },
            13 => Inst::StreamShuffle {
                dst,
                src: a,
                mask: (0..32 + small).map(|i| i % 32).collect(),
            },
            14 => Inst::Max8 { dst, src: a },
            15 => Inst::FindIndex8 { dst, src: a, values: b },
            16 => Inst::MatchReplace8 {
                dst,
                src: a,
                values: b,
                replacement: bits,
            },
            17 => Inst::Iota {
                dst,
                base: int,
                channel_multiplier: int,
                steps: [int].into_iter().collect(),
            },
            18 => Inst::AffineSelect {
                dst,
                src: a,
                base: int,
                channel_multiplier: 1,
                steps: [int].into_iter().collect(),
                compare: op,
                fill: bits,
            },
            19 => Inst::NGather { dst, src: a, index: b },
            _ => Inst::PartitionReduce { dst, src: a, op },
        },
    )
}

fn register() -> impl Strategy<Value = RegOrImm> {
    prop_oneof![
        any::<i32>().prop_map(RegOrImm::Imm),
        (0..70u8).prop_map(|r| RegOrImm::Reg(Reg(r)))
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let indirect = (
        operand(),
        operand(),
        0..3u32,
        any::<[u64; 2]>(),
        small_or_any(9),
        0..64u64,
        any::<bool>(),
    )
        .prop_map(|(tile, index, var, [offset, row_step], rows, row_bytes, flag)| {
            let big = |x: u64| if x.is_multiple_of(3) { x } else { x % 64 };
            Op::DmaIndirect(Box::new(Indirect {
                kind: if flag {
                    IndirectKind::Gather
                } else {
                    IndirectKind::ScatterAdd
                },
                queue: 1,
                semaphore: 2,
                tile,
                index,
                var: VarId(var),
                counter: flag.then_some(Reg(1)),
                others: if flag { vec![VarId(0)] } else { Vec::new() },
                offset: big(offset),
                row_step: big(row_step),
                row_bytes,
                rows,
                out_of_bounds: OutOfBounds::Skip,
            }))
        });
    prop_oneof![
        8 => inst().prop_map(Op::Compute),
        1 => (0..12u8).prop_map(|set| Op::ActTableLoad { set }),
        1 => operand().prop_map(|src| Op::LoadStationary { src }),
        2 => (operand(), operand(), any::<[bool; 2]>())
            .prop_map(|(dst, moving, [accumulate, transpose])| Op::MultiplyMoving { dst, moving, accumulate, transpose }),
        2 => (0..4u32, proptest::option::weighted(0.1, 0..70u8))
            .prop_map(|(transfer, counter)| Op::DmaTrigger { transfer, counter: counter.map(Reg) }),
        1 => indirect,
        1 => Just(Op::Semaphore),
        1 => any::<(u16, u16)>().prop_map(|(first, count)| Op::RangeClear { first: first % 300, count: count % 300 }),
        1 => (0..70u8, register()).prop_map(|(r, value)| Op::RegMove { dst: Reg(r), value }),
        1 => (0..70u8, register(), register()).prop_map(|(r, a, b)| Op::RegAlu { dst: Reg(r), op: RegOp::Multiply, a, b }),
        1 => (0..70u8, operand()).prop_map(|(r, src)| Op::RegLoad { dst: Reg(r), src }),
        1 => (register(), register(), 0..4u32).prop_map(|(a, b, target)| Op::Branch { cond: BranchCond::Ge, a, b, target }),
        1 => Just(Op::Nop),
    ]
}

fn instr() -> impl Strategy<Value = Instr> {
    let wait =
        proptest::option::of((0..260u16, small_or_any(20)).prop_map(|(semaphore, value)| Wait { semaphore, value }));
    let kind = (0..3u8, small_or_any(3)).prop_map(|(k, n)| match k {
        0 => UpdateKind::Add(n),
        1 => UpdateKind::Subtract(n),
        _ => UpdateKind::Write(n),
    });
    let update = proptest::option::of(
        (0..260u16, kind, any::<bool>()).prop_map(|(semaphore, kind, read)| Update {
            semaphore,
            kind,
            at: if read { UpdateAt::Read } else { UpdateAt::Complete },
        }),
    );
    (op(), wait, update).prop_map(|(op, wait, update)| Instr {
        op,
        wait,
        update,
        loc: Default::default(),
    })
}

fn side() -> impl Strategy<Value = DmaAccess> {
    let space = prop_oneof![(0..4u32).prop_map(|v| DmaSpace::Hbm(VarId(v))), Just(DmaSpace::Sbuf)];
    let dim = (
        prop_oneof![4 => 0..9i64, 2 => Just(196_608), 1 => any::<i64>()],
        prop_oneof![8 => 1..9u64, 1 => any::<u64>()],
    )
        .prop_map(|(step, count)| DmaDim { step, count });
    (
        space,
        prop_oneof![4 => 0..64u64, 1 => any::<u64>()],
        dtype(),
        vec(dim, 0..4),
    )
        .prop_map(|(space, offset, dtype, dims)| DmaAccess {
            space,
            offset,
            dtype,
            dims: dims.into_iter().collect(),
        })
}

fn transfer() -> impl Strategy<Value = Transfer> {
    let element = (side(), side(), 0..3u8, any::<bool>()).prop_map(|(src, mut dst, kind, alike)| {
        if alike {
            (dst.dims, dst.dtype) = (src.dims.clone(), src.dtype);
        }
        let op = [DmaOp::Copy, DmaOp::Cast, DmaOp::Add][kind as usize];
        DmaElement { op, src, dst }
    });
    (0..3u16, 0..260u16, vec(element, 0..3)).prop_map(|(queue, semaphore, elements)| Transfer {
        queue,
        semaphore,
        elements,
        loc: Default::default(),
    })
}

fn program() -> impl Strategy<Value = Program> {
    let streams = vec(vec(instr(), 0..4), 5);
    (
        streams,
        vec(transfer(), 0..4),
        proptest::sample::select(vec!["trn1", "trn2", "trn3"]),
    )
        .prop_map(|(streams, transfers, target)| {
            let mut m = Maker::new(target);
            m.program.queues.push(Queue {
                name: "qPoolDyn0".into(),
                owner: Engine::GpSimd,
                dge: DgeMode::Software,
            });
            m.input(F32, &[8, 8]);
            m.output(F32, &[8, 8]);
            let kind = VarKind::Scratch { offset: 16 };
            m.program.vars.push(Var {
                name: "scratch".into(),
                kind,
                bytes: 512,
                data: None,
            });
            m.program.transfers = transfers;
            for (to, from) in m.program.streams.iter_mut().zip(streams) {
                *to = from;
            }
            m.program
        })
}

/// Runs a program both ways; also keeps only what is legal, so that the run itself sees many programs.
fn survives(mut program: Program) {
    let options = Options {
        max_instructions: 300,
        timeline: true,
        ..Options::default()
    };
    for round in 0..2 {
        if let Ok(sim) = crate::Simulator::for_program(&program) {
            let _ = sim.run(&[vec![0u8; 256]], &options);
            let _ = sim.profile(&options);
            let _ = sim.run(
                &[vec![0u8; 256]],
                &Options {
                    check: false,
                    ..options.clone()
                },
            );
        } else if round == 0 {
            let Ok(model) = ferrite_ir::machine::MachineModel::target(&program.target) else {
                return;
            };
            let one = |p: &Program, keep: &dyn Fn(&mut Program)| {
                let mut single = Program {
                    streams: Default::default(),
                    ..p.clone()
                };
                keep(&mut single);
                crate::check(&single, &model).is_empty()
            };
            let all = program.transfers.clone();
            program
                .transfers
                .retain(|t| one(&program_without(&all), &|p| p.transfers = vec![t.clone()]));
            let base = program.clone();
            for (e, stream) in program.streams.iter_mut().enumerate() {
                stream.retain(|i| one(&base, &|p| p.streams[e] = vec![i.clone(); 4]));
                stream.retain(|i| !matches!(i.op, Op::Branch { .. }));
            }
        }
    }
}

fn program_without(transfers: &[Transfer]) -> Program {
    let mut m = Maker::new("trn1");
    m.program.queues.push(Queue {
        name: "qPoolDyn0".into(),
        owner: Engine::GpSimd,
        dge: DgeMode::Software,
    });
    m.input(F32, &[8, 8]);
    m.output(F32, &[8, 8]);
    let kind = VarKind::Scratch { offset: 16 };
    m.program.vars.push(Var {
        name: "scratch".into(),
        kind,
        bytes: 512,
        data: None,
    });
    m.program.transfers = transfers.to_vec();
    m.program
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn random_programs_do_not_panic(program in program()) {
        survives(program);
    }
}
