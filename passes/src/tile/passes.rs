//! The steps that turn tile programs into tile programs, as passes.

use ferrite_ir::diag::Result;
use ferrite_ir::tile::Program;

use super::{TileOptions, assign_engines, schedule, spill};
use crate::pass::{Changed, PassContext, TilePass};

/// See [`assign_engines`].
pub struct AssignEngines;

impl TilePass for AssignEngines {
    const NAME: &'static str = "assign-engines";
    const DOC: &'static str = "Chooses an engine for every tile operation that has none, balancing the load of the engines in a window of the program.";

    fn run(&self, program: &mut Program, cx: &mut PassContext<'_>) -> Result<Changed> {
        let open = program.ops.iter().any(|op| op.engine.is_none());
        assign_engines(program, cx.machine, TileOptions::default().balance_window)?;
        Ok(Changed::from_bool(open))
    }
}

/// See [`spill`].
pub struct Spill;

impl TilePass for Spill {
    const NAME: &'static str = "spill";
    const DOC: &'static str = "Stores tiles to HBM and loads them again, those used farthest away first, where a program needs more SBUF than there is.";

    fn run(&self, program: &mut Program, cx: &mut PassContext<'_>) -> Result<Changed> {
        let spilled = spill(program, cx.machine, cx.machine.sbuf.usable_bytes_per_partition)?;
        Ok(Changed::from_bool(spilled.stores + spilled.reloads > 0))
    }
}

/// See [`schedule`].
pub struct Schedule;

impl TilePass for Schedule {
    const NAME: &'static str = "schedule";
    const DOC: &'static str = "Reorders a tile program so that engines and DMA overlap, loads running ahead as far as SBUF allows. Needs engines assigned.";

    fn run(&self, program: &mut Program, cx: &mut PassContext<'_>) -> Result<Changed> {
        schedule(program, cx.machine, &TileOptions::default().schedule_options);
        Ok(Changed::Yes)
    }
}
