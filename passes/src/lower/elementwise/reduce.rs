//! Reductions along the free dimensions.

use ferrite_ir::diag::Result;
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::BinaryOp;
use ferrite_ir::tile::{ActFunc, AluOp, Inst, Scalar, ScalarStep, View};

use super::{Arg, Extent, Val, is_wide_int};
use crate::lower::Lower;
use crate::lower::block::part;

impl Lower<'_> {
    /// Reduces `n` contiguous elements per partition to one. Where `nan` is set, the largest or smallest of numbers of
    /// which one is NaN is NaN.
    pub(in crate::lower) fn reduce(
        &mut self,
        op: BinaryOp,
        dtype: DType,
        x: &View,
        nan: bool,
        e: Extent,
    ) -> Result<View> {
        let one = Extent { n: 1, ..e };
        if is_wide_int(dtype) && !matches!(op, BinaryOp::And | BinaryOp::Or | BinaryOp::Xor) {
            return self.reduce_ints(op, dtype, x, e);
        }
        if dtype.is_int() && matches!(op, BinaryOp::Add | BinaryOp::Multiply) {
            // Exact modulo 2^32, then modulo their own width.
            let wide = self.sbuf(e, DType::I32, "wide");
            self.inst(Inst::TensorCopy {
                dst: wide.clone(),
                src: x.clone(),
            });
            let sum = self.reduce_ints(op, DType::I32, &wide, e)?;
            let dst = self.sbuf(one, dtype, "reduced");
            self.wrap(&dst, dtype, sum, one);
            return Ok(dst);
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
        if nan && dtype.is_float() && matches!(op, BinaryOp::Maximum | BinaryOp::Minimum) {
            return Ok(self.nan_of_row(dst, x, e));
        }
        Ok(dst)
    }

    /// `[P, 1]` numbers, but NaN where the row holds one: the sum of the signs of all elements is then NaN, else finite.
    fn nan_of_row(&mut self, y: View, x: &View, e: Extent) -> View {
        let one = Extent { n: 1, ..e };
        let signs = self.sbuf(e, DType::BF16, "signs");
        let sum = self.sbuf(one, DType::F32, "sum");
        self.inst(Inst::Activation {
            dst: signs,
            src: x.clone(),
            func: ActFunc::Sign,
            scale: Scalar::f32(1.0),
            bias: Scalar::f32(0.0),
            accumulate: Some(sum.clone()),
        });
        self.nan_by_signs(y, sum, one)
    }

    /// `y`, but NaN where the sum of signs is.
    pub(in crate::lower) fn nan_by_signs(&mut self, y: View, sum: View, e: Extent) -> View {
        let dst = self.sbuf(e, y.dtype, "reduced");
        self.inst(Inst::ScalarTensorTensor {
            dst: dst.clone(),
            src: sum,
            first: ScalarStep::imm(AluOp::Multiply, 0.0),
            b: y,
            op1: AluOp::Add,
            reverse1: false,
        });
        dst
    }

    /// Exact reduction of 32-bit integers by halving.
    pub(super) fn reduce_ints(&mut self, op: BinaryOp, dtype: DType, x: &View, e: Extent) -> Result<View> {
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
