//! Custom forms with regions or alternatives.

use super::pieces::{eat_text, i64_array};
use crate::text::lexer::Parsed;
use crate::text::parser::Parser;
use crate::text::tree::*;

/// `module @name attributes {...} {...}`.
pub(super) fn module<'a>(parser: &mut Parser<'a>) -> Parsed<Operation<'a>> {
    let mut op = Operation::new("builtin.module");
    let visibility = parser
        .lexer
        .peek_word()
        .filter(|w| matches!(*w, "public" | "private" | "nested"));
    if visibility.is_some() {
        parser.lexer.word();
    }
    if parser.lexer.peek() == b'@' {
        let name = parser.symbol()?;
        op.set("sym_name", Attr::String(name));
    }
    if let Some(visibility) = visibility {
        op.set("sym_visibility", Attr::String(visibility.into()));
    }
    if parser.lexer.eat_word("attributes") {
        op.attributes = parser.dictionary()?;
    }
    let mut region = parser.region(Vec::new())?;
    if region.blocks.is_empty() {
        region.blocks.push(Block::default());
    }
    op.regions.push(region);
    Ok(op)
}

/// `func.func public @name(%a: type {...} loc(...)) -> (type {...}) attributes {...} {...}`.
pub(super) fn function<'a>(parser: &mut Parser<'a>) -> Parsed<Operation<'a>> {
    let mut op = Operation::new("func.func");
    let visibility = parser
        .lexer
        .peek_word()
        .filter(|w| matches!(*w, "public" | "private" | "nested"));
    if visibility.is_some() {
        parser.lexer.word();
    }
    let name = parser.symbol()?;
    parser.lexer.expect("(", "before the arguments of a function")?;
    let mut arguments = Vec::new();
    let mut inputs = Vec::new();
    let mut input_attrs = Vec::new();
    if !parser.lexer.eat(")") {
        loop {
            if parser.lexer.peek() == b'%' {
                parser.lexer.expect("%", "before an argument")?;
                let name = Text::Borrowed(parser.lexer.suffix("%")?);
                parser.lexer.expect(":", "before the type of an argument")?;
                let ty = parser.ty()?;
                input_attrs.push(optional_dictionary(parser)?);
                let location = if parser.lexer.is_word("loc") {
                    parser.location()?
                } else {
                    LocId::UNKNOWN
                };
                inputs.push(ty.clone());
                arguments.push(BlockArgument { name, ty, location });
            } else {
                inputs.push(parser.ty()?);
                input_attrs.push(optional_dictionary(parser)?);
            }
            if !parser.lexer.eat(",") {
                break;
            }
        }
        parser.lexer.expect(")", "after the arguments of a function")?;
    }
    let mut results = Vec::new();
    let mut result_attrs = Vec::new();
    if parser.lexer.eat("->") {
        if parser.lexer.eat("(") {
            while !parser.lexer.eat(")") {
                results.push(parser.ty()?);
                result_attrs.push(optional_dictionary(parser)?);
                if !parser.lexer.eat(",") {
                    parser.lexer.expect(")", "after the results of a function")?;
                    break;
                }
            }
        } else {
            results.push(parser.ty()?);
        }
    }
    let dictionaries = |attrs: Vec<Vec<NamedAttr<'a>>>| Attr::Array(attrs.into_iter().map(Attr::Dict).collect());
    if input_attrs.iter().any(|attrs| !attrs.is_empty()) {
        op.set("arg_attrs", dictionaries(input_attrs));
    }
    op.set(
        "function_type",
        Attr::Type(Type::Function {
            inputs: inputs.clone(),
            results,
        }),
    );
    if result_attrs.iter().any(|attrs| !attrs.is_empty()) {
        op.set("res_attrs", dictionaries(result_attrs));
    }
    op.set("sym_name", Attr::String(name));
    if let Some(visibility) = visibility {
        op.set("sym_visibility", Attr::String(visibility.into()));
    }
    if parser.lexer.eat_word("attributes") {
        op.attributes = parser.dictionary()?;
    }
    if parser.lexer.peek() == b'{' {
        if arguments.len() != inputs.len() {
            return Err(parser
                .lexer
                .error("a function with a body needs a name for each argument; expected none of `{`"));
        }
        let start = parser.lexer.position();
        let region = parser.region(arguments)?;
        if region.blocks.is_empty() {
            return Err(parser
                .lexer
                .error_at(start, start + 1, "expected a body that ends in `return`"));
        }
        op.regions.push(region);
    } else {
        op.regions.push(Region::default());
    }
    Ok(op)
}

pub(super) fn optional_dictionary<'a>(parser: &mut Parser<'a>) -> Parsed<Vec<NamedAttr<'a>>> {
    if parser.lexer.peek() == b'{' {
        parser.dictionary()
    } else {
        Ok(Vec::new())
    }
}

