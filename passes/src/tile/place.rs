//! Addresses for everything: `place`.
//!
//! In: a scheduled tile program whose tiles in use at once fit their memories. Out: a byte offset for each tile (all
//! its partitions share it) and for each scratch buffer. Two tiles in use at the same time never share a byte:
//! [`super::check_placement`] proves it. In SBUF memory rests after use, by the times that the schedule expects, so that
//! a load that takes it need not wait for its last user; of rested memory the tightest block is taken, low for short
//! lives and high for long ones. What does not fit here is not spilled here: the caller leaves more room and schedules
//! again.

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

/// When an operation should begin and when its results are there, picoseconds from the start of the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// It begins.
    pub start: u64,
    /// Its results are there.
    pub end: u64,
}

/// Operations for which memory rests after use, where nobody knows when they run (our choice).
const REST: u64 = 384;

/// What tells whether memory has rested: the expected times of operations, or their number.
struct Clock<'a> {
    spans: Option<&'a [Span]>,
}

impl Clock<'_> {
    fn span(&self, op: usize) -> Span {
        self.spans.map_or(
            Span {
                start: op as u64,
                end: op as u64 + 1,
            },
            |spans| spans[op],
        )
    }
}

/// Places a scheduled program. `spans`, by operation, are the times that the schedule expects; without, positions stand
/// for times. Memory rests as long as it can; with `reuse_at_once` it need not rest at all, which always places more but
/// makes loads wait for the last user of what they overwrite.
///
/// # Errors
/// See [`PlaceError`].
pub fn place(
    program: &Program,
    machine: &MachineModel,
    spans: Option<&[Span]>,
    reuse_at_once: bool,
) -> Result<Placement, PlaceError> {
    let lives = lives(program);
    let mut placement = Placement {
        tiles: vec![0; program.tiles.len()],
        ..Placement::default()
    };
    place_psum(program, machine, &lives, &mut placement.tiles)?;
    let clock = Clock { spans };
    let rest = match spans {
        // What the machine does differs from what the schedule expects by about a transfer.
        Some(_) => machine.dma_start_ps() + machine.dma_done_ps(),
        None => REST,
    };
    let mut placed = Ok(());
    for rest in [rest, rest / 4, rest / 16, 0] {
        if rest == 0 && !reuse_at_once {
            break;
        }
        placed = place_sbuf(program, machine, &lives, &clock, rest, &mut placement.tiles);
        if placed.is_ok() {
            break;
        }
    }
    placed?;
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

/// Free memory of a partition, in fragments that remember when they were last used.
struct FreeSbuf {
    /// Start to end and the time of the last use; 0 for never.
    fragments: BTreeMap<i64, (i64, u64)>,
    /// Time for which memory rests.
    rest: u64,
}

impl FreeSbuf {
    /// Takes `bytes` for a tile that begins at `now`.
    fn take(&mut self, bytes: i64, now: u64, at_top: bool) -> Option<i64> {
        let fragments: Vec<(i64, i64, u64)> = self.fragments.iter().map(|(&s, &(e, t))| (s, e, t)).collect();
        let mut best: Option<((u64, i64, i64), i64)> = None;
        let mut first = 0;
        while first < fragments.len() {
            let mut last = first;
            while fragments.get(last + 1).is_some_and(|next| next.0 == fragments[last].1) {
                last += 1;
            }
            let run = &fragments[first..=last];
            let (low, high) = (run[0].0, run[run.len() - 1].1);
            first = last + 1;
            if high - low < bytes {
                continue;
            }
            // At each border inside the run, and at its upper end.
            for start in run.iter().map(|f| f.0).chain([high - bytes]) {
                if start + bytes > high {
                    continue;
                }
                let touched = run.iter().filter(|f| f.0 < start + bytes && start < f.1);
                let used = touched.map(|f| f.2).max().unwrap_or(0);
                let delay = if used > 0 {
                    (used + self.rest).saturating_sub(now)
                } else {
                    0
                };
                let inside = start != low && start + bytes != high;
                let waste = (high - low - bytes) * if inside { 4 } else { 1 };
                let score = (delay, waste, if at_top { -start } else { start });
                if best.is_none_or(|b| score < b.0) {
                    best = Some((score, start));
                }
            }
        }
        let start = best?.1;
        let end = start + bytes;
        // Cut the fragments around it.
        for &(s, e, t) in fragments.iter().filter(|f| f.0 < end && start < f.1) {
            self.fragments.remove(&s);
            if s < start {
                self.fragments.insert(s, (start, t));
            }
            if e > end {
                self.fragments.insert(end, (e, t));
            }
        }
        Some(start)
    }

    /// Gives memory back that was last used at `used`; what has rested `now` joins its neighbours.
    fn give(&mut self, start: i64, bytes: i64, used: u64, now: u64) {
        let rested = |t: u64| t + self.rest <= now;
        let (mut start, mut end, mut time) = (start, start + bytes, used);
        if self.rest == 0 {
            // Nothing rests: all neighbours join.
            time = 0;
        }
        let join = |t: u64| self.rest == 0 || (rested(t) && rested(time));
        if let Some((&s, &(e, t))) = self.fragments.range(..start).next_back()
            && e == start
            && join(t)
        {
            self.fragments.remove(&s);
            start = s;
        }
        if let Some(&(e, t)) = self.fragments.get(&end)
            && join(t)
        {
            self.fragments.remove(&end);
            end = e;
        }
        self.fragments.insert(start, (end, time));
    }

    /// Joins neighbours that have rested.
    fn join_rested(&mut self, now: u64) {
        let mut joined: BTreeMap<i64, (i64, u64)> = BTreeMap::new();
        let mut open: Option<(i64, i64, u64)> = None;
        for (&s, &(e, t)) in &self.fragments {
            let t = if t + self.rest <= now { 0 } else { t };
            open = match open {
                Some((s0, e0, 0)) if e0 == s && t == 0 => Some((s0, e, 0)),
                Some((s0, e0, t0)) => {
                    joined.insert(s0, (e0, t0));
                    Some((s, e, t))
                }
                None => Some((s, e, t)),
            };
        }
        if let Some((s, e, t)) = open {
            joined.insert(s, (e, t));
        }
        self.fragments = joined;
    }
}

/// Free blocks of an address range.
#[derive(Default)]
struct FreeList {
    /// Start to end.
    blocks: BTreeMap<i64, i64>,
}

impl FreeList {
    /// The smallest block that fits.
    fn take(&mut self, bytes: i64) -> Option<i64> {
        let fitting = self
            .blocks
            .iter()
            .map(|(&s, &e)| (s, e))
            .filter(|(s, e)| e - s >= bytes);
        let (start, end) = fitting.min_by_key(|&(s, e)| (e - s, s))?;
        self.blocks.remove(&start);
        if start + bytes < end {
            self.blocks.insert(start + bytes, end);
        }
        Some(start)
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
    clock: &Clock<'_>,
    rest: u64,
    offsets: &mut [u32],
) -> Result<(), PlaceError> {
    let mut free = FreeSbuf {
        fragments: BTreeMap::from([(0, (machine.sbuf.usable_bytes_per_partition as i64, 0))]),
        rest,
    };
    // A life of more than this many operations is long: it would cut free memory in two for long.
    let long = (program.ops.len() / 8).clamp(64, 4096);
    // When the operations so far are done with each tile.
    let mut used = vec![0u64; program.tiles.len()];
    for (index, op) in program.ops.iter().enumerate() {
        let now = clock.span(index);
        if index % 64 == 0 {
            free.join_rested(now.start);
        }
        let touched = tiles_of(op);
        for &id in &touched {
            let tile = program.tile(id);
            let Some(live) = lives[id.index()].filter(|l| l.first as usize == index && tile.space == Space::Sbuf)
            else {
                continue;
            };
            let bytes = footprint(machine, tile);
            let is_long = (live.last - live.first) as usize > long;
            let start = free.take(bytes, now.start, is_long);
            let Some(start) = start else {
                return Err(PlaceError::Sbuf { op: index, tile: id });
            };
            offsets[id.index()] = start as u32;
        }
        for &id in &touched {
            let tile = program.tile(id);
            used[id.index()] = used[id.index()].max(now.end);
            if tile.space == Space::Sbuf && lives[id.index()].is_some_and(|l| l.last as usize == index) {
                let (start, bytes) = (i64::from(offsets[id.index()]), footprint(machine, tile));
                free.give(start, bytes, used[id.index()], now.start);
            }
        }
    }
    Ok(())
}

/// Operations that must lie between the last use of scratch memory and its next one, while there is memory enough:
/// reuse that is nearer would make a transfer wait for another.
const SCRATCH_REST: usize = 2048;

fn place_scratch(program: &Program, machine: &MachineModel, placement: &mut Placement) -> Result<()> {
    let lives = scratch_lives(program);
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
            // Its members are counted.
            BufferKind::PerTrip(_) => {}
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

/// First and last operation that needs the contents of each buffer.
fn scratch_lives(program: &Program) -> Vec<Option<(usize, usize)>> {
    let loops = program.loops();
    let mut lives: Vec<Option<(usize, usize)>> = vec![None; program.buffers.len()];
    for (index, op) in program.ops.iter().enumerate() {
        op.for_each(|_, touched| {
            let buffer = match touched {
                Touched::Hbm(h) => h.buffer,
                Touched::Buffer(b) => b,
                Touched::Tile(_) => return,
            };
            let members = program.members(&buffer);
            // What belongs to one repetition may be written in another.
            let around = match program.buffer(buffer).kind {
                BufferKind::PerTrip(_) => loops.iter().find(|l| l.0 < index && index < l.1).copied(),
                _ => None,
            };
            let (first, last) = around.unwrap_or((index, index));
            for member in members {
                let life = lives[member.index()].get_or_insert((first, last));
                *life = (life.0.min(first), life.1.max(last));
            }
        });
    }
    // What is touched inside and outside of a loop holds its contents through all of it.
    for (begin, end) in loops {
        for (first, last) in lives.iter_mut().flatten() {
            if *first < begin && *last >= begin {
                *last = (*last).max(end);
            }
            if *last > end && *first <= end {
                *first = (*first).min(begin);
            }
        }
    }
    lives
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
    let mut free = FreeList::default();
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
        let start = free.take(size(b)).unwrap_or_else(|| {
            let start = end;
            end += size(b);
            start
        });
        offsets[b] = start as u64;
        resting.push(std::cmp::Reverse((last.saturating_add(rest), b)));
    }
    end as u64
}
