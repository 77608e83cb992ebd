//! From tiles to instructions: engines, order, addresses, semaphores, encoding.
//!
//! In: a lowered [`tile::Program`] in program order, most engines open. Out: an
//! [`isa::Program`]. [`compile`] runs the steps in their order; each is also a function of its
//! own. What each step promises is proved by a checker that was written apart from it ([`check_placement`],
//! [`check_sync`]).

pub(crate) mod access;
mod assign;
mod check_placement;
mod check_sync;
mod cost;
mod encode;
mod encode_dma;
pub(crate) mod graph;
mod lives;
pub(crate) mod names;
mod passes;
mod place;
mod pressure;
mod schedule;
mod spill;
mod synchronise;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use assign::assign_engines;
pub use check_placement::check_placement;
pub use check_sync::check_sync;
pub use encode::encode;
pub use passes::{AssignEngines, CheckPlacement, CheckSync, Encode, GenerateCode, Place, Schedule, Spill, Synchronise};
pub use place::{PlaceError, Placement, Span, place};
pub use schedule::{ScheduleOptions, schedule};
pub use spill::{Spilled, spill};
pub use synchronise::{OpSync, Reset, SyncOptions, SyncPlan, Waits, synchronise};

use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::machine::MachineModel;
use ferrite_ir::{isa, tile};

use crate::pass::Step;

/// Choices of the steps from tiles to instructions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TileOptions {
    /// Operations on each side whose load decides the engine of one.
    pub balance_window: usize,
    /// Reorders the program; without, it runs in program order.
    pub schedule: bool,
    /// How far and how full to schedule.
    pub schedule_options: ScheduleOptions,
    /// Limits of synchronisation.
    pub sync: SyncOptions,
    /// Runs the verifier and the independent checkers after each step; always on in debug builds.
    pub verify: bool,
}

impl Default for TileOptions {
    fn default() -> Self {
        TileOptions {
            balance_window: 256,
            schedule: true,
            schedule_options: ScheduleOptions::default(),
            sync: SyncOptions::default(),
            verify: cfg!(debug_assertions),
        }
    }
}

/// What [`compile_with_report`] did besides compiling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TileReport {
    /// Tiles written to HBM for want of SBUF, and read again.
    pub spilled: Spilled,
    /// Times scheduling and placement were tried.
    pub rounds: usize,
    /// Bytes of scratch memory in HBM.
    pub scratch_bytes: u64,
    /// What the scheduler expects the program to take, picoseconds; 0 without scheduling.
    pub predicted_ps: u64,
}

/// Compiles a lowered program to instructions.
///
/// # Errors
/// `EOOM001` when the program needs more HBM than a core has, `EOOM002` when one operation needs more SBUF than there is;
/// a [`ferrite_ir::diag::Code::Bug`] when a pass broke an invariant.
pub fn compile(program: tile::Program, machine: &MachineModel, options: &TileOptions) -> Result<isa::Program> {
    Ok(compile_with_report(program, machine, options)?.0)
}

/// Shares of SBUF that successive rounds may fill, and whether memory may be used again at once.
const ROUNDS: [(f64, bool); 6] = [
    (1.0, false),
    (0.9, false),
    (0.8, false),
    (0.7, true),
    (0.5, true),
    (0.3, true),
];

/// [`compile`] with an account of what was done.
///
/// # Errors
/// As [`compile`].
pub fn compile_with_report(
    program: tile::Program,
    machine: &MachineModel,
    options: &TileOptions,
) -> Result<(isa::Program, TileReport)> {
    compile_watched(program, machine, options, &mut |_| {})
}

/// [`compile_with_report`] that tells `watch` of its steps, each of which has the name of the pass that does the same.
///
/// # Errors
/// As [`compile`].
pub fn compile_watched(
    program: tile::Program,
    machine: &MachineModel,
    options: &TileOptions,
    watch: &mut dyn FnMut(Step),
) -> Result<(isa::Program, TileReport)> {
    let mut report = TileReport::default();
    if options.verify {
        tile::verify(&program)?;
    }
    let mut failure = None;
    let bytes = machine.sbuf.usable_bytes_per_partition as f64;
    let lowered = program;
    for (share, reuse_at_once) in ROUNDS {
        report.rounds += 1;
        // Each round starts from the program in its own order, which often needs less than the scheduled one.
        let mut program = lowered.clone();
        match timed(watch, "spill", || spill(&mut program, machine, (bytes * share) as u64)) {
            Ok(spilled) => report.spilled = spilled,
            // An operation that does not fit a tighter limit ends the search, not the first.
            Err(d) => return Err(failure.unwrap_or(d)),
        }
        timed(watch, "assign-engines", || {
            assign_engines(&mut program, machine, options.balance_window)
        })?;
        let mut spans = None;
        if options.schedule {
            let tight = ScheduleOptions {
                sbuf_share: options.schedule_options.sbuf_share * share,
                load_share: options.schedule_options.load_share * share,
                ..options.schedule_options
            };
            let expected = timed(watch, "schedule", || schedule(&mut program, machine, &tight));
            report.predicted_ps = expected.iter().map(|s| s.end).max().unwrap_or(0);
            spans = Some(expected);
        }
        if options.verify {
            tile::verify(&program)?;
        }
        let placed = timed(watch, "place", || {
            place(&program, machine, spans.as_deref(), reuse_at_once || !options.schedule)
        });
        let placement = match placed {
            Ok(placement) => placement,
            Err(full @ PlaceError::Sbuf { .. }) => {
                failure = Some(passes::no_room(&program, full));
                continue;
            }
            Err(PlaceError::Other(d)) => return Err(*d),
        };
        if options.verify {
            timed(watch, "check-placement", || {
                check_placement(&program, &placement, machine)
            })?;
        }
        report.scratch_bytes = placement.scratch_bytes;
        let plan = timed(watch, "synchronise", || {
            synchronise(&program, &placement, machine, &options.sync)
        })?;
        let encoded = timed(watch, "encode", || encode(&program, &placement, &plan, machine))?;
        if options.verify {
            isa::verify(&encoded)?;
            timed(watch, "check-sync", || check_sync(&encoded, machine))?;
        }
        return Ok((encoded, report));
    }
    Err(failure.unwrap_or_else(|| Diagnostic::bug("no round of placement was tried")))
}

/// Tells of a step around it.
fn timed<T>(watch: &mut dyn FnMut(Step), name: &'static str, step: impl FnOnce() -> T) -> T {
    watch(Step::Begin(name));
    let result = step();
    watch(Step::End);
    result
}
