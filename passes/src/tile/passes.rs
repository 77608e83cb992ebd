//! The steps from tiles to instructions as passes.

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::isa;
use ferrite_ir::tile::Program as Tiles;

use super::{
    PlaceError, SyncOptions, TileOptions, assign_engines, check_placement, check_sync, compile_watched, encode, place,
    schedule, spill, synchronise,
};
use crate::options::{PassOption, Settings};
use crate::pass::{Changed, IsaPass, Level, PassContext, Property, StepPass, TilePass};
use crate::program::{Program, TileProgram};

use super::ScheduleOptions;

/// See [`assign_engines`].
pub struct AssignEngines {
    window: usize,
}

impl Default for AssignEngines {
    fn default() -> Self {
        AssignEngines {
            window: TileOptions::default().balance_window,
        }
    }
}

impl TilePass for AssignEngines {
    const NAME: &'static str = "assign-engines";
    const DOC: &'static str = "Chooses an engine for every tile operation that has none, balancing the load of the engines in a window of the program.";
    const ESTABLISHES: &'static [Property] = &[Property::EnginesAssigned];
    const OPTIONS: &'static [PassOption] = &[PassOption {
        name: "window",
        doc: "operations on each side whose load decides the engine of one",
        default: "256",
    }];

    fn set(&mut self, options: &Settings) -> Result<()> {
        options.read("window", &mut self.window)
    }

    fn run(&self, program: &mut Tiles, cx: &mut PassContext<'_>) -> Result<Changed> {
        let open = program.ops.iter().any(|op| op.engine.is_none());
        assign_engines(program, cx.machine, self.window)?;
        Ok(Changed::from_bool(open))
    }
}

/// See [`spill`].
pub struct Spill {
    share: f64,
}

impl Default for Spill {
    fn default() -> Self {
        Spill { share: 1.0 }
    }
}

impl TilePass for Spill {
    const NAME: &'static str = "spill";
    const DOC: &'static str = "Stores tiles to HBM and loads them again, those used farthest away first, where a program needs more SBUF than there is.";
    const PRESERVES: &'static [Property] = &[];
    const OPTIONS: &'static [PassOption] = &[PassOption {
        name: "share",
        doc: "share of SBUF that the program may fill",
        default: "1",
    }];

    fn set(&mut self, options: &Settings) -> Result<()> {
        options.read("share", &mut self.share)
    }

    fn run(&self, program: &mut Tiles, cx: &mut PassContext<'_>) -> Result<Changed> {
        let bytes = cx.machine.sbuf.usable_bytes_per_partition as f64 * self.share;
        let spilled = spill(program, cx.machine, bytes as u64)?;
        Ok(Changed::from_bool(spilled.stores + spilled.reloads > 0))
    }
}

/// See [`schedule`].
#[derive(Default)]
pub struct Schedule {
    options: ScheduleOptions,
}

impl StepPass for Schedule {
    const NAME: &'static str = "schedule";
    const DOC: &'static str = "Reorders a tile program so that engines and DMA overlap, loads running ahead as far as SBUF allows. When operations should run stands beside the program.";
    const LEVEL: Level = Level::Tile;
    const RESULT: Level = Level::Tile;
    const REQUIRES: &'static [Property] = &[Property::EnginesAssigned];
    const OPTIONS: &'static [PassOption] = &[
        PassOption {
            name: "lookahead",
            doc: "operations an engine may look past the oldest one that is not issued",
            default: "512",
        },
        PassOption {
            name: "load-lookahead",
            doc: "the same for loads",
            default: "4096",
        },
        PassOption {
            name: "sbuf-share",
            doc: "share of SBUF that operations running ahead may fill",
            default: "0.7",
        },
        PassOption {
            name: "load-share",
            doc: "share of SBUF that loads running far ahead may fill",
            default: "0.15",
        },
        PassOption {
            name: "table-patience",
            doc: "operations that ScalarE may run ahead of one that needs another table set",
            default: "256",
        },
    ];

    fn set(&mut self, options: &Settings) -> Result<()> {
        options.read("lookahead", &mut self.options.lookahead)?;
        options.read("load-lookahead", &mut self.options.load_lookahead)?;
        options.read("sbuf-share", &mut self.options.sbuf_share)?;
        options.read("load-share", &mut self.options.load_share)?;
        options.read("table-patience", &mut self.options.table_patience)
    }

    fn run(&self, program: &mut Program, cx: &mut PassContext<'_>) -> Result<Changed> {
        let tile = tiles(program)?;
        tile.spans = Some(schedule(&mut tile.program, cx.machine, &self.options));
        (tile.placement, tile.sync) = (None, None);
        Ok(Changed::Yes)
    }
}

