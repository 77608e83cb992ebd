//! Rewriting operations one by one, in linear time.
//!
//! Operations are visited in order, those inside regions before the one that owns them. A visited operation already
//! reads the replacements of what came before. New operations are visited in turn, up to a budget that is counted in
//! rewrites, so that rules may build on one another and still end.

use std::collections::VecDeque;

use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::hlo::infer::compatible;
use ferrite_ir::hlo::{Builder, Func, Module, OpId, OpKind, RegionId, ValueId};
use ferrite_ir::loc::{LocId, Location};

use crate::pass::Changed;

/// What to do with an operation.
pub enum Rewrite {
    /// Leave it.
    Keep,
    /// It was changed where it stands.
    Updated,
    /// Its results are these values now; the operation disappears.
    Replace(Vec<ValueId>),
}

impl From<ValueId> for Rewrite {
    fn from(v: ValueId) -> Rewrite {
        Rewrite::Replace(vec![v])
    }
}

/// Rewrites all functions of a module: `f` sees every operation with a builder that stands where the operation is.
/// A diagnostic of `f` without a place gets that of the operation.
///
/// # Errors
/// Those of `f`; a replacement of another type is a defect of `f`.
pub fn rewrite_module(
    module: &mut Module,
    f: impl FnMut(&mut Builder<'_>, OpId) -> Result<Rewrite>,
) -> Result<Changed> {
    rewrite_module_outside(module, |_| false, f)
}

/// As [`rewrite_module`], without the regions of operations that `skip` names.
pub(crate) fn rewrite_module_outside(
    module: &mut Module,
    skip: fn(&OpKind) -> bool,
    mut f: impl FnMut(&mut Builder<'_>, OpId) -> Result<Rewrite>,
) -> Result<Changed> {
    rewrite_module_knowing(module, skip, |_| (), |(), b, op| f(b, op))
}

/// As [`rewrite_module_outside`], with what `know` finds out about each function before anything in it is rewritten.
pub(crate) fn rewrite_module_knowing<K>(
    module: &mut Module,
    skip: fn(&OpKind) -> bool,
    know: impl Fn(&Func) -> K,
    mut f: impl FnMut(&mut K, &mut Builder<'_>, OpId) -> Result<Rewrite>,
) -> Result<Changed> {
    let mut changed = false;
    for func in &mut module.funcs {
        let mut known = know(func);
        let mut driver = Driver {
            replaced: vec![None; func.value_count()],
            budget: func.op_count().saturating_mul(64).saturating_add(4096),
            changed: false,
            at: func.loc,
            skip,
        };
        let body = func.body();
        if let Err(diagnostic) = driver.region(func, body, &mut |b: &mut Builder<'_>, op| f(&mut known, b, op)) {
            let placed = diagnostic.location != Location::default();
            return Err(if placed {
                diagnostic
            } else {
                diagnostic.at(module.locs.get(driver.at))
            });
        }
        changed |= driver.changed;
    }
    Ok(Changed::from_bool(changed))
}

struct Driver {
    replaced: Vec<Option<ValueId>>,
    budget: usize,
    changed: bool,
    /// Location of the operation visited last.
    at: LocId,
    skip: fn(&OpKind) -> bool,
}

impl Driver {
    fn resolve(&self, mut v: ValueId) -> ValueId {
        while let Some(&Some(next)) = self.replaced.get(v.index()) {
            v = next;
        }
        v
    }

    fn region(
        &mut self,
        func: &mut Func,
        region: RegionId,
        f: &mut impl FnMut(&mut Builder<'_>, OpId) -> Result<Rewrite>,
    ) -> Result<()> {
        let mut queue: VecDeque<OpId> = std::mem::take(&mut func.region_mut(region).ops).into();
        while let Some(op) = queue.pop_front() {
            for i in 0..func.op(op).operands.len() {
                let v = self.resolve(func.op(op).operands[i]);
                func.op_mut(op).operands[i] = v;
            }
            for r in func.op(op).regions.clone() {
                if (self.skip)(&func.op(op).kind) {
                    self.operands_inside(func, r);
                } else {
                    self.region(func, r, f)?;
                }
            }
            let start = func.region(region).ops.len();
            let (first_new, loc) = (func.op_count(), func.op(op).loc);
            self.at = loc;
            if self.budget == 0 {
                func.region_mut(region).ops.push(op);
                continue;
            }
            match f(&mut Builder::new(func, region, loc), op)? {
                Rewrite::Keep => func.region_mut(region).ops.push(op),
                Rewrite::Updated => {
                    self.budget -= 1;
                    self.changed = true;
                    let mut new = func.region_mut(region).ops.split_off(start);
                    new.push(op);
                    requeue(&mut queue, new);
                }
                Rewrite::Replace(values) => {
                    self.budget -= 1;
                    self.changed = true;
                    self.replace(func, op, &values, first_new)?;
                    let new = func.region_mut(region).ops.split_off(start);
                    requeue(&mut queue, new);
                }
            }
        }
        for i in 0..func.region(region).results.len() {
            let v = self.resolve(func.region(region).results[i]);
            func.region_mut(region).results[i] = v;
        }
        Ok(())
    }

    /// A region that is left alone may still read what was replaced outside.
    fn operands_inside(&self, func: &mut Func, region: RegionId) {
        let mut regions = vec![region];
        while let Some(region) = regions.pop() {
            for i in 0..func.region(region).ops.len() {
                let op = func.op_mut(func.region(region).ops[i]);
                for v in &mut op.operands {
                    *v = self.resolve(*v);
                }
                regions.extend(op.regions.iter().copied());
            }
            for i in 0..func.region(region).results.len() {
                let v = self.resolve(func.region(region).results[i]);
                func.region_mut(region).results[i] = v;
            }
        }
    }

    fn replace(&mut self, func: &mut Func, op: OpId, values: &[ValueId], first_new: usize) -> Result<()> {
        let results = func.op(op).results.clone();
        let fits = results.len() == values.len()
            && results
                .iter()
                .zip(values)
                .all(|(&a, &b)| compatible(func.ty(a), func.ty(b)));
        if !fits {
            let name = func.op(op).kind.mnemonic();
            return Err(Diagnostic::bug(format!("a rewrite of `{name}` changes its type")));
        }
        self.replaced.resize(func.value_count(), None);
        for (&old, &new) in results.iter().zip(values) {
            self.replaced[old.index()] = Some(new);
        }
        // Discardable attributes move to what computes the result now.
        let attrs = func.op_mut(op).attrs.take();
        if let (Some(attrs), [value]) = (attrs, values)
            && let Some(new) = func.def(*value)
            && new.index() >= first_new
            && func.op(new).attrs.is_none()
        {
            func.op_mut(new).attrs = Some(attrs);
        }
        Ok(())
    }
}

fn requeue(queue: &mut VecDeque<OpId>, new: Vec<OpId>) {
    for op in new.into_iter().rev() {
        queue.push_front(op);
    }
}
