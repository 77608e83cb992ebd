//! The `isa` level as MLIR text: generic operations of the `isa` dialect.
//!
//! A program is one `isa.program` with variables, caller's tensors, queues, transfers and a stream per engine.
//! Instructions have NKI's names and no operands: what they read and write has addresses, so it stands in attributes.

pub(crate) mod field;
pub(crate) mod ops;
mod parse;
mod print;
pub(crate) mod schema;

pub(crate) use parse::{io_tensor as read_io_tensor, syntax_errors, unhex};
pub(crate) use print::{END, hex, io_tensor as io_tensor_attrs, operation, region};

pub(crate) use schema::io_tensor as io_tensor_shapes;

pub use parse::parse;
pub use print::{PrintOptions, print};
pub use schema::dialect;

#[cfg(test)]
mod tests;
