//! Changes the element types of a function's inside.
//!
//! Values of the body get the types that a rule gives them. Parameters and results keep theirs, with a `convert` at the
//! boundary, and so do the operands and results of operations that the rule keeps (their regions are left alone).

use ferrite_ir::diag::Result;
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{Func, OpId, OpKind, RegionId, TensorType, Type, ValueId};
use ferrite_ir::literal::Literal;
use ferrite_ir::loc::LocId;

/// What becomes of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Operands and results get new types.
    Nothing,
    /// Operands get new types, results are converted after it.
    Results,
    /// Operands are converted before it, results after it.
    Whole,
}

/// The rule.
pub(crate) trait Retype {
    /// The new element type.
    fn dtype(&self, dtype: DType) -> DType;

    /// What an operation keeps.
    fn keep(&self, kind: &OpKind) -> Keep;

    /// A constant in its new element type.
    ///
    /// # Errors
    /// If a value has no place in it.
    fn constant(&mut self, literal: &Literal, dtype: DType, loc: LocId) -> Result<Literal>;
}

/// Applies a rule to a function. Returns whether any type is new.
///
/// # Errors
/// Those of [`Retype::constant`].
pub(crate) fn retype(func: &mut Func, rule: &mut impl Retype) -> Result<bool> {
    let mut pass = Pass {
        original: (0..func.value_count())
            .map(|i| func.ty(ValueId(i as u32)).clone())
            .collect(),
        narrow: vec![None; func.value_count()],
        rule,
        changed: false,
    };
    let body = func.body();
    let ops = std::mem::take(&mut func.region_mut(body).ops);
    for arg in func.region(body).args.clone() {
        pass.convert_after(func, body, arg, func.loc);
    }
    pass.ops(func, body, ops)?;
    for i in 0..func.region(body).results.len() {
        let v = func.region(body).results[i];
        let wanted = pass.original[v.index()].clone();
        let loc = func.region(body).loc;
        let v = pass.as_type(func, body, v, &wanted, loc);
        func.region_mut(body).results[i] = v;
    }
    Ok(pass.changed)
}

struct Pass<'r, R: Retype> {
    /// Types of all values before.
    original: Vec<Type>,
    /// For values that keep their type: the converted value that others read.
    narrow: Vec<Option<ValueId>>,
    rule: &'r mut R,
    changed: bool,
}

