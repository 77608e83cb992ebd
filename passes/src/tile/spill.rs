//! Makes a program fit into SBUF: `spill`.
//!
//! Before                              After
//!   t = ...; (much else); use t         t = ...; store t; (much else); load t2; use t2
//!
//! Where the tiles in use exceed the limit, the one whose next use is farthest away leaves. It is written to scratch
//! memory in HBM unless a copy is there already: tiles that hold nothing but what transfers brought from inputs and
//! constants are simply loaded again. The reload stands directly before the next use; the scheduler moves it ahead.
//! Tiles that an operation touches stay for that operation. PSUM never spills.

use std::collections::BTreeSet;

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::dtype::DType;
use ferrite_ir::isa::ApDim;
use ferrite_ir::machine::{MachineModel, Space};
use ferrite_ir::tile::{
    BufferId, BufferKind, DmaOp, DmaPiece, HbmAccess, Mem, MemDim, Op, OpKind, Program, TileId, Touched, View,
};

use smallvec::SmallVec;

use super::access::Access;
use super::graph::{hbm_spaces, written_spaces};
use super::lives::{footprint, tiles_of};
use super::names::rename_tiles;

/// What spilling did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spilled {
    /// Tiles written to HBM.
    pub stores: usize,
    /// Tiles read again.
    pub reloads: usize,
}

/// Where the contents of a tile can be had again.
#[derive(Clone)]
enum Backing {
    /// Nowhere: something computed it.
    None,
    /// By these transfers, positions in the old program, each into the original tile.
    Transfers(Vec<u32>),
    /// In a scratch buffer.
    Scratch(BufferId),
}

struct State {
    /// The tile that stands for it now (renamed by each reload), if it is in SBUF.
    resident: Option<TileId>,
    backing: Backing,
    /// Whether anything was written yet.
    live: bool,
    /// What was written: only that is saved, the rest holds nothing.
    written: Regions,
    /// Index into its list of uses.
    use_index: usize,
}

