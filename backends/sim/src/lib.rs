//! Functional and cycle-level simulator of a NeuronCore.
//!
//! In: an instruction-level program ([`ferrite_ir::isa::Program`], what a NEFF holds) and a machine model. Out: the bytes of its
//! outputs, its time, and errors for everything a correct program never does: operands outside the documented limits, reads of bytes that
//! nothing wrote, data races, counters that overflow, deadlocks.
//!
//! * `check`: the legality checker; static rules, initialisation, order and races.
//! * `exec`, `elem`, `memory`, `gemm`: what instructions do to bytes.
//! * `cluster`: several cores and their collectives.
//! * `run`, `tensor_time`, `dma`, `rings`, `interleave`: when they do it.
//!
//! Deliberately absent: the compiler. The simulator judges programs by the documented facts alone.
//!
//! *Where to start.* [`Simulator::new`] checks a program; [`Simulator::run`] computes its outputs and time, [`Simulator::profile`] its time alone.

mod check;
mod cluster;
mod dma;
mod elem;
mod exec;
mod gemm;
mod interleave;
mod live;
mod memory;
mod name;
mod options;
mod prepare;
mod rings;
mod run;
mod series;
mod simulator;
mod stats;
mod tensor_time;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use gemm::column_sums;
pub use options::{Mode, Options};
pub use series::Series;
pub use simulator::{RunResult, Simulator, check, profile_cores, run_cores};
pub use stats::{EngineStats, Producer, Reason, Span, Stall, Stats, Timeline, Track, track_name};
