//! Reference interpreter of ir::hlo.
