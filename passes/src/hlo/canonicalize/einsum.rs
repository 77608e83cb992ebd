//! Legacy `einsum` of one or two operands: sums, one `dot_general`, one transpose.

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::hlo::{BinaryOp, Builder, DotDims, OpId, ValueId};

use crate::hlo::rewrite::Rewrite;

/// A label: a letter, or a dimension of the ellipsis counted from its right end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Label {
    Named(char),
    Ellipsis(usize),
}

fn labels(text: &str, ellipsis: usize) -> Vec<Label> {
    let (before, after) = text.split_once("...").unwrap_or((text, ""));
    let middle = if text.contains("...") { ellipsis } else { 0 };
    before
        .chars()
        .map(Label::Named)
        .chain((0..middle).rev().map(Label::Ellipsis))
        .chain(after.chars().map(Label::Named))
        .collect()
}

pub(super) fn einsum(b: &mut Builder<'_>, op: OpId, config: &str) -> Result<Rewrite> {
    let unsupported =
        |why: &str| Diagnostic::error(Code::Unsupported, format!("`einsum` with config `{config}` {why}"));
    let clean: String = config.chars().filter(|c| !c.is_whitespace()).collect();
    let (inputs, output) = clean.split_once("->").ok_or_else(|| unsupported("has no `->`"))?;
    let operands: Vec<ValueId> = b.func.op(op).operands.to_vec();
    let mut terms: Vec<(ValueId, Vec<Label>)> = Vec::new();
    let mut ellipsis = 0;
    for (text, &v) in inputs.split(',').zip(&operands) {
        let named = text.replace("...", "").chars().count();
        let extra = b.tensor(v)?.rank().saturating_sub(named);
        ellipsis = ellipsis.max(extra);
        terms.push((v, labels(text, extra)));
    }
    let output = labels(output, ellipsis);
    for list in terms.iter().map(|(_, l)| l).chain([&output]) {
        if list.iter().enumerate().any(|(i, l)| list[..i].contains(l)) {
            return Err(unsupported("repeats a label in one place"));
        }
    }
    // Labels of one operand alone are summed out first.
    for i in 0..terms.len() {
        let other = terms
            .get(1 - i.min(1))
            .filter(|_| terms.len() == 2)
            .map(|(_, l)| l.clone());
        let (v, list) = &terms[i];
        let gone: Vec<usize> = (0..list.len())
            .filter(|&d| !output.contains(&list[d]) && !other.as_ref().is_some_and(|o| o.contains(&list[d])))
            .collect();
        if gone.is_empty() {
            continue;
        }
        let dims: Vec<i64> = gone.iter().map(|&d| d as i64).collect();
        let kept = (0..list.len()).filter(|d| !gone.contains(d)).map(|d| list[d]).collect();
        let v = *v;
        terms[i] = (b.reduce(BinaryOp::Add, v, &dims)?, kept);
    }
    let result_dtype = b.tensor(b.func.result(op))?.dtype;
    let (value, have) = match &terms[..] {
        [(v, list)] => (*v, list.clone()),
        [(x, l), (y, r)] => {
            let mut dims = DotDims::default();
            let mut have: Vec<Label> = Vec::new();
            for (d, label) in l.iter().enumerate() {
                let Some(e) = r.iter().position(|o| o == label) else {
                    continue;
                };
                if output.contains(label) {
                    dims.lhs_batching.push(d as i64);
                    dims.rhs_batching.push(e as i64);
                    have.push(*label);
                } else {
                    dims.lhs_contracting.push(d as i64);
                    dims.rhs_contracting.push(e as i64);
                }
            }
            have.extend(l.iter().filter(|label| !r.contains(label)));
            have.extend(r.iter().filter(|label| !l.contains(label)));
            (b.dot_general(*x, *y, dims, result_dtype)?, have)
        }
        _ => return Err(unsupported("needs one or two operands")),
    };
    let permutation: Option<Vec<i64>> = output
        .iter()
        .map(|label| have.iter().position(|h| h == label).map(|p| p as i64))
        .collect();
    let permutation = permutation.ok_or_else(|| unsupported("asks for a label that no operand has"))?;
    let value = b.transpose(value, &permutation)?;
    Ok(b.convert(value, result_dtype)?.into())
}
