//! Pipelines, options and the order of stages.
//!
//! The driver alone knows order: which passes run at which level of `-O`, when a program is verified, dumped and timed,
//! and how a model becomes a NEFF, a simulated run or a comparison. Every function returns plain data; printing is the
//! command line's.

pub mod arrays;
pub mod case;
pub mod catalogue;
pub mod checks;
pub mod compare;
pub mod compile;
pub mod conformance;
pub mod files;
pub mod flops;
pub mod guard;
pub mod inspect;
pub mod interpret;
pub mod model;
pub mod names;
mod native_calls;
mod operators;
pub mod options;
pub mod pipeline;
pub mod record;
pub mod reproducer;
pub mod run;
pub mod scratchpad;
pub mod validate;

pub use compile::{Compiled, compile};
pub use operators::operators;
pub use options::CompileOptions;
