//! Where in the model's source the time goes.

use std::collections::BTreeMap;

use ferrite_ir::loc::LocId;
use serde::Serialize;

use crate::profile::Profile;

/// What the instructions of one place in the source took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hot {
    /// The place, as reports show it.
    pub source: String,
    /// Microseconds on all engines and queues together, over all cores.
    pub busy_us: f64,
    /// Of these, by track.
    pub per_track_us: BTreeMap<String, f64>,
    /// Instructions and transfers.
    pub count: u64,
}

/// The `most` places with the longest busy time, longest first. Empty if the timeline was not recorded.
pub fn hottest(profile: &Profile, most: usize) -> Vec<Hot> {
    // Several ids may describe one place, so times are added by id first and by text then.
    let mut by_id: BTreeMap<(LocId, &str), (u64, u64)> = BTreeMap::new();
    for timeline in profile.cores.iter().map(|core| &core.timeline) {
        for span in &timeline.spans {
            let Some(track) = timeline.tracks.get(span.track as usize) else {
                continue;
            };
            let track = if track.dma { "DMA" } else { track.name.as_str() };
            let sum = by_id.entry((span.location, track)).or_default();
            sum.0 += span.end_ps.saturating_sub(span.start_ps);
            sum.1 += 1;
        }
    }
    let mut places: BTreeMap<String, Hot> = BTreeMap::new();
    for ((id, track), (ps, count)) in by_id {
        let source = profile.locations.describe(id);
        let hot = places.entry(source.clone()).or_insert_with(|| Hot {
            source,
            busy_us: 0.0,
            per_track_us: BTreeMap::new(),
            count: 0,
        });
        let us = ps as f64 * 1e-6;
        hot.busy_us += us;
        hot.count += count;
        *hot.per_track_us.entry(track.to_string()).or_default() += us;
    }
    let mut all: Vec<Hot> = places.into_values().collect();
    all.sort_by(|a, b| b.busy_us.total_cmp(&a.busy_us).then_with(|| a.source.cmp(&b.source)));
    all.truncate(most);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::example;

    #[test]
    fn times_are_added_by_place() {
        let all = hottest(&example(), 5);
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].count, all[0].source.as_str()), (4, "jit(step)/\"mlp\", line 7"));
        assert!((all[0].per_track_us["TensorE"] - 1.1).abs() < 1e-9 && (all[0].busy_us - 2.1).abs() < 1e-9);
    }

    #[test]
    fn the_longest_come_first() {
        let mut profile = example();
        profile.cores[0].timeline.spans[0].location = LocId::UNKNOWN;
        let sources: Vec<_> = hottest(&profile, 5).into_iter().map(|hot| hot.source).collect();
        assert_eq!(sources, ["jit(step)/\"mlp\", line 7", "unknown"]);
        assert_eq!(hottest(&profile, 1).len(), 1);
    }
}
