//! Conversions that lose nothing, and places where they cost less.

use ferrite_ir::hlo::{BinaryOp, OpKind};

use super::{Exactness, Rule};
use crate::hlo::canonicalize::{converts_directly, is_exact};
use crate::hlo::egraph::language::{Kind, Tag};
use crate::hlo::legalize::is_computed_wider;

const THEME: &str = "conversions";

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "convert-of-convert",
        theme: THEME,
        identity: "convert(convert(x, wide), t) = convert(x, t), wide has every value of x and saturates only where a conversion from x does",
        exactness: Exactness::Exact,
        roots: &[Tag::Convert],
        apply: |g, t, out| {
            let to = g.dtype(t.class);
            for (x, ()) in g.through(t.operands[0], Tag::Convert, |_| Some(())) {
                if converts_directly(g.dtype(x), g.dtype(t.operands[0]), to) {
                    out.extend(g.convert(x, to));
                }
            }
            Some(())
        },
    },
    Rule {
        name: "convert-behind-view",
        theme: THEME,
        identity: "view(convert(x)) = convert(view(x)), for transpose, reshape, broadcast, slice",
        exactness: Exactness::Exact,
        roots: &[Tag::Transpose, Tag::Reshape, Tag::Broadcast, Tag::Slice],
        apply: |g, t, out| {
            let ty = g.ty(t.class).clone();
            let view = t.op()?.clone();
            for (x, ()) in g.through(t.operands[0], Tag::Convert, |_| Some(())) {
                let own = ty.with_dtype(g.dtype(x));
                let moved = g.op_as(view.clone(), &[x], own)?;
                out.extend(g.convert(moved, ty.dtype));
            }
            Some(())
        },
    },
    Rule {
        name: "convert-before-view",
        theme: THEME,
        identity: "convert(view(x)) = view(convert(x)), for transpose, reshape, broadcast, slice",
        exactness: Exactness::Exact,
        roots: &[Tag::Convert],
        apply: |g, t, out| {
            let ty = g.ty(t.class).clone();
            for tag in [Tag::Transpose, Tag::Reshape, Tag::Broadcast, Tag::Slice] {
                for (x, view) in g.through(t.operands[0], tag, |op| Some(op.clone())) {
                    let converted = g.convert(x, ty.dtype)?;
                    out.extend(g.op_as(view, &[converted], ty.clone()));
                }
            }
            Some(())
        },
    },
    Rule {
        name: "extreme-of-converted",
        theme: THEME,
        identity: "reduce max(convert(x)) = convert(reduce max(x)) from the least value, the conversion exact; and so for min",
        exactness: Exactness::Exact,
        roots: &[Tag::Reduce],
        apply: |g, t, out| {
            let Kind::Reduce { op, dimensions } = &*t.kind else {
                return None;
            };
            if !matches!(op, BinaryOp::Maximum | BinaryOp::Minimum) {
                return None;
            }
            let wide = g.dtype(t.class);
            let least = g.splat(t.operands[1])?;
            for (x, ()) in g.through(t.operands[0], Tag::Convert, |_| Some(())) {
                let narrow = g.ty(x).with_shape([]);
                // What `legalize-small-types` has made wide must stay so: engines store it without its infinities.
                if is_computed_wider(narrow.dtype)
                    || !is_exact(narrow.dtype, wide)
                    || !wide.is_float()
                    || !narrow.dtype.is_float()
                {
                    continue;
                }
                let init = ferrite_ir::hlo::neutral(*op, &narrow)?;
                if init.splat_value() != Some(least) {
                    continue;
                }
                let init = g.literal(init);
                let reduced = g.reduce(*op, x, init, dimensions)?;
                out.extend(g.op_as(OpKind::Convert, &[reduced], g.ty(t.class).clone()));
            }
            Some(())
        },
    },
];
