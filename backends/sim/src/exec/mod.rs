//! What instructions do to memory (`neuroncore.md` sections 3 and 4).
//!
//! In: operands that the legality check has passed. Out: bytes. Every instruction reads a partition in full before it writes
//! it, so an operand in place is safe; time and order are not here.

mod activation;
pub mod alu;
mod gpsimd;
pub mod tensor;
mod vector;

use ferrite_ir::dtype::DType;
use ferrite_ir::isa::{AluOp, Ap, Engine, Inst, Scalar};
use smallvec::SmallVec;

use crate::elem;
use crate::memory::Memory;

/// Rows of fp32 and of raw integers, kept between instructions.
#[derive(Default)]
pub struct Scratch {
    a: Vec<f32>,
    b: Vec<f32>,
    c: Vec<f32>,
    raw_a: Vec<u32>,
    raw_b: Vec<u32>,
    raw_c: Vec<u32>,
}

/// Runs a compute instruction. Errors are data-dependent mistakes of the program (an index out of range).
pub fn compute(memory: &mut Memory, scratch: &mut Scratch, engine: Engine, inst: &Inst<Ap>) -> Result<(), String> {
    let partitions = inst.dst().partitions as usize;
    match inst {
        Inst::Activation {
            dst,
            src,
            func,
            scale,
            bias,
            accumulate,
        } => {
            for p in 0..partitions {
                memory.load_row(src, p, &mut scratch.a);
                let (scale, bias) = (number(memory, scale, p), number(memory, bias, p));
                if scale != 1.0 || bias != 0.0 {
                    scratch.a.iter_mut().for_each(|x| *x = *x * scale + bias);
                }
                activation::apply(*func, &mut scratch.a);
                memory.store_row(dst, p, &scratch.a);
                if let Some(sum) = accumulate {
                    let total = scratch.a.iter().sum::<f32>();
                    memory.store_row(sum, p, &[total]);
                }
            }
        }
        Inst::TensorTensor { dst, a, b, op } => {
            let exact = engine == Engine::GpSimd && [dst, a, b].iter().all(|x| is_int32(x.dtype));
            for p in 0..partitions {
                if op.is_bitwise() || exact {
                    memory.load_raw_row(a, p, &mut scratch.raw_a);
                    memory.load_raw_row(b, p, &mut scratch.raw_b);
                    let (bits, signed) = raw_type(a.dtype);
                    for (x, &y) in scratch.raw_a.iter_mut().zip(&scratch.raw_b) {
                        *x = alu::raw(*op, *x, y, bits, signed);
                    }
                    memory.store_raw_row(dst, p, &scratch.raw_a);
                } else {
                    memory.load_row(a, p, &mut scratch.a);
                    memory.load_row(b, p, &mut scratch.b);
                    scratch.c.clear();
                    scratch.c.resize(scratch.a.len(), 0.0);
                    alu::rows(*op, &scratch.a, &scratch.b, &mut scratch.c);
                    memory.store_row(dst, p, &scratch.c);
                }
            }
        }
        Inst::TensorScalar {
            dst,
            src,
            first,
            second,
        } => {
            for p in 0..partitions {
                if first.op.is_bitwise() {
                    memory.load_raw_row(src, p, &mut scratch.raw_a);
                    let (bits, signed) = raw_type(src.dtype);
                    for step in [Some(first), second.as_ref()].into_iter().flatten() {
                        let s = bits_of(memory, &step.scalar, p);
                        for x in &mut scratch.raw_a {
                            let (l, r) = if step.reverse { (s, *x) } else { (*x, s) };
                            *x = alu::raw(step.op, l, r, bits, signed);
                        }
                    }
                    memory.store_raw_row(dst, p, &scratch.raw_a);
                } else {
                    memory.load_row(src, p, &mut scratch.a);
                    for step in [Some(first), second.as_ref()].into_iter().flatten() {
                        alu::row_scalar(step.op, &mut scratch.a, number(memory, &step.scalar, p), step.reverse);
                    }
                    memory.store_row(dst, p, &scratch.a);
                }
            }
        }
        Inst::ScalarTensorTensor {
            dst,
            src,
            first,
            b,
            op1,
            reverse1,
        } => {
            for p in 0..partitions {
                memory.load_row(src, p, &mut scratch.a);
                memory.load_row(b, p, &mut scratch.b);
                alu::row_scalar(
                    first.op,
                    &mut scratch.a,
                    number(memory, &first.scalar, p),
                    first.reverse,
                );
                scratch.c.clear();
                scratch.c.resize(scratch.a.len(), 0.0);
                let (l, r) = if *reverse1 {
                    (&scratch.b, &scratch.a)
                } else {
                    (&scratch.a, &scratch.b)
                };
                alu::rows(*op1, l, r, &mut scratch.c);
                memory.store_row(dst, p, &scratch.c);
            }
        }
        Inst::TensorTensorScan {
            dst,
            a,
            b,
            initial,
            op0,
            op1,
        } => {
            for p in 0..partitions {
                memory.load_row(a, p, &mut scratch.a);
                memory.load_row(b, p, &mut scratch.b);
                let mut state = number(memory, initial, p);
                for (x, &y) in scratch.a.iter_mut().zip(&scratch.b) {
                    state = alu::one(*op1, alu::one(*op0, *x, state), y);
                    *x = state;
                }
                memory.store_row(dst, p, &scratch.a);
            }
        }
        Inst::TensorCopy { dst, src } => {
            for p in 0..partitions {
                if dst.dtype == src.dtype {
                    memory.load_raw_row(src, p, &mut scratch.raw_a);
                    memory.store_raw_row(dst, p, &scratch.raw_a);
                } else {
                    memory.load_row(src, p, &mut scratch.a);
                    memory.store_row(dst, p, &scratch.a);
                }
            }
        }
        Inst::Memset { dst, bits } => {
            scratch.raw_a.clear();
            scratch.raw_a.resize(dst.elements(), *bits);
            for p in 0..partitions {
                memory.store_raw_row(dst, p, &scratch.raw_a);
            }
        }
        Inst::Reciprocal { dst, src } => {
            for p in 0..partitions {
                memory.load_row(src, p, &mut scratch.a);
                scratch.a.iter_mut().for_each(|x| *x = 1.0 / *x);
                memory.store_row(dst, p, &scratch.a);
            }
        }
        Inst::TensorReduce { .. }
        | Inst::BnStats { .. }
        | Inst::BnAggr { .. }
        | Inst::CopyPredicated { .. }
        | Inst::Transpose32 { .. }
        | Inst::StreamShuffle { .. }
        | Inst::Max8 { .. }
        | Inst::FindIndex8 { .. }
        | Inst::MatchReplace8 { .. } => vector::compute(memory, scratch, inst),
        Inst::Iota { .. } | Inst::AffineSelect { .. } | Inst::NGather { .. } | Inst::PartitionReduce { .. } => {
            return gpsimd::compute(memory, scratch, inst);
        }
    }
    Ok(())
}

