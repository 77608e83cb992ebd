//! Chooses an engine for every operation that has none: `assign-engines`.
//!
//! Before                              After
//!   tensor_copy (any of several)        tensor_copy on vector, or activation{copy} on scalar
//!   dma_copy                            dma_copy triggered by sync (loads) or by an idle engine (stores)
//!
//! Engines that could run an operation come from the machine model; among them the one is taken that is least loaded in
//! a window of the program around it, with the engines that exclude each other on a memory counted as one resource.
//! Never changes a result: copies, products and sums with scalars move to ScalarE between floating-point types only (which
//! may turn -0 into +0).

use std::collections::VecDeque;

use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::dtype::DType;
use ferrite_ir::machine::{Engine, MachineModel, Space};
use ferrite_ir::tile::{ActFunc, AluOp, Inst, Mem, Op, OpKind, Program, Role, Scalar, ScalarStep, View};

use super::cost::{OpCost, inst_cost, op_cost};

/// Resources whose load is balanced: three engines, SBUF shared by Vector and GpSimd, PSUM shared by Vector and Scalar.
const RESOURCES: usize = 5;
const SBUF_SHARED: usize = 3;
const PSUM_SHARED: usize = 4;

type Load = [u64; RESOURCES];

/// A way to run an operation.
struct Choice {
    engine: Engine,
    /// Runs as this `activation{copy}` instead.
    activation: Option<Inst<View>>,
    load: Load,
}

/// Assigns engines. `window` is the number of operations on each side whose load counts.
///
/// # Errors
/// An instruction that no engine of the target runs: a defect of the lowering.
pub fn assign_engines(program: &mut Program, machine: &MachineModel, window: usize) -> Result<()> {
    // Loads of what has no choice, as prefix sums over the program.
    let mut fixed: Vec<Load> = Vec::with_capacity(program.ops.len() + 1);
    fixed.push([0; RESOURCES]);
    let mut choices: Vec<Vec<Choice>> = Vec::with_capacity(program.ops.len());
    for (index, op) in program.ops.iter().enumerate() {
        let options = choices_of(program, machine, op);
        if let (OpKind::Compute(inst), true) = (&op.kind, options.is_empty()) {
            return Err(Diagnostic::bug(format!(
                "no engine of {} runs tile operation {index} `{}` with these operands",
                machine.name,
                inst.name()
            ))
            .at(program.locs.get(op.loc)));
        }
        let mut sum = fixed[index];
        if let [only] = options.as_slice() {
            add(&mut sum, &only.load);
        }
        fixed.push(sum);
        choices.push(options);
    }

    // Loads of choices already made inside the window.
    let mut recent: VecDeque<(usize, Load)> = VecDeque::new();
    let mut chosen: Load = [0; RESOURCES];
    for (index, options) in choices.iter().enumerate() {
        while let Some(&(first, load)) = recent.front() {
            if first + window >= index {
                break;
            }
            recent.pop_front();
            (0..RESOURCES).for_each(|r| chosen[r] -= load[r]);
        }
        let (low, high) = (index.saturating_sub(window), (index + window).min(choices.len()));
        let around: Load = std::array::from_fn(|r| fixed[high][r] - fixed[low][r] + chosen[r]);
        if let OpKind::Compute(_) = program.ops[index].kind {
            let Some(best) = options.iter().min_by_key(|c| {
                let mut after = around;
                add(&mut after, &c.load);
                let worst = (0..RESOURCES).filter(|&r| c.load[r] > 0).map(|r| after[r]).max();
                (worst, c.load.iter().sum::<u64>())
            }) else {
                continue;
            };
            if options.len() > 1 {
                add(&mut chosen, &best.load);
                recent.push_back((index, best.load));
            }
            let op = &mut program.ops[index];
            op.engine = Some(best.engine);
            if let Some(activation) = &best.activation {
                op.kind = OpKind::Compute(activation.clone());
            }
        } else if program.ops[index].engine.is_none() && program.ops[index].control().is_none() {
            let engine = match &program.ops[index].kind {
                OpKind::Matmul { .. } => Engine::Tensor,
                OpKind::Indirect(_) => Engine::GpSimd,
                OpKind::Dma(pieces) => {
                    let into_sbuf = pieces.iter().any(|p| matches!(p.dst, Mem::Tile(_)));
                    if into_sbuf {
                        Engine::Sync
                    } else if around[Engine::GpSimd.index() - 1] <= around[Engine::Scalar.index() - 1] {
                        // A store waits for its data: it must not keep loads waiting behind it.
                        Engine::GpSimd
                    } else {
                        Engine::Scalar
                    }
                }
                OpKind::Compute(_) | OpKind::Control(_) => continue,
                OpKind::LoadTest { .. } => {
                    return Err(Diagnostic::bug(format!(
                        "tile operation {index} `load_test` names no engine"
                    )));
                }
            };
            program.ops[index].engine = Some(engine);
        }
    }
    Ok(())
}

