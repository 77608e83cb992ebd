//! Loops over equal stretches of a program: `roll-loops`.
//!
//! A model repeats its layers, and lowering writes each of them out. Where stretches that follow one another do the same,
//! each with tiles and buffers of its own, they become one loop: the tiles are those of the first stretch, and a buffer that
//! differs from one to the next is [per trip](BufferKind::PerTrip). So the number of instructions, and the time to schedule,
//! place and encode them, follow the number of different layers; transfers stay as many as they were.
//!
//! All engines meet where a loop turns back, and nothing stays on chip across that; so only stretches that take long are
//! rolled, and they begin and end where no tile is in use. [`lower`](crate::lower) empties the chip at such places.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::ops::Range;

use ferrite_ir::diag::Result;
use ferrite_ir::machine::MachineModel;
use ferrite_ir::tile::{BufferId, BufferKind, Control, Inst, Op, OpKind, Program, TileId, Touched};
use rustc_hash::{FxHashMap, FxHasher};

use super::cost::op_cost;
use super::lives::lives;
use super::names::{drop_buffers, drop_tiles, rename_buffers};
use crate::lower::LAYER_US;
use crate::repeats::repeats;

/// Rolls equal stretches, the most instructive first; whether any were found. A repetition takes at least `least_ps`
/// picoseconds by estimate.
pub fn roll_loops(program: &mut Program, machine: &MachineModel, least_ps: u64) -> bool {
    let mut changed = false;
    while let Some(found) = find(program, machine, least_ps) {
        roll(program, &found);
        changed = true;
    }
    if changed {
        drop_buffers(program);
        drop_tiles(program);
    }
    changed
}

/// Equal stretches of operations, one after the other.
struct Stretches {
    begin: usize,
    /// Operations of each.
    length: usize,
    trips: usize,
}

impl Stretches {
    fn of(&self, trip: usize) -> Range<usize> {
        let begin = self.begin + trip * self.length;
        begin..begin + self.length
    }
}

/// Numbers in the order in which they are asked for.
#[derive(Default)]
struct Local(FxHashMap<u32, u32>);

impl Local {
    fn number(&mut self, id: u32) -> u32 {
        let next = self.0.len() as u32;
        *self.0.entry(id).or_insert(next)
    }
}

/// What an operation is, apart from its operands and its place in the source.
fn shell(op: &Op) -> OpShell<'_> {
    match &op.kind {
        OpKind::Compute(inst) => {
            let bare: std::result::Result<_, std::convert::Infallible> = inst.try_map(&mut |_, _| Ok(()));
            let Ok(bare) = bare;
            OpShell::Compute(Box::new(bare))
        }
        other => OpShell::Other(other),
    }
}

enum OpShell<'a> {
    Compute(Box<Inst<()>>),
    Other(&'a OpKind),
}

impl OpShell<'_> {
    fn hash(&self, state: &mut impl Hasher) {
        match self {
            OpShell::Compute(inst) => inst.hash(state),
            OpShell::Other(kind) => {
                std::mem::discriminant(*kind).hash(state);
                match kind {
                    OpKind::Matmul {
                        accumulate, transpose, ..
                    } => (accumulate, transpose).hash(state),
                    OpKind::Dma(pieces) => pieces.iter().for_each(|p| p.op.hash(state)),
                    OpKind::Indirect(i) => {
                        (i.kind, i.offset, i.row_step, i.row_bytes, i.rows, i.out_of_bounds).hash(state)
                    }
                    OpKind::Control(control) => control.hash(state),
                    OpKind::Compute(_) | OpKind::LoadTest { .. } => {}
                }
            }
        }
    }

    fn same(&self, other: &OpShell<'_>) -> bool {
        match (self, other) {
            (OpShell::Compute(a), OpShell::Compute(b)) => a == b,
            (OpShell::Other(a), OpShell::Other(b)) => match (a, b) {
                (
                    OpKind::Matmul {
                        accumulate: a,
                        transpose: t,
                        ..
                    },
                    OpKind::Matmul {
                        accumulate, transpose, ..
                    },
                ) => a == accumulate && t == transpose,
                (OpKind::Dma(a), OpKind::Dma(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.op == b.op),
                (OpKind::Indirect(a), OpKind::Indirect(b)) => {
                    (a.kind, a.offset, a.row_step, a.row_bytes, a.rows, a.out_of_bounds)
                        == (b.kind, b.offset, b.row_step, b.row_bytes, b.rows, b.out_of_bounds)
                }
                (OpKind::LoadTest { .. }, OpKind::LoadTest { .. }) => true,
                // Control flow is never part of a stretch.
                _ => false,
            },
            _ => false,
        }
    }
}

