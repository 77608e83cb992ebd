//! Decides which semaphores keep the order of a placed program: `synchronise`.
//!
//! In: a scheduled program with addresses. Out: for each operation what it waits for and whether it signals, and the
//! points where all semaphores are reset. What must be ordered follows from the addresses alone, so reuse of memory is
//! ordered like any other dependence. Vector clocks drop every wait that an earlier one already implies.
//!
//! Each engine has one counter, which the instructions somebody waits for increase when they are complete; as
//! instructions of one engine complete in order (our assumption), a value stands for everything up to an instruction,
//! and any number of engines may wait for it. An engine's own earlier results need no wait: it interlocks (our
//! assumption); transfers do not interlock with anything, so their triggers wait for the triggering engine too.
//! Each outstanding transfer has a semaphore of its own, used again only when the engine that starts the next transfer
//! knows the last one to be complete. Counters would overflow in long programs: before that SyncE waits for everything,
//! clears all semaphores and releases the other engines. The same happens at every point of control flow: each engine
//! has a releasing semaphore that it clears itself, and counts that, so that a reset leaves all semaphores with the same
//! values whatever ran before it, and a loop finds at its start what it found the first time.

use std::collections::{BTreeMap, VecDeque};

use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::machine::{Engine, MachineModel, Space};
use ferrite_ir::tile::{BufferId, BufferKind, OpKind, Program, Role, TileId, Touched, View};
use smallvec::SmallVec;

use super::access::{Access, AccessMap, pitches};
use super::cost::op_cost;
use super::graph::{hbm_spaces, written_spaces};
use super::place::Placement;

/// Limits of synchronisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncOptions {
    /// Transfers that may be outstanding; fewer if the machine has fewer semaphores.
    pub transfers: usize,
    /// Largest value of a counter; `None` for what the machine's semaphores hold.
    pub counter_limit: Option<u32>,
    /// Latencies of a transfer's worth of loads that may be queued: more keeps the DMA engines no busier, but keeps
    /// urgent transfers waiting. 0 for no bound.
    pub queued_latencies: u64,
}

impl Default for SyncOptions {
    fn default() -> Self {
        SyncOptions {
            transfers: 64,
            counter_limit: None,
            queued_latencies: 4,
        }
    }
}

/// What an instruction waits for: semaphore and least value.
pub type Waits = SmallVec<[(u16, u32); 2]>;

/// Synchronisation of one operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpSync {
    /// Before the stationary operand of a matmul is loaded; empty for other operations.
    pub load_waits: Waits,
    /// Before the operation itself.
    pub waits: Waits,
    /// Whether the engine's counter goes up when the operation is complete.
    pub signals: bool,
    /// Completion semaphore of a transfer.
    pub transfer: Option<u16>,
    /// Whether a matmul loads its stationary operand (it may be loaded still).
    pub loads: bool,
}

/// A point where SyncE waits for everything and clears all semaphores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reset {
    /// Before this operation; the number of operations for the end of the program.
    pub before: usize,
    /// What SyncE waits for.
    pub waits: Vec<(u16, u32)>,
}

/// Synchronisation of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncPlan {
    /// By operation.
    pub ops: Vec<OpSync>,
    /// Resets in order; the last one is the end of the program.
    pub resets: Vec<Reset>,
    /// Number of semaphores used, from 0.
    pub semaphores: u16,
}

/// Semaphore that counts an engine's completed instructions.
pub(crate) fn counter_of(engine: Engine) -> u16 {
    engine.index() as u16
}

/// Semaphore by which SyncE releases an engine after a reset; the engine clears it.
pub(crate) fn release_of(engine: Engine) -> u16 {
    (Engine::ALL.len() + engine.index()) as u16
}

/// First completion semaphore of transfers.
pub(crate) const FIRST_TRANSFER: u16 = 2 * Engine::ALL.len() as u16;

/// Whether a reset releases the engine, which then counts 1: all but SyncE, which makes the reset.
pub(crate) fn is_released(engine: Engine) -> bool {
    engine != Engine::Sync
}

