//! From MLIR text to [`Module`].
//!
//! In: StableHLO text in generic or custom form, as JAX, PyTorch/XLA and torch-mlir print it. Out: a module that
//! [`verify`] accepts, with the place of every operation in the file and in the model's source.
//!
//! The text becomes a tree first ([`crate::text`]); here names are resolved, types and attributes read, and each
//! operation becomes its [`OpKind`](super::OpKind). What an operation carries beyond what its kind says is kept as
//! discardable attributes. All errors that can be told apart are reported.

mod attributes;
mod fields;
mod kinds;
mod literal;
mod mapped;
mod mesh;
mod module;
mod scalars;
mod scan;
mod scope;
mod types;

#[cfg(test)]
mod tests;

use super::module::Module;
use super::verify::verify;
use crate::diag::{Code, Diagnostic};
use crate::text::{self, source::Places};

/// Reads StableHLO text.
///
/// # Errors
/// Everything that is wrong with the text: syntax first, then meaning, then the rules of the specification. Lines and
/// columns count from 1.
pub fn parse(source: &str) -> Result<Module, Vec<Diagnostic>> {
    let places = Places::new(source);
    let document = text::parse(source).map_err(|errors| {
        let diagnostic = |error: text::SyntaxError| {
            let (line, column) = places.line_column(error.span.start);
            let diagnostic = Diagnostic::error(Code::Parse, error.message).at_line(line, column);
            match error.help {
                Some(help) => diagnostic.help(help),
                None => diagnostic,
            }
        };
        errors.into_iter().map(diagnostic).collect::<Vec<_>>()
    })?;
    let module = module::build(&document, &places)?;
    verify(&module)?;
    Ok(module)
}

/// Reads the text of one attribute; `None` if it is none.
pub fn attribute(source: &str) -> Option<super::attrs::Attr> {
    text::parse_attribute(source)
        .ok()
        .map(|attr| attributes::convert(&attr))
}

/// Reads a tree that [`text::parse`] or a printer made. Locations are those of the tree.
///
/// # Errors
/// As [`parse`], without the errors of syntax.
pub fn from_document(document: &text::Document) -> Result<Module, Vec<Diagnostic>> {
    let module = module::build(document, &Places::new(""))?;
    verify(&module)?;
    Ok(module)
}
