//! Bodies of reductions, sorts and scatters: recognised, compiled to scalar code, or evaluated as they are.

use ferrite_ir::diag::Result;
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{BinaryOp, Func, OpKind, ReducePrecision, RegionId, TensorType, Type, UnaryOp, ValueId};

use crate::elementwise::reduce_number_precision;
use crate::eval::Frame;
use crate::number::{self, Num};
use crate::tensor::Tensor;
use crate::{Value, invalid};

/// One step of scalar code. Numbers are slots.
#[derive(Clone, Debug)]
enum Step {
    Unary(UnaryOp, DType, usize),
    Binary(BinaryOp, DType, usize, usize),
    Compare(ferrite_ir::hlo::Compare, DType, usize, usize),
    Select(usize, usize, usize),
    /// Bound, operand, bound.
    Clamp(DType, usize, usize, usize),
    Convert(DType, DType, usize),
    ReducePrecision(ReducePrecision, DType, usize),
    Complex(usize, usize),
}

/// A region over scalars as straight-line code.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// Slots before the first argument hold constants; then arguments; then one per step.
    slots: Vec<Num>,
    first_argument: usize,
    first_step: usize,
    steps: Vec<Step>,
    results: Vec<usize>,
}

/// The dtype of a scalar value, if that says what it means: a quantized one needs its type's parameters.
fn scalar(func: &Func, v: ValueId) -> Option<DType> {
    func.ty(v)
        .tensor()
        .filter(|t| t.shape.is_empty() && t.extra.is_none())
        .map(|t| t.dtype)
}

impl Program {
    /// Compiles a region whose operations are all element-wise on scalars. `outer` gives values from outside.
    pub(crate) fn compile(func: &Func, region: RegionId, outer: impl Fn(ValueId) -> Option<Tensor>) -> Option<Program> {
        let body = func.region(region);
        let mut constants: Vec<(ValueId, Num)> = Vec::new();
        let mut inside: Vec<ValueId> = body.args.clone();
        for &id in &body.ops {
            inside.extend(&func.op(id).results);
        }
        // Constants and captured values come first.
        for &id in &body.ops {
            let op = func.op(id);
            if let OpKind::Constant(literal) = &op.kind {
                let number = Num::read(literal.ty().dtype, literal.element(0));
                constants.push((*op.results.first()?, number));
            }
            for &v in &op.operands {
                if !inside.contains(&v) {
                    let t = outer(v).filter(|t| t.count() == 1)?;
                    constants.push((v, Num::read(t.dtype(), t.bytes())));
                }
            }
        }
        for &v in &body.results {
            if !inside.contains(&v) {
                let t = outer(v).filter(|t| t.count() == 1)?;
                constants.push((v, Num::read(t.dtype(), t.bytes())));
            }
        }
        let mut place: Vec<(ValueId, usize)> = constants.iter().enumerate().map(|(i, c)| (c.0, i)).collect();
        let first_argument = constants.len();
        for &arg in &body.args {
            scalar(func, arg)?;
            place.push((arg, place.len()));
        }
        let first_step = place.len();
        let mut steps = Vec::new();
        for &id in &body.ops {
            let op = func.op(id);
            if matches!(op.kind, OpKind::Constant(_)) {
                continue;
            }
            let [result] = op.results[..] else { return None };
            let dtype = scalar(func, result)?;
            let find = |i: usize| {
                let v = *op.operands.get(i)?;
                place.iter().find(|p| p.0 == v).map(|p| p.1)
            };
            let from = |i: usize| scalar(func, *op.operands.get(i)?);
            let step = match &op.kind {
                OpKind::Unary(u) => Step::Unary(*u, from(0)?, find(0)?),
                OpKind::Binary(b) => Step::Binary(*b, dtype, find(0)?, find(1)?),
                OpKind::Compare(c) => Step::Compare(*c, from(0)?, find(0)?, find(1)?),
                OpKind::Select => Step::Select(find(0)?, find(1)?, find(2)?),
                OpKind::Clamp => Step::Clamp(dtype, find(0)?, find(1)?, find(2)?),
                OpKind::Convert => Step::Convert(from(0)?, dtype, find(0)?),
                OpKind::ReducePrecision(attrs) => Step::ReducePrecision(*attrs, from(0)?, find(0)?),
                OpKind::Complex => Step::Complex(find(0)?, find(1)?),
                OpKind::Reshape | OpKind::OptimizationBarrier => {
                    let slot = find(0)?;
                    place.push((result, slot));
                    continue;
                }
                OpKind::BroadcastInDim(_) | OpKind::Transpose(_) => {
                    from(0)?;
                    let slot = find(0)?;
                    place.push((result, slot));
                    continue;
                }
                _ => return None,
            };
            place.push((result, first_step + steps.len()));
            steps.push(step);
        }
        let results: Option<Vec<usize>> = body
            .results
            .iter()
            .map(|v| place.iter().find(|p| p.0 == *v).map(|p| p.1))
            .collect();
        let mut slots: Vec<Num> = constants.into_iter().map(|c| c.1).collect();
        slots.resize(first_step + steps.len(), Num::I(0));
        Some(Program {
            slots,
            first_argument,
            first_step,
            steps,
            results: results?,
        })
    }

