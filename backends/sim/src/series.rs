//! A quantity over time in a fixed number of bins.

/// Bins a series has at most; their width doubles when a run outgrows them.
const BINS: usize = 2048;
/// First width, picoseconds.
const FIRST_WIDTH: u64 = 1 << 14;

/// The integral of a quantity over each of some bins of equal width, from time 0 on. Memory is constant however long a run takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Width of a bin, picoseconds.
    pub width_ps: u64,
    /// Integral over each bin, in units of the quantity times picoseconds.
    pub integrals: Vec<f64>,
}

impl Default for Series {
    fn default() -> Series {
        Series {
            width_ps: FIRST_WIDTH,
            integrals: Vec::new(),
        }
    }
}

impl Series {
    /// Adds `amount` of the quantity during `start..end`.
    pub fn add(&mut self, start: u64, end: u64, amount: f64) {
        if end <= start || amount == 0.0 {
            return;
        }
        while end > self.width_ps * BINS as u64 {
            let halves: Vec<f64> = self.integrals.chunks(2).map(|pair| pair.iter().sum()).collect();
            self.integrals = halves;
            self.width_ps *= 2;
        }
        let (first, last) = ((start / self.width_ps) as usize, ((end - 1) / self.width_ps) as usize);
        if self.integrals.len() <= last {
            self.integrals.resize(last + 1, 0.0);
        }
        for bin in first..=last {
            let low = start.max(bin as u64 * self.width_ps);
            let high = end.min((bin as u64 + 1) * self.width_ps);
            self.integrals[bin] += amount * (high - low) as f64;
        }
    }

    /// Mean of the quantity in each bin.
    pub fn means(&self) -> impl Iterator<Item = f64> + '_ {
        self.integrals.iter().map(|x| x / self.width_ps as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_integral_survives_wider_bins() {
        let mut s = Series::default();
        s.add(10, 20_000, 2.0);
        s.add(1 << 40, (1 << 40) + 5, 4.0);
        assert!(s.integrals.len() <= BINS && s.width_ps > FIRST_WIDTH);
        let total: f64 = s.integrals.iter().sum();
        assert_eq!(total, 2.0 * 19_990.0 + 20.0);
    }

    #[test]
    fn a_mean_is_that_of_its_bin() {
        let mut s = Series::default();
        s.add(0, FIRST_WIDTH / 2, 8.0);
        assert_eq!(s.means().collect::<Vec<_>>(), [4.0]);
    }
}
