//! Addresses for everything: `place`.
//!
//! In: a scheduled tile program whose tiles in use at once fit their memories. Out: a byte offset for each tile (all
//! its partitions share it) and for each scratch buffer. Two tiles in use at the same time never share a byte:
//! [`super::check_placement`] proves it. SBUF goes round in a ring, so that what was freed last is used again last and
//! waits for reuse are old ones; tiles that live long are kept at the other end. What does not fit here is not spilled
//! here: the caller spills and schedules again.

use std::collections::BTreeMap;

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::machine::{MachineModel, Space};
use ferrite_ir::tile::{BufferKind, Program, TileId, Touched};

use super::lives::{Live, footprint, lives, tiles_of};

/// Addresses of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Byte offset in each partition, by tile; 0 for tiles nobody touches.
    pub tiles: Vec<u32>,
    /// Byte offset in the scratch space, by buffer; 0 for other buffers.
    pub scratch: Vec<u64>,
    /// Size of the scratch space.
    pub scratch_bytes: u64,
}

/// Why there is no placement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaceError {
    /// SBUF was too fragmented or too full for this tile at this operation.
    Sbuf {
        /// Position in the program.
        op: usize,
        /// The tile.
        tile: TileId,
    },
    /// Anything else: too much HBM, too many PSUM banks.
    Other(Box<Diagnostic>),
}

impl From<Diagnostic> for PlaceError {
    fn from(d: Diagnostic) -> Self {
        PlaceError::Other(Box::new(d))
    }
}

/// How free blocks are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    /// Short lives in a ring from the bottom, long ones from the top.
    RingAndTop,
    /// All in a ring.
    Ring,
    /// Smallest block that fits, short lives from the bottom and long ones from the top.
    BestFit,
}

/// Places a scheduled program.
///
/// # Errors
/// See [`PlaceError`].
pub fn place(program: &Program, machine: &MachineModel) -> Result<Placement, PlaceError> {
    let lives = lives(program);
    let mut placement = Placement {
        tiles: vec![0; program.tiles.len()],
        ..Placement::default()
    };
    place_psum(program, machine, &lives, &mut placement.tiles)?;
    let mut failure = None;
    for policy in [Policy::RingAndTop, Policy::Ring, Policy::BestFit] {
        match place_sbuf(program, machine, &lives, policy, &mut placement.tiles) {
            Ok(()) => {
                failure = None;
                break;
            }
            Err(e) => failure = Some(e),
        }
    }
    if let Some(failure) = failure {
        return Err(failure);
    }
    place_scratch(program, machine, &mut placement)?;
    Ok(placement)
}

fn place_psum(
    program: &Program,
    machine: &MachineModel,
    lives: &[Option<Live>],
    offsets: &mut [u32],
) -> Result<(), PlaceError> {
    let banks = machine.psum.banks as usize;
    // Free banks, the one free for longest first.
    let mut free: std::collections::VecDeque<usize> = (0..banks).collect();
    let mut bank_of: BTreeMap<TileId, usize> = BTreeMap::new();
    for (index, op) in program.ops.iter().enumerate() {
        let touched = tiles_of(op);
        let psum = || touched.iter().filter(|t| program.tile(**t).space == Space::Psum);
        for &id in psum() {
            let Some(live) = lives[id.index()] else { continue };
            if live.first as usize != index {
                continue;
            }
            let tile = program.tile(id);
            let fits = u64::from(tile.bytes) <= machine.psum.bytes_per_bank;
            let Some(bank) = free.pop_front().filter(|_| fits) else {
                return Err(Diagnostic::bug(format!(
                    "tile operation {index} `{}` needs PSUM tile {} `{}` of {} bytes while {} of {banks} banks are in use",
                    op.name(),
                    id.0,
                    tile.name,
                    tile.bytes,
                    bank_of.len(),
                ))
                .at(program.locs.get(op.loc))
                .into());
            };
            offsets[id.index()] = (bank as u64 * machine.psum.bytes_per_bank) as u32;
            bank_of.insert(id, bank);
        }
        for id in psum() {
            if lives[id.index()].is_some_and(|l| l.last as usize == index)
                && let Some(bank) = bank_of.remove(id)
            {
                free.push_back(bank);
            }
        }
    }
    Ok(())
}

