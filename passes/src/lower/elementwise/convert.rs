//! Conversions between dtypes, as XLA defines them: floats to integers truncate and saturate, NaN becomes 0; integers wrap;
//! floats round to nearest even and overflow to an infinity or, where the format has none, to NaN.

use ferrite_ir::diag::Result;
use ferrite_ir::dtype::{DType, MiniFloat};
use ferrite_ir::literal::int_range;
use ferrite_ir::tile::{AluOp, Inst, ScalarStep, View};

use super::{Arg, Extent, Val, is_wide_int};
use crate::lower::{Lower, device_dtype};

/// Whether values of a dtype take fewer bits than the bytes they lie in.
pub(super) fn is_sub_byte(dtype: DType) -> bool {
    dtype != DType::Bool && dtype.is_int() && dtype.bits() < 8
}

/// Whether the engines saturate where XLA has an infinity or NaN when they store this dtype.
pub(in crate::lower) fn stores_saturated(dtype: DType) -> Option<MiniFloat> {
    let saturates = matches!(dtype, DType::F8E3M4 | DType::F8E4M3 | DType::F8E4M3FN);
    dtype.minifloat().filter(|_| saturates)
}

/// The smallest number that no longer rounds to a finite one.
fn overflow(format: MiniFloat) -> f64 {
    let max = format.max_finite();
    let largest = format.to_f64(max);
    let half = (largest - format.to_f64(max - 1)) / 2.0;
    // A tie goes to the even neighbour: away from the largest number if that is odd.
    let tie = largest + half;
    if max & 1 == 1 {
        tie
    } else {
        f64::from((tie as f32).next_up())
    }
}

impl Lower<'_> {
    /// A conversion between dtypes of the program.
    pub(in crate::lower) fn convert(&mut self, from: DType, to: DType, x: &Arg, e: Extent) -> Result<Val> {
        let dst = self.value_tile(e, device_dtype(to));
        self.convert_into(&dst, from, to, x, e);
        Ok(Val {
            view: dst,
            row: e.n == 1,
        })
    }

    /// As [`Lower::convert`], into a tile.
    pub(in crate::lower) fn convert_into(&mut self, dst: &View, from: DType, to: DType, x: &Arg, e: Extent) {
        if to == DType::Bool {
            self.alu(dst, x, &Arg::Number(0.0), AluOp::NotEqual, e);
        } else if from.is_float() && to.is_int() {
            let whole = self.truncate(x, e);
            if is_sub_byte(to) {
                let byte = self.sbuf(e, dst.dtype, "byte");
                let src = self.tensor(&whole, e, DType::F32);
                self.inst(Inst::TensorCopy { dst: byte.clone(), src });
                let (low, high) = int_range(to);
                self.inst(Inst::TensorScalar {
                    dst: dst.clone(),
                    src: byte,
                    first: ScalarStep::imm(AluOp::Max, low as f32),
                    second: Some(ScalarStep::imm(AluOp::Min, high as f32)),
                });
                return;
            }
            let src = self.tensor(&whole, e, DType::F32);
            self.inst(Inst::TensorCopy { dst: dst.clone(), src });
        } else if is_wide_int(to) && from.is_int() {
            // Sign-extended or zero-extended; the same bits for both.
            let src = self.tensor_as(x, e, if is_wide_int(from) { from } else { DType::I32 });
            let src = View { dtype: to, ..src };
            self.inst(Inst::TensorCopy { dst: dst.clone(), src });
        } else if from.is_int() && to.is_int() {
            let (low, high) = int_range(to);
            let (least, most) = int_range(from);
            if low <= least && most <= high {
                let src = self.tensor(x, e, dst.dtype);
                self.inst(Inst::TensorCopy { dst: dst.clone(), src });
                return;
            }
            let wide = self.tensor_as(x, e, DType::I32);
            self.wrap(dst, to, wide, e);
        } else {
            let src = self.tensor(x, e, device_dtype(from));
            self.inst(Inst::TensorCopy { dst: dst.clone(), src });
            if let Some(format) = stores_saturated(to)
                && let Some(edge) = Some(overflow(format)).filter(|&edge| reaches(from, edge))
            {
                self.overflow_into(dst, edge as f32, x, e);
            }
        }
    }

    /// Puts in the infinities (or NaNs) where the store saturated, and NaN.
    fn overflow_into(&mut self, dst: &View, edge: f32, x: &Arg, e: Extent) {
        let yes = (AluOp::Max, 0.0);
        self.put_where(dst, f64::INFINITY, x, (AluOp::IsGe, edge), yes, e);
        self.put_where(dst, f64::NEG_INFINITY, x, (AluOp::IsLe, -edge), yes, e);
    }
}

/// Whether numbers of a dtype may be as large as this.
fn reaches(dtype: DType, edge: f64) -> bool {
    if dtype.is_int() {
        let (low, high) = int_range(dtype);
        return high.max(-low) as f64 >= edge;
    }
    match dtype.minifloat() {
        Some(format) if dtype.bits() <= 8 => {
            // Infinities and NaNs count.
            format.to_f64(format.max_finite()) >= edge || format.specials != ferrite_ir::dtype::Specials::None
        }
        _ => true,
    }
}
