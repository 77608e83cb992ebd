//! Custom forms of StableHLO's test dialect, of scalar constants, of scans and of named computations.

use super::pieces::{eat_text, typed_integer};
use super::structured::optional_dictionary;
use crate::text::lexer::Parsed;
use crate::text::parser::Parser;
use crate::text::tree::*;

/// `check.expect_eq_const %a, dense<1> : tensor<i64> {...}`.
pub(super) fn check_constant<'a>(parser: &mut Parser<'a>, name: &'a str) -> Parsed<Operation<'a>> {
    let mut op = Operation::new(name);
    op.operands.push(parser.operand()?);
    parser.lexer.expect(",", "before the expected value")?;
    let start = parser.lexer.position();
    let value = parser.attribute()?;
    let ty = match &value {
        Attr::Dense(dense) => dense.ty.clone(),
        Attr::DenseResource { ty, .. } => (**ty).clone(),
        _ => {
            let end = parser.lexer.position();
            let message = "expected `dense<...> : type` as the expected value";
            return Err(parser.lexer.error_at(start, end, message));
        }
    };
    op.set("value", value);
    op.operand_types.push(ty);
    if name == "check.expect_almost_eq_const" && parser.lexer.eat(",") {
        parser.lexer.expect("tolerance", "as what the check is told besides")?;
        parser.lexer.expect("=", "after `tolerance`")?;
        let tolerance = parser.attribute()?;
        op.set("tolerance", tolerance);
    }
    op.attributes = optional_dictionary(parser)?;
    Ok(op)
}

/// `arith.constant 1 : index`, `arith.constant true`, `arith.constant dense<...> : type`.
pub(super) fn scalar_constant<'a>(parser: &mut Parser<'a>) -> Parsed<Operation<'a>> {
    let mut op = Operation::new("arith.constant");
    op.attributes = optional_dictionary(parser)?;
    let start = parser.lexer.position();
    let value = parser.attribute()?;
    let scalar = |ty: &Option<Box<Type<'a>>>, default: &'static str| {
        ty.as_deref().cloned().unwrap_or(Type::Scalar(default.into()))
    };
    op.result_types.push(match &value {
        Attr::Bool(_) => Type::Scalar("i1".into()),
        Attr::Integer { ty, .. } => scalar(ty, "i64"),
        Attr::Float { ty, .. } => scalar(ty, "f64"),
        Attr::Dense(dense) => dense.ty.clone(),
        Attr::DenseResource { ty, .. } => (**ty).clone(),
        _ => {
            let end = parser.lexer.position();
            return Err(parser
                .lexer
                .error_at(start, end, "expected a number or `dense<...> : type`"));
        }
    });
    op.set("value", value);
    Ok(op)
}

/// `shape.const_shape [1, 2] : tensor<2xindex>`.
pub(super) fn const_shape<'a>(parser: &mut Parser<'a>) -> Parsed<Operation<'a>> {
    let mut op = Operation::new("shape.const_shape");
    op.attributes = optional_dictionary(parser)?;
    parser.lexer.expect("[", "before the extents of a shape")?;
    let mut values = Vec::new();
    while !parser.lexer.eat("]") {
        values.push(Scalar::Int(i128::from(parser.lexer.integer("an extent")?)));
        if !parser.lexer.eat(",") {
            parser.lexer.expect("]", "after the extents of a shape")?;
            break;
        }
    }
    parser.lexer.expect(":", "before the type of a shape")?;
    let ty = parser.ty()?;
    let data = DenseData::Elements {
        shape: smallvec::SmallVec::from_slice(&[values.len()]),
        values,
        complex: false,
    };
    op.set("shape", Attr::Dense(Box::new(Dense { data, ty: ty.clone() })));
    op.result_types.push(ty);
    Ok(op)
}

