//! A program of any level, as a pipeline carries it from pass to pass.

use ferrite_ir::diag::Diagnostic;
use ferrite_ir::hlo::{self, Module};
use ferrite_ir::{isa, tile};

use crate::pass::{Level, Property};
use crate::tile::{Placement, Span, SyncPlan};

/// Most bytes of constants that a text of the tile or isa level holds: beyond, they are left out and the text shows the
/// program but does not read back (our choice: a dump of every pass of a model with weights must stay readable).
const CONSTANTS_IN_TEXT: u64 = 1 << 20;

/// A program of any level.
#[derive(Clone, Debug)]
pub enum Program {
    /// Tensors.
    Hlo(Module),
    /// Tiles, with what was decided about them so far.
    Tile(Box<TileProgram>),
    /// Instructions.
    Isa(Box<isa::Program>),
}

/// A tile program with decisions that stand beside it. Whatever changes the program makes them void.
#[derive(Clone, Debug, Default)]
pub struct TileProgram {
    /// The program.
    pub program: tile::Program,
    /// When operations should run, once `schedule` ran.
    pub spans: Option<Vec<Span>>,
    /// Addresses, once `place` ran.
    pub placement: Option<Placement>,
    /// Semaphores, once `synchronise` ran.
    pub sync: Option<SyncPlan>,
}

impl From<tile::Program> for Program {
    fn from(program: tile::Program) -> Program {
        Program::Tile(Box::new(TileProgram {
            program,
            ..TileProgram::default()
        }))
    }
}

impl From<Module> for Program {
    fn from(module: Module) -> Program {
        Program::Hlo(module)
    }
}

impl From<isa::Program> for Program {
    fn from(program: isa::Program) -> Program {
        Program::Isa(Box::new(program))
    }
}

impl Program {
    /// Reads a text of the tile or isa level, if it is one: what its first operation says. Texts of the hlo level are the
    /// front end's.
    ///
    /// # Errors
    /// All errors of a text that is one of these levels.
    pub fn parse(text: &str) -> Option<Result<Program, Vec<Diagnostic>>> {
        let mut lines = text.lines().map(str::trim);
        // MLIR's tools put what they print into a module.
        let skipped = ["//", "#", "module", "\"builtin.module\""];
        let first = lines.find(|l| !l.is_empty() && !skipped.iter().any(|start| l.starts_with(start)))?;
        if first.starts_with("\"tile.program\"") {
            Some(tile::text::parse(text).map(Program::from))
        } else if first.starts_with("\"isa.program\"") {
            Some(isa::text::parse(text).map(Program::from))
        } else {
            None
        }
    }

    /// The level.
    pub fn level(&self) -> Level {
        match self {
            Program::Hlo(_) => Level::Hlo,
            Program::Tile(_) => Level::Tile,
            Program::Isa(_) => Level::Isa,
        }
    }

    /// Operations or instructions.
    pub fn ops(&self) -> usize {
        match self {
            Program::Hlo(module) => module.funcs.iter().map(hlo::Func::op_count).sum(),
            Program::Tile(tile) => tile.program.ops.len(),
            Program::Isa(program) => program.instruction_count(),
        }
    }

    /// The program in MLIR syntax; decisions that stand beside a tile program as comments behind it. Constants are in it
    /// as far as they are small.
    pub fn text(&self) -> String {
        self.text_with(true)
    }

    /// [`Program::text`] of the tile and isa level with or without where operations come from.
    pub fn text_with(&self, locations: bool) -> String {
        let print_options = |constant_bytes: u64| isa::text::PrintOptions {
            locations,
            constants: constant_bytes <= CONSTANTS_IN_TEXT,
        };
        match self {
            Program::Hlo(module) => hlo::print::print(module),
            Program::Tile(tile) => {
                let bytes: u64 = tile.program.buffers.iter().map(constant_bytes).sum();
                let text = tile::text::print(&tile.program, print_options(bytes));
                text + &decisions(tile)
            }
            Program::Isa(program) => {
                let constants = program.vars.iter().filter(|v| v.data.is_some());
                isa::text::print(program, print_options(constants.map(|v| v.bytes).sum()))
            }
        }
    }

    /// The verifier of the level.
    ///
    /// # Errors
    /// All that it finds.
    pub fn verify(&self) -> Result<(), Vec<Diagnostic>> {
        match self {
            Program::Hlo(module) => hlo::verify::verify(module),
            Program::Tile(tile) => tile::verify(&tile.program).map_err(|e| vec![e]),
            Program::Isa(program) => isa::verify(program).map_err(|e| vec![e]),
        }
    }

    /// Forgets decisions that do not survive a change of the program.
    pub(crate) fn keep(&mut self, preserved: &[Property]) {
        if let Program::Tile(tile) = self {
            tile.spans = None;
            if !preserved.contains(&Property::Placed) {
                tile.placement = None;
            }
            if !preserved.contains(&Property::Synchronised) {
                tile.sync = None;
            }
        }
    }
}

fn constant_bytes(buffer: &tile::Buffer) -> u64 {
    match &buffer.kind {
        tile::BufferKind::Const(data) => data.len() as u64,
        _ => 0,
    }
}

/// Placement and synchronisation as comments, for people.
fn decisions(tile: &TileProgram) -> String {
    let mut text = String::new();
    if let Some(placement) = &tile.placement {
        text.push_str("// placement: byte offset in each partition\n");
        for (index, (t, offset)) in tile.program.tiles.iter().zip(&placement.tiles).enumerate() {
            text.push_str(&format!("//   %t{index}: {} {offset}\n", t.space.name()));
        }
        text.push_str(&format!("//   scratch in HBM: {} bytes\n", placement.scratch_bytes));
    }
    if let Some(sync) = &tile.sync {
        text.push_str("// synchronisation: operation: semaphore >= value to wait for; what is signalled\n");
        for (index, (op, sync)) in tile.program.ops.iter().zip(&sync.ops).enumerate() {
            let waits = sync.load_waits.iter().chain(&sync.waits);
            let waits: Vec<String> = waits.map(|(s, v)| format!("s{s} >= {v}")).collect();
            let counts = if sync.signals { "; counts" } else { "" };
            let transfer = sync.transfer.map(|s| format!("; completes s{s}")).unwrap_or_default();
            text.push_str(&format!(
                "//   {index} {}: {}{counts}{transfer}\n",
                op.name(),
                waits.join(", ")
            ));
        }
        text.push_str(&format!(
            "//   {} semaphores, {} resets\n",
            sync.semaphores,
            sync.resets.len()
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_operation_tells_the_level() {
        let empty = Program::from(tile::Program::default()).text();
        assert_eq!(Program::parse(&empty).unwrap().unwrap().level(), Level::Tile);
        let isa = Program::from(isa::Program::new("inf2")).text();
        let commented = format!("// a comment\n{isa}");
        assert_eq!(Program::parse(&commented).unwrap().unwrap().level(), Level::Isa);
        assert!(Program::parse("module {\n}").is_none());
        assert!(Program::parse("").is_none());
        assert!(Program::parse("\"tile.program\"() nonsense").unwrap().is_err());
    }
}
