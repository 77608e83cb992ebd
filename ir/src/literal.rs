//! Constant tensors: a type and its bytes, row-major, little-endian, one element in [`DType::bytes`] bytes.

use std::sync::Arc;

use crate::dtype::{DType, DTypeClass, e8m0_from_f64, e8m0_to_f64};
use crate::hlo::TensorType;

/// A constant tensor. Cheap to clone: the bytes are shared. A splat stores one element only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Literal {
    ty: TensorType,
    /// All elements, or exactly one when all are equal.
    data: Arc<[u8]>,
}

impl Literal {
    /// A literal of all its bytes. One element's worth of bytes stands for a splat.
    ///
    /// Returns `None` if the number of bytes fits neither.
    pub fn new(ty: TensorType, data: impl Into<Arc<[u8]>>) -> Option<Literal> {
        let data = data.into();
        let size = ty.dtype.bytes();
        let all = ty.element_count().checked_mul(size)?;
        (data.len() == all || data.len() == size).then_some(Literal { ty, data })
    }

    /// A literal whose elements are all `element` (its bytes).
    pub fn splat(ty: TensorType, element: &[u8]) -> Option<Literal> {
        (element.len() == ty.dtype.bytes()).then(|| Literal {
            ty,
            data: element.into(),
        })
    }

    /// A splat of a number converted to the dtype (round to nearest even; integers saturate).
    pub fn splat_f64(ty: TensorType, value: f64) -> Literal {
        let mut bytes = [0u8; 16];
        let size = ty.dtype.bytes();
        write_f64(ty.dtype, value, &mut bytes[..size]);
        Literal {
            ty,
            data: bytes[..size].into(),
        }
    }

    /// A splat of an integer: exact for integer dtypes (wraps), rounded for floats.
    pub fn splat_i64(ty: TensorType, value: i64) -> Literal {
        let mut bytes = [0u8; 16];
        let size = ty.dtype.bytes();
        write_i64(ty.dtype, value, &mut bytes[..size]);
        Literal {
            ty,
            data: bytes[..size].into(),
        }
    }

    /// A tensor of `f32` values.
    pub fn from_f32(shape: &[i64], values: &[f32]) -> Option<Literal> {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Literal::new(TensorType::new(DType::F32, shape), bytes)
    }

    /// The type.
    pub fn ty(&self) -> &TensorType {
        &self.ty
    }

    /// The stored bytes: all elements, or one if [`Literal::is_splat`].
    pub fn raw(&self) -> &Arc<[u8]> {
        &self.data
    }

    /// Whether one stored element stands for all.
    pub fn is_splat(&self) -> bool {
        self.data.len() == self.ty.dtype.bytes()
    }

    /// All bytes, splats expanded.
    pub fn to_bytes(&self) -> Arc<[u8]> {
        let count = self.ty.element_count();
        if !self.is_splat() || count == 1 {
            return self.data.clone();
        }
        self.data.repeat(count).into()
    }

    /// The bytes of element `index` (row-major).
    pub fn element(&self, index: usize) -> &[u8] {
        let size = self.ty.dtype.bytes();
        if self.is_splat() {
            &self.data
        } else {
            &self.data[index * size..(index + 1) * size]
        }
    }

    /// Element `index` as a number; the real part of a complex one.
    pub fn get_f64(&self, index: usize) -> f64 {
        read_f64(self.ty.dtype, self.element(index))
    }

    /// Element `index` as an integer (floats truncate, `u64` wraps).
    pub fn get_i64(&self, index: usize) -> i64 {
        read_i64(self.ty.dtype, self.element(index))
    }

    /// If every element has the same bytes, those bytes.
    pub fn splat_element(&self) -> Option<&[u8]> {
        if self.is_splat() {
            return Some(&self.data);
        }
        let size = self.ty.dtype.bytes();
        let first = self.data.get(..size)?;
        self.data.chunks_exact(size).all(|e| e == first).then_some(first)
    }

    /// If this is a splat of a real number, that number.
    pub fn splat_value(&self) -> Option<f64> {
        let element = self.splat_element()?;
        (!self.ty.dtype.is_complex()).then(|| read_f64(self.ty.dtype, element))
    }

    /// The same bytes under another shape with as many elements.
    pub fn reshaped(&self, shape: &[i64]) -> Option<Literal> {
        let ty = TensorType::new(self.ty.dtype, shape);
        (self.is_splat() || ty.element_count() == self.ty.element_count()).then(|| Literal {
            ty,
            data: self.data.clone(),
        })
    }
}

/// Reads one element as `f64` (exact but for 64-bit integers; the real part of complex numbers).
pub fn read_f64(dtype: DType, bytes: &[u8]) -> f64 {
    if let Some(format) = dtype.minifloat() {
        return format.to_f64(if dtype.bytes() == 1 {
            bytes[0] as u16
        } else {
            le16(bytes)
        });
    }
    match dtype {
        DType::F8E8M0FNU => e8m0_to_f64(bytes[0]),
        DType::F32 | DType::TF32 | DType::C64 => f32::from_bits(le32(bytes)) as f64,
        DType::F64 | DType::C128 => f64::from_bits(le64(bytes)),
        DType::U64 => le64(bytes) as f64,
        _ => read_i64(dtype, bytes) as f64,
    }
}

