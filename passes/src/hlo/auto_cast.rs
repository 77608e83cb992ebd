//! Computes `f32` operations in a smaller type, as `--auto-cast` and `--auto-cast-type` ask.
//!
//! Before (matmult, bf16)              After
//!   %2 = dot_general %0, %1 : f32       %3 = convert %0 : bf16
//!                                       %4 = convert %1 : bf16
//!                                       %2 = dot_general %3, %4 : (bf16, bf16) -> f32
//!
//! `matmult` casts the operands of contractions; they accumulate in `f32`. `all` computes every `f32` operation in the cast
//! type; contractions still accumulate in `f32`, and so do reductions, windows and normalisations while mixed-precision
//! accumulation is on. Only `f32` values are touched; parameters and results keep their types; a constant is stored in
//! the cast type; what lies beyond the range of `fp16` becomes infinite. TF32 is stored as FP32 and the other engines
//! compute in FP32 anyway, so `all` with `tf32` is `matmult` with `tf32` (our assumption).
//!
//! Needs: verified `hlo`. Leaves: verified `hlo`.
//! Never: touches programs without `f32`, or values of other types.

use ferrite_ir::diag::Result;
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{Module, OpKind, ValueId};
use ferrite_ir::literal::{Literal, write_f64};
use ferrite_ir::loc::LocId;

use super::retype::{Keep, Retype, retype};
use super::rewrite::{Rewrite, rewrite_module};
use crate::options::{AutoCast as Mode, CastType};
use crate::pass::{Changed, HloPass, PassContext};

/// See the module's own text. What to cast is in the options of the compilation.
pub struct AutoCast;

impl HloPass for AutoCast {
    const NAME: &'static str = "auto-cast";
    const DOC: &'static str = "Computes f32 contractions (matmult) or all f32 operations (all) in the type that --auto-cast-type names, accumulating in f32.";

    fn run(&self, module: &mut Module, cx: &mut PassContext<'_>) -> Result<Changed> {
        let to = cx.options.auto_cast_type;
        match cx.options.auto_cast {
            Mode::None => Ok(Changed::No),
            Mode::All if to != CastType::Tf32 => cast_all(module, to.dtype(), cx.options.mixed_precision_accumulation),
            Mode::Matmult | Mode::All => cast_contractions(module, to.dtype()),
        }
    }
}

/// Whether the operation runs on the matrix engine. The first two operands are its factors.
fn is_contraction(kind: &OpKind) -> bool {
    matches!(
        kind,
        OpKind::DotGeneral(_)
            | OpKind::Dot(_)
            | OpKind::RaggedDot(_)
            | OpKind::Convolution(_)
            | OpKind::DynamicConv(_)
            | OpKind::Einsum(_)
    )
}

fn cast_contractions(module: &mut Module, dtype: DType) -> Result<Changed> {
    rewrite_module(module, |b, op| {
        if !is_contraction(&b.func.op(op).kind) {
            return Ok(Rewrite::Keep);
        }
        let mut operands: Vec<ValueId> = b.func.op(op).operands.to_vec();
        let mut changed = false;
        for v in operands.iter_mut().take(2) {
            if b.tensor(*v)?.dtype == DType::F32 {
                *v = b.convert(*v, dtype)?;
                changed = true;
            }
        }
        if !changed {
            return Ok(Rewrite::Keep);
        }
        let kind = b.func.op(op).kind.clone();
        let ty = b.tensor(b.func.result(op))?.clone();
        Ok(b.op1_as(kind, &operands, ty)?.into())
    })
}

fn cast_all(module: &mut Module, dtype: DType, accumulate_in_f32: bool) -> Result<Changed> {
    let mut rule = Rule {
        dtype,
        accumulate_in_f32,
    };
    let mut changed = false;
    for func in &mut module.funcs {
        changed |= retype(func, &mut rule)?;
    }
    Ok(Changed::from_bool(changed))
}

struct Rule {
    dtype: DType,
    accumulate_in_f32: bool,
}

impl Retype for Rule {
    fn dtype(&self, dtype: DType) -> DType {
        if dtype == DType::F32 { self.dtype } else { dtype }
    }

    fn keep(&self, kind: &OpKind) -> Keep {
        use OpKind::*;
        match kind {
            _ if is_contraction(kind) => Keep::Results,
            Reduce(_)
            | ReduceWindow(_)
            | SelectAndScatter(_)
            | BatchNormTraining(_)
            | BatchNormInference(_)
            | BatchNormGrad(_)
                if self.accumulate_in_f32 =>
            {
                Keep::Whole
            }
            // Bits, other people's code, and what is not an f32 operation of the device.
            BitcastConvert
            | Complex
            | Unary(ferrite_ir::hlo::UnaryOp::Real | ferrite_ir::hlo::UnaryOp::Imag)
            | Call(_)
            | Composite(_)
            | CustomCall(_)
            | Cholesky(_)
            | TriangularSolve(_)
            | Fft(_)
            | Rng(_)
            | RngBitGenerator(_)
            | UniformQuantize
            | UniformDequantize
            | Infeed(_)
            | Outfeed(_)
            | Send(_)
            | Recv(_)
            | AsyncStart
            | AsyncDone
            | ManualComputation(_) => Keep::Whole,
            _ => Keep::Nothing,
        }
    }

