//! The rest of VectorE: reductions, statistics, permutations, the `max8` family.

use ferrite_ir::isa::{Ap, Inst};

use super::{Scratch, alu, raw_type};
use crate::memory::Memory;

/// Lanes of a quadrant and side of a transposed block.
const BLOCK: usize = 32;

pub(super) fn compute(memory: &mut Memory, scratch: &mut Scratch, inst: &Inst<Ap>) {
    let partitions = inst.dst().partitions as usize;
    match inst {
        Inst::TensorReduce {
            dst,
            src,
            op,
            dims,
            negate,
        } => {
            let kept = src.dims.len().saturating_sub(*dims as usize);
            let group: usize = src.dims[kept..].iter().map(|d| d.count as usize).product();
            for p in 0..partitions {
                if op.is_bitwise() {
                    let (bits, signed) = raw_type(src.dtype);
                    memory.load_raw_row(src, p, &mut scratch.raw_a);
                    scratch.raw_b.clear();
                    scratch.raw_b.extend(scratch.raw_a.chunks(group.max(1)).map(|chunk| {
                        let fold = |x, &y| alu::raw(*op, x, y, bits, signed);
                        chunk
                            .split_first()
                            .map_or(0, |(&first, rest)| rest.iter().fold(first, fold))
                    }));
                    memory.store_raw_row(dst, p, &scratch.raw_b);
                    continue;
                }
                memory.load_row(src, p, &mut scratch.a);
                scratch.b.clear();
                let sign = if *negate { -1.0 } else { 1.0 };
                scratch
                    .b
                    .extend(scratch.a.chunks(group.max(1)).map(|chunk| sign * alu::fold(*op, chunk)));
                memory.store_row(dst, p, &scratch.b);
            }
        }
        Inst::BnStats { dst, src } => {
            for p in 0..partitions {
                memory.load_row(src, p, &mut scratch.a);
                let even = statistics(scratch.a.iter().step_by(2));
                let odd = statistics(scratch.a.iter().skip(1).step_by(2));
                memory.store_row(dst, p, &[even[0], even[1], even[2], odd[0], odd[1], odd[2]]);
            }
        }
        Inst::BnAggr { dst, src } => {
            for p in 0..partitions {
                memory.load_row(src, p, &mut scratch.a);
                memory.store_row(dst, p, &aggregate(&scratch.a));
            }
        }
        Inst::CopyPredicated { dst, src, pred } => {
            for p in 0..partitions {
                memory.load_raw_row(dst, p, &mut scratch.raw_a);
                memory.load_raw_row(src, p, &mut scratch.raw_b);
                memory.load_raw_row(pred, p, &mut scratch.raw_c);
                for ((x, &y), &keep) in scratch.raw_a.iter_mut().zip(&scratch.raw_b).zip(&scratch.raw_c) {
                    *x = if keep != 0 { y } else { *x };
                }
                memory.store_raw_row(dst, p, &scratch.raw_a);
            }
        }
        Inst::Transpose32 { dst, src } => transpose(memory, scratch, dst, src),
        Inst::StreamShuffle { dst, src, mask } => shuffle(memory, scratch, dst, src, mask),
        Inst::Max8 { dst, src } => {
            for p in 0..partitions {
                memory.load_row(src, p, &mut scratch.a);
                scratch.a.sort_by(|x, y| y.total_cmp(x));
                scratch.a.truncate(dst.elements());
                memory.store_row(dst, p, &scratch.a);
            }
        }
        Inst::FindIndex8 { dst, src, values } => {
            for p in 0..partitions {
                memory.load_row(src, p, &mut scratch.a);
                memory.load_row(values, p, &mut scratch.b);
                let row = &scratch.a;
                let position = |v: &f32| row.iter().position(|x| x == v).map_or(u32::MAX, |i| i as u32);
                scratch.raw_a.clear();
                scratch.raw_a.extend(scratch.b.iter().map(position));
                memory.store_raw_row(dst, p, &scratch.raw_a);
            }
        }
        Inst::MatchReplace8 {
            dst,
            src,
            values,
            replacement,
        } => {
            for p in 0..partitions {
                memory.load_row(src, p, &mut scratch.a);
                memory.load_row(values, p, &mut scratch.b);
                let mut taken = vec![false; scratch.a.len()];
                for v in scratch.b.iter().rev() {
                    if let Some(i) = (0..taken.len()).find(|&i| !taken[i] && scratch.a[i] == *v) {
                        taken[i] = true;
                    }
                }
                let new = f32::from_bits(*replacement);
                scratch
                    .a
                    .iter_mut()
                    .zip(taken)
                    .filter(|(_, t)| *t)
                    .for_each(|(x, _)| *x = new);
                memory.store_row(dst, p, &scratch.a);
            }
        }
        _ => {} // `exec::compute` sends the other instructions elsewhere
    }
}

