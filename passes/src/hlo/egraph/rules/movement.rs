//! Views of views, and joins of what was cut.

use ferrite_ir::hlo::{Dims, OpKind, Slice};

use super::{Exactness, Rule};
use crate::hlo::egraph::graph::Class;
use crate::hlo::egraph::language::Tag;

const THEME: &str = "data movement";

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "transpose-of-transpose",
        theme: THEME,
        identity: "transpose(transpose(x, p), q) = transpose(x, p[q])",
        exactness: Exactness::Exact,
        roots: &[Tag::Transpose],
        apply: |g, t, out| {
            let OpKind::Transpose(outer) = t.op()? else { return None };
            for (x, p) in g.through(t.operands[0], Tag::Transpose, permutation) {
                let p: Dims = outer.permutation.iter().map(|&d| p[d as usize]).collect();
                out.extend(g.transpose(x, &p));
            }
            Some(())
        },
    },
    Rule {
        name: "reshape-of-reshape",
        theme: THEME,
        identity: "reshape(reshape(x)) = reshape(x)",
        exactness: Exactness::Exact,
        roots: &[Tag::Reshape],
        apply: |g, t, out| {
            let shape = g.shape(t.class);
            for (x, ()) in g.through(t.operands[0], Tag::Reshape, |_| Some(())) {
                out.extend(g.reshape(x, &shape));
            }
            Some(())
        },
    },
    Rule {
        name: "broadcast-of-broadcast",
        theme: THEME,
        identity: "broadcast(broadcast(x, d), e) = broadcast(x, e[d])",
        exactness: Exactness::Exact,
        roots: &[Tag::Broadcast],
        apply: |g, t, out| {
            let OpKind::BroadcastInDim(outer) = t.op()? else {
                return None;
            };
            let shape = g.shape(t.class);
            for (x, d) in g.through(t.operands[0], Tag::Broadcast, dimensions) {
                let d: Dims = d.iter().map(|&d| outer.broadcast_dimensions[d as usize]).collect();
                out.extend(g.broadcast(x, &shape, &d));
            }
            Some(())
        },
    },
    Rule {
        name: "transpose-of-broadcast",
        theme: THEME,
        identity: "transpose(broadcast(x, d), p) = broadcast(x, place in p of d)",
        exactness: Exactness::Exact,
        roots: &[Tag::Transpose],
        apply: |g, t, out| {
            let OpKind::Transpose(outer) = t.op()? else { return None };
            let shape = g.shape(t.class);
            let place = |d: &i64| outer.permutation.iter().position(|p| p == d).map(|p| p as i64);
            for (x, d) in g.through(t.operands[0], Tag::Broadcast, dimensions) {
                let d: Option<Dims> = d.iter().map(place).collect();
                out.extend(g.broadcast(x, &shape, &d?));
            }
            Some(())
        },
    },
    Rule {
        name: "slice-of-slice",
        theme: THEME,
        identity: "(x[a:b:s])[c:d:t] = x[a + c s : .. : s t]",
        exactness: Exactness::Exact,
        roots: &[Tag::Slice],
        apply: |g, t, out| {
            let OpKind::Slice(outer) = t.op()? else { return None };
            let shape = g.shape(t.class);
            for (x, inner) in g.through(t.operands[0], Tag::Slice, slice) {
                let rank = shape.len();
                let start: Dims = (0..rank)
                    .map(|d| inner.start[d] + outer.start[d] * inner.strides[d])
                    .collect();
                let strides: Dims = (0..rank).map(|d| inner.strides[d] * outer.strides[d]).collect();
                let limit: Dims = (0..rank)
                    .map(|d| start[d] + ((shape[d] - 1) * strides[d] + 1).max(0))
                    .collect();
                out.extend(g.slice(x, Slice { start, limit, strides }));
            }
            Some(())
        },
    },
    Rule {
        name: "slice-of-concatenation",
        theme: THEME,
        identity: "concatenate(x, y, ..)[part within y] = y[part]",
        exactness: Exactness::Exact,
        roots: &[Tag::Slice],
        apply: |g, t, out| {
            let OpKind::Slice(outer) = t.op()? else { return None };
            for whole in g.terms(t.operands[0], Tag::Concatenate) {
                let Some(OpKind::Concatenate(c)) = whole.op() else {
                    continue;
                };
                let d = c.dimension as usize;
                let mut first = 0;
                for &part in &whole.operands {
                    let size = g.ty(part).shape[d];
                    if outer.start[d] >= first && outer.limit[d] <= first + size && outer.limit[d] > outer.start[d] {
                        let mut own = outer.clone();
                        own.start[d] -= first;
                        own.limit[d] -= first;
                        out.extend(g.slice(part, own));
                    }
                    first += size;
                }
            }
            Some(())
        },
    },
    Rule {
        name: "concatenation-of-concatenation",
        theme: THEME,
        identity: "concatenate(x, concatenate(y, z)) = concatenate(x, y, z) along one dimension",
        exactness: Exactness::Exact,
        roots: &[Tag::Concatenate],
        apply: |g, t, out| {
            let OpKind::Concatenate(outer) = *t.op()? else {
                return None;
            };
            for (i, &x) in t.operands.iter().enumerate() {
                for inner in g.terms(x, Tag::Concatenate) {
                    let Some(OpKind::Concatenate(c)) = inner.op() else {
                        continue;
                    };
                    if c.dimension != outer.dimension || t.operands.len() + inner.operands.len() > MAX_PARTS {
                        continue;
                    }
                    let (before, after) = (&t.operands[..i], &t.operands[i + 1..]);
                    let parts: Vec<Class> = [before, &inner.operands, after].concat();
                    out.extend(g.concatenate(&parts, c.dimension));
                }
            }
            Some(())
        },
    },
    Rule {
        name: "concatenation-of-neighbours",
        theme: THEME,
        identity: "concatenate(x[a:b], x[b:c]) = x[a:c]",
        exactness: Exactness::Exact,
        roots: &[Tag::Concatenate],
        apply: |g, t, out| {
            let OpKind::Concatenate(outer) = *t.op()? else {
                return None;
            };
            let d = outer.dimension as usize;
            for i in 1..t.operands.len() {
                let left = g.through(t.operands[i - 1], Tag::Slice, slice);
                let right = g.through(t.operands[i], Tag::Slice, slice);
                for (x, a) in &left {
                    for (y, b) in &right {
                        if !g.same(*x, *y) {
                            continue;
                        }
                        let mut joined = a.clone();
                        joined.limit[d] = b.limit[d];
                        let fits = a.strides == b.strides && a.strides[d] == 1 && a.limit[d] == b.start[d];
                        let mut other = b.clone();
                        other.start[d] = a.start[d];
                        if !fits || joined.start != other.start || joined.limit != other.limit {
                            continue;
                        }
                        let Some(both) = g.slice(*x, joined) else { continue };
                        let parts = [&t.operands[..i - 1], &[both], &t.operands[i + 1..]].concat();
                        out.extend(g.concatenate(&parts, outer.dimension));
                    }
                }
            }
            Some(())
        },
    },
    Rule {
        name: "transpose-of-reshape",
        theme: THEME,
        identity: "transpose(reshape(x), p) = reshape(transpose(x, q)), p moves what was one dimension as one",
        exactness: Exactness::Exact,
        roots: &[Tag::Transpose],
        apply: |g, t, out| {
            let OpKind::Transpose(outer) = t.op()? else { return None };
            let shape = g.shape(t.class);
            for (x, ()) in g.through(t.operands[0], Tag::Reshape, |_| Some(())) {
                let (from, to) = (g.shape(x), g.shape(t.operands[0]));
                let Some(groups) = groups(&from, &to) else { continue };
                if let Some(q) = group_order(&groups, &outer.permutation) {
                    let moved = g.transpose(x, &q)?;
                    out.extend(g.reshape(moved, &shape));
                }
            }
            Some(())
        },
    },
    Rule {
        name: "reshape-of-transpose",
        theme: THEME,
        identity: "reshape(transpose(x, p)) = transpose(reshape(x), q), the reshape splits or drops dimensions only",
        exactness: Exactness::Exact,
        roots: &[Tag::Reshape],
        apply: |g, t, out| {
            let shape = g.shape(t.class);
            for (x, p) in g.through(t.operands[0], Tag::Transpose, permutation) {
                let moved = g.shape(t.operands[0]);
                let Some(groups) = groups(&moved, &shape) else { continue };
                // Each dimension of the transpose becomes a run of the result's.
                if groups.iter().any(|(from, _)| from.len() > 1) {
                    continue;
                }
                let mut runs: Vec<(i64, std::ops::Range<usize>)> = Vec::new();
                for (from, to) in &groups {
                    match from.clone().next() {
                        Some(d) => runs.push((p[d], to.clone())),
                        // A new dimension of size 1 goes with what stands before it.
                        None => match runs.last_mut() {
                            Some((_, range)) => range.end = to.end,
                            None => return None,
                        },
                    }
                }
                runs.sort_by_key(|(d, _)| *d);
                let order: Vec<usize> = runs.into_iter().flat_map(|(_, range)| range).collect();
                let inner: Dims = order.iter().map(|&d| shape[d]).collect();
                let mut q: Dims = shape.iter().map(|_| 0).collect();
                for (at, &d) in order.iter().enumerate() {
                    q[d] = at as i64;
                }
                let flat = g.reshape(x, &inner)?;
                out.extend(g.transpose(flat, &q));
            }
            Some(())
        },
    },
    Rule {
        name: "reshape-of-broadcast",
        theme: THEME,
        identity: "reshape(broadcast(scalar)) = broadcast(scalar)",
        exactness: Exactness::Exact,
        roots: &[Tag::Reshape],
        apply: |g, t, out| {
            let shape = g.shape(t.class);
            for (x, _) in g.through(t.operands[0], Tag::Broadcast, dimensions) {
                if g.ty(x).element_count() == 1 {
                    let scalar = g.reshape(x, &[])?;
                    out.extend(g.broadcast(scalar, &shape, &[]));
                }
            }
            Some(())
        },
    },
];

