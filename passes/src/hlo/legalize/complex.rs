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
//! `imag` behind its parameters, and nowhere else. Loops, branches, comparators and bodies take two real values for each
//! complex one. Fourier transforms are in [`super::fourier`], functions in `complex_functions`.
//!
//! Needs: verified static `hlo`; dead operations are removed afterwards. Leaves: verified `hlo` as said; functions of
//! real numbers that `expand-ops` knows.

use std::collections::HashMap;

use ferrite_ir::hlo::{
    BinaryOp, Builder, ComparisonDirection, Func, OpId, OpKind, Precision, RegionId, TensorType, Type, UnaryOp, ValueId,
};
use ferrite_ir::literal::Literal;

use super::body::{reducer_region, returns_args, single_reducer};
use super::complex_functions::{binary, unary};
use super::fourier;
use super::rewrite::{Rewrite, Step, operands, refuse, rewrite_inside, substitute};

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
    let any = o.iter().chain(&results).any(|&v| is_complex(b, v)) || has_complex_body(b.func, op);
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
            let im = b.compare(c.direction, x.1, y.1)?;
            let strict = match c.direction {
                ComparisonDirection::Eq | ComparisonDirection::Ne => c.direction,
                ComparisonDirection::Lt | ComparisonDirection::Le => ComparisonDirection::Lt,
                ComparisonDirection::Gt | ComparisonDirection::Ge => ComparisonDirection::Gt,
            };
            let re = b.compare(strict, x.0, y.0)?;
            let holds = match c.direction {
                ComparisonDirection::Eq => b.binary(BinaryOp::And, re, im)?,
                ComparisonDirection::Ne => b.binary(BinaryOp::Or, re, im)?,
                // By real, then imaginary parts.
                _ => {
                    let same = b.compare(ComparisonDirection::Eq, x.0, y.0)?;
                    let tied = b.binary(BinaryOp::And, same, im)?;
                    b.binary(BinaryOp::Or, re, tied)?
                }
            };
            Ok(Some(vec![holds]))
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
        OpKind::Clamp => {
            let ty = b.func.tensor(results[0]).clone();
            let mut bounded = parts(b, o[1])?;
            for (op, bound) in [(BinaryOp::Maximum, o[0]), (BinaryOp::Minimum, o[2])] {
                let (re, im) = parts(b, bound)?;
                let bound = if b.tensor(re)?.rank() == ty.rank() {
                    (re, im)
                } else {
                    (
                        b.broadcast_in_dim(re, &ty.shape, &[])?,
                        b.broadcast_in_dim(im, &ty.shape, &[])?,
                    )
                };
                bounded = binary(b, op, bounded, bound)?;
            }
            joined(b, bounded)
        }
        OpKind::Iota(_) => {
            let re = b.op1_as(kind.clone(), &[], part_type(b, results[0]))?;
            let im = b.like_i(re, 0)?;
            joined(b, (re, im))
        }
        OpKind::DotGeneral(_) | OpKind::Convolution(_) => product(b, op, &kind, &o),
        OpKind::Reduce(_) | OpKind::ReduceWindow(_) | OpKind::Scatter(_) if is_part_by_part(b.func, op) => {
            reduction(b, op, &kind, &o)
        }
        OpKind::OptimizationBarrier
        | OpKind::While
        | OpKind::If
        | OpKind::Case
        | OpKind::Reduce(_)
        | OpKind::ReduceWindow(_)
        | OpKind::Scatter(_)
        | OpKind::Sort(_)
        | OpKind::Map(_) => with_regions(b, op),
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

