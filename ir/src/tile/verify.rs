//! Rules of a tile program that every pass keeps.

use super::{BufferId, BufferKind, Control, Engine, Mem, Op, OpKind, Program, Touched};
use crate::diag::{Diagnostic, Result};
use crate::dtype::DType;

/// Checks that operands lie inside their tiles and buffers, that nothing is read before it was written, that both sides
/// of a DMA have as many elements, that control flow nests, and that no tile lives across it. A violation is a defect of
/// the pass that ran last.
///
/// # Errors
/// The first violation.
pub fn verify(program: &Program) -> Result<()> {
    let mut written = vec![false; program.tiles.len()];
    let mut structure = Structure::default();
    // Number of the stretch of straight code that touched a tile.
    let mut stretch = vec![None; program.tiles.len()];
    let trips = trips(program);
    for (index, op) in program.ops.iter().enumerate() {
        let mut problem: Option<String> = structure.step(op);
        op.for_each(|role, touched| {
            let message = match touched {
                Touched::Tile(view) => match program.tiles.get(view.tile.index()) {
                    None => Some(format!("names tile {} of {}", view.tile.0, program.tiles.len())),
                    Some(tile) => {
                        let (low, high) = view.byte_range();
                        let inside = low >= 0
                            && high <= i64::from(tile.bytes)
                            && u32::from(view.partition) + u32::from(view.partitions) <= u32::from(tile.partitions)
                            && view.partitions > 0;
                        if !inside {
                            Some(format!(
                                "touches partitions {}+{} bytes {low}..{high} of tile {} `{}` with {} partitions of {} bytes",
                                view.partition, view.partitions, view.tile.0, tile.name, tile.partitions, tile.bytes
                            ))
                        } else if *stretch[view.tile.index()].get_or_insert(structure.stretch) != structure.stretch {
                            Some(format!("touches tile {} `{}` across control flow", view.tile.0, tile.name))
                        } else if role.reads() && !written[view.tile.index()] {
                            Some(format!("reads tile {} `{}` before anything was written", view.tile.0, tile.name))
                        } else {
                            None
                        }
                    }
                },
                Touched::Hbm(access) => match program.buffers.get(access.buffer.index()) {
                    None => Some(format!("names buffer {}", access.buffer.0)),
                    Some(buffer) => {
                        let (low, high) = access.byte_range();
                        (low < 0 || u64::try_from(high).is_ok_and(|high| high > buffer.bytes))
                            .then(|| format!("touches bytes {low}..{high} of `{}` with {}", buffer.name, buffer.bytes))
                    }
                },
                Touched::Buffer(id) => {
                    (id.index() >= program.buffers.len()).then(|| format!("names buffer {}", id.0))
                }
            };
            let buffer = match touched {
                Touched::Tile(_) => None,
                Touched::Hbm(access) => Some(access.buffer),
                Touched::Buffer(id) => Some(id),
            };
            let message = message.or_else(|| per_trip(program, buffer?, &trips, index));
            if problem.is_none() {
                problem = message;
            }
        });
        op.for_each(|role, touched| {
            if let (true, Touched::Tile(view)) = (role.writes(), touched)
                && let Some(flag) = written.get_mut(view.tile.index())
            {
                *flag = true;
            }
        });
        if let OpKind::Dma(pieces) = &op.kind {
            for piece in pieces {
                if piece.src.elements() != piece.dst.elements() {
                    problem = problem.or(Some(format!(
                        "copies {} elements into {}",
                        piece.src.elements(),
                        piece.dst.elements()
                    )));
                }
                if let (Mem::Tile(v), _) | (_, Mem::Tile(v)) = (&piece.src, &piece.dst)
                    && program
                        .tiles
                        .get(v.tile.index())
                        .is_some_and(|t| t.space == super::Space::Psum)
                {
                    problem = problem.or(Some("moves PSUM by DMA".to_string()));
                }
            }
        }
        if let Some(problem) = problem {
            let place = program.locs.get(op.loc);
            return Err(Diagnostic::bug(format!("tile operation {index} `{}` {problem}", op.name())).at(place));
        }
    }
    match structure.open.last() {
        None => Ok(()),
        Some(_) => Err(Diagnostic::bug("a loop or selection of the tile program has no end")),
    }
}

/// Loops with their repetitions, where they are constant; inner ones first.
fn trips(program: &Program) -> Vec<(usize, usize, Option<u32>)> {
    let repetitions = |end: usize| match program.ops[end].control() {
        Some(Control::Repeat(n)) => Some(n),
        _ => None,
    };
    program
        .loops()
        .into_iter()
        .map(|(begin, end)| (begin, end, repetitions(end)))
        .collect()
}

/// What is wrong with the use of a buffer that may be per trip.
fn per_trip(
    program: &Program,
    buffer: BufferId,
    trips: &[(usize, usize, Option<u32>)],
    index: usize,
) -> Option<String> {
    let whole = program.buffers.get(buffer.index())?;
    let BufferKind::PerTrip(members) = &whole.kind else {
        return None;
    };
    let name = &whole.name;
    let around = trips.iter().find(|(begin, end, _)| *begin < index && index < *end);
    let Some((_, _, Some(repetitions))) = around else {
        return Some(format!("touches `{name}`, which is per trip, in no loop that counts"));
    };
    if members.len() != *repetitions as usize {
        return Some(format!(
            "touches `{name}`, which has {} buffers for {repetitions} repetitions",
            members.len()
        ));
    }
    let fits = |m: &BufferId| {
        let member = program.buffers.get(m.index());
        member.is_some_and(|b| b.bytes == whole.bytes && !matches!(b.kind, BufferKind::PerTrip(_)))
    };
    (!members.iter().all(fits))
        .then(|| format!("touches `{name}`, which stands for a buffer that is missing, per trip or of another size"))
}

/// What is open at a point of the program.
#[derive(Default)]
struct Structure {
    /// Loops (`None`) and selections with the branches still to come.
    open: Vec<Option<u32>>,
    /// Control operations so far.
    stretch: u32,
    /// Engines whose test register was loaded since the last control operation, as bits.
    tested: u8,
}

impl Structure {
    fn step(&mut self, op: &Op) -> Option<String> {
        if let OpKind::LoadTest { src } = &op.kind {
            let Some(engine) = op.engine else {
                return Some("has no engine".to_string());
            };
            self.tested |= 1 << engine.index();
            let one = src.partitions == 1 && src.elements() == 1 && src.dtype == DType::I32;
            return (!one).then(|| "loads something else than one i32".to_string());
        }
        let control = op.control()?;
        self.stretch += 1;
        let tested = std::mem::take(&mut self.tested);
        if control.tests() && usize::from(tested) + 1 != 1 << Engine::ALL.len() {
            return Some("tests registers that were not loaded".to_string());
        }
        let fits = match control {
            Control::Loop => {
                self.open.push(None);
                true
            }
            Control::Repeat(0) | Control::Switch(0) => false,
            Control::Repeat(_) | Control::RepeatWhile => self.open.pop() == Some(None),
            Control::Switch(branches) => {
                self.open.push(Some(branches - 1));
                true
            }
            Control::NextBranch => match self.open.last_mut() {
                Some(Some(left)) if *left > 0 => {
                    *left -= 1;
                    true
                }
                _ => false,
            },
            Control::EndSwitch => self.open.pop() == Some(Some(0)),
        };
        (!fits).then(|| "has no place here".to_string())
    }
}
