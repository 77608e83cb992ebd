//! Arithmetic on pairs of 32-bit words.

use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{BinaryOp, Builder, ComparisonDirection, OpKind, TensorType, Type, UnaryOp, ValueId, Violation};

use super::{Pair, words};
use crate::hlo::legalize::random::multiply_wide;
use crate::hlo::legalize::rewrite::{Step, Stop, refuse};

pub(super) fn signed(b: &mut Builder<'_>, word: ValueId) -> Step {
    Ok(b.bitcast(word, DType::I32)?)
}

pub(super) fn is_negative(b: &mut Builder<'_>, high: ValueId) -> Step {
    let high = signed(b, high)?;
    let zero = b.like_i(high, 0)?;
    Ok(b.compare(ComparisonDirection::Lt, high, zero)?)
}

pub(super) fn is_zero(b: &mut Builder<'_>, word: ValueId) -> Step {
    let zero = b.like_i(word, 0)?;
    Ok(b.compare(ComparisonDirection::Eq, word, zero)?)
}

pub(super) fn choose(b: &mut Builder<'_>, pred: ValueId, yes: Pair, no: Pair) -> Step<Pair> {
    Ok((b.select(pred, yes.0, no.0)?, b.select(pred, yes.1, no.1)?))
}

/// `value` in both words' shape, sign-extended.
pub(super) fn constant_like(b: &mut Builder<'_>, x: Pair, value: i64) -> Step<Pair> {
    let ty = b.func.tensor(x.0).clone();
    let mut word = |bits: i64| b.constant_i(ty.clone(), bits & 0xFFFF_FFFF);
    Ok((word(value), word(value >> 32)))
}

pub(super) fn negate(b: &mut Builder<'_>, x: Pair) -> Step<Pair> {
    let zero = constant_like(b, x, 0)?;
    subtract(b, zero, x)
}

fn add(b: &mut Builder<'_>, x: Pair, y: Pair) -> Step<Pair> {
    let low = b.add(x.0, y.0)?;
    let wrapped = b.compare(ComparisonDirection::Lt, low, x.0)?;
    let carry = b.convert(wrapped, DType::U32)?;
    let high = b.add(x.1, y.1)?;
    Ok((low, b.add(high, carry)?))
}

fn subtract(b: &mut Builder<'_>, x: Pair, y: Pair) -> Step<Pair> {
    let low = b.sub(x.0, y.0)?;
    let below = b.compare(ComparisonDirection::Lt, x.0, y.0)?;
    let borrow = b.convert(below, DType::U32)?;
    let high = b.sub(x.1, y.1)?;
    Ok((low, b.sub(high, borrow)?))
}

pub(super) fn compare(b: &mut Builder<'_>, direction: ComparisonDirection, x: Pair, y: Pair, is_signed: bool) -> Step {
    use ComparisonDirection::*;
    let (swap, not) = match direction {
        Eq | Ne => {
            let join = if direction == Eq { BinaryOp::And } else { BinaryOp::Or };
            let (low, high) = (b.compare(direction, x.0, y.0)?, b.compare(direction, x.1, y.1)?);
            return Ok(b.binary(join, low, high)?);
        }
        Lt => (false, false),
        Gt => (true, false),
        Ge => (false, true),
        Le => (true, true),
    };
    let (x, y) = if swap { (y, x) } else { (x, y) };
    let (xh, yh) = match is_signed {
        true => (signed(b, x.1)?, signed(b, y.1)?),
        false => (x.1, y.1),
    };
    let above = b.compare(Lt, xh, yh)?;
    let same = b.compare(Eq, xh, yh)?;
    let below = b.compare(Lt, x.0, y.0)?;
    let tie = b.binary(BinaryOp::And, same, below)?;
    let less = b.binary(BinaryOp::Or, above, tie)?;
    Ok(if not { b.unary(UnaryOp::Not, less)? } else { less })
}

pub(super) fn unary(b: &mut Builder<'_>, op: UnaryOp, v: ValueId) -> Step<Pair> {
    let is_signed = b.func.tensor(v).dtype == DType::I64;
    let x = words(b, v)?;
    Ok(match op {
        UnaryOp::Negate => negate(b, x)?,
        UnaryOp::Not => (b.unary(op, x.0)?, b.unary(op, x.1)?),
        UnaryOp::Abs => magnitude(b, x)?.0,
        UnaryOp::Sign => {
            let bits = b.binary(BinaryOp::Or, x.0, x.1)?;
            let zero = is_zero(b, bits)?;
            let some = b.unary(UnaryOp::Not, zero)?;
            let low = b.convert(some, DType::U32)?;
            let positive = (low, b.like_i(low, 0)?);
            if !is_signed {
                return Ok(positive);
            }
            let negative = is_negative(b, x.1)?;
            let minus = constant_like(b, x, -1)?;
            choose(b, negative, minus, positive)?
        }
        UnaryOp::PopulationCount => {
            let (low, high) = (b.unary(op, x.0)?, b.unary(op, x.1)?);
            let sum = b.add(low, high)?;
            (sum, b.like_i(sum, 0)?)
        }
        UnaryOp::CountLeadingZeros => {
            let count = leading_zeros(b, x)?;
            (count, b.like_i(count, 0)?)
        }
        other => {
            return Err(refuse(
                format!("`{}` of 64-bit integers", OpKind::Unary(other).mnemonic()),
                "compute it in 32 bits: convert the operand",
            ));
        }
    })
}

