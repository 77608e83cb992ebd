//! What a Ferrite program *is*.
//!
//! Three levels of representation, from mathematics to time:
//!
//! * [`hlo`]: tensors and the StableHLO operation set;
//! * [`tile`]: tiles of SBUF and PSUM and the documented engine instructions, before addresses and time;
//! * [`isa`]: one instruction stream per engine, DMA queues and semaphores: what a NEFF holds.
//!
//! Besides: [`dtype`] (element types and their conversions), [`literal`] (constant tensors), [`loc`] (source
//! locations), [`diag`] (diagnostics), [`machine`] (everything known about a target) and [`text`] (the one MLIR text
//! syntax of all levels).
//!
//! *Where to start.* [`hlo::Module`] and [`hlo::Func`] for programs over tensors, with [`hlo::parse`] and [`hlo::print`] for their text;
//! [`tile::Program`] for what one core runs; [`machine::MachineModel::target`] for a machine. Every operation with its attributes is in
//! [`hlo::OpKind`], [`tile::OpKind`] and [`isa::Op`].
//!
//! This crate decides nothing, reads no file but its own target data, and depends on none of our crates.

pub mod diag;
pub mod dtype;
pub mod hlo;

pub mod inst;
pub mod isa;
pub mod literal;
pub mod loc;
pub mod machine;
pub mod text;
pub mod tile;
