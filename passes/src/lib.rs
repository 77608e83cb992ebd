//! What Ferrite does to programs: pure transformations over the IR levels.
//!
//! A pass ([`pass`]) turns a verified program into a verified program. The [`registry`] lists them all; their order
//! stands in the driver. Nothing here knows a backend, a file, an environment variable or a clock.

pub mod hlo;
pub mod lower;
pub mod options;
pub mod pass;
pub mod registry;
pub mod tile;
