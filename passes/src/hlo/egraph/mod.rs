//! Equality saturation: the cheapest of many equal programs.
//!
//! ```text
//! Before                                             After
//!   %p = pad %q, zero, low = [2, 0], high = [0, 0]     %s = concatenate %u, %r, %q, dim = 0
//!   %r' = pad %r, zero, low = [1, 0], high = [1, 0]
//!   %u' = pad %u, zero, low = [0, 0], high = [2, 0]
//!   %s = add (add %p, %r'), %u'
//! ```
//!
//! The pure part of a region becomes an e-graph ([`egg`]): classes of terms that are known to be equal. Rules add terms and
//! equations; nothing is lost by a rule that does not pay. In the end each class that is needed gets one term, so that the
//! whole costs least on the machine, terms that several others read counted once. What is not chosen differently stays
//! where it stands.
//!
//! `import.rs` makes terms of a region, [`rules`] has the equations, `saturate.rs` applies them, `cost.rs` asks the machine
//! model, `extract.rs` chooses, `export.rs` writes the region anew. `egg` keeps classes and congruence; its types end at
//! [`Graph`].
//!
//! Needs: verified `hlo`. Leaves: verified `hlo`; constants that nobody reads to `remove-dead-ops`.
//! Never: touches operations with effects, regions (those of loops and branches are e-graphs of their own; bodies of
//! reductions, sorts and scatters stay), attributes, or dynamic shapes.

mod cost;
mod export;
mod extract;
mod graph;
mod import;
mod language;
pub mod rules;
mod saturate;

use std::collections::HashMap;
use std::sync::Arc;

use egg::Id;
use ferrite_ir::diag::Result;
use ferrite_ir::hlo::{Func, Module, OpKind, RegionId};
use ferrite_ir::machine::MachineModel;

pub use extract::Prices;
pub use graph::{Class, Graph, Term};
pub use language::{Kind, Tag};
pub use rules::{Exactness, Found, Rule};
pub use saturate::{Budget, StopReason};

use crate::options::{PassOption, Settings};
use crate::pass::{Changed, HloPass, PassContext};
use extract::Plan;
use import::Region;

/// See the module's own text.
pub struct Egraph {
    /// All that may be named.
    rules: Vec<Rule>,
    /// Names of those that are not in use.
    off: Vec<&'static str>,
    budget: Budget,
    prices: Prices,
}

impl Default for Egraph {
    fn default() -> Egraph {
        Egraph {
            rules: rules::standard(),
            off: rules::OFF.to_vec(),
            budget: Budget {
                iterations: 8,
                nodes: 4,
            },
            prices: Prices::Machine,
        }
    }
}

/// What a run did.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// New equations by rule, in the order of the rules; regions that are equal count once.
    pub fired: Vec<(&'static str, usize)>,
    /// Regions looked at, and those of them that were like another one.
    pub regions: (usize, usize),
    /// Regions that ended for each reason.
    pub stopped: Vec<(StopReason, usize)>,
    /// Estimated time of all regions before and after, picoseconds.
    pub cost: (u64, u64),
    /// Whether anything is different.
    pub changed: bool,
}

/// Plans of regions that were seen, by hash.
type Known = HashMap<u64, Vec<(Arc<Region>, Arc<Plan>)>>;

impl Egraph {
    /// The same with rules of somebody else behind ours. One of the same name takes the place of ours.
    #[must_use]
    pub fn with(mut self, rules: &[Rule]) -> Egraph {
        self.rules.retain(|own| rules.iter().all(|r| r.name != own.name));
        self.rules.extend_from_slice(rules);
        self
    }

    /// The same with these rules only, whether they were off or not.
    #[must_use]
    pub fn only(mut self, wanted: impl Fn(&Rule) -> bool) -> Egraph {
        self.rules.retain(wanted);
        self.off.clear();
        self
    }

    /// The same with other prices.
    #[must_use]
    pub fn priced(mut self, prices: Prices) -> Egraph {
        self.prices = prices;
        self
    }

    /// The rules in use.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(|r| !self.off.contains(&r.name))
    }

    /// Optimizes a module and tells what was done.
    ///
    /// # Errors
    /// None but bugs.
    pub fn optimize(&self, module: &mut Module, machine: &MachineModel) -> Result<Report> {
        let mut run = Run {
            rules: self.rules().collect(),
            budget: self.budget,
            prices: self.prices,
            machine,
            known: Known::new(),
            report: Report {
                fired: self.rules().map(|r| (r.name, 0)).collect(),
                ..Report::default()
            },
        };
        for i in 0..module.funcs.len() {
            let func = &mut module.funcs[i];
            let done = run.all_regions(func);
            let loc = func.loc;
            done.map_err(|e| e.at(module.locs.get(loc)))?;
        }
        Ok(run.report)
    }
}

