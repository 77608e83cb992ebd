//! The e-graph as rules see it: classes of equal terms, and how new terms are made.
//!
//! Every term has a tensor type. Types of new terms are inferred as the verifier infers them: what the specification
//! forbids is no term (`None`), so no rule can make an ill-typed one.

use std::sync::Arc;

use egg::{EGraph, Id};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::infer::infer;
use ferrite_ir::hlo::{
    BinaryOp, BroadcastInDim, Concatenate, Dims, OpKind, Pad, Slice, TensorType, Transpose, Type, UnaryOp,
};
use ferrite_ir::literal::Literal;
use smallvec::SmallVec;

use super::language::{Kind, Node, Tables, Tag};

/// A class: terms that are known to be equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Class(pub(super) u32);

impl Class {
    pub(super) fn id(self) -> Id {
        Id::from(self.0 as usize)
    }

    pub(super) fn of(id: Id) -> Class {
        Class(usize::from(id) as u32)
    }
}

/// One term of a class.
#[derive(Clone, Debug)]
pub struct Term {
    /// What it computes.
    pub kind: Arc<Kind>,
    /// Its operands.
    pub operands: SmallVec<[Class; 3]>,
    /// Its class.
    pub class: Class,
}

impl Term {
    /// The operation, if it is one without regions.
    pub fn op(&self) -> Option<&OpKind> {
        match &*self.kind {
            Kind::Op(op) => Some(op),
            _ => None,
        }
    }
}

/// Terms and what is known to be equal.
pub struct Graph {
    pub(super) egraph: EGraph<Node, Tables>,
}

fn tensor(ty: &Type) -> &TensorType {
    match ty {
        Type::Tensor(t) => t,
        other => unreachable!("only tensors are made classes of, found {other}"),
    }
}

impl Graph {
    pub(super) fn new(levels: Vec<u32>) -> Graph {
        let mut egraph = EGraph::<Node, Tables>::new(Tables::default());
        egraph.analysis.levels = levels;
        Graph { egraph }
    }

    /// Type of the terms of a class.
    pub fn ty(&self, class: Class) -> &TensorType {
        tensor(self.egraph.analysis.ty(self.egraph[class.id()].data.ty))
    }

    /// Shape of the terms of a class.
    pub fn shape(&self, class: Class) -> Dims {
        self.ty(class).shape.clone()
    }

    /// Element type of the terms of a class.
    pub fn dtype(&self, class: Class) -> DType {
        self.ty(class).dtype
    }

    /// Whether two classes are known to be one.
    pub fn same(&self, a: Class, b: Class) -> bool {
        self.egraph.find(a.id()) == self.egraph.find(b.id())
    }

    /// The terms of a class that have this tag.
    pub fn terms(&self, class: Class, tag: Tag) -> SmallVec<[Term; 2]> {
        let nodes = self.egraph[class.id()].nodes.iter();
        nodes.filter(|n| n.tag == tag).map(|n| self.term(class, n)).collect()
    }

    pub(super) fn term(&self, class: Class, node: &Node) -> Term {
        Term {
            kind: self.egraph.analysis.kind(node.kind).clone(),
            operands: node.operands.iter().map(|&id| Class::of(id)).collect(),
            class,
        }
    }

    /// Operand `0` and attributes of the terms of a class that `wanted` takes.
    pub fn through<T>(
        &self,
        class: Class,
        tag: Tag,
        wanted: impl Fn(&OpKind) -> Option<T>,
    ) -> SmallVec<[(Class, T); 2]> {
        let terms = self.terms(class, tag).into_iter();
        terms
            .filter_map(|t| Some((*t.operands.first()?, wanted(t.op()?)?)))
            .collect()
    }

    /// The constant that a class is equal to.
    pub fn constant(&self, class: Class) -> Option<&Literal> {
        let number = self.egraph[class.id()].data.constant?;
        match &**self.egraph.analysis.kind(number) {
            Kind::Op(OpKind::Constant(literal)) => Some(literal),
            _ => None,
        }
    }

    /// The number that all elements of a class are.
    pub fn splat(&self, class: Class) -> Option<f64> {
        self.constant(class)?.splat_value()
    }

    /// If all elements of a class are equal by a constant, the same with another shape.
    pub fn resplat(&mut self, class: Class, shape: &[i64]) -> Option<Class> {
        let literal = self.constant(class)?;
        let element = literal.splat_element()?;
        let ty = TensorType::new(literal.ty().dtype, shape);
        let literal = Literal::splat(ty, element)?;
        Some(self.literal(literal))
    }

    pub(super) fn add(&mut self, kind: Kind, operands: &[Class], ty: TensorType) -> Class {
        let tag = kind.tag();
        let kind = self.egraph.analysis.number_of_kind(kind);
        let ty = self.egraph.analysis.number_of_type(ty);
        let operands = operands.iter().map(|c| self.egraph.find(c.id())).collect();
        Class::of(self.egraph.add(Node {
            tag,
            kind,
            ty,
            operands,
        }))
    }

    /// An operation without regions whose type its operands determine.
    pub fn op(&mut self, kind: OpKind, operands: &[Class]) -> Option<Class> {
        self.infer(kind, operands, None)
    }

    /// An operation without regions, of this type.
    pub fn op_as(&mut self, kind: OpKind, operands: &[Class], ty: TensorType) -> Option<Class> {
        self.infer(kind, operands, Some(ty))
    }

