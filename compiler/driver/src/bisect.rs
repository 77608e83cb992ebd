//! Which pass breaks a program: `ferrite opt --bisect`.
//!
//! In: a program and passes. The program is evaluated before the first and after the last pass; if the results differ, or a
//! checker refuses the program, halves of the pipeline are tried until there are two neighbours of which the first agrees and
//! the second does not. That is the first such pass if a wrong program stays wrong.

use ferrite_interp::Tensor;
use ferrite_ir::diag::Diagnostic;
use ferrite_passes::pass::AnyPass;
use ferrite_passes::program::Program;
use serde::Serialize;

use crate::compare::Tolerance;
use crate::guard;
use crate::judge;
use crate::manager;
use crate::options::CompileOptions;
use crate::record::Recorder;

/// What a bisection found.
#[derive(Clone, Debug, Serialize)]
pub struct Bisection {
    /// Passes in the pipeline.
    pub passes: usize,
    /// Programs that were evaluated, in order.
    pub tried: Vec<Trial>,
    /// The pass that breaks the program, if one does.
    pub broken: Option<Broken>,
}

/// One evaluation.
#[derive(Clone, Debug, Serialize)]
pub struct Trial {
    /// After so many passes.
    pub after: usize,
    /// The last of them.
    pub pass: String,
    /// What was wrong, if anything.
    pub wrong: Option<String>,
}

/// The pass that breaks the program.
#[derive(Clone, Debug, Serialize)]
pub struct Broken {
    /// Its number, from 0.
    pub index: usize,
    /// Its name and options.
    pub pass: String,
    /// What is wrong after it.
    pub wrong: String,
    /// The program before it.
    pub before: String,
    /// The program after it; what it said, if it left none.
    pub after: String,
}

/// Finds the pass that breaks `program` on these inputs.
///
/// # Errors
/// What stops the evaluation of the program itself, and what a pass says that is not a defect.
pub fn bisect(
    program: Program,
    passes: &[AnyPass],
    inputs: &[Tensor],
    options: &CompileOptions,
    tolerance: &dyn Fn(&Tensor) -> Tolerance,
) -> Result<Bisection, Vec<Diagnostic>> {
    manager::check_levels(program.level(), passes).map_err(|e| vec![e])?;
    let want = judge::evaluate(&program, inputs, options)?;
    let wrong = |program: &Program| match guard::guarded(|| judge::evaluate(program, inputs, options)) {
        Ok(got) => judge::difference(&got, &want, tolerance),
        Err(errors) => Some(first(&errors)),
    };
    let mut found = Bisection {
        passes: passes.len(),
        tried: Vec::new(),
        broken: None,
    };
    // How far the passes themselves come.
    let (mut bad, mut reason) = match advance(&program, passes, options) {
        Ok(end) => match wrong(&end) {
            None => {
                found.tried.push(trial(passes, passes.len(), None));
                return Ok(found);
            }
            Some(reason) => (passes.len(), reason),
        },
        Err((index, errors)) if guard::is_bug(&errors) => (index + 1, first(&errors)),
        Err((_, errors)) => return Err(errors),
    };
    found.tried.push(trial(passes, bad, Some(reason.clone())));
    // The program is right after `good` passes, and wrong after `bad`.
    let (mut good, mut state) = (0, program);
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        let next = advance(&state, &passes[good..middle], options).map_err(|(_, errors)| errors)?;
        let outcome = wrong(&next);
        found.tried.push(trial(passes, middle, outcome.clone()));
        match outcome {
            None => (good, state) = (middle, next),
            Some(why) => (bad, reason) = (middle, why),
        }
    }
    let after = match advance(&state, &passes[good..bad], options) {
        Ok(after) => after.text(),
        Err((_, errors)) => first(&errors),
    };
    found.broken = Some(Broken {
        index: good,
        pass: passes[good].text(),
        wrong: reason,
        before: state.text(),
        after,
    });
    Ok(found)
}

fn trial(passes: &[AnyPass], after: usize, wrong: Option<String>) -> Trial {
    let pass = after.checked_sub(1).and_then(|i| passes.get(i)).map(AnyPass::text);
    Trial {
        after,
        pass: pass.unwrap_or_default(),
        wrong,
    }
}

fn first(errors: &[Diagnostic]) -> String {
    errors.first().map(ToString::to_string).unwrap_or_default()
}

