//! Bits and integers.

use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::BinaryOp;

use super::expr::E;

/// Bits of a word that holds every integer of at most 32 bits.
fn widened<'g>(x: E<'g>) -> (E<'g>, u32) {
    let dtype = x.ty().dtype;
    let bits = dtype.bits() as u32;
    let word = if bits > 32 { DType::U64 } else { DType::U32 };
    if dtype.bits() == word.bits() {
        return (x.bitcast(word), bits);
    }
    let mask = (1i64 << bits) - 1;
    (x.convert(word) & mask, bits)
}

fn shift_right<'g>(x: E<'g>, by: i64) -> E<'g> {
    x.binary(BinaryOp::ShiftRightLogical, by)
}

/// Bits set in a word, summed in parallel.
fn ones<'g>(x: E<'g>, word_bits: u32) -> E<'g> {
    let repeat = |pattern: u64| {
        if word_bits > 32 {
            pattern as i64
        } else {
            i64::from(pattern as u32)
        }
    };
    let x = x - (shift_right(x, 1) & repeat(0x5555_5555_5555_5555));
    let pairs = repeat(0x3333_3333_3333_3333);
    let x = (x & pairs) + (shift_right(x, 2) & pairs);
    let mut x = (x + shift_right(x, 4)) & repeat(0x0f0f_0f0f_0f0f_0f0f);
    let mut by = 8;
    while by < i64::from(word_bits) {
        x = x + shift_right(x, by);
        by *= 2;
    }
    x & 0x7fi64
}

pub(super) fn popcnt(x: E<'_>) -> E<'_> {
    let dtype = x.ty().dtype;
    let (word, bits) = widened(x);
    ones(word, if bits > 32 { 64 } else { 32 }).convert(dtype)
}

/// Bits that are not below or at the highest set bit.
pub(super) fn count_leading_zeros(x: E<'_>) -> E<'_> {
    let dtype = x.ty().dtype;
    let (mut word, bits) = widened(x);
    let mut by = 1;
    while by < i64::from(bits) {
        word = word | shift_right(word, by);
        by *= 2;
    }
    let set = ones(word, if bits > 32 { 64 } else { 32 });
    (set.i(i64::from(bits)) - set).convert(dtype)
}

/// `x - (x / y) y`, with the sign of the dividend.
pub(super) fn remainder<'g>(x: E<'g>, y: E<'g>) -> E<'g> {
    x - (x / y) * y
}

/// Keys whose signed order is the total order of `f32`: negative numbers have their magnitude bits flipped.
pub(super) fn total_order_key(x: E<'_>) -> E<'_> {
    let bits = x.bitcast(DType::I32);
    let sign = bits.binary(BinaryOp::ShiftRightArithmetic, 31i64);
    bits.binary(BinaryOp::Xor, sign & i64::from(i32::MAX))
}

/// Rounds an `f32` to fewer exponent and mantissa bits, in integer arithmetic: ties to even, overflow to infinity,
/// underflow to zero.
pub(super) fn reduce_precision(x: E<'_>, exponent_bits: i64, mantissa_bits: i64) -> E<'_> {
    const MANTISSA: i64 = 23;
    const BIAS: i64 = 127;
    let mut bits = x.bitcast(DType::I32);
    if mantissa_bits < MANTISSA {
        let last = 1i64 << (MANTISSA - mantissa_bits);
        let odd = shift_right(bits, MANTISSA - mantissa_bits) & 1i64;
        bits = (bits + (odd + ((last >> 1) - 1))) & !(last - 1);
    }
    if exponent_bits < 8 {
        let bias = (1i64 << (exponent_bits - 1)) - 1;
        let field = bits & (0xffi64 << MANTISSA);
        let sign = bits & i64::from(i32::MIN);
        let infinity = sign | (0xffi64 << MANTISSA);
        bits = field.gt((BIAS + bias) << MANTISSA).select(infinity, bits);
        bits = field.le((BIAS - bias) << MANTISSA).select(sign, bits);
    }
    x.is_nan().select(x, bits.bitcast(DType::F32))
}
