//! Passes over `ir::hlo`: clean-up, legalisation and expansion.

mod canonicalize;
mod expand_ops;
mod inline;
pub mod legalize;
mod merge_equal_ops;
mod remove_dead_ops;
pub(crate) mod rewrite;
#[cfg(test)]
mod testing;

pub use canonicalize::Canonicalize;
pub use expand_ops::ExpandOps;
pub use inline::Inline;
pub use merge_equal_ops::MergeEqualOps;
pub use remove_dead_ops::RemoveDeadOps;
