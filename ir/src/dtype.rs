//! Element types, their storage and their conversions.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An element type of a tensor, with the names of the StableHLO specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)] // the names are the specification's
pub enum DType {
    /// `i1`: one byte in memory, 0 or 1.
    Bool,
    I2,
    I4,
    I8,
    I16,
    I32,
    I64,
    U2,
    U4,
    U8,
    U16,
    U32,
    U64,
    F4E2M1FN,
    F6E2M3FN,
    F6E3M2FN,
    F8E3M4,
    /// IEEE-like, with infinities; largest finite value 240.
    F8E4M3,
    /// No infinities; largest finite value 448.
    F8E4M3FN,
    F8E4M3FNUZ,
    F8E4M3B11FNUZ,
    F8E5M2,
    F8E5M2FNUZ,
    F8E8M0FNU,
    BF16,
    F16,
    /// Compute type only: stored as 32 bits, 10 mantissa bits used.
    TF32,
    F32,
    F64,
    C64,
    C128,
}

/// How the bits of a dtype are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DTypeClass {
    /// Truth values.
    Bool,
    /// Two's complement integers.
    Signed,
    /// Unsigned integers.
    Unsigned,
    /// Floating point of any width.
    Float,
    /// Pairs of floats.
    Complex,
}

impl DType {
    /// Every dtype, in declaration order.
    pub const ALL: [DType; 31] = [
        DType::Bool,
        DType::I2,
        DType::I4,
        DType::I8,
        DType::I16,
        DType::I32,
        DType::I64,
        DType::U2,
        DType::U4,
        DType::U8,
        DType::U16,
        DType::U32,
        DType::U64,
        DType::F4E2M1FN,
        DType::F6E2M3FN,
        DType::F6E3M2FN,
        DType::F8E3M4,
        DType::F8E4M3,
        DType::F8E4M3FN,
        DType::F8E4M3FNUZ,
        DType::F8E4M3B11FNUZ,
        DType::F8E5M2,
        DType::F8E5M2FNUZ,
        DType::F8E8M0FNU,
        DType::BF16,
        DType::F16,
        DType::TF32,
        DType::F32,
        DType::F64,
        DType::C64,
        DType::C128,
    ];

    /// Bytes of one element in memory. Sub-byte types take one byte each, as in the `.npy` files of their users.
    pub const fn bytes(self) -> usize {
        use DType::*;
        match self {
            Bool | I2 | I4 | I8 | U2 | U4 | U8 => 1,
            F4E2M1FN | F6E2M3FN | F6E3M2FN => 1,
            F8E3M4 | F8E4M3 | F8E4M3FN | F8E4M3FNUZ | F8E4M3B11FNUZ | F8E5M2 | F8E5M2FNUZ | F8E8M0FNU => 1,
            I16 | U16 | BF16 | F16 => 2,
            I32 | U32 | TF32 | F32 => 4,
            I64 | U64 | F64 | C64 => 8,
            C128 => 16,
        }
    }

    /// Significant bits of one element (1 for `i1`, 4 for `i4`, ...).
    pub const fn bits(self) -> usize {
        use DType::*;
        match self {
            Bool => 1,
            I2 | U2 => 2,
            I4 | U4 | F4E2M1FN => 4,
            F6E2M3FN | F6E3M2FN => 6,
            other => other.bytes() * 8,
        }
    }

    /// The class that says how to read the bits.
    pub const fn class(self) -> DTypeClass {
        use DType::*;
        match self {
            Bool => DTypeClass::Bool,
            I2 | I4 | I8 | I16 | I32 | I64 => DTypeClass::Signed,
            U2 | U4 | U8 | U16 | U32 | U64 => DTypeClass::Unsigned,
            C64 | C128 => DTypeClass::Complex,
            _ => DTypeClass::Float,
        }
    }

    /// Whether this is a real floating-point type.
    pub const fn is_float(self) -> bool {
        matches!(self.class(), DTypeClass::Float)
    }

    /// Whether this is an integer type (not `i1`).
    pub const fn is_int(self) -> bool {
        matches!(self.class(), DTypeClass::Signed | DTypeClass::Unsigned)
    }

    /// Whether this is a complex type.
    pub const fn is_complex(self) -> bool {
        matches!(self.class(), DTypeClass::Complex)
    }

    /// The type of the real and imaginary parts of a complex type; any other type is returned as it is.
    pub const fn real(self) -> DType {
        match self {
            DType::C64 => DType::F32,
            DType::C128 => DType::F64,
            other => other,
        }
    }

