//! Brings every `reduce` to reductions of one operation, or to element-wise steps.
//!
//! Before                                              After
//!   reduce(%x), (%y) with independent operations        one reduce each
//!   reduce(%x), (%i) with an argmax or argmin body      %m = reduce maximum(%x); %h = %x == %m or %x is NaN
//!                                                       %j = reduce minimum(select %h, %i, largest)
//!   reduce, any other body                              halves of the inputs combined by the body applied to whole
//!                                                       tensors, log2(n) times
//!
//! What stays: one input and one of `add`, `multiply`, `maximum`, `minimum`, `and`, `or`, `xor`. Bodies are associative
//! by the specification; the order of elements is kept. The initial value is combined last, on the left.
//!
//! Needs: verified static `hlo`. Leaves: verified `hlo`; every `reduce` as said.

use std::collections::HashMap;

use ferrite_ir::dtype::{DType, DTypeClass};
use ferrite_ir::hlo::{
    BinaryOp, Builder, ComparisonDirection, Dims, Func, OpId, OpKind, Reduce, RegionId, TensorType, ValueId, neutral,
};

use super::body::{apply_body, reducer_region, single_reducer};
use super::rewrite::{Rewrite, Step, operands};

/// The rule of `legalize-reduce`.
pub(crate) fn rewrite(b: &mut Builder<'_>, op: OpId) -> Rewrite {
    let OpKind::Reduce(r) = b.func.op(op).kind.clone() else {
        return Ok(None);
    };
    let o = operands(b, op);
    let body = b.func.op(op).regions[0];
    let count = o.len() / 2;
    let types: Vec<TensorType> = b
        .func
        .op(op)
        .results
        .iter()
        .map(|&v| b.func.tensor(v).clone())
        .collect();
    let single = (count == 1).then(|| single_reducer(b.func, body)).flatten();
    let empty = b.tensor(o[0])?.element_count() == 0;
    if single.is_some() && !empty && !r.dimensions.is_empty() && b.tensor(o[0])?.dtype == types[0].dtype {
        return Ok(None);
    }
    // Bodies may compute in a wider type than the inputs have.
    let mut inputs = Vec::with_capacity(count);
    let mut inits = Vec::with_capacity(count);
    for i in 0..count {
        inputs.push(b.convert(o[i], types[i].dtype)?);
        inits.push(b.convert(o[count + i], types[i].dtype)?);
    }
    if empty {
        let mut out = Vec::with_capacity(count);
        for (&init, ty) in inits.iter().zip(&types) {
            out.push(b.broadcast_in_dim(init, &ty.shape, &[])?);
        }
        return Ok(Some(out));
    }
    if let Some(parts) = separate_reducers(b.func, body)
        && !r.dimensions.is_empty()
    {
        let mut out = Vec::with_capacity(count);
        for (i, part) in parts.into_iter().enumerate() {
            out.push(reduce_with(b, part, inputs[i], inits[i], &r.dimensions)?);
        }
        return Ok(Some(out));
    }
    let reduced = match extremum(b.func, body) {
        Some(kind) if !r.dimensions.is_empty() => arg_extremum(b, kind, &inputs, &r.dimensions)?,
        _ => by_halves(b, body, inputs, &r.dimensions)?,
    };
    let shape = types[0].shape.clone();
    let mut args = Vec::with_capacity(2 * count);
    for &init in &inits {
        args.push(b.broadcast_in_dim(init, &shape, &[])?);
    }
    args.extend(reduced);
    Ok(Some(apply_body(b, body, &args, &shape)?))
}

fn reduce_with(b: &mut Builder<'_>, op: BinaryOp, x: ValueId, init: ValueId, dims: &Dims) -> Step {
    let scalar = TensorType::scalar(b.tensor(x)?.dtype);
    let body = reducer_region(b, op, scalar)?;
    let kind = OpKind::Reduce(Reduce {
        dimensions: dims.clone(),
    });
    Ok(b.op_with_regions(kind, &[x, init], &[body], None)?[0])
}

