//! Rules of a tile program that every pass keeps.

use super::{Mem, OpKind, Program, Touched};
use crate::diag::{Diagnostic, Result};

/// Checks that operands lie inside their tiles and buffers, that nothing is read before it was written, and that both
/// sides of a DMA have as many elements. A violation is a defect of the pass that ran last.
///
/// # Errors
/// The first violation.
pub fn verify(program: &Program) -> Result<()> {
    let mut written = vec![false; program.tiles.len()];
    for (index, op) in program.ops.iter().enumerate() {
        let mut problem: Option<String> = None;
        op.for_each(|role, touched| {
            let message = match touched {
                Touched::Tile(view) => match program.tiles.get(view.tile.index()) {
                    None => Some(format!("names tile {} of {}", view.tile.0, program.tiles.len())),
                    Some(tile) => {
                        let (low, high) = view.byte_range();
                        let inside = low >= 0
                            && high <= i64::from(tile.bytes)
                            && u32::from(view.partition) + u32::from(view.partitions) <= u32::from(tile.partitions)
                            && view.partitions > 0;
                        if !inside {
                            Some(format!(
                                "touches partitions {}+{} bytes {low}..{high} of tile {} `{}` with {} partitions of {} bytes",
                                view.partition, view.partitions, view.tile.0, tile.name, tile.partitions, tile.bytes
                            ))
                        } else if role.reads() && !written[view.tile.index()] {
                            Some(format!("reads tile {} `{}` before anything was written", view.tile.0, tile.name))
                        } else {
                            None
                        }
                    }
                },
                Touched::Hbm(access) => match program.buffers.get(access.buffer.index()) {
                    None => Some(format!("names buffer {}", access.buffer.0)),
                    Some(buffer) => {
                        let (low, high) = access.byte_range();
                        (low < 0 || u64::try_from(high).is_ok_and(|high| high > buffer.bytes))
                            .then(|| format!("touches bytes {low}..{high} of `{}` with {}", buffer.name, buffer.bytes))
                    }
                },
                Touched::Buffer(id) => {
                    (id.index() >= program.buffers.len()).then(|| format!("names buffer {}", id.0))
                }
            };
            if problem.is_none() {
                problem = message;
            }
        });
        op.for_each(|role, touched| {
            if let (true, Touched::Tile(view)) = (role.writes(), touched)
                && let Some(flag) = written.get_mut(view.tile.index())
            {
                *flag = true;
            }
        });
        if let OpKind::Dma(pieces) = &op.kind {
            for piece in pieces {
                if piece.src.elements() != piece.dst.elements() {
                    problem = problem.or(Some(format!(
                        "copies {} elements into {}",
                        piece.src.elements(),
                        piece.dst.elements()
                    )));
                }
                if let (Mem::Tile(v), _) | (_, Mem::Tile(v)) = (&piece.src, &piece.dst)
                    && program
                        .tiles
                        .get(v.tile.index())
                        .is_some_and(|t| t.space == super::Space::Psum)
                {
                    problem = problem.or(Some("moves PSUM by DMA".to_string()));
                }
            }
        }
        if let Some(problem) = problem {
            let place = program.locs.get(op.loc);
            return Err(Diagnostic::bug(format!("tile operation {index} `{}` {problem}", op.name())).at(place));
        }
    }
    Ok(())
}
