//! Removes what nothing reads: first of all the stores of values that never leave the chip.

use ferrite_ir::tile::{BufferId, BufferKind, Op, Program, Touched};

/// Keeps the operations that an output depends on, in one walk from the end, then drops buffers that nothing names.
/// Inputs and outputs stay whether used or not.
pub(super) fn remove_dead_stores(program: &mut Program) {
    let mut live_tiles = vec![false; program.tiles.len()];
    let mut live_buffers: Vec<bool> = program
        .buffers
        .iter()
        .map(|b| matches!(b.kind, BufferKind::Output(_)))
        .collect();
    let mut keep = vec![false; program.ops.len()];
    for (index, op) in program.ops.iter().enumerate().rev() {
        let mut live = false;
        op.for_each(|role, touched| {
            live |= role.writes()
                && match touched {
                    Touched::Tile(v) => live_tiles[v.tile.index()],
                    Touched::Hbm(h) => live_buffers[h.buffer.index()],
                    Touched::Buffer(b) => live_buffers[b.index()],
                };
        });
        if !live {
            continue;
        }
        keep[index] = true;
        op.for_each(|role, touched| {
            if role.reads() {
                match touched {
                    Touched::Tile(v) => live_tiles[v.tile.index()] = true,
                    Touched::Hbm(h) => live_buffers[h.buffer.index()] = true,
                    Touched::Buffer(b) => live_buffers[b.index()] = true,
                }
            }
        });
    }
    let mut keep = keep.into_iter();
    program.ops.retain(|_| keep.next().unwrap_or(true));
    drop_buffers(program);
}

fn drop_buffers(program: &mut Program) {
    let mut used: Vec<bool> = program
        .buffers
        .iter()
        .map(|b| matches!(b.kind, BufferKind::Input(_) | BufferKind::Output(_)))
        .collect();
    for op in &program.ops {
        op.for_each(|_, touched| match touched {
            Touched::Hbm(h) => used[h.buffer.index()] = true,
            Touched::Buffer(b) => used[b.index()] = true,
            Touched::Tile(_) => {}
        });
    }
    let mut next = 0;
    let renamed: Vec<BufferId> = used
        .iter()
        .map(|&u| {
            let id = BufferId(next);
            next += u32::from(u);
            id
        })
        .collect();
    let mut used = used.into_iter();
    program.buffers.retain(|_| used.next().unwrap_or(true));
    for op in &mut program.ops {
        rename(op, &renamed);
    }
}

fn rename(op: &mut Op, renamed: &[BufferId]) {
    use ferrite_ir::tile::{Mem, OpKind};
    match &mut op.kind {
        OpKind::Dma(pieces) => {
            for mem in pieces.iter_mut().flat_map(|p| [&mut p.src, &mut p.dst]) {
                if let Mem::Hbm(h) = mem {
                    h.buffer = renamed[h.buffer.index()];
                }
            }
        }
        OpKind::Indirect(i) => i.buffer = renamed[i.buffer.index()],
        OpKind::Matmul { .. } | OpKind::Compute(_) => {}
    }
}
