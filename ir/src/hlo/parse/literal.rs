//! Values of constants: nested lists, splats, hexadecimal blobs and resources.

use std::sync::Arc;

use super::super::types::{DYNAMIC, TensorType};
use super::fields::Read;
use super::types;
use crate::dtype::{DType, DTypeClass};
use crate::literal::{Literal, int_range, write_f64, write_i64};
use crate::text::{self, Attr, Dense, DenseData, Scalar};

/// A floating-point attribute.
pub(super) fn float(attr: &Attr) -> Option<f64> {
    match attr {
        Attr::Float {
            value: Scalar::Float(value),
            ty,
        } => match ty.as_deref().and_then(text::Type::scalar_name) {
            Some("f32") => Some(f64::from(*value as f32)),
            _ => Some(*value),
        },
        Attr::Float {
            value: Scalar::Bits(bits),
            ty,
        } => match ty.as_deref().and_then(text::Type::scalar_name) {
            Some("f32") => u32::try_from(*bits).ok().map(|bits| f64::from(f32::from_bits(bits))),
            Some("f64") => Some(f64::from_bits(*bits)),
            _ => None,
        },
        _ => None,
    }
}

/// The bytes of hexadecimal digits, first byte first. They are made where they stay: constants may be most of a program.
pub(super) fn hex_bytes(digits: &str) -> Option<Arc<[u8]>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if !rest.is_empty() || !text::is_hexadecimal(digits) {
        return None;
    }
    // Letters have bit 6, and the lower bits of `a` and `A` say 1. No branch, so that many are decoded at once.
    let value = |b: u8| (b & 0xF) + 9 * (b >> 6);
    Some(pairs.iter().map(|&[high, low]| value(high) << 4 | value(low)).collect())
}

/// The value of a constant.
pub(super) fn literal(attr: &Attr, document: &text::Document) -> Read<Literal> {
    match attr {
        Attr::Dense(dense) => from_dense(dense),
        Attr::DenseResource { key, ty } => {
            let ty = types::tensor_type(ty)?;
            let Some(resource) = document.resource(key) else {
                return Err(format!(
                    "resource `{key}` is not in the file: print it with its resources"
                ));
            };
            // Four bytes of alignment come first.
            let Some(bytes) = resource.hex.get(8..).and_then(hex_bytes) else {
                return Err(format!("resource `{key}` is shorter than its header"));
            };
            from_blob(ty, bytes, false)
        }
        _ => Err("a constant must be `dense<...>` or `dense_resource<...>`".to_string()),
    }
}

fn from_dense(dense: &Dense) -> Read<Literal> {
    let ty = types::tensor_type(&dense.ty)?;
    if ty.shape.contains(&DYNAMIC) {
        return Err(format!("a constant needs a static shape, not `{ty}`"));
    }
    let count = element_count(&ty)?;
    match &dense.data {
        DenseData::Hex(digits) => {
            let bytes = hex_bytes(digits).ok_or("expected pairs of hexadecimal digits")?;
            from_blob(ty, bytes, true)
        }
        DenseData::Raw(bytes) => from_blob(ty, Arc::from(&bytes[..]), false),
        DenseData::Elements { shape, values, complex } => {
            let dtype = ty.dtype;
            let written: Vec<i64> = shape.iter().map(|&n| n as i64).collect();
            let per_element = if *complex { 2 } else { 1 };
            let splat = shape.is_empty() && values.len() == per_element;
            let none = count == 0 && values.is_empty();
            if !splat && !none && written[..] != ty.shape[..] {
                return Err(format!(
                    "elements are written with shape {written:?}, but the type is `{ty}`"
                ));
            }
            if *complex && !dtype.is_complex() {
                return Err(format!("complex elements in a constant of type `{ty}`"));
            }
            if none {
                return Literal::new(ty.clone(), Vec::new()).ok_or_else(|| size_mismatch(&ty, 0));
            }
            let part = dtype.real();
            let size = part.bytes();
            let step = if dtype.is_complex() { 2 * size } else { size };
            let mut bytes = vec![0; values.len() / per_element * step];
            let stride = if *complex { size } else { step };
            for (value, out) in values.iter().zip(bytes.chunks_mut(stride)) {
                write(part, *value, &mut out[..size])?;
            }
            let length = bytes.len();
            if splat && count != 1 {
                return Literal::splat(ty.clone(), &bytes).ok_or_else(|| size_mismatch(&ty, length));
            }
            Literal::new(ty.clone(), bytes).ok_or_else(|| size_mismatch(&ty, length))
        }
    }
}

