//! What is known to have happened: vector clocks over engines and DMA queues, and what a semaphore wait proves.
//!
//! A clock has one entry per engine (instructions known to be complete) and one per DMA queue (transfers known to be complete,
//! counted per queue: a ring is served in order on every DMA engine, so the k-th transfer of a queue is complete only when those before are).
//!
//! A wait for `value` proves an update when the counter could not have reached `value` without it, whatever the timing. A finished
//! transfer adds 1 from each DMA engine in any order, so each of these engines counts as an updater of its own:
//! with two transfers in flight on one semaphore, one transfer's worth of increments proves neither.
//! An update that could have come before what an earlier wait proved, and so have satisfied it instead, is refused.

use std::sync::Arc;

use smallvec::SmallVec;

/// A vector clock. Programs have few queues, so most are in one piece.
pub type Clock = SmallVec<[u32; 16]>;

/// Whoever updates semaphores: an engine (0..5) or a DMA queue (5..).
pub type Thread = usize;

/// Entries of a clock that belong to engines.
pub const ENGINES: usize = 5;

/// Merges `from` into `into`: the later of each entry.
pub fn merge(into: &mut [u32], from: &[u32]) {
    for (a, b) in into.iter_mut().zip(from) {
        *a = (*a).max(*b);
    }
}

/// Updates of one thread within a group.
#[derive(Clone, Debug)]
struct Producer {
    thread: Thread,
    /// Added in all.
    total: u64,
    /// Sequence number, amount added up to and including the update, and what was known then; one entry per transfer for queues.
    history: SmallVec<[(u32, u64, Arc<Clock>); 1]>,
}

/// Updates that nothing orders among each other; every group starts after the one before is complete.
#[derive(Clone, Debug)]
struct Group {
    /// Added by all groups before.
    base: u64,
    producers: SmallVec<[Producer; 1]>,
}

impl Group {
    fn total(&self) -> u64 {
        self.producers.iter().map(|p| p.total).sum()
    }

    /// Whether every update of the group is known to be complete.
    fn known(&self, clock: &[u32]) -> bool {
        let last = |p: &Producer| p.history.last().map_or(0, |h| h.0);
        self.producers.iter().all(|p| clock[p.thread] >= last(p))
    }

    fn add(&mut self, thread: Thread, sequence: u32, amount: u64, known: &Arc<Clock>) {
        let i = self
            .producers
            .iter()
            .position(|p| p.thread == thread)
            .unwrap_or_else(|| {
                self.producers.push(Producer {
                    thread,
                    total: 0,
                    history: SmallVec::new(),
                });
                self.producers.len() - 1
            });
        let producer = &mut self.producers[i];
        producer.total += amount;
        producer.history.push((sequence, producer.total, known.clone()));
    }

    /// Takes over the updates of the group that came after.
    fn absorb(&mut self, later: Group) {
        for producer in later.producers {
            let mut before = 0;
            for (sequence, total, known) in producer.history {
                self.add(producer.thread, sequence, total - before, &known);
                before = total;
            }
        }
    }
}

/// The last wait of an engine that passed, and the updates it proved (those before them follow).
#[derive(Clone, Debug, Default)]
struct Passed {
    sequence: u32,
    proved: SmallVec<[(Thread, u32); 2]>,
}

/// One semaphore.
#[derive(Clone, Debug, Default)]
struct Semaphore {
    groups: Vec<Group>,
    /// Thread, sequence number, amount.
    subtractions: Vec<(Thread, u32, u64)>,
    /// Last wait that passed, by engine.
    waits: [Passed; ENGINES],
    /// Engine and instruction that last reset it.
    reset: Option<(Thread, u32)>,
    /// Most it can have held before resets.
    stale: u64,
}

/// Why an update or a wait is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncError {
    /// An update that is not ordered after a wait it could satisfy by mistake.
    UpdateUnordered {
        /// Engine whose wait passed earlier.
        waiter: Thread,
        /// Its instruction (sequence number).
        instruction: u32,
    },
    /// A reset while an update may be under way.
    ResetUnordered {
        /// Who updates.
        updater: Thread,
    },
    /// A reset while a wait may not have passed.
    ResetBeforeWait {
        /// Who waits.
        waiter: Thread,
    },
    /// Use that is not ordered after a reset.
    AfterReset {
        /// Engine that resets.
        engine: Thread,
    },
}

/// All semaphores of a core.
#[derive(Clone, Debug)]
pub struct Semaphores {
    all: Vec<Semaphore>,
    /// Those whose updates are remembered for good.
    held: Vec<bool>,
    /// Increments of one transfer.
    dma_increment: u64,
}

