//! Pieces of a transfer as DMA elements: linear addresses, few dimensions.
//!
//! Neighbouring dimensions that form one are merged. An element has at most [`DMA_DIMS`] dimensions on each side besides
//! the contiguous innermost run; a piece that needs more becomes several elements, cut at the same number of elements
//! on both sides.

use ferrite_ir::dtype::DType;
use ferrite_ir::isa::{DMA_DIMS, DmaAccess, DmaDim, DmaElement, DmaSpace, VarId};
use ferrite_ir::machine::MachineModel;
use ferrite_ir::tile::{DmaPiece, Mem};
use smallvec::SmallVec;

use super::place::Placement;

/// One side of a piece: elements in row-major order of `dims`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Side {
    space: DmaSpace,
    offset: i64,
    dtype: DType,
    /// Step in bytes and count, outermost first; counts above 1.
    dims: SmallVec<[(i64, u64); 6]>,
}

impl Side {
    fn new(space: DmaSpace, offset: i64, dtype: DType, dims: impl Iterator<Item = (i64, u64)>) -> Side {
        let mut merged: SmallVec<[(i64, u64); 6]> = SmallVec::new();
        for (step, count) in dims {
            if count == 1 {
                continue;
            }
            match merged.last_mut() {
                Some(outer) if outer.0 == step.saturating_mul(count as i64) => *outer = (step, outer.1 * count),
                _ => merged.push((step, count)),
            }
        }
        Side {
            space,
            offset,
            dtype,
            dims: merged,
        }
    }

    fn elements(&self) -> u64 {
        self.dims.iter().map(|d| d.1).product()
    }

    /// Whether the hardware takes it as one element.
    fn fits(&self) -> bool {
        let run = self.dims.last().is_some_and(|d| d.0 == self.dtype.bytes() as i64);
        self.dims.len() <= DMA_DIMS + usize::from(run)
    }

    /// Elements `first..first + count`, if they are one strided block that fits. `first` is a multiple of `count`.
    fn part(&self, first: u64, count: u64) -> Option<Side> {
        let mut inner = 1u64;
        let mut split = self.dims.len();
        while split > 0 && inner.checked_mul(self.dims[split - 1].1)? <= count {
            inner *= self.dims[split - 1].1;
            split -= 1;
        }
        let blocks = count / inner;
        if !count.is_multiple_of(inner)
            || (split > 0 && !self.dims[split - 1].1.is_multiple_of(blocks))
            || (split == 0 && blocks > 1)
        {
            return None;
        }
        let mut offset = self.offset;
        let mut rest = first / inner;
        for &(step, n) in self.dims[..split].iter().rev() {
            offset += step * (rest % n) as i64;
            rest /= n;
        }
        let outer = split.checked_sub(1).map(|s| (self.dims[s].0, blocks));
        let dims = outer.into_iter().chain(self.dims[split..].iter().copied());
        let part = Side::new(self.space, offset, self.dtype, dims);
        part.fits().then_some(part)
    }

    fn access(&self) -> DmaAccess {
        DmaAccess {
            space: self.space,
            offset: self.offset as u64,
            dtype: self.dtype,
            dims: self.dims.iter().map(|&(step, count)| DmaDim { step, count }).collect(),
        }
    }
}

fn side(mem: &Mem, placement: &Placement, machine: &MachineModel, vars: &[Option<VarId>]) -> Option<Side> {
    Some(match mem {
        Mem::Hbm(h) => Side::new(
            DmaSpace::Hbm(vars[h.buffer.index()]?),
            h.offset as i64,
            h.dtype,
            h.dims.iter().map(|d| (d.step, d.count)),
        ),
        Mem::Tile(v) => {
            let partition = machine.sbuf.bytes_per_partition as i64;
            let size = v.dtype.bytes() as i64;
            let base = i64::from(placement.tiles[v.tile.index()]) + i64::from(v.offset);
            let free = v.dims.iter().map(|d| (i64::from(d.step) * size, u64::from(d.count)));
            Side::new(
                DmaSpace::Sbuf,
                i64::from(v.partition) * partition + base,
                v.dtype,
                std::iter::once((partition, u64::from(v.partitions))).chain(free),
            )
        }
    })
}

/// Appends the elements of a piece. `vars` has the variable of each buffer in use.
pub(crate) fn encode_piece(
    piece: &DmaPiece,
    placement: &Placement,
    machine: &MachineModel,
    vars: &[Option<VarId>],
    out: &mut Vec<DmaElement>,
) {
    let sides = (
        side(&piece.src, placement, machine, vars),
        side(&piece.dst, placement, machine, vars),
    );
    let (Some(src), Some(dst)) = sides else {
        return;
    };
    let total = src.elements();
    if total == 0 {
        return;
    }
    // Block sizes that cut one side cleanly, largest first; a single element always does.
    let mut sizes: Vec<u64> = vec![total, 1];
    for s in [&src, &dst] {
        let mut inner = 1;
        for d in s.dims.iter().rev() {
            sizes.push(inner);
            inner *= d.1;
        }
    }
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes.dedup();
    let cut = |size: u64| -> Option<Vec<(Side, Side)>> {
        if !total.is_multiple_of(size) {
            return None;
        }
        (0..total / size)
            .map(|i| Some((src.part(i * size, size)?, dst.part(i * size, size)?)))
            .collect()
    };
    let parts = sizes.into_iter().find_map(cut).unwrap_or_default();
    out.extend(parts.into_iter().map(|(src, dst)| DmaElement {
        op: piece.op,
        src: src.access(),
        dst: dst.access(),
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(dims: &[(i64, u64)]) -> Side {
        Side::new(DmaSpace::Sbuf, 0, DType::F32, dims.iter().copied())
    }

    fn addresses(s: &Side) -> Vec<i64> {
        let mut all = vec![s.offset];
        for &(step, count) in &s.dims {
            all = all
                .iter()
                .flat_map(|&a| (0..count as i64).map(move |i| a + i * step))
                .collect();
        }
        all
    }

    #[test]
    fn contiguous_dimensions_merge() {
        assert_eq!(side(&[(400, 3), (40, 10), (4, 10)]).dims.as_slice(), [(4, 300)]);
        assert_eq!(side(&[(512, 3), (40, 1), (4, 10)]).dims.as_slice(), [(512, 3), (4, 10)]);
    }

    #[test]
    fn parts_cover_the_whole_in_order() {
        let whole = side(&[(100_000, 2), (10_000, 3), (1000, 2), (200, 2), (50, 2), (8, 3)]);
        assert!(!whole.fits());
        assert_eq!((whole.part(0, 72), whole.part(0, 24)), (None, None));
        for size in [12, 6, 3, 1] {
            let parts: Vec<i64> = (0..144 / size)
                .flat_map(|i| addresses(&whole.part(i * size, size).unwrap()))
                .collect();
            assert_eq!(parts, addresses(&whole), "{size}");
        }
    }
}
