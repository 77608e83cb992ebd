//! Computes 64-bit values in 32 bits, which is what the engines have.
//!
//! Before                              After
//!   func @f(%0: i64) -> i64             func @f(%0: i64) -> i64
//!   %1 = add %0, %0 : i64               %1 = convert %0 : i32
//!                                       %2 = add %1, %1 : i32
//!                                       %3 = convert %2 : i64
//!
//! `i64` becomes `i32`, `u64` `u32`, `f64` `f32` and `complex<f64>` `complex<f32>`; with `--native-int64 enabled` integers
//! stay. Parameters and results keep their types. Random bits, bit casts and calls keep theirs too. A constant that
//! does not fit is refused (NCC_ESFH002), but for the ends of the 64-bit range, which become those of the 32-bit one: they
//! are neutral elements of `minimum` and `maximum` (our assumption).
//!
//! Needs: verified `hlo` after `inline`. Leaves: verified `hlo`.

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::dtype::{DType, DTypeClass};
use ferrite_ir::hlo::{Builder, ComparisonDirection, Module, OpId, OpKind, UnaryOp};
use ferrite_ir::literal::{Literal, int_range, read_f64, write_f64, write_i64};
use ferrite_ir::loc::{LocId, LocTable};

use super::retype::{Keep, Retype, retype};
use super::rewrite::{Rewrite, rewrite_module};
use crate::pass::{Changed, HloPass, PassContext};

/// See the module's own text.
pub struct Legalize64bit;

impl HloPass for Legalize64bit {
    const NAME: &'static str = "legalize-64bit";
    const DOC: &'static str =
        "Computes 64-bit integers and floats in 32 bits, with converts where parameters and results are 64 bits wide.";

    fn run(&self, module: &mut Module, cx: &mut PassContext<'_>) -> Result<Changed> {
        let counted = match cx.options.native_int64 {
            true => Changed::No,
            false => rewrite_module(module, count_bits)?,
        };
        let mut rule = Rule {
            native_int64: cx.options.native_int64,
            locs: &module.locs,
        };
        let mut changed = false;
        for func in &mut module.funcs {
            changed |= retype(func, &mut rule)?;
        }
        Ok(Changed::from_bool(changed || counted == Changed::Yes))
    }
}

/// Bits of 64 counted in 32: the upper half is that of the sign.
fn count_bits(b: &mut Builder<'_>, op: OpId) -> Result<Rewrite> {
    let OpKind::Unary(kind @ (UnaryOp::PopulationCount | UnaryOp::CountLeadingZeros)) = b.func.op(op).kind else {
        return Ok(Rewrite::Keep);
    };
    let x = b.func.op(op).operands[0];
    let dtype = b.tensor(x)?.dtype;
    let word = match dtype {
        DType::I64 => DType::I32,
        DType::U64 => DType::U32,
        _ => return Ok(Rewrite::Keep),
    };
    let x = b.convert(x, word)?;
    let lower = b.unary(kind, x)?;
    let half = b.like_i(lower, 32)?;
    let more = b.add(lower, half)?;
    let zero = b.like_i(x, 0)?;
    let negative = b.compare(ComparisonDirection::Lt, x, zero)?;
    let counted = match kind {
        UnaryOp::PopulationCount => b.select(negative, more, lower)?,
        _ => b.select(negative, lower, more)?,
    };
    Ok(b.convert(counted, dtype)?.into())
}

struct Rule<'m> {
    native_int64: bool,
    locs: &'m LocTable,
}

