//! Numbers and the meaning of element-wise operations on them.
//!
//! Floats are computed in `f64` and rounded once to the type of the result (through `f32` for the 8- and 16-bit types,
//! as XLA does): for `f32` that is exactly rounded arithmetic. Integers are computed in 64 bits and wrap.

use ferrite_ir::dtype::{DType, DTypeClass};
use ferrite_ir::hlo::{BinaryOp, Compare, ComparisonDirection, ComparisonType, UnaryOp};
use ferrite_ir::literal::{int_range, read_f64, write_f64};
use num_complex::Complex64;

use crate::special;
use crate::tensor::wrap;

/// One element. Booleans and integers are extended to 64 bits; floats hold a value of their type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Num {
    F(f64),
    I(i64),
    C(Complex64),
}

/// Rounds to a float type; `f64` stays as it is.
pub(crate) fn round_to(dtype: DType, x: f64) -> f64 {
    match dtype {
        DType::F64 | DType::C128 => x,
        DType::F32 | DType::TF32 | DType::C64 => x as f32 as f64,
        DType::BF16 => half::bf16::from_f32(x as f32).to_f64(),
        DType::F16 => half::f16::from_f32(x as f32).to_f64(),
        _ => {
            let mut bytes = [0u8; 16];
            write_f64(dtype, x as f32 as f64, &mut bytes);
            read_f64(dtype, &bytes)
        }
    }
}

impl Num {
    /// Rounds or wraps to a dtype of the same class.
    pub(crate) fn fit(self, dtype: DType) -> Num {
        match self {
            Num::F(x) => Num::F(round_to(dtype, x)),
            Num::I(x) => Num::I(wrap(dtype, x)),
            Num::C(z) => Num::C(Complex64::new(round_to(dtype, z.re), round_to(dtype, z.im))),
        }
    }

    /// Reads one element.
    pub(crate) fn read(dtype: DType, bytes: &[u8]) -> Num {
        match dtype {
            DType::C64 | DType::C128 => {
                let half = bytes.len() / 2;
                let part = dtype.real();
                Num::C(Complex64::new(
                    read_f64(part, &bytes[..half]),
                    read_f64(part, &bytes[half..]),
                ))
            }
            _ if dtype.is_float() => Num::F(read_f64(dtype, bytes)),
            _ => Num::I(ferrite_ir::literal::read_i64(dtype, bytes)),
        }
    }

    /// Writes one element.
    pub(crate) fn write(self, dtype: DType, out: &mut [u8]) {
        match self {
            Num::C(z) if dtype.is_complex() => {
                let half = out.len() / 2;
                write_f64(dtype.real(), z.re, &mut out[..half]);
                write_f64(dtype.real(), z.im, &mut out[half..]);
            }
            Num::C(z) => write_f64(dtype, z.re, out),
            Num::F(x) => write_f64(dtype, x, out),
            Num::I(x) => ferrite_ir::literal::write_i64(dtype, x, out),
        }
    }

    /// Converts as `stablehlo.convert`: floats to integers truncate and saturate, NaN becomes 0; anything but zero is true.
    pub(crate) fn convert(self, from: DType, to: DType) -> Num {
        use DTypeClass::*;
        match (self, to.class()) {
            (Num::F(x), Bool) => Num::I(i64::from(x != 0.0)),
            (Num::I(x), Bool) => Num::I(i64::from(x != 0)),
            // The imaginary part is ignored, as for all conversions to real types.
            (Num::C(z), Bool) => Num::I(i64::from(z.re != 0.0)),
            (Num::F(x), Signed | Unsigned) => Num::I(float_to_int(to, x)),
            (Num::C(z), Signed | Unsigned) => Num::I(float_to_int(to, z.re)),
            (Num::I(x), Signed | Unsigned) => Num::I(wrap(to, x)),
            (Num::I(x), Float) => Num::F(int_to_float(from, to, x)),
            (Num::F(x), Float) => Num::F(narrow(to, x)),
            (Num::C(z), Float) => Num::F(narrow(to, z.re)),
            (Num::I(x), Complex) => Num::C(Complex64::new(int_to_float(from, to.real(), x), 0.0)),
            (Num::F(x), Complex) => Num::C(Complex64::new(narrow(to.real(), x), 0.0)),
            (Num::C(z), Complex) => Num::C(z).fit(to),
        }
    }
}

