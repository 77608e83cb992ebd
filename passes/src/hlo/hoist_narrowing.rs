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
//! come back. Elements keep their values, whichever comes first. So does the largest or smallest element of a window, because rounding
//! keeps order: a conversion of such windows moves before them if nothing else reads them.
//!
//! Needs: verified `hlo`. Leaves: verified `hlo`; `merge-equal-ops` joins what several readers asked for.

use std::collections::{BTreeMap, BTreeSet};

use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{BinaryOp, Builder, Func, Module, OpId, OpKind, TensorType, ValueId, neutral};

use super::legalize::body::{reducer_region, single_reducer};
use super::legalize::rewrite::{Rewrite, Step, Stop, refuse, rewrite_func};
use super::legalize::window::is_image_window;
use crate::pass::{Changed, HloPass, PassContext};

/// See the module's own text.
pub struct HoistNarrowing;

impl HloPass for HoistNarrowing {
    const NAME: &'static str = "hoist-narrowing";
    const DOC: &'static str =
        "Moves conversions to narrower floats before the reshapes, transposes and slices that stand between.";

    fn run(&self, module: &mut Module, _: &mut PassContext<'_>) -> Result<Changed> {
        let mut changed = false;
        for i in 0..module.funcs.len() {
            let windows = narrowed_windows(&module.funcs[i]);
            let done = rewrite_func(&mut module.funcs[i], &mut |b, op| rewrite(b, op, &windows));
            match done {
                Ok(c) => changed |= c,
                Err((loc, stop)) => {
                    let error = match stop {
                        Stop::Refused(d) => *d,
                        Stop::Violation(v) => Diagnostic::bug(format!("a narrowed operation is invalid: {v}")),
                    };
                    return Err(error.at(module.locs.get(loc)));
                }
            }
        }
        Ok(Changed::from_bool(changed))
    }
}

/// Results of windows of maxima and minima that only conversions to one narrower float read.
fn narrowed_windows(func: &Func) -> BTreeSet<ValueId> {
    let mut found: BTreeMap<ValueId, Option<DType>> = BTreeMap::new();
    func.walk_regions(func.body(), &mut |f, region| {
        for &op in &f.region(region).ops {
            let node = f.op(op);
            if matches!(node.kind, OpKind::ReduceWindow(_)) && node.operands.len() == 2 {
                let extremum = matches!(
                    single_reducer(f, node.regions[0]),
                    Some(BinaryOp::Maximum | BinaryOp::Minimum)
                );
                if extremum && is_image_window(f, op) {
                    found.insert(node.results[0], None);
                }
            }
            for &v in &node.operands {
                let to = match node.kind {
                    OpKind::Convert => Some(f.tensor(node.results[0]).dtype),
                    _ => None,
                };
                let Some(known) = found.get(&v).copied() else { continue };
                if to.is_none() || known.is_some_and(|k| Some(k) != to) {
                    found.remove(&v);
                } else {
                    found.insert(v, to);
                }
            }
        }
        for v in &f.region(region).results {
            found.remove(v);
        }
    });
    found.into_iter().filter_map(|(v, to)| to.map(|_| v)).collect()
}

/// The windows with elements of a narrower type.
fn narrow_windows(b: &mut Builder<'_>, op: OpId, to: DType) -> Step {
    let node = b.func.op(op).clone();
    let Some(kind) = single_reducer(b.func, node.regions[0]) else {
        return Ok(b.convert(node.results[0], to)?);
    };
    let x = b.convert(node.operands[0], to)?;
    let scalar = TensorType::scalar(to);
    let init = neutral(kind, &scalar).ok_or_else(|| refuse("windows without a neutral element", "report this"))?;
    let init = b.constant(init);
    let body = reducer_region(b, kind, scalar)?;
    Ok(b.op_with_regions(node.kind, &[x, init], &[body], None)?[0])
}

fn rewrite(b: &mut Builder<'_>, op: OpId, windows: &BTreeSet<ValueId>) -> Rewrite {
    if !matches!(b.func.op(op).kind, OpKind::Convert) {
        return Ok(None);
    }
    let x = b.func.op(op).operands[0];
    let (from, to) = (b.func.tensor(x).dtype, b.func.tensor(b.func.result(op)).dtype);
    if !from.is_float() || !to.is_float() || to.bytes() >= from.bytes() {
        return Ok(None);
    }
    if windows.contains(&x)
        && matches!(to, DType::BF16 | DType::F16)
        && let Some(def) = b.func.def(x)
    {
        return Ok(Some(vec![narrow_windows(b, def, to)?]));
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
