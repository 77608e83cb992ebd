//! How much of the on-chip memories holds something that is still read, over time.
//!
//! A memory is cut into granules of some bytes of one quadrant of partitions. A granule is occupied from a write until the last access before
//! the next write; what is written and never read counts while it is written.

use ferrite_ir::machine::MachineModel;

use crate::check::region::{Mem, Region};
use crate::prepare::Access;
use crate::series::Series;

/// Bytes of a partition that are told apart.
const GRANULE: u64 = 512;

#[derive(Clone, Debug, Default)]
struct Granules {
    /// By quadrant, then by offset: since when it is occupied, and the last access.
    spans: Vec<Vec<(u64, u64)>>,
    quadrant: u64,
    series: Series,
}

impl Granules {
    fn new(partitions: u64, bytes: u64, quadrant: u64) -> Granules {
        let columns = vec![(0, 0); bytes.div_ceil(GRANULE) as usize];
        Granules {
            spans: vec![columns; partitions.div_ceil(quadrant.max(1)) as usize],
            quadrant: quadrant.max(1),
            series: Series::default(),
        }
    }

    fn touch(&mut self, region: &Region, writes: bool, start: u64, end: u64) {
        if region.high <= region.low {
            return;
        }
        let (first, last) = (region.low / GRANULE, (region.high - 1) / GRANULE);
        let quadrants = u64::from(region.first) / self.quadrant..u64::from(region.end).div_ceil(self.quadrant);
        for quadrant in quadrants {
            let Some(columns) = self.spans.get_mut(quadrant as usize) else {
                continue;
            };
            for column in first..=last {
                let Some(span) = columns.get_mut(column as usize) else {
                    continue;
                };
                if writes && start >= span.1 {
                    self.series.add(span.0, span.1, (GRANULE * self.quadrant) as f64);
                    *span = (start, end);
                } else {
                    span.1 = span.1.max(end);
                }
            }
        }
    }

    fn finish(mut self) -> Series {
        for (start, end) in self.spans.into_iter().flatten() {
            self.series.add(start, end, (GRANULE * self.quadrant) as f64);
        }
        self.series
    }
}

/// Occupancy of SBUF and PSUM.
#[derive(Clone, Debug, Default)]
pub struct Occupancy {
    sbuf: Granules,
    psum: Granules,
}

impl Occupancy {
    /// Empty memories of `model`.
    pub fn new(model: &MachineModel) -> Occupancy {
        let quadrant = model.limits.quadrant_partitions;
        Occupancy {
            sbuf: Granules::new(model.sbuf.partitions, model.sbuf.bytes_per_partition, quadrant),
            psum: Granules::new(model.psum.partitions, model.psum.bytes_per_partition, quadrant),
        }
    }

    /// Something touched regions from `start` to `end`.
    pub fn touch(&mut self, regions: &[Region], accesses: &[Access], start: u64, end: u64) {
        for &(index, touch) in accesses {
            let Some(region) = regions.get(index as usize) else {
                continue;
            };
            match region.mem {
                Mem::SBUF => self.sbuf.touch(region, touch.writes(), start, end),
                Mem::PSUM => self.psum.touch(region, touch.writes(), start, end),
                _ => {}
            }
        }
    }

    /// Bytes over time, of SBUF and of PSUM.
    pub fn finish(self) -> (Series, Series) {
        (self.sbuf.finish(), self.psum.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepare::Touch;

    #[test]
    fn a_value_lives_from_its_write_to_its_last_read() {
        let model = MachineModel::target("trn1").expect("known target");
        let mut o = Occupancy::new(&model);
        let regions = [Region {
            mem: Mem::SBUF,
            first: 0,
            end: 32,
            low: 0,
            high: 512,
            runs: None,
            comb: None,
        }];
        o.touch(&regions, &[(0, Touch::Write)], 0, 10);
        o.touch(&regions, &[(0, Touch::Read)], 50, 60);
        o.touch(&regions, &[(0, Touch::Write)], 100, 110);
        let (sbuf, psum) = o.finish();
        let total: f64 = sbuf.integrals.iter().sum();
        assert_eq!(total, (60.0 + 10.0) * 512.0 * 32.0);
        assert!(psum.integrals.is_empty());
    }
}
