//! Constants of both forms of HLO.

use ferrite_ir::dtype::{DType, DTypeClass};
use ferrite_ir::hlo::TensorType;
use ferrite_ir::literal::{Literal, int_range, write_f64, write_i64};

use super::message::{LiteralProto, ShapeProto};
use super::shape::tensor_type;

/// The value of a constant whose instruction has the shape `shape`.
pub(crate) fn literal(shape: &ShapeProto, proto: &LiteralProto) -> Result<Literal, String> {
    let ty = tensor_type(shape)?;
    let count = ty
        .shape
        .iter()
        .try_fold(1usize, |n, &size| n.checked_mul(usize::try_from(size).ok()?))
        .filter(|n| n.checked_mul(16).is_some_and(|bytes| isize::try_from(bytes).is_ok()))
        .ok_or_else(|| format!("a constant cannot have type `{ty}`"))?;
    let bytes = if proto.text.is_empty() {
        let bytes = from_fields(&ty, proto, count);
        let layout = proto
            .shape
            .as_ref()
            .and_then(|shape| shape.layout.as_ref())
            .map(|layout| &layout.minor_to_major[..]);
        match layout {
            Some(layout) if !is_row_major(layout) => {
                to_row_major(&ty, &bytes, layout).ok_or_else(|| format!("layout {layout:?} does not fit `{ty}`"))?
            }
            _ => bytes,
        }
    } else {
        from_text(&ty, &proto.text, count)?
    };
    let found = bytes.len();
    Literal::new(ty.clone(), bytes)
        .filter(|_| found == count * ty.dtype.bytes())
        .ok_or_else(|| format!("{found} bytes of elements do not fill `{ty}`"))
}

fn is_row_major(minor_to_major: &[i64]) -> bool {
    minor_to_major.iter().rev().enumerate().all(|(n, &d)| n as i64 == d)
}

/// Elements in row-major order from elements in the order of a layout.
fn to_row_major(ty: &TensorType, bytes: &[u8], minor_to_major: &[i64]) -> Option<Vec<u8>> {
    let size = ty.dtype.bytes();
    let rank = ty.shape.len();
    if minor_to_major.len() != rank || bytes.len() != ty.byte_size() {
        return None;
    }
    let mut strides = vec![0usize; rank];
    let mut stride = 1usize;
    for &d in minor_to_major {
        let d = usize::try_from(d).ok().filter(|&d| d < rank && strides[d] == 0)?;
        strides[d] = stride;
        stride *= usize::try_from(ty.shape[d]).ok()?.max(1);
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = vec![0i64; rank];
    for _ in 0..ty.element_count() {
        let at: usize = index.iter().zip(&strides).map(|(&i, &s)| i as usize * s).sum();
        out.extend_from_slice(bytes.get(at * size..(at + 1) * size)?);
        for d in (0..rank).rev() {
            index[d] += 1;
            if index[d] < ty.shape[d] {
                break;
            }
            index[d] = 0;
        }
    }
    Some(out)
}

fn from_fields(ty: &TensorType, p: &LiteralProto, count: usize) -> Vec<u8> {
    let signed = |packed: &[u8], bits: usize| unpack(packed, bits, count, true);
    let unsigned = |packed: &[u8], bits: usize| unpack(packed, bits, count, false);
    match ty.dtype {
        DType::Bool => p.preds.iter().map(|&b| u8::from(b)).collect(),
        DType::I2 => signed(&p.s2s, 2),
        DType::I4 => signed(&p.s4s, 4),
        DType::U2 => unsigned(&p.u2s, 2),
        DType::U4 => unsigned(&p.u4s, 4),
        DType::F4E2M1FN => unsigned(&p.f4e2m1fns, 4),
        DType::I8 => p.s8s.clone(),
        DType::U8 => p.u8s.clone(),
        DType::I16 => p.s16s.clone(),
        DType::U16 => p.u16s.clone(),
        DType::F16 => p.f16s.clone(),
        DType::BF16 => p.bf16s.clone(),
        DType::I32 => p.s32s.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DType::U32 => p.u32s.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DType::I64 => p.s64s.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DType::U64 => p.u64s.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DType::F32 | DType::TF32 => p.f32s.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DType::F64 => p.f64s.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DType::C64 => p.c64s.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DType::C128 => p.c128s.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DType::F8E5M2 => p.f8e5m2s.clone(),
        DType::F8E4M3FN => p.f8e4m3fns.clone(),
        DType::F8E4M3B11FNUZ => p.f8e4m3b11fnuzs.clone(),
        DType::F8E5M2FNUZ => p.f8e5m2fnuzs.clone(),
        DType::F8E4M3FNUZ => p.f8e4m3fnuzs.clone(),
        DType::F8E4M3 => p.f8e4m3s.clone(),
        DType::F8E3M4 => p.f8e3m4s.clone(),
        DType::F8E8M0FNU => p.f8e8m0fnus.clone(),
        DType::F6E2M3FN | DType::F6E3M2FN => Vec::new(),
    }
}

/// Elements of fewer than eight bits, several to a byte, lowest bits first.
fn unpack(packed: &[u8], bits: usize, count: usize, signed: bool) -> Vec<u8> {
    let per_byte = 8 / bits;
    if packed.len() != count.div_ceil(per_byte) {
        return Vec::new();
    }
    let mask = (1u8 << bits) - 1;
    let element = |n: usize| {
        let value = packed[n / per_byte] >> (n % per_byte * bits) & mask;
        if signed && value >> (bits - 1) != 0 {
            value | !mask
        } else {
            value
        }
    };
    (0..count).map(element).collect()
}

/// `{ {1, 2}, {3, 4} }`, `-inf`, `true`, `(1, 2)`: the elements in row-major order.
fn from_text(ty: &TensorType, text: &str, count: usize) -> Result<Vec<u8>, String> {
    if text.contains("...") {
        return Err("the value of this constant was left out (`{...}`)".to_string());
    }
    let dtype = ty.dtype;
    let size = dtype.bytes();
    // Not `count`: the text may hold less than its type says.
    let mut out = Vec::with_capacity((text.len() / 2).min(count) * size);
    let mut rest = text;
    let part = dtype.real();
    let rank = ty.rank();
    // Elements or groups so far in each open group.
    let mut open: Vec<i64> = Vec::with_capacity(rank);
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ',' | '(' | ')'));
        if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").map_or("", |(_, after)| after);
            continue;
        }
        if let Some(after) = rest.strip_prefix('{') {
            rest = after;
            if open.len() == rank {
                return Err(format!("a constant of type `{ty}` nests deeper than {rank} levels"));
            }
            open.push(0);
            continue;
        }
        if let Some(after) = rest.strip_prefix('}') {
            rest = after;
            let found = open.pop().ok_or("a `}` of a constant closes nothing")?;
            let expected = ty.shape[open.len()];
            // Of a constant without elements not all levels need be written.
            if found != expected && count > 0 {
                return Err(format!(
                    "a group of a constant has {found} parts, `{ty}` needs {expected}"
                ));
            }
            if let Some(parts) = open.last_mut() {
                *parts += 1;
            }
            continue;
        }
        if rest.is_empty() {
            break;
        }
        let length = rest
            .find(|c: char| c.is_whitespace() || matches!(c, '{' | '}' | ',' | ')' | '(' | '/'))
            .unwrap_or(rest.len())
            .max(1);
        let (word, after) = rest.split_at(rest.ceil_char_boundary(length));
        rest = after;
        if open.len() != rank {
            return Err(format!(
                "`{word}` stands {} levels deep in a constant of type `{ty}`",
                open.len()
            ));
        }
        let mut element = [0u8; 8];
        let element = &mut element[..part.bytes()];
        write(part, word, element).ok_or_else(|| format!("`{word}` is no element of type `{part}`"))?;
        // `nan(0x200000)`: with other bits than usual.
        if word.trim_start_matches('-') == "nan"
            && let Some((payload, after)) = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'))
        {
            rest = after;
            not_a_number(part, word.starts_with('-'), payload, element)
                .ok_or_else(|| format!("`nan({payload})` is no element of type `{part}`"))?;
        }
        out.extend_from_slice(element);
        // A complex number is one element of two parts.
        if let (0, Some(parts)) = (out.len() % size, open.last_mut()) {
            *parts += 1;
        }
        if out.len() > count * size {
            return Err(format!("a constant has more elements than `{ty}`"));
        }
    }
    Ok(out)
}

