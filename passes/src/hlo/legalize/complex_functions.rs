//! Functions of complex numbers, as formulas over their parts.
//!
//! Squares are scaled so that nothing overflows early, and differences of nearly equal numbers are avoided: inverse
//! functions follow W. Kahan, "Branch cuts for complex elementary functions" (1987).

use ferrite_ir::hlo::{BinaryOp, Builder, ComparisonDirection, OpKind, UnaryOp, ValueId};

use super::complex::{Pair, joined, parts, unsupported};
use super::rewrite::{Rewrite, Step};

/// A function of one complex number.
pub(super) fn unary(b: &mut Builder<'_>, op: UnaryOp, x: ValueId) -> Rewrite {
    let known = matches!(b.func.def_kind(x), Some(OpKind::Complex | OpKind::Constant(_)));
    if !known && matches!(op, UnaryOp::Real | UnaryOp::Imag) {
        return Ok(None);
    }
    let z = parts(b, x)?;
    let (re, im) = z;
    let result = match op {
        UnaryOp::Real => return Ok(Some(vec![re])),
        UnaryOp::Imag => return Ok(Some(vec![im])),
        UnaryOp::Abs => return Ok(Some(vec![modulus(b, z)?])),
        UnaryOp::IsFinite => {
            let (re, im) = (b.unary(op, re)?, b.unary(op, im)?);
            return Ok(Some(vec![b.binary(BinaryOp::And, re, im)?]));
        }
        UnaryOp::Negate => (b.unary(op, re)?, b.unary(op, im)?),
        UnaryOp::Conj => (re, b.unary(UnaryOp::Negate, im)?),
        UnaryOp::Exponential => exponential(b, z)?,
        // (expm1 x) cos y - 2 sin^2(y / 2), e^x sin y
        UnaryOp::ExponentialMinusOne => {
            let (_, imag) = exponential(b, z)?;
            let (less, c) = (b.unary(op, re)?, b.unary(UnaryOp::Cosine, im)?);
            let half = scaled(b, im, 0.5)?;
            let s = b.unary(UnaryOp::Sine, half)?;
            let square = b.mul(s, s)?;
            let square = scaled(b, square, 2.0)?;
            let product = b.mul(less, c)?;
            (b.sub(product, square)?, imag)
        }
        UnaryOp::Log => logarithm(b, z)?,
        // log1p(x (2 + x) + y^2) / 2 near zero, log |1 + z| elsewhere
        UnaryOp::LogPlusOne => {
            let one = b.like_f(re, 1.0)?;
            let two = b.like_f(re, 2.0)?;
            let more = b.add(re, one)?;
            let (far, angle) = logarithm(b, (more, im))?;
            let sum = b.add(re, two)?;
            let (product, square) = (b.mul(re, sum)?, b.mul(im, im)?);
            let sum = b.add(product, square)?;
            let near = b.unary(op, sum)?;
            let near = scaled(b, near, 0.5)?;
            let length = modulus(b, z)?;
            let half = b.like_f(re, 0.5)?;
            let is_near = b.compare(ComparisonDirection::Lt, length, half)?;
            (b.select(is_near, near, far)?, angle)
        }
        UnaryOp::Square => binary(b, BinaryOp::Multiply, z, z)?,
        UnaryOp::Sqrt => square_root(b, z)?,
        UnaryOp::Rsqrt => {
            let one = constant(b, re, 1.0)?;
            let root = square_root(b, z)?;
            divide(b, one, root)?
        }
        UnaryOp::Cbrt => {
            let length = modulus(b, z)?;
            let length = b.unary(op, length)?;
            let angle = argument(b, z)?;
            let angle = scaled(b, angle, 1.0 / 3.0)?;
            polar(b, length, angle)?
        }
        UnaryOp::Sine => sine(b, z)?,
        UnaryOp::Cosine => cosine(b, z)?,
        // tan z = -i tanh(i z), and the like
        UnaryOp::Tan | UnaryOp::ChloTan => {
            let turned = turn(b, z)?;
            let value = hyperbolic_tangent(b, turned)?;
            turn_back(b, value)?
        }
        UnaryOp::Sinh => {
            let (c, s) = (b.unary(UnaryOp::Cosine, im)?, b.unary(UnaryOp::Sine, im)?);
            let (cosh, sinh) = hyperbolic(b, re)?;
            (b.mul(sinh, c)?, b.mul(cosh, s)?)
        }
        UnaryOp::Cosh => {
            let (c, s) = (b.unary(UnaryOp::Cosine, im)?, b.unary(UnaryOp::Sine, im)?);
            let (cosh, sinh) = hyperbolic(b, re)?;
            (b.mul(cosh, c)?, b.mul(sinh, s)?)
        }
        UnaryOp::Asin => arc_sine(b, z)?,
        UnaryOp::Asinh => {
            let turned = turn(b, z)?;
            let value = arc_sine(b, turned)?;
            turn_back(b, value)?
        }
        UnaryOp::Acos => arc_cosine(b, z)?,
        UnaryOp::Acosh => area_cosine(b, z)?,
        UnaryOp::Atanh => area_tangent(b, z)?,
        UnaryOp::Atan => {
            let turned = turn(b, z)?;
            let value = area_tangent(b, turned)?;
            turn_back(b, value)?
        }
        UnaryOp::Tanh => hyperbolic_tangent(b, z)?,
        UnaryOp::Logistic => {
            let negative = (b.unary(UnaryOp::Negate, re)?, b.unary(UnaryOp::Negate, im)?);
            let (re, im) = exponential(b, negative)?;
            let one = b.like_f(re, 1.0)?;
            let zero = b.like_f(re, 0.0)?;
            let below = (b.add(re, one)?, im);
            binary(b, BinaryOp::Divide, (one, zero), below)?
        }
        UnaryOp::Sign => {
            let length = modulus(b, z)?;
            let zero = b.like_f(re, 0.0)?;
            let is_zero = b.compare(ComparisonDirection::Eq, length, zero)?;
            let (r, i) = (b.div(re, length)?, b.div(im, length)?);
            (b.select(is_zero, zero, r)?, b.select(is_zero, zero, i)?)
        }
        other => return Err(unsupported(&OpKind::Unary(other))),
    };
    joined(b, result)
}

