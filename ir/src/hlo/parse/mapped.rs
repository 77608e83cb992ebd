//! Operations of the text that have no operation of their own at this level: what they say is said with others.
//!
//! * what changes no value (`interpreter.print`, `sdy.propagation_barrier`, ...) is its operand;
//! * what computes nothing (`stablehlo.trace`, `sdy.sharding_group`) is left out;
//! * the tests of StableHLO's interpreter (`check.*`, `interpreter.run_parallel`, `interpreter.probe`) are custom calls, in the form in
//!   which exported tests hold them: target `check.expect_eq`, parameters in the dictionary of the backend;
//! * what exporters leave of `arith`, `tensor` and `shape` is arithmetic on tensors ([`scalars`]);
//! * `chlo.mulhi` and `chlo.constant_like` are their expansions.

use super::super::attrs::{Attr as HloAttr, Attrs};
use super::super::build::Builder;
use super::super::func::ValueId;
use super::super::ops::{BinaryOp, ComparisonDirection, CustomCall, OpKind};
use super::super::types::{TensorType, Type};
use super::attributes;
use super::fields::{Fields, Read};
use super::literal;
use super::scalars;
use super::types;
use crate::dtype::{DType, DTypeClass};
use crate::literal::Literal;

/// Whether [`map`] knows the operation.
pub(super) fn is_mapped(name: &str) -> bool {
    matches!(
        name,
        "interpreter.probe"
            | "interpreter.print"
            | "interpreter.run_parallel"
            | "stablehlo.add_dependency"
            | "stablehlo.copy"
            | "stablehlo.domain"
            | "stablehlo.trace"
            | "sdy.propagation_barrier"
            | "sdy.data_flow_edge"
            | "sdy.func_data_flow_edge"
            | "sdy.sharding_group"
            | "sdy.constant"
            | "chlo.constant_like"
            | "chlo.mulhi"
    ) || name.starts_with("check.expect_")
        || scalars::is_scalar(name)
}

/// Builds what the operation says and gives its results.
///
/// # Errors
/// What is wrong with the operation.
pub(super) fn map(fields: &mut Fields, operands: &[ValueId], b: &mut Builder<'_>) -> Read<Vec<ValueId>> {
    let name = fields.name.clone().into_owned();
    if scalars::is_scalar(&name) {
        return scalars::map(&name, fields, operands, b);
    }
    let wrong = |count: usize| format!("`{name}` takes {count} operand(s), {} are given", operands.len());
    let results = fields.op.result_types.len();
    let expected = usize::from(
        !matches!(
            &name[..],
            "stablehlo.trace" | "sdy.sharding_group" | "interpreter.run_parallel"
        ) && !name.starts_with("check."),
    );
    if name != "interpreter.run_parallel" && results != expected {
        return Err(format!("`{name}` has {expected} result(s), {results} are written"));
    }
    let built = |r: Result<ValueId, super::super::infer::Violation>| r.map_err(|v| v.to_string());
    let built_all = |r: Result<Vec<ValueId>, super::super::infer::Violation>| r.map_err(|v| v.to_string());
    match &name[..] {
        "interpreter.probe" => match operands {
            [x] => {
                same_type(fields, b, *x)?;
                let mut parameters = Attrs::new();
                parameters.insert("probe_id".to_string(), HloAttr::String(fields.string("probe_id")?));
                let ty = b.ty(*x).clone();
                built_all(b.op(call("interpreter.probe", parameters, Vec::new()), &[*x], Some(&[ty])))
            }
            _ => Err(wrong(1)),
        },
        "interpreter.print"
        | "stablehlo.copy"
        | "stablehlo.domain"
        | "sdy.propagation_barrier"
        | "sdy.data_flow_edge"
        | "sdy.func_data_flow_edge" => match operands {
            [x] => same_type(fields, b, *x),
            _ => Err(wrong(1)),
        },
        // The token orders nothing that is not in program order already.
        "stablehlo.add_dependency" => match operands {
            [x, _] => same_type(fields, b, *x),
            _ => Err(wrong(2)),
        },
        "stablehlo.trace" | "sdy.sharding_group" => match operands {
            [_] => Ok(Vec::new()),
            _ => Err(wrong(1)),
        },
        "sdy.constant" => {
            let literal = literal::literal(fields.need("value")?, fields.document)?;
            Ok(vec![b.constant(literal)])
        }
        "chlo.constant_like" => match operands {
            [x] => constant_like(fields, b, *x).map(|v| vec![v]),
            _ => Err(wrong(1)),
        },
        "chlo.mulhi" => match *operands {
            [x, y] => built(multiply_high(b, x, y)).map(|v| vec![v]),
            _ => Err(wrong(2)),
        },
        "interpreter.run_parallel" => run_parallel(fields, operands, b),
        _ => check(&name, fields, operands, b).map(|()| Vec::new()),
    }
}

