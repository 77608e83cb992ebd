//! What exporters leave of the `arith`, `tensor` and `shape` dialects: sizes computed beside the tensors.
//!
//! Scalars are tensors of rank 0 here and `index` is `i64`, so that each of these operations is one or a few of ours.
//! Unsigned operations on signless integers go through the unsigned type of the same width.

use super::super::build::Builder;
use super::super::func::ValueId;
use super::super::infer::Violation;
use super::super::ops::{BinaryOp, ComparisonDirection, Dimension, DynamicSlice, OpKind, UnaryOp};
use super::super::types::{Dims, TensorType};
use super::fields::{self, Fields, Read};
use super::{literal, types};
use crate::dtype::{DType, DTypeClass};
use crate::text::Attr;

/// Whether [`map`] knows the operation.
pub(super) fn is_scalar(name: &str) -> bool {
    name.starts_with("arith.")
        || matches!(
            name,
            "tensor.from_elements"
                | "tensor.extract"
                | "tensor.dim"
                | "tensor.cast"
                | "shape.shape_of"
                | "shape.num_elements"
                | "shape.broadcast"
                | "shape.const_shape"
                | "shape.to_extent_tensor"
                | "shape.index_to_size"
                | "shape.size_to_index"
        )
}

/// Builds what the operation says and gives its result.
///
/// # Errors
/// What is wrong with the operation, or that it is not one that is known.
pub(super) fn map(name: &str, fields: &mut Fields, operands: &[ValueId], b: &mut Builder<'_>) -> Read<Vec<ValueId>> {
    let [result] = &fields.op.result_types[..] else {
        return Err(format!(
            "`{name}` has one result, {} are written",
            fields.op.result_types.len()
        ));
    };
    let result = match types::value_type(result)? {
        super::super::types::Type::Tensor(ty) => ty,
        other => return Err(format!("`{name}` cannot give {other}")),
    };
    let value = match name {
        "arith.constant" | "shape.const_shape" => constant(name, fields, &result, b)?,
        "arith.cmpi" | "arith.cmpf" => compare(name, fields, operands, b)?,
        _ => {
            let built = match name.strip_prefix("arith.") {
                Some(short) => arith(short, operands, &result, b),
                None => shape(name, operands, &result, b),
            };
            built
                .map_err(|violation| violation.to_string())?
                .ok_or_else(|| format!("`{name}` with {} operand(s) is not supported", operands.len()))?
        }
    };
    Ok(vec![value])
}

fn constant(name: &str, fields: &mut Fields, ty: &TensorType, b: &mut Builder<'_>) -> Read<ValueId> {
    let attr = fields.need(if name == "arith.constant" { "value" } else { "shape" })?;
    if let Attr::Dense(_) | Attr::DenseResource { .. } = attr {
        let literal = literal::literal(attr, fields.document)?;
        return Ok(b.constant(literal));
    }
    match (fields::int(attr), literal::float(attr)) {
        (Some(value), _) => Ok(b.constant_i(ty.clone(), value)),
        (None, Some(value)) => Ok(b.constant_f(ty.clone(), value)),
        _ => Err(fields.wrong("value", "a number or `dense<...>`")),
    }
}

/// The unsigned type of the same width.
fn unsigned(dtype: DType) -> DType {
    match dtype {
        DType::I2 => DType::U2,
        DType::I4 => DType::U4,
        DType::I8 => DType::U8,
        DType::I16 => DType::U16,
        DType::I32 => DType::U32,
        DType::I64 => DType::U64,
        other => other,
    }
}

fn as_unsigned(b: &mut Builder<'_>, x: ValueId) -> Result<ValueId, Violation> {
    let dtype = b.tensor(x)?.dtype;
    if unsigned(dtype) == dtype {
        Ok(x)
    } else {
        b.bitcast(x, unsigned(dtype))
    }
}

