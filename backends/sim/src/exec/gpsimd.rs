//! GpSimdE: sequences, affine selection, gathers, reductions over partitions.

use ferrite_ir::isa::{Ap, Inst};

use super::{Scratch, affine, alu, compare_zero, is_int32, raw_type};
use crate::memory::Memory;

pub(super) fn compute(memory: &mut Memory, scratch: &mut Scratch, inst: &Inst<Ap>) -> Result<(), String> {
    let partitions = inst.dst().partitions as usize;
    match inst {
        Inst::Iota {
            dst,
            base,
            channel_multiplier,
            steps,
        } => {
            for p in 0..partitions {
                let first = base.wrapping_add(channel_multiplier.wrapping_mul(p as i32));
                if dst.dtype.is_float() {
                    scratch.a.clear();
                    affine(dst, steps, first, |_, v| scratch.a.push(v as f32));
                    memory.store_row(dst, p, &scratch.a);
                } else {
                    scratch.raw_a.clear();
                    affine(dst, steps, first, |_, v| scratch.raw_a.push(v as u32));
                    memory.store_raw_row(dst, p, &scratch.raw_a);
                }
            }
        }
        Inst::AffineSelect {
            dst,
            src,
            base,
            channel_multiplier,
            steps,
            compare,
            fill,
        } => {
            let fill = f32::from_bits(*fill);
            for p in 0..partitions {
                memory.load_row(src, p, &mut scratch.a);
                let first = base.wrapping_add(channel_multiplier.wrapping_mul(p as i32));
                let row = &mut scratch.a;
                affine(dst, steps, first, |i, v| {
                    if !compare_zero(*compare, v)
                        && let Some(x) = row.get_mut(i)
                    {
                        *x = fill;
                    }
                });
                memory.store_row(dst, p, &scratch.a);
            }
        }
        Inst::NGather { dst, src, index } => {
            for p in 0..partitions {
                memory.load_raw_row(src, p, &mut scratch.raw_a);
                memory.load_raw_row(index, p, &mut scratch.raw_b);
                scratch.raw_c.clear();
                for &i in &scratch.raw_b {
                    match scratch.raw_a.get(i as usize) {
                        Some(&x) => scratch.raw_c.push(x),
                        None => {
                            return Err(format!(
                                "index {i} of partition {} is out of range: the source has {} elements",
                                index.partition as usize + p,
                                scratch.raw_a.len()
                            ));
                        }
                    }
                }
                memory.store_raw_row(dst, p, &scratch.raw_c);
            }
        }
        Inst::PartitionReduce { dst, src, op } => {
            if op.is_bitwise() || (is_int32(src.dtype) && is_int32(dst.dtype)) {
                let (bits, signed) = raw_type(src.dtype);
                memory.load_raw_row(src, 0, &mut scratch.raw_a);
                for p in 1..src.partitions as usize {
                    memory.load_raw_row(src, p, &mut scratch.raw_b);
                    for (x, &y) in scratch.raw_a.iter_mut().zip(&scratch.raw_b) {
                        *x = alu::raw(*op, *x, y, bits, signed);
                    }
                }
                memory.store_raw_row(dst, 0, &scratch.raw_a);
            } else {
                memory.load_row(src, 0, &mut scratch.a);
                for p in 1..src.partitions as usize {
                    memory.load_row(src, p, &mut scratch.b);
                    scratch.c.clear();
                    scratch.c.resize(scratch.a.len(), 0.0);
                    alu::rows(*op, &scratch.a, &scratch.b, &mut scratch.c);
                    std::mem::swap(&mut scratch.a, &mut scratch.c);
                }
                memory.store_row(dst, 0, &scratch.a);
            }
        }
        _ => {} // `exec::compute` sends the other instructions elsewhere
    }
    Ok(())
}
