//! Which results may be computed in the buffer that an input and an output share.
//!
//! A write may take the place of an input's bytes when nothing reads those bytes afterwards. A streaming update reads and
//! writes piece after piece, so pieces are compared, not whole buffers; what a loop does, it does to all of a buffer, from
//! its first operation to its last. A buffer that stands for another one in each repetition is touched in that repetition
//! only, as if the loop were written out.

use ferrite_ir::tile::{BufferId, BufferKind, Control, Program, Touched};

use crate::tile::access::{Access, AccessMap};

/// One access of a buffer.
#[derive(Clone)]
struct Use {
    op: u32,
    writes: bool,
    bytes: Access,
}

/// How often a loop that ends at an operation is known to run.
fn repetitions(program: &Program, end: usize) -> usize {
    match program.ops[end].control() {
        Some(Control::Repeat(n)) => (n as usize).max(1),
        _ => 1,
    }
}

/// The accesses of every buffer, in program order.
pub(super) struct Uses {
    buffers: Vec<Vec<Use>>,
}

impl Uses {
    /// Collects them in one walk.
    pub fn of(program: &Program) -> Uses {
        let mut outer: Vec<(usize, usize)> = Vec::new();
        for (begin, end) in program.loops() {
            // Inner loops come before the ones they stand in.
            while outer.last().is_some_and(|o| o.0 > begin) {
                outer.pop();
            }
            outer.push((begin, end));
        }
        let mut outer = outer.into_iter().peekable();
        let mut buffers: Vec<Vec<Use>> = vec![Vec::new(); program.buffers.len()];
        // Operations that loops before add when they are written out.
        let mut added = 0;
        for (index, op) in program.ops.iter().enumerate() {
            while let Some((begin, end)) = outer.next_if(|o| o.1 < index) {
                added += (repetitions(program, end) - 1) * (end - begin);
            }
            let around = outer.peek().copied().filter(|o| o.0 <= index);
            op.for_each(|role, touched| {
                let (buffer, part) = match touched {
                    Touched::Hbm(h) => (h.buffer, Some(h)),
                    Touched::Buffer(b) => (b, None),
                    Touched::Tile(_) => return,
                };
                let whole = Access::dense(0, (program.buffer(buffer).bytes as i64).max(1), (0, 1));
                let mut add = |buffer: BufferId, at: usize, writes: bool, bytes: &Access| {
                    buffers[buffer.index()].push(Use {
                        op: (added + at) as u32,
                        writes,
                        bytes: bytes.clone(),
                    });
                };
                let exact = part.map_or(whole.clone(), |part| Access::of_hbm(part, 0));
                if let (Some((begin, end)), BufferKind::PerTrip(members)) = (around, &program.buffer(buffer).kind) {
                    for (trip, &member) in members.iter().enumerate() {
                        let at = index + trip * (end - begin);
                        for writes in [false, true] {
                            if if writes { role.writes() } else { role.reads() } {
                                add(member, at, writes, &exact);
                            }
                        }
                    }
                    return;
                }
                let (bytes, first, last) = match around {
                    Some((begin, end)) => (whole, begin, end + (repetitions(program, end) - 1) * (end - begin)),
                    None => (exact, index, index),
                };
                if role.reads() {
                    add(buffer, last, false, &bytes);
                }
                if role.writes() {
                    add(buffer, first, true, &bytes);
                }
            });
        }
        Uses { buffers }
    }