pub(super) fn leading_zeros(b: &mut Builder<'_>, x: Pair) -> Step {
    let (low, high) = (
        b.unary(UnaryOp::CountLeadingZeros, x.0)?,
        b.unary(UnaryOp::CountLeadingZeros, x.1)?,
    );
    let word = b.like_i(low, 32)?;
    let low = b.add(low, word)?;
    let none = is_zero(b, x.1)?;
    Ok(b.select(none, low, high)?)
}

/// The absolute value as an unsigned number, and whether the value was negative.
pub(super) fn magnitude(b: &mut Builder<'_>, x: Pair) -> Step<(Pair, ValueId)> {
    let negative = is_negative(b, x.1)?;
    let opposite = negate(b, x)?;
    Ok((choose(b, negative, opposite, x)?, negative))
}

pub(super) fn binary(b: &mut Builder<'_>, op: BinaryOp, x: Pair, y: Pair, is_signed: bool) -> Step<Pair> {
    match op {
        BinaryOp::Add => add(b, x, y),
        BinaryOp::Subtract => subtract(b, x, y),
        BinaryOp::And | BinaryOp::Or | BinaryOp::Xor => Ok((b.binary(op, x.0, y.0)?, b.binary(op, x.1, y.1)?)),
        BinaryOp::Multiply => {
            let (high, low) = multiply_wide(b, x.0, y.0)?;
            let (left, right) = (b.mul(x.0, y.1)?, b.mul(x.1, y.0)?);
            let cross = b.add(left, right)?;
            Ok((low, b.add(high, cross)?))
        }
        BinaryOp::Maximum | BinaryOp::Minimum => {
            let direction = if op == BinaryOp::Maximum {
                ComparisonDirection::Ge
            } else {
                ComparisonDirection::Le
            };
            let first = compare(b, direction, x, y, is_signed)?;
            choose(b, first, x, y)
        }
        BinaryOp::ShiftLeft | BinaryOp::ShiftRightLogical | BinaryOp::ShiftRightArithmetic => shift(b, op, x, y),
        BinaryOp::Divide | BinaryOp::Remainder => divide(b, op, x, y, is_signed),
        other => Err(refuse(
            format!("`{}` of 64-bit integers", OpKind::Binary(other).mnemonic()),
            "compute it in 32 bits: convert the operands",
        )),
    }
}

/// Shifts; an amount of 64 or more, which a negative one is too, shifts everything out. Those of 32-bit words behave alike.
pub(super) fn shift(b: &mut Builder<'_>, op: BinaryOp, x: Pair, amount: Pair) -> Step<Pair> {
    use BinaryOp::{Or, ShiftLeft, ShiftRightArithmetic, ShiftRightLogical};
    let n = amount.0;
    let word = b.like_i(n, 32)?;
    // Each wraps to a large number where it would be negative.
    let (rest, beyond) = (b.sub(word, n)?, b.sub(n, word)?);
    let (near, far) = match op {
        ShiftLeft => {
            let (low, high) = (b.binary(ShiftLeft, x.0, n)?, b.binary(ShiftLeft, x.1, n)?);
            let carried = b.binary(ShiftRightLogical, x.0, rest)?;
            let high = b.binary(Or, high, carried)?;
            let zero = b.like_i(n, 0)?;
            ((low, high), (zero, b.binary(ShiftLeft, x.0, beyond)?))
        }
        _ => {
            let low = b.binary(ShiftRightLogical, x.0, n)?;
            let carried = b.binary(ShiftLeft, x.1, rest)?;
            let low = b.binary(Or, low, carried)?;
            if op == ShiftRightLogical {
                let high = b.binary(op, x.1, n)?;
                let zero = b.like_i(n, 0)?;
                ((low, high), (b.binary(op, x.1, beyond)?, zero))
            } else {
                let arithmetic = |b: &mut Builder<'_>, n| -> Step {
                    let (top, n) = (signed(b, x.1)?, signed(b, n)?);
                    let shifted = b.binary(ShiftRightArithmetic, top, n)?;
                    Ok(b.bitcast(shifted, DType::U32)?)
                };
                let last = b.like_i(n, 31)?;
                let sign = arithmetic(b, last)?;
                ((low, arithmetic(b, n)?), (arithmetic(b, beyond)?, sign))
            }
        }
    };
    let within = b.compare(ComparisonDirection::Lt, n, word)?;
    let result = choose(b, within, near, far)?;
    let zero = b.like_i(n, 0)?;
    let out = match op {
        ShiftRightArithmetic => {
            let negative = is_negative(b, x.1)?;
            let ones = constant_like(b, x, -1)?;
            choose(b, negative, ones, (zero, zero))?
        }
        _ => (zero, zero),
    };
    let limit = b.like_i(n, 64)?;
    let (fits, none) = (b.compare(ComparisonDirection::Lt, n, limit)?, is_zero(b, amount.1)?);
    let fits = b.binary(BinaryOp::And, fits, none)?;
    choose(b, fits, result, out)
}

