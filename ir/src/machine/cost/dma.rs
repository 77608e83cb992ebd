//! Costs of DMA transfers (`neuroncore.md` section 2.10).

use super::super::ns_to_ps;
use crate::machine::{MachineModel, Space};

/// Who writes the descriptors of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DgeMode {
    /// Made ahead, in HBM.
    Static,
    /// GpSimdE software, at run time.
    Software,
    /// A hardware descriptor generator (v3 and later).
    Hardware,
}

/// What a transfer does to its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransferKind {
    /// Copies, or casts.
    Copy,
    /// Transposes on the way to SBUF.
    Transpose {
        /// Where the data comes from.
        from: Space,
    },
    /// Adds several sources.
    Compute,
    /// Adds onto the destination.
    Accumulate,
}

impl MachineModel {
    /// Time one DMA engine spends on one descriptor of `bytes`, picoseconds.
    pub fn descriptor_ps(&self, bytes: u64, kind: TransferKind) -> u64 {
        let d = &self.dma;
        let efficiency = match kind {
            TransferKind::Copy => 1.0,
            TransferKind::Transpose { from: Space::Hbm } => d.transpose_efficiency_hbm_to_sbuf,
            TransferKind::Transpose { .. } => d.transpose_efficiency_sbuf_to_sbuf,
            TransferKind::Compute => d.compute_efficiency,
            TransferKind::Accumulate => d.accumulate_efficiency,
        };
        let ns = d.descriptor_overhead_ns + bytes as f64 / (d.bytes_per_ns_per_engine * efficiency);
        ns_to_ps(ns.max(d.descriptor_min_ns))
    }

    /// Descriptors for one contiguous run of `bytes`.
    pub fn descriptors_for(&self, bytes: u64) -> u64 {
        bytes.div_ceil(self.dma.bytes_per_descriptor_max).max(1)
    }

    /// Time the triggering engine spends, picoseconds.
    pub fn dma_trigger_ps(&self, mode: DgeMode) -> u64 {
        ns_to_ps(match mode {
            DgeMode::Static | DgeMode::Hardware => self.dma.static_trigger_ns,
            DgeMode::Software => self.dma.swdge_trigger_ns,
        })
    }

    /// Time the descriptor generator is busy per transfer, picoseconds: a hardware block, or GpSimdE.
    pub fn dma_generate_ps(&self, mode: DgeMode) -> u64 {
        match mode {
            DgeMode::Static => 0,
            DgeMode::Software => ns_to_ps(self.dma.swdge_sustained_ns),
            DgeMode::Hardware => ns_to_ps(self.dma.hwdge_issue_ns),
        }
    }

    /// Trigger to first data, picoseconds.
    pub fn dma_start_ps(&self) -> u64 {
        ns_to_ps(self.dma.start_ns)
    }

    /// Last data to visible semaphore, picoseconds.
    pub fn dma_done_ps(&self) -> u64 {
        ns_to_ps(self.dma.done_ns)
    }

    /// Time HBM needs for `bytes` (each HBM side of a copy counts), picoseconds.
    pub fn hbm_ps(&self, bytes: u64) -> u64 {
        ns_to_ps(bytes as f64 / self.hbm.cap_gb_per_s)
    }
}
