//! Pipelines, options and the order of stages.
//!
//! The driver alone knows order: which passes run at which level of `-O`, when a program is verified, dumped and timed,
//! and how a model becomes a NEFF, a simulated run or a comparison. Every function returns plain data; printing is the
//! command line's.
//!
//! *Where to start.* [`compile()`] makes a NEFF of a module; [`validate::files`] compiles, simulates and compares; [`pipeline::resolve`] and
//! [`manager::run`] run passes by name on a program of any level. [`Extensions`] adds passes, machines and pipelines of your own. For finding
//! what is wrong: [`bisect::bisect`], [`reduce::reduce`]; for varying a machine: [`sweep::sweep`].

pub mod ablate;
pub mod arrays;
pub mod bisect;
pub mod case;
pub mod catalogue;
pub mod checks;
pub mod compare;
pub mod compile;
pub mod conformance;
pub mod difference;
pub mod extensions;
pub mod files;
pub mod flops;
pub mod guard;
pub mod inspect;
pub mod interpret;
pub mod judge;
pub mod manager;
pub mod model;
pub mod names;
mod native_calls;
mod operators;
pub mod options;
pub mod pipeline;
pub mod random;
pub mod record;
pub mod reduce;
pub mod reproducer;
pub mod run;
pub mod scratchpad;
pub mod sweep;
pub mod validate;

pub use compile::{Compiled, compile};
pub use extensions::Extensions;
pub use operators::operators;
pub use options::CompileOptions;
