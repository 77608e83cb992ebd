//! Equality saturation: rules are applied until nothing new comes out, or a budget is used up.
//!
//! The loop is our own rather than `egg`'s runner: that one stops by the clock unless told otherwise, chooses rules to
//! pause by how often they match, and looks at the whole graph each time. Here a term is looked at again only if
//! something new came in where rules look: among its operands and theirs.

use std::collections::BTreeMap;

use egg::Id;

use super::graph::{Class, Graph};
use super::language::Node;
use super::rules::{Found, Rule};

/// Bounds, counted in what is done: the same input ends the same way everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Times that all rules are applied.
    pub iterations: usize,
    /// Nodes the graph may have for each that the program has.
    pub nodes: usize,
}

/// Why it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// No rule finds anything new.
    Saturated,
    /// The number of iterations.
    Iterations,
    /// The number of nodes.
    Nodes,
}

/// What happened.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Why it ended.
    pub reason: StopReason,
    /// New equations by rule, in the order of the rules.
    pub fired: Vec<usize>,
}

/// Applies `rules`.
pub(super) fn saturate(graph: &mut Graph, rules: &[&Rule], budget: Budget) -> Outcome {
    let limit = budget
        .nodes
        .saturating_mul(graph.egraph.total_size())
        .saturating_add(256);
    let mut fired = vec![0; rules.len()];
    let mut by_tag: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (i, rule) in rules.iter().enumerate() {
        for &tag in rule.roots {
            by_tag.entry(tag).or_default().push(i);
        }
    }
    // Number of nodes of each class when it was last looked at.
    let mut seen: Vec<u32> = Vec::new();
    for iteration in 0..budget.iterations {
        graph.egraph.rebuild();
        let near = near_changes(graph, &mut seen);
        let mut todo: Vec<(Id, Node)> = Vec::new();
        for class in graph.egraph.classes() {
            let new = near[usize::from(class.id)];
            let fresh = class.nodes.iter().filter(|n| {
                by_tag.contains_key(&n.tag)
                    && (new || n.operands.iter().any(|&o| near[usize::from(graph.egraph.find(o))]))
            });
            todo.extend(fresh.map(|n| (class.id, n.clone())));
        }
        todo.sort_unstable();
        let mut changed = false;
        for (id, node) in todo {
            let Some(matching) = by_tag.get(&node.tag) else {
                continue;
            };
            let term = graph.term(Class::of(id), &node);
            for &rule in matching {
                let mut equal = Found::new();
                // A rule that ends early says nothing more.
                let _ = (rules[rule].apply)(graph, &term, &mut equal);
                for found in equal {
                    if graph.union(term.class, found) {
                        fired[rule] += 1;
                        changed = true;
                    }
                }
            }
            if graph.egraph.total_size() > limit {
                graph.egraph.rebuild();
                let reason = StopReason::Nodes;
                return Outcome { reason, fired };
            }
        }
        if !changed {
            let reason = StopReason::Saturated;
            return Outcome { reason, fired };
        }
        if iteration + 1 == budget.iterations {
            graph.egraph.rebuild();
        }
    }
    let reason = StopReason::Iterations;
    Outcome { reason, fired }
}

/// Which classes have something new in them or among the operands of their terms, since the call before.
fn near_changes(graph: &Graph, seen: &mut Vec<u32>) -> Vec<bool> {
    let egraph = &graph.egraph;
    let count = egraph.classes().map(|c| usize::from(c.id) + 1).max().unwrap_or(0);
    seen.resize(count.max(seen.len()), 0);
    let mut changed = vec![false; seen.len()];
    for class in egraph.classes() {
        let at = usize::from(class.id);
        changed[at] = seen[at] != class.nodes.len() as u32;
        seen[at] = class.nodes.len() as u32;
    }
    let mut near = changed.clone();
    for class in egraph.classes() {
        let operands = class.nodes.iter().flat_map(|n| n.operands.iter());
        near[usize::from(class.id)] |= operands.into_iter().any(|&o| changed[usize::from(egraph.find(o))]);
    }
    near
}
