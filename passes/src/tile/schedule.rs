//! Reorders a tile program so that engines and DMA overlap: `schedule`.
//!
//! Before                              After
//!   load a; mm a; load b; mm b          load a; load b; mm a; mm b
//!
//! In: a program with engines assigned. Out: the same operations in another order that keeps every dependence.
//! The machine is simulated roughly: engines take the oldest operation that is ready, as far as a window ahead of the
//! oldest one not yet issued (the frontier), and transfers share the DMA engines. Running ahead may cost memory, but
//! never so much that the rest of the program, taken in its old order, would need more than the limit: the use of SBUF
//! and PSUM by the old order is known at every point, and an operation goes ahead only if what it allocates fits at all
//! points it overtakes. So a program that fitted before fits after.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ferrite_ir::machine::{Engine, MachineModel, Space};
use ferrite_ir::tile::{Inst, OpKind, Program, Touched};

use super::cost::{OpCost, op_cost};
use super::graph::{Edge, Graph, is_load};
use super::lives::{footprint, lives, tiles_of};
use super::place::Span;
use super::pressure::Profile;

/// How far and how full to schedule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScheduleOptions {
    /// Operations an engine may look past the oldest one that is not issued.
    pub lookahead: usize,
    /// The same for loads.
    pub load_lookahead: usize,
    /// Share of SBUF that operations running ahead may fill.
    pub sbuf_share: f64,
    /// Share of SBUF that loads running ahead by `load_lookahead` may fill; nearer ones more, up to `sbuf_share`.
    pub load_share: f64,
    /// Operations that ScalarE may run ahead of one that needs another table set.
    pub table_patience: usize,
}

/// Our choices: of those tried, what served the models of `benches/results` best together.
impl Default for ScheduleOptions {
    fn default() -> Self {
        ScheduleOptions {
            lookahead: 512,
            load_lookahead: 4096,
            sbuf_share: 0.7,
            load_share: 0.15,
            table_patience: 256,
        }
    }
}

/// Where operations are issued: the engines' computations, then loads, then other transfers.
const LANES: usize = 7;
const LOADS: usize = 5;
const STORES: usize = 6;

/// Table sets told apart; set 0 is always resident.
const TABLE_SETS: usize = 16;

fn table_of(op: &ferrite_ir::tile::Op) -> usize {
    match &op.kind {
        OpKind::Compute(Inst::Activation { func, .. }) => usize::from(func.table_set()) % TABLE_SETS,
        _ => 0,
    }
}

fn lane_of(op: &ferrite_ir::tile::Op) -> usize {
    match &op.kind {
        OpKind::Matmul { .. } => Engine::Tensor.index(),
        OpKind::Compute(_) => op.engine.unwrap_or(Engine::Vector).index(),
        OpKind::Indirect(_) => op.engine.unwrap_or(Engine::GpSimd).index(),
        OpKind::Dma(_) if is_load(&op.kind) => LOADS,
        OpKind::Dma(_) => STORES,
        OpKind::LoadTest { .. } => op.engine.unwrap_or(Engine::Sync).index(),
        OpKind::Control(_) => Engine::Sync.index(),
    }
}

/// Schedules the program. Deterministic; near linear in its size. Returns when each operation, in the new order, should run.
pub fn schedule(program: &mut Program, machine: &MachineModel, options: &ScheduleOptions) -> Vec<Span> {
    let (order, spans) = Scheduler::new(program, machine, options).run();
    let mut slots: Vec<Option<ferrite_ir::tile::Op>> = std::mem::take(&mut program.ops).into_iter().map(Some).collect();
    program.ops = order.iter().filter_map(|&i| slots[i as usize].take()).collect();
    order.iter().map(|&i| spans[i as usize]).collect()
}

#[derive(Default)]
struct Lane {
    /// When the next operation can start.
    free: u64,
    /// Dependences met at a known time: (time, operation).
    pending: BinaryHeap<Reverse<(u64, u32)>>,
    /// Can start now, oldest first, by the table set of activation functions they need (0 for none).
    ready: [BinaryHeap<Reverse<u32>>; TABLE_SETS],
    /// Table set loaded.
    table: usize,
    /// Would need memory that is not there.
    blocked: BinaryHeap<Reverse<u32>>,
    /// Too far ahead of the frontier.
    far: BinaryHeap<Reverse<u32>>,
}