/// The program after passes; or which pass failed, and how.
fn advance(
    program: &Program,
    passes: &[AnyPass],
    options: &CompileOptions,
) -> Result<Program, (usize, Vec<Diagnostic>)> {
    let quiet = CompileOptions {
        verify_each: true,
        ..options.quiet()
    };
    let machine = quiet.machine_model().map_err(|e| (0, vec![e]))?;
    let mut program = program.clone();
    for (index, pass) in passes.iter().enumerate() {
        let ran = guard::guarded(|| {
            let mut recorder = Recorder::new(&quiet).map_err(|e| vec![e])?;
            let one = std::slice::from_ref(pass);
            manager::run(&mut program, one, &quiet, &machine, &mut recorder)
        });
        ran.map_err(|errors| (index, errors))?;
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use ferrite_frontend::Frontend;
    use ferrite_ir::diag::Result;
    use ferrite_ir::hlo::{BinaryOp, Module, OpKind};
    use ferrite_ir::tile;
    use ferrite_passes::pass::{Changed, HloPass, PassContext, TilePass};

    use super::*;
    use crate::extensions::Extensions;
    use crate::{pipeline, random};

    /// Takes the sum for the product.
    struct Miscompile;

    impl HloPass for Miscompile {
        const NAME: &'static str = "miscompile";
        const DOC: &'static str = "Makes a mistake.";

        fn run(&self, module: &mut Module, _: &mut PassContext<'_>) -> Result<Changed> {
            for func in &mut module.funcs {
                for index in 0..func.op_count() {
                    let op = func.op_mut(ferrite_ir::hlo::OpId(index as u32));
                    if matches!(op.kind, OpKind::Binary(BinaryOp::Add)) {
                        op.kind = OpKind::Binary(BinaryOp::Multiply);
                    }
                }
            }
            Ok(Changed::Yes)
        }
    }

    /// Forgets the last operation.
    struct DropLast;

    impl TilePass for DropLast {
        const NAME: &'static str = "drop-last";
        const DOC: &'static str = "Makes a mistake.";

        fn run(&self, program: &mut tile::Program, _: &mut PassContext<'_>) -> Result<Changed> {
            program.ops.pop();
            Ok(Changed::Yes)
        }
    }

    /// Leaves a program without results.
    struct Break;

    impl HloPass for Break {
        const NAME: &'static str = "break";
        const DOC: &'static str = "Leaves a program that does not verify.";

        fn run(&self, module: &mut Module, _: &mut PassContext<'_>) -> Result<Changed> {
            let func = &mut module.funcs[0];
            let body = func.body();
            func.region_mut(body).ops.clear();
            Ok(Changed::Yes)
        }
    }

    fn found(passes: &str) -> Bisection {
        let text = "func.func public @main(%x: tensor<8x16xf32>) -> tensor<8x16xf32> {
          %0 = stablehlo.add %x, %x : tensor<8x16xf32>
          %1 = stablehlo.exponential %0 : tensor<8x16xf32>
          return %1 : tensor<8x16xf32>
        }";
        let extensions = Extensions::default().hlo(|| Miscompile).hlo(|| Break).tile(|| DropLast);
        let options = CompileOptions {
            extensions: std::sync::Arc::new(extensions),
            ..CompileOptions::default()
        };
        let program = Program::Hlo(Frontend::read(text.as_bytes(), "m").unwrap());
        let passes = pipeline::resolve(passes, &options.extensions).unwrap();
        let inputs = random::random_tensors(&judge::input_types(&program).unwrap(), 1).unwrap();
        bisect(program, &passes, &inputs, &options, &judge::tolerance(&options)).unwrap()
    }

    #[test]
    fn nothing_is_found_where_nothing_is_wrong() {
        let found = found(&format!("-O1,{}", pipeline::CODE_STEPS));
        assert!(found.broken.is_none() && found.tried.len() == 1, "{found:?}");
    }

    #[test]
    fn the_pass_that_changes_the_numbers_is_found() {
        let found = found("inline,canonicalize,merge-equal-ops,miscompile,remove-dead-ops,lower,generate-code");
        let broken = found.broken.unwrap();
        assert_eq!((broken.index, broken.pass.as_str()), (3, "miscompile"));
        assert!(broken.before.contains("stablehlo.add") && broken.after.contains("stablehlo.multiply"));
        assert!(broken.wrong.contains("are off"), "{}", broken.wrong);
    }

    #[test]
    fn a_mistake_on_tiles_is_found() {
        let found = found("-O1,lower,spill,assign-engines,drop-last,schedule,place,synchronise,encode");
        assert_eq!(found.broken.unwrap().pass, "drop-last");
    }

    #[test]
    fn a_program_that_does_not_verify_is_found() {
        let broken = found("inline,break,canonicalize").broken.unwrap();
        assert_eq!(broken.pass, "break");
        assert!(broken.wrong.contains("does not verify"), "{}", broken.wrong);
    }
}
