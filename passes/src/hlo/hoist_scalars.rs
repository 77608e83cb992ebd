//! Does arithmetic with one number where a value is computed, not where it is read.
//!
//! ```text
//! Before                                              After
//!   %1 = reshape %0                                     %1 = multiply %0, 0.125
//!   %2 = transpose %1                                   %2 = reshape %1
//!   %3 = multiply %2, 0.125                             %3 = transpose %2
//! ```
//!
//! Views cost nothing, and what follows a computation directly joins its cluster: attention's scale is applied as the
//! projection leaves PSUM, instead of in a pass of its own over a copy in memory.
//!
//! Needs: verified `hlo`. Leaves: verified `hlo`. Never: computes an element that was not computed before (a slice, or a
//! second reader of a view, stops it).

use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::hlo::{Builder, Func, Module, OpId, OpKind, TensorType, ValueId, Violation};
use ferrite_ir::literal::Literal;

use super::rewrite::{Rewrite, rewrite_module_knowing};
use crate::pass::{Changed, HloPass, PassContext};

/// See the module's own text.
pub struct HoistScalars;

impl HloPass for HoistScalars {
    const NAME: &'static str = "hoist-scalars";
    const DOC: &'static str = "Moves arithmetic with one number before the reshapes and transposes that stand between it and what computes the value.";

    fn run(&self, module: &mut Module, _: &mut PassContext<'_>) -> Result<Changed> {
        rewrite_module_knowing(
            module,
            |_| false,
            Func::use_counts,
            |uses, b, op| {
                hoist(uses, b, op).map_err(|v: Violation| {
                    Diagnostic::bug(format!("`{}` built an invalid operation: {v}", Self::NAME))
                })
            },
        )
    }
}

/// Whether only one operation reads the value; new ones are read by the views that stood before them alone.
pub(super) fn read_once(uses: &[u32], v: ValueId) -> bool {
    uses.get(v.index()).is_none_or(|&n| n == 1)
}

/// The literal of a constant, or of one that is broadcast, that is one number everywhere.
pub(super) fn number(func: &Func, v: ValueId) -> Option<&Literal> {
    let v = match func.def_kind(v) {
        Some(OpKind::BroadcastInDim(_)) => func.op(func.def(v)?).operands[0],
        _ => v,
    };
    match func.def_kind(v) {
        Some(OpKind::Constant(literal)) if literal.splat_element().is_some() => Some(literal),
        _ => None,
    }
}

fn hoist(uses: &[u32], b: &mut Builder<'_>, id: OpId) -> std::result::Result<Rewrite, Violation> {
    let op = b.func.op(id).clone();
    let varying = match &op.kind {
        OpKind::Unary(_) => 0,
        OpKind::Binary(_) if number(b.func, op.operands[1]).is_some() => 0,
        OpKind::Binary(_) if number(b.func, op.operands[0]).is_some() => 1,
        _ => return Ok(Rewrite::Keep),
    };
    let Some(result) = b.func.ty(op.results[0]).tensor().cloned() else {
        return Ok(Rewrite::Keep);
    };
    let mut views = Vec::new();
    let mut at = op.operands[varying];
    while let Some(def) = b.func.def(at)
        && matches!(b.func.op(def).kind, OpKind::Reshape | OpKind::Transpose(_))
        && read_once(uses, at)
    {
        views.push(def);
        at = b.func.op(def).operands[0];
    }
    // What comes from the caller or is known is combined as it is loaded.
    let known = b.func.def_kind(at).is_none_or(|k| matches!(k, OpKind::Constant(_)));
    if views.is_empty() || known || !read_once(uses, at) {
        return Ok(Rewrite::Keep);
    }
    let shape = b.tensor(at)?.shape.clone();
    let mut operands = Vec::with_capacity(op.operands.len());
    for (i, &v) in op.operands.iter().enumerate() {
        if i == varying {
            operands.push(at);
            continue;
        }
        let splat = number(b.func, v).and_then(|literal| {
            let ty = TensorType::new(literal.ty().dtype, &shape);
            Literal::splat(ty, literal.splat_element()?)
        });
        let Some(splat) = splat else { return Ok(Rewrite::Keep) };
        operands.push(b.constant(splat));
    }
    let mut value = b.op1(op.kind, &operands)?;
    for view in views.into_iter().rev() {
        let old = b.func.op(view).clone();
        let ty = TensorType::new(result.dtype, &b.func.tensor(old.results[0]).shape);
        value = b.op1_as(old.kind, &[value], ty)?;
    }
    Ok(value.into())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ops, run};
    use super::*;

    use ferrite_ir::hlo::parse::parse;

    #[test]
    fn a_factor_moves_before_views_but_not_past_a_second_reader() -> Result<()> {
        let text = "func.func @main(%x: tensor<4x6xf32>) -> (tensor<3x8xf32>, tensor<6x4xf32>, tensor<6x4xf32>) {
            %half = stablehlo.constant dense<0.5> : tensor<f32>
            %c = stablehlo.broadcast_in_dim %half, dims = [] : (tensor<f32>) -> tensor<3x8xf32>
            %d = stablehlo.constant dense<0.5> : tensor<6x4xf32>
            %0 = stablehlo.negate %x : tensor<4x6xf32>
            %1 = stablehlo.transpose %0, dims = [1, 0] : (tensor<4x6xf32>) -> tensor<6x4xf32>
            %2 = stablehlo.reshape %1 : (tensor<6x4xf32>) -> tensor<3x8xf32>
            %3 = stablehlo.multiply %2, %c : tensor<3x8xf32>
            %4 = stablehlo.sine %x : tensor<4x6xf32>
            %5 = stablehlo.transpose %4, dims = [1, 0] : (tensor<4x6xf32>) -> tensor<6x4xf32>
            %6 = stablehlo.multiply %d, %5 : tensor<6x4xf32>
            return %3, %5, %6 : tensor<3x8xf32>, tensor<6x4xf32>, tensor<6x4xf32>
        }";
        let mut m = parse(text).map_err(|mut e| e.remove(0))?;
        run(HoistScalars, &mut m)?;
        run(super::super::RemoveDeadOps, &mut m)?;
        assert_eq!(
            ops(&m),
            [
                "constant",
                "negate",
                "constant",
                "multiply",
                "transpose",
                "reshape",
                "sine",
                "transpose",
                "multiply"
            ]
        );
        Ok(())
    }
}