fn size_mismatch(ty: &TensorType, bytes: usize) -> String {
    format!("{bytes} bytes of elements do not fill `{ty}`")
}

/// Number of elements, which must fit memory.
fn element_count(ty: &TensorType) -> Read<usize> {
    ty.shape
        .iter()
        .try_fold(1usize, |n, &size| n.checked_mul(usize::try_from(size).ok()?))
        .filter(|n| {
            n.checked_mul(ty.dtype.bytes())
                .is_some_and(|bytes| isize::try_from(bytes).is_ok())
        })
        .ok_or_else(|| format!("`{ty}` has more elements than memory can hold"))
}

/// A literal from raw bytes, little endian. `i1` is packed eight to a byte in the `dense<"0x...">` form, least
/// significant bit first; other narrow types take a byte each.
fn from_blob(ty: TensorType, bytes: Arc<[u8]>, packed_bool: bool) -> Read<Literal> {
    let count = element_count(&ty)?;
    if ty.dtype == DType::Bool && packed_bool {
        let expected = count.div_ceil(8);
        if bytes.len() == 1 && matches!(bytes[0], 0 | 0xFF) && count != 0 {
            return Literal::splat(ty.clone(), &[bytes[0] & 1]).ok_or_else(|| size_mismatch(&ty, 1));
        }
        let unpacked: Vec<u8> = if bytes.len() == expected {
            (0..count).map(|n| bytes[n / 8] >> (n % 8) & 1).collect()
        } else if bytes.len() == count {
            // Newer MLIR takes a byte for each.
            bytes.iter().map(|&b| u8::from(b != 0)).collect()
        } else {
            return Err(size_mismatch(&ty, bytes.len()));
        };
        return Literal::new(ty.clone(), unpacked).ok_or_else(|| size_mismatch(&ty, bytes.len()));
    }
    let size = ty.dtype.bytes();
    let length = bytes.len();
    if length != size && Some(length) != count.checked_mul(size) {
        return Err(size_mismatch(&ty, length));
    }
    let data: Arc<[u8]> = match ty.dtype {
        DType::Bool => bytes.iter().map(|&b| u8::from(b != 0)).collect(),
        // Narrow integers are kept sign- or zero-extended in their byte.
        dtype if dtype.is_int() && dtype.bits() < 8 => {
            let mut data = bytes.to_vec();
            for b in &mut data {
                let value = i64::from(*b);
                write_i64(dtype, value, std::slice::from_mut(b));
            }
            data.into()
        }
        _ => bytes,
    };
    Literal::new(ty.clone(), data).ok_or_else(|| size_mismatch(&ty, length))
}

/// Writes one number as an element.
fn write(dtype: DType, value: Scalar, out: &mut [u8]) -> Read<()> {
    match (dtype.class(), value) {
        (DTypeClass::Bool, Scalar::Bool(value)) => out[0] = u8::from(value),
        (DTypeClass::Bool, Scalar::Int(value @ -1..=1)) => out[0] = u8::from(value != 0),
        (DTypeClass::Signed | DTypeClass::Unsigned, Scalar::Int(value)) => {
            let (low, high) = int_range(dtype);
            if value < low || value > high {
                return Err(format!("{value} does not fit `{dtype}`"));
            }
            write_i64(dtype, value as i64, out);
        }
        (DTypeClass::Float, Scalar::Float(value)) => write_f64(dtype, value, out),
        (DTypeClass::Signed | DTypeClass::Unsigned, Scalar::Bits(bits)) => {
            if dtype.bits() < 64 && bits >> dtype.bits() != 0 {
                return Err(format!("{bits:#X} does not fit `{dtype}`"));
            }
            write_i64(dtype, bits as i64, out);
        }
        (DTypeClass::Float, Scalar::Bits(bits)) => {
            let size = out.len();
            if size < 8 && bits >> (8 * size) != 0 {
                return Err(format!("{bits:#X} are not the bits of one `{dtype}`"));
            }
            out.copy_from_slice(&bits.to_le_bytes()[..size]);
        }
        (_, Scalar::Bool(value)) => return Err(format!("`{value}` is no element of type `{dtype}`")),
        (_, Scalar::Int(value)) => return Err(format!("`{value}` is no element of type `{dtype}`")),
        (_, Scalar::Float(value)) => return Err(format!("`{value:?}` is no element of type `{dtype}`")),
        (_, Scalar::Bits(bits)) => return Err(format!("`{bits:#X}` is no element of type `{dtype}`")),
    }
    Ok(())
}
