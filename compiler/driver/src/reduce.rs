//! Shrinks a module that shows something wrong to a small one that still shows it: `ferrite reduce`.
//!
//! Operations are cut out and their results become parameters, results are dropped, operations are replaced by their
//! operands, constants by one number; whatever nothing needs any more goes. A step stays if the module still verifies and
//! the check still says that it is interesting. Operations with regions are cut out whole; shapes stay.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::hlo::{Func, Module, OpId, OpKind, Param, ValueId, print, verify};
use ferrite_ir::literal::Literal;
use ferrite_ir::machine::MachineModel;
use ferrite_passes::options::Settings;
use ferrite_passes::pass::{PassContext, Run};
use serde::Serialize;

use crate::options::CompileOptions;
use crate::{compile, files, guard, interpret, judge, random, run};

/// What makes a module interesting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// It does not compile, with the code (and, for a defect, the message) that the whole module gives.
    CompileFails,
    /// It compiles, and what the simulator computes differs from the interpreter, or is refused.
    ValidateFails,
    /// A shell command that gets the path of a file with the module as its last argument exits with 0.
    Command(String),
}

/// What a reduction came to.
#[derive(Clone, Debug, Serialize)]
pub struct Reduced {
    /// The smallest module found, as text.
    pub text: String,
    /// Operations before.
    pub ops_before: usize,
    /// Operations afterwards.
    pub ops_after: usize,
    /// Modules that were checked.
    pub checked: usize,
    /// Whether the search ended because of the limit on checks.
    pub limited: bool,
}

/// Shrinks `module`, checking at most `limit` candidates.
///
/// # Errors
/// A module that is not interesting to begin with; a check that cannot be made.
pub fn reduce(
    module: Module,
    check: &Check,
    limit: usize,
    options: &CompileOptions,
) -> Result<Reduced, Vec<Diagnostic>> {
    let interest = Interest::new(&module, check, options)?;
    let ops_before = size(&module);
    let mut search = Search {
        interest: &interest,
        best: module,
        checked: 0,
        limit,
    };
    search.once("inline")?;
    search.once("remove-dead-ops")?;
    search.propose(strip)?;
    loop {
        let before = (size(&search.best), results(&search.best));
        search.results()?;
        search.cut()?;
        search.skip()?;
        search.constants()?;
        if (size(&search.best), results(&search.best)) == before || search.checked >= limit {
            break;
        }
    }
    Ok(Reduced {
        text: print::print(&search.best),
        ops_before,
        ops_after: size(&search.best),
        checked: search.checked,
        limited: search.checked >= limit,
    })
}

/// Operations that the entry function reaches.
fn size(module: &Module) -> usize {
    let mut count = 0;
    if let Some(func) = module.entry().map(|id| module.func(id)) {
        func.walk(func.body(), &mut |_, _| count += 1);
    }
    count
}

fn results(module: &Module) -> usize {
    module.entry().map_or(0, |id| module.func(id).results.len())
}

/// A check with what it compares to.
struct Interest<'a> {
    check: &'a Check,
    options: CompileOptions,
    /// How the whole module fails to compile.
    failure: Option<(Code, String)>,
}