    /// The name in MLIR text (`i1`, `ui8`, `f8E4M3FN`, `complex<f32>`).
    pub const fn mlir(self) -> &'static str {
        use DType::*;
        match self {
            Bool => "i1",
            I2 => "i2",
            I4 => "i4",
            I8 => "i8",
            I16 => "i16",
            I32 => "i32",
            I64 => "i64",
            U2 => "ui2",
            U4 => "ui4",
            U8 => "ui8",
            U16 => "ui16",
            U32 => "ui32",
            U64 => "ui64",
            F4E2M1FN => "f4E2M1FN",
            F6E2M3FN => "f6E2M3FN",
            F6E3M2FN => "f6E3M2FN",
            F8E3M4 => "f8E3M4",
            F8E4M3 => "f8E4M3",
            F8E4M3FN => "f8E4M3FN",
            F8E4M3FNUZ => "f8E4M3FNUZ",
            F8E4M3B11FNUZ => "f8E4M3B11FNUZ",
            F8E5M2 => "f8E5M2",
            F8E5M2FNUZ => "f8E5M2FNUZ",
            F8E8M0FNU => "f8E8M0FNU",
            BF16 => "bf16",
            F16 => "f16",
            TF32 => "tf32",
            F32 => "f32",
            F64 => "f64",
            C64 => "complex<f32>",
            C128 => "complex<f64>",
        }
    }

    /// The dtype with this MLIR name; `si8` and the like are read as their signless twins.
    pub fn from_mlir(name: &str) -> Option<DType> {
        let name = name
            .strip_prefix("si")
            .map_or(name.to_string(), |rest| format!("i{rest}"));
        DType::ALL.into_iter().find(|d| d.mlir() == name)
    }

    /// The layout of a small float (at most 16 bits), if this is one.
    pub const fn minifloat(self) -> Option<MiniFloat> {
        use DType::*;
        let (exponent_bits, mantissa_bits, bias, specials) = match self {
            F4E2M1FN => (2, 1, 1, Specials::None),
            F6E2M3FN => (2, 3, 1, Specials::None),
            F6E3M2FN => (3, 2, 3, Specials::None),
            F8E3M4 => (3, 4, 3, Specials::Ieee),
            F8E4M3 => (4, 3, 7, Specials::Ieee),
            F8E4M3FN => (4, 3, 7, Specials::NanOnly),
            F8E4M3FNUZ => (4, 3, 8, Specials::NegativeZeroNan),
            F8E4M3B11FNUZ => (4, 3, 11, Specials::NegativeZeroNan),
            F8E5M2 => (5, 2, 15, Specials::Ieee),
            F8E5M2FNUZ => (5, 2, 16, Specials::NegativeZeroNan),
            BF16 => (8, 7, 127, Specials::Ieee),
            F16 => (5, 10, 15, Specials::Ieee),
            _ => return None,
        };
        Some(MiniFloat {
            exponent_bits,
            mantissa_bits,
            bias,
            specials,
        })
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.mlir())
    }
}

/// Which bit patterns of a small float are not finite numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Specials {
    /// Infinities and NaNs as in IEEE 754.
    Ieee,
    /// No infinity; all exponent and mantissa bits set is NaN.
    NanOnly,
    /// No infinity, no negative zero; its pattern is the only NaN.
    NegativeZeroNan,
    /// Finite numbers only.
    None,
}

/// A floating-point format of at most 16 bits: sign, exponent, mantissa.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MiniFloat {
    /// Bits of the exponent field.
    pub exponent_bits: u32,
    /// Bits of the mantissa field, without the hidden one.
    pub mantissa_bits: u32,
    /// Exponent bias.
    pub bias: i32,
    /// Patterns that are not finite numbers.
    pub specials: Specials,
}

impl MiniFloat {
    /// The value of a bit pattern.
    pub fn to_f64(self, bits: u16) -> f64 {
        let m_bits = self.mantissa_bits;
        let sign_bit = 1u16 << (self.exponent_bits + m_bits);
        let negative = bits & sign_bit != 0;
        let magnitude = bits & (sign_bit - 1);
        let exponent = (magnitude >> m_bits) as i32;
        let mantissa = magnitude & ((1 << m_bits) - 1);
        let max_exponent = (1 << self.exponent_bits) - 1;
        match self.specials {
            Specials::Ieee if exponent == max_exponent => {
                return match (mantissa, negative) {
                    (0, false) => f64::INFINITY,
                    (0, true) => f64::NEG_INFINITY,
                    _ => f64::NAN,
                };
            }
            Specials::NanOnly if magnitude == sign_bit - 1 => return f64::NAN,
            Specials::NegativeZeroNan if bits == sign_bit => return f64::NAN,
            _ => {}
        }
        let scale = |e: i32| 2f64.powi(e - self.bias - m_bits as i32);
        let value = if exponent == 0 {
            mantissa as f64 * scale(1)
        } else {
            (mantissa as f64 + (1u32 << m_bits) as f64) * scale(exponent)
        };
        if negative { -value } else { value }
    }

    /// The bit pattern of the largest finite magnitude.
    pub const fn max_finite(self) -> u16 {
        let all = (1u16 << (self.exponent_bits + self.mantissa_bits)) - 1;
        match self.specials {
            Specials::Ieee => all - (1 << self.mantissa_bits),
            Specials::NanOnly => all - 1,
            Specials::NegativeZeroNan | Specials::None => all,
        }
    }

    /// Rounds to nearest, ties to even. Overflow becomes an infinity where the format has one, else NaN where it has
    /// one, else the largest finite value: the rule of XLA and `ml_dtypes`. See [`MiniFloat::from_f64_saturating`].
    pub fn from_f64(self, value: f64) -> u16 {
        self.round(value, false)
    }

