//! Scales the smaller side of a contraction.
//!
//! ```text
//! Before                                              After
//!   %s = dot_general %q, %k    : [queries, keys]        %0 = multiply %q, 0.125
//!   %t = multiply %s, 0.125                             %t = dot_general %0, %k
//!
//!   %e = exponential (%t - max %t)                      %0 = dot_general %e, %v
//!   %p = divide %e, broadcast (sum %e)                  %o = divide %0, broadcast (sum %e)
//!   %o = dot_general %p, %v    : [queries, features]
//! ```
//!
//! The scores of attention are by far its largest values: what is done to rows of them, or to all of them, is cheaper on
//! either side. A factor moves to an operand only if that is exact (a power of two), or in fp32 one rounding of another
//! value. A division moves behind the contraction only for softmax, whose numerators lie between 0 and 1: nothing overflows
//! that did not before.
//!
//! Needs: verified `hlo`. Leaves: verified `hlo`. Never: duplicates a contraction or an exponential.

use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{
    BinaryOp, Builder, DotGeneral, Func, Module, OpId, OpKind, TensorType, UnaryOp, ValueId, Violation,
};
use ferrite_ir::literal::Literal;

use super::hoist_scalars::{number, read_once};
use super::rewrite::{Rewrite, rewrite_module_knowing};
use crate::lower::fuse::reducer;
use crate::pass::{Changed, HloPass, PassContext};

/// See the module's own text.
pub struct ScaleContractions;

/// A factor of more than this many powers of two could leave the range of a dtype (our choice: attention's are small).
const MAX_EXPONENT: i32 = 16;

/// A division moves where it has at most one of so many elements to divide. The divisors may have to cross partitions for it,
/// which costs about as much as dividing a few hundred columns (our choice, from simulated attention layers).
const MIN_GAIN: usize = 8;

impl HloPass for ScaleContractions {
    const NAME: &'static str = "scale-contractions";
    const DOC: &'static str =
        "Moves factors and softmax's division from the scores of attention to the smaller values beside them.";

    fn run(&self, module: &mut Module, _: &mut PassContext<'_>) -> Result<Changed> {
        rewrite_module_knowing(
            module,
            |_| false,
            Func::use_counts,
            |uses, b, op| {
                let done = match b.func.op(op).kind {
                    OpKind::Binary(BinaryOp::Multiply | BinaryOp::Divide) => factor_before(uses, b, op),
                    OpKind::DotGeneral(_) => division_behind(uses, b, op),
                    _ => Ok(None),
                };
                match done {
                    Ok(value) => Ok(value.map_or(Rewrite::Keep, Rewrite::from)),
                    Err(v) => Err(Diagnostic::bug(format!(
                        "`{}` built an invalid operation: {v}",
                        Self::NAME
                    ))),
                }
            },
        )
    }
}

type Found = std::result::Result<Option<ValueId>, Violation>;

/// The exponent of a power of two.
fn exponent(x: f64) -> Option<i32> {
    let exponent = x.abs().log2();
    (x.is_finite() && x != 0.0 && exponent.fract() == 0.0 && exponent.abs() <= f64::from(MAX_EXPONENT))
        .then_some(exponent as i32)
}

