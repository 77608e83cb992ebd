//! Encodings of MLIR's builtin attributes, types and locations.
//!
//! The numbers are those of `BuiltinDialectBytecode.td` of LLVM.

use std::borrow::Cow;
use std::rc::Rc;

use ferrite_ir::text::{Attr, Dense, DenseData, Location, Scalar, Tensor, Text, Type};

use super::cursor::{Cursor, Read};
use super::decode::{Decoder, sizes};

/// An attribute of the builtin dialect.
pub(super) fn attribute<'a>(decoder: &mut Decoder<'a>, cursor: &mut Cursor<'a>) -> Read<Attr<'a>> {
    let start = *cursor;
    Ok(match cursor.varint()? {
        0 => Attr::Array(decoder.attributes(cursor)?),
        1 => Attr::Dict(decoder.dictionary(cursor)?),
        2 => decoder.string(cursor)?,
        3 => {
            let value = decoder.string(cursor)?;
            decoder.ty(cursor)?;
            value
        }
        4 => Attr::Symbol(vec![decoder.name(cursor)?]),
        5 => {
            let mut path = vec![decoder.name(cursor)?];
            for _ in 0..cursor.count()? {
                match decoder.attribute(cursor)? {
                    Attr::Symbol(leaf) => path.extend(leaf),
                    _ => return start.wrong("expected the name of a symbol"),
                }
            }
            Attr::Symbol(path)
        }
        6 => Attr::Type(decoder.ty(cursor)?),
        7 => Attr::Unit,
        8 => {
            let ty = decoder.ty(cursor)?;
            integer(ty, cursor)?
        }
        9 => {
            let ty = decoder.ty(cursor)?;
            float(ty, cursor)?
        }
        10..=15 | 22 => decoder.location_value(start)?,
        16 => {
            let ty = decoder.ty(cursor)?;
            let index = cursor.index()?;
            let Some(resource) = decoder.file.resources.get(index) else {
                return start.wrong(format!("there is no resource {index}"));
            };
            let Some(blob) = resource.blob else {
                return start.wrong(format!("resource `{}` has no content in this file", resource.key));
            };
            elements(ty, blob, &start)?
        }
        17 => dense_array(decoder, cursor)?,
        18 => {
            let ty = decoder.ty(cursor)?;
            let blob = cursor.blob()?;
            elements(ty, blob, &start)?
        }
        code @ 19..=21 => {
            let what = ["dense strings", "sparse elements", "distinct attributes"][(code - 19) as usize];
            return start.wrong(format!("{what} are not supported"));
        }
        code => return start.wrong(format!("attribute {code} of the builtin dialect is not known")),
    })
}

/// A location; `None` for what is an attribute of another kind.
pub(super) fn location<'a>(
    decoder: &mut Decoder<'a>,
    mut cursor: Cursor<'a>,
    depth: u32,
) -> Read<Option<Location<'a>>> {
    let cursor = &mut cursor;
    let number = |value: u64| u32::try_from(value).unwrap_or(0);
    Ok(Some(match cursor.varint()? {
        10 => Location::CallSite {
            callee: decoder.inner_location(cursor, depth)?,
            caller: decoder.inner_location(cursor, depth)?,
        },
        11 => Location::File {
            path: decoder.name(cursor)?,
            line: number(cursor.varint()?),
            column: number(cursor.varint()?),
            end: None,
        },
        code @ (12 | 13) => {
            let count = cursor.count()?;
            let children = (0..count)
                .map(|_| decoder.inner_location(cursor, depth))
                .collect::<Read<_>>()?;
            let metadata = if code == 13 {
                Some(Box::new(decoder.attribute(cursor)?))
            } else {
                None
            };
            Location::Fused { metadata, children }
        }
        14 => Location::Name {
            name: decoder.name(cursor)?,
            child: Some(decoder.inner_location(cursor, depth)?),
        },
        15 => Location::Unknown,
        22 => {
            let path = decoder.name(cursor)?;
            let count = cursor.count()?;
            let mut numbers = Vec::with_capacity(count);
            for _ in 0..count {
                numbers.push(number(cursor.varint()?));
            }
            // Line, column, and the end where it differs.
            let (line, column, end) = match numbers[..] {
                [] => (0, 0, None),
                [line] => (line, 0, None),
                [line, column] => (line, column, None),
                [line, column, end] => (line, column, Some((line, end))),
                [line, column, end_line, end, ..] => (line, column, Some((end_line, end))),
            };
            Location::File {
                path,
                line,
                column,
                end,
            }
        }
        _ => return Ok(None),
    }))
}