impl<'a> Interest<'a> {
    fn new(module: &Module, check: &'a Check, options: &CompileOptions) -> Result<Interest<'a>, Vec<Diagnostic>> {
        let mut interest = Interest {
            check,
            options: options.quiet(),
            failure: None,
        };
        if *check == Check::CompileFails {
            interest.failure = interest.compile_failure(module);
        }
        if !interest.holds(module).map_err(|e| vec![e])? {
            let text = match check {
                Check::CompileFails => "the model compiles: there is nothing to reduce",
                Check::ValidateFails => "the model's results are right on random inputs: there is nothing to reduce",
                Check::Command(_) => "the command does not exit with 0 for the whole model: there is nothing to reduce",
            };
            return Err(vec![Diagnostic::error(Code::Usage, text)]);
        }
        Ok(interest)
    }

    fn holds(&self, module: &Module) -> Result<bool> {
        match self.check {
            Check::CompileFails => Ok(self.failure.is_some() && self.compile_failure(module) == self.failure),
            Check::ValidateFails => Ok(self.validation_fails(module)),
            Check::Command(command) => succeeds(command, module),
        }
    }

    fn compile_failure(&self, module: &Module) -> Option<(Code, String)> {
        let outcome = guard::guarded(|| compile::compile(module.clone(), &self.options).map(drop));
        let error = outcome.err()?.into_iter().next()?;
        // Numbers, and what is quoted, may change with the module; a defect's text tells it from other defects.
        let about = match error.code {
            Code::Bug => error.message.split('`').step_by(2).collect::<String>(),
            _ => String::new(),
        };
        let about = about.chars().filter(|c| !c.is_ascii_digit()).collect();
        Some((error.code, about))
    }

    fn validation_fails(&self, module: &Module) -> bool {
        let outcome = guard::guarded(|| {
            let types = run::module_inputs(module).map_err(|e| vec![e])?;
            let inputs = random::random_tensors(&types, 0).map_err(|e| vec![e])?;
            let want = interpret::interpret(module, &inputs).map_err(|e| vec![e])?;
            let compiled = compile::compile(module.clone(), &self.options)?;
            let simulation = run::RunOptions {
                machine: self.options.machine.clone(),
                extensions: self.options.extensions.clone(),
                timeline: false,
            };
            // What is refused when it runs is as wrong as a wrong number.
            let Ok(done) = run::run(&compiled.neff, &inputs, &simulation) else {
                return Ok(true);
            };
            let tolerance = judge::tolerance(&self.options);
            Ok(judge::difference(&done.outputs, &want, &tolerance).is_some())
        });
        outcome.unwrap_or(false)
    }
}

fn succeeds(command: &str, module: &Module) -> Result<bool> {
    let failed = |e: &std::io::Error| files::failure("a temporary file".as_ref(), e);
    let mut file = tempfile::Builder::new()
        .prefix("ferrite-reduce-")
        .suffix(".mlir")
        .tempfile()
        .map_err(|e| failed(&e))?;
    file.write_all(print::print(module).as_bytes())
        .map_err(|e| failed(&e))?;
    let status = Command::new("sh")
        .arg("-c")
        .arg(format!("{command} \"$0\""))
        .arg(file.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let status = status.map_err(|e| Diagnostic::error(Code::Io, format!("`sh` cannot be started: {e}")))?;
    Ok(status.success())
}

struct Search<'a> {
    interest: &'a Interest<'a>,
    best: Module,
    checked: usize,
    limit: usize,
}

impl Search<'_> {
    /// Takes what `change` makes of the best module, if it still is interesting.
    fn propose(&mut self, change: impl FnOnce(&mut Module) -> bool) -> Result<bool, Vec<Diagnostic>> {
        if self.checked >= self.limit {
            return Ok(false);
        }
        let mut candidate = self.best.clone();
        let changed = guard::guarded(|| Ok(change(&mut candidate) && clean(&mut candidate).is_ok()));
        if changed != Ok(true) || verify::verify(&candidate).is_err() {
            return Ok(false);
        }
        self.checked += 1;
        let good = self.interest.holds(&candidate).map_err(|e| vec![e])?;
        if good {
            self.best = candidate;
        }
        Ok(good)
    }

    /// Runs a pass, if the module stays interesting.
    fn once(&mut self, pass: &str) -> Result<(), Vec<Diagnostic>> {
        self.propose(|module| run_pass(module, pass).is_ok()).map(drop)
    }

    fn entry(&self) -> Option<&Func> {
        self.best.entry().map(|id| self.best.func(id))
    }

    /// Drops results: all but one, else one at a time.
    fn results(&mut self) -> Result<(), Vec<Diagnostic>> {
        let mut count = results(&self.best);
        for only in 0..count {
            if count > 1 && self.propose(|m| keep_results(m, |i| i == only))? {
                return Ok(());
            }
        }
        let mut index = 0;
        while index < count && count > 1 {
            if self.propose(|m| keep_results(m, |i| i != index))? {
                count -= 1;
            } else {
                index += 1;
            }
        }
        Ok(())
    }

    /// Cuts out runs of operations, long ones first and from the end.
    fn cut(&mut self) -> Result<(), Vec<Diagnostic>> {
        let count = |this: &Self| this.entry().map_or(0, |f| f.region(f.body()).ops.len());
        let mut length = count(self);
        while length > 0 {
            let mut end = count(self);
            while end > 0 && self.checked < self.limit {
                let begin = end.saturating_sub(length);
                self.propose(|m| cut_ops(m, begin, end))?;
                end = begin.min(count(self));
            }
            length /= 2;
        }
        Ok(())
    }

