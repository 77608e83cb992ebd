//! Products that are larger than the PE array, in parts that fit.
//!
//! Tiles are made for the partitions of SBUF. A machine's array may have fewer rows or columns than that: then rows (what is
//! summed) go by one after the other into the same sums, and columns (partitions of the result) each on their own.

use ferrite_ir::machine::MachineModel;
use ferrite_ir::tile::{OpKind, View};

use super::block::sub_columns;

/// An operation as the array can do it: itself, but for products that are too large.
pub(super) fn in_parts(kind: OpKind, machine: &MachineModel) -> Vec<OpKind> {
    let OpKind::Matmul {
        dst,
        stationary,
        moving,
        accumulate,
        transpose,
    } = &kind
    else {
        return vec![kind];
    };
    let (rows, columns) = (
        machine.pe.rows as i64,
        machine.pe.columns.min(machine.pe.stationary_free_max) as i64,
    );
    let (k, m) = (i64::from(stationary.partitions), stationary.elements() as i64);
    if k <= rows && m <= columns || rows == 0 || columns == 0 {
        return vec![kind];
    }
    let mut parts = Vec::new();
    for m0 in (0..m).step_by(columns as usize) {
        let mn = columns.min(m - m0);
        // Columns in no pattern of fewer dimensions stay together: the verifier says that they do not fit.
        let Some(stationary) = sub_columns(stationary, m0, mn) else {
            return vec![kind];
        };
        for k0 in (0..k).step_by(rows as usize) {
            let kn = rows.min(k - k0);
            parts.push(OpKind::Matmul {
                dst: partitions(dst, m0, mn),
                stationary: partitions(&stationary, k0, kn),
                moving: partitions(moving, k0, kn),
                accumulate: *accumulate || k0 > 0,
                transpose: *transpose,
            });
        }
    }
    parts
}

/// Some partitions of a view, all their elements.
fn partitions(view: &View, first: i64, count: i64) -> View {
    View {
        partition: view.partition + first as u16,
        partitions: count as u16,
        ..view.clone()
    }
}

#[cfg(test)]
mod tests {
    use ferrite_ir::dtype::DType;
    use ferrite_ir::tile::TileId;

    use super::*;
    use crate::lower::block::line;

    fn product(k: u16, m: u16, n: u16) -> OpKind {
        let view = |tile, partitions, columns: u16| View {
            tile: TileId(tile),
            partition: 0,
            partitions,
            offset: 0,
            dtype: DType::F32,
            dims: line(i64::from(columns)),
        };
        OpKind::Matmul {
            dst: view(0, m, n),
            stationary: view(1, k, m),
            moving: view(2, k, n),
            accumulate: false,
            transpose: false,
        }
    }

    /// First partition and partitions of the result and of what is summed, and whether it is added to what is there.
    fn shape(kind: &OpKind) -> (u16, u16, u16, u16, bool) {
        match kind {
            OpKind::Matmul {
                dst,
                stationary,
                moving,
                accumulate,
                ..
            } => {
                assert_eq!(
                    (stationary.partition, stationary.partitions),
                    (moving.partition, moving.partitions)
                );
                assert_eq!(stationary.elements(), usize::from(dst.partitions));
                (
                    dst.partition,
                    dst.partitions,
                    moving.partition,
                    moving.partitions,
                    *accumulate,
                )
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_small_array_takes_parts_that_cover_the_product() {
        let mut machine = MachineModel::clone(&MachineModel::target("inf2").unwrap());
        assert_eq!(
            in_parts(product(128, 128, 8), &machine),
            [product(128, 128, 8)],
            "what fits stays"
        );
        (machine.pe.rows, machine.pe.columns) = (64, 32);
        let parts: Vec<_> = in_parts(product(96, 64, 8), &machine).iter().map(shape).collect();
        assert_eq!(
            parts,
            [
                (0, 32, 0, 64, false),
                (0, 32, 64, 32, true),
                (32, 32, 0, 64, false),
                (32, 32, 64, 32, true),
            ]
        );
    }
}
