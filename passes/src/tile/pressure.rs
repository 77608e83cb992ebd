//! Memory in use over a program: a range of operations per tile, and the most bytes at any point of a range.

/// Sums over positions `0..n` with additions to ranges and maxima of ranges, each in logarithmic time.
pub(crate) struct Profile {
    size: usize,
    /// Maximum of the subtree, additions to the node itself included.
    max: Vec<i64>,
    /// Additions to the whole subtree.
    add: Vec<i64>,
}

impl Profile {
    /// All zero over `n` positions.
    pub fn new(n: usize) -> Profile {
        let size = n.max(1).next_power_of_two();
        Profile {
            size,
            max: vec![0; 2 * size],
            add: vec![0; 2 * size],
        }
    }

    /// A profile from tiles `(first, last, amount)`, both ends included.
    pub fn from_ranges(n: usize, ranges: impl Iterator<Item = (usize, usize, i64)>) -> Profile {
        let mut profile = Profile::new(n);
        let mut change = vec![0i64; n + 1];
        for (first, last, amount) in ranges {
            change[first] += amount;
            change[last + 1] -= amount;
        }
        let mut sum = 0;
        for (i, c) in change[..n].iter().enumerate() {
            sum += c;
            profile.max[profile.size + i] = sum;
        }
        for i in (1..profile.size).rev() {
            profile.max[i] = profile.max[2 * i].max(profile.max[2 * i + 1]);
        }
        profile
    }

    /// Adds `amount` to positions `from..to`.
    pub fn add(&mut self, from: usize, to: usize, amount: i64) {
        if from >= to {
            return;
        }
        let (mut l, mut r) = (from + self.size, to + self.size);
        let (l0, r0) = (l, r - 1);
        while l < r {
            if l & 1 == 1 {
                self.max[l] += amount;
                self.add[l] += amount;
                l += 1;
            }
            if r & 1 == 1 {
                r -= 1;
                self.max[r] += amount;
                self.add[r] += amount;
            }
            l /= 2;
            r /= 2;
        }
        for leaf in [l0, r0] {
            let mut i = leaf / 2;
            while i >= 1 {
                self.max[i] = self.max[2 * i].max(self.max[2 * i + 1]) + self.add[i];
                i /= 2;
            }
        }
    }

    /// The largest value of positions `from..to`; 0 for an empty range.
    pub fn max(&self, from: usize, to: usize) -> i64 {
        if from >= to {
            return 0;
        }
        // Bottom up: what is above a node is added on the way.
        let (mut l, mut r) = (from + self.size, to - 1 + self.size);
        let (mut left, mut right) = (self.max[l], self.max[r]);
        while l / 2 != r / 2 {
            if l & 1 == 0 {
                left = left.max(self.max[l + 1]);
            }
            if r & 1 == 1 {
                right = right.max(self.max[r - 1]);
            }
            l /= 2;
            r /= 2;
            left += self.add[l];
            right += self.add[r];
        }
        let mut best = left.max(right);
        let mut i = l / 2;
        while i >= 1 {
            best += self.add[i];
            i /= 2;
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_an_array(n in 1usize..40, edits in prop::collection::vec((0usize..40, 0usize..40, -9i64..9), 0..30)) {
            let start = [(0, n - 1, 5), (n / 2, n - 1, 3)];
            let mut profile = Profile::from_ranges(n, start.into_iter());
            let mut array: Vec<i64> = (0..n).map(|i| if i >= n / 2 { 8 } else { 5 }).collect();
            for (from, to, amount) in edits {
                let (from, to) = (from.min(n), to.min(n));
                profile.add(from, to, amount);
                (from..to.max(from)).for_each(|i| array[i] += amount);
                for a in 0..n {
                    for b in a + 1..=n {
                        prop_assert_eq!(profile.max(a, b), *array[a..b].iter().max().unwrap());
                    }
                }
            }
        }
    }
}