/// Spills until no operation finds more than `limit` bytes per partition in use.
///
/// # Errors
/// `EOOM002` when one operation alone needs more than the limit.
pub fn spill(program: &mut Program, machine: &MachineModel, limit: u64) -> Result<Spilled> {
    let limit = limit as i64;
    if peak(program, machine) <= limit {
        return Ok(Spilled::default());
    }
    let spaces = hbm_spaces(program);
    let written = written_spaces(program, &spaces);
    let old_tiles = program.tiles.len();
    let mut uses: Vec<Vec<u32>> = vec![Vec::new(); old_tiles];
    for (index, op) in program.ops.iter().enumerate() {
        for tile in tiles_of(op) {
            uses[tile.index()].push(index as u32);
        }
    }
    let mut states: Vec<State> = (0..old_tiles)
        .map(|_| State {
            resident: None,
            backing: Backing::Transfers(Vec::new()),
            live: false,
            written: Regions::default(),
            use_index: 0,
        })
        .collect();
    let mut spilled = Spilled::default();
    let mut out: Vec<Op> = Vec::with_capacity(program.ops.len());
    let mut in_use = 0i64;
    // Resident tiles by next use: the last one leaves first.
    let mut by_next: BTreeSet<(u32, TileId)> = BTreeSet::new();
    let ops = std::mem::take(&mut program.ops);
    for (index, op) in ops.iter().enumerate() {
        let touched = tiles_of(op);
        let in_sbuf: SmallVec<[TileId; 4]> = touched
            .iter()
            .copied()
            .filter(|t| program.tile(*t).space == Space::Sbuf)
            .collect();
        let mut need = 0;
        for t in &in_sbuf {
            let bytes = footprint(machine, program.tile(*t));
            if states[t.index()].resident.is_none() {
                need += bytes;
            } else {
                // What the operation touches stays.
                by_next.remove(&(index as u32, *t));
            }
        }
        while in_use + need > limit {
            let Some((_, victim)) = by_next.pop_last() else {
                let alone: i64 = in_sbuf.iter().map(|t| footprint(machine, program.tile(*t))).sum();
                return Err(Diagnostic::error(
                    Code::Ncc("EOOM002"),
                    format!(
                        "`{}` needs {alone} bytes per partition of SBUF at once; a {} NeuronCore offers {limit}",
                        op.name(),
                        machine.name,
                    ),
                )
                .at(program.locs.get(op.loc))
                .help("split the operation along a dimension that is not reduced"));
            };
            in_use -= footprint(machine, program.tile(victim));
            let state = &mut states[victim.index()];
            let resident = state.resident.take();
            if let (Backing::None, true, Some(resident)) = (&state.backing, state.live, resident) {
                let tile = program.tile(victim);
                let (bytes, partitions) = (u64::from(tile.bytes), u64::from(tile.partitions));
                let buffer = program.add_buffer("spill", BufferKind::Scratch, bytes * partitions);
                let store = state.written.pieces(resident, buffer, bytes as u32, true);
                out.push(Op {
                    kind: OpKind::Dma(store),
                    engine: None,
                    loc: op.loc,
                });
                states[victim.index()].backing = Backing::Scratch(buffer);
                spilled.stores += 1;
            }
        }
        for t in &in_sbuf {
            if states[t.index()].resident.is_some() {
                continue;
            }
            in_use += footprint(machine, program.tile(*t));
            let first = !states[t.index()].live;
            let resident = if first {
                *t
            } else {
                let tile = program.tile(*t).clone();
                program.tiles.push(tile);
                TileId(program.tiles.len() as u32 - 1)
            };
            states[t.index()].resident = Some(resident);
            if first {
                continue;
            }
            spilled.reloads += 1;
            match states[t.index()].backing.clone() {
                Backing::Scratch(buffer) => {
                    let bytes = program.tile(*t).bytes;
                    let load = states[t.index()].written.pieces(resident, buffer, bytes, false);
                    out.push(Op {
                        kind: OpKind::Dma(load),
                        engine: None,
                        loc: op.loc,
                    });
                }
                Backing::Transfers(sources) => {
                    for source in sources {
                        let mut again = ops[source as usize].clone();
                        if let OpKind::Dma(pieces) = &mut again.kind {
                            pieces.retain(|p| matches!(&p.dst, Mem::Tile(v) if v.tile == *t));
                        }
                        rename_tiles(&mut again, &mut |tile| if tile == *t { resident } else { tile });
                        out.push(again);
                    }
                }
                // A tile without backing leaves only before anything is in it.
                Backing::None => {}
            }
        }
        let mut renamed = op.clone();
        rename_tiles(&mut renamed, &mut |tile| states[tile.index()].resident.unwrap_or(tile));
        out.push(renamed);
        // What the operation wrote is not in HBM, unless it came from there.
        let reloadable = reloadable_tiles(op, &spaces, &written);
        op.for_each(|role, access| {
            if let (true, Touched::Tile(view)) = (role.writes(), access) {
                let state = &mut states[view.tile.index()];
                state.live = true;
                state.written.add(view);
                match &mut state.backing {
                    Backing::Transfers(list) if reloadable.contains(&view.tile) => {
                        if list.last() != Some(&(index as u32)) {
                            list.push(index as u32);
                        }
                    }
                    backing => *backing = Backing::None,
                }
            }
        });
        for t in &in_sbuf {
            let state = &mut states[t.index()];
            state.use_index += 1;
            match uses[t.index()].get(state.use_index) {
                Some(&next) => {
                    by_next.insert((next, *t));
                }
                None => {
                    state.resident = None;
                    in_use -= footprint(machine, program.tile(*t));
                }
            }
        }
    }
    program.ops = out;
    Ok(spilled)
}

/// Most bytes per partition in use at any operation.
pub(crate) fn peak(program: &Program, machine: &MachineModel) -> i64 {
    let lives = super::lives::lives(program);
    let mut change = vec![0i64; program.ops.len() + 1];
    for (tile, live) in program.tiles.iter().zip(&lives) {
        if let (Space::Sbuf, Some(live)) = (tile.space, live) {
            change[live.first as usize] += footprint(machine, tile);
            change[live.last as usize + 1] -= footprint(machine, tile);
        }
    }
    let mut sum = 0;
    change
        .iter()
        .map(|c| {
            sum += c;
            sum
        })
        .max()
        .unwrap_or(0)
}

/// The tiles that an operation fills by plain copies from memory that the program never writes.
fn reloadable_tiles(op: &Op, spaces: &[u32], written: &[bool]) -> Vec<TileId> {
    let OpKind::Dma(pieces) = &op.kind else {
        return Vec::new();
    };
    let mut tiles = Vec::new();
    let mut spoiled = Vec::new();
    for piece in pieces {
        let Mem::Tile(dst) = &piece.dst else { continue };
        let constant = match &piece.src {
            Mem::Hbm(h) => !written[spaces[h.buffer.index()] as usize],
            Mem::Tile(_) => false,
        };
        if constant && piece.op != DmaOp::Add {
            tiles.push(dst.tile);
        } else {
            spoiled.push(dst.tile);
        }
    }
    tiles.retain(|t| !spoiled.contains(t));
    tiles
}

