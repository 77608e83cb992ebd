//! Attributes of one operation, read by name. What no one asks for stays as discardable attribute.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::super::attrs::Attrs;
use super::super::types::Dims;
use super::attributes;
use super::literal;
use crate::text::{self, Attr, DenseData, NamedAttr, Operation, Scalar};

/// What is wrong with an attribute.
pub(super) type Wrong = String;

/// Result of reading an attribute.
pub(super) type Read<T> = Result<T, Wrong>;

/// The name of an operation in the dialects that this level reads. MHLO, StableHLO's predecessor, has the same
/// operations under its own prefix, and some of CHLO's.
pub(super) fn canonical(name: &str) -> Cow<'_, str> {
    // Where StableHLO is defined in IRDL, operations on values of different types are in a dialect without definition.
    match name.strip_prefix("stablehlo_variadic.") {
        Some("call") => return Cow::Borrowed("func.call"),
        Some(short) => return Cow::Owned(format!("stablehlo.{short}")),
        None => {}
    }
    let Some(short) = name.strip_prefix("mhlo.") else {
        return Cow::Borrowed(name);
    };
    match short {
        "topk" => Cow::Borrowed("chlo.top_k"),
        "acos" | "acosh" | "asin" | "asinh" | "atan" | "atanh" | "cosh" | "erf" | "mulhi" | "ragged_dot" | "scan"
        | "sinh" => Cow::Owned(format!("chlo.{short}")),
        _ => Cow::Owned(format!("stablehlo.{short}")),
    }
}

/// The attributes of an operation.
pub(super) struct Fields<'t, 'a> {
    pub(super) op: &'t Operation<'a>,
    /// Its name in the dialect that this level reads: see [`canonical`].
    pub(super) name: Cow<'t, str>,
    pub(super) document: &'t text::Document<'a>,
    taken: SmallVec<[&'static str; 8]>,
}

impl<'t, 'a> Fields<'t, 'a> {
    pub(super) fn new(op: &'t Operation<'a>, document: &'t text::Document<'a>) -> Self {
        Fields {
            op,
            name: canonical(&op.name),
            document,
            taken: SmallVec::new(),
        }
    }

    /// The attribute `name`, which the kind of the operation says from now on.
    pub(super) fn take(&mut self, name: &'static str) -> Option<&'t Attr<'a>> {
        self.taken.push(name);
        self.op.attr(name)
    }

    pub(super) fn need(&mut self, name: &'static str) -> Read<&'t Attr<'a>> {
        let op = self.op;
        self.take(name)
            .ok_or_else(|| format!("`{}` needs the attribute `{name}`", op.name))
    }

    /// The attributes that were not asked for.
    pub(super) fn rest(&self) -> Attrs {
        let all = self.op.properties.iter().chain(&self.op.attributes);
        attributes::dictionary(all.filter(|item| !self.taken.iter().any(|taken| item.name == *taken)))
    }

    pub(super) fn dims(&mut self, name: &'static str) -> Read<Dims> {
        let attr = self.need(name)?;
        list(attr).ok_or_else(|| self.wrong(name, "a list of integers"))
    }

    pub(super) fn optional_dims(&mut self, name: &'static str) -> Read<Option<Dims>> {
        match self.take(name) {
            None => Ok(None),
            Some(attr) => list(attr)
                .map(Some)
                .ok_or_else(|| self.wrong(name, "a list of integers")),
        }
    }

    /// A list of integers, or `count` times `default`.
    pub(super) fn dims_or(&mut self, name: &'static str, count: usize, default: i64) -> Read<Dims> {
        Ok(self
            .optional_dims(name)?
            .unwrap_or_else(|| std::iter::repeat_n(default, count).collect()))
    }

    pub(super) fn int(&mut self, name: &'static str) -> Read<i64> {
        let attr = self.need(name)?;
        int(attr).ok_or_else(|| self.wrong(name, "an integer"))
    }

    pub(super) fn int_or(&mut self, name: &'static str, default: i64) -> Read<i64> {
        match self.take(name) {
            None => Ok(default),
            Some(attr) => int(attr).ok_or_else(|| self.wrong(name, "an integer")),
        }
    }

    pub(super) fn float(&mut self, name: &'static str) -> Read<f64> {
        let attr = self.need(name)?;
        literal::float(attr).ok_or_else(|| self.wrong(name, "a floating-point number"))
    }

    pub(super) fn bool_or(&mut self, name: &'static str, default: bool) -> Read<bool> {
        match self.take(name) {
            None => Ok(default),
            Some(Attr::Bool(value)) => Ok(*value),
            Some(Attr::Unit) => Ok(true),
            Some(_) => Err(self.wrong(name, "`true` or `false`")),
        }
    }

    pub(super) fn string(&mut self, name: &'static str) -> Read<String> {
        match self.need(name)? {
            Attr::String(text) => Ok(text.to_string()),
            _ => Err(self.wrong(name, "a string")),
        }
    }

