//! Printing of attributes and types.

use std::fmt::Write;

use super::super::lexer::{is_bare, is_bare_start};
use super::super::tree::*;
use super::float::format_float;

/// Prints an attribute.
pub fn print_attribute(attr: &Attr) -> String {
    let mut out = String::new();
    put_attribute(&mut out, attr);
    out
}

/// Prints a type.
pub fn print_type(ty: &Type) -> String {
    let mut out = String::new();
    put_type(&mut out, ty);
    out
}

fn put(out: &mut String, arguments: std::fmt::Arguments) {
    // Writing to a `String` cannot go wrong.
    let _ = out.write_fmt(arguments);
}

/// Puts a string with its quotes, escaped as LLVM does.
pub(super) fn put_string(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for &b in bytes {
        match b {
            b'\\' => out.push_str("\\\\"),
            b'"' => out.push_str("\\22"),
            b' '..=b'~' => out.push(b as char),
            _ => put(out, format_args!("\\{b:02X}")),
        }
    }
    out.push('"');
}

fn is_word(text: &str) -> bool {
    text.bytes().next().is_some_and(is_bare_start) && text.bytes().all(is_bare)
}

/// Puts a word, with quotes if it needs them.
pub(super) fn put_word(out: &mut String, text: &str) {
    if is_word(text) {
        out.push_str(text);
    } else {
        put_string(out, text.as_bytes());
    }
}

pub(super) fn put_symbol(out: &mut String, name: &str) {
    out.push('@');
    put_word(out, name);
}

pub(super) fn put_dictionary<'t, 'a: 't>(out: &mut String, items: impl IntoIterator<Item = &'t NamedAttr<'a>>) {
    out.push('{');
    for (n, item) in items.into_iter().enumerate() {
        if n > 0 {
            out.push_str(", ");
        }
        put_word(out, &item.name);
        if item.value != Attr::Unit {
            out.push_str(" = ");
            put_attribute(out, &item.value);
        }
    }
    out.push('}');
}

fn put_list<T>(out: &mut String, items: impl IntoIterator<Item = T>, mut each: impl FnMut(&mut String, T)) {
    for (n, item) in items.into_iter().enumerate() {
        if n > 0 {
            out.push_str(", ");
        }
        each(out, item);
    }
}

/// Hexadecimal digits of a floating-point type.
fn hex_width(ty: &str) -> usize {
    match ty {
        "f64" => 16,
        "f32" | "tf32" => 8,
        "f16" | "bf16" => 4,
        _ => 2,
    }
}

fn put_scalar(out: &mut String, scalar: Scalar, ty: &str) {
    match scalar {
        Scalar::Bool(value) => put(out, format_args!("{value}")),
        Scalar::Int(value) => put(out, format_args!("{value}")),
        Scalar::Float(value) => out.push_str(&format_float(value, ty)),
        Scalar::Bits(bits) => put(out, format_args!("0x{bits:0width$X}", width = hex_width(ty))),
    }
}

pub(super) fn put_attribute(out: &mut String, attr: &Attr) {
    match attr {
        Attr::Unit => out.push_str("unit"),
        Attr::Bool(value) => put(out, format_args!("{value}")),
        Attr::Integer { value, ty } => {
            put(out, format_args!("{value}"));
            put_optional_type(out, ty.as_deref());
        }
        Attr::Float { value, ty } => {
            put_scalar(out, *value, ty.as_deref().and_then(Type::scalar_name).unwrap_or("f64"));
            put_optional_type(out, ty.as_deref());
        }
        Attr::String(text) => put_string(out, text.as_bytes()),
        Attr::Bytes(bytes) => put_string(out, bytes),
        Attr::Type(ty) => put_type(out, ty),
        Attr::Symbol(path) => {
            for (n, name) in path.iter().enumerate() {
                if n > 0 {
                    out.push_str("::");
                }
                put_symbol(out, name);
            }
        }
        Attr::Array(items) => {
            out.push('[');
            put_list(out, items, put_attribute);
            out.push(']');
        }
        Attr::Dict(items) => put_dictionary(out, items),
        Attr::DenseArray { element, values } => {
            put(out, format_args!("array<{element}"));
            if !values.is_empty() {
                out.push_str(": ");
            }
            put_list(out, values, |out, value| put_scalar(out, *value, element));
            out.push('>');
        }
        Attr::Dense(dense) => {
            put_dense(out, dense);
            out.push_str(" : ");
            put_type(out, &dense.ty);
        }
        Attr::DenseResource { key, ty } => {
            out.push_str("dense_resource<");
            put_word(out, key);
            out.push_str("> : ");
            put_type(out, ty);
        }
        Attr::Dialect { name, body } => {
            put(out, format_args!("#{name}"));
            if let Some(body) = body {
                put(out, format_args!("<{body}>"));
            }
        }
        // A location's own number means nothing outside its document.
        Attr::Location(_) => out.push_str("loc(unknown)"),
        Attr::Raw(text) => out.push_str(text),
    }
}

