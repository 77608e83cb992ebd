//! Replaces calls and composites by the operations of the function they name.
//!
//! Before                              After
//!   %1 = call @f(%0)                    %1 = add %0, %0
//!   func @f(%x) { return add %x, %x }
//!
//! Needs: verified `hlo` (no function calls itself). Leaves: verified `hlo` without `call` and `composite`, without
//! private functions that nobody names. A composite whose name is that of an operation of ours (`chlo.top_k`) becomes
//! that operation. An inlined operation is located where it stands, called from where the call stands.
//! Never: changes the order of effects.

use std::collections::BTreeMap;

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::hlo::verify::callees;
use ferrite_ir::hlo::{Attr, Composite, Func, Module, OpId, OpKind, RegionId, TopK, UnaryOp, ValueId, infer};
use ferrite_ir::loc::{LocId, LocTable, Location, Source};

use super::remove_dead_ops::remove_dead_functions;
use crate::pass::{Changed, HloPass, PassContext};

/// More operations than this are refused: functions that call others twice, and so on, double with every step.
const MAX_OPS: usize = 5_000_000;

/// See the module's own text.
pub struct Inline;

impl HloPass for Inline {
    const NAME: &'static str = "inline";
    const DOC: &'static str = "Replaces calls and composites by the operations of the function they name, and drops functions that nobody names any more.";

    fn run(&self, module: &mut Module, _: &mut PassContext<'_>) -> Result<Changed> {
        let order = callees_first(module);
        check_size(module, &order)?;
        let mut changed = false;
        for index in order {
            let has_calls = has_calls(&module.funcs[index]);
            if !has_calls {
                continue;
            }
            let mut inliner = Inliner {
                funcs: &module.funcs,
                names: module
                    .funcs
                    .iter()
                    .enumerate()
                    .map(|(i, f)| (f.name.as_str(), i))
                    .collect(),
                locs: &mut module.locs,
                call_sites: BTreeMap::new(),
            };
            let flat = inliner.flatten(index)?;
            module.funcs[index] = flat;
            changed = true;
        }
        changed |= remove_dead_functions(module);
        Ok(Changed::from_bool(changed))
    }
}

fn has_calls(func: &Func) -> bool {
    let mut found = false;
    func.walk(func.body(), &mut |func, op| {
        found |= matches!(func.op(op).kind, OpKind::Call(_) | OpKind::Composite(_));
    });
    found
}

/// Function indices, each after those it calls. The verifier has refused circles.
fn callees_first(module: &Module) -> Vec<usize> {
    let names: BTreeMap<&str, usize> = module
        .funcs
        .iter()
        .enumerate()
        .map(|(i, f)| (f.name.as_str(), i))
        .collect();
    let called: Vec<Vec<usize>> = module
        .funcs
        .iter()
        .map(|func| {
            let mut out = Vec::new();
            func.walk(func.body(), &mut |func, op| {
                out.extend(callees(&func.op(op).kind).iter().filter_map(|n| names.get(n.as_str())));
            });
            out
        })
        .collect();
    let mut order = Vec::new();
    let mut seen = vec![false; module.funcs.len()];
    for start in 0..module.funcs.len() {
        let mut stack = vec![(start, 0usize)];
        while let Some((f, next)) = stack.pop() {
            if next == 0 && std::mem::replace(&mut seen[f], true) {
                continue;
            }
            match called[f].get(next) {
                Some(&callee) => {
                    stack.push((f, next + 1));
                    if !seen[callee] {
                        stack.push((callee, 0));
                    }
                }
                None => order.push(f),
            }
        }
    }
    order
}

/// Counts operations as they will be, before any is copied.
fn check_size(module: &Module, order: &[usize]) -> Result<()> {
    let names: BTreeMap<&str, usize> = module
        .funcs
        .iter()
        .enumerate()
        .map(|(i, f)| (f.name.as_str(), i))
        .collect();
    let mut flat = vec![0usize; module.funcs.len()];
    for &index in order {
        let func = &module.funcs[index];
        let mut count = 0usize;
        func.walk(func.body(), &mut |func, op| {
            let called = callees(&func.op(op).kind).iter().filter_map(|n| names.get(n.as_str()));
            count = called.fold(count.saturating_add(1), |sum, &i| sum.saturating_add(flat[i]));
        });
        if count > MAX_OPS {
            let message = format!(
                "`{}` has {count} operations once its calls are inlined; the limit is {MAX_OPS}",
                func.name
            );
            return Err(Diagnostic::error(Code::Ncc("EVRF007"), message)
                .at(module.locs.get(func.loc))
                .help("make the graph smaller, or split it over several cores"));
        }
        flat[index] = count;
    }
    Ok(())
}