    /// Whether no byte of an input is read once the same byte of `buffer` is written. An operation that reads the input and
    /// writes the buffer in another order races with itself, so a read at the same time counts as later.
    pub fn written_after_reads(&self, program: &Program, buffer: BufferId, input: u32) -> bool {
        let is_input = |b: &ferrite_ir::tile::Buffer| b.kind == BufferKind::Input(input);
        let reads = program.buffers.iter().position(is_input).map(|b| &self.buffers[b]);
        let mut reads: Vec<&Use> = reads.into_iter().flatten().filter(|u| !u.writes).collect();
        let mut writes: Vec<&Use> = self.buffers[buffer.index()].iter().filter(|u| u.writes).collect();
        reads.sort_by_key(|u| u.op);
        writes.sort_by_key(|u| u.op);
        let mut writes = writes.into_iter().peekable();
        let mut written = AccessMap::default();
        let mut late = false;
        // A number of their own for a read and a write of one operation.
        let mut node = 0;
        for read in reads {
            while let Some(write) = writes.next_if(|w| w.op <= read.op) {
                node += 1;
                written.touch(node, None, true, write.bytes.clone(), |_, _| {});
            }
            node += 1;
            written.touch(node, None, false, read.bytes.clone(), |_, _| late = true);
            if late {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use ferrite_ir::dtype::DType;
    use ferrite_ir::loc::LocId;
    use ferrite_ir::tile::{DmaOp, DmaPiece, HbmAccess, Mem, MemDim, OpKind};

    fn copy(from: BufferId, to: BufferId, offset: u64, count: u64) -> OpKind {
        let side = |buffer| {
            Mem::Hbm(HbmAccess {
                buffer,
                offset,
                dtype: DType::U8,
                dims: [MemDim { step: 1, count }].into_iter().collect(),
            })
        };
        OpKind::Dma(vec![DmaPiece {
            op: DmaOp::Copy,
            src: side(from),
            dst: side(to),
        }])
    }

    fn free(ops: impl Fn(BufferId, BufferId, BufferId) -> Vec<OpKind>) -> bool {
        let mut p = Program::default();
        let input = p.add_buffer("x", BufferKind::Input(0), 100);
        let result = p.add_buffer("y", BufferKind::Scratch, 100);
        let other = p.add_buffer("z", BufferKind::Scratch, 100);
        for op in ops(input, result, other) {
            p.push(op, LocId::UNKNOWN);
        }
        Uses::of(&p).written_after_reads(&p, result, 0)
    }

    #[test]
    fn pieces_may_be_updated_one_after_the_other() {
        assert!(free(|x, y, z| vec![
            copy(x, z, 0, 50),
            copy(z, y, 0, 50),
            copy(x, z, 50, 50),
            copy(z, y, 50, 50)
        ]));
        assert!(!free(|x, y, z| vec![
            copy(x, z, 0, 50),
            copy(z, y, 0, 51),
            copy(x, z, 50, 50)
        ]));
        // In one operation the order is open.
        assert!(!free(|x, y, _| vec![copy(x, y, 0, 50)]));
    }

    #[test]
    fn what_is_per_trip_is_touched_in_its_repetition() {
        let free = |other_trip: bool| {
            let mut p = Program::default();
            let inputs = [0, 1].map(|i| p.add_buffer("x", BufferKind::Input(i), 100));
            let results = [0, 1].map(|_| p.add_buffer("y", BufferKind::Scratch, 100));
            let other = p.add_buffer("z", BufferKind::Scratch, 100);
            let mut read = inputs.to_vec();
            if other_trip {
                read.reverse();
            }
            let x = p.add_buffer("xs", BufferKind::PerTrip(read), 100);
            let y = p.add_buffer("ys", BufferKind::PerTrip(results.to_vec()), 100);
            for op in [
                OpKind::Control(Control::Loop),
                copy(x, other, 0, 50),
                copy(other, y, 0, 50),
                OpKind::Control(Control::Repeat(2)),
            ] {
                p.push(op, LocId::UNKNOWN);
            }
            let uses = Uses::of(&p);
            [0, 1].map(|i| uses.written_after_reads(&p, results[i], i as u32))
        };
        assert_eq!(free(false), [true, true]);
        // The second repetition reads what the first has written over.
        assert_eq!(free(true), [false, true]);
    }

    #[test]
    fn a_loop_reads_again_what_it_wrote() {
        let body = |x, y, z, inside: bool| {
            let control = |c| OpKind::Control(c);
            let mut ops = vec![copy(x, z, 0, 50), copy(z, y, 0, 50)];
            if inside {
                ops.insert(0, control(Control::Loop));
                ops.push(control(Control::Repeat(2)));
            } else {
                ops.insert(1, control(Control::Loop));
                ops.push(control(Control::Repeat(2)));
            }
            ops
        };
        assert!(!free(|x, y, z| body(x, y, z, true)));
        assert!(free(|x, y, z| body(x, y, z, false)));
    }
}
