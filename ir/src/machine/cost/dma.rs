//! Costs of DMA transfers (`neuroncore.md` section 2.10).

use super::super::ns_to_ps;
use crate::machine::{MachineModel, Space};

/// Who writes the descriptors of a transfer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum DgeMode {
    /// Made ahead, in HBM.
    #[default]
    Static,
    /// GpSimdE software, at run time.
    Software,
    /// A hardware descriptor generator (v3 and later).
    Hardware,
}

impl DgeMode {
    /// Every mode, in declaration order.
    pub const ALL: [DgeMode; 3] = [DgeMode::Static, DgeMode::Software, DgeMode::Hardware];

    /// NKI's name of the mode.
    pub const fn name(self) -> &'static str {
        match self {
            DgeMode::Static => "none",
            DgeMode::Software => "swdge",
            DgeMode::Hardware => "hwdge",
        }
    }
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
    /// Time one DMA engine spends on one descriptor of `bytes` read from `source`, picoseconds. Reading HBM is slower than
    /// writing it (C-8).
    pub fn descriptor_ps(&self, bytes: u64, source: Space, kind: TransferKind) -> u64 {
        let d = &self.dma;
        let efficiency = match kind {
            TransferKind::Copy => 1.0,
            TransferKind::Transpose { from: Space::Hbm } => d.transpose_efficiency_hbm_to_sbuf,
            TransferKind::Transpose { .. } => d.transpose_efficiency_sbuf_to_sbuf,
            TransferKind::Compute => d.compute_efficiency,
            TransferKind::Accumulate => d.accumulate_efficiency,
        };
        let rate = match source {
            Space::Hbm => d.bytes_per_ns_per_engine,
            Space::Sbuf | Space::Psum => d.store_bytes_per_ns_per_engine,
        };
        let ns = d.descriptor_overhead_ns + bytes as f64 / (rate * efficiency);
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

    /// Rate of loads and of stores that run beside each other on one engine, over their rates alone: together they reach the burst
    /// rate (our assumption, from a kernel that moves 294 GB/s in both directions on trn1, B-13).
    pub fn dma_duplex_factor(&self) -> f64 {
        let d = &self.dma;
        (d.burst_bytes_per_ns_per_engine / (d.bytes_per_ns_per_engine + d.store_bytes_per_ns_per_engine)).min(1.0)
    }

    /// Time between two transfers of one ring on an engine, picoseconds.
    pub fn ring_switch_ps(&self) -> u64 {
        ns_to_ps(self.dma.ring_switch_ns)
    }

    /// Least time between the starts of two transfers of one queue, picoseconds.
    pub fn queue_interval_ps(&self, mode: DgeMode) -> u64 {
        match mode {
            DgeMode::Static => 0,
            // GpSimdE's own pace is the limit (C-24).
            DgeMode::Software => 0,
            DgeMode::Hardware => ns_to_ps(self.dma.dge_queue_interval_ns),
        }
    }

    /// Trigger to first data of a transfer whose descriptors `mode` writes, picoseconds: a generator's work on one transfer
    /// is part of it.
    pub fn dge_start_ps(&self, mode: DgeMode) -> u64 {
        ns_to_ps(match mode {
            DgeMode::Software => self.dma.swdge_start_ns,
            DgeMode::Static | DgeMode::Hardware => self.dma.start_ns,
        })
    }

    /// Time of the packet that writes a completion semaphore, picoseconds.
    pub fn semaphore_packet_ps(&self) -> u64 {
        ns_to_ps(self.dma.semaphore_packet_ns)
    }

    /// Length of an engine's turn for one ring, picoseconds: a packet of descriptors of `bytes` that take `one` each.
    pub fn packet_ps(&self, bytes: u64, one: u64) -> u64 {
        let packet = self.dma.packet_bytes_compute.max(1);
        if bytes >= packet {
            return (u128::from(one) * u128::from(packet) / u128::from(bytes)) as u64;
        }
        let descriptors = (packet / bytes.max(1)).min(self.dma.descriptors_per_packet_max).max(1);
        one.saturating_mul(descriptors)
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