/// Whether GpSimdE computes exactly with this dtype.
fn is_int32(dtype: DType) -> bool {
    matches!(dtype, DType::I32 | DType::U32)
}

/// Bits and signedness of a dtype's raw integer.
fn raw_type(dtype: DType) -> (u32, bool) {
    (
        dtype.bytes() as u32 * 8,
        matches!(dtype, DType::I8 | DType::I16 | DType::I32),
    )
}

/// A scalar operand of partition `p` as a number.
fn number(memory: &Memory, scalar: &Scalar<Ap>, p: usize) -> f32 {
    match scalar {
        Scalar::Imm(bits) => f32::from_bits(*bits),
        Scalar::PerPartition(ap) => elem::from_raw(ap.dtype, raw_lane(memory, ap, p)),
    }
}

/// A scalar operand of partition `p` as raw bits.
fn bits_of(memory: &Memory, scalar: &Scalar<Ap>, p: usize) -> u32 {
    match scalar {
        Scalar::Imm(bits) => *bits,
        Scalar::PerPartition(ap) => raw_lane(memory, ap, p),
    }
}

/// Raw bits of a `[P, 1]` operand.
fn raw_lane(memory: &Memory, ap: &Ap, p: usize) -> u32 {
    let bytes = memory.on_chip(ap.space).partition(ap.partition as usize + p);
    elem::load_raw(ap.dtype.bytes().min(4), bytes, ap.offset as usize)
}

/// Calls `f` with the index of every element of `dims` and the value of an affine sequence there.
fn affine(ap: &Ap, steps: &[i32], base: i32, mut f: impl FnMut(usize, i32)) {
    let counts: SmallVec<[usize; 4]> = ap.dims.iter().map(|d| d.count as usize).collect();
    let mut index: SmallVec<[usize; 4]> = SmallVec::from_elem(0, counts.len());
    let step = |level: usize| steps.get(level).copied().unwrap_or(0);
    let mut value = base;
    for i in 0..ap.elements() {
        f(i, value);
        for level in (0..counts.len()).rev() {
            index[level] += 1;
            value = value.wrapping_add(step(level));
            if index[level] < counts[level] {
                break;
            }
            value = value.wrapping_sub(step(level).wrapping_mul(counts[level] as i32));
            index[level] = 0;
        }
    }
}

/// Whether an integer compares with 0 as `op` says.
fn compare_zero(op: AluOp, value: i32) -> bool {
    match op {
        AluOp::IsEqual => value == 0,
        AluOp::NotEqual => value != 0,
        AluOp::IsGe => value >= 0,
        AluOp::IsGt => value > 0,
        AluOp::IsLe => value <= 0,
        AluOp::IsLt => value < 0,
        _ => false, // refused by the legality check
    }
}