struct Scheduler<'a> {
    machine: &'a MachineModel,
    options: &'a ScheduleOptions,
    graph: Graph,
    costs: Vec<OpCost>,
    lane: Vec<u8>,
    table: Vec<u8>,
    touches_sbuf: Vec<bool>,
    touches_psum: Vec<bool>,
    /// Tiles by operation, compressed rows.
    tile_starts: Vec<u32>,
    tile_ids: Vec<u32>,
    /// Per tile: SBUF or PSUM, amount, operations left, first and last operation of the old order, allocated.
    tiles: Vec<TileState>,
    memory: [Memory; 2],
    lanes: [Lane; LANES],
    unmet: Vec<u32>,
    available: Vec<u64>,
    issued: Vec<bool>,
    frontier: usize,
    /// When each DMA engine, and HBM, is done with what it has.
    dma_free: Vec<u64>,
    hbm_free: u64,
    /// When each operation runs, once it is issued.
    spans: Vec<Span>,
    sbuf_shared: u64,
    psum_shared: u64,
    /// Tiles whose operations are all issued, by the time the last one ends.
    releases: BinaryHeap<Reverse<(u64, u32)>>,
}

#[derive(Clone, Copy, Default)]
struct TileState {
    psum: bool,
    amount: i64,
    left: u32,
    first: u32,
    last: u32,
    end: u64,
    allocated: bool,
}

struct Memory {
    profile: Profile,
    capacity: i64,
    limit: i64,
    load_limit: i64,
}

impl Lane {
    /// The set whose oldest ready operation is to run next: a set that must be loaded only if its operation is older by
    /// more than `patience` operations.
    fn next_set(&self, patience: usize) -> Option<usize> {
        let oldest = |set: usize| self.ready[set].peek().map(|&Reverse(op)| (op as usize, set));
        let at_hand = oldest(0).into_iter().chain(oldest(self.table)).min();
        let other = (0..TABLE_SETS).filter_map(oldest).min();
        match (at_hand, other) {
            (Some(a), Some(b)) if a.0 > b.0 + patience => Some(b.1),
            (Some(a), _) => Some(a.1),
            (None, other) => other.map(|b| b.1),
        }
    }
}