/// Free blocks of an address range.
struct FreeList {
    /// Start to end.
    blocks: BTreeMap<i64, i64>,
    cursor: i64,
}

impl FreeList {
    fn new(bytes: i64) -> FreeList {
        FreeList {
            blocks: BTreeMap::from([(0, bytes)]),
            cursor: 0,
        }
    }

    fn take(&mut self, block: (i64, i64), start: i64, bytes: i64) -> i64 {
        self.blocks.remove(&block.0);
        if block.0 < start {
            self.blocks.insert(block.0, start);
        }
        if start + bytes < block.1 {
            self.blocks.insert(start + bytes, block.1);
        }
        start
    }

    /// Next fit from the cursor on.
    fn ring(&mut self, bytes: i64) -> Option<i64> {
        let cursor = self.cursor;
        // The block around the cursor may fit behind it.
        let around = self.blocks.range(..cursor).next_back().map(|(&s, &e)| (s, e));
        if let Some((start, end)) = around
            && end - cursor >= bytes
        {
            self.cursor = cursor + bytes;
            return Some(self.take((start, end), cursor, bytes));
        }
        let behind = self.blocks.range(cursor..).map(|(&s, &e)| (s, e));
        let before = self.blocks.range(..cursor).map(|(&s, &e)| (s, e));
        let block = behind.chain(before).find(|(s, e)| e - s >= bytes)?;
        self.cursor = block.0 + bytes;
        Some(self.take(block, block.0, bytes))
    }

    /// End of the last block that fits.
    fn top(&mut self, bytes: i64) -> Option<i64> {
        let block = self
            .blocks
            .iter()
            .rev()
            .map(|(&s, &e)| (s, e))
            .find(|(s, e)| e - s >= bytes)?;
        Some(self.take(block, block.1 - bytes, bytes))
    }

    fn best(&mut self, bytes: i64, at_top: bool) -> Option<i64> {
        let fitting = self
            .blocks
            .iter()
            .map(|(&s, &e)| (s, e))
            .filter(|(s, e)| e - s >= bytes);
        let block = fitting.min_by_key(|&(s, e)| (e - s, if at_top { -s } else { s }))?;
        let start = if at_top { block.1 - bytes } else { block.0 };
        Some(self.take(block, start, bytes))
    }

    fn give(&mut self, start: i64, bytes: i64) {
        let (mut start, mut end) = (start, start + bytes);
        if let Some((&s, &e)) = self.blocks.range(..start).next_back()
            && e == start
        {
            self.blocks.remove(&s);
            start = s;
        }
        if let Some(e) = self.blocks.remove(&end) {
            end = e;
        }
        self.blocks.insert(start, end);
    }
}

fn place_sbuf(
    program: &Program,
    machine: &MachineModel,
    lives: &[Option<Live>],
    policy: Policy,
    offsets: &mut [u32],
) -> Result<(), PlaceError> {
    let mut free = FreeList::new(machine.sbuf.usable_bytes_per_partition as i64);
    // A life of more than this many operations is long: it would break the ring for many rounds.
    let long = (program.ops.len() / 8).clamp(64, 4096);
    for (index, op) in program.ops.iter().enumerate() {
        let touched = tiles_of(op);
        for &id in &touched {
            let tile = program.tile(id);
            let Some(live) = lives[id.index()].filter(|l| l.first as usize == index && tile.space == Space::Sbuf)
            else {
                continue;
            };
            let bytes = footprint(machine, tile);
            let is_long = (live.last - live.first) as usize > long;
            let start = match policy {
                Policy::RingAndTop if is_long => free.top(bytes),
                Policy::RingAndTop | Policy::Ring => free.ring(bytes),
                Policy::BestFit => free.best(bytes, is_long),
            };
            let Some(start) = start else {
                return Err(PlaceError::Sbuf { op: index, tile: id });
            };
            offsets[id.index()] = start as u32;
        }
        for &id in &touched {
            let tile = program.tile(id);
            if tile.space == Space::Sbuf && lives[id.index()].is_some_and(|l| l.last as usize == index) {
                free.give(i64::from(offsets[id.index()]), footprint(machine, tile));
            }
        }
    }
    Ok(())
}

