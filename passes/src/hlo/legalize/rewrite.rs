//! The one walk that every legalization shares: each operation of a function's control-flow regions is kept or replaced
//! by what a rule appends in its place. Linear in the size of the program.

use std::collections::HashMap;

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::hlo::{Builder, Func, Module, OpId, OpKind, RegionId, TensorType, ValueId, Violation};
use ferrite_ir::loc::LocId;

/// Why a rule ends the compilation.
#[derive(Debug)]
pub(crate) enum Stop {
    /// A rule built an operation that the specification forbids: a defect of the rule.
    Violation(Violation),
    /// The device cannot do this; the place is added by the walk.
    Refused(Box<Diagnostic>),
}

impl From<Violation> for Stop {
    fn from(v: Violation) -> Stop {
        Stop::Violation(v)
    }
}

/// An unsupported form, with what to do instead.
pub(crate) fn refuse(message: impl Into<String>, help: impl Into<String>) -> Stop {
    Stop::Refused(Box::new(Diagnostic::error(Code::Unsupported, message).help(help)))
}

/// What a rule makes of an operation: nothing (it stays), or the values that replace its results.
pub(crate) type Rewrite = std::result::Result<Option<Vec<ValueId>>, Stop>;

/// What a helper of a rule returns.
pub(crate) type Step<T = ValueId> = std::result::Result<T, Stop>;

/// Applies `rule` to every operation of every function, in order, the bodies of control flow included, the bodies of
/// reducers and comparators not. Returns whether anything was replaced.
pub(crate) fn rewrite_module(
    module: &mut Module,
    pass: &str,
    mut rule: impl FnMut(&mut Builder<'_>, OpId) -> Rewrite,
) -> Result<bool> {
    let mut changed = false;
    for i in 0..module.funcs.len() {
        let func = &mut module.funcs[i];
        match rewrite_func(func, &mut rule) {
            Ok(c) => changed |= c,
            Err((loc, stop)) => {
                let location = module.locs.get(loc);
                return Err(match stop {
                    Stop::Refused(d) => d.at(location),
                    Stop::Violation(v) => {
                        Diagnostic::bug(format!("`{pass}` built an invalid operation: {v}")).at(location)
                    }
                });
            }
        }
    }
    Ok(changed)
}

/// [`rewrite_module`] for one function.
pub(crate) fn rewrite_func(
    func: &mut Func,
    rule: &mut impl FnMut(&mut Builder<'_>, OpId) -> Rewrite,
) -> std::result::Result<bool, (LocId, Stop)> {
    let mut map = HashMap::new();
    // Regions of control flow, inner ones after the region they stand in: a value is rewritten before its uses inside.
    let mut regions = vec![func.body()];
    let mut next = 0;
    while let Some(&region) = regions.get(next) {
        next += 1;
        rewrite_region(func, region, &mut map, rule)?;
        for &op in &func.region(region).ops {
            if has_control_flow(&func.op(op).kind) {
                regions.extend(func.op(op).regions.iter().copied());
            }
        }
    }
    if map.is_empty() {
        return Ok(false);
    }
    func.map_uses(|v| resolve(&map, v));
    func.compact();
    Ok(true)
}

/// Applies `rule` to the operations of one region, a body that [`rewrite_module`] leaves alone, and of the control flow in
/// it.
pub(crate) fn rewrite_inside(
    func: &mut Func,
    region: RegionId,
    rule: &mut impl FnMut(&mut Builder<'_>, OpId) -> Rewrite,
) -> Step<()> {
    let mut map = HashMap::new();
    let mut regions = vec![region];
    let mut next = 0;
    while let Some(&inner) = regions.get(next) {
        next += 1;
        rewrite_region(func, inner, &mut map, rule).map_err(|(_, stop)| stop)?;
        for &op in &func.region(inner).ops {
            if has_control_flow(&func.op(op).kind) {
                regions.extend(func.op(op).regions.iter().copied());
            }
        }
    }
    substitute(func, region, &map);
    Ok(())
}

/// Replaces values in a region and everything inside it.
pub(crate) fn substitute(func: &mut Func, region: RegionId, map: &HashMap<ValueId, ValueId>) {
    let mut regions = vec![region];
    while let Some(region) = regions.pop() {
        for i in 0..func.region(region).ops.len() {
            let id = func.region(region).ops[i];
            let op = func.op_mut(id);
            op.operands.iter_mut().for_each(|v| *v = resolve(map, *v));
            regions.extend(op.regions.iter().copied());
        }
        func.region_mut(region)
            .results
            .iter_mut()
            .for_each(|v| *v = resolve(map, *v));
    }
}

fn has_control_flow(kind: &OpKind) -> bool {
    matches!(
        kind,
        OpKind::While | OpKind::If | OpKind::Case | OpKind::ManualComputation(_)
    )
}

fn resolve(map: &HashMap<ValueId, ValueId>, v: ValueId) -> ValueId {
    map.get(&v).copied().unwrap_or(v)
}

fn rewrite_region(
    func: &mut Func,
    region: RegionId,
    map: &mut HashMap<ValueId, ValueId>,
    rule: &mut impl FnMut(&mut Builder<'_>, OpId) -> Rewrite,
) -> std::result::Result<(), (LocId, Stop)> {
    let ops = std::mem::take(&mut func.region_mut(region).ops);
    for id in ops {
        for i in 0..func.op(id).operands.len() {
            let v = resolve(map, func.op(id).operands[i]);
            func.op_mut(id).operands[i] = v;
        }
        let loc = func.op(id).loc;
        let replaced = rule(&mut Builder::new(func, region, loc), id).map_err(|stop| (loc, stop))?;
        let Some(new) = replaced else {
            func.region_mut(region).ops.push(id);
            continue;
        };
        let old = func.op(id).results.clone();
        if old.len() != new.len() || old.iter().zip(&new).any(|(&o, &n)| func.ty(o) != func.ty(n)) {
            let kind = func.op(id).kind.mnemonic();
            let types: Vec<String> = new.iter().map(|&n| func.ty(n).to_string()).collect();
            let v = Violation::new("legalize", format!("`{kind}` became {}", types.join(", ")));
            return Err((loc, v.into()));
        }
        for (o, n) in old.into_iter().zip(new) {
            map.insert(o, n);
        }
    }
    Ok(())
}

/// Type of the only result of an operation that has one tensor result.
pub(crate) fn result_type(b: &Builder<'_>, op: OpId) -> TensorType {
    b.func.tensor(b.func.op(op).results[0]).clone()
}

/// Operands of an operation.
pub(crate) fn operands(b: &Builder<'_>, op: OpId) -> Vec<ValueId> {
    b.func.op(op).operands.to_vec()
}