    /// Replaces operations by operands of the same type.
    fn skip(&mut self) -> Result<(), Vec<Diagnostic>> {
        let mut index = 0;
        while let Some(&op) = self.entry().and_then(|f| f.region(f.body()).ops.get(index)) {
            let operands = self.entry().map_or(0, |f| f.op(op).operands.len());
            let mut skipped = false;
            for operand in 0..operands {
                if self.propose(|m| skip_op(m, op, operand))? {
                    skipped = true;
                    break;
                }
            }
            // Ids are new after a step; what was at this position is gone, or another operation.
            index += usize::from(!skipped);
            if self.checked >= self.limit {
                break;
            }
        }
        Ok(())
    }

    /// Replaces constants by their first element everywhere.
    fn constants(&mut self) -> Result<(), Vec<Diagnostic>> {
        let count = self.entry().map_or(0, Func::op_count);
        for index in 0..count {
            self.propose(|m| splat(m, OpId(index as u32)))?;
        }
        Ok(())
    }
}

fn run_pass(module: &mut Module, name: &str) -> Result<()> {
    let registry = ferrite_passes::registry::Registry::standard();
    let pass = registry.get(name)?.make(&Settings::default())?;
    let machine = MachineModel::target(crate::options::DEFAULT_TARGET)?;
    let options = CompileOptions::default().for_passes();
    if let Run::Hlo(run) = &pass.run {
        run(module, &mut PassContext::new(&machine, &options))?;
    }
    Ok(())
}

/// Removes what nothing needs: operations, functions, parameters.
fn clean(module: &mut Module) -> Result<()> {
    run_pass(module, "remove-dead-ops")?;
    let Some(entry) = module.entry() else { return Ok(()) };
    let func = module.func_mut(entry);
    let uses = func.use_counts();
    let body = func.body();
    let args = func.args().to_vec();
    let kept: Vec<usize> = (0..args.len()).filter(|&i| uses[args[i].index()] > 0).collect();
    if kept.len() < args.len() {
        func.params = kept.iter().filter_map(|&i| func.params.get(i).cloned()).collect();
        func.region_mut(body).args = kept.iter().map(|&i| args[i]).collect();
    }
    func.compact();
    Ok(())
}

/// The entry function and its body's operations.
fn body_ops(module: &mut Module) -> Option<(&mut Func, Vec<OpId>)> {
    let entry = module.entry()?;
    let func = module.func_mut(entry);
    let ops = func.region(func.body()).ops.clone();
    Some((func, ops))
}

/// Drops what says something about buffers only.
fn strip(module: &mut Module) -> bool {
    let Some((func, _)) = body_ops(module) else {
        return false;
    };
    func.params.iter_mut().for_each(|p| *p = Param::default());
    func.results.iter_mut().for_each(|r| *r = Default::default());
    true
}

fn keep_results(module: &mut Module, keep: impl Fn(usize) -> bool) -> bool {
    let Some((func, _)) = body_ops(module) else {
        return false;
    };
    let body = func.body();
    let old = func.region(body).results.clone();
    let kept: Vec<ValueId> = (0..old.len()).filter(|&i| keep(i)).map(|i| old[i]).collect();
    func.results = vec![Default::default(); kept.len()];
    // Numbers of outputs change: no parameter can name one.
    func.params.iter_mut().for_each(|p| p.alias = None);
    let changed = kept.len() < old.len();
    func.region_mut(body).results = kept;
    changed
}

/// Cuts out a run of operations; what others read of their results becomes parameters.
fn cut_ops(module: &mut Module, begin: usize, end: usize) -> bool {
    let Some((func, ops)) = body_ops(module) else {
        return false;
    };
    let Some(cut) = ops.get(begin..end).filter(|c| !c.is_empty()) else {
        return false;
    };
    let body = func.body();
    // A cut that only turns constants into parameters makes nothing smaller.
    if cut.iter().all(|&op| matches!(func.op(op).kind, OpKind::Constant(_))) {
        return false;
    }
    let gone: BTreeSet<OpId> = cut.iter().copied().collect();
    func.region_mut(body).ops.retain(|op| !gone.contains(op));
    let uses = func.use_counts();
    for &op in cut {
        for result in func.op(op).results.clone() {
            if uses[result.index()] == 0 {
                continue;
            }
            let ty = func.ty(result).clone();
            if !ty.tensor().is_some_and(|t| t.is_static()) {
                return false;
            }
            let arg = func.add_arg(body, ty);
            func.replace_uses(result, arg);
        }
    }
    true
}

