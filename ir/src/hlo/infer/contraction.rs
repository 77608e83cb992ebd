//! Contractions.

use super::{Cx, Infer, Window, merge_size, quantized, same_size};
use crate::dtype::DType;
use crate::hlo::ops::{Convolution, DotDims, DotGeneral, RaggedDot};
use crate::hlo::types::{DYNAMIC, Dims, TensorType};

/// The result's element type: the written one, else that of the operands.
fn result_dtype(cx: &Cx<'_>, lhs: &TensorType, rhs: &TensorType) -> Infer<DType> {
    if let Some(hint) = cx.maybe_hint(0) {
        return Ok(hint.dtype);
    }
    cx.check(lhs.dtype == rhs.dtype, "results", || {
        format!("operands are {lhs} and {rhs}, so the result type must be given")
    })?;
    Ok(lhs.dtype)
}

fn check_dot_dims(cx: &Cx<'_>, dims: &DotDims, lhs: &TensorType, rhs: &TensorType) -> Infer<()> {
    cx.length(
        dims.rhs_batching.len(),
        dims.lhs_batching.len(),
        "rhs_batching_dimensions",
        "C1",
    )?;
    cx.length(
        dims.rhs_contracting.len(),
        dims.lhs_contracting.len(),
        "rhs_contracting_dimensions",
        "C2",
    )?;
    let lhs_all: Dims = dims.lhs_batching.iter().chain(&dims.lhs_contracting).copied().collect();
    let rhs_all: Dims = dims.rhs_batching.iter().chain(&dims.rhs_contracting).copied().collect();
    cx.dims(&lhs_all, lhs.rank(), "C3")?;
    cx.dims(&rhs_all, rhs.rank(), "C4")?;
    for (i, (&l, &r)) in lhs_all.iter().zip(&rhs_all).enumerate() {
        let (l, r) = (lhs.shape[l as usize], rhs.shape[r as usize]);
        let (constraint, kind) = if i < dims.lhs_batching.len() {
            ("C9", "batching")
        } else {
            ("C10", "contracting")
        };
        cx.check(same_size(l, r), constraint, || {
            format!("{kind} dimensions of sizes {l} and {r} meet in {lhs} and {rhs}")
        })?;
    }
    Ok(())
}

fn sizes<'a>(t: &'a TensorType, dims: &'a [i64]) -> impl Iterator<Item = i64> + 'a {
    dims.iter().map(|&d| t.shape[d as usize])
}

pub(super) fn dot_general(cx: &Cx<'_>, dot: &DotGeneral) -> Infer<TensorType> {
    cx.arity(2)?;
    let (lhs, rhs) = (cx.tensor(0)?, cx.tensor(1)?);
    let dims = &dot.dims;
    check_dot_dims(cx, dims, lhs, rhs)?;
    cx.check(matches!(dot.precision.len(), 0 | 2), "C11", || {
        format!("precision_config has {} entries for 2 operands", dot.precision.len())
    })?;
    let batching = dims
        .lhs_batching
        .iter()
        .zip(&dims.rhs_batching)
        .map(|(&l, &r)| merge_size(lhs.shape[l as usize], rhs.shape[r as usize]));
    let shape: Dims = batching
        .chain(sizes(lhs, &dims.lhs_free(lhs.rank())))
        .chain(sizes(rhs, &dims.rhs_free(rhs.rank())))
        .collect(); // C12
    Ok(TensorType::new(result_dtype(cx, lhs, rhs)?, &shape))
}

pub(super) fn dot(cx: &Cx<'_>) -> Infer<TensorType> {
    cx.arity(2)?;
    let (lhs, rhs) = (cx.tensor(0)?, cx.tensor(1)?);
    let ranks = (1..=2).contains(&lhs.rank()) && (1..=2).contains(&rhs.rank());
    cx.check(ranks, "C1", || {
        format!("operands must have rank 1 or 2, they are {lhs} and {rhs}")
    })?;
    let (k_lhs, k_rhs) = (lhs.shape[lhs.rank() - 1], rhs.shape[0]);
    cx.check(same_size(k_lhs, k_rhs), "C2", || {
        format!("contracting dimensions of sizes {k_lhs} and {k_rhs} meet")
    })?;
    let shape: Dims = lhs.shape[..lhs.rank() - 1]
        .iter()
        .chain(&rhs.shape[1..])
        .copied()
        .collect();
    Ok(TensorType::new(result_dtype(cx, lhs, rhs)?, &shape))
}