/// `constant {...} dense<...> : type`, or the generic form without quotes.
pub(super) fn constant<'a>(parser: &mut Parser<'a>, name: &'a str, start: usize) -> Parsed<Operation<'a>> {
    let mut op = Operation::new(name);
    if parser.lexer.peek() == b'(' {
        parser.generic_rest(&mut op, start)?;
        return Ok(op);
    }
    op.attributes = optional_dictionary(parser)?;
    let value_start = parser.lexer.position();
    let value = parser.attribute()?;
    let ty = match &value {
        Attr::Dense(dense) => dense.ty.clone(),
        Attr::DenseResource { ty, .. } => (**ty).clone(),
        _ => {
            let end = parser.lexer.position();
            return Err(parser.lexer.error_at(
                value_start,
                end,
                "expected `dense<...> : type` as the value of a constant",
            ));
        }
    };
    op.set("value", value);
    op.result_types.push(ty);
    Ok(op)
}

/// `reduce(%a init: %b), (%c init: %d) applies op across dimensions = [0] : types`, or with a `reducer(...) {...}`.
pub(super) fn reduce<'a>(parser: &mut Parser<'a>) -> Parsed<Operation<'a>> {
    let mut op = Operation::new("stablehlo.reduce");
    let mut inits = Vec::new();
    loop {
        parser.lexer.expect("(", "before an operand of `stablehlo.reduce`")?;
        op.operands.push(parser.operand()?);
        parser
            .lexer
            .expect_word("init", "after an operand of `stablehlo.reduce`")?;
        parser.lexer.expect(":", "after `init`")?;
        inits.push(parser.operand()?);
        parser.lexer.expect(")", "after an operand of `stablehlo.reduce`")?;
        if !parser.lexer.eat(",") {
            break;
        }
    }
    let inputs = op.operands.len();
    op.operands.append(&mut inits);
    let applied = if parser.lexer.eat_word("applies") {
        let Some(name) = parser.lexer.word() else {
            return Err(parser.lexer.error("expected the name of an operation after `applies`"));
        };
        Some(name)
    } else {
        None
    };
    if !eat_text(parser, "across dimensions = [") {
        return Err(parser.lexer.error("expected `across dimensions = [...]`"));
    }
    let mut dimensions = Vec::new();
    while !parser.lexer.eat("]") {
        dimensions.push(parser.lexer.integer("a dimension")?);
        if !parser.lexer.eat(",") {
            parser.lexer.expect("]", "after the dimensions")?;
            break;
        }
    }
    op.set("dimensions", i64_array(dimensions));
    op.attributes = optional_dictionary(parser)?;
    parser.lexer.expect(":", "before the types")?;
    let start = parser.lexer.position();
    (op.operand_types, op.result_types) = parser.function_type()?;
    let end = parser.lexer.position();
    if op.operand_types.len() != 2 * inputs || op.result_types.len() != inputs {
        let message = format!("expected types of {} operands and {inputs} result(s)", 2 * inputs);
        return Err(parser.lexer.error_at(start, end, message));
    }
    let region = match applied {
        Some(name) => {
            if inputs != 1 {
                return Err(parser
                    .lexer
                    .error_at(start, end, "`applies` needs exactly one operand to reduce"));
            }
            applied_region(name, op.operand_types[1].clone())
        }
        None => {
            parser
                .lexer
                .expect_word("reducer", "before the body of `stablehlo.reduce`")?;
            let mut lhs = Vec::new();
            let mut rhs = Vec::new();
            for _ in 0..inputs {
                parser.lexer.expect("(", "before the arguments of the body")?;
                lhs.push(parser.block_argument()?);
                parser.lexer.expect(",", "between the arguments of the body")?;
                rhs.push(parser.block_argument()?);
                parser.lexer.expect(")", "after the arguments of the body")?;
            }
            lhs.append(&mut rhs);
            parser.region(lhs)?
        }
    };
    op.regions.push(region);
    Ok(op)
}

/// The body that `applies name` stands for: `name` on two arguments of type `ty`, and its return.
fn applied_region<'a>(name: &'a str, ty: Type<'a>) -> Region<'a> {
    let argument = |name: &'static str| BlockArgument {
        name: name.into(),
        ty: ty.clone(),
        location: LocId::UNKNOWN,
    };
    let value = |name: &'static str| ValueUse {
        name: name.into(),
        number: 0,
        offset: 0,
    };
    let mut inner = Operation::new(name);
    inner.results.push(ResultGroup {
        name: "applied.result".into(),
        count: 1,
    });
    inner.operands = vec![value("applied.lhs"), value("applied.rhs")];
    inner.operand_types = vec![ty.clone(); 2];
    inner.result_types = vec![ty.clone()];
    let mut ret = Operation::new("stablehlo.return");
    ret.operands = vec![value("applied.result")];
    ret.operand_types = vec![ty.clone()];
    let arguments = vec![argument("applied.lhs"), argument("applied.rhs")];
    Region {
        blocks: vec![Block {
            label: None,
            arguments,
            operations: vec![inner, ret],
        }],
    }
}