/// Hash of a piece of the program that does not depend on the numbers of its tiles and buffers.
fn fingerprint(program: &Program, ops: Range<usize>) -> u64 {
    let (mut tiles, mut buffers) = (Local::default(), Local::default());
    let mut state = FxHasher::default();
    for op in &program.ops[ops] {
        op.engine.hash(&mut state);
        shell(op).hash(&mut state);
        op.for_each(|role, touched| {
            role.hash(&mut state);
            match touched {
                Touched::Tile(v) => {
                    let tile = program.tile(v.tile);
                    (tile.space, tile.partitions, tile.bytes, tiles.number(v.tile.0)).hash(&mut state);
                    (v.partition, v.partitions, v.offset, v.dtype, &v.dims).hash(&mut state);
                }
                Touched::Hbm(h) => {
                    (program.buffer(h.buffer).bytes, buffers.number(h.buffer.0)).hash(&mut state);
                    (h.offset, h.dtype, &h.dims).hash(&mut state);
                }
                Touched::Buffer(b) => (program.buffer(b).bytes, buffers.number(b.0)).hash(&mut state),
            }
        });
    }
    state.finish()
}

/// The buffers of a later stretch in place of those of the first one; `None` if the two do not do the same.
fn renaming(program: &Program, first: Range<usize>, later: Range<usize>) -> Option<FxHashMap<BufferId, BufferId>> {
    let mut tiles: FxHashMap<TileId, TileId> = FxHashMap::default();
    let mut back: FxHashMap<TileId, TileId> = FxHashMap::default();
    let mut buffers: FxHashMap<BufferId, BufferId> = FxHashMap::default();
    for (a, b) in program.ops[first].iter().zip(&program.ops[later]) {
        if a.engine != b.engine || !shell(a).same(&shell(b)) {
            return None;
        }
        let mut theirs = Vec::new();
        b.for_each(|role, touched| theirs.push((role, touched)));
        let mut theirs = theirs.into_iter();
        let mut same = true;
        let mut buffer = |a: BufferId, b: BufferId| {
            let equal = program.buffer(a).bytes == program.buffer(b).bytes;
            equal && *buffers.entry(a).or_insert(b) == b
        };
        a.for_each(|role, touched| {
            let other = theirs.next();
            same &= match (touched, other) {
                (Touched::Tile(a), Some((r, Touched::Tile(b)))) => {
                    let (x, y) = (program.tile(a.tile), program.tile(b.tile));
                    role == r
                        && (x.space, x.partitions, x.bytes) == (y.space, y.partitions, y.bytes)
                        && *tiles.entry(a.tile).or_insert(b.tile) == b.tile
                        && *back.entry(b.tile).or_insert(a.tile) == a.tile
                        && (a.partition, a.partitions, a.offset, a.dtype, &a.dims)
                            == (b.partition, b.partitions, b.offset, b.dtype, &b.dims)
                }
                (Touched::Hbm(a), Some((r, Touched::Hbm(b)))) => {
                    role == r
                        && (a.offset, a.dtype, &a.dims) == (b.offset, b.dtype, &b.dims)
                        && buffer(a.buffer, b.buffer)
                }
                (Touched::Buffer(a), Some((r, Touched::Buffer(b)))) => role == r && buffer(a, b),
                _ => false,
            };
        });
        if !same || theirs.next().is_some() {
            return None;
        }
    }
    Some(buffers)
}

/// Pieces of the program that no tile leaves; control operations are pieces of their own.
fn pieces(program: &Program) -> Vec<Range<usize>> {
    // How many tiles are in use between an operation and the one before.
    let mut change = vec![0i64; program.ops.len() + 1];
    for life in lives(program).into_iter().flatten() {
        change[life.first as usize + 1] += 1;
        change[life.last as usize + 1] -= 1;
    }
    let mut pieces = Vec::new();
    let (mut begin, mut used) = (0, 0);
    for (index, op) in program.ops.iter().enumerate() {
        used += change[index];
        let after_control = index > 0 && program.ops[index - 1].control().is_some();
        if index > begin && (used == 0 || op.control().is_some() || after_control) {
            pieces.push(begin..index);
            begin = index;
        }
    }
    if begin < program.ops.len() {
        pieces.push(begin..program.ops.len());
    }
    pieces
}

/// Whether a piece may be part of a loop: no control flow, and nothing that belongs to the repetitions of another loop.
fn may_roll(program: &Program, ops: Range<usize>) -> bool {
    program.ops[ops].iter().all(|op| {
        let mut may = op.control().is_none();
        op.for_each(|_, touched| {
            let buffer = match touched {
                Touched::Hbm(h) => h.buffer,
                Touched::Buffer(b) => b,
                Touched::Tile(_) => return,
            };
            may &= !matches!(program.buffer(buffer).kind, BufferKind::PerTrip(_));
        });
        may
    })
}

/// Whether a stretch takes long enough on some engine, or on the way from and to memory.
fn takes(program: &Program, machine: &MachineModel, ops: Range<usize>, least_ps: u64) -> bool {
    let mut busy = [0u64; 3];
    for op in &program.ops[ops] {
        let cost = op_cost(program, machine, op);
        match &op.kind {
            OpKind::Matmul { .. } => busy[0] += cost.occupancy,
            OpKind::Dma(_) | OpKind::Indirect(_) => busy[1] += cost.hbm,
            // On two engines at least.
            _ => busy[2] += cost.occupancy / 2,
        }
    }
    busy.into_iter().any(|b| b >= least_ps)
}