/// Modes of `chlo.ragged_dot`, by where the ragged dimension lies. `m`: rhs has a group dimension, result
/// `[batch, m, n]`; contracting: result `[group, batch, m, n]`; batching: as a plain dot.
pub(super) fn ragged_dot(cx: &Cx<'_>, dot: &RaggedDot) -> Infer<TensorType> {
    cx.arity(3)?;
    let (lhs, rhs, groups) = (cx.tensor(0)?, cx.tensor(1)?, cx.tensor(2)?);
    check_dot_dims(cx, &dot.dims, lhs, rhs)?;
    cx.check(dot.lhs_ragged.len() == 1, "ragged", || {
        format!("there must be one ragged dimension, there are {}", dot.lhs_ragged.len())
    })?;
    let ragged = dot.lhs_ragged[0];
    cx.dim(ragged, lhs.rank(), "ragged")?;
    cx.dims(&dot.rhs_group, rhs.rank(), "group")?;
    cx.check(groups.dtype.is_int() && groups.rank() >= 1, "group_sizes", || {
        format!("group sizes must be integers of rank 1 or more, they are {groups}")
    })?;
    let group_count = groups.shape[groups.rank() - 1];
    let contracting = dot.dims.lhs_contracting.contains(&ragged);
    let batching = dot.dims.lhs_batching.contains(&ragged);
    let expected_groups = usize::from(!contracting && !batching);
    cx.check(dot.rhs_group.len() == expected_groups, "group", || {
        format!(
            "{} group dimensions where {expected_groups} belong",
            dot.rhs_group.len()
        )
    })?;
    if let [g] = dot.rhs_group[..] {
        cx.check(
            !dot.dims.rhs_batching.contains(&g) && !dot.dims.rhs_contracting.contains(&g),
            "group",
            || format!("group dimension {g} is also batching or contracting"),
        )?;
        cx.check(same_size(rhs.shape[g as usize], group_count), "group", || {
            format!("{group_count} group sizes for {} groups", rhs.shape[g as usize])
        })?;
    }
    let rhs_free = dot.dims.rhs_free(rhs.rank());
    let shape: Dims = contracting
        .then_some(group_count)
        .into_iter()
        .chain(sizes(lhs, &dot.dims.lhs_batching))
        .chain(sizes(lhs, &dot.dims.lhs_free(lhs.rank())))
        .chain(
            rhs_free
                .iter()
                .filter(|d| !dot.rhs_group.contains(d))
                .map(|&d| rhs.shape[d as usize]),
        )
        .collect();
    Ok(TensorType::new(result_dtype(cx, lhs, rhs)?, &shape))
}

fn check_convolution(cx: &Cx<'_>, c: &Convolution) -> Infer<usize> {
    let (x, w) = (cx.tensor(0)?, cx.tensor(1)?);
    cx.check(x.rank() >= 2 && x.rank() == w.rank(), "C1", || {
        format!("operands must have the same rank of at least 2, they are {x} and {w}")
    })?;
    let n = x.rank() - 2;
    for (list, what, constraint) in [
        (&c.window_strides, "window_strides", "C2"),
        (&c.lhs_dilation, "lhs_dilation", "C5"),
        (&c.rhs_dilation, "rhs_dilation", "C7"),
    ] {
        cx.length(list.len(), n, what, constraint)?;
        cx.check(list.iter().all(|&v| v > 0), constraint, || {
            format!("{what} {list:?} must be positive")
        })?;
    }
    cx.length(c.window_reversal.len(), n, "window_reversal", "C9")?;
    let d = &c.dims;
    for (batch, feature, spatial, constraint) in [
        (d.input_batch, d.input_feature, &d.input_spatial, "C13"),
        (
            d.kernel_input_feature,
            d.kernel_output_feature,
            &d.kernel_spatial,
            "C18",
        ),
        (d.output_batch, d.output_feature, &d.output_spatial, "C20"),
    ] {
        cx.length(spatial.len(), n, "spatial dimensions", constraint)?;
        let all: Dims = [batch, feature].iter().chain(spatial.iter()).copied().collect();
        cx.dims(&all, n + 2, constraint)?;
    }
    let (groups, batch_groups) = (c.feature_group_count, c.batch_group_count);
    cx.check(groups > 0, "C21", || {
        format!("feature_group_count {groups} is not positive")
    })?;
    cx.check(batch_groups > 0, "C22", || {
        format!("batch_group_count {batch_groups} is not positive")
    })?;
    cx.check(groups == 1 || batch_groups == 1, "C23", || {
        format!("feature_group_count {groups} and batch_group_count {batch_groups} are both above 1")
    })?;
    cx.check(matches!(c.precision.len(), 0 | 2), "C24", || {
        format!("precision_config has {} entries for 2 operands", c.precision.len())
    })?;
    let size = |t: &TensorType, d: i64| t.shape[d as usize];
    let divides = |n: i64, by: i64| n == DYNAMIC || n % by == 0;
    let batch = size(x, d.input_batch);
    cx.check(divides(batch, batch_groups), "C10", || {
        format!("batch of {batch} does not divide into {batch_groups} groups")
    })?;
    let feature = size(x, d.input_feature);
    cx.check(divides(feature, groups), "C11", || {
        format!("{feature} input features do not divide into {groups} groups")
    })?;
    let kernel_in = size(w, d.kernel_input_feature);
    cx.check(
        feature == DYNAMIC || same_size(kernel_in, feature / groups),
        "C14",
        || format!("the kernel takes {kernel_in} features of {feature} in {groups} groups"),
    )?;
    let out = size(w, d.kernel_output_feature);
    cx.check(divides(out, batch_groups), "C15", || {
        format!("{out} output features do not divide into {batch_groups} batch groups")
    })?;
    cx.check(divides(out, groups), "C16", || {
        format!("{out} output features do not divide into {groups} groups")
    })?;
    Ok(n)
}

