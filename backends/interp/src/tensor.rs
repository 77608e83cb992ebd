//! Tensors with data: a type and its elements, row-major, in a buffer aligned for its element width.
//!
//! Movement operations need only the *width* of an element and work on the variants of [`Buf`]; arithmetic asks for a
//! typed view (`f32s`, `to_f64s`, `to_i64s`, ...), which costs nothing where the stored type is the asked one.

use std::borrow::Cow;
use std::sync::Arc;

use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{Dims, TensorType};
use ferrite_ir::literal::{Literal, int_range, read_f64, write_f64};
use num_complex::Complex64;

/// Elements by width. All types of one width share a variant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Buf {
    B1(Vec<u8>),
    B2(Vec<u16>),
    B4(Vec<u32>),
    B8(Vec<u64>),
    B16(Vec<u128>),
}

/// Applies an expression to the elements of a buffer and wraps the vector it gives in the same variant.
macro_rules! map_width {
    ($buf:expr, $v:ident => $body:expr) => {
        match $buf {
            $crate::tensor::Buf::B1($v) => $crate::tensor::Buf::B1($body),
            $crate::tensor::Buf::B2($v) => $crate::tensor::Buf::B2($body),
            $crate::tensor::Buf::B4($v) => $crate::tensor::Buf::B4($body),
            $crate::tensor::Buf::B8($v) => $crate::tensor::Buf::B8($body),
            $crate::tensor::Buf::B16($v) => $crate::tensor::Buf::B16($body),
        }
    };
}

/// Like `map_width!` for two buffers of the same width; gives `None` if the widths differ.
macro_rules! zip_width {
    ($a:expr, $b:expr, ($x:ident, $y:ident) => $body:expr) => {{
        use $crate::tensor::Buf;
        match ($a, $b) {
            (Buf::B1($x), Buf::B1($y)) => Some(Buf::B1($body)),
            (Buf::B2($x), Buf::B2($y)) => Some(Buf::B2($body)),
            (Buf::B4($x), Buf::B4($y)) => Some(Buf::B4($body)),
            (Buf::B8($x), Buf::B8($y)) => Some(Buf::B8($body)),
            (Buf::B16($x), Buf::B16($y)) => Some(Buf::B16($body)),
            _ => None,
        }
    }};
}

pub(crate) use {map_width, zip_width};

impl Buf {
    /// Zeros.
    pub(crate) fn zeros(width: usize, count: usize) -> Buf {
        match width {
            1 => Buf::B1(vec![0; count]),
            2 => Buf::B2(vec![0; count]),
            4 => Buf::B4(vec![0; count]),
            8 => Buf::B8(vec![0; count]),
            _ => Buf::B16(vec![0; count]),
        }
    }

    /// Reads little-endian bytes, `count` elements of `width`; the caller has checked the length.
    fn from_bytes(width: usize, bytes: &[u8]) -> Buf {
        let mut buf = Buf::zeros(width, bytes.len() / width);
        buf.bytes_mut().copy_from_slice(bytes);
        buf
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Buf::B1(v) => v,
            Buf::B2(v) => bytemuck::cast_slice(v),
            Buf::B4(v) => bytemuck::cast_slice(v),
            Buf::B8(v) => bytemuck::cast_slice(v),
            Buf::B16(v) => bytemuck::cast_slice(v),
        }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Buf::B1(v) => v,
            Buf::B2(v) => bytemuck::cast_slice_mut(v),
            Buf::B4(v) => bytemuck::cast_slice_mut(v),
            Buf::B8(v) => bytemuck::cast_slice_mut(v),
            Buf::B16(v) => bytemuck::cast_slice_mut(v),
        }
    }

    fn len(&self) -> usize {
        match self {
            Buf::B1(v) => v.len(),
            Buf::B2(v) => v.len(),
            Buf::B4(v) => v.len(),
            Buf::B8(v) => v.len(),
            Buf::B16(v) => v.len(),
        }
    }
}