pub(super) fn unsupported(kind: &OpKind) -> super::rewrite::Stop {
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

/// Whether a body, applied element by element, computes with complex numbers.
fn has_complex_body(func: &Func, op: OpId) -> bool {
    let node = func.op(op);
    let elementwise = matches!(
        node.kind,
        OpKind::Reduce(_) | OpKind::ReduceWindow(_) | OpKind::Scatter(_) | OpKind::Sort(_) | OpKind::Map(_)
    );
    let mut found = false;
    for &region in node.regions.iter().filter(|_| elementwise) {
        func.walk(region, &mut |func, inner| {
            let inner = func.op(inner);
            let mut values = inner.operands.iter().chain(&inner.results);
            found |= values.any(|&v| func.ty(v).tensor().is_some_and(|t| t.dtype.is_complex()));
        });
    }
    found
}

/// Sums, and scatters that add or replace, treat both parts alike.
fn is_part_by_part(func: &Func, op: OpId) -> bool {
    let node = func.op(op);
    let region = node.regions[0];
    let adds = single_reducer(func, region) == Some(BinaryOp::Add);
    let replaces = matches!(node.kind, OpKind::Scatter(_)) && returns_args(func, region, &[1]);
    node.results.len() == 1 && (adds || replaces)
}

/// Sums of complex numbers, and scatters that add or replace: part by part.
fn reduction(b: &mut Builder<'_>, op: OpId, kind: &OpKind, o: &[ValueId]) -> Rewrite {
    let node = b.func.op(op);
    let (region, result) = (node.regions[0], node.results[0]);
    let adds = single_reducer(b.func, region) == Some(BinaryOp::Add);
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

/// The type of a part, if values of this type are complex.
fn real_type(ty: &Type) -> Option<TensorType> {
    let t = ty.tensor().filter(|t| t.dtype.is_complex())?;
    Some(t.with_dtype(t.dtype.real()))
}

/// An operation with regions: two real values for each complex one, outside and inside.
fn with_regions(b: &mut Builder<'_>, op: OpId) -> Rewrite {
    let node = b.func.op(op).clone();
    let mut operands = Vec::with_capacity(2 * node.operands.len());
    for &v in &node.operands {
        match real_type(b.ty(v)) {
            Some(_) => {
                let (re, im) = parts(b, v)?;
                operands.extend([re, im]);
            }
            None => operands.push(v),
        }
    }
    let mut types = Vec::with_capacity(2 * node.results.len());
    for &v in &node.results {
        match real_type(b.ty(v)) {
            Some(part) => types.extend([Type::from(part.clone()), part.into()]),
            None => types.push(b.ty(v).clone()),
        }
    }
    let walked = matches!(node.kind, OpKind::While | OpKind::If | OpKind::Case);
    for &region in &node.regions {
        split_region(b.func, region, matches!(node.kind, OpKind::Sort(_)));
        if !walked {
            rewrite_inside(b.func, region, &mut rewrite)?;
        }
    }
    let values = b.op_with_regions(node.kind, &operands, &node.regions, Some(&types))?;
    let mut values = values.into_iter();
    let mut out = Vec::with_capacity(node.results.len());
    for &v in &node.results {
        let mut next = || {
            values
                .next()
                .ok_or_else(|| ferrite_ir::hlo::Violation::new("complex", "too few results"))
        };
        let first = next()?;
        out.push(match real_type(b.ty(v)) {
            Some(_) => {
                let second = next()?;
                b.op1(OpKind::Complex, &[first, second])?
            }
            None => first,
        });
    }
    Ok(Some(out))
}

/// Gives a region two real arguments for each complex one, and two real results. Arguments of comparators come in pairs of
/// one operand each.
fn split_region(func: &mut Func, region: RegionId, in_pairs: bool) {
    let loc = func.region(region).loc;
    let args = std::mem::take(&mut func.region_mut(region).args);
    let inside = std::mem::take(&mut func.region_mut(region).ops);
    let mut map = HashMap::new();
    for group in args.chunks(if in_pairs { 2 } else { 1 }) {
        let parts: Vec<Option<TensorType>> = group.iter().map(|&v| real_type(func.ty(v))).collect();
        let new = |func: &mut Func, ty: &Type| func.add_arg(region, ty.clone());
        let first: Vec<ValueId> = group
            .iter()
            .zip(&parts)
            .map(|(&v, part)| {
                let ty = part.clone().map_or_else(|| func.ty(v).clone(), Type::from);
                new(func, &ty)
            })
            .collect();
        for ((&old, part), &re) in group.iter().zip(&parts).zip(&first) {
            let Some(part) = part else {
                map.insert(old, re);
                continue;
            };
            let im = new(func, &part.clone().into());
            let ty = func.ty(old).clone();
            let whole = func.append(region, OpKind::Complex, &[re, im], vec![ty], &[], loc);
            map.insert(old, func.result(whole));
        }
    }
    func.region_mut(region).ops.extend(inside);
    substitute(func, region, &map);
    let mut results = Vec::new();
    for v in func.region(region).results.clone() {
        let Some(part) = real_type(func.ty(v)) else {
            results.push(v);
            continue;
        };
        for op in [UnaryOp::Real, UnaryOp::Imag] {
            let part = func.append(region, OpKind::Unary(op), &[v], vec![part.clone().into()], &[], loc);
            results.push(func.result(part));
        }
    }
    func.region_mut(region).results = results;
}
