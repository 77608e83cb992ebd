//! Gather and scatter.

use super::super::types::Dims;

/// Attributes of `stablehlo.gather`. Operands: operand, start indices (and slice sizes for `dynamic_gather`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // names of the specification
pub struct Gather {
    pub offset_dims: Dims,
    pub collapsed_slice_dims: Dims,
    pub operand_batching_dims: Dims,
    pub start_indices_batching_dims: Dims,
    pub start_index_map: Dims,
    pub index_vector_dim: i64,
    /// Empty for `dynamic_gather`.
    pub slice_sizes: Dims,
    pub indices_are_sorted: bool,
}

/// Attributes of `stablehlo.scatter` (one region). Operands: inputs, scatter indices, updates.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // names of the specification
pub struct Scatter {
    pub update_window_dims: Dims,
    pub inserted_window_dims: Dims,
    pub input_batching_dims: Dims,
    pub scatter_indices_batching_dims: Dims,
    pub scatter_dims_to_operand_dims: Dims,
    pub index_vector_dim: i64,
    pub indices_are_sorted: bool,
    pub unique_indices: bool,
}

/// Attributes of the legacy `stablehlo.torch_index_select`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TorchIndexSelect {
    /// Dimension indexed.
    pub dim: i64,
    /// Leading batch dimensions.
    pub batch_dims: i64,
}
