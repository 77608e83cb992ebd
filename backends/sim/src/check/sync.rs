//! What is known to have happened: vector clocks over engines and DMA queues, and what a semaphore wait proves.
//!
//! A clock has one entry per engine (instructions known to be complete) and one per DMA queue (transfers known to be complete,
//! counted per queue: a ring is served in order on every DMA engine, so the k-th transfer of a queue is complete only when those before are).
//!
//! A wait for `value` proves an update when the counter could not have reached `value` without it, whatever the timing. A finished
//! transfer adds 1 from each DMA engine in any order, so each of these engines counts as an updater of its own:
//! with two transfers in flight on one semaphore, one transfer's worth of increments proves neither.
//! An update that was not ordered after the waits passed so far could have satisfied them early; it is refused.

use std::sync::Arc;

/// A vector clock.
pub type Clock = Vec<u32>;

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

/// Updates of one semaphore by one thread since the last reset.
#[derive(Clone, Debug)]
struct Producer {
    thread: Thread,
    /// Sequence number of the last update.
    last: u32,
    /// Added in all.
    total: u64,
    /// Amount added up to and including an update, and what was known then. For queues one entry per transfer.
    history: Vec<(u64, Arc<Clock>)>,
}

/// One semaphore.
#[derive(Clone, Debug, Default)]
struct Semaphore {
    producers: Vec<Producer>,
    /// Thread, sequence number, amount.
    subtractions: Vec<(Thread, u32, u64)>,
    /// Last wait that passed, by engine; 0 for none.
    waits: [u32; ENGINES],
    /// Engine and instruction that last reset it.
    reset: Option<(Thread, u32)>,
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
    /// Increments of one transfer.
    dma_increment: u64,
}

impl Semaphores {
    /// `count` semaphores at 0.
    pub fn new(count: usize, dma_increment: u64) -> Semaphores {
        Semaphores {
            all: vec![Semaphore::default(); count],
            dma_increment,
        }
    }