/// A rectangle of a tile: partitions and bytes, ends excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rect {
    partitions: (i64, i64),
    bytes: (i64, i64),
}

impl Rect {
    fn is_empty(&self) -> bool {
        self.partitions.0 >= self.partitions.1 || self.bytes.0 >= self.bytes.1
    }

    /// The parts of `self` outside of `other`.
    fn minus(&self, other: &Rect) -> SmallVec<[Rect; 4]> {
        let (p, b) = (self.partitions, self.bytes);
        let (q, c) = (other.partitions, other.bytes);
        if p.0 >= q.1 || q.0 >= p.1 || b.0 >= c.1 || c.0 >= b.1 {
            return SmallVec::from_slice(&[*self]);
        }
        let middle = (p.0.max(q.0), p.1.min(q.1));
        let parts = [
            ((p.0, q.0), b),
            ((q.1, p.1), b),
            (middle, (b.0, c.0)),
            (middle, (c.1, b.1)),
        ];
        let parts = parts.map(|(partitions, bytes)| Rect { partitions, bytes });
        parts.into_iter().filter(|r| !r.is_empty()).collect()
    }

    /// One rectangle for both, if they are neighbours.
    fn joined(&self, other: &Rect) -> Option<Rect> {
        let touch = |a: (i64, i64), b: (i64, i64)| a.1 == b.0 || b.1 == a.0;
        let hull = |a: (i64, i64), b: (i64, i64)| (a.0.min(b.0), a.1.max(b.1));
        let joins = (self.partitions == other.partitions && touch(self.bytes, other.bytes))
            || (self.bytes == other.bytes && touch(self.partitions, other.partitions));
        joins.then(|| Rect {
            partitions: hull(self.partitions, other.partitions),
            bytes: hull(self.bytes, other.bytes),
        })
    }
}

/// Runs of a strided write that are remembered one by one; of more, the hull is.
const MAX_RUNS: i64 = 64;

/// Disjoint rectangles of a tile.
#[derive(Clone, Debug, Default)]
struct Regions(Vec<Rect>);

impl Regions {
    fn add(&mut self, view: &View) {
        let access = Access::of_view(view, 0);
        let partitions = (i64::from(access.partitions.0), i64::from(access.partitions.1));
        let runs: i64 = access.dims.iter().map(|d| d.1).product();
        let mut starts: Vec<i64> = vec![access.low];
        let mut length = access.run;
        if runs > MAX_RUNS {
            length = access.high - access.low;
        } else {
            for &(step, count) in &access.dims {
                starts = starts
                    .iter()
                    .flat_map(|&s| (0..count).map(move |i| s + i * step))
                    .collect();
            }
        }
        for start in starts {
            self.insert(Rect {
                partitions,
                bytes: (start, start + length),
            });
        }
    }

    fn insert(&mut self, rect: Rect) {
        let mut new: Vec<Rect> = vec![rect];
        for old in &self.0 {
            new = new.iter().flat_map(|r| r.minus(old)).collect();
            if new.is_empty() {
                return;
            }
        }
        for mut rect in new {
            while let Some((i, joined)) = self.0.iter().enumerate().find_map(|(i, r)| Some((i, r.joined(&rect)?))) {
                self.0.swap_remove(i);
                rect = joined;
            }
            self.0.push(rect);
        }
    }

    /// Copies of the regions between a tile of `bytes` per partition and a buffer with its rows one after the other.
    fn pieces(&self, tile: TileId, buffer: BufferId, bytes: u32, to_buffer: bool) -> Vec<DmaPiece> {
        let piece = |r: &Rect| {
            let (first, width) = (r.bytes.0, r.bytes.1 - r.bytes.0);
            let rows = r.partitions.1 - r.partitions.0;
            let view = View {
                tile,
                partition: r.partitions.0 as u16,
                partitions: rows as u16,
                offset: first as u32,
                dtype: DType::U8,
                dims: SmallVec::from_slice(&[ApDim {
                    step: 1,
                    count: width as u32,
                }]),
            };
            let row = |step: i64, count: i64| MemDim {
                step,
                count: count as u64,
            };
            let access = HbmAccess {
                buffer,
                offset: (r.partitions.0 * i64::from(bytes) + first) as u64,
                dtype: DType::U8,
                dims: SmallVec::from_slice(&[row(i64::from(bytes), rows), row(1, width)]),
            };
            let (tile, hbm) = (Mem::Tile(view), Mem::Hbm(access));
            let (src, dst) = if to_buffer { (tile, hbm) } else { (hbm, tile) };
            DmaPiece {
                op: DmaOp::Copy,
                src,
                dst,
            }
        };
        self.0.iter().map(piece).collect()
    }
}