/// Which matmuls must load their stationary operand: all but those that find it loaded and unchanged.
fn stationary_loads(program: &Program) -> Vec<bool> {
    let mut version = vec![0u32; program.tiles.len()];
    let mut loaded: Option<(&View, u32)> = None;
    let mut loads = Vec::with_capacity(program.ops.len());
    for op in &program.ops {
        let mut load = false;
        if let OpKind::Matmul { stationary, .. } = &op.kind {
            let want = (stationary, version[stationary.tile.index()]);
            load = loaded != Some(want);
            loaded = Some(want);
        }
        loads.push(load);
        op.for_each(|role, touched| {
            if let (true, Touched::Tile(view)) = (role.writes(), touched) {
                version[view.tile.index()] += 1;
            }
        });
    }
    loads
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Node {
    /// Control flow: nothing depends on it but through the reset before it.
    Control,
    Compute(Engine),
    /// Slot and generation within the epoch.
    Transfer(u16, u32),
}

/// Clocks: for each engine the number of the last operation known complete plus 1, then for each transfer slot the last
/// generation known complete.
struct Clocks {
    width: usize,
    /// All versions, one after the other.
    versions: Vec<u32>,
    /// Current version of each engine.
    current: [usize; 5],
}

impl Clocks {
    fn new(slots: usize) -> Clocks {
        let width = Engine::ALL.len() + slots;
        Clocks {
            width,
            versions: vec![0; width],
            current: [0; 5],
        }
    }

    fn get(&self, engine: Engine, index: usize) -> u32 {
        self.versions[self.current[engine.index()] * self.width + index]
    }

    /// The engine learns what version `from` knew, and that component `index` reached `value`.
    fn learn(&mut self, engine: Engine, from: usize, index: usize, value: u32) {
        let old = self.current[engine.index()] * self.width;
        let from = from * self.width;
        let new = self.versions.len();
        for i in 0..self.width {
            let v = self.versions[old + i].max(self.versions[from + i]);
            self.versions.push(v);
        }
        self.versions[new + index] = self.versions[new + index].max(value);
        self.current[engine.index()] = new / self.width;
    }

    /// Everything up to operation `before` is complete and everybody knows.
    fn reset(&mut self, before: u32) {
        self.versions.clear();
        self.versions.resize(self.width, 0);
        self.versions[..Engine::ALL.len()].fill(before);
        self.current = [0; 5];
    }
}

struct Planner<'a> {
    program: &'a Program,
    nodes: Vec<Node>,
    /// Clock version of the engine when the operation began.
    version: Vec<u32>,
    clocks: Clocks,
    /// First operation of the epoch: older ones are complete.
    epoch: usize,
    /// Last transfer of each slot in this epoch: generation and operation.
    slots: Vec<(u32, usize)>,
    cursor: usize,
    /// Last computation of each engine in this epoch, and how many there were.
    last: [Option<usize>; 5],
    count: [u32; 5],
    /// Waits by operation: those of the load, then those of the operation.
    waits: Vec<[SmallVec<[u32; 2]>; 2]>,
    signals: Vec<bool>,
    /// Operations that SyncE waits for at each reset, and engines that did nothing but count their release.
    resets: Vec<(usize, Vec<u32>, Vec<Engine>)>,
    /// Loads that SyncE started and does not know to be complete, with the time each takes; their sum.
    queued: VecDeque<(usize, u64)>,
    queued_time: u64,
}

