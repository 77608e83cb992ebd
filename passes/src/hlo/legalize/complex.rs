//! Complex numbers as pairs of real tensors.
//!
//! Before                                              After
//!   %z = multiply %x, %y : complex                      %r = real parts of %x, %y multiplied and subtracted
//!                                                       %i = ...
//!                                                       %z = complex %r, %i
//!   real %z, imag %z                                    %r, %i
//!
//! Every operation on complex numbers becomes operations on their parts, followed by a `complex` of the two. Those that
//! nobody needs as such disappear as dead operations: `complex` is left before results of the program, `real` and
//! `imag` behind its parameters, and nowhere else. Fourier transforms are in [`super::fourier`].
//!
//! Needs: verified static `hlo`; dead operations are removed afterwards. Leaves: verified `hlo` as said; functions of
//! real numbers that `expand-ops` knows.

use ferrite_ir::hlo::{
    BinaryOp, Builder, ComparisonDirection, OpId, OpKind, Precision, TensorType, Type, UnaryOp, ValueId,
};
use ferrite_ir::literal::Literal;

use super::body::{reducer_region, returns_args, single_reducer};
use super::fourier;
use super::rewrite::{Rewrite, Step, operands, refuse};

/// Real and imaginary part.
pub(crate) type Pair = (ValueId, ValueId);

/// The rule of `legalize-complex`.
pub(crate) fn rewrite(b: &mut Builder<'_>, op: OpId) -> Rewrite {
    let node = b.func.op(op);
    let kind = node.kind.clone();
    if let OpKind::Fft(f) = &kind {
        return fourier::rewrite(b, op, f);
    }
    let is_complex = |b: &Builder<'_>, v: ValueId| b.func.ty(v).tensor().is_some_and(|t| t.dtype.is_complex());
    let o = operands(b, op);
    let results = b.func.op(op).results.to_vec();
    let any = o.iter().chain(&results).any(|&v| is_complex(b, v));
    // Constants are taken apart where they are used.
    if !any || matches!(kind, OpKind::Complex | OpKind::Constant(_)) {
        return Ok(None);
    }
    match &kind {
        OpKind::Unary(op) => unary(b, *op, o[0]),
        OpKind::Binary(op) => {
            let (x, y) = (parts(b, o[0])?, parts(b, o[1])?);
            let z = binary(b, *op, x, y)?;
            joined(b, z)
        }
        OpKind::Compare(c) => {
            let (x, y) = (parts(b, o[0])?, parts(b, o[1])?);
            let join = match c.direction {
                ComparisonDirection::Eq => BinaryOp::And,
                ComparisonDirection::Ne => BinaryOp::Or,
                _ => return Err(unsupported(&kind)),
            };
            let re = b.compare(c.direction, x.0, y.0)?;
            let im = b.compare(c.direction, x.1, y.1)?;
            Ok(Some(vec![b.binary(join, re, im)?]))
        }
        OpKind::Convert => {
            let to = b.func.tensor(results[0]).dtype;
            if !is_complex(b, results[0]) {
                let (re, _) = parts(b, o[0])?;
                return Ok(Some(vec![b.convert(re, to)?]));
            }
            let z = if is_complex(b, o[0]) {
                let (re, im) = parts(b, o[0])?;
                (b.convert(re, to.real())?, b.convert(im, to.real())?)
            } else {
                let re = b.convert(o[0], to.real())?;
                (re, b.like_i(re, 0)?)
            };
            joined(b, z)
        }
        OpKind::DotGeneral(_) | OpKind::Convolution(_) => product(b, op, &kind, &o),
        OpKind::Reduce(_) | OpKind::ReduceWindow(_) | OpKind::Scatter(_) => reduction(b, op, &kind, &o),
        OpKind::Select
        | OpKind::Reshape
        | OpKind::BroadcastInDim(_)
        | OpKind::Transpose(_)
        | OpKind::Slice(_)
        | OpKind::Pad(_)
        | OpKind::Reverse(_)
        | OpKind::Concatenate(_)
        | OpKind::DynamicSlice(_)
        | OpKind::DynamicUpdateSlice
        | OpKind::Gather(_)
        | OpKind::OptimizationBarrier
            if results.len() == 1 =>
        {
            let ty = part_type(b, results[0]);
            let (re, im) = split_operands(b, &o)?;
            let re = b.op1_as(kind.clone(), &re, ty.clone())?;
            let im = b.op1_as(kind, &im, ty)?;
            joined(b, (re, im))
        }
        _ => Err(unsupported(&kind)),
    }
}

