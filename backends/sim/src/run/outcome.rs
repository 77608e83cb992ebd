//! How a run ends: findings, deadlock, totals.

use ferrite_ir::diag::{Code, Diagnostic};
use ferrite_ir::isa::Engine;

use super::Run;
use crate::name;
use crate::prepare::Kind;
use crate::stats::{Stats, Timeline, Track, track_name};

/// Updates of a semaphore that a deadlock's message names.
const NAMED_UPDATES: usize = 2;

impl Run<'_> {
    /// A finding at an instruction.
    pub fn illegal(&self, now: u64, e: usize, pc: u32, text: String) -> Diagnostic {
        let engine = Engine::ALL[e];
        let step = self.prepared.step(e, pc);
        let name = step.map_or("?", |s| self.prepared.name(s));
        let at = name::time(now);
        let d = Diagnostic::error(
            Code::Illegal,
            format!("{engine} instruction {pc} (`{name}`) at {at}: {text}"),
        );
        match step {
            Some(s) => d.at(self.program.locs.get(s.loc)),
            None => d,
        }
    }

    /// What the engines that never end wait for, and who could have let them go on.
    pub fn deadlock(&self) -> Diagnostic {
        let mut stuck = Vec::new();
        let mut first = None;
        for engine in Engine::ALL {
            let state = &self.engines[engine.index()];
            let Some(semaphore) = state.blocked.filter(|_| !state.finished) else {
                continue;
            };
            let step = self.prepared.step(engine.index(), state.pc);
            let wanted = step.and_then(|s| s.wait).map_or(0, |w| w.value);
            let (name, loc) = step.map_or(("?", String::new()), |s| {
                (self.prepared.name(s), self.program.locs.describe(s.loc))
            });
            let value = self.semaphores[semaphore as usize];
            stuck.push(format!(
                "{engine} instruction {} (`{name}`, from {loc}) waits since {} for semaphore {semaphore} >= {wanted}, which is {value}{}",
                state.pc,
                name::time(state.waiting_since.unwrap_or(0)),
                self.outstanding(semaphore),
            ));
            first = first.or(step);
        }
        let d = Diagnostic::error(Code::Illegal, format!("deadlock: {}", stuck.join("; ")));
        match first {
            Some(s) => d.at(self.program.locs.get(s.loc)),
            None => d,
        }
    }

    /// The instructions not reached yet that would change a semaphore, for messages.
    fn outstanding(&self, semaphore: u16) -> String {
        let mut found = Vec::new();
        for engine in Engine::ALL {
            let stream = &self.prepared.streams[engine.index()];
            let pc = self.engines[engine.index()].pc as usize;
            for (index, step) in stream.iter().enumerate().skip(pc) {
                let own = step.update.is_some_and(|u| u.semaphore == semaphore);
                let started = match step.kind {
                    Kind::Trigger(number) => self.program.transfers.get(number as usize).map(|t| t.semaphore),
                    Kind::Other(number) => self.program.transfer_semaphore(&self.prepared.rare[number as usize].op),
                    _ => None,
                };
                if own || started == Some(semaphore) {
                    let name = self.prepared.name(step);
                    let loc = self.program.locs.describe(step.loc);
                    found.push(format!("{engine} instruction {index} (`{name}`, from {loc})"));
                    if found.len() == NAMED_UPDATES {
                        break;
                    }
                }
            }
        }
        if found.is_empty() {
            return " and which nothing will raise".into();
        }
        found.truncate(NAMED_UPDATES);
        format!(" and which waits for {}", found.join(" and "))
    }

    /// The totals.
    pub fn finish(&mut self) -> Stats {
        let mut stats = std::mem::take(&mut self.stats);
        stats.latency_ps = self.end;
        stats.cycles = self.model.profiler_cycles(self.end);
        stats.dma_busy_ps = self.dma_busy.total();
        for (out, state) in stats.engines.iter_mut().zip(&self.engines) {
            out.instructions = state.instructions;
            out.busy_ps = state.busy.total();
            out.occupied_ps = state.occupied.total();
            out.wait_ps = state.wait;
            let counts = self.prepared.names.iter().zip(&state.opcodes);
            out.opcodes = counts.filter(|(_, n)| **n > 0).map(|(name, n)| (*name, *n)).collect();
            out.opcodes.sort_unstable();
        }
        if let Some(record) = self.record.take() {
            let engines = Engine::ALL.into_iter().map(|e| Track {
                name: track_name(e).into(),
                dma: false,
            });
            let queues = self.program.queues.iter().map(|q| Track {
                name: q.name.clone(),
                dma: true,
            });
            let names = self.prepared.names.iter().map(|n| n.to_string());
            let mut record = *record;
            record.spans.sort_by_key(|s| (s.start_ps, s.track));
            record.stalls.sort_by_key(|s| (s.start_ps, s.track));
            let (sbuf, psum) = record.occupancy.finish();
            stats.timeline = Some(Timeline {
                tracks: engines.chain(queues).collect(),
                names: names.chain(record.transfer_names).collect(),
                spans: record.spans,
                stalls: record.stalls,
                sbuf_bytes: sbuf,
                psum_bytes: psum,
                hbm_bytes_per_ps: self.rings.traffic.take().unwrap_or_default(),
            });
        }
        stats
    }
}
