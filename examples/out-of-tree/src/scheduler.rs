//! A scheduler: a pass over tiles that a pipeline names in place of `schedule`.

use ferrite_ir::diag::Result;
use ferrite_ir::machine::Space;
use ferrite_ir::tile::{Op, OpKind, Program, TileId, Touched};
use ferrite_passes::options::{PassOption, Settings};
use ferrite_passes::pass::{Changed, PassContext, Property, TilePass};

/// Begins loads earlier than the program does.
pub struct AdvanceLoads {
    /// Operations that a load goes ahead of, at most.
    ahead: usize,
}

impl Default for AdvanceLoads {
    fn default() -> AdvanceLoads {
        AdvanceLoads { ahead: 8 }
    }
}

impl TilePass for AdvanceLoads {
    const NAME: &'static str = "advance-loads";
    const DOC: &'static str = "Moves loads ahead of a few computations that do not touch what is loaded.";
    const REQUIRES: &'static [Property] = &[Property::EnginesAssigned];
    const OPTIONS: &'static [PassOption] = &[PassOption {
        name: "ahead",
        doc: "operations that a load goes ahead of, at most",
        default: "8",
    }];

    fn set(&mut self, options: &Settings) -> Result<()> {
        options.read("ahead", &mut self.ahead)
    }

    fn run(&self, program: &mut Program, _: &mut PassContext<'_>) -> Result<Changed> {
        let mut changed = Changed::No;
        for at in 0..program.ops.len() {
            let Some(loaded) = loads(program, &program.ops[at]) else {
                continue;
            };
            let before = program.ops[..at].iter().rev().take(self.ahead);
            let steps = before.take_while(|op| may_follow(op, &loaded)).count();
            if steps > 0 {
                program.ops[at - steps..=at].rotate_right(1);
                changed = Changed::Yes;
            }
        }
        Ok(changed)
    }
}

/// The tiles that a transfer writes, if it does no more than that: from HBM to SBUF.
fn loads(program: &Program, op: &Op) -> Option<Vec<TileId>> {
    let OpKind::Dma(_) = op.kind else { return None };
    let (mut tiles, mut other) = (Vec::new(), false);
    op.for_each(|role, touched| match touched {
        Touched::Tile(view) if role.writes() && program.tile(view.tile).space == Space::Sbuf => tiles.push(view.tile),
        Touched::Hbm(_) if !role.writes() => {}
        _ => other = true,
    });
    (!other).then_some(tiles)
}

/// Whether an operation may come after the load of these tiles: one that computes with others. Transfers and control flow
/// keep their order.
fn may_follow(op: &Op, loaded: &[TileId]) -> bool {
    let mut free = matches!(op.kind, OpKind::Compute(_) | OpKind::Matmul { .. });
    op.for_each(|_, touched| {
        if let Touched::Tile(view) = touched {
            free &= !loaded.contains(&view.tile);
        }
    });
    free
}
