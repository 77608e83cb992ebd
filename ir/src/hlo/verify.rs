//! The verifier of the hlo level: what every pass may rely on, and must leave.
//!
//! * every value is defined once, before it is used, in the same region or one around it;
//! * operand, result and region counts, block arguments and types fit the operation, as [`super::infer()`] says;
//! * called functions exist, take what they are given and return what is expected, and no call leads back to itself;
//! * parameters and results are as many as the body's, and aliases name an output of the same type;
//! * regions nest at most [`MAX_DEPTH`] deep, so that passes may recurse over them.
//!
//! All violations of a module are returned, not the first.

use std::collections::{BTreeMap, BTreeSet};

use smallvec::SmallVec;

use super::build::yielded;
use super::func::{Func, OpId, RegionId, ValueId};
use super::infer::{Violation, check, check_type, compatible};
use super::module::Module;
use super::ops::OpKind;
use super::types::{TensorType, Type};
use crate::diag::{Code, Diagnostic};
use crate::loc::LocId;

/// Regions nest at most this deep.
pub const MAX_DEPTH: usize = 128;

/// At most this many violations are returned; a broken producer would repeat itself.
const MAX_ERRORS: usize = 50;

/// Checks a whole module.
///
/// # Errors
/// Everything that is wrong with it, located by operation.
pub fn verify(module: &Module) -> Result<(), Vec<Diagnostic>> {
    let mut errors = Vec::new();
    let mut names: BTreeMap<&str, &Func> = BTreeMap::new();
    for func in &module.funcs {
        if names.insert(&func.name, func).is_some() {
            errors.push(located(
                module,
                func.loc,
                format!("function `{}` is defined twice", func.name),
            ));
        }
    }
    for func in &module.funcs {
        let mut checker = Checker {
            module,
            func,
            names: &names,
            visible: vec![false; func.value_count()],
            placed: vec![false; func.op_count()],
            errors: &mut errors,
        };
        checker.func();
    }
    check_recursion(module, &names, &mut errors);
    errors.truncate(MAX_ERRORS);
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn located(module: &Module, loc: LocId, message: String) -> Diagnostic {
    Diagnostic::error(Code::Verify, message).at(module.locs.get(loc))
}

struct Checker<'m, 'e> {
    module: &'m Module,
    func: &'m Func,
    names: &'m BTreeMap<&'m str, &'m Func>,
    /// Values defined so far in the regions around the current place.
    visible: Vec<bool>,
    /// Operations that have a place.
    placed: Vec<bool>,
    errors: &'e mut Vec<Diagnostic>,
}

impl Checker<'_, '_> {
    fn error(&mut self, loc: LocId, message: impl Into<String>) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(located(self.module, loc, message.into()));
        }
    }

    fn func(&mut self) {
        let func = self.func;
        self.region(func.body(), 0);
        let body = func.region(func.body());
        if func.params.len() != body.args.len() {
            self.error(
                func.loc,
                format!(
                    "`{}` describes {} parameters of {}",
                    func.name,
                    func.params.len(),
                    body.args.len()
                ),
            );
        }
        if func.results.len() != body.results.len() {
            self.error(
                func.loc,
                format!(
                    "`{}` describes {} results of {}",
                    func.name,
                    func.results.len(),
                    body.results.len()
                ),
            );
        }
        self.aliases();
    }

    fn aliases(&mut self) {
        let func = self.func;
        let outputs = flatten(&func.result_types());
        let mut taken = BTreeSet::new();
        for (i, (param, &arg)) in func.params.iter().zip(func.args()).enumerate() {
            let Some(alias) = param.alias else { continue };
            let Some(output) = outputs.get(alias.output) else {
                self.error(
                    func.loc,
                    format!("parameter {i} aliases output {} of {}", alias.output, outputs.len()),
                );
                continue;
            };
            if !compatible(output, func.ty(arg)) {
                self.error(
                    func.loc,
                    format!(
                        "parameter {i} of type {} aliases output {} of type {output}",
                        func.ty(arg),
                        alias.output
                    ),
                );
            }
            if !taken.insert(alias.output) {
                self.error(func.loc, format!("two parameters alias output {}", alias.output));
            }
        }
    }

    fn region(&mut self, id: RegionId, depth: usize) {
        let func = self.func;
        let region = func.region(id);
        if depth > MAX_DEPTH {
            self.error(region.loc, format!("regions nest more than {MAX_DEPTH} deep"));
            return;
        }
        let mut defined = Vec::new();
        for &arg in &region.args {
            self.define(arg, func.loc, &mut defined);
        }
        for &op in &region.ops {
            self.op(op, depth);
            for &result in &func.op(op).results {
                self.define(result, func.op(op).loc, &mut defined);
            }
        }
        for &v in &region.results {
            self.used(v, region.loc, "is yielded");
        }
        for v in defined {
            self.visible[v.index()] = false;
        }
    }

    fn define(&mut self, v: ValueId, loc: LocId, defined: &mut Vec<ValueId>) {
        if std::mem::replace(&mut self.visible[v.index()], true) {
            self.error(loc, format!("value {} is defined twice", v.0));
        }
        if let Err(violation) = check_type(self.func.ty(v)) {
            self.error(loc, violation.message);
        }
        defined.push(v);
    }

    fn used(&mut self, v: ValueId, loc: LocId, how: &str) -> bool {
        let visible = self.visible.get(v.index()).copied().unwrap_or(false);
        if !visible {
            self.error(loc, format!("value {} {how} before it is defined", v.0));
        }
        visible
    }

    fn op(&mut self, id: OpId, depth: usize) {
        let func = self.func;
        let op = func.op(id);
        if std::mem::replace(&mut self.placed[id.index()], true) {
            self.error(op.loc, format!("`{}` stands in two places", op.kind.mnemonic()));
            return;
        }
        let mut sound = true;
        for &v in &op.operands {
            sound &= self.used(v, op.loc, "is used");
        }
        let before = self.errors.len();
        for &region in &op.regions {
            self.region(region, depth + 1);
        }
        if !sound || self.errors.len() > before {
            return;
        }
        let types: SmallVec<[&Type; 4]> = op.operands.iter().map(|&v| func.ty(v)).collect();
        let yields: SmallVec<[Vec<Type>; 2]> = op.regions.iter().map(|&r| yielded(func, r)).collect();
        let results: SmallVec<[Type; 1]> = op.results.iter().map(|&v| func.ty(v).clone()).collect();
        let checked = check(&op.kind, &types, &yields, &results)
            .and_then(|_| check_block_arguments(func, id, &types, &results))
            .and_then(|()| self.calls(id, &types, &results));
        if let Err(violation) = checked {
            self.error(op.loc, violation.to_string());
        }
    }

    fn calls(&self, id: OpId, operands: &[&Type], results: &[Type]) -> Result<(), Violation> {
        let (name, what) = match &self.func.op(id).kind {
            OpKind::Call(call) => (&call.callee, "call"),
            OpKind::Composite(composite) => (&composite.decomposition, "composite"),
            OpKind::CustomCall(call) => {
                return match call
                    .called_computations
                    .iter()
                    .find(|n| !self.names.contains_key(n.as_str()))
                {
                    Some(name) => Err(Violation::new("custom_call", format!("there is no function `{name}`"))),
                    None => Ok(()),
                };
            }
            _ => return Ok(()),
        };
        let Some(callee) = self.names.get(name.as_str()) else {
            return Err(Violation::new(what, format!("there is no function `{name}`")));
        };
        let args: Vec<Type> = callee.args().iter().map(|&v| callee.ty(v).clone()).collect();
        let given: Vec<Type> = operands.iter().map(|&t| t.clone()).collect();
        for (expected, found, role) in [
            (&args, &given, "takes"),
            (&callee.result_types(), &results.to_vec(), "returns"),
        ] {
            let fits = expected.len() == found.len() && expected.iter().zip(found).all(|(a, b)| compatible(a, b));
            if !fits {
                return Err(Violation::new(
                    what,
                    format!("`{name}` {role} ({}), not ({})", list(expected), list(found)),
                ));
            }
        }
        Ok(())
    }
}

