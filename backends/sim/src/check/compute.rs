//! Judges the instructions of VectorE, ScalarE and GpSimdE.

use ferrite_ir::dtype::DType;
use ferrite_ir::isa::{AluOp, Ap, Engine, Inst, Role, Scalar, ScalarStep, Space};
use ferrite_ir::machine::MachineModel;

use super::operands::{Rule, must, operand};

/// Checks one instruction.
pub fn inst(engine: Engine, inst: &Inst<Ap>, model: &MachineModel) -> Rule {
    let engines = model.inst_engines(inst);
    if engines.is_empty() {
        return Err(format!("{} does not have it", model.core));
    }
    must!(engines.contains(&engine), "does not run on the {engine} engine");
    let mut result = Ok(());
    inst.for_each(|role, ap| {
        if result.is_ok() {
            result = match role {
                Role::Write | Role::WriteScalar => operand(engine, ap, "result", model, true),
                Role::Read | Role::ReadScalar => operand(engine, ap, "operand", model, false),
                Role::ReadWrite => operand(engine, ap, "result", model, true)
                    .and_then(|()| operand(engine, ap, "result", model, false)),
            };
        }
    });
    result?;
    let dst = inst.dst();
    match inst {
        Inst::Activation {
            src,
            scale,
            bias,
            accumulate,
            ..
        } => {
            same_shape(dst, src)?;
            scalar(scale, dst, &|d| d == DType::F32, "scale")?;
            scalar(bias, dst, &|d| d != DType::TF32, "bias")?;
            if let Scalar::Imm(bits) = bias {
                let zero = f32::from_bits(*bits) == 0.0;
                must!(
                    zero || model.scalar.bias_immediate,
                    "{} has no constant bias; it takes one per partition",
                    model.core
                );
            }
            if let Some(sum) = accumulate {
                must!(
                    sum.elements() == 1 && sum.partitions == dst.partitions,
                    "the sum has one element per partition"
                );
                must!(sum.dtype == DType::F32, "the sum is {}, not f32", sum.dtype);
            }
            Ok(())
        }
        Inst::TensorTensor { a, b, op, .. } => {
            same_shape(dst, a)?;
            same_shape(dst, b)?;
            not_both_psum(a, b, model)?;
            alu(*op, model)?;
            if op.is_bitwise() {
                integers(&[dst, a, b])
            } else {
                Ok(())
            }
        }
        Inst::TensorScalar { src, first, second, .. } => {
            same_shape(dst, src)?;
            step(first, dst, model)?;
            if let Some(second) = second {
                step(second, dst, model)?;
                must!(
                    first.op.is_bitwise() == second.op.is_bitwise(),
                    "mixes arithmetic and bit operations"
                );
            }
            if first.op.is_bitwise() {
                integers(&[dst, src])
            } else {
                Ok(())
            }
        }
        Inst::ScalarTensorTensor { src, first, b, op1, .. } => {
            same_shape(dst, src)?;
            same_shape(dst, b)?;
            not_both_psum(src, b, model)?;
            step(first, dst, model)?;
            arithmetic(first.op, model)?;
            arithmetic(*op1, model)
        }
        Inst::TensorTensorScan {
            a,
            b,
            initial,
            op0,
            op1,
            ..
        } => {
            same_shape(dst, a)?;
            same_shape(dst, b)?;
            not_both_psum(a, b, model)?;
            scalar(initial, dst, &|d| d == DType::F32, "initial value")?;
            arithmetic(*op0, model)?;
            arithmetic(*op1, model)
        }
        Inst::TensorReduce { src, op, dims, .. } => {
            same_partitions(dst, src)?;
            let dims = *dims as usize;
            must!(
                dims >= 1 && dims <= src.dims.len(),
                "reduces {dims} of {} dimensions",
                src.dims.len()
            );
            let kept: usize = src.dims[..src.dims.len() - dims]
                .iter()
                .map(|d| d.count as usize)
                .product();
            must!(
                dst.elements() == kept,
                "the result has {} elements, {kept} are left",
                dst.elements()
            );
            if op.is_bitwise() {
                must!(
                    !matches!(op, AluOp::ShiftLeft | AluOp::ShiftRight),
                    "does not reduce with `{}`",
                    op.name()
                );
                return integers(&[dst, src]);
            }
            let reduces = matches!(
                op,
                AluOp::Add | AluOp::Subtract | AluOp::Multiply | AluOp::Max | AluOp::Min
            ) || matches!(op, AluOp::LogicalAnd | AluOp::LogicalOr | AluOp::LogicalXor)
                || matches!(op, AluOp::AbsMax | AluOp::AbsMin);
            must!(reduces, "does not reduce with `{}`", op.name());
            alu(*op, model)
        }
        Inst::BnStats { src, .. } => {
            same_partitions(dst, src)?;
            must!(
                src.elements() as u64 <= model.limits.bn_stats_free_max,
                "{} elements per partition of at most {}",
                src.elements(),
                model.limits.bn_stats_free_max
            );
            must!(
                dst.elements() == 6 && dst.dtype == DType::F32,
                "the result is [P, 6] f32"
            );
            Ok(())
        }
        Inst::BnAggr { src, .. } => {
            same_partitions(dst, src)?;
            must!(
                src.elements().is_multiple_of(3) && src.dtype == DType::F32,
                "the operand is [P, 3 n] f32"
            );
            must!(
                dst.elements() == 2 && dst.dtype == DType::F32,
                "the result is [P, 2] f32"
            );
            Ok(())
        }
        Inst::TensorCopy { src, .. } => {
            same_shape(dst, src)?;
            let wide = src.dtype != dst.dtype
                || engine != Engine::Scalar
                || !matches!(src.dtype, DType::I32 | DType::U32)
                || model.scalar.exact_int32_copy;
            must!(
                wide,
                "the scalar engine of {} does not copy {} exactly",
                model.core,
                src.dtype
            );
            Ok(())
        }
        Inst::Memset { .. } => Ok(()),
        Inst::Reciprocal { src, .. } => same_shape(dst, src),
        Inst::CopyPredicated { src, pred, .. } => {
            same_shape(dst, src)?;
            same_shape(dst, pred)?;
            not_both_psum(src, pred, model)?;
            must!(dst.dtype == src.dtype, "copies {} into {}", src.dtype, dst.dtype);
            must!(
                is_integer(pred.dtype),
                "the predicate is {}, not an integer",
                pred.dtype
            );
            Ok(())
        }
        Inst::Transpose32 { src, .. } => {
            must!(dst.dtype == src.dtype, "transposes {} into {}", src.dtype, dst.dtype);
            let block = model.limits.vector_transpose_block as usize;
            let (p, f) = (src.partitions as usize, src.elements());
            let (dp, df) = (dst.partitions as usize, dst.elements());
            let blocks = p.is_multiple_of(block) && f.is_multiple_of(block) && (dp, df) == (p, f);
            let one = p <= block && f <= block && (dp, df) == (f, p);
            must!(
                blocks || one,
                "[{p}, {f}] into [{dp}, {df}]: whole blocks of {block} x {block}, or one smaller block"
            );
            Ok(())
        }
        Inst::StreamShuffle { src, mask, .. } => {
            same_shape(dst, src)?;
            let lanes = model.limits.quadrant_partitions as usize;
            must!(
                mask.len() == lanes,
                "the mask has {} lanes, a quadrant {lanes}",
                mask.len()
            );
            for (lane, &from) in mask.iter().enumerate() {
                let used = lane < src.partitions as usize && from != u8::MAX;
                let have = lanes.min(src.partitions as usize);
                must!(
                    !used || (from as usize) < have,
                    "lane {lane} reads lane {from} of {have}"
                );
            }
            must!(
                src.partitions as usize <= lanes || (src.partitions as usize).is_multiple_of(lanes),
                "{} partitions are no whole quadrants",
                src.partitions
            );
            Ok(())
        }
        Inst::Max8 { src, .. } => {
            same_partitions(dst, src)?;
            max8_range(src, model)?;
            must!(dst.elements() == 8, "the result has {} elements, not 8", dst.elements());
            Ok(())
        }
        Inst::FindIndex8 { src, values, .. } => {
            same_partitions(dst, src)?;
            same_partitions(dst, values)?;
            max8_range(src, model)?;
            must!(
                dst.elements() == 8 && values.elements() == 8,
                "8 values and 8 positions are needed"
            );
            must!(
                matches!(dst.dtype, DType::U16 | DType::U32),
                "positions are {}, not u16 or u32",
                dst.dtype
            );
            Ok(())
        }
        Inst::MatchReplace8 { src, values, .. } => {
            same_shape(dst, src)?;
            same_partitions(dst, values)?;
            max8_range(src, model)?;
            must!(values.elements() == 8, "{} values, not 8", values.elements());
            Ok(())
        }
        Inst::Iota { steps, .. } => sequence(dst, steps),
        Inst::AffineSelect {
            src, steps, compare, ..
        } => {
            same_shape(dst, src)?;
            sequence(dst, steps)?;
            let known = matches!(
                compare,
                AluOp::IsEqual | AluOp::NotEqual | AluOp::IsGe | AluOp::IsGt | AluOp::IsLe | AluOp::IsLt
            );
            must!(known, "`{}` is not a comparison", compare.name());
            Ok(())
        }
        Inst::NGather { src, index, .. } => {
            same_partitions(dst, src)?;
            same_shape(dst, index)?;
            must!(dst.dtype == src.dtype, "gathers {} into {}", src.dtype, dst.dtype);
            must!(
                matches!(index.dtype, DType::U32 | DType::I32),
                "the index is {}, not a 32-bit integer",
                index.dtype
            );
            Ok(())
        }
        Inst::PartitionReduce { src, op, .. } => {
            must!(
                dst.partitions == 1,
                "the result has {} partitions, not 1",
                dst.partitions
            );
            must!(
                dst.elements() == src.elements(),
                "the result has {} elements, the operand {}",
                dst.elements(),
                src.elements()
            );
            let known = matches!(op, AluOp::Add | AluOp::Max | AluOp::BitwiseAnd | AluOp::BitwiseOr);
            must!(known, "does not reduce with `{}`", op.name());
            if op.is_bitwise() { integers(&[dst, src]) } else { Ok(()) }
        }
    }
}