/// `chlo.scan(%a) inits(%b) dimension=0 attributes {...} { ^bb0(...): ... } : (types) -> (types)`.
pub(super) fn scan<'a>(parser: &mut Parser<'a>) -> Parsed<Operation<'a>> {
    let mut op = Operation::new("chlo.scan");
    let list = |parser: &mut Parser<'a>| -> Parsed<Vec<ValueUse<'a>>> {
        parser.lexer.expect("(", "before the operands of `chlo.scan`")?;
        if parser.lexer.eat(")") {
            return Ok(Vec::new());
        }
        let operands = parser.operand_list()?;
        parser.lexer.expect(")", "after the operands of `chlo.scan`")?;
        Ok(operands)
    };
    op.operands = list(parser)?;
    let inputs = op.operands.len();
    parser.lexer.expect_word("inits", "after the inputs of `chlo.scan`")?;
    let mut inits = list(parser)?;
    let carries = inits.len();
    op.operands.append(&mut inits);
    if !eat_text(parser, "dimension=") {
        return Err(parser.lexer.error("expected `dimension=` in `chlo.scan`"));
    }
    let dimension = parser.lexer.integer("a dimension")?;
    op.set("dimension", typed_integer(dimension, "i64"));
    if parser.lexer.eat_word("attributes") {
        op.attributes = parser.dictionary()?;
    }
    let region = parser.region(Vec::new())?;
    op.regions.push(region);
    parser.lexer.expect(":", "before the types")?;
    let start = parser.lexer.position();
    (op.operand_types, op.result_types) = parser.function_type()?;
    if op.operand_types.len() != op.operands.len() || op.result_types.len() < carries {
        let message = format!(
            "expected types of {} operand(s) and at least {carries} result(s)",
            op.operands.len()
        );
        return Err(parser.lexer.error_at(start, parser.lexer.position(), message));
    }
    let segments = |first: usize, second: usize| Attr::DenseArray {
        element: "i32".into(),
        values: vec![Scalar::Int(first as i128), Scalar::Int(second as i128)],
    };
    let outputs = op.result_types.len() - carries;
    op.set("operandSegmentSizes", segments(inputs, carries));
    op.set("resultSegmentSizes", segments(outputs, carries));
    Ok(op)
}

/// `sdy.named_computation<"name">(%a) in_shardings=[...] out_shardings=[...] (%b: type) {...} : types`.
pub(super) fn named_computation<'a>(parser: &mut Parser<'a>) -> Parsed<Operation<'a>> {
    let mut op = Operation::new("sdy.named_computation");
    parser.lexer.expect("<", "before the name of a computation")?;
    let name = parser.lexer.string()?;
    op.set("name", Attr::String(name));
    parser.lexer.expect(">", "after the name of a computation")?;
    parser.lexer.expect("(", "before the operands")?;
    if !parser.lexer.eat(")") {
        op.operands = parser.operand_list()?;
        parser.lexer.expect(")", "after the operands")?;
    }
    for (text, key) in [("in_shardings=", "in_shardings"), ("out_shardings=", "out_shardings")] {
        if eat_text(parser, text) {
            let body = Some(parser.lexer.bracketed("[", b']')?.into());
            let name = "sdy.sharding_per_value".into();
            op.set(key, Attr::Dialect { name, body });
        }
    }
    let mut arguments = Vec::new();
    if parser.lexer.eat("(") && !parser.lexer.eat(")") {
        loop {
            arguments.push(parser.block_argument()?);
            if !parser.lexer.eat(",") {
                break;
            }
        }
        parser.lexer.expect(")", "after the arguments of the body")?;
    }
    let region = parser.region(arguments)?;
    op.regions.push(region);
    op.attributes = optional_dictionary(parser)?;
    parser.lexer.expect(":", "before the types")?;
    let start = parser.lexer.position();
    (op.operand_types, op.result_types) = parser.function_type()?;
    if op.operand_types.len() != op.operands.len() {
        let message = format!("expected types of {} operand(s)", op.operands.len());
        return Err(parser.lexer.error_at(start, parser.lexer.position(), message));
    }
    Ok(op)
}
