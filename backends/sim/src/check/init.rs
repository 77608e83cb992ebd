//! Which bytes hold something: reads of others are errors.
//!
//! On chip, one bit for a byte of a whole quadrant, and one for a byte of a lane where only some lanes were written: operands
//! that fill quadrants, nearly all, touch a 32nd of the bits.

use super::region::{Mem, Region};

/// Bits by byte offset.
#[derive(Clone, Debug, Default)]
struct Bits(Vec<u64>);

impl Bits {
    fn new(bits: u64) -> Bits {
        Bits(vec![0; bits.div_ceil(64) as usize])
    }

    /// Calls `f` with every word that the range touches and the mask of its bits; stops when `f` says no.
    fn words(low: u64, high: u64, mut f: impl FnMut(usize, u64) -> bool) -> bool {
        let mut at = low;
        while at < high {
            let end = ((at / 64 + 1) * 64).min(high);
            let width = end - at;
            let mask = if width == 64 {
                u64::MAX
            } else {
                ((1 << width) - 1) << (at % 64)
            };
            if !f((at / 64) as usize, mask) {
                return false;
            }
            at = end;
        }
        true
    }

    fn set(&mut self, low: u64, high: u64, value: bool) {
        Bits::words(low, high, |w, mask| {
            if let Some(word) = self.0.get_mut(w) {
                if value { *word |= mask } else { *word &= !mask }
            }
            true
        });
    }

    fn any_set(&self, low: u64, high: u64) -> bool {
        !Bits::words(low, high, |w, mask| self.word(w) & mask == 0)
    }

    fn word(&self, w: usize) -> u64 {
        self.0.get(w).copied().unwrap_or(0)
    }

    /// First byte of the range that is not set.
    fn first_clear(&self, low: u64, high: u64) -> Option<u64> {
        let mut found = None;
        Bits::words(low, high, |w, mask| {
            let missing = mask & !self.word(w);
            if missing != 0 {
                found = Some(w as u64 * 64 + u64::from(missing.trailing_zeros()));
            }
            missing == 0
        });
        found
    }
}

/// Bits of an on-chip memory: one for `unit` bytes.
#[derive(Clone, Debug)]
struct Lanes {
    quadrants: Vec<Bits>,
    lanes: Vec<Option<Bits>>,
    /// Bits of a partition.
    bits: u64,
    unit: u64,
    quadrant: u16,
}

impl Lanes {
    fn new(partitions: u64, bytes: u64, quadrant: u64, unit: u64) -> Lanes {
        let bits = bytes.div_ceil(unit);
        Lanes {
            quadrants: vec![Bits::new(bits); partitions.div_ceil(quadrant) as usize],
            lanes: vec![None; partitions as usize],
            bits,
            unit,
            quadrant: quadrant as u16,
        }
    }

    fn each_run(&self, region: &Region, mut f: impl FnMut(u64, u64)) {
        let unit = self.unit;
        region.for_each_run(|low, high| f(low / unit, high.div_ceil(unit)));
    }

    fn lane(&mut self, p: u16) -> Option<&mut Bits> {
        let bits = self.bits;
        self.lanes
            .get_mut(p as usize)
            .map(|lane| lane.get_or_insert_with(|| Bits::new(bits)))
    }

    fn set(&mut self, region: &Region) {
        let (q, unit) = (self.quadrant, self.unit);
        let mut p = region.first;
        while p < region.end {
            let whole = p.is_multiple_of(q) && p + q <= region.end;
            let bits = if whole {
                self.quadrants.get_mut((p / q) as usize)
            } else {
                self.lane(p)
            };
            if let Some(bits) = bits {
                region.for_each_run(|low, high| bits.set(low / unit, high.div_ceil(unit), true));
            }
            p += if whole { q } else { 1 };
        }
    }

    fn clear(&mut self, region: &Region) {
        let (q, unit) = (self.quadrant, self.unit);
        let mut p = region.first;
        while p < region.end {
            let (start, end) = (p / q * q, (p / q + 1) * q);
            let Some(all) = self.quadrants.get((p / q) as usize) else {
                return;
            };
            let mut set = false;
            region.for_each_run(|low, high| set |= all.any_set(low / unit, high.div_ceil(unit)));
            // A quadrant that is cleared in part goes on lane by lane.
            if set && !(p == start && region.end >= end) {
                let all = all.clone();
                for lane in start..end {
                    if let Some(bits) = self.lane(lane) {
                        bits.0.iter_mut().zip(&all.0).for_each(|(x, y)| *x |= y);
                    }
                }
                self.quadrants[(p / q) as usize] = Bits::new(self.bits);
            } else if set && let Some(all) = self.quadrants.get_mut((p / q) as usize) {
                region.for_each_run(|low, high| all.set(low / unit, high.div_ceil(unit), false));
            }
            for lane in p..end.min(region.end) {
                if let Some(Some(bits)) = self.lanes.get_mut(lane as usize) {
                    region.for_each_run(|low, high| bits.set(low / unit, high.div_ceil(unit), false));
                }
            }
            p = end;
        }
    }

    /// First partition and byte that is not set.
    fn first_clear(&self, region: &Region) -> Option<(u16, u64)> {
        let mut found = None;
        let mut p = region.first;
        while p < region.end && found.is_none() {
            let quadrant = (p / self.quadrant) as usize;
            let end = region.end.min((p / self.quadrant + 1) * self.quadrant);
            self.each_run(region, |low, high| {
                let all = self.quadrants.get(quadrant);
                if found.is_some() || all.is_some_and(|bits| bits.first_clear(low, high).is_none()) {
                    return;
                }
                for lane in p..end {
                    let own = self.lanes.get(lane as usize).and_then(Option::as_ref);
                    let ok = Bits::words(low, high, |w, mask| {
                        let have = all.map_or(0, |b| b.word(w)) | own.map_or(0, |b| b.word(w));
                        let missing = mask & !have;
                        if missing != 0 {
                            found = Some((lane, (w as u64 * 64 + u64::from(missing.trailing_zeros())) * self.unit));
                        }
                        missing == 0
                    });
                    if !ok {
                        return;
                    }
                }
            });
            p = end;
        }
        found
    }
}