impl Planner<'_> {
    fn knows(&self, engine: Engine, node: usize) -> bool {
        if node < self.epoch {
            return true;
        }
        match self.nodes[node] {
            Node::Control => true,
            Node::Compute(by) => self.clocks.get(engine, by.index()) > node as u32,
            Node::Transfer(slot, generation) => {
                self.clocks.get(engine, Engine::ALL.len() + slot as usize) >= generation
            }
        }
    }

    fn learn(&mut self, engine: Engine, node: usize) {
        let from = self.version[node] as usize;
        match self.nodes[node] {
            Node::Control => {}
            Node::Compute(by) => {
                self.signals[node] = true;
                self.clocks.learn(engine, from, by.index(), node as u32 + 1);
            }
            Node::Transfer(slot, generation) => {
                self.clocks
                    .learn(engine, from, Engine::ALL.len() + slot as usize, generation);
            }
        }
    }

    /// Waits on `engine` until all of `deps` are complete; the operations it waits for by name.
    fn wait_for(&mut self, engine: Engine, transfer: bool, deps: &mut Vec<u32>) -> SmallVec<[u32; 2]> {
        deps.sort_unstable();
        deps.dedup();
        let mut waits = SmallVec::new();
        // The latest first: it implies most.
        for &dep in deps.iter().rev() {
            let node = dep as usize;
            let interlocked = !transfer && self.nodes[node] == Node::Compute(engine);
            if interlocked || self.knows(engine, node) {
                continue;
            }
            self.learn(engine, node);
            waits.push(dep);
        }
        deps.clear();
        waits
    }

    /// A slot for the next transfer of `engine`, and what must be waited for first.
    fn take_slot(&mut self, engine: Engine, waits: &mut SmallVec<[u32; 2]>) -> usize {
        let n = self.slots.len();
        let known = |this: &Self, slot: usize| {
            let (generation, _) = this.slots[slot];
            this.clocks.get(engine, Engine::ALL.len() + slot) >= generation
        };
        let free = (0..n).map(|i| (self.cursor + i) % n).find(|&s| known(self, s));
        let slot = match free {
            Some(slot) => slot,
            None => {
                let oldest = (0..n).min_by_key(|&s| self.slots[s].1).unwrap_or(0);
                let node = self.slots[oldest].1;
                self.learn(engine, node);
                waits.push(node as u32);
                oldest
            }
        };
        self.cursor = (slot + 1) % n;
        slot
    }

    /// Keeps SyncE from running ahead of the DMA engines by more than `bound` besides the transfer under way.
    fn pace(&mut self, index: usize, time: u64, bound: u64, waits: &mut SmallVec<[u32; 2]>) {
        while let Some(&(oldest, took)) = self.queued.front() {
            if !self.knows(Engine::Sync, oldest) {
                if self.queued_time - took <= bound {
                    break;
                }
                self.learn(Engine::Sync, oldest);
                waits.push(oldest as u32);
            }
            self.queued.pop_front();
            self.queued_time -= took;
        }
        self.queued.push_back((index, time));
        self.queued_time += time;
    }

    /// SyncE waits for everything before operation `before`, and all counters start again.
    fn reset(&mut self, before: usize) {
        let mut deps: Vec<u32> = self.last.iter().flatten().map(|&n| n as u32).collect();
        deps.extend(self.slots.iter().filter(|(g, _)| *g > 0).map(|&(_, n)| n as u32));
        let waits = self.wait_for(Engine::Sync, true, &mut deps);
        let idle = |e: &Engine| is_released(*e) && self.last[e.index()].is_none();
        let idle = if self.resets.is_empty() {
            Vec::new()
        } else {
            Engine::ALL.into_iter().filter(idle).collect()
        };
        self.resets.push((before, waits.to_vec(), idle));
        self.clocks.reset(before as u32);
        self.slots.fill((0, 0));
        self.last = [None; 5];
        self.count = Engine::ALL.map(|e| u32::from(is_released(e)));
        self.epoch = before;
    }
}

