//! The rules: equations with a direction, in tables by theme.
//!
//! A rule looks at a term (and at the terms its operands are equal to) and says what else it is equal to. Both stay; the
//! extraction chooses. So a rule need not pay by itself, and an equation that is needed both ways is two rules. Types make
//! rules safe: a term that the specification forbids cannot be made.

mod algebra;
mod contraction;
mod conversion;
mod movement;
mod padding;
mod reduction;
mod through;

use std::fmt;

use smallvec::SmallVec;

use super::graph::{Class, Graph, Term};
use super::language::Tag;

/// What a rule found equal to a term.
pub type Found = SmallVec<[Class; 2]>;

/// How far both sides of a rule agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exactness {
    /// Bit for bit (a NaN stays a NaN).
    Exact,
    /// But for the sign of a zero, which XLA's own algebraic simplifier does not keep either (`A + 0 => A`).
    SignOfZero,
    /// But for the order of a sum, which HLO leaves to the implementation.
    OrderOfSum,
}

impl fmt::Display for Exactness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Exactness::Exact => "exact",
            Exactness::SignOfZero => "but for the sign of a zero",
            Exactness::OrderOfSum => "but for the order of a sum",
        })
    }
}

/// An equation, used from left to right.
#[derive(Clone, Copy)]
pub struct Rule {
    /// In kebab-case.
    pub name: &'static str,
    /// The group it belongs to.
    pub theme: &'static str,
    /// The equation, with the condition under which it holds.
    pub identity: &'static str,
    /// How far both sides agree.
    pub exactness: Exactness,
    /// Tags of the terms that it looks at.
    pub roots: &'static [Tag],
    /// Adds what the term is equal to. `None` ends early, and means no more than that.
    pub apply: fn(&mut Graph, &Term, &mut Found) -> Option<()>,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Rules that are off unless they are named: true, and without a gain that anything showed. Lowering folds reshapes into
/// accesses anyway, and they only change which operations stand beside which; masks it computes as numbers, not as truth
/// values. `docs/src/egraph.md` has the figures.
pub const OFF: &[&str] = &[
    "map-of-reshapes",
    "reshape-of-map",
    "reshape-of-reshape",
    "test-of-truth-value",
];

/// Our rules, theme by theme, those that are off among them.
pub fn standard() -> Vec<Rule> {
    [
        algebra::RULES,
        conversion::RULES,
        movement::RULES,
        padding::RULES,
        through::RULES,
        contraction::RULES,
        reduction::RULES,
    ]
    .concat()
}
