//! Element-wise arithmetic.

use ferrite_ir::dtype::DTypeClass;
use ferrite_ir::hlo::{BinaryOp, Compare, ComparisonDirection, OpKind, UnaryOp};
use ferrite_ir::literal::Literal;
use smallvec::SmallVec;

use super::{Exactness, Rule};
use crate::hlo::egraph::graph::{Class, Graph, Term};
use crate::hlo::egraph::language::Tag;

const THEME: &str = "algebra";

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "add-zero",
        theme: THEME,
        identity: "x + 0 = x",
        exactness: Exactness::SignOfZero,
        roots: &[Tag::Binary],
        apply: |g, t, out| {
            let (x, y) = operands(t, BinaryOp::Add)?;
            for (a, b) in [(x, y), (y, x)] {
                if g.splat(b) == Some(0.0) {
                    out.push(a);
                }
            }
            Some(())
        },
    },
    Rule {
        name: "identity-element",
        theme: THEME,
        identity: "x * 1 = x, x / 1 = x, x - 0 = x",
        exactness: Exactness::Exact,
        roots: &[Tag::Binary],
        apply: |g, t, out| {
            let OpKind::Binary(op) = t.op()? else { return None };
            let (x, y) = (t.operands[0], t.operands[1]);
            match op {
                BinaryOp::Multiply => {
                    for (a, b) in [(x, y), (y, x)] {
                        if g.splat(b) == Some(1.0) {
                            out.push(a);
                        }
                    }
                }
                BinaryOp::Divide if g.splat(y) == Some(1.0) => out.push(x),
                BinaryOp::Subtract if g.splat(y).is_some_and(|c| c == 0.0 && c.is_sign_positive()) => out.push(x),
                _ => {}
            }
            Some(())
        },
    },
    Rule {
        name: "add-of-negation",
        theme: THEME,
        identity: "a + -b = a - b; -b + a = a - b",
        exactness: Exactness::Exact,
        roots: &[Tag::Binary],
        apply: |g, t, out| {
            let (x, y) = operands(t, BinaryOp::Add)?;
            for (a, b) in [(x, y), (y, x)] {
                for b in negated(g, b) {
                    out.extend(g.binary(BinaryOp::Subtract, a, b));
                }
            }
            Some(())
        },
    },
    Rule {
        name: "subtract-negation",
        theme: THEME,
        identity: "a - -b = a + b",
        exactness: Exactness::Exact,
        roots: &[Tag::Binary],
        apply: |g, t, out| {
            let (x, y) = operands(t, BinaryOp::Subtract)?;
            for b in negated(g, y) {
                out.extend(g.binary(BinaryOp::Add, x, b));
            }
            Some(())
        },
    },
    Rule {
        name: "negation-of-difference",
        theme: THEME,
        identity: "-(a - b) = b - a",
        exactness: Exactness::SignOfZero,
        roots: &[Tag::Unary],
        apply: |g, t, out| {
            let x = operand(t, UnaryOp::Negate)?;
            for t in g.terms(x, Tag::Binary) {
                if let Some((a, b)) = operands(&t, BinaryOp::Subtract) {
                    out.extend(g.binary(BinaryOp::Subtract, b, a));
                }
            }
            Some(())
        },
    },
    Rule {
        name: "negation-of-negation",
        theme: THEME,
        identity: "-(-x) = x",
        exactness: Exactness::Exact,
        roots: &[Tag::Unary],
        apply: |g, t, out| {
            let x = operand(t, UnaryOp::Negate)?;
            out.extend(negated(g, x));
            Some(())
        },
    },
    Rule {
        name: "negation-out-of-product",
        theme: THEME,
        identity: "-a * b = -(a * b), -a / b = -(a / b), and so for b",
        exactness: Exactness::Exact,
        roots: &[Tag::Binary],
        apply: |g, t, out| {
            let OpKind::Binary(op @ (BinaryOp::Multiply | BinaryOp::Divide)) = *t.op()? else {
                return None;
            };
            // Quotients of integers overflow for the least one: -MIN / -1.
            if !g.ty(t.class).dtype.is_float() && op == BinaryOp::Divide {
                return None;
            }
            let (x, y) = (t.operands[0], t.operands[1]);
            for a in negated(g, x) {
                let product = g.binary(op, a, y)?;
                out.extend(g.unary(UnaryOp::Negate, product));
            }
            for b in negated(g, y) {
                let product = g.binary(op, x, b)?;
                out.extend(g.unary(UnaryOp::Negate, product));
            }
            Some(())
        },
    },
    Rule {
        name: "times-minus-one",
        theme: THEME,
        identity: "x * -1 = -x",
        exactness: Exactness::Exact,
        roots: &[Tag::Binary],
        apply: |g, t, out| {
            let (x, y) = operands(t, BinaryOp::Multiply)?;
            for (a, b) in [(x, y), (y, x)] {
                if g.splat(b) == Some(-1.0) && g.dtype(b).class() != DTypeClass::Complex {
                    out.extend(g.unary(UnaryOp::Negate, a));
                }
            }
            Some(())
        },
    },
    Rule {
        name: "division-by-power-of-two",
        theme: THEME,
        identity: "x / c = x * (1 / c), c a power of two with a normal inverse",
        exactness: Exactness::Exact,
        roots: &[Tag::Binary],
        apply: |g, t, out| {
            let (x, y) = operands(t, BinaryOp::Divide)?;
            let c = g.splat(y)?;
            let ty = g.ty(y).clone();
            // Types as wide as bf16 in their exponents: no inverse in this range is denormal.
            let wide = matches!(ty.dtype, ferrite_ir::dtype::DType::F32 | ferrite_ir::dtype::DType::BF16);
            if !wide || exponent(c).is_none_or(|e| e.abs() > 100) {
                return None;
            }
            let inverse = g.literal(Literal::splat_f64(ty, 1.0 / c));
            out.extend(g.binary(BinaryOp::Multiply, x, inverse));
            Some(())
        },
    },
    Rule {
        name: "constants-together",
        theme: THEME,
        identity: "(x + c) + d = x + (c + d), (x * c) * d = x * (c * d), integers modulo 2^n",
        exactness: Exactness::Exact,
        roots: &[Tag::Binary],
        apply: |g, t, out| {
            let OpKind::Binary(op @ (BinaryOp::Add | BinaryOp::Multiply)) = *t.op()? else {
                return None;
            };
            let (x, y) = (t.operands[0], t.operands[1]);
            let ty = g.ty(y).clone();
            let integer = matches!(ty.dtype.class(), DTypeClass::Signed | DTypeClass::Unsigned);
            let d = integer_splat(g, y).filter(|_| integer)?;
            for inner in g.terms(x, Tag::Binary) {
                let Some((a, b)) = operands(&inner, op) else { continue };
                let Some(c) = integer_splat(g, b) else { continue };
                let sum = match op {
                    BinaryOp::Add => c.wrapping_add(d),
                    _ => c.wrapping_mul(d),
                };
                let constant = g.literal(Literal::splat_i64(ty.clone(), sum));
                out.extend(g.binary(op, a, constant));
            }
            Some(())
        },
    },
    Rule {
        name: "nested-extremes",
        theme: THEME,
        identity: "max(max(x, c), d) = max(x, max(c, d)), and so for min",
        exactness: Exactness::Exact,
        roots: &[Tag::Binary],
        apply: |g, t, out| {
            let OpKind::Binary(op @ (BinaryOp::Maximum | BinaryOp::Minimum)) = *t.op()? else {
                return None;
            };
            let (x, y) = (t.operands[0], t.operands[1]);
            let d = g.splat(y).filter(|d| !d.is_nan())?;
            for inner in g.terms(x, Tag::Binary) {
                let Some((a, b)) = operands(&inner, op) else { continue };
                let Some(c) = g.splat(b).filter(|c| !c.is_nan()) else {
                    continue;
                };
                if c == d && c == 0.0 {
                    continue; // which zero is larger is not said
                }
                let first = (c >= d) == (op == BinaryOp::Maximum);
                out.extend(g.binary(op, a, if first { b } else { y }));
            }
            Some(())
        },
    },
    Rule {
        name: "test-of-truth-value",
        theme: THEME,
        identity: "convert(p) != 0 = p, convert(p) > 0 = p, convert(p) == 0 = not p, p of i1",
        exactness: Exactness::Exact,
        roots: &[Tag::Compare],
        apply: |g, t, out| {
            let OpKind::Compare(Compare { direction, .. }) = *t.op()? else {
                return None;
            };
            if g.splat(t.operands[1]) != Some(0.0) {
                return None;
            }
            for (p, ()) in g.through(t.operands[0], Tag::Convert, |_| Some(())) {
                if g.dtype(p).class() != DTypeClass::Bool {
                    continue;
                }
                match direction {
                    // A sign bit is not an order: one bit signed is not among the types a truth value converts to.
                    ComparisonDirection::Ne | ComparisonDirection::Gt => out.push(p),
                    ComparisonDirection::Eq | ComparisonDirection::Le => out.extend(g.unary(UnaryOp::Not, p)),
                    _ => {}
                }
            }
            Some(())
        },
    },
];

