//! Lets an instruction finish what a later one would do to its result: convert it, negate it, square and sum it.
//!
//! Before                                              After
//!   t = any(...) in fp32                                y = any(...) in bf16
//!   y = tensor_copy(t) in bf16
//!
//!   m = tensor_reduce(x, op)                            n = tensor_reduce(x, op, negate)
//!   n = tensor_scalar(m, multiply -1)
//!
//!   t = tensor_tensor(x, x, multiply)                   t = activation(x, square), s = its sum
//!   s = tensor_reduce(t, add)
//!
//! Only where the intermediate result has no other reader.

use ferrite_ir::dtype::DType;
use ferrite_ir::machine::Space;
use ferrite_ir::tile::{ActFunc, AluOp, Inst, OpKind, Scalar, View};

use super::{Fuser, is_imm};

impl Fuser<'_> {
    /// The instruction that alone writes `view`, if the one at `reader` alone reads it.
    fn only_writer(&self, view: &View, reader: usize) -> Option<usize> {
        let uses = &self.uses[view.tile.index()];
        let ([writer], [only]) = (&uses.writers[..], &uses.readers[..]) else {
            return None;
        };
        (*only == reader && *writer < reader).then_some(*writer)
    }

    /// Whether `view` may be written by the instruction at `earlier` already, and not only by that at `later`.
    fn free_between(&self, view: &View, earlier: usize, later: usize) -> bool {
        let uses = &self.uses[view.tile.index()];
        let touched = |at: &usize| (earlier..later).contains(at);
        !uses.writers.iter().any(touched) && !uses.readers.iter().any(touched)
    }

    /// Lets the instruction that computes an fp32 value write it in the dtype and place that a copy gives it.
    pub(super) fn absorb_copy(&mut self, index: usize) {
        let Some(Inst::TensorCopy { dst, src }) = self.inst(index).cloned() else {
            return;
        };
        let sbuf = |v: &View| self.program.tile(v.tile).space == Space::Sbuf;
        let narrow = matches!(dst.dtype, DType::F32 | DType::BF16 | DType::F16);
        let same_place = dst.partition == src.partition && dst.partitions == src.partitions;
        if src.dtype != DType::F32 || !narrow || !same_place || !sbuf(&src) || !sbuf(&dst) || src.tile == dst.tile {
            return;
        }
        let Some(writer) = self.only_writer(&src, index) else {
            return;
        };
        if !self.free_between(&dst, writer, index) {
            return;
        }
        let Some(mut inst) = self.inst(writer).cloned() else {
            return;
        };
        let out = match &mut inst {
            Inst::Activation { dst, .. }
            | Inst::TensorTensor { dst, .. }
            | Inst::TensorScalar { dst, .. }
            | Inst::ScalarTensorTensor { dst, .. }
            | Inst::TensorCopy { dst, .. } => dst,
            _ => return,
        };
        // The access patterns of an instruction's operands need not agree, only their number of elements.
        if *out != src || dst.elements() != src.elements() {
            return;
        }
        *out = dst;
        self.forget(index);
        self.program.ops[index].kind = OpKind::Dma(Vec::new());
        self.set(writer, inst);
    }

    /// Lets the readers of a copy that only widens read what it copies: engines compute in fp32 whatever they read.
    pub(super) fn skip_widening(&mut self, index: usize) {
        let Some(Inst::TensorCopy { dst, src }) = self.inst(index).cloned() else {
            return;
        };
        let sbuf = |v: &View| self.program.tile(v.tile).space == Space::Sbuf;
        let widens = dst.dtype == DType::F32 && matches!(src.dtype, DType::BF16 | DType::F16);
        let copy = &self.uses[dst.tile.index()];
        let source = &self.uses[src.tile.index()];
        let once = copy.writers == [index] && source.writers.iter().all(|&w| w < index);
        if !widens || !once || dst.dims != src.dims || !sbuf(&src) || !sbuf(&dst) {
            return;
        }
        let same_place = dst.partition == src.partition && dst.partitions == src.partitions;
        let readers = copy.readers.clone();
        let takes = |reader: &usize| {
            let Some(inst) = self.inst(*reader) else { return false };
            let any = matches!(
                inst,
                Inst::Activation { .. }
                    | Inst::TensorTensor { .. }
                    | Inst::TensorScalar { .. }
                    | Inst::ScalarTensorTensor { .. }
                    | Inst::TensorReduce { .. }
                    | Inst::TensorCopy { .. }
            );
            let mut whole = true;
            inst.for_each(|_, v: &View| whole &= v.tile != dst.tile || *v == dst);
            // Columns of scalars are fp32.
            any && whole && !dst.dims.is_empty()
        };
        if !same_place || readers.is_empty() || !readers.iter().all(takes) {
            return;
        }
        for reader in readers {
            let replaced = self.inst(reader).map(|inst| {
                inst.try_map(&mut |_, v: &View| {
                    let v = if *v == dst { &src } else { v };
                    Ok::<View, std::convert::Infallible>(v.clone())
                })
            });
            if let Some(Ok(inst)) = replaced {
                self.set(reader, inst);
            }
        }
        self.forget(index);
        self.program.ops[index].kind = OpKind::Dma(Vec::new());
    }

    /// Lets a reduction negate its result.
    pub(super) fn absorb_negation(&mut self, index: usize) {
        let Some(Inst::TensorScalar {
            dst,
            src,
            first,
            second: None,
        }) = self.inst(index).cloned()
        else {
            return;
        };
        let negation = first.op == AluOp::Multiply && is_imm(&first.scalar, -1.0);
        if !negation || src.dtype != DType::F32 || dst.dtype != DType::F32 {
            return;
        }
        let Some(writer) = self.only_writer(&src, index) else {
            return;
        };
        let Some(Inst::TensorReduce {
            dst: out,
            src: x,
            op,
            dims,
            negate: false,
        }) = self.inst(writer).cloned()
        else {
            return;
        };
        if out != src || !self.free_between(&dst, writer, index) {
            return;
        }
        self.forget(index);
        self.program.ops[index].kind = OpKind::Dma(Vec::new());
        self.set(
            writer,
            Inst::TensorReduce {
                dst,
                src: x,
                op,
                dims,
                negate: true,
            },
        );
    }

    /// Squares and sums in one activation.
    pub(super) fn absorb_square(&mut self, index: usize) {
        let Some(Inst::TensorReduce {
            dst,
            src,
            op: AluOp::Add,
            dims,
            negate: false,
        }) = self.inst(index).cloned()
        else {
            return;
        };
        let all = usize::from(dims) == src.dims.len() && dst.dtype == DType::F32 && src.dtype == DType::F32;
        let Some(writer) = self.only_writer(&src, index) else {
            return;
        };
        let Some(Inst::TensorTensor {
            dst: out,
            a,
            b,
            op: AluOp::Multiply,
        }) = self.inst(writer).cloned()
        else {
            return;
        };
        let float = matches!(a.dtype, DType::F32 | DType::BF16 | DType::F16);
        if !all || a != b || !float || out != src || !self.free_between(&dst, writer, index) {
            return;
        }
        self.forget(index);
        self.program.ops[index].kind = OpKind::Dma(Vec::new());
        self.set(
            writer,
            Inst::Activation {
                dst: out,
                src: a,
                func: ActFunc::Square,
                scale: Scalar::f32(1.0),
                bias: Scalar::f32(0.0),
                accumulate: Some(dst),
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use ferrite_ir::machine::MachineModel;
    use ferrite_ir::tile::{ActFunc, AluOp, ApDims, Inst, OpKind, Scalar, ScalarStep, View};

    use super::super::{drop_empty, fuse_instructions};
    use super::*;
    use crate::tile::testing::{Builder, f32_view, view};

    fn fused(mut b: Builder) -> Vec<Inst<View>> {
        let machine = MachineModel::target("inf2").unwrap();
        fuse_instructions(&mut b.program, &machine);
        drop_empty(&mut b.program);
        let insts = b.program.ops.iter().filter_map(|op| match &op.kind {
            OpKind::Compute(inst) => Some(inst.clone()),
            _ => None,
        });
        insts.collect()
    }

    fn column(tile: ferrite_ir::tile::TileId) -> View {
        View {
            dims: ApDims::new(),
            ..f32_view(tile, 128, 1)
        }
    }

    fn sum(dst: View, src: View, op: AluOp) -> OpKind {
        OpKind::Compute(Inst::TensorReduce {
            dst,
            src,
            op,
            dims: 1,
            negate: false,
        })
    }

    #[test]
    fn a_conversion_is_done_by_what_computes_the_value() {
        let mut b = Builder::default();
        let (x, t, y) = (b.sbuf(128, 256), b.sbuf(128, 256), b.sbuf(128, 128));
        b.memset(&x, 4);
        b.tensor_tensor(
            f32_view(t, 128, 64),
            f32_view(x, 128, 64),
            f32_view(x, 128, 64),
            AluOp::Add,
        );
        b.copy(view(y, 128, DType::BF16, 0, 64), f32_view(t, 128, 64));
        let insts = fused(b);
        assert_eq!(insts.len(), 2);
        assert!(
            matches!(&insts[1], Inst::TensorTensor { dst, .. } if dst.tile == y && dst.dtype == DType::BF16),
            "{insts:?}"
        );
    }

    #[test]
    fn readers_of_a_widened_value_read_the_narrow_one() {
        let mut b = Builder::default();
        let (x, t, s) = (b.sbuf(128, 128), b.sbuf(128, 256), b.sbuf(128, 4));
        b.memset(&x, 2);
        b.copy(f32_view(t, 128, 64), view(x, 128, DType::BF16, 0, 64));
        b.push(sum(column(s), f32_view(t, 128, 64), AluOp::Max));
        let insts = fused(b);
        assert!(
            matches!(&insts[..], [_, Inst::TensorReduce { src, .. }] if src.tile == x && src.dtype == DType::BF16),
            "{insts:?}"
        );
    }

    #[test]
    fn a_value_with_a_second_reader_keeps_its_place() {
        let mut b = Builder::default();
        let (x, t, y, z) = (b.sbuf(128, 256), b.sbuf(128, 256), b.sbuf(128, 128), b.sbuf(128, 256));
        b.memset(&x, 4);
        b.tensor_tensor(
            f32_view(t, 128, 64),
            f32_view(x, 128, 64),
            f32_view(x, 128, 64),
            AluOp::Add,
        );
        b.copy(view(y, 128, DType::BF16, 0, 64), f32_view(t, 128, 64));
        b.tensor_tensor(
            f32_view(z, 128, 64),
            f32_view(t, 128, 64),
            f32_view(x, 128, 64),
            AluOp::Max,
        );
        assert_eq!(fused(b).len(), 4);
    }

    #[test]
    fn a_reduction_negates_its_result() {
        let mut b = Builder::default();
        let (x, m, n) = (b.sbuf(128, 256), b.sbuf(128, 4), b.sbuf(128, 4));
        b.memset(&x, 4);
        b.push(sum(column(m), f32_view(x, 128, 64), AluOp::Max));
        b.push(OpKind::Compute(Inst::TensorScalar {
            dst: column(n),
            src: column(m),
            first: ScalarStep::imm(AluOp::Multiply, -1.0),
            second: None,
        }));
        let insts = fused(b);
        assert_eq!(insts.len(), 2);
        assert!(
            matches!(&insts[1], Inst::TensorReduce { dst, negate: true, .. } if dst.tile == n),
            "{insts:?}"
        );
    }

    #[test]
    fn squares_are_summed_by_the_activation_that_makes_them() {
        let mut b = Builder::default();
        let (x, t, s) = (b.sbuf(128, 256), b.sbuf(128, 256), b.sbuf(128, 4));
        b.memset(&x, 4);
        b.tensor_tensor(
            f32_view(t, 128, 64),
            f32_view(x, 128, 64),
            f32_view(x, 128, 64),
            AluOp::Multiply,
        );
        b.push(sum(column(s), f32_view(t, 128, 64), AluOp::Add));
        let insts = fused(b);
        let [
            _,
            Inst::Activation {
                func,
                accumulate,
                scale,
                ..
            },
        ] = &insts[..]
        else {
            panic!("{insts:?}");
        };
        assert_eq!((*func, scale), (ActFunc::Square, &Scalar::f32(1.0)));
        assert_eq!(accumulate.as_ref().map(|v| v.tile), Some(s));
    }
}
