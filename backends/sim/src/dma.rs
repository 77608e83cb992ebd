//! Static DMA transfers: what they cost and what they do to memory (`neuroncore.md` section 2.10).

use ferrite_ir::dtype::DType;
use ferrite_ir::isa::{
    DmaAccess, DmaElement, DmaOp, DmaSpace, Indirect, IndirectKind, OutOfBounds, Space, Transfer, VarId,
};
use ferrite_ir::machine::MachineModel;
use ferrite_ir::machine::cost::TransferKind;
use smallvec::SmallVec;

use crate::elem;
use crate::memory::{HbmLayout, Memory};
use crate::rings::Load;

/// What a transfer costs, known before the run.
#[derive(Clone, Debug, Default)]
pub struct TransferCost {
    /// What the DMA engines do, the semaphore packet included.
    pub load: Load,
    /// Bytes read from HBM.
    pub hbm_read: u64,
    /// Bytes written to HBM.
    pub hbm_written: u64,
    /// Bytes moved.
    pub bytes: u64,
    /// Descriptors, one side counted.
    pub descriptors: u64,
}

/// Descriptors of equal size, to be spread over the engines.
struct Batch {
    count: u64,
    bytes: u64,
    source: Space,
    kind: TransferKind,
}

/// Costs of a transfer with fixed addresses; `number` is its place among the program's.
pub fn transfer_cost(transfer: &Transfer, number: usize, model: &MachineModel) -> TransferCost {
    let mut cost = TransferCost::default();
    let mut batches: SmallVec<[Batch; 2]> = SmallVec::new();
    for element in &transfer.elements {
        let size = |a: &DmaAccess| a.dtype.bytes().max(1) as u64;
        let elements = element.src.elements();
        let width = size(&element.src).max(size(&element.dst));
        // The shorter contiguous run of the two sides decides the size of a descriptor.
        let run = (element.src.contiguous_bytes() / size(&element.src))
            .min(element.dst.contiguous_bytes() / size(&element.dst))
            .clamp(1, elements.max(1));
        let pieces = elements.div_ceil(run);
        let split = model.descriptors_for(run.saturating_mul(width));
        let kind = if element.op == DmaOp::Add {
            TransferKind::Accumulate
        } else {
            TransferKind::Copy
        };
        batches.push(Batch {
            count: pieces.saturating_mul(split),
            bytes: run.saturating_mul(width).div_ceil(split),
            source: match element.src.space {
                DmaSpace::Hbm(_) => Space::Hbm,
                DmaSpace::Sbuf => Space::Sbuf,
            },
            kind,
        });
        let (read, written) = (
            elements.saturating_mul(size(&element.src)),
            elements.saturating_mul(size(&element.dst)),
        );
        cost.bytes = cost.bytes.saturating_add(read.max(written));
        if matches!(element.src.space, DmaSpace::Hbm(_)) {
            cost.hbm_read = cost.hbm_read.saturating_add(read);
        }
        if matches!(element.dst.space, DmaSpace::Hbm(_)) {
            cost.hbm_written = cost.hbm_written.saturating_add(written);
            if element.op == DmaOp::Add {
                cost.hbm_read = cost.hbm_read.saturating_add(written);
            }
        }
    }
    spread(&mut cost, &batches, number as u64, model);
    cost
}

/// Costs of an indirect transfer: one descriptor per row, all rows in bounds (timing never depends on data).
pub fn indirect_cost(indirect: &Indirect, model: &MachineModel) -> TransferCost {
    let rows = u64::from(indirect.tile.partitions);
    let bytes = rows.saturating_mul(indirect.row_bytes);
    let mut cost = TransferCost {
        bytes,
        ..TransferCost::default()
    };
    let (source, kind) = match indirect.kind {
        IndirectKind::Gather => {
            cost.hbm_read = bytes;
            (Space::Hbm, TransferKind::Copy)
        }
        IndirectKind::Scatter => {
            cost.hbm_written = bytes;
            (Space::Sbuf, TransferKind::Copy)
        }
        IndirectKind::ScatterAdd => {
            (cost.hbm_read, cost.hbm_written) = (bytes, bytes);
            (Space::Sbuf, TransferKind::Accumulate)
        }
    };
    let split = model.descriptors_for(indirect.row_bytes);
    let batch = Batch {
        count: rows * split,
        bytes: indirect.row_bytes.div_ceil(split),
        source,
        kind,
    };
    spread(&mut cost, &[batch], 0, model);
    cost
}

