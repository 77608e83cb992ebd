//! Instructions in two or three parts: what one starts, another ends.
//!
//! What is started is computed where it starts, which is one of the orders that the program allows; the parts after it
//! take the results out of its tuple. Contexts, which only a runtime fills, are zeros.

use ferrite_ir::diag::Diagnostic;
use ferrite_ir::hlo::{OpKind, Type, ValueId};
use ferrite_ir::literal::Literal;

use super::kinds;
use super::lower::{Leaves, Lowering, Site};
use super::message::*;
use super::shape::{leaf_count, leaf_position};

type Lowered<T> = Result<T, Diagnostic>;

impl<'p> Lowering<'p, '_> {
    /// The values of an instruction that starts, continues or ends something; `None` for another.
    pub(super) fn asynchronous(
        &mut self,
        site: &mut Site,
        p: &'p HloInstructionProto,
        operands: &[(Leaves, &HloInstructionProto)],
    ) -> Lowered<Option<Leaves>> {
        let all: Leaves = operands.iter().flat_map(|(values, _)| values.iter().copied()).collect();
        let values = match &*p.opcode {
            "async-start" => {
                let inner = self.called(p, 0)?;
                let arguments: Vec<Leaves> = operands.iter().map(|(values, _)| values.clone()).collect();
                let mut values = all;
                values.extend(self.computation(site.func, site.region, inner, &arguments)?);
                self.with_contexts(site, p, values)?
            }
            "async-update" | "all-reduce-done" => all,
            "async-done" | "all-gather-done" | "collective-permute-done" => self.part(p, operands, 1)?,
            "copy-done" => self.part(p, operands, 0)?,
            "copy-start" => {
                let mut values = all.clone();
                values.extend(all);
                self.with_contexts(site, p, values)?
            }
            "all-reduce-start" => self.started(site, p, p.shape.as_ref(), "all-reduce", &all)?,
            "all-gather-start" | "collective-permute-start" => {
                let result = p.shape.as_ref().and_then(|shape| shape.tuple_shapes.get(1));
                let opcode = p.opcode.trim_end_matches("-start");
                let mut values = all.clone();
                values.extend(self.started(site, p, result, opcode, &all)?);
                self.with_contexts(site, p, values)?
            }
            "send" => {
                let kind = OpKind::Send(kinds::transfer(p).map_err(|message| self.error(p, message))?);
                let mut values: Leaves = all.split_last().map_or(&[][..], |(_, data)| data).into();
                let token = site.add(kind, &all, vec![Type::Token]);
                values.extend(self.context(site, p)?);
                values.extend(token);
                values
            }
            "recv" => {
                let shape = p.shape.as_ref().and_then(|shape| shape.tuple_shapes.first());
                let mut types = self.types_of(p, shape)?;
                types.push(Type::Token);
                let kind = OpKind::Recv(kinds::transfer(p).map_err(|message| self.error(p, message))?);
                let mut values = site.add(kind, &all, types);
                let token = values.pop();
                values.extend(self.context(site, p)?);
                values.extend(token);
                values
            }
            "send-done" => all.last().copied().into_iter().collect(),
            "recv-done" => {
                let mut values = self.part(p, operands, 0)?;
                values.extend(all.last().copied());
                values
            }
            _ => return Ok(None),
        };
        Ok(Some(values))
    }

    /// The part of the operand's tuple with this number.
    fn part(
        &self,
        p: &HloInstructionProto,
        operands: &[(Leaves, &HloInstructionProto)],
        number: usize,
    ) -> Lowered<Leaves> {
        let part = || {
            let (values, operand) = operands.first()?;
            let shape = operand.shape.as_ref()?;
            let start = leaf_position(shape, &[number as i64])?;
            let count = leaf_count(shape.tuple_shapes.get(number)?);
            values.get(start..start + count).map(Leaves::from_slice)
        };
        part().ok_or_else(|| self.error(p, "its operand is nothing that was started"))
    }

    /// What the instruction computes, under the name of the one that does so at once.
    fn started(
        &mut self,
        site: &mut Site,
        p: &'p HloInstructionProto,
        result: Option<&ShapeProto>,
        opcode: &str,
        operands: &[ValueId],
    ) -> Lowered<Leaves> {
        let types = self.types_of(p, result)?;
        let given: Vec<Type> = operands.iter().map(|&v| site.func.ty(v).clone()).collect();
        let at_once = HloInstructionProto {
            opcode: opcode.to_string(),
            ..p.clone()
        };
        let kind = kinds::kind(&at_once, &given, &types, Vec::new()).map_err(|message| self.error(p, message))?;
        let Some((kind, _)) = kind else {
            return Err(self.error(p, "it is not supported"));
        };
        let mut regions = Vec::new();
        for n in 0..p.called_computation_ids.len() {
            let inner = self.called(p, n)?;
            let region = site.func.add_region();
            self.region(site.func, region, inner)?;
            regions.push(region);
        }
        let op = site.func.append(site.region, kind, operands, types, &regions, site.loc);
        let values: Leaves = site.func.op(op).results.iter().copied().collect();
        self.discardable(site, &values, p);
        Ok(values)
    }

    /// The values, and zeros for the arrays of the shape beyond them.
    fn with_contexts(&self, site: &mut Site, p: &HloInstructionProto, mut values: Leaves) -> Lowered<Leaves> {
        let types = self.types_of(p, p.shape.as_ref())?;
        for ty in types.get(values.len()..).unwrap_or_default() {
            let zero = match ty {
                Type::Tensor(ty) if ty.is_static() => {
                    let element = vec![0u8; ty.dtype.bytes()];
                    let zero =
                        Literal::splat(ty.clone(), &element).ok_or_else(|| self.error(p, "its shape is too large"))?;
                    site.add(OpKind::Constant(zero), &[], vec![Type::Tensor(ty.clone())])
                }
                Type::Token => site.add(OpKind::AfterAll, &[], vec![Type::Token]),
                other => return Err(self.error(p, format!("it cannot have a context of type {other}"))),
            };
            values.extend(zero);
        }
        Ok(values)
    }

    /// The context of a transfer: the second part of its shape.
    fn context(&self, site: &mut Site, p: &HloInstructionProto) -> Lowered<Leaves> {
        let context = p.shape.as_ref().and_then(|shape| shape.tuple_shapes.get(1)).cloned();
        let alone = HloInstructionProto {
            shape: context,
            name: p.name.clone(),
            opcode: p.opcode.clone(),
            ..Default::default()
        };
        self.with_contexts(site, &alone, Leaves::new())
    }
}
