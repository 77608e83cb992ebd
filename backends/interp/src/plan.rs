//! Lifetimes of a function's values: which are used for the last time by which operation.

use ferrite_ir::hlo::{Func, OpId, RegionId, ValueDef, ValueId};

/// A value that an operation uses last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Death {
    pub value: ValueId,
    /// Whether the operation uses it as an operand only, so that it may be moved into it.
    pub movable: bool,
}

/// Lifetimes of one function.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Per operation of the arena.
    pub deaths: Vec<Vec<Death>>,
    /// Region that defines each value.
    pub home: Vec<RegionId>,
}

impl Plan {
    pub(crate) fn new(func: &Func) -> Plan {
        // Where every region and operation hangs.
        let mut region_of_op = vec![func.body(); func.op_count()];
        let mut owner: Vec<(RegionId, OpId)> = Vec::new();
        let mut order = Vec::new();
        let mut stack = vec![func.body()];
        while let Some(region) = stack.pop() {
            order.push(region);
            for &op in &func.region(region).ops {
                region_of_op[op.index()] = region;
                for &inner in &func.op(op).regions {
                    owner.push((inner, op));
                    stack.push(inner);
                }
            }
        }
        owner.sort_by_key(|o| o.0);
        let owner_of = |region: RegionId| owner.binary_search_by_key(&region, |o| o.0).ok().map(|i| owner[i].1);
        let home: Vec<RegionId> = (0..func.value_count())
            .map(|v| match func.value(ValueId(v as u32)).def {
                ValueDef::Arg(region, _) => region,
                ValueDef::Result(op, _) => region_of_op[op.index()],
            })
            .collect();
        let mut position = vec![0usize; func.op_count()];
        for &region in &order {
            for (i, &op) in func.region(region).ops.iter().enumerate() {
                position[op.index()] = i;
            }
        }
        // Last use within the home region: the operation there that uses the value, itself or in its regions.
        let mut last: Vec<Option<(OpId, bool)>> = vec![None; func.value_count()];
        let mut escapes = vec![false; func.value_count()];
        let mut note = |v: ValueId, mut op: Option<OpId>, mut region: RegionId| {
            let mut direct = true;
            while region != home[v.index()] {
                op = owner_of(region);
                let Some(o) = op else { return };
                region = region_of_op[o.index()];
                direct = false;
            }
            let Some(op) = op else {
                escapes[v.index()] = true;
                return;
            };
            let entry = last[v.index()].get_or_insert((op, direct));
            if position[op.index()] > position[entry.0.index()] {
                *entry = (op, direct);
            } else if op == entry.0 {
                entry.1 &= direct;
            }
        };
        for &region in &order {
            for &op in &func.region(region).ops {
                for &v in &func.op(op).operands {
                    note(v, Some(op), region);
                }
            }
            for &v in &func.region(region).results {
                note(v, None, region);
            }
        }
        let mut deaths = vec![Vec::new(); func.op_count()];
        for v in 0..func.value_count() {
            if let (Some((op, movable)), false) = (last[v], escapes[v]) {
                deaths[op.index()].push(Death {
                    value: ValueId(v as u32),
                    movable,
                });
            }
        }
        Plan { deaths, home }
    }
}