/// One commutative operation per input, if a body consists of those and nothing else.
pub(crate) fn separate_reducers(func: &Func, region: RegionId) -> Option<Vec<BinaryOp>> {
    let r = func.region(region);
    let count = r.results.len();
    if r.ops.len() != count || r.args.len() != 2 * count {
        return None;
    }
    (0..count)
        .map(|i| {
            let op = func.op(func.def(r.results[i])?);
            let OpKind::Binary(binary) = op.kind else { return None };
            let (x, y) = (r.args[i], r.args[count + i]);
            let args = op.operands[..] == [x, y] || op.operands[..] == [y, x];
            (args && binary.is_commutative() && r.ops.contains(&func.def(r.results[i])?)).then_some(binary)
        })
        .collect()
}

/// Halves the reduced dimensions, flattened and in front, until one element is left.
fn by_halves(b: &mut Builder<'_>, body: RegionId, inputs: Vec<ValueId>, dims: &[i64]) -> Step<Vec<ValueId>> {
    let shape = b.tensor(inputs[0])?.shape.clone();
    let mut sorted: Vec<i64> = dims.to_vec();
    sorted.sort_unstable();
    let kept: Vec<i64> = (0..shape.len() as i64).filter(|d| !sorted.contains(d)).collect();
    let order: Vec<i64> = sorted.iter().chain(&kept).copied().collect();
    let mut n: i64 = sorted.iter().map(|&d| shape[d as usize]).product();
    let rest: Dims = kept.iter().map(|&d| shape[d as usize]).collect();
    let with = |n: i64| -> Dims { std::iter::once(n).chain(rest.iter().copied()).collect() };
    let mut all = Vec::with_capacity(inputs.len());
    for x in inputs {
        let x = b.transpose(x, &order)?;
        all.push(b.reshape(x, &with(n))?);
    }
    while n > 1 {
        // Neighbours are combined: the order of elements is kept.
        let pairs = n / 2;
        let mut args = Vec::with_capacity(2 * all.len());
        for side in 0..2 {
            for &x in &all {
                args.push(every_second(b, x, side, pairs)?);
            }
        }
        let combined = apply_body(b, body, &args, &with(pairs))?;
        if n % 2 == 1 {
            for (x, c) in all.iter_mut().zip(combined) {
                let last = b.slice_dim(*x, 0, n - 1, 1)?;
                *x = b.concatenate(&[c, last], 0)?;
            }
        } else {
            all = combined;
        }
        n = pairs + n % 2;
    }
    all.into_iter().map(|x| Ok(b.reshape(x, &rest)?)).collect()
}

/// `count` elements of dimension 0, every second one from `start`.
fn every_second(b: &mut Builder<'_>, x: ValueId, start: i64, count: i64) -> Step {
    let mut limit = b.tensor(x)?.shape.clone();
    let mut from: Dims = limit.iter().map(|_| 0).collect();
    let mut strides: Dims = limit.iter().map(|_| 1).collect();
    from[0] = start;
    strides[0] = 2;
    limit[0] = start + (count - 1) * 2 + 1;
    Ok(b.slice(x, &from, &limit, &strides)?)
}

/// An argmax or argmin body: operands are values and indices; of equal values the smaller index wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extremum {
    Max,
    Min,
}

