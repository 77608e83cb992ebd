//! `ApproxTopK` and `PartialReduce`, which may find less than the largest elements, find exactly those.
//!
//! Before                                          After
//!   %v, %i = custom_call @ApproxTopK(%x, iota,      %v, %i = chlo.top_k %x, k
//!            init, init), comparator `>` or `<`
//!   the same, other indices or comparator           %v, %i = slices of a stable sort of both with the comparator

use std::collections::BTreeMap;

use ferrite_ir::diag::Result;
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{
    Attr, Builder, Built, ComparisonDirection, CustomCall, Func, Module, OpId, OpKind, RegionId, Sort, TopK, Type,
    ValueId, Violation,
};

use crate::hlo::rewrite::Rewrite;

/// Whether a call is one of the two.
pub(super) fn is(call: &CustomCall) -> bool {
    matches!(call.target.as_str(), "ApproxTopK" | "PartialReduce")
}

/// The functions that such calls compare with.
pub(super) fn comparators(module: &Module) -> BTreeMap<String, Func> {
    let mut names = Vec::new();
    for func in &module.funcs {
        func.walk(func.body(), &mut |func, op| {
            if let OpKind::CustomCall(call) = &func.op(op).kind
                && is(call)
            {
                names.extend(call.called_computations.first().cloned());
            }
        });
    }
    let wanted = module.funcs.iter().filter(|f| names.contains(&f.name));
    wanted.map(|f| (f.name.clone(), f.clone())).collect()
}

pub(super) fn rewrite(
    b: &mut Builder<'_>,
    op: OpId,
    call: &CustomCall,
    comparators: &BTreeMap<String, Func>,
) -> Result<Rewrite> {
    Ok(build(b, op, call, comparators)?)
}

fn build(b: &mut Builder<'_>, op: OpId, call: &CustomCall, comparators: &BTreeMap<String, Func>) -> Built<Rewrite> {
    let wrong = |what: &str| Violation::new("custom_call", format!("`{}` {what}", call.target));
    let &[x, indices, _, _] = &b.func.op(op).operands[..] else {
        return Err(wrong("takes values and indices with an initial value each"));
    };
    let name = call
        .called_computations
        .first()
        .ok_or_else(|| wrong("names no comparator"))?;
    let Some(comparator) = comparators.get(name) else {
        return Err(wrong("names a comparator that is not there"));
    };
    let ty = b.tensor(x)?.clone();
    let rank = ty.rank() as i64;
    let d = config(b, op, call, "reduction_dim").unwrap_or(rank - 1);
    let d = if d < 0 { d + rank } else { d };
    if !(0..rank).contains(&d) || b.tensor(indices)?.shape != ty.shape {
        return Err(wrong(
            "needs values and indices of one shape, and a dimension of theirs",
        ));
    }
    // Without the last step more elements than asked for are returned: the type tells how many.
    let results = b.func.op(op).results.to_vec();
    let (types, tuple) = match results[..] {
        [r] => match b.ty(r) {
            Type::Tuple(types) => (types.clone(), true),
            other => (vec![other.clone()], false),
        },
        ref all => (all.iter().map(|&r| b.ty(r).clone()).collect(), false),
    };
    let k = match types.first().and_then(Type::tensor) {
        Some(t) if t.rank() as i64 == rank && types.len() == 2 => t.shape[d as usize],
        _ => return Err(wrong("has values and indices as results")),
    };
    let counts = matches!(b.func.def_kind(indices), Some(OpKind::Iota(i)) if i.iota_dimension == d);
    let picked = match direction(comparator) {
        Some(largest) if counts && b.tensor(indices)?.dtype == DType::I32 => {
            let order: Vec<i64> = (0..rank).filter(|&i| i != d).chain([d]).collect();
            let mut back = vec![0; order.len()];
            for (i, &o) in order.iter().enumerate() {
                back[o as usize] = i as i64;
            }
            let rows = b.transpose(x, &order)?;
            let found = b.op(OpKind::TopK(TopK { k, largest }), &[rows], None)?;
            vec![b.transpose(found[0], &back)?, b.transpose(found[1], &back)?]
        }
        _ => {
            let body = region_of(b.func, comparator);
            let sort = OpKind::Sort(Sort {
                dimension: d,
                is_stable: true,
            });
            let sorted = b.op_with_regions(sort, &[x, indices], &[body], None)?;
            vec![
                b.slice_dim(sorted[0], d as usize, 0, k)?,
                b.slice_dim(sorted[1], d as usize, 0, k)?,
            ]
        }
    };
    if tuple {
        return Ok(b.op1(OpKind::Tuple, &picked)?.into());
    }
    Ok(Rewrite::Replace(picked))
}

/// Whether a comparator is `>` of its first two arguments (true) or `<` (false).
fn direction(comparator: &Func) -> Option<bool> {
    let body = comparator.region(comparator.body());
    let ([x, y, ..], [op], [result]) = (&body.args[..], &body.ops[..], &body.results[..]) else {
        return None;
    };
    let op = comparator.op(*op);
    let OpKind::Compare(c) = &op.kind else { return None };
    let straight = op.operands[..] == [*x, *y] && op.results[0] == *result;
    match c.direction {
        ComparisonDirection::Gt if straight => Some(true),
        ComparisonDirection::Lt if straight => Some(false),
        _ => None,
    }
}

fn region_of(func: &mut Func, comparator: &Func) -> RegionId {
    let region = func.add_region();
    let mut values: Vec<Option<ValueId>> = vec![None; comparator.value_count()];
    comparator.copy_region(comparator.body(), func, region, &mut values);
    region
}

/// A number of the configuration: a dictionary, beside the call or in it, or JSON text.
fn config(b: &Builder<'_>, op: OpId, call: &CustomCall, key: &str) -> Option<i64> {
    let inside = |attr: &Attr| match attr {
        Attr::Dict(dict) => dict.get(key).and_then(Attr::as_int),
        _ => None,
    };
    let beside = b.func.op(op).attrs.as_ref();
    let beside = beside.and_then(|a| inside(a.get("mhlo.backend_config")?));
    beside.or_else(|| inside(&call.backend_config)).or_else(|| {
        let (_, after) = call.backend_config.as_str()?.split_once(key)?;
        let number = after.trim_start_matches(['"', ' ', ':', '=']);
        let end = number
            .find(|c: char| !(c.is_ascii_digit() || c == '-'))
            .unwrap_or(number.len());
        number[..end].parse().ok()
    })
}
