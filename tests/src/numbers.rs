//! Seeded inputs and comparisons.

use ferrite_interp::{Interpreter, Tensor};
use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::dtype::DTypeClass;
use ferrite_ir::hlo::{Module, TensorType, Type};
use ferrite_ir::literal::{write_f64, write_i64};

/// Pseudo-random numbers: splitmix64.
pub struct Random(u64);

impl Random {
    /// A sequence that the seed determines.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A tensor of small numbers: floats in `[-2, 2)`, integers in `[-3, 6)` (from 0 where unsigned).
pub fn random_tensor(ty: &TensorType, random: &mut Random) -> Option<Tensor> {
    let size = ty.dtype.bytes();
    let mut bytes = vec![0u8; size.checked_mul(ty.element_count())?];
    for element in bytes.chunks_exact_mut(size) {
        let unit = random.unit();
        match ty.dtype.class() {
            DTypeClass::Bool => element[0] = u8::from(unit < 0.5),
            DTypeClass::Signed => write_i64(ty.dtype, (unit * 9.0) as i64 - 3, element),
            DTypeClass::Unsigned => write_i64(ty.dtype, (unit * 6.0) as i64, element),
            DTypeClass::Float => write_f64(ty.dtype, unit * 4.0 - 2.0, element),
            DTypeClass::Complex => {
                let (real, imag) = element.split_at_mut(size / 2);
                write_f64(ty.dtype.real(), unit * 4.0 - 2.0, real);
                write_f64(ty.dtype.real(), random.unit() * 4.0 - 2.0, imag);
            }
        }
    }
    Tensor::new(ty.clone(), &bytes)
}

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