/// A type of the builtin dialect.
pub(super) fn ty<'a>(decoder: &mut Decoder<'a>, cursor: &mut Cursor<'a>) -> Read<Type<'a>> {
    let start = *cursor;
    let scalar = |name: &'static str| Type::Scalar(name.into());
    Ok(match cursor.varint()? {
        0 => {
            let value = cursor.varint()?;
            let sign = match value & 3 {
                1 => "s",
                2 => "u",
                _ => "",
            };
            Type::Scalar(format!("{sign}i{}", value >> 2).into())
        }
        1 => scalar("index"),
        2 => Type::Function {
            inputs: decoder.types(cursor)?,
            results: decoder.types(cursor)?,
        },
        3 => scalar("bf16"),
        4 => scalar("f16"),
        5 => scalar("f32"),
        6 => scalar("f64"),
        7 => scalar("f80"),
        8 => scalar("f128"),
        9 => Type::Complex(Box::new(decoder.ty(cursor)?)),
        12 => scalar("none"),
        code @ (13 | 14) => {
            let encoding = if code == 14 {
                Some(decoder.attribute(cursor)?)
            } else {
                None
            };
            Type::Tensor(Rc::new(Tensor {
                sizes: sizes(cursor)?,
                element: decoder.ty(cursor)?,
                encoding,
            }))
        }
        15 => Type::Tuple(decoder.types(cursor)?),
        18 => Type::UnrankedTensor(Box::new(decoder.ty(cursor)?)),
        code @ 21..=32 => {
            const NARROW: [&str; 12] = [
                "tf32",
                "f8E5M2",
                "f8E4M3",
                "f8E4M3FN",
                "f8E5M2FNUZ",
                "f8E4M3FNUZ",
                "f8E4M3B11FNUZ",
                "f8E3M4",
                "f4E2M1FN",
                "f6E2M3FN",
                "f6E3M2FN",
                "f8E8M0FNU",
            ];
            scalar(NARROW[(code - 21) as usize])
        }
        10 | 11 | 16 | 17 => return start.wrong("values of type `memref` are not supported"),
        19 | 20 => return start.wrong("values of type `vector` are not supported"),
        code => return start.wrong(format!("type {code} of the builtin dialect is not known")),
    })
}

/// Bits of a scalar type.
fn bits(ty: &Type) -> Option<u32> {
    let name = ty.scalar_name()?;
    if name == "index" {
        return Some(64);
    }
    let digits = name.trim_start_matches(|c: char| c.is_ascii_lowercase());
    // `f8E4M3FN`: the width stands before the layout.
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let bits = digits[..end].parse().ok()?;
    // TF32 is stored in 19 bits.
    Some(if name == "tf32" { 19 } else { bits })
}

/// An integer attribute of a type.
pub(super) fn integer<'a>(ty: Type<'a>, cursor: &mut Cursor<'a>) -> Read<Attr<'a>> {
    let start = *cursor;
    let Some(width) = bits(&ty) else {
        return start.wrong("expected an integer type");
    };
    let value = cursor.integer(width)?;
    if width == 1 {
        return Ok(Attr::Bool(value & 1 != 0));
    }
    let unsigned = ty.scalar_name().is_some_and(|name| name.starts_with("ui"));
    let value = match width {
        ..128 if unsigned => value & ((1i128 << width) - 1),
        // Narrow numbers take a whole byte.
        ..8 => value << (128 - width) >> (128 - width),
        _ => value,
    };
    Ok(Attr::Integer {
        value,
        ty: Some(Box::new(ty)),
    })
}

/// A floating-point attribute of a type.
pub(super) fn float<'a>(ty: Type<'a>, cursor: &mut Cursor<'a>) -> Read<Attr<'a>> {
    let start = *cursor;
    let width = match bits(&ty) {
        Some(width @ 1..=64) => width,
        _ => return start.wrong("expected a floating-point type"),
    };
    let raw = cursor.integer(width)? as u64 & (u64::MAX >> (64 - width));
    let value = match ty.scalar_name() {
        Some("f64") if f64::from_bits(raw).is_finite() => Scalar::Float(f64::from_bits(raw)),
        Some("f32") if f32::from_bits(raw as u32).is_finite() => Scalar::Float(f64::from(f32::from_bits(raw as u32))),
        _ => Scalar::Bits(raw),
    };
    Ok(Attr::Float {
        value,
        ty: Some(Box::new(ty)),
    })
}