/// `sqrt(re^2 + im^2)` without overflow of the squares.
fn modulus(b: &mut Builder<'_>, (re, im): Pair) -> Step {
    let (re, im) = (b.unary(UnaryOp::Abs, re)?, b.unary(UnaryOp::Abs, im)?);
    let large = b.binary(BinaryOp::Maximum, re, im)?;
    let small = b.binary(BinaryOp::Minimum, re, im)?;
    let ratio = b.div(small, large)?;
    let square = b.mul(ratio, ratio)?;
    let one = b.like_f(re, 1.0)?;
    let sum = b.add(square, one)?;
    let factor = b.unary(UnaryOp::Sqrt, sum)?;
    let length = b.mul(large, factor)?;
    // 0 / 0 and infinite parts: the larger one is the answer.
    let zero = b.like_f(re, 0.0)?;
    let infinity = b.like_f(re, f64::INFINITY)?;
    let is_zero = b.compare(ComparisonDirection::Eq, large, zero)?;
    let is_infinite = b.compare(ComparisonDirection::Eq, large, infinity)?;
    let special = b.binary(BinaryOp::Or, is_zero, is_infinite)?;
    Ok(b.select(special, large, length)?)
}

fn argument(b: &mut Builder<'_>, (re, im): Pair) -> Step {
    Ok(b.binary(BinaryOp::Atan2, im, re)?)
}

/// `length * (cos angle, sin angle)`.
fn polar(b: &mut Builder<'_>, length: ValueId, angle: ValueId) -> Step<Pair> {
    let (c, s) = (b.unary(UnaryOp::Cosine, angle)?, b.unary(UnaryOp::Sine, angle)?);
    Ok((b.mul(length, c)?, b.mul(length, s)?))
}

