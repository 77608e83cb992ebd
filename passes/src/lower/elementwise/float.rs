//! Arithmetic and functions of floats, with the special values of IEEE 754.
//!
//! VectorE ignores NaN in `max` and `min`, ScalarE's tables are wrong outside of their ranges (not NaN), so both are
//! mended here: operands are brought into range by powers of two and the result is scaled back, what is infinite, zero or
//! no number is put in afterwards.

use ferrite_ir::diag::Result;
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{BinaryOp, UnaryOp};
use ferrite_ir::tile::{ActFunc, AluOp, Inst, ScalarStep, View};

use super::{Arg, Extent};
use crate::lower::Lower;

/// What is known of the operands of an operation, or asked of its result.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::lower) struct Hint {
    /// The operand is never below this positive number (nor NaN, unless its row is so anyway).
    pub at_least: Option<f64>,
    /// The quotient is rounded to an integer or compared: it must be the nearest number, not one beside it.
    pub nearest_quotient: bool,
    /// All readers of a square root add at least this positive number to it.
    pub added: Option<f64>,
}

/// Smallest number from which on an `f32` has no fraction.
const WHOLE: f32 = 8_388_608.0;

fn power_of_two(exponent: i32) -> f32 {
    (exponent as f32).exp2()
}

impl Lower<'_> {
    /// `dst = (src op0 number) op1 b` in fp32; `src` a tile.
    fn step_tensor(&mut self, dst: &View, src: &Arg, first: (AluOp, f32), b: &Arg, op1: AluOp, e: Extent) {
        let src = self.tensor(src, e, DType::F32);
        let mut b = self.tensor(b, e, DType::F32);
        if self.in_psum(&src) && self.in_psum(&b) {
            b = self.tensor_as(&Self::tile(b, e), e, DType::F32);
        }
        self.inst(Inst::ScalarTensorTensor {
            dst: dst.clone(),
            src,
            first: ScalarStep::imm(first.0, first.1),
            b,
            op1,
            reverse1: false,
        });
    }

    fn step_tensor_f32(&mut self, src: &Arg, first: (AluOp, f32), b: &Arg, op1: AluOp, e: Extent) -> Arg {
        let dst = self.sbuf(e, DType::F32, "t");
        self.step_tensor(&dst, src, first, b, op1, e);
        Self::tile(dst, e)
    }

    /// Puts `number` into `dst` where the two steps on `x` give something else than 0.
    pub(super) fn put_where(
        &mut self,
        dst: &View,
        number: f64,
        x: &Arg,
        first: (AluOp, f32),
        second: (AluOp, f32),
        e: Extent,
    ) {
        let pred = self.two_step(DType::U8, x, first, second, e);
        let src = self.tensor(&Arg::Number(number), e, dst.dtype);
        let pred = self.tensor(&pred, e, DType::U8);
        self.inst(Inst::CopyPredicated {
            dst: dst.clone(),
            src,
            pred,
        });
    }

    /// `dst = y`, but NaN where `x` is: the sign of NaN is NaN, of all else finite.
    fn nan_of(&mut self, dst: &View, y: &Arg, x: &Arg, e: Extent) {
        let of = match x {
            Arg::Tile(v) if v.row => Extent { n: 1, ..e },
            Arg::Tile(_) => e,
            _ => return self.copy_to(dst, y, e),
        };
        let sign = self.sbuf(of, DType::F32, "sign");
        self.activate(&sign, x, ActFunc::Sign, 1.0, 0.0, of);
        if of.n == e.n {
            self.step_tensor(dst, &Self::tile(sign, e), (AluOp::Multiply, 0.0), y, AluOp::Add, e);
        } else {
            let nothing = self.alu_f32(&Self::tile(sign, of), &Arg::Number(0.0), AluOp::Multiply, of);
            self.alu(dst, y, &nothing, AluOp::Add, e);
        }
    }

    fn copy_to(&mut self, dst: &View, x: &Arg, e: Extent) {
        let src = self.tensor(x, e, dst.dtype);
        self.inst(Inst::TensorCopy { dst: dst.clone(), src });
    }

    pub(super) fn float_binary(&mut self, op: BinaryOp, dst: &View, a: &Arg, b: &Arg, e: Extent) -> Result<()> {
        let alu = match op {
            BinaryOp::Add => AluOp::Add,
            BinaryOp::Subtract => AluOp::Subtract,
            BinaryOp::Multiply => AluOp::Multiply,
            BinaryOp::Maximum => {
                self.extremum(AluOp::Max, dst, a, b, e);
                return Ok(());
            }
            BinaryOp::Minimum => {
                self.extremum(AluOp::Min, dst, a, b, e);
                return Ok(());
            }
            BinaryOp::Divide => {
                self.divide(dst, a, b, false, e);
                return Ok(());
            }
            other => {
                return self.unsupported(format!(
                    "`{}` of floats reached the lowering unexpanded",
                    other.mnemonic()
                ));
            }
        };
        self.alu(dst, a, b, alu, e);
        Ok(())
    }

    /// The larger or smaller number; NaN where one operand is.
    fn extremum(&mut self, op: AluOp, dst: &View, a: &Arg, b: &Arg, e: Extent) {
        if [a, b].into_iter().filter_map(Self::number).any(f64::is_nan) {
            return self.copy_to(dst, &Arg::Number(f64::NAN), e);
        }
        for (x, y) in [(a, b), (b, a)] {
            let (Arg::Tile(_), Some(bound)) = (x, Self::number(y)) else {
                continue;
            };
            let neutral = if op == AluOp::Max {
                f64::NEG_INFINITY
            } else {
                f64::INFINITY
            };
            if bound == neutral {
                return self.copy_to(dst, x, e);
            }
            if bound == 0.0 && op == AluOp::Max {
                return self.activate(dst, x, ActFunc::Relu, 1.0, 0.0, e);
            }
        }
        let (of_a, of_b) = (Self::number(a).is_none(), Self::number(b).is_none());
        let plain = self.alu_f32(a, b, op, e);
        if of_a && of_b {
            let half = self.sbuf(e, DType::F32, "t");
            self.nan_of(&half, &plain, a, e);
            self.nan_of(dst, &Self::tile(half, e), b, e);
        } else {
            self.nan_of(dst, &plain, if of_a { a } else { b }, e);
        }
    }

    /// `a / b` by a reciprocal: within 2 units in the last place, infinite where the divisor is a denormal number.
    /// `nearest` adds one step of correction.
    pub(in crate::lower) fn divide(&mut self, dst: &View, a: &Arg, b: &Arg, nearest: bool, e: Extent) {
        if let Some(divisor) = Self::number(b) {
            let divisor = divisor as f32;
            let exact = divisor != 0.0 && divisor.is_normal() && divisor.to_bits() << 9 == 0;
            if exact || (!nearest && divisor.is_normal()) {
                return self.alu(dst, a, &Arg::Number(1.0 / f64::from(divisor)), AluOp::Multiply, e);
            }
        }
        // One reciprocal per row where the divisor is one value per row.
        let of = match b {
            Arg::Tile(v) if !v.row => e,
            _ => Extent { n: 1, ..e },
        };
        let reciprocal = self.sbuf(of, DType::F32, "reciprocal");
        let src = self.tensor(b, of, DType::F32);
        self.inst(Inst::Reciprocal {
            dst: reciprocal.clone(),
            src,
        });
        let r = Arg::Tile(super::Val {
            view: reciprocal,
            row: of.n == 1,
        });
        if !nearest {
            return self.alu(dst, a, &r, AluOp::Multiply, e);
        }
        let quotient = self.alu_f32(a, &r, AluOp::Multiply, e);
        let b = Self::tile(self.tensor_as(b, e, DType::F32), e);
        let rest = self.residual(a, &quotient, &b, e);
        let step = self.alu_f32(&rest, &r, AluOp::Multiply, e);
        let better = self.alu_f32(&quotient, &step, AluOp::Add, e);
        // Infinities leave no number as their rest: the first quotient stands where the second is NaN.
        self.copy_to(dst, &quotient, e);
        let pred = self.sbuf(e, DType::U8, "number");
        self.alu(&pred, &better, &better, AluOp::IsEqual, e);
        let src = self.tensor_as(&better, e, dst.dtype);
        self.inst(Inst::CopyPredicated {
            dst: dst.clone(),
            src,
            pred,
        });
    }

    /// `a - q b`, nearly exact: each factor is cut into halves of 12 bits, whose products are numbers.
    fn residual(&mut self, a: &Arg, q: &Arg, b: &Arg, e: Extent) -> Arg {
        let mut halves = |x: &Arg| {
            let src = self.tensor_as(x, e, DType::F32);
            let high = self.sbuf(e, DType::F32, "high");
            let bits = View {
                dtype: DType::U32,
                ..high.clone()
            };
            let src = View {
                dtype: DType::U32,
                ..src
            };
            self.bits(
                &bits,
                &Self::tile(src, e),
                &Arg::Integer(0xffff_f000),
                AluOp::BitwiseAnd,
                e,
            );
            let high = Self::tile(high, e);
            let low = self.alu_f32(x, &high, AluOp::Subtract, e);
            (high, low)
        };
        let ((qh, ql), (bh, bl)) = (halves(q), halves(b));
        let mut rest = a.clone();
        for (x, y) in [(&qh, &bh), (&qh, &bl), (&ql, &bh), (&ql, &bl)] {
            let product = self.alu_f32(x, y, AluOp::Multiply, e);
            rest = self.alu_f32(&rest, &product, AluOp::Subtract, e);
        }
        rest
    }

    /// Raw bits of an `f32` operand, as integers.
    fn bits_view(&mut self, x: &Arg, e: Extent) -> Arg {
        let view = self.tensor_as(x, e, DType::F32);
        Self::tile(
            View {
                dtype: DType::U32,
                ..view
            },
            e,
        )
    }

    /// Rounds to the nearest even integer, as f32: adding and subtracting 2^23 does it for magnitudes below 2^23, and
    /// larger numbers are whole. The sign is put back, that of zero too.
    pub(super) fn round_even(&mut self, x: &Arg, e: Extent) -> Arg {
        let x = self.bits_view(x, e);
        let magnitude = self.sbuf(e, DType::U32, "abs");
        self.bits(&magnitude, &x, &Arg::Integer(0x7fff_ffff), AluOp::BitwiseAnd, e);
        let magnitude = Self::tile(
            View {
                dtype: DType::F32,
                ..magnitude
            },
            e,
        );
        let magic = self.two_step(
            DType::F32,
            &magnitude,
            (AluOp::IsLt, WHOLE),
            (AluOp::Multiply, WHOLE),
            e,
        );
        // Two instructions: the sum must be rounded to fp32 in between, which a tile does for certain.
        let up = self.alu_f32(&magnitude, &magic, AluOp::Add, e);
        let rounded = self.alu_f32(&up, &magic, AluOp::Subtract, e);
        let sign = self.sbuf(e, DType::U32, "sign");
        self.bits(&sign, &x, &Arg::Integer(0x8000_0000), AluOp::BitwiseAnd, e);
        let dst = self.sbuf(e, DType::U32, "round");
        let rounded = self.bits_view(&rounded, e);
        self.bits(&dst, &rounded, &Self::tile(sign, e), AluOp::BitwiseOr, e);
        Self::tile(
            View {
                dtype: DType::F32,
                ..dst
            },
            e,
        )
    }

    /// Rounds towards zero.
    pub(super) fn truncate(&mut self, x: &Arg, e: Extent) -> Arg {
        let magnitude = self.sbuf(e, DType::F32, "abs");
        self.activate(&magnitude, x, ActFunc::Abs, 1.0, 0.0, e);
        let magnitude = Self::tile(magnitude, e);
        let magic = self.two_step(
            DType::F32,
            &magnitude,
            (AluOp::IsLt, WHOLE),
            (AluOp::Multiply, WHOLE),
            e,
        );
        let up = self.alu_f32(&magnitude, &magic, AluOp::Add, e);
        let rounded = self.alu_f32(&up, &magic, AluOp::Subtract, e);
        let above = self.alu_f32(&rounded, &magnitude, AluOp::IsGt, e);
        let down = self.alu_f32(&rounded, &above, AluOp::Subtract, e);
        let sign = self.sbuf(e, DType::F32, "sign");
        self.activate(&sign, x, ActFunc::Sign, 1.0, 0.0, e);
        self.alu_f32(&down, &Self::tile(sign, e), AluOp::Multiply, e)
    }

    fn floor(&mut self, x: &Arg, e: Extent) -> Arg {
        let rounded = self.round_even(x, e);
        let above = self.alu_f32(&rounded, x, AluOp::IsGt, e);
        self.alu_f32(&rounded, &above, AluOp::Subtract, e)
    }

    pub(super) fn float_unary(
        &mut self,
        op: UnaryOp,
        from: DType,
        dst: &View,
        x: &Arg,
        hint: Hint,
        e: Extent,
    ) -> Result<()> {
        let func = match op {
            UnaryOp::Abs => ActFunc::Abs,
            UnaryOp::Exponential => ActFunc::Exp,
            UnaryOp::Tanh => ActFunc::Tanh,
            UnaryOp::Logistic => ActFunc::Sigmoid,
            UnaryOp::Erf => ActFunc::Erf,
            UnaryOp::Sign => ActFunc::Sign,
            UnaryOp::Negate => {
                self.alu(dst, x, &Arg::Number(-1.0), AluOp::Multiply, e);
                return Ok(());
            }
            UnaryOp::Log => {
                self.log(from, dst, x, e);
                return Ok(());
            }
            UnaryOp::Sqrt | UnaryOp::Rsqrt => {
                self.root(op == UnaryOp::Rsqrt, from, dst, x, hint, e);
                return Ok(());
            }
            UnaryOp::Sine | UnaryOp::Cosine => {
                self.sine(op == UnaryOp::Cosine, dst, x, e);
                return Ok(());
            }
            UnaryOp::Floor => {
                let y = self.floor(x, e);
                self.copy_to(dst, &y, e);
                return Ok(());
            }
            UnaryOp::Ceil => {
                let negated = self.alu_f32(x, &Arg::Number(-1.0), AluOp::Multiply, e);
                let y = self.floor(&negated, e);
                self.alu(dst, &y, &Arg::Number(-1.0), AluOp::Multiply, e);
                return Ok(());
            }
            UnaryOp::RoundNearestEven => {
                let y = self.round_even(x, e);
                self.copy_to(dst, &y, e);
                return Ok(());
            }
            UnaryOp::IsFinite => {
                let magnitude = self.sbuf(e, DType::F32, "abs");
                self.activate(&magnitude, x, ActFunc::Abs, 1.0, 0.0, e);
                let infinity = Arg::Number(f64::INFINITY);
                self.alu(dst, &Self::tile(magnitude, e), &infinity, AluOp::IsLt, e);
                return Ok(());
            }
            other => {
                return self.unsupported(format!(
                    "`{}` of floats reached the lowering unexpanded",
                    other.mnemonic()
                ));
            }
        };
        self.activate(dst, x, func, 1.0, 0.0, e);
        Ok(())
    }

    /// The range that a function's table takes, as operands; all numbers if it takes them.
    fn range(&self, func: ActFunc) -> (f32, f32) {
        self.machine.function_range(func.name()).unwrap_or((0.0, f32::INFINITY))
    }

    /// Square root or its reciprocal. Numbers below 1 are scaled up and others down by an even power of two, so that
    /// every `f32` is in the table's range.
    fn root(&mut self, reciprocal: bool, from: DType, dst: &View, x: &Arg, hint: Hint, e: Extent) {
        let func = if reciprocal { ActFunc::Rsqrt } else { ActFunc::Sqrt };
        let (low, high) = self.range(func);
        if reciprocal && hint.at_least.is_some_and(|least| least >= f64::from(low)) {
            // What is never small: a variance with an epsilon. Beyond the range's upper end the result is 0 for all uses.
            let clamped = self.two_step(DType::F32, x, (AluOp::Max, low), (AluOp::Min, high), e);
            self.activate(dst, &clamped, func, 1.0, 0.0, e);
            return;
        }
        if let Some(added) = hint.added.filter(|_| !reciprocal)
            && self.root_beside(dst, x, added, e)
        {
            return;
        }
        let narrow = from == DType::F16; // all of it is in the range
        let (up, down) = if reciprocal { (74, -48) } else { (48, -48) };
        let scaled = if narrow {
            x.clone()
        } else {
            let small = (AluOp::IsLt, 1.0);
            let factor = self.two_step(DType::F32, x, small, (AluOp::Multiply, power_of_two(up)), e);
            self.step_tensor_f32(&factor, (AluOp::Max, power_of_two(down)), x, AluOp::Multiply, e)
        };
        let clamped = self.two_step(DType::F32, &scaled, (AluOp::Max, low), (AluOp::Min, high), e);
        let root = self.sbuf(e, DType::F32, "root");
        self.activate(&root, &clamped, func, 1.0, 0.0, e);
        let mut result = Self::tile(root, e);
        if !narrow {
            let (small, large) = if reciprocal {
                (up / 2, down / 2)
            } else {
                (-up / 2, -down / 2)
            };
            // The larger of both factors is chosen by a comparison, the smaller one stands for the rest.
            let (test, most, least) = if reciprocal {
                (AluOp::IsLt, small, large)
            } else {
                (AluOp::IsGe, large, small)
            };
            let factor = self.two_step(DType::F32, x, (test, 1.0), (AluOp::Multiply, power_of_two(most)), e);
            result = self.step_tensor_f32(&factor, (AluOp::Max, power_of_two(least)), &result, AluOp::Multiply, e);
        }
        if reciprocal {
            // Infinity gives 0; zero an infinity of its sign, as a product of the largest numbers.
            result = self.step_tensor_f32(x, (AluOp::IsLt, f32::INFINITY), &result, AluOp::Multiply, e);
            let huge = self.two_step(DType::F32, x, (AluOp::IsEqual, 0.0), (AluOp::Multiply, f32::MAX), e);
            result = self.step_tensor_f32(&huge, (AluOp::Max, 1.0), &result, AluOp::Multiply, e);
            result = self.with_sign_of(&result, x, e);
            self.copy_to(dst, &result, e);
        } else {
            // Zero and infinity are their own roots: the numbers that their halves equal.
            self.copy_to(dst, &result, e);
            let same = self.sbuf(e, DType::U8, "same");
            self.step_tensor(&same, x, (AluOp::Multiply, 0.5), x, AluOp::IsEqual, e);
            let src = self.tensor_as(x, e, dst.dtype);
            self.inst(Inst::CopyPredicated {
                dst: dst.clone(),
                src,
                pred: same,
            });
        }
        // What is not at least 0 has no root, NaN included.
        self.put_where(dst, f64::NAN, x, (AluOp::IsGe, 0.0), (AluOp::IsEqual, 0.0), e);
    }

    /// Square root where a number is added to it that hides what the table's lower end gets wrong: an optimizer's
    /// denominator. Returns `false`, with nothing emitted, if the number is too small for that.
    fn root_beside(&mut self, dst: &View, x: &Arg, added: f64, e: Extent) -> bool {
        let (low, high) = self.range(ActFunc::Sqrt);
        // An even power of two that brings the largest number into the range.
        let excess = (f64::from(f32::MAX).log2() - f64::from(high).log2()).ceil().max(0.0) as i32;
        let shift = (excess + 1) / 2 * 2;
        let least = f64::from(low).sqrt() * f64::from(power_of_two(shift / 2));
        // Half a unit in the last place of the sum.
        if least > added * f64::from(f32::EPSILON) / 4.0 {
            return false;
        }
        let clamped = self.two_step(DType::F32, x, (AluOp::Max, 0.0), (AluOp::Min, f32::MAX), e);
        let root = self.sbuf(e, DType::F32, "root");
        self.activate(&root, &clamped, ActFunc::Sqrt, power_of_two(-shift), low, e);
        self.alu(
            dst,
            &Self::tile(root, e),
            &Arg::Number(f64::from(power_of_two(shift / 2))),
            AluOp::Multiply,
            e,
        );
        // Infinity is its own root; NaN and what is negative have none.
        let other = self.sbuf(e, dst.dtype, "other");
        let (x_view, clamped) = (self.tensor(x, e, DType::F32), self.tensor(&clamped, e, DType::F32));
        self.inst(Inst::TensorScalar {
            dst: other.clone(),
            src: x_view.clone(),
            first: ScalarStep::imm(AluOp::IsGe, 0.0),
            second: Some(ScalarStep::imm(AluOp::Multiply, f32::INFINITY)),
        });
        let differs = self.sbuf(e, DType::U8, "differs");
        self.inst(Inst::TensorTensor {
            dst: differs.clone(),
            a: clamped,
            b: x_view,
            op: AluOp::NotEqual,
        });
        self.inst(Inst::CopyPredicated {
            dst: dst.clone(),
            src: other,
            pred: differs,
        });
        true
    }

    /// A magnitude with the sign bit of another number set.
    fn with_sign_of(&mut self, magnitude: &Arg, sign: &Arg, e: Extent) -> Arg {
        let (magnitude, sign) = (self.bits_view(magnitude, e), self.bits_view(sign, e));
        let bit = self.sbuf(e, DType::U32, "sign");
        self.bits(&bit, &sign, &Arg::Integer(0x8000_0000), AluOp::BitwiseAnd, e);
        let dst = self.sbuf(e, DType::U32, "signed");
        self.bits(&dst, &magnitude, &Self::tile(bit, e), AluOp::BitwiseOr, e);
        Self::tile(
            View {
                dtype: DType::F32,
                ..dst
            },
            e,
        )
    }

    /// Natural logarithm. Small and large numbers are scaled into the table's range, and the scale's logarithm is taken off.
    fn log(&mut self, from: DType, dst: &View, x: &Arg, e: Extent) {
        const SCALE: i32 = 90;
        const EDGE: i32 = 60;
        let (low, high) = self.range(ActFunc::Log);
        let mut scaled = x.clone();
        let mut factors = None;
        if from != DType::F16 {
            let (small, large) = (power_of_two(-EDGE), power_of_two(EDGE));
            let up = self.two_step(
                DType::F32,
                x,
                (AluOp::IsLt, small),
                (AluOp::Multiply, power_of_two(SCALE)),
                e,
            );
            scaled = self.step_tensor_f32(&up, (AluOp::Max, 1.0), x, AluOp::Multiply, e);
            let down = self.two_step(
                DType::F32,
                x,
                (AluOp::IsLe, large),
                (AluOp::Max, power_of_two(-SCALE)),
                e,
            );
            scaled = self.alu_f32(&scaled, &down, AluOp::Multiply, e);
            factors = Some((up, large));
        }
        let clamped = self.two_step(DType::F32, &scaled, (AluOp::Max, low), (AluOp::Min, high), e);
        let log = self.sbuf(e, DType::F32, "log");
        self.activate(&log, &clamped, ActFunc::Log, 1.0, 0.0, e);
        let mut result = Self::tile(log, e);
        if let Some((up, large)) = factors {
            let shift = (f64::from(SCALE) * std::f64::consts::LN_2) as f32;
            let per_unit = (AluOp::Multiply, -shift * power_of_two(-SCALE));
            result = self.step_tensor_f32(&up, per_unit, &result, AluOp::Add, e);
            let more = self.two_step(DType::F32, x, (AluOp::IsGt, large), (AluOp::Multiply, shift), e);
            result = self.alu_f32(&result, &more, AluOp::Add, e);
        }
        self.copy_to(dst, &result, e);
        let yes = (AluOp::Max, 0.0);
        self.put_where(dst, f64::NEG_INFINITY, x, (AluOp::IsEqual, 0.0), yes, e);
        self.put_where(dst, f64::INFINITY, x, (AluOp::IsEqual, f32::INFINITY), yes, e);
        self.put_where(dst, f64::NAN, x, (AluOp::IsGe, 0.0), (AluOp::IsEqual, 0.0), e);
    }

    /// Sine or cosine with the argument reduced to [-pi, pi] by parts of 2 pi (Cody and Waite): for magnitudes to 2^18.
    /// Infinities and NaN give NaN.
    fn sine(&mut self, cosine: bool, dst: &View, x: &Arg, e: Extent) {
        let turns = self.alu_f32(x, &Arg::Number(1.0 / std::f64::consts::TAU), AluOp::Multiply, e);
        let turns = self.round_even(&turns, e);
        let mut rest = x.clone();
        // 2 pi = 6.28125 + 0.0019350051879882812 + 3.0199e-7: the first two have few enough bits for exact products.
        let (first, second) = (6.28125f64, 1.935_005_187_988_281_2e-3f64);
        for piece in [first, second, std::f64::consts::TAU - first - second] {
            rest = self.step_tensor_f32(&turns, (AluOp::Multiply, -piece as f32), &rest, AluOp::Add, e);
        }
        let pi = std::f32::consts::PI;
        let rest = self.two_step(DType::F32, &rest, (AluOp::Max, -pi), (AluOp::Min, pi), e);
        let y = self.sbuf(e, DType::F32, "sine");
        if cosine {
            // cos r = sin(pi / 2 - |r|), whose argument lies in [-pi / 2, pi / 2].
            let magnitude = self.sbuf(e, DType::F32, "abs");
            self.activate(&magnitude, &rest, ActFunc::Abs, 1.0, 0.0, e);
            let quarter = std::f32::consts::FRAC_PI_2;
            self.activate(&y, &Self::tile(magnitude, e), ActFunc::Sin, -1.0, quarter, e);
        } else {
            self.activate(&y, &rest, ActFunc::Sin, 1.0, 0.0, e);
        }
        self.step_tensor(dst, x, (AluOp::Multiply, 0.0), &Self::tile(y, e), AluOp::Add, e);
    }
}