    /// Runs the code. `None` if an operation is not defined for its type.
    fn run(&mut self, args: &[Num], results: &mut [Num]) -> Option<()> {
        self.slots[self.first_argument..self.first_step].copy_from_slice(args);
        for (i, step) in self.steps.iter().enumerate() {
            let s = &self.slots;
            let value = match *step {
                Step::Unary(op, dtype, x) => number::unary(op, dtype, s[x])?,
                Step::Binary(op, dtype, x, y) => number::binary(op, dtype, s[x], s[y])?,
                Step::Compare(c, dtype, x, y) => Num::I(i64::from(number::compare(c, dtype, s[x], s[y])?)),
                Step::Select(p, x, y) => {
                    if s[p] == Num::I(0) {
                        s[y]
                    } else {
                        s[x]
                    }
                }
                Step::Clamp(dtype, low, x, high) => {
                    let raised = number::binary(BinaryOp::Maximum, dtype, s[x], s[low])?;
                    number::binary(BinaryOp::Minimum, dtype, raised, s[high])?
                }
                Step::Convert(from, to, x) => s[x].convert(from, to),
                Step::ReducePrecision(attrs, dtype, x) => reduce_number_precision(attrs, dtype, s[x])?,
                Step::Complex(x, y) => match (s[x], s[y]) {
                    (Num::F(re), Num::F(im)) => Num::C(num_complex::Complex64::new(re, im)),
                    _ => return None,
                },
            };
            self.slots[self.first_step + i] = value;
        }
        for (out, &slot) in results.iter_mut().zip(&self.results) {
            *out = self.slots[slot];
        }
        Some(())
    }
}

/// What a body of two arguments and one result does, if it is one of the usual things.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Simple {
    /// One commutative operation on the two arguments.
    Fold(BinaryOp),
    /// Returns the second argument (a scatter that overwrites).
    Second,
}

/// Recognises a body.
pub(crate) fn simple(func: &Func, region: RegionId) -> Option<Simple> {
    let body = func.region(region);
    let ([a, b], [result]) = (&body.args[..], &body.results[..]) else {
        return None;
    };
    if result == b && body.ops.is_empty() {
        return Some(Simple::Second);
    }
    let [op] = body.ops[..] else { return None };
    scalar(func, *result)?;
    let op = func.op(op);
    let OpKind::Binary(kind) = op.kind else { return None };
    let both = op.operands[..] == [*a, *b] || op.operands[..] == [*b, *a];
    (both && kind.is_commutative() && op.results[..] == [*result]).then_some(Simple::Fold(kind))
}

/// A body that is called with numbers.
pub(crate) enum Body<'f, 'm> {
    Compiled(Program),
    /// Evaluated on scalar tensors, call by call.
    Region(&'f mut Frame<'m>, RegionId),
}

impl<'f, 'm> Body<'f, 'm> {
    /// The fastest form of a region of the frame's function.
    pub(crate) fn new(frame: &'f mut Frame<'m>, region: RegionId) -> Body<'f, 'm> {
        let program = Program::compile(frame.func, region, |v| frame.tensor(v).ok().cloned());
        match program {
            Some(program) => Body::Compiled(program),
            None => Body::Region(frame, region),
        }
    }

    /// Calls the body; as many results as `results` has room for.
    pub(crate) fn call(&mut self, args: &[Num], results: &mut [Num]) -> Result<()> {
        match self {
            Body::Compiled(program) => {
                if program.first_step - program.first_argument != args.len() || program.results.len() != results.len() {
                    return Err(invalid(
                        "a region has another number of arguments or results than its operation needs",
                    ));
                }
                program
                    .run(args, results)
                    .ok_or_else(|| invalid("an operation of a region is not defined for the type of its operands"))
            }
            Body::Region(frame, region) => {
                let types: Vec<Type> = {
                    let func = frame.func;
                    func.region(*region).args.iter().map(|&v| func.ty(v).clone()).collect()
                };
                let mut values = Vec::with_capacity(args.len());
                for (ty, &number) in types.iter().zip(args) {
                    let Some(ty) = ty.tensor() else {
                        return Err(invalid("an argument of a region is no tensor"));
                    };
                    let mut t = Tensor::zeros(TensorType::scalar(ty.dtype));
                    number.write(ty.dtype, t.bytes_mut());
                    values.push(Value::Tensor(t));
                }
                let out = frame.region(*region, values)?;
                for (result, value) in results.iter_mut().zip(&out) {
                    let Value::Tensor(t) = value else {
                        return Err(invalid("a result of a region is no tensor"));
                    };
                    *result = Num::read(t.dtype(), t.bytes());
                }
                Ok(())
            }
        }
    }

    /// Calls a body that answers yes or no.
    pub(crate) fn test(&mut self, args: &[Num]) -> Result<bool> {
        let mut answer = [Num::I(0)];
        self.call(args, &mut answer)?;
        Ok(answer[0] != Num::I(0))
    }
}

/// All elements of a tensor.
pub(crate) fn numbers(x: &Tensor) -> Vec<Num> {
    let dtype = x.dtype();
    if dtype.is_complex() {
        x.to_complex().into_iter().map(Num::C).collect()
    } else if dtype.is_float() {
        x.to_f64s().iter().map(|&v| Num::F(v)).collect()
    } else {
        x.to_i64s().iter().map(|&v| Num::I(v)).collect()
    }
}

/// A tensor of numbers that fit its type.
pub(crate) fn from_numbers(ty: TensorType, values: &[Num]) -> Tensor {
    let mut out = Tensor::zeros(ty);
    let dtype = out.dtype();
    for (element, number) in out.bytes_mut().chunks_exact_mut(dtype.bytes()).zip(values) {
        number.write(dtype, element);
    }
    out
}
