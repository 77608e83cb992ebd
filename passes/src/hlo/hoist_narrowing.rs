//! Narrows floats where they are computed, not where they are read.
//!
//! ```text
//! Before                                              After
//!   %1 = reshape %0    : f32                            %1 = convert %0    : bf16
//!   %2 = transpose %1  : f32                            %2 = reshape %1    : bf16
//!   %3 = convert %2    : bf16                           %3 = transpose %2  : bf16
//! ```
//!
//! Views cost nothing, and an engine narrows what it computes for nothing as it writes it: then half as many bytes go to memory and
//! come back. Elements keep their values, whichever comes first.
//!
//! Needs: verified `hlo`. Leaves: verified `hlo`; `merge-equal-ops` joins what several readers asked for.

use ferrite_ir::diag::Result;
use ferrite_ir::hlo::{Builder, Module, OpId, OpKind, TensorType};

use super::legalize::rewrite::{Rewrite, rewrite_module};
use crate::pass::{Changed, HloPass, PassContext};

/// See the module's own text.
pub struct HoistNarrowing;

impl HloPass for HoistNarrowing {
    const NAME: &'static str = "hoist-narrowing";
    const DOC: &'static str =
        "Moves conversions to narrower floats before the reshapes, transposes and slices that stand between.";

    fn run(&self, module: &mut Module, _: &mut PassContext<'_>) -> Result<Changed> {
        rewrite_module(module, Self::NAME, rewrite).map(Changed::from_bool)
    }
}

fn rewrite(b: &mut Builder<'_>, op: OpId) -> Rewrite {
    if !matches!(b.func.op(op).kind, OpKind::Convert) {
        return Ok(None);
    }
    let x = b.func.op(op).operands[0];
    let (from, to) = (b.func.tensor(x).dtype, b.func.tensor(b.func.result(op)).dtype);
    if !from.is_float() || !to.is_float() || to.bytes() >= from.bytes() {
        return Ok(None);
    }
    let mut views = Vec::new();
    let mut at = x;
    while let Some(def) = b.func.def(at) {
        let kind = &b.func.op(def).kind;
        if !matches!(
            kind,
            OpKind::Reshape | OpKind::Transpose(_) | OpKind::Slice(_) | OpKind::Reverse(_)
        ) {
            break;
        }
        views.push(def);
        at = b.func.op(def).operands[0];
    }
    // What comes from the caller or is known is narrowed as it is loaded.
    let known = b.func.def_kind(at).is_none_or(|k| matches!(k, OpKind::Constant(_)));
    if views.is_empty() || known {
        return Ok(None);
    }
    let mut value = b.convert(at, to)?;
    for view in views.into_iter().rev() {
        let old = b.func.op(view).clone();
        let ty = TensorType::new(to, &b.func.tensor(old.results[0]).shape);
        let region = b.region;
        let new = b.func.append(region, old.kind, &[value], vec![ty.into()], &[], old.loc);
        b.func.op_mut(new).attrs = old.attrs;
        value = b.func.result(new);
    }
    Ok(Some(vec![value]))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ops, run};
    use super::*;

    use ferrite_ir::hlo::parse::parse;

    #[test]
    fn a_conversion_moves_before_views_but_not_to_the_caller() -> Result<()> {
        let text = "func.func @main(%x: tensor<4x6xf32>) -> (tensor<3x8xbf16>, tensor<6x4xbf16>) {
            %0 = stablehlo.negate %x : tensor<4x6xf32>
            %1 = stablehlo.transpose %0, dims = [1, 0] : (tensor<4x6xf32>) -> tensor<6x4xf32>
            %2 = stablehlo.reshape %1 : (tensor<6x4xf32>) -> tensor<3x8xf32>
            %3 = stablehlo.convert %2 : (tensor<3x8xf32>) -> tensor<3x8xbf16>
            %4 = stablehlo.transpose %x, dims = [1, 0] : (tensor<4x6xf32>) -> tensor<6x4xf32>
            %5 = stablehlo.convert %4 : (tensor<6x4xf32>) -> tensor<6x4xbf16>
            return %3, %5 : tensor<3x8xbf16>, tensor<6x4xbf16>
        }";
        let mut m = parse(text).map_err(|mut e| e.remove(0))?;
        run(HoistNarrowing, &mut m)?;
        run(super::super::RemoveDeadOps, &mut m)?;
        assert_eq!(
            ops(&m),
            ["negate", "convert", "transpose", "reshape", "transpose", "convert"]
        );
        Ok(())
    }
}
