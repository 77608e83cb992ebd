//! Operations of the text whose region becomes part of something else.

use super::super::func::{Func, RegionId, ValueId};
use super::super::infer::Violation;
use super::super::scan::ScanLoop;
use super::super::types::TensorType;
use super::fields::{Fields, Read};
use super::module::{Meaning, Reader};
use super::scope::{Definition, Scope};
use super::types;
use crate::diag::Code;
use crate::text::{Block, Operation};

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
        let built = shape.build(func, region, loc, operands, |func, inner, values| {
            self.inline(op, block, values, func, inner, scope, "stablehlo.return")
                .ok_or(Refused(None))
        });
        match built {
            Ok(values) => Some(Meaning::Values(values)),
            Err(Refused(violation)) => {
                if let Some(violation) = violation {
                    self.error(op, Code::Verify, violation.to_string());
                }
                None
            }
        }
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
}

/// Why a scan is not built; nothing where it was said already.
struct Refused(Option<Violation>);

impl From<Violation> for Refused {
    fn from(violation: Violation) -> Refused {
        Refused(Some(violation))
    }
}

fn scan_shape(fields: &mut Fields, operands: &[ValueId], func: &Func) -> Read<ScanLoop> {
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
    ScanLoop::new(func, operands, results, (inputs, outputs), dimension, reverse)
        .map_err(|why| format!("`{}`: {why}", fields.op.name))
}
