//! Memory accesses and what they conflict with.
//!
//! An [`Access`] is a strided set of bytes in a run of partitions of one linear address space (a tile, SBUF, PSUM or an
//! HBM buffer). An [`AccessMap`] remembers who touched which bytes last and answers, for accesses fed to it in program
//! order, on whom each depends. Overlap is decided conservatively: two accesses conflict unless their partitions, the
//! hulls of their bytes, or their residues modulo one of their steps are disjoint.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferrite_ir::isa::ApDim;
use ferrite_ir::tile::{HbmAccess, MemDim, OpKind, Program, Touched, View};
use smallvec::SmallVec;

/// A strided set of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    /// First byte.
    pub low: i64,
    /// End of the last byte.
    pub high: i64,
    /// First partition and end of the partitions; for HBM the rows of [`Access::in_rows`], else `(0, 1)`.
    pub partitions: (u32, u32),
    /// Bytes of each contiguous run.
    pub run: i64,
    /// Steps (larger than `run`, descending) and counts (larger than 1) of the runs.
    pub dims: SmallVec<[(i64, i64); 3]>,
}

impl Access {
    /// The bytes `low..high` without gaps.
    pub fn dense(low: i64, high: i64, partitions: (u32, u32)) -> Access {
        Access {
            low,
            high,
            partitions,
            run: high.saturating_sub(low),
            dims: SmallVec::new(),
        }
    }

    /// `dims` are (step in bytes, count), `width` the bytes of one element.
    fn strided(offset: i64, width: i64, dims: impl Iterator<Item = (i64, i64)>, partitions: (u32, u32)) -> Access {
        let mut low = offset;
        let mut steps: SmallVec<[(i64, i64); 6]> = SmallVec::new();
        for (step, count) in dims {
            if count <= 1 || step == 0 {
                continue;
            }
            if step < 0 {
                low += step * (count - 1);
            }
            steps.push((step.abs(), count));
        }
        steps.sort_unstable();
        let mut run = width;
        let mut high = low + width;
        let mut outer: SmallVec<[(i64, i64); 3]> = SmallVec::new();
        for (step, count) in steps {
            high += step * (count - 1);
            match outer.last_mut() {
                None if step <= run => run += step * (count - 1),
                Some((inner_step, inner_count)) if *inner_step * *inner_count == step => *inner_count *= count,
                _ => outer.push((step, count)),
            }
        }
        outer.reverse();
        Access {
            low,
            high,
            partitions,
            run,
            dims: outer,
        }
    }

    /// What a view touches, with the tile at byte `base` of each partition.
    pub fn of_view(view: &View, base: i64) -> Access {
        let size = view.dtype.bytes() as i64;
        Access::strided(
            base + i64::from(view.offset),
            size,
            view.dims
                .iter()
                .map(|d: &ApDim| (i64::from(d.step) * size, i64::from(d.count))),
            (u32::from(view.partition), u32::from(view.partition + view.partitions)),
        )
    }

    /// What an HBM access touches, with its buffer at byte `base`.
    pub fn of_hbm(access: &HbmAccess, base: i64) -> Access {
        Access::strided(
            base + access.offset as i64,
            access.dtype.bytes() as i64,
            access.dims.iter().map(|d: &MemDim| (d.step, d.count as i64)),
            (0, 1),
        )
    }

    /// The access in a memory that is seen as rows of `pitch` bytes: rows are partitions, bytes count within the row. What
    /// is no rectangle there becomes the smallest one around it. Also whether it is one.
    fn in_rows(&self, pitch: i64) -> (Access, bool) {
        let row = |byte: i64| byte.div_euclid(pitch);
        let (first, end) = (row(self.low), row(self.high - 1) + 1);
        let start = first * pitch;
        let rows = |first: i64, end: i64| (first as u32, end.min(i64::from(u32::MAX)) as u32);
        if end - first == 1 {
            let within = Access {
                low: self.low - start,
                high: self.high - start,
                partitions: rows(first, end),
                ..self.clone()
            };
            return (within, true);
        }
        if let Some((&(step, count), inner)) = self.dims.split_first() {
            let high = self.high - step * (count - 1) - start;
            if step % pitch == 0 && high <= pitch {
                let within = Access {
                    low: self.low - start,
                    high,
                    partitions: rows(first, end),
                    run: self.run,
                    dims: inner.into(),
                };
                return (within, step == pitch);
            }
        }
        let whole = self.is_dense() && self.low == start && self.high == end * pitch;
        (Access::dense(0, pitch, rows(first, end)), whole)
    }

    /// Whether every byte between `low` and `high` is touched.
    pub fn is_dense(&self) -> bool {
        self.dims.is_empty()
    }

    /// Whether a byte may be in both.
    pub fn overlaps(&self, other: &Access) -> bool {
        if self.partitions.0 >= other.partitions.1 || other.partitions.0 >= self.partitions.1 {
            return false;
        }
        if self.low >= other.high || other.low >= self.high {
            return false;
        }
        !self
            .dims
            .iter()
            .chain(&other.dims)
            .any(|&(pitch, _)| self.apart_modulo(other, pitch))
    }

