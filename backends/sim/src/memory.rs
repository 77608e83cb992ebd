//! Bytes of the memories of one core: SBUF, PSUM and the HBM variables.

use std::sync::Arc;

use ferrite_ir::isa::{Ap, ApDim, DmaSpace, Program, Space, VarId, VarKind};
use ferrite_ir::machine::MachineModel;
use smallvec::SmallVec;

use crate::elem;

/// An on-chip memory: partitions of equal size, one after the other.
#[derive(Clone, Debug)]
pub struct OnChip {
    bytes: Vec<u8>,
    partition_bytes: usize,
}

impl OnChip {
    fn new(partitions: u64, partition_bytes: u64) -> OnChip {
        let size = partitions as usize * partition_bytes as usize;
        OnChip {
            bytes: vec![0; size],
            partition_bytes: partition_bytes as usize,
        }
    }

    /// The bytes of a partition; empty past the last one.
    pub fn partition(&self, p: usize) -> &[u8] {
        self.bytes
            .get(p * self.partition_bytes..(p + 1) * self.partition_bytes)
            .unwrap_or(&[])
    }

    /// The bytes of a partition; empty past the last one.
    pub fn partition_mut(&mut self, p: usize) -> &mut [u8] {
        self.bytes
            .get_mut(p * self.partition_bytes..(p + 1) * self.partition_bytes)
            .unwrap_or(&mut [])
    }

    /// All bytes, by linear address.
    pub fn linear(&self) -> &[u8] {
        &self.bytes
    }

    /// All bytes, by linear address.
    pub fn linear_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

/// Where the variables of a program lie: several variables can be one block of memory (aliases, scratch).
#[derive(Clone, Debug)]
pub struct HbmLayout {
    /// Block and byte offset of each variable.
    pub place: Vec<(u32, u64)>,
    /// Size of each block.
    pub block_bytes: Vec<u64>,
}

impl HbmLayout {
    /// Places the variables: outputs with an alias share the block of their input, scratch variables share one block.
    pub fn new(program: &Program) -> HbmLayout {
        let mut block_bytes = vec![program.scratch_bytes()];
        let mut place = vec![(0u32, 0u64); program.vars.len()];
        let mut input_block = vec![None; program.inputs.len()];
        for (slot, var) in place.iter_mut().zip(&program.vars) {
            match var.kind {
                VarKind::Scratch { offset } => *slot = (0, offset),
                VarKind::Output { .. } => {} // after the inputs
                VarKind::Input { .. } | VarKind::Const => {
                    *slot = (block_bytes.len() as u32, 0);
                    if let VarKind::Input { index } = var.kind
                        && let Some(block) = input_block.get_mut(index as usize)
                    {
                        *block = Some(block_bytes.len() as u32);
                    }
                    block_bytes.push(var.bytes);
                }
            }
        }
        for (slot, var) in place.iter_mut().zip(&program.vars) {
            let VarKind::Output { index } = var.kind else { continue };
            let alias = program.outputs.get(index as usize).and_then(|o| o.alias);
            let shared = alias.and_then(|i| input_block.get(i as usize).copied().flatten());
            *slot = match shared {
                Some(block) => {
                    let size = &mut block_bytes[block as usize];
                    *size = (*size).max(var.bytes);
                    (block, 0)
                }
                None => {
                    block_bytes.push(var.bytes);
                    (block_bytes.len() as u32 - 1, 0)
                }
            };
        }
        HbmLayout { place, block_bytes }
    }

