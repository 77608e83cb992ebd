//! ALU operations on rows of fp32 and on raw integers.

use ferrite_ir::isa::AluOp;

/// `out[i] = a[i] op b[i]` in fp32. Bit operations are not numbers and leave `out` as it is.
pub fn rows(op: AluOp, a: &[f32], b: &[f32], out: &mut [f32]) {
    macro_rules! each {
        ($f:expr) => {
            for ((x, &a), &b) in out.iter_mut().zip(a).zip(b) {
                *x = $f(a, b);
            }
        };
    }
    with_function!(op, each);
}

/// `x[i] = x[i] op s`, or `s op x[i]` if reversed, in fp32.
pub fn row_scalar(op: AluOp, x: &mut [f32], s: f32, reverse: bool) {
    macro_rules! each {
        ($f:expr) => {
            if reverse {
                x.iter_mut().for_each(|x| *x = $f(s, *x));
            } else {
                x.iter_mut().for_each(|x| *x = $f(*x, s));
            }
        };
    }
    with_function!(op, each);
}

/// `a op b` of two fp32 values.
pub fn one(op: AluOp, a: f32, b: f32) -> f32 {
    let mut out = [0.0];
    rows(op, &[a], &[b], &mut out);
    out[0]
}

/// Folds a row from its first element on.
pub fn fold(op: AluOp, row: &[f32]) -> f32 {
    let Some((&first, rest)) = row.split_first() else {
        return 0.0;
    };
    match op {
        AluOp::Add => rest.iter().fold(first, |x, y| x + y),
        AluOp::Max => rest.iter().fold(first, |x, &y| x.max(y)),
        AluOp::Min => rest.iter().fold(first, |x, &y| x.min(y)),
        AluOp::Multiply => rest.iter().fold(first, |x, y| x * y),
        op => rest.iter().fold(first, |x, &y| one(op, x, y)),
    }
}

/// Expands `$each!` with the scalar function of an operation, so that every loop is compiled for its own function.
macro_rules! with_function {
    ($op:expr, $each:ident) => {{
        let truth = |b: bool| f32::from(u8::from(b));
        match $op {
            AluOp::Add => $each!(|a: f32, b: f32| a + b),
            AluOp::Subtract => $each!(|a: f32, b: f32| a - b),
            AluOp::Multiply => $each!(|a: f32, b: f32| a * b),
            // NaN is ignored, as IEEE maximumNumber (our assumption).
            AluOp::Max => $each!(|a: f32, b: f32| a.max(b)),
            AluOp::Min => $each!(|a: f32, b: f32| a.min(b)),
            AluOp::IsEqual => $each!(|a: f32, b: f32| truth(a == b)),
            AluOp::NotEqual => $each!(|a: f32, b: f32| truth(a != b)),
            AluOp::IsGe => $each!(|a: f32, b: f32| truth(a >= b)),
            AluOp::IsGt => $each!(|a: f32, b: f32| truth(a > b)),
            AluOp::IsLe => $each!(|a: f32, b: f32| truth(a <= b)),
            AluOp::IsLt => $each!(|a: f32, b: f32| truth(a < b)),
            AluOp::LogicalAnd => $each!(|a: f32, b: f32| truth(a != 0.0 && b != 0.0)),
            AluOp::LogicalOr => $each!(|a: f32, b: f32| truth(a != 0.0 || b != 0.0)),
            AluOp::LogicalXor => $each!(|a: f32, b: f32| truth((a != 0.0) != (b != 0.0))),
            AluOp::Power => $each!(|a: f32, b: f32| a.powf(b)),
            AluOp::AbsMax => $each!(|a: f32, b: f32| a.abs().max(b.abs())),
            AluOp::AbsMin => $each!(|a: f32, b: f32| a.abs().min(b.abs())),
            AluOp::BitwiseAnd | AluOp::BitwiseOr | AluOp::BitwiseXor | AluOp::ShiftLeft | AluOp::ShiftRight => {}
        }
    }};
}
use with_function;