impl Semaphores {
    /// `count` semaphores at 0.
    pub fn new(count: usize, dma_increment: u64) -> Semaphores {
        Semaphores {
            all: vec![Semaphore::default(); count],
            held: vec![false; count],
            dma_increment,
        }
    }

    /// Keeps all updates of a semaphore: some of them may not know what their own engine did before.
    pub fn hold(&mut self, semaphore: usize) {
        if let Some(held) = self.held.get_mut(semaphore) {
            *held = true;
        }
    }

    /// Forgets updates that everyone who goes on knows to be complete: `known` is the least of their clocks. What comes is ordered after
    /// them, so they can neither be taken for it nor prove anything new. The last two groups stay, for what a reset asks.
    pub fn forget(&mut self, known: &[u32]) {
        for (s, _) in self.all.iter_mut().zip(&self.held).filter(|(_, held)| !**held) {
            let most = s.groups.len().saturating_sub(2);
            let gone = s.groups[..most].iter().take_while(|g| g.known(known)).count();
            s.groups.drain(..gone);
        }
    }

    /// Records that `thread` adds `amount` to a semaphore. `issued` is what is known to be complete when the update's instruction or
    /// transfer starts, `known` what its completion stands for. For a queue, `amount` is that of one whole transfer.
    pub fn add(
        &mut self,
        semaphore: usize,
        thread: Thread,
        sequence: u32,
        amount: u64,
        issued: &[u32],
        known: &Arc<Clock>,
    ) -> Result<(), SyncError> {
        let Some(s) = self.all.get_mut(semaphore) else {
            return Ok(());
        };
        if let Some((engine, at)) = s.reset
            && engine != thread
            && issued[engine] < at
        {
            return Err(SyncError::AfterReset { engine });
        }
        // An update that comes after what a wait has proved cannot have satisfied it instead.
        for (waiter, passed) in s.waits.iter().enumerate() {
            let ordered = passed.sequence == 0 || waiter == thread || issued[waiter] >= passed.sequence;
            if !ordered && passed.proved.iter().any(|&(t, n)| issued[t] < n) {
                return Err(SyncError::UpdateUnordered {
                    waiter,
                    instruction: passed.sequence,
                });
            }
        }
        // Groups that this update does not follow are one group with it.
        while let [.., before, _] = s.groups.as_slice()
            && !before.known(issued)
        {
            let Some(last) = s.groups.pop() else { break };
            if let Some(before) = s.groups.last_mut() {
                before.absorb(last);
            }
        }
        let fresh = s.groups.last().is_none_or(|last| last.known(issued));
        if fresh {
            let base = s.groups.last().map_or(0, |g| g.base + g.total());
            s.groups.push(Group {
                base,
                producers: SmallVec::new(),
            });
        }
        if let Some(group) = s.groups.last_mut() {
            group.add(thread, sequence, amount, known);
        }
        Ok(())
    }

    /// Records that an engine subtracts.
    pub fn subtract(&mut self, semaphore: usize, thread: Thread, sequence: u32, amount: u64) {
        if let Some(s) = self.all.get_mut(semaphore) {
            s.subtractions.push((thread, sequence, amount));
        }
    }

    /// Records that an engine sets a semaphore to `value`.
    pub fn reset(
        &mut self,
        semaphore: usize,
        thread: Thread,
        sequence: u32,
        value: u64,
        known: &Arc<Clock>,
    ) -> Result<(), SyncError> {
        let Some(s) = self.all.get_mut(semaphore) else {
            return Ok(());
        };
        if let Some(group) = s.groups.last() {
            let late = |p: &&Producer| p.thread != thread && known[p.thread] < p.history.last().map_or(0, |h| h.0);
            if let Some(p) = group.producers.iter().find(late) {
                return Err(SyncError::ResetUnordered { updater: p.thread });
            }
        }
        for (waiter, passed) in s.waits.iter().enumerate() {
            if waiter != thread && known[waiter] < passed.sequence {
                return Err(SyncError::ResetBeforeWait { waiter });
            }
        }
        let held = s.groups.last().map_or(0, |g| g.base + g.total());
        let stale = s.stale.max(held);
        *s = Semaphore {
            reset: Some((thread, sequence)),
            stale,
            ..Semaphore::default()
        };
        if value > 0 {
            let mut group = Group {
                base: 0,
                producers: SmallVec::new(),
            };
            group.add(thread, sequence, value, known);
            s.groups.push(group);
        }
        Ok(())
    }