/// The tile program that the pass manager has made sure of.
fn tiles(program: &mut Program) -> Result<&mut TileProgram> {
    match program {
        Program::Tile(tile) => Ok(tile),
        other => Err(Diagnostic::bug(format!(
            "a program of the {} level, not of tiles",
            other.level()
        ))),
    }
}

/// See [`place`].
#[derive(Default)]
pub struct Place {
    reuse_at_once: bool,
}

impl StepPass for Place {
    const NAME: &'static str = "place";
    const DOC: &'static str = "Gives tiles and scratch buffers addresses; they stand beside the program. Fails where SBUF is too full or too fragmented: then `spill` with a smaller share.";
    const LEVEL: Level = Level::Tile;
    const RESULT: Level = Level::Tile;
    const ESTABLISHES: &'static [Property] = &[Property::Placed];
    const OPTIONS: &'static [PassOption] = &[PassOption {
        name: "reuse-at-once",
        doc: "memory may be used again directly after its last use: places more, and makes loads wait",
        default: "false",
    }];

    fn set(&mut self, options: &Settings) -> Result<()> {
        options.read("reuse-at-once", &mut self.reuse_at_once)
    }

    fn run(&self, program: &mut Program, cx: &mut PassContext<'_>) -> Result<Changed> {
        let tile = tiles(program)?;
        let placed = place(&tile.program, cx.machine, tile.spans.as_deref(), self.reuse_at_once);
        let placement = placed.map_err(|e| no_room(&tile.program, e))?;
        tile.placement = Some(placement);
        tile.sync = None;
        Ok(Changed::Yes)
    }
}

/// The diagnostic of a placement that failed.
pub(super) fn no_room(program: &Tiles, error: PlaceError) -> Diagnostic {
    match error {
        PlaceError::Other(d) => *d,
        PlaceError::Sbuf { op, tile } => {
            let op = &program.ops[op];
            let tile = program.tile(tile);
            let text = format!(
                "no room in SBUF for the {} bytes per partition of `{}` of `{}`",
                tile.bytes,
                tile.name,
                op.name()
            );
            Diagnostic::error(Code::Ncc("EOOM002"), text).at(program.locs.get(op.loc))
        }
    }
}

/// See [`check_placement`].
pub struct CheckPlacement;

impl StepPass for CheckPlacement {
    const NAME: &'static str = "check-placement";
    const DOC: &'static str =
        "Proves that no two tiles in use at the same time share a byte. Changes nothing; written apart from `place`.";
    const LEVEL: Level = Level::Tile;
    const RESULT: Level = Level::Tile;
    const REQUIRES: &'static [Property] = &[Property::Placed];
    const PRESERVES: &'static [Property] = Property::ALL;

    fn run(&self, program: &mut Program, cx: &mut PassContext<'_>) -> Result<Changed> {
        let tile = tiles(program)?;
        if let Some(placement) = &tile.placement {
            check_placement(&tile.program, placement, cx.machine)?;
        }
        Ok(Changed::No)
    }
}

/// See [`synchronise`].
#[derive(Default)]
pub struct Synchronise {
    options: SyncOptions,
}

