//! Comparisons.

use ferrite_ir::diag::Result;
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{ComparisonDirection, ComparisonType};
use ferrite_ir::tile::{AluOp, Inst, Scalar, ScalarStep, View};

use super::{Arg, Extent, Val, is_wide_int};
use crate::lower::Lower;

impl Lower<'_> {
    /// A comparison; the result is `u8`.
    pub(in crate::lower) fn compare(
        &mut self,
        direction: ComparisonDirection,
        compare_type: ComparisonType,
        dtype: DType,
        a: &Arg,
        b: &Arg,
        e: Extent,
    ) -> Result<Val> {
        if matches!(compare_type, ComparisonType::TotalOrder | ComparisonType::WeakOrder) {
            let name = compare_type.mnemonic();
            return self.unsupported(format!("a {name} comparison should have been expanded"));
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
    pub(super) fn compare_ints(
        &mut self,
        direction: ComparisonDirection,
        dtype: DType,
        a: &Arg,
        b: &Arg,
        e: Extent,
    ) -> Arg {
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
}

pub(super) fn relation(direction: ComparisonDirection) -> AluOp {
    match direction {
        ComparisonDirection::Eq => AluOp::IsEqual,
        ComparisonDirection::Ne => AluOp::NotEqual,
        ComparisonDirection::Ge => AluOp::IsGe,
        ComparisonDirection::Gt => AluOp::IsGt,
        ComparisonDirection::Le => AluOp::IsLe,
        ComparisonDirection::Lt => AluOp::IsLt,
    }
}
