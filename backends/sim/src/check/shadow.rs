//! Data races: two accesses to a byte, at least one of them a write, that nothing orders.
//!
//! Accesses come in an order that respects every proved dependence. Each memory is cut into buckets of bytes; a bucket holds the accesses
//! that may still race with a later one. An access leaves when one that is ordered after it, at least as exclusive, covers it:
//! whoever is ordered after the second is ordered after the first.
//!
//! Engines do the same again and again: a product reads its weights, an accumulation writes its bank. An engine that repeats an access to a
//! bucket which only itself has touched since has nothing new to race with, and only renews what it left there (see [`Hint`]).

use super::region::{Mem, Region};
use super::sync::{ENGINES, Thread};

/// Bytes of a bucket on chip: a PSUM bank.
const ON_CHIP_BUCKET: u64 = 2048;
/// Bytes of a bucket of HBM.
const HBM_BUCKET: u64 = 1 << 16;

/// Where an access comes from, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Engine of the instruction (for DMA: of the trigger).
    pub engine: u8,
    /// Index in its stream.
    pub instruction: u32,
    /// When it started, picoseconds.
    pub start_ps: u64,
}

#[derive(Clone, Debug)]
struct Access {
    /// Index into the caller's regions: they outlive the run.
    region: u32,
    /// Its bytes within the bucket, from the first to the last, and its partitions: most others are told apart by these.
    low: u32,
    high: u32,
    first: u16,
    end: u16,
    thread: u16,
    write: bool,
    sequence: u32,
    origin: Origin,
}

impl Access {
    /// Whether it lies beside another, without a look at the regions.
    fn beside(&self, other: &Access) -> bool {
        self.low >= other.high || other.low >= self.high || self.first >= other.end || other.first >= self.end
    }
}

/// The accesses to one bucket.
#[derive(Clone, Debug, Default)]
struct Bucket {
    list: Vec<Access>,
    /// Changes of the list's order so far: places in it are good until the next.
    layout: u32,
    /// Accesses so far.
    accesses: u64,
    /// Who made the last of them, and the number of the first since when nobody else has made one.
    owner: u16,
    since: u64,
}

impl Bucket {
    /// Counts an access by a thread.
    fn count(&mut self, thread: u16) {
        self.accesses += 1;
        if self.owner != thread {
            (self.owner, self.since) = (thread, self.accesses);
        }
    }
}

/// Where an engine left its last access to a region in a bucket, and the bucket's counts then. As long as all accesses since are its own,
/// nobody can race with it who did not race then: what an engine knows only grows.
#[derive(Clone, Copy, Debug, Default)]
struct Hint {
    place: u32,
    layout: u32,
    /// 0 for none.
    accesses: u64,
}

/// A region without a hint.
const NO_HINT: u32 = u32::MAX;

/// A race.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Race {
    /// The earlier access.
    pub other: Origin,
    /// Whether the earlier one wrote.
    pub other_writes: bool,
    /// Its region.
    pub other_region: u32,
}

/// Accesses that may still race.
#[derive(Clone, Debug, Default)]
pub struct Shadow {
    /// By memory, then by bucket.
    memories: Vec<Vec<Bucket>>,
    /// Memories that nothing ever writes, where nothing can race.
    read_only: Vec<bool>,
    /// By region, its first hint: there is one for each bucket of a region on chip.
    first_hint: Vec<u32>,
    hints: Vec<Hint>,
}

impl Shadow {
    /// `written[m]` says whether the program writes memory `m`; `regions` are those that it touches.
    pub fn new(written: Vec<bool>, regions: &[Region]) -> Shadow {
        let mut count = 0;
        let first_hint = regions.iter().map(|r| {
            if r.mem.block().is_some() {
                return NO_HINT;
            }
            let first = count;
            count += ((r.high - 1) / ON_CHIP_BUCKET - r.low / ON_CHIP_BUCKET + 1) as u32;
            first
        });
        let first_hint = first_hint.collect();
        Shadow {
            memories: vec![Vec::new(); written.len()],
            read_only: written.iter().map(|w| !w).collect(),
            first_hint,
            hints: vec![Hint::default(); count as usize],
        }
    }