/// `multiply (dot a b), number`: the factor goes to the smaller operand.
fn factor_before(uses: &[u32], b: &mut Builder<'_>, id: OpId) -> Found {
    let op = b.func.op(id).clone();
    let (Some(&x), Some(&y)) = (op.operands.first(), op.operands.get(1)) else {
        return Ok(None);
    };
    let divides = matches!(op.kind, OpKind::Binary(BinaryOp::Divide));
    let splat = |v| number(b.func, v).and_then(Literal::splat_value);
    let (dot, factor) = match (splat(x), splat(y)) {
        (None, Some(f)) if divides => (x, 1.0 / f),
        (None, Some(f)) => (x, f),
        (Some(f), None) if !divides => (y, f),
        _ => return Ok(None),
    };
    let Some(def) = b.func.def(dot) else { return Ok(None) };
    let OpKind::DotGeneral(DotGeneral { algorithm: None, .. }) = b.func.op(def).kind else {
        return Ok(None);
    };
    let result = b.tensor(dot)?.clone();
    let operands = b.func.op(def).operands.clone();
    let [l, r] = operands[..] else { return Ok(None) };
    let (lt, rt) = (b.tensor(l)?.clone(), b.tensor(r)?.clone());
    let side = usize::from(rt.element_count() < lt.element_count());
    let (mut small, mut ty) = if side == 0 { (l, lt) } else { (r, rt) };
    let narrowed = ty.clone();
    // Before it is narrowed, where that is done for this contraction alone.
    if let (Some(OpKind::Convert), Some(def)) = (b.func.def_kind(small), b.func.def(small))
        && read_once(uses, small)
        && b.tensor(b.func.op(def).operands[0])?.dtype == DType::F32
    {
        small = b.func.op(def).operands[0];
        ty = b.tensor(small)?.clone();
    }
    let wide_enough = |d: DType| matches!(d, DType::F32 | DType::BF16);
    let exact =
        exponent(factor).is_some() || (ty.dtype == DType::F32 && !divides && factor.is_finite() && factor != 0.0);
    let worth = ty.element_count() * 4 <= result.element_count();
    // What comes from the caller would be copied for it.
    let computed = b
        .func
        .def_kind(small)
        .is_some_and(|k| !matches!(k, OpKind::Constant(_)));
    let legal = wide_enough(result.dtype) && wide_enough(ty.dtype) && read_once(uses, dot) && l != r;
    if !exact || !worth || !computed || !legal {
        return Ok(None);
    }
    let factor = b.constant(Literal::splat_f64(ty.clone(), factor));
    let mut scaled = b.op1(OpKind::Binary(BinaryOp::Multiply), &[small, factor])?;
    if ty.dtype != narrowed.dtype {
        scaled = b.op1_as(OpKind::Convert, &[scaled], narrowed)?;
    }
    let mut operands = operands.to_vec();
    operands[side] = scaled;
    let kind = b.func.op(def).kind.clone();
    Ok(Some(b.op1_as(kind, &operands, result)?))
}

/// Whether `denominator` is constant along the dimensions `summed` of its broadcast: its source and the dimensions it has.
fn per_row(func: &Func, v: ValueId, summed: &[i64]) -> Option<(ValueId, Vec<i64>)> {
    let op = func.op(func.def(v)?);
    let OpKind::BroadcastInDim(broadcast) = &op.kind else {
        return None;
    };
    let source = op.operands[0];
    let shape = &func.tensor(source).shape;
    let dims = broadcast.broadcast_dimensions.to_vec();
    let varies = |(&d, &extent): (&i64, &i64)| summed.contains(&d) && extent != 1;
    (!dims.iter().zip(shape.iter()).any(varies)).then_some((source, dims))
}

/// Follows views, conversions and a maximum with a number back to a reduction by maximum.
fn is_row_maximum(func: &Func, mut v: ValueId) -> bool {
    for _ in 0..8 {
        let Some(def) = func.def(v) else { return false };
        let op = func.op(def);
        v = match &op.kind {
            OpKind::Reduce(_) => return reducer(func, def) == Some(BinaryOp::Maximum),
            OpKind::BroadcastInDim(_) | OpKind::Reshape | OpKind::Convert => op.operands[0],
            OpKind::Binary(BinaryOp::Maximum) if number(func, op.operands[0]).is_some() => op.operands[1],
            OpKind::Binary(BinaryOp::Maximum) if number(func, op.operands[1]).is_some() => op.operands[0],
            _ => return false,
        };
    }
    false
}

