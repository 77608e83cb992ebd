//! The operators that Ferrite compiles, by the names of XLA's instructions.

/// Names for `neuronx-cc list-operators`, sorted. An operator may still be refused for a dtype or form; compiling says
/// so with its place.
pub fn operators() -> &'static [&'static str] {
    &OPERATORS
}

#[rustfmt::skip]
const OPERATORS: [&str; 87] = [
    "Abs", "Add", "And", "Atan2", "BatchNormGrad", "BatchNormInference", "BatchNormTraining", "BitcastConvert",
    "Broadcast", "BroadcastInDim", "Call", "Cbrt", "Ceil", "Cholesky", "Clamp", "Clz", "Compare", "Complex",
    "Concatenate", "Conditional", "Constant", "Convert", "Convolution", "Cosine", "CustomCall", "Divide", "Dot",
    "DotGeneral", "DynamicSlice", "DynamicUpdateSlice", "Erf", "Expm1", "Exponential", "Fft", "Floor", "Gather",
    "GetTupleElement", "Imag", "Iota", "IsFinite", "Log", "Log1p", "Logistic", "Map", "Maximum", "Minimum",
    "Multiply", "Negate", "Not", "OptimizationBarrier", "Or", "Pad", "Parameter", "PopulationCount", "Power", "Real",
    "Reduce", "ReducePrecision", "ReduceWindow", "Remainder", "Reshape", "Reverse", "Rng", "RngBitGenerator",
    "RoundNearestAfz", "RoundNearestEven", "Rsqrt", "Scatter", "Select", "SelectAndScatter", "ShiftLeft",
    "ShiftRightArithmetic", "ShiftRightLogical", "Sign", "Sine", "Slice", "Sort", "Sqrt", "Subtract", "Tan", "Tanh",
    "TopK", "Transpose", "TriangularSolve", "Tuple", "While", "Xor",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_without_repeats() {
        assert!(OPERATORS.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
