//! Bodies of reducers, comparators and maps: recognised as one operation, or applied to whole tensors at once.

use std::collections::HashMap;

use ferrite_ir::hlo::{BinaryOp, BroadcastInDim, Builder, Func, OpId, OpKind, RegionId, TensorType, Type, ValueId};
use ferrite_ir::literal::Literal;

use super::rewrite::{Step, refuse};

/// The commutative binary operation that a two-argument region consists of, whatever the order of its operands.
pub(crate) fn single_reducer(func: &Func, region: RegionId) -> Option<BinaryOp> {
    let r = func.region(region);
    let ([x, y], [op], [result]) = (&r.args[..], &r.ops[..], &r.results[..]) else {
        return None;
    };
    let op = func.op(*op);
    let OpKind::Binary(binary) = op.kind else { return None };
    let args = op.operands[..] == [*x, *y] || op.operands[..] == [*y, *x];
    (args && binary.is_commutative() && op.results[0] == *result).then_some(binary)
}

/// Whether a region returns its arguments number `which`, in order, and nothing else.
pub(crate) fn returns_args(func: &Func, region: RegionId, which: &[usize]) -> bool {
    let r = func.region(region);
    r.results.len() == which.len()
        && r.results
            .iter()
            .zip(which)
            .all(|(v, &i)| r.args.get(i).is_some_and(|a| a == v))
}

/// A region of one binary operation on scalars of the type `scalar`.
pub(crate) fn reducer_region(b: &mut Builder<'_>, op: BinaryOp, scalar: TensorType) -> Step<RegionId> {
    let scalar = Type::from(scalar);
    Ok(b.add_region(&[scalar.clone(), scalar], |b, args| {
        b.binary(op, args[0], args[1]).map(|v| vec![v])
    })?)
}

/// Applies the scalar computation of `region` to whole tensors: `args` have one shape, and so have the results.
/// Captured scalars are broadcast. Branches inside are evaluated both and selected.
///
/// # Errors
/// Operations that are not element by element (loops, calls, tensors of rank above 0).
pub(crate) fn apply_body(b: &mut Builder<'_>, region: RegionId, args: &[ValueId], shape: &[i64]) -> Step<Vec<ValueId>> {
    let mut map = HashMap::new();
    let params = b.func.region(region).args.clone();
    for (param, &arg) in params.into_iter().zip(args) {
        // The region may compute in a wider type than the operands have.
        let dtype = b.func.tensor(param).dtype;
        let arg = b.convert(arg, dtype)?;
        map.insert(param, arg);
    }
    inline_region(b, region, shape, &mut map, 0)
}

/// Nesting of branches inside bodies that is looked into: our choice, far above what frameworks write.
const MAX_BRANCH_DEPTH: usize = 16;

fn inline_region(
    b: &mut Builder<'_>,
    region: RegionId,
    shape: &[i64],
    map: &mut HashMap<ValueId, ValueId>,
    depth: usize,
) -> Step<Vec<ValueId>> {
    for id in b.func.region(region).ops.clone() {
        let results = inline_op(b, id, shape, map, depth)?;
        for (old, new) in b.func.op(id).results.clone().into_iter().zip(results) {
            map.insert(old, new);
        }
    }
    let results = b.func.region(region).results.clone();
    results.into_iter().map(|v| mapped(b, v, shape, map)).collect()
}

/// The tensor that stands for a scalar of the region: computed inside, or captured and then broadcast once.
fn mapped(b: &mut Builder<'_>, v: ValueId, shape: &[i64], map: &mut HashMap<ValueId, ValueId>) -> Step {
    if let Some(&new) = map.get(&v) {
        return Ok(new);
    }
    let new = b.broadcast_in_dim(v, shape, &[])?;
    map.insert(v, new);
    Ok(new)
}

fn inline_op(
    b: &mut Builder<'_>,
    id: OpId,
    shape: &[i64],
    map: &mut HashMap<ValueId, ValueId>,
    depth: usize,
) -> Step<Vec<ValueId>> {
    let op = b.func.op(id).clone();
    let scalar_results = op
        .results
        .iter()
        .all(|&r| b.func.ty(r).tensor().is_some_and(|t| t.rank() == 0));
    if !scalar_results {
        return Err(not_elementwise(&op.kind));
    }
    let types: Vec<Type> = op
        .results
        .iter()
        .map(|&r| TensorType::new(b.func.tensor(r).dtype, shape).into())
        .collect();
    match &op.kind {
        OpKind::Constant(literal) => {
            let ty = TensorType::new(literal.ty().dtype, shape);
            let splat = Literal::splat(ty, literal.element(0)).ok_or_else(|| not_elementwise(&op.kind))?;
            Ok(vec![b.constant(splat)])
        }
        OpKind::Unary(_)
        | OpKind::Binary(_)
        | OpKind::Compare(_)
        | OpKind::Select
        | OpKind::Clamp
        | OpKind::Convert
        | OpKind::BitcastConvert
        | OpKind::ReducePrecision(_)
        | OpKind::Complex => {
            let mut operands = Vec::with_capacity(op.operands.len());
            for &v in &op.operands {
                operands.push(mapped(b, v, shape, map)?);
            }
            Ok(b.op(op.kind, &operands, Some(&types))?)
        }
        OpKind::Reshape | OpKind::BroadcastInDim(BroadcastInDim { .. }) => {
            if b.func.tensor(op.operands[0]).rank() != 0 {
                return Err(not_elementwise(&op.kind));
            }
            Ok(vec![mapped(b, op.operands[0], shape, map)?])
        }
        OpKind::If if depth < MAX_BRANCH_DEPTH => {
            let pred = mapped(b, op.operands[0], shape, map)?;
            let yes = inline_region(b, op.regions[0], shape, map, depth + 1)?;
            let no = inline_region(b, op.regions[1], shape, map, depth + 1)?;
            let mut out = Vec::with_capacity(yes.len());
            for (y, n) in yes.into_iter().zip(no) {
                out.push(b.select(pred, y, n)?);
            }
            Ok(out)
        }
        kind => Err(not_elementwise(kind)),
    }
}

fn not_elementwise(kind: &OpKind) -> super::rewrite::Stop {
    refuse(
        format!("the body of a reduction, sort or map contains `{}`", kind.mnemonic()),
        "write the body with operations on scalars only (arithmetic, compare, select, convert)",
    )
}