/// Rounds once, directly, whatever the source was.
fn narrow(to: DType, x: f64) -> f64 {
    match to {
        DType::F64 => x,
        DType::F32 | DType::TF32 => x as f32 as f64,
        _ => {
            let mut bytes = [0u8; 16];
            write_f64(to, x, &mut bytes);
            read_f64(to, &bytes)
        }
    }
}

fn int_to_float(from: DType, to: DType, x: i64) -> f64 {
    match (from, to) {
        (DType::U64, DType::F32) => x as u64 as f32 as f64,
        (DType::U64, _) => narrow(to, x as u64 as f64),
        (_, DType::F32) => x as f32 as f64,
        _ => narrow(to, x as f64),
    }
}

/// Truncates towards zero and saturates; NaN becomes 0.
pub(crate) fn float_to_int(to: DType, x: f64) -> i64 {
    match to {
        DType::U64 => x as u64 as i64,
        _ => {
            let (low, high) = int_range(to);
            (x as i64).clamp(low as i64, high as i64)
        }
    }
}

// ---- unary ----

/// A function of one float that gives a float; `None` for operations that floats do not have.
pub(crate) fn unary_float(op: UnaryOp) -> Option<fn(f64) -> f64> {
    use UnaryOp::*;
    Some(match op {
        Abs => f64::abs,
        Cbrt => f64::cbrt,
        Ceil => f64::ceil,
        Cosine => f64::cos,
        Exponential => f64::exp,
        ExponentialMinusOne => f64::exp_m1,
        Floor => f64::floor,
        Real | Conj => |x| x,
        Imag => |_| 0.0,
        Log => f64::ln,
        LogPlusOne => f64::ln_1p,
        Logistic => logistic,
        Negate => |x| -x,
        RoundNearestAfz => f64::round,
        RoundNearestEven => f64::round_ties_even,
        Rsqrt => |x| 1.0 / x.sqrt(),
        Sign => |x| if x.is_nan() || x == 0.0 { x } else { 1f64.copysign(x) },
        Sine => f64::sin,
        Sqrt => f64::sqrt,
        Tan | ChloTan => f64::tan,
        Tanh => f64::tanh,
        Acos => f64::acos,
        Acosh => f64::acosh,
        Asin => f64::asin,
        Asinh => f64::asinh,
        Atan => f64::atan,
        Atanh => f64::atanh,
        BesselI1e => special::bessel_i1e,
        Cosh => f64::cosh,
        Digamma => special::digamma,
        Erf => libm::erf,
        ErfInv => special::erf_inv,
        Erfc => libm::erfc,
        Lgamma => special::lgamma,
        Sinh => f64::sinh,
        Square => |x| x * x,
        CountLeadingZeros | PopulationCount | Not | IsFinite | IsInf | IsNegInf | IsPosInf => return None,
    })
}