/// A tensor with data. Cheap to clone: elements are shared until written.
///
/// Elements are row-major and little-endian, each in [`DType::bytes`] bytes (sub-byte types take a byte each). The
/// shape is always known.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    ty: TensorType,
    pub(crate) buf: Arc<Buf>,
}

impl Tensor {
    /// A tensor from the bytes of all its elements. `None` if their number does not fit the type.
    pub fn new(ty: TensorType, bytes: &[u8]) -> Option<Tensor> {
        let fits = ty.is_static() && ty.byte_size() == bytes.len();
        let width = ty.dtype.bytes();
        fits.then(|| Tensor::from_buf(ty, Buf::from_bytes(width, bytes)))
    }

    /// A tensor of zeros.
    pub fn zeros(ty: TensorType) -> Tensor {
        let buf = Buf::zeros(ty.dtype.bytes(), ty.element_count());
        Tensor::from_buf(ty, buf)
    }

    /// A tensor of `f32` values. `None` if their number does not fit the shape.
    pub fn from_f32(shape: &[i64], values: &[f32]) -> Option<Tensor> {
        let ty = TensorType::new(DType::F32, shape);
        (ty.element_count() == values.len()).then(|| Tensor::from_f32s(ty, values.to_vec()))
    }

    /// A tensor of `i32` values. `None` if their number does not fit the shape.
    pub fn from_i32(shape: &[i64], values: &[i32]) -> Option<Tensor> {
        Tensor::new(TensorType::new(DType::I32, shape), bytemuck::cast_slice(values))
    }

    /// A constant, splats expanded.
    pub fn from_literal(literal: &Literal) -> Tensor {
        let ty = literal.ty().clone();
        let (width, count) = (ty.dtype.bytes(), ty.element_count());
        let mut buf = Buf::from_bytes(width, literal.raw());
        if literal.is_splat() {
            buf = map_width!(buf, v => vec![v.first().copied().unwrap_or_default(); count]);
        }
        Tensor::from_buf(ty, buf)
    }

    /// The tensor as a constant.
    pub fn to_literal(&self) -> Literal {
        match Literal::new(self.ty.clone(), self.bytes()) {
            Some(literal) => literal,
            None => unreachable!("a tensor has as many bytes as its type says"),
        }
    }

    pub(crate) fn from_buf(ty: TensorType, buf: Buf) -> Tensor {
        debug_assert_eq!(ty.element_count(), buf.len(), "{ty}");
        Tensor { ty, buf: Arc::new(buf) }
    }

    /// The type; every dimension is known.
    pub fn ty(&self) -> &TensorType {
        &self.ty
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.ty.dtype
    }

    /// The shape.
    pub fn shape(&self) -> &Dims {
        &self.ty.shape
    }

    /// Number of elements.
    pub fn count(&self) -> usize {
        self.buf.len()
    }

    /// All elements as bytes.
    pub fn bytes(&self) -> &[u8] {
        self.buf.bytes()
    }