/// Spreads descriptors evenly over the engines; what is left over goes to engines in turn, from engine `first` on, so that short
/// transfers do not all meet on one (our assumption: the vendor's choice of rings is not public).
fn spread(cost: &mut TransferCost, batches: &[Batch], first: u64, model: &MachineModel) {
    let engines = model.dma.engines;
    let packet = model.semaphore_packet_ps();
    let load = &mut cost.load;
    load.engine_ps = vec![packet; engines as usize];
    let mut next = first % engines;
    for batch in batches {
        let one = model.descriptor_ps(batch.bytes, batch.source, batch.kind);
        let (share, rest) = (batch.count / engines, batch.count % engines);
        for (i, ps) in load.engine_ps.iter_mut().enumerate() {
            let extra = u64::from((i as u64 + engines - next) % engines < rest);
            *ps = ps.saturating_add(one.saturating_mul(share + extra));
        }
        next = (next + rest) % engines;
        cost.descriptors = cost.descriptors.saturating_add(batch.count);
        load.packet_ps = load.packet_ps.max(model.packet_ps(batch.bytes, one));
    }
    load.store = batches.iter().all(|b| b.source == Space::Sbuf);
    load.hbm_bytes = cost.hbm_read.saturating_add(cost.hbm_written);
}

/// Contiguous runs of one side, in row-major order: byte address and number of elements.
pub struct Runs {
    outer: SmallVec<[(i64, u64); 4]>,
    index: SmallVec<[u64; 4]>,
    at: i64,
    run: u64,
    done: bool,
}

impl Runs {
    /// The runs of `access`, addresses counted from `base`.
    pub fn new(access: &DmaAccess, base: u64) -> Runs {
        let size = access.dtype.bytes() as i64;
        let mut run = 1u64;
        let mut outer: SmallVec<[(i64, u64); 4]> = SmallVec::new();
        for d in access.dims.iter().rev() {
            if d.count == 1 {
                continue;
            }
            if outer.is_empty() && d.step == size.wrapping_mul(run as i64) {
                run = run.saturating_mul(d.count);
            } else {
                outer.push((d.step, d.count));
            }
        }
        let index = SmallVec::from_elem(0, outer.len());
        let at = (base + access.offset) as i64;
        Runs {
            index,
            at,
            run,
            done: access.elements() == 0,
            outer,
        }
    }

    /// Address of the first run.
    pub fn start(&self) -> i64 {
        self.at
    }

    /// Step in bytes and count of the dimensions that are no part of a run, innermost first.
    pub fn outer(&self) -> &[(i64, u64)] {
        &self.outer
    }

    /// Elements of a run.
    pub fn run_elements(&self) -> u64 {
        self.run
    }

    /// Number of runs.
    pub fn total(&self) -> u64 {
        self.outer.iter().fold(1u64, |n, d| n.saturating_mul(d.1))
    }
}

impl Iterator for Runs {
    type Item = (i64, u64);

    fn next(&mut self) -> Option<(i64, u64)> {
        if self.done {
            return None;
        }
        let item = (self.at, self.run);
        let mut level = 0;
        loop {
            let Some(&(step, count)) = self.outer.get(level) else {
                self.done = true;
                break;
            };
            self.index[level] += 1;
            self.at = self.at.wrapping_add(step);
            if self.index[level] < count {
                break;
            }
            self.at = self.at.wrapping_sub(step.wrapping_mul(count as i64));
            self.index[level] = 0;
            level += 1;
        }
        Some(item)
    }
}

/// Moves the data of a transfer. Ranges have been checked.
pub fn run_transfer(transfer: &Transfer, memory: &mut Memory, layout: &HbmLayout) {
    let mut staging = Vec::new();
    for element in &transfer.elements {
        run_element(element, memory, layout, &mut staging);
    }
}