/// Long division, a bit a turn of a loop. A quotient by zero is -1, a remainder by zero the dividend.
fn divide(b: &mut Builder<'_>, op: BinaryOp, x: Pair, y: Pair, is_signed: bool) -> Step<Pair> {
    let bits = b.binary(BinaryOp::Or, y.0, y.1)?;
    let by_zero = is_zero(b, bits)?;
    let (n, d, signs) = match is_signed {
        true => {
            let ((n, left), (d, right)) = (magnitude(b, x)?, magnitude(b, y)?);
            (n, d, Some((left, right)))
        }
        false => (x, y, None),
    };
    let zero = constant_like(b, x, 0)?;
    let counter = b.constant_i(TensorType::scalar(DType::I32), 0);
    let carried = [counter, n.0, n.1, zero.0, zero.1, d.0, d.1];
    let types: Vec<Type> = carried.iter().map(|&v| b.ty(v).clone()).collect();
    let condition = b.add_region(&types, |b, args| {
        let end = b.constant_i(TensorType::scalar(DType::I32), 64);
        Ok(vec![b.compare(ComparisonDirection::Lt, args[0], end)?])
    })?;
    let body = b.add_region(&types, |b, args| step(b, args).map_err(violation))?;
    let out = b.op_with_regions(OpKind::While, &carried, &[condition, body], Some(&types))?;
    let (quotient, remainder) = ((out[1], out[2]), (out[3], out[4]));
    if op == BinaryOp::Remainder {
        let Some((negative, _)) = signs else {
            return Ok(remainder);
        };
        let opposite = negate(b, remainder)?;
        return choose(b, negative, opposite, remainder);
    }
    let quotient = match signs {
        Some((left, right)) => {
            let differ = b.binary(BinaryOp::Xor, left, right)?;
            let opposite = negate(b, quotient)?;
            choose(b, differ, opposite, quotient)?
        }
        None => quotient,
    };
    let ones = constant_like(b, x, -1)?;
    choose(b, by_zero, ones, quotient)
}

/// One turn of [`divide`]: counter, dividend (whose place the quotient takes), remainder, divisor.
fn step(b: &mut Builder<'_>, args: &[ValueId]) -> Step<Vec<ValueId>> {
    let &[counter, n0, n1, r0, r1, d0, d1] = args else {
        return Err(Violation::new("while", "seven values are carried").into());
    };
    let one = constant_like(b, (n0, n1), 1)?.0;
    let top = b.like_i(n0, 31)?;
    let up = |b: &mut Builder<'_>, x: Pair, bit: ValueId| -> Step<Pair> {
        let (low, high) = (
            b.binary(BinaryOp::ShiftLeft, x.0, one)?,
            b.binary(BinaryOp::ShiftLeft, x.1, one)?,
        );
        let carried = b.binary(BinaryOp::ShiftRightLogical, x.0, top)?;
        Ok((
            b.binary(BinaryOp::Or, low, bit)?,
            b.binary(BinaryOp::Or, high, carried)?,
        ))
    };
    let bit = b.binary(BinaryOp::ShiftRightLogical, n1, top)?;
    let over = is_negative(b, r1)?;
    let r = up(b, (r0, r1), bit)?;
    let fits = compare(b, ComparisonDirection::Ge, r, (d0, d1), false)?;
    // A remainder of 65 bits is larger than any divisor.
    let fits = b.binary(BinaryOp::Or, over, fits)?;
    let less = subtract(b, r, (d0, d1))?;
    let r = choose(b, fits, less, r)?;
    let digit = b.convert(fits, DType::U32)?;
    let n = up(b, (n0, n1), digit)?;
    let step = b.constant_i(TensorType::scalar(DType::I32), 1);
    Ok(vec![b.add(counter, step)?, n.0, n.1, r.0, r.1, d0, d1])
}

pub(super) fn violation(stop: Stop) -> Violation {
    match stop {
        Stop::Violation(v) => v,
        Stop::Refused(d) => Violation::new("legalize-int64", d.message),
    }
}
