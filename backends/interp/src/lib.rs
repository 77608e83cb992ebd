//! Reference interpreter of `ir::hlo`: simple, exact, the meaning of every operation.
//!
//! In: a verified [`Module`](ferrite_ir::hlo::Module) and tensors for the parameters of its entry function. Out: its
//! results. Every operation is computed whole, in program order, in the arithmetic of `number`; only contractions are
//! fast, through the `gemm` crate.
//!
//! Float sums (reductions, contractions of moderate size) are accumulated in `f64` and rounded once: a reference
//! should be closer to mathematics than what is compared with it.
//!
//! A module that was not verified may be refused with a diagnostic, but gives no panic.
//!
//! *Where to start.* [`interpret`] runs a module on [`Tensor`]s; [`Interpreter`] has limits and several devices besides.

mod body;
mod check;
mod collective;
mod contraction;
mod convolution;
mod custom_call;
mod devices;
mod elementwise;
mod eval;
mod indexing;
mod linalg;
mod matrix;
mod movement;
mod norm;
mod number;
mod ops;
mod parallel;
mod plan;
mod quantized;
mod random;
mod reduce;
mod sort;
mod special;
mod tensor;
#[cfg(test)]
mod tests;

pub use eval::{Interpreter, Value, evaluate_func, interpret};
pub use tensor::Tensor;

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::hlo::TensorType;

/// Largest tensor that is allocated, in bytes.
const MAX_TENSOR: usize = 1 << 36;

/// The program breaks a rule that the verifier checks.
pub(crate) fn invalid(message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(Code::Verify, message)
}

/// The program uses something that is not evaluated.
pub(crate) fn unsupported(message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(Code::Unsupported, message)
}

/// Refuses tensors that no machine this runs on could hold; empty ones are judged by their other dimensions, so that
/// no product of sizes overflows later.
pub(crate) fn check_size(ty: &TensorType) -> Result<()> {
    let elements = ty
        .shape
        .iter()
        .fold(1usize, |n, &d| n.saturating_mul(d.max(1) as usize));
    if elements.saturating_mul(ty.dtype.bytes()) <= MAX_TENSOR {
        return Ok(());
    }
    Err(unsupported(format!(
        "{ty} is larger than the {} GiB the interpreter allocates",
        MAX_TENSOR >> 30
    )))
}