/// `a op b` on raw integers of `bits` bits; arithmetic wraps. Shifts by `bits` and more give 0 (our assumption).
pub fn raw(op: AluOp, a: u32, b: u32, bits: u32, signed: bool) -> u32 {
    let mask = if bits >= 32 { u32::MAX } else { (1 << bits) - 1 };
    let extend = |x: u32| {
        let unused = 32 - bits.clamp(1, 32);
        if signed {
            i64::from(((x << unused) as i32) >> unused)
        } else {
            i64::from(x & mask)
        }
    };
    let (x, y) = (extend(a), extend(b));
    let out = match op {
        AluOp::BitwiseAnd => a & b,
        AluOp::BitwiseOr => a | b,
        AluOp::BitwiseXor => a ^ b,
        AluOp::ShiftLeft => {
            if b < bits {
                a << b
            } else {
                0
            }
        }
        AluOp::ShiftRight => {
            if b < bits {
                (a & mask) >> b
            } else {
                0
            }
        }
        AluOp::Add => x.wrapping_add(y) as u32,
        AluOp::Subtract => x.wrapping_sub(y) as u32,
        AluOp::Multiply => x.wrapping_mul(y) as u32,
        AluOp::Max => x.max(y) as u32,
        AluOp::Min => x.min(y) as u32,
        AluOp::IsEqual => u32::from(x == y),
        AluOp::NotEqual => u32::from(x != y),
        AluOp::IsGe => u32::from(x >= y),
        AluOp::IsGt => u32::from(x > y),
        AluOp::IsLe => u32::from(x <= y),
        AluOp::IsLt => u32::from(x < y),
        AluOp::LogicalAnd => u32::from(x != 0 && y != 0),
        AluOp::LogicalOr => u32::from(x != 0 || y != 0),
        AluOp::LogicalXor => u32::from((x != 0) != (y != 0)),
        AluOp::Power => integer_power(x, y) as u32,
        AluOp::AbsMax => x.abs().max(y.abs()) as u32,
        AluOp::AbsMin => x.abs().min(y.abs()) as u32,
    };
    out & mask
}

/// Wrapping power; a negative exponent gives the truncated fraction.
fn integer_power(base: i64, exponent: i64) -> i64 {
    if exponent < 0 {
        return match base {
            1 => 1,
            -1 => {
                if exponent % 2 == 0 {
                    1
                } else {
                    -1
                }
            }
            _ => 0,
        };
    }
    base.wrapping_pow(u32::try_from(exponent).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_yield_one_or_zero() {
        let mut out = [9.0; 3];
        rows(AluOp::IsGe, &[1.0, 2.0, f32::NAN], &[2.0, 2.0, 0.0], &mut out);
        assert_eq!(out, [0.0, 1.0, 0.0]);
    }

    #[test]
    fn reversed_scalars_stand_on_the_left() {
        let mut x = [1.0, 2.0];
        row_scalar(AluOp::Subtract, &mut x, 10.0, true);
        assert_eq!(x, [9.0, 8.0]);
    }

    #[test]
    fn max_ignores_nan() {
        assert_eq!(one(AluOp::Max, f32::NAN, 2.0), 2.0);
        assert_eq!(fold(AluOp::Min, &[3.0, f32::NAN, 1.0]), 1.0);
    }

    #[test]
    fn raw_integers_wrap_and_shift() {
        assert_eq!(raw(AluOp::Add, u32::MAX, 2, 32, true), 1);
        assert_eq!(raw(AluOp::Max, u32::MAX, 2, 32, true), 2);
        assert_eq!(raw(AluOp::Max, u32::MAX, 2, 32, false), u32::MAX);
        assert_eq!(raw(AluOp::ShiftRight, 0x80, 7, 8, false), 1);
        assert_eq!(raw(AluOp::ShiftLeft, 1, 32, 32, false), 0);
        assert_eq!(raw(AluOp::Power, 3, 4, 32, true), 81);
    }
}
