//! Powers.

use ferrite_ir::hlo::BinaryOp;
use ferrite_ir::literal::int_range;

use super::elementary::product;
use super::expr::E;

/// Constant integer exponents up to this are products.
const MAX_PRODUCT: f64 = 64.0;

/// What is known of base and exponent at compile time.
#[derive(Clone, Copy)]
pub(super) enum Known {
    /// All bases are this number.
    Base(f64),
    /// All exponents are this number.
    Exponent(f64),
}

/// `x^y` on `f32`, with the special values of IEEE 754. The general case is `exp(y log|x|)`, with an error of about
/// `|y log x|` units in the last place; constant exponents and bases do better.
pub(super) fn power<'g>(x: E<'g>, y: E<'g>, known: Option<Known>) -> E<'g> {
    match known {
        Some(Known::Exponent(c)) => {
            if let Some(r) = constant_exponent(x, c) {
                return r;
            }
        }
        Some(Known::Base(c)) if c > 0.0 && c.is_finite() && c != 1.0 => return constant_base(c, y),
        _ => {}
    }
    let a = x.abs();
    let exponent = a.log() * y;
    // 1^inf is 1.
    let r = a.equals(1.0).select(a, exponent.exp());
    let whole = y.floor().equals(y);
    let half = y * 0.5;
    let odd = whole & half.floor().differs(half);
    let r = (x.sign_bit() & odd).select(-r, r);
    let undefined = x.lt(0.0) & x.is_finite() & !whole;
    let r = undefined.select(x.c(f64::NAN), r);
    let r = (x.is_nan() | y.is_nan()).select(x + y, r);
    (x.equals(1.0) | y.equals(0.0)).select(x.c(1.0), r)
}

fn constant_exponent(x: E<'_>, c: f64) -> Option<E<'_>> {
    if c == 0.0 {
        return Some(x.c(1.0));
    }
    if c == 0.5 || c == -0.5 {
        // The square root of -0 is 0 here, and that of -inf is inf.
        let positive = x + 0.0;
        let a = x.equals(f64::NEG_INFINITY).select(positive.abs(), positive);
        let root = a.sqrt();
        return Some(if c > 0.0 { root } else { 1.0 / root });
    }
    if c.fract() == 0.0 && c.abs() <= MAX_PRODUCT {
        let r = repeated(x, c.abs() as u64);
        return Some(if c > 0.0 { r } else { 1.0 / r });
    }
    None
}

/// Repeated squaring.
fn repeated(x: E<'_>, mut n: u64) -> E<'_> {
    let (mut square, mut result) = (x, None);
    loop {
        if n & 1 == 1 {
            result = Some(match result {
                None => square,
                Some(r) => square * r,
            });
        }
        n >>= 1;
        if n == 0 {
            return result.unwrap_or_else(|| x.c(1.0));
        }
        square = square.square();
    }
}

/// `c^y = exp(y log c)` for positive `c`: the logarithm is known to more digits than `f32` has, and the product is taken
/// in two parts, so the result is accurate however large the exponent is.
fn constant_base(c: f64, y: E<'_>) -> E<'_> {
    let log = c.ln();
    let high = log as f32 as f64;
    let (p, error) = product(y, y.c(high));
    let low = error + y * (log - high);
    let scale = p.exp();
    let r = scale + scale * low;
    // Where splitting overflows or the result is infinite the correction is not a number and does not matter.
    r.is_nan().select(scale, r)
}

/// `x^y` on integers, wrapping. Negative exponents give 0, but for bases 1 and -1.
pub(super) fn integer_power<'g>(x: E<'g>, y: E<'g>, exponent: Option<i64>) -> E<'g> {
    let one = x.i(1);
    if let Some(n) = exponent.and_then(|n| u64::try_from(n).ok()) {
        return repeated_int(x, n, one);
    }
    let dtype = x.ty().dtype;
    let (low, high) = int_range(dtype);
    let bits = i128::BITS - high.leading_zeros();
    let (mut square, mut result) = (x, one);
    for bit in 0..bits {
        let set = (y & (1i64 << bit)).differs(0i64);
        result = set.select(square.binary(BinaryOp::Multiply, result), result);
        if bit + 1 < bits {
            square = square.square();
        }
    }
    if low == 0 {
        return result;
    }
    let odd = (y & 1i64).equals(1i64);
    let minus_one = odd.select(-one, one);
    let inverse = x.equals(1i64).select(one, x.equals(-1i64).select(minus_one, 0i64));
    y.lt(0i64).select(inverse, result)
}

fn repeated_int<'g>(x: E<'g>, n: u64, one: E<'g>) -> E<'g> {
    if n == 0 { one } else { repeated(x, n) }
}
