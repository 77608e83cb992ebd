//! Formulas: tensor expressions of one shape, written with operators.
//!
//! The first operation that cannot be built is remembered and returned by [`formula`]; what follows it is of no use.

use std::cell::RefCell;
use std::ops::{Add, BitAnd, BitOr, Div, Mul, Neg, Not, Sub};

use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{BinaryOp, Builder, Built, ComparisonDirection, TensorType, UnaryOp, ValueId, Violation};

/// Where expressions are built.
pub(super) struct Graph<'g> {
    builder: RefCell<Builder<'g>>,
    error: RefCell<Option<Violation>>,
}

/// A value in a [`Graph`].
#[derive(Clone, Copy)]
pub(super) struct E<'g> {
    graph: &'g Graph<'g>,
    value: ValueId,
}

/// Builds a formula over some values.
pub(super) fn formula<const N: usize>(
    b: &mut Builder<'_>,
    inputs: [ValueId; N],
    f: impl for<'g> FnOnce([E<'g>; N]) -> E<'g>,
) -> Built {
    let graph = Graph {
        builder: RefCell::new(Builder::new(&mut *b.func, b.region, b.loc)),
        error: RefCell::new(None),
    };
    let value = f(inputs.map(|value| E { graph: &graph, value })).value;
    match graph.error.take() {
        Some(error) => Err(error),
        None => Ok(value),
    }
}

impl<'g> Graph<'g> {
    /// Builds something, or returns `fallback` and remembers why not.
    fn build(&'g self, fallback: ValueId, f: impl FnOnce(&mut Builder<'g>) -> Built) -> E<'g> {
        let value = if self.error.borrow().is_some() {
            fallback
        } else {
            let built = f(&mut self.builder.borrow_mut());
            built.unwrap_or_else(|error| {
                *self.error.borrow_mut() = Some(error);
                fallback
            })
        };
        E { graph: self, value }
    }
}

/// An expression or a number.
pub(super) trait Operand<'g> {
    /// As an expression of the type of `like`.
    fn expr(self, like: E<'g>) -> E<'g>;
}

impl<'g> Operand<'g> for E<'g> {
    fn expr(self, _: E<'g>) -> E<'g> {
        self
    }
}

impl<'g> Operand<'g> for f64 {
    fn expr(self, like: E<'g>) -> E<'g> {
        like.graph.build(like.value, |b| b.like_f(like.value, self))
    }
}

impl<'g> Operand<'g> for i64 {
    fn expr(self, like: E<'g>) -> E<'g> {
        like.graph.build(like.value, |b| b.like_i(like.value, self))
    }
}

impl<'g> E<'g> {
    /// A constant of this expression's type.
    pub fn c(self, value: f64) -> E<'g> {
        value.expr(self)
    }

    /// An integer constant of this expression's type.
    pub fn i(self, value: i64) -> E<'g> {
        value.expr(self)
    }

