//! Element-wise arithmetic and reductions of constants.
//!
//! Floats of at most 32 bits are computed in `f64` and rounded once more: for sums, products, quotients and square roots
//! that is the correctly rounded result, because 53 bits are more than twice 24.

use std::cmp::Ordering;

use ferrite_ir::dtype::{DType, DTypeClass};
use ferrite_ir::hlo::{BinaryOp, Compare, ComparisonDirection, ComparisonType, TensorType, UnaryOp};
use ferrite_ir::literal::{Literal, int_range, write_f64, write_i64};

use super::each;

/// Types whose arithmetic is exact here: not TF32, whose rounding belongs to the PE array.
fn is_float(dtype: DType) -> bool {
    dtype.is_float() && dtype != DType::TF32
}

pub(super) fn unary(op: UnaryOp, x: &Literal, ty: &TensorType, count: usize) -> Option<Literal> {
    use UnaryOp::*;
    let dtype = x.ty().dtype;
    if is_float(dtype) {
        let number = |f: fn(f64) -> f64| {
            each(ty, count, |i, out| {
                write_f64(ty.dtype, f(x.get_f64(i)), out);
                Some(())
            })
        };
        return match op {
            Negate => number(|v| -v),
            Abs => number(f64::abs),
            Floor => number(f64::floor),
            Ceil => number(f64::ceil),
            RoundNearestEven => number(f64::round_ties_even),
            RoundNearestAfz => number(f64::round),
            Sqrt => number(f64::sqrt),
            IsFinite => number(|v| f64::from(v.is_finite())),
            Sign => number(|v| if v == 0.0 || v.is_nan() { v } else { v.signum() }),
            _ => None,
        };
    }
    if !matches!(
        dtype.class(),
        DTypeClass::Bool | DTypeClass::Signed | DTypeClass::Unsigned
    ) {
        return None;
    }
    let integer = |f: fn(i64) -> i64| {
        each(ty, count, |i, out| {
            write_i64(ty.dtype, f(x.get_i64(i)), out);
            Some(())
        })
    };
    match op {
        Not if dtype == DType::Bool => integer(|v| 1 - v),
        Not => integer(|v| !v),
        Negate => integer(i64::wrapping_neg),
        Abs if dtype.class() == DTypeClass::Signed => integer(i64::wrapping_abs),
        Sign if dtype.class() == DTypeClass::Signed => integer(i64::signum),
        _ => None,
    }
}

pub(super) fn binary(op: BinaryOp, x: &Literal, y: &Literal, ty: &TensorType, count: usize) -> Option<Literal> {
    each(ty, count, |i, out| {
        let written = element(op, ty.dtype, (x.get_f64(i), x.get_i64(i)), (y.get_f64(i), y.get_i64(i)));
        match written? {
            Number::Float(v) => write_f64(ty.dtype, v, out),
            Number::Int(v) => write_i64(ty.dtype, v, out),
        }
        Some(())
    })
}

enum Number {
    Float(f64),
    Int(i64),
}

/// One element, given as float and as integer.
fn element(op: BinaryOp, dtype: DType, x: (f64, i64), y: (f64, i64)) -> Option<Number> {
    if is_float(dtype) {
        return float(op, x.0, y.0).map(Number::Float);
    }
    match dtype.class() {
        DTypeClass::Bool | DTypeClass::Signed => signed(op, dtype, x.1, y.1).map(Number::Int),
        DTypeClass::Unsigned => unsigned(op, dtype, x.1 as u64, y.1 as u64).map(|v| Number::Int(v as i64)),
        _ => None,
    }
}

fn float(op: BinaryOp, x: f64, y: f64) -> Option<f64> {
    use BinaryOp::*;
    Some(match op {
        Add => x + y,
        Subtract => x - y,
        Multiply => x * y,
        Divide => x / y,
        // The larger of two zeros of different sign is not agreed upon.
        Maximum | Minimum if x == 0.0 && y == 0.0 && x.is_sign_negative() != y.is_sign_negative() => return None,
        Maximum | Minimum if x.is_nan() || y.is_nan() => f64::NAN,
        Maximum => x.max(y),
        Minimum => x.min(y),
        _ => return None,
    })
}

fn signed(op: BinaryOp, dtype: DType, x: i64, y: i64) -> Option<i64> {
    use BinaryOp::*;
    let bits = dtype.bits() as i64;
    let boolean = dtype == DType::Bool;
    Some(match op {
        Add if boolean => x | y,
        Multiply if boolean => x & y,
        Add => x.wrapping_add(y),
        Subtract => x.wrapping_sub(y),
        Multiply => x.wrapping_mul(y),
        Divide if y != 0 => x.wrapping_div(y),
        Remainder if y != 0 => x.wrapping_rem(y),
        Maximum => x.max(y),
        Minimum => x.min(y),
        And => x & y,
        Or => x | y,
        Xor => x ^ y,
        ShiftLeft if (0..bits).contains(&y) => x << y,
        ShiftRightArithmetic if (0..bits).contains(&y) => x >> y,
        ShiftRightLogical if (0..bits).contains(&y) => {
            let mask = int_range(dtype).1 as u64 * 2 + 1;
            ((x as u64 & mask) >> y) as i64
        }
        _ => return None,
    })
}