    /// Like [`MiniFloat::from_f64`], but finite values and infinities clamp to the largest finite value.
    pub fn from_f64_saturating(self, value: f64) -> u16 {
        self.round(value, true)
    }

    fn round(self, value: f64, saturate: bool) -> u16 {
        let m_bits = self.mantissa_bits;
        let sign_bit = 1u16 << (self.exponent_bits + m_bits);
        let sign = if value.is_sign_negative() { sign_bit } else { 0 };
        let unsigned_zero = matches!(self.specials, Specials::NegativeZeroNan);
        if value.is_nan() {
            return match self.specials {
                Specials::Ieee => sign | (sign_bit - 1) ^ ((1 << (m_bits - 1)) - 1),
                Specials::NanOnly => sign | (sign_bit - 1),
                Specials::NegativeZeroNan => sign_bit,
                Specials::None => sign_bit, // no NaN in the format: a zero, as ml_dtypes does
            };
        }
        let max = self.max_finite();
        let overflow = || match self.specials {
            _ if saturate => sign | max,
            Specials::Ieee => sign | (max + 1),
            Specials::NanOnly => sign | (sign_bit - 1),
            Specials::NegativeZeroNan => sign_bit,
            Specials::None => sign | max,
        };
        let magnitude = value.abs();
        if magnitude.is_infinite() {
            return overflow();
        }
        if magnitude == 0.0 {
            return if unsigned_zero { 0 } else { sign };
        }
        // Quantum of the binade the value lies in, never below that of the denormals.
        let exponent = ((magnitude.to_bits() >> 52) as i32 - 1023).max(1 - self.bias);
        let quantum = 2f64.powi(exponent - m_bits as i32);
        let steps = (magnitude / quantum).round_ties_even() as u32; // at most 2^(m_bits+1)
        let mut field = exponent + self.bias;
        let mut mantissa = steps;
        if steps == 1 << (m_bits + 1) {
            field += 1;
            mantissa = 1 << m_bits;
        }
        let bits = if mantissa < 1 << m_bits {
            mantissa // denormal or zero: the exponent field is 0
        } else {
            ((field as u32) << m_bits) + (mantissa - (1 << m_bits))
        };
        if bits > max as u32 {
            return overflow();
        }
        if bits == 0 && unsigned_zero {
            0
        } else {
            sign | bits as u16
        }
    }
}

/// The value of an `f8E8M0FNU` byte: a power of two, or NaN for 255.
pub fn e8m0_to_f64(bits: u8) -> f64 {
    if bits == u8::MAX {
        f64::NAN
    } else {
        2f64.powi(bits as i32 - 127)
    }
}

/// Rounds a positive value to the nearest power of two (ties to the even exponent field); anything else gives NaN.
pub fn e8m0_from_f64(value: f64) -> u8 {
    if value.is_nan() || value <= 0.0 || value.is_infinite() {
        return u8::MAX;
    }
    let low = value.log2().floor() as i32;
    let fraction = value / 2f64.powi(low);
    let field = low + 127;
    let up = fraction > 1.5 || (fraction == 1.5 && field % 2 != 0);
    (field + i32::from(up)).clamp(0, 254) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_small_float_pattern_survives_a_round_trip() {
        for dtype in DType::ALL {
            let Some(format) = dtype.minifloat() else { continue };
            let width = 1 + format.exponent_bits + format.mantissa_bits;
            for bits in 0..(1u32 << width) {
                let value = format.to_f64(bits as u16);
                if !value.is_nan() {
                    assert_eq!(format.from_f64(value) as u32, bits, "{dtype} {bits:#x} = {value}");
                }
            }
        }
    }

    #[test]
    fn bf16_and_f16_agree_with_the_half_crate() {
        let mut x = 1u64;
        for _ in 0..20_000 {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let value = f32::from_bits((x >> 32) as u32);
            if value.is_nan() {
                continue;
            }
            let bf16 = DType::BF16.minifloat().map(|f| f.from_f64(value as f64));
            assert_eq!(bf16, Some(half::bf16::from_f32(value).to_bits()), "{value}");
            let f16 = DType::F16.minifloat().map(|f| f.from_f64(value as f64));
            assert_eq!(f16, Some(half::f16::from_f32(value).to_bits()), "{value}");
        }
    }

    #[test]
    fn overflow_follows_the_format() {
        let e4m3 = DType::F8E4M3
            .minifloat()
            .map(|f| (f.to_f64(f.from_f64(1e9)), f.to_f64(f.from_f64_saturating(1e9))));
        assert_eq!(e4m3, Some((f64::INFINITY, 240.0)));
        let e4m3fn = DType::F8E4M3FN
            .minifloat()
            .map(|f| (f.to_f64(f.from_f64(1e9)).is_nan(), f.to_f64(f.max_finite())));
        assert_eq!(e4m3fn, Some((true, 448.0)));
    }

    #[test]
    fn mlir_names_are_read_back() {
        for dtype in DType::ALL {
            assert_eq!(DType::from_mlir(dtype.mlir()), Some(dtype));
        }
        assert_eq!(DType::from_mlir("si32"), Some(DType::I32));
    }
}
