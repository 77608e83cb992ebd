//! Discardable attributes to attributes of the tree.

use super::super::attrs::{Attr as HloAttr, Attrs};
use crate::text::{Attr, NamedAttr, Scalar, Type};

/// A scalar type.
pub(super) fn scalar_type<'a>(name: impl Into<crate::text::Text<'a>>) -> Option<Box<Type<'a>>> {
    Some(Box::new(Type::Scalar(name.into())))
}

/// Converts a dictionary.
pub(super) fn dictionary(attrs: &Attrs) -> Vec<NamedAttr<'_>> {
    attrs
        .iter()
        .map(|(name, value)| NamedAttr {
            name: name.as_str().into(),
            value: convert(value),
        })
        .collect()
}

/// Converts a dictionary that the tree outlives.
pub(super) fn owned_dictionary(attrs: &Attrs) -> Vec<NamedAttr<'static>> {
    attrs
        .iter()
        .map(|(name, value)| NamedAttr {
            name: name.clone().into(),
            value: owned(value),
        })
        .collect()
}

/// Converts an attribute.
pub(super) fn convert(attr: &HloAttr) -> Attr<'_> {
    match attr {
        HloAttr::String(text) => Attr::String(text.as_str().into()),
        HloAttr::Symbol(name) => Attr::Symbol(vec![name.as_str().into()]),
        HloAttr::Raw(text) => Attr::Raw(text.as_str().into()),
        HloAttr::Array(items) => Attr::Array(items.iter().map(convert).collect()),
        HloAttr::Dict(items) => Attr::Dict(dictionary(items)),
        HloAttr::Unit | HloAttr::Bool(_) | HloAttr::Int(..) | HloAttr::Float(_) => number(attr),
    }
}

fn owned(attr: &HloAttr) -> Attr<'static> {
    match attr {
        HloAttr::String(text) => Attr::String(text.clone().into()),
        HloAttr::Symbol(name) => Attr::Symbol(vec![name.clone().into()]),
        HloAttr::Raw(text) => Attr::Raw(text.clone().into()),
        HloAttr::Array(items) => Attr::Array(items.iter().map(owned).collect()),
        HloAttr::Dict(items) => Attr::Dict(owned_dictionary(items)),
        HloAttr::Unit | HloAttr::Bool(_) | HloAttr::Int(..) | HloAttr::Float(_) => number(attr),
    }
}

fn number(attr: &HloAttr) -> Attr<'static> {
    match attr {
        HloAttr::Bool(value) => Attr::Bool(*value),
        HloAttr::Int(value, width) => Attr::Integer {
            value: i128::from(*value),
            ty: scalar_type(format!("i{width}")),
        },
        HloAttr::Float(value) => {
            // The width is not kept: the narrow one where it holds the value.
            let ty = if f64::from(*value as f32).to_bits() == value.to_bits() {
                "f32"
            } else {
                "f64"
            };
            let value = if value.is_finite() {
                Scalar::Float(*value)
            } else if ty == "f32" {
                Scalar::Bits(u64::from((*value as f32).to_bits()))
            } else {
                Scalar::Bits(value.to_bits())
            };
            Attr::Float {
                value,
                ty: scalar_type(ty),
            }
        }
        _ => Attr::Unit,
    }
}
