//! What an operand touches: partitions times byte runs.
//!
//! Regions of one instruction never change during a run, so they are made once. Two regions that meet are compared exactly,
//! run by run, unless one of them is too ragged (see [`RUNS_MAX`]); then its hull stands for it, which can only make the checks stricter.
//! Two such hulls of regular patterns that never meet, as the real and the imaginary parts of many numbers, are told apart by their [`Comb`].

use std::sync::Arc;

use ferrite_ir::isa::{Ap, ApDims, DmaAccess, DmaSpace, Space};
use ferrite_ir::machine::MachineModel;

use crate::dma::Runs;
use crate::memory::{HbmLayout, for_each_run};

/// More runs than this are replaced by their hull.
const RUNS_MAX: u64 = 1 << 16;

/// The same for SBUF sides of a DMA, which are split by partition.
const RAGGED_MAX: u64 = 1 << 20;

/// A memory: SBUF, PSUM or a block of HBM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mem(pub u32);

impl Mem {
    /// SBUF.
    pub const SBUF: Mem = Mem(0);
    /// PSUM.
    pub const PSUM: Mem = Mem(1);

    /// A block of HBM.
    pub fn hbm(block: u32) -> Mem {
        Mem(block + 2)
    }

    /// The number of the HBM block.
    pub fn block(self) -> Option<u32> {
        self.0.checked_sub(2)
    }
}

/// Bytes in a range of partitions (0..1 for HBM).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Memory.
    pub mem: Mem,
    /// First partition.
    pub first: u16,
    /// One past the last partition.
    pub end: u16,
    /// First byte.
    pub low: u64,
    /// One past the last byte.
    pub high: u64,
    /// Sorted, disjoint runs from `low` to `high`; `None` when all bytes between are touched.
    pub runs: Option<Arc<[(u64, u64)]>>,
    /// Where a hull stands for the runs: what is touched of each period.
    pub comb: Option<Comb>,
}

/// Bytes at regular distances: `width` from `phase` on, modulo `period`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comb {
    period: u64,
    phase: u64,
    width: u64,
}

impl Comb {
    /// The teeth of an access with positive steps in descending order; `None` where they touch each other.
    fn of(access: &DmaAccess, base: u64) -> Option<Comb> {
        let mut width = access.dtype.bytes() as u64;
        let mut dims = access.dims.iter().rev().peekable();
        while let Some(d) = dims.next_if(|d| d.step as u64 == width) {
            width = width.saturating_mul(d.count);
        }
        let period = dims.fold(0, |all, d| gcd(all, d.step as u64));
        (period > width).then(|| Comb {
            period,
            phase: (base + access.offset) % period,
            width,
        })
    }

    /// Whether no byte can be in both, whatever multiples of their periods they lie at.
    fn misses(&self, other: &Comb) -> bool {
        let period = gcd(self.period, other.period);
        if self.width.saturating_add(other.width) > period {
            return false;
        }
        let (a, b) = (self.phase % period, other.phase % period);
        let after = (b + period - a) % period;
        after >= self.width && period - after >= other.width
    }
}

/// Greatest common divisor; 0 counts for nothing.
pub fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl Region {
    /// Calls `f` with every run.
    pub fn for_each_run(&self, mut f: impl FnMut(u64, u64)) {
        match &self.runs {
            None => f(self.low, self.high),
            Some(runs) => runs.iter().for_each(|&(low, high)| f(low, high)),
        }
    }

    /// Whether the two touch a byte in common.
    pub fn overlaps(&self, other: &Region) -> bool {
        if self.mem != other.mem
            || self.first >= other.end
            || other.first >= self.end
            || self.low >= other.high
            || other.low >= self.high
        {
            return false;
        }
        if let (Some(a), Some(b)) = (&self.comb, &other.comb)
            && a.misses(b)
        {
            return false;
        }
        match (&self.runs, &other.runs) {
            (None, None) => true,
            (Some(runs), None) => meets(runs, other.low, other.high),
            (None, Some(runs)) => meets(runs, self.low, self.high),
            (Some(a), Some(b)) => Arc::ptr_eq(a, b) || runs_overlap(a, b),
        }
    }

    /// Whether every byte of `other` between `low` and `high` is touched by this region too. May say no where the truth is yes.
    pub fn covers_within(&self, other: &Region, low: u64, high: u64) -> bool {
        if self.first > other.first || self.end < other.end {
            return false;
        }
        let (from, to) = (other.low.max(low), other.high.min(high));
        match (&self.runs, &other.runs) {
            (None, _) => self.low <= from && self.high >= to,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a == b,
            (Some(_), None) => false,
        }
    }
}

fn meets(runs: &[(u64, u64)], low: u64, high: u64) -> bool {
    let next = runs.partition_point(|&(_, end)| end <= low);
    runs.get(next).is_some_and(|&(start, _)| start < high)
}

fn runs_overlap(a: &[(u64, u64)], b: &[(u64, u64)]) -> bool {
    let (mut i, mut j) = (0, 0);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        if x.0 < y.1 && y.0 < x.1 {
            return true;
        }
        if x.1 <= y.0 { i += 1 } else { j += 1 }
    }
    false
}

