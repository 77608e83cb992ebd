//! Custom ("pretty") forms of operations: `builtin`, `func`, StableHLO, CHLO and Shardy.
//!
//! A custom form is parsed to the same tree as the generic one: what the form says of the operation becomes its
//! properties, what stands in its `{...}` its attributes. Most forms are rows of [`format`]; those with regions or
//! with several shapes are in [`structured`].

pub(super) mod format;
mod pieces;
mod regions;
mod structured;

use super::lexer::Parsed;
use super::parser::Parser;
use super::tree::Operation;

/// Parses an operation after its name, `name`, which begins at `start`.
pub(super) fn parse<'a>(parser: &mut Parser<'a>, name: &'a str, start: usize) -> Parsed<Operation<'a>> {
    let name = match name {
        "module" => "builtin.module",
        "return" => "func.return",
        "call" => "func.call",
        _ => name,
    };
    if let Some(pieces) = format::format(name) {
        return pieces::parse(parser, Operation::new(name), pieces, start);
    }
    match name {
        "builtin.module" => structured::module(parser),
        "func.func" => structured::function(parser),
        "stablehlo.constant" | "chlo.constant" | "mhlo.constant" | "sdy.constant" => {
            structured::constant(parser, name, start)
        }
        "stablehlo.reduce" | "mhlo.reduce" => structured::reduce(parser),
        "stablehlo.while" | "mhlo.while" => structured::while_loop(parser),
        "arith.constant" => regions::scalar_constant(parser),
        "shape.const_shape" => regions::const_shape(parser),
        "chlo.scan" => regions::scan(parser),
        "check.expect_eq_const" | "check.expect_almost_eq_const" => regions::check_constant(parser, name),
        "sdy.named_computation" => regions::named_computation(parser),
        "sdy.mesh" => structured::mesh(parser),
        "sdy.manual_computation" => structured::manual_computation(parser),
        _ => {
            let mut error = parser.lexer.error_at(
                start,
                parser.lexer.position(),
                format!("no custom form of `{name}` is known"),
            );
            error.help = Some(if name.starts_with("cf.") {
                "a function must be one block: raise branches to `stablehlo.if` or `stablehlo.case`, loops to `stablehlo.while`"
                    .to_string()
            } else {
                "print the operation in generic form, `\"name\"(...) : (...) -> ...`".to_string()
            });
            Err(error)
        }
    }
}
