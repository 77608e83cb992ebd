//! Operations on tiles as engine instructions.
//!
//! Vector and Scalar compute in fp32; 32-bit integers are exact on GpSimd (add, subtract, multiply) or in bit operations,
//! and everything else about them is built from those. Where ScalarE's table has a limited range the operand is clamped
//! or reduced first.

use ferrite_ir::diag::{Code, Result};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{BinaryOp, ComparisonDirection, ComparisonType, UnaryOp};
use ferrite_ir::tile::{ActFunc, AluOp, Inst, Scalar, ScalarStep, Space, View};

use super::Lower;
use super::block::{line, part, repeat};

/// An operand of an operation on tiles.
#[derive(Clone, Debug)]
pub(super) enum Arg {
    /// The same real number everywhere.
    Number(f64),
    /// The same integer everywhere.
    Integer(i64),
    /// A tile.
    Tile(Val),
}

/// A value on chip.
#[derive(Clone, Debug)]
pub(super) struct Val {
    pub view: View,
    /// One value per partition, standing for every column.
    pub row: bool,
}

/// Shape of what is computed: partitions and elements per partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub p: i64,
    pub n: i64,
}

fn is_wide_int(dtype: DType) -> bool {
    matches!(dtype, DType::I32 | DType::U32)
}

