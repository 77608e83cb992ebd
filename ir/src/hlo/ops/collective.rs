//! Operations over several devices.

use super::super::types::Dims;

/// Groups, channel and id mode that collectives share (`all_reduce` has a region).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Collective {
    /// Rows of device ids; -1 pads ragged rows.
    pub replica_groups: Vec<Dims>,
    /// Channel id, 0 if none.
    pub channel_id: i64,
    /// Channel type.
    pub channel_type: i64,
    /// Whether ids are global device ids.
    pub use_global_device_ids: bool,
}

/// Attributes of `stablehlo.all_gather`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AllGather {
    /// Groups and channel.
    pub collective: Collective,
    /// Dimension that grows.
    pub all_gather_dim: i64,
}

/// Attributes of `stablehlo.reduce_scatter` (one region).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReduceScatter {
    /// Groups and channel.
    pub collective: Collective,
    /// Dimension that shrinks.
    pub scatter_dimension: i64,
}

/// Attributes of `stablehlo.all_to_all`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AllToAll {
    /// Groups and channel.
    pub collective: Collective,
    /// Dimension that is split.
    pub split_dimension: i64,
    /// Dimension along which parts are joined.
    pub concat_dimension: i64,
    /// Number of parts.
    pub split_count: i64,
}

/// Attributes of `stablehlo.collective_permute`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CollectivePermute {
    /// Source and target device of each message.
    pub source_target_pairs: Vec<(i64, i64)>,
    /// Channel id, 0 if none.
    pub channel_id: i64,
    /// Channel type.
    pub channel_type: i64,
}

/// Attributes of `send` and `recv`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Transfer {
    /// Channel id.
    pub channel_id: i64,
    /// Channel type.
    pub channel_type: i64,
    /// To or from the host.
    pub is_host_transfer: bool,
    /// Source and target device of each message.
    pub source_target_pairs: Vec<(i64, i64)>,
}

/// Attributes of `sdy.manual_computation` (one region), kept as text until partitioning reads them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ManualComputation {
    /// `[<@mesh, [{"x"}]>, ...]`.
    pub in_shardings: String,
    /// `[<@mesh, [{"x"}]>, ...]`.
    pub out_shardings: String,
    /// `{"x"}`.
    pub manual_axes: String,
}

/// Attributes of `sdy.sharding_constraint`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ShardingConstraint {
    /// `<@mesh, [{"x"}, {}]>`.
    pub sharding: String,
}
