//! Several cores: each runs a program of its own on memories of its own; collectives and the shared HBM tie them together.
//!
//! The core with the earliest event goes first, so a run is deterministic. A collective starts when the last core of its group has
//! triggered it; its data moves at that moment, as that of any transfer does.

use std::collections::BTreeMap;

use ferrite_ir::diag::{Code, Diagnostic};
use ferrite_ir::dtype::DType;
use ferrite_ir::isa::{AluOp, Collective, CollectiveKind};

use crate::elem;
use crate::run::{Arrival, Run};
use crate::stats::Stats;

/// A collective that some cores have not reached.
struct Meeting<'a> {
    members: Vec<u32>,
    arrived: Vec<(u32, Arrival<'a>)>,
}

/// Which collective: channel, how often it has been triggered before, first member.
type Key = (u32, u32, u32);

/// Cores that run together.
pub struct Cluster<'a> {
    /// The cores, by rank.
    pub runs: Vec<Run<'a>>,
    meetings: BTreeMap<Key, Meeting<'a>>,
    /// Triggers so far, by core and channel.
    triggered: BTreeMap<(u32, u32), u32>,
    demands: Vec<f64>,
}

impl<'a> Cluster<'a> {
    /// Cores that have not started, by rank.
    pub fn new(mut runs: Vec<Run<'a>>) -> Cluster<'a> {
        let alone = runs.len() <= 1;
        runs.iter_mut().for_each(|r| r.alone = alone);
        Cluster {
            demands: vec![0.0; runs.len()],
            runs,
            meetings: BTreeMap::new(),
            triggered: BTreeMap::new(),
        }
    }

    /// Runs all to the end.
    pub fn run(&mut self) -> Result<Vec<Stats>, Diagnostic> {
        let several = self.runs.len() > 1;
        let named = |core: usize, mut d: Diagnostic| {
            if several {
                d.message = format!("core {core}: {}", d.message);
            }
            d
        };
        loop {
            let next = if several {
                let times = self
                    .runs
                    .iter()
                    .enumerate()
                    .filter_map(|(i, r)| Some((r.next_event()?, i)));
                times.min()
            } else {
                self.runs.first().and_then(|r| Some((r.next_event()?, 0)))
            };
            let Some((now, core)) = next else { break };
            self.runs[core].step().map_err(|d| named(core, d))?;
            for arrival in std::mem::take(&mut self.runs[core].arrivals) {
                self.arrive(core as u32, arrival)?;
            }
            if several {
                self.share(now, core);
            }
        }
        if self.runs.iter().any(|r| !r.ended()) {
            return Err(self.deadlock());
        }
        Ok(self.runs.iter_mut().map(Run::finish).collect())
    }

    /// Divides HBM among the cores of a stack after the demand of `core` has changed: everyone gets an equal share and what the
    /// others leave.
    fn share(&mut self, now: u64, core: usize) {
        let demand = self.runs[core].hbm_demand();
        if demand == self.demands[core] {
            return;
        }
        self.demands[core] = demand;
        let model = self.runs[core].model();
        let (size, stack) = (model.hbm.cores_per_stack.max(1) as usize, model.hbm.cap_gb_per_s / 1e3);
        let first = core / size * size;
        let last = (first + size).min(self.runs.len());
        if last - first < 2 {
            return;
        }
        let fair = stack / (last - first) as f64;
        for i in first..last {
            let others: f64 = (first..last).filter(|&j| j != i).map(|j| self.demands[j]).sum();
            self.runs[i].set_hbm(now, fair.max(stack - others));
        }
    }

    /// A core has triggered a collective.
    fn arrive(&mut self, core: u32, arrival: Arrival<'a>) -> Result<(), Diagnostic> {
        let c = arrival.collective;
        let members = members(c, core);
        if let Some(&missing) = members.iter().find(|&&m| m as usize >= self.runs.len()) {
            let text = format!("core {missing} takes part, but there are {}", self.runs.len());
            return Err(self.illegal(core, &arrival, text));
        }
        let count = self.triggered.entry((core, c.channel)).or_default();
        let key = (c.channel, *count, members[0]);
        *count += 1;
        let meeting = self.meetings.entry(key).or_insert_with(|| Meeting {
            members,
            arrived: Vec::new(),
        });
        meeting.arrived.push((core, arrival));
        if meeting.arrived.len() < meeting.members.len() {
            return Ok(());
        }
        match self.meetings.remove(&key) {
            Some(meeting) => self.meet(meeting),
            None => Ok(()),
        }
    }

    /// Everyone is there.
    fn meet(&mut self, mut meeting: Meeting<'a>) -> Result<(), Diagnostic> {
        meeting.arrived.sort_by_key(|(core, _)| *core);
        let (first, lead) = &meeting.arrived[0];
        let c = lead.collective;
        let same =
            |o: &Collective| (o.kind, o.op, o.dtype, o.bytes, &o.groups) == (c.kind, c.op, c.dtype, c.bytes, &c.groups);
        if let Some((core, other)) = meeting.arrived.iter().find(|(_, a)| !same(a.collective)) {
            let text = format!(
                "meets another collective on channel {}: {} of {} bytes, {} of {} bytes on core {first} ({})",
                c.channel,
                kind(other.collective.kind),
                other.collective.bytes,
                kind(c.kind),
                c.bytes,
                self.runs[*first as usize].describe(lead)
            );
            return Err(self.illegal(*core, other, text));
        }
        let start = meeting.arrived.iter().map(|(_, a)| a.at).max().unwrap_or(0);
        self.exchange(c, &meeting);
        let ways: Vec<u32> = if c.kind == CollectiveKind::Permute {
            c.groups.iter().flatten().copied().collect()
        } else {
            meeting.members.clone()
        };
        for (core, arrival) in &meeting.arrived {
            let run = &mut self.runs[*core as usize];
            let cost = run.model().collective_cost(c.kind, c.bytes, &ways);
            run.collective(start, arrival, cost);
        }
        Ok(())
    }

    /// Moves the data, in functional runs.
    fn exchange(&mut self, c: &Collective, meeting: &Meeting<'a>) {
        let operands: Vec<Option<Vec<u8>>> = meeting
            .arrived
            .iter()
            .map(|(core, a)| self.runs[*core as usize].collective_operand(a.collective))
            .collect();
        let Some(operands) = operands.into_iter().collect::<Option<Vec<_>>>() else {
            return;
        };
        // By place in the group, not by rank.
        let place = |rank: u32| meeting.arrived.iter().position(|(core, _)| *core == rank);
        let ordered: Vec<&[u8]> = meeting
            .members
            .iter()
            .filter_map(|&m| Some(operands[place(m)?].as_slice()))
            .collect();
        let n = ordered.len().max(1);
        let part = c.bytes as usize / n;
        let reduced = match c.kind {
            CollectiveKind::AllReduce | CollectiveKind::ReduceScatter => reduce(c.op, c.dtype, &ordered),
            _ => Vec::new(),
        };
        for (position, &rank) in meeting.members.iter().enumerate() {
            let result = match c.kind {
                CollectiveKind::AllGather => ordered.concat(),
                CollectiveKind::AllReduce => reduced.clone(),
                CollectiveKind::ReduceScatter => reduced[position * part..(position + 1) * part].to_vec(),
                CollectiveKind::AllToAll => {
                    let parts = ordered.iter().map(|o| &o[position * part..(position + 1) * part]);
                    parts.collect::<Vec<_>>().concat()
                }
                CollectiveKind::Permute => {
                    let pair = c.groups.iter().find(|g| g.get(1) == Some(&rank));
                    let source = pair.and_then(|g| place(*g.first()?));
                    source.map_or_else(|| vec![0; c.bytes as usize], |i| operands[i].clone())
                }
            };
            if let Some(i) = place(rank) {
                let own = meeting.arrived[i].1.collective;
                self.runs[rank as usize].collective_result(own, &result);
            }
        }
    }

    fn illegal(&self, core: u32, arrival: &Arrival<'a>, text: String) -> Diagnostic {
        let run = &self.runs[core as usize];
        let mut d = run.illegal(arrival.at, arrival.engine, arrival.instruction, text);
        if self.runs.len() > 1 {
            d.message = format!("core {core}: {}", d.message);
        }
        d
    }

    fn deadlock(&self) -> Diagnostic {
        let mut text = Vec::new();
        for ((channel, _, _), meeting) in &self.meetings {
            let here: Vec<u32> = meeting.arrived.iter().map(|(core, _)| *core).collect();
            let missing: Vec<u32> = meeting.members.iter().copied().filter(|m| !here.contains(m)).collect();
            let (core, arrival) = &meeting.arrived[0];
            text.push(format!(
                "the collective of channel {channel} that core {core} triggered ({}) waits for cores {missing:?}",
                self.runs[*core as usize].describe(arrival)
            ));
        }
        let mut first = None;
        for (core, run) in self.runs.iter().enumerate().filter(|(_, r)| !r.ended()) {
            let d = run.deadlock();
            let message = d.message.trim_start_matches("deadlock: ").to_string();
            text.push(if self.runs.len() > 1 {
                format!("core {core}: {message}")
            } else {
                message
            });
            first.get_or_insert(d);
        }
        let text = format!("deadlock: {}", text.join("; "));
        match first {
            Some(mut d) => {
                d.message = text;
                d
            }
            None => Diagnostic::error(Code::Illegal, text),
        }
    }
}

fn kind(kind: CollectiveKind) -> &'static str {
    match kind {
        CollectiveKind::AllGather => "all-gather",
        CollectiveKind::AllReduce => "all-reduce",
        CollectiveKind::ReduceScatter => "reduce-scatter",
        CollectiveKind::AllToAll => "all-to-all",
        CollectiveKind::Permute => "permute",
    }
}