/// Count, mean and variance times count.
fn statistics<'a>(values: impl Iterator<Item = &'a f32> + Clone) -> [f32; 3] {
    let count = values.clone().count();
    if count == 0 {
        return [0.0; 3];
    }
    let mean = values.clone().sum::<f32>() / count as f32;
    let m2 = values.map(|x| (x - mean) * (x - mean)).sum::<f32>();
    [count as f32, mean, m2]
}

/// Mean and variance of several (count, mean, variance times count).
fn aggregate(triples: &[f32]) -> [f32; 2] {
    let (mut count, mut mean, mut m2) = (0.0f32, 0.0f32, 0.0f32);
    for t in triples.chunks_exact(3) {
        let total = count + t[0];
        if total == 0.0 {
            continue;
        }
        let delta = t[1] - mean;
        mean += delta * t[0] / total;
        m2 += t[2] + delta * delta * count * t[0] / total;
        count = total;
    }
    [mean, if count == 0.0 { 0.0 } else { m2 / count }]
}

/// Transposes every 32 x 32 block on its own; an operand of at most one block may be smaller.
fn transpose(memory: &mut Memory, scratch: &mut Scratch, dst: &Ap, src: &Ap) {
    let rows: Vec<Vec<u32>> = (0..src.partitions as usize)
        .map(|p| {
            memory.load_raw_row(src, p, &mut scratch.raw_a);
            scratch.raw_a.clone()
        })
        .collect();
    for p in 0..dst.partitions as usize {
        let (quadrant, lane) = (p / BLOCK * BLOCK, p % BLOCK);
        scratch.raw_b.clear();
        for i in 0..dst.elements() {
            let (block, column) = (i / BLOCK * BLOCK, i % BLOCK);
            let value = rows.get(quadrant + column).and_then(|row| row.get(block + lane));
            scratch.raw_b.push(value.copied().unwrap_or(0));
        }
        memory.store_raw_row(dst, p, &scratch.raw_b);
    }
}

/// Permutes lanes inside each quadrant; lanes whose mask is 255 keep what they hold.
fn shuffle(memory: &mut Memory, scratch: &mut Scratch, dst: &Ap, src: &Ap, mask: &[u8]) {
    let exact = dst.dtype == src.dtype;
    let mut raw: Vec<Vec<u32>> = Vec::new();
    let mut numbers: Vec<Vec<f32>> = Vec::new();
    for p in 0..src.partitions as usize {
        if exact {
            memory.load_raw_row(src, p, &mut scratch.raw_a);
            raw.push(scratch.raw_a.clone());
        } else {
            memory.load_row(src, p, &mut scratch.a);
            numbers.push(scratch.a.clone());
        }
    }
    for p in 0..dst.partitions as usize {
        let Some(&lane) = mask.get(p % BLOCK) else { continue };
        if lane == u8::MAX {
            continue;
        }
        let from = p / BLOCK * BLOCK + lane as usize;
        if let Some(row) = raw.get(from) {
            memory.store_raw_row(dst, p, row);
        } else if let Some(row) = numbers.get(from) {
            memory.store_row(dst, p, row);
        }
    }
}
