//! Reductions of what was moved, negated or reduced before.

use ferrite_ir::hlo::{BinaryOp, Dims, UnaryOp, neutral};

use super::movement::{dimensions as repeated, permutation};
use super::{Exactness, Rule, algebra};
use crate::hlo::egraph::graph::{Class, Graph};
use crate::hlo::egraph::language::{Kind, Tag};

const THEME: &str = "reductions";

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "sum-of-negation",
        theme: THEME,
        identity: "reduce add(-x) from 0 = -(reduce add(x) from 0)",
        exactness: Exactness::SignOfZero,
        roots: &[Tag::Reduce],
        apply: |g, t, out| {
            let Kind::Reduce {
                op: BinaryOp::Add,
                dimensions,
            } = &*t.kind
            else {
                return None;
            };
            g.splat(t.operands[1]).filter(|&c| c == 0.0)?;
            for x in algebra::negated(g, t.operands[0]) {
                let sum = g.reduce(BinaryOp::Add, x, t.operands[1], dimensions)?;
                out.extend(g.unary(UnaryOp::Negate, sum));
            }
            Some(())
        },
    },
    Rule {
        name: "reduction-of-transpose",
        theme: THEME,
        identity: "reduce(transpose(x, p), d) = transpose(reduce(x, p[d]))",
        exactness: Exactness::OrderOfSum,
        roots: &[Tag::Reduce],
        apply: |g, t, out| {
            let Kind::Reduce { op, dimensions } = &*t.kind else {
                return None;
            };
            if !op.is_commutative() {
                return None;
            }
            for (x, p) in g.through(t.operands[0], Tag::Transpose, permutation) {
                let mut gone: Dims = dimensions.iter().map(|&d| p[d as usize]).collect();
                gone.sort_unstable();
                // Where each dimension that stays is in x, in the order of the result.
                let stays = (0..p.len() as i64).filter(|d| !dimensions.contains(d));
                let wanted: Dims = stays.map(|d| p[d as usize]).collect();
                let mut order = wanted.clone();
                order.sort_unstable();
                let place = |w: &i64| order.iter().position(|o| o == w).map(|i| i as i64);
                let back: Option<Dims> = wanted.iter().map(place).collect();
                let reduced = g.reduce(*op, x, t.operands[1], &gone)?;
                out.extend(g.transpose(reduced, &back?));
            }
            Some(())
        },
    },
    Rule {
        name: "extreme-of-broadcast",
        theme: THEME,
        identity: "reduce max(broadcast(x)) = broadcast(x) over what stays, all repeated dimensions reduced; so for min, and, or",
        exactness: Exactness::Exact,
        roots: &[Tag::Reduce],
        apply: |g, t, out| {
            let Kind::Reduce { op, dimensions } = &*t.kind else {
                return None;
            };
            let idempotent = matches!(op, BinaryOp::Maximum | BinaryOp::Minimum | BinaryOp::And | BinaryOp::Or);
            if !idempotent || !from_neutral(g, *op, t.operands[1]) {
                return None;
            }
            let (shape, whole) = (g.shape(t.class), g.shape(t.operands[0]));
            if dimensions.iter().any(|&d| whole[d as usize] == 0) {
                return None;
            }
            for (x, d) in g.through(t.operands[0], Tag::Broadcast, repeated) {
                if d.iter().any(|d| dimensions.contains(d)) {
                    continue;
                }
                let new = |d: &i64| d - dimensions.iter().filter(|&r| r < d).count() as i64;
                let d: Dims = d.iter().map(new).collect();
                out.extend(g.broadcast(x, &shape, &d));
            }
            Some(())
        },
    },
    Rule {
        name: "reduction-of-reduction",
        theme: THEME,
        identity: "reduce(reduce(x, d), e) = reduce(x, d and e), both from the neutral element; no sums or products of floats",
        exactness: Exactness::Exact,
        roots: &[Tag::Reduce],
        apply: |g, t, out| {
            let Kind::Reduce { op, dimensions } = &*t.kind else {
                return None;
            };
            // Sums of floats that were split on purpose (`split-reductions`) stay so, with their order.
            if !from_neutral(g, *op, t.operands[1]) || !op.is_commutative() {
                return None;
            }
            for inner in g.terms(t.operands[0], Tag::Reduce) {
                let Kind::Reduce {
                    op: own,
                    dimensions: first,
                } = &*inner.kind
                else {
                    continue;
                };
                let sums = matches!(op, BinaryOp::Add | BinaryOp::Multiply) && g.dtype(t.class).is_float();
                if own != op || !from_neutral(g, *op, inner.operands[1]) || sums {
                    continue;
                }
                let x = inner.operands[0];
                let stays: Vec<i64> = (0..g.ty(x).rank() as i64).filter(|d| !first.contains(d)).collect();
                let more = dimensions.iter().map(|&d| stays[d as usize]);
                let mut all: Dims = first.iter().copied().chain(more).collect();
                all.sort_unstable();
                out.extend(g.reduce(*op, x, inner.operands[1], &all));
            }
            Some(())
        },
    },
];

/// Whether a reduction starts from the element that changes nothing.
fn from_neutral(g: &Graph, op: BinaryOp, init: Class) -> bool {
    let wanted = neutral(op, g.ty(init)).and_then(|l| l.splat_value());
    wanted.is_some() && g.splat(init) == wanted
}
