//! Computes equal things once: common subexpression elimination.
//!
//! Before                              After
//!   %1 = add %0, %0                     %1 = add %0, %0
//!   %2 = add %0, %0                     %3 = multiply %1, %1
//!   %3 = multiply %1, %2
//!
//! Needs: verified `hlo`. Leaves: verified `hlo`.
//! Never: merges operations with effects, or moves one; an operation inside a region may be replaced by an equal one
//! before the operation that owns the region, not the reverse.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use ferrite_ir::diag::Result;
use ferrite_ir::hlo::{Func, Module, OpId, OpKind, RegionId, ValueId};

use super::remove_dead_ops::is_pure;
use crate::pass::{Changed, HloPass, PassContext};

/// Bytes of a constant that take part in its hash; all take part in the comparison.
const HASHED_BYTES: usize = 256;

/// See the module's own text.
pub struct MergeEqualOps;

impl HloPass for MergeEqualOps {
    const NAME: &'static str = "merge-equal-ops";
    const DOC: &'static str =
        "Computes equal things once: operations of the same kind on the same operands, regions included.";

    fn run(&self, module: &mut Module, _: &mut PassContext<'_>) -> Result<Changed> {
        let mut changed = false;
        for func in &mut module.funcs {
            let mut merger = Merger {
                replaced: (0..func.value_count() as u32).map(ValueId).collect(),
                known: HashMap::new(),
                changed: false,
            };
            merger.region(func, func.body());
            changed |= merger.changed;
        }
        Ok(Changed::from_bool(changed))
    }
}

struct Merger {
    replaced: Vec<ValueId>,
    /// Operations visible here, by hash. Only looked up, never iterated.
    known: HashMap<u64, Vec<OpId>>,
    changed: bool,
}

impl Merger {
    fn region(&mut self, func: &mut Func, region: RegionId) {
        let mut added = Vec::new();
        let mut kept = Vec::new();
        for op in std::mem::take(&mut func.region_mut(region).ops) {
            for i in 0..func.op(op).operands.len() {
                let v = func.op(op).operands[i];
                func.op_mut(op).operands[i] = self.replaced[v.index()];
            }
            for inner in func.op(op).regions.clone() {
                self.region(func, inner);
            }
            if !is_pure(func, op) || func.op(op).results.is_empty() {
                kept.push(op);
                continue;
            }
            let hash = hash_op(func, op);
            let candidates = self.known.entry(hash).or_default();
            match candidates.iter().find(|&&other| equal_ops(func, other, op, &[])) {
                Some(&other) => {
                    self.changed = true;
                    for (a, b) in func.op(op).results.iter().zip(&func.op(other).results) {
                        self.replaced[a.index()] = *b;
                    }
                }
                None => {
                    candidates.push(op);
                    added.push(hash);
                    kept.push(op);
                }
            }
        }
        func.region_mut(region).ops = kept;
        for i in 0..func.region(region).results.len() {
            let v = func.region(region).results[i];
            func.region_mut(region).results[i] = self.replaced[v.index()];
        }
        // What a region defines is not visible after it. Each hash was pushed last to its list.
        for hash in added {
            if let Some(list) = self.known.get_mut(&hash) {
                list.pop();
            }
        }
    }
}

fn hash_op(func: &Func, op: OpId) -> u64 {
    let op = func.op(op);
    let mut h = DefaultHasher::new();
    op.kind.mnemonic().hash(&mut h);
    op.operands.hash(&mut h);
    for &r in &op.results {
        func.ty(r).hash(&mut h);
    }
    match &op.kind {
        OpKind::Constant(literal) => {
            let bytes = literal.raw();
            bytes.len().hash(&mut h);
            bytes[..bytes.len().min(HASHED_BYTES)].hash(&mut h);
        }
        OpKind::Slice(slice) => slice.hash(&mut h),
        OpKind::Compare(compare) => compare.hash(&mut h),
        OpKind::BroadcastInDim(b) => b.hash(&mut h),
        _ => {}
    }
    h.finish()
}

/// Whether two operations compute the same. `pairs` are values that stand for one another inside regions.
pub(crate) fn equal_ops(func: &Func, a: OpId, b: OpId, pairs: &[(ValueId, ValueId)]) -> bool {
    let (x, y) = (func.op(a), func.op(b));
    x.kind == y.kind
        && x.attrs == y.attrs
        && equal_values(&x.operands, &y.operands, pairs)
        && x.results.len() == y.results.len()
        && x.results
            .iter()
            .zip(&y.results)
            .all(|(&a, &b)| func.ty(a) == func.ty(b))
        && x.regions.len() == y.regions.len()
        && x.regions
            .iter()
            .zip(&y.regions)
            .all(|(&a, &b)| equal_regions(func, a, b, pairs))
}

fn equal_values(a: &[ValueId], b: &[ValueId], pairs: &[(ValueId, ValueId)]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| a == b || pairs.contains(&(a, b)))
}

fn equal_regions(func: &Func, a: RegionId, b: RegionId, outer: &[(ValueId, ValueId)]) -> bool {
    let (x, y) = (func.region(a), func.region(b));
    // Large bodies are compared in quadratic time; they are loops, which rarely repeat.
    const MAX_OPS: usize = 64;
    if x.args.len() != y.args.len() || x.ops.len() != y.ops.len() || x.ops.len() > MAX_OPS {
        return false;
    }
    let mut pairs = outer.to_vec();
    for (&p, &q) in x.args.iter().zip(&y.args) {
        if func.ty(p) != func.ty(q) {
            return false;
        }
        pairs.push((p, q));
    }
    for (&p, &q) in x.ops.iter().zip(&y.ops) {
        if !equal_ops(func, p, q, &pairs) {
            return false;
        }
        pairs.extend(
            func.op(p)
                .results
                .iter()
                .copied()
                .zip(func.op(q).results.iter().copied()),
        );
    }
    equal_values(&x.results, &y.results, &pairs)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{module, ops, run};
    use super::*;
    use ferrite_ir::dtype::DType;
    use ferrite_ir::hlo::BinaryOp;

    #[test]
    fn equal_reductions_merge_and_different_ones_do_not() -> Result<()> {
        let mut m = module(&[(DType::F32, &[4, 4])], |b, args| {
            let x = b.reduce(BinaryOp::Add, args[0], &[0])?;
            let y = b.reduce(BinaryOp::Add, args[0], &[0])?;
            let z = b.reduce(BinaryOp::Multiply, args[0], &[0])?;
            Ok(vec![x, y, z])
        });
        assert_eq!(run(MergeEqualOps, &mut m)?, Changed::Yes);
        assert_eq!(ops(&m), ["constant", "reduce", "constant", "reduce"]);
        Ok(())
    }

    #[test]
    fn constants_differ_by_their_bytes() -> Result<()> {
        let mut m = module(&[], |b, _| {
            let ty = ferrite_ir::hlo::TensorType::new(DType::F32, &[2]);
            Ok(vec![
                b.constant_f(ty.clone(), 0.0),
                b.constant_f(ty.clone(), -0.0),
                b.constant_f(ty, 0.0),
            ])
        });
        run(MergeEqualOps, &mut m)?;
        assert_eq!(ops(&m), ["constant", "constant"]);
        Ok(())
    }
}