fn unsupported(kind: &OpKind) -> super::rewrite::Stop {
    refuse(
        format!("`{}` of complex numbers", kind.mnemonic()),
        "compute with real and imaginary parts as two real tensors",
    )
}

fn part_type(b: &Builder<'_>, v: ValueId) -> TensorType {
    let ty = b.func.tensor(v);
    ty.with_dtype(ty.dtype.real())
}

/// Real and imaginary part of a complex value.
pub(crate) fn parts(b: &mut Builder<'_>, v: ValueId) -> Step<Pair> {
    if let Some(def) = b.func.def(v) {
        match &b.func.op(def).kind {
            OpKind::Complex => return Ok((b.func.op(def).operands[0], b.func.op(def).operands[1])),
            OpKind::Constant(literal) => {
                let literal = literal.clone();
                let re = literal_part(b, &literal, 0)?;
                return Ok((re, literal_part(b, &literal, 1)?));
            }
            _ => {}
        }
    }
    Ok((b.unary(UnaryOp::Real, v)?, b.unary(UnaryOp::Imag, v)?))
}

fn literal_part(b: &mut Builder<'_>, literal: &Literal, part: usize) -> Step {
    let ty = literal.ty().with_dtype(literal.ty().dtype.real());
    let size = ty.dtype.bytes();
    let bytes: Vec<u8> = literal
        .raw()
        .chunks_exact(2 * size)
        .flat_map(|e| e[part * size..(part + 1) * size].iter().copied())
        .collect();
    match Literal::new(ty, bytes) {
        Some(literal) => Ok(b.constant(literal)),
        None => Err(ferrite_ir::hlo::Violation::new("constant", "wrong number of bytes").into()),
    }
}

/// The complex value of two parts, as the result of an operation.
pub(crate) fn joined(b: &mut Builder<'_>, (re, im): Pair) -> Rewrite {
    Ok(Some(vec![b.op1(OpKind::Complex, &[re, im])?]))
}

/// Operands of an operation on the real parts, and on the imaginary ones. Real operands (predicates, indices) go to both.
fn split_operands(b: &mut Builder<'_>, o: &[ValueId]) -> Step<(Vec<ValueId>, Vec<ValueId>)> {
    let (mut re, mut im) = (Vec::with_capacity(o.len()), Vec::with_capacity(o.len()));
    for &v in o {
        if b.func.ty(v).tensor().is_some_and(|t| t.dtype.is_complex()) {
            let (r, i) = parts(b, v)?;
            re.push(r);
            im.push(i);
        } else {
            re.push(v);
            im.push(v);
        }
    }
    Ok((re, im))
}