impl Retype for Rule<'_> {
    fn dtype(&self, dtype: DType) -> DType {
        match dtype {
            DType::I64 if !self.native_int64 => DType::I32,
            DType::U64 if !self.native_int64 => DType::U32,
            DType::F64 => DType::F32,
            DType::C128 => DType::C64,
            other => other,
        }
    }

    fn keep(&self, kind: &OpKind) -> Keep {
        use OpKind::*;
        match kind {
            RngBitGenerator(_) | BitcastConvert | Call(_) | Composite(_) | CustomCall(_) | UniformQuantize
            | UniformDequantize | Infeed(_) | Outfeed(_) | Send(_) | Recv(_) | AsyncStart | AsyncDone
            | ManualComputation(_) => Keep::Whole,
            _ => Keep::Nothing,
        }
    }

    fn constant(&mut self, literal: &Literal, dtype: DType, loc: LocId) -> Result<Literal> {
        let from = literal.ty().dtype;
        let ty = literal.ty().with_dtype(dtype);
        let size = dtype.bytes();
        let count = if literal.is_splat() { 1 } else { ty.element_count() };
        let mut bytes = vec![0u8; size * count];
        for (i, out) in bytes.chunks_exact_mut(size).enumerate() {
            let element = literal.element(i);
            match from.class() {
                DTypeClass::Float => write_f64(dtype, literal.get_f64(i), out),
                DTypeClass::Complex => {
                    let half = from.bytes() / 2;
                    let (real, imag) = out.split_at_mut(size / 2);
                    write_f64(DType::F32, read_f64(DType::F64, &element[..half]), real);
                    write_f64(DType::F32, read_f64(DType::F64, &element[half..]), imag);
                }
                _ => write_i64(dtype, self.fitting(literal.get_i64(i), from, dtype, loc)?, out),
            }
        }
        Literal::new(ty, bytes).ok_or_else(|| Diagnostic::bug("a narrowed constant has as many elements"))
    }
}

impl Rule<'_> {
    fn fitting(&self, value: i64, from: DType, to: DType, loc: LocId) -> Result<i64> {
        let value = match from {
            DType::U64 => i128::from(value as u64),
            _ => i128::from(value),
        };
        let (low, high) = int_range(from);
        let (new_low, new_high) = int_range(to);
        if value == low || value == high {
            return Ok(if value == low { new_low } else { new_high } as i64);
        }
        if (new_low..=new_high).contains(&value) {
            return Ok(value as i64);
        }
        let message = format!("the {from} constant {value} does not fit into {to}, in which it is computed");
        Err(Diagnostic::error(Code::Ncc("ESFH002"), message)
            .at(self.locs.get(loc))
            .help("use 32-bit integers in the model, or `--native-int64 enabled` where the target has them"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{module, ops, run, run_with};
    use super::*;
    use crate::options::CompileOptions;
    use ferrite_ir::hlo::{BinaryOp, TensorType, ValueId, Violation};

    fn add_constant(value: i64) -> Module {
        module(&[(DType::I64, &[4])], move |b, args| plus(b, args, value))
    }

    fn plus(b: &mut Builder<'_>, args: &[ValueId], value: i64) -> Result<Vec<ValueId>, Violation> {
        let c = b.constant_i(TensorType::new(DType::I64, &[4]), value);
        Ok(vec![b.add(args[0], c)?])
    }

    #[test]
    fn the_boundary_converts_and_the_inside_is_narrow() -> Result<()> {
        let mut m = add_constant(-7);
        assert_eq!(run(Legalize64bit, &mut m)?, Changed::Yes);
        assert_eq!(ops(&m), ["convert", "constant", "add", "convert"]);
        assert_eq!(m.output_types()[0].to_string(), "tensor<4xi64>");
        assert_eq!(run(Legalize64bit, &mut add_constant(i64::MIN))?, Changed::Yes);
        Ok(())
    }

    #[test]
    fn constants_beyond_32_bits_are_refused() {
        let error = run(Legalize64bit, &mut add_constant(1 << 40)).err();
        assert_eq!(error.map(|d| d.code), Some(Code::Ncc("ESFH002")));
    }

    #[test]
    fn native_integers_stay() -> Result<()> {
        let native = CompileOptions {
            native_int64: true,
            ..CompileOptions::default()
        };
        assert_eq!(
            run_with(Legalize64bit, &mut add_constant(1 << 40), &native)?,
            Changed::No
        );
        Ok(())
    }

    #[test]
    fn bodies_of_reductions_follow() -> Result<()> {
        let mut m = module(&[(DType::F64, &[4, 4])], |b, args| {
            Ok(vec![b.reduce(BinaryOp::Maximum, args[0], &[0])?])
        });
        run(Legalize64bit, &mut m)?;
        assert_eq!(ops(&m), ["convert", "constant", "reduce", "convert"]);
        Ok(())
    }

    #[test]
    fn a_parameter_that_is_returned_is_not_narrowed() -> Result<()> {
        let mut m = module(&[(DType::I64, &[4])], |_, args| Ok(vec![args[0]]));
        run(Legalize64bit, &mut m)?;
        let func = &m.funcs[0];
        assert_eq!(func.region(func.body()).results, func.args());
        Ok(())
    }
}