    /// Extent of the bytes modulo `pitch`, if they form one run there.
    fn extent_modulo(&self, pitch: i64) -> Option<i64> {
        let mut extent = self.run;
        for &(step, count) in &self.dims {
            if step % pitch != 0 {
                extent += step * (count - 1);
            }
        }
        (extent <= pitch).then_some(extent)
    }

    fn apart_modulo(&self, other: &Access, pitch: i64) -> bool {
        let (Some(a), Some(b)) = (self.extent_modulo(pitch), other.extent_modulo(pitch)) else {
            return false;
        };
        let distance = (other.low - self.low).rem_euclid(pitch);
        // Both are circular runs: `other` starts after the end of `self` and ends before it starts again.
        distance >= a && pitch - distance >= b
    }

    fn covers_partitions(&self, partitions: (u32, u32)) -> bool {
        self.partitions.0 <= partitions.0 && partitions.1 <= self.partitions.1
    }
}

/// A remembered access.
#[derive(Clone, Debug)]
struct Entry {
    node: u32,
    access: Arc<Access>,
    /// The same in the rows of the memory, if it has any.
    place: Arc<Access>,
    /// Chain whose accesses happen in order, so that only the last needs to be remembered.
    chain: Option<u8>,
}

#[derive(Clone, Debug, Default)]
struct Segment {
    writes: SmallVec<[Entry; 1]>,
    reads: Vec<Entry>,
}

/// Writes of one segment that are remembered one by one; beyond, the next access is ordered after all of them.
const MAX_WRITES: usize = 96;

/// Who touched which bytes of one address space last.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccessMap {
    /// Start of each segment; a segment ends where the next one starts. Nothing was touched before the first one.
    segments: BTreeMap<i64, Segment>,
    /// Bytes of a row, where accesses are rectangles in rows of this length: many that lie beside each other then touch few
    /// segments each, instead of all between their first and last byte.
    pitch: Option<i64>,
}

/// Accesses to a buffer from which on it is worth looking for its rows (our choice).
const MIN_STRIDED: u32 = 8;

/// For each buffer the length of its rows in bytes: the largest step of most of its strided accesses.
pub(crate) fn pitches(program: &Program, spaces: &[u32]) -> Vec<Option<i64>> {
    let mut steps: Vec<BTreeMap<i64, u32>> = vec![BTreeMap::new(); program.buffers.len()];
    for op in &program.ops {
        if let OpKind::Dma(_) | OpKind::Indirect(_) = op.kind {
            op.for_each(|_, touched| {
                if let Touched::Hbm(h) = touched
                    && let Some(&(step, _)) = Access::of_hbm(h, 0).dims.first()
                {
                    *steps[spaces[h.buffer.index()] as usize].entry(step).or_default() += 1;
                }
            });
        }
    }
    let most = |steps: BTreeMap<i64, u32>| {
        let (step, count) = steps.into_iter().max_by_key(|&(step, count)| (count, -step))?;
        (count >= MIN_STRIDED).then_some(step)
    };
    steps.into_iter().map(most).collect()
}

/// How an access relates to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hazard {
    /// Read after write.
    Raw,
    /// Write after read or after write.
    Order,
}

impl AccessMap {
    /// A map of a memory with rows of `pitch` bytes, if it has any.
    pub fn with_pitch(pitch: Option<i64>) -> AccessMap {
        AccessMap {
            segments: BTreeMap::new(),
            pitch,
        }
    }

