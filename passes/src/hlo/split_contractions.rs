//! Computes a contraction that is only read in slices slice by slice.
//!
//! ```text
//! Before                                              After
//!   %0 = dot_general %x, %w       : [t, 3 d]            %w0 = slice %w [0:d], ...
//!   %1 = add %0, broadcast %bias                        %0 = dot_general %x, %w0     : [t, d]
//!   %q = slice %1 [0:d]                                 %q = add %0, broadcast %bias0
//!   %k = slice %1 [d:2d]                                (and so on)
//!   %v = slice %1 [2d:3d]
//! ```
//!
//! A joint projection of queries, keys and values is one contraction whose parts have different readers: computed apart, each
//! part is scaled, narrowed and oriented as its own readers want it. Element-wise operations, reshapes and transposes
//! between the contraction and the slices are repeated for each part; no element is computed twice.
//!
//! Needs: verified static `hlo`. Leaves: verified `hlo`; `remove-dead-ops` drops the whole contraction.

use std::collections::{BTreeMap, BTreeSet};

use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::hlo::{Builder, Func, Module, OpId, OpKind, TensorType, ValueId, Violation};
use ferrite_ir::literal::Literal;

use super::rewrite::{Rewrite, rewrite_module_knowing};
use crate::lower::fuse::is_map;
use crate::pass::{Changed, HloPass, PassContext};

/// See the module's own text.
pub struct SplitContractions;

/// Rows or columns that a part must have to be worth a contraction of its own (our choice: the width of a PE array, for
/// what is narrower leaves a part of it idle).
const NARROWEST: i64 = 128;

/// Operations followed from a slice to its contraction (our choice: bounds the time).
const MAX_STEPS: usize = 64;

impl HloPass for SplitContractions {
    const NAME: &'static str = "split-contractions";
    const DOC: &'static str = "Computes a contraction that is only read in slices slice by slice.";

    fn run(&self, module: &mut Module, _: &mut PassContext<'_>) -> Result<Changed> {
        rewrite_module_knowing(
            module,
            |_| false,
            plan,
            |plan, b, op| {
                let Some(part) = plan.parts.get(&op).copied() else {
                    return Ok(Rewrite::Keep);
                };
                let done = plan.restricted(b, b.func.op(op).operands[0], part);
                done.map(Rewrite::from).map_err(|v: Violation| {
                    Diagnostic::bug(format!("`{}` built an invalid operation: {v}", Self::NAME))
                })
            },
        )
    }
}

/// Indices `start..limit` of one dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    dim: usize,
    start: i64,
    limit: i64,
}

impl Part {
    fn size(self) -> i64 {
        self.limit - self.start
    }
}

/// What is split, and what was built already.
struct Plan {
    /// The slices to replace.
    parts: BTreeMap<OpId, Part>,
    /// Operations that are computed part by part.
    split: BTreeSet<OpId>,
    built: BTreeMap<(ValueId, Part), ValueId>,
}

/// What leads from a slice to a contraction.
struct Chain {
    contraction: OpId,
    /// The part of the contraction's result.
    part: Part,
    ops: Vec<OpId>,
}

fn plan(func: &Func) -> Plan {
    let mut users: Vec<Vec<Option<OpId>>> = vec![Vec::new(); func.value_count()];
    let mut slices: Vec<OpId> = Vec::new();
    func.walk_regions(func.body(), &mut |f, region| {
        for &op in &f.region(region).ops {
            for &v in &f.op(op).operands {
                users[v.index()].push(Some(op));
            }
            if matches!(f.op(op).kind, OpKind::Slice(_)) {
                slices.push(op);
            }
        }
        for &v in &f.region(region).results {
            users[v.index()].push(None);
        }
    });
    let mut found: BTreeMap<OpId, Vec<(OpId, Chain, Part)>> = BTreeMap::new();
    for slice in slices {
        if let Some(part) = part_of(func, slice)
            && let Some(chain) = chain(func, func.op(slice).operands[0], part)
        {
            found.entry(chain.contraction).or_default().push((slice, chain, part));
        }
    }
    let mut plan = Plan {
        parts: BTreeMap::new(),
        split: BTreeSet::new(),
        built: BTreeMap::new(),
    };
    for slices in found.into_values() {
        let chains: BTreeSet<OpId> = slices.iter().flat_map(|(_, c, _)| c.ops.iter().copied()).collect();
        let ends: BTreeSet<OpId> = slices.iter().map(|(slice, ..)| *slice).collect();
        let closed = chains.iter().all(|&op| {
            let readers = &users[func.result(op).index()];
            readers
                .iter()
                .all(|user| user.is_some_and(|u| chains.contains(&u) || ends.contains(&u)))
        });
        let mut ranges: Vec<Part> = slices.iter().map(|(_, c, _)| c.part).collect();
        ranges.sort_unstable();
        ranges.dedup();
        let apart = ranges
            .windows(2)
            .all(|w| w[0].dim == w[1].dim && w[0].limit <= w[1].start);
        let wide = ranges.iter().all(|r| r.size() >= NARROWEST);
        if closed && apart && wide {
            plan.split.extend(chains);
            plan.parts
                .extend(slices.into_iter().map(|(slice, _, part)| (slice, part)));
        }
    }
    plan
}

