//! The bridge to MLIR, without LLVM: definitions of our dialects, the form in which MLIR's tools read StableHLO, and the
//! lowering of upstream dialects to `ir::hlo`.
//!
//! Start at [`irdl::files`] for the dialects, [`portable::print`] for what `mlir-opt` reads, and [`lower::module`] for
//! linalg, TOSA and their companions. Reading files, verifying and running upstream passes takes MLIR itself and is in the
//! executable `ferrite-mlir`.

pub mod irdl;
pub mod lower;
pub mod portable;
