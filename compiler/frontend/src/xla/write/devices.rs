//! What talks to other devices, to the host, or runs beside the program.

use ferrite_ir::diag::{Code, Diagnostic};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{Func, ManualComputation, Op, OpKind, TensorType, Transfer, Type, ValueId};

use super::super::manual;
use super::super::message::*;
use super::super::shape::tuple_of;
use super::{Body, Writer, Written, kinds};

impl<'m> Writer<'m> {
    /// What starts a transfer, and what waits for it at once: to the program they are one operation.
    pub(super) fn transfer(&mut self, body: &mut Body, func: &Func, op: &Op, kind: &Transfer) -> Written<()> {
        let sends = matches!(op.kind, OpKind::Send(_));
        let operands = self.operands(body, op)?;
        let (data, types) = if sends {
            let (_, data) = op.operands.split_last().unwrap_or((&op.operands[0], &[]));
            (vec![self.bundle(body, func, data)?], data)
        } else {
            (Vec::new(), op.results.split_last().map_or(&[][..], |(_, data)| data))
        };
        let token = *operands
            .last()
            .ok_or_else(|| self.error(op.loc, "a transfer needs a token"))?;
        let inner = self.shape_of_all(func, types, op.loc)?;
        let token_shape = self.shape(op.loc, &Type::Token)?;
        let context = self.shape(op.loc, &Type::Tensor(TensorType::scalar(DType::U32)))?;
        let shape = tuple_of(vec![inner.clone(), context, token_shape.clone()]);
        let set = |p: &mut HloInstructionProto| kinds::transfer(p, kind);
        let (opcode, done) = if sends {
            ("send", "send-done")
        } else {
            ("recv", "recv-done")
        };
        let operands: Vec<i64> = data.into_iter().chain([token]).collect();
        let start = self.add(body, opcode, shape, &operands, set);
        if sends {
            let id = self.add(body, done, token_shape, &[start], set);
            body.values.insert(op.results[0], id);
            return Ok(());
        }
        let shape = tuple_of(vec![inner.clone(), token_shape.clone()]);
        let id = self.add(body, done, shape, &[start], set);
        let data = self.add(body, "get-tuple-element", inner, &[id], |_| {});
        self.unbundle(body, func, data, types)?;
        let token = self.add(body, "get-tuple-element", token_shape, &[id], |p| p.tuple_index = 1);
        if let Some(&result) = op.results.last() {
            body.values.insert(result, token);
        }
        Ok(())
    }

    /// A manual computation: a call between two custom calls.
    pub(super) fn manual(&mut self, body: &mut Body, func: &'m Func, op: &Op, kind: &ManualComputation) -> Written<()> {
        let &[region] = &op.regions[..] else {
            return Err(self.error(op.loc, "`sdy.manual_computation` needs a region"));
        };
        let inner = self.closed(func, region, op.loc)?;
        if let Some(computation) = self.computations.last_mut() {
            computation.name = format!("{}_{inner}", manual::BODY);
        }
        body.loc = op.loc;
        let (args, results) = (&func.region(region).args, &func.region(region).results);
        let operands = self.operands(body, op)?;
        let before = manual::attributes_before(kind);
        let local = self.across(body, func, &operands, args, manual::TO_LOCAL, &before)?;
        let shape = self.shape_of_all(func, results, op.loc)?;
        let call = self.add(body, "call", shape, &local, |p| {
            p.called_computation_ids = vec![inner];
        });
        let mut parts = vec![call];
        if results.len() != 1 {
            parts.clear();
            for (n, &result) in results.iter().enumerate() {
                let shape = self.shape(op.loc, func.ty(result))?;
                parts.push(self.add(body, "get-tuple-element", shape, &[call], |p| p.tuple_index = n as i64));
            }
        }
        let after = manual::attributes_after(kind);
        let whole = self.across(body, func, &parts, &op.results, manual::TO_GLOBAL, &after)?;
        body.values.extend(op.results.iter().copied().zip(whole));
        Ok(())
    }

    /// A custom call from arrays to parts or back; the instructions of its results, which have the types of `values`.
    pub(super) fn across(
        &mut self,
        body: &mut Body,
        func: &Func,
        operands: &[i64],
        values: &[ValueId],
        target: &str,
        attributes: &FrontendAttributes,
    ) -> Written<Vec<i64>> {
        if values.is_empty() {
            return Ok(Vec::new());
        }
        let loc = body.loc;
        let shape = self.shape_of_all(func, values, loc)?;
        let id = self.add(body, "custom-call", shape, operands, |p| {
            p.custom_call_target = target.to_string();
            p.custom_call_has_side_effect = true;
            p.custom_call_api_version = 1;
            p.frontend_attributes = Some(attributes.clone());
        });
        if values.len() == 1 {
            return Ok(vec![id]);
        }
        let mut parts = Vec::with_capacity(values.len());
        for (n, &value) in values.iter().enumerate() {
            let shape = self.shape(loc, func.ty(value))?;
            parts.push(self.add(body, "get-tuple-element", shape, &[id], |p| {
                p.tuple_index = n as i64;
                p.frontend_attributes = Some(attributes.clone());
            }));
        }
        Ok(parts)
    }