/// `dot (divide e, broadcast s), v`, where `e` is the numerator of a softmax: the division goes behind.
fn division_behind(uses: &[u32], b: &mut Builder<'_>, id: OpId) -> Found {
    let op = b.func.op(id).clone();
    let OpKind::DotGeneral(dot) = &op.kind else {
        return Ok(None);
    };
    let result = b.tensor(b.func.result(id))?.clone();
    for side in 0..2 {
        let Some(&operand) = op.operands.get(side) else {
            continue;
        };
        let ty = b.tensor(operand)?.clone();
        if !ty.dtype.is_float() || result.element_count() * MIN_GAIN > ty.element_count() {
            continue;
        }
        let mut at = operand;
        let mut converts = false;
        if let (Some(OpKind::Convert), Some(def)) = (b.func.def_kind(at), b.func.def(at))
            && read_once(uses, at)
        {
            at = b.func.op(def).operands[0];
            converts = true;
        }
        let Some(def) = b.func.def(at) else { continue };
        if !matches!(b.func.op(def).kind, OpKind::Binary(BinaryOp::Divide)) || !read_once(uses, at) {
            continue;
        }
        let [numerator, denominator] = b.func.op(def).operands[..] else {
            continue;
        };
        if !is_softmax_numerator(b.func, numerator) {
            continue;
        }
        let d = &dot.dims;
        let rank = ty.rank();
        let (batching, contracting, free) = if side == 0 {
            (&d.lhs_batching, &d.lhs_contracting, d.lhs_free(rank))
        } else {
            (&d.rhs_batching, &d.rhs_contracting, d.rhs_free(rank))
        };
        let Some((source, dims)) = per_row(b.func, denominator, contracting) else {
            continue;
        };
        // Where each dimension of the operand is in the result.
        let lhs_free = d.lhs_free(b.tensor(op.operands[0])?.rank()).len();
        let first = batching.len() + if side == 0 { 0 } else { lhs_free };
        let place = |dim: i64| {
            let batch = batching.iter().position(|&x| x == dim);
            let free = free.iter().position(|&x| x == dim).map(|i| i + first);
            batch.or(free).map(|i| i as i64)
        };
        // Summed dimensions have one element: without them.
        let mut kept = Vec::new();
        let mut shape = Vec::new();
        for (&dim, &extent) in dims.iter().zip(b.tensor(source)?.shape.clone().iter()) {
            if let Some(p) = place(dim) {
                kept.push(p);
                shape.push(extent);
            }
        }
        // A broadcast's dimensions may stand in any order here, as in the operand.
        let dtype = b.tensor(source)?.dtype;
        let mut rows = b.op1_as(OpKind::Reshape, &[source], TensorType::new(dtype, &shape))?;
        if dtype != result.dtype {
            rows = b.op1_as(OpKind::Convert, &[rows], TensorType::new(result.dtype, &shape))?;
        }
        let rows = b.broadcast_in_dim(rows, &result.shape, &kept)?;
        let mut unscaled = numerator;
        if converts {
            unscaled = b.op1_as(OpKind::Convert, &[numerator], ty.clone())?;
        }
        let mut operands = op.operands.to_vec();
        operands[side] = unscaled;
        let product = b.op1_as(op.kind.clone(), &operands, result)?;
        return Ok(Some(b.op1(OpKind::Binary(BinaryOp::Divide), &[product, rows])?));
    }
    Ok(None)
}

/// Whether a value is `exp(x - max x)`, up to conversions.
fn is_softmax_numerator(func: &Func, mut v: ValueId) -> bool {
    while let (Some(OpKind::Convert), Some(def)) = (func.def_kind(v), func.def(v)) {
        v = func.op(def).operands[0];
    }
    let Some(exponential) = func.def(v) else { return false };
    if !matches!(func.op(exponential).kind, OpKind::Unary(UnaryOp::Exponential)) {
        return false;
    }
    let mut x = func.op(exponential).operands[0];
    while let (Some(OpKind::Convert), Some(def)) = (func.def_kind(x), func.def(x)) {
        x = func.op(def).operands[0];
    }
    let Some(difference) = func.def(x) else { return false };
    let op = func.op(difference);
    matches!(op.kind, OpKind::Binary(BinaryOp::Subtract)) && is_row_maximum(func, op.operands[1])
}