fn compare(name: &str, fields: &mut Fields, operands: &[ValueId], b: &mut Builder<'_>) -> Read<ValueId> {
    use ComparisonDirection::*;
    let predicate = fields.int("predicate")?;
    let (direction, is_unsigned) = match (name, predicate) {
        ("arith.cmpi", 0) | ("arith.cmpf", 1) => (Eq, false),
        ("arith.cmpi", 1) | ("arith.cmpf", 13) => (Ne, false),
        ("arith.cmpi", 2) | ("arith.cmpf", 4) => (Lt, false),
        ("arith.cmpi", 3) | ("arith.cmpf", 5) => (Le, false),
        ("arith.cmpi", 4) | ("arith.cmpf", 2) => (Gt, false),
        ("arith.cmpi", 5) | ("arith.cmpf", 3) => (Ge, false),
        ("arith.cmpi", 6) => (Lt, true),
        ("arith.cmpi", 7) => (Le, true),
        ("arith.cmpi", 8) => (Gt, true),
        ("arith.cmpi", 9) => (Ge, true),
        _ => return Err(format!("predicate {predicate} of `{name}` is not supported")),
    };
    let [x, y] = *operands else {
        return Err(format!("`{name}` compares two values, {} are given", operands.len()));
    };
    let mut build = || {
        if is_unsigned {
            let (x, y) = (as_unsigned(b, x)?, as_unsigned(b, y)?);
            b.compare(direction, x, y)
        } else {
            b.compare(direction, x, y)
        }
    };
    build().map_err(|violation| violation.to_string())
}

fn arith(
    short: &str,
    operands: &[ValueId],
    result: &TensorType,
    b: &mut Builder<'_>,
) -> Result<Option<ValueId>, Violation> {
    use BinaryOp::*;
    let binary = match short {
        "addi" | "addf" => Some((Add, false)),
        "subi" | "subf" => Some((Subtract, false)),
        "muli" | "mulf" => Some((Multiply, false)),
        "divsi" | "divf" => Some((Divide, false)),
        "divui" => Some((Divide, true)),
        "remsi" | "remf" => Some((Remainder, false)),
        "remui" => Some((Remainder, true)),
        "andi" => Some((And, false)),
        "ori" => Some((Or, false)),
        "xori" => Some((Xor, false)),
        "shli" => Some((ShiftLeft, false)),
        "shrsi" => Some((ShiftRightArithmetic, false)),
        "shrui" => Some((ShiftRightLogical, false)),
        "maxsi" | "maximumf" => Some((Maximum, false)),
        "maxui" => Some((Maximum, true)),
        "minsi" | "minimumf" => Some((Minimum, false)),
        "minui" => Some((Minimum, true)),
        _ => None,
    };
    Ok(match (binary, operands) {
        (Some((op, false)), &[x, y]) => Some(b.binary(op, x, y)?),
        (Some((op, true)), &[x, y]) => {
            let (x, y) = (as_unsigned(b, x)?, as_unsigned(b, y)?);
            let value = b.binary(op, x, y)?;
            Some(b.bitcast(value, result.dtype)?)
        }
        (None, &[p, x, y]) if short == "select" => Some(b.select(p, x, y)?),
        (None, &[x]) => match short {
            "negf" => Some(b.unary(UnaryOp::Negate, x)?),
            "index_cast" | "trunci" | "sitofp" | "fptosi" | "extf" | "truncf" => Some(b.convert(x, result.dtype)?),
            // A signed bit that is set is -1.
            "extsi" => {
                let bit = b.tensor(x)?.dtype == DType::Bool;
                let wide = b.convert(x, result.dtype)?;
                Some(if bit { b.unary(UnaryOp::Negate, wide)? } else { wide })
            }
            "extui" | "uitofp" | "index_castui" => {
                let x = as_unsigned(b, x)?;
                Some(b.convert(x, result.dtype)?)
            }
            "fptoui" => {
                let value = b.convert(x, unsigned(result.dtype))?;
                Some(b.bitcast(value, result.dtype)?)
            }
            "bitcast" => Some(b.bitcast(x, result.dtype)?),
            _ => None,
        },
        _ => None,
    })
}

