//! Rules for the e-graph, beside Ferrite's own.

use ferrite_ir::hlo::{BinaryOp, OpKind, UnaryOp};
use ferrite_passes::hlo::egraph::{Exactness, Rule, Tag};

/// `egraph{rules=mine}` has only these in use.
pub const MINE: &[Rule] = &[Rule {
    name: "square-of-abs",
    theme: "mine",
    identity: "|x| * |x| = x * x",
    exactness: Exactness::Exact,
    roots: &[Tag::Binary],
    apply: |graph, term, equal| {
        let OpKind::Binary(BinaryOp::Multiply) = term.op()? else {
            return None;
        };
        let (a, b) = (term.operands[0], term.operands[1]);
        if !graph.same(a, b) {
            return None;
        }
        let abs = |op: &OpKind| matches!(op, OpKind::Unary(UnaryOp::Abs)).then_some(());
        for (x, ()) in graph.through(a, Tag::Unary, abs) {
            // The magnitude of a complex number is real: its square has another type.
            if graph.dtype(x) == graph.dtype(a) {
                equal.extend(graph.binary(BinaryOp::Multiply, x, x));
            }
        }
        Some(())
    },
}];