fn run_element(element: &DmaElement, memory: &mut Memory, layout: &HbmLayout, staging: &mut Vec<u8>) {
    // Gather the source, then scatter: the two sides may lie in the same memory.
    let size = element.src.dtype.bytes();
    staging.clear();
    let (bytes, base) = memory.dma_side(element.src.space, layout);
    for (at, count) in Runs::new(&element.src, base) {
        let (from, len) = (at as usize, count as usize * size);
        match bytes.get(from..from.wrapping_add(len)) {
            Some(run) => staging.extend_from_slice(run),
            None => staging.resize(staging.len() + len, 0),
        }
    }
    let convert = element.op == DmaOp::Add || (element.op == DmaOp::Cast && element.src.dtype != element.dst.dtype);
    let to = element.dst.dtype.bytes();
    let (bytes, base) = memory.dma_side_mut(element.dst.space, layout);
    let mut read = 0;
    let (mut row, mut old): (Vec<f32>, Vec<f32>) = (Vec::new(), Vec::new());
    for (at, count) in Runs::new(&element.dst, base) {
        let (start, count) = (at as usize, count as usize);
        let source = staging.get(read..read + count * size).unwrap_or(&[]);
        read += count * size;
        let Some(out) = bytes.get_mut(start..start.wrapping_add(count * to)) else {
            continue;
        };
        if !convert {
            if out.len() == source.len() {
                out.copy_from_slice(source);
            }
            continue;
        }
        row.clear();
        row.resize(count, 0.0);
        elem::load_run(element.src.dtype, source, &mut row);
        if element.op == DmaOp::Add {
            old.clear();
            old.resize(count, 0.0);
            elem::load_run(element.dst.dtype, out, &mut old);
            row.iter_mut().zip(&old).for_each(|(x, o)| *x += o);
        }
        elem::store_run(element.dst.dtype, out, &row);
    }
}

