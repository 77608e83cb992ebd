//! When tiles are in use: first and last operation of each, in list order, and the memory that takes.

use ferrite_ir::machine::{MachineModel, Space};
use ferrite_ir::tile::{Op, Program, Tile, TileId, Touched};
use smallvec::SmallVec;

/// The operations that touch a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Live {
    /// First operation.
    pub first: u32,
    /// Last operation.
    pub last: u32,
    /// Number of operations.
    pub ops: u32,
}

/// The tiles an operation touches, each once.
pub(crate) fn tiles_of(op: &Op) -> SmallVec<[TileId; 4]> {
    let mut tiles: SmallVec<[TileId; 4]> = SmallVec::new();
    op.for_each(|_, touched| {
        if let Touched::Tile(view) = touched
            && !tiles.contains(&view.tile)
        {
            tiles.push(view.tile);
        }
    });
    tiles
}

/// Lives of all tiles in list order; `None` for a tile nobody touches.
pub(crate) fn lives(program: &Program) -> Vec<Option<Live>> {
    let mut lives: Vec<Option<Live>> = vec![None; program.tiles.len()];
    for (index, op) in program.ops.iter().enumerate() {
        let index = index as u32;
        for tile in tiles_of(op) {
            match &mut lives[tile.index()] {
                Some(live) => {
                    live.last = index;
                    live.ops += 1;
                }
                empty => {
                    *empty = Some(Live {
                        first: index,
                        last: index,
                        ops: 1,
                    });
                }
            }
        }
    }
    lives
}

/// Alignment of SBUF tiles, bytes: what a transposing transfer wants, so that every tile may meet one.
pub(crate) fn sbuf_alignment(machine: &MachineModel) -> u64 {
    machine
        .sbuf
        .address_alignment_bytes
        .max(machine.dma.transpose_sbuf_alignment_bytes)
        .max(1)
}

/// What a tile takes of its memory: aligned bytes of SBUF, or banks of PSUM.
pub(crate) fn footprint(machine: &MachineModel, tile: &Tile) -> i64 {
    let bytes = u64::from(tile.bytes);
    let amount = match tile.space {
        Space::Psum => bytes.div_ceil(machine.psum.bytes_per_bank.max(1)).max(1),
        Space::Sbuf | Space::Hbm => bytes.next_multiple_of(sbuf_alignment(machine)),
    };
    amount as i64
}
