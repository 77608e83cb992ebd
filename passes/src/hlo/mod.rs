//! Passes over `ir::hlo`: clean-up, legalisation and expansion.

mod auto_cast;
pub mod bind_dimensions;
mod canonicalize;
mod combine_affine;
pub mod egraph;
mod expand_ops;
mod fold_constants;
mod hoist_narrowing;
mod hoist_scalars;
mod inline;
pub mod legalize;
mod legalize_64bit;
mod legalize_quantized;
mod merge_equal_ops;
pub(crate) mod orient_contractions;
pub(crate) mod orient_convolutions;
mod recognize_activations;
mod remove_barriers;
mod remove_dead_ops;
mod retype;
pub mod rewrite;
mod scale_contractions;
mod simplify_gathers;
mod split_contractions;
mod split_reductions;
#[cfg(test)]
mod testing;

pub use auto_cast::AutoCast;
pub use canonicalize::Canonicalize;
pub use combine_affine::CombineAffine;
pub use egraph::Egraph;
pub use expand_ops::ExpandOps;
pub use fold_constants::FoldConstants;
pub use hoist_narrowing::HoistNarrowing;
pub use hoist_scalars::HoistScalars;
pub use inline::Inline;
pub use legalize_64bit::Legalize64bit;
pub use legalize_quantized::LegalizeQuantized;
pub use merge_equal_ops::MergeEqualOps;
pub use orient_contractions::OrientContractions;
pub use orient_convolutions::OrientConvolutions;
pub use recognize_activations::RecognizeActivations;
pub use remove_barriers::RemoveBarriers;
pub use remove_dead_ops::RemoveDeadOps;
pub use scale_contractions::ScaleContractions;
pub use simplify_gathers::SimplifyGathers;
pub use split_contractions::SplitContractions;
pub use split_reductions::SplitReductions;

/// Whether a custom call is an activation function that ScalarE computes in one instruction.
pub fn activation_call(target: &str) -> bool {
    matches!(
        target,
        "AwsNeuronGelu" | "AwsNeuronGeluApprxTanh" | "AwsNeuronSilu" | GELU_DERIVATIVE
    )
}

/// Our own custom call: the derivative of GELU at its operand.
pub const GELU_DERIVATIVE: &str = "ferrite.gelu_derivative";
