//! Contractions: what the PE array is for.

use super::super::types::Dims;

/// Operand precision asked for by the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Precision {
    #[default]
    Default,
    High,
    Highest,
}

/// `#stablehlo.dot_algorithm<...>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DotAlgorithm {
    /// Precision type of the left operand (an MLIR type name, `tf32` included).
    pub lhs_precision_type: String,
    /// Precision type of the right operand.
    pub rhs_precision_type: String,
    /// Type of the accumulation.
    pub accumulation_type: String,
    /// Components of the left operand.
    pub lhs_component_count: i64,
    /// Components of the right operand.
    pub rhs_component_count: i64,
    /// Primitive operations.
    pub num_primitive_operations: i64,
    /// Whether results may be accumulated imprecisely.
    pub allow_imprecise_accumulation: bool,
}

/// Dimension numbers of `dot_general`. The result is batching, then left free, then right free dimensions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct DotDims {
    /// Batching dimensions of the left operand.
    pub lhs_batching: Dims,
    /// Batching dimensions of the right operand, in the same order.
    pub rhs_batching: Dims,
    /// Contracting dimensions of the left operand.
    pub lhs_contracting: Dims,
    /// Contracting dimensions of the right operand, in the same order.
    pub rhs_contracting: Dims,
}

impl DotDims {
    /// Dimensions of the left operand that are neither batching nor contracting, in order.
    pub fn lhs_free(&self, rank: usize) -> Dims {
        free(rank, &self.lhs_batching, &self.lhs_contracting)
    }

    /// Dimensions of the right operand that are neither batching nor contracting, in order.
    pub fn rhs_free(&self, rank: usize) -> Dims {
        free(rank, &self.rhs_batching, &self.rhs_contracting)
    }
}

fn free(rank: usize, batching: &Dims, contracting: &Dims) -> Dims {
    (0..rank as i64)
        .filter(|d| !batching.contains(d) && !contracting.contains(d))
        .collect()
}

/// Attributes of `stablehlo.dot_general`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DotGeneral {
    /// Which dimensions meet.
    pub dims: DotDims,
    /// One entry per operand, or none.
    pub precision: Vec<Precision>,
    /// Algorithm, if the program names one.
    pub algorithm: Option<DotAlgorithm>,
}

/// Attributes of the legacy `stablehlo.dot`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Dot {
    /// One entry per operand, or none.
    pub precision: Vec<Precision>,
}

/// Attributes of `chlo.ragged_dot`. Operands: lhs, rhs, group sizes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RaggedDot {
    /// Which dimensions meet.
    pub dims: DotDims,
    /// The dimension of the left operand that is ragged.
    pub lhs_ragged: Dims,
    /// Group dimensions of the right operand.
    pub rhs_group: Dims,
    /// One entry per operand, or none.
    pub precision: Vec<Precision>,
}

/// Dimension numbers of a convolution.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // names of the specification
pub struct ConvDims {
    pub input_batch: i64,
    pub input_feature: i64,
    pub input_spatial: Dims,
    pub kernel_input_feature: i64,
    pub kernel_output_feature: i64,
    pub kernel_spatial: Dims,
    pub output_batch: i64,
    pub output_feature: i64,
    pub output_spatial: Dims,
}

/// Attributes of `stablehlo.convolution`; in `dynamic_conv` the padding is a third operand.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Convolution {
    /// Dimension numbers.
    pub dims: ConvDims,
    /// Per spatial dimension.
    pub window_strides: Dims,
    /// Low and high padding per spatial dimension.
    pub padding: Vec<(i64, i64)>,
    /// Holes in the input, per spatial dimension.
    pub lhs_dilation: Dims,
    /// Holes in the kernel, per spatial dimension.
    pub rhs_dilation: Dims,
    /// Whether the kernel is reversed, per spatial dimension.
    pub window_reversal: Vec<bool>,
    /// Groups of input features.
    pub feature_group_count: i64,
    /// Groups of the batch.
    pub batch_group_count: i64,
    /// One entry per operand, or none.
    pub precision: Vec<Precision>,
}

/// Attributes of the legacy `einsum` and `unary_einsum`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Einsum {
    /// `ab,bc->ac`.
    pub config: String,
}
