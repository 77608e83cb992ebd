//! How busy the rows of a timeline were over time.

use ferrite_sim::Timeline;

/// Share of `[0, end)` in which something ran, per track and bin; `bins` values between 0 and 1 for each track.
/// Overlapping spans of a track count once.
pub(crate) fn of_tracks(timeline: &Timeline, end_ps: u64, bins: usize) -> Vec<Vec<f64>> {
    let mut by_track: Vec<Vec<(u64, u64)>> = vec![Vec::new(); timeline.tracks.len()];
    for span in &timeline.spans {
        if let Some(track) = by_track.get_mut(span.track as usize) {
            track.push((span.start_ps, span.end_ps));
        }
    }
    by_track
        .into_iter()
        .map(|spans| fill(union(spans), end_ps, bins))
        .collect()
}

/// The same of all DMA queues together: the share of time in which any of them moved data.
pub(crate) fn of_dma(timeline: &Timeline, end_ps: u64, bins: usize) -> Vec<f64> {
    let is_dma = |track: u32| timeline.tracks.get(track as usize).is_some_and(|t| t.dma);
    let spans = timeline
        .spans
        .iter()
        .filter(|s| is_dma(s.track))
        .map(|s| (s.start_ps, s.end_ps));
    fill(union(spans.collect()), end_ps, bins)
}

/// Sorts intervals and merges those that meet.
fn union(mut spans: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    spans.sort_unstable();
    let mut merged: Vec<(u64, u64)> = Vec::new();
    for (start, end) in spans {
        match merged.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    merged
}

fn fill(spans: Vec<(u64, u64)>, end_ps: u64, bins: usize) -> Vec<f64> {
    let mut out = vec![0.0; bins];
    if end_ps == 0 || bins == 0 {
        return out;
    }
    let width = end_ps as f64 / bins as f64;
    for (start, end) in spans {
        let (start, end) = (start as f64 / width, end.min(end_ps) as f64 / width);
        let mut bin = start as usize;
        while bin < bins && (bin as f64) < end {
            out[bin] += (end.min(bin as f64 + 1.0) - start.max(bin as f64)).max(0.0);
            bin += 1;
        }
    }
    out.iter_mut().for_each(|share| *share = share.min(1.0));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::example;

    #[test]
    fn overlapping_spans_count_once() {
        let profile = example();
        let timeline = &profile.cores[0].timeline;
        let bins = of_tracks(timeline, profile.latency_ps, 4);
        assert_eq!(
            bins,
            [
                vec![0.0, 1.0, 1.0, 0.0],
                vec![0.0, 0.0, 0.0, 1.0],
                vec![1.0, 0.0, 0.0, 0.0]
            ]
        );
        assert_eq!(of_tracks(timeline, profile.latency_ps, 1)[0], [0.5]);
        assert_eq!(of_dma(timeline, profile.latency_ps, 2), [0.5, 0.0]);
    }

    #[test]
    fn an_empty_run_has_no_occupancy() {
        assert_eq!(of_dma(&example().cores[0].timeline, 0, 2), [0.0, 0.0]);
    }
}