/// Reads one element as `i64` (floats truncate and saturate, `u64` wraps).
pub fn read_i64(dtype: DType, bytes: &[u8]) -> i64 {
    match dtype {
        DType::Bool => i64::from(bytes[0] != 0),
        DType::U2 | DType::U4 | DType::U8 => bytes[0] as i64,
        DType::I2 | DType::I4 | DType::I8 => bytes[0] as i8 as i64,
        DType::I16 => le16(bytes) as i16 as i64,
        DType::U16 => le16(bytes) as i64,
        DType::I32 => le32(bytes) as i32 as i64,
        DType::U32 => le32(bytes) as i64,
        DType::I64 | DType::U64 => le64(bytes) as i64,
        _ => read_f64(dtype, bytes) as i64,
    }
}

/// Writes a number as one element: floats round to nearest even, integers truncate towards zero and saturate.
pub fn write_f64(dtype: DType, value: f64, out: &mut [u8]) {
    if let Some(format) = dtype.minifloat() {
        let bits = format.from_f64(value).to_le_bytes();
        let size = dtype.bytes();
        out[..size].copy_from_slice(&bits[..size]);
        return;
    }
    match dtype {
        DType::F8E8M0FNU => out[0] = e8m0_from_f64(value),
        DType::F32 | DType::TF32 => out[..4].copy_from_slice(&(value as f32).to_le_bytes()),
        DType::F64 => out[..8].copy_from_slice(&value.to_le_bytes()),
        DType::C64 => {
            out[..4].copy_from_slice(&(value as f32).to_le_bytes());
            out[4..8].fill(0);
        }
        DType::C128 => {
            out[..8].copy_from_slice(&value.to_le_bytes());
            out[8..16].fill(0);
        }
        DType::U64 => out[..8].copy_from_slice(&(value as u64).to_le_bytes()),
        DType::Bool => out[0] = u8::from(value != 0.0),
        _ => {
            let (low, high) = int_range(dtype);
            let clamped = if value.is_nan() {
                0
            } else {
                (value as i128).clamp(low, high)
            };
            write_i64(dtype, clamped as i64, out);
        }
    }
}

/// Writes an integer as one element: integers wrap, floats round to nearest even.
pub fn write_i64(dtype: DType, value: i64, out: &mut [u8]) {
    match dtype.class() {
        DTypeClass::Bool => out[0] = u8::from(value != 0),
        DTypeClass::Signed | DTypeClass::Unsigned => {
            let size = dtype.bytes();
            let unused = 64 - dtype.bits() as u32;
            let wrapped = if dtype.class() == DTypeClass::Signed {
                value << unused >> unused
            } else {
                ((value as u64) << unused >> unused) as i64
            };
            out[..size].copy_from_slice(&wrapped.to_le_bytes()[..size]);
        }
        DTypeClass::Float | DTypeClass::Complex => write_f64(dtype, value as f64, out),
    }
}

/// Smallest and largest value of an integer dtype.
pub fn int_range(dtype: DType) -> (i128, i128) {
    let bits = dtype.bits() as u32;
    match dtype.class() {
        DTypeClass::Signed => (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1),
        _ => (0, (1i128 << bits) - 1),
    }
}

fn le16(b: &[u8]) -> u16 {
    u16::from_le_bytes([b[0], b[1]])
}

fn le32(b: &[u8]) -> u32 {
    u32::from_le_bytes([b[0], b[1], b[2], b[3]])
}

fn le64(b: &[u8]) -> u64 {
    u64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_splat_behaves_like_the_expanded_tensor() {
        let ty = TensorType::new(DType::F32, &[2, 3]);
        let splat = Literal::splat_f64(ty.clone(), 1.5);
        let full = Literal::new(ty, splat.to_bytes());
        assert_eq!(full.as_ref().and_then(Literal::splat_value), Some(1.5));
        assert_eq!(full.map(|l| l.get_f64(5)), Some(splat.get_f64(5)));
    }

    #[test]
    fn integers_wrap_and_floats_saturate() {
        let mut out = [0u8; 4];
        write_i64(DType::I8, 200, &mut out);
        assert_eq!(read_i64(DType::I8, &out), -56);
        write_f64(DType::I8, 200.0, &mut out);
        assert_eq!(read_i64(DType::I8, &out), 127);
        write_i64(DType::I4, 9, &mut out);
        assert_eq!(read_i64(DType::I4, &out), -7);
    }

    #[test]
    fn the_wrong_number_of_bytes_is_refused() {
        assert!(Literal::new(TensorType::new(DType::F32, &[4]), vec![0u8; 8]).is_none());
    }
}
