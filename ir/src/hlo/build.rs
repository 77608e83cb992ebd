//! Building operations with inferred result types.

use super::func::{Func, OpId, RegionId, ValueId};
use super::infer::{Violation, infer};
use super::ops::*;
use super::types::{Dims, TensorType, Type};
use crate::dtype::{DType, DTypeClass};
use crate::literal::{Literal, int_range};
use crate::loc::LocId;

/// Result of building something: the constraint that does not hold otherwise.
pub type Built<T = ValueId> = Result<T, Violation>;

/// Appends operations to the end of one region. Result types come from [`infer`]; what the specification forbids is an
/// error and builds nothing.
pub struct Builder<'f> {
    /// The function that grows.
    pub func: &'f mut Func,
    /// The region that grows.
    pub region: RegionId,
    /// Location given to what is built.
    pub loc: LocId,
}

impl<'f> Builder<'f> {
    /// A builder at the end of `region`.
    pub fn new(func: &'f mut Func, region: RegionId, loc: LocId) -> Builder<'f> {
        Builder { func, region, loc }
    }

    /// A builder at the end of the body of `func`, with the function's location.
    pub fn body(func: &'f mut Func) -> Builder<'f> {
        let (region, loc) = (func.body(), func.loc);
        Builder { func, region, loc }
    }

    /// Type of a value.
    pub fn ty(&self, v: ValueId) -> &Type {
        self.func.ty(v)
    }

    /// Tensor type of a value.
    ///
    /// # Errors
    /// If the value is no tensor.
    pub fn tensor(&self, v: ValueId) -> Built<&TensorType> {
        self.func
            .ty(v)
            .tensor()
            .ok_or_else(|| Violation::new("operands", format!("{} is no tensor", self.func.ty(v))))
    }

    /// Any operation without regions. `hint` gives the result types where operands do not determine them.
    ///
    /// # Errors
    /// The constraint of the specification that does not hold.
    pub fn op(&mut self, kind: OpKind, operands: &[ValueId], hint: Option<&[Type]>) -> Built<Vec<ValueId>> {
        self.op_with_regions(kind, operands, &[], hint)
    }

    /// Any operation with regions that are filled already.
    ///
    /// # Errors
    /// The constraint of the specification that does not hold.
    pub fn op_with_regions(
        &mut self,
        kind: OpKind,
        operands: &[ValueId],
        regions: &[RegionId],
        hint: Option<&[Type]>,
    ) -> Built<Vec<ValueId>> {
        let id = self.op_id(kind, operands, regions, hint)?;
        Ok(self.func.op(id).results.to_vec())
    }

    /// Like [`Builder::op_with_regions`], returning the operation.
    ///
    /// # Errors
    /// The constraint of the specification that does not hold.
    pub fn op_id(
        &mut self,
        kind: OpKind,
        operands: &[ValueId],
        regions: &[RegionId],
        hint: Option<&[Type]>,
    ) -> Built<OpId> {
        let types: Vec<&Type> = operands.iter().map(|&v| self.func.ty(v)).collect();
        let yields: Vec<Vec<Type>> = regions.iter().map(|&r| yielded(self.func, r)).collect();
        let results = infer(&kind, &types, &yields, hint)?;
        Ok(self
            .func
            .append(self.region, kind, operands, results, regions, self.loc))
    }

    /// An operation with one tensor result whose type the operands determine.
    ///
    /// # Errors
    /// The constraint of the specification that does not hold.
    pub fn op1(&mut self, kind: OpKind, operands: &[ValueId]) -> Built {
        self.op_id(kind, operands, &[], None).map(|id| self.func.result(id))
    }

    /// An operation with one tensor result of the given type.
    ///
    /// # Errors
    /// The constraint of the specification that does not hold.
    pub fn op1_as(&mut self, kind: OpKind, operands: &[ValueId], ty: TensorType) -> Built {
        self.op_id(kind, operands, &[], Some(&[ty.into()]))
            .map(|id| self.func.result(id))
    }

    /// A region of scalar arguments with the given types; `fill` builds its body and says what it yields.
    ///
    /// # Errors
    /// Those of `fill`.
    pub fn add_region(
        &mut self,
        args: &[Type],
        fill: impl FnOnce(&mut Builder<'_>, &[ValueId]) -> Built<Vec<ValueId>>,
    ) -> Built<RegionId> {
        let region = self.func.add_region();
        let args: Vec<ValueId> = args.iter().map(|t| self.func.add_arg(region, t.clone())).collect();
        let results = fill(&mut Builder::new(self.func, region, self.loc), &args)?;
        self.func.region_mut(region).results = results;
        self.func.region_mut(region).loc = self.loc;
        Ok(region)
    }

    /// Ends the body of the function: it returns `values`.
    pub fn finish(&mut self, values: &[ValueId]) {
        self.func.region_mut(self.region).results = values.to_vec();
        if self.region == self.func.body() {
            self.func.results.resize(values.len(), Default::default());
        }
    }

    /// A constant.
    pub fn constant(&mut self, literal: Literal) -> ValueId {
        let ty = literal.ty().clone().into();
        let id = self
            .func
            .append(self.region, OpKind::Constant(literal), &[], vec![ty], &[], self.loc);
        self.func.result(id)
    }

    /// A tensor whose elements are all `value`, rounded to the dtype.
    pub fn constant_f(&mut self, ty: TensorType, value: f64) -> ValueId {
        self.constant(Literal::splat_f64(ty, value))
    }

    /// A tensor whose elements are all the integer `value`, wrapped to the dtype.
    pub fn constant_i(&mut self, ty: TensorType, value: i64) -> ValueId {
        self.constant(Literal::splat_i64(ty, value))
    }

    /// A tensor like `x` whose elements are all `value`.
    ///
    /// # Errors
    /// If `x` is no tensor.
    pub fn like_f(&mut self, x: ValueId, value: f64) -> Built {
        let ty = self.tensor(x)?.clone();
        Ok(self.constant_f(ty, value))
    }

    /// A tensor like `x` whose elements are all the integer `value`.
    ///
    /// # Errors
    /// If `x` is no tensor.
    pub fn like_i(&mut self, x: ValueId, value: i64) -> Built {
        let ty = self.tensor(x)?.clone();
        Ok(self.constant_i(ty, value))
    }

    /// Values counting up along `dimension`.
    ///
    /// # Errors
    /// The constraint of the specification that does not hold.
    pub fn iota(&mut self, ty: TensorType, dimension: i64) -> Built {
        let iota = Iota {
            iota_dimension: dimension,
        };
        self.op1_as(OpKind::Iota(iota), &[], ty)
    }

    /// A unary operation.
    ///
    /// # Errors
    /// The constraint of the specification that does not hold.
    pub fn unary(&mut self, op: UnaryOp, x: ValueId) -> Built {
        self.op1(OpKind::Unary(op), &[x])
    }

    /// A binary operation on operands of one type.
    ///
    /// # Errors
    /// The constraint of the specification that does not hold.
    pub fn binary(&mut self, op: BinaryOp, x: ValueId, y: ValueId) -> Built {
        self.op1(OpKind::Binary(op), &[x, y])
    }

    /// `x + y`.
    ///
    /// # Errors
    /// The constraint of the specification that does not hold.
    pub fn add(&mut self, x: ValueId, y: ValueId) -> Built {
        self.binary(BinaryOp::Add, x, y)
    }

    /// `x - y`.
    ///
    /// # Errors
    /// The constraint of the specification that does not hold.
    pub fn sub(&mut self, x: ValueId, y: ValueId) -> Built {
        self.binary(BinaryOp::Subtract, x, y)
    }

    /// `x * y`.
    ///
    /// # Errors
    /// The constraint of the specification that does not hold.
    pub fn mul(&mut self, x: ValueId, y: ValueId) -> Built {
        self.binary(BinaryOp::Multiply, x, y)
    }

    /// `x / y`.
    ///
    /// # Errors
    /// The constraint of the specification that does not hold.
    pub fn div(&mut self, x: ValueId, y: ValueId) -> Built {
        self.binary(BinaryOp::Divide, x, y)
    }

    /// Compares in the order natural to the element type.
    ///
    /// # Errors
    /// The constraint of the specification that does not hold.
    pub fn compare(&mut self, direction: ComparisonDirection, x: ValueId, y: ValueId) -> Built {
        let compare_type = match self.tensor(x)?.dtype.class() {
            DTypeClass::Float | DTypeClass::Complex => ComparisonType::Float,
            DTypeClass::Signed => ComparisonType::Signed,
            DTypeClass::Unsigned | DTypeClass::Bool => ComparisonType::Unsigned,
        };
        let compare = Compare {
            direction,
            compare_type,
        };
        self.op1(OpKind::Compare(compare), &[x, y])
    }

    /// `pred ? on_true : on_false`.
    ///
    /// # Errors
    /// The constraint of the specification that does not hold.
    pub fn select(&mut self, pred: ValueId, on_true: ValueId, on_false: ValueId) -> Built {
        self.op1(OpKind::Select, &[pred, on_true, on_false])
    }

    /// `x` in another element type; `x` itself if it has it already.
    ///
    /// # Errors
    /// The constraint of the specification that does not hold.
    pub fn convert(&mut self, x: ValueId, dtype: DType) -> Built {
        let ty = self.tensor(x)?;
        if ty.dtype == dtype {
            return Ok(x);
        }
        let ty = ty.with_dtype(dtype);
        self.op1_as(OpKind::Convert, &[x], ty)
    }

    /// The bits of `x` read as another element type of the same width.
    ///
    /// # Errors
    /// The constraint of the specification that does not hold.
    pub fn bitcast(&mut self, x: ValueId, dtype: DType) -> Built {
        let ty = self.tensor(x)?.with_dtype(dtype);
        self.op1_as(OpKind::BitcastConvert, &[x], ty)
    }

    /// The elements of `x` in another shape; `x` itself if it has it already.
    ///
    /// # Errors
    /// The constraint of the specification that does not hold.
    pub fn reshape(&mut self, x: ValueId, shape: &[i64]) -> Built {
        let ty = self.tensor(x)?;
        if ty.shape[..] == *shape {
            return Ok(x);
        }
        let ty = TensorType::new(ty.dtype, shape);
        self.op1_as(OpKind::Reshape, &[x], ty)
    }

    /// Dimension `d` of `x` becomes dimension `dims[d]` of `shape`.
    ///
    /// # Errors
    /// The constraint of the specification that does not hold.
    pub fn broadcast_in_dim(&mut self, x: ValueId, shape: &[i64], dims: &[i64]) -> Built {
        let ty = TensorType::new(self.tensor(x)?.dtype, shape);
        let broadcast = BroadcastInDim {
            broadcast_dimensions: dims.into(),
        };
        self.op1_as(OpKind::BroadcastInDim(broadcast), &[x], ty)
    }

    /// Result dimension `d` is dimension `permutation[d]` of `x`; `x` itself if nothing moves.
    ///
    /// # Errors
    /// The constraint of the specification that does not hold.
    pub fn transpose(&mut self, x: ValueId, permutation: &[i64]) -> Built {
        if permutation.iter().copied().eq(0..self.tensor(x)?.rank() as i64) {
            return Ok(x);
        }
        let permutation = permutation.into();
        self.op1(OpKind::Transpose(Transpose { permutation }), &[x])
    }

    /// `x[start:limit:strides]`.
    ///
    /// # Errors
    /// The constraint of the specification that does not hold.
    pub fn slice(&mut self, x: ValueId, start: &[i64], limit: &[i64], strides: &[i64]) -> Built {
        let slice = Slice {
            start: start.into(),
            limit: limit.into(),
            strides: strides.into(),
        };
        self.op1(OpKind::Slice(slice), &[x])
    }

    /// `size` elements from `start` along one dimension, all of the others.
    ///
    /// # Errors
    /// The constraint of the specification that does not hold.
    pub fn slice_dim(&mut self, x: ValueId, dimension: usize, start: i64, size: i64) -> Built {
        let shape = self.tensor(x)?.shape.clone();
        if dimension >= shape.len() {
            return Err(Violation::new("slice C2", format!("there is no dimension {dimension}")));
        }
        let mut from: Dims = shape.iter().map(|_| 0).collect();
        let mut to = shape;
        from[dimension] = start;
        to[dimension] = start.saturating_add(size);
        let strides: Dims = to.iter().map(|_| 1).collect();
        self.slice(x, &from, &to, &strides)
    }

    /// Joins values along one dimension.
    ///
    /// # Errors
    /// The constraint of the specification that does not hold.
    pub fn concatenate(&mut self, values: &[ValueId], dimension: i64) -> Built {
        self.op1(OpKind::Concatenate(Concatenate { dimension }), values)
    }

    /// `x` with elements of the scalar `value` around.
    ///
    /// # Errors
    /// The constraint of the specification that does not hold.
    pub fn pad(&mut self, x: ValueId, value: ValueId, low: &[i64], high: &[i64], interior: &[i64]) -> Built {
        let pad = Pad {
            low: low.into(),
            high: high.into(),
            interior: interior.into(),
        };
        self.op1(OpKind::Pad(pad), &[x, value])
    }

    /// A contraction with result elements of `dtype`.
    ///
    /// # Errors
    /// The constraint of the specification that does not hold.
    pub fn dot_general(&mut self, lhs: ValueId, rhs: ValueId, dims: DotDims, dtype: DType) -> Built {
        let dot = OpKind::DotGeneral(DotGeneral {
            dims,
            precision: Vec::new(),
            algorithm: None,
        });
        self.op_as_dtype(dot, &[lhs, rhs], dtype)
    }

    /// An operation whose element type is chosen and whose shape its operands determine (`dot_general`, `convolution`).
    ///
    /// # Errors
    /// The constraint of the specification that does not hold.
    pub fn op_as_dtype(&mut self, kind: OpKind, operands: &[ValueId], dtype: DType) -> Built {
        // The shape is inferred for operands of that element type, then checked with the real ones.
        let types: Vec<Type> = operands
            .iter()
            .map(|&v| self.tensor(v).map(|t| t.with_dtype(dtype).into()))
            .collect::<Built<_>>()?;
        let types: Vec<&Type> = types.iter().collect();
        let hint = infer(&kind, &types, &[], None)?;
        self.op_id(kind, operands, &[], Some(&hint))
            .map(|id| self.func.result(id))
    }

    /// A matrix product `[m, k] x [k, n]`.
    ///
    /// # Errors
    /// The constraint of the specification that does not hold.
    pub fn matmul(&mut self, lhs: ValueId, rhs: ValueId) -> Built {
        let dtype = self.tensor(lhs)?.dtype;
        let dims = DotDims {
            lhs_contracting: [1].into_iter().collect(),
            rhs_contracting: [0].into_iter().collect(),
            ..DotDims::default()
        };
        self.dot_general(lhs, rhs, dims, dtype)
    }

    /// Reduces `dims` of `x` with an associative operation from its neutral element.
    ///
    /// # Errors
    /// The constraint of the specification that does not hold, or an operation without neutral element.
    pub fn reduce(&mut self, op: BinaryOp, x: ValueId, dims: &[i64]) -> Built {
        let scalar = TensorType::scalar(self.tensor(x)?.dtype);
        let init = neutral(op, &scalar)
            .ok_or_else(|| Violation::new("reduce", format!("`{}` has no neutral element", op.mnemonic())))?;
        let init = self.constant(init);
        self.reduce_from(op, x, init, dims)
    }

    /// Reduces `dims` of `x` from the scalar `init`.
    ///
    /// # Errors
    /// The constraint of the specification that does not hold.
    pub fn reduce_from(&mut self, op: BinaryOp, x: ValueId, init: ValueId, dims: &[i64]) -> Built {
        let scalar = Type::from(TensorType::scalar(self.tensor(x)?.dtype));
        let body = self.add_region(&[scalar.clone(), scalar], |b, args| {
            b.binary(op, args[0], args[1]).map(|v| vec![v])
        })?;
        let reduce = Reduce {
            dimensions: dims.into(),
        };
        self.op_id(OpKind::Reduce(reduce), &[x, init], &[body], None)
            .map(|id| self.func.result(id))
    }
}

/// Types of what a region yields.
pub(crate) fn yielded(func: &Func, region: RegionId) -> Vec<Type> {
    let results = &func.region(region).results;
    results.iter().map(|&v| func.ty(v).clone()).collect()
}

/// The element that `op` leaves other elements unchanged with, if it has one.
pub fn neutral(op: BinaryOp, ty: &TensorType) -> Option<Literal> {
    let d = ty.dtype;
    let integer = |v: i128| Some(Literal::splat_i64(ty.clone(), v as i64));
    match (op, d.class()) {
        (BinaryOp::Add | BinaryOp::Or | BinaryOp::Xor, _) => Some(Literal::splat_f64(ty.clone(), 0.0)),
        (BinaryOp::Multiply, _) => Some(Literal::splat_f64(ty.clone(), 1.0)),
        (BinaryOp::And, DTypeClass::Bool) => integer(1),
        (BinaryOp::And, DTypeClass::Signed) => integer(-1),
        (BinaryOp::And, DTypeClass::Unsigned) => integer(int_range(d).1),
        (BinaryOp::Maximum, DTypeClass::Float) => Some(Literal::splat_f64(ty.clone(), f64::NEG_INFINITY)),
        (BinaryOp::Minimum, DTypeClass::Float) => Some(Literal::splat_f64(ty.clone(), f64::INFINITY)),
        (BinaryOp::Maximum, DTypeClass::Bool) => integer(0),
        (BinaryOp::Minimum, DTypeClass::Bool) => integer(1),
        (BinaryOp::Maximum, DTypeClass::Signed | DTypeClass::Unsigned) => integer(int_range(d).0),
        (BinaryOp::Minimum, DTypeClass::Signed | DTypeClass::Unsigned) => integer(int_range(d).1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ill_typed_operation_builds_nothing() {
        let mut func = Func::new("f");
        let x = func.add_arg(func.body(), TensorType::new(DType::F32, &[2, 3]).into());
        let y = func.add_arg(func.body(), TensorType::new(DType::F32, &[3, 2]).into());
        let mut b = Builder::body(&mut func);
        let error = b.add(x, y).err().map(|v| v.constraint);
        assert_eq!(error.as_deref(), Some("add C1"));
        assert!(func.region(func.body()).ops.is_empty());
    }

    #[test]
    fn a_reduction_drops_its_dimensions() -> Built<()> {
        let mut func = Func::new("f");
        let x = func.add_arg(func.body(), TensorType::new(DType::F32, &[2, 3, 4]).into());
        let mut b = Builder::body(&mut func);
        let sum = b.reduce(BinaryOp::Add, x, &[0, 2])?;
        assert_eq!(b.tensor(sum)?.to_string(), "tensor<3xf32>");
        Ok(())
    }

    #[test]
    fn a_dot_may_accumulate_wider_than_its_operands() -> Built<()> {
        let mut func = Func::new("f");
        let x = func.add_arg(func.body(), TensorType::new(DType::BF16, &[2, 3]).into());
        let y = func.add_arg(func.body(), TensorType::new(DType::BF16, &[3, 5]).into());
        let mut b = Builder::body(&mut func);
        let dims = DotDims {
            lhs_contracting: [1].into_iter().collect(),
            rhs_contracting: [0].into_iter().collect(),
            ..DotDims::default()
        };
        let z = b.dot_general(x, y, dims, DType::F32)?;
        assert_eq!(b.tensor(z)?.to_string(), "tensor<2x5xf32>");
        Ok(())
    }

    #[test]
    fn neutral_elements_are_the_ends_of_the_range() {
        let max = |d| neutral(BinaryOp::Maximum, &TensorType::scalar(d)).and_then(|l| l.splat_value());
        assert_eq!(max(DType::F32), Some(f64::NEG_INFINITY));
        assert_eq!(max(DType::I8), Some(-128.0));
        assert_eq!(max(DType::U8), Some(0.0));
        let and = neutral(BinaryOp::And, &TensorType::scalar(DType::U64)).map(|l| l.get_i64(0));
        assert_eq!(and, Some(-1));
    }
}