    /// Block and offset of a variable; `None` for an unknown one.
    pub fn of(&self, var: VarId) -> Option<(u32, u64)> {
        self.place.get(var.0 as usize).copied()
    }
}

/// A block of HBM. Constants are shared with the program until something writes them.
#[derive(Clone, Debug)]
enum Block {
    Shared(Arc<[u8]>),
    Owned(Vec<u8>),
}

/// The memories of one core.
#[derive(Clone, Debug)]
pub struct Memory {
    /// State buffer; partitions are as large as the linear DMA address says.
    pub sbuf: OnChip,
    /// Accumulators.
    pub psum: OnChip,
    /// Where results are rounded stochastically: the random bits.
    pub dither: Option<elem::Dither>,
    dithered: Vec<f32>,
    blocks: Vec<Block>,
}

impl Memory {
    /// Zeroed memories with the constants of `program` in place.
    pub fn new(program: &Program, layout: &HbmLayout, model: &MachineModel) -> Memory {
        let mut blocks: Vec<Block> = Vec::with_capacity(layout.block_bytes.len());
        let mut consts: Vec<Option<&Arc<[u8]>>> = vec![None; layout.block_bytes.len()];
        for (var, place) in program.vars.iter().zip(&layout.place) {
            if let (VarKind::Const, Some(data)) = (&var.kind, &var.data) {
                consts[place.0 as usize] = Some(data);
            }
        }
        for (size, data) in layout.block_bytes.iter().zip(consts) {
            blocks.push(match data {
                Some(data) if data.len() as u64 == *size => Block::Shared(data.clone()),
                _ => Block::Owned(vec![0; *size as usize]),
            });
        }
        Memory {
            sbuf: OnChip::new(model.sbuf.partitions, model.sbuf.bytes_per_partition),
            psum: OnChip::new(model.psum.partitions, model.psum.bytes_per_partition),
            dither: None,
            dithered: Vec::new(),
            blocks,
        }
    }

    /// The on-chip memory an access pattern names; HBM is never named by one, and reads as PSUM.
    pub fn on_chip(&self, space: Space) -> &OnChip {
        if space == Space::Sbuf { &self.sbuf } else { &self.psum }
    }

    /// The on-chip memory an access pattern names.
    pub fn on_chip_mut(&mut self, space: Space) -> &mut OnChip {
        if space == Space::Sbuf {
            &mut self.sbuf
        } else {
            &mut self.psum
        }
    }

    /// Bytes of an HBM block; empty for an unknown one.
    pub fn block(&self, block: u32) -> &[u8] {
        match self.blocks.get(block as usize) {
            Some(Block::Shared(data)) => data,
            Some(Block::Owned(data)) => data,
            None => &[],
        }
    }

    /// Bytes of an HBM block for writing.
    pub fn block_mut(&mut self, block: u32) -> &mut [u8] {
        let Some(slot) = self.blocks.get_mut(block as usize) else {
            return &mut [];
        };
        if let Block::Shared(data) = slot {
            *slot = Block::Owned(data.to_vec());
        }
        match slot {
            Block::Owned(data) => data,
            Block::Shared(_) => &mut [],
        }
    }

    /// Bytes behind one side of a DMA.
    pub fn dma_side(&self, space: DmaSpace, layout: &HbmLayout) -> (&[u8], u64) {
        match space {
            DmaSpace::Sbuf => (self.sbuf.linear(), 0),
            DmaSpace::Hbm(var) => match layout.of(var) {
                Some((block, base)) => (self.block(block), base),
                None => (&[], 0),
            },
        }
    }

    /// Bytes behind one side of a DMA, for writing.
    pub fn dma_side_mut(&mut self, space: DmaSpace, layout: &HbmLayout) -> (&mut [u8], u64) {
        match space {
            DmaSpace::Sbuf => (self.sbuf.linear_mut(), 0),
            DmaSpace::Hbm(var) => match layout.of(var) {
                Some((block, base)) => (self.block_mut(block), base),
                None => (&mut [], 0),
            },
        }
    }

    /// Reads one partition of an operand as fp32; `p` counts from the operand's first partition.
    pub fn load_row(&self, ap: &Ap, p: usize, out: &mut Vec<f32>) {
        out.clear();
        self.append_row(ap, p, out);
    }

    /// The same behind what `out` holds.
    pub fn append_row(&self, ap: &Ap, p: usize, out: &mut Vec<f32>) {
        let bytes = self.on_chip(ap.space).partition(ap.partition as usize + p);
        let mut done = out.len();
        out.resize(done + ap.elements(), 0.0);
        for_each_run(&ap.dims, ap.offset as usize, ap.dtype.bytes(), |start, step, count| {
            elem::load(ap.dtype, bytes, start, step, &mut out[done..done + count]);
            done += count;
        });
    }

    /// Writes one partition of an operand from fp32. `from` has as many elements as the operand.
    pub fn store_row(&mut self, ap: &Ap, p: usize, from: &[f32]) {
        let Some(dither) = &mut self.dither else {
            return self.store_rounded(ap, p, from);
        };
        let mut values = std::mem::take(&mut self.dithered);
        values.clear();
        values.extend_from_slice(from);
        dither.round(ap.dtype, &mut values);
        self.store_rounded(ap, p, &values);
        self.dithered = values;
    }