impl Lower<'_> {
    pub(super) fn sbuf(&mut self, e: Extent, dtype: DType, name: &'static str) -> View {
        self.new_tile(Space::Sbuf, e.p, e.n, dtype, name)
    }

    /// A tile for the result of an operation of the program: the place it is wanted at, if it fits there.
    fn value_tile(&mut self, e: Extent, dtype: DType) -> View {
        match self.wanted.take() {
            Some(view) if view.dtype == dtype && i64::from(view.partitions) == e.p && view.elements() as i64 == e.n => {
                view
            }
            _ => self.sbuf(e, dtype, "value"),
        }
    }

    fn unsupported<T>(&self, what: String) -> Result<T> {
        Err(self
            .error_at(self.loc, Code::Unsupported, what)
            .help("this operation has no device lowering yet; compute it on the host or in another dtype"))
    }

    /// `[128, 1]` with one number, kept for the whole program.
    fn constant_column(&mut self, dtype: DType, bits: u32) -> View {
        let p = self.machine.limits.partitions as i64;
        if let Some(view) = self.cache.columns.get(&(dtype, bits)) {
            return view.clone();
        }
        let view = self.new_tile(Space::Sbuf, p, 1, dtype, "constant");
        self.inst(Inst::Memset {
            dst: view.clone(),
            bits,
        });
        self.cache.columns.insert((dtype, bits), view.clone());
        view
    }

    /// Raw bits of a number in a dtype of at most 32 bits.
    pub(super) fn bits_of(arg: &Arg, dtype: DType) -> u32 {
        let mut bytes = [0u8; 16];
        match arg {
            Arg::Number(x) => ferrite_ir::literal::write_f64(dtype, *x, &mut bytes),
            Arg::Integer(x) => ferrite_ir::literal::write_i64(dtype, *x, &mut bytes),
            Arg::Tile(_) => {}
        }
        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }

    /// The operand as an access pattern over `e`, constants from a column of constants.
    pub(super) fn tensor(&mut self, arg: &Arg, e: Extent, dtype: DType) -> View {
        match arg {
            Arg::Tile(v) if v.row => repeat(&v.view, e.n),
            Arg::Tile(v) => v.view.clone(),
            other => {
                let column = self.constant_column(dtype, Self::bits_of(other, dtype));
                repeat(
                    &View {
                        partitions: e.p as u16,
                        ..column
                    },
                    e.n,
                )
            }
        }
    }

    /// The operand in SBUF with exactly this dtype.
    fn tensor_as(&mut self, arg: &Arg, e: Extent, dtype: DType) -> View {
        let mut view = self.tensor(arg, e, dtype);
        if is_wide_int(view.dtype) && is_wide_int(dtype) {
            view.dtype = dtype; // the same bits
        }
        if view.dtype == dtype && self.program.tile(view.tile).space == Space::Sbuf {
            return view;
        }
        let dst = self.sbuf(e, dtype, "cast");
        self.inst(Inst::TensorCopy {
            dst: dst.clone(),
            src: view,
        });
        dst
    }

    fn number(arg: &Arg) -> Option<f64> {
        match arg {
            Arg::Number(x) => Some(*x),
            Arg::Integer(x) => Some(*x as f64),
            Arg::Tile(_) => None,
        }
    }

    /// A scalar operand of Vector's instructions, if the argument can be one.
    fn scalar(&self, arg: &Arg) -> Option<Scalar<View>> {
        match arg {
            Arg::Tile(v) if v.row && v.view.dtype == DType::F32 => Some(Scalar::PerPartition(View {
                dims: line(1),
                ..v.view.clone()
            })),
            Arg::Tile(_) => None,
            other => Self::number(other).map(|x| Scalar::f32(x as f32)),
        }
    }

    fn in_psum(&self, view: &View) -> bool {
        self.program.tile(view.tile).space == Space::Psum
    }

    /// `dst = a op b` in fp32, in the cheapest form.
    pub(super) fn alu(&mut self, dst: &View, a: &Arg, b: &Arg, op: AluOp, e: Extent) {
        let full = |arg: &Arg| matches!(arg, Arg::Tile(v) if !v.row || e.n == 1);
        let (sa, sb) = (self.scalar(a), self.scalar(b));
        if let (true, Some(scalar)) = (full(a), sb) {
            let src = self.tensor(a, e, dst.dtype);
            let first = ScalarStep {
                op,
                scalar,
                reverse: false,
            };
            self.inst(Inst::TensorScalar {
                dst: dst.clone(),
                src,
                first,
                second: None,
            });
        } else if let (true, Some(scalar)) = (full(b), sa) {
            let src = self.tensor(b, e, dst.dtype);
            let first = ScalarStep {
                op,
                scalar,
                reverse: true,
            };
            self.inst(Inst::TensorScalar {
                dst: dst.clone(),
                src,
                first,
                second: None,
            });
        } else {
            let a = self.tensor(a, e, DType::F32);
            let mut b = self.tensor(b, e, DType::F32);
            if self.in_psum(&a) && self.in_psum(&b) {
                let copy = self.sbuf(e, DType::F32, "copy");
                self.inst(Inst::TensorCopy {
                    dst: copy.clone(),
                    src: b,
                });
                b = copy;
            }
            self.inst(Inst::TensorTensor {
                dst: dst.clone(),
                a,
                b,
                op,
            });
        }
    }

    fn alu_f32(&mut self, a: &Arg, b: &Arg, op: AluOp, e: Extent) -> Arg {
        let dst = self.sbuf(e, DType::F32, "t");
        self.alu(&dst, a, b, op, e);
        Self::tile(dst, e)
    }

    pub(super) fn tile(view: View, e: Extent) -> Arg {
        Arg::Tile(Val { view, row: e.n == 1 })
    }

    /// `(src first) second` with immediates.
    fn two_step(&mut self, dtype: DType, src: &Arg, first: (AluOp, f32), second: (AluOp, f32), e: Extent) -> Arg {
        let dst = self.sbuf(e, dtype, "t");
        let src = self.tensor(src, e, DType::F32);
        self.inst(Inst::TensorScalar {
            dst: dst.clone(),
            src,
            first: ScalarStep::imm(first.0, first.1),
            second: Some(ScalarStep::imm(second.0, second.1)),
        });
        Self::tile(dst, e)
    }

    /// `func(scale * src + bias)` on ScalarE.
    fn activate(&mut self, dst: &View, src: &Arg, func: ActFunc, scale: f32, bias: f32, e: Extent) {
        let src = self.tensor(src, e, DType::F32);
        let bias = if bias == 0.0 {
            Scalar::f32(0.0)
        } else {
            let column = self.constant_column(DType::F32, bias.to_bits());
            Scalar::PerPartition(View {
                partitions: e.p as u16,
                ..column
            })
        };
        self.inst(Inst::Activation {
            dst: dst.clone(),
            src,
            func,
            scale: Scalar::f32(scale),
            bias,
            accumulate: None,
        });
    }

    /// A binary operation on values of one dtype.
    pub(super) fn binary(&mut self, op: BinaryOp, dtype: DType, a: &Arg, b: &Arg, e: Extent) -> Result<Val> {
        let dst = self.value_tile(e, dtype);
        if dtype.is_float() {
            self.float_binary(op, &dst, a, b, e)?;
        } else {
            self.int_binary(op, &dst, a, b, e)?;
        }
        Ok(Val {
            view: dst,
            row: e.n == 1,
        })
    }

    fn float_binary(&mut self, op: BinaryOp, dst: &View, a: &Arg, b: &Arg, e: Extent) -> Result<()> {
        let alu = match op {
            BinaryOp::Add => AluOp::Add,
            BinaryOp::Subtract => AluOp::Subtract,
            BinaryOp::Multiply => AluOp::Multiply,
            BinaryOp::Maximum => AluOp::Max,
            BinaryOp::Minimum => AluOp::Min,
            BinaryOp::Divide => {
                if let Some(divisor) = Self::number(b) {
                    self.alu(dst, a, &Arg::Number(1.0 / divisor), AluOp::Multiply, e);
                    return Ok(());
                }
                // One reciprocal per row where the divisor is one value per row.
                let of = match b {
                    Arg::Tile(v) if v.row => Extent { n: 1, ..e },
                    _ => e,
                };
                let reciprocal = self.sbuf(of, DType::F32, "reciprocal");
                let src = self.tensor(b, of, DType::F32);
                self.inst(Inst::Reciprocal {
                    dst: reciprocal.clone(),
                    src,
                });
                let r = Self::tile(reciprocal, of);
                self.alu(dst, a, &r, AluOp::Multiply, e);
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

    fn int_binary(&mut self, op: BinaryOp, dst: &View, a: &Arg, b: &Arg, e: Extent) -> Result<()> {
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
                    self.wrap(dst, wide, e);
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
                        self.int_binary(BinaryOp::Minimum, &most, b, &Arg::Integer(dtype.bits() as i64 - 1), e)?;
                        Self::tile(View { dtype, ..most }, e)
                    }
                };
                if !is_wide_int(dtype) {
                    return self.unsupported(format!("shifts of `{dtype}` have no lowering yet"));
                }
                let sign = self.sign_mask(a, e);
                let flipped = self.sbuf(e, dtype, "flipped");
                self.bits(&flipped, a, &sign, AluOp::BitwiseXor, e);
                let shifted = self.sbuf(e, dtype, "shifted");
                self.bits(&shifted, &Self::tile(flipped, e), &by, AluOp::ShiftRight, e);
                self.bits(dst, &Self::tile(shifted, e), &sign, AluOp::BitwiseXor, e);
            }
            other => {
                return self.unsupported(format!("`{}` of `{dtype}` has no lowering yet", other.mnemonic()));
            }
        }
        Ok(())
    }

    /// All ones where a 32-bit integer is negative, else 0.
    pub(super) fn sign_mask(&mut self, x: &Arg, e: Extent) -> Arg {
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
    fn exact(&mut self, op: AluOp, dtype: DType, a: &Arg, b: &Arg, e: Extent) -> Arg {
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
    fn divide_ints(&mut self, remainder: bool, dst: &View, a: &Arg, b: &Arg, e: Extent) -> Result<()> {
        let dtype = dst.dtype;
        if !is_wide_int(dtype) {
            let wide = self.sbuf(e, DType::I32, "wide");
            let (a, b) = (self.tensor_as(a, e, DType::I32), self.tensor_as(b, e, DType::I32));
            self.divide_ints(remainder, &wide, &Self::tile(a, e), &Self::tile(b, e), e)?;
            self.wrap(dst, wide, e);
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
    fn bits(&mut self, dst: &View, a: &Arg, b: &Arg, op: AluOp, e: Extent) {
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

    /// Shifts by at least the width give 0.
    fn shift(&mut self, op: AluOp, dst: &View, a: &Arg, b: &Arg, e: Extent) -> Result<()> {
        let width = dst.dtype.bits() as i64;
        if !is_wide_int(dst.dtype) {
            return self.unsupported(format!("shifts of `{}` have no lowering yet", dst.dtype));
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

    /// 32-bit integers to a narrower integer dtype, keeping the low bits.
    fn wrap(&mut self, dst: &View, wide: View, e: Extent) {
        let dtype = dst.dtype;
        let mask = (1i64 << dtype.bits()) - 1;
        let low = self.sbuf(e, DType::I32, "low");
        self.bits(&low, &Self::tile(wide, e), &Arg::Integer(mask), AluOp::BitwiseAnd, e);
        if dtype.class() == ferrite_ir::dtype::DTypeClass::Unsigned || dtype == DType::Bool {
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

    /// A comparison; the result is `u8`.
    pub(super) fn compare(
        &mut self,
        direction: ComparisonDirection,
        compare_type: ComparisonType,
        dtype: DType,
        a: &Arg,
        b: &Arg,
        e: Extent,
    ) -> Result<Val> {
        if compare_type == ComparisonType::TotalOrder {
            return self.unsupported("a TOTALORDER comparison has no lowering yet".to_string());
        }
        let arg = if is_wide_int(dtype) {
            self.compare_ints(direction, dtype, a, b, e)
        } else {
            let dst = self.sbuf(e, DType::U8, "mask");
            self.alu(&dst, a, b, relation(direction), e);
            Self::tile(dst, e)
        };
        match arg {
            Arg::Tile(val) => Ok(val),
            _ => self.unsupported("a comparison of constants was not folded".to_string()),
        }
    }

    /// Exact comparison of 32-bit integers: equality by their bits, order by the differences of their halves, of which
    /// the upper one decides unless it is 0.
    fn compare_ints(&mut self, direction: ComparisonDirection, dtype: DType, a: &Arg, b: &Arg, e: Extent) -> Arg {
        let dst = self.sbuf(e, DType::U8, "mask");
        let zero = Arg::Number(0.0);
        if matches!(direction, ComparisonDirection::Eq | ComparisonDirection::Ne) {
            let difference = self.sbuf(e, dtype, "xor");
            self.bits(&difference, a, b, AluOp::BitwiseXor, e);
            self.alu(&dst, &Self::tile(difference, e), &zero, relation(direction), e);
            return Self::tile(dst, e);
        }
        let halves = |this: &mut Self, arg: &Arg| {
            let x = this.tensor_as(arg, e, dtype);
            let flip = if dtype == DType::I32 { i32::MIN as u32 } else { 0 };
            let (high, low) = (this.sbuf(e, DType::I32, "high"), this.sbuf(e, DType::I32, "low"));
            let step = |op, bits| ScalarStep {
                op,
                scalar: Scalar::Imm(bits),
                reverse: false,
            };
            this.inst(Inst::TensorScalar {
                dst: View { dtype, ..high.clone() },
                src: x.clone(),
                first: step(AluOp::BitwiseXor, flip),
                second: Some(step(AluOp::ShiftRight, 16)),
            });
            this.inst(Inst::TensorScalar {
                dst: View { dtype, ..low.clone() },
                src: x,
                first: step(AluOp::BitwiseAnd, 0xffff),
                second: None,
            });
            (high, low)
        };
        let (high_a, low_a) = halves(self, a);
        let (high_b, low_b) = halves(self, b);
        let high = self.sbuf(e, DType::F32, "high");
        let low = self.sbuf(e, DType::F32, "low");
        self.inst(Inst::TensorTensor {
            dst: high.clone(),
            a: high_a,
            b: high_b,
            op: AluOp::Subtract,
        });
        self.inst(Inst::TensorTensor {
            dst: low.clone(),
            a: low_a,
            b: low_b,
            op: AluOp::Subtract,
        });
        let sign = self.sbuf(e, DType::F32, "sign");
        self.inst(Inst::ScalarTensorTensor {
            dst: sign.clone(),
            src: high,
            first: ScalarStep::imm(AluOp::Multiply, 65536.0),
            b: low,
            op1: AluOp::Add,
            reverse1: false,
        });
        self.alu(&dst, &Self::tile(sign, e), &zero, relation(direction), e);
        Self::tile(dst, e)
    }

    /// `dst = predicate ? yes : no`.
    fn select_into(&mut self, dst: &View, predicate: &Arg, yes: &Arg, no: &Arg, e: Extent) {
        match no {
            Arg::Tile(_) => {
                let src = self.tensor(no, e, dst.dtype);
                self.inst(Inst::TensorCopy { dst: dst.clone(), src });
            }
            constant => {
                let bits = Self::bits_of(constant, dst.dtype);
                self.inst(Inst::Memset { dst: dst.clone(), bits });
            }
        }
        let src = self.tensor_as(yes, e, dst.dtype);
        let pred = self.tensor(predicate, e, DType::U8);
        self.inst(Inst::CopyPredicated {
            dst: dst.clone(),
            src,
            pred,
        });
    }

    /// `predicate ? yes : no`.
    pub(super) fn select(&mut self, dtype: DType, predicate: &Arg, yes: &Arg, no: &Arg, e: Extent) -> Val {
        let dst = self.value_tile(e, dtype);
        self.select_into(&dst, predicate, yes, no, e);
        Val {
            view: dst,
            row: e.n == 1,
        }
    }

    /// A conversion between device dtypes. `to_bool` asks whether the operand is not 0.
    pub(super) fn convert(&mut self, from: DType, to: DType, to_bool: bool, x: &Arg, e: Extent) -> Result<Val> {
        let dst = self.value_tile(e, to);
        if to_bool {
            self.alu(&dst, x, &Arg::Number(0.0), AluOp::NotEqual, e);
        } else if from.is_float() && to.is_int() {
            let whole = self.truncate(x, e);
            let src = self.tensor(&whole, e, DType::F32);
            self.inst(Inst::TensorCopy { dst: dst.clone(), src });
        } else if is_wide_int(from) && is_wide_int(to) {
            let src = self.tensor(x, e, from);
            self.inst(Inst::TensorCopy {
                dst: dst.clone(),
                src: View { dtype: to, ..src },
            });
        } else if from.is_int() && to.is_int() && to.bits() <= from.bits() {
            let wide = self.tensor_as(x, e, DType::I32);
            self.wrap(&dst, wide, e);
        } else {
            let src = self.tensor(x, e, from);
            self.inst(Inst::TensorCopy { dst: dst.clone(), src });
        }
        Ok(Val {
            view: dst,
            row: e.n == 1,
        })
    }

    /// Rounds to the nearest even integer, as f32: adding and subtracting 1.5 * 2^23 does it for |x| < 2^22, and larger
    /// numbers are kept.
    fn round_even(&mut self, x: &Arg, e: Extent) -> Arg {
        let magic = 12_582_912.0f32;
        // Two instructions: the sum must be rounded to fp32 in between, which a tile does for certain.
        let up = self.alu_f32(x, &Arg::Number(magic as f64), AluOp::Add, e);
        let rounded = self.alu_f32(&up, &Arg::Number(magic as f64), AluOp::Subtract, e);
        let magnitude = self.sbuf(e, DType::F32, "abs");
        self.activate(&magnitude, x, ActFunc::Abs, 1.0, 0.0, e);
        let small = self.sbuf(e, DType::U8, "small");
        self.alu(
            &small,
            &Self::tile(magnitude, e),
            &Arg::Number(4_194_304.0),
            AluOp::IsLt,
            e,
        );
        let dst = self.sbuf(e, DType::F32, "round");
        self.select_into(&dst, &Self::tile(small, e), &rounded, x, e);
        Self::tile(dst, e)
    }

    /// Rounds towards zero.
    fn truncate(&mut self, x: &Arg, e: Extent) -> Arg {
        let magnitude = self.sbuf(e, DType::F32, "abs");
        self.activate(&magnitude, x, ActFunc::Abs, 1.0, 0.0, e);
        let magnitude = Self::tile(magnitude, e);
        let down = self.floor(&magnitude, e);
        let sign = self.sbuf(e, DType::F32, "sign");
        self.activate(&sign, x, ActFunc::Sign, 1.0, 0.0, e);
        self.alu_f32(&down, &Self::tile(sign, e), AluOp::Multiply, e)
    }

    fn floor(&mut self, x: &Arg, e: Extent) -> Arg {
        let rounded = self.round_even(x, e);
        let above = self.alu_f32(&rounded, x, AluOp::IsGt, e);
        self.alu_f32(&rounded, &above, AluOp::Subtract, e)
    }

    /// A unary operation on values of one dtype.
    pub(super) fn unary(&mut self, op: UnaryOp, dtype: DType, x: &Arg, e: Extent) -> Result<Val> {
        let boolean = matches!(op, UnaryOp::IsFinite);
        let dst = self.value_tile(e, if boolean { DType::U8 } else { dtype });
        if dtype.is_float() {
            self.float_unary(op, &dst, x, e)?;
        } else {
            self.int_unary(op, &dst, x, e)?;
        }
        Ok(Val {
            view: dst,
            row: e.n == 1,
        })
    }

    /// An activation function that came as a custom call.
    pub(super) fn activation_call(&mut self, target: &str, dtype: DType, x: &Arg, e: Extent) -> Result<Val> {
        let func = match target {
            "AwsNeuronGelu" => ActFunc::Gelu,
            "AwsNeuronGeluApprxTanh" => ActFunc::GeluApprxTanh,
            "AwsNeuronSilu" => ActFunc::Silu,
            other => return self.unsupported(format!("the custom call `{other}` has no device lowering")),
        };
        let dst = self.value_tile(e, dtype);
        self.activate(&dst, x, func, 1.0, 0.0, e);
        Ok(Val {
            view: dst,
            row: e.n == 1,
        })
    }

    fn int_unary(&mut self, op: UnaryOp, dst: &View, x: &Arg, e: Extent) -> Result<()> {
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

    fn float_unary(&mut self, op: UnaryOp, dst: &View, x: &Arg, e: Extent) -> Result<()> {
        let func = match op {
            UnaryOp::Abs => ActFunc::Abs,
            UnaryOp::Exponential => ActFunc::Exp,
            UnaryOp::Log => ActFunc::Log,
            UnaryOp::Tanh => ActFunc::Tanh,
            UnaryOp::Logistic => ActFunc::Sigmoid,
            UnaryOp::Erf => ActFunc::Erf,
            UnaryOp::Sign => ActFunc::Sign,
            UnaryOp::Negate => {
                self.alu(dst, x, &Arg::Number(-1.0), AluOp::Multiply, e);
                return Ok(());
            }
            UnaryOp::Sqrt => {
                // The table covers [2^-116, 2^118]; zero is put back afterwards.
                let clamped = self.two_step(
                    DType::F32,
                    x,
                    (AluOp::Max, 2f32.powi(-116)),
                    (AluOp::Min, 2f32.powi(118)),
                    e,
                );
                let root = self.sbuf(e, DType::F32, "root");
                self.activate(&root, &clamped, ActFunc::Sqrt, 1.0, 0.0, e);
                let src = self.tensor(x, e, DType::F32);
                self.inst(Inst::ScalarTensorTensor {
                    dst: dst.clone(),
                    src,
                    first: ScalarStep::imm(AluOp::IsGt, 0.0),
                    b: root,
                    op1: AluOp::Multiply,
                    reverse1: false,
                });
                return Ok(());
            }
            UnaryOp::Rsqrt => {
                let clamped = self.two_step(
                    DType::F32,
                    x,
                    (AluOp::Max, 2f32.powi(-87)),
                    (AluOp::Min, 2f32.powi(97)),
                    e,
                );
                self.activate(dst, &clamped, ActFunc::Rsqrt, 1.0, 0.0, e);
                return Ok(());
            }
            UnaryOp::Sine | UnaryOp::Cosine => {
                self.sine(op == UnaryOp::Cosine, dst, x, e);
                return Ok(());
            }
            UnaryOp::Floor => {
                let y = self.floor(x, e);
                let src = self.tensor(&y, e, DType::F32);
                self.inst(Inst::TensorCopy { dst: dst.clone(), src });
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
                let src = self.tensor(&y, e, DType::F32);
                self.inst(Inst::TensorCopy { dst: dst.clone(), src });
                return Ok(());
            }
            UnaryOp::IsFinite => {
                let magnitude = self.sbuf(e, DType::F32, "abs");
                self.activate(&magnitude, x, ActFunc::Abs, 1.0, 0.0, e);
                self.alu(
                    dst,
                    &Self::tile(magnitude, e),
                    &Arg::Number(f64::INFINITY),
                    AluOp::IsLt,
                    e,
                );
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

    /// Sine or cosine with the argument reduced to [-pi, pi] by three parts of 2 pi (Cody and Waite).
    fn sine(&mut self, cosine: bool, dst: &View, x: &Arg, e: Extent) {
        let turns = self.alu_f32(x, &Arg::Number(1.0 / std::f64::consts::TAU), AluOp::Multiply, e);
        let turns = self.round_even(&turns, e);
        let mut rest = x.clone();
        // 2 pi = 6.28125 + 0.0019350051879882812 + 3.0199e-7: the first two have few enough bits for exact products.
        let (first, second) = (6.28125f64, 1.935_005_187_988_281_2e-3f64);
        for piece in [first, second, std::f64::consts::TAU - first - second] {
            let to = self.sbuf(e, DType::F32, "reduced");
            let (k, b) = (self.tensor(&turns, e, DType::F32), self.tensor_as(&rest, e, DType::F32));
            self.inst(Inst::ScalarTensorTensor {
                dst: to.clone(),
                src: k,
                first: ScalarStep::imm(AluOp::Multiply, -piece as f32),
                b,
                op1: AluOp::Add,
                reverse1: false,
            });
            rest = Self::tile(to, e);
        }
        let pi = std::f32::consts::PI;
        let rest = self.two_step(DType::F32, &rest, (AluOp::Max, -pi), (AluOp::Min, pi), e);
        if cosine {
            // cos r = sin(pi / 2 - |r|), whose argument lies in [-pi / 2, pi / 2].
            let magnitude = self.sbuf(e, DType::F32, "abs");
            self.activate(&magnitude, &rest, ActFunc::Abs, 1.0, 0.0, e);
            self.activate(
                dst,
                &Self::tile(magnitude, e),
                ActFunc::Sin,
                -1.0,
                std::f32::consts::FRAC_PI_2,
                e,
            );
        } else {
            self.activate(dst, &rest, ActFunc::Sin, 1.0, 0.0, e);
        }
    }

    /// Reduces `n` contiguous elements per partition to one.
    pub(super) fn reduce(&mut self, op: BinaryOp, dtype: DType, x: &View, e: Extent) -> Result<View> {
        let one = Extent { n: 1, ..e };
        if is_wide_int(dtype) && !matches!(op, BinaryOp::And | BinaryOp::Or | BinaryOp::Xor) {
            return self.reduce_ints(op, dtype, x, e);
        }
        let alu = match op {
            BinaryOp::Add => AluOp::Add,
            BinaryOp::Multiply => AluOp::Multiply,
            BinaryOp::Maximum => AluOp::Max,
            BinaryOp::Minimum => AluOp::Min,
            BinaryOp::And => AluOp::BitwiseAnd,
            BinaryOp::Or => AluOp::BitwiseOr,
            BinaryOp::Xor => AluOp::BitwiseXor,
            other => return self.unsupported(format!("a reduction by `{}` has no lowering yet", other.mnemonic())),
        };
        let dst = self.sbuf(one, dtype, "reduced");
        let dims = x.dims.len().max(1) as u8;
        if x.dims.is_empty() {
            self.inst(Inst::TensorCopy {
                dst: dst.clone(),
                src: x.clone(),
            });
        } else {
            self.inst(Inst::TensorReduce {
                dst: dst.clone(),
                src: x.clone(),
                op: alu,
                dims,
                negate: false,
            });
        }
        Ok(dst)
    }

    /// Exact reduction of 32-bit integers by halving.
    fn reduce_ints(&mut self, op: BinaryOp, dtype: DType, x: &View, e: Extent) -> Result<View> {
        let copy = self.sbuf(e, dtype, "tree");
        self.inst(Inst::TensorCopy {
            dst: copy.clone(),
            src: x.clone(),
        });
        let mut n = e.n;
        let mut at = copy;
        while n > 1 {
            let (half, kept) = (n / 2, n - n / 2);
            let size = Extent { n: kept, ..e };
            let next = self.sbuf(size, dtype, "tree");
            let whole = |view: &View, from: i64, count: i64| {
                Arg::Tile(Val {
                    view: part(view, 0, e.p, from, count),
                    row: false,
                })
            };
            let dst = part(&next, 0, e.p, 0, half);
            self.int_binary(
                op,
                &dst,
                &whole(&at, 0, half),
                &whole(&at, kept, half),
                Extent { n: half, ..e },
            )?;
            if kept > half {
                let (dst, src) = (part(&next, 0, e.p, half, 1), part(&at, 0, e.p, half, 1));
                self.inst(Inst::TensorCopy { dst, src });
            }
            at = next;
            n = kept;
        }
        Ok(at)
    }
}

fn relation(direction: ComparisonDirection) -> AluOp {
    match direction {
        ComparisonDirection::Eq => AluOp::IsEqual,
        ComparisonDirection::Ne => AluOp::NotEqual,
        ComparisonDirection::Ge => AluOp::IsGe,
        ComparisonDirection::Gt => AluOp::IsGt,
        ComparisonDirection::Le => AluOp::IsLe,
        ComparisonDirection::Lt => AluOp::IsLt,
    }
}
