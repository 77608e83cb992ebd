//! How fast the simulator is: `cargo run --release -p ferrite-sim --example speed`.
//!
//! One program of tiled bf16 products with loads, copies out of PSUM and stores, run for its time, with and without checks, and
//! with data.

use std::time::Instant;

use ferrite_ir::dtype::DType::{BF16, F32};
use ferrite_ir::isa::*;
use ferrite_ir::loc::LocId;
use ferrite_sim::{Options, Simulator};

const TILES: usize = 400;

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

/// Products of 8 K-blocks each; every bank is copied out by VectorE before it is used again.
fn program() -> Program {
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
    for tile in 0..TILES {
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

fn main() {
    let program = program();
    let simulator = Simulator::for_program(&program).unwrap_or_else(|e| panic!("{}", e[0]));
    for (name, check, functional) in [
        ("time", false, false),
        ("time, checked", true, false),
        ("data, checked", true, true),
    ] {
        let options = Options {
            check,
            ..Options::default()
        };
        let start = Instant::now();
        let result = if functional {
            simulator.run::<&[u8]>(&[], &options)
        } else {
            simulator.profile(&options)
        };
        let seconds = start.elapsed().as_secs_f64();
        match result {
            Ok(r) => {
                let n = r.stats.instructions();
                let rate = n as f64 / seconds / 1e6;
                let us = r.stats.latency_ps as f64 / 1e6;
                println!("{name}: {n} instructions in {seconds:.3} s, {rate:.2} M/s; {us:.1} us simulated");
            }
            Err(e) => println!("{name}: {e}"),
        }
    }
}