fn exponential(b: &mut Builder<'_>, (re, im): Pair) -> Step<Pair> {
    let length = b.unary(UnaryOp::Exponential, re)?;
    let (real, imag) = polar(b, length, im)?;
    // A real number stays one, infinities too.
    let zero = b.like_f(im, 0.0)?;
    let is_real = b.compare(ComparisonDirection::Eq, im, zero)?;
    Ok((real, b.select(is_real, im, imag)?))
}

fn logarithm(b: &mut Builder<'_>, z: Pair) -> Step<Pair> {
    let length = modulus(b, z)?;
    Ok((b.unary(UnaryOp::Log, length)?, argument(b, z)?))
}

fn scaled(b: &mut Builder<'_>, x: ValueId, factor: f64) -> Step {
    let factor = b.like_f(x, factor)?;
    Ok(b.mul(x, factor)?)
}

/// A real constant, of the shape of a part.
fn constant(b: &mut Builder<'_>, like: ValueId, value: f64) -> Step<Pair> {
    Ok((b.like_f(like, value)?, b.like_f(like, 0.0)?))
}

/// `i z`.
fn turn(b: &mut Builder<'_>, (re, im): Pair) -> Step<Pair> {
    Ok((b.unary(UnaryOp::Negate, im)?, re))
}

/// `-i z`.
fn turn_back(b: &mut Builder<'_>, (re, im): Pair) -> Step<Pair> {
    Ok((im, b.unary(UnaryOp::Negate, re)?))
}

/// The root with a real part that is not negative: `t = sqrt((|re| + |z|) / 2)` and `im / (2 t)`, or the other way round.
fn square_root(b: &mut Builder<'_>, (re, im): Pair) -> Step<Pair> {
    let length = modulus(b, (re, im))?;
    let width = b.unary(UnaryOp::Abs, re)?;
    let (half, other) = (scaled(b, length, 0.5)?, scaled(b, width, 0.5)?);
    let sum = b.add(half, other)?;
    let t = b.unary(UnaryOp::Sqrt, sum)?;
    let twice = scaled(b, t, 2.0)?;
    let quotient = b.div(im, twice)?;
    let zero = b.like_f(re, 0.0)?;
    let nothing = b.compare(ComparisonDirection::Eq, t, zero)?;
    let quotient = b.select(nothing, zero, quotient)?;
    let right = b.compare(ComparisonDirection::Ge, re, zero)?;
    let below = b.compare(ComparisonDirection::Lt, im, zero)?;
    let negative = b.unary(UnaryOp::Negate, t)?;
    let signed = b.select(below, negative, t)?;
    let width = b.unary(UnaryOp::Abs, quotient)?;
    Ok((b.select(right, t, width)?, b.select(right, quotient, signed)?))
}

/// `sqrt(1 - z)` and `sqrt(1 + z)`.
fn roots_around_one(b: &mut Builder<'_>, (re, im): Pair) -> Step<(Pair, Pair)> {
    let one = b.like_f(re, 1.0)?;
    let (less, more) = (b.sub(one, re)?, b.add(one, re)?);
    let opposite = b.unary(UnaryOp::Negate, im)?;
    Ok((square_root(b, (less, opposite))?, square_root(b, (more, im))?))
}

/// The imaginary part of `conj(x) y`.
fn crossed(b: &mut Builder<'_>, x: Pair, y: Pair) -> Step {
    let (ri, ir) = (b.mul(x.0, y.1)?, b.mul(x.1, y.0)?);
    Ok(b.sub(ri, ir)?)
}

/// The real part of `x y`, or of `conj(x) y`.
fn straight(b: &mut Builder<'_>, x: Pair, y: Pair, conjugate: bool) -> Step {
    let (rr, ii) = (b.mul(x.0, y.0)?, b.mul(x.1, y.1)?);
    Ok(if conjugate { b.add(rr, ii)? } else { b.sub(rr, ii)? })
}