/// Plans the synchronisation of a placed program.
///
/// # Errors
/// An operation without an engine: a defect of the pass before.
pub fn synchronise(
    program: &Program,
    placement: &Placement,
    machine: &MachineModel,
    options: &SyncOptions,
) -> Result<SyncPlan> {
    let n = program.ops.len();
    let loads = stationary_loads(program);
    let widest = 1u64
        .checked_shl(machine.sync.semaphore_bits as u32)
        .map_or(u32::MAX, |v| (v - 1).min(u64::from(u32::MAX)) as u32);
    let limit = options.counter_limit.unwrap_or(widest).min(widest);
    let increment = machine.dma.semaphore_increment.max(1) as u32;
    if limit < increment {
        return Err(Diagnostic::bug(format!(
            "a semaphore that counts to {limit} cannot hold the {increment} increments of a transfer"
        )));
    }
    let spare = (machine.sync.semaphores as usize).saturating_sub(FIRST_TRANSFER as usize);
    let slots = options.transfers.clamp(1, spare.max(1));
    let mut planner = Planner {
        program,
        nodes: Vec::with_capacity(n),
        version: Vec::with_capacity(n),
        clocks: Clocks::new(slots),
        epoch: 0,
        slots: vec![(0, 0); slots],
        cursor: 0,
        last: [None; 5],
        count: [0; 5],
        waits: Vec::with_capacity(n),
        signals: vec![false; n],
        resets: Vec::new(),
        queued: VecDeque::new(),
        queued_time: 0,
    };
    let bound = options
        .queued_latencies
        .saturating_mul(machine.dma_start_ps() + machine.dma_done_ps());
    let mut memory = Memory::new(program, placement);
    let mut deps: Vec<u32> = Vec::new();
    for (index, op) in program.ops.iter().enumerate() {
        if op.control().is_some() {
            planner.reset(index);
            planner.nodes.push(Node::Control);
            planner.version.push(0);
            planner.waits.push(Default::default());
            continue;
        }
        let Some(engine) = op.engine else {
            return Err(
                Diagnostic::bug(format!("tile operation {index} `{}` has no engine", op.name()))
                    .at(program.locs.get(op.loc)),
            );
        };
        let transfer = matches!(op.kind, OpKind::Dma(_) | OpKind::Indirect(_));
        let full_slot = planner
            .slots
            .iter()
            .any(|&(g, _)| (g + 1).saturating_mul(increment) > limit);
        if planner.count[engine.index()] >= limit || full_slot {
            planner.reset(index);
        }
        let chain = (!transfer).then_some(engine.index() as u8);
        let mut waits: [SmallVec<[u32; 2]>; 2] = Default::default();
        if let OpKind::Matmul { stationary, .. } = &op.kind
            && loads[index]
        {
            memory.touch_tile(index as u32, chain, Role::Read, stationary, &mut deps);
            waits[0] = planner.wait_for(engine, false, &mut deps);
        }
        let skip = match &op.kind {
            OpKind::Matmul { stationary, .. } => Some(stationary),
            _ => None,
        };
        op.for_each(|role, touched| match touched {
            Touched::Tile(view) => {
                if !skip.is_some_and(|s| std::ptr::eq(s, view)) {
                    memory.touch_tile(index as u32, chain, role, view, &mut deps);
                }
            }
            Touched::Hbm(h) => {
                memory.touch_hbm(
                    (index as u32, role),
                    h.buffer.index(),
                    Some(h),
                    &planner.nodes,
                    &mut deps,
                );
            }
            Touched::Buffer(b) => {
                memory.touch_hbm((index as u32, role), b.index(), None, &planner.nodes, &mut deps);
            }
        });
        waits[1] = planner.wait_for(engine, transfer, &mut deps);
        if transfer {
            if engine == Engine::Sync && bound > 0 {
                let cost = op_cost(program, machine, op);
                let time = cost.dma.max(cost.hbm);
                planner.pace(index, time, bound, &mut waits[1]);
            }
            let slot = planner.take_slot(engine, &mut waits[1]);
            let generation = planner.slots[slot].0 + 1;
            planner.slots[slot] = (generation, index);
            planner.nodes.push(Node::Transfer(slot as u16, generation));
        } else {
            planner.nodes.push(Node::Compute(engine));
            planner.last[engine.index()] = Some(index);
            planner.count[engine.index()] += 1;
        }
        planner.version.push(planner.clocks.current[engine.index()] as u32);
        planner.waits.push(waits);
    }
    planner.reset(n);
    Ok(planner.finish(&loads, increment))
}

impl Planner<'_> {
    /// Turns operations waited for into semaphore values.
    fn finish(self, loads: &[bool], increment: u32) -> SyncPlan {
        let n = self.nodes.len();
        // Value of the own counter (or completion semaphore) after each operation.
        let mut value = vec![0u32; n];
        let mut counters = [0u32; 5];
        let mut resets = self.resets.iter().peekable();
        for (index, value) in value.iter_mut().enumerate() {
            while resets.next_if(|r| r.0 <= index).is_some() {
                counters = Engine::ALL.map(|e| u32::from(is_released(e)));
            }
            *value = match self.nodes[index] {
                Node::Compute(engine) => {
                    let counter = &mut counters[engine.index()];
                    *counter += u32::from(self.signals[index]);
                    *counter
                }
                Node::Transfer(_, generation) => generation * increment,
                Node::Control => 0,
            };
        }
        let target = |node: &u32| {
            let node = *node as usize;
            let semaphore = match self.nodes[node] {
                Node::Compute(engine) => counter_of(engine),
                Node::Transfer(slot, _) => FIRST_TRANSFER + slot,
                // Never waited for: the reset before it did.
                Node::Control => counter_of(Engine::Sync),
            };
            (semaphore, value[node])
        };
        let mut semaphores = 0;
        let ops = (0..n)
            .map(|index| {
                let transfer = match self.nodes[index] {
                    Node::Transfer(slot, _) => Some(FIRST_TRANSFER + slot),
                    Node::Compute(_) | Node::Control => None,
                };
                semaphores = semaphores.max(transfer.map_or(FIRST_TRANSFER, |t| t + 1));
                let [load_waits, waits] = &self.waits[index];
                OpSync {
                    load_waits: load_waits.iter().map(target).collect(),
                    waits: waits.iter().map(target).collect(),
                    signals: self.signals[index],
                    transfer,
                    loads: loads[index],
                }
            })
            .collect();
        let resets = self
            .resets
            .iter()
            .map(|(before, waits, idle)| Reset {
                before: *before,
                waits: waits
                    .iter()
                    .map(target)
                    .chain(idle.iter().map(|&e| (counter_of(e), 1)))
                    .collect(),
            })
            .collect();
        debug_assert_eq!(self.program.ops.len(), n);
        SyncPlan {
            ops,
            resets,
            semaphores,
        }
    }
}

