//! Element-wise operations and views change places.

use ferrite_ir::hlo::{Dims, OpKind};
use smallvec::SmallVec;

use super::movement::{dimensions, permutation};
use super::{Exactness, Found, Rule};
use crate::hlo::activation_call;
use crate::hlo::egraph::graph::{Class, Graph, Term};
use crate::hlo::egraph::language::Tag;

const THEME: &str = "views and element-wise work";

/// What computes element by element: all operands and the result of one shape.
const MAPS: &[Tag] = &[
    Tag::Unary,
    Tag::Binary,
    Tag::Compare,
    Tag::Select,
    Tag::Convert,
    Tag::Other,
];

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "map-of-broadcasts",
        theme: THEME,
        identity: "f(broadcast(x), broadcast(y)) = broadcast(f(x, y)), both repeated alike",
        exactness: Exactness::Exact,
        roots: MAPS,
        apply: |g, t, out| {
            of_views(g, t, out, Tag::Broadcast, |g, x, view, shape| {
                let d = dimensions(view)?;
                g.broadcast(x, shape, &d)
            })
        },
    },
    Rule {
        name: "map-of-transposes",
        theme: THEME,
        identity: "f(transpose(x), transpose(y)) = transpose(f(x, y)), one permutation",
        exactness: Exactness::Exact,
        roots: MAPS,
        apply: |g, t, out| {
            of_views(g, t, out, Tag::Transpose, |g, x, view, _| {
                let p = permutation(view)?;
                g.transpose(x, &p)
            })
        },
    },
    Rule {
        name: "map-of-reshapes",
        theme: THEME,
        identity: "f(reshape(x), reshape(y)) = reshape(f(x, y)), x and y of one shape",
        exactness: Exactness::Exact,
        roots: MAPS,
        apply: |g, t, out| of_views(g, t, out, Tag::Reshape, |g, x, _, shape| g.reshape(x, shape)),
    },
    Rule {
        name: "transpose-of-map",
        theme: THEME,
        identity: "transpose(f(x, y)) = f(transpose(x), transpose(y))",
        exactness: Exactness::Exact,
        roots: &[Tag::Transpose],
        apply: view_of_map,
    },
    Rule {
        name: "slice-of-map",
        theme: THEME,
        identity: "f(x, y)[part] = f(x[part], y[part])",
        exactness: Exactness::Exact,
        roots: &[Tag::Slice],
        apply: view_of_map,
    },
    Rule {
        name: "reshape-of-map",
        theme: THEME,
        identity: "reshape(f(x, y)) = f(reshape(x), reshape(y))",
        exactness: Exactness::Exact,
        roots: &[Tag::Reshape],
        apply: view_of_map,
    },
];

/// Whether a term computes element by element, all its operands of the shape of its result.
fn is_map(g: &Graph, t: &Term) -> bool {
    let Some(op) = t.op() else { return false };
    let by_element = match op {
        OpKind::Unary(_)
        | OpKind::Binary(_)
        | OpKind::Compare(_)
        | OpKind::Select
        | OpKind::Convert
        | OpKind::Clamp
        | OpKind::ReducePrecision(_)
        | OpKind::Complex => true,
        OpKind::CustomCall(call) => activation_call(&call.target),
        _ => false,
    };
    let shape = g.shape(t.class);
    by_element && t.operands.iter().all(|&o| g.ty(o).shape == shape)
}

type Again = fn(&mut Graph, Class, &OpKind, &[i64]) -> Option<Class>;

/// `f(view(x), view(y))`, all views alike or of constants of one number.
fn of_views(g: &mut Graph, t: &Term, out: &mut Found, tag: Tag, again: Again) -> Option<()> {
    if !is_map(g, t) {
        return None;
    }
    let shape = g.shape(t.class);
    let lead = t.operands.iter().copied().find(|&o| g.constant(o).is_none())?;
    'views: for (x, view) in g.through(lead, tag, |op| Some(op.clone())) {
        let inner = g.shape(x);
        let mut operands: SmallVec<[Class; 3]> = SmallVec::new();
        for &o in &t.operands {
            let same = g.through(o, tag, |op| (*op == view).then_some(()));
            let found = same.iter().map(|(y, ())| *y).find(|&y| g.ty(y).shape == inner);
            match found.or_else(|| g.resplat(o, &inner)) {
                Some(y) => operands.push(y),
                None => continue 'views,
            }
        }
        let ty = g.ty(t.class).with_shape(inner.iter().copied());
        let mapped = g.op_as(t.op()?.clone(), &operands, ty)?;
        out.extend(again(g, mapped, &view, &shape));
    }
    Some(())
}

/// `view(f(x, y))`.
fn view_of_map(g: &mut Graph, t: &Term, out: &mut Found) -> Option<()> {
    let view = t.op()?.clone();
    let ty = g.ty(t.class).clone();
    let shape: Dims = ty.shape.clone();
    for tag in MAPS {
        for map in g.terms(t.operands[0], *tag) {
            if !is_map(g, &map) {
                continue;
            }
            let mut operands: SmallVec<[Class; 3]> = SmallVec::new();
            for &o in &map.operands {
                let own = g.ty(o).with_shape(shape.iter().copied());
                let seen = g.resplat(o, &shape).or_else(|| g.op_as(view.clone(), &[o], own));
                operands.push(seen?);
            }
            out.extend(g.op_as(map.op()?.clone(), &operands, ty.clone()));
        }
    }
    Some(())
}