/// A concatenation does not grow beyond this (our choice).
const MAX_PARTS: usize = 16;

pub(super) fn permutation(op: &OpKind) -> Option<Dims> {
    match op {
        OpKind::Transpose(t) => Some(t.permutation.clone()),
        _ => None,
    }
}

pub(super) fn dimensions(op: &OpKind) -> Option<Dims> {
    match op {
        OpKind::BroadcastInDim(b) => Some(b.broadcast_dimensions.clone()),
        _ => None,
    }
}

pub(super) fn slice(op: &OpKind) -> Option<Slice> {
    match op {
        OpKind::Slice(s) => Some(s.clone()),
        _ => None,
    }
}

type Group = (std::ops::Range<usize>, std::ops::Range<usize>);

/// Runs of dimensions of both shapes with as many elements, as short as can be. Nothing for empty tensors.
fn groups(from: &[i64], to: &[i64]) -> Option<Vec<Group>> {
    if from.contains(&0) || to.contains(&0) {
        return None;
    }
    let (mut i, mut j) = (0, 0);
    let mut out: Vec<Group> = Vec::new();
    while i < from.len() || j < to.len() {
        let (first, second) = (i, j);
        let (mut a, mut b) = (1i64, 1i64);
        if i < from.len() {
            a *= from[i];
            i += 1;
        }
        if j < to.len() && a != 1 || i == first {
            b *= to[j];
            j += 1;
        }
        while a != b {
            if a < b {
                a *= from.get(i)?;
                i += 1;
            } else {
                b *= to.get(j)?;
                j += 1;
            }
        }
        out.push((first..i, second..j));
    }
    Some(out)
}