    /// All elements as bytes, to be written; copied first if shared.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        Arc::make_mut(&mut self.buf).bytes_mut()
    }

    /// The same elements under another type of the same width and count.
    pub(crate) fn retyped(&self, ty: TensorType) -> Tensor {
        debug_assert_eq!(ty.element_count(), self.count());
        Tensor {
            ty,
            buf: self.buf.clone(),
        }
    }

    /// Element `index` (row-major) as a number; the real part of a complex one. Panics if out of range.
    pub fn get_f64(&self, index: usize) -> f64 {
        let width = self.ty.dtype.bytes();
        read_f64(self.ty.dtype, &self.bytes()[index * width..(index + 1) * width])
    }

    /// Element `index` as an integer (floats truncate, `u64` wraps). Panics if out of range.
    pub fn get_i64(&self, index: usize) -> i64 {
        let width = self.ty.dtype.bytes();
        ferrite_ir::literal::read_i64(self.ty.dtype, &self.bytes()[index * width..(index + 1) * width])
    }

    /// All elements as numbers; the real parts of complex ones.
    pub fn to_f64_vec(&self) -> Vec<f64> {
        self.to_f64s().into_owned()
    }

    /// All elements as real and imaginary parts.
    pub fn to_parts(&self) -> Vec<(f64, f64)> {
        self.to_complex().iter().map(|z| (z.re, z.im)).collect()
    }

    /// A tensor from numbers, rounded to nearest even; integers truncate and saturate. `None` if their number does not
    /// fit the type.
    pub fn from_f64_vec(ty: TensorType, values: Vec<f64>) -> Option<Tensor> {
        (ty.is_static() && ty.element_count() == values.len()).then(|| Tensor::from_f64s(ty, values))
    }

    /// A tensor from integers, which wrap to the width of the type. `None` if their number does not fit the type.
    pub fn from_i64_vec(ty: TensorType, values: Vec<i64>) -> Option<Tensor> {
        (ty.is_static() && ty.element_count() == values.len()).then(|| Tensor::from_i64s(ty, values))
    }

    // ---- typed views ----

    /// The elements of an `f32` tensor.
    pub(crate) fn f32s(&self) -> Option<&[f32]> {
        match (&*self.buf, self.ty.dtype) {
            (Buf::B4(v), DType::F32 | DType::TF32) => Some(bytemuck::cast_slice(v)),
            _ => None,
        }
    }

    /// The elements of an `f64` tensor.
    pub(crate) fn f64s(&self) -> Option<&[f64]> {
        match (&*self.buf, self.ty.dtype) {
            (Buf::B8(v), DType::F64) => Some(bytemuck::cast_slice(v)),
            _ => None,
        }
    }

    /// The elements of any real tensor as `f32`, exact for all float types up to `f32`.
    pub(crate) fn to_f32s(&self) -> Cow<'_, [f32]> {
        if let Some(v) = self.f32s() {
            return Cow::Borrowed(v);
        }
        Cow::Owned(match (&*self.buf, self.ty.dtype) {
            (Buf::B2(v), DType::BF16) => v.iter().map(|&x| f32::from_bits(u32::from(x) << 16)).collect(),
            (Buf::B2(v), DType::F16) => v.iter().map(|&x| half::f16::from_bits(x).to_f32()).collect(),
            (Buf::B1(v), dtype) if dtype.is_float() => {
                let table = byte_table(dtype);
                v.iter().map(|&x| table[x as usize] as f32).collect()
            }
            _ => self.to_f64s().iter().map(|&x| x as f32).collect(),
        })
    }

    /// The elements of any real tensor as `f64`; exact but for 64-bit integers. The real parts of complex elements.
    pub(crate) fn to_f64s(&self) -> Cow<'_, [f64]> {
        if let Some(v) = self.f64s() {
            return Cow::Borrowed(v);
        }
        let dtype = self.ty.dtype;
        Cow::Owned(match &*self.buf {
            Buf::B1(v) if dtype.is_float() => {
                let table = byte_table(dtype);
                v.iter().map(|&x| table[x as usize]).collect()
            }
            _ if dtype == DType::U64 => self.to_i64s().iter().map(|&x| x as u64 as f64).collect(),
            _ if !dtype.is_float() && !dtype.is_complex() => self.to_i64s().iter().map(|&x| x as f64).collect(),
            _ if dtype.is_complex() => self.to_complex().iter().map(|z| z.re).collect(),
            _ => self.to_f32s().iter().map(|&x| x as f64).collect(),
        })
    }

    /// The elements of an integer or boolean tensor, extended to 64 bits (`u64` keeps its bits). Floats truncate.
    pub(crate) fn to_i64s(&self) -> Cow<'_, [i64]> {
        Cow::Owned(match (&*self.buf, self.ty.dtype) {
            (Buf::B8(v), DType::I64 | DType::U64) => return Cow::Borrowed(bytemuck::cast_slice(v)),
            (Buf::B1(v), DType::Bool) => v.iter().map(|&x| i64::from(x != 0)).collect(),
            (Buf::B1(v), DType::I2 | DType::I4 | DType::I8) => v.iter().map(|&x| x as i8 as i64).collect(),
            (Buf::B1(v), DType::U2 | DType::U4 | DType::U8) => v.iter().map(|&x| x as i64).collect(),
            (Buf::B2(v), DType::I16) => v.iter().map(|&x| x as i16 as i64).collect(),
            (Buf::B2(v), DType::U16) => v.iter().map(|&x| x as i64).collect(),
            (Buf::B4(v), DType::I32) => v.iter().map(|&x| x as i32 as i64).collect(),
            (Buf::B4(v), DType::U32) => v.iter().map(|&x| x as i64).collect(),
            _ => self.to_f64s().iter().map(|&x| x as i64).collect(),
        })
    }

    /// The elements as complex numbers; real ones have no imaginary part.
    pub(crate) fn to_complex(&self) -> Vec<Complex64> {
        match (&*self.buf, self.ty.dtype) {
            (Buf::B8(v), DType::C64) => bytemuck::cast_slice::<u64, [f32; 2]>(v)
                .iter()
                .map(|&[re, im]| Complex64::new(re as f64, im as f64))
                .collect(),
            (Buf::B16(v), DType::C128) => bytemuck::cast_slice::<u128, [f64; 2]>(v)
                .iter()
                .map(|&[re, im]| Complex64::new(re, im))
                .collect(),
            _ => self.to_f64s().iter().map(|&x| Complex64::new(x, 0.0)).collect(),
        }
    }

    /// A real tensor from `f32` values, rounded to nearest even; integers truncate and saturate.
    pub(crate) fn from_f32s(ty: TensorType, values: Vec<f32>) -> Tensor {
        let buf = match ty.dtype {
            DType::F32 | DType::TF32 => Buf::B4(bytemuck::cast_vec(values)),
            DType::BF16 => Buf::B2(values.iter().map(|&x| half::bf16::from_f32(x).to_bits()).collect()),
            DType::F16 => Buf::B2(values.iter().map(|&x| half::f16::from_f32(x).to_bits()).collect()),
            _ => return Tensor::from_f64s(ty, values.iter().map(|&x| x as f64).collect()),
        };
        Tensor::from_buf(ty, buf)
    }

    /// A real tensor from `f64` values, rounded to nearest even; integers truncate and saturate. Complex types get no
    /// imaginary part.
    pub(crate) fn from_f64s(ty: TensorType, values: Vec<f64>) -> Tensor {
        let dtype = ty.dtype;
        let buf = match dtype {
            DType::F64 => Buf::B8(bytemuck::cast_vec(values)),
            DType::F32 | DType::TF32 => Buf::B4(values.iter().map(|&x| (x as f32).to_bits()).collect()),
            DType::C64 | DType::C128 => {
                return Tensor::from_complex(ty, values.iter().map(|&x| Complex64::new(x, 0.0)).collect());
            }
            DType::U64 => Buf::B8(values.iter().map(|&x| x as u64).collect()),
            DType::Bool => Buf::B1(values.iter().map(|&x| u8::from(x != 0.0)).collect()),
            _ if dtype.is_int() => {
                let (low, high) = int_range(dtype);
                let (low, high) = (low as i64, high as i64);
                return Tensor::from_i64s(ty, values.iter().map(|&x| (x as i64).clamp(low, high)).collect());
            }
            _ => {
                let width = dtype.bytes();
                let mut buf = Buf::zeros(width, values.len());
                for (out, &x) in buf.bytes_mut().chunks_exact_mut(width).zip(&values) {
                    write_f64(dtype, x, out);
                }
                buf
            }
        };
        Tensor::from_buf(ty, buf)
    }

    /// A tensor from integers, which wrap to the width of the type; floats round once.
    pub(crate) fn from_i64s(ty: TensorType, values: Vec<i64>) -> Tensor {
        let buf = match ty.dtype {
            DType::I64 | DType::U64 => Buf::B8(bytemuck::cast_vec(values)),
            DType::I32 | DType::U32 => Buf::B4(values.iter().map(|&x| x as u32).collect()),
            DType::I16 | DType::U16 => Buf::B2(values.iter().map(|&x| x as u16).collect()),
            DType::I8 | DType::U8 => Buf::B1(values.iter().map(|&x| x as u8).collect()),
            DType::Bool => Buf::B1(values.iter().map(|&x| u8::from(x != 0)).collect()),
            dtype if dtype.is_int() => Buf::B1(values.iter().map(|&x| wrap(dtype, x) as u8).collect()),
            DType::F32 | DType::TF32 => Buf::B4(values.iter().map(|&x| (x as f32).to_bits()).collect()),
            _ => return Tensor::from_f64s(ty, values.iter().map(|&x| x as f64).collect()),
        };
        Tensor::from_buf(ty, buf)
    }

    /// A tensor from complex values; real types keep the real part.
    pub(crate) fn from_complex(ty: TensorType, values: Vec<Complex64>) -> Tensor {
        let buf = match ty.dtype {
            DType::C64 => Buf::B8(
                values
                    .iter()
                    .map(|z| u64::from((z.re as f32).to_bits()) | u64::from((z.im as f32).to_bits()) << 32)
                    .collect(),
            ),
            DType::C128 => Buf::B16(
                values
                    .iter()
                    .map(|z| u128::from(z.re.to_bits()) | u128::from(z.im.to_bits()) << 64)
                    .collect(),
            ),
            _ => return Tensor::from_f64s(ty, values.iter().map(|z| z.re).collect()),
        };
        Tensor::from_buf(ty, buf)
    }
}

