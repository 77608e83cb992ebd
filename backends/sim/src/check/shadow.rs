//! Data races: two accesses to a byte, at least one of them a write, that nothing orders.
//!
//! Accesses come in an order that respects every proved dependence. Each memory is cut into buckets of bytes; a bucket holds the accesses
//! that may still race with a later one. An access leaves when one that is ordered after it, at least as exclusive, covers it:
//! whoever is ordered after the second is ordered after the first.

use super::region::{Mem, Region};
use super::sync::Thread;

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
    memories: Vec<Vec<Vec<Access>>>,
    /// Memories that nothing ever writes, where nothing can race.
    read_only: Vec<bool>,
}

impl Shadow {
    /// `written[m]` says whether the program writes memory `m`.
    pub fn new(written: Vec<bool>) -> Shadow {
        Shadow {
            memories: vec![Vec::new(); written.len()],
            read_only: written.iter().map(|w| !w).collect(),
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
            buckets.resize(last + 1, Vec::new());
        }
        for (offset, bucket) in buckets[first..=last].iter_mut().enumerate() {
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
            while let Some(old) = bucket.get(i) {
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
                    bucket.swap_remove(i);
                } else {
                    i += 1;
                }
            }
            bucket.push(access);
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
        let mut s = Shadow::new(vec![true]);
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
        let mut s = Shadow::new(vec![true]);
        for i in 1..1000 {
            assert_eq!(s.access(&regions, 0, true, 0, i, &[i, 0], origin(i)), None);
        }
        assert_eq!(s.memories[0][0].len(), 1);
    }

    #[test]
    fn read_only_memories_are_not_tracked() {
        let regions = [region(0, 1, 0, 64)];
        let mut s = Shadow::new(vec![false]);
        assert_eq!(s.access(&regions, 0, false, 0, 1, &[1], origin(0)), None);
        assert!(s.memories[0].is_empty());
    }
}