/// `1 / (1 + exp(-x))` without overflow.
pub(crate) fn logistic(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

/// A property of one float.
pub(crate) fn unary_predicate(op: UnaryOp) -> Option<fn(f64) -> bool> {
    Some(match op {
        UnaryOp::IsFinite => f64::is_finite,
        UnaryOp::IsInf => f64::is_infinite,
        UnaryOp::IsPosInf => |x| x == f64::INFINITY,
        UnaryOp::IsNegInf => |x| x == f64::NEG_INFINITY,
        _ => return None,
    })
}

/// A function of one integer or boolean; the caller wraps the result.
pub(crate) fn unary_int(op: UnaryOp) -> Option<fn(DType, i64) -> i64> {
    use UnaryOp::*;
    Some(match op {
        Abs => |dtype, x| if unsigned(dtype) { x } else { x.wrapping_abs() },
        Negate => |_, x| x.wrapping_neg(),
        Not => |dtype, x| if dtype == DType::Bool { i64::from(x == 0) } else { !x },
        Sign => |dtype, x| if unsigned(dtype) { i64::from(x != 0) } else { x.signum() },
        PopulationCount => |dtype, x| i64::from(zero_extend(dtype, x).count_ones()),
        CountLeadingZeros => |dtype, x| i64::from(zero_extend(dtype, x).leading_zeros()) - (64 - dtype.bits() as i64),
        Square => |_, x| x.wrapping_mul(x),
        Real => |_, x| x,
        _ => return None,
    })
}

fn unsigned(dtype: DType) -> bool {
    dtype.class() == DTypeClass::Unsigned || dtype == DType::Bool
}

fn zero_extend(dtype: DType, x: i64) -> u64 {
    let unused = 64 - dtype.bits() as u32;
    (x as u64) << unused >> unused
}

/// A function of one complex number that gives a complex number.
pub(crate) fn unary_complex(op: UnaryOp) -> Option<fn(Complex64) -> Complex64> {
    use UnaryOp::*;
    Some(match op {
        Negate => |z| -z,
        Conj => |z| z.conj(),
        Cosine => |z| z.cos(),
        Sine => |z| z.sin(),
        Tan | ChloTan => |z| z.tan(),
        Tanh => |z| z.tanh(),
        Sinh => |z| z.sinh(),
        Cosh => |z| z.cosh(),
        Asin => |z| z.asin(),
        Acos => |z| z.acos(),
        Atan => |z| z.atan(),
        Asinh => |z| z.asinh(),
        Acosh => |z| z.acosh(),
        Atanh => |z| z.atanh(),
        Exponential => |z| z.exp(),
        // exp(x) cos y - 1 = expm1(x) cos y - 2 sin^2(y/2)
        ExponentialMinusOne => |z| {
            let half = (z.im / 2.0).sin();
            Complex64::new(z.re.exp_m1() * z.im.cos() - 2.0 * half * half, z.re.exp() * z.im.sin())
        },
        Log => |z| z.ln(),
        // log|1 + z| = log1p(x (2 + x) + y^2) / 2
        LogPlusOne => |z| {
            Complex64::new(
                0.5 * (z.re * (2.0 + z.re) + z.im * z.im).ln_1p(),
                z.im.atan2(1.0 + z.re),
            )
        },
        Logistic => |z| Complex64::new(1.0, 0.0) / (Complex64::new(1.0, 0.0) + (-z).exp()),
        Sqrt => |z| z.sqrt(),
        Rsqrt => |z| Complex64::new(1.0, 0.0) / z.sqrt(),
        Cbrt => |z| z.cbrt(),
        Sign => |z| {
            let r = z.norm();
            if r == 0.0 { z } else { z / r }
        },
        Square => |z| z * z,
        _ => return None,
    })
}

/// Applies a unary operation to one element of type `dtype`; the result has the type of the operation's result.
pub(crate) fn unary(op: UnaryOp, dtype: DType, x: Num) -> Option<Num> {
    Some(match x {
        Num::F(v) => match unary_predicate(op) {
            Some(test) => Num::I(i64::from(test(v))),
            None => Num::F(round_to(dtype, unary_float(op)?(v))),
        },
        Num::I(_) if op == UnaryOp::IsFinite => Num::I(1),
        Num::I(v) => Num::I(wrap(dtype, unary_int(op)?(dtype, v))),
        Num::C(z) => match op {
            UnaryOp::Abs => Num::F(round_to(dtype, z.norm())),
            UnaryOp::Real => Num::F(z.re),
            UnaryOp::Imag => Num::F(z.im),
            UnaryOp::IsFinite => Num::I(i64::from(z.is_finite())),
            _ => Num::C(unary_complex(op)?(z)).fit(dtype),
        },
    })
}

// ---- binary ----

/// Maximum; NaN if either is, and +0 above -0.
pub(crate) fn maximum(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a > b || (a == b && a.is_sign_positive()) {
        a
    } else {
        b
    }
}

/// Minimum; NaN if either is, and -0 below +0.
pub(crate) fn minimum(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a < b || (a == b && a.is_sign_negative()) {
        a
    } else {
        b
    }
}

/// A function of two floats; `NextAfter` depends on the type and is not among them.
pub(crate) fn binary_float(op: BinaryOp) -> Option<fn(f64, f64) -> f64> {
    use BinaryOp::*;
    Some(match op {
        Add => |a, b| a + b,
        Subtract => |a, b| a - b,
        Multiply => |a, b| a * b,
        Divide => |a, b| a / b,
        Remainder => |a, b| a % b,
        Maximum => maximum,
        Minimum => minimum,
        Power => f64::powf,
        Atan2 => f64::atan2,
        Polygamma => special::polygamma,
        Zeta => special::zeta,
        And | Or | Xor | ShiftLeft | ShiftRightArithmetic | ShiftRightLogical | NextAfter => return None,
    })
}

/// The neighbour of `a` towards `b` in a float type.
pub(crate) fn next_after(dtype: DType, a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        return f64::NAN;
    }
    if a == b {
        return b;
    }
    match dtype {
        DType::F64 => libm::nextafter(a, b),
        DType::F32 | DType::TF32 => libm::nextafterf(a as f32, b as f32) as f64,
        _ => {
            let mut bytes = [0u8; 2];
            let size = dtype.bytes().min(2);
            write_f64(dtype, a, &mut bytes[..size]);
            let bits = u16::from_le_bytes(bytes);
            let sign = 1u16 << (dtype.bits() - 1);
            let next = if a == 0.0 {
                if b < 0.0 { sign | 1 } else { 1 }
            } else if (a < b) == (bits & sign == 0) {
                bits.wrapping_add(1)
            } else {
                bits.wrapping_sub(1)
            };
            read_f64(dtype, &next.to_le_bytes()[..size])
        }
    }
}

