//! Reads known places along one dimension without looking anything up.
//!
//! ```text
//! Before                                                        After
//!   %i = constant dense<[[0], [0], [1], [1]]>                     %0 = reshape %x : [3, 2, 1, 8]
//!   %r = gather(%x: [3, 2, 8], %i) along 1 : [3, 4, 8]            %1 = broadcast_in_dim %0 : [3, 2, 2, 8]
//!                                                                 %r = reshape %1 : [3, 4, 8]
//! ```
//!
//! Images are enlarged like this. Views cost nothing, and what they read keeps its order of dimensions, which a gather of rows
//! would fix. Places that each come equally often, at equal distances, are a slice and a broadcast.
//!
//! Needs: verified static `hlo`, after `fold-constants`. Leaves: verified `hlo`.

use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::hlo::{Builder, Dims, Gather, Module, OpId, OpKind, ValueId, Violation};

use super::legalize::rows::known_integers;
use super::rewrite::{Rewrite, rewrite_module};
use crate::pass::{Changed, HloPass, PassContext};

/// See the module's own text.
pub struct SimplifyGathers;

impl HloPass for SimplifyGathers {
    const NAME: &'static str = "simplify-gathers";
    const DOC: &'static str = "Turns gathers at known, regular places of one dimension into slices and broadcasts.";

    fn run(&self, module: &mut Module, _: &mut PassContext<'_>) -> Result<Changed> {
        rewrite_module(module, |b, op| match b.func.op(op).kind.clone() {
            OpKind::Gather(gather) => match regular(b, op, &gather) {
                Ok(value) => Ok(value.map_or(Rewrite::Keep, Rewrite::from)),
                Err(v) => Err(Diagnostic::bug(format!(
                    "`{}` built an invalid operation: {v}",
                    Self::NAME
                ))),
            },
            _ => Ok(Rewrite::Keep),
        })
    }
}

/// Places along a dimension: `count` of them from `start` at steps of `step`, each `times` times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Places {
    start: i64,
    step: i64,
    count: i64,
    times: i64,
}

fn places(indices: &[i64]) -> Option<Places> {
    let &start = indices.first()?;
    let times = indices.iter().take_while(|&&i| i == start).count();
    if !indices.len().is_multiple_of(times) {
        return None;
    }
    let step = indices.get(times).map_or(1, |&next| next - start);
    let expected = |i: usize| start + step * (i / times) as i64;
    let all = indices.iter().enumerate().all(|(i, &at)| at == expected(i));
    (all && step >= 1).then_some(Places {
        start,
        step,
        count: (indices.len() / times) as i64,
        times: times as i64,
    })
}

fn regular(b: &mut Builder<'_>, op: OpId, g: &Gather) -> std::result::Result<Option<ValueId>, Violation> {
    let (x, indices) = (b.func.op(op).operands[0], b.func.op(op).operands[1]);
    let shape = b.tensor(x)?.shape.clone();
    let ([dim], [collapsed]) = (&g.start_index_map[..], &g.collapsed_slice_dims[..]) else {
        return Ok(None);
    };
    let d = *dim as usize;
    let whole = (0..shape.len()).all(|i| g.slice_sizes[i] == if i == d { 1 } else { shape[i] });
    let result = b.tensor(b.func.result(op))?.clone();
    let one_batch = g.offset_dims.len() + 1 == result.rank() && result.rank() == shape.len();
    if dim != collapsed || !whole || !one_batch || !g.operand_batching_dims.is_empty() || result.element_count() == 0 {
        return Ok(None);
    }
    let Some(OpKind::Constant(literal)) = b.func.def_kind(indices) else {
        return Ok(None);
    };
    // Places outside are moved inside, as the specification says.
    let inside: Vec<i64> = known_integers(literal)
        .iter()
        .map(|i| (*i).clamp(0, shape[d] - 1))
        .collect();
    let Some(p) = places(&inside) else { return Ok(None) };
    let last = p.start + p.step * (p.count - 1);
    let with = |extents: &[i64]| -> Dims {
        let (before, after) = (&shape[..d], &shape[d + 1..]);
        before.iter().chain(extents).chain(after).copied().collect()
    };
    let ones = vec![1; shape.len()];
    let mut start = vec![0; shape.len()];
    let (mut limit, mut steps) = (shape.to_vec(), ones);
    (start[d], limit[d], steps[d]) = (p.start, last + 1, p.step);
    let mut value = b.slice(x, &start, &limit, &steps)?;
    if p.times > 1 {
        value = b.reshape(value, &with(&[p.count, 1]))?;
        let all: Vec<i64> = (0..shape.len() as i64 + 1).collect();
        value = b.broadcast_in_dim(value, &with(&[p.count, p.times]), &all)?;
        value = b.reshape(value, &with(&[p.count * p.times]))?;
    }
    // The places are dimension `d` of this; the gather may want them elsewhere.
    let mut others = (0..shape.len() as i64).filter(|&i| i != *dim);
    let order: Vec<i64> = (0..result.rank() as i64)
        .map(|i| {
            if g.offset_dims.contains(&i) {
                others.next().unwrap_or_default()
            } else {
                *dim
            }
        })
        .collect();
    Ok(Some(b.transpose(value, &order)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_places_are_found() {
        let found = |start, step, count, times| {
            Some(Places {
                start,
                step,
                count,
                times,
            })
        };
        assert_eq!(places(&[0, 0, 1, 1, 2, 2]), found(0, 1, 3, 2));
        assert_eq!(places(&[3, 5, 7]), found(3, 2, 3, 1));
        assert_eq!(places(&[4]), found(4, 1, 1, 1));
        assert_eq!(places(&[0, 0, 1]), None);
        assert_eq!(places(&[2, 1, 0]), None);
        assert_eq!(places(&[0, 0, 1, 2]), None);
    }
}
