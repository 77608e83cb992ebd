//! Puts neighbouring element-wise instructions into one where the hardware does several steps for the price of one.
//!
//! Before                                              After
//!   t = tensor_scalar(x, op0 s0)                        y = tensor_scalar(x, op0 s0, op1 s1)
//!   y = tensor_scalar(t, op1 s1)
//!
//!   t = tensor_scalar(x, op0 s0)                        y = scalar_tensor_tensor(x, op0 s0, z, op1)
//!   y = tensor_tensor(t, z, op1)
//!
//!   t = tensor_scalar(x, multiply s, add b)             y = activation(x, func, scale = s, bias = b)
//!   y = activation(t, func)
//!
//!   y = activation(x, func)                             y = activation(x, func), r = its sum
//!   r = tensor_reduce(y, add)
//!
//! A step is merged only if its fp32 result has no other reader, so that no number changes but for roundings of
//! intermediate results that the merged instruction does not make. What an activation takes or sums may be narrower: the
//! rounding in between is left out. (XLA allows this excess precision by default; for other steps, more of it moved the
//! updates of a bf16 optimizer, which divides small numbers by each other, further from XLA's than the roundings do.)
//!
//! `results` does the same in the other direction: an instruction converts, negates or sums its own result.
//!
//! Needs and leaves: a verified tile program. Dead operations are left to `remove_dead_stores`.

mod results;

use ferrite_ir::dtype::DType;
use ferrite_ir::machine::{MachineModel, Space};
use ferrite_ir::tile::{AluOp, Inst, Op, OpKind, Program, Scalar, ScalarStep, Touched, View};

/// Writers and readers of every tile, by operation index.
#[derive(Default, Clone)]
struct Uses {
    writers: Vec<usize>,
    readers: Vec<usize>,
}

/// A `tensor_scalar` that may be merged: its index, operand and steps.
type Producer = (usize, View, ScalarStep<View>, Option<ScalarStep<View>>);

struct Fuser<'a> {
    program: &'a mut Program,
    machine: &'a MachineModel,
    uses: Vec<Uses>,
}

/// Runs the pass.
pub fn fuse_instructions(program: &mut Program, machine: &MachineModel) {
    let mut uses = vec![Uses::default(); program.tiles.len()];
    for (index, op) in program.ops.iter().enumerate() {
        op.for_each(|role, touched| {
            if let Touched::Tile(view) = touched {
                let u = &mut uses[view.tile.index()];
                if role.writes() {
                    u.writers.push(index);
                }
                if role.reads() {
                    u.readers.push(index);
                }
            }
        });
    }
    let mut fuser = Fuser { program, machine, uses };
    for index in 0..fuser.program.ops.len() {
        fuser.skip_widening(index);
    }
    for index in 0..fuser.program.ops.len() {
        while fuser.merge_producer(index) {}
        fuser.absorb_sum(index);
        fuser.absorb_square(index);
    }
    // After the merging above has found its partners: these change what a value looks like to them.
    for index in 0..fuser.program.ops.len() {
        fuser.absorb_negation(index);
        fuser.absorb_copy(index);
    }
}

/// Whether a value of this dtype may pass between steps of one instruction without being rounded.
fn intermediate(view: &View) -> bool {
    matches!(view.dtype, DType::F32 | DType::BF16 | DType::F16)
}

fn multiplied(a: &Scalar<View>, b: f32) -> Option<Scalar<View>> {
    match a {
        Scalar::Imm(bits) => Some(Scalar::f32(f32::from_bits(*bits) * b)),
        Scalar::PerPartition(v) if b == 1.0 => Some(Scalar::PerPartition(v.clone())),
        Scalar::PerPartition(_) => None,
    }
}

fn is_imm(s: &Scalar<View>, value: f32) -> bool {
    matches!(s, Scalar::Imm(bits) if f32::from_bits(*bits) == value)
}