/// The part that a slice of one dimension takes.
fn part_of(func: &Func, slice: OpId) -> Option<Part> {
    let OpKind::Slice(s) = &func.op(slice).kind else {
        return None;
    };
    let shape = &func.tensor(func.op(slice).operands[0]).shape;
    let mut cut = (0..shape.len()).filter(|&d| s.start[d] != 0 || s.limit[d] != shape[d]);
    let (dim, None) = (cut.next()?, cut.next()) else {
        return None;
    };
    s.strides.iter().all(|&n| n == 1).then_some(Part {
        dim,
        start: s.start[dim],
        limit: s.limit[dim],
    })
}

/// Follows a part of a value to the one contraction that it is made of, element by element.
fn chain(func: &Func, value: ValueId, part: Part) -> Option<Chain> {
    let (mut value, mut part) = (value, part);
    let mut ops = Vec::new();
    for _ in 0..MAX_STEPS {
        let def = func.def(value)?;
        let op = func.op(def);
        ops.push(def);
        match &op.kind {
            OpKind::DotGeneral(_) => {
                return Some(Chain {
                    contraction: def,
                    part,
                    ops,
                });
            }
            OpKind::Transpose(_) | OpKind::Reshape => {
                part = through(func, def, part)?;
                value = op.operands[0];
            }
            kind if is_map(kind) => {
                let shape = &func.tensor(value).shape;
                let mut computed = op.operands.iter().filter(|&&v| !follows(func, v));
                let (&only, None) = (computed.next()?, computed.next()) else {
                    return None;
                };
                if op.operands.iter().any(|&v| func.tensor(v).shape != *shape) {
                    return None;
                }
                value = only;
            }
            _ => return None,
        }
    }
    None
}

/// Whether a part of the value is had without computing it: it is known, or repeats something smaller.
fn follows(func: &Func, v: ValueId) -> bool {
    match func.def_kind(v) {
        Some(OpKind::Constant(literal)) => literal.is_splat(),
        Some(OpKind::BroadcastInDim(_)) => true,
        _ => false,
    }
}

/// The part of the operand of a transpose or reshape that becomes a part of its result.
fn through(func: &Func, op: OpId, part: Part) -> Option<Part> {
    let from = &func.tensor(func.op(op).operands[0]).shape;
    let to = &func.tensor(func.result(op)).shape;
    if let OpKind::Transpose(t) = &func.op(op).kind {
        return Some(Part {
            dim: t.permutation[part.dim] as usize,
            ..part
        });
    }
    if from.contains(&0) || to.contains(&0) {
        return None;
    }
    let before: i64 = to[..part.dim].iter().product();
    let mut seen = 1;
    let dim = (0..from.len()).find(|&d| {
        let here = seen == before && from[d] != 1;
        seen *= from[d];
        here
    })?;
    let (outer, inner) = (from[dim], to[part.dim]);
    let after: i64 = to[part.dim + 1..].iter().product();
    if outer % inner == 0 {
        // The dimension becomes several, of which this is the outermost.
        let each = outer / inner;
        let ends = after % each == 0 && from[dim + 1..].iter().product::<i64>() == after / each;
        return ends.then_some(Part {
            dim,
            start: part.start * each,
            limit: part.limit * each,
        });
    }
    if inner % outer == 0 {
        // It is the outermost of several that become one.
        let each = inner / outer;
        let ends = from[dim + 1..].iter().product::<i64>() == after * each;
        return (ends && part.start % each == 0 && part.limit % each == 0).then_some(Part {
            dim,
            start: part.start / each,
            limit: part.limit / each,
        });
    }
    None
}

