//! Contractions: views of their operands, and operands that are joined.

use ferrite_ir::hlo::{Dims, DotDims, DotGeneral, OpKind, UnaryOp};

use super::movement::permutation;
use super::{Exactness, Rule, algebra};
use crate::hlo::egraph::graph::{Class, Graph, Term};
use crate::hlo::egraph::language::Tag;

const THEME: &str = "contractions";

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "dot-of-transpose",
        theme: THEME,
        identity: "dot(transpose(x, p), y) = transpose(dot(x, y)) with other dimension numbers, and so for y",
        exactness: Exactness::Exact,
        roots: &[Tag::Dot],
        apply: |g, t, out| {
            let OpKind::DotGeneral(dot) = t.op()? else { return None };
            for side in 0..2 {
                for (x, p) in g.through(t.operands[side], Tag::Transpose, permutation) {
                    out.extend(of_transpose(g, t, dot, side, x, &p));
                }
            }
            Some(())
        },
    },
    Rule {
        name: "transpose-of-dot",
        theme: THEME,
        identity: "transpose(dot(x, y)) = dot(y, x), free dimensions change places",
        exactness: Exactness::Exact,
        roots: &[Tag::Transpose],
        apply: |g, t, out| {
            let OpKind::Transpose(outer) = t.op()? else { return None };
            for inner in g.terms(t.operands[0], Tag::Dot) {
                let Some(OpKind::DotGeneral(dot)) = inner.op() else {
                    continue;
                };
                let (x, y) = (inner.operands[0], inner.operands[1]);
                let batch = dot.dims.lhs_batching.len() as i64;
                let rows = dot.dims.lhs_free(g.ty(x).rank()).len() as i64;
                let columns = dot.dims.rhs_free(g.ty(y).rank()).len() as i64;
                let swap = (0..batch)
                    .chain(batch + rows..batch + rows + columns)
                    .chain(batch..batch + rows);
                if !outer.permutation.iter().copied().eq(swap) || rows == 0 || columns == 0 || dot.algorithm.is_some() {
                    continue;
                }
                let ty = g.ty(t.class).clone();
                out.extend(g.op_as(OpKind::DotGeneral(swapped(dot)), &[y, x], ty));
            }
            Some(())
        },
    },
    Rule {
        name: "dot-of-negation",
        theme: THEME,
        identity: "dot(-x, y) = -dot(x, y), and so for y",
        exactness: Exactness::SignOfZero,
        roots: &[Tag::Dot],
        apply: |g, t, out| {
            let op = t.op()?.clone();
            let ty = g.ty(t.class).clone();
            for side in 0..2 {
                for x in algebra::negated(g, t.operands[side]) {
                    let mut operands = t.operands.clone();
                    operands[side] = x;
                    let dot = g.op_as(op.clone(), &operands, ty.clone())?;
                    out.extend(g.unary(UnaryOp::Negate, dot));
                }
            }
            Some(())
        },
    },
    Rule {
        name: "dot-of-concatenation",
        theme: THEME,
        identity: "dot(x, concatenate(v, w)) = concatenate(dot(x, v), dot(x, w)) along a free dimension, and so for x",
        exactness: Exactness::Exact,
        roots: &[Tag::Dot],
        apply: |g, t, out| {
            let OpKind::DotGeneral(dot) = t.op()? else { return None };
            let ty = g.ty(t.class).clone();
            for side in 0..2 {
                for joined in g.terms(t.operands[side], Tag::Concatenate) {
                    let Some(OpKind::Concatenate(c)) = joined.op() else {
                        continue;
                    };
                    let Some(place) = place(g, t, &dot.dims, side, c.dimension) else {
                        continue;
                    };
                    let mut parts = Vec::new();
                    for &part in &joined.operands {
                        let mut operands = t.operands.clone();
                        operands[side] = part;
                        let mut shape = ty.shape.clone();
                        shape[place] = g.ty(part).shape[c.dimension as usize];
                        let ty = ty.with_shape(shape);
                        parts.push(g.op_as(OpKind::DotGeneral(dot.clone()), &operands, ty)?);
                    }
                    out.extend(g.concatenate(&parts, place as i64));
                }
            }
            Some(())
        },
    },
    Rule {
        name: "concatenation-of-dots",
        theme: THEME,
        identity: "concatenate(dot(x, v), dot(x, w)) = dot(x, concatenate(v, w)) along a free dimension, and so for x",
        exactness: Exactness::Exact,
        roots: &[Tag::Concatenate],
        apply: |g, t, out| {
            let OpKind::Concatenate(c) = *t.op()? else { return None };
            let ty = g.ty(t.class).clone();
            for lead in g.terms(t.operands[0], Tag::Dot) {
                let Some(OpKind::DotGeneral(dot)) = lead.op() else {
                    continue;
                };
                for side in 0..2 {
                    let shared = lead.operands[1 - side];
                    let free = free(g, &lead, &dot.dims, side);
                    let Some(&dimension) = free
                        .iter()
                        .find(|&&d| place(g, &lead, &dot.dims, side, d) == Some(c.dimension as usize))
                    else {
                        continue;
                    };
                    let parts: Option<Vec<Class>> = t
                        .operands
                        .iter()
                        .map(|&part| {
                            let dots = g.terms(part, Tag::Dot);
                            let same = dots
                                .iter()
                                .find(|d| d.kind == lead.kind && g.same(d.operands[1 - side], shared));
                            same.map(|d| d.operands[side])
                        })
                        .collect();
                    let Some(parts) = parts else { continue };
                    let Some(joined) = g.concatenate(&parts, dimension) else {
                        continue;
                    };
                    let mut operands = lead.operands.clone();
                    operands[side] = joined;
                    out.extend(g.op_as(OpKind::DotGeneral(dot.clone()), &operands, ty.clone()));
                }
            }
            Some(())
        },
    },
];

