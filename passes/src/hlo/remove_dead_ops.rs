//! Removes operations whose results nobody needs, and functions that nobody calls.
//!
//! Before                              After
//!   %1 = add %0, %0                     return %0
//!   return %0
//!
//! Needs: verified `hlo`. Leaves: verified `hlo`, arenas without gaps.
//! Never: removes an operation with an effect, the entry function or a public one.

use std::collections::BTreeSet;

use ferrite_ir::diag::Result;
use ferrite_ir::hlo::verify::callees;
use ferrite_ir::hlo::{Effect, Func, Module, OpId, RegionId};

use crate::pass::{Changed, HloPass, PassContext};

/// See the module's own text.
pub struct RemoveDeadOps;

impl HloPass for RemoveDeadOps {
    const NAME: &'static str = "remove-dead-ops";
    const DOC: &'static str =
        "Removes operations without effects whose results nobody needs, and functions that nobody calls.";

    fn run(&self, module: &mut Module, _: &mut PassContext<'_>) -> Result<Changed> {
        let mut changed = remove_dead_functions(module);
        for func in &mut module.funcs {
            let before = func.op_count();
            remove_dead_ops(func);
            func.compact();
            changed |= func.op_count() != before;
        }
        Ok(Changed::from_bool(changed))
    }
}

/// Drops private functions that the entry and the public ones do not reach.
pub(crate) fn remove_dead_functions(module: &mut Module) -> bool {
    let entry = module.entry().map(|id| id.0 as usize);
    let mut keep: BTreeSet<usize> = (0..module.funcs.len())
        .filter(|&i| module.funcs[i].public || Some(i) == entry || entry.is_none())
        .collect();
    let mut work: Vec<usize> = keep.iter().copied().collect();
    while let Some(i) = work.pop() {
        let func = &module.funcs[i];
        let mut found = Vec::new();
        func.walk(func.body(), &mut |func, op| {
            found.extend(callees(&func.op(op).kind).iter().filter_map(|name| module.find(name)));
        });
        work.extend(found.into_iter().map(|id| id.0 as usize).filter(|&id| keep.insert(id)));
    }
    let before = module.funcs.len();
    let mut index = 0;
    module.funcs.retain(|_| {
        index += 1;
        keep.contains(&(index - 1))
    });
    module.funcs.len() != before
}

/// Whether an operation, its regions included, does nothing but compute its results.
pub(crate) fn is_pure(func: &Func, op: OpId) -> bool {
    let mut pure = func.op(op).kind.effect() == Effect::Pure;
    for &region in &func.op(op).regions {
        func.walk(region, &mut |func, inner| {
            pure &= func.op(inner).kind.effect() == Effect::Pure
        });
    }
    pure
}

fn remove_dead_ops(func: &mut Func) {
    let mut live = Liveness {
        values: vec![false; func.value_count()],
        ops: vec![false; func.op_count()],
    };
    live.region(func, func.body());
    let mut regions = vec![func.body()];
    while let Some(region) = regions.pop() {
        func.region_mut(region).ops.retain(|op| live.ops[op.index()]);
        for &op in &func.region(region).ops {
            regions.extend(func.op(op).regions.iter().copied());
        }
    }
}

struct Liveness {
    values: Vec<bool>,
    ops: Vec<bool>,
}

impl Liveness {
    /// Marks what a region that is executed needs: its results and its effects, backwards.
    fn region(&mut self, func: &Func, region: RegionId) {
        for &v in &func.region(region).results {
            self.values[v.index()] = true;
        }
        for &op in func.region(region).ops.iter().rev() {
            let needed = func.op(op).results.iter().any(|v| self.values[v.index()]) || !is_pure(func, op);
            if !needed {
                continue;
            }
            self.ops[op.index()] = true;
            for &v in &func.op(op).operands {
                self.values[v.index()] = true;
            }
            for &inner in &func.op(op).regions {
                self.region(func, inner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{module, ops, run};
    use super::*;
    use ferrite_ir::dtype::DType;
    use ferrite_ir::hlo::{OpKind, Rng, RngDistribution, TensorType};

    #[test]
    fn unused_chains_disappear_and_effects_stay() -> Result<()> {
        let mut m = module(&[(DType::F32, &[4])], |b, args| {
            let x = b.add(args[0], args[0])?;
            b.mul(x, x)?;
            let zero = b.constant_f(TensorType::scalar(DType::F32), 0.0);
            let shape = b.constant_i(TensorType::new(DType::I64, &[1]), 4);
            let rng = OpKind::Rng(Rng {
                distribution: RngDistribution::Uniform,
            });
            b.op1_as(rng, &[zero, zero, shape], TensorType::new(DType::F32, &[4]))?;
            Ok(vec![args[0]])
        });
        assert_eq!(run(RemoveDeadOps, &mut m)?, Changed::Yes);
        assert_eq!(ops(&m), ["constant", "constant", "rng"]);
        assert_eq!(run(RemoveDeadOps, &mut m)?, Changed::No);
        Ok(())
    }
}