impl Plan {
    /// Builds a part of a value.
    fn restricted(
        &mut self,
        b: &mut Builder<'_>,
        value: ValueId,
        part: Part,
    ) -> std::result::Result<ValueId, Violation> {
        if let Some(&built) = self.built.get(&(value, part)) {
            return Ok(built);
        }
        let new = self.build(b, value, part)?;
        self.built.insert((value, part), new);
        Ok(new)
    }

    fn build(&mut self, b: &mut Builder<'_>, value: ValueId, part: Part) -> std::result::Result<ValueId, Violation> {
        let ty = b.tensor(value)?.clone();
        let mut shape = ty.shape.clone();
        shape[part.dim] = part.size();
        let smaller = TensorType::new(ty.dtype, &shape);
        let Some(def) = b.func.def(value) else {
            return b.slice_dim(value, part.dim, part.start, part.size());
        };
        let op = b.func.op(def).clone();
        match &op.kind {
            OpKind::Constant(literal) if literal.is_splat() => {
                let splat = literal.splat_element().and_then(|e| Literal::splat(smaller, e));
                match splat {
                    Some(splat) => Ok(b.constant(splat)),
                    None => b.slice_dim(value, part.dim, part.start, part.size()),
                }
            }
            OpKind::BroadcastInDim(broadcast) => {
                let source = op.operands[0];
                let from = broadcast
                    .broadcast_dimensions
                    .iter()
                    .position(|&d| d as usize == part.dim);
                let source = match from {
                    Some(dim) if b.tensor(source)?.shape[dim] != 1 => {
                        b.slice_dim(source, dim, part.start, part.size())?
                    }
                    _ => source,
                };
                b.broadcast_in_dim(source, &shape, &broadcast.broadcast_dimensions)
            }
            _ if !self.split.contains(&def) => self.operand(b, value, part),
            OpKind::DotGeneral(dot) => {
                let d = &dot.dims;
                let (lhs, rhs) = (op.operands[0], op.operands[1]);
                let batch = d.lhs_batching.len();
                let lhs_free = d.lhs_free(b.tensor(lhs)?.rank());
                let rhs_free = d.rhs_free(b.tensor(rhs)?.rank());
                let at = |dim: i64| Part {
                    dim: dim as usize,
                    ..part
                };
                let (mut x, mut y) = (lhs, rhs);
                if part.dim < batch {
                    x = self.operand(b, lhs, at(d.lhs_batching[part.dim]))?;
                    y = self.operand(b, rhs, at(d.rhs_batching[part.dim]))?;
                } else if let Some(&dim) = lhs_free.get(part.dim - batch) {
                    x = self.operand(b, lhs, at(dim))?;
                } else {
                    y = self.operand(b, rhs, at(rhs_free[part.dim - batch - lhs_free.len()]))?;
                }
                b.op1_as(op.kind.clone(), &[x, y], smaller)
            }
            OpKind::Transpose(_) | OpKind::Reshape => match through(b.func, def, part) {
                Some(inner) => {
                    let source = self.restricted(b, op.operands[0], inner)?;
                    b.op1_as(op.kind.clone(), &[source], smaller)
                }
                None => b.slice_dim(value, part.dim, part.start, part.size()),
            },
            kind => {
                let mut operands = Vec::with_capacity(op.operands.len());
                for &v in &op.operands {
                    operands.push(self.restricted(b, v, part)?);
                }
                b.op1_as(kind.clone(), &operands, smaller)
            }
        }
    }

    /// A part of an operand of the contraction: a slice, before a conversion so that what is loaded is what is converted.
    fn operand(&mut self, b: &mut Builder<'_>, value: ValueId, part: Part) -> std::result::Result<ValueId, Violation> {
        let key = (value, part);
        if let Some(&built) = self.built.get(&key) {
            return Ok(built);
        }
        let converted = b
            .func
            .def(value)
            .filter(|&def| matches!(b.func.op(def).kind, OpKind::Convert))
            .map(|def| b.func.op(def).operands[0]);
        let new = match converted {
            Some(source) => {
                let dtype = b.tensor(value)?.dtype;
                let source = b.slice_dim(source, part.dim, part.start, part.size())?;
                b.convert(source, dtype)?
            }
            None => b.slice_dim(value, part.dim, part.start, part.size())?,
        };
        self.built.insert(key, new);
        Ok(new)
    }
}