/// One extent as a list of one.
fn listed(b: &mut Builder<'_>, x: ValueId, dtype: DType) -> Result<ValueId, Violation> {
    let x = b.convert(x, dtype)?;
    b.reshape(x, &[1])
}

fn shape(
    name: &str,
    operands: &[ValueId],
    result: &TensorType,
    b: &mut Builder<'_>,
) -> Result<Option<ValueId>, Violation> {
    Ok(match (name, operands) {
        ("tensor.from_elements", elements) => {
            let parts: Vec<ValueId> = elements.iter().map(|&x| b.reshape(x, &[1])).collect::<Result<_, _>>()?;
            match parts[..] {
                [] => None,
                [one] => Some(b.reshape(one, &result.shape)?),
                _ => {
                    let list = b.concatenate(&parts, 0)?;
                    Some(b.reshape(list, &result.shape)?)
                }
            }
        }
        ("tensor.extract", [x, indices @ ..]) => {
            let sizes: Dims = indices.iter().map(|_| 1).collect();
            let mut all = vec![*x];
            all.extend(indices);
            let slice = b.op1(OpKind::DynamicSlice(DynamicSlice { sizes }), &all)?;
            Some(b.reshape(slice, &[])?)
        }
        ("tensor.dim", &[x, index]) => {
            let dimension = match b.func.def_kind(index) {
                Some(OpKind::Constant(literal)) => literal.get_i64(0),
                _ => return Ok(None),
            };
            Some(size(b, x, dimension)?)
        }
        ("tensor.cast", &[x]) => Some(b.op1_as(OpKind::Convert, &[x], result.clone())?),
        ("shape.shape_of", &[x]) => {
            let rank = b.tensor(x)?.rank() as i64;
            let sizes: Vec<ValueId> = (0..rank)
                .map(|d| size(b, x, d).and_then(|n| listed(b, n, result.dtype)))
                .collect::<Result<_, _>>()?;
            match sizes[..] {
                [] => Some(b.constant_i(TensorType::new(result.dtype, &[0]), 0)),
                [one] => Some(one),
                _ => Some(b.concatenate(&sizes, 0)?),
            }
        }
        ("shape.num_elements", &[x]) => Some(b.reduce(BinaryOp::Multiply, x, &[0])?),
        ("shape.broadcast", &[x, y]) => broadcast(b, x, y)?,
        ("shape.to_extent_tensor" | "shape.index_to_size" | "shape.size_to_index", &[x]) => Some(x),
        _ => None,
    })
}

/// A size as `i64`.
fn size(b: &mut Builder<'_>, x: ValueId, dimension: i64) -> Result<ValueId, Violation> {
    let kind = OpKind::GetDimensionSize(Dimension { dimension });
    let size = b.op1_as(kind, &[x], TensorType::scalar(DType::I32))?;
    b.convert(size, DType::I64)
}

/// The common shape of two lists of extents: the shorter one is filled up with ones.
fn broadcast(b: &mut Builder<'_>, x: ValueId, y: ValueId) -> Result<Option<ValueId>, Violation> {
    let length = |b: &Builder<'_>, v| b.tensor(v).map(|t| t.shape.first().copied().unwrap_or(0));
    let (n, m) = (length(b, x)?, length(b, y)?);
    let dtype = b.tensor(x)?.dtype;
    if n < 0 || m < 0 || dtype.class() != DTypeClass::Signed {
        return Ok(None);
    }
    let fill = |b: &mut Builder<'_>, v, missing: i64| {
        if missing <= 0 {
            return Ok(v);
        }
        let ones = b.constant_i(TensorType::new(dtype, &[missing]), 1);
        b.concatenate(&[ones, v], 0)
    };
    let (x, y) = (fill(b, x, m - n)?, fill(b, y, n - m)?);
    let one = b.like_i(x, 1)?;
    let stretched = b.compare(ComparisonDirection::Eq, x, one)?;
    Ok(Some(b.select(stretched, y, x)?))
}
