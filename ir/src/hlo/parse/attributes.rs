//! Discardable attributes: kept in the form of [`Attr`].

use super::super::attrs::{Attr, Attrs};
use crate::text;

/// Converts an attribute. What [`Attr`] has no form for is kept as its text.
pub(super) fn convert(attr: &text::Attr) -> Attr {
    match attr {
        text::Attr::Unit => Attr::Unit,
        text::Attr::Bool(value) => Attr::Bool(*value),
        text::Attr::Integer { value, ty } => {
            let width = match ty.as_deref() {
                None => Some(64),
                Some(ty) => ty.scalar_name().and_then(|name| name.strip_prefix('i')?.parse().ok()),
            };
            match (i64::try_from(*value), width) {
                (Ok(value), Some(width)) => Attr::Int(value, width),
                _ => raw(attr),
            }
        }
        text::Attr::Float {
            value: text::Scalar::Float(value),
            ty,
        } => match ty.as_deref().and_then(text::Type::scalar_name) {
            None | Some("f64") => Attr::Float(*value),
            Some("f32") => Attr::Float(f64::from(*value as f32)),
            _ => raw(attr),
        },
        text::Attr::String(text) => Attr::String(text.to_string()),
        text::Attr::Symbol(path) => match &path[..] {
            [name] => Attr::Symbol(name.to_string()),
            _ => raw(attr),
        },
        text::Attr::Array(items) => Attr::Array(items.iter().map(convert).collect()),
        text::Attr::Dict(items) => Attr::Dict(dictionary(items)),
        _ => raw(attr),
    }
}

/// Converts a dictionary.
pub(super) fn dictionary<'t, 'a: 't>(items: impl IntoIterator<Item = &'t text::NamedAttr<'a>>) -> Attrs {
    items
        .into_iter()
        .map(|item| (item.name.to_string(), convert(&item.value)))
        .collect()
}

fn raw(attr: &text::Attr) -> Attr {
    Attr::Raw(text::print_attribute(attr))
}