/// Sorts and merges runs. The flag says whether two of them overlapped.
fn normalise(mut runs: Vec<(u64, u64)>) -> (Vec<(u64, u64)>, bool) {
    runs.sort_unstable();
    let mut out: Vec<(u64, u64)> = Vec::with_capacity(runs.len());
    let mut overlapped = false;
    for (low, high) in runs {
        match out.last_mut() {
            Some(last) if low <= last.1 => {
                overlapped |= low < last.1;
                last.1 = last.1.max(high);
            }
            _ => out.push((low, high)),
        }
    }
    (out, overlapped)
}

fn region(mem: Mem, first: u16, end: u16, runs: Vec<(u64, u64)>) -> Option<(Region, bool)> {
    let (runs, overlapped) = normalise(runs);
    let (low, high) = (runs.first()?.0, runs.last()?.1);
    let runs = if runs.len() == 1 { None } else { Some(runs.into()) };
    Some((
        Region {
            mem,
            first,
            end,
            low,
            high,
            runs,
            comb: None,
        },
        overlapped,
    ))
}

/// The same bytes in an order that makes runs long: steps positive and descending, repetitions dropped. The flag says whether there
/// were any.
fn ascending(access: &DmaAccess) -> (DmaAccess, bool) {
    let mut out = access.clone();
    let mut repeated = false;
    out.dims.retain(|d| {
        repeated |= d.step == 0 && d.count > 1;
        d.step != 0 && d.count > 1
    });
    for d in &mut out.dims {
        if d.step < 0 {
            let reach = d.step.unsigned_abs().saturating_mul(d.count - 1);
            out.offset = out.offset.saturating_sub(reach);
            d.step = d.step.saturating_neg();
        }
    }
    out.dims.sort_by_key(|d| std::cmp::Reverse(d.step));
    (out, repeated)
}

/// The region of an access pattern, and whether it touches a byte twice. The pattern's range has been checked.
pub fn of_ap(ap: &Ap) -> Option<(Region, bool)> {
    let mem = if ap.space == Space::Sbuf { Mem::SBUF } else { Mem::PSUM };
    let size = ap.dtype.bytes() as u64;
    let mut runs = Vec::new();
    let repeated = ap.dims.iter().any(|d| d.step == 0 && d.count > 1);
    let mut dims: ApDims = ap.dims.iter().filter(|d| d.step != 0).copied().collect();
    dims.sort_by_key(|d| std::cmp::Reverse(d.step));
    for_each_run(&dims, ap.offset as usize, ap.dtype.bytes(), |start, step, count| {
        if step as u64 == size {
            runs.push((start as u64, start as u64 + size * count as u64));
        } else {
            runs.extend((0..count as u64).map(|i| {
                let at = start as u64 + step as u64 * i;
                (at, at + size)
            }));
        }
    });
    let made = region(mem, ap.partition, ap.partition + ap.partitions, runs);
    made.map(|(region, overlapped)| (region, overlapped || repeated))
}

/// Whether [`of_dma`] gives the bytes of a side and not their hull.
pub fn is_exact(access: &DmaAccess) -> bool {
    Runs::new(access, 0).total() <= RUNS_MAX
}

/// The regions of one side of a DMA, and whether it touches a byte twice. Ranges have been checked.
pub fn of_dma(access: &DmaAccess, layout: &HbmLayout, model: &MachineModel) -> (Vec<Region>, bool) {
    let size = access.dtype.bytes() as u64;
    let (access, mut overlapped) = ascending(access);
    let access = &access;
    let mut out = Vec::new();
    let mut push = |made: Option<(Region, bool)>| {
        if let Some((r, o)) = made {
            overlapped |= o;
            out.push(r);
        }
    };
    match access.space {
        DmaSpace::Hbm(var) => {
            let Some((block, base)) = layout.of(var) else {
                return (out, false);
            };
            let iter = Runs::new(access, base);
            if iter.total() > RUNS_MAX {
                let made = region(Mem::hbm(block), 0, 1, vec![hull(access, base)]);
                let comb = Comb::of(access, base);
                push(made.map(|(region, overlapped)| (Region { comb, ..region }, overlapped)));
            } else {
                let runs = iter.map(|(at, n)| (at as u64, at as u64 + n * size)).collect();
                push(region(Mem::hbm(block), 0, 1, runs));
            }
        }
        DmaSpace::Sbuf => {
            let partition = model.sbuf.bytes_per_partition;
            let across: Vec<_> = access
                .dims
                .iter()
                .filter(|d| d.count > 1 && d.step.unsigned_abs() >= partition)
                .collect();
            if let [] | [_] = across.as_slice()
                && across.iter().all(|d| d.step == partition as i64)
            {
                // The usual case: one dimension walks over neighbouring partitions.
                let count = across.first().map_or(1, |d| d.count);
                let mut one = access.clone();
                one.dims.retain(|d| d.count > 1 && d.step.unsigned_abs() < partition);
                let first = access.offset / partition;
                one.offset = access.offset % partition;
                let iter = Runs::new(&one, 0);
                let runs = if iter.total() > RAGGED_MAX {
                    vec![hull(&one, 0)]
                } else {
                    iter.map(|(at, n)| (at as u64, at as u64 + n * size)).collect()
                };
                push(region(Mem::SBUF, first as u16, (first + count) as u16, runs));
                return (out, overlapped);
            }
            let ragged = Runs::new(access, 0);
            if ragged.total() > RAGGED_MAX {
                let (low, high) = hull(access, 0);
                let (first, end) = ((low / partition) as u16, (high.div_ceil(partition)) as u16);
                push(region(
                    Mem::SBUF,
                    first,
                    end,
                    vec![(0, model.sbuf.usable_bytes_per_partition)],
                ));
                return (out, overlapped);
            }
            let mut rows: Vec<(u64, u64, u64)> = ragged
                .map(|(at, n)| {
                    let (p, offset) = (at as u64 / partition, at as u64 % partition);
                    (p, offset, offset + n * size)
                })
                .collect();
            rows.sort_unstable();
            for lane in rows.chunk_by(|a, b| a.0 == b.0) {
                let p = lane[0].0 as u16;
                push(region(
                    Mem::SBUF,
                    p,
                    p + 1,
                    lane.iter().map(|&(_, low, high)| (low, high)).collect(),
                ));
            }
        }
    }
    (out, overlapped)
}