fn add(sum: &mut Load, load: &Load) {
    (0..RESOURCES).for_each(|r| sum[r] += load[r]);
}

/// Every legal way to run a compute operation; empty for the others.
fn choices_of(program: &Program, machine: &MachineModel, op: &Op) -> Vec<Choice> {
    let OpKind::Compute(inst) = &op.kind else {
        return Vec::new();
    };
    let mut spaces: [bool; 2] = [false; 2];
    let mut psum_result = false;
    inst.for_each(|role, view| {
        let psum = program.tile(view.tile).space == Space::Psum;
        spaces[usize::from(psum)] = true;
        psum_result |= psum && role.writes();
    });
    let [sbuf, psum] = spaces;
    let load_of = |engine: Engine, cost: OpCost| {
        let mut load: Load = [0; RESOURCES];
        load[engine.index() - 1] = cost.occupancy;
        if machine.concurrency.vector_gpsimd_share_sbuf_exclusively
            && sbuf
            && matches!(engine, Engine::Vector | Engine::GpSimd)
        {
            load[SBUF_SHARED] = cost.data;
        }
        if machine.concurrency.vector_scalar_share_psum_exclusively
            && psum
            && matches!(engine, Engine::Vector | Engine::Scalar)
        {
            load[PSUM_SHARED] = cost.data;
        }
        load
    };
    if let Some(engine) = op.engine {
        let cost = op_cost(program, machine, op);
        return match engine {
            Engine::Vector | Engine::Scalar | Engine::GpSimd => vec![Choice {
                engine,
                activation: None,
                load: load_of(engine, cost),
            }],
            Engine::Tensor | Engine::Sync => Vec::new(),
        };
    }
    let mut choices = Vec::new();
    let candidates: &[Engine] = if is_exact_integer(inst) {
        &[Engine::GpSimd]
    } else {
        machine.inst_engines(inst)
    };
    for &engine in candidates {
        if psum && !(engine.reads(Space::Psum) && (!psum_result || engine.writes(Space::Psum))) {
            continue;
        }
        if engine == Engine::Scalar && !scalar_keeps_bits(machine, inst) {
            continue;
        }
        if let Some(cost) = inst_cost(program, machine, engine, inst) {
            choices.push(Choice {
                engine,
                activation: None,
                load: load_of(engine, cost),
            });
        }
    }
    if !choices.iter().any(|c| c.engine == Engine::Scalar)
        && let Some(activation) = as_activation(machine, inst)
        && let Some(cost) = inst_cost(program, machine, Engine::Scalar, &activation)
    {
        choices.push(Choice {
            engine: Engine::Scalar,
            activation: Some(activation),
            load: load_of(Engine::Scalar, cost),
        });
    }
    choices
}

/// The same computation as an activation without a function: a copy, or a product and a sum with scalars.
fn as_activation(machine: &MachineModel, inst: &Inst<View>) -> Option<Inst<View>> {
    let one = Scalar::f32(1.0);
    let (dst, src, scale, bias) = match inst {
        Inst::TensorCopy { dst, src } => (dst, src, one, Scalar::f32(0.0)),
        Inst::TensorScalar {
            dst,
            src,
            first,
            second,
        } => match (first.op, second) {
            (AluOp::Multiply, None) => (dst, src, first.scalar.clone(), Scalar::f32(0.0)),
            (AluOp::Multiply, Some(second)) => (dst, src, first.scalar.clone(), addend(second)?),
            (_, None) => (dst, src, one, addend(first)?),
            _ => return None,
        },
        _ => return None,
    };
    let fp32 = |s: &Scalar<View>| match s {
        Scalar::Imm(_) => true,
        Scalar::PerPartition(view) => view.dtype == DType::F32,
    };
    let constant = match &bias {
        Scalar::Imm(bits) => f32::from_bits(*bits) != 0.0,
        Scalar::PerPartition(_) => false,
    };
    let floats = is_small_float(dst.dtype) && is_small_float(src.dtype);
    let legal = fp32(&scale) && fp32(&bias) && (!constant || machine.scalar.bias_immediate);
    (floats && legal).then(|| Inst::Activation {
        dst: dst.clone(),
        src: src.clone(),
        func: ActFunc::Copy,
        scale,
        bias,
        accumulate: None,
    })
}