struct Inliner<'m> {
    funcs: &'m [Func],
    names: BTreeMap<&'m str, usize>,
    locs: &'m mut LocTable,
    /// Locations made for an inner location called from an outer one.
    call_sites: BTreeMap<(LocId, LocId), LocId>,
}

impl Inliner<'_> {
    fn flatten(&mut self, index: usize) -> Result<Func> {
        let source = &self.funcs[index];
        let mut out = Func::new(source.name.clone());
        out.public = source.public;
        out.attrs = source.attrs.clone();
        out.loc = source.loc;
        let mut values = vec![None; source.value_count()];
        let body = out.body();
        self.region(source, source.body(), &mut out, body, &mut values, None)?;
        out.params = source.params.clone();
        out.results = source.results.clone();
        Ok(out)
    }

    /// Copies a region with calls replaced. `caller` is the location of the call that leads here.
    fn region(
        &mut self,
        source: &Func,
        region: RegionId,
        out: &mut Func,
        target: RegionId,
        values: &mut Vec<Option<ValueId>>,
        caller: Option<LocId>,
    ) -> Result<()> {
        for &arg in &source.region(region).args {
            if values[arg.index()].is_none() {
                values[arg.index()] = Some(out.add_arg(target, source.ty(arg).clone()));
            }
        }
        for &op in &source.region(region).ops {
            self.op(source, op, out, target, values, caller)?;
        }
        out.region_mut(target).results = mapped(&source.region(region).results, values)?;
        out.region_mut(target).loc = self.called_from(source.region(region).loc, caller);
        Ok(())
    }

    fn op(
        &mut self,
        source: &Func,
        id: OpId,
        out: &mut Func,
        target: RegionId,
        values: &mut Vec<Option<ValueId>>,
        caller: Option<LocId>,
    ) -> Result<()> {
        let op = source.op(id);
        let loc = self.called_from(op.loc, caller);
        let operands = mapped(&op.operands, values)?;
        let name = match &op.kind {
            OpKind::Call(call) => Some(&call.callee),
            OpKind::Composite(composite) => match recognised(composite) {
                Some(kind) if fits(&kind, source, id) => {
                    let types = op.results.iter().map(|&r| source.ty(r).clone()).collect();
                    let new = out.append(target, kind, &operands, types, &[], loc);
                    assign(source, id, &out.op(new).results.clone(), values);
                    return Ok(());
                }
                _ => Some(&composite.decomposition),
            },
            _ => None,
        };
        if let Some(name) = name {
            // The callee was flattened before: it holds no calls, so this recurses no deeper than regions nest.
            let callee = self.names.get(name.as_str()).map(|&i| &self.funcs[i]);
            let callee =
                callee.ok_or_else(|| Diagnostic::bug(format!("`{name}` passed the verifier without being defined")))?;
            let mut inner: Vec<Option<ValueId>> = vec![None; callee.value_count()];
            for (&arg, &v) in callee.args().iter().zip(&operands) {
                inner[arg.index()] = Some(v);
            }
            for &callee_op in &callee.region(callee.body()).ops {
                self.op(callee, callee_op, out, target, &mut inner, Some(loc))?;
            }
            let results = mapped(&callee.region(callee.body()).results, &inner)?;
            assign(source, id, &results, values);
            return Ok(());
        }
        let mut regions = Vec::with_capacity(op.regions.len());
        for &region in &op.regions {
            let copy = out.add_region();
            self.region(source, region, out, copy, values, caller)?;
            regions.push(copy);
        }
        let types = op.results.iter().map(|&r| source.ty(r).clone()).collect();
        let copy = out.append(target, op.kind.clone(), &operands, types, &regions, loc);
        out.op_mut(copy).attrs = op.attrs.clone();
        assign(source, id, &out.op(copy).results.clone(), values);
        Ok(())
    }

    /// The location of something at `inner` in a function called at `caller`.
    fn called_from(&mut self, inner: LocId, caller: Option<LocId>) -> LocId {
        let Some(caller) = caller else { return inner };
        if inner == LocId::UNKNOWN {
            return caller;
        }
        if let Some(&known) = self.call_sites.get(&(inner, caller)) {
            return known;
        }
        let place = self.locs.get(inner);
        let made = match (&place.source, &self.locs.get(caller).source) {
            (Some(callee), Some(site)) => {
                let source = Source::CallSite {
                    callee: callee.clone().into(),
                    caller: site.clone().into(),
                };
                let location = Location {
                    source: Some(source),
                    ..place.clone()
                };
                self.locs.add(location)
            }
            _ => inner,
        };
        self.call_sites.insert((inner, caller), made);
        made
    }
}

fn mapped(from: &[ValueId], values: &[Option<ValueId>]) -> Result<Vec<ValueId>> {
    from.iter()
        .map(|v| values[v.index()].ok_or_else(|| Diagnostic::bug("a value is used before it is defined")))
        .collect()
}

