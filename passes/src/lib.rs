//! What Ferrite does to programs: pure transformations over the IR levels.
//!
//! A pass ([`pass`]) turns a verified program into a verified program. The [`registry`] lists them all; their order
//! stands in the driver. Nothing here knows a backend, a file, an environment variable or a clock.
//!
//! *Where to start.* To write a pass: [`pass::HloPass`] and the examples `fold_double_negation` and `form_clamps` (on
//! [`hlo::rewrite`]). To see what there is: [`registry::Registry::standard`]. Tensors become tiles in [`lower`], tiles become instructions in [`tile`]; [`program::Program`] is what
//! goes from pass to pass.

pub mod hlo;
pub mod lower;
pub mod options;
pub mod pass;
pub mod program;
pub mod registry;
mod repeats;
pub mod tile;