/// The cores that a collective of `core` waits for: its group; of a permutation all that take part.
fn members(c: &Collective, core: u32) -> Vec<u32> {
    if c.kind == CollectiveKind::Permute {
        let mut all: Vec<u32> = c.groups.iter().flatten().copied().collect();
        all.sort_unstable();
        all.dedup();
        if all.contains(&core) { all } else { vec![core] }
    } else {
        let own = c.groups.iter().find(|g| g.contains(&core));
        own.cloned().unwrap_or_else(|| vec![core])
    }
}

/// Reduction in fp32, member after member, rounded once at the end.
fn reduce(op: AluOp, dtype: DType, operands: &[&[u8]]) -> Vec<u8> {
    let size = dtype.bytes().max(1);
    let count = operands.first().map_or(0, |o| o.len() / size);
    let (mut sum, mut row) = (vec![0.0f32; count], vec![0.0f32; count]);
    for (i, operand) in operands.iter().enumerate() {
        elem::load_run(dtype, operand, &mut row);
        for (s, &x) in sum.iter_mut().zip(&row) {
            *s = match op {
                _ if i == 0 => x,
                AluOp::Max => s.max(x),
                AluOp::Min => s.min(x),
                _ => *s + x,
            };
        }
    }
    let mut out = vec![0; count * size];
    elem::store_run(dtype, &mut out, &sum);
    out
}