    /// Records that `engine` passes a wait for `value` and merges what that proves into its clock.
    pub fn wait(
        &mut self,
        semaphore: usize,
        engine: Thread,
        sequence: u32,
        value: u64,
        clock: &mut Clock,
    ) -> Result<(), SyncError> {
        let dma = self.dma_increment.max(1);
        let Some(s) = self.all.get_mut(semaphore) else {
            return Ok(());
        };
        if let Some((by, at)) = s.reset
            && by != engine
            && clock[by] < at
            && value <= s.stale
        {
            return Err(SyncError::AfterReset { engine: by });
        }
        // What was surely taken away had to be added first.
        let known_gone = |&&(thread, at, _): &&(Thread, u32, u64)| thread == engine || clock[thread] >= at;
        let needed = value + s.subtractions.iter().filter(known_gone).map(|x| x.2).sum::<u64>();
        let mut proved: SmallVec<[(Thread, u32); 2]> = SmallVec::new();
        // The group that reaches the value; those before it are complete.
        let reached = s.groups.partition_point(|g| g.base < needed);
        if value > 0 && reached > 0 {
            if reached > 1 {
                for p in &s.groups[reached - 2].producers {
                    proved.extend(p.history.last().map(|h| (p.thread, h.0)));
                    p.history.last().iter().for_each(|h| merge(clock, &h.2));
                }
            }
            let group = &s.groups[reached - 1];
            let (needed, all) = (needed - group.base, group.total());
            for p in &group.producers {
                let others = all - p.total;
                let entry = if p.thread < ENGINES {
                    // The first update with which the thread reaches what the others cannot supply.
                    let least = needed.checked_sub(others).filter(|&least| least > 0);
                    least.map(|least| p.history.partition_point(|h| h.1 < least))
                } else {
                    // Transfer j is proved when the other DMA engines' increments and this one's before j fall short.
                    let transfers = p.total / dma;
                    let rest = others + (dma - 1) * transfers;
                    needed
                        .checked_sub(rest)
                        .filter(|&j| j > 0)
                        .map(|j| (j.min(transfers) - 1) as usize)
                };
                if let Some((at, _, known)) = entry.and_then(|i| p.history.get(i)) {
                    proved.push((p.thread, *at));
                    merge(clock, known);
                }
            }
        }
        if let Some(passed) = s.waits.get_mut(engine) {
            // What earlier waits proved stays relied upon.
            for (thread, at) in proved {
                match passed.proved.iter_mut().find(|p| p.0 == thread) {
                    Some(known) => known.1 = known.1.max(at),
                    None => passed.proved.push((thread, at)),
                }
            }
            passed.sequence = sequence;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENSOR: Thread = 0;
    const VECTOR: Thread = 1;
    const QUEUE: Thread = 5;

    fn clock(entries: &[(Thread, u32)]) -> Clock {
        let mut c: Clock = smallvec::smallvec![0; 7];
        entries.iter().for_each(|&(t, n)| c[t] = n);
        c
    }

    fn known(entries: &[(Thread, u32)]) -> Arc<Clock> {
        Arc::new(clock(entries))
    }

    #[test]
    fn a_counter_proves_its_producer_up_to_the_value() {
        let mut s = Semaphores::new(4, 16);
        for i in 1..=3 {
            s.add(
                0,
                TENSOR,
                i * 10,
                1,
                &clock(&[(TENSOR, i * 10)]),
                &known(&[(TENSOR, i * 10)]),
            )
            .expect("ordered");
        }
        let mut c = clock(&[]);
        s.wait(0, VECTOR, 1, 2, &mut c).expect("ordered");
        assert_eq!(c[TENSOR], 20);
    }

    #[test]
    fn two_transfers_in_flight_prove_nothing_by_halves() {
        let mut s = Semaphores::new(4, 16);
        s.add(0, QUEUE, 1, 16, &clock(&[]), &known(&[(QUEUE, 1)]))
            .expect("ordered");
        let mut c = clock(&[]);
        s.wait(0, VECTOR, 1, 16, &mut c).expect("ordered");
        assert_eq!(c[QUEUE], 1);

        let mut s = Semaphores::new(4, 16);
        s.add(0, QUEUE, 1, 16, &clock(&[]), &known(&[(QUEUE, 1)]))
            .expect("ordered");
        s.add(0, QUEUE, 2, 16, &clock(&[]), &known(&[(QUEUE, 2)]))
            .expect("ordered");
        let mut c = clock(&[]);
        s.wait(0, VECTOR, 1, 16, &mut c).expect("ordered");
        assert_eq!(c[QUEUE], 0);
        s.wait(0, VECTOR, 2, 32, &mut c).expect("ordered");
        assert_eq!(c[QUEUE], 2);
    }

    #[test]
    fn a_transfer_that_could_satisfy_an_earlier_wait_is_refused() {
        let mut s = Semaphores::new(4, 16);
        s.add(0, QUEUE, 1, 16, &clock(&[]), &known(&[(QUEUE, 1)]))
            .expect("ordered");
        let mut c = clock(&[]);
        s.wait(0, VECTOR, 7, 16, &mut c).expect("ordered");
        let blind = s.clone().add(0, QUEUE, 2, 16, &clock(&[]), &known(&[(QUEUE, 2)]));
        assert_eq!(
            blind,
            Err(SyncError::UpdateUnordered {
                waiter: VECTOR,
                instruction: 7
            })
        );
        assert_eq!(
            s.add(
                0,
                QUEUE,
                2,
                16,
                &clock(&[(VECTOR, 7)]),
                &known(&[(QUEUE, 2), (VECTOR, 7)])
            ),
            Ok(())
        );
    }

    #[test]
    fn two_producers_prove_only_together() {
        let mut s = Semaphores::new(4, 16);
        s.add(0, TENSOR, 3, 1, &clock(&[(TENSOR, 3)]), &known(&[(TENSOR, 3)]))
            .expect("ordered");
        s.add(0, VECTOR, 4, 1, &clock(&[(VECTOR, 4)]), &known(&[(VECTOR, 4)]))
            .expect("ordered");
        let mut c = clock(&[]);
        s.wait(0, 2, 1, 1, &mut c).expect("ordered");
        assert_eq!((c[TENSOR], c[VECTOR]), (0, 0));
        s.wait(0, 2, 2, 2, &mut c).expect("ordered");
        assert_eq!((c[TENSOR], c[VECTOR]), (3, 4));
    }

    #[test]
    fn resets_need_order_on_both_sides() {
        let mut s = Semaphores::new(4, 16);
        s.add(0, TENSOR, 3, 1, &clock(&[(TENSOR, 3)]), &known(&[(TENSOR, 3)]))
            .expect("ordered");
        let early = s.clone().reset(0, VECTOR, 5, 0, &known(&[(VECTOR, 5)]));
        assert_eq!(early, Err(SyncError::ResetUnordered { updater: TENSOR }));
        s.reset(0, VECTOR, 5, 0, &known(&[(VECTOR, 5), (TENSOR, 3)]))
            .expect("ordered");
        let blind = s
            .clone()
            .add(0, TENSOR, 4, 1, &clock(&[(TENSOR, 4)]), &known(&[(TENSOR, 4)]));
        assert_eq!(blind, Err(SyncError::AfterReset { engine: VECTOR }));
        let mut c = clock(&[]);
        assert_eq!(
            s.wait(0, 2, 1, 1, &mut c),
            Err(SyncError::AfterReset { engine: VECTOR })
        );
    }

    #[test]
    fn what_everyone_knows_is_forgotten() {
        let mut s = Semaphores::new(2, 16);
        for i in 1..=10 {
            for semaphore in 0..2 {
                let own = [(TENSOR, i)];
                s.add(semaphore, TENSOR, i, 1, &clock(&own), &known(&own))
                    .expect("ordered");
            }
        }
        s.hold(1);
        let mut late = s.clone();
        s.forget(&clock(&[(TENSOR, 6)]));
        assert_eq!((s.all[0].groups.len(), s.all[1].groups.len()), (4, 10));
        // Waits prove the same to those who know as much.
        for value in [3, 6, 8, 10] {
            let (mut a, mut b) = (clock(&[(TENSOR, 6)]), clock(&[(TENSOR, 6)]));
            s.wait(0, VECTOR, 1, value, &mut a).expect("ordered");
            late.wait(0, VECTOR, 1, value, &mut b).expect("ordered");
            assert_eq!((&a, a[TENSOR]), (&b, value.max(6) as u32));
        }
        s.forget(&clock(&[(TENSOR, 10)]));
        assert_eq!(s.all[0].groups.len(), 2);
    }

    #[test]
    fn subtracting_raises_what_a_wait_needs() {
        let mut s = Semaphores::new(4, 16);
        s.add(0, TENSOR, 1, 1, &clock(&[(TENSOR, 1)]), &known(&[(TENSOR, 1)]))
            .expect("ordered");
        let mut c = clock(&[]);
        s.wait(0, VECTOR, 1, 1, &mut c).expect("ordered");
        s.subtract(0, VECTOR, 1, 1);
        s.add(0, TENSOR, 2, 1, &clock(&[(TENSOR, 2)]), &known(&[(TENSOR, 2)]))
            .expect("ordered");
        let mut c = clock(&[]);
        s.wait(0, VECTOR, 2, 1, &mut c).expect("ordered");
        assert_eq!(c[TENSOR], 2);
    }
}