/// What a step adds, if that is what it does.
fn addend(step: &ScalarStep<View>) -> Option<Scalar<View>> {
    match (step.op, &step.scalar) {
        (AluOp::Add, scalar) => Some(scalar.clone()),
        (AluOp::Subtract, Scalar::Imm(bits)) if !step.reverse => Some(Scalar::f32(-f32::from_bits(*bits))),
        _ => None,
    }
}

/// Floating-point types that pass through fp32 unchanged.
fn is_small_float(dtype: DType) -> bool {
    dtype.is_float() && dtype.bytes() <= 4 && dtype != DType::TF32
}

fn is_int32(view: &View) -> bool {
    matches!(view.dtype, DType::I32 | DType::U32)
}

/// `tensor_tensor` arithmetic on 32-bit integers is exact on GpSimdE alone.
fn is_exact_integer(inst: &Inst<View>) -> bool {
    let Inst::TensorTensor { a, b, op, .. } = inst else {
        return false;
    };
    (is_int32(a) || is_int32(b)) && (!op.is_bitwise() || *op == AluOp::Power)
}

/// Whether ScalarE gives the same bits: it passes 32-bit integers through fp32 on some targets.
fn scalar_keeps_bits(machine: &MachineModel, inst: &Inst<View>) -> bool {
    if matches!(inst, Inst::Activation { .. }) || machine.scalar.exact_int32_copy {
        return true;
    }
    let mut wide = false;
    inst.for_each(|role, view| wide |= is_int32(view) && role != Role::ReadScalar);
    !wide
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Builder, f32_view, i32_view};
    use super::*;

    #[test]
    fn integer_arithmetic_goes_to_gpsimd_and_floats_are_balanced() {
        let machine = MachineModel::target("trn2").unwrap();
        let mut b = Builder::default();
        let x = b.sbuf(128, 4096);
        let y = b.sbuf(128, 4096);
        b.memset(&x, 4);
        b.tensor_tensor(
            i32_view(y, 128, 64),
            i32_view(x, 128, 64),
            i32_view(x, 128, 64),
            AluOp::Add,
        );
        for _ in 0..20 {
            b.copy(f32_view(y, 128, 512), f32_view(x, 128, 512));
        }
        let mut program = b.program;
        assign_engines(&mut program, &machine, 100).unwrap();
        assert_eq!(program.ops[1].engine, Some(Engine::GpSimd));
        let on = |e| program.ops[2..].iter().filter(|o| o.engine == Some(e)).count();
        assert!(
            on(Engine::Vector) > 3 && on(Engine::Scalar) > 3,
            "{}",
            on(Engine::Vector)
        );
    }

    #[test]
    fn psum_is_never_given_to_gpsimd() {
        let machine = MachineModel::target("inf2").unwrap();
        let mut b = Builder::default();
        let x = b.sbuf(128, 2048);
        b.memset(&x, 4);
        for _ in 0..10 {
            let p = b.psum(128, 2048);
            b.matmul(
                f32_view(p, 128, 512),
                f32_view(x, 128, 128),
                f32_view(x, 128, 512),
                false,
            );
            b.copy(f32_view(x, 128, 512), f32_view(p, 128, 512));
        }
        let mut program = b.program;
        assign_engines(&mut program, &machine, 100).unwrap();
        let copies = || {
            program
                .ops
                .iter()
                .filter(|o| matches!(o.kind, OpKind::Compute(_)))
                .skip(1)
        };
        assert!(copies().all(|o| o.engine != Some(Engine::GpSimd)));
        assert!(copies().any(|o| o.engine == Some(Engine::Scalar)));
        assert!(copies().any(|o| o.engine == Some(Engine::Vector)));
    }
}
