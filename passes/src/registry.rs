//! The one list of all passes. Order of execution is not here: it stands in the driver's pipelines.

use crate::hlo;
use crate::pass::AnyPass;

/// Every pass, in alphabetical order.
pub fn all() -> Vec<AnyPass> {
    let mut passes = vec![
        AnyPass::hlo(hlo::AutoCast),
        AnyPass::hlo(hlo::Canonicalize),
        AnyPass::hlo(hlo::CombineAffine),
        AnyPass::hlo(hlo::ExpandOps),
        AnyPass::hlo(hlo::FoldConstants),
        AnyPass::hlo(hlo::Inline),
        AnyPass::hlo(hlo::Legalize64bit),
        AnyPass::hlo(hlo::legalize::LegalizeComplex),
        AnyPass::hlo(hlo::legalize::LegalizeControlFlow),
        AnyPass::hlo(hlo::legalize::LegalizeConvolution),
        AnyPass::hlo(hlo::legalize::LegalizeData),
        AnyPass::hlo(hlo::legalize::LegalizeGather),
        AnyPass::hlo(hlo::legalize::LegalizeIntegerContraction),
        AnyPass::hlo(hlo::legalize::LegalizeLinearAlgebra),
        AnyPass::hlo(hlo::legalize::LegalizeRandom),
        AnyPass::hlo(hlo::legalize::LegalizeReduce),
        AnyPass::hlo(hlo::legalize::LegalizeScatter),
        AnyPass::hlo(hlo::legalize::LegalizeSelectAndScatter),
        AnyPass::hlo(hlo::legalize::LegalizeSmallTypes),
        AnyPass::hlo(hlo::legalize::LegalizeSort),
        AnyPass::hlo(hlo::legalize::SumByMatmul),
        AnyPass::hlo(hlo::HoistNarrowing),
        AnyPass::hlo(hlo::HoistScalars),
        AnyPass::hlo(hlo::OrientContractions),
        AnyPass::hlo(hlo::OrientConvolutions),
        AnyPass::hlo(hlo::legalize::LegalizeWindow),
        AnyPass::hlo(hlo::MergeEqualOps),
        AnyPass::hlo(hlo::RecognizeActivations),
        AnyPass::hlo(hlo::RemoveBarriers),
        AnyPass::hlo(hlo::RemoveDeadOps),
        AnyPass::hlo(hlo::SplitContractions),
    ];
    passes.sort_by_key(|p| p.name);
    passes
}

/// The pass with this name.
pub fn find(name: &str) -> Option<AnyPass> {
    all().into_iter().find(|p| p.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_kebab_case_and_documented() {
        let passes = all();
        for pair in passes.windows(2) {
            assert_ne!(pair[0].name, pair[1].name);
        }
        for pass in &passes {
            let fits = pass
                .name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
            assert!(fits && !pass.doc.is_empty(), "{}", pass.name);
        }
    }
}