/// A function of two integers or booleans; the caller wraps the result.
pub(crate) fn binary_int(op: BinaryOp) -> Option<fn(DType, i64, i64) -> i64> {
    use BinaryOp::*;
    Some(match op {
        Add => |dtype, a, b| if dtype == DType::Bool { a | b } else { a.wrapping_add(b) },
        Subtract => |_, a, b| a.wrapping_sub(b),
        Multiply => |_, a, b| a.wrapping_mul(b),
        // Division by zero gives all ones, as XLA defines it; the remainder is then the dividend.
        Divide => |dtype, a, b| match (unsigned(dtype), b) {
            (_, 0) => -1,
            (true, _) => (a as u64 / b as u64) as i64,
            (false, _) => a.wrapping_div(b),
        },
        Remainder => |dtype, a, b| match (unsigned(dtype), b) {
            (_, 0) => a,
            (true, _) => (a as u64 % b as u64) as i64,
            (false, _) => a.wrapping_rem(b),
        },
        Maximum => |dtype, a, b| {
            let first = if unsigned(dtype) { a as u64 > b as u64 } else { a > b };
            if first { a } else { b }
        },
        Minimum => |dtype, a, b| {
            let first = if unsigned(dtype) { (a as u64) < b as u64 } else { a < b };
            if first { a } else { b }
        },
        And => |_, a, b| a & b,
        Or => |_, a, b| a | b,
        Xor => |_, a, b| a ^ b,
        ShiftLeft => |dtype, a, b| if over(dtype, b) { 0 } else { a << b },
        ShiftRightLogical => |dtype, a, b| {
            if over(dtype, b) {
                0
            } else {
                (zero_extend(dtype, a) >> b) as i64
            }
        },
        ShiftRightArithmetic => |dtype, a, b| {
            let unused = 64 - dtype.bits() as u32;
            let signed = a << unused >> unused;
            if over(dtype, b) { signed >> 63 } else { signed >> b }
        },
        Power => int_power,
        Atan2 | NextAfter | Polygamma | Zeta => return None,
    })
}