fn skip_op(module: &mut Module, op: OpId, operand: usize) -> bool {
    let Some((func, _)) = body_ops(module) else {
        return false;
    };
    let (&[result], Some(&operand)) = (func.op(op).results.as_slice(), func.op(op).operands.get(operand)) else {
        return false;
    };
    // One that nothing reads and that stays all the same, for its effect, cannot be skipped.
    let skips = func.ty(result) == func.ty(operand) && func.use_counts()[result.index()] > 0;
    if skips {
        func.replace_uses(result, operand);
    }
    skips
}

fn splat(module: &mut Module, op: OpId) -> bool {
    let Some((func, _)) = body_ops(module) else {
        return false;
    };
    if op.index() >= func.op_count() {
        return false;
    }
    let OpKind::Constant(literal) = &func.op(op).kind else {
        return false;
    };
    if literal.is_splat() || literal.ty().element_count() < 2 {
        return false;
    }
    let Some(simple) = Literal::splat(literal.ty().clone(), literal.element(0)) else {
        return false;
    };
    func.op_mut(op).kind = OpKind::Constant(simple);
    true
}

#[cfg(test)]
mod tests {
    use ferrite_frontend::Frontend;

    use super::*;

    fn module(text: &str) -> Module {
        Frontend::read(text.as_bytes(), "m").unwrap()
    }

    const MODEL: &str = "func.func private @half(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
      %0 = stablehlo.constant dense<0.5> : tensor<4x8xf32>
      %1 = stablehlo.multiply %x, %0 : tensor<4x8xf32>
      return %1 : tensor<4x8xf32>
    }
    func.func public @main(%x: tensor<4x8xf32>, %y: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<8x4xf32>) {
      %0 = stablehlo.add %x, %y : tensor<4x8xf32>
      %1 = func.call @half(%0) : (tensor<4x8xf32>) -> tensor<4x8xf32>
      %2 = stablehlo.exponential %1 : tensor<4x8xf32>
      %3 = stablehlo.custom_call @Nobody(%2) : (tensor<4x8xf32>) -> tensor<4x8xf32>
      %4 = stablehlo.tanh %3 : tensor<4x8xf32>
      %5 = stablehlo.transpose %4, dims = [1, 0] : (tensor<4x8xf32>) -> tensor<8x4xf32>
      return %4, %5 : tensor<4x8xf32>, tensor<8x4xf32>
    }";

    #[test]
    fn what_fails_to_compile_is_all_that_is_left() {
        let options = CompileOptions::default();
        let reduced = reduce(module(MODEL), &Check::CompileFails, 500, &options).unwrap();
        assert_eq!(reduced.ops_after, 1, "{}", reduced.text);
        assert!(reduced.text.contains("@Nobody") && !reduced.text.contains("@half"));
        assert!(!reduced.limited && reduced.checked > 1);
        verify::verify(&module(&reduced.text)).unwrap();
    }

    #[test]
    fn a_command_decides() {
        let check = Check::Command("grep -q stablehlo.tanh".to_string());
        let reduced = reduce(module(MODEL), &check, 500, &CompileOptions::default()).unwrap();
        assert_eq!(reduced.ops_after, 1, "{}", reduced.text);
        let never = Check::Command("grep -q nothing_like_this".to_string());
        let errors = reduce(module(MODEL), &never, 500, &CompileOptions::default()).unwrap_err();
        assert!(errors[0].message.contains("nothing to reduce"));
    }

    #[test]
    fn a_model_that_is_right_is_not_reduced() {
        let text = MODEL.replace(
            "stablehlo.custom_call @Nobody(%2) : (tensor<4x8xf32>) -> tensor<4x8xf32>",
            "stablehlo.abs %2 : tensor<4x8xf32>",
        );
        let errors = reduce(module(&text), &Check::ValidateFails, 500, &CompileOptions::default()).unwrap_err();
        assert!(errors[0].message.contains("results are right"));
    }

    #[test]
    fn the_number_of_checks_is_bounded() {
        let reduced = reduce(module(MODEL), &Check::CompileFails, 2, &CompileOptions::default()).unwrap();
        assert!(reduced.limited && reduced.checked == 2);
    }
}
