//! A program that measures the simulator itself.

use ferrite_ir::dtype::DType::{BF16, F32};
use ferrite_ir::isa::*;
use ferrite_ir::loc::LocId;

fn ap(space: Space, dtype: ferrite_ir::dtype::DType, offset: u32, n: u32) -> Ap {
    let dims = [ApDim { step: 1, count: n }].into_iter().collect();
    Ap {
        space,
        partition: 0,
        partitions: 128,
        offset,
        dtype,
        dims,
    }
}

/// `tiles` products of `[1024, 128]` and `[1024, 512]` in bf16 on trn2, 17 instructions each; VectorE copies every bank out before it is used again.
/// Operands are all ones, so that no input is needed.
pub fn products(tiles: usize) -> Program {
    let mut p = Program::new("trn2");
    let loc = LocId::UNKNOWN;
    let w = ap(Space::Sbuf, BF16, 0, 128);
    let x = ap(Space::Sbuf, BF16, 4096, 512);
    let push = |p: &mut Program, e: Engine, op: Op| p.streams[e.index()].push(Instr::new(op, loc));
    push(
        &mut p,
        Engine::Vector,
        Op::Compute(Inst::Memset {
            dst: w.clone(),
            bits: 0x3f80,
        }),
    );
    push(
        &mut p,
        Engine::Vector,
        Op::Compute(Inst::Memset {
            dst: x.clone(),
            bits: 0x3f80,
        }),
    );
    let add = |semaphore| {
        Some(Update {
            semaphore,
            kind: UpdateKind::Add(1),
            at: UpdateAt::Complete,
        })
    };
    p.streams[Engine::Vector.index()][1].update = add(0);
    for tile in 0..tiles {
        let dst = ap(Space::Psum, F32, 2048 * (tile as u32 % 8), 512);
        for k in 0..8 {
            let mut load = Instr::new(Op::LoadStationary { src: w.clone() }, loc);
            if k == 0 {
                let value = if tile < 8 { 1 } else { tile as u32 - 8 + 2 };
                load.wait = Some(Wait { semaphore: 0, value });
            }
            p.streams[Engine::Tensor.index()].push(load);
            let op = Op::MultiplyMoving {
                dst: dst.clone(),
                moving: x.clone(),
                accumulate: k > 0,
                transpose: false,
            };
            let mut multiply = Instr::new(op, loc);
            if k == 7 {
                multiply.update = add(1);
            }
            p.streams[Engine::Tensor.index()].push(multiply);
        }
        let out = ap(Space::Sbuf, BF16, 8192 + 1024 * (tile as u32 % 8), 512);
        let mut copy = Instr::new(Op::Compute(Inst::TensorCopy { dst: out, src: dst }), loc);
        copy.wait = Some(Wait {
            semaphore: 1,
            value: tile as u32 + 1,
        });
        copy.update = add(0);
        p.streams[Engine::Vector.index()].push(copy);
    }
    p
}
