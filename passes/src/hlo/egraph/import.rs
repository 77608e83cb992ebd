//! From a region to terms.
//!
//! A pure operation without regions whose operands and result are static tensors becomes a term; so does a reduction by one
//! operation. Everything else is left alone: its results are leaves, and what it reads, also from inside its regions, is a
//! root, as is what the region yields. Operations with discardable attributes are left alone too: the attributes are theirs.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ferrite_ir::hlo::{Func, Op, OpId, OpKind, RegionId, TensorType, ValueId};
use smallvec::SmallVec;

use super::language::Kind;
use crate::hlo::activation_call;
use crate::hlo::canonicalize::binary_body;

/// A term of a region, or a leaf.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Imported {
    pub kind: Arc<Kind>,
    pub ty: TensorType,
    /// Numbers of terms that stand before it.
    pub operands: SmallVec<[u32; 3]>,
}

/// A region as terms, each behind its operands.
#[derive(Default)]
pub(super) struct Region {
    pub terms: Vec<Imported>,
    /// By leaf: operations of the region that stand before it. By number of the leaf, not of the term.
    pub levels: Vec<u32>,
    /// Terms that must be computed, each once.
    pub roots: Vec<u32>,
    /// The value of each leaf, by number of the leaf.
    pub leaves: Vec<ValueId>,
    /// The term of each value that has one.
    pub term_of: HashMap<ValueId, u32>,
    /// The term of each operation that is one.
    pub op_of: HashMap<OpId, u32>,
    is_root: HashSet<u32>,
}

impl Region {
    /// Whether two regions have the same terms: what is found for one is true of the other.
    pub fn same(&self, other: &Region) -> bool {
        self.terms == other.terms && self.roots == other.roots && self.levels == other.levels
    }

    /// Equal for regions with the same terms.
    pub fn hash(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut h = DefaultHasher::new();
        for term in &self.terms {
            (term.kind.hash(), &term.ty, &term.operands).hash(&mut h);
        }
        self.roots.hash(&mut h);
        h.finish()
    }

    fn leaf(&mut self, func: &Func, value: ValueId, level: u32) -> Option<u32> {
        if let Some(&term) = self.term_of.get(&value) {
            return Some(term);
        }
        let ty = func.ty(value).tensor()?.clone();
        let number = self.leaves.len() as u32;
        self.leaves.push(value);
        self.levels.push(level);
        Some(self.push(Kind::Leaf(number), ty, SmallVec::new(), value))
    }

    fn push(&mut self, kind: Kind, ty: TensorType, operands: SmallVec<[u32; 3]>, value: ValueId) -> u32 {
        let term = self.terms.len() as u32;
        self.terms.push(Imported {
            kind: Arc::new(kind),
            ty,
            operands,
        });
        self.term_of.insert(value, term);
        term
    }

    fn root(&mut self, func: &Func, value: ValueId) {
        if let Some(term) = self.leaf(func, value, 0)
            && self.is_root.insert(term)
        {
            self.roots.push(term);
        }
    }
}

/// The terms of a region.
pub(super) fn import(func: &Func, region: RegionId) -> Region {
    let mut out = Region::default();
    for (at, &id) in func.region(region).ops.iter().enumerate() {
        let op = func.op(id);
        if let Some(kind) = kind_of(func, op) {
            let operands = op.operands.iter().map(|&v| out.leaf(func, v, 0)).collect();
            let Some(operands) = operands else { continue };
            let ty = func.tensor(op.results[0]).clone();
            let term = out.push(kind, ty, operands, op.results[0]);
            out.op_of.insert(id, term);
            continue;
        }
        for &v in &op.operands {
            out.root(func, v);
        }
        for &inner in &op.regions {
            func.walk_regions(inner, &mut |func, r| {
                let read = func.region(r).ops.iter().flat_map(|&o| func.op(o).operands.iter());
                for &v in read.chain(&func.region(r).results) {
                    // What is defined inside has no term, and is made a leaf for nothing; it is never looked up here.
                    if out.term_of.contains_key(&v) {
                        out.root(func, v);
                    }
                }
            });
        }
        for &v in &op.results {
            out.leaf(func, v, at as u32 + 1);
        }
    }
    for &v in &func.region(region).results {
        out.root(func, v);
    }
    out
}

/// The kind of an operation that becomes a term.
fn kind_of(func: &Func, op: &Op) -> Option<Kind> {
    use OpKind::*;
    let [result] = op.results[..] else { return None };
    let plain = |v: ValueId| {
        let ty = func.ty(v).tensor();
        ty.is_some_and(|t| t.is_static() && t.extra.is_none())
    };
    if op.attrs.is_some() || !plain(result) || !op.operands.iter().all(|&v| plain(v)) {
        return None;
    }
    match &op.kind {
        Reduce(reduce) if op.operands.len() == 2 && same_dtype(func, op) => Some(Kind::Reduce {
            op: binary_body(func, op.regions[0])?,
            dimensions: reduce.dimensions.clone(),
        }),
        CustomCall(call) if activation_call(&call.target) && !call.has_side_effect => Some(Kind::Op(op.kind.clone())),
        Constant(_) | Iota(_) | Unary(_) | Binary(_) | Compare(_) | Select | Clamp | Convert | BitcastConvert
        | ReducePrecision(_) | Complex | DotGeneral(_) | BroadcastInDim(_) | Reshape | Transpose(_) | Slice(_)
        | DynamicSlice(_) | Pad(_) | Reverse(_) | Concatenate(_) | Gather(_) => Some(Kind::Op(op.kind.clone())),
        _ => None,
    }
}

/// Whether a reduction stays in the type of its operand.
fn same_dtype(func: &Func, op: &Op) -> bool {
    func.tensor(op.operands[0]).dtype == func.tensor(op.results[0]).dtype
}