    /// Everyone remembered.
    pub fn nodes(&self) -> impl Iterator<Item = u32> + '_ {
        let entries = self.segments.values().flat_map(|s| s.writes.iter().chain(&s.reads));
        entries.map(|e| e.node)
    }

    fn split(&mut self, at: i64) {
        let segment = match self.segments.range(..=at).next_back() {
            Some((&start, _)) if start == at => return,
            Some((_, segment)) => segment.clone(),
            None => Segment::default(),
        };
        self.segments.insert(at, segment);
    }

    /// Feeds the next access. `depends` is called for each earlier node it must come after, possibly more than once.
    /// `chain` names accesses that are known to happen in the order in which they are fed.
    pub fn touch(
        &mut self,
        node: u32,
        chain: Option<u8>,
        write: bool,
        access: Access,
        mut depends: impl FnMut(u32, Hazard),
    ) {
        let access = Arc::new(access);
        let (place, exact) = match self.pitch {
            Some(pitch) => {
                let (place, exact) = access.in_rows(pitch);
                (Arc::new(place), exact)
            }
            None => (access.clone(), true),
        };
        let (low, high) = (place.low, place.high);
        let hazard = if write { Hazard::Order } else { Hazard::Raw };
        let dense = exact && place.is_dense();
        // Whether what was remembered needs not be: whoever depends on it depends on this access.
        let covered = |old: &Entry| {
            let inside = dense && place.covers_partitions(old.place.partitions);
            inside || *old.access == *access
        };
        self.split(low);
        self.split(high);
        let mut whole = true;
        for (_, segment) in self.segments.range_mut(low..high) {
            for entry in &segment.writes {
                if entry.node != node && entry.access.overlaps(&access) {
                    depends(entry.node, hazard);
                }
            }
            let entry = Entry {
                node,
                access: access.clone(),
                place: place.clone(),
                chain,
            };
            if !write {
                // The last reader of a chain stands for the earlier ones that it covers.
                if chain.is_some() {
                    segment.reads.retain(|r| r.chain != chain || !covered(r));
                }
                segment.reads.push(entry);
                whole = false;
                continue;
            }
            for read in &segment.reads {
                if read.node != node && read.access.overlaps(&access) {
                    depends(read.node, Hazard::Order);
                }
            }
            if segment.writes.len() >= MAX_WRITES {
                // Too many to remember: this access comes after all and stands for all.
                for old in segment.writes.iter().chain(&segment.reads) {
                    if old.node != node {
                        depends(old.node, Hazard::Order);
                    }
                }
                segment.reads.clear();
                segment.writes.clear();
                let all = Access::dense(i64::MIN, i64::MAX, (0, u32::MAX));
                segment.writes.push(Entry {
                    node,
                    access: Arc::new(all.clone()),
                    place: Arc::new(all),
                    chain,
                });
                whole = false;
                continue;
            }
            segment.reads.retain(|r| !covered(r));
            segment.writes.retain(|w| !covered(w));
            whole &= dense && segment.reads.is_empty() && segment.writes.is_empty();
            segment.writes.push(entry);
        }
        if whole {
            let inner: SmallVec<[i64; 8]> = self.segments.range(low + 1..high).map(|(&k, _)| k).collect();
            for key in inner {
                self.segments.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(offset: i64, width: i64, dims: &[(i64, i64)]) -> Access {
        Access::strided(offset, width, dims.iter().copied(), (0, 128))
    }

    #[test]
    fn neighbouring_column_blocks_are_apart() {
        let left = access(0, 4, &[(3072, 100), (4, 128)]);
        let right = access(512, 4, &[(3072, 100), (4, 128)]);
        let both = access(508, 4, &[(3072, 100), (4, 2)]);
        assert!(!left.overlaps(&right));
        assert!(left.overlaps(&both) && right.overlaps(&both));
    }

    #[test]
    fn rows_merge_into_one_run() {
        let block = access(64, 4, &[(400, 8), (4, 100)]);
        assert!(block.is_dense());
        assert_eq!((block.low, block.high), (64, 64 + 3200));
    }

    #[test]
    fn rectangles_in_rows_are_as_the_bytes_are() {
        // 8 rows of 1000 bytes; blocks of columns, one across rows, one single run.
        let blocks = [
            access(100, 4, &[(1000, 8), (4, 25)]),
            access(200, 4, &[(1000, 8), (4, 25)]),
            access(190, 4, &[(1000, 4), (4, 5)]),
            access(2000, 4, &[(4, 500)]),
            access(3100, 4, &[(4, 25)]),
        ];
        for a in &blocks {
            for b in &blocks {
                let rows = a.in_rows(1000).0.overlaps(&b.in_rows(1000).0);
                let rows_of = |x: &Access| {
                    let mut bytes = std::collections::BTreeSet::new();
                    let mut at: Vec<i64> = vec![x.low];
                    for &(step, count) in &x.dims {
                        at = at.iter().flat_map(|&o| (0..count).map(move |i| o + i * step)).collect();
                    }
                    for o in at {
                        bytes.extend(o..o + x.run);
                    }
                    bytes
                };
                let really = rows_of(a).intersection(&rows_of(b)).next().is_some();
                assert_eq!(rows, really, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn a_write_hides_what_it_covers() {
        let mut map = AccessMap::default();
        let mut deps = Vec::new();
        map.touch(0, None, true, Access::dense(0, 100, (0, 128)), |_, _| unreachable!());
        map.touch(1, None, false, Access::dense(0, 50, (0, 128)), |n, h| deps.push((n, h)));
        map.touch(2, None, true, Access::dense(0, 100, (0, 128)), |n, h| deps.push((n, h)));
        map.touch(3, None, false, Access::dense(60, 61, (3, 4)), |n, h| deps.push((n, h)));
        deps.dedup();
        assert_eq!(
            deps,
            [
                (0, Hazard::Raw),
                (0, Hazard::Order),
                (1, Hazard::Order),
                (0, Hazard::Order),
                (2, Hazard::Raw)
            ]
        );
    }

    #[test]
    fn many_interleaved_writes_stay_bounded() {
        let mut map = AccessMap::default();
        for node in 0..1000u32 {
            map.touch(
                node,
                None,
                true,
                access(i64::from(node) * 4, 4, &[(4000, 16)]),
                |_, _| {},
            );
        }
        assert!(map.segments.values().all(|s| s.writes.len() <= MAX_WRITES));
        // Whatever was forgotten is still waited for.
        let mut deps = Vec::new();
        map.touch(1000, None, false, access(0, 4, &[(4000, 16)]), |n, _| deps.push(n));
        assert!(!deps.is_empty());
    }
}
