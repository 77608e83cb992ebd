//! Control flow and structure.

use super::{Cx, Infer, compatible};
use crate::dtype::DType;
use crate::hlo::ops::GetTupleElement;
use crate::hlo::types::Type;

pub(super) fn while_loop(cx: &Cx<'_>) -> Infer<Vec<Type>> {
    let cond = cx.yields(0, 1)?;
    cx.check(cond[0].dtype == DType::Bool && cond[0].rank() == 0, "C1", || {
        format!("the condition yields {} instead of an i1 scalar", cond[0])
    })?;
    let body = cx.regions.get(1).map_or(&[][..], |t| t.as_slice());
    cx.check(
        body.len() == cx.operands.len() && body.iter().zip(cx.operands).all(|(a, b)| compatible(a, b)),
        "C2",
        || "the body does not yield the types of the loop's operands".to_string(),
    )?;
    Ok(cx.operands.iter().map(|&t| t.clone()).collect())
}

/// `if` (predicate) and `case` (index).
pub(super) fn branches(cx: &Cx<'_>, predicate: bool) -> Infer<Vec<Type>> {
    cx.arity(1)?;
    let index = cx.tensor(0)?;
    let wanted = if predicate { DType::Bool } else { DType::I32 };
    cx.check(index.rank() == 0 && index.dtype == wanted, "I1", || {
        format!("operand 0 must be an {wanted} scalar, it is {index}")
    })?;
    let Some(first) = cx.regions.first() else {
        return Err(cx.violation("C1", "there is no branch"));
    };
    for (i, branch) in cx.regions.iter().enumerate() {
        let fits = branch.len() == first.len() && branch.iter().zip(first).all(|(a, b)| compatible(a, b));
        cx.check(fits, "C2", || format!("branches 0 and {i} yield different types"))?;
    }
    Ok(first.clone())
}

pub(super) fn get_tuple_element(cx: &Cx<'_>, g: &GetTupleElement) -> Infer<Vec<Type>> {
    cx.arity(1)?;
    let Type::Tuple(types) = cx.operands[0] else {
        return Err(cx.violation("I1", format!("the operand must be a tuple, it is {}", cx.operands[0])));
    };
    match usize::try_from(g.index).ok().and_then(|i| types.get(i)) {
        Some(ty) => Ok(vec![ty.clone()]),
        None => Err(cx.violation(
            "C1",
            format!("index {} is outside of {} elements", g.index, types.len()),
        )),
    }
}

pub(super) fn after_all(cx: &Cx<'_>) -> Infer<Vec<Type>> {
    for i in 0..cx.operands.len() {
        cx.token(i)?;
    }
    Ok(vec![Type::Token])
}

pub(super) fn infeed(cx: &Cx<'_>) -> Infer<Vec<Type>> {
    cx.arity(1)?;
    cx.token(0)?;
    ends_with_token(cx)
}

/// The written types, of which the last must be a token.
pub(super) fn ends_with_token(cx: &Cx<'_>) -> Infer<Vec<Type>> {
    let types = cx.all_hints()?;
    cx.check(types.last() == Some(&Type::Token), "C2", || {
        "the last result must be a token".to_string()
    })?;
    Ok(types)
}

pub(super) fn outfeed(cx: &Cx<'_>) -> Infer<Vec<Type>> {
    cx.at_least(1)?;
    cx.token(cx.operands.len() - 1)?;
    Ok(vec![Type::Token])
}

pub(super) fn async_start(cx: &Cx<'_>) -> Infer<Vec<Type>> {
    let yielded = cx.regions.first().cloned().unwrap_or_default();
    Ok(vec![Type::Future(yielded)])
}

pub(super) fn async_done(cx: &Cx<'_>) -> Infer<Vec<Type>> {
    cx.arity(1)?;
    match cx.operands[0] {
        Type::Future(types) => Ok(types.clone()),
        other => Err(cx.violation("I1", format!("the operand must be a future, it is {other}"))),
    }
}