impl HloPass for Egraph {
    const NAME: &'static str = "egraph";
    const DOC: &'static str = "Finds the cheapest of many equal programs by equality saturation: rules of algebra, data movement, padding, contractions, reductions and conversions, chosen together by what the machine model says they cost.";
    const OPTIONS: &'static [PassOption] = &[
        PassOption {
            name: "iters",
            doc: "Times that all rules are applied, at most",
            default: "8",
        },
        PassOption {
            name: "nodes",
            doc: "Nodes of the e-graph for each term of the program, at most",
            default: "4",
        },
        PassOption {
            name: "rules",
            doc: "`all`, or names of rules or themes, joined by `+`; the words of a theme are joined by `-`",
            default: "all but those that the book says are off",
        },
    ];

    fn set(&mut self, options: &Settings) -> Result<()> {
        options.read("iters", &mut self.budget.iterations)?;
        options.read("nodes", &mut self.budget.nodes)?;
        if let Some(text) = options.get("rules") {
            self.off.clear();
            let theme = |r: &Rule| r.theme.replace(' ', "-");
            let names: Vec<&str> = text.split('+').filter(|&n| n != "all").collect();
            let known = |name: &&str| self.rules.iter().any(|r| r.name == *name || theme(r) == *name);
            if !names.iter().all(known) {
                return Err(options.bad("rules", "`all`, or names of rules or themes, joined by `+`"));
            }
            let wanted = |r: &Rule| names.is_empty() || names.iter().any(|&n| n == r.name || n == theme(r));
            self.rules.retain(wanted);
        }
        Ok(())
    }

    fn run(&self, module: &mut Module, cx: &mut PassContext<'_>) -> Result<Changed> {
        let report = self.optimize(module, cx.machine)?;
        Ok(Changed::from_bool(report.changed))
    }
}

struct Run<'a> {
    rules: Vec<&'a Rule>,
    budget: Budget,
    prices: Prices,
    machine: &'a MachineModel,
    known: Known,
    report: Report,
}

impl Run<'_> {
    /// The body, then the regions of loops and branches.
    fn all_regions(&mut self, func: &mut Func) -> Result<()> {
        let mut todo = vec![func.body()];
        while let Some(region) = todo.pop() {
            self.region(func, region)?;
            for &op in &func.region(region).ops {
                if matches!(func.op(op).kind, OpKind::While | OpKind::If | OpKind::Case) {
                    todo.extend(func.op(op).regions.iter().copied());
                }
            }
        }
        Ok(())
    }

    fn region(&mut self, func: &mut Func, target: RegionId) -> Result<()> {
        let region = import::import(func, target);
        if region.op_of.is_empty() {
            return Ok(());
        }
        self.report.regions.0 += 1;
        let hash = region.hash();
        let same = self
            .known
            .get(&hash)
            .and_then(|k| k.iter().find(|(r, _)| r.same(&region)));
        let plan = match same {
            Some((_, plan)) => {
                self.report.regions.1 += 1;
                plan.clone()
            }
            None => Arc::new(self.plan(&region)),
        };
        self.report.cost.0 += plan.before;
        self.report.cost.1 += plan.after;
        let region = Arc::new(region);
        if plan.changed {
            self.report.changed = true;
            export::export(func, target, &region, &plan)?;
        }
        self.known.entry(hash).or_default().push((region, plan));
        Ok(())
    }

    fn plan(&mut self, region: &Region) -> Plan {
        let mut graph = Graph::new(region.levels.clone());
        let mut class_of: Vec<Id> = Vec::with_capacity(region.terms.len());
        for term in &region.terms {
            let operands: Vec<Class> = term.operands.iter().map(|&o| Class::of(class_of[o as usize])).collect();
            let class = graph.add((*term.kind).clone(), &operands, term.ty.clone());
            class_of.push(class.id());
        }
        let outcome = saturate::saturate(&mut graph, &self.rules, self.budget);
        for (total, fired) in self.report.fired.iter_mut().zip(outcome.fired) {
            total.1 += fired;
        }
        match self.report.stopped.iter_mut().find(|(r, _)| *r == outcome.reason) {
            Some((_, count)) => *count += 1,
            None => self.report.stopped.push((outcome.reason, 1)),
        }
        extract::extract(&graph, region, &class_of, self.machine, self.prices)
    }
}