fn assign(source: &Func, op: OpId, results: &[ValueId], values: &mut [Option<ValueId>]) {
    for (old, &new) in source.op(op).results.iter().zip(results) {
        values[old.index()] = Some(new);
    }
}

/// The operation that a composite is by its name.
fn recognised(composite: &Composite) -> Option<OpKind> {
    if composite.name == "chlo.top_k" {
        let k = composite.attributes.get("k").and_then(Attr::as_int)?;
        let largest = !matches!(composite.attributes.get("largest"), Some(Attr::Bool(false)));
        return Some(OpKind::TopK(TopK { k, largest }));
    }
    let plain = composite.name.starts_with("chlo.") && composite.attributes.is_empty();
    plain
        .then(|| UnaryOp::from_mnemonic(&composite.name).map(OpKind::Unary))
        .flatten()
}

/// Whether the operation types as the composite does.
fn fits(kind: &OpKind, func: &Func, op: OpId) -> bool {
    let operands: Vec<_> = func.op(op).operands.iter().map(|&v| func.ty(v)).collect();
    let results: Vec<_> = func.op(op).results.iter().map(|&v| func.ty(v).clone()).collect();
    infer::infer(kind, &operands, &[], Some(&results)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{module, ops, run};
    use super::*;
    use ferrite_ir::dtype::DType;
    use ferrite_ir::hlo::{Builder, Call, TensorType, Violation};

    fn f32s(shape: &[i64]) -> TensorType {
        TensorType::new(DType::F32, shape)
    }

    /// `@name(x) = @callee(x) + @callee(x)`, or `x * x` without callee.
    fn twice(name: &str, callee: Option<&str>) -> Result<Func, Violation> {
        let mut func = Func::new(name);
        func.public = false;
        let x = func.add_arg(func.body(), f32s(&[2]).into());
        let mut b = Builder::body(&mut func);
        let y = match callee {
            None => b.mul(x, x)?,
            Some(callee) => {
                let call = OpKind::Call(Call { callee: callee.into() });
                let p = b.op1_as(call.clone(), &[x], f32s(&[2]))?;
                let q = b.op1_as(call, &[x], f32s(&[2]))?;
                b.add(p, q)?
            }
        };
        b.finish(&[y]);
        Ok(func)
    }

    #[test]
    fn calls_of_calls_disappear_with_their_functions() -> Result<()> {
        let mut m = module(&[(DType::F32, &[2])], |b, args| {
            let call = OpKind::Call(Call { callee: "f".into() });
            Ok(vec![b.op1_as(call, args, f32s(&[2]))?])
        });
        m.funcs.push(twice("f", Some("g"))?);
        m.funcs.push(twice("g", None)?);
        assert_eq!(run(Inline, &mut m)?, Changed::Yes);
        assert_eq!(m.funcs.len(), 1);
        assert_eq!(ops(&m), ["multiply", "multiply", "add"]);
        Ok(())
    }

    #[test]
    fn a_deep_chain_of_doubling_calls_is_refused() -> Result<()> {
        let mut m = module(&[(DType::F32, &[2])], |b, args| {
            let call = OpKind::Call(Call { callee: "f0".into() });
            Ok(vec![b.op1_as(call, args, f32s(&[2]))?])
        });
        for i in 0..40 {
            m.funcs.push(twice(&format!("f{i}"), Some(&format!("f{}", i + 1)))?);
        }
        m.funcs.push(twice("f40", None)?);
        let error = run(Inline, &mut m).err().map(|d| d.code);
        assert_eq!(error, Some(Code::Ncc("EVRF007")));
        Ok(())
    }

    #[test]
    fn inlined_operations_remember_their_callers() -> Result<()> {
        let mut m = module(&[(DType::F32, &[2])], |b, args| {
            let call = OpKind::Call(Call { callee: "f".into() });
            Ok(vec![b.op1_as(call, args, f32s(&[2]))?])
        });
        m.funcs.push(twice("f", None)?);
        let named = |name: &str| Location {
            source: Some(Source::Name {
                name: name.into(),
                child: None,
            }),
            ..Location::default()
        };
        let (outer, inner) = (m.locs.add(named("outer")), m.locs.add(named("inner")));
        for (f, loc) in [(0, outer), (1, inner)] {
            let op = m.funcs[f].region(m.funcs[f].body()).ops[0];
            m.funcs[f].op_mut(op).loc = loc;
        }
        run(Inline, &mut m)?;
        let func = &m.funcs[0];
        let op = func.region(func.body()).ops[0];
        let site = m.locs.get(func.op(op).loc).source.clone();
        assert!(matches!(site, Some(Source::CallSite { .. })), "{site:?}");
        Ok(())
    }
}
