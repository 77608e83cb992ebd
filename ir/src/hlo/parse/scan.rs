//! Operations of the text whose region becomes part of something else.

use super::super::build::Builder;
use super::super::func::{Func, RegionId, ValueId};
use super::super::infer::Violation;
use super::super::ops::{ComparisonDirection, DynamicSlice, OpKind};
use super::super::types::{TensorType, Type};
use super::fields::{Fields, Read};
use super::module::{Meaning, Reader};
use super::scope::{Definition, Scope};
use super::types;
use crate::diag::Code;
use crate::dtype::DType;
use crate::text::{Block, Operation};

/// What a scan is over.
struct Shape {
    /// The number of inputs; the other operands are the first carries.
    inputs: usize,
    /// The number of results that are stacked; the others are the last carries.
    outputs: usize,
    dimension: usize,
    length: i64,
    reverse: bool,
    results: Vec<TensorType>,
}

impl<'d, 'a> Reader<'d, 'a> {
    /// `chlo.scan`: its body is run for each index of one dimension of the inputs, given their slices there (without
    /// that dimension) and the carries; it yields slices of the outputs and the next carries. Results are the outputs
    /// and the last carries. It becomes a `while`.
    pub(super) fn scan(
        &mut self,
        fields: &mut Fields<'d, 'a>,
        operands: &[ValueId],
        func: &mut Func,
        region: RegionId,
        scope: &mut Scope<'d>,
    ) -> Option<Meaning> {
        let op = fields.op;
        let found = scan_shape(fields, operands, func).and_then(|shape| match &op.regions[..] {
            [region] => match &region.blocks[..] {
                [block] if block.arguments.len() == operands.len() => Ok((shape, block)),
                _ => Err(format!(
                    "the body of `{}` must be one block with an argument for each of the {} operands",
                    op.name,
                    operands.len()
                )),
            },
            _ => Err(format!("`{}` needs one region", op.name)),
        });
        let (shape, block) = match found {
            Ok(found) => found,
            Err(message) => {
                self.error(op, Code::Verify, message);
                return None;
            }
        };
        let loc = self.locations.add(op);
        let mut b = Builder::new(func, region, loc);
        let index = TensorType::scalar(DType::I64);
        let zero = b.constant_i(index.clone(), 0);
        let mut state = vec![zero];
        for ty in &shape.results[..shape.outputs] {
            state.push(b.constant_i(ty.clone(), 0));
        }
        state.extend(&operands[shape.inputs..]);
        let state_types: Vec<Type> = state.iter().map(|&v| b.ty(v).clone()).collect();
        let condition = b.add_region(&state_types, |b, args| {
            let end = b.constant_i(index.clone(), shape.length);
            Ok(vec![b.compare(ComparisonDirection::Lt, args[0], end)?])
        });
        let condition = self.built(op, condition)?;
        let body = func.add_region();
        let args: Vec<ValueId> = state_types.iter().map(|t| func.add_arg(body, t.clone())).collect();
        let mut b = Builder::new(func, body, loc);
        let sliced = slices(&mut b, &shape, &operands[..shape.inputs], args[0]);
        let (position, mut values) = self.built(op, sliced)?;
        values.extend(&args[1 + shape.outputs..]);
        let yielded = self.inline(op, block, &values, func, body, scope, "stablehlo.return")?;
        if yielded.len() != shape.results.len() {
            let message = format!(
                "the body of `{}` yields {} values for {} results",
                op.name,
                yielded.len(),
                shape.results.len()
            );
            self.error(op, Code::Verify, message);
            return None;
        }
        let mut b = Builder::new(func, body, loc);
        let stored = store(&mut b, &shape, &args, position, &yielded);
        let results = self.built(op, stored)?;
        func.region_mut(body).results = results;
        func.region_mut(body).loc = loc;
        let mut b = Builder::new(func, region, loc);
        let looped = b.op_with_regions(OpKind::While, &state, &[condition, body], Some(&state_types));
        let mut values = self.built(op, looped)?;
        values.remove(0);
        Some(Meaning::Values(values))
    }

    /// `sdy.named_computation`: its body stands where it does.
    pub(super) fn named_computation(
        &mut self,
        op: &'d Operation<'a>,
        operands: &[ValueId],
        func: &mut Func,
        region: RegionId,
        scope: &mut Scope<'d>,
    ) -> Option<Meaning> {
        match &op.regions[..] {
            [inner] if inner.blocks.len() == 1 && inner.blocks[0].arguments.len() == operands.len() => self
                .inline(op, &inner.blocks[0], operands, func, region, scope, "sdy.return")
                .map(Meaning::Values),
            _ => {
                let message = format!(
                    "`{}` needs one region of one block with {} argument(s)",
                    op.name,
                    operands.len()
                );
                self.error(op, Code::Verify, message);
                None
            }
        }
    }