/// Who touched which addresses last.
struct Memory<'a> {
    program: &'a Program,
    placement: &'a Placement,
    sbuf: AccessMap,
    psum: AccessMap,
    buffers: Vec<AccessMap>,
    spaces: Vec<u32>,
    written: Vec<bool>,
    /// Scratch buffers in the order in which they were touched first, with the bytes they have of the shared memory; those
    /// that a later one hides as a whole are gone.
    occupants: Vec<(i64, i64, usize)>,
    /// For a scratch buffer that was touched: who must be done with its memory before it is written.
    inherited: Vec<Option<Vec<u32>>>,
}

impl<'a> Memory<'a> {
    fn new(program: &'a Program, placement: &'a Placement) -> Memory<'a> {
        let spaces = hbm_spaces(program);
        let written = written_spaces(program, &spaces);
        let pitches = pitches(program, &spaces);
        Memory {
            program,
            placement,
            sbuf: AccessMap::default(),
            psum: AccessMap::default(),
            buffers: pitches.into_iter().map(AccessMap::with_pitch).collect(),
            spaces,
            written,
            occupants: Vec::new(),
            inherited: vec![None; program.buffers.len()],
        }
    }

    fn tile_base(&self, tile: TileId) -> i64 {
        i64::from(self.placement.tiles[tile.index()])
    }

    fn touch_tile(&mut self, node: u32, chain: Option<u8>, role: Role, view: &View, deps: &mut Vec<u32>) {
        let access = Access::of_view(view, self.tile_base(view.tile));
        let map = match self.program.tile(view.tile).space {
            Space::Psum => &mut self.psum,
            Space::Sbuf | Space::Hbm => &mut self.sbuf,
        };
        touch(map, node, chain, role, access, deps);
    }

    /// Takes the memory of a scratch buffer over from those that had it. Of the transfers of one slot the last stands for
    /// all.
    fn occupy(&mut self, buffer: usize, nodes: &[Node]) {
        let low = self.placement.scratch[buffer] as i64;
        let high = low + (self.program.buffers[buffer].bytes as i64).max(1);
        let mut last: BTreeMap<u16, u32> = BTreeMap::new();
        for &(_, _, before) in self.occupants.iter().filter(|o| o.0 < high && low < o.1) {
            let earlier = self.inherited[before].iter().flatten().copied();
            for node in self.buffers[before].nodes().chain(earlier) {
                if let Node::Transfer(slot, _) = nodes[node as usize] {
                    let latest = last.entry(slot).or_default();
                    *latest = (*latest).max(node);
                }
            }
        }
        self.occupants.retain(|o| o.0 < low || high < o.1);
        self.occupants.push((low, high, buffer));
        self.inherited[buffer] = Some(last.into_values().collect());
    }

    fn touch_hbm(
        &mut self,
        (node, role): (u32, Role),
        buffer: usize,
        part: Option<&ferrite_ir::tile::HbmAccess>,
        nodes: &[Node],
        deps: &mut Vec<u32>,
    ) {
        let id = BufferId(buffer as u32);
        let program = self.program;
        let space = self.spaces[buffer] as usize;
        let members = program.members(&id).iter().map(|m| m.index());
        let scratch = members.filter(|&m| matches!(program.buffers[m].kind, BufferKind::Scratch));
        let mut is_scratch = false;
        for member in scratch {
            is_scratch = true;
            if self.inherited[member].is_none() {
                self.occupy(member, nodes);
            }
            if role.writes() {
                deps.extend(self.inherited[member].iter().flatten());
            }
        }
        if !is_scratch && !self.written[space] {
            return;
        }
        let access = match part {
            Some(part) => Access::of_hbm(part, 0),
            None => Access::dense(0, (self.program.buffers[buffer].bytes as i64).max(1), (0, 1)),
        };
        touch(&mut self.buffers[space], node, None, role, access, deps);
    }
}

fn touch(map: &mut AccessMap, node: u32, chain: Option<u8>, role: Role, access: Access, deps: &mut Vec<u32>) {
    if role.reads() {
        map.touch(node, chain, false, access.clone(), |n, _| deps.push(n));
    }
    if role.writes() {
        map.touch(node, chain, true, access, |n, _| deps.push(n));
    }
}
