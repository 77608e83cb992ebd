//! Removes what nothing reads: first of all the stores of values that never leave the chip.

use std::collections::BTreeMap;

use ferrite_ir::tile::{BufferId, BufferKind, Control, Mem, OpKind, Program, Touched};

use crate::tile::access::Access;
use crate::tile::graph::hbm_spaces;
use crate::tile::names;

/// What is read of a buffer after a point of the program.
#[derive(Default)]
struct Reads {
    /// All of it.
    whole: bool,
    /// Parts, by first byte.
    parts: BTreeMap<i64, Vec<Access>>,
    /// Longest part.
    span: i64,
}

impl Reads {
    fn add(&mut self, part: Access) {
        if self.whole {
            return;
        }
        self.span = self.span.max(part.high - part.low);
        let there = self.parts.entry(part.low).or_default();
        if !there.contains(&part) {
            there.push(part);
        }
    }

    fn any(&self) -> bool {
        self.whole || !self.parts.is_empty()
    }

    fn reaches(&self, written: &Access) -> bool {
        let near = self.parts.range(written.low - self.span..written.high);
        self.whole || near.flat_map(|(_, parts)| parts).any(|part| part.overlaps(written))
    }
}

/// Keeps the operations that an output or a test of control flow depends on, in walks from the end, then drops transfers
/// of what nobody reads and buffers that nothing names. Inputs and outputs stay whether used or not. Without loops one walk
/// is enough; with loops, what the next repetition reads is found by walking until nothing new is.
pub(super) fn remove_dead_stores(program: &mut Program) {
    let mut live_tiles = vec![false; program.tiles.len()];
    // A buffer and all that it stands for in a loop are read as one.
    let spaces = hbm_spaces(program);
    let space = |b: BufferId| spaces[b.index()] as usize;
    let mut reads: Vec<Reads> = program.buffers.iter().map(|_| Reads::default()).collect();
    for (buffer, &space) in program.buffers.iter().zip(&spaces) {
        reads[space as usize].whole |= matches!(buffer.kind, BufferKind::Output(_));
    }
    let mut keep = vec![false; program.ops.len()];
    let loops = program.ops.iter().any(|op| op.control() == Some(Control::Loop));
    while walk(program, &space, &mut live_tiles, &mut reads, &mut keep) && loops {}
    let mut keep = keep.into_iter();
    program.ops.retain(|_| keep.next().unwrap_or(true));
    for op in &mut program.ops {
        if let OpKind::Dma(pieces) = &mut op.kind {
            pieces.retain(|piece| match &piece.dst {
                Mem::Hbm(h) => reads[space(h.buffer)].reaches(&Access::of_hbm(h, 0)),
                Mem::Tile(v) => live_tiles[v.tile.index()],
            });
        }
    }
    names::drop_buffers(program);
}

/// One walk; whether it found operations to keep.
fn walk(
    program: &Program,
    space: &impl Fn(BufferId) -> usize,
    live_tiles: &mut [bool],
    reads: &mut [Reads],
    keep: &mut [bool],
) -> bool {
    let mut found = false;
    for (index, op) in program.ops.iter().enumerate().rev() {
        if keep[index] {
            continue;
        }
        let mut live = matches!(op.kind, OpKind::LoadTest { .. } | OpKind::Control(_));
        op.for_each(|role, touched| {
            live |= role.writes()
                && match touched {
                    Touched::Tile(v) => live_tiles[v.tile.index()],
                    Touched::Hbm(h) => {
                        let reads = &reads[space(h.buffer)];
                        reads.any() && reads.reaches(&Access::of_hbm(h, 0))
                    }
                    Touched::Buffer(b) => reads[space(b)].any(),
                };
        });
        if !live {
            continue;
        }
        keep[index] = true;
        found = true;
        op.for_each(|role, touched| {
            if role.reads() {
                match touched {
                    Touched::Tile(v) => live_tiles[v.tile.index()] = true,
                    Touched::Hbm(h) => reads[space(h.buffer)].add(Access::of_hbm(h, 0)),
                    Touched::Buffer(b) => reads[space(b)].whole = true,
                }
            }
        });
    }
    found
}
