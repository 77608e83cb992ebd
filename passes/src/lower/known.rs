//! What is known about values without computing them, where exactness costs instructions that most programs need not pay.

use ferrite_ir::hlo::{BinaryOp, Func, OpId, OpKind, UnaryOp, ValueId};

use super::Lower;
use super::elementwise::Hint;
use super::fuse::reducer;

/// How far a chain of operations is followed.
const DEPTH: u32 = 12;

/// The operations that read each value, by [`ValueId::index`].
pub(super) fn users(func: &Func) -> Vec<Vec<OpId>> {
    let mut users = vec![Vec::new(); func.value_count()];
    func.walk(func.body(), &mut |func, op| {
        for &v in &func.op(op).operands {
            users[v.index()].push(op);
        }
    });
    users
}

/// Whether each value is a result of the function or of a region in it, by [`ValueId::index`].
pub(super) fn returned(func: &Func) -> Vec<bool> {
    let mut returned = vec![false; func.value_count()];
    func.walk_regions(func.body(), &mut |func, region| {
        for v in &func.region(region).results {
            returned[v.index()] = true;
        }
    });
    returned
}

impl Lower<'_> {
    /// What an operation's lowering may use or must heed.
    pub(super) fn hint(&self, op: OpId) -> Hint {
        let node = self.func.op(op);
        match node.kind {
            OpKind::Unary(UnaryOp::Rsqrt) => Hint {
                at_least: self.lower_bound(node.operands[0], DEPTH),
                ..Hint::default()
            },
            OpKind::Unary(UnaryOp::Sqrt) => Hint {
                added: self.least_added(self.func.result(op)),
                ..Hint::default()
            },
            OpKind::Binary(BinaryOp::Divide) => Hint {
                nearest_quotient: self.is_rounded(self.func.result(op), DEPTH),
                ..Hint::default()
            },
            _ => Hint::default(),
        }
    }

    /// A number that no element is below, unless it is NaN.
    fn lower_bound(&self, value: ValueId, depth: u32) -> Option<f64> {
        if let Some(x) = self.splat_of(value) {
            return Some(x);
        }
        let depth = depth.checked_sub(1)?;
        let (base, _) = self.graph.trace(value);
        let op = self.func.def(base)?;
        let node = self.func.op(op);
        let bound = |v: ValueId| self.lower_bound(v, depth);
        match &node.kind {
            OpKind::Convert => bound(node.operands[0]),
            OpKind::Unary(UnaryOp::Abs | UnaryOp::Exponential | UnaryOp::Logistic | UnaryOp::Sqrt) => Some(0.0),
            OpKind::Binary(op) => {
                let (a, b) = (node.operands[0], node.operands[1]);
                match op {
                    BinaryOp::Multiply if self.graph.trace(a).0 == self.graph.trace(b).0 => Some(0.0),
                    BinaryOp::Add => Some(bound(a)? + bound(b)?),
                    BinaryOp::Multiply => {
                        let (a, b) = (bound(a)?, bound(b)?);
                        (a >= 0.0 && b >= 0.0).then_some(a * b)
                    }
                    BinaryOp::Divide => {
                        let divisor = self.splat_of(b)?;
                        (bound(a)? >= 0.0 && divisor > 0.0).then_some(0.0)
                    }
                    BinaryOp::Maximum => match (bound(a), bound(b)) {
                        (Some(a), Some(b)) => Some(a.max(b)),
                        (one, other) => one.or(other),
                    },
                    _ => None,
                }
            }
            OpKind::Reduce(_) if reducer(self.func, op) == Some(BinaryOp::Add) => {
                let (element, init) = (bound(node.operands[0])?, bound(node.operands[1])?);
                (element >= 0.0 && init >= 0.0).then_some(0.0)
            }
            _ => None,
        }
    }

    /// The smallest of the positive numbers that the readers of a value add to it, if they all do and nothing else.
    fn least_added(&self, value: ValueId) -> Option<f64> {
        if self.is_returned(value, DEPTH) {
            return None;
        }
        let added = |&user: &OpId| {
            let node = self.func.op(user);
            if !matches!(node.kind, OpKind::Binary(BinaryOp::Add)) {
                return None;
            }
            let numbers = node.operands.iter().filter_map(|&v| self.splat_of(v));
            numbers.reduce(f64::min).filter(|&x| x > 0.0)
        };
        let readers = self.readers(value, DEPTH);
        readers.iter().map(added).reduce(|a, b| Some(a?.min(b?))).flatten()
    }

    /// Whether some reader of a value depends on it by leaps: rounds it to an integer or compares it.
    fn is_rounded(&self, value: ValueId, depth: u32) -> bool {
        let Some(depth) = depth.checked_sub(1) else {
            return false;
        };
        self.users[value.index()].iter().any(|&user| {
            let node = self.func.op(user);
            match &node.kind {
                OpKind::Unary(
                    UnaryOp::Floor
                    | UnaryOp::Ceil
                    | UnaryOp::RoundNearestEven
                    | UnaryOp::RoundNearestAfz
                    | UnaryOp::Sign,
                )
                | OpKind::Compare(_) => true,
                OpKind::Convert => {
                    let result = self.func.result(user);
                    self.func.tensor(result).dtype.is_int() || self.is_rounded(result, depth)
                }
                OpKind::Unary(UnaryOp::Abs | UnaryOp::Negate) => self.is_rounded(self.func.result(user), depth),
                _ => self.graph.is_lazy(user) && self.is_rounded(self.func.result(user), depth),
            }
        })
    }

    /// Whether a maximum or minimum of rows must be NaN for a row that holds one. It need not where it is only taken from
    /// the row's own elements before they are exponentiated, as in a softmax: the NaN element makes their sum NaN.
    pub(super) fn nan_matters(&self, op: OpId) -> bool {
        let source = self.graph.trace(self.func.op(op).operands[0]).0;
        let subtractions = self.readers(self.func.result(op), DEPTH);
        let normalises = |&user: &OpId| {
            let node = self.func.op(user);
            let taken = matches!(node.kind, OpKind::Binary(BinaryOp::Subtract))
                && self.graph.trace(node.operands[0]).0 == source;
            let readers = self.readers(self.func.result(user), DEPTH);
            let exponential = |&r: &OpId| matches!(self.func.op(r).kind, OpKind::Unary(UnaryOp::Exponential));
            let fine = |r: &OpId| exponential(r) || matches!(self.func.op(*r).kind, OpKind::Binary(BinaryOp::Subtract));
            taken && readers.iter().any(exponential) && readers.iter().all(fine)
        };
        let returned = self.is_returned(self.func.result(op), DEPTH);
        returned || subtractions.is_empty() || !subtractions.iter().all(normalises)
    }

    /// Whether a value, or what only renames its elements, is a result of the program or of a region.
    fn is_returned(&self, value: ValueId, depth: u32) -> bool {
        let Some(depth) = depth.checked_sub(1) else { return true };
        self.returned[value.index()]
            || self.users[value.index()]
                .iter()
                .any(|&user| self.passes_on(user) && self.is_returned(self.func.result(user), depth))
    }

    /// Whether an operation only renames elements, or takes the maximum with what is below all numbers.
    fn passes_on(&self, op: OpId) -> bool {
        let node = self.func.op(op);
        let neutral = |v: &ValueId| self.splat_of(*v) == Some(f64::NEG_INFINITY);
        self.graph.is_lazy(op)
            || (matches!(node.kind, OpKind::Binary(BinaryOp::Maximum)) && node.operands.iter().any(neutral))
    }

    /// The operations that read a value, seen through those that only rename elements.
    fn readers(&self, value: ValueId, depth: u32) -> Vec<OpId> {
        let mut out = Vec::new();
        for &user in &self.users[value.index()] {
            if self.passes_on(user) && depth > 0 {
                out.extend(self.readers(self.func.result(user), depth - 1));
            } else {
                out.push(user);
            }
        }
        out
    }
}