/// Whether a shift amount, read as unsigned, is at least the width.
fn over(dtype: DType, amount: i64) -> bool {
    zero_extend(dtype, amount) >= dtype.bits() as u64
}

/// Wrapping power; a negative exponent gives what rounds to an integer: 1, -1 or 0.
fn int_power(dtype: DType, base: i64, exponent: i64) -> i64 {
    if exponent < 0 && !unsigned(dtype) {
        return match base {
            1 => 1,
            -1 if exponent % 2 == 0 => 1,
            -1 => -1,
            _ => 0,
        };
    }
    let (mut result, mut square, mut left) = (1i64, base, exponent as u64);
    while left > 0 {
        if left & 1 == 1 {
            result = result.wrapping_mul(square);
        }
        square = square.wrapping_mul(square);
        left >>= 1;
    }
    result
}

/// A function of two complex numbers.
pub(crate) fn binary_complex(op: BinaryOp) -> Option<fn(Complex64, Complex64) -> Complex64> {
    use BinaryOp::*;
    Some(match op {
        Add => |a, b| a + b,
        Subtract => |a, b| a - b,
        Multiply => |a, b| a * b,
        Divide => |a, b| a / b,
        Power => |a, b| {
            if a.norm_sqr() == 0.0 {
                let whole = if b.norm_sqr() == 0.0 { 1.0 } else { 0.0 };
                Complex64::new(whole, 0.0)
            } else {
                a.powc(b)
            }
        },
        // Complex numbers are ordered by their real, then their imaginary parts.
        Maximum => |a, b| if part_order(a, b).is_lt() { b } else { a },
        Minimum => |a, b| if part_order(a, b).is_gt() { b } else { a },
        // -i log((a_x + i a_y) / sqrt(x^2 + y^2)), the complex continuation of atan2(y, x).
        Atan2 => |y, x| {
            let i = Complex64::i();
            -i * ((x + i * y) / (x * x + y * y).sqrt()).ln()
        },
        _ => return None,
    })
}

/// Applies a binary operation to two elements of type `dtype`.
pub(crate) fn binary(op: BinaryOp, dtype: DType, a: Num, b: Num) -> Option<Num> {
    Some(match (a, b) {
        (Num::F(a), Num::F(b)) if op == BinaryOp::NextAfter => Num::F(next_after(dtype, a, b)),
        (Num::F(a), Num::F(b)) => Num::F(round_to(dtype, binary_float(op)?(a, b))),
        (Num::I(a), Num::I(b)) => Num::I(wrap(dtype, binary_int(op)?(dtype, a, b))),
        (Num::C(a), Num::C(b)) => Num::C(binary_complex(op)?(a, b)).fit(dtype),
        _ => return None,
    })
}

// ---- comparison ----

fn holds<T: PartialOrd>(direction: ComparisonDirection, a: T, b: T) -> bool {
    match direction {
        ComparisonDirection::Eq => a == b,
        ComparisonDirection::Ne => a != b,
        ComparisonDirection::Ge => a >= b,
        ComparisonDirection::Gt => a > b,
        ComparisonDirection::Le => a <= b,
        ComparisonDirection::Lt => a < b,
    }
}

