//! Padding: sums of what is padded with zeros are joins.

use ferrite_ir::hlo::{BinaryOp, OpKind, Pad, Slice};

use super::{Exactness, Rule, algebra};
use crate::hlo::egraph::graph::{Class, Graph};
use crate::hlo::egraph::language::Tag;

const THEME: &str = "padding";

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "sum-of-neighbouring-pads",
        theme: THEME,
        identity: "pad(x, 0) + pad(y, 0) = pad(concatenate(x, 0, y), 0), x ends before y begins",
        exactness: Exactness::SignOfZero,
        roots: &[Tag::Binary],
        apply: |g, t, out| {
            let (a, b) = algebra::operands(t, BinaryOp::Add)?;
            for (x, p) in pads(g, a) {
                for (y, q) in pads(g, b) {
                    let joined = join(g, (x, &p), (y, &q)).or_else(|| join(g, (y, &q), (x, &p)));
                    out.extend(joined);
                }
            }
            Some(())
        },
    },
    Rule {
        name: "pad-of-pad",
        theme: THEME,
        identity: "pad(pad(x, v, a), v, b) = pad(x, v, a + b), nothing negative, nothing between",
        exactness: Exactness::Exact,
        roots: &[Tag::Pad],
        apply: |g, t, out| {
            let OpKind::Pad(outer) = t.op()?.clone() else {
                return None;
            };
            let value = t.operands[1];
            for inner in g.terms(t.operands[0], Tag::Pad) {
                let Some(OpKind::Pad(p)) = inner.op() else { continue };
                if !g.same(inner.operands[1], value) || !plain(p) || !plain(&outer) {
                    continue;
                }
                let sum = Pad {
                    low: p.low.iter().zip(&outer.low).map(|(a, b)| a + b).collect(),
                    high: p.high.iter().zip(&outer.high).map(|(a, b)| a + b).collect(),
                    interior: p.interior.clone(),
                };
                out.extend(g.pad(inner.operands[0], value, sum));
            }
            Some(())
        },
    },
    Rule {
        name: "slice-of-pad",
        theme: THEME,
        identity: "pad(x, v)[part within x] = x[part]",
        exactness: Exactness::Exact,
        roots: &[Tag::Slice],
        apply: |g, t, out| {
            let OpKind::Slice(s) = t.op()? else { return None };
            for inner in g.terms(t.operands[0], Tag::Pad) {
                let Some(OpKind::Pad(p)) = inner.op() else { continue };
                let x = inner.operands[0];
                let shape = g.shape(x);
                let inside = (0..shape.len())
                    .all(|d| s.start[d] >= p.low[d] && s.limit[d] <= p.low[d] + shape[d] && s.limit[d] > s.start[d]);
                if inside && plain(p) {
                    let own = Slice {
                        start: s.start.iter().zip(&p.low).map(|(a, b)| a - b).collect(),
                        limit: s.limit.iter().zip(&p.low).map(|(a, b)| a - b).collect(),
                        strides: s.strides.clone(),
                    };
                    out.extend(g.slice(x, own));
                }
            }
            Some(())
        },
    },
];

/// Nothing is cut away, and nothing stands between neighbours.
fn plain(p: &Pad) -> bool {
    p.low.iter().chain(&p.high).all(|&n| n >= 0) && p.interior.iter().all(|&n| n == 0)
}

/// What a class is, padded with zeros.
fn pads(g: &Graph, x: Class) -> Vec<(Class, Pad)> {
    let terms = g.terms(x, Tag::Pad);
    let fits = terms.iter().filter_map(|t| match t.op()? {
        OpKind::Pad(p) if plain(p) && g.splat(t.operands[1]) == Some(0.0) => Some((t.operands[0], p.clone())),
        _ => None,
    });
    fits.collect()
}

/// The sum, if the second one begins where the first one ends along one dimension, and both agree in all others.
fn join(g: &mut Graph, (x, p): (Class, &Pad), (y, q): (Class, &Pad)) -> Option<Class> {
    let (from, to) = (g.shape(x), g.shape(y));
    let mut differ = (0..from.len()).filter(|&d| p.low[d] != q.low[d] || p.high[d] != q.high[d]);
    let (d, None) = (differ.next()?, differ.next()) else {
        return None;
    };
    let (end, begin) = (p.low[d] + from[d], q.low[d]);
    if end > begin {
        return None;
    }
    let mut parts = vec![x];
    let zero = ferrite_ir::hlo::TensorType::scalar(g.dtype(x));
    let zero = g.literal(ferrite_ir::literal::Literal::splat_f64(zero, 0.0));
    if end < begin {
        let mut gap = from.clone();
        gap[d] = begin - end;
        parts.push(g.broadcast(zero, &gap, &[])?);
    }
    parts.push(y);
    debug_assert_eq!(to.len(), from.len());
    let both = g.concatenate(&parts, d as i64)?;
    let mut pad = p.clone();
    pad.high[d] = q.high[d];
    g.pad(both, zero, pad)
}