    /// A region that runs by itself, and the end of it.
    pub(super) fn asynchronous(&mut self, body: &mut Body, func: &'m Func, op: &Op) -> Written<()> {
        if matches!(op.kind, OpKind::AsyncDone) {
            let operands = self.operands(body, op)?;
            let shape = self.shape_of_all(func, &op.results, op.loc)?;
            let id = self.add(body, "async-done", shape, &operands, |_| {});
            return self.unbundle(body, func, id, &op.results);
        }
        let &[region] = &op.regions[..] else {
            return Err(self.error(op.loc, "`async_start` needs a region"));
        };
        let called = self.closed(func, region, op.loc)?;
        body.loc = op.loc;
        let mut inputs = Vec::with_capacity(op.operands.len());
        for &operand in &op.operands {
            inputs.push(self.shape(op.loc, func.ty(operand))?);
        }
        let result = self.shape_of_all(func, &func.region(region).results, op.loc)?;
        let operands = self.operands(body, op)?;
        let shape = tuple_of(vec![tuple_of(inputs), result]);
        let id = self.add(body, "async-start", shape, &operands, |p| {
            p.called_computation_ids = vec![called];
        });
        body.values.insert(op.results[0], id);
        Ok(())
    }

    /// `((a, b), token)`.
    pub(super) fn infeed(&mut self, body: &mut Body, func: &Func, op: &Op) -> Written<()> {
        let Some((&token, data)) = op.results.split_last() else {
            return Err(self.error(op.loc, "`infeed` needs a token"));
        };
        let inner = self.shape_of_all(func, data, op.loc)?;
        let token_shape = self.shape(op.loc, func.ty(token))?;
        let operands = self.operands(body, op)?;
        let mut fields = HloInstructionProto::default();
        kinds::fill(&mut fields, &op.kind, &[]).map_err(|message| self.error(op.loc, message))?;
        let shape = tuple_of(vec![inner.clone(), token_shape.clone()]);
        let id = self.add(body, "infeed", shape, &operands, |p| {
            p.infeed_config = fields.infeed_config
        });
        let data_id = self.add(body, "get-tuple-element", inner, &[id], |_| {});
        self.unbundle(body, func, data_id, data)?;
        let token_id = self.add(body, "get-tuple-element", token_shape, &[id], |p| p.tuple_index = 1);
        body.values.insert(token, token_id);
        Ok(())
    }

    /// HLO's `all-to-all` exchanges parts along one dimension; moving them to another is a transposition.
    pub(super) fn all_to_all(&mut self, body: &mut Body, func: &Func, op: &Op) -> Written<()> {
        let OpKind::AllToAll(kind) = &op.kind else {
            return Ok(());
        };
        let from = func.tensor(op.operands[0]).clone();
        let (module, loc) = (self.module, op.loc);
        let bad = || {
            let message = "`all_to_all` has dimensions that do not fit its operand";
            Diagnostic::error(Code::Verify, message).at(module.locs.get(loc))
        };
        let split = usize::try_from(kind.split_dimension)
            .ok()
            .filter(|&d| d < from.rank())
            .ok_or_else(bad)?;
        let concat = usize::try_from(kind.concat_dimension)
            .ok()
            .filter(|&d| d < from.rank())
            .ok_or_else(bad)?;
        let count = kind.split_count.max(1);
        let operands = self.operands(body, op)?;
        let mut fields = HloInstructionProto::default();
        kinds::fill(&mut fields, &op.kind, &[]).map_err(|message| self.error(op.loc, message))?;
        let shape = self.shape(op.loc, &Type::Tensor(from.clone()))?;
        let exchanged = self.add(body, "all-to-all", shape, &operands, |p| {
            p.dimensions = fields.dimensions;
            p.replica_groups = fields.replica_groups;
            p.channel_id = fields.channel_id;
        });
        // [.., count * part, ..] to [.., count, part, ..].
        let mut sizes = from.shape.to_vec();
        sizes[split] /= count;
        sizes.insert(split, count);
        let shape = self.shape(op.loc, &Type::Tensor(from.with_shape(sizes.iter().copied())))?;
        let parted = self.add(body, "reshape", shape, &[exchanged], |_| {});
        // The parts go before the dimension along which they are joined.
        let target = if concat > split { concat + 1 } else { concat };
        let mut order: Vec<usize> = (0..sizes.len()).filter(|&d| d != split).collect();
        let place = order.iter().position(|&d| d == target).ok_or_else(bad)?;
        order.insert(place, split);
        let moved = order.iter().map(|&d| sizes[d]);
        let shape = self.shape(op.loc, &Type::Tensor(from.with_shape(moved)))?;
        let dimensions: Vec<i64> = order.iter().map(|&d| d as i64).collect();
        let moved = self.add(body, "transpose", shape, &[parted], |p| p.dimensions = dimensions);
        let shape = self.shape(op.loc, func.ty(op.results[0]))?;
        let id = self.add(body, "reshape", shape, &[moved], |_| {});
        body.values.insert(op.results[0], id);
        Ok(())
    }
}
