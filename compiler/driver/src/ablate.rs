//! What each pass is worth: the program compiled again without it, and its simulated time compared.

use ferrite_ir::diag::Diagnostic;
use ferrite_ir::hlo::Module;
use ferrite_passes::pass::{AnyPass, Level};
use ferrite_report::Summary;
use serde::Serialize;

use crate::options::CompileOptions;
use crate::run::{self, RunOptions};
use crate::{compile, guard, pipeline};

/// The effect of one pass.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Worth {
    /// The pass; all its places in the pipeline are left out together.
    pub pass: String,
    /// Cycles without it minus cycles with it: what it wins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cycles_won: Option<i64>,
    /// Why there is no program without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needed: Option<String>,
}

/// Compiles `module` once for each hlo pass of its pipeline, without that pass; and for each pass of the tile level that keeps no decision.
///
/// # Errors
/// A module that does not compile with all passes, or whose time depends on data.
pub fn ablate(module: &Module, options: &CompileOptions) -> Result<Vec<Worth>, Vec<Diagnostic>> {
    let options = options.quiet();
    let passes = pipeline::whole(&options).map_err(|e| vec![e])?;
    let with = cycles(module, &passes, None, &options)?;
    let mut worth: Vec<Worth> = Vec::new();
    for pass in passes
        .iter()
        .filter(|p| p.about.level == p.about.result && p.about.level != Level::Isa)
    {
        let name = pass.name();
        if worth.iter().any(|w| w.pass == name) {
            continue;
        }
        let without = guard::guarded(|| cycles(module, &passes, Some(name), &options));
        worth.push(match without {
            Ok(cycles) => Worth {
                pass: name.to_string(),
                cycles_won: Some(cycles as i64 - with as i64),
                needed: None,
            },
            Err(errors) => Worth {
                pass: name.to_string(),
                cycles_won: None,
                needed: errors.first().map(|e| e.message.clone()),
            },
        });
    }
    Ok(worth)
}

/// Simulated cycles of a program compiled without one pass.
fn cycles(
    module: &Module,
    passes: &[AnyPass],
    without: Option<&str>,
    options: &CompileOptions,
) -> Result<u64, Vec<Diagnostic>> {
    let kept = passes.iter().filter(|p| Some(p.name()) != without);
    let options = CompileOptions {
        passes: Some(kept.map(AnyPass::text).collect::<Vec<_>>().join(",")),
        ..options.clone()
    };
    let compiled = compile::compile(module.clone(), &options)?;
    let simulation = RunOptions {
        machine: options.machine.clone(),
        extensions: options.extensions.clone(),
        timeline: false,
    };
    Ok(Summary::new(&run::profile(&compiled.neff, &simulation)?).cycles)
}

#[cfg(test)]
mod tests {
    use ferrite_frontend::Frontend;

    use super::*;

    #[test]
    fn a_pass_that_saves_work_wins_cycles_and_one_that_lowering_needs_is_needed() {
        let text = "func.func private @twice(%x: tensor<512x512xf32>) -> tensor<512x512xf32> {
          %0 = stablehlo.add %x, %x : tensor<512x512xf32>
          return %0 : tensor<512x512xf32>
        }
        func.func public @main(%x: tensor<512x512xf32>) -> (tensor<512x512xf32>, tensor<512x512xf32>) {
          %0 = func.call @twice(%x) : (tensor<512x512xf32>) -> tensor<512x512xf32>
          %1 = stablehlo.dot_general %0, %x, contracting_dims = [1] x [0] : (tensor<512x512xf32>, tensor<512x512xf32>) -> tensor<512x512xf32>
          %2 = stablehlo.dot_general %0, %x, contracting_dims = [1] x [0] : (tensor<512x512xf32>, tensor<512x512xf32>) -> tensor<512x512xf32>
          %3 = stablehlo.tanh %1 : tensor<512x512xf32>
          %4 = stablehlo.exponential %2 : tensor<512x512xf32>
          return %3, %4 : tensor<512x512xf32>, tensor<512x512xf32>
        }";
        let module = Frontend::read(text.as_bytes(), "m").unwrap();
        // At -O2 the e-graph would merge what is equal too.
        let options = CompileOptions {
            passes: Some("hlo(-O1,merge-equal-ops,remove-dead-ops),lower,generate-code".to_string()),
            ..CompileOptions::default()
        };
        let worth = ablate(&module, &options).unwrap();
        let of = |name: &str| worth.iter().find(|w| w.pass == name).unwrap();
        assert!(of("merge-equal-ops").cycles_won.unwrap() > 1000, "{worth:?}");
        assert!(of("inline").needed.is_some());
    }
}