    pub(super) fn string_or_empty(&mut self, name: &'static str) -> Read<String> {
        match self.take(name) {
            None => Ok(String::new()),
            Some(Attr::String(text)) => Ok(text.to_string()),
            Some(_) => Err(self.wrong(name, "a string")),
        }
    }

    /// The name of a function.
    pub(super) fn symbol(&mut self, name: &'static str) -> Read<String> {
        let attr = self.need(name)?;
        symbol(attr).ok_or_else(|| self.wrong(name, "a function, `@name`"))
    }

    /// `LT` of `#stablehlo<comparison_direction LT>`.
    pub(super) fn word(&mut self, name: &'static str, kind: &str) -> Read<&'t str> {
        let attr = self.need(name)?;
        word(attr, kind).ok_or_else(|| self.wrong(name, &format!("`#stablehlo<{kind} ...>`")))
    }

    pub(super) fn optional_word(&mut self, name: &'static str, kind: &str) -> Read<Option<&'t str>> {
        match self.take(name) {
            None => Ok(None),
            Some(attr) => word(attr, kind)
                .map(Some)
                .ok_or_else(|| self.wrong(name, &format!("`#stablehlo<{kind} ...>`"))),
        }
    }

    /// The parameters of a dialect attribute such as `#stablehlo.gather<offset_dims = [1]>`.
    pub(super) fn parameters(&mut self, name: &'static str) -> Read<Parameters<'t>> {
        let attr = self.need(name)?;
        parameters_of(attr, name)?.ok_or_else(|| self.wrong(name, "a dialect attribute, `#dialect.name<...>`"))
    }

    /// Pairs of integers, `dense<[[0, 1]]> : tensor<1x2xi64>`.
    pub(super) fn pairs(&mut self, name: &'static str) -> Read<Option<Vec<(i64, i64)>>> {
        let Some(attr) = self.take(name) else { return Ok(None) };
        let rows = rows(attr).filter(|rows| rows.iter().all(|row| row.len() == 2));
        match rows {
            Some(rows) => Ok(Some(rows.iter().map(|row| (row[0], row[1])).collect())),
            None => Err(self.wrong(name, "pairs of integers")),
        }
    }

    pub(super) fn wrong(&self, name: &str, expected: &str) -> Wrong {
        format!("attribute `{name}` of `{}` must be {expected}", self.op.name)
    }
}

/// Parameters of a dialect attribute.
pub(super) struct Parameters<'t> {
    owner: &'t str,
    items: Vec<NamedAttr<'t>>,
}

/// Reads `key = value, key = value`.
pub(super) fn parameters<'t>(owner: &'t str, body: &'t str) -> Read<Parameters<'t>> {
    let items = text::parse_parameters(body).map_err(|error| format!("in `#{owner}`: {}", error.message))?;
    Ok(Parameters { owner, items })
}

/// The parameters of `#dialect.name<key = value>`, or of `{key = value}`: dialects that are defined at run time have no
/// syntax of their own. Nothing for another attribute.
pub(super) fn parameters_of<'t>(attr: &'t Attr, owner: &'t str) -> Read<Option<Parameters<'t>>> {
    match attr {
        Attr::Dialect { name, body } => parameters(name, body.as_deref().unwrap_or("")).map(Some),
        Attr::Dict(items) => Ok(Some(Parameters {
            owner,
            items: items.clone(),
        })),
        _ => Ok(None),
    }
}

impl Parameters<'_> {
    fn find(&self, name: &str) -> Option<&Attr<'_>> {
        self.items.iter().find(|item| item.name == name).map(|item| &item.value)
    }

    /// A list of integers, empty where not given.
    pub(super) fn dims(&self, name: &str) -> Read<Dims> {
        match self.find(name) {
            None => Ok(Dims::new()),
            Some(attr) => list(attr).ok_or_else(|| format!("`{name}` of `#{}` must be a list of integers", self.owner)),
        }
    }

    pub(super) fn int_or(&self, name: &str, default: i64) -> Read<i64> {
        match self.find(name) {
            None => Ok(default),
            Some(attr) => int(attr).ok_or_else(|| format!("`{name}` of `#{}` must be an integer", self.owner)),
        }
    }

    pub(super) fn bool_or(&self, name: &str, default: bool) -> Read<bool> {
        match self.find(name) {
            None => Ok(default),
            Some(Attr::Bool(value)) => Ok(*value),
            Some(_) => Err(format!("`{name}` of `#{}` must be `true` or `false`", self.owner)),
        }
    }