/// If a permutation of the result's dimensions moves each group as one, that permutation of the source's dimensions.
fn group_order(groups: &[Group], permutation: &[i64]) -> Option<Dims> {
    let mut order = Dims::new();
    let mut at = 0;
    while at < permutation.len() {
        let d = permutation[at] as usize;
        let (from, to) = groups.iter().find(|(_, to)| to.start == d && !to.is_empty())?;
        let run = permutation.get(at..at + to.len())?;
        if !run.iter().map(|&d| d as usize).eq(to.clone()) {
            return None;
        }
        order.extend(from.clone().map(|d| d as i64));
        at += to.len();
    }
    // Dimensions of size 1 that are gone can stand anywhere.
    let gone = groups.iter().filter(|(_, to)| to.is_empty());
    order.extend(gone.flat_map(|(from, _)| from.clone().map(|d| d as i64)));
    Some(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_as_short_as_can_be() {
        assert_eq!(groups(&[8, 6], &[8, 2, 3]), Some(vec![(0..1, 0..1), (1..2, 1..3)]));
        assert_eq!(groups(&[2, 3], &[3, 2]), Some(vec![(0..2, 0..2)]));
        assert_eq!(groups(&[0], &[0]), None);
    }

    #[test]
    fn only_whole_groups_move() {
        let g = groups(&[8, 6], &[8, 2, 3]).unwrap_or_default();
        assert_eq!(group_order(&g, &[1, 2, 0]).as_deref(), Some(&[1, 0][..]));
        assert_eq!(group_order(&g, &[2, 1, 0]), None);
    }
}
