//! Seeded inputs and comparisons.

use ferrite_interp::{Interpreter, Tensor};
use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::hlo::{Module, Type};

pub use ferrite_driver::random::{Random, random_tensor};

/// Inputs for the entry function.
///
/// # Errors
/// If a parameter has no static tensor type.
pub fn random_inputs(module: &Module, seed: u64) -> Result<Vec<Tensor>> {
    let entry = module
        .entry()
        .ok_or_else(|| Diagnostic::bug("there is no entry function"))?;
    let func = module.func(entry);
    let mut random = Random::new(seed);
    func.args()
        .iter()
        .map(|&v| match func.ty(v) {
            Type::Tensor(t) if t.is_static() => random_tensor(t, &mut random),
            _ => None,
        })
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| Diagnostic::bug("a parameter has no static tensor type"))
}

/// Runs the entry function in the reference interpreter.
///
/// # Errors
/// Those of the interpreter.
pub fn evaluate(module: &Module, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    Interpreter::new(module).max_loop_iterations(1_000_000).run(inputs)
}

/// How far two numbers may be apart: `|got - want| <= atol + rtol |want|`. NaN equals NaN, an infinity itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Absolute.
    pub atol: f64,
    /// Relative.
    pub rtol: f64,
}

impl Tolerance {
    /// No difference but the bits of a NaN and the sign of a zero.
    pub const EXACT: Tolerance = Tolerance { atol: 0.0, rtol: 0.0 };
    /// A few units in the last place of `f32`.
    pub const CLOSE: Tolerance = Tolerance { atol: 1e-6, rtol: 2e-6 };

    /// Whether two numbers agree.
    pub fn holds(self, got: f64, want: f64) -> bool {
        got == want || (got.is_nan() && want.is_nan()) || (got - want).abs() <= self.atol + self.rtol * want.abs()
    }
}

/// The first difference between two lists of tensors, in words.
pub fn difference(got: &[Tensor], want: &[Tensor], tolerance: Tolerance) -> Option<String> {
    if got.len() != want.len() {
        return Some(format!("{} outputs instead of {}", got.len(), want.len()));
    }
    for (n, (g, w)) in got.iter().zip(want).enumerate() {
        if g.ty() != w.ty() {
            return Some(format!("output {n} is {} instead of {}", g.ty(), w.ty()));
        }
        if g.dtype().is_complex() {
            if g.bytes() != w.bytes() {
                return Some(format!("output {n} differs"));
            }
            continue;
        }
        let exact = !g.dtype().is_float();
        for i in 0..g.count() {
            let same = if exact {
                g.get_i64(i) == w.get_i64(i)
            } else {
                tolerance.holds(g.get_f64(i), w.get_f64(i))
            };
            if !same {
                let (g, w) = (g.get_f64(i), w.get_f64(i));
                return Some(format!("output {n}, element {i}: {g} instead of {w}"));
            }
        }
    }
    None
}