    fn constant(&mut self, literal: &Literal, dtype: DType, _: LocId) -> Result<Literal> {
        Ok(converted(literal, dtype))
    }
}

/// A constant of real numbers in another float type, rounded to nearest even.
pub(crate) fn converted(literal: &Literal, dtype: DType) -> Literal {
    let ty = literal.ty().with_dtype(dtype);
    let size = dtype.bytes();
    let count = if literal.is_splat() { 1 } else { ty.element_count() };
    let mut bytes = vec![0u8; size * count];
    for (i, out) in bytes.chunks_exact_mut(size).enumerate() {
        write_f64(dtype, literal.get_f64(i), out);
    }
    Literal::new(ty.clone(), bytes).unwrap_or_else(|| Literal::splat_f64(ty, 0.0))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{module, ops, run_with};
    use super::*;
    use crate::options::CompileOptions;
    use ferrite_ir::hlo::{BinaryOp, Func, UnaryOp};

    fn options(auto_cast: Mode, auto_cast_type: CastType) -> CompileOptions {
        CompileOptions {
            auto_cast,
            auto_cast_type,
            ..CompileOptions::default()
        }
    }

    fn model() -> Module {
        module(&[(DType::F32, &[4, 8]), (DType::F32, &[8, 2])], |b, args| {
            let y = b.matmul(args[0], args[1])?;
            let y = b.unary(UnaryOp::Tanh, y)?;
            let z = b.reduce(BinaryOp::Add, y, &[0])?;
            Ok(vec![y, z])
        })
    }

    fn types(func: &Func, mnemonic: &str) -> Vec<String> {
        let body = func.region(func.body());
        let found = body.ops.iter().filter(|&&op| func.op(op).kind.mnemonic() == mnemonic);
        found
            .flat_map(|&op| {
                let op = func.op(op);
                op.operands.iter().chain(&op.results).map(|&v| func.ty(v).to_string())
            })
            .collect()
    }

    #[test]
    fn matmult_casts_operands_and_accumulates_wide() -> Result<()> {
        let mut m = model();
        run_with(AutoCast, &mut m, &options(Mode::Matmult, CastType::Bf16))?;
        assert_eq!(
            ops(&m),
            ["convert", "convert", "dot_general", "tanh", "constant", "reduce"]
        );
        let expected = ["tensor<4x8xbf16>", "tensor<8x2xbf16>", "tensor<4x2xf32>"];
        assert_eq!(types(&m.funcs[0], "stablehlo.dot_general"), expected);
        Ok(())
    }

    #[test]
    fn all_casts_everything_but_the_boundary_and_accumulation() -> Result<()> {
        let mut m = model();
        run_with(AutoCast, &mut m, &options(Mode::All, CastType::Fp16))?;
        let f = &m.funcs[0];
        assert_eq!(types(f, "stablehlo.tanh"), ["tensor<4x2xf16>", "tensor<4x2xf16>"]);
        assert_eq!(types(f, "stablehlo.dot_general")[2], "tensor<4x2xf32>");
        assert_eq!(types(f, "stablehlo.reduce")[0], "tensor<4x2xf32>");
        assert!(
            m.output_types()
                .iter()
                .all(|t| t.tensor().is_some_and(|t| t.dtype == DType::F32))
        );
        Ok(())
    }

    #[test]
    fn without_mixed_precision_reductions_accumulate_narrow() -> Result<()> {
        let mut m = model();
        let narrow = CompileOptions {
            mixed_precision_accumulation: false,
            ..options(Mode::All, CastType::Bf16)
        };
        run_with(AutoCast, &mut m, &narrow)?;
        assert_eq!(types(&m.funcs[0], "stablehlo.reduce")[0], "tensor<4x2xbf16>");
        Ok(())
    }

    #[test]
    fn other_types_and_none_change_nothing() -> Result<()> {
        let mut bf16 = module(&[(DType::BF16, &[4, 4])], |b, args| {
            Ok(vec![b.matmul(args[0], args[0])?])
        });
        let all = options(Mode::All, CastType::Fp16);
        assert_eq!(run_with(AutoCast, &mut bf16, &all)?, Changed::No);
        assert_eq!(
            run_with(AutoCast, &mut model(), &CompileOptions::default())?,
            Changed::No
        );
        Ok(())
    }
}