/// The operand, if it has the type that is written for the result.
fn same_type(fields: &Fields, b: &Builder<'_>, x: ValueId) -> Read<Vec<ValueId>> {
    let written = fields.op.result_types.first().map(types::value_type).transpose()?;
    match written {
        Some(ty) if ty != *b.ty(x) => Err(format!(
            "`{}` gives its operand of type {}, not {ty}",
            fields.op.name,
            b.ty(x)
        )),
        _ => Ok(vec![x]),
    }
}

/// A custom call with parameters in its dictionary.
fn call(target: &str, parameters: Attrs, called: Vec<String>) -> OpKind {
    OpKind::CustomCall(Box::new(CustomCall {
        target: target.to_string(),
        has_side_effect: true,
        backend_config: if parameters.is_empty() {
            HloAttr::String(String::new())
        } else {
            HloAttr::Dict(parameters.clone())
        },
        // The typed interface is the one with a dictionary.
        api_version: if parameters.is_empty() { 1 } else { 4 },
        called_computations: called,
        operand_layouts: None,
        result_layouts: None,
        output_operand_aliases: Vec::new(),
    }))
}

/// `check.expect_*`: with one operand the other is the attribute `value`.
fn check(name: &str, fields: &mut Fields, operands: &[ValueId], b: &mut Builder<'_>) -> Read<()> {
    let (target, with_value) = match name.strip_suffix("_const") {
        Some(target) => (target, true),
        None => (name, false),
    };
    if !matches!(
        target,
        "check.expect_eq" | "check.expect_almost_eq" | "check.expect_close" | "check.expect_serialized_eq"
    ) {
        return Err(format!("`{name}` is not a known check"));
    }
    if target == "check.expect_serialized_eq" {
        return check_probe(fields, operands, b);
    }
    let mut operands = operands.to_vec();
    if with_value {
        let literal = literal::literal(fields.need("value")?, fields.document)?;
        operands.push(b.constant(literal));
    }
    let [x, y] = operands[..] else {
        return Err(format!("`{name}` compares two values, {} are given", operands.len()));
    };
    if !super::super::infer::compatible(b.ty(x), b.ty(y)) {
        return Err(format!(
            "`{name}` compares values of one type, not {} and {}",
            b.ty(x),
            b.ty(y)
        ));
    }
    let mut parameters = Attrs::new();
    for key in ["tolerance", "max_ulp_difference", "min_ulp_difference"] {
        if let Some(attr) = fields.take(key) {
            let value = match (literal::float(attr), super::fields::int(attr)) {
                (Some(value), _) => HloAttr::Float(value),
                (None, Some(value)) => HloAttr::Int(value, 64),
                _ => return Err(fields.wrong(key, "a number")),
            };
            parameters.insert(key.to_string(), value);
        }
    }
    b.op(call(target, parameters, Vec::new()), &[x, y], Some(&[]))
        .map(|_| ())
        .map_err(|v| v.to_string())
}

/// `check.expect_serialized_eq`: its operand is what the probe of this name saw, the so-manieth time.
fn check_probe(fields: &mut Fields, operands: &[ValueId], b: &mut Builder<'_>) -> Read<()> {
    if operands.len() != 1 {
        let count = operands.len();
        return Err(format!(
            "`check.expect_serialized_eq` takes one value, {count} are given"
        ));
    }
    let mut parameters = Attrs::new();
    parameters.insert("iter".to_string(), HloAttr::Int(fields.int_or("iter", 0)?, 64));
    parameters.insert("probe_id".to_string(), HloAttr::String(fields.string("probe_id")?));
    b.op(
        call("check.expect_serialized_eq", parameters, Vec::new()),
        operands,
        Some(&[]),
    )
    .map(|_| ())
    .map_err(|v| v.to_string())
}

/// `interpreter.run_parallel`: programs replica by replica in the called functions, their grid and the functions that
/// feed `infeed` in the dictionary.
fn run_parallel(fields: &mut Fields, operands: &[ValueId], b: &mut Builder<'_>) -> Read<Vec<ValueId>> {
    // Old tests name functions by strings.
    let name_of = |attr: &crate::text::Attr| match attr {
        crate::text::Attr::String(name) => Some(name.to_string()),
        other => super::fields::symbol(other),
    };
    let names = |attr: &crate::text::Attr| match attr {
        crate::text::Attr::Array(items) => items.iter().map(name_of).collect::<Option<Vec<String>>>(),
        _ => None,
    };
    let rows: Option<Vec<Vec<String>>> = match fields.need("programs")? {
        crate::text::Attr::Array(items) => items.iter().map(names).collect(),
        _ => None,
    };
    let rows = rows.ok_or_else(|| fields.wrong("programs", "a list of lists of functions"))?;
    let partitions = rows.first().map_or(0, Vec::len);
    if partitions == 0 || rows.iter().any(|row| row.len() != partitions) {
        return Err(fields.wrong("programs", "a grid of functions, a row for each replica"));
    }
    let infeed = match fields.take("infeed") {
        None => Vec::new(),
        Some(attr) => names(attr).ok_or_else(|| fields.wrong("infeed", "a list of functions"))?,
    };
    // Old tests say the sizes of the grid too.
    for (key, size) in [("num_replicas", rows.len()), ("num_partitions", partitions)] {
        let written = fields.int_or(key, size as i64)?;
        if written != size as i64 {
            return Err(format!("`{key}` is {written}, but the grid of programs has {size}"));
        }
    }
    let mut parameters = Attrs::new();
    parameters.insert("num_partitions".to_string(), HloAttr::Int(partitions as i64, 64));
    parameters.insert("num_replicas".to_string(), HloAttr::Int(rows.len() as i64, 64));
    if !infeed.is_empty() {
        let queue = infeed.into_iter().map(HloAttr::Symbol).collect();
        parameters.insert("infeed".to_string(), HloAttr::Array(queue));
    }
    let results: Vec<Type> = fields
        .op
        .result_types
        .iter()
        .map(types::value_type)
        .collect::<Result<_, _>>()?;
    let called = rows.concat();
    b.op(
        call("interpreter.run_parallel", parameters, called),
        operands,
        Some(&results),
    )
    .map_err(|v| v.to_string())
}