    fn infer(&mut self, kind: OpKind, operands: &[Class], hint: Option<TensorType>) -> Option<Class> {
        let types: SmallVec<[Arc<Type>; 3]> = operands
            .iter()
            .map(|c| self.egraph.analysis.ty(self.egraph[c.id()].data.ty).clone())
            .collect();
        let types: SmallVec<[&Type; 3]> = types.iter().map(|t| &**t).collect();
        let hint = hint.map(|t| [Type::from(t)]);
        let inferred = infer(&kind, &types, &[], hint.as_ref().map(|h| &h[..])).ok()?;
        let [Type::Tensor(ty)] = &inferred[..] else { return None };
        let ty = ty.clone();
        if !ty.is_static() || ty.extra.is_some() {
            return None;
        }
        Some(self.add(Kind::Op(kind), operands, ty))
    }

    /// A constant.
    pub fn literal(&mut self, literal: Literal) -> Class {
        let ty = literal.ty().clone();
        self.add(Kind::Op(OpKind::Constant(literal)), &[], ty)
    }

    /// `f(x)`.
    pub fn unary(&mut self, op: UnaryOp, x: Class) -> Option<Class> {
        self.op(OpKind::Unary(op), &[x])
    }

    /// `f(x, y)`.
    pub fn binary(&mut self, op: BinaryOp, x: Class, y: Class) -> Option<Class> {
        self.op(OpKind::Binary(op), &[x, y])
    }

    /// The same elements under another shape; `x` itself if it has it already.
    pub fn reshape(&mut self, x: Class, shape: &[i64]) -> Option<Class> {
        let ty = self.ty(x);
        if ty.shape[..] == *shape {
            return Some(x);
        }
        let ty = TensorType::new(ty.dtype, shape);
        self.op_as(OpKind::Reshape, &[x], ty)
    }

    /// Result dimension `d` is dimension `permutation[d]` of `x`; `x` itself if nothing moves.
    pub fn transpose(&mut self, x: Class, permutation: &[i64]) -> Option<Class> {
        if permutation.iter().copied().eq(0..self.ty(x).rank() as i64) {
            return Some(x);
        }
        let permutation = permutation.into();
        self.op(OpKind::Transpose(Transpose { permutation }), &[x])
    }

    /// Dimension `d` of `x` becomes dimension `dims[d]` of `shape`; `x` itself if nothing changes.
    pub fn broadcast(&mut self, x: Class, shape: &[i64], dims: &[i64]) -> Option<Class> {
        let from = self.ty(x);
        if from.shape[..] == *shape && dims.iter().copied().eq(0..shape.len() as i64) {
            return Some(x);
        }
        let ty = TensorType::new(from.dtype, shape);
        let broadcast = BroadcastInDim {
            broadcast_dimensions: dims.into(),
        };
        self.op_as(OpKind::BroadcastInDim(broadcast), &[x], ty)
    }

    /// `x[start:limit:strides]`; `x` itself if that is all of it.
    pub fn slice(&mut self, x: Class, slice: Slice) -> Option<Class> {
        let whole = slice.start.iter().all(|&s| s == 0)
            && slice.strides.iter().all(|&s| s == 1)
            && slice.limit == self.ty(x).shape;
        if whole {
            return Some(x);
        }
        self.op(OpKind::Slice(slice), &[x])
    }

    /// Values joined along a dimension; the only one itself.
    pub fn concatenate(&mut self, values: &[Class], dimension: i64) -> Option<Class> {
        match values {
            [x] => Some(*x),
            _ => self.op(OpKind::Concatenate(Concatenate { dimension }), values),
        }
    }

    /// `x` with elements of the scalar `value` around.
    pub fn pad(&mut self, x: Class, value: Class, pad: Pad) -> Option<Class> {
        let nothing = |d: &Dims| d.iter().all(|&n| n == 0);
        if nothing(&pad.low) && nothing(&pad.high) && nothing(&pad.interior) {
            return Some(x);
        }
        self.op(OpKind::Pad(pad), &[x, value])
    }

    /// `x` in another element type; `x` itself if it has it.
    pub fn convert(&mut self, x: Class, dtype: DType) -> Option<Class> {
        let ty = self.ty(x);
        if ty.dtype == dtype {
            return Some(x);
        }
        let ty = ty.with_dtype(dtype);
        self.op_as(OpKind::Convert, &[x], ty)
    }

    /// `x` reduced along `dimensions` from the scalar `init`.
    pub fn reduce(&mut self, op: BinaryOp, x: Class, init: Class, dimensions: &[i64]) -> Option<Class> {
        let ty = self.ty(x);
        let fits = self.ty(init).rank() == 0 && self.ty(init).dtype == ty.dtype;
        let inside = dimensions.iter().all(|&d| (0..ty.rank() as i64).contains(&d));
        if !fits || !inside {
            return None;
        }
        let kept = (0..ty.rank()).filter(|&d| !dimensions.contains(&(d as i64)));
        let shape: Dims = kept.map(|d| ty.shape[d]).collect();
        let ty = TensorType::new(ty.dtype, &shape);
        let dimensions = dimensions.into();
        Some(self.add(Kind::Reduce { op, dimensions }, &[x, init], ty))
    }

    /// The number of a kind that is in the graph.
    pub(super) fn kind_number(&self, kind: &Kind) -> Option<u32> {
        self.egraph.analysis.find_kind(kind)
    }

    pub(super) fn union(&mut self, a: Class, b: Class) -> bool {
        let (a, b) = (a.id(), b.id());
        // A rule that changes a type would be a bug: its equation is not taken.
        let fits = self.egraph[a].data.ty == self.egraph[b].data.ty;
        debug_assert!(fits, "a rule changes a type");
        fits && self.egraph.union(a, b)
    }
}
