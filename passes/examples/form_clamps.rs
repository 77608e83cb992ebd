//! A pass that makes operations: the second example of the book's chapter "Writing a pass".
//!
//! `cargo run -p ferrite-passes --example form_clamps`

use std::error::Error;

// ANCHOR: pass
use ferrite_ir::diag::Result;
use ferrite_ir::hlo::{BinaryOp, Module, OpKind};
use ferrite_passes::hlo::rewrite::{Rewrite, rewrite_module};
use ferrite_passes::pass::{Changed, HloPass, PassContext};

/// Makes a clamp of a minimum of a maximum.
///
/// Before                              After
///   %1 = maximum %0, %low               %2 = clamp %low, %0, %high
///   %2 = minimum %1, %high
///
/// Needs: verified `hlo`. Leaves: verified `hlo`; the maximum to `remove-dead-ops`.
pub struct FormClamps;

impl HloPass for FormClamps {
    const NAME: &'static str = "form-clamps";
    const DOC: &'static str = "Makes a clamp of a minimum of a maximum.";

    fn run(&self, module: &mut Module, _: &mut PassContext<'_>) -> Result<Changed> {
        rewrite_module(module, |b, op| {
            let outer = b.func.op(op);
            let OpKind::Binary(BinaryOp::Minimum) = outer.kind else {
                return Ok(Rewrite::Keep);
            };
            let (inner, high) = (outer.operands[0], outer.operands[1]);
            let Some(inner) = b.func.def(inner).map(|op| b.func.op(op)) else {
                return Ok(Rewrite::Keep); // a parameter
            };
            let OpKind::Binary(BinaryOp::Maximum) = inner.kind else {
                return Ok(Rewrite::Keep);
            };
            let (x, low) = (inner.operands[0], inner.operands[1]);
            let clamp = b.op1(OpKind::Clamp, &[low, x, high])?;
            Ok(Rewrite::Replace(vec![clamp]))
        })
    }
}
// ANCHOR_END: pass

use ferrite_ir::hlo::{parse, print, verify};
use ferrite_ir::machine::MachineModel;
use ferrite_passes::options::CompileOptions;

const PROGRAM: &str =
    "func.func public @main(%x: tensor<4xf32>, %low: tensor<f32>, %high: tensor<4xf32>) -> tensor<4xf32> {
  %0 = stablehlo.broadcast_in_dim %low, dims = [] : (tensor<f32>) -> tensor<4xf32>
  %1 = stablehlo.maximum %x, %0 : tensor<4xf32>
  %2 = stablehlo.minimum %1, %high : tensor<4xf32>
  return %2 : tensor<4xf32>
}
";

fn main() -> Result<(), Box<dyn Error>> {
    let shown = |errors: Vec<ferrite_ir::diag::Diagnostic>| errors.iter().map(ToString::to_string).collect::<String>();
    let mut module = parse::parse(PROGRAM).map_err(shown)?;
    let machine = MachineModel::target("inf2")?;
    let options = CompileOptions::default();
    let changed = FormClamps.run(&mut module, &mut PassContext::new(&machine, &options))?;
    verify::verify(&module).map_err(shown)?;
    println!("// changed: {changed:?}\n{}", print::print(&module));
    Ok(())
}