fn list(types: &[Type]) -> String {
    types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn flatten(types: &[Type]) -> Vec<Type> {
    let mut out = Vec::new();
    for ty in types {
        match ty {
            Type::Tuple(inner) => out.extend(flatten(inner)),
            other => out.push(other.clone()),
        }
    }
    out
}

/// Block arguments of every region of an operation.
fn check_block_arguments(func: &Func, id: OpId, operands: &[&Type], results: &[Type]) -> Result<(), Violation> {
    use OpKind::*;
    let op = func.op(id);
    if op.regions.is_empty() {
        return Ok(());
    }
    let owned: Vec<Type> = operands.iter().map(|&t| t.clone()).collect();
    let scalars = |types: &[Type]| -> Vec<Type> {
        types
            .iter()
            .map(|t| match t {
                Type::Tensor(t) => TensorType::scalar(t.dtype).into(),
                other => other.clone(),
            })
            .collect()
    };
    let twice = |types: Vec<Type>| [types.clone(), types].concat();
    for (i, &region) in op.regions.iter().enumerate() {
        let yields = yielded(func, region);
        let expected: Vec<Type> = match &op.kind {
            While | AsyncStart => owned.clone(),
            If | Case => Vec::new(),
            Map(_) => scalars(&owned),
            // Accumulators may be wider than the operands (C6): they are what the body yields.
            Reduce(_) | ReduceWindow(_) | Scatter(_) => twice(scalars(&yields)),
            AllReduce(_) | CollectiveReduce(_) | ReduceScatter(_) => twice(scalars(&yields)),
            SelectAndScatter(_) => twice(scalars(&owned[..1])),
            Sort(_) => owned.iter().flat_map(|t| scalars(&[t.clone(), t.clone()])).collect(),
            // Local shapes follow from the shardings, which stay text at this level.
            ManualComputation(_) => {
                let args = func.region(region).args.len();
                if args != owned.len() || yields.len() != results.len() {
                    return Err(Violation::new(
                        "manual_computation",
                        format!("its body has {args} arguments for {} operands", owned.len()),
                    ));
                }
                continue;
            }
            _ => continue,
        };
        let args: Vec<Type> = func.region(region).args.iter().map(|&v| func.ty(v).clone()).collect();
        let fits = args.len() == expected.len()
            && args.iter().zip(&expected).all(|(a, e)| {
                compatible(a, e) || (matches!(op.kind, Reduce(_) | ReduceWindow(_) | Scatter(_)) && is_scalar(a))
            });
        if !fits {
            return Err(Violation::new(
                format!("{} body", op.kind.mnemonic()),
                format!("region {i} takes ({}), not ({})", list(&args), list(&expected)),
            ));
        }
    }
    Ok(())
}

fn is_scalar(t: &Type) -> bool {
    t.tensor().is_some_and(|t| t.rank() == 0)
}

/// Functions that an operation runs.
pub fn callees(kind: &OpKind) -> &[String] {
    match kind {
        OpKind::Call(call) => std::slice::from_ref(&call.callee),
        OpKind::Composite(composite) => std::slice::from_ref(&composite.decomposition),
        OpKind::CustomCall(call) => &call.called_computations,
        _ => &[],
    }
}

/// Refuses functions that lead back to themselves. Depth first with an explicit stack.
fn check_recursion(module: &Module, names: &BTreeMap<&str, &Func>, errors: &mut Vec<Diagnostic>) {
    let called: BTreeMap<&str, Vec<(&str, LocId)>> = names
        .iter()
        .map(|(&name, func)| {
            let mut out = Vec::new();
            for op in reachable(func) {
                let op = func.op(op);
                out.extend(callees(&op.kind).iter().map(|c| (c.as_str(), op.loc)));
            }
            (name, out)
        })
        .collect();
    let (mut done, mut open) = (BTreeSet::new(), BTreeSet::new());
    for &start in names.keys() {
        let mut stack = vec![(start, 0usize)];
        while let Some((name, next)) = stack.pop() {
            if next == 0 {
                if done.contains(name) {
                    continue;
                }
                open.insert(name);
            }
            match called.get(name).and_then(|c| c.get(next)) {
                Some(&(callee, loc)) => {
                    stack.push((name, next + 1));
                    if open.contains(callee) {
                        errors.push(located(
                            module,
                            loc,
                            format!("`{callee}` calls itself, directly or through others"),
                        ));
                    } else {
                        stack.push((callee, 0));
                    }
                }
                None => {
                    open.remove(name);
                    done.insert(name);
                }
            }
        }
    }
}

/// Operations of the body and of all regions inside, each region at most once (a broken module may share one).
fn reachable(func: &Func) -> Vec<OpId> {
    let mut seen = BTreeSet::from([func.body()]);
    let mut regions = vec![func.body()];
    let mut out = Vec::new();
    while let Some(region) = regions.pop() {
        for &op in &func.region(region).ops {
            out.push(op);
            regions.extend(func.op(op).regions.iter().copied().filter(|r| seen.insert(*r)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::DType;
    use crate::hlo::module::{Alias, AliasKind};
    use crate::hlo::ops::{BinaryOp, Call, UnaryOp};
    use crate::hlo::{Builder, infer::Violation};

    fn f32s(shape: &[i64]) -> Type {
        TensorType::new(DType::F32, shape).into()
    }

    fn module(funcs: Vec<Func>) -> Module {
        Module {
            funcs,
            ..Module::default()
        }
    }

    fn messages(module: &Module) -> Vec<String> {
        verify(module).err().into_iter().flatten().map(|d| d.message).collect()
    }

    fn double() -> Result<Func, Violation> {
        let mut func = Func::new("main");
        let x = func.add_arg(func.body(), f32s(&[2, 3]));
        let mut b = Builder::body(&mut func);
        let y = b.add(x, x)?;
        b.finish(&[y]);
        Ok(func)
    }

    #[test]
    fn a_sound_function_passes() -> Result<(), Violation> {
        assert_eq!(messages(&module(vec![double()?])), Vec::<String>::new());
        Ok(())
    }

    #[test]
    fn use_before_definition_is_found() -> Result<(), Violation> {
        let mut func = double()?;
        let body = func.body();
        let op = func.region(body).ops[0];
        let y = func.result(op);
        func.op_mut(op).operands[0] = y;
        assert_eq!(messages(&module(vec![func])), ["value 1 is used before it is defined"]);
        Ok(())
    }

    #[test]
    fn a_wrong_result_type_names_both_types() -> Result<(), Violation> {
        let mut func = double()?;
        let op = func.region(func.body()).ops[0];
        func.set_type(func.result(op), f32s(&[3, 2]));
        let found = messages(&module(vec![func]));
        assert_eq!(
            found,
            ["result 0 is tensor<2x3xf32> by its operands, but tensor<3x2xf32> is written (add results)"]
        );
        Ok(())
    }

    #[test]
    fn calls_must_resolve_and_not_recur() -> Result<(), Violation> {
        let mut func = double()?;
        let body = func.body();
        let x = func.args()[0];
        let call = |name: &str| OpKind::Call(Call { callee: name.into() });
        func.append(body, call("nowhere"), &[x], vec![f32s(&[2, 3])], &[], LocId::UNKNOWN);
        func.append(body, call("main"), &[x], vec![f32s(&[2, 3])], &[], LocId::UNKNOWN);
        let found = messages(&module(vec![func]));
        assert_eq!(
            found,
            [
                "there is no function `nowhere` (call)",
                "`main` calls itself, directly or through others"
            ]
        );
        Ok(())
    }

    #[test]
    fn aliases_name_an_output_of_the_same_type() -> Result<(), Violation> {
        let mut func = double()?;
        func.params[0].alias = Some(Alias {
            output: 1,
            kind: AliasKind::Must,
        });
        assert_eq!(messages(&module(vec![func])), ["parameter 0 aliases output 1 of 1"]);
        Ok(())
    }

    #[test]
    fn a_reduction_body_takes_scalars() -> Result<(), Violation> {
        let mut func = double()?;
        let x = func.args()[0];
        let mut b = Builder::body(&mut func);
        let sum = b.reduce(BinaryOp::Add, x, &[0])?;
        let y = b.unary(UnaryOp::Negate, sum)?;
        b.finish(&[y]);
        assert_eq!(messages(&module(vec![func.clone()])), Vec::<String>::new());
        let op = func.def(sum).map(|op| func.op(op).regions[0]);
        if let Some(region) = op {
            func.add_arg(region, f32s(&[]));
        }
        assert_eq!(messages(&module(vec![func])).len(), 1);
        Ok(())
    }
}