    fn store_rounded(&mut self, ap: &Ap, p: usize, from: &[f32]) {
        let bytes = self.on_chip_mut(ap.space).partition_mut(ap.partition as usize + p);
        let mut done = 0;
        for_each_run(&ap.dims, ap.offset as usize, ap.dtype.bytes(), |start, step, count| {
            if let Some(part) = from.get(done..done + count) {
                elem::store(ap.dtype, bytes, start, step, part);
            }
            done += count;
        });
    }

    /// Reads one partition of an operand as raw, zero-extended integers.
    pub fn load_raw_row(&self, ap: &Ap, p: usize, out: &mut Vec<u32>) {
        let bytes = self.on_chip(ap.space).partition(ap.partition as usize + p);
        let size = ap.dtype.bytes().min(4);
        out.clear();
        for_each_run(&ap.dims, ap.offset as usize, ap.dtype.bytes(), |start, step, count| {
            if step == size as isize
                && let Some(run) = bytes.get(start..start + count * size)
            {
                return elem::load_raw_run(size, run, out);
            }
            for i in 0..count {
                let at = start as isize + step * i as isize;
                out.push(elem::load_raw(size, bytes, at as usize));
            }
        });
    }

    /// Writes one partition of an operand from raw integers.
    pub fn store_raw_row(&mut self, ap: &Ap, p: usize, from: &[u32]) {
        let bytes = self.on_chip_mut(ap.space).partition_mut(ap.partition as usize + p);
        let size = ap.dtype.bytes().min(4);
        let mut values = from.iter();
        for_each_run(&ap.dims, ap.offset as usize, ap.dtype.bytes(), |start, step, count| {
            if step == size as isize
                && let Some(run) = bytes.get_mut(start..start + count * size)
            {
                return elem::store_raw_run(size, run, &mut values);
            }
            for i in 0..count {
                let at = start as isize + step * i as isize;
                if let Some(&value) = values.next() {
                    elem::store_raw(size, bytes, at as usize, value);
                }
            }
        });
    }
}

/// Calls `f(start byte, step in bytes, count)` for every innermost run of a pattern, in row-major order.
/// Neighbouring dimensions that continue each other are merged first, so that rows are as long as they can be.
pub fn for_each_run(dims: &[ApDim], offset: usize, size: usize, mut f: impl FnMut(usize, isize, usize)) {
    let mut merged: SmallVec<[(isize, usize); 4]> = SmallVec::new();
    for d in dims.iter().rev() {
        let (step, count) = (d.step as isize * size as isize, d.count as usize);
        if count == 1 {
            continue;
        }
        match merged.last_mut() {
            Some((inner_step, inner_count)) if *inner_step * *inner_count as isize == step => *inner_count *= count,
            _ => merged.push((step, count)),
        }
    }
    let (step, count) = if merged.is_empty() {
        (size as isize, 1)
    } else {
        merged.remove(0)
    };
    // What is left goes from inner to outer; count through it like an odometer.
    let outer = merged;
    let mut index: SmallVec<[usize; 4]> = SmallVec::from_elem(0, outer.len());
    let mut at = offset as isize;
    loop {
        f(at as usize, step, count);
        let mut level = 0;
        loop {
            let Some(&(s, n)) = outer.get(level) else { return };
            index[level] += 1;
            at += s;
            if index[level] < n {
                break;
            }
            at -= s * n as isize;
            index[level] = 0;
            level += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(dims: &[(i32, u32)], size: usize) -> Vec<(usize, isize, usize)> {
        let dims: Vec<ApDim> = dims.iter().map(|&(step, count)| ApDim { step, count }).collect();
        let mut out = Vec::new();
        for_each_run(&dims, 100, size, |a, b, c| out.push((a, b, c)));
        out
    }

    #[test]
    fn continuing_dimensions_are_one_run() {
        assert_eq!(runs(&[(8, 4), (1, 8)], 2), [(100, 2, 32)]);
        assert_eq!(runs(&[], 4), [(100, 4, 1)]);
        assert_eq!(runs(&[(16, 2), (1, 8)], 2), [(100, 2, 8), (132, 2, 8)]);
        assert_eq!(
            runs(&[(100, 2), (10, 2), (0, 3)], 1),
            [(100, 0, 3), (110, 0, 3), (200, 0, 3), (210, 0, 3)]
        );
    }
}
