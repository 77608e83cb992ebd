//! Constants as HLO text writes them: `1.5`, `{ {1, 2}, {3, 4} }`, `(1, -2)`.

use std::fmt::Write;

use ferrite_ir::dtype::{DType, DTypeClass};
use ferrite_ir::literal::{Literal, read_f64, read_i64};

/// Appends the elements of a constant.
pub(super) fn write(out: &mut String, literal: &Literal) {
    let ty = literal.ty();
    let sizes: Vec<usize> = ty
        .shape
        .iter()
        .map(|&size| usize::try_from(size).unwrap_or(0))
        .collect();
    let mut next = 0;
    level(out, literal, &sizes, &mut next);
}

/// One dimension: its parts in braces.
fn level(out: &mut String, literal: &Literal, sizes: &[usize], next: &mut usize) {
    let Some((&size, rest)) = sizes.split_first() else {
        element(out, literal.ty().dtype, literal.element(*next));
        *next += 1;
        return;
    };
    out.push_str(if rest.is_empty() { "{" } else { "{ " });
    for n in 0..size {
        if n > 0 {
            out.push_str(", ");
        }
        level(out, literal, rest, next);
    }
    out.push_str(if rest.is_empty() { "}" } else { " }" });
}

fn element(out: &mut String, dtype: DType, bytes: &[u8]) {
    match dtype.class() {
        DTypeClass::Bool => out.push_str(if bytes.first() == Some(&0) { "false" } else { "true" }),
        DTypeClass::Signed => {
            let _ = write!(out, "{}", read_i64(dtype, bytes));
        }
        DTypeClass::Unsigned => {
            let _ = write!(out, "{}", read_i64(dtype, bytes) as u64);
        }
        DTypeClass::Float => float(out, dtype, bytes),
        DTypeClass::Complex => {
            let part = dtype.real();
            let (real, imaginary) = bytes.split_at(part.bytes().min(bytes.len()));
            out.push('(');
            float(out, part, real);
            out.push_str(", ");
            float(out, part, imaginary);
            out.push(')');
        }
    }
}

/// The shortest decimal that is read back as the same number; of a NaN its sign, and its payload where it is not the usual
/// one.
fn float(out: &mut String, dtype: DType, bytes: &[u8]) {
    let value = read_f64(dtype, bytes);
    if value.is_nan() {
        if bytes.last().is_some_and(|byte| byte & 0x80 != 0) {
            out.push('-');
        }
        out.push_str("nan");
        if let Some(mantissa) = super::super::literal::nan_bits(dtype) {
            let bits = bytes.iter().rev().fold(0u64, |bits, &byte| bits << 8 | u64::from(byte));
            let payload = bits & ((1 << mantissa) - 1);
            if payload != 1 << (mantissa - 1) {
                let _ = write!(out, "(0x{payload:x})");
            }
        }
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "inf" } else { "-inf" });
    } else if dtype == DType::F64 {
        let _ = write!(out, "{value:?}");
    } else {
        // All other types are parts of f32.
        let _ = write!(out, "{:?}", value as f32);
    }
}