/// Moves the data of an indirect transfer with the variable that its counter picks. Errors are indices out of bounds and repeated indices of a scatter.
pub fn run_indirect(i: &Indirect, var: VarId, memory: &mut Memory, layout: &HbmLayout) -> Result<(), String> {
    let Some((block, base)) = layout.of(var) else {
        return Ok(());
    };
    let mut index = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    let (mut raw, mut number) = (Vec::new(), Vec::new());
    let size = i.tile.dtype.bytes();
    for p in 0..i.tile.partitions as usize {
        memory.load_raw_row(&i.index, p, &mut index);
        let row = index.first().copied().unwrap_or(0);
        if row >= i.rows {
            if i.out_of_bounds == OutOfBounds::Skip {
                continue;
            }
            let shown = if i.index.dtype == DType::I32 {
                i64::from(row as i32)
            } else {
                i64::from(row)
            };
            return Err(format!(
                "row {shown} of partition {p} is out of bounds: there are {} rows",
                i.rows
            ));
        }
        let at = (base + i.offset + u64::from(row) * i.row_step) as usize;
        let range = at..at + i.row_bytes as usize;
        if i.kind != IndirectKind::Gather && !seen.insert(row) {
            return Err(format!(
                "row {row} is written by two partitions of one transfer, which is undefined"
            ));
        }
        match i.kind {
            IndirectKind::Gather => {
                let bytes = memory.block(block).get(range).unwrap_or(&[]);
                raw.clear();
                raw.extend(bytes.chunks_exact(size).map(|c| elem::load_raw(size, c, 0)));
                memory.store_raw_row(&i.tile, p, &raw);
            }
            IndirectKind::Scatter => {
                memory.load_raw_row(&i.tile, p, &mut raw);
                let Some(bytes) = memory.block_mut(block).get_mut(range) else {
                    continue;
                };
                for (c, &x) in bytes.chunks_exact_mut(size).zip(&raw) {
                    elem::store_raw(size, c, 0, x);
                }
            }
            IndirectKind::ScatterAdd => {
                memory.load_row(&i.tile, p, &mut number);
                let Some(bytes) = memory.block_mut(block).get_mut(range) else {
                    continue;
                };
                let mut old = vec![0.0; number.len()];
                elem::load_run(i.tile.dtype, bytes, &mut old);
                old.iter_mut().zip(&number).for_each(|(o, x)| *o += x);
                elem::store_run(i.tile.dtype, bytes, &old);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ferrite_ir::isa::DmaDim;
    use ferrite_ir::loc::LocId;

    use super::*;

    fn access(space: DmaSpace, dims: &[(i64, u64)], dtype: DType) -> DmaAccess {
        let dims = dims.iter().map(|&(step, count)| DmaDim { step, count }).collect();
        DmaAccess {
            space,
            offset: 0,
            dtype,
            dims,
        }
    }

    fn cost(src: DmaAccess, dst: DmaAccess, target: &str) -> TransferCost {
        let elements = vec![DmaElement {
            op: DmaOp::Copy,
            src,
            dst,
        }];
        let transfer = Transfer {
            queue: 0,
            semaphore: 0,
            elements,
            loc: LocId::UNKNOWN,
        };
        let model = MachineModel::target(target).expect("known target");
        transfer_cost(&transfer, 0, &model)
    }

    #[test]
    fn partitions_are_dealt_out_evenly() {
        let hbm = access(DmaSpace::Hbm(VarId(0)), &[(4096, 128), (1, 4096)], DType::U8);
        let sbuf = access(DmaSpace::Sbuf, &[(196_608, 128), (1, 4096)], DType::U8);
        let c = cost(hbm, sbuf, "trn1");
        assert_eq!(c.descriptors, 128);
        assert_eq!((c.hbm_read, c.hbm_written), (128 * 4096, 0));
        // 8 rows of 4 KiB at 17 B/ns, 1 ns each, and the semaphore packet.
        let expected = 8.0 * (1.0 + 4096.0 / 17.0) + 7.0;
        assert!(
            c.load
                .engine_ps
                .iter()
                .all(|&ps| (ps as f64 / 1000.0 - expected).abs() < 0.1)
        );
    }

    #[test]
    fn element_wise_transfers_pay_per_element() {
        let hbm = access(DmaSpace::Hbm(VarId(0)), &[(256, 16), (2, 128)], DType::BF16);
        let sbuf = access(DmaSpace::Sbuf, &[(2, 16), (196_608, 128)], DType::BF16);
        let c = cost(hbm, sbuf, "trn1");
        assert_eq!(c.descriptors, 16 * 128);
        assert_eq!(c.load.engine_ps[0], 7_000 * 128 + 7_000);
    }

    #[test]
    fn what_does_not_divide_goes_round() {
        let side = |v| access(DmaSpace::Hbm(VarId(v)), &[(1, 4096)], DType::U8);
        let transfer = Transfer {
            queue: 0,
            semaphore: 0,
            elements: vec![DmaElement {
                op: DmaOp::Copy,
                src: side(0),
                dst: side(1),
            }],
            loc: LocId::UNKNOWN,
        };
        let model = MachineModel::target("trn1").expect("known target");
        let busiest = |number| {
            let load = transfer_cost(&transfer, number, &model).load.engine_ps;
            (0..16).max_by_key(|&e| load[e])
        };
        assert_eq!((busiest(0), busiest(5)), (Some(0), Some(5)));
    }

    #[test]
    fn large_runs_are_split_into_descriptors() {
        let side = |v| access(DmaSpace::Hbm(VarId(v)), &[(1, 1 << 20)], DType::U8);
        let c = cost(side(0), side(1), "trn2");
        assert_eq!(c.descriptors, 16);
        assert_eq!((c.hbm_read, c.hbm_written), (1 << 20, 1 << 20));
    }

    #[test]
    fn runs_follow_row_major_order() {
        let a = access(DmaSpace::Sbuf, &[(100, 2), (10, 2), (2, 3)], DType::BF16);
        assert_eq!(
            Runs::new(&a, 5).collect::<Vec<_>>(),
            [(5, 3), (15, 3), (105, 3), (115, 3)]
        );
    }
}
