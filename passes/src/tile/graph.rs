//! The dependence graph of a tile program: which operation must come after which.
//!
//! Edges follow from overlapping accesses in program order. Buffers that may share memory (an output and the input it
//! aliases) count as one. Stored as compressed rows: ids are dense and the graph is read many times.

use ferrite_ir::tile::{BufferKind, Mem, OpKind, Program, Touched};

use petgraph::unionfind::UnionFind;

use super::access::{Access, AccessMap, Hazard, pitches};

/// Edges between operations, by position in program order.
pub(crate) struct Graph {
    starts: Vec<u32>,
    /// Predecessor times 2, plus 1 for read after write.
    preds: Vec<u32>,
    succ_starts: Vec<u32>,
    succs: Vec<u32>,
}

/// An edge seen from one end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    /// The operation at the other end.
    pub node: usize,
    /// Whether data flows along the edge.
    pub raw: bool,
}

fn decode(code: &u32) -> Edge {
    Edge {
        node: (code >> 1) as usize,
        raw: code & 1 == 1,
    }
}

/// For each buffer the address space it lies in: an aliased output shares that of its input, and all buffers that one stands
/// for in a loop share one with it.
pub(crate) fn hbm_spaces(program: &Program) -> Vec<u32> {
    let mut input_buffer = vec![None; program.inputs.len()];
    for (index, buffer) in program.buffers.iter().enumerate() {
        if let BufferKind::Input(n) = buffer.kind
            && let Some(slot) = input_buffer.get_mut(n as usize)
        {
            slot.get_or_insert(index as u32);
        }
    }
    let mut output_buffer = vec![None; program.outputs.len()];
    let own: Vec<u32> = (0..program.buffers.len())
        .map(|index| {
            let own = index as u32;
            match program.buffers[index].kind {
                BufferKind::Input(n) => input_buffer.get(n as usize).copied().flatten().unwrap_or(own),
                BufferKind::Output(n) => {
                    let alias = program.outputs.get(n as usize).and_then(|o| o.alias);
                    let input = alias.and_then(|i| input_buffer.get(i as usize).copied().flatten());
                    match (input, output_buffer.get_mut(n as usize)) {
                        (Some(input), _) => input,
                        (None, Some(first)) => *first.get_or_insert(own),
                        (None, None) => own,
                    }
                }
                BufferKind::Const(_) | BufferKind::Scratch | BufferKind::PerTrip(_) => own,
            }
        })
        .collect();
    let mut joined = UnionFind::new(program.buffers.len());
    for (index, buffer) in program.buffers.iter().enumerate() {
        if let BufferKind::PerTrip(members) = &buffer.kind {
            for member in members {
                joined.union(index as u32, own[member.index()]);
            }
        }
    }
    own.into_iter().map(|space| joined.find(space)).collect()
}

/// For each address space of [`hbm_spaces`], whether the program writes to it.
pub(crate) fn written_spaces(program: &Program, spaces: &[u32]) -> Vec<bool> {
    let mut written = vec![false; program.buffers.len()];
    for op in &program.ops {
        if let OpKind::Dma(_) | OpKind::Indirect(_) = op.kind {
            op.for_each(|role, touched| {
                let buffer = match touched {
                    Touched::Hbm(h) => h.buffer,
                    Touched::Buffer(b) => b,
                    Touched::Tile(_) => return,
                };
                if role.writes() {
                    written[spaces[buffer.index()] as usize] = true;
                }
            });
        }
    }
    written
}

/// Whether the operation moves data from HBM into SBUF.
pub(crate) fn is_load(kind: &OpKind) -> bool {
    match kind {
        OpKind::Dma(pieces) => pieces.iter().any(|p| matches!(p.dst, Mem::Tile(_))),
        _ => false,
    }
}

impl Graph {
    /// Builds the graph; near linear in the number of accesses.
    pub fn build(program: &Program) -> Graph {
        let spaces = hbm_spaces(program);
        let written = written_spaces(program, &spaces);
        let mut tiles = vec![AccessMap::default(); program.tiles.len()];
        let pitches = pitches(program, &spaces);
        let mut buffers: Vec<AccessMap> = pitches.into_iter().map(AccessMap::with_pitch).collect();
        let mut starts = Vec::with_capacity(program.ops.len() + 1);
        let mut preds: Vec<u32> = Vec::with_capacity(program.ops.len() * 4);
        let mut found: Vec<u32> = Vec::new();
        // The last control operation: nothing moves across one.
        let mut control: Option<u32> = None;
        starts.push(0);
        for (index, op) in program.ops.iter().enumerate() {
            found.clear();
            if op.control().is_some() {
                found.extend((control.unwrap_or(0)..index as u32).map(|node| node << 1));
                control = Some(index as u32);
            } else {
                found.extend(control.map(|node| node << 1));
            }
            let mut depends = |node: u32, hazard: Hazard| found.push(node << 1 | u32::from(hazard == Hazard::Raw));
            op.for_each(|role, touched| {
                let (map, access) = match touched {
                    Touched::Tile(view) => (&mut tiles[view.tile.index()], Access::of_view(view, 0)),
                    Touched::Hbm(h) => {
                        let space = spaces[h.buffer.index()] as usize;
                        if !written[space] {
                            return;
                        }
                        (&mut buffers[space], Access::of_hbm(h, 0))
                    }
                    Touched::Buffer(b) => {
                        let space = spaces[b.index()] as usize;
                        if !written[space] {
                            return;
                        }
                        let bytes = program.buffers[b.index()].bytes as i64;
                        (&mut buffers[space], Access::dense(0, bytes.max(1), (0, 1)))
                    }
                };
                if role.reads() {
                    map.touch(index as u32, None, false, access.clone(), &mut depends);
                }
                if role.writes() {
                    map.touch(index as u32, None, true, access, &mut depends);
                }
            });
            found.sort_unstable();
            // Of two edges to one node the one with data is kept: it sorts last.
            let from = preds.len();
            for &code in &found {
                match preds[from..].last_mut() {
                    Some(last) if *last >> 1 == code >> 1 => *last = code,
                    _ => preds.push(code),
                }
            }
            starts.push(preds.len() as u32);
        }
        let mut succ_starts = vec![0u32; program.ops.len() + 1];
        for code in &preds {
            succ_starts[(code >> 1) as usize + 1] += 1;
        }
        for i in 0..program.ops.len() {
            succ_starts[i + 1] += succ_starts[i];
        }
        let mut fill = succ_starts.clone();
        let mut succs = vec![0u32; preds.len()];
        for node in 0..program.ops.len() {
            for code in &preds[starts[node] as usize..starts[node + 1] as usize] {
                let slot = &mut fill[(code >> 1) as usize];
                succs[*slot as usize] = (node as u32) << 1 | (code & 1);
                *slot += 1;
            }
        }
        Graph {
            starts,
            preds,
            succ_starts,
            succs,
        }
    }

    /// What must come before `node`.
    pub fn preds(&self, node: usize) -> impl Iterator<Item = Edge> + '_ {
        self.preds[self.starts[node] as usize..self.starts[node + 1] as usize]
            .iter()
            .map(decode)
    }

    /// What must come after `node`.
    pub fn succs(&self, node: usize) -> impl Iterator<Item = Edge> + '_ {
        self.succs[self.succ_starts[node] as usize..self.succ_starts[node + 1] as usize]
            .iter()
            .map(decode)
    }
}