fn unary(b: &mut Builder<'_>, op: UnaryOp, x: ValueId) -> Rewrite {
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
        UnaryOp::ExponentialMinusOne => {
            let (re, im) = exponential(b, z)?;
            let one = b.like_f(re, 1.0)?;
            (b.sub(re, one)?, im)
        }
        UnaryOp::Log => logarithm(b, z)?,
        UnaryOp::LogPlusOne => {
            let one = b.like_f(re, 1.0)?;
            let re = b.add(re, one)?;
            logarithm(b, (re, im))?
        }
        UnaryOp::Square => binary(b, BinaryOp::Multiply, z, z)?,
        UnaryOp::Sqrt => root(b, z, 0.5)?,
        UnaryOp::Rsqrt => root(b, z, -0.5)?,
        UnaryOp::Sine => sine(b, z)?,
        UnaryOp::Cosine => cosine(b, z)?,
        UnaryOp::Tan => {
            let (s, c) = (sine(b, z)?, cosine(b, z)?);
            binary(b, BinaryOp::Divide, s, c)?
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
    polar(b, length, im)
}

fn logarithm(b: &mut Builder<'_>, z: Pair) -> Step<Pair> {
    let length = modulus(b, z)?;
    Ok((b.unary(UnaryOp::Log, length)?, argument(b, z)?))
}

/// `z` to a real power, zero at zero for positive powers.
fn root(b: &mut Builder<'_>, z: Pair, power: f64) -> Step<Pair> {
    let length = modulus(b, z)?;
    let length = b.unary(if power > 0.0 { UnaryOp::Sqrt } else { UnaryOp::Rsqrt }, length)?;
    let angle = argument(b, z)?;
    let factor = b.like_f(angle, power)?;
    let angle = b.mul(angle, factor)?;
    polar(b, length, angle)
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

fn binary(b: &mut Builder<'_>, op: BinaryOp, x: Pair, y: Pair) -> Step<Pair> {
    match op {
        BinaryOp::Add | BinaryOp::Subtract => Ok((b.binary(op, x.0, y.0)?, b.binary(op, x.1, y.1)?)),
        BinaryOp::Multiply => {
            let (rr, ii) = (b.mul(x.0, y.0)?, b.mul(x.1, y.1)?);
            let (ri, ir) = (b.mul(x.0, y.1)?, b.mul(x.1, y.0)?);
            Ok((b.sub(rr, ii)?, b.add(ri, ir)?))
        }
        BinaryOp::Divide => divide(b, x, y),
        BinaryOp::Power => {
            let log = logarithm(b, x)?;
            let exponent = binary(b, BinaryOp::Multiply, log, y)?;
            exponential(b, exponent)
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

/// A contraction of complex operands: four of real ones.
fn product(b: &mut Builder<'_>, op: OpId, kind: &OpKind, o: &[ValueId]) -> Rewrite {
    let ty = part_type(b, b.func.op(op).results[0]);
    let mut kind = kind.clone();
    // The parts of a product cancel: nothing but full precision will do.
    match &mut kind {
        OpKind::DotGeneral(d) => d.precision = vec![Precision::Highest; 2],
        OpKind::Convolution(c) => c.precision = vec![Precision::Highest; 2],
        _ => {}
    }
    let (x, y) = (parts(b, o[0])?, parts(b, o[1])?);
    let dot = |b: &mut Builder<'_>, x, y| b.op1_as(kind.clone(), &[x, y], ty.clone());
    let (rr, ii) = (dot(b, x.0, y.0)?, dot(b, x.1, y.1)?);
    let (ri, ir) = (dot(b, x.0, y.1)?, dot(b, x.1, y.0)?);
    let (re, im) = (b.sub(rr, ii)?, b.add(ri, ir)?);
    joined(b, (re, im))
}

/// Sums of complex numbers, and scatters that add or replace: part by part.
fn reduction(b: &mut Builder<'_>, op: OpId, kind: &OpKind, o: &[ValueId]) -> Rewrite {
    let node = b.func.op(op);
    let (region, result) = (node.regions[0], node.results[0]);
    let single = node.results.len() == 1;
    let adds = single_reducer(b.func, region) == Some(BinaryOp::Add);
    let replaces = matches!(kind, OpKind::Scatter(_)) && returns_args(b.func, region, &[1]);
    if !single || !(adds || replaces) {
        return Err(unsupported(kind));
    }
    let ty = part_type(b, result);
    let (re, im) = split_operands(b, o)?;
    let mut out = Vec::with_capacity(2);
    for operands in [re, im] {
        let scalar = TensorType::scalar(ty.dtype);
        let body = if adds {
            reducer_region(b, BinaryOp::Add, scalar)?
        } else {
            let scalar = Type::from(scalar);
            b.add_region(&[scalar.clone(), scalar], |_, args| Ok(vec![args[1]]))?
        };
        out.extend(b.op_with_regions(kind.clone(), &operands, &[body], Some(&[ty.clone().into()]))?);
    }
    joined(b, (out[0], out[1]))
}