impl Fuser<'_> {
    fn inst(&self, index: usize) -> Option<&Inst<View>> {
        match &self.program.ops[index].kind {
            OpKind::Compute(inst) => Some(inst),
            _ => None,
        }
    }

    /// The `tensor_scalar` that alone computes `view` for the operation at `reader` alone.
    fn producer(&self, view: &View, reader: usize) -> Option<Producer> {
        let uses = &self.uses[view.tile.index()];
        let ([writer], [only]) = (&uses.writers[..], &uses.readers[..]) else {
            return None;
        };
        if *only != reader || *writer >= reader {
            return None;
        }
        let Some(Inst::TensorScalar {
            dst,
            src,
            first,
            second,
        }) = self.inst(*writer)
        else {
            return None;
        };
        // What the producer read must still be there.
        let mut read = vec![src];
        for step in [Some(first), second.as_ref()].into_iter().flatten() {
            if let Scalar::PerPartition(v) = &step.scalar {
                read.push(v);
            }
        }
        let stable = |v: &&View| {
            !self.uses[v.tile.index()]
                .writers
                .iter()
                .any(|w| (*writer..reader).contains(w))
        };
        (dst == view && read.iter().all(stable)).then(|| (*writer, src.clone(), first.clone(), second.clone()))
    }

    /// Merges one producer of the operation into it.
    fn merge_producer(&mut self, index: usize) -> bool {
        let Some(inst) = self.inst(index).cloned() else {
            return false;
        };
        let merged = match &inst {
            Inst::TensorScalar {
                dst,
                src,
                first,
                second: None,
            } => self.merge_steps(index, dst, src, first),
            Inst::TensorTensor { dst, a, b, op } if !op.is_bitwise() && *op != AluOp::Power => {
                let exact = |v: &View| matches!(v.dtype, DType::I32 | DType::U32);
                if exact(dst) || exact(a) || exact(b) {
                    None
                } else {
                    self.merge_operand(index, dst, a, b, *op, false)
                        .or_else(|| self.merge_operand(index, dst, b, a, *op, true))
                }
            }
            Inst::Activation { .. } => self.merge_activation(index, &inst),
            _ => None,
        };
        let Some((producer, merged)) = merged else { return false };
        self.replace(index, producer, merged);
        true
    }

    fn merge_steps(
        &self,
        index: usize,
        dst: &View,
        src: &View,
        step: &ScalarStep<View>,
    ) -> Option<(usize, Inst<View>)> {
        let (producer, from, first, None) = self.producer(src, index)? else {
            return None;
        };
        let same_kind = first.op.is_bitwise() == step.op.is_bitwise();
        let kept = if step.op.is_bitwise() {
            src.dtype == from.dtype
        } else {
            src.dtype == DType::F32
        };
        let merged = Inst::TensorScalar {
            dst: dst.clone(),
            src: from,
            first,
            second: Some(step.clone()),
        };
        (same_kind && kept).then_some((producer, merged))
    }

    fn merge_operand(
        &self,
        index: usize,
        dst: &View,
        src: &View,
        other: &View,
        op1: AluOp,
        reverse1: bool,
    ) -> Option<(usize, Inst<View>)> {
        let (producer, from, first, None) = self.producer(src, index)? else {
            return None;
        };
        let psum = |v: &View| self.program.tile(v.tile).space == Space::Psum;
        let legal = !first.op.is_bitwise()
            && src.dtype == DType::F32
            && src.tile != other.tile
            && !(psum(&from) && psum(other));
        let merged = Inst::ScalarTensorTensor {
            dst: dst.clone(),
            src: from,
            first,
            b: other.clone(),
            op1,
            reverse1,
        };
        legal.then_some((producer, merged))
    }

    fn merge_activation(&mut self, index: usize, inst: &Inst<View>) -> Option<(usize, Inst<View>)> {
        let Inst::Activation {
            dst,
            src,
            func,
            scale,
            bias,
            accumulate,
        } = inst
        else {
            return None;
        };
        let (producer, from, first, second) = self.producer(src, index)?;
        if !intermediate(src) || !is_imm(bias, 0.0) || first.reverse && first.op == AluOp::Subtract {
            return None;
        }
        let scale = match scale {
            Scalar::Imm(bits) => f32::from_bits(*bits),
            Scalar::PerPartition(_) => return None,
        };
        let immediate_bias = self.machine.scalar.bias_immediate;
        let usable = |s: &Scalar<View>| scale == 1.0 && (matches!(s, Scalar::PerPartition(_)) || immediate_bias);
        let build = |scale: Scalar<View>, bias: Scalar<View>| Inst::Activation {
            dst: dst.clone(),
            src: from.clone(),
            func: *func,
            scale,
            bias,
            accumulate: accumulate.clone(),
        };
        match (first.op, &second) {
            (AluOp::Multiply, None) => Some((producer, build(multiplied(&first.scalar, scale)?, Scalar::f32(0.0)))),
            (AluOp::Add, None) if usable(&first.scalar) => {
                Some((producer, build(Scalar::f32(1.0), first.scalar.clone())))
            }
            (AluOp::Multiply, Some(add)) if add.op == AluOp::Add && usable(&add.scalar) => {
                Some((producer, build(first.scalar.clone(), add.scalar.clone())))
            }
            (AluOp::Subtract, None) if scale == 1.0 => {
                let Scalar::PerPartition(v) = &first.scalar else {
                    return None;
                };
                // The bias is added: the producer's place is taken by the negation of its column.
                let tile = self
                    .program
                    .add_tile(Space::Sbuf, v.partitions as usize, DType::F32.bytes(), "negated");
                self.uses.push(Uses {
                    writers: vec![producer],
                    readers: vec![index],
                });
                let negated = View {
                    tile,
                    partition: 0,
                    offset: 0,
                    dtype: DType::F32,
                    ..v.clone()
                };
                let merged = build(Scalar::f32(1.0), Scalar::PerPartition(negated.clone()));
                let negate = Inst::TensorScalar {
                    dst: negated,
                    src: v.clone(),
                    first: ScalarStep::imm(AluOp::Multiply, -1.0),
                    second: None,
                };
                self.take(producer, index, negate);
                self.program.ops[index].kind = OpKind::Compute(merged);
                None
            }
            _ => None,
        }
    }

    /// Replaces the operation at `index` by `merged` and removes its producer.
    fn replace(&mut self, index: usize, producer: usize, merged: Inst<View>) {
        self.forget(producer);
        self.program.ops[producer].kind = OpKind::Dma(Vec::new());
        self.set(index, merged);
    }

    /// Gives the producer's place to another instruction; its reader now reads what the producer read.
    fn take(&mut self, producer: usize, reader: usize, inst: Inst<View>) {
        let Some(old) = self.inst(producer).cloned() else {
            return;
        };
        if let Inst::TensorScalar { dst, src, .. } = &old {
            self.uses[dst.tile.index()] = Uses::default();
            let readers = &mut self.uses[src.tile.index()].readers;
            readers.iter_mut().filter(|r| **r == producer).for_each(|r| *r = reader);
        }
        self.program.ops[producer].kind = OpKind::Compute(inst);
    }

    fn forget(&mut self, index: usize) {
        let uses = &mut self.uses;
        self.program.ops[index].for_each(|_, touched| {
            if let Touched::Tile(view) = touched {
                let u = &mut uses[view.tile.index()];
                u.writers.retain(|&w| w != index);
                u.readers.retain(|&r| r != index);
            }
        });
    }

    fn set(&mut self, index: usize, inst: Inst<View>) {
        self.forget(index);
        self.program.ops[index].kind = OpKind::Compute(inst);
        let uses = &mut self.uses;
        self.program.ops[index].for_each(|role, touched| {
            if let Touched::Tile(view) = touched {
                let u = &mut uses[view.tile.index()];
                if role.writes() {
                    u.writers.push(index);
                }
                if role.reads() {
                    u.readers.push(index);
                }
            }
        });
    }

    /// Lets an activation sum what a later reduction would add up.
    fn absorb_sum(&mut self, index: usize) {
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
        let all = usize::from(dims) == src.dims.len() && dst.dtype == DType::F32 && intermediate(&src);
        let (source, sum) = (&self.uses[src.tile.index()], &self.uses[dst.tile.index()]);
        let ([writer], [only]) = (&source.writers[..], &sum.writers[..]) else {
            return;
        };
        if !all || *only != index || *writer >= index {
            return;
        }
        let writer = *writer;
        let Some(Inst::Activation {
            dst: out,
            src: x,
            func,
            scale,
            bias,
            accumulate: None,
        }) = self.inst(writer).cloned()
        else {
            return;
        };
        if out != src {
            return;
        }
        self.forget(index);
        self.program.ops[index].kind = OpKind::Dma(Vec::new());
        self.set(
            writer,
            Inst::Activation {
                dst: out,
                src: x,
                func,
                scale,
                bias,
                accumulate: Some(dst),
            },
        );
    }
}

/// Removes the operations that merging left empty.
pub(super) fn drop_empty(program: &mut Program) {
    program
        .ops
        .retain(|op: &Op| !matches!(&op.kind, OpKind::Dma(pieces) if pieces.is_empty()));
}