/// Operands of a binary operation of this kind.
pub(super) fn operands(t: &Term, wanted: BinaryOp) -> Option<(Class, Class)> {
    match t.op()? {
        OpKind::Binary(op) if *op == wanted => Some((t.operands[0], t.operands[1])),
        _ => None,
    }
}

/// Operand of a unary operation of this kind.
pub(super) fn operand(t: &Term, wanted: UnaryOp) -> Option<Class> {
    match t.op()? {
        OpKind::Unary(op) if *op == wanted => Some(t.operands[0]),
        _ => None,
    }
}

/// What a class is the negation of.
pub(super) fn negated(g: &Graph, x: Class) -> SmallVec<[Class; 2]> {
    let terms = g.terms(x, Tag::Unary);
    terms.iter().filter_map(|t| operand(t, UnaryOp::Negate)).collect()
}

fn integer_splat(g: &Graph, x: Class) -> Option<i64> {
    let literal = g.constant(x)?;
    literal.splat_element()?;
    Some(literal.get_i64(0))
}

/// The exponent of a power of two.
pub(super) fn exponent(c: f64) -> Option<i32> {
    let e = c.log2().round();
    (c > 0.0 && e.abs() < 1000.0 && 2f64.powi(e as i32) == c).then_some(e as i32)
}
