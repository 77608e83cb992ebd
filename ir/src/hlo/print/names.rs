//! Names of values, chosen as MLIR's printer chooses them.
//!
//! Arguments are `%arg0`, `%arg1`, ..., results `%0`, `%1`, ...; constants are `%c` and `%cst`, the arguments of loops
//! `%iterArg`, made unique by a number. A region's values are named before those of the regions inside it, and sibling
//! regions may use the same names.

use std::collections::HashSet;

use super::super::func::{Func, RegionId, ValueId};
use super::super::ops::OpKind;
use super::super::types::Type;

/// Names of all values of a function.
pub(super) struct Names {
    /// Name and number within the group of results, by value.
    names: Vec<(String, u32)>,
}

#[derive(Clone, Copy)]
struct Counters {
    value: u32,
    argument: u32,
    conflict: u32,
}

struct Task {
    region: RegionId,
    counters: Counters,
    is_loop: bool,
    /// Number of entries of `used` to keep: those of the regions around.
    around: usize,
}

impl Names {
    pub(super) fn new(func: &Func) -> Self {
        let mut names = Names {
            names: vec![(String::new(), 0); func.value_count()],
        };
        let mut used: Vec<String> = Vec::new();
        let mut taken: HashSet<String> = HashSet::new();
        let counters = Counters {
            value: 0,
            argument: 0,
            conflict: 0,
        };
        let mut tasks = vec![Task {
            region: func.body(),
            counters,
            is_loop: false,
            around: 0,
        }];
        while let Some(task) = tasks.pop() {
            for name in used.drain(task.around..) {
                taken.remove(&name);
            }
            let mut counters = task.counters;
            let region = func.region(task.region);
            let mut unique = |base: &str, counters: &mut Counters| {
                let mut name = base.to_string();
                while taken.contains(&name) {
                    name = format!("{base}_{}", counters.conflict);
                    counters.conflict += 1;
                }
                taken.insert(name.clone());
                used.push(name.clone());
                name
            };
            for &argument in &region.args {
                names.names[argument.index()].0 = if task.is_loop {
                    unique("iterArg", &mut counters)
                } else {
                    counters.argument += 1;
                    format!("arg{}", counters.argument - 1)
                };
            }
            for &id in &region.ops {
                let op = func.op(id);
                let Some(&first) = op.results.first() else { continue };
                let own: &[&str] = match (&op.kind, func.ty(first)) {
                    (OpKind::Constant(_), Type::Tensor(ty)) if ty.dtype.is_float() || ty.dtype.is_complex() => &["cst"],
                    (OpKind::Constant(_), _) => &["c"],
                    (OpKind::TopK(_), _) => &["values", "indices"],
                    (OpKind::RngBitGenerator(_), _) => &["output_state", "output"],
                    _ => &[],
                };
                if own.len() == op.results.len() {
                    for (base, &result) in own.iter().zip(&op.results) {
                        names.names[result.index()].0 = unique(base, &mut counters);
                    }
                    continue;
                }
                let name = counters.value.to_string();
                counters.value += 1;
                for (number, &result) in op.results.iter().enumerate() {
                    names.names[result.index()] = (name.clone(), number as u32);
                }
            }
            let around = used.len();
            for &id in region.ops.iter().rev() {
                let op = func.op(id);
                let is_loop = matches!(op.kind, OpKind::While);
                for &region in op.regions.iter().rev() {
                    tasks.push(Task {
                        region,
                        counters,
                        is_loop,
                        around,
                    });
                }
            }
        }
        names
    }

    /// Name of the group of results that a value is in, without `%`.
    pub(super) fn name(&self, value: ValueId) -> &str {
        self.names.get(value.index()).map_or("", |(name, _)| name)
    }

    /// Number of a value within its group.
    pub(super) fn number(&self, value: ValueId) -> u32 {
        self.names.get(value.index()).map_or(0, |(_, number)| *number)
    }
}