/// What has been written so far.
#[derive(Clone, Debug)]
pub struct InitMap {
    sbuf: Lanes,
    psum: Lanes,
    /// PSUM words that a matmul wrote last.
    accumulators: Lanes,
    /// HBM blocks, a bit for as many bytes as the program always touches together; `None` for those that hold something from the start.
    blocks: Vec<Option<(Bits, u64)>>,
}

/// Bytes of an accumulator.
const WORD: u64 = 4;

impl InitMap {
    /// Nothing on chip, and of the HBM blocks (size, whether bound before the run, bytes that every access divides into) those that are bound.
    pub fn new(
        sbuf: (u64, u64),
        psum: (u64, u64),
        quadrant: u64,
        blocks: impl Iterator<Item = (u64, bool, u64)>,
    ) -> InitMap {
        InitMap {
            sbuf: Lanes::new(sbuf.0, sbuf.1, quadrant, 1),
            psum: Lanes::new(psum.0, psum.1, quadrant, 1),
            accumulators: Lanes::new(psum.0, psum.1, quadrant, WORD),
            blocks: blocks
                .map(|(bytes, bound, grain)| (!bound).then(|| (Bits::new(bytes.div_ceil(grain.max(1))), grain.max(1))))
                .collect(),
        }
    }

    /// Marks a region as written, by a matmul or by something else.
    pub fn write(&mut self, region: &Region, by_matmul: bool) {
        match region.mem {
            Mem::SBUF => self.sbuf.set(region),
            Mem::PSUM => {
                self.psum.set(region);
                self.write_again(region, by_matmul);
            }
            mem => {
                let slot = mem.block().and_then(|b| self.blocks.get_mut(b as usize));
                if let Some(Some((bits, grain))) = slot {
                    region.for_each_run(|low, high| bits.set(low / *grain, high.div_ceil(*grain), true));
                }
            }
        }
    }

    /// The same for a region of PSUM that holds something: who wrote it last may change.
    pub fn write_again(&mut self, region: &Region, by_matmul: bool) {
        if by_matmul {
            self.accumulators.set(region);
        } else {
            self.accumulators.clear(region);
        }
    }

    /// First partition and byte of a region that holds nothing.
    pub fn unwritten(&self, region: &Region) -> Option<(u16, u64)> {
        match region.mem {
            Mem::SBUF => self.sbuf.first_clear(region),
            Mem::PSUM => self.psum.first_clear(region),
            mem => {
                let (bits, grain) = mem.block().and_then(|b| self.blocks.get(b as usize))?.as_ref()?;
                let mut found = None;
                region.for_each_run(|low, high| {
                    found = found.or_else(|| bits.first_clear(low / grain, high.div_ceil(*grain)));
                });
                found.map(|at| (0, at * grain))
            }
        }
    }

    /// First partition and byte of a PSUM region that a matmul did not write last.
    pub fn not_accumulated(&self, region: &Region) -> Option<(u16, u64)> {
        self.accumulators.first_clear(region)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(mem: Mem, first: u16, end: u16, low: u64, high: u64) -> Region {
        Region {
            mem,
            first,
            end,
            low,
            high,
            runs: None,
            comb: None,
        }
    }

    fn map() -> InitMap {
        InitMap::new(
            (128, 1024),
            (128, 512),
            32,
            [(100, false, 4), (100, true, 1)].into_iter(),
        )
    }

    #[test]
    fn lanes_and_quadrants_add_up() {
        let mut m = map();
        m.write(&region(Mem::SBUF, 0, 40, 10, 200), false);
        assert_eq!(m.unwritten(&region(Mem::SBUF, 0, 40, 10, 200)), None);
        assert_eq!(m.unwritten(&region(Mem::SBUF, 0, 41, 10, 200)), Some((40, 10)));
        assert_eq!(m.unwritten(&region(Mem::SBUF, 0, 32, 10, 201)), Some((0, 200)));
        m.write(&region(Mem::SBUF, 40, 64, 10, 200), false);
        assert_eq!(m.unwritten(&region(Mem::SBUF, 0, 64, 64, 128)), None);
    }

    #[test]
    fn only_matmuls_start_accumulation() {
        let mut m = map();
        let r = region(Mem::PSUM, 0, 64, 0, 256);
        m.write(&r, true);
        assert_eq!(m.not_accumulated(&r), None);
        m.write(&region(Mem::PSUM, 3, 4, 8, 12), false);
        assert_eq!(m.not_accumulated(&r), Some((3, 8)));
        assert_eq!(m.not_accumulated(&region(Mem::PSUM, 0, 3, 0, 256)), None);
        m.write(&region(Mem::PSUM, 32, 64, 0, 4), false);
        assert_eq!(m.not_accumulated(&region(Mem::PSUM, 32, 64, 0, 256)), Some((32, 0)));
        assert_eq!(m.not_accumulated(&region(Mem::PSUM, 32, 64, 4, 256)), None);
        assert_eq!(m.unwritten(&r), None);
    }

    #[test]
    fn bound_blocks_are_full_from_the_start() {
        let m = map();
        assert_eq!(m.unwritten(&region(Mem::hbm(0), 0, 1, 4, 8)), Some((0, 4)));
        assert_eq!(m.unwritten(&region(Mem::hbm(1), 0, 1, 4, 8)), None);
    }
}