fn arc_sine(b: &mut Builder<'_>, z: Pair) -> Step<Pair> {
    let (less, more) = roots_around_one(b, z)?;
    let below = straight(b, less, more, false)?;
    let across = crossed(b, less, more)?;
    Ok((b.binary(BinaryOp::Atan2, z.0, below)?, b.unary(UnaryOp::Asinh, across)?))
}

fn arc_cosine(b: &mut Builder<'_>, z: Pair) -> Step<Pair> {
    let (less, more) = roots_around_one(b, z)?;
    let angle = b.binary(BinaryOp::Atan2, less.0, more.0)?;
    let across = crossed(b, more, less)?;
    Ok((scaled(b, angle, 2.0)?, b.unary(UnaryOp::Asinh, across)?))
}

fn area_cosine(b: &mut Builder<'_>, (re, im): Pair) -> Step<Pair> {
    let one = b.like_f(re, 1.0)?;
    let (less, more) = (b.sub(re, one)?, b.add(re, one)?);
    let (less, more) = (square_root(b, (less, im))?, square_root(b, (more, im))?);
    let along = straight(b, less, more, true)?;
    let angle = b.binary(BinaryOp::Atan2, less.1, more.0)?;
    Ok((b.unary(UnaryOp::Asinh, along)?, scaled(b, angle, 2.0)?))
}

/// `log1p(4 re / ((1 - re)^2 + im^2)) / 4` and `atan2(2 im, (1 - re) (1 + re) - im^2) / 2`.
fn area_tangent(b: &mut Builder<'_>, (re, im): Pair) -> Step<Pair> {
    let one = b.like_f(re, 1.0)?;
    let (less, more) = (b.sub(one, re)?, b.add(one, re)?);
    let (square, height) = (b.mul(less, less)?, b.mul(im, im)?);
    let below = b.add(square, height)?;
    let four = scaled(b, re, 4.0)?;
    let quotient = b.div(four, below)?;
    let log = b.unary(UnaryOp::LogPlusOne, quotient)?;
    let product = b.mul(less, more)?;
    let width = b.sub(product, height)?;
    let twice = scaled(b, im, 2.0)?;
    let angle = b.binary(BinaryOp::Atan2, twice, width)?;
    Ok((scaled(b, log, 0.25)?, scaled(b, angle, 0.5)?))
}

/// `(e^x + e^-x) / 2` and `(e^x - e^-x) / 2`.
fn hyperbolic(b: &mut Builder<'_>, x: ValueId) -> Step<Pair> {
    Ok((b.unary(UnaryOp::Cosh, x)?, b.unary(UnaryOp::Sinh, x)?))
}

fn sine(b: &mut Builder<'_>, (re, im): Pair) -> Step<Pair> {
    let (cosh, sinh) = hyperbolic(b, im)?;
    let (c, s) = (b.unary(UnaryOp::Cosine, re)?, b.unary(UnaryOp::Sine, re)?);
    Ok((b.mul(s, cosh)?, b.mul(c, sinh)?))
}

fn cosine(b: &mut Builder<'_>, (re, im): Pair) -> Step<Pair> {
    let (cosh, sinh) = hyperbolic(b, im)?;
    let (c, s) = (b.unary(UnaryOp::Cosine, re)?, b.unary(UnaryOp::Sine, re)?);
    let lower = b.mul(s, sinh)?;
    Ok((b.mul(c, cosh)?, b.unary(UnaryOp::Negate, lower)?))
}

/// `(t + i u) / (1 + i t u)` with `t = tanh re`, `u = tan im`.
fn hyperbolic_tangent(b: &mut Builder<'_>, (re, im): Pair) -> Step<Pair> {
    let (t, u) = (b.unary(UnaryOp::Tanh, re)?, b.unary(UnaryOp::Tan, im)?);
    let one = b.like_f(re, 1.0)?;
    let below = b.mul(t, u)?;
    binary(b, BinaryOp::Divide, (t, u), (one, below))
}

