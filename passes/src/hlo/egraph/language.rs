//! What the e-graph is made of: nodes, the tables their numbers lead to, and what is known of each class.
//!
//! A node is small (numbers only), so that hashing and comparing it costs little: its kind and its type stand once in
//! [`Tables`]. The only file beside `graph.rs`, `extract.rs` and `saturate.rs` that names types of `egg`.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use egg::{Analysis, DidMerge, EGraph, Id, Language};
use ferrite_ir::hlo::{BinaryOp, Dims, OpKind, TensorType, Type};
use smallvec::SmallVec;

/// Bytes of a constant that take part in its hash; all take part in the comparison.
const HASHED_BYTES: usize = 256;

/// What a term computes of its operands.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant)] // each stands once, behind an `Arc`
pub enum Kind {
    /// A value that is not looked into, by its number: an argument, or a result of an operation that is left alone.
    Leaf(u32),
    /// An operation without regions.
    Op(OpKind),
    /// `stablehlo.reduce` of one operand and an initial value by one operation.
    Reduce {
        /// The operation of the body.
        op: BinaryOp,
        /// Dimensions that disappear.
        dimensions: Dims,
    },
}

/// What rules tell kinds apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // the names are those of the operations
pub enum Tag {
    Leaf,
    Constant,
    Unary,
    Binary,
    Compare,
    Select,
    Convert,
    Reshape,
    Transpose,
    Broadcast,
    Slice,
    Pad,
    Concatenate,
    Dot,
    Reduce,
    /// Any other operation.
    Other,
}

impl Kind {
    /// Its tag.
    pub fn tag(&self) -> Tag {
        match self {
            Kind::Leaf(_) => Tag::Leaf,
            Kind::Reduce { .. } => Tag::Reduce,
            Kind::Op(op) => match op {
                OpKind::Constant(_) => Tag::Constant,
                OpKind::Unary(_) => Tag::Unary,
                OpKind::Binary(_) => Tag::Binary,
                OpKind::Compare(_) => Tag::Compare,
                OpKind::Select => Tag::Select,
                OpKind::Convert => Tag::Convert,
                OpKind::Reshape => Tag::Reshape,
                OpKind::Transpose(_) => Tag::Transpose,
                OpKind::BroadcastInDim(_) => Tag::Broadcast,
                OpKind::Slice(_) => Tag::Slice,
                OpKind::Pad(_) => Tag::Pad,
                OpKind::Concatenate(_) => Tag::Concatenate,
                OpKind::DotGeneral(_) => Tag::Dot,
                _ => Tag::Other,
            },
        }
    }

    pub(super) fn hash(&self) -> u64 {
        let mut h = DefaultHasher::new();
        self.tag().hash(&mut h);
        match self {
            Kind::Leaf(n) => n.hash(&mut h),
            Kind::Reduce { op, dimensions } => (op, dimensions).hash(&mut h),
            Kind::Op(op) => match op {
                OpKind::Constant(literal) => {
                    let bytes = literal.raw();
                    literal.ty().hash(&mut h);
                    bytes.len().hash(&mut h);
                    bytes[..bytes.len().min(HASHED_BYTES)].hash(&mut h);
                }
                OpKind::Unary(u) => u.hash(&mut h),
                OpKind::Binary(b) => b.hash(&mut h),
                OpKind::Compare(c) => c.hash(&mut h),
                OpKind::Transpose(t) => t.hash(&mut h),
                OpKind::BroadcastInDim(b) => b.hash(&mut h),
                OpKind::Slice(s) => s.hash(&mut h),
                OpKind::Pad(p) => p.hash(&mut h),
                OpKind::Concatenate(c) => c.hash(&mut h),
                OpKind::DotGeneral(d) => d.hash(&mut h),
                other => other.mnemonic().hash(&mut h),
            },
        }
        h.finish()
    }
}

/// A node of the e-graph. Numbers lead to [`Tables`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Node {
    pub tag: Tag,
    pub kind: u32,
    pub ty: u32,
    pub operands: SmallVec<[Id; 3]>,
}

impl Language for Node {
    type Discriminant = Tag;

    fn discriminant(&self) -> Tag {
        self.tag
    }

    fn matches(&self, other: &Self) -> bool {
        self.kind == other.kind && self.ty == other.ty && self.operands.len() == other.operands.len()
    }

    fn children(&self) -> &[Id] {
        &self.operands
    }

    fn children_mut(&mut self) -> &mut [Id] {
        &mut self.operands
    }
}

/// Kinds and types by number, and when each leaf is there. Maps are only looked up, never iterated.
#[derive(Default)]
pub(super) struct Tables {
    kinds: Vec<Arc<Kind>>,
    kinds_by_hash: HashMap<u64, SmallVec<[u32; 1]>>,
    types: Vec<Arc<Type>>,
    types_by_value: HashMap<Arc<Type>, u32>,
    /// By number of the leaf: how many operations of the region stand before it.
    pub levels: Vec<u32>,
}

impl Tables {
    pub fn kind(&self, number: u32) -> &Arc<Kind> {
        &self.kinds[number as usize]
    }

    pub fn ty(&self, number: u32) -> &Arc<Type> {
        &self.types[number as usize]
    }

    /// The number of a kind that is known.
    pub fn find_kind(&self, kind: &Kind) -> Option<u32> {
        let known = self.kinds_by_hash.get(&kind.hash())?;
        known.iter().copied().find(|&n| *self.kinds[n as usize] == *kind)
    }

    pub fn number_of_kind(&mut self, kind: Kind) -> u32 {
        let known = self.kinds_by_hash.entry(kind.hash()).or_default();
        if let Some(&n) = known.iter().find(|&&n| *self.kinds[n as usize] == kind) {
            return n;
        }
        let n = self.kinds.len() as u32;
        known.push(n);
        self.kinds.push(Arc::new(kind));
        n
    }

    pub fn number_of_type(&mut self, ty: TensorType) -> u32 {
        let ty = Type::from(ty);
        if let Some(&n) = self.types_by_value.get(&ty) {
            return n;
        }
        let (n, ty) = (self.types.len() as u32, Arc::new(ty));
        self.types.push(ty.clone());
        self.types_by_value.insert(ty, n);
        n
    }
}

/// What is known of a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// Number of its type: all its terms have the same.
    pub ty: u32,
    /// The earliest place in the region where one of its terms can stand.
    pub level: u32,
    /// Number of the kind of a constant that it is equal to.
    pub constant: Option<u32>,
}

impl Analysis<Node> for Tables {
    type Data = Facts;

    fn make(egraph: &mut EGraph<Node, Self>, node: &Node, _: Id) -> Facts {
        let before = node.operands.iter().map(|&id| egraph[id].data.level).max();
        let own = match **egraph.analysis.kind(node.kind) {
            Kind::Leaf(n) => egraph.analysis.levels.get(n as usize).copied(),
            _ => None,
        };
        Facts {
            ty: node.ty,
            level: own.or(before).unwrap_or(0),
            constant: (node.tag == Tag::Constant).then_some(node.kind),
        }
    }

    fn merge(&mut self, a: &mut Facts, b: Facts) -> DidMerge {
        let before = a.clone();
        a.level = a.level.min(b.level);
        a.constant = a.constant.or(b.constant);
        DidMerge(*a != before, *a != b)
    }
}
