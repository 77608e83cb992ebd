//! MLIR text: one lexer, one parser, one printer for all levels.
//!
//! [`parse`] turns a file into a [`Document`]: a plain tree of generic operations with locations, whatever form the
//! operations were written in. [`print`](fn@print) turns a tree back into text, in generic or custom form. Neither knows what an
//! operation means: each level maps the tree to and from its own types, resolves names and verifies.
//!
//! Parsing takes time linear in the text, borrows names and strings from it, nests at most [`MAX_DEPTH`] deep and
//! never panics.

mod attributes;
mod custom;
mod lexer;
mod locations;
mod parser;
mod print;
pub mod schema;
pub(crate) mod source;
mod tree;
mod types;

pub(crate) use attributes::is_hexadecimal;
pub use lexer::SyntaxError;
pub use parser::{MAX_DEPTH, parse, parse_attribute, parse_parameters, parse_type};
pub use print::{PrintOptions, format_float, print, print_attribute, print_type};
pub use tree::*;

#[cfg(test)]
pub(crate) mod tests;
