//! Random programs that keep the structural rules of `ir::isa`.

use std::sync::Arc;

use ferrite_ir::dtype::DType;
use ferrite_ir::isa::*;
use ferrite_ir::loc::{LocId, LocTable, Location, Part, Source};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

const BYTES: u64 = 4096;

fn dtype() -> impl Strategy<Value = DType> {
    select(DType::ALL.to_vec())
}

fn ap() -> impl Strategy<Value = Ap> {
    let dims = vec((any::<i16>(), 1..1000u32), 0..5);
    (any::<bool>(), 0..128u16, 1..=128u16, any::<u32>(), dtype(), dims).prop_map(
        |(sbuf, partition, partitions, offset, dtype, dims)| Ap {
            space: if sbuf { Space::Sbuf } else { Space::Psum },
            partition,
            partitions,
            offset,
            dtype,
            dims: dims
                .into_iter()
                .map(|(step, count)| ApDim {
                    step: step.into(),
                    count,
                })
                .collect(),
        },
    )
}

fn scalar() -> impl Strategy<Value = Scalar<Ap>> {
    prop_oneof![any::<u32>().prop_map(Scalar::Imm), ap().prop_map(Scalar::PerPartition)]
}

fn alu() -> impl Strategy<Value = AluOp> {
    select(AluOp::ALL.to_vec())
}

fn step() -> impl Strategy<Value = ScalarStep<Ap>> {
    (alu(), scalar(), any::<bool>()).prop_map(|(op, scalar, reverse)| ScalarStep { op, scalar, reverse })
}

fn inst() -> impl Strategy<Value = Inst<Ap>> {
    let steps = || vec(any::<i32>(), 0..7).prop_map(Steps::from_vec);
    prop_oneof![
        (
            ap(),
            ap(),
            select(ActFunc::ALL.to_vec()),
            scalar(),
            scalar(),
            option::of(ap())
        )
            .prop_map(|(dst, src, func, scale, bias, accumulate)| Inst::Activation {
                dst,
                src,
                func,
                scale,
                bias,
                accumulate
            }),
        (ap(), ap(), ap(), alu()).prop_map(|(dst, a, b, op)| Inst::TensorTensor { dst, a, b, op }),
        (ap(), ap(), step(), option::of(step())).prop_map(|(dst, src, first, second)| Inst::TensorScalar {
            dst,
            src,
            first,
            second
        }),
        (ap(), ap(), step(), ap(), alu(), any::<bool>()).prop_map(|(dst, src, first, b, op1, reverse1)| {
            Inst::ScalarTensorTensor {
                dst,
                src,
                first,
                b,
                op1,
                reverse1,
            }
        }),
        (ap(), any::<u32>()).prop_map(|(dst, bits)| Inst::Memset { dst, bits }),
        (ap(), ap(), vec(any::<u8>(), 0..40)).prop_map(|(dst, src, mask)| Inst::StreamShuffle { dst, src, mask }),
        (ap(), any::<i32>(), any::<i32>(), steps()).prop_map(|(dst, base, channel_multiplier, steps)| Inst::Iota {
            dst,
            base,
            channel_multiplier,
            steps
        }),
        (ap(), ap(), ap()).prop_map(|(dst, src, index)| Inst::NGather { dst, src, index }),
    ]
}

fn op(vars: u32, queues: u16, transfers: u32) -> impl Strategy<Value = Op> {
    let reg = || any::<u8>().prop_map(Reg);
    let value = || {
        prop_oneof![
            any::<u8>().prop_map(|r| RegOrImm::Reg(Reg(r))),
            any::<i32>().prop_map(RegOrImm::Imm)
        ]
    };
    let indirect = (ap(), ap(), 0..vars, 0..queues, any::<u16>(), 0..64u64, any::<bool>());
    prop_oneof![
        8 => inst().prop_map(Op::Compute),
        1 => any::<u8>().prop_map(|set| Op::ActTableLoad { set }),
        2 => ap().prop_map(|src| Op::LoadStationary { src }),
        2 => (ap(), ap(), any::<bool>(), any::<bool>()).prop_map(|(dst, moving, accumulate, transpose)| {
            Op::MultiplyMoving { dst, moving, accumulate, transpose }
        }),
        2 => (0..transfers, proptest::option::of(reg()))
            .prop_map(|(transfer, counter)| Op::DmaTrigger { transfer, counter }),
        1 => indirect.prop_map(|(tile, index, var, queue, semaphore, row_bytes, skip)| {
            Op::DmaIndirect(Box::new(Indirect {
                kind: if skip { IndirectKind::Gather } else { IndirectKind::ScatterAdd },
                queue,
                semaphore,
                tile,
                index,
                var: VarId(var),
                counter: skip.then_some(Reg(1)),
                others: if skip { vec![VarId(0)] } else { Vec::new() },
                offset: 0,
                row_step: row_bytes,
                row_bytes,
                rows: 1,
                out_of_bounds: if skip { OutOfBounds::Skip } else { OutOfBounds::Error },
            }))
        }),
        1 => Just(Op::Semaphore),
        1 => (any::<u16>(), any::<u16>()).prop_map(|(first, count)| Op::RangeClear { first, count }),
        1 => (reg(), value(), value()).prop_map(|(dst, a, b)| Op::RegAlu { dst, op: RegOp::Max, a, b }),
        1 => (value(), value()).prop_map(|(a, b)| Op::Branch { cond: BranchCond::Ne, a, b, target: 0 }),
        1 => Just(Op::Nop),
    ]
}

