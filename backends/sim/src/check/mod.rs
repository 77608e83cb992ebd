//! The legality checker: an independent judge of every program.
//!
//! [`operands`] judges each instruction on its own against the documented limits, before the run. During the run
//! [`init::InitMap`] finds reads of bytes that nothing wrote, [`sync::Semaphores`] what waits prove, and [`shadow::Shadow`] races.

pub mod collective;
pub mod compute;
pub mod init;
pub mod operands;
pub mod region;
pub mod shadow;
pub mod sync;
pub mod track;
mod transfers;