fn swapped(dot: &DotGeneral) -> DotGeneral {
    let d = dot.dims.clone();
    DotGeneral {
        dims: DotDims {
            lhs_batching: d.rhs_batching,
            rhs_batching: d.lhs_batching,
            lhs_contracting: d.rhs_contracting,
            rhs_contracting: d.lhs_contracting,
        },
        precision: dot.precision.iter().rev().copied().collect(),
        algorithm: None,
    }
}

/// Free dimensions of an operand.
fn free(g: &Graph, t: &Term, dims: &DotDims, side: usize) -> Dims {
    let rank = g.ty(t.operands[side]).rank();
    if side == 0 {
        dims.lhs_free(rank)
    } else {
        dims.rhs_free(rank)
    }
}

/// The dimension of the result that a free dimension of an operand is.
fn place(g: &Graph, t: &Term, dims: &DotDims, side: usize, dimension: i64) -> Option<usize> {
    let before = dims.lhs_batching.len() + if side == 0 { 0 } else { free(g, t, dims, 0).len() };
    free(g, t, dims, side)
        .iter()
        .position(|&d| d == dimension)
        .map(|i| before + i)
}

/// `dot` with the operand of a transpose in its place, and the result's free dimensions back in their order.
fn of_transpose(g: &mut Graph, t: &Term, dot: &DotGeneral, side: usize, x: Class, p: &[i64]) -> Option<Class> {
    let old = free(g, t, &dot.dims, side);
    let mut dims = dot.dims.clone();
    let (batching, contracting) = if side == 0 {
        (&mut dims.lhs_batching, &mut dims.lhs_contracting)
    } else {
        (&mut dims.rhs_batching, &mut dims.rhs_contracting)
    };
    for d in batching.iter_mut().chain(contracting.iter_mut()) {
        *d = p[*d as usize];
    }
    // Free dimensions of x that the result had, in the order it had them; and in the order of x.
    let wanted: Dims = old.iter().map(|&d| p[d as usize]).collect();
    let mut order = wanted.clone();
    order.sort_unstable();
    let rows = free(g, t, &dot.dims, 0).len();
    let before = (dot.dims.lhs_batching.len() + if side == 0 { 0 } else { rows }) as i64;
    let rank = g.ty(t.class).rank() as i64;
    let back: Dims = (0..rank)
        .map(|d| match wanted.get((d - before) as usize) {
            Some(w) if d >= before => before + order.iter().position(|o| o == w).unwrap_or(0) as i64,
            _ => d,
        })
        .collect();
    let ty = g.ty(t.class).clone();
    let mut shape = ty.shape.clone();
    for (d, &from) in back.iter().enumerate() {
        shape[from as usize] = ty.shape[d];
    }
    let mut operands = t.operands.clone();
    operands[side] = x;
    let kind = OpKind::DotGeneral(DotGeneral { dims, ..dot.clone() });
    let product = g.op_as(kind, &operands, ty.with_shape(shape))?;
    g.transpose(product, &back)
}