/// The stretches whose rolling saves most operations.
fn find(program: &Program, machine: &MachineModel, least_ps: u64) -> Option<Stretches> {
    let pieces = pieces(program);
    let prints: Vec<Option<u64>> = pieces
        .iter()
        .map(|p| may_roll(program, p.clone()).then(|| fingerprint(program, p.clone())))
        .collect();
    let mut candidates: Vec<(usize, Stretches)> = repeats(&prints)
        .into_iter()
        .map(|r| {
            let found = Stretches {
                begin: pieces[r.begin].start,
                length: pieces[r.begin + r.period].start - pieces[r.begin].start,
                trips: r.trips(),
            };
            (found.length * (found.trips - 1), found)
        })
        .collect();
    // Of those that save as much the one with more trips, which has the shorter period, comes first.
    candidates.sort_by_key(|(saved, found)| (std::cmp::Reverse(*saved), found.length));
    candidates.into_iter().find_map(|(_, mut found)| {
        if !takes(program, machine, found.of(0), least_ps) {
            return None;
        }
        let same = |trip: &usize| renaming(program, found.of(0), found.of(*trip)).is_some();
        found.trips = (1..found.trips).take_while(same).count() + 1;
        (found.trips > 1).then_some(found)
    })
}

/// For each buffer the first and the last operation that touches it.
fn touches(program: &Program) -> Vec<Option<(usize, usize)>> {
    let mut found: Vec<Option<(usize, usize)>> = vec![None; program.buffers.len()];
    for (index, op) in program.ops.iter().enumerate() {
        op.for_each(|_, touched| {
            let buffer = match touched {
                Touched::Hbm(h) => h.buffer,
                Touched::Buffer(b) => b,
                Touched::Tile(_) => return,
            };
            for member in program.members(&buffer) {
                found[member.index()].get_or_insert((index, index)).1 = index;
            }
        });
    }
    found
}

/// Makes stretches a loop.
fn roll(program: &mut Program, found: &Stretches) {
    let touches = touches(program);
    let mut members: BTreeMap<BufferId, Vec<BufferId>> = BTreeMap::new();
    for trip in 0..found.trips {
        for (first, here) in renaming(program, found.of(0), found.of(trip)).into_iter().flatten() {
            members.entry(first).or_default().push(here);
        }
    }
    let private = |trip: usize, buffer: BufferId| {
        let own = found.of(trip);
        matches!(program.buffer(buffer).kind, BufferKind::Scratch)
            && touches[buffer.index()].is_none_or(|(first, last)| own.contains(&first) && own.contains(&last))
    };
    let same = |a: BufferId, b: BufferId| match (&program.buffer(a).kind, &program.buffer(b).kind) {
        (BufferKind::Const(x), BufferKind::Const(y)) => x == y,
        _ => a == b,
    };
    members.retain(|&first, all| {
        let shared = all.iter().all(|&b| same(first, b));
        !shared && !all.iter().enumerate().all(|(trip, &b)| private(trip, b))
    });
    let mut known: BTreeMap<Vec<BufferId>, BufferId> = BTreeMap::new();
    let mut renamed: FxHashMap<BufferId, BufferId> = FxHashMap::default();
    for (first, all) in members {
        let id = *known.entry(all).or_insert_with_key(|all| {
            let buffer = program.buffer(first);
            let (name, bytes) = (format!("{}_per_trip", buffer.name), buffer.bytes);
            program.add_buffer(name, BufferKind::PerTrip(all.clone()), bytes)
        });
        renamed.insert(first, id);
    }
    let loc = program.ops[found.begin].loc;
    let control = |control| Op {
        kind: OpKind::Control(control),
        engine: None,
        loc,
    };
    let end = found.of(found.trips - 1).end;
    let mut rest = program.ops.split_off(found.begin);
    let after = rest.split_off(end - found.begin);
    rest.truncate(found.length);
    for op in &mut rest {
        rename_buffers(op, &|b| renamed.get(&b).copied().unwrap_or(b));
    }
    program.ops.push(control(Control::Loop));
    program.ops.append(&mut rest);
    program.ops.push(control(Control::Repeat(found.trips as u32)));
    program.ops.extend(after);
}

/// Least time of a repetition, microseconds: that of a layer.
pub(super) const LEAST_US: f64 = LAYER_US as f64;

/// [`LEAST_US`], or another time, in picoseconds.
///
/// # Errors
/// A time that is none.
pub(super) fn least_ps(us: f64) -> Result<u64> {
    if us.is_finite() && us >= 0.0 {
        return Ok((us * 1e6) as u64);
    }
    Err(ferrite_ir::diag::Diagnostic::error(
        ferrite_ir::diag::Code::Usage,
        format!("{us} is no time"),
    ))
}