/// `while(%a = %b, ...) : types attributes {...} cond {...} do {...}`.
pub(super) fn while_loop<'a>(parser: &mut Parser<'a>) -> Parsed<Operation<'a>> {
    let mut op = Operation::new("stablehlo.while");
    let mut arguments = Vec::new();
    parser.lexer.expect("(", "after `stablehlo.while`")?;
    if !parser.lexer.eat(")") {
        loop {
            parser.lexer.expect("%", "before an argument of a loop")?;
            let name = Text::Borrowed(parser.lexer.suffix("%")?);
            parser.lexer.expect("=", "after an argument of a loop")?;
            op.operands.push(parser.operand()?);
            let location = if parser.lexer.is_word("loc") {
                parser.location()?
            } else {
                LocId::UNKNOWN
            };
            arguments.push((name, location));
            if !parser.lexer.eat(",") {
                break;
            }
        }
        parser.lexer.expect(")", "after the arguments of a loop")?;
    }
    let start = parser.lexer.position();
    if parser.lexer.eat(":") {
        op.operand_types = parser.type_list()?;
    }
    if op.operand_types.len() != op.operands.len() {
        let message = format!(
            "the loop has {} operand(s), but {} type(s)",
            op.operands.len(),
            op.operand_types.len()
        );
        return Err(parser.lexer.error_at(start, parser.lexer.position(), message));
    }
    op.result_types = op.operand_types.clone();
    if parser.lexer.eat_word("attributes") {
        op.attributes = parser.dictionary()?;
    }
    let arguments: Vec<BlockArgument> = arguments
        .into_iter()
        .zip(&op.operand_types)
        .map(|((name, location), ty)| BlockArgument {
            name,
            ty: ty.clone(),
            location,
        })
        .collect();
    parser.lexer.expect_word("cond", "before the condition of a loop")?;
    op.regions.push(parser.region(arguments.clone())?);
    parser.lexer.expect_word("do", "before the body of a loop")?;
    op.regions.push(parser.region(arguments)?);
    for region in &mut op.regions {
        if region.blocks.is_empty() {
            region.blocks.push(Block::default());
        }
    }
    Ok(op)
}

/// `sdy.mesh @name = <["x"=4]>`.
pub(super) fn mesh<'a>(parser: &mut Parser<'a>) -> Parsed<Operation<'a>> {
    let mut op = Operation::new("sdy.mesh");
    let name = parser.symbol()?;
    parser.lexer.expect("=", "after the name of a mesh")?;
    parser.lexer.expect("<", "before the axes of a mesh")?;
    let body = Some(parser.lexer.angle_body()?.into());
    op.set(
        "mesh",
        Attr::Dialect {
            name: "sdy.mesh".into(),
            body,
        },
    );
    op.set("sym_name", Attr::String(name));
    op.attributes = optional_dictionary(parser)?;
    Ok(op)
}

/// `sdy.manual_computation(%a) in_shardings=[...] out_shardings=[...] manual_axes={...} (%b: type) {...} : types`.
pub(super) fn manual_computation<'a>(parser: &mut Parser<'a>) -> Parsed<Operation<'a>> {
    let mut op = Operation::new("sdy.manual_computation");
    parser.lexer.expect("(", "before the operands")?;
    if !parser.lexer.eat(")") {
        op.operands = parser.operand_list()?;
        parser.lexer.expect(")", "after the operands")?;
    }
    let per_value = |parser: &mut Parser<'a>, text: &str| {
        if !eat_text(parser, text) {
            return Err(parser
                .lexer
                .error(format!("expected `{text}[...]` in `sdy.manual_computation`")));
        }
        let body = Some(parser.lexer.bracketed("[", b']')?.into());
        Ok(Attr::Dialect {
            name: "sdy.sharding_per_value".into(),
            body,
        })
    };
    let in_shardings = per_value(parser, "in_shardings=")?;
    let out_shardings = per_value(parser, "out_shardings=")?;
    if !eat_text(parser, "manual_axes=") {
        return Err(parser
            .lexer
            .error("expected `manual_axes={...}` in `sdy.manual_computation`"));
    }
    let axes = parser.lexer.bracketed("{", b'}')?;
    op.set("in_shardings", in_shardings);
    op.set(
        "manual_axes",
        Attr::Dialect {
            name: "sdy".into(),
            body: Some(format!("manual_axes{axes}").into()),
        },
    );
    op.set("out_shardings", out_shardings);
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
    op.regions.push(parser.region(arguments)?);
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
