//! Data movement.

use super::super::types::Dims;

/// Attributes of `stablehlo.broadcast_in_dim`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BroadcastInDim {
    /// Operand dimension `d` becomes result dimension `broadcast_dimensions[d]`.
    pub broadcast_dimensions: Dims,
}

/// Attributes of the legacy `stablehlo.broadcast`: new major dimensions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Broadcast {
    /// Sizes of the new dimensions.
    pub broadcast_sizes: Dims,
}

/// Attributes of `stablehlo.dynamic_broadcast_in_dim`. Operands: operand, output dimensions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DynamicBroadcastInDim {
    /// As in [`BroadcastInDim`].
    pub broadcast_dimensions: Dims,
    /// Operand dimensions known to expand.
    pub known_expanding: Option<Dims>,
    /// Operand dimensions known not to expand.
    pub known_nonexpanding: Option<Dims>,
}

/// Attributes of `stablehlo.transpose`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Transpose {
    /// Result dimension `d` is operand dimension `permutation[d]`.
    pub permutation: Dims,
}

/// Attributes of `stablehlo.slice`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slice {
    /// First index per dimension.
    pub start: Dims,
    /// End per dimension, exclusive.
    pub limit: Dims,
    /// Step per dimension, at least 1.
    pub strides: Dims,
}

/// Attributes of `stablehlo.dynamic_slice`. Operands: operand, one scalar start index per dimension.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DynamicSlice {
    /// Size of the result per dimension.
    pub sizes: Dims,
}

/// Attributes of `stablehlo.pad`. Operands: operand, scalar padding value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pad {
    /// Elements added before; negative removes.
    pub low: Dims,
    /// Elements added after; negative removes.
    pub high: Dims,
    /// Elements added between neighbours.
    pub interior: Dims,
}

/// Attributes of `stablehlo.reverse`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reverse {
    /// Dimensions to reverse.
    pub dimensions: Dims,
}

/// Attributes of `stablehlo.concatenate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Concatenate {
    /// Dimension along which operands are joined.
    pub dimension: i64,
}

/// Attributes of `stablehlo.get_dimension_size` and `set_dimension_size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Dimension {
    /// The dimension asked for.
    pub dimension: i64,
}
