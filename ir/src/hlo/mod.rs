//! `ir::hlo`: tensors and mathematics: the StableHLO operation set in SSA form.
//!
//! A [`Module`] holds functions; a [`Func`] owns its operations, values and regions in arenas with typed ids. Every
//! region has one block; what its terminator yields is [`Region::results`], so `return` is no operation of its own.
//! Attributes are plain structs inside [`OpKind`]; discardable attributes (frontend attributes, shardings) hang on the
//! operation as [`Attrs`].
//!
//! Shape inference is written once per operation and used by the builder, the verifier and the parsers.

mod attrs;
mod build;
mod func;
pub mod infer;
mod module;
pub mod ops;
pub mod parse;
pub mod print;
mod scan;
mod types;
pub mod verify;

pub use attrs::{Attr, Attrs};
pub use build::{Builder, Built, neutral};
pub use func::{Func, Op, OpId, Region, RegionId, Value, ValueDef, ValueId};
pub use infer::{Violation, infer};
pub use module::{Alias, AliasKind, FuncId, Module, Param, ResultInfo};
pub use ops::*;
pub use scan::ScanLoop;
pub use types::{DYNAMIC, Dims, Quantization, TensorType, Type, TypeExtra};
