//! Repetitions in a sequence: where the same items follow one another again.

/// A run of items that repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Repeat {
    /// First item.
    pub begin: usize,
    /// Items of one repetition.
    pub period: usize,
    /// Items from the first on that have the same one a period later, and those: at least two periods.
    pub length: usize,
}

impl Repeat {
    /// Whole repetitions.
    pub fn trips(&self) -> usize {
        self.length / self.period
    }
}

/// Longest period that is looked for (our choice: it bounds the time to look).
const LONGEST_PERIOD: usize = 2048;

/// All runs that repeat at least once, each with its shortest period; an item that is `None` repeats nowhere.
pub(crate) fn repeats(items: &[Option<u64>]) -> Vec<Repeat> {
    let mut found: Vec<Repeat> = Vec::new();
    for period in 1..=(items.len() / 2).min(LONGEST_PERIOD) {
        let mut begin = 0;
        while begin + period < items.len() {
            let equal = (begin..items.len() - period)
                .take_while(|&i| items[i].is_some() && items[i] == items[i + period])
                .count();
            let length = equal + period;
            let shorter = |r: &Repeat| {
                period.is_multiple_of(r.period) && r.begin <= begin && begin + length <= r.begin + r.length
            };
            if equal >= period && !found.iter().any(shorter) {
                found.push(Repeat { begin, period, length });
            }
            begin += equal + 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<(usize, usize, usize)> {
        let items: Vec<Option<u64>> = text.bytes().map(|b| (b != b'.').then_some(u64::from(b))).collect();
        repeats(&items).iter().map(|r| (r.begin, r.period, r.trips())).collect()
    }

    #[test]
    fn runs_are_found_with_all_their_repetitions() {
        assert_eq!(of("xabcabcabcy"), [(1, 3, 3)]);
        assert_eq!(of("aaa"), [(0, 1, 3)]);
        assert_eq!(of("aaaa"), [(0, 1, 4)]);
        assert_eq!(of("abab.abab"), [(0, 2, 2), (5, 2, 2)]);
    }

    #[test]
    fn a_rest_belongs_to_the_run_and_is_no_repetition() {
        let items: Vec<Option<u64>> = "abcabca".bytes().map(|b| Some(u64::from(b))).collect();
        let found = repeats(&items);
        assert_eq!(
            found,
            [Repeat {
                begin: 0,
                period: 3,
                length: 7
            }]
        );
        assert_eq!(found[0].trips(), 2);
    }

    #[test]
    fn what_repeats_nowhere_breaks_a_run() {
        assert_eq!(of("..."), []);
        assert_eq!(of("ab.ab"), []);
    }
}
