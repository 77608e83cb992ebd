//! The `tile` level as MLIR text: generic operations of the `tile` dialect.
//!
//! A program is one `tile.program`. Tiles and buffers are results of `tile.tile` and `tile.buffer`, and operands of the
//! operations that touch them. Which part is touched stands in attributes, where operands go by their number:
//! `dst = #tile.view<0, ...>` is a part of the first operand. Operations have NKI's names; those of the Vector, Scalar
//! and GpSimd engines have the fields that they have at `isa`.

mod field;
mod parse;
mod print;
mod schema;

pub use crate::isa::text::PrintOptions;
pub use parse::parse;
pub use print::print;
pub use schema::dialect;

#[cfg(test)]
mod tests;
