//! Control flow and structure.

use super::super::attrs::{Attr, Attrs};
use super::super::types::Dims;

/// Attributes of `func.call`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// Name of the called function.
    pub callee: String,
}

/// Attributes of `stablehlo.composite`.
#[derive(Clone, Debug, PartialEq)]
pub struct Composite {
    /// Name of what is computed (`my.op`).
    pub name: String,
    /// Function that says what it computes.
    pub decomposition: String,
    /// Attributes of the composite.
    pub attributes: Attrs,
    /// Version.
    pub version: i64,
}

/// Attributes of `stablehlo.custom_call`.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomCall {
    /// Target name (`AwsNeuronSoftmax`, `mhlo.erf`, ...).
    pub target: String,
    /// Whether it may have effects.
    pub has_side_effect: bool,
    /// String or dictionary, by API version.
    pub backend_config: Attr,
    /// API version as written.
    pub api_version: i64,
    /// Called functions.
    pub called_computations: Vec<String>,
    /// Layouts of operands, minor to major, if given.
    pub operand_layouts: Option<Vec<Dims>>,
    /// Layouts of results, minor to major, if given.
    pub result_layouts: Option<Vec<Dims>>,
    /// Pairs of result tuple indices, operand and operand tuple indices that share a buffer.
    pub output_operand_aliases: Vec<OutputOperandAlias>,
}

/// `#stablehlo.output_operand_alias<...>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OutputOperandAlias {
    /// Path into the result.
    pub output_tuple_indices: Dims,
    /// Operand number.
    pub operand_index: i64,
    /// Path into the operand.
    pub operand_tuple_indices: Dims,
}

/// Attributes of `stablehlo.get_tuple_element`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GetTupleElement {
    /// Which element.
    pub index: i64,
}

/// Attributes of `infeed` and `outfeed`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Feed {
    /// Opaque configuration.
    pub config: String,
}