impl<'a> Scheduler<'a> {
    fn new(program: &Program, machine: &'a MachineModel, options: &'a ScheduleOptions) -> Scheduler<'a> {
        let n = program.ops.len();
        let graph = Graph::build(program);
        let costs = program.ops.iter().map(|op| op_cost(program, machine, op)).collect();
        let lane = program.ops.iter().map(|op| lane_of(op) as u8).collect();
        let table = program.ops.iter().map(|op| table_of(op) as u8).collect();
        let mut touches_sbuf = vec![false; n];
        let mut touches_psum = vec![false; n];
        let mut tile_starts = vec![0u32];
        let mut tile_ids = Vec::new();
        for (i, op) in program.ops.iter().enumerate() {
            op.for_each(|_, touched| {
                if let Touched::Tile(view) = touched {
                    match program.tile(view.tile).space {
                        Space::Psum => touches_psum[i] = true,
                        _ => touches_sbuf[i] = true,
                    }
                }
            });
            tile_ids.extend(tiles_of(op).iter().map(|t| t.0));
            tile_starts.push(tile_ids.len() as u32);
        }
        let lives = lives(program);
        let tiles: Vec<TileState> = program
            .tiles
            .iter()
            .zip(&lives)
            .map(|(tile, live)| TileState {
                psum: tile.space == Space::Psum,
                amount: footprint(machine, tile),
                left: live.map_or(0, |l| l.ops),
                first: live.map_or(0, |l| l.first),
                last: live.map_or(0, |l| l.last),
                end: 0,
                allocated: false,
            })
            .collect();
        let memory = [false, true].map(|psum| {
            let ranges = lives.iter().zip(&tiles).filter(|(_, t)| t.psum == psum);
            let profile = Profile::from_ranges(
                n,
                ranges.filter_map(|(live, t)| live.map(|l| (l.first as usize, l.last as usize, t.amount))),
            );
            if psum {
                let banks = machine.psum.banks as i64;
                Memory {
                    profile,
                    capacity: banks,
                    limit: banks,
                    load_limit: banks,
                }
            } else {
                let bytes = machine.sbuf.usable_bytes_per_partition as f64;
                Memory {
                    profile,
                    capacity: bytes as i64,
                    limit: (bytes * options.sbuf_share) as i64,
                    load_limit: (bytes * options.load_share) as i64,
                }
            }
        });
        let unmet = (0..n).map(|i| graph.preds(i).count() as u32).collect();
        Scheduler {
            machine,
            options,
            graph,
            costs,
            lane,
            table,
            touches_sbuf,
            touches_psum,
            tile_starts,
            tile_ids,
            tiles,
            memory,
            lanes: Default::default(),
            unmet,
            available: vec![0; n],
            issued: vec![false; n],
            frontier: 0,
            dma_free: vec![0; machine.dma.engines.max(1) as usize],
            hbm_free: 0,
            spans: vec![Span::default(); n],
            sbuf_shared: 0,
            psum_shared: 0,
            releases: BinaryHeap::new(),
        }
    }

    fn run(mut self) -> (Vec<u32>, Vec<Span>) {
        let n = self.issued.len();
        let mut order = Vec::with_capacity(n);
        for op in 0..n {
            if self.unmet[op] == 0 {
                self.enqueue(op as u32);
            }
        }
        while order.len() < n {
            let Some((lane, start)) = self.next_lane() else {
                // Nothing can start: memory comes free, or the frontier is among the blocked.
                self.release_next();
                self.unblock();
                continue;
            };
            self.release_until(start);
            let set = self.lanes[lane].next_set(self.options.table_patience);
            let oldest = set
                .and_then(|set| self.lanes[lane].ready[set].pop())
                .map(|Reverse(op)| op);
            let Some(op) = oldest.or_else(|| self.lanes[lane].pending.pop().map(|Reverse((_, op))| op)) else {
                continue;
            };
            let start = start.max(self.available[op as usize]);
            match self.allocate(op as usize, start) {
                Some(start) => {
                    self.issue(op as usize, start);
                    order.push(op);
                }
                None => self.lanes[lane].blocked.push(Reverse(op)),
            }
        }
        (order, self.spans)
    }

    fn reach(&self, lane: usize) -> usize {
        let ahead = if lane == LOADS {
            self.options.load_lookahead
        } else {
            self.options.lookahead
        };
        self.frontier.saturating_add(ahead)
    }

    fn enqueue(&mut self, op: u32) {
        let lane = self.lane[op as usize] as usize;
        if op as usize > self.reach(lane) {
            self.lanes[lane].far.push(Reverse(op));
        } else {
            self.lanes[lane]
                .pending
                .push(Reverse((self.available[op as usize], op)));
        }
    }

    /// The lane that can start something first, and when.
    fn next_lane(&mut self) -> Option<(usize, u64)> {
        // Transfers are not queued deeper than hides their latency several times.
        let horizon = 4 * (self.machine.dma_start_ps() + self.machine.dma_done_ps());
        let queued = self.dma_free.iter().copied().max().unwrap_or(0).max(self.hbm_free);
        let mut best: Option<(u64, u32, usize)> = None;
        for index in 0..LANES {
            let lane = &mut self.lanes[index];
            let mut free = lane.free;
            if index >= LOADS {
                free = free.max(queued.saturating_sub(horizon));
            }
            while let Some(&Reverse((time, op))) = lane.pending.peek() {
                if time > free {
                    break;
                }
                lane.pending.pop();
                lane.ready[self.table[op as usize] as usize].push(Reverse(op));
            }
            let set = lane.next_set(self.options.table_patience);
            let ready = set.and_then(|set| lane.ready[set].peek());
            let candidate = match (ready, lane.pending.peek()) {
                (Some(&Reverse(op)), _) => (free, op, index),
                (None, Some(&Reverse((time, op)))) => (time, op, index),
                (None, None) => continue,
            };
            if best.is_none_or(|b| candidate < b) {
                best = Some(candidate);
            }
        }
        best.map(|(start, _, lane)| (lane, start))
    }

    fn tiles_of(&self, op: usize) -> std::ops::Range<usize> {
        self.tile_starts[op] as usize..self.tile_starts[op + 1] as usize
    }

    /// Allocates what the operation is the first to touch. `None` if that must wait; else when it can start.
    fn allocate(&mut self, op: usize, start: u64) -> Option<u64> {
        let mut need = [0i64; 2];
        let mut until = self.frontier;
        for t in self.tiles_of(op) {
            let tile = &self.tiles[self.tile_ids[t] as usize];
            if !tile.allocated {
                need[usize::from(tile.psum)] += tile.amount;
                until = until.max(tile.first as usize);
            }
        }
        let mut start = start;
        if op == self.frontier {
            // The old order needs no permission, only time until memory is free.
            while (0..2).any(|m| need[m] > 0 && self.memory[m].profile.max(op, op + 1) > self.memory[m].capacity) {
                match self.release_next() {
                    Some(time) => start = start.max(time),
                    None => break,
                }
            }
        } else {
            for (m, &need) in need.iter().enumerate() {
                let memory = &self.memory[m];
                let mut limit = memory.limit;
                if usize::from(self.lane[op]) == LOADS {
                    // The farther ahead, the less it may take from what is needed sooner.
                    let ahead = (op - self.frontier).min(self.options.load_lookahead) as i64;
                    limit -= (limit - memory.load_limit) * ahead / self.options.load_lookahead.max(1) as i64;
                }
                if need > 0 && memory.profile.max(self.frontier, until) + need > limit {
                    return None;
                }
            }
        }
        for t in self.tiles_of(op) {
            let tile = &mut self.tiles[self.tile_ids[t] as usize];
            if !tile.allocated {
                tile.allocated = true;
                // From its old first operation on the old order counts the tile already.
                let memory = &mut self.memory[usize::from(tile.psum)];
                memory.profile.add(self.frontier, tile.first as usize, tile.amount);
            }
        }
        Some(start)
    }

    fn issue(&mut self, op: usize, start: u64) {
        let lane = self.lane[op] as usize;
        let cost = self.costs[op];
        let mut start = start;
        let sharing = &self.machine.concurrency;
        let (vector, scalar, gpsimd) = (Engine::Vector.index(), Engine::Scalar.index(), Engine::GpSimd.index());
        if sharing.vector_gpsimd_share_sbuf_exclusively
            && self.touches_sbuf[op]
            && (lane == vector || lane == gpsimd)
            && cost.data > 0
        {
            start = start.max(self.sbuf_shared);
            self.sbuf_shared = start + cost.data;
        }
        if sharing.vector_scalar_share_psum_exclusively && self.touches_psum[op] && (lane == vector || lane == scalar) {
            start = start.max(self.psum_shared);
            self.psum_shared = start + cost.data;
        }
        let set = self.table[op] as usize;
        if set != 0 && set != self.lanes[lane].table {
            self.lanes[lane].table = set;
            start += self.machine.table_load_ps(set as u64);
        }
        let next = start + cost.occupancy;
        let mut end = start + cost.latency;
        let mut moves = start;
        if cost.dma > 0 {
            let begin = start + self.machine.dma_start_ps();
            // It touches memory once an engine has time for it.
            moves = begin.max(self.dma_free.iter().copied().min().unwrap_or(0));
            let engines = self.dma_free.iter_mut().take(cost.dma_engines as usize);
            let last = engines.fold(0, |last, free| {
                *free = begin.max(*free) + cost.dma;
                last.max(*free)
            });
            self.hbm_free = self.hbm_free.max(begin) + cost.hbm;
            end = end.max(last.max(self.hbm_free) + self.machine.dma_done_ps());
        }
        self.spans[op] = Span { start: moves, end };
        self.lanes[lane].free = next;
        self.issued[op] = true;
        for t in self.tiles_of(op) {
            let id = self.tile_ids[t];
            let tile = &mut self.tiles[id as usize];
            tile.left -= 1;
            tile.end = tile.end.max(end);
            if tile.left == 0 {
                self.releases.push(Reverse((tile.end, id)));
            }
        }
        let tensor = Engine::Tensor.index();
        let transfer = cost.dma > 0;
        let across = end + self.machine.wait_to_start_ps();
        let mut met: smallvec::SmallVec<[u32; 8]> = smallvec::SmallVec::new();
        for Edge { node, raw } in self.graph.succs(op) {
            let same = self.lane[node] as usize == lane && !transfer;
            let time = match (same, raw) {
                (true, false) => next,
                // An accumulation group flows through the array without a stop.
                (true, true) if lane == tensor => next,
                (true, true) => end,
                (false, _) => across,
            };
            self.available[node] = self.available[node].max(time);
            self.unmet[node] -= 1;
            if self.unmet[node] == 0 {
                met.push(node as u32);
            }
        }
        for node in met {
            self.enqueue(node);
        }
        if op == self.frontier {
            while self.issued.get(self.frontier) == Some(&true) {
                self.frontier += 1;
            }
            for lane in 0..LANES {
                let reach = self.reach(lane);
                while let Some(&Reverse(op)) = self.lanes[lane].far.peek() {
                    if op as usize > reach {
                        break;
                    }
                    self.lanes[lane].far.pop();
                    let time = self.available[op as usize];
                    self.lanes[lane].pending.push(Reverse((time, op)));
                }
            }
            self.unblock();
        }
    }

    /// Lets the oldest blocked operation of each lane try again.
    fn unblock(&mut self) {
        for lane in &mut self.lanes {
            if let Some(Reverse(op)) = lane.blocked.pop() {
                lane.ready[self.table[op as usize] as usize].push(Reverse(op));
            }
        }
    }

    fn release(&mut self, id: u32) {
        let tile = self.tiles[id as usize];
        let memory = &mut self.memory[usize::from(tile.psum)];
        let from = self.frontier.min(tile.last as usize + 1);
        memory.profile.add(from, tile.last as usize + 1, -tile.amount);
        if tile.amount > 0 {
            self.unblock();
        }
    }

    /// Frees the tile that is free first; its time.
    fn release_next(&mut self) -> Option<u64> {
        let Reverse((time, id)) = self.releases.pop()?;
        self.release(id);
        Some(time)
    }

    fn release_until(&mut self, now: u64) {
        while let Some(&Reverse((time, _))) = self.releases.peek() {
            if time > now {
                break;
            }
            self.release_next();
        }
    }
}
