//! Elements of one transfer against each other.

use ferrite_ir::isa::{DmaElement, DmaOp};
use ferrite_ir::machine::MachineModel;

use super::region::{self, Region};
use crate::memory::HbmLayout;

/// Up to so many elements every pair is compared; of more, only those on the same partitions.
const PAIRS_MAX: usize = 64;

/// Elements of a transfer are on several DMA engines, in any order: no two of them may write the same byte. Those that add are left out: the
/// documents let a transfer sum several sources.
pub fn no_byte_twice(elements: &[DmaElement], layout: &HbmLayout, model: &MachineModel) -> Result<(), String> {
    if elements.len() < 2 {
        return Ok(());
    }
    let mut all: Vec<(usize, Region)> = Vec::new();
    for (number, element) in elements.iter().enumerate() {
        if element.op != DmaOp::Add && region::is_exact(&element.dst) {
            let (regions, _) = region::of_dma(&element.dst, layout, model);
            all.extend(regions.into_iter().map(|r| (number, r)));
        }
    }
    let clash = |a: &(usize, Region), b: &(usize, Region)| {
        (a.0 != b.0 && a.1.overlaps(&b.1)).then(|| {
            let (low, high) = (a.1.low.max(b.1.low), a.1.high.min(b.1.high));
            let first = a.1.first.max(b.1.first);
            let on = if a.1.mem.block().is_some() {
                String::new()
            } else {
                format!(" of partition {first}")
            };
            format!(
                "elements {} and {} both write a byte within {low}..{high}{on}: overlapping DMA writes",
                a.0.min(b.0),
                a.0.max(b.0)
            )
        })
    };
    if elements.len() <= PAIRS_MAX {
        for (i, a) in all.iter().enumerate() {
            if let Some(text) = all[i + 1..].iter().find_map(|b| clash(a, b)) {
                return Err(text);
            }
        }
        return Ok(());
    }
    all.sort_by_key(|(_, r)| (r.mem, r.first, r.end, r.low));
    for band in all.chunk_by(|a, b| (a.1.mem, a.1.first, a.1.end) == (b.1.mem, b.1.first, b.1.end)) {
        // The one that reaches furthest so far.
        let mut far = &band[0];
        for next in &band[1..] {
            if let Some(text) = clash(far, next) {
                return Err(text);
            }
            if next.1.high > far.1.high {
                far = next;
            }
        }
    }
    Ok(())
}
