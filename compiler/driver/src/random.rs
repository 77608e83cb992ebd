//! Seeded random inputs.

use ferrite_interp::Tensor;
use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::dtype::DTypeClass;
use ferrite_ir::hlo::TensorType;
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

/// Tensors of these types, all of one sequence.
///
/// # Errors
/// A type without elements in memory.
pub fn random_tensors(types: &[TensorType], seed: u64) -> Result<Vec<Tensor>> {
    let mut random = Random::new(seed);
    let made = types.iter().map(|ty| {
        random_tensor(ty, &mut random)
            .ok_or_else(|| Diagnostic::error(Code::Unsupported, format!("no random numbers are made for {ty}")))
    });
    made.collect()
}