/// Bits of the mantissa of types whose NaN have a payload that text can name.
pub(crate) fn nan_bits(dtype: DType) -> Option<u32> {
    match dtype {
        DType::BF16 => Some(7),
        DType::F16 => Some(10),
        DType::F32 => Some(23),
        DType::F64 => Some(52),
        _ => None,
    }
}

/// A NaN with these bits in its mantissa.
fn not_a_number(dtype: DType, negative: bool, payload: &str, out: &mut [u8]) -> Option<()> {
    let payload = u64::from_str_radix(payload.strip_prefix("0x")?, 16).ok()?;
    // Of other types all NaN are one.
    let Some(mantissa) = nan_bits(dtype) else {
        return Some(());
    };
    let size = out.len() as u32 * 8;
    if payload == 0 || payload >> mantissa != 0 {
        return None;
    }
    let exponent = (1u64 << (size - 1)) - (1 << mantissa);
    let bits = payload | exponent | u64::from(negative) << (size - 1);
    out.copy_from_slice(&bits.to_le_bytes()[..out.len()]);
    Some(())
}

fn write(dtype: DType, word: &str, out: &mut [u8]) -> Option<()> {
    match dtype.class() {
        DTypeClass::Bool => {
            out[0] = match word {
                "true" | "1" => 1,
                "false" | "0" => 0,
                _ => return None,
            }
        }
        DTypeClass::Signed | DTypeClass::Unsigned => {
            let value: i128 = word.parse().ok()?;
            let (low, high) = int_range(dtype);
            if value < low || value > high {
                return None;
            }
            write_i64(dtype, value as i64, out);
        }
        DTypeClass::Float | DTypeClass::Complex => {
            let value: f64 = word.parse().ok()?;
            write_f64(dtype, value, out);
            if value.is_finite() && !ferrite_ir::literal::read_f64(dtype, out).is_finite() {
                return None;
            }
        }
    }
    Some(())
}
