//! The executables `neuronx-cc` and `ferrite`: command lines in, calls of `ferrite_driver`, text out.
//!
//! Nothing here decides anything about programs: options become [`ferrite_driver::CompileOptions`], results are printed,
//! diagnostics become exit codes.
//!
//! *Where to start.* [`ferrite::run_process`] is the whole of an executable like `ferrite`, with passes and machines of your own; the book's
//! chapter "A compiler of your own" has one.

pub mod exit;
pub mod ferrite;
pub mod neuronx;

/// The allocator of every executable made from this crate.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
