//! The executables `neuronx-cc` and `ferrite`: command lines in, calls of `ferrite_driver`, text out.
//!
//! Nothing here decides anything about programs: options become [`ferrite_driver::CompileOptions`], results are printed,
//! diagnostics become exit codes.

pub mod exit;
pub mod ferrite;
pub mod neuronx;
