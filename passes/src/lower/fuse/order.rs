//! The order of the steps of a plan.

use std::collections::{BTreeMap, BTreeSet};

use ferrite_ir::hlo::{OpId, ValueId};

use super::{Node, Planner};

impl Planner<'_> {
    /// The step that an operation belongs to.
    fn node_of(&self, op: OpId) -> Option<Node> {
        match self.plan.cluster_of[op.index()] {
            Some(c) => Some(Node::Cluster(c)),
            None if self.move_reads.contains_key(&op) => Some(Node::Move(op)),
            None => None,
        }
    }

    /// The steps that a step reads, each maybe several times, the first one last.
    fn read_by(&self, node: Node) -> Vec<Node> {
        let members: &[OpId] = match &node {
            Node::Cluster(c) => &self.plan.clusters[*c].ops,
            Node::Move(o) => std::slice::from_ref(o),
        };
        let values = members.iter().rev().flat_map(|&m| self.graph.reads(m).rev());
        let defs = values.filter_map(|v| self.func.def(self.graph.trace(v).0));
        defs.filter_map(|def| self.node_of(def))
            .filter(|&n| n != node)
            .collect()
    }

    /// The steps that compute a result which takes the place of a parameter, with all steps that read this parameter.
    fn donated(&self) -> BTreeMap<Node, Vec<Node>> {
        let mut takers: BTreeMap<ValueId, Node> = BTreeMap::new();
        if self.region != self.func.body() {
            return BTreeMap::new();
        }
        let body = self.func.region(self.region);
        for (param, &value) in self.func.params.iter().zip(&body.args) {
            let result = param.alias.and_then(|a| body.results.get(a.output));
            let def = result.and_then(|&r| self.func.def(self.graph.trace(r).0));
            if let Some(node) = def.and_then(|def| self.node_of(def)) {
                takers.insert(value, node);
            }
        }
        let mut found: BTreeMap<Node, Vec<Node>> = BTreeMap::new();
        for &op in &body.ops {
            let Some(reader) = self.node_of(op) else { continue };
            for v in self.graph.reads(op) {
                if let Some(&taker) = takers.get(&self.graph.trace(v).0)
                    && taker != reader
                {
                    found.entry(taker).or_default().push(reader);
                }
            }
        }
        found
    }

    /// Orders clusters and moves so that everything is computed before it is used, earliest first where free. What takes the
    /// place of a parameter lets those read it first that need little else: it can then be written in place.
    pub(super) fn order(&mut self) {
        let donated = self.donated();
        let mut order = Order {
            planner: self,
            done: BTreeSet::new(),
            nodes: Vec::new(),
        };
        for &op in &self.func.region(self.region).ops {
            let Some(node) = self.node_of(op).filter(|n| !order.done.contains(n)) else {
                continue;
            };
            for &reader in donated.get(&node).into_iter().flatten() {
                if order.is_near(reader, node) {
                    order.add(reader);
                }
            }
            order.add(node);
        }
        self.plan.nodes = order.nodes;
    }
}

/// Steps left to compute before one that is near (our choice).
const NEAR: usize = 4;

/// An order in the making.
struct Order<'p> {
    planner: &'p Planner<'p>,
    done: BTreeSet<Node>,
    nodes: Vec<Node>,
}

impl Order<'_> {
    /// Adds a step after what it reads.
    fn add(&mut self, node: Node) {
        // Depth-first over what is missing; the graph of clusters and moves has no cycles.
        let mut stack = vec![(node, false)];
        while let Some((node, ready)) = stack.pop() {
            if self.done.contains(&node) {
                continue;
            }
            if ready {
                self.done.insert(node);
                self.nodes.push(node);
                continue;
            }
            stack.push((node, true));
            stack.extend(self.planner.read_by(node).into_iter().map(|n| (n, false)));
        }
    }

    /// Whether few steps are left before a step, and not the one `but`.
    fn is_near(&self, node: Node, but: Node) -> bool {
        let mut seen = BTreeSet::new();
        let mut stack = vec![node];
        while let Some(node) = stack.pop() {
            if self.done.contains(&node) || !seen.insert(node) {
                continue;
            }
            if node == but || seen.len() > NEAR {
                return false;
            }
            stack.extend(self.planner.read_by(node));
        }
        true
    }
}
