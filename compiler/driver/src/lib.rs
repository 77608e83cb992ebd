//! Pipelines, options and the order of stages.

pub mod files;
pub mod guard;
pub mod options;

pub use options::CompileOptions;