pub(super) fn convolution(cx: &Cx<'_>, c: &Convolution) -> Infer<TensorType> {
    cx.arity(2)?;
    let n = check_convolution(cx, c)?;
    cx.length(c.padding.len(), n, "padding", "C4")?;
    let (x, w) = (cx.tensor(0)?, cx.tensor(1)?);
    cx.same_dtype(x, w, "C27")?;
    let d = &c.dims;
    let mut shape: Dims = (0..n + 2).map(|_| 0).collect();
    let batch = x.shape[d.input_batch as usize];
    shape[d.output_batch as usize] = if batch == DYNAMIC {
        DYNAMIC
    } else {
        batch / c.batch_group_count
    };
    shape[d.output_feature as usize] = w.shape[d.kernel_output_feature as usize];
    for i in 0..n {
        let kernel = w.shape[d.kernel_spatial[i] as usize];
        let window = Window {
            size: kernel.max(0),
            stride: c.window_strides[i],
            low: c.padding[i].0,
            high: c.padding[i].1,
            base_dilation: c.lhs_dilation[i],
            window_dilation: c.rhs_dilation[i],
        };
        shape[d.output_spatial[i] as usize] = if kernel == DYNAMIC {
            DYNAMIC
        } else {
            window.positions(x.shape[d.input_spatial[i] as usize])
        }; // C25
    }
    if quantized(x) || quantized(w) {
        return Ok(cx.hint_tensor(0)?.clone());
    }
    Ok(TensorType::new(result_dtype(cx, x, w)?, &shape))
}

pub(super) fn dynamic_conv(cx: &Cx<'_>, c: &Convolution) -> Infer<TensorType> {
    cx.arity(3)?;
    let n = check_convolution(cx, c)?;
    let (padding, r) = (cx.tensor(2)?, cx.hint_tensor(0)?);
    cx.check(
        padding.dtype.is_int() && padding.rank() == 2 && same_size(padding.shape[0], n as i64),
        "C4",
        || format!("padding must hold {n} pairs of integers, it is {padding}"),
    )?;
    cx.check(r.rank() == n + 2, "C26", || {
        format!("the result {r} must have rank {}", n + 2)
    })?;
    Ok(r.clone())
}

/// Legacy `einsum` of one or two operands, with `...` standing for any leading dimensions.
pub(super) fn einsum(cx: &Cx<'_>, config: &str, operands: usize) -> Infer<TensorType> {
    cx.arity(operands)?;
    let bad = || cx.violation("einsum_config", format!("`{config}` does not fit {operands} operands"));
    let config_clean: String = config.chars().filter(|c| !c.is_whitespace()).collect();
    let (inputs, output) = config_clean.split_once("->").ok_or_else(bad)?;
    let inputs: Vec<&str> = inputs.split(',').collect();
    if inputs.len() != operands {
        return Err(bad());
    }
    let mut known: Vec<(char, i64)> = Vec::new();
    let mut ellipsis: Option<Dims> = None;
    for (i, labels) in inputs.iter().enumerate() {
        let t = cx.tensor(i)?;
        let (before, after) = labels.split_once("...").unwrap_or((labels, ""));
        let named = before.chars().count() + after.chars().count();
        let extra = t.rank().checked_sub(named).ok_or_else(bad)?;
        if extra > 0 && !labels.contains("...") {
            return Err(bad());
        }
        let start = before.chars().count();
        if labels.contains("...") {
            let dims: Dims = t.shape[start..start + extra].into();
            if ellipsis.as_ref().is_none_or(|e| e.len() < dims.len()) {
                ellipsis = Some(dims);
            }
        }
        for (label, d) in before
            .chars()
            .chain(after.chars())
            .zip((0..start).chain(start + extra..t.rank()))
        {
            let size = t.shape[d];
            match known.iter().find(|(l, _)| *l == label) {
                Some(&(_, other)) => cx.check(same_size(size, other), "einsum_config", || {
                    format!("`{label}` has sizes {other} and {size}")
                })?,
                None => known.push((label, size)),
            }
        }
    }
    let mut shape = Dims::new();
    let mut rest = output;
    while let Some(c) = rest.chars().next() {
        if let Some(tail) = rest.strip_prefix("...") {
            shape.extend(ellipsis.iter().flatten().copied());
            rest = tail;
            continue;
        }
        let &(_, size) = known.iter().find(|(l, _)| *l == c).ok_or_else(bad)?;
        shape.push(size);
        rest = &rest[c.len_utf8()..];
    }
    let first = cx.tensor(0)?;
    let dtype = result_dtype(cx, first, cx.tensor(operands - 1)?)?;
    Ok(TensorType::new(dtype, &shape))
}