    /// Records an access by `thread` (its `sequence`-th step) whose clock is `known`, and reports the first race.
    #[allow(clippy::too_many_arguments)] // one access is these eight facts
    pub fn access(
        &mut self,
        regions: &[Region],
        region: u32,
        write: bool,
        thread: Thread,
        sequence: u32,
        known: &[u32],
        origin: Origin,
    ) -> Option<Race> {
        let new = regions.get(region as usize)?;
        let mem = new.mem.0 as usize;
        if self.read_only.get(mem).copied().unwrap_or(true) {
            return None;
        }
        let width = if matches!(new.mem, Mem::SBUF | Mem::PSUM) {
            ON_CHIP_BUCKET
        } else {
            HBM_BUCKET
        };
        let (first, last) = ((new.low / width) as usize, ((new.high - 1) / width) as usize);
        let buckets = &mut self.memories[mem];
        if buckets.len() <= last {
            buckets.resize(last + 1, Bucket::default());
        }
        let hint = self.first_hint.get(region as usize).copied().unwrap_or(NO_HINT);
        let hinted = thread < ENGINES && hint != NO_HINT;
        for (offset, bucket) in buckets[first..=last].iter_mut().enumerate() {
            if hinted
                && let Some(hint) = self.hints.get_mut(hint as usize + offset)
                && hint.accesses != 0
                && hint.layout == bucket.layout
                && usize::from(bucket.owner) == thread
                && bucket.since <= hint.accesses
                && let Some(old) = bucket.list.get_mut(hint.place as usize)
                && (old.region, old.write, usize::from(old.thread)) == (region, write, thread)
            {
                (old.sequence, old.origin) = (sequence, origin);
                bucket.count(thread as u16);
                hint.accesses = bucket.accesses;
                continue;
            }
            let low = (first + offset) as u64 * width;
            let access = Access {
                region,
                low: new.low.saturating_sub(low) as u32,
                high: (new.high - low).min(width) as u32,
                first: new.first,
                end: new.end,
                thread: thread as u16,
                write,
                sequence,
                origin,
            };
            let mut i = 0;
            while let Some(old) = bucket.list.get(i) {
                if old.beside(&access) {
                    i += 1;
                    continue;
                }
                let ordered = known.get(old.thread as usize).is_some_and(|&k| k >= old.sequence);
                let same = old.region == region;
                if !ordered && (write || old.write) && (same || regions[old.region as usize].overlaps(new)) {
                    return Some(Race {
                        other: old.origin,
                        other_writes: old.write,
                        other_region: old.region,
                    });
                }
                let covered = || same || new.covers_within(&regions[old.region as usize], low, low + width);
                if ordered && (write || !old.write) && covered() {
                    bucket.list.swap_remove(i);
                    bucket.layout = bucket.layout.wrapping_add(1);
                } else {
                    i += 1;
                }
            }
            bucket.list.push(access);
            bucket.count(thread as u16);
            if hinted && let Some(hint) = self.hints.get_mut(hint as usize + offset) {
                *hint = Hint {
                    place: bucket.list.len() as u32 - 1,
                    layout: bucket.layout,
                    accesses: bucket.accesses,
                };
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(first: u16, end: u16, low: u64, high: u64) -> Region {
        Region {
            mem: Mem::SBUF,
            first,
            end,
            low,
            high,
            runs: None,
            comb: None,
        }
    }

    fn origin(instruction: u32) -> Origin {
        Origin {
            engine: 0,
            instruction,
            start_ps: 0,
        }
    }

    #[test]
    fn unordered_write_and_read_race() {
        let regions = [
            region(0, 128, 0, 4096),
            region(64, 128, 2000, 2100),
            region(0, 64, 2000, 2100),
        ];
        let mut s = Shadow::new(vec![true], &regions);
        assert_eq!(s.access(&regions, 0, true, 0, 1, &[1, 0], origin(7)), None);
        let race = s.clone().access(&regions, 1, false, 1, 1, &[0, 1], origin(8));
        assert_eq!(race.map(|r| (r.other.instruction, r.other_writes)), Some((7, true)));
        assert_eq!(s.access(&regions, 1, false, 1, 1, &[1, 1], origin(8)), None);
        // The first engine overwrites what the second still reads.
        assert!(s.clone().access(&regions, 0, true, 0, 2, &[2, 0], origin(9)).is_some());
        assert!(s.access(&regions, 2, true, 0, 2, &[2, 0], origin(9)).is_none());
    }

    #[test]
    fn covered_accesses_are_forgotten() {
        let regions = [region(0, 128, 0, 2048)];
        let mut s = Shadow::new(vec![true], &regions);
        for i in 1..1000 {
            assert_eq!(s.access(&regions, 0, true, 0, i, &[i, 0], origin(i)), None);
        }
        assert_eq!(s.memories[0][0].list.len(), 1);
    }

    #[test]
    fn what_an_engine_repeats_races_as_the_first_time() {
        let regions = [region(0, 128, 0, 4096), region(0, 64, 2000, 2100)];
        let mut s = Shadow::new(vec![true], &regions);
        for i in 1..4 {
            assert_eq!(s.access(&regions, 0, true, 0, i, &[i, 0], origin(i)), None);
        }
        // Another one reads; then the first may not go on as if nothing had been, until it knows of it.
        assert_eq!(s.access(&regions, 1, false, 1, 1, &[3, 1], origin(9)), None);
        let race = s.clone().access(&regions, 0, true, 0, 4, &[4, 0], origin(4));
        assert_eq!(race.map(|r| (r.other.instruction, r.other_writes)), Some((9, false)));
        assert_eq!(s.access(&regions, 0, true, 0, 4, &[4, 1], origin(4)), None);
        // A renewed access is the one that later ones must be ordered after.
        assert_eq!(s.access(&regions, 0, true, 0, 5, &[5, 1], origin(5)), None);
        let race = s.clone().access(&regions, 1, false, 1, 2, &[4, 2], origin(9));
        assert_eq!(race.map(|r| r.other.instruction), Some(5));
        assert_eq!(s.access(&regions, 1, false, 1, 2, &[5, 2], origin(9)), None);
    }

    #[test]
    fn read_only_memories_are_not_tracked() {
        let regions = [region(0, 1, 0, 64)];
        let mut s = Shadow::new(vec![false], &regions);
        assert_eq!(s.access(&regions, 0, false, 0, 1, &[1], origin(0)), None);
        assert!(s.memories[0].is_empty());
    }
}