/// A function of two complex numbers.
pub(super) fn binary(b: &mut Builder<'_>, op: BinaryOp, x: Pair, y: Pair) -> Step<Pair> {
    match op {
        BinaryOp::Add | BinaryOp::Subtract => Ok((b.binary(op, x.0, y.0)?, b.binary(op, x.1, y.1)?)),
        BinaryOp::Multiply => {
            let (rr, ii) = (b.mul(x.0, y.0)?, b.mul(x.1, y.1)?);
            let (ri, ir) = (b.mul(x.0, y.1)?, b.mul(x.1, y.0)?);
            Ok((b.sub(rr, ii)?, b.add(ri, ir)?))
        }
        BinaryOp::Divide => divide(b, x, y),
        // Zero to the power of zero is one, of anything else zero.
        BinaryOp::Power => {
            let log = logarithm(b, x)?;
            let exponent = binary(b, BinaryOp::Multiply, log, y)?;
            let value = exponential(b, exponent)?;
            let (base, whole) = (is_zero(b, x)?, is_zero(b, y)?);
            let (one, zero) = constant(b, x.0, 1.0)?;
            let at_zero = b.select(whole, one, zero)?;
            Ok((b.select(base, at_zero, value.0)?, b.select(base, zero, value.1)?))
        }
        // By the real parts, then by the imaginary ones.
        BinaryOp::Maximum | BinaryOp::Minimum => {
            let direction = match op {
                BinaryOp::Maximum => ComparisonDirection::Lt,
                _ => ComparisonDirection::Gt,
            };
            let (re, im) = (b.compare(direction, x.0, y.0)?, b.compare(direction, x.1, y.1)?);
            let equal = b.compare(ComparisonDirection::Eq, x.0, y.0)?;
            let second = b.binary(BinaryOp::And, equal, im)?;
            let other = b.binary(BinaryOp::Or, re, second)?;
            Ok((b.select(other, y.0, x.0)?, b.select(other, y.1, x.1)?))
        }
        // -i log((x + i y) / sqrt(x^2 + y^2)), for atan2(y, x)
        BinaryOp::Atan2 => {
            let (y, x) = (x, y);
            let turned = turn(b, y)?;
            let above = binary(b, BinaryOp::Add, x, turned)?;
            let (xx, yy) = (
                binary(b, BinaryOp::Multiply, x, x)?,
                binary(b, BinaryOp::Multiply, y, y)?,
            );
            let squares = binary(b, BinaryOp::Add, xx, yy)?;
            let below = square_root(b, squares)?;
            let quotient = divide(b, above, below)?;
            let log = logarithm(b, quotient)?;
            turn_back(b, log)
        }
        other => Err(unsupported(&OpKind::Binary(other))),
    }
}

/// Smith's division: both parts of the divisor are scaled by the larger one, so that nothing overflows early.
fn divide(b: &mut Builder<'_>, x: Pair, y: Pair) -> Step<Pair> {
    let (c, d) = (b.unary(UnaryOp::Abs, y.0)?, b.unary(UnaryOp::Abs, y.1)?);
    let scale = b.binary(BinaryOp::Maximum, c, d)?;
    let (c, d) = (b.div(y.0, scale)?, b.div(y.1, scale)?);
    let (cc, dd) = (b.mul(c, c)?, b.mul(d, d)?);
    let squares = b.add(cc, dd)?;
    let below = b.mul(squares, scale)?;
    let opposite = b.unary(UnaryOp::Negate, d)?;
    let (re, im) = binary(b, BinaryOp::Multiply, x, (c, opposite))?;
    Ok((b.div(re, below)?, b.div(im, below)?))
}

fn is_zero(b: &mut Builder<'_>, (re, im): Pair) -> Step {
    let zero = b.like_f(re, 0.0)?;
    let (re, im) = (
        b.compare(ComparisonDirection::Eq, re, zero)?,
        b.compare(ComparisonDirection::Eq, im, zero)?,
    );
    Ok(b.binary(BinaryOp::And, re, im)?)
}