/// `array<i64: ...>`: its numbers follow each other, little endian, a byte for each truth value.
fn dense_array<'a>(decoder: &mut Decoder<'a>, cursor: &mut Cursor<'a>) -> Read<Attr<'a>> {
    let ty = decoder.ty(cursor)?;
    let start = *cursor;
    let count = cursor.index()?;
    let blob = cursor.blob()?;
    let Some(element) = ty.scalar_name().map(str::to_string) else {
        return start.wrong("expected the type of a number");
    };
    let width = bits(&ty).unwrap_or(0).div_ceil(8) as usize;
    if !matches!(width, 1 | 2 | 4 | 8) || Some(blob.len()) != count.checked_mul(width) {
        return start.wrong(format!(
            "{} bytes are not {count} numbers of type `{element}`",
            blob.len()
        ));
    }
    let unsigned = element.starts_with("ui");
    let float = element.contains('f');
    let one = |bytes: &[u8]| {
        let mut word = [0u8; 8];
        word[..width].copy_from_slice(bytes);
        let raw = u64::from_le_bytes(word);
        let unused = 64 - 8 * width as u32;
        match &*element {
            "i1" => Scalar::Bool(raw != 0),
            "f64" => Scalar::Float(f64::from_bits(raw)),
            "f32" => Scalar::Float(f64::from(f32::from_bits(raw as u32))),
            _ if float => Scalar::Bits(raw),
            _ if unsigned => Scalar::Int(i128::from(raw)),
            _ => Scalar::Int(i128::from((raw << unused) as i64 >> unused)),
        }
    };
    let values = blob.chunks_exact(width).map(one).collect();
    Ok(Attr::DenseArray {
        element: Text::Owned(element),
        values,
    })
}

/// `dense<...>` from its bytes. Truth values may be packed eight to a byte.
pub(super) fn elements<'a>(ty: Type<'a>, blob: &'a [u8], at: &Cursor<'a>) -> Read<Attr<'a>> {
    let Type::Tensor(tensor) = &ty else {
        return at.wrong("expected a tensor type");
    };
    let Tensor { sizes, element, .. } = &**tensor;
    let mut data = Cow::Borrowed(blob);
    if element.scalar_name() == Some("i1") {
        let count = sizes
            .iter()
            .try_fold(1usize, |n, &size| n.checked_mul(usize::try_from(size).ok()?));
        let Some(count) = count else {
            return at.wrong("a constant needs a static shape");
        };
        data = if blob.len() == count.div_ceil(8) && blob.len() != count {
            (0..count).map(|n| blob[n / 8] >> (n % 8) & 1).collect()
        } else {
            blob.iter().map(|&byte| u8::from(byte != 0)).collect()
        };
    }
    let data = match short(element.scalar_name(), sizes, &data) {
        Some(elements) => elements,
        None => DenseData::Raw(data),
    };
    Ok(Attr::Dense(Box::new(Dense { data, ty })))
}

/// A short list of integers as numbers, the form it has in text.
fn short<'a>(element: Option<&str>, sizes: &[i64], bytes: &[u8]) -> Option<DenseData<'a>> {
    /// Bytes of the longest list: dimension numbers and layouts are shorter.
    const LONGEST: usize = 512;
    let width = match element? {
        "i8" | "ui8" => 1,
        "i16" | "ui16" => 2,
        "i32" | "ui32" => 4,
        "i64" | "ui64" | "index" => 8,
        _ => return None,
    };
    if bytes.len() > LONGEST || bytes.is_empty() {
        return None;
    }
    let unsigned = element?.starts_with("ui");
    let unused = 64 - 8 * width as u32;
    let one = |bytes: &[u8]| {
        let mut word = [0u8; 8];
        word[..width].copy_from_slice(bytes);
        let raw = u64::from_le_bytes(word);
        Scalar::Int(if unsigned {
            i128::from(raw)
        } else {
            i128::from((raw << unused) as i64 >> unused)
        })
    };
    let values: Vec<Scalar> = bytes.chunks_exact(width).map(one).collect();
    let shape = if values.len() == 1 {
        Default::default()
    } else {
        sizes.iter().map(|&size| usize::try_from(size).unwrap_or(0)).collect()
    };
    Some(DenseData::Elements {
        shape,
        values,
        complex: false,
    })
}