fn unsigned(op: BinaryOp, dtype: DType, x: u64, y: u64) -> Option<u64> {
    use BinaryOp::*;
    let bits = dtype.bits() as u64;
    Some(match op {
        Add => x.wrapping_add(y),
        Subtract => x.wrapping_sub(y),
        Multiply => x.wrapping_mul(y),
        Divide if y != 0 => x / y,
        Remainder if y != 0 => x % y,
        Maximum => x.max(y),
        Minimum => x.min(y),
        And => x & y,
        Or => x | y,
        Xor => x ^ y,
        ShiftLeft if y < bits => x << y,
        ShiftRightLogical if y < bits => x >> y,
        _ => return None,
    })
}

pub(super) fn compare(c: &Compare, x: &Literal, y: &Literal, ty: &TensorType, count: usize) -> Option<Literal> {
    use ComparisonDirection::*;
    let dtype = x.ty().dtype;
    let float = is_float(dtype);
    let ordered = matches!(c.compare_type, ComparisonType::TotalOrder | ComparisonType::WeakOrder);
    if dtype.is_complex() || (dtype.is_float() && !float) || ordered {
        return None;
    }
    each(ty, count, |i, out| {
        let order = if float {
            x.get_f64(i).partial_cmp(&y.get_f64(i))
        } else if dtype.class() == DTypeClass::Unsigned {
            Some((x.get_i64(i) as u64).cmp(&(y.get_i64(i) as u64)))
        } else {
            Some(x.get_i64(i).cmp(&y.get_i64(i)))
        };
        let holds = match c.direction {
            Eq => order == Some(Ordering::Equal),
            Ne => order != Some(Ordering::Equal),
            Lt => order == Some(Ordering::Less),
            Gt => order == Some(Ordering::Greater),
            Le => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Ge => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        };
        out[0] = u8::from(holds);
        Some(())
    })
}

pub(super) fn select(p: &Literal, x: &Literal, y: &Literal, ty: &TensorType, count: usize) -> Option<Literal> {
    let scalar = p.ty().rank() == 0;
    each(ty, count, |i, out| {
        let chosen = if p.get_i64(if scalar { 0 } else { i }) != 0 {
            x
        } else {
            y
        };
        out.copy_from_slice(chosen.element(i));
        Some(())
    })
}

pub(super) fn convert(x: &Literal, ty: &TensorType, count: usize) -> Option<Literal> {
    let (from, to) = (x.ty().dtype, ty.dtype);
    if from.is_complex() || to.is_complex() || to == DType::TF32 || from == DType::TF32 {
        return None;
    }
    each(ty, count, |i, out| {
        if from.is_float() {
            let value = x.get_f64(i);
            if to.is_int() {
                // What becomes of numbers that do not fit is not specified.
                let (low, high) = int_range(to);
                if !(value > low as f64 - 1.0 && value < high as f64 + 1.0) {
                    return None;
                }
            }
            write_f64(to, value, out);
        } else {
            let value = x.get_i64(i);
            let unsigned = from.class() == DTypeClass::Unsigned;
            if to.is_float() && (value.unsigned_abs() > 1 << 53 || (unsigned && value < 0)) {
                return None; // would round twice
            }
            write_i64(to, value, out);
        }
        Some(())
    })
}

pub(super) fn reduce(op: BinaryOp, x: &Literal, init: &Literal, ty: &TensorType, dims: &[i64]) -> Option<Literal> {
    let from = x.ty();
    // The order of a float sum is not specified; the largest of floats has none.
    let ordered = from.dtype.is_float() && !matches!(op, BinaryOp::Maximum | BinaryOp::Minimum);
    if ordered || from.dtype != ty.dtype || from.element_count() > super::MAX_ELEMENTS {
        return None;
    }
    let strides = from.strides();
    let kept: Vec<usize> = (0..from.rank()).filter(|d| !dims.contains(&(*d as i64))).collect();
    let result_strides = ty.strides();
    let mut sums: Vec<(f64, i64)> = vec![(init.get_f64(0), init.get_i64(0)); ty.element_count()];
    for i in 0..from.element_count() {
        let target: i64 = kept
            .iter()
            .zip(&result_strides)
            .map(|(&d, &s)| i as i64 / strides[d] % from.shape[d] * s)
            .sum();
        let sum = &mut sums[target as usize];
        *sum = match element(op, ty.dtype, *sum, (x.get_f64(i), x.get_i64(i)))? {
            Number::Float(v) => (v, v as i64),
            Number::Int(v) => (v as f64, v),
        };
    }
    each(ty, sums.len(), |i, out| {
        if ty.dtype.is_float() {
            write_f64(ty.dtype, sums[i].0, out);
        } else {
            write_i64(ty.dtype, sums[i].1, out);
        }
        Some(())
    })
}