/// Operations that must lie between the last use of scratch memory and its next one, while there is memory enough:
/// reuse that is nearer would make a transfer wait for another.
const SCRATCH_REST: usize = 2048;

fn place_scratch(program: &Program, machine: &MachineModel, placement: &mut Placement) -> Result<()> {
    let mut lives: Vec<Option<(usize, usize)>> = vec![None; program.buffers.len()];
    for (index, op) in program.ops.iter().enumerate() {
        op.for_each(|_, touched| {
            let buffer = match touched {
                Touched::Hbm(h) => h.buffer,
                Touched::Buffer(b) => b,
                Touched::Tile(_) => return,
            };
            match &mut lives[buffer.index()] {
                Some((_, last)) => *last = index,
                empty => *empty = Some((index, index)),
            }
        });
    }
    let mut kinds = [0u64; 3];
    for (index, buffer) in program.buffers.iter().enumerate() {
        match buffer.kind {
            BufferKind::Input(_) => kinds[0] += buffer.bytes,
            BufferKind::Output(n) => {
                let shared = program
                    .outputs
                    .get(n as usize)
                    .is_some_and(|o| o.must_alias && o.alias.is_some());
                kinds[1] += if shared { 0 } else { buffer.bytes };
            }
            BufferKind::Const(_) => kinds[2] += buffer.bytes,
            BufferKind::Scratch => {
                if lives[index].is_none() {
                    continue;
                }
            }
        }
    }
    let room = machine.hbm.bytes_per_core.saturating_sub(kinds.iter().sum());
    for rest in [SCRATCH_REST, 0] {
        placement.scratch_bytes = scratch_offsets(program, machine, &lives, rest, &mut placement.scratch);
        if placement.scratch_bytes <= room {
            return Ok(());
        }
    }
    let largest = program
        .ops
        .iter()
        .find(|op| matches!(op.kind, ferrite_ir::tile::OpKind::Dma(_)))
        .map_or(ferrite_ir::loc::LocId::UNKNOWN, |op| op.loc);
    let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64);
    let total = placement.scratch_bytes + kinds.iter().sum::<u64>();
    Err(Diagnostic::error(
        Code::Ncc("EOOM001"),
        format!(
            "the program needs {} of HBM; a {} NeuronCore has {}",
            gib(total),
            machine.name,
            gib(machine.hbm.bytes_per_core)
        ),
    )
    .at(program.locs.get(largest))
    .label(format!(
        "inputs {}, outputs {}, constants {}, intermediates {}",
        gib(kinds[0]),
        gib(kinds[1]),
        gib(kinds[2]),
        gib(placement.scratch_bytes)
    ))
    .help("use a smaller batch, a narrower dtype for weights, or donate inputs to outputs"))
}

fn scratch_offsets(
    program: &Program,
    machine: &MachineModel,
    lives: &[Option<(usize, usize)>],
    rest: usize,
    offsets: &mut Vec<u64>,
) -> u64 {
    *offsets = vec![0; program.buffers.len()];
    let align = machine.hbm.address_alignment_bytes.max(1);
    let size = |b: usize| program.buffers[b].bytes.max(1).next_multiple_of(align) as i64;
    let mut by_first: Vec<(usize, usize, usize)> = Vec::new();
    for (b, live) in lives.iter().enumerate() {
        if let (Some((first, last)), BufferKind::Scratch) = (live, &program.buffers[b].kind) {
            by_first.push((*first, *last, b));
        }
    }
    by_first.sort_unstable();
    let mut free = FreeList {
        blocks: BTreeMap::new(),
        cursor: 0,
    };
    let mut end = 0i64;
    let mut resting: std::collections::BinaryHeap<std::cmp::Reverse<(usize, usize)>> = Default::default();
    for (first, last, b) in by_first {
        while let Some(&std::cmp::Reverse((again, freed))) = resting.peek() {
            if again >= first {
                break;
            }
            resting.pop();
            free.give(offsets[freed] as i64, size(freed));
        }
        let start = free.best(size(b), false).unwrap_or_else(|| {
            let start = end;
            end += size(b);
            start
        });
        offsets[b] = start as u64;
        resting.push(std::cmp::Reverse((last.saturating_add(rest), b)));
    }
    end as u64
}
