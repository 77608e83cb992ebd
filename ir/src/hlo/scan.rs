//! Scans as loops: what the texts call `chlo.scan` and HLO `scan`.
//!
//! A body runs for each index of one dimension of the inputs, given their slices there (without that dimension) and the
//! carries. It yields slices of the outputs and the next carries. Results are the outputs and the last carries.

use super::build::{Builder, Built};
use super::func::{Func, RegionId, ValueId};
use super::infer::Violation;
use super::ops::{ComparisonDirection, DynamicSlice, OpKind};
use super::types::{TensorType, Type};
use crate::dtype::DType;
use crate::loc::LocId;

/// What a scan is over.
#[derive(Clone, Debug)]
pub struct ScanLoop {
    /// The number of inputs; the other operands are the first carries.
    inputs: usize,
    /// The number of results that are stacked; the others are the last carries.
    outputs: usize,
    dimension: usize,
    length: i64,
    /// Whether it begins at the last index.
    reverse: bool,
    results: Vec<TensorType>,
}

impl ScanLoop {
    /// A scan along a dimension of the first `inputs` operands, of which the first `outputs` results are stacked.
    ///
    /// # Errors
    /// If numbers or sizes do not fit one another.
    pub fn new(
        func: &Func,
        operands: &[ValueId],
        results: Vec<TensorType>,
        (inputs, outputs): (usize, usize),
        dimension: i64,
        reverse: bool,
    ) -> Result<ScanLoop, String> {
        if inputs == 0 || inputs > operands.len() || outputs > results.len() {
            return Err("a scan needs at least one input".to_string());
        }
        if results.len() - outputs != operands.len() - inputs {
            return Err(format!(
                "a scan starts with {} carries and ends with {}",
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
                .ok_or_else(|| format!("the scan goes along dimension {dimension}, which an input or output lacks"))?;
            if *length.get_or_insert(size) != size {
                return Err(format!("inputs and outputs of a scan differ in dimension {dimension}"));
            }
        }
        Ok(ScanLoop {
            inputs,
            outputs,
            dimension: dimension as usize,
            length: length.unwrap_or(0),
            reverse,
            results,
        })
    }

    /// Adds the loop to a region and gives the scan's results. `body` fills a region, given the slices and the carries,
    /// and says what it yields.
    ///
    /// # Errors
    /// Those of `body`, and what does not fit the results.
    pub fn build<E: From<Violation>>(
        &self,
        func: &mut Func,
        region: RegionId,
        loc: LocId,
        operands: &[ValueId],
        body: impl FnOnce(&mut Func, RegionId, &[ValueId]) -> Result<Vec<ValueId>, E>,
    ) -> Result<Vec<ValueId>, E> {
        let mut b = Builder::new(func, region, loc);
        let index = TensorType::scalar(DType::I64);
        let zero = b.constant_i(index.clone(), 0);
        let mut state = vec![zero];
        for ty in &self.results[..self.outputs] {
            state.push(b.constant_i(ty.clone(), 0));
        }
        state.extend(&operands[self.inputs..]);
        let state_types: Vec<Type> = state.iter().map(|&v| b.ty(v).clone()).collect();
        let condition = b.add_region(&state_types, |b, args| {
            let end = b.constant_i(index.clone(), self.length);
            Ok(vec![b.compare(ComparisonDirection::Lt, args[0], end)?])
        })?;
        let inner = func.add_region();
        let args: Vec<ValueId> = state_types.iter().map(|t| func.add_arg(inner, t.clone())).collect();
        let mut b = Builder::new(func, inner, loc);
        let (position, mut values) = self.slices(&mut b, &operands[..self.inputs], args[0])?;
        values.extend(&args[1 + self.outputs..]);
        let yielded = body(func, inner, &values)?;
        if yielded.len() != self.results.len() {
            let message = format!(
                "the body yields {} values for {} results",
                yielded.len(),
                self.results.len()
            );
            return Err(Violation::new("scan", message).into());
        }
        let mut b = Builder::new(func, inner, loc);
        let results = self.store(&mut b, &args, position, &yielded)?;
        func.region_mut(inner).results = results;
        func.region_mut(inner).loc = loc;
        let mut b = Builder::new(func, region, loc);
        let mut values = b.op_with_regions(OpKind::While, &state, &[condition, inner], Some(&state_types))?;
        values.remove(0);
        Ok(values)
    }

    /// The position that the body sees, and the inputs' slices there.
    fn slices(&self, b: &mut Builder<'_>, inputs: &[ValueId], counter: ValueId) -> Built<(ValueId, Vec<ValueId>)> {
        let index = TensorType::scalar(DType::I64);
        let position = if self.reverse {
            let last = b.constant_i(index.clone(), self.length - 1);
            b.sub(last, counter)?
        } else {
            counter
        };
        let zero = b.constant_i(index, 0);
        let mut values = Vec::with_capacity(inputs.len());
        for &input in inputs {
            let mut sizes = b.tensor(input)?.shape.clone();
            let mut operands = vec![input];
            operands.extend((0..sizes.len()).map(|d| if d == self.dimension { position } else { zero }));
            sizes[self.dimension] = 1;
            let slice = b.op1(OpKind::DynamicSlice(DynamicSlice { sizes: sizes.clone() }), &operands)?;
            sizes.remove(self.dimension);
            values.push(b.reshape(slice, &sizes)?);
        }
        Ok((position, values))
    }

    /// The next state: the counter, the outputs with their slices stored, the carries.
    fn store(
        &self,
        b: &mut Builder<'_>,
        args: &[ValueId],
        position: ValueId,
        yielded: &[ValueId],
    ) -> Built<Vec<ValueId>> {
        let index = TensorType::scalar(DType::I64);
        let one = b.constant_i(index.clone(), 1);
        let mut next = vec![b.add(args[0], one)?];
        let zero = b.constant_i(index, 0);
        for (i, &slice) in yielded[..self.outputs].iter().enumerate() {
            let target = args[1 + i];
            let mut sizes = b.tensor(target)?.shape.clone();
            sizes[self.dimension] = 1;
            let slice = b.reshape(slice, &sizes)?;
            let mut operands = vec![target, slice];
            operands.extend((0..sizes.len()).map(|d| if d == self.dimension { position } else { zero }));
            next.push(b.op1(OpKind::DynamicUpdateSlice, &operands)?);
        }
        next.extend(&yielded[self.outputs..]);
        Ok(next)
    }
}