fn hull(access: &DmaAccess, base: u64) -> (u64, u64) {
    let start = (base + access.offset) as i64;
    let (mut low, mut high) = (start, start + access.dtype.bytes() as i64);
    for d in &access.dims {
        let reach = d.step * (d.count as i64 - 1);
        if reach < 0 { low += reach } else { high += reach }
    }
    (low as u64, high as u64)
}

#[cfg(test)]
mod tests {
    use ferrite_ir::dtype::DType;
    use ferrite_ir::isa::{ApDim, DmaDim};

    use super::*;

    fn ap(partition: u16, partitions: u16, offset: u32, dims: &[(i32, u32)]) -> Region {
        let dims = dims.iter().map(|&(step, count)| ApDim { step, count }).collect();
        let ap = Ap {
            space: Space::Sbuf,
            partition,
            partitions,
            offset,
            dtype: DType::BF16,
            dims,
        };
        of_ap(&ap).expect("not empty").0
    }

    #[test]
    fn even_and_odd_elements_do_not_meet() {
        let (even, odd) = (ap(0, 128, 0, &[(2, 64)]), ap(0, 128, 2, &[(2, 64)]));
        assert!(!even.overlaps(&odd));
        assert!(even.overlaps(&even) && even.overlaps(&ap(0, 32, 0, &[(1, 4)])));
        assert!(!even.overlaps(&ap(0, 32, 2, &[])));
    }

    #[test]
    fn parts_of_many_complex_numbers_do_not_meet() {
        let layout_free = |offset: u64, step: i64| DmaAccess {
            space: DmaSpace::Sbuf,
            offset,
            dtype: DType::F32,
            dims: [
                DmaDim {
                    step: 8 * step,
                    count: 300,
                },
                DmaDim {
                    step: 8,
                    count: step as u64,
                },
            ]
            .into_iter()
            .collect(),
        };
        let comb = |offset: u64, step: i64| Comb::of(&layout_free(offset, step), 64).expect("teeth apart");
        assert!(comb(0, 2000).misses(&comb(4, 1000)));
        assert!(!comb(0, 2000).misses(&comb(8, 1000)));
        assert!(!comb(0, 2000).misses(&comb(2, 2000)));
    }

    #[test]
    fn partitions_separate() {
        assert!(!ap(0, 32, 0, &[(1, 64)]).overlaps(&ap(32, 32, 0, &[(1, 64)])));
    }

    #[test]
    fn covering_looks_at_a_window() {
        let (small, large) = (ap(0, 64, 0, &[(1, 600)]), ap(0, 128, 0, &[(1, 300)]));
        assert!(large.covers_within(&small, 0, 600));
        assert!(!large.covers_within(&small, 0, 2048));
        assert!(!small.covers_within(&large, 0, 600));
    }

    #[test]
    fn a_transposing_transfer_has_long_runs() {
        let dims = [DmaDim { step: 4, count: 128 }, DmaDim { step: 4096, count: 512 }]
            .into_iter()
            .collect();
        let access = DmaAccess {
            space: DmaSpace::Sbuf,
            offset: 0,
            dtype: DType::F32,
            dims,
        };
        let (sorted, repeated) = ascending(&access);
        assert!(!repeated);
        assert_eq!(Runs::new(&sorted, 0).collect::<Vec<_>>()[..2], [(0, 128), (4096, 128)]);
    }

    #[test]
    fn writing_a_byte_twice_is_seen() {
        let dims = [ApDim { step: 1, count: 4 }, ApDim { step: 1, count: 4 }]
            .into_iter()
            .collect();
        let ap = Ap {
            space: Space::Sbuf,
            partition: 0,
            partitions: 1,
            offset: 0,
            dtype: DType::F32,
            dims,
        };
        assert_eq!(of_ap(&ap).map(|(_, o)| o), Some(true));
    }
}
