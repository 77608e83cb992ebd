//! Integers: exact over their whole range, with wraparound.

use ferrite_ir::diag::Result;
use ferrite_ir::dtype::{DType, DTypeClass};
use ferrite_ir::hlo::{BinaryOp, ComparisonDirection, UnaryOp};
use ferrite_ir::tile::{ActFunc, AluOp, Inst, Scalar, ScalarStep, View};

use super::{Arg, Extent, is_wide_int};
use crate::lower::Lower;

impl Lower<'_> {
    pub(super) fn int_binary(&mut self, op: BinaryOp, dst: &View, a: &Arg, b: &Arg, e: Extent) -> Result<()> {
        let dtype = dst.dtype;
        let bitwise = match op {
            BinaryOp::And => Some(AluOp::BitwiseAnd),
            BinaryOp::Or => Some(AluOp::BitwiseOr),
            BinaryOp::Xor => Some(AluOp::BitwiseXor),
            BinaryOp::ShiftLeft => Some(AluOp::ShiftLeft),
            BinaryOp::ShiftRightLogical => Some(AluOp::ShiftRight),
            _ => None,
        };
        if let Some(alu) = bitwise {
            if matches!(op, BinaryOp::ShiftLeft | BinaryOp::ShiftRightLogical) {
                return self.shift(alu, dst, a, b, e);
            }
            self.bits(dst, a, b, alu, e);
            return Ok(());
        }
        match op {
            BinaryOp::Add | BinaryOp::Subtract | BinaryOp::Multiply => {
                let alu = match op {
                    BinaryOp::Add => AluOp::Add,
                    BinaryOp::Subtract => AluOp::Subtract,
                    _ => AluOp::Multiply,
                };
                if is_wide_int(dtype) {
                    let (a, b) = (self.tensor_as(a, e, dtype), self.tensor_as(b, e, dtype));
                    self.inst(Inst::TensorTensor {
                        dst: dst.clone(),
                        a,
                        b,
                        op: alu,
                    });
                } else {
                    // Narrow integers: exact in 32 bits, then wrapped.
                    let wide = self.sbuf(e, DType::I32, "wide");
                    let (a, b) = (self.tensor_as(a, e, DType::I32), self.tensor_as(b, e, DType::I32));
                    self.inst(Inst::TensorTensor {
                        dst: wide.clone(),
                        a,
                        b,
                        op: alu,
                    });
                    self.wrap(dst, dst.dtype, wide, e);
                }
            }
            BinaryOp::Maximum | BinaryOp::Minimum => {
                if !is_wide_int(dtype) {
                    let alu = if op == BinaryOp::Maximum {
                        AluOp::Max
                    } else {
                        AluOp::Min
                    };
                    self.alu(dst, a, b, alu, e);
                    return Ok(());
                }
                let greater = self.compare_ints(ComparisonDirection::Gt, dtype, a, b, e);
                let (yes, no) = if op == BinaryOp::Maximum { (a, b) } else { (b, a) };
                self.select_into(dst, &greater, yes, no, e);
            }
            BinaryOp::Divide | BinaryOp::Remainder => self.divide_ints(op == BinaryOp::Remainder, dst, a, b, e)?,
            BinaryOp::ShiftRightArithmetic => {
                // Negative numbers are shifted as their complement; by at most the width less one.
                let by = match b {
                    Arg::Integer(by) if (0..dtype.bits() as i64).contains(by) => b.clone(),
                    Arg::Integer(_) => Arg::Integer(dtype.bits() as i64 - 1),
                    _ => {
                        let most = self.sbuf(e, DType::U32, "amount");
                        let b = Self::tile(self.unsigned(b, dtype, e), e);
                        self.int_binary(BinaryOp::Minimum, &most, &b, &Arg::Integer(dtype.bits() as i64 - 1), e)?;
                        Self::tile(most, e)
                    }
                };
                // Narrow integers are extended from their highest bit, so the shift of the word is theirs.
                let word = if is_wide_int(dtype) { dtype } else { DType::I32 };
                let mut a = Self::tile(self.tensor_as(a, e, word), e);
                if !is_wide_int(dtype) && dtype.class() == DTypeClass::Unsigned {
                    let unused = Arg::Integer(32 - dtype.bits() as i64);
                    let up = self.sbuf(e, word, "up");
                    self.bits(&up, &a, &unused, AluOp::ShiftLeft, e);
                    let extended = self.sbuf(e, word, "extended");
                    self.int_binary(
                        BinaryOp::ShiftRightArithmetic,
                        &extended,
                        &Self::tile(up, e),
                        &unused,
                        e,
                    )?;
                    a = Self::tile(extended, e);
                }
                let sign = self.sign_mask(&a, e);
                let flipped = self.sbuf(e, word, "flipped");
                self.bits(&flipped, &a, &sign, AluOp::BitwiseXor, e);
                let shifted = self.sbuf(e, word, "shifted");
                self.bits(&shifted, &Self::tile(flipped, e), &by, AluOp::ShiftRight, e);
                if is_wide_int(dtype) {
                    self.bits(dst, &Self::tile(shifted, e), &sign, AluOp::BitwiseXor, e);
                } else {
                    let wide = self.sbuf(e, word, "wide");
                    self.bits(&wide, &Self::tile(shifted, e), &sign, AluOp::BitwiseXor, e);
                    self.wrap(dst, dtype, wide, e);
                }
            }
            other => {
                return self.unsupported(format!("`{}` of `{dtype}` has no lowering yet", other.mnemonic()));
            }
        }
        Ok(())
    }

    /// All ones where a 32-bit integer is negative, else 0.
    pub(in crate::lower) fn sign_mask(&mut self, x: &Arg, e: Extent) -> Arg {
        let top = self.sbuf(e, DType::I32, "top");
        self.bits(&top, x, &Arg::Integer(31), AluOp::ShiftRight, e);
        let mask = self.sbuf(e, DType::I32, "sign");
        let zero = self.tensor(&Arg::Integer(0), e, DType::I32);
        self.inst(Inst::TensorTensor {
            dst: mask.clone(),
            a: zero,
            b: top,
            op: AluOp::Subtract,
        });
        Self::tile(mask, e)
    }

    /// `op` on 32-bit integers where it is exact (GpSimd).
    pub(super) fn exact(&mut self, op: AluOp, dtype: DType, a: &Arg, b: &Arg, e: Extent) -> Arg {
        let dst = self.sbuf(e, dtype, "int");
        let (a, b) = (self.tensor_as(a, e, dtype), self.tensor_as(b, e, dtype));
        self.inst(Inst::TensorTensor {
            dst: dst.clone(),
            a,
            b,
            op,
        });
        Self::tile(dst, e)
    }

    /// Truncating division and remainder. Magnitudes are divided by approximate quotients in fp32 that are never too
    /// large, three times, which leaves less than three divisors; then two exact steps finish. Division by zero gives
    /// all ones and the dividend, as XLA defines it.
    pub(super) fn divide_ints(&mut self, remainder: bool, dst: &View, a: &Arg, b: &Arg, e: Extent) -> Result<()> {
        let dtype = dst.dtype;
        if !is_wide_int(dtype) {
            let wide = self.sbuf(e, DType::I32, "wide");
            let (a, b) = (self.tensor_as(a, e, DType::I32), self.tensor_as(b, e, DType::I32));
            self.divide_ints(remainder, &wide, &Self::tile(a, e), &Self::tile(b, e), e)?;
            self.wrap(dst, dst.dtype, wide, e);
            return Ok(());
        }
        let signed = dtype == DType::I32;
        let word = DType::U32;
        let magnitude = |this: &mut Self, x: &Arg| -> (Arg, Option<Arg>) {
            let x = Self::tile(this.tensor_as(x, e, dtype), e);
            if !signed {
                return (x, None);
            }
            let sign = this.sign_mask(&x, e);
            let flipped = this.sbuf(e, DType::I32, "flipped");
            this.bits(&flipped, &x, &sign, AluOp::BitwiseXor, e);
            (
                this.exact(AluOp::Subtract, DType::I32, &Self::tile(flipped, e), &sign, e),
                Some(sign),
            )
        };
        let ((n, sign_n), (d, sign_d)) = (magnitude(self, a), magnitude(self, b));
        let divisor = self.tensor_as(&d, e, word);
        let reciprocal = self.sbuf(e, DType::F32, "reciprocal");
        let float = self.sbuf(e, DType::F32, "float");
        self.inst(Inst::TensorCopy {
            dst: float.clone(),
            src: divisor,
        });
        self.inst(Inst::Reciprocal {
            dst: reciprocal.clone(),
            src: float,
        });
        let mut rest = n;
        let mut quotient: Option<Arg> = None;
        for _ in 0..3 {
            let from = self.tensor_as(&rest, e, word);
            let float = self.sbuf(e, DType::F32, "float");
            self.inst(Inst::TensorCopy {
                dst: float.clone(),
                src: from,
            });
            // A little less than the quotient, so that rounding on the way cannot make it too large.
            let less = self.sbuf(e, DType::F32, "less");
            self.inst(Inst::ScalarTensorTensor {
                dst: less.clone(),
                src: float,
                first: ScalarStep::imm(AluOp::Multiply, 1.0 - 2f32.powi(-20)),
                b: reciprocal.clone(),
                op1: AluOp::Multiply,
                reverse1: false,
            });
            let down = self.two_step(
                DType::F32,
                &Self::tile(less, e),
                (AluOp::Subtract, 0.5),
                (AluOp::Max, 0.0),
                e,
            );
            let step = self.sbuf(e, word, "step");
            let src = self.tensor(&down, e, DType::F32);
            self.inst(Inst::TensorCopy { dst: step.clone(), src });
            let step = Self::tile(step, e);
            let product = self.exact(AluOp::Multiply, word, &step, &d, e);
            rest = self.exact(AluOp::Subtract, word, &rest, &product, e);
            quotient = Some(match quotient {
                None => step,
                Some(q) => self.exact(AluOp::Add, word, &q, &step, e),
            });
        }
        let mut quotient = quotient.unwrap_or(Arg::Integer(0));
        for _ in 0..3 {
            let more = self.compare_ints(ComparisonDirection::Ge, word, &rest, &d, e);
            let one = self.sbuf(e, word, "one");
            let src = self.tensor(&more, e, DType::U8);
            self.inst(Inst::TensorCopy { dst: one.clone(), src });
            let one = Self::tile(one, e);
            let taken = self.exact(AluOp::Multiply, word, &one, &d, e);
            rest = self.exact(AluOp::Subtract, word, &rest, &taken, e);
            quotient = self.exact(AluOp::Add, word, &quotient, &one, e);
        }
        // Signs: the remainder has the dividend's, the quotient the product of both.
        let sign = match (remainder, sign_n, sign_d) {
            (true, sign, _) => sign,
            (false, Some(n), Some(d)) => {
                let both = self.sbuf(e, DType::I32, "sign");
                self.bits(&both, &n, &d, AluOp::BitwiseXor, e);
                Some(Self::tile(both, e))
            }
            _ => None,
        };
        let mut result = if remainder { rest } else { quotient };
        if let Some(sign) = sign {
            let flipped = self.sbuf(e, DType::I32, "flipped");
            self.bits(&flipped, &result, &sign, AluOp::BitwiseXor, e);
            result = self.exact(AluOp::Subtract, DType::I32, &Self::tile(flipped, e), &sign, e);
        }
        let by_zero = self.compare_ints(ComparisonDirection::Eq, dtype, b, &Arg::Integer(0), e);
        let otherwise = if remainder { a.clone() } else { Arg::Integer(-1) };
        let plain = Self::tile(self.tensor_as(&result, e, dtype), e);
        self.select_into(dst, &by_zero, &otherwise, &plain, e);
        Ok(())
    }

    /// Raw bits of `a op b`, the immediate form where one side is constant.
    pub(super) fn bits(&mut self, dst: &View, a: &Arg, b: &Arg, op: AluOp, e: Extent) {
        let (x, constant, reverse) = match (a, b) {
            (_, Arg::Integer(c)) => (a, Some(*c), false),
            (Arg::Integer(c), _) => (b, Some(*c), true),
            _ => (a, None, false),
        };
        if let Some(c) = constant {
            let src = self.tensor_as(x, e, dst.dtype);
            let scalar = Scalar::Imm(Self::bits_of(&Arg::Integer(c), dst.dtype));
            let first = ScalarStep { op, scalar, reverse };
            self.inst(Inst::TensorScalar {
                dst: dst.clone(),
                src,
                first,
                second: None,
            });
        } else {
            let (a, b) = (self.tensor_as(a, e, dst.dtype), self.tensor_as(b, e, dst.dtype));
            self.inst(Inst::TensorTensor {
                dst: dst.clone(),
                a,
                b,
                op,
            });
        }
    }

    /// An integer's bits as a word, zero-extended.
    fn unsigned(&mut self, x: &Arg, dtype: DType, e: Extent) -> View {
        let word = self.tensor_as(x, e, if is_wide_int(dtype) { dtype } else { DType::I32 });
        let word = View {
            dtype: DType::U32,
            ..word
        };
        if is_wide_int(dtype) || dtype.class() == DTypeClass::Unsigned {
            return word;
        }
        let masked = self.sbuf(e, DType::U32, "unsigned");
        let mask = Arg::Integer((1i64 << dtype.bits()) - 1);
        self.bits(&masked, &Self::tile(word, e), &mask, AluOp::BitwiseAnd, e);
        masked
    }

    /// Shifts by at least the width give 0; amounts are taken without sign.
    pub(super) fn shift(&mut self, op: AluOp, dst: &View, a: &Arg, b: &Arg, e: Extent) -> Result<()> {
        let width = dst.dtype.bits() as i64;
        if !is_wide_int(dst.dtype) {
            let dtype = dst.dtype;
            let word = Self::tile(self.unsigned(a, dtype, e), e);
            let by = match b {
                Arg::Integer(by) if (0..width).contains(by) => b.clone(),
                Arg::Integer(_) => Arg::Integer(32),
                _ => {
                    // Amounts from the narrow width on reach the word's as well.
                    let by = Self::tile(self.unsigned(b, dtype, e), e);
                    let over = self.sbuf(e, DType::U32, "over");
                    self.alu(&over, &by, &Arg::Number(width as f64), AluOp::IsGe, e);
                    let far = self.sbuf(e, DType::U32, "far");
                    self.bits(&far, &Self::tile(over, e), &Arg::Integer(5), AluOp::ShiftLeft, e);
                    let amount = self.sbuf(e, DType::U32, "amount");
                    self.bits(&amount, &by, &Self::tile(far, e), AluOp::BitwiseOr, e);
                    Self::tile(amount, e)
                }
            };
            let wide = self.sbuf(e, DType::U32, "wide");
            self.shift(op, &wide, &word, &by, e)?;
            let wide = View {
                dtype: DType::I32,
                ..wide
            };
            self.wrap(dst, dtype, wide, e);
            return Ok(());
        }
        if let Arg::Integer(by) = b {
            if (0..width).contains(by) {
                self.bits(dst, a, b, op, e);
            } else {
                self.inst(Inst::Memset {
                    dst: dst.clone(),
                    bits: 0,
                });
            }
            return Ok(());
        }
        let shifted = self.sbuf(e, dst.dtype, "shifted");
        let amount = self.sbuf(e, dst.dtype, "amount");
        self.bits(&amount, b, &Arg::Integer(width - 1), AluOp::BitwiseAnd, e);
        self.bits(&shifted, a, &Self::tile(amount, e), op, e);
        let over = self.compare_ints(ComparisonDirection::Ge, DType::U32, b, &Arg::Integer(width), e);
        self.select_into(dst, &over, &Arg::Integer(0), &Self::tile(shifted, e), e);
        Ok(())
    }

    /// 32-bit integers to a narrower integer dtype (in a tile of its bytes), keeping the low bits.
    pub(super) fn wrap(&mut self, dst: &View, dtype: DType, wide: View, e: Extent) {
        let mask = (1i64 << dtype.bits()) - 1;
        let low = self.sbuf(e, DType::I32, "low");
        self.bits(&low, &Self::tile(wide, e), &Arg::Integer(mask), AluOp::BitwiseAnd, e);
        if dtype.class() == DTypeClass::Unsigned || dtype == DType::Bool {
            self.inst(Inst::TensorCopy {
                dst: dst.clone(),
                src: low,
            });
            return;
        }
        // (low ^ sign) - sign, the second step small enough for fp32.
        let sign = 1i64 << (dtype.bits() - 1);
        let flipped = self.sbuf(e, DType::I32, "flipped");
        self.bits(&flipped, &Self::tile(low, e), &Arg::Integer(sign), AluOp::BitwiseXor, e);
        let first = ScalarStep::imm(AluOp::Subtract, sign as f32);
        self.inst(Inst::TensorScalar {
            dst: dst.clone(),
            src: flipped,
            first,
            second: None,
        });
    }

    pub(super) fn int_unary(&mut self, op: UnaryOp, dst: &View, x: &Arg, e: Extent) -> Result<()> {
        let dtype = dst.dtype;
        match op {
            UnaryOp::Not => self.bits(dst, x, &Arg::Integer(-1), AluOp::BitwiseXor, e),
            UnaryOp::Negate => self.int_binary(BinaryOp::Subtract, dst, &Arg::Integer(0), x, e)?,
            UnaryOp::Abs => {
                let negated = self.sbuf(e, dtype, "negated");
                self.int_binary(BinaryOp::Subtract, &negated, &Arg::Integer(0), x, e)?;
                let negative = self.sbuf(e, DType::U8, "negative");
                self.alu(&negative, x, &Arg::Number(0.0), AluOp::IsLt, e);
                self.select_into(dst, &Self::tile(negative, e), &Self::tile(negated, e), x, e);
            }
            UnaryOp::Sign => self.activate(dst, x, ActFunc::Sign, 1.0, 0.0, e),
            other => return self.unsupported(format!("`{}` of `{dtype}` has no lowering yet", other.mnemonic())),
        }
        Ok(())
    }
}
