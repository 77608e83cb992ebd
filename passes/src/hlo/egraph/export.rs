//! From a plan back to the region.
//!
//! Operations that the plan keeps stay where they are, and so does their order: nothing moves that need not. What replaces
//! an operation stands in its place and has its location; terms on the way to it have the location of the operation that
//! computed the same, if there was one.

use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::hlo::{Builder, Func, OpId, OpKind, Reduce, RegionId, Type, ValueId};
use ferrite_ir::loc::LocId;

use super::extract::Plan;
use super::import::Region;
use super::language::Kind;

struct Exporter<'a> {
    func: &'a mut Func,
    target: RegionId,
    region: &'a Region,
    plan: &'a Plan,
    /// The operation of each term of the region.
    ops: Vec<Option<OpId>>,
    /// The value of each chosen term, once it is there.
    values: Vec<Option<ValueId>>,
}

/// Rewrites a region as a plan says.
pub(super) fn export(func: &mut Func, target: RegionId, region: &Region, plan: &Plan) -> Result<()> {
    let mut ops = vec![None; region.terms.len()];
    for (&op, &term) in &region.op_of {
        ops[term as usize] = Some(op);
    }
    let old = std::mem::take(&mut func.region_mut(target).ops);
    let values = vec![None; plan.terms.len()];
    let mut exporter = Exporter {
        func,
        target,
        region,
        plan,
        ops,
        values,
    };
    for op in old {
        exporter.visit(op)?;
    }
    let results = exporter.func.region(target).results.clone();
    let results = results.into_iter().map(|v| exporter.resolve(v)).collect();
    exporter.func.region_mut(target).results = results;
    Ok(())
}

impl Exporter<'_> {
    /// What stands for a value of the region now.
    fn resolve(&self, value: ValueId) -> ValueId {
        let term = self.region.term_of.get(&value);
        let chosen = term.and_then(|&t| self.plan.of[t as usize]);
        chosen.and_then(|c| self.values[c as usize]).unwrap_or(value)
    }

    fn visit(&mut self, op: OpId) -> Result<()> {
        if let Some(&term) = self.region.op_of.get(&op) {
            return match self.plan.of[term as usize] {
                Some(chosen) => self.emit(chosen, self.func.op(op).loc),
                None => Ok(()), // nothing needs it any more
            };
        }
        // Leaves may be equal to something that was computed before.
        for i in 0..self.func.op(op).operands.len() {
            let v = self.resolve_leaf(self.func.op(op).operands[i])?;
            self.func.op_mut(op).operands[i] = v;
        }
        let mut inner: Vec<RegionId> = Vec::new();
        for &r in &self.func.op(op).regions {
            self.func.walk_regions(r, &mut |_, r| inner.push(r));
        }
        for r in inner {
            for i in 0..self.func.region(r).ops.len() {
                let id = self.func.region(r).ops[i];
                for k in 0..self.func.op(id).operands.len() {
                    let v = self.resolve(self.func.op(id).operands[k]);
                    self.func.op_mut(id).operands[k] = v;
                }
            }
            for i in 0..self.func.region(r).results.len() {
                let v = self.resolve(self.func.region(r).results[i]);
                self.func.region_mut(r).results[i] = v;
            }
        }
        self.func.region_mut(self.target).ops.push(op);
        Ok(())
    }

    /// As [`Exporter::resolve`], for what an operation that is left alone reads: a root.
    fn resolve_leaf(&mut self, value: ValueId) -> Result<ValueId> {
        if let Some(&term) = self.region.term_of.get(&value)
            && let Some(chosen) = self.plan.of[term as usize]
        {
            self.emit(chosen, LocId::UNKNOWN)?;
        }
        Ok(self.resolve(value))
    }

    /// Computes a chosen term and what it needs, as far as it is not there yet.
    fn emit(&mut self, chosen: u32, loc: LocId) -> Result<()> {
        let mut stack = vec![(chosen, loc, 0usize)];
        while let Some((c, loc, next)) = stack.pop() {
            if self.values[c as usize].is_some() {
                continue;
            }
            let term = &self.plan.terms[c as usize];
            let own = term.stands_for.and_then(|t| self.ops[t as usize]);
            let loc = own.map_or(loc, |op| self.func.op(op).loc);
            match term.operands.get(next) {
                Some(&operand) => {
                    stack.push((c, loc, next + 1));
                    stack.push((operand, loc, 0));
                }
                None => self.values[c as usize] = Some(self.compute(c, loc)?),
            }
        }
        Ok(())
    }

    fn compute(&mut self, c: u32, loc: LocId) -> Result<ValueId> {
        let term = &self.plan.terms[c as usize];
        let operand = |&o: &u32| match self.values[o as usize] {
            Some(v) => v,
            None => unreachable!("operands are computed first"),
        };
        let operands: Vec<ValueId> = term.operands.iter().map(operand).collect();
        if let Kind::Leaf(number) = &*term.kind {
            return Ok(self.region.leaves[*number as usize]);
        }
        if let Some(op) = term.origin.and_then(|t| self.ops[t as usize]) {
            self.func.op_mut(op).operands = operands.into();
            self.func.region_mut(self.target).ops.push(op);
            return Ok(self.func.result(op));
        }
        let hint = [Type::from(term.ty.clone())];
        let mut b = Builder::new(self.func, self.target, loc);
        let built = match &*term.kind {
            Kind::Leaf(_) => unreachable!("leaves are not computed"),
            Kind::Op(kind) => b.op_id(kind.clone(), &operands, &[], Some(&hint)),
            Kind::Reduce { op, dimensions } => {
                let scalar = Type::from(term.ty.with_shape([]));
                b.add_region(&[scalar.clone(), scalar], |b, args| {
                    b.binary(*op, args[0], args[1]).map(|v| vec![v])
                })
                .and_then(|body| {
                    let dimensions = dimensions.clone();
                    b.op_id(OpKind::Reduce(Reduce { dimensions }), &operands, &[body], Some(&hint))
                })
            }
        };
        match built {
            Ok(op) => Ok(self.func.result(op)),
            Err(v) => Err(Diagnostic::bug(format!("an extracted term is invalid: {v}"))),
        }
    }
}