    /// The name of a type.
    pub(super) fn type_name(&self, name: &str) -> Read<String> {
        match self.find(name) {
            Some(Attr::Type(ty)) => Ok(text::print_type(ty)),
            _ => Err(format!("`{name}` of `#{}` must be a type", self.owner)),
        }
    }
}

/// An integer attribute.
pub(super) fn int(attr: &Attr) -> Option<i64> {
    match attr {
        Attr::Integer { value, .. } => i64::try_from(*value).ok(),
        Attr::Bool(value) => Some(i64::from(*value)),
        _ => None,
    }
}

/// `@name`.
pub(super) fn symbol(attr: &Attr) -> Option<String> {
    match attr {
        Attr::Symbol(path) if path.len() == 1 => Some(path[0].to_string()),
        _ => None,
    }
}

/// `LT` of `#stablehlo<comparison_direction LT>` or `#chlo<comparison_direction LT>`, or of a string.
pub(super) fn word<'t>(attr: &'t Attr, kind: &str) -> Option<&'t str> {
    match attr {
        Attr::Dialect { name, body: Some(body) } if matches!(&**name, "stablehlo" | "chlo" | "mhlo") => {
            body.trim().strip_prefix(kind).map(str::trim)
        }
        Attr::String(word) => Some(word),
        _ => None,
    }
}

/// A list of integers in any of the forms in use: `array<i64: ...>`, a rank-1 `dense<...>`, `[1, 2]`.
pub(super) fn list(attr: &Attr) -> Option<Dims> {
    match attr {
        Attr::DenseArray { values, .. } => values.iter().map(scalar).collect(),
        Attr::Array(items) => items.iter().map(int).collect(),
        Attr::Dense(_) => match &rows_of(attr)? {
            (values, sizes) if sizes.len() == 1 => Some(values.iter().copied().collect()),
            _ => None,
        },
        _ => None,
    }
}

/// The rows of a rank-2 `dense<...>`.
pub(super) fn rows(attr: &Attr) -> Option<Vec<Dims>> {
    let (values, sizes) = rows_of(attr)?;
    let [count, width] = sizes[..] else { return None };
    let width = usize::try_from(width).ok()?;
    if width == 0 {
        return Some(vec![Dims::new(); usize::try_from(count).ok()?.min(values.len())]);
    }
    Some(values.chunks(width).map(Dims::from_slice).collect())
}

fn scalar(value: &Scalar) -> Option<i64> {
    match value {
        Scalar::Int(value) => i64::try_from(*value).ok(),
        Scalar::Bool(value) => Some(i64::from(*value)),
        Scalar::Bits(bits) => i64::try_from(*bits).ok(),
        Scalar::Float(_) => None,
    }
}

/// Elements and sizes of a `dense<...>` of integers.
fn rows_of(attr: &Attr) -> Option<(Vec<i64>, Dims)> {
    let Attr::Dense(dense) = attr else { return None };
    let text::Type::Tensor(tensor) = &dense.ty else {
        return None;
    };
    let sizes = &tensor.sizes;
    let name = tensor.element.scalar_name()?;
    let count = sizes
        .iter()
        .try_fold(1usize, |n, &size| n.checked_mul(usize::try_from(size).ok()?))?;
    // Attributes are short: a million integers is a program that is not one.
    if count > 1 << 20 {
        return None;
    }
    let values = match &dense.data {
        DenseData::Elements {
            shape,
            values,
            complex: false,
        } => {
            let values: Vec<i64> = values.iter().map(scalar).collect::<Option<_>>()?;
            match (&shape[..], &values[..]) {
                ([], [value]) => vec![*value; count],
                (_, values) if values.len() == count => values.to_vec(),
                _ => return None,
            }
        }
        DenseData::Hex(digits) => {
            let width = match name {
                "index" | "i64" => 8,
                "i32" => 4,
                _ => return None,
            };
            let bytes = literal::hex_bytes(digits)?;
            let read = |chunk: &[u8]| match chunk {
                [a, b, c, d] => i64::from(i32::from_le_bytes([*a, *b, *c, *d])),
                _ => chunk.iter().rev().fold(0, |value, &byte| value << 8 | i64::from(byte)),
            };
            let values: Vec<i64> = bytes.chunks_exact(width).map(read).collect();
            if values.len() == 1 {
                vec![values[0]; count]
            } else {
                values
            }
        }
        DenseData::Raw(bytes) => {
            let width = match name {
                "index" | "i64" => 8,
                "i32" => 4,
                "i1" => 1,
                _ => return None,
            };
            let read = |chunk: &[u8]| match chunk {
                [a, b, c, d] => i64::from(i32::from_le_bytes([*a, *b, *c, *d])),
                _ => chunk.iter().rev().fold(0, |value, &byte| value << 8 | i64::from(byte)),
            };
            let values: Vec<i64> = bytes.chunks_exact(width).map(read).collect();
            match values[..] {
                [value] => vec![value; count],
                _ => values,
            }
        }
        DenseData::Elements { .. } => return None,
    };
    (values.len() == count).then(|| (values, sizes.iter().copied().collect()))
}