fn put_optional_type(out: &mut String, ty: Option<&Type>) {
    if let Some(ty) = ty {
        out.push_str(" : ");
        put_type(out, ty);
    }
}

fn put_dense(out: &mut String, dense: &Dense) {
    out.push_str("dense<");
    match &dense.data {
        DenseData::Hex(digits) => put(out, format_args!("\"0x{digits}\"")),
        DenseData::Raw(bytes) => {
            out.push_str("\"0x");
            for byte in bytes.iter() {
                put(out, format_args!("{byte:02X}"));
            }
            out.push('"');
        }
        DenseData::Elements { shape, values, complex } => {
            let element = match dense.ty.element() {
                Some(Type::Complex(part)) => part.scalar_name(),
                Some(element) => element.scalar_name(),
                None => None,
            };
            let step = if *complex { 2 } else { 1 };
            let mut rest = values.chunks(step);
            if shape[..] != [0] {
                put_elements(out, shape, &mut rest, element.unwrap_or("i64"));
            }
        }
    }
    out.push('>');
}

fn put_elements(out: &mut String, shape: &[usize], rest: &mut std::slice::Chunks<Scalar>, element: &str) {
    match shape {
        [] => match rest.next() {
            Some([real, imaginary]) => {
                out.push('(');
                put_scalar(out, *real, element);
                out.push(',');
                put_scalar(out, *imaginary, element);
                out.push(')');
            }
            Some([value]) => put_scalar(out, *value, element),
            _ => out.push('0'),
        },
        [count, inner @ ..] => {
            out.push('[');
            put_list(out, 0..*count, |out, _| put_elements(out, inner, rest, element));
            out.push(']');
        }
    }
}

pub(super) fn put_type(out: &mut String, ty: &Type) {
    match ty {
        Type::Scalar(name) => out.push_str(name),
        Type::Complex(element) => {
            out.push_str("complex<");
            put_type(out, element);
            out.push('>');
        }
        Type::Tensor(tensor) => {
            out.push_str("tensor<");
            for &size in &tensor.sizes {
                match size {
                    DYNAMIC => out.push_str("?x"),
                    _ => put(out, format_args!("{size}x")),
                }
            }
            put_type(out, &tensor.element);
            if let Some(encoding) = &tensor.encoding {
                out.push_str(", ");
                put_attribute(out, encoding);
            }
            out.push('>');
        }
        Type::UnrankedTensor(element) => {
            out.push_str("tensor<*x");
            put_type(out, element);
            out.push('>');
        }
        Type::Tuple(items) => {
            out.push_str("tuple<");
            put_list(out, items, put_type);
            out.push('>');
        }
        Type::Function { inputs, results } => put_function_type(out, inputs, results),
        Type::Dialect { name, body } => {
            put(out, format_args!("!{name}"));
            if let Some(body) = body {
                put(out, format_args!("<{body}>"));
            }
        }
        Type::Raw(text) => out.push_str(text),
    }
}

/// `(a, b) -> c`.
pub(super) fn put_function_type(out: &mut String, inputs: &[Type], results: &[Type]) {
    out.push('(');
    put_list(out, inputs, put_type);
    out.push_str(") -> ");
    match results {
        [single] if !matches!(single, Type::Function { .. }) => put_type(out, single),
        _ => {
            out.push('(');
            put_list(out, results, put_type);
            out.push(')');
        }
    }
}
