//! Small branches become selections: a branch on the device makes all engines meet, which costs more.
//!
//! ```text
//! Before                                              After
//!   if %p ({ return %a }, { return %b })                both branches evaluated; select %p, %a, %b
//!   case %i (branches)                                  all branches evaluated; selected by comparisons of %i, the
//!                                                       last one for an index outside
//! ```
//!
//! Branches that are large, loop or have effects stay, and so does `while`.
//!
//! Needs: verified `hlo`. Leaves: verified `hlo`.

use std::collections::HashMap;

use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{Builder, ComparisonDirection, Effect, Func, OpId, OpKind, RegionId, TensorType, Type, ValueId};
use ferrite_ir::loc::LocId;

use super::rewrite::{Rewrite, Step, operands, refuse, substitute};

/// Nesting of branches (our choice: bounds the stack; branches are evaluated all, so deep ones are hopeless anyway).
const MAX_DEPTH: usize = 32;

/// Most elements that all branches together may compute to be evaluated all (our choice: about what the engines do in the
/// time that a branch takes).
const MAX_ELEMENTS: i64 = 1 << 17;

/// Products of a contraction that count as one element (our choice: only the order of magnitude matters here).
const PRODUCTS_AT_A_TIME: i64 = 100;

/// The rule of `legalize-control-flow`.
pub(crate) fn rewrite(b: &mut Builder<'_>, op: OpId) -> Rewrite {
    let loc = b.loc;
    match &b.func.op(op).kind {
        OpKind::If | OpKind::Case if is_small(b.func, op) => {
            let values = flatten(b, op, &mut HashMap::new(), 0);
            b.loc = loc;
            values.map(Some)
        }
        _ => Ok(None),
    }
}

/// Whether all branches may be evaluated: they have no loops and no effects, and compute little.
fn is_small(func: &Func, op: OpId) -> bool {
    let mut plain = true;
    let mut elements = 0i64;
    for &region in &func.op(op).regions {
        func.walk(region, &mut |func, inner| {
            let inner = func.op(inner);
            plain &= !matches!(inner.kind, OpKind::While) && inner.kind.effect() != Effect::Effectful;
            plain &= inner.results.iter().all(|&r| func.ty(r).tensor().is_some());
            if !plain {
                return;
            }
            let size = |v: &ValueId| func.ty(*v).tensor().map_or(0, |t| t.element_count() as i64);
            let results: i64 = inner.results.iter().map(size).sum();
            let factor = match &inner.kind {
                OpKind::DotGeneral(_) | OpKind::Convolution(_) => {
                    1 + inner.operands.iter().map(size).max().unwrap_or(0) / PRODUCTS_AT_A_TIME
                }
                OpKind::Sort(_) | OpKind::ReduceWindow(_) | OpKind::Scatter(_) => 32,
                _ => 1,
            };
            elements = elements.saturating_add(results.saturating_mul(factor));
        });
    }
    plain && elements <= MAX_ELEMENTS
}

type Map = HashMap<ValueId, ValueId>;

fn look(map: &Map, v: ValueId) -> ValueId {
    map.get(&v).copied().unwrap_or(v)
}

/// Evaluates all branches of `op` where the builder stands, and selects.
fn flatten(b: &mut Builder<'_>, op: OpId, map: &mut Map, depth: usize) -> Step<Vec<ValueId>> {
    if depth > MAX_DEPTH {
        return Err(refuse(
            format!("branches are nested more than {MAX_DEPTH} deep"),
            "compute the branches and select between their results",
        ));
    }
    let regions = b.func.op(op).regions.to_vec();
    let index = look(map, operands(b, op)[0]);
    let mut branches = Vec::with_capacity(regions.len());
    for region in regions {
        branches.push(evaluate(b, region, map, depth)?);
    }
    b.loc = b.func.op(op).loc;
    let Some(mut chosen) = branches.pop() else {
        return Ok(Vec::new());
    };
    let is_if = matches!(b.func.op(op).kind, OpKind::If);
    for (i, branch) in branches.into_iter().enumerate().rev() {
        let here = if is_if {
            index
        } else {
            let number = b.constant_i(TensorType::scalar(DType::I32), i as i64);
            b.compare(ComparisonDirection::Eq, index, number)?
        };
        for (c, v) in chosen.iter_mut().zip(branch) {
            if *c == v {
                continue;
            }
            let Type::Tensor(ty) = b.ty(v).clone() else {
                return Err(refuse(
                    format!("a branch yields `{}`", b.ty(v)),
                    "branches may yield tensors only",
                ));
            };
            let here = b.broadcast_in_dim(here, &ty.shape, &[])?;
            *c = b.select(here, v, *c)?;
        }
    }
    Ok(chosen)
}

/// Copies the operations of a branch to where the builder stands.
fn evaluate(b: &mut Builder<'_>, region: RegionId, map: &mut Map, depth: usize) -> Step<Vec<ValueId>> {
    for id in b.func.region(region).ops.clone() {
        let op = b.func.op(id).clone();
        let values = match &op.kind {
            OpKind::If | OpKind::Case => flatten(b, id, map, depth + 1)?,
            kind if kind.effect() == Effect::Effectful => {
                return Err(refuse(
                    format!("a branch contains `{}`, which has an effect", kind.mnemonic()),
                    "move it out of the branch: both branches are evaluated",
                ));
            }
            _ => {
                let operands: Vec<ValueId> = op.operands.iter().map(|&v| look(map, v)).collect();
                let types = op.results.iter().map(|&r| b.func.ty(r).clone()).collect();
                let regions: Vec<RegionId> = op.regions.to_vec();
                capture(b.func, &regions, map);
                let copy = append(b, op.kind.clone(), &operands, types, &regions, op.loc);
                b.func.op_mut(copy).attrs = op.attrs.clone();
                b.func.op(copy).results.to_vec()
            }
        };
        for (&old, new) in op.results.iter().zip(values) {
            map.insert(old, new);
        }
    }
    let results = b.func.region(region).results.clone();
    Ok(results.into_iter().map(|v| look(map, v)).collect())
}

fn append(
    b: &mut Builder<'_>,
    kind: OpKind,
    operands: &[ValueId],
    types: Vec<Type>,
    regions: &[RegionId],
    loc: LocId,
) -> OpId {
    let region = b.region;
    b.func.append(region, kind, operands, types, regions, loc)
}

/// Regions move with their operation: what they capture is replaced inside.
fn capture(func: &mut Func, regions: &[RegionId], map: &Map) {
    for &region in regions {
        substitute(func, region, map);
    }
}
