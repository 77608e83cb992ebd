//! Operations over several devices.

use super::{Cx, Infer};
use crate::hlo::ops::{AllGather, AllToAll, Collective, CollectivePermute, ReduceScatter};
use crate::hlo::types::{DYNAMIC, TensorType, Type};

/// Every result has the type of its operand.
pub(super) fn same(cx: &Cx<'_>) -> Infer<Vec<Type>> {
    cx.tensors(0..cx.operands.len())?;
    Ok(cx.operands.iter().map(|&t| t.clone()).collect())
}

pub(super) fn all_reduce(cx: &Cx<'_>) -> Infer<Vec<Type>> {
    cx.at_least(1)?;
    let yielded = cx.yields(0, 1)?;
    let operands = cx.tensors(0..cx.operands.len())?;
    Ok(operands
        .iter()
        .map(|t| {
            t.with_dtype(if cx.operands.len() == 1 {
                yielded[0].dtype
            } else {
                t.dtype
            })
            .into()
        })
        .collect())
}

/// Devices in a group, if every group has as many and there is at least one; a single empty list means all devices.
fn group_size(cx: &Cx<'_>, c: &Collective) -> Infer<Option<i64>> {
    let Some(first) = c.replica_groups.first() else {
        return Ok(None);
    };
    cx.check(c.replica_groups.iter().all(|g| g.len() == first.len()), "C4", || {
        "replica groups have different sizes".to_string()
    })?;
    Ok((!first.is_empty()).then_some(first.len() as i64))
}

/// `size` times or divided by the group, or the written size of result `i` where the group is not known.
fn scaled(cx: &Cx<'_>, i: usize, d: usize, group: Option<i64>, f: impl Fn(i64) -> Option<i64>) -> Infer<i64> {
    match group {
        Some(n) => f(n).ok_or_else(|| {
            cx.violation(
                "C6",
                format!("the size of dimension {d} does not divide into {n} parts"),
            )
        }),
        None => {
            let hint = cx.hint_tensor(i)?;
            hint.shape
                .get(d)
                .copied()
                .ok_or_else(|| cx.violation("results", format!("{hint} has no dimension {d}")))
        }
    }
}

fn times(size: i64, n: i64) -> Option<i64> {
    if size == DYNAMIC {
        Some(DYNAMIC)
    } else {
        size.checked_mul(n)
    }
}

fn divided(size: i64, n: i64) -> Option<i64> {
    if size == DYNAMIC {
        Some(DYNAMIC)
    } else {
        (n > 0 && size % n == 0).then(|| size / n)
    }
}

pub(super) fn all_gather(cx: &Cx<'_>, a: &AllGather) -> Infer<Vec<Type>> {
    cx.at_least(1)?;
    let group = group_size(cx, &a.collective)?;
    let mut out = Vec::new();
    for (i, t) in cx.tensors(0..cx.operands.len())?.into_iter().enumerate() {
        let d = cx.dim(a.all_gather_dim, t.rank(), "C1")?;
        let mut shape = t.shape.clone();
        shape[d] = scaled(cx, i, d, group, |n| times(t.shape[d], n))?;
        out.push(t.with_shape(shape).into());
    }
    Ok(out)
}

pub(super) fn reduce_scatter(cx: &Cx<'_>, r: &ReduceScatter) -> Infer<Vec<Type>> {
    cx.arity(1)?;
    let t = cx.tensor(0)?;
    let group = group_size(cx, &r.collective)?;
    let d = cx.dim(r.scatter_dimension, t.rank(), "C2")?;
    let yielded = cx.yields(0, 1)?;
    let mut shape = t.shape.clone();
    shape[d] = scaled(cx, 0, d, group, |n| divided(t.shape[d], n))?;
    Ok(vec![TensorType::new(yielded[0].dtype, &shape).into()])
}

pub(super) fn all_to_all(cx: &Cx<'_>, a: &AllToAll) -> Infer<Vec<Type>> {
    cx.at_least(1)?;
    let n = a.split_count;
    cx.check(n > 0, "C4", || format!("split_count {n} is not positive"))?;
    let mut out = Vec::new();
    for t in cx.tensors(0..cx.operands.len())? {
        let split = cx.dim(a.split_dimension, t.rank(), "C1")?;
        let concat = cx.dim(a.concat_dimension, t.rank(), "C3")?;
        let mut shape = t.shape.clone();
        let bad = || cx.violation("C2", format!("dimension {split} of {t} does not divide into {n} parts"));
        shape[split] = divided(shape[split], n).ok_or_else(bad)?;
        shape[concat] = times(shape[concat], n).ok_or_else(bad)?;
        out.push(t.with_shape(shape).into());
    }
    Ok(out)
}

pub(super) fn collective_permute(cx: &Cx<'_>, p: &CollectivePermute) -> Infer<Vec<Type>> {
    for (i, &(source, target)) in p.source_target_pairs.iter().enumerate() {
        let before = &p.source_target_pairs[..i];
        cx.check(before.iter().all(|&(s, _)| s != source), "C2", || {
            format!("device {source} sends twice")
        })?;
        cx.check(before.iter().all(|&(_, t)| t != target), "C3", || {
            format!("device {target} receives twice")
        })?;
    }
    same(cx)
}
