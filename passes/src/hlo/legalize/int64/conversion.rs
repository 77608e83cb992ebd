//! Between pairs of 32-bit words and values of other widths.

use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{BinaryOp, Builder, ComparisonDirection, UnaryOp, ValueId};

use super::arithmetic::{choose, constant_like, is_negative, is_zero, leading_zeros, magnitude, negate, shift, signed};
use super::{Pair, is_wide, words};
use crate::hlo::legalize::rewrite::{Step, refuse};

/// The 32 low bits, in the type of the same signedness.
pub(super) fn narrow(b: &mut Builder<'_>, v: ValueId) -> Step {
    if !is_wide(b, v) {
        return Ok(v);
    }
    let is_signed = b.func.tensor(v).dtype == DType::I64;
    let (low, _) = words(b, v)?;
    if is_signed { signed(b, low) } else { Ok(low) }
}

/// The words of a 32-bit value.
pub(super) fn widen(b: &mut Builder<'_>, v: ValueId) -> Step<Pair> {
    if b.func.tensor(v).dtype == DType::U32 {
        return Ok((v, b.like_i(v, 0)?));
    }
    let bits = b.like_i(v, 31)?;
    let sign = b.binary(BinaryOp::ShiftRightArithmetic, v, bits)?;
    Ok((b.bitcast(v, DType::U32)?, b.bitcast(sign, DType::U32)?))
}

/// An index in 32 bits; what is beyond them becomes the nearest that is not.
pub(super) fn index(b: &mut Builder<'_>, v: ValueId) -> Step {
    let is_signed = b.func.tensor(v).dtype == DType::I64;
    let (low, high) = words(b, v)?;
    let low = signed(b, low)?;
    let bits = b.like_i(low, 31)?;
    let sign = b.binary(BinaryOp::ShiftRightArithmetic, low, bits)?;
    let top = signed(b, high)?;
    let most = b.like_i(low, i64::from(i32::MAX))?;
    let end = match is_signed {
        true => {
            let least = b.like_i(low, i64::from(i32::MIN))?;
            let negative = is_negative(b, high)?;
            b.select(negative, least, most)?
        }
        false => most,
    };
    let fits = b.compare(ComparisonDirection::Eq, sign, top)?;
    Ok(b.select(fits, low, end)?)
}

pub(super) fn from_narrow(b: &mut Builder<'_>, v: ValueId, is_signed: bool) -> Step<Pair> {
    let dtype = b.func.tensor(v).dtype;
    match dtype {
        DType::I64 | DType::U64 => words(b, v),
        _ if dtype.is_float() => from_float(b, v, is_signed),
        DType::Bool | DType::U2 | DType::U4 | DType::U8 | DType::U16 | DType::U32 => {
            let low = b.convert(v, DType::U32)?;
            widen(b, low)
        }
        _ if dtype.is_complex() => Err(refuse("a complex number as a 64-bit integer", "convert its real part")),
        _ => {
            let low = b.convert(v, DType::I32)?;
            widen(b, low)
        }
    }
}

/// Towards zero; beyond the range to its ends, NaN to 0.
fn from_float(b: &mut Builder<'_>, v: ValueId, is_signed: bool) -> Step<Pair> {
    let x = b.convert(v, DType::F32)?;
    let size = b.unary(UnaryOp::Abs, x)?;
    let word = b.like_f(x, 4_294_967_296.0)?;
    let part = b.like_f(x, 1.0 / 4_294_967_296.0)?;
    let scaled = b.mul(size, part)?;
    let top = b.unary(UnaryOp::Floor, scaled)?;
    let above = b.mul(top, word)?;
    // Exact: a float has 24 bits, and both have the same exponent or the difference is the float itself.
    let rest = b.sub(size, above)?;
    let pair = (b.convert(rest, DType::U32)?, b.convert(top, DType::U32)?);
    let zero = b.like_f(x, 0.0)?;
    let below = b.compare(ComparisonDirection::Lt, x, zero)?;
    let nothing = constant_like(b, pair, 0)?;
    let (limit, least, most, opposite) = match is_signed {
        true => (
            9_223_372_036_854_775_808.0,
            constant_like(b, pair, i64::MIN)?,
            constant_like(b, pair, i64::MAX)?,
            negate(b, pair)?,
        ),
        false => (
            18_446_744_073_709_551_616.0,
            nothing,
            constant_like(b, pair, -1)?,
            nothing,
        ),
    };
    let pair = choose(b, below, opposite, pair)?;
    let limit = b.like_f(x, limit)?;
    let far = b.compare(ComparisonDirection::Ge, size, limit)?;
    let end = choose(b, below, least, most)?;
    let pair = choose(b, far, end, pair)?;
    let nan = b.compare(ComparisonDirection::Ne, x, x)?;
    choose(b, nan, nothing, pair)
}

pub(super) fn to_narrow(b: &mut Builder<'_>, v: ValueId, dtype: DType) -> Step {
    if dtype == DType::Bool {
        let (low, high) = words(b, v)?;
        let bits = b.binary(BinaryOp::Or, low, high)?;
        let zero = is_zero(b, bits)?;
        return Ok(b.unary(UnaryOp::Not, zero)?);
    }
    if !dtype.is_float() {
        let low = narrow(b, v)?;
        return Ok(b.convert(low, dtype)?);
    }
    let is_signed = b.func.tensor(v).dtype == DType::I64;
    let x = words(b, v)?;
    let (size, negative) = match is_signed {
        true => {
            let (size, negative) = magnitude(b, x)?;
            (size, Some(negative))
        }
        false => (x, None),
    };
    // The highest 32 bits, the lowest of which stands for all behind it too: then one rounding is the right one.
    let zeros = leading_zeros(b, size)?;
    let nothing = b.like_i(zeros, 0)?;
    let (rest, top) = shift(b, BinaryOp::ShiftLeft, size, (zeros, nothing))?;
    let some = b.compare(ComparisonDirection::Ne, rest, nothing)?;
    let sticky = b.convert(some, DType::U32)?;
    let top = b.binary(BinaryOp::Or, top, sticky)?;
    let float = b.convert(top, DType::F32)?;
    // 2^(32 - zeros) by its bits.
    let (bias, bits) = (b.like_i(zeros, 127 + 32)?, b.like_i(zeros, 23)?);
    let exponent = b.sub(bias, zeros)?;
    let exponent = b.binary(BinaryOp::ShiftLeft, exponent, bits)?;
    let factor = b.bitcast(exponent, DType::F32)?;
    let mut float = b.mul(float, factor)?;
    if let Some(negative) = negative {
        let opposite = b.unary(UnaryOp::Negate, float)?;
        float = b.select(negative, opposite, float)?;
    }
    Ok(b.convert(float, dtype)?)
}
