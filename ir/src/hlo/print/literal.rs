//! Constants to `dense<...>`.

use smallvec::SmallVec;

use super::super::types::TensorType;
use super::tensor_type;
use crate::dtype::{DType, DTypeClass};
use crate::literal::{Literal, read_f64, read_i64};
use crate::text::{Attr, Dense, DenseData, Scalar};

/// Constants of more elements than this are printed in hexadecimal, as by MLIR's default.
const HEX_ABOVE: usize = 100;

/// The `dense<...>` of a literal.
pub(super) fn dense(literal: &Literal) -> Attr<'static> {
    let ty = literal.ty();
    let data = match literal.splat_element() {
        Some(element) if ty.element_count() > 0 => elements(ty.dtype, SmallVec::new(), element),
        _ if ty.element_count() == 0 => DenseData::Elements {
            shape: SmallVec::from_slice(&[0]),
            values: Vec::new(),
            complex: false,
        },
        _ if ty.element_count() > HEX_ABOVE => DenseData::Hex(hex(ty, literal.raw()).into()),
        _ => {
            let shape = ty.shape.iter().map(|&size| size as usize).collect();
            elements(ty.dtype, shape, literal.raw())
        }
    };
    Attr::Dense(Box::new(Dense {
        data,
        ty: tensor_type(ty),
    }))
}

fn elements(dtype: DType, shape: SmallVec<[usize; 6]>, bytes: &[u8]) -> DenseData<'static> {
    let part = dtype.real();
    let values = bytes
        .chunks_exact(part.bytes())
        .map(|element| scalar(part, element))
        .collect();
    DenseData::Elements {
        shape,
        values,
        complex: dtype.is_complex(),
    }
}

/// One element as it is written.
fn scalar(dtype: DType, bytes: &[u8]) -> Scalar {
    match dtype.class() {
        DTypeClass::Bool => Scalar::Bool(bytes[0] != 0),
        DTypeClass::Signed => Scalar::Int(i128::from(read_i64(dtype, bytes))),
        DTypeClass::Unsigned => Scalar::Int(i128::from(read_i64(dtype, bytes) as u64)),
        DTypeClass::Float | DTypeClass::Complex => {
            let value = read_f64(dtype, bytes);
            if value.is_finite() {
                Scalar::Float(value)
            } else {
                Scalar::Bits(bytes.iter().rev().fold(0, |bits, &byte| bits << 8 | u64::from(byte)))
            }
        }
    }
}

fn hex(ty: &TensorType, bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let packed;
    let bytes = if ty.dtype == DType::Bool {
        packed = bytes
            .chunks(8)
            .map(|bits| {
                bits.iter()
                    .enumerate()
                    .fold(0, |byte, (n, &bit)| byte | u8::from(bit != 0) << n)
            })
            .collect::<Vec<u8>>();
        &packed
    } else {
        bytes
    };
    let mut out = String::with_capacity(2 * bytes.len());
    for &byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out
}
