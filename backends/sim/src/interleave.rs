//! Which parts of HBM a transfer goes to.
//!
//! Consecutive addresses go round the parts (*ways*) of the chip's memory, [`Hbm::interleave_bytes`] in each. A long run uses all of them alike; short rows at a
//! distance that is a multiple of the whole round meet on a few, and can have no more than these give. Variables start at multiples of the round
//! (our assumption: the runtime places them at pages).
//!
//! [`Hbm::interleave_bytes`]: ferrite_ir::machine::Hbm::interleave_bytes

use std::sync::Arc;

use ferrite_ir::isa::{DmaAccess, DmaSpace, Transfer};
use ferrite_ir::machine::MachineModel;
use smallvec::SmallVec;

use crate::check::region::gcd;
use crate::dma::Runs;
use crate::memory::HbmLayout;

/// More starts of runs than this within a round are as good as evenly spread.
const STARTS_MAX: usize = 256;

/// The part of a transfer's HBM bytes that goes to each way; `None` where no way can be what holds it up.
pub fn shares(transfer: &Transfer, layout: &HbmLayout, model: &MachineModel) -> Option<Arc<[f64]>> {
    let hbm = &model.hbm;
    if hbm.interleave_ways <= 1 {
        return None;
    }
    let mut bytes = vec![0.0; hbm.interleave_ways as usize];
    for element in &transfer.elements {
        for side in [&element.src, &element.dst] {
            add(side, layout, hbm.interleave_bytes, &mut bytes);
        }
    }
    let total: f64 = bytes.iter().sum();
    let most = bytes.iter().copied().fold(0.0, f64::max);
    let even = hbm.gb_per_s_per_chip / hbm.interleave_ways as f64;
    (most * hbm.cap_gb_per_s > total * even).then(|| bytes.iter().map(|b| b / total).collect())
}

/// Adds the bytes of one side of a transfer to the ways they lie in, `granule` consecutive ones in each.
fn add(access: &DmaAccess, layout: &HbmLayout, granule: u64, bytes: &mut [f64]) {
    let DmaSpace::Hbm(var) = access.space else { return };
    let Some((_, base)) = layout.of(var) else { return };
    let round = granule * bytes.len() as u64;
    let size = access.dtype.bytes() as u64;
    let mut evenly = |total: u64| {
        let each = total as f64 / bytes.len() as f64;
        bytes.iter_mut().for_each(|b| *b += each);
    };
    let runs = Runs::new(access, base);
    // Where in a round runs start, and how many do.
    let mut starts: SmallVec<[(u64, u64); 16]> = SmallVec::new();
    starts.push((runs.start().rem_euclid(round as i64) as u64, 1));
    for &(step, count) in runs.outer() {
        let step = step.rem_euclid(round as i64) as u64;
        let cycle = round / gcd(step, round);
        let places = cycle.min(count);
        if starts.len().saturating_mul(places as usize) > STARTS_MAX {
            return evenly(access.elements().saturating_mul(size));
        }
        let shift = |(at, n): (u64, u64)| {
            (0..places).map(move |i| {
                let times = count / cycle + u64::from(i < count % cycle);
                ((at + i * step) % round, n.saturating_mul(times))
            })
        };
        starts = starts.into_iter().flat_map(shift).collect();
    }
    let run = runs.run_elements().saturating_mul(size);
    let times: u64 = starts.iter().fold(0, |all, s| all.saturating_add(s.1));
    evenly((run / round * round).saturating_mul(times));
    for (start, times) in starts {
        let (mut at, mut rest) = (start, run % round);
        while rest > 0 {
            let here = rest.min(granule - at % granule);
            bytes[(at / granule) as usize] += here as f64 * times as f64;
            rest -= here;
            at = (at + here) % round;
        }
    }
}

#[cfg(test)]
mod tests {
    use ferrite_ir::dtype::DType;
    use ferrite_ir::isa::{DmaDim, DmaElement, DmaOp, Program, Var, VarId, VarKind};
    use ferrite_ir::loc::LocId;

    use super::*;

    /// Shares of a load of `rows` of `bytes` at a distance of `step`, from `offset` on.
    fn load(target: &str, offset: u64, rows: u64, step: i64, bytes: u64) -> Option<Vec<f64>> {
        let mut program = Program::new(target);
        program.vars.push(Var {
            name: "x".into(),
            bytes: 1 << 30,
            kind: VarKind::Scratch { offset: 0 },
            data: None,
        });
        let side = |space, offset, step| DmaAccess {
            space,
            offset,
            dtype: DType::U8,
            dims: [DmaDim { step, count: rows }, DmaDim { step: 1, count: bytes }]
                .into_iter()
                .collect(),
        };
        let transfer = Transfer {
            queue: 0,
            semaphore: 0,
            elements: vec![DmaElement {
                op: DmaOp::Copy,
                src: side(DmaSpace::Hbm(VarId(0)), offset, step),
                dst: side(DmaSpace::Sbuf, 0, 196_608),
            }],
            loc: LocId::UNKNOWN,
        };
        let model = MachineModel::target(target).expect("known target");
        shares(&transfer, &HbmLayout::new(&program), &model).map(|s| s.to_vec())
    }

    #[test]
    fn rows_at_a_multiple_of_the_round_meet() {
        let one = load("trn1", 3072, 128, 16384, 1024).expect("one way of eight");
        assert_eq!(one, [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
        let two = load("trn1", 7168 + 512, 128, 16384, 1024).expect("halves of two");
        assert_eq!((two[7], two[0]), (0.5, 0.5));
        assert_eq!(
            load("trn1", 0, 128, 12288, 1024).map(|s| (s[0], s[4])),
            Some((0.5, 0.5))
        );
    }

    #[test]
    fn long_rows_and_odd_distances_are_spread() {
        assert_eq!(load("trn1", 0, 128, 16384, 4096), None);
        assert_eq!(load("trn1", 0, 128, 1024, 1024), None);
        assert_eq!(load("trn1", 0, 128, 9216, 1024), None);
        assert_eq!(load("trn1", 0, 4, 16384, 100_000), None);
    }

    #[test]
    fn a_chip_without_ways_has_no_slow_pattern() {
        assert_eq!(load("trn2", 0, 128, 16384, 1024), None);
    }
}