/// Recognises the bodies that JAX and XLA write for argmax and argmin, by what they compute.
///
/// `a`, `b` are the values, `i`, `j` their indices: JAX keeps `a` if `a > b or a != a`, and `i` if that or
/// `a == b and i < j`; XLA keeps `a` if `a >= b`, and `min(i, j)` if `a == b`.
fn extremum(func: &Func, region: RegionId) -> Option<Extremum> {
    let r = func.region(region);
    if r.args.len() != 4 || r.results.len() != 2 || r.ops.len() > 16 {
        return None;
    }
    let value = expression(func, region, r.results[0])?;
    let index = expression(func, region, r.results[1])?;
    for (kind, strict, loose) in [(Extremum::Max, "GT", "GE"), (Extremum::Min, "LT", "LE")] {
        for cmp in [strict, loose] {
            let beats = format!("({cmp} a b)");
            let nan = "(NE a a)";
            let kept = [
                format!("(or {beats} {nan})"),
                format!("(or {nan} {beats})"),
                beats.clone(),
            ];
            for kept in &kept {
                if value != format!("(select {kept} a b)") {
                    continue;
                }
                let tie = "(and (EQ a b) (LT i j))";
                let forms = [
                    format!("(select (or {kept} {tie}) i j)"),
                    format!("(select (or {tie} {kept}) i j)"),
                    format!("(select (EQ a b) (minimum i j) (select {kept} i j))"),
                ];
                // With `>=` the first of equal values is kept whatever its index: only the last form corrects that.
                let allowed = if cmp == loose { &forms[2..] } else { &forms[..] };
                if allowed.contains(&index) {
                    return Some(kind);
                }
            }
        }
    }
    None
}

/// The expression that a scalar of a body is, over the arguments `a`, `i`, `b`, `j`.
fn expression(func: &Func, region: RegionId, v: ValueId) -> Option<String> {
    let r = func.region(region);
    let mut text: HashMap<ValueId, String> = HashMap::new();
    for (&arg, name) in r.args.iter().zip(["a", "i", "b", "j"]) {
        text.insert(arg, name.to_string());
    }
    for &id in &r.ops {
        let op = func.op(id);
        let name = match &op.kind {
            OpKind::Compare(c) => c.direction.mnemonic(),
            OpKind::Select => "select",
            OpKind::Binary(BinaryOp::And) => "and",
            OpKind::Binary(BinaryOp::Or) => "or",
            OpKind::Binary(BinaryOp::Minimum) => "minimum",
            _ => return None,
        };
        let mut out = format!("({name}");
        for operand in &op.operands {
            out.push(' ');
            out.push_str(text.get(operand)?);
        }
        out.push(')');
        // Hostile bodies could double the text at every step.
        if out.len() > 256 {
            return None;
        }
        text.insert(op.results[0], out);
    }
    text.remove(&v)
}

fn arg_extremum(b: &mut Builder<'_>, kind: Extremum, inputs: &[ValueId], dims: &Dims) -> Step<Vec<ValueId>> {
    let (x, index) = (inputs[0], inputs[1]);
    let op = match kind {
        Extremum::Max => BinaryOp::Maximum,
        Extremum::Min => BinaryOp::Minimum,
    };
    let best = b.reduce(op, x, dims)?;
    let hit = equals_or_nan(b, x, best, dims)?;
    let ty = b.tensor(index)?.clone();
    let largest = neutral(BinaryOp::Minimum, &ty)
        .ok_or_else(|| ferrite_ir::hlo::Violation::new("reduce", "indices have no largest value"))?;
    let largest = b.constant(largest);
    let candidates = b.select(hit, index, largest)?;
    let first = b.reduce(BinaryOp::Minimum, candidates, dims)?;
    Ok(vec![best, first])
}

/// Where `x` is its extremum `best` over `dims`. `maximum` and `minimum` pass NaN on, so that a NaN is the extremum of
/// its row, and equals nothing: then it is the NaNs that are meant.
pub(crate) fn equals_or_nan(b: &mut Builder<'_>, x: ValueId, best: ValueId, dims: &[i64]) -> Step {
    let ty = b.tensor(x)?.clone();
    let kept: Vec<i64> = (0..ty.rank() as i64).filter(|d| !dims.contains(d)).collect();
    let best = b.broadcast_in_dim(best, &ty.shape, &kept)?;
    let equal = b.compare(ComparisonDirection::Eq, x, best)?;
    if ty.dtype.class() != DTypeClass::Float || ty.dtype == DType::F8E8M0FNU {
        return Ok(equal);
    }
    let nan = b.compare(ComparisonDirection::Ne, x, x)?;
    Ok(b.binary(BinaryOp::Or, equal, nan)?)
}