    /// Reads a block into the end of a region, its arguments being values that are there; gives what it yields.
    #[allow(clippy::too_many_arguments)]
    fn inline(
        &mut self,
        owner: &'d Operation<'a>,
        block: &'d Block<'a>,
        values: &[ValueId],
        func: &mut Func,
        region: RegionId,
        scope: &mut Scope<'d>,
        terminator: &str,
    ) -> Option<Vec<ValueId>> {
        for (argument, &value) in block.arguments.iter().zip(values) {
            let ty = types::value_type(&argument.ty);
            if ty.as_ref() != Ok(func.ty(value)) {
                let message = format!("argument `%{}` must be of type {}", argument.name, func.ty(value));
                self.error(owner, Code::Verify, message);
                return None;
            }
        }
        let before = self.errors.len();
        let mark = scope.enter();
        for (argument, &value) in block.arguments.iter().zip(values) {
            scope.define(&argument.name, Definition::Value(value));
        }
        self.block_operations(owner, block, func, region, scope, terminator);
        scope.leave(mark);
        let results = std::mem::take(&mut func.region_mut(region).results);
        (self.errors.len() == before).then_some(results)
    }

    /// A value that was built, or an error of the operation that asked for it.
    fn built<T>(&mut self, op: &Operation, result: Result<T, Violation>) -> Option<T> {
        result
            .map_err(|violation| self.error(op, Code::Verify, violation.to_string()))
            .ok()
    }
}

fn scan_shape(fields: &mut Fields, operands: &[ValueId], func: &Func) -> Read<Shape> {
    let dimension = fields.int("dimension")?;
    let reverse = fields.bool_or("is_reverse", false)?;
    let _ = fields.bool_or("is_associative", false)?;
    let results: Vec<TensorType> = fields
        .op
        .result_types
        .iter()
        .map(types::tensor_type)
        .collect::<Result<_, _>>()?;
    // The segments say which operands are inputs; without them there are as many carries as the results leave.
    let inputs = match fields.take("operandSegmentSizes") {
        Some(attr) => super::fields::list(attr)
            .and_then(|sizes| usize::try_from(*sizes.first()?).ok())
            .ok_or_else(|| fields.wrong("operandSegmentSizes", "the numbers of inputs and carries"))?,
        None => operands.len() / 2,
    };
    let outputs = match fields.take("resultSegmentSizes") {
        Some(attr) => super::fields::list(attr)
            .and_then(|sizes| usize::try_from(*sizes.first()?).ok())
            .ok_or_else(|| fields.wrong("resultSegmentSizes", "the numbers of outputs and carries"))?,
        None => (results.len() + inputs).saturating_sub(operands.len()),
    };
    let name = &fields.op.name;
    if inputs == 0 || inputs > operands.len() || outputs > results.len() {
        return Err(format!("`{name}` needs at least one input"));
    }
    if results.len() - outputs != operands.len() - inputs {
        return Err(format!(
            "`{name}` starts with {} carries and ends with {}",
            operands.len() - inputs,
            results.len() - outputs
        ));
    }
    let mut length = None;
    let all = operands[..inputs].iter().map(|&v| func.ty(v).tensor());
    for ty in all.chain(results[..outputs].iter().map(Some)) {
        let size = ty
            .filter(|ty| ty.is_static())
            .and_then(|ty| ty.shape.get(usize::try_from(dimension).ok()?).copied())
            .ok_or_else(|| format!("`{name}` goes along dimension {dimension}, which an input or output lacks"))?;
        if *length.get_or_insert(size) != size {
            return Err(format!(
                "inputs and outputs of `{name}` differ in dimension {dimension}"
            ));
        }
    }
    Ok(Shape {
        inputs,
        outputs,
        dimension: dimension as usize,
        length: length.unwrap_or(0),
        reverse,
        results,
    })
}

/// The position that the body sees, and the inputs' slices there.
fn slices(
    b: &mut Builder<'_>,
    shape: &Shape,
    inputs: &[ValueId],
    counter: ValueId,
) -> Result<(ValueId, Vec<ValueId>), Violation> {
    let index = TensorType::scalar(DType::I64);
    let position = if shape.reverse {
        let last = b.constant_i(index.clone(), shape.length - 1);
        b.sub(last, counter)?
    } else {
        counter
    };
    let zero = b.constant_i(index, 0);
    let mut values = Vec::with_capacity(inputs.len());
    for &input in inputs {
        let mut sizes = b.tensor(input)?.shape.clone();
        let mut operands = vec![input];
        operands.extend((0..sizes.len()).map(|d| if d == shape.dimension { position } else { zero }));
        sizes[shape.dimension] = 1;
        let slice = b.op1(OpKind::DynamicSlice(DynamicSlice { sizes: sizes.clone() }), &operands)?;
        sizes.remove(shape.dimension);
        values.push(b.reshape(slice, &sizes)?);
    }
    Ok((position, values))
}

/// The next state: the counter, the outputs with their slices stored, the carries.
fn store(
    b: &mut Builder<'_>,
    shape: &Shape,
    args: &[ValueId],
    position: ValueId,
    yielded: &[ValueId],
) -> Result<Vec<ValueId>, Violation> {
    let index = TensorType::scalar(DType::I64);
    let one = b.constant_i(index.clone(), 1);
    let mut next = vec![b.add(args[0], one)?];
    let zero = b.constant_i(index, 0);
    for (i, &slice) in yielded[..shape.outputs].iter().enumerate() {
        let target = args[1 + i];
        let mut sizes = b.tensor(target)?.shape.clone();
        sizes[shape.dimension] = 1;
        let slice = b.reshape(slice, &sizes)?;
        let mut operands = vec![target, slice];
        operands.extend((0..sizes.len()).map(|d| if d == shape.dimension { position } else { zero }));
        next.push(b.op1(OpKind::DynamicUpdateSlice, &operands)?);
    }
    next.extend(&yielded[shape.outputs..]);
    Ok(next)
}
