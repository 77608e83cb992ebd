//! Elementary functions on `f32`, from exp, log, sqrt, sin, cos, tanh and arithmetic. Accurate to a few units in the
//! last place over the whole range, with the special values of IEEE 754.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};

use ferrite_ir::hlo::UnaryOp;

use super::expr::{E, polynomial};

/// `exp(x) - 1 = tanh(x/2) (exp(x) + 1)`: no cancellation anywhere, and the sign of zero survives.
pub(super) fn expm1(x: E<'_>) -> E<'_> {
    (x * 0.5).tanh() * (x.exp() + 1.0)
}

/// `log(1 + x)`. The rounding error of `u = 1 + x` is undone by the factor `x / (u - 1)` (Kahan).
pub(super) fn log1p(x: E<'_>) -> E<'_> {
    let u = x + 1.0;
    let d = u - 1.0;
    let keep = d.equals(0.0) | d.equals(f64::INFINITY);
    keep.select(x, u.log() * (x / d))
}

/// Cube root: `exp(log|x|/3)`, then one Newton step.
pub(super) fn cbrt(x: E<'_>) -> E<'_> {
    let a = x.abs();
    let y = (a.log() * (1.0 / 3.0)).exp();
    let y = y - (y - a / y.square()) * (1.0 / 3.0);
    let special = a.equals(0.0) | a.equals(f64::INFINITY);
    special.select(a, y).with_sign_of(x)
}

pub(super) fn tan(x: E<'_>) -> E<'_> {
    x.sin() / x.cos()
}

/// Halves of `exp(|x|)` and `exp(-|x|)`, the former without early overflow.
fn exp_halves(x: E<'_>) -> (E<'_>, E<'_>) {
    let root = (x.abs() * 0.5).exp();
    ((root * 0.5) * root, (0.5 / root) / root)
}

pub(super) fn cosh(x: E<'_>) -> E<'_> {
    let (up, down) = exp_halves(x);
    up + down
}

/// For small `x` from `expm1`, which does not cancel.
pub(super) fn sinh(x: E<'_>) -> E<'_> {
    let (up, down) = exp_halves(x);
    let e = expm1(x.abs());
    let small = (e + e / (e + 1.0)) * 0.5;
    x.abs().lt(1.0).select(small, up - down).with_sign_of(x)
}

/// Arc tangent on `[0, 1]`: Cephes' polynomial around 0 or `pi/4`.
fn atan_unit(t: E<'_>) -> E<'_> {
    let upper = t.gt(0.414_213_562_373_095);
    let t = upper.select((t - 1.0) / (t + 1.0), t);
    let z = t.square();
    let p = polynomial(
        z,
        &[
            8.053_744_495_38e-2,
            -1.387_768_560_32e-1,
            1.997_771_064_78e-1,
            -3.333_294_915_39e-1,
        ],
    );
    let base = upper.select(t.c(FRAC_PI_4), 0.0);
    base + (p * z * t + t)
}

pub(super) fn atan(x: E<'_>) -> E<'_> {
    let a = x.abs();
    let large = a.gt(1.0);
    let t = large.select(1.0 / a, a);
    let r = atan_unit(t);
    large.select(FRAC_PI_2 - r, r).with_sign_of(x)
}

pub(super) fn atan2<'g>(y: E<'g>, x: E<'g>) -> E<'g> {
    let (a, b) = (x.abs(), y.abs());
    let (low, high) = (a.min(b), a.max(b));
    // Both zero or both infinite: the quotient is not a number, the angle is.
    let t = low.equals(high).select(high.c(1.0), low / high);
    let t = high.equals(0.0).select(high, t);
    let r = atan_unit(t);
    let r = b.gt(a).select(FRAC_PI_2 - r, r);
    let r = x.sign_bit().select(PI - r, r);
    let nan = x.is_nan() | y.is_nan();
    nan.select(x + y, r.with_sign_of(y))
}

pub(super) fn asin(x: E<'_>) -> E<'_> {
    atan2(x, 1.0 + ((1.0 - x) * (1.0 + x)).sqrt()) * 2.0
}

pub(super) fn acos(x: E<'_>) -> E<'_> {
    let angle = atan2(((1.0 - x) * (1.0 + x)).sqrt(), 1.0 + x) * 2.0;
    x.equals(-1.0).select(x.c(PI), angle)
}

/// `sign(x) log1p(|x| + x^2 / (1 + sqrt(x^2 + 1)))`; for large `|x|`, `log|x| + log 2`.
pub(super) fn asinh(x: E<'_>) -> E<'_> {
    let a = x.abs();
    let root = (a.square() + 1.0).sqrt();
    let small = log1p(a + a * (a / (1.0 + root)));
    let large = a.log() + std::f64::consts::LN_2;
    a.gt(1e9).select(large, small).with_sign_of(x)
}

/// `log1p((x - 1) + sqrt((x - 1)(x + 1)))`; for large `x`, `log x + log 2`.
pub(super) fn acosh(x: E<'_>) -> E<'_> {
    let m = x - 1.0;
    let small = log1p(m + m.sqrt() * (x + 1.0).sqrt());
    let large = x.log() + std::f64::consts::LN_2;
    x.gt(1e9).select(large, small)
}

/// `sign(x)/2 log1p(2|x| / (1 - |x|))`.
pub(super) fn atanh(x: E<'_>) -> E<'_> {
    let a = x.abs();
    let r = log1p((a * 2.0) / (1.0 - a)) * 0.5;
    let nan = a.gt(1.0);
    nan.select(x.c(f64::NAN), r.with_sign_of(x))
}

/// Half away from zero.
pub(super) fn round_nearest_afz(x: E<'_>) -> E<'_> {
    let a = x.abs();
    let low = a.floor();
    let up = (a - low).ge(0.5);
    let r = low + up.select(a.c(1.0), 0.0);
    // Infinities: their fraction is not a number, and they are their own floor.
    x.is_nan().select(x, r.with_sign_of(x))
}

/// The remainder of division towards zero, with the sign of the dividend: exact while the quotient is below 2^22.
///
/// The product of quotient and divisor is taken in two parts (Dekker), and the quotient corrected by one where its
/// rounding went over.
pub(super) fn remainder<'g>(x: E<'g>, y: E<'g>) -> E<'g> {
    let (a, b) = (x.abs(), y.abs());
    let n = (a / b).floor();
    let (high, low) = product(n, b);
    // Splitting overflows for huge divisors; then the rounded product must do.
    let low = low.is_nan().select(low.c(0.0), low);
    let r = (a - high) - low;
    let r = r.lt(0.0).select(r + b, r);
    let r = r.ge(b).select(r - b, r);
    let whole = b.equals(f64::INFINITY) & a.lt(f64::INFINITY);
    let r = whole.select(a, r);
    r.is_nan().select(r, r.with_sign_of(x))
}

/// `x * y` as the sum of a rounded product and its error, exact without overflow (Veltkamp and Dekker, 24 bits).
pub(super) fn product<'g>(x: E<'g>, y: E<'g>) -> (E<'g>, E<'g>) {
    let split = |v: E<'g>| {
        let c = v * 4097.0;
        let high = c - (c - v);
        (high, v - high)
    };
    let p = x * y;
    let ((xh, xl), (yh, yl)) = (split(x), split(y));
    let error = ((xh * yh - p) + xh * yl + xl * yh) + xl * yl;
    (p, error)
}

/// The neighbour of `x` in the direction of `y`, both of 32 or both of 16 bits.
pub(super) fn next_after<'g>(x: E<'g>, y: E<'g>) -> E<'g> {
    use ferrite_ir::dtype::DType;
    let dtype = x.ty().dtype;
    let (same_width, sign) = match dtype.bits() {
        16 => (DType::I16, i64::from(i16::MIN)),
        _ => (DType::I32, i64::from(i32::MIN)),
    };
    // The bits as a number of 32, the sign extended.
    let word = |v: E<'g>| v.bitcast(same_width).convert(DType::I32);
    let (xb, yb) = (word(x), word(y));
    let (xa, ya) = (xb & !sign, yb & !sign);
    let one = xb.i(1);
    let from_zero = (yb & sign) | 1i64;
    let opposite = xb.lt(0i64).differs_bool(yb.lt(0i64));
    let inwards = xa.gt(ya) | opposite;
    let moved = xb + inwards.select(-one, one);
    let bits = xa.equals(0i64).select(from_zero, moved);
    let r = x.equals(y).select(y, bits.convert(same_width).bitcast(dtype));
    (x.is_nan() | y.is_nan()).select(x + y, r)
}

impl<'g> E<'g> {
    /// Exclusive or of truth values.
    fn differs_bool(self, other: E<'g>) -> E<'g> {
        self.binary(ferrite_ir::hlo::BinaryOp::Xor, other)
    }

    /// Whether `|x|` is infinite.
    pub fn is_inf(self) -> E<'g> {
        self.abs().equals(f64::INFINITY)
    }

    /// Whether the number is finite.
    pub fn is_finite(self) -> E<'g> {
        self.unary(UnaryOp::IsFinite)
    }
}
