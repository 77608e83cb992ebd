//! What measures the simulator itself: a program, its products by plain calls of the GEMM crate, a clock.

use ferrite_ir::dtype::DType::{BF16, F32};
use ferrite_ir::isa::*;
use ferrite_ir::loc::LocId;
use ferrite_sim::column_sums;

/// Processor time of the main thread so far, seconds, which other processes do not distort; time on the wall where the system does not tell.
pub fn cpu_seconds() -> f64 {
    let told = std::fs::read_to_string("/proc/self/schedstat").ok();
    let spent = told.and_then(|t| t.split_whitespace().next()?.parse::<u64>().ok());
    spent.map_or_else(
        || {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            now.map_or(0.0, |d| d.as_secs_f64())
        },
        |ns| ns as f64 / 1e9,
    )
}

/// Products to be done by plain calls of the GEMM crate: K, M, N of each.
pub struct Plain {
    list: Vec<(usize, usize, usize)>,
}

impl Plain {
    /// One product.
    pub fn whole(m: usize, n: usize, k: usize) -> Plain {
        Plain { list: vec![(k, m, n)] }
    }

    /// The products of TensorE's instructions, exact transposes left out. The program has no branches.
    pub fn of(program: &Program) -> Plain {
        let mut list = Vec::new();
        for instr in program.stream(Engine::Tensor) {
            if let Op::MultiplyMoving {
                dst,
                moving,
                transpose: false,
                ..
            } = &instr.op
            {
                list.push((
                    usize::from(moving.partitions),
                    usize::from(dst.partitions),
                    moving.elements(),
                ));
            }
        }
        Plain { list }
    }

    /// Floating-point operations, two per multiply-add.
    pub fn flops(&self) -> u64 {
        self.list.iter().map(|&(k, m, n)| 2 * (k * m * n) as u64).sum()
    }

    /// Does them all, on operands of ones.
    pub fn run(&self) {
        let most = |f: fn(&(usize, usize, usize)) -> usize| self.list.iter().map(f).max().unwrap_or(0);
        let (a, b) = (vec![1f32; most(|x| x.0 * x.1)], vec![1f32; most(|x| x.0 * x.2)]);
        let mut out = vec![0f32; most(|x| x.1 * x.2)];
        for &(k, m, n) in &self.list {
            column_sums(&a, &b, k, m, n, &mut out);
        }
        std::hint::black_box(&out);
    }
}

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