    /// Records that `thread` adds `amount` to a semaphore; `known` is its clock at that moment, its own entry included.
    /// For a queue, `amount` is that of one whole transfer.
    pub fn add(
        &mut self,
        semaphore: usize,
        thread: Thread,
        sequence: u32,
        amount: u64,
        known: &Arc<Clock>,
    ) -> Result<(), SyncError> {
        let Some(s) = self.all.get_mut(semaphore) else {
            return Ok(());
        };
        if let Some((engine, at)) = s.reset
            && engine != thread
            && known[engine] < at
        {
            return Err(SyncError::AfterReset { engine });
        }
        let alone = s.producers.iter().all(|p| p.thread == thread);
        // An engine's own updates come in order, so a later one cannot stand in for an earlier one.
        if !(alone && thread < ENGINES) {
            for (waiter, &instruction) in s.waits.iter().enumerate() {
                if instruction > 0 && waiter != thread && known[waiter] < instruction {
                    return Err(SyncError::UpdateUnordered { waiter, instruction });
                }
            }
        }
        let producer = match s.producers.iter_mut().position(|p| p.thread == thread) {
            Some(i) => &mut s.producers[i],
            None => {
                s.producers.push(Producer {
                    thread,
                    last: 0,
                    total: 0,
                    history: Vec::new(),
                });
                let last = s.producers.len() - 1;
                &mut s.producers[last]
            }
        };
        producer.last = sequence;
        producer.total += amount;
        producer.history.push((producer.total, known.clone()));
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
        for p in &s.producers {
            if p.thread != thread && known[p.thread] < p.last {
                return Err(SyncError::ResetUnordered { updater: p.thread });
            }
        }
        for (waiter, &instruction) in s.waits.iter().enumerate() {
            if waiter != thread && known[waiter] < instruction {
                return Err(SyncError::ResetBeforeWait { waiter });
            }
        }
        *s = Semaphore {
            reset: Some((thread, sequence)),
            ..Semaphore::default()
        };
        if value > 0 {
            s.producers.push(Producer {
                thread,
                last: sequence,
                total: value,
                history: vec![(value, known.clone())],
            });
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
        {
            return Err(SyncError::AfterReset { engine: by });
        }
        if value > 0 {
            // What was surely taken away had to be added first.
            let known_gone = |&&(thread, at, _): &&(Thread, u32, u64)| thread == engine || clock[thread] >= at;
            let needed = value + s.subtractions.iter().filter(known_gone).map(|x| x.2).sum::<u64>();
            let all: u64 = s.producers.iter().map(|p| p.total).sum();
            for p in &s.producers {
                let others = all - p.total;
                let proved = if p.thread < ENGINES {
                    // The first update with which the thread reaches what the others cannot supply.
                    match needed.checked_sub(others) {
                        Some(least) if least > 0 => Some(p.history.partition_point(|h| h.0 < least)),
                        _ => None,
                    }
                } else {
                    // Transfer j is proved when the other DMA engines' increments and this one's before j fall short.
                    let transfers = p.total / dma;
                    let rest = others + (dma - 1) * transfers;
                    needed
                        .checked_sub(rest)
                        .filter(|&j| j > 0)
                        .map(|j| (j.min(transfers) - 1) as usize)
                };
                if let Some((_, known)) = proved.and_then(|i| p.history.get(i)) {
                    merge(clock, known);
                }
            }
        }
        if let Some(slot) = s.waits.get_mut(engine) {
            *slot = (*slot).max(sequence);
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
        let mut c = vec![0; 7];
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
            s.add(0, TENSOR, i * 10, 1, &known(&[(TENSOR, i * 10)]))
                .expect("ordered");
        }
        let mut c = clock(&[]);
        s.wait(0, VECTOR, 1, 2, &mut c).expect("ordered");
        assert_eq!(c[TENSOR], 20);
    }

    #[test]
    fn two_transfers_in_flight_prove_nothing_by_halves() {
        let mut s = Semaphores::new(4, 16);
        s.add(0, QUEUE, 1, 16, &known(&[(QUEUE, 1)])).expect("ordered");
        let mut c = clock(&[]);
        s.wait(0, VECTOR, 1, 16, &mut c).expect("ordered");
        assert_eq!(c[QUEUE], 1);

        let mut s = Semaphores::new(4, 16);
        s.add(0, QUEUE, 1, 16, &known(&[(QUEUE, 1)])).expect("ordered");
        s.add(0, QUEUE, 2, 16, &known(&[(QUEUE, 2)])).expect("ordered");
        let mut c = clock(&[]);
        s.wait(0, VECTOR, 1, 16, &mut c).expect("ordered");
        assert_eq!(c[QUEUE], 0);
        s.wait(0, VECTOR, 2, 32, &mut c).expect("ordered");
        assert_eq!(c[QUEUE], 2);
    }

    #[test]
    fn a_transfer_that_could_satisfy_an_earlier_wait_is_refused() {
        let mut s = Semaphores::new(4, 16);
        s.add(0, QUEUE, 1, 16, &known(&[(QUEUE, 1)])).expect("ordered");
        let mut c = clock(&[]);
        s.wait(0, VECTOR, 7, 16, &mut c).expect("ordered");
        let blind = s.clone().add(0, QUEUE, 2, 16, &known(&[(QUEUE, 2)]));
        assert_eq!(
            blind,
            Err(SyncError::UpdateUnordered {
                waiter: VECTOR,
                instruction: 7
            })
        );
        assert_eq!(s.add(0, QUEUE, 2, 16, &known(&[(QUEUE, 2), (VECTOR, 7)])), Ok(()));
    }

    #[test]
    fn two_producers_prove_only_together() {
        let mut s = Semaphores::new(4, 16);
        s.add(0, TENSOR, 3, 1, &known(&[(TENSOR, 3)])).expect("ordered");
        s.add(0, VECTOR, 4, 1, &known(&[(VECTOR, 4)])).expect("ordered");
        let mut c = clock(&[]);
        s.wait(0, 2, 1, 1, &mut c).expect("ordered");
        assert_eq!((c[TENSOR], c[VECTOR]), (0, 0));
        s.wait(0, 2, 2, 2, &mut c).expect("ordered");
        assert_eq!((c[TENSOR], c[VECTOR]), (3, 4));
    }

    #[test]
    fn resets_need_order_on_both_sides() {
        let mut s = Semaphores::new(4, 16);
        s.add(0, TENSOR, 3, 1, &known(&[(TENSOR, 3)])).expect("ordered");
        let early = s.clone().reset(0, VECTOR, 5, 0, &known(&[(VECTOR, 5)]));
        assert_eq!(early, Err(SyncError::ResetUnordered { updater: TENSOR }));
        s.reset(0, VECTOR, 5, 0, &known(&[(VECTOR, 5), (TENSOR, 3)]))
            .expect("ordered");
        let blind = s.clone().add(0, TENSOR, 4, 1, &known(&[(TENSOR, 4)]));
        assert_eq!(blind, Err(SyncError::AfterReset { engine: VECTOR }));
        let mut c = clock(&[]);
        assert_eq!(
            s.wait(0, 2, 1, 1, &mut c),
            Err(SyncError::AfterReset { engine: VECTOR })
        );
    }

    #[test]
    fn subtracting_raises_what_a_wait_needs() {
        let mut s = Semaphores::new(4, 16);
        s.add(0, TENSOR, 1, 1, &known(&[(TENSOR, 1)])).expect("ordered");
        let mut c = clock(&[]);
        s.wait(0, VECTOR, 1, 1, &mut c).expect("ordered");
        s.subtract(0, VECTOR, 1, 1);
        s.add(0, TENSOR, 2, 1, &known(&[(TENSOR, 2)])).expect("ordered");
        let mut c = clock(&[]);
        s.wait(0, VECTOR, 2, 1, &mut c).expect("ordered");
        assert_eq!(c[TENSOR], 2);
    }
}