/// Compares two floats.
pub(crate) fn compare_float(c: Compare, a: f64, b: f64) -> bool {
    match c.compare_type {
        ComparisonType::TotalOrder => holds(c.direction, total_key(a), total_key(b)),
        // All NaN are one, above infinity, and so are both zeros.
        ComparisonType::WeakOrder => holds(
            c.direction,
            (a.is_nan(), number_or_zero(a)),
            (b.is_nan(), number_or_zero(b)),
        ),
        _ => holds(c.direction, a, b),
    }
}

fn number_or_zero(x: f64) -> f64 {
    if x.is_nan() { 0.0 } else { x }
}

/// An integer in the order of `totalOrder`: -NaN, -inf, ..., -0, +0, ..., inf, NaN.
pub(crate) fn total_key(x: f64) -> i64 {
    let bits = x.to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

/// Compares two integers or booleans.
pub(crate) fn compare_int(c: Compare, dtype: DType, a: i64, b: i64) -> bool {
    if dtype == DType::U64 {
        holds(c.direction, a as u64, b as u64)
    } else {
        holds(c.direction, a, b)
    }
}

/// The order of two complex numbers by their real, then their imaginary parts. NaN counts as equal.
fn part_order(a: Complex64, b: Complex64) -> std::cmp::Ordering {
    let order = |a: f64, b: f64| a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal);
    order(a.re, b.re).then(order(a.im, b.im))
}

/// Compares two complex numbers: pairs in lexicographic order.
pub(crate) fn compare_complex(c: Compare, a: Complex64, b: Complex64) -> bool {
    holds(c.direction, (a.re, a.im), (b.re, b.im))
}

/// Compares two elements.
pub(crate) fn compare(c: Compare, dtype: DType, a: Num, b: Num) -> Option<bool> {
    Some(match (a, b) {
        (Num::F(a), Num::F(b)) => compare_float(c, a, b),
        (Num::I(a), Num::I(b)) => compare_int(c, dtype, a, b),
        (Num::C(a), Num::C(b)) => compare_complex(c, a, b),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_follow_xla_at_the_edges() {
        let i = |op, a, b| binary(op, DType::I32, Num::I(a), Num::I(b));
        let min = i32::MIN as i64;
        assert_eq!(i(BinaryOp::Divide, min, -1), Some(Num::I(min)));
        assert_eq!(i(BinaryOp::Divide, 5, 0), Some(Num::I(-1)));
        assert_eq!(i(BinaryOp::Remainder, 5, 0), Some(Num::I(5)));
        assert_eq!(i(BinaryOp::ShiftRightArithmetic, -8, 40), Some(Num::I(-1)));
        assert_eq!(i(BinaryOp::ShiftRightLogical, -1, 28), Some(Num::I(15)));
        assert_eq!(i(BinaryOp::ShiftLeft, 1, -1), Some(Num::I(0)));
        assert_eq!(i(BinaryOp::Power, 3, 4), Some(Num::I(81)));
        assert_eq!(
            unary(UnaryOp::CountLeadingZeros, DType::I8, Num::I(-1)),
            Some(Num::I(0))
        );
        assert_eq!(unary(UnaryOp::PopulationCount, DType::I8, Num::I(-1)), Some(Num::I(8)));
    }

    #[test]
    fn nan_goes_through_maximum_and_total_order_places_it_last() {
        assert!(maximum(1.0, f64::NAN).is_nan());
        let total = Compare {
            direction: ComparisonDirection::Lt,
            compare_type: ComparisonType::TotalOrder,
        };
        assert!(compare_float(total, f64::INFINITY, f64::NAN));
        assert!(compare_float(total, -0.0, 0.0));
        assert!(!compare_float(total, -1.0, -2.0));
    }

    #[test]
    fn the_next_bf16_is_one_bit_away() {
        let up = next_after(DType::BF16, 1.0, 2.0);
        assert_eq!(up, 1.0 + 2f64.powi(-7));
        assert_eq!(next_after(DType::BF16, up, 0.0), 1.0);
    }
}