fn same_partitions(a: &Ap, b: &Ap) -> Rule {
    must!(
        a.partitions == b.partitions,
        "the result has {} partitions, an operand {}",
        a.partitions,
        b.partitions
    );
    Ok(())
}

fn same_shape(a: &Ap, b: &Ap) -> Rule {
    same_partitions(a, b)?;
    must!(
        a.elements() == b.elements(),
        "the result has {} elements per partition, an operand {}",
        a.elements(),
        b.elements()
    );
    Ok(())
}

fn not_both_psum(a: &Ap, b: &Ap, model: &MachineModel) -> Rule {
    let both = a.space == Space::Psum && b.space == Space::Psum;
    must!(!both || model.limits.two_psum_inputs, "both inputs are in PSUM");
    Ok(())
}

fn is_integer(dtype: DType) -> bool {
    dtype.is_int() || dtype == DType::Bool
}

/// Operands of bit operations: integers of one width.
fn integers(operands: &[&Ap]) -> Rule {
    for ap in operands {
        must!(is_integer(ap.dtype), "combines the bits of {}", ap.dtype);
        must!(
            ap.dtype.bytes() == operands[0].dtype.bytes(),
            "combines the bits of {} and {}",
            operands[0].dtype,
            ap.dtype
        );
    }
    Ok(())
}