/// Wraps an integer to the width of an integer dtype (sign- or zero-extended); booleans become 0 or 1.
pub(crate) fn wrap(dtype: DType, value: i64) -> i64 {
    use ferrite_ir::dtype::DTypeClass::*;
    let unused = 64 - dtype.bits().min(64) as u32;
    match dtype.class() {
        Bool => i64::from(value != 0),
        Signed => value << unused >> unused,
        _ => ((value as u64) << unused >> unused) as i64,
    }
}

/// Values of all byte patterns of a one-byte float.
fn byte_table(dtype: DType) -> [f64; 256] {
    let mut table = [0.0; 256];
    for (bits, value) in table.iter_mut().enumerate() {
        *value = read_f64(dtype, &[bits as u8]);
    }
    table
}

/// Sizes as unsigned numbers; a dynamic or negative size reads as 0.
pub(crate) fn usizes(dims: &[i64]) -> Vec<usize> {
    dims.iter().map(|&d| d.max(0) as usize).collect()
}

/// Row-major strides of a shape, in elements.
pub(crate) fn row_major(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![1isize; shape.len()];
    for d in (1..shape.len()).rev() {
        strides[d - 1] = strides[d] * shape[d].max(1) as isize;
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dtype_keeps_small_numbers() {
        for dtype in DType::ALL {
            let values: Vec<f64> = if dtype == DType::F8E8M0FNU {
                vec![1.0, 2.0]
            } else {
                vec![0.0, 1.0]
            };
            let t = Tensor::from_f64s(TensorType::new(dtype, &[2]), values.clone());
            assert_eq!(t.to_f64s().to_vec(), values, "{dtype}");
            assert_eq!(t.bytes().len(), 2 * dtype.bytes());
            assert_eq!(Tensor::new(t.ty().clone(), t.bytes()).as_ref(), Some(&t));
        }
    }

    #[test]
    fn floats_saturate_and_integers_wrap() {
        let i8s = TensorType::new(DType::I8, &[3]);
        assert_eq!(
            Tensor::from_f64s(i8s.clone(), vec![300.7, f64::NAN, -300.0])
                .to_i64s()
                .to_vec(),
            [127, 0, -128]
        );
        assert_eq!(
            Tensor::from_i64s(i8s, vec![300, 128, -129]).to_i64s().to_vec(),
            [44, -128, 127]
        );
        let u4 = TensorType::new(DType::U4, &[2]);
        assert_eq!(Tensor::from_i64s(u4, vec![17, -1]).to_i64s().to_vec(), [1, 15]);
    }

    #[test]
    fn the_wrong_number_of_bytes_is_refused() {
        assert!(Tensor::new(TensorType::new(DType::F32, &[2]), &[0; 7]).is_none());
    }
}
