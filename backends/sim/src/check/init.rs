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

/// An on-chip memory.
#[derive(Clone, Debug)]
struct Lanes {
    quadrants: Vec<Bits>,
    lanes: Vec<Option<Bits>>,
    bytes: u64,
    quadrant: u16,
}

impl Lanes {
    fn new(partitions: u64, bytes: u64, quadrant: u64) -> Lanes {
        Lanes {
            quadrants: vec![Bits::new(bytes); partitions.div_ceil(quadrant) as usize],
            lanes: vec![None; partitions as usize],
            bytes,
            quadrant: quadrant as u16,
        }
    }

    fn set(&mut self, region: &Region) {
        let q = self.quadrant;
        let mut p = region.first;
        while p < region.end {
            let whole = p.is_multiple_of(q) && p + q <= region.end;
            let bytes = self.bytes;
            let bits = if whole {
                self.quadrants.get_mut((p / q) as usize)
            } else {
                self.lanes
                    .get_mut(p as usize)
                    .map(|lane| lane.get_or_insert_with(|| Bits::new(bytes)))
            };
            if let Some(bits) = bits {
                region.for_each_run(|low, high| bits.set(low, high, true));
            }
            p += if whole { q } else { 1 };
        }
    }

    fn first_clear(&self, region: &Region) -> Option<(u16, u64)> {
        let mut found = None;
        let mut p = region.first;
        while p < region.end && found.is_none() {
            let quadrant = (p / self.quadrant) as usize;
            let end = region.end.min((p / self.quadrant + 1) * self.quadrant);
            region.for_each_run(|low, high| {
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
                            found = Some((lane, w as u64 * 64 + u64::from(missing.trailing_zeros())));
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
    /// PSUM words that a matmul wrote last, one bit for 4 bytes, by partition.
    accumulators: Vec<Bits>,
    /// HBM blocks; `None` for those that hold something from the start.
    blocks: Vec<Option<Bits>>,
}

/// Bytes of an accumulator.
const WORD: u64 = 4;

impl InitMap {
    /// Nothing on chip, and of the HBM blocks (size, whether bound before the run) those that are bound.
    pub fn new(
        sbuf: (u64, u64),
        psum: (u64, u64),
        quadrant: u64,
        blocks: impl Iterator<Item = (u64, bool)>,
    ) -> InitMap {
        InitMap {
            sbuf: Lanes::new(sbuf.0, sbuf.1, quadrant),
            psum: Lanes::new(psum.0, psum.1, quadrant),
            accumulators: vec![Bits::new(psum.1 / WORD); psum.0 as usize],
            blocks: blocks
                .map(|(bytes, bound)| (!bound).then(|| Bits::new(bytes)))
                .collect(),
        }
    }

    /// Marks a region as written, by a matmul or by something else.
    pub fn write(&mut self, region: &Region, by_matmul: bool) {
        match region.mem {
            Mem::SBUF => self.sbuf.set(region),
            Mem::PSUM => {
                self.psum.set(region);
                for p in region.first..region.end {
                    if let Some(bits) = self.accumulators.get_mut(p as usize) {
                        region.for_each_run(|low, high| bits.set(low / WORD, high.div_ceil(WORD), by_matmul));
                    }
                }
            }
            mem => {
                let slot = mem.block().and_then(|b| self.blocks.get_mut(b as usize));
                if let Some(Some(bits)) = slot {
                    region.for_each_run(|low, high| bits.set(low, high, true));
                }
            }
        }
    }

    /// First partition and byte of a region that holds nothing.
    pub fn unwritten(&self, region: &Region) -> Option<(u16, u64)> {
        match region.mem {
            Mem::SBUF => self.sbuf.first_clear(region),
            Mem::PSUM => self.psum.first_clear(region),
            mem => {
                let bits = mem.block().and_then(|b| self.blocks.get(b as usize))?.as_ref()?;
                let mut found = None;
                region.for_each_run(|low, high| found = found.or_else(|| bits.first_clear(low, high)));
                found.map(|at| (0, at))
            }
        }
    }

    /// First partition and byte of a PSUM region that a matmul did not write last.
    pub fn not_accumulated(&self, region: &Region) -> Option<(u16, u64)> {
        (region.first..region.end).find_map(|p| {
            let bits = self.accumulators.get(p as usize)?;
            let mut found = None;
            region.for_each_run(|low, high| {
                found = found.or_else(|| bits.first_clear(low / WORD, high.div_ceil(WORD)));
            });
            found.map(|word| (p, word * WORD))
        })
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
        }
    }

    fn map() -> InitMap {
        InitMap::new((128, 1024), (128, 512), 32, [(100, false), (100, true)].into_iter())
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
        assert_eq!(m.unwritten(&r), None);
    }

    #[test]
    fn bound_blocks_are_full_from_the_start() {
        let m = map();
        assert_eq!(m.unwritten(&region(Mem::hbm(0), 0, 1, 4, 8)), Some((0, 4)));
        assert_eq!(m.unwritten(&region(Mem::hbm(1), 0, 1, 4, 8)), None);
    }
}
