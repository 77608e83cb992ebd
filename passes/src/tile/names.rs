//! The tiles and buffers that operations name: other ones in their place, and buffers that nothing names.

use ferrite_ir::tile::{BufferId, BufferKind, Mem, Op, OpKind, Program, TileId, Touched, View};

/// Replaces the tiles that an operation names.
pub(crate) fn rename_tiles(op: &mut Op, name: &mut impl FnMut(TileId) -> TileId) {
    let mut view = |v: &View| View {
        tile: name(v.tile),
        ..v.clone()
    };
    match &mut op.kind {
        OpKind::Matmul {
            dst,
            stationary,
            moving,
            ..
        } => {
            for v in [dst, stationary, moving] {
                *v = view(v);
            }
        }
        OpKind::LoadTest { src } => *src = view(src),
        OpKind::Control(_) => {}
        OpKind::Compute(inst) => {
            let renamed: std::result::Result<_, std::convert::Infallible> = inst.try_map(&mut |_, v| Ok(view(v)));
            let Ok(renamed) = renamed;
            *inst = renamed;
        }
        OpKind::Dma(pieces) => {
            for piece in pieces {
                for mem in [&mut piece.src, &mut piece.dst] {
                    if let Mem::Tile(v) = mem {
                        *v = view(v);
                    }
                }
            }
        }
        OpKind::Indirect(i) => {
            i.tile = view(&i.tile);
            i.index = view(&i.index);
        }
    }
}

/// Replaces the buffers that an operation names.
pub(crate) fn rename_buffers(op: &mut Op, renamed: &impl Fn(BufferId) -> BufferId) {
    match &mut op.kind {
        OpKind::Dma(pieces) => {
            for mem in pieces.iter_mut().flat_map(|p| [&mut p.src, &mut p.dst]) {
                if let Mem::Hbm(h) = mem {
                    h.buffer = renamed(h.buffer);
                }
            }
        }
        OpKind::Indirect(i) => i.buffer = renamed(i.buffer),
        OpKind::Matmul { .. } | OpKind::Compute(_) | OpKind::LoadTest { .. } | OpKind::Control(_) => {}
    }
}

/// New numbers of those in use, one after the other.
fn numbers(used: &[bool]) -> Vec<u32> {
    let mut next = 0;
    let number = |&used: &bool| {
        let own = next;
        next += u32::from(used);
        own
    };
    used.iter().map(number).collect()
}

/// Whether an operation touches each buffer, or one that stands for it in a loop.
pub(crate) fn used_buffers(program: &Program) -> Vec<bool> {
    let mut used = vec![false; program.buffers.len()];
    for op in &program.ops {
        op.for_each(|_, touched| {
            let buffer = match touched {
                Touched::Hbm(h) => h.buffer,
                Touched::Buffer(b) => b,
                Touched::Tile(_) => return,
            };
            used[buffer.index()] = true;
            program.members(&buffer).iter().for_each(|m| used[m.index()] = true);
        });
    }
    used
}

/// Drops buffers that nothing names. Inputs and outputs stay whether used or not.
pub(crate) fn drop_buffers(program: &mut Program) {
    let mut used = used_buffers(program);
    for (used, buffer) in used.iter_mut().zip(&program.buffers) {
        *used |= matches!(buffer.kind, BufferKind::Input(_) | BufferKind::Output(_));
    }
    let numbers = numbers(&used);
    let renamed = |b: BufferId| BufferId(numbers[b.index()]);
    let mut used = used.into_iter();
    program.buffers.retain(|_| used.next().unwrap_or(true));
    for buffer in &mut program.buffers {
        if let BufferKind::PerTrip(members) = &mut buffer.kind {
            members.iter_mut().for_each(|m| *m = renamed(*m));
        }
    }
    for op in &mut program.ops {
        rename_buffers(op, &renamed);
    }
}
