//! Brings scales and shifts per feature into the order in which the engines apply them.
//!
//! ```text
//! Before                                  After
//!   (x - m) * s                             x * s + (-m * s)
//!   (x * s + t) + u                         x * s + (t + u)
//!   (x * s + t) + r                         (x * s + r) + t
//! ```
//!
//! where `m`, `s`, `t` and `u` repeat one value per feature and `x` and `r` do not. What a batch norm does to an image is then one
//! instruction, which reads the sum where it was made, and with a residual added it is two.
//!
//! Roundings change as in any re-association; nothing else does. Needs and leaves: verified `hlo`.

use ferrite_ir::diag::Result;
use ferrite_ir::hlo::{BinaryOp, Builder, Func, Module, OpId, OpKind, UnaryOp, ValueId};

use super::legalize::rewrite::{Rewrite, Step, operands, rewrite_module};
use crate::pass::{Changed, HloPass, PassContext};

/// See the module's own text.
pub struct CombineAffine;

impl HloPass for CombineAffine {
    const NAME: &'static str = "combine-affine";
    const DOC: &'static str = "Brings scales and shifts per feature into the order in which the engines apply them.";

    fn run(&self, module: &mut Module, _: &mut PassContext<'_>) -> Result<Changed> {
        rewrite_module(module, Self::NAME, rewrite).map(Changed::from_bool)
    }
}

/// A value per feature, repeated over an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PerFeature {
    source: ValueId,
    /// Number of features.
    count: i64,
    /// The dimension of the image that names the feature.
    dimension: i64,
}

fn per_feature(func: &Func, v: ValueId) -> Option<PerFeature> {
    let op = func.op(func.def(v)?);
    let OpKind::BroadcastInDim(broadcast) = &op.kind else {
        return None;
    };
    let source = op.operands[0];
    let (from, to) = (func.tensor(source), func.tensor(v));
    let mut wide = (0..from.rank()).filter(|&d| from.shape[d] != 1);
    let (d, None) = (wide.next()?, wide.next()) else {
        return None;
    };
    (from.element_count() < to.element_count()).then_some(PerFeature {
        source,
        count: from.shape[d],
        dimension: broadcast.broadcast_dimensions[d],
    })
}

impl PerFeature {
    fn line(self, b: &mut Builder<'_>) -> Step {
        Ok(b.reshape(self.source, &[self.count])?)
    }

    fn spread(self, b: &mut Builder<'_>, line: ValueId, like: ValueId) -> Step {
        let shape = b.tensor(like)?.shape.clone();
        Ok(b.broadcast_in_dim(line, &shape, &[self.dimension])?)
    }
}

/// The operands of a value that this operation computes.
fn parts(func: &Func, v: ValueId, want: BinaryOp) -> Option<[ValueId; 2]> {
    let op = func.op(func.def(v)?);
    matches!(op.kind, OpKind::Binary(kind) if kind == want).then(|| [op.operands[0], op.operands[1]])
}

fn rewrite(b: &mut Builder<'_>, op: OpId) -> Rewrite {
    let OpKind::Binary(kind @ (BinaryOp::Multiply | BinaryOp::Add)) = b.func.op(op).kind else {
        return Ok(None);
    };
    if !b.tensor(b.func.result(op))?.dtype.is_float() {
        return Ok(None);
    }
    let o = operands(b, op);
    // What was computed last first: there the other operand is known already.
    let pairs = if o[0].index() >= o[1].index() {
        [(o[0], o[1]), (o[1], o[0])]
    } else {
        [(o[1], o[0]), (o[0], o[1])]
    };
    for (inner, other) in pairs {
        let done = match kind {
            BinaryOp::Multiply => scale_difference(b, inner, other)?,
            _ => add_to_affine(b, inner, other)?,
        };
        if let Some(value) = done {
            return Ok(Some(vec![value]));
        }
    }
    Ok(None)
}

/// `(x - m) * s`.
fn scale_difference(b: &mut Builder<'_>, difference: ValueId, s: ValueId) -> Step<Option<ValueId>> {
    let Some([x, m]) = parts(b.func, difference, BinaryOp::Subtract) else {
        return Ok(None);
    };
    let (Some(scale), Some(mean), None) = (per_feature(b.func, s), per_feature(b.func, m), per_feature(b.func, x))
    else {
        return Ok(None);
    };
    if scale.dimension != mean.dimension {
        return Ok(None);
    }
    let (mean, line) = (mean.line(b)?, scale.line(b)?);
    let shift = b.mul(mean, line)?;
    let shift = b.unary(UnaryOp::Negate, shift)?;
    let shift = scale.spread(b, shift, x)?;
    let scaled = b.mul(x, s)?;
    Ok(Some(b.add(scaled, shift)?))
}

/// `(x * s + t) + other`.
fn add_to_affine(b: &mut Builder<'_>, affine: ValueId, other: ValueId) -> Step<Option<ValueId>> {
    let Some([scaled, t]) = parts(b.func, affine, BinaryOp::Add) else {
        return Ok(None);
    };
    let is_scaled = parts(b.func, scaled, BinaryOp::Multiply)
        .is_some_and(|[x, s]| per_feature(b.func, s).is_some() && per_feature(b.func, x).is_none());
    let Some(shift) = per_feature(b.func, t).filter(|_| is_scaled) else {
        return Ok(None);
    };
    let Some(more) = per_feature(b.func, other) else {
        let sum = b.add(scaled, other)?;
        return Ok(Some(b.add(sum, t)?));
    };
    if more.dimension != shift.dimension {
        return Ok(None);
    }
    let (first, second) = (shift.line(b)?, more.line(b)?);
    let sum = b.add(first, second)?;
    let sum = shift.spread(b, sum, scaled)?;
    Ok(Some(b.add(scaled, sum)?))
}