/// A constant of the operand's shape.
fn constant_like(fields: &mut Fields, b: &mut Builder<'_>, x: ValueId) -> Read<ValueId> {
    let attr = fields.need("value")?;
    let ty = b.tensor(x).map_err(|v| v.to_string())?.clone();
    if !ty.is_static() {
        return Err(format!("`chlo.constant_like` of {ty} needs a static shape"));
    }
    let mut element = vec![0u8; ty.dtype.bytes()];
    match (attributes::convert(attr), literal::float(attr)) {
        (_, Some(value)) => crate::literal::write_f64(ty.dtype, value, &mut element),
        (HloAttr::Bool(value), _) => element[0] = u8::from(value),
        (HloAttr::Int(value, _), _) => crate::literal::write_i64(ty.dtype, value, &mut element),
        _ => match super::fields::int(attr) {
            Some(value) => crate::literal::write_i64(ty.dtype, value, &mut element),
            None => return Err(fields.wrong("value", "a number")),
        },
    }
    let literal = Literal::splat(TensorType::new(ty.dtype, &ty.shape), &element)
        .ok_or_else(|| format!("`chlo.constant_like` cannot fill {ty}"))?;
    Ok(b.constant(literal))
}

/// The upper half of the product of two integers.
fn multiply_high(b: &mut Builder<'_>, x: ValueId, y: ValueId) -> Result<ValueId, super::super::infer::Violation> {
    let dtype = b.tensor(x)?.dtype;
    let signed = dtype.class() == DTypeClass::Signed;
    if !dtype.is_int() {
        return Err(super::super::infer::Violation::new(
            "mulhi I1",
            format!("`mulhi` does not take {dtype} elements"),
        ));
    }
    let bits = dtype.bits() as i64;
    if bits < 32 {
        let wide = if signed { DType::I32 } else { DType::U32 };
        let (x, y) = (b.convert(x, wide)?, b.convert(y, wide)?);
        let product = b.mul(x, y)?;
        let count = b.like_i(product, bits)?;
        let high = b.binary(BinaryOp::ShiftRightLogical, product, count)?;
        return b.convert(high, dtype);
    }
    // Schoolbook multiplication of halves, then the correction for signs: no wider type than that of the operands, which
    // devices of 32 bits lack.
    let unsigned = if bits == 32 { DType::U32 } else { DType::U64 };
    let (ux, uy) = (b.bitcast(x, unsigned)?, b.bitcast(y, unsigned)?);
    let half = b.like_i(ux, bits / 2)?;
    let mask = b.like_i(ux, (1 << (bits / 2)) - 1)?;
    let low = |b: &mut Builder<'_>, v| b.binary(BinaryOp::And, v, mask);
    let high = |b: &mut Builder<'_>, v| b.binary(BinaryOp::ShiftRightLogical, v, half);
    let (xl, xh, yl, yh) = (low(b, ux)?, high(b, ux)?, low(b, uy)?, high(b, uy)?);
    let ll = b.mul(xl, yl)?;
    let carry = high(b, ll)?;
    let hl = b.mul(xh, yl)?;
    let middle = b.add(hl, carry)?;
    let rest = low(b, middle)?;
    let lh = b.mul(xl, yh)?;
    let other = b.add(lh, rest)?;
    let hh = b.mul(xh, yh)?;
    let (m, o) = (high(b, middle)?, high(b, other)?);
    let sum = b.add(hh, m)?;
    let mut product = b.add(sum, o)?;
    if signed {
        let zero = b.like_i(x, 0)?;
        let nothing = b.like_i(ux, 0)?;
        for (sign, other) in [(x, uy), (y, ux)] {
            let negative = b.compare(ComparisonDirection::Lt, sign, zero)?;
            let term = b.select(negative, other, nothing)?;
            product = b.sub(product, term)?;
        }
    }
    b.bitcast(product, dtype)
}
