//! Costs of collectives (`neuroncore.md` section 2.11): a fixed time, a time per step, the bytes on the wire.

use super::super::ns_to_ps;
use crate::isa::CollectiveKind;
use crate::machine::MachineModel;

/// What a collective costs one of its cores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CollectiveCost {
    /// Steps, one after the other.
    pub steps: u64,
    /// Bytes that leave the core.
    pub wire_bytes: u64,
    /// Bytes read and written in the core's HBM.
    pub hbm_bytes: u64,
    /// Before data moves: the fixed time and that of the steps, picoseconds.
    pub start_ps: u64,
    /// While data moves, picoseconds.
    pub data_ps: u64,
}

impl MachineModel {
    /// Chip of a core, by its rank.
    pub fn chip_of(&self, rank: u32) -> u64 {
        u64::from(rank) / self.chip.cores.max(1)
    }

    /// Instance of a core, by its rank: instances of the largest kind the target is sold in, full one after another.
    pub fn instance_of(&self, rank: u32) -> u64 {
        let chips = self.instances.iter().map(|i| i.chips).max().unwrap_or(1);
        self.chip_of(rank) / chips.max(1)
    }

    /// Hops between two chips: along the shorter way of a ring (our assumption for instances of more than one chip).
    pub fn chip_hops(&self, a: u64, b: u64, chips: u64) -> u64 {
        let apart = a.abs_diff(b);
        apart.min(chips.max(1).saturating_sub(apart))
    }

    /// Cost of a collective over operands of `bytes` on each of the cores `members`.
    ///
    /// Below `collectives.mesh_below_bytes` everyone sends to everyone at once, below `recursive_below_bytes` distances double,
    /// above the parts go round a ring.
    pub fn collective_cost(&self, kind: CollectiveKind, bytes: u64, members: &[u32]) -> CollectiveCost {
        let n = members.len().max(1) as u64;
        let c = &self.collectives;
        let all = match kind {
            CollectiveKind::AllGather => bytes.saturating_mul(n),
            _ => bytes,
        };
        let chips: std::collections::BTreeSet<u64> = members.iter().map(|&r| self.chip_of(r)).collect();
        let ring = n - 1;
        let halvings = u64::from(n.next_power_of_two().trailing_zeros());
        let once = if n == 1 {
            0
        } else if all < c.mesh_below_bytes {
            1
        } else if all < c.recursive_below_bytes {
            halvings
        } else {
            ring
        };
        // What leaves a core: every part but its own, once to gather and once to reduce.
        let others = |total: u64| (u128::from(total) * u128::from(ring) / u128::from(n)) as u64;
        let (steps, wire) = match kind {
            CollectiveKind::AllReduce => (2 * once, 2 * others(bytes)),
            CollectiveKind::AllGather | CollectiveKind::ReduceScatter => (once, others(all)),
            CollectiveKind::AllToAll => (once.min(1), others(bytes)),
            CollectiveKind::Permute => {
                let count = chips.last().map_or(1, |c| c + 1);
                let hop = |pair: &[u32]| {
                    self.chip_hops(self.chip_of(pair[0]), self.chip_of(pair[1]), count)
                        .max(1)
                };
                (members.chunks_exact(2).map(hop).max().unwrap_or(0), bytes)
            }
        };
        // Inside a chip cores reach each other's HBM by their own DMA engines; between chips they share the chip's links; between instances
        // each has its part of the network, and a step takes longer.
        let instances: std::collections::BTreeSet<u64> = members.iter().map(|&r| self.instance_of(r)).collect();
        let link = self.chip.neuronlink_gb_per_s / self.chip.cores.max(1) as f64;
        let (rate, step_us) = match (instances.len(), chips.len()) {
            (0 | 1, 0 | 1) => (self.dma_bytes_per_s() / 1e9, c.step_us),
            (0 | 1, _) => (link, c.step_us),
            _ => (link.min(c.efa_gbit_per_s_per_rank / 8.0), c.inter_node_step_us),
        };
        let step_ns = step_us * 1e3;
        CollectiveCost {
            steps,
            wire_bytes: wire,
            hbm_bytes: wire.saturating_mul(2),
            start_ps: ns_to_ps(c.alpha_us * 1e3 + steps as f64 * step_ns),
            data_ps: ns_to_ps(wire as f64 / rate),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us(kind: CollectiveKind, bytes: u64, ranks: u32) -> f64 {
        let model = MachineModel::target("trn1").expect("known target");
        let members: Vec<u32> = (0..ranks).collect();
        let cost = model.collective_cost(kind, bytes, &members);
        (cost.start_ps + cost.data_ps) as f64 / 1e6
    }

    #[test]
    fn small_ones_are_flat_and_large_ones_linear() {
        let small = us(CollectiveKind::AllGather, 1 << 10, 8);
        // L-2 and L-3 measure 6 to 15 us.
        assert!((6.0..16.0).contains(&small), "{small}");
        assert!(us(CollectiveKind::AllGather, 8 << 10, 8) / small < 1.2);
        let (one, two) = (
            us(CollectiveKind::AllReduce, 1 << 28, 8),
            us(CollectiveKind::AllReduce, 1 << 29, 8),
        );
        assert!((1.8..2.05).contains(&(two / one)), "{one} {two}");
    }

    #[test]
    fn one_core_has_nothing_to_send() {
        let model = MachineModel::target("trn2").expect("known target");
        let cost = model.collective_cost(CollectiveKind::AllReduce, 1 << 20, &[0]);
        assert_eq!((cost.steps, cost.wire_bytes, cost.data_ps), (0, 0, 0));
    }

    #[test]
    fn the_network_between_instances_is_slower() {
        let model = MachineModel::target("trn1").expect("known target");
        let cost = |members: &[u32]| model.collective_cost(CollectiveKind::Permute, 1 << 20, members);
        // 32 cores are one trn1.32xlarge.
        let (inside, across) = (cost(&[0, 2]), cost(&[30, 32]));
        assert_eq!((model.instance_of(31), model.instance_of(32)), (0, 1));
        assert_eq!(across.start_ps - inside.start_ps, 13_500_000); // 15 us a step instead of 1.5
        let rate = model.collectives.efa_gbit_per_s_per_rank / 8.0;
        assert!((across.data_ps as f64 * rate / 1e3 / (1 << 20) as f64 - 1.0).abs() < 1e-3);
    }

    #[test]
    fn a_permutation_pays_for_its_longest_way() {
        let model = MachineModel::target("trn1").expect("known target");
        let near = model.collective_cost(CollectiveKind::Permute, 1 << 20, &[0, 2]);
        let far = model.collective_cost(CollectiveKind::Permute, 1 << 20, &[0, 2, 4, 8, 2, 14]);
        assert_eq!((near.steps, far.steps), (1, 2));
    }
}