fn instr(vars: u32, queues: u16, transfers: u32) -> impl Strategy<Value = Instr> {
    let wait = (any::<u16>(), any::<u32>()).prop_map(|(semaphore, value)| Wait { semaphore, value });
    let update = (any::<u16>(), any::<u32>(), any::<bool>()).prop_map(|(semaphore, value, early)| Update {
        semaphore,
        kind: if value % 2 == 0 {
            UpdateKind::Add(value)
        } else {
            UpdateKind::Write(value)
        },
        at: if early { UpdateAt::Read } else { UpdateAt::Complete },
    });
    (
        op(vars, queues, transfers),
        option::of(wait),
        option::of(update),
        any::<u32>(),
    )
        .prop_map(|(op, wait, update, loc)| Instr {
            op,
            wait,
            update,
            loc: LocId(loc),
        })
}

fn element(vars: u32) -> impl Strategy<Value = DmaElement> {
    let dims = vec((1..8u64, 0..3u64), 0..4);
    (
        0..vars,
        0..BYTES / 2,
        dtype(),
        dims,
        select(vec![DmaOp::Copy, DmaOp::Cast, DmaOp::Add]),
        any::<bool>(),
    )
        .prop_map(|(var, offset, dtype, dims, op, to_sbuf)| {
            let element = dtype.bytes() as i64;
            let dims: Vec<_> = dims
                .into_iter()
                .map(|(count, step)| DmaDim {
                    step: step as i64 * element,
                    count,
                })
                .collect();
            let hbm = DmaAccess {
                space: DmaSpace::Hbm(VarId(var)),
                offset,
                dtype,
                dims: dims.iter().copied().collect(),
            };
            let sbuf = DmaAccess {
                space: DmaSpace::Sbuf,
                offset: offset * 7,
                ..hbm.clone()
            };
            let (src, dst) = if to_sbuf { (hbm, sbuf) } else { (sbuf, hbm) };
            DmaElement { op, src, dst }
        })
}

fn transfer(vars: u32, queues: u16) -> impl Strategy<Value = Transfer> {
    (0..queues, any::<u16>(), vec(element(vars), 0..4), any::<u32>()).prop_map(|(queue, semaphore, elements, loc)| {
        Transfer {
            queue,
            semaphore,
            elements,
            loc: LocId(loc),
        }
    })
}

fn var(index: usize) -> impl Strategy<Value = Var> {
    let name = format!("v{index}");
    let data = vec(any::<u8>(), BYTES as usize..=BYTES as usize);
    (0..4u8, data, any::<u64>()).prop_map(move |(kind, data, offset)| Var {
        name: name.clone(),
        kind: match kind {
            0 => VarKind::Input { index: 0 },
            1 => VarKind::Output { index: 1 },
            2 => VarKind::Const,
            _ => VarKind::Scratch { offset },
        },
        bytes: BYTES,
        data: (kind == 2).then(|| Arc::from(data)),
    })
}

fn tensor(name: &'static str) -> impl Strategy<Value = IoTensor> {
    (dtype(), vec(0..100i64, 0..5)).prop_map(move |(dtype, shape)| IoTensor {
        name: name.to_string(),
        dtype,
        shape,
        alias: None,
        must_alias: false,
    })
}

/// A program for one core.
pub fn program() -> impl Strategy<Value = Program> {
    let vars = (var(0), var(1), var(2)).prop_map(|(a, b, c)| vec![a, b, c]);
    let owners = vec(select(Engine::ALL.to_vec()), 2..=2);
    let streams = [(); 5].map(|()| vec(instr(3, 2, 4), 0..12));
    let tensors = (tensor("input0"), tensor("output0"), tensor("output1"), any::<bool>());
    let locs = vec(("[a-z/\"é]{1,12}", any::<u32>()), 0..4);
    (
        vars,
        owners,
        vec(transfer(3, 2), 4..=4),
        streams,
        tensors,
        locs,
        any::<u32>(),
    )
        .prop_map(
            |(vars, owners, transfers, streams, (input, output, mut shared, must_alias), locs, flops)| {
                shared.alias = Some(0);
                shared.must_alias = must_alias;
                let mut table = LocTable::default();
                for (name, line) in locs {
                    let child = Some(Part::from(Source::File {
                        file: "model.py".into(),
                        line,
                        column: 1,
                    }));
                    table.add(Location {
                        line,
                        column: 2,
                        source: Some(Source::Name { name, child }),
                    });
                }
                let queue = |(index, owner)| Queue {
                    name: format!("q{}", 9 - index),
                    owner,
                    dge: DgeMode::ALL[index % 3],
                };
                Program {
                    target: "trn2".to_string(),
                    streams,
                    vars,
                    queues: owners.into_iter().enumerate().map(queue).collect(),
                    transfers,
                    inputs: vec![input],
                    outputs: vec![output, shared],
                    locs: table,
                    model_flops: flops.into(),
                }
            },
        )
}