impl StepPass for Synchronise {
    const NAME: &'static str = "synchronise";
    const DOC: &'static str =
        "Decides which semaphores keep the order between engines and transfers; the plan stands beside the program.";
    const LEVEL: Level = Level::Tile;
    const RESULT: Level = Level::Tile;
    const REQUIRES: &'static [Property] = &[Property::EnginesAssigned, Property::Placed];
    const ESTABLISHES: &'static [Property] = &[Property::Synchronised];
    const PRESERVES: &'static [Property] = Property::ALL;
    const OPTIONS: &'static [PassOption] = &[
        PassOption {
            name: "transfers",
            doc: "transfers that may be outstanding",
            default: "64",
        },
        PassOption {
            name: "counter-limit",
            doc: "largest value of a counter",
            default: "what the machine's semaphores hold",
        },
        PassOption {
            name: "queued-latencies",
            doc: "latencies of a transfer's worth of loads that may be queued; 0 for no bound",
            default: "4",
        },
    ];

    fn set(&mut self, options: &Settings) -> Result<()> {
        options.read("transfers", &mut self.options.transfers)?;
        options.read("queued-latencies", &mut self.options.queued_latencies)?;
        if options.get("counter-limit").is_some() {
            let mut limit = 0;
            options.read("counter-limit", &mut limit)?;
            self.options.counter_limit = Some(limit);
        }
        Ok(())
    }

    fn run(&self, program: &mut Program, cx: &mut PassContext<'_>) -> Result<Changed> {
        let tile = tiles(program)?;
        let Some(placement) = &tile.placement else {
            return Err(Diagnostic::bug("`synchronise` ran without a placement"));
        };
        tile.sync = Some(synchronise(&tile.program, placement, cx.machine, &self.options)?);
        Ok(Changed::Yes)
    }
}

/// See [`encode`].
pub struct Encode;

impl StepPass for Encode {
    const NAME: &'static str = "encode";
    const DOC: &'static str = "Writes placed and synchronised tiles as one instruction stream per engine, with transfers, variables and semaphores.";
    const LEVEL: Level = Level::Tile;
    const RESULT: Level = Level::Isa;
    const REQUIRES: &'static [Property] = &[Property::EnginesAssigned, Property::Placed, Property::Synchronised];

    fn run(&self, program: &mut Program, cx: &mut PassContext<'_>) -> Result<Changed> {
        let tile = tiles(program)?;
        let (Some(placement), Some(sync)) = (&tile.placement, &tile.sync) else {
            return Err(Diagnostic::bug("`encode` ran without placement and synchronisation"));
        };
        *program = encode(&tile.program, placement, sync, cx.machine)?.into();
        Ok(Changed::Yes)
    }
}

/// See [`super::compile`].
pub struct GenerateCode;

impl StepPass for GenerateCode {
    const NAME: &'static str = "generate-code";
    const DOC: &'static str = "Runs spill, assign-engines, schedule, place, synchronise and encode in rounds, each leaving more of SBUF free, until everything has its place.";
    const LEVEL: Level = Level::Tile;
    const RESULT: Level = Level::Isa;

    fn run(&self, program: &mut Program, cx: &mut PassContext<'_>) -> Result<Changed> {
        let tile = std::mem::take(&mut tiles(program)?.program);
        let options = TileOptions {
            verify: cx.options.verify_each,
            ..TileOptions::default()
        };
        let machine = cx.machine;
        let (isa, _) = compile_watched(tile, machine, &options, &mut |step| cx.step(step))?;
        *program = isa.into();
        Ok(Changed::Yes)
    }
}

/// See [`check_sync`].
pub struct CheckSync;

impl IsaPass for CheckSync {
    const NAME: &'static str = "check-sync";
    const DOC: &'static str = "Proves that semaphores order every two accesses that conflict. Changes nothing; written apart from `synchronise`.";

    fn run(&self, program: &mut isa::Program, cx: &mut PassContext<'_>) -> Result<Changed> {
        check_sync(program, cx.machine)?;
        Ok(Changed::No)
    }
}
