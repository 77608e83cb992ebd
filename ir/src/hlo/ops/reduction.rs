//! Reductions, windows, sorting and normalisation.

use super::super::types::Dims;

/// Attributes of `stablehlo.reduce` (one region). Operands: inputs, then as many scalar initial values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reduce {
    /// Dimensions that disappear.
    pub dimensions: Dims,
}

/// Attributes of `stablehlo.reduce_window` (one region). Operands: inputs, then as many scalar initial values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // names of the specification
pub struct ReduceWindow {
    pub window_dimensions: Dims,
    pub window_strides: Dims,
    pub base_dilations: Dims,
    pub window_dilations: Dims,
    pub padding: Vec<(i64, i64)>,
}

/// Attributes of `stablehlo.select_and_scatter` (regions: select, scatter). Operands: operand, source, initial value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // names of the specification
pub struct SelectAndScatter {
    pub window_dimensions: Dims,
    pub window_strides: Dims,
    pub padding: Vec<(i64, i64)>,
}

/// Attributes of `stablehlo.sort` (one region: the comparator).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sort {
    /// Dimension sorted along.
    pub dimension: i64,
    /// Whether equal elements keep their order.
    pub is_stable: bool,
}

/// Attributes of `chlo.top_k`: results are values and `i32` indices along the last dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TopK {
    /// How many.
    pub k: i64,
    /// Largest first (the default) or smallest.
    pub largest: bool,
}

/// Attributes of the `batch_norm_*` operations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm {
    /// Added to the variance.
    pub epsilon: f32,
    /// The feature dimension.
    pub feature_index: i64,
}
