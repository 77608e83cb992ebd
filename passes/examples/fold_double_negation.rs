//! A pass in ten minutes: the example of the book's chapter "Writing a pass".
//!
//! `cargo run -p ferrite-passes --example fold_double_negation`

use std::error::Error;

// ANCHOR: uses
use ferrite_ir::diag::Result;
use ferrite_ir::hlo::{Func, Module, OpId, OpKind, UnaryOp, ValueId};
use ferrite_passes::pass::{Changed, HloPass, PassContext};
// ANCHOR_END: uses

use ferrite_ir::hlo::{parse, print, verify};
use ferrite_ir::machine::MachineModel;
use ferrite_passes::options::CompileOptions;

// ANCHOR: pass
/// Replaces a negation of a negation by its operand.
///
/// Before                              After
///   %1 = negate %0                      (uses of %2 read %0)
///   %2 = negate %1
///
/// Needs: verified `hlo`. Leaves: verified `hlo`; the negations to `remove-dead-ops`.
pub struct FoldDoubleNegation;

impl HloPass for FoldDoubleNegation {
    const NAME: &'static str = "fold-double-negation";
    const DOC: &'static str = "Replaces a negation of a negation by its operand.";

    fn run(&self, module: &mut Module, _: &mut PassContext<'_>) -> Result<Changed> {
        let mut changed = Changed::No;
        for func in &mut module.funcs {
            let mut found = Vec::new();
            func.walk(func.body(), &mut |func, outer| {
                let inner = negated(func, outer).and_then(|value| func.def(value));
                if let Some(operand) = inner.and_then(|inner| negated(func, inner)) {
                    found.push((func.result(outer), operand));
                }
            });
            for (double, operand) in found {
                func.replace_uses(double, operand);
                changed = Changed::Yes;
            }
        }
        Ok(changed)
    }
}

/// What an operation negates, if it does.
fn negated(func: &Func, op: OpId) -> Option<ValueId> {
    let op = func.op(op);
    matches!(op.kind, OpKind::Unary(UnaryOp::Negate)).then(|| op.operands[0])
}
// ANCHOR_END: pass

const PROGRAM: &str = "func.func public @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = stablehlo.negate %x : tensor<4xf32>
  %1 = stablehlo.negate %0 : tensor<4xf32>
  %2 = stablehlo.add %1, %0 : tensor<4xf32>
  return %2 : tensor<4xf32>
}
";

fn main() -> Result<(), Box<dyn Error>> {
    let shown = |errors: Vec<ferrite_ir::diag::Diagnostic>| errors.iter().map(ToString::to_string).collect::<String>();
    let mut module = parse::parse(PROGRAM).map_err(shown)?;
    let machine = MachineModel::target("inf2")?;
    let options = CompileOptions::default();
    let changed = FoldDoubleNegation.run(&mut module, &mut PassContext::new(&machine, &options))?;
    verify::verify(&module).map_err(shown)?;
    println!("// changed: {changed:?}\n{}", print::print(&module));
    Ok(())
}
