//! Proves a placement: written apart from [`super::place`], from the program and the addresses alone.

use std::collections::{BTreeMap, BTreeSet};

use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::machine::{MachineModel, Space};
use ferrite_ir::tile::{BufferKind, Control, HbmAccess, Program, Touched};

use super::place::Placement;

/// Checks that tiles lie inside their memories, PSUM tiles inside one bank, and that no two tiles or scratch buffers in
/// use at the same time share a byte.
///
/// # Errors
/// A [`Diagnostic::bug`] with the two tiles that collide.
pub fn check_placement(program: &Program, placement: &Placement, machine: &MachineModel) -> Result<()> {
    // Objects: tiles, then buffers. Space 0 is SBUF, 1 PSUM, 2 scratch HBM.
    let tiles = program.tiles.len();
    let describe = |object: usize| match program.tiles.get(object) {
        Some(tile) => format!("tile {object} `{}`", tile.name),
        None => format!("buffer `{}`", program.buffers[object - tiles].name),
    };
    let extent = |object: usize| -> Option<(usize, u64, u64)> {
        if let Some(tile) = program.tiles.get(object) {
            let space = match tile.space {
                Space::Sbuf => 0,
                Space::Psum => 1,
                Space::Hbm => return None,
            };
            Some((space, u64::from(placement.tiles[object]), u64::from(tile.bytes)))
        } else {
            let buffer = &program.buffers[object - tiles];
            matches!(buffer.kind, BufferKind::Scratch).then(|| (2, placement.scratch[object - tiles], buffer.bytes))
        }
    };
    let objects = tiles + program.buffers.len();
    let mut life: Vec<Option<(usize, usize)>> = vec![None; objects];
    // Loops that are open, with the buffers of their repetitions: one repetition may leave them for another.
    let mut kept: Vec<(usize, Vec<usize>)> = Vec::new();
    for (index, op) in program.ops.iter().enumerate() {
        match op.control() {
            Some(Control::Loop) => kept.push((index, Vec::new())),
            Some(Control::Repeat(_) | Control::RepeatWhile) => {
                let (begin, objects) = kept.pop().unwrap_or_default();
                for object in objects {
                    let life = life[object].get_or_insert((begin, index));
                    *life = (life.0.min(begin), life.1.max(index));
                }
            }
            _ => {}
        }
        op.for_each(|_, touched| {
            let object = match touched {
                Touched::Tile(view) => view.tile.index(),
                Touched::Hbm(&HbmAccess { buffer, .. }) | Touched::Buffer(buffer) => {
                    if let BufferKind::PerTrip(members) = &program.buffers[buffer.index()].kind {
                        let members = members.iter().map(|m| tiles + m.index());
                        kept.last_mut().into_iter().for_each(|k| k.1.extend(members.clone()));
                        return;
                    }
                    tiles + buffer.index()
                }
            };
            life[object].get_or_insert((index, index)).1 = index;
        });
    }
    // Contents that come into a loop or leave it must survive every repetition.
    let mut open = Vec::new();
    for (index, op) in program.ops.iter().enumerate() {
        match op.control() {
            Some(Control::Loop) => open.push(index),
            Some(Control::Repeat(_) | Control::RepeatWhile) => {
                let begin = open.pop().unwrap_or(0);
                for life in life.iter_mut().flatten() {
                    let inside = life.0 >= begin && life.1 <= index;
                    let apart = life.1 < begin || life.0 > index;
                    if !inside && !apart {
                        *life = (life.0.min(begin), life.1.max(index));
                    }
                }
            }
            _ => {}
        }
    }
    let mut starts: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (object, life) in life.iter().enumerate() {
        let (Some((first, _)), Some((space, start, bytes))) = (life, extent(object)) else {
            continue;
        };
        let (limit, unit) = match space {
            0 => (machine.sbuf.usable_bytes_per_partition, 1),
            1 => (machine.psum.bytes_per_partition, machine.psum.address_alignment_bytes),
            _ => (placement.scratch_bytes, machine.hbm.address_alignment_bytes),
        };
        if start + bytes > limit || !start.is_multiple_of(unit.max(1)) {
            return Err(Diagnostic::bug(format!(
                "{} lies at {start}..{} of {limit} bytes",
                describe(object),
                start + bytes
            )));
        }
        let bank = machine.psum.bytes_per_bank;
        if space == 1 && bytes > 0 && start / bank != (start + bytes - 1) / bank {
            return Err(Diagnostic::bug(format!("{} crosses PSUM banks", describe(object))));
        }
        starts.entry(*first).or_default().push(object);
    }
    let mut ends: BTreeSet<(usize, usize)> = BTreeSet::new();
    let mut used: [BTreeMap<u64, (u64, usize)>; 3] = Default::default();
    for (now, begun) in starts {
        while let Some(&(last, object)) = ends.first() {
            if last >= now {
                break;
            }
            ends.pop_first();
            if let Some((space, start, _)) = extent(object) {
                used[space].remove(&start);
            }
        }
        for object in begun {
            let (Some((space, start, bytes)), Some((_, last))) = (extent(object), life[object]) else {
                continue;
            };
            let end = start + bytes.max(1);
            if let Some((_, &(_, other))) = used[space].range(..end).next_back().filter(|(_, (e, _))| *e > start) {
                return Err(Diagnostic::bug(format!(
                    "{} and {} are in use at operation {now} and share a byte",
                    describe(object),
                    describe(other)
                )));
            }
            used[space].insert(start, (end, object));
            ends.insert((last, object));
        }
    }
    Ok(())
}
