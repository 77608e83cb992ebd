//! Legalization: structured operations become the few canonical forms that the tile lowering accepts.
//!
//! Each pass takes verified `hlo` after inlining, expansion, 64-bit legalization and auto-cast, and leaves verified
//! `hlo` in which its operations occur in the form its page names, or refuses with a located diagnostic. New operations
//! have the location of what they replace. Arithmetic that a pass adds stays in the element type it works on: nothing
//! here is subject to auto-cast any more.

pub(crate) mod body;
pub mod complex;
mod complex_functions;
pub mod control;
pub mod convolution;
pub mod data;
pub mod fourier;
pub mod gather;
pub mod int64;
pub mod integer_contraction;
pub mod linear_algebra;
pub mod random;
pub mod reduce;
pub(crate) mod rewrite;
pub(crate) mod rows;
pub mod scatter;
pub mod select_and_scatter;
pub mod small;
pub mod sort;
pub mod sum;
pub mod window;

use ferrite_ir::diag::Result;
use ferrite_ir::hlo::Module;

use crate::pass::{Changed, HloPass, PassContext};
pub(crate) use small::is_computed_wider;

macro_rules! legalizations {
    ($($(#[$doc:meta])* $type:ident, $name:literal, $rule:path, $text:literal;)*) => {
        $(
            $(#[$doc])*
            pub struct $type;

            impl HloPass for $type {
                const NAME: &'static str = $name;
                const DOC: &'static str = $text;

                fn run(&self, module: &mut Module, _: &mut PassContext<'_>) -> Result<Changed> {
                    rewrite::rewrite_module(module, Self::NAME, $rule).map(Changed::from_bool)
                }
            }
        )*
    };
}

legalizations! {
    /// See [`complex`].
    LegalizeComplex, "legalize-complex", complex::rewrite,
        "Computes complex numbers as pairs of real tensors, Fourier transforms as products with matrices.";
    /// See [`control`].
    LegalizeControlFlow, "legalize-control-flow", control::rewrite,
        "Evaluates all branches of small `if` and `case` operations and selects between their results.";
    /// See [`convolution`].
    LegalizeConvolution, "legalize-convolution", convolution::rewrite,
        "Makes padding, dilation and reversal of convolutions explicit, turns batch groups into feature groups, and convolutions whose windows do not overlap into dot_general.";
    /// See [`data`].
    LegalizeData, "legalize-data", data::rewrite,
        "Rewrites negative padding, scalar predicates, clamp and map into slices, broadcasts and element-wise operations.";
    /// See [`gather`].
    LegalizeGather, "legalize-gather", gather::rewrite,
        "Rewrites gathers and dynamic slices into gathers of contiguous rows at 32-bit element offsets, or into slices.";
    /// See [`integer_contraction`].
    LegalizeIntegerContraction, "legalize-integer-contraction", integer_contraction::rewrite,
        "Computes integer dots and convolutions exactly, as sums of products of few bits.";
    /// See [`linear_algebra`].
    LegalizeLinearAlgebra, "legalize-linear-algebra", linear_algebra::rewrite,
        "Factorises and solves small matrices a column or row at a time.";
    /// See [`random`].
    LegalizeRandom, "legalize-random", random::rewrite,
        "Computes random bits and numbers by 32-bit integer arithmetic, with the bits of XLA. Before legalize-64bit.";
    /// See [`reduce`].
    LegalizeReduce, "legalize-reduce", reduce::rewrite,
        "Rewrites reductions of several inputs and of any body into reductions of one operation, or into element-wise steps.";
    /// See [`scatter`].
    LegalizeScatter, "legalize-scatter", scatter::rewrite,
        "Rewrites scatters and dynamic_update_slice into scatters of contiguous rows at 32-bit element offsets.";
    /// See [`select_and_scatter`].
    LegalizeSelectAndScatter, "legalize-select-and-scatter", select_and_scatter::rewrite,
        "Rewrites select_and_scatter, the gradient of pooling, into a selection per window and shifted sums.";
    /// See [`small`].
    LegalizeSmallTypes, "legalize-small-types", small::rewrite,
        "Computes integers of fewer than 8 bits in 32, and 8-bit floats that saturate when stored in f32.";
    /// See [`sort`].
    LegalizeSort, "legalize-sort", sort::rewrite,
        "Sorts by bitonic networks over whole tensors; top_k of a few by repeated maximum.";
    /// See [`sum`].
    SumByMatmul, "sum-by-matmul", sum::rewrite,
        "Rewrites floating-point sums over leading dimensions into products with ones, which the PE array sums over partitions.";
    /// See [`window`].
    LegalizeWindow, "legalize-window", window::rewrite,
        "Makes padding of reduce_window explicit, and rewrites windows of any body into element-wise steps.";
}