impl<R: Retype> Pass<'_, R> {
    fn new_type(&self, ty: &Type) -> Type {
        match ty {
            // Bounds of sizes stay; scales belong to the storage type.
            Type::Tensor(t) if t.quantization().is_none() => TensorType {
                dtype: self.rule.dtype(t.dtype),
                ..t.clone()
            }
            .into(),
            other => other.clone(),
        }
    }

    fn ops(&mut self, func: &mut Func, region: RegionId, ops: Vec<OpId>) -> Result<()> {
        for op in ops {
            // Tuples hold what they were made of.
            let tuple = matches!(func.op(op).kind, OpKind::Tuple | OpKind::GetTupleElement(_));
            let keep = if tuple {
                Keep::Whole
            } else {
                self.rule.keep(&func.op(op).kind)
            };
            let loc = func.op(op).loc;
            for i in 0..func.op(op).operands.len() {
                let v = func.op(op).operands[i];
                let v = if keep == Keep::Whole {
                    let wanted = self.original[v.index()].clone();
                    self.as_type(func, region, v, &wanted, loc)
                } else {
                    self.narrow[v.index()].unwrap_or(v)
                };
                func.op_mut(op).operands[i] = v;
            }
            for inner in func.op(op).regions.clone() {
                if keep == Keep::Whole {
                    self.captured(func, region, inner, loc);
                } else {
                    self.inner(func, inner)?;
                }
            }
            if keep != Keep::Nothing {
                func.region_mut(region).ops.push(op);
                for r in func.op(op).results.clone() {
                    self.convert_after(func, region, r, loc);
                }
                continue;
            }
            for r in func.op(op).results.clone() {
                self.set(func, r);
            }
            if let OpKind::Constant(literal) = &func.op(op).kind {
                let dtype = self.rule.dtype(literal.ty().dtype);
                if dtype != literal.ty().dtype {
                    let literal = self.rule.constant(&literal.clone(), dtype, loc)?;
                    func.op_mut(op).kind = OpKind::Constant(literal);
                }
            }
            func.region_mut(region).ops.push(op);
        }
        Ok(())
    }

    fn set(&mut self, func: &mut Func, v: ValueId) {
        let ty = self.new_type(func.ty(v));
        self.changed |= ty != *func.ty(v);
        func.set_type(v, ty);
    }

    /// A region whose operation takes new types.
    fn inner(&mut self, func: &mut Func, region: RegionId) -> Result<()> {
        for arg in func.region(region).args.clone() {
            self.set(func, arg);
        }
        let ops = std::mem::take(&mut func.region_mut(region).ops);
        self.ops(func, region, ops)?;
        for i in 0..func.region(region).results.len() {
            let v = func.region(region).results[i];
            func.region_mut(region).results[i] = self.narrow[v.index()].unwrap_or(v);
        }
        Ok(())
    }

    /// A region that is left alone still reads values from outside: in the types they had.
    fn captured(&mut self, func: &mut Func, outer: RegionId, region: RegionId, loc: LocId) {
        let mut regions = vec![region];
        let mut found: Vec<(ValueId, ValueId)> = Vec::new();
        let mut next = 0;
        while let Some(&r) = regions.get(next) {
            next += 1;
            for i in 0..func.region(r).ops.len() {
                let op = func.region(r).ops[i];
                for j in 0..func.op(op).operands.len() {
                    let v = func.op(op).operands[j];
                    let v = self.outer_value(func, outer, v, loc, &mut found);
                    func.op_mut(op).operands[j] = v;
                }
                regions.extend(func.op(op).regions.iter().copied());
            }
            for i in 0..func.region(r).results.len() {
                let v = func.region(r).results[i];
                let v = self.outer_value(func, outer, v, loc, &mut found);
                func.region_mut(r).results[i] = v;
            }
        }
    }

    fn outer_value(
        &mut self,
        func: &mut Func,
        outer: RegionId,
        v: ValueId,
        loc: LocId,
        found: &mut Vec<(ValueId, ValueId)>,
    ) -> ValueId {
        // Inside, nothing is retyped: a value of another type than before comes from outside.
        let Some(wanted) = self.original.get(v.index()).cloned() else {
            return v;
        };
        if *func.ty(v) == wanted {
            return v;
        }
        if let Some(&(_, wide)) = found.iter().find(|(from, _)| *from == v) {
            return wide;
        }
        let wide = self.as_type(func, outer, v, &wanted, loc);
        found.push((v, wide));
        wide
    }

    /// `v` in the type `wanted`, converted at the end of `region` if need be.
    fn as_type(&mut self, func: &mut Func, region: RegionId, v: ValueId, wanted: &Type, loc: LocId) -> ValueId {
        if func.ty(v) == wanted || wanted.tensor().is_none() {
            return v;
        }
        let op = func.append(region, OpKind::Convert, &[v], vec![wanted.clone()], &[], loc);
        self.grow(func);
        func.result(op)
    }

    /// Converts a value that keeps its type for those who read it.
    fn convert_after(&mut self, func: &mut Func, region: RegionId, v: ValueId, loc: LocId) {
        let ty = self.new_type(func.ty(v));
        if ty == *func.ty(v) {
            return;
        }
        let op = func.append(region, OpKind::Convert, &[v], vec![ty], &[], loc);
        self.grow(func);
        self.narrow[v.index()] = Some(func.result(op));
        self.changed = true;
    }

    fn grow(&mut self, func: &Func) {
        for i in self.original.len()..func.value_count() {
            self.original.push(func.ty(ValueId(i as u32)).clone());
            self.narrow.push(None);
        }
    }
}