/// An operator that this generation has.
fn alu(op: AluOp, model: &MachineModel) -> Rule {
    let absolute = matches!(op, AluOp::AbsMax | AluOp::AbsMin);
    must!(
        !absolute || model.vector.abs_max_min,
        "{} has no `{}`",
        model.core,
        op.name()
    );
    Ok(())
}

/// An arithmetic operator of VectorE.
fn arithmetic(op: AluOp, model: &MachineModel) -> Rule {
    must!(
        !op.is_bitwise() && op != AluOp::Power,
        "does not compute `{}`",
        op.name()
    );
    alu(op, model)
}

fn step(step: &ScalarStep<Ap>, dst: &Ap, model: &MachineModel) -> Rule {
    alu(step.op, model)?;
    let accepts: &dyn Fn(DType) -> bool = if step.op.is_bitwise() {
        &is_integer
    } else {
        &|d| d == DType::F32
    };
    scalar(&step.scalar, dst, accepts, "scalar")
}

fn scalar(scalar: &Scalar<Ap>, dst: &Ap, accepts: &dyn Fn(DType) -> bool, what: &str) -> Rule {
    let Scalar::PerPartition(ap) = scalar else {
        return Ok(());
    };
    must!(
        ap.elements() == 1,
        "the {what} has {} elements per partition",
        ap.elements()
    );
    must!(
        ap.partitions == dst.partitions,
        "the {what} has {} partitions, the result {}",
        ap.partitions,
        dst.partitions
    );
    must!(accepts(ap.dtype), "the {what} is {}", ap.dtype);
    Ok(())
}

fn max8_range(src: &Ap, model: &MachineModel) -> Rule {
    let (n, limits) = (src.elements() as u64, &model.limits);
    let ok = (limits.max8_free_min..=limits.max8_free_max).contains(&n);
    must!(
        ok,
        "{n} elements per partition; {} to {} are possible",
        limits.max8_free_min,
        limits.max8_free_max
    );
    Ok(())
}

fn sequence(dst: &Ap, steps: &[i32]) -> Rule {
    must!(
        steps.len() <= dst.dims.len().max(1),
        "{} steps for {} dimensions",
        steps.len(),
        dst.dims.len()
    );
    Ok(())
}