    pub fn unary(self, op: UnaryOp) -> E<'g> {
        self.graph.build(self.value, |b| b.unary(op, self.value))
    }

    pub fn binary(self, op: BinaryOp, y: impl Operand<'g>) -> E<'g> {
        let y = y.expr(self);
        self.graph.build(self.value, |b| b.binary(op, self.value, y.value))
    }

    fn compare(self, direction: ComparisonDirection, y: impl Operand<'g>) -> E<'g> {
        let y = y.expr(self);
        self.graph
            .build(self.value, |b| b.compare(direction, self.value, y.value))
    }

    pub fn lt(self, y: impl Operand<'g>) -> E<'g> {
        self.compare(ComparisonDirection::Lt, y)
    }

    pub fn gt(self, y: impl Operand<'g>) -> E<'g> {
        self.compare(ComparisonDirection::Gt, y)
    }

    pub fn ge(self, y: impl Operand<'g>) -> E<'g> {
        self.compare(ComparisonDirection::Ge, y)
    }

    pub fn le(self, y: impl Operand<'g>) -> E<'g> {
        self.compare(ComparisonDirection::Le, y)
    }

    pub fn equals(self, y: impl Operand<'g>) -> E<'g> {
        self.compare(ComparisonDirection::Eq, y)
    }

    pub fn differs(self, y: impl Operand<'g>) -> E<'g> {
        self.compare(ComparisonDirection::Ne, y)
    }

    pub fn is_nan(self) -> E<'g> {
        self.differs(self)
    }

    /// `self ? on_true : on_false`; one of them at least must be an expression.
    pub fn select(self, on_true: E<'g>, on_false: impl Operand<'g>) -> E<'g> {
        let on_false = on_false.expr(on_true);
        self.graph
            .build(on_true.value, |b| b.select(self.value, on_true.value, on_false.value))
    }

    pub fn convert(self, dtype: DType) -> E<'g> {
        self.graph.build(self.value, |b| b.convert(self.value, dtype))
    }

    pub fn bitcast(self, dtype: DType) -> E<'g> {
        self.graph.build(self.value, |b| b.bitcast(self.value, dtype))
    }

    pub fn abs(self) -> E<'g> {
        self.unary(UnaryOp::Abs)
    }

    pub fn exp(self) -> E<'g> {
        self.unary(UnaryOp::Exponential)
    }

    pub fn log(self) -> E<'g> {
        self.unary(UnaryOp::Log)
    }

    pub fn sqrt(self) -> E<'g> {
        self.unary(UnaryOp::Sqrt)
    }

    pub fn sin(self) -> E<'g> {
        self.unary(UnaryOp::Sine)
    }

    pub fn cos(self) -> E<'g> {
        self.unary(UnaryOp::Cosine)
    }

    pub fn tanh(self) -> E<'g> {
        self.unary(UnaryOp::Tanh)
    }

    pub fn floor(self) -> E<'g> {
        self.unary(UnaryOp::Floor)
    }

    pub fn max(self, y: impl Operand<'g>) -> E<'g> {
        self.binary(BinaryOp::Maximum, y)
    }

    pub fn min(self, y: impl Operand<'g>) -> E<'g> {
        self.binary(BinaryOp::Minimum, y)
    }

    pub fn square(self) -> E<'g> {
        self * self
    }

    /// The magnitude of this (not negative) with the sign bit of `sign`; both `f32`.
    pub fn with_sign_of(self, sign: E<'g>) -> E<'g> {
        let bit = sign.bitcast(DType::I32) & i32::MIN as i64;
        (self.bitcast(DType::I32) | bit).bitcast(DType::F32)
    }

    /// Whether the sign bit of this `f32` is set.
    pub fn sign_bit(self) -> E<'g> {
        self.bitcast(DType::I32).lt(0i64)
    }

    /// The type.
    pub fn ty(self) -> TensorType {
        let builder = self.graph.builder.borrow();
        builder
            .tensor(self.value)
            .cloned()
            .unwrap_or_else(|_| TensorType::scalar(DType::F32))
    }
}

/// A polynomial in `x`, coefficients from the highest power down.
pub(super) fn polynomial<'g>(x: E<'g>, coefficients: &[f64]) -> E<'g> {
    let mut sum: Option<E<'g>> = None;
    for &c in coefficients {
        sum = Some(match sum {
            None => x.c(c),
            Some(sum) => sum * x + c,
        });
    }
    sum.unwrap_or_else(|| x.c(0.0))
}

macro_rules! operator {
    ($trait:ident, $method:ident, $op:ident) => {
        impl<'g, T: Operand<'g>> $trait<T> for E<'g> {
            type Output = E<'g>;
            fn $method(self, y: T) -> E<'g> {
                self.binary(BinaryOp::$op, y)
            }
        }
        impl<'g> $trait<E<'g>> for f64 {
            type Output = E<'g>;
            fn $method(self, y: E<'g>) -> E<'g> {
                self.expr(y).binary(BinaryOp::$op, y)
            }
        }
    };
}

operator!(Add, add, Add);
operator!(Sub, sub, Subtract);
operator!(Mul, mul, Multiply);
operator!(Div, div, Divide);
operator!(BitAnd, bitand, And);
operator!(BitOr, bitor, Or);

impl<'g> Neg for E<'g> {
    type Output = E<'g>;
    fn neg(self) -> E<'g> {
        self.unary(UnaryOp::Negate)
    }
}

impl<'g> Not for E<'g> {
    type Output = E<'g>;
    fn not(self) -> E<'g> {
        self.unary(UnaryOp::Not)
    }
}
