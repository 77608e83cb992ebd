//! Functions: arenas of operations, values and regions.

use smallvec::SmallVec;

use super::attrs::Attrs;
use super::module::{Param, ResultInfo};
use super::ops::OpKind;
use super::types::{TensorType, Type};
use crate::loc::LocId;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);
        impl $name {
            /// The id as an index of dense side tables.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

id!(
    /// An operation of a function.
    OpId
);
id!(
    /// A value of a function.
    ValueId
);
id!(
    /// A region of a function.
    RegionId
);

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueDef {
    /// Result `1` of operation `0`.
    Result(OpId, u32),
    /// Argument `1` of region `0`.
    Arg(RegionId, u32),
}

/// A value.
#[derive(Clone, Debug)]
pub struct Value {
    /// Its type.
    pub ty: Type,
    /// Its definition.
    pub def: ValueDef,
}

/// An operation.
#[derive(Clone, Debug)]
pub struct Op {
    /// What it computes, with its attributes.
    pub kind: OpKind,
    /// Operands.
    pub operands: SmallVec<[ValueId; 3]>,
    /// Results.
    pub results: SmallVec<[ValueId; 1]>,
    /// Regions, in the order of the specification.
    pub regions: SmallVec<[RegionId; 1]>,
    /// Where it comes from.
    pub loc: LocId,
    /// Discardable attributes (`mhlo.frontend_attributes`, `mhlo.sharding`, ...).
    pub attrs: Option<Box<Attrs>>,
}

/// A region of one block.
#[derive(Clone, Debug, Default)]
pub struct Region {
    /// Block arguments.
    pub args: Vec<ValueId>,
    /// Operations in order; each value is defined before it is used.
    pub ops: Vec<OpId>,
    /// What the terminator yields.
    pub results: Vec<ValueId>,
    /// Location of the terminator.
    pub loc: LocId,
}

/// A function. Operations that were removed stay in the arena but in no region; [`Func::compact`] drops them.
#[derive(Clone, Debug)]
pub struct Func {
    /// Name without `@`.
    pub name: String,
    /// Visible from outside.
    pub public: bool,
    /// One entry per argument of the body.
    pub params: Vec<Param>,
    /// One entry per result of the body.
    pub results: Vec<ResultInfo>,
    /// Function attributes.
    pub attrs: Attrs,
    /// Location of the function.
    pub loc: LocId,
    body: RegionId,
    ops: Vec<Op>,
    values: Vec<Value>,
    regions: Vec<Region>,
}

impl Func {
    /// A function without parameters and operations.
    pub fn new(name: impl Into<String>) -> Func {
        Func {
            name: name.into(),
            public: true,
            params: Vec::new(),
            results: Vec::new(),
            attrs: Attrs::new(),
            loc: LocId::UNKNOWN,
            body: RegionId(0),
            ops: Vec::new(),
            values: Vec::new(),
            regions: vec![Region::default()],
        }
    }

    /// The body.
    pub fn body(&self) -> RegionId {
        self.body
    }

    /// A region.
    pub fn region(&self, id: RegionId) -> &Region {
        &self.regions[id.index()]
    }

    /// A region, to be changed.
    pub fn region_mut(&mut self, id: RegionId) -> &mut Region {
        &mut self.regions[id.index()]
    }

    /// An operation.
    pub fn op(&self, id: OpId) -> &Op {
        &self.ops[id.index()]
    }

    /// An operation, to be changed.
    pub fn op_mut(&mut self, id: OpId) -> &mut Op {
        &mut self.ops[id.index()]
    }

    /// Size of the operation arena: length of dense tables indexed by [`OpId`].
    pub fn op_count(&self) -> usize {
        self.ops.len()
    }

    /// Size of the value arena: length of dense tables indexed by [`ValueId`].
    pub fn value_count(&self) -> usize {
        self.values.len()
    }

    /// A value.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.index()]
    }

    /// Type of a value.
    pub fn ty(&self, id: ValueId) -> &Type {
        &self.values[id.index()].ty
    }

    /// Changes the type of a value. The caller keeps the operation consistent with it.
    pub fn set_type(&mut self, id: ValueId, ty: Type) {
        self.values[id.index()].ty = ty;
    }

    /// Tensor type of a value that is known to be a tensor (checked by the verifier for every place that asks).
    ///
    /// # Panics
    /// If the value is a token or a tuple.
    pub fn tensor(&self, id: ValueId) -> &TensorType {
        match self.ty(id) {
            Type::Tensor(t) => t,
            other => unreachable!("the verifier lets only tensors through here, found {other}"),
        }
    }

    /// The operation that defines a value, if it is no argument.
    pub fn def(&self, id: ValueId) -> Option<OpId> {
        match self.values[id.index()].def {
            ValueDef::Result(op, _) => Some(op),
            ValueDef::Arg(..) => None,
        }
    }

    /// Kind of the operation that defines a value.
    pub fn def_kind(&self, id: ValueId) -> Option<&OpKind> {
        self.def(id).map(|op| &self.op(op).kind)
    }

    /// Arguments of the body.
    pub fn args(&self) -> &[ValueId] {
        &self.region(self.body).args
    }

    /// Types of what the body returns.
    pub fn result_types(&self) -> Vec<Type> {
        self.region(self.body)
            .results
            .iter()
            .map(|&v| self.ty(v).clone())
            .collect()
    }

    /// Makes room for about this many operations more.
    pub fn reserve(&mut self, operations: usize) {
        self.ops.reserve(operations);
        self.values.reserve(operations);
    }

    /// Adds an empty region, to be owned by an operation.
    pub fn add_region(&mut self) -> RegionId {
        self.regions.push(Region::default());
        RegionId(self.regions.len() as u32 - 1)
    }

    /// Adds an argument to a region. For the body, [`Func::params`] grows with it.
    pub fn add_arg(&mut self, region: RegionId, ty: Type) -> ValueId {
        let index = self.regions[region.index()].args.len() as u32;
        let id = self.add_value(ty, ValueDef::Arg(region, index));
        self.regions[region.index()].args.push(id);
        if region == self.body {
            self.params.push(Param::default());
        }
        id
    }

    fn add_value(&mut self, ty: Type, def: ValueDef) -> ValueId {
        self.values.push(Value { ty, def });
        ValueId(self.values.len() as u32 - 1)
    }

    /// Creates an operation in the arena, with results of the given types, in no region yet.
    pub fn create(
        &mut self,
        kind: OpKind,
        operands: &[ValueId],
        result_types: Vec<Type>,
        regions: &[RegionId],
        loc: LocId,
    ) -> OpId {
        let id = OpId(self.ops.len() as u32);
        self.ops.push(Op {
            kind,
            operands: SmallVec::from_slice(operands),
            results: SmallVec::new(),
            regions: SmallVec::from_slice(regions),
            loc,
            attrs: None,
        });
        for (i, ty) in result_types.into_iter().enumerate() {
            let value = self.add_value(ty, ValueDef::Result(id, i as u32));
            self.ops[id.index()].results.push(value);
        }
        id
    }

    /// Creates an operation at the end of a region. Types are the caller's: see [`super::Builder`] for inferred ones.
    pub fn append(
        &mut self,
        region: RegionId,
        kind: OpKind,
        operands: &[ValueId],
        result_types: Vec<Type>,
        regions: &[RegionId],
        loc: LocId,
    ) -> OpId {
        let id = self.create(kind, operands, result_types, regions, loc);
        self.regions[region.index()].ops.push(id);
        id
    }

    /// The only result of an operation that has one.
    pub fn result(&self, op: OpId) -> ValueId {
        self.op(op).results[0]
    }

    /// Replaces every use of `from` by `to`, in operands and region results of the whole function.
    pub fn replace_uses(&mut self, from: ValueId, to: ValueId) {
        self.map_uses(|v| if v == from { to } else { v });
    }

    /// Rewrites every use of every value.
    pub fn map_uses(&mut self, mut f: impl FnMut(ValueId) -> ValueId) {
        for op in &mut self.ops {
            op.operands.iter_mut().for_each(|v| *v = f(*v));
        }
        for region in &mut self.regions {
            region.results.iter_mut().for_each(|v| *v = f(*v));
        }
    }

    /// Number of uses of every value by operations and results reachable from the body.
    pub fn use_counts(&self) -> Vec<u32> {
        let mut counts = vec![0; self.values.len()];
        self.walk(self.body, &mut |func, id| {
            for &v in &func.op(id).operands {
                counts[v.index()] += 1;
            }
        });
        self.walk_regions(self.body, &mut |func, id| {
            for &v in &func.region(id).results {
                counts[v.index()] += 1;
            }
        });
        counts
    }

    /// Calls `f` for every operation of a region and of all regions inside, each before its own regions' operations.
    pub fn walk(&self, region: RegionId, f: &mut impl FnMut(&Func, OpId)) {
        // An explicit stack: hostile inputs nest deeply.
        let mut stack = vec![(region, 0usize)];
        while let Some((region, next)) = stack.pop() {
            let Some(&op) = self.region(region).ops.get(next) else {
                continue;
            };
            stack.push((region, next + 1));
            f(self, op);
            for &inner in self.op(op).regions.iter().rev() {
                stack.push((inner, 0));
            }
        }
    }

    /// Calls `f` for a region and all regions inside it.
    pub fn walk_regions(&self, region: RegionId, f: &mut impl FnMut(&Func, RegionId)) {
        let mut regions = vec![region];
        self.walk(region, &mut |func, op| {
            regions.extend(func.op(op).regions.iter().copied())
        });
        for id in regions {
            f(self, id);
        }
    }

    /// Rebuilds the arenas with only what the body reaches, in order. Ids change; the old ids are of no use afterwards.
    pub fn compact(&mut self) {
        let mut out = Func::new(std::mem::take(&mut self.name));
        let mut values: Vec<Option<ValueId>> = vec![None; self.values.len()];
        out.public = self.public;
        out.attrs = std::mem::take(&mut self.attrs);
        out.loc = self.loc;
        self.copy_region(self.body, &mut out, RegionId(0), &mut values);
        out.params = std::mem::take(&mut self.params);
        out.results = std::mem::take(&mut self.results);
        *self = out;
    }

    /// Copies a region of this function, with everything inside, into `target` of another function. `values` maps ids of
    /// this function to ids of the other and must hold every outer value that the region uses.
    pub fn copy_region(&self, region: RegionId, out: &mut Func, target: RegionId, values: &mut Vec<Option<ValueId>>) {
        let source = self.region(region);
        for &arg in &source.args {
            if values[arg.index()].is_none() {
                values[arg.index()] = Some(out.add_arg(target, self.ty(arg).clone()));
            }
        }
        for &id in &source.ops {
            self.copy_op(id, out, target, values);
        }
        out.region_mut(target).results = source.results.iter().map(|v| mapped(values, *v)).collect();
        out.region_mut(target).loc = source.loc;
    }

    /// Copies one operation, with its regions, to the end of `target` of another function; see [`Func::copy_region`].
    pub fn copy_op(&self, id: OpId, out: &mut Func, target: RegionId, values: &mut Vec<Option<ValueId>>) -> OpId {
        let op = self.op(id);
        let mut regions: SmallVec<[RegionId; 1]> = SmallVec::new();
        for &inner in &op.regions {
            let copy = out.add_region();
            self.copy_region(inner, out, copy, values);
            regions.push(copy);
        }
        let operands: SmallVec<[ValueId; 3]> = op.operands.iter().map(|v| mapped(values, *v)).collect();
        let types = op.results.iter().map(|&r| self.ty(r).clone()).collect();
        let copy = out.append(target, op.kind.clone(), &operands, types, &regions, op.loc);
        out.op_mut(copy).attrs = op.attrs.clone();
        for (old, new) in op.results.iter().zip(out.op(copy).results.clone()) {
            values[old.index()] = Some(new);
        }
        copy
    }
}

fn mapped(values: &[Option<ValueId>], v: ValueId) -> ValueId {
    match values[v.index()] {
        Some(new) => new,
        None => unreachable!("values are defined before they are used, checked by the verifier"),
    }
}
