//! Discardable attributes: kept as they came, so that nothing a front end says is lost.

use std::collections::BTreeMap;

/// An attribute value.
#[derive(Clone, Debug, PartialEq)]
pub enum Attr {
    /// `unit`: present or not.
    Unit,
    /// `true` or `false`.
    Bool(bool),
    /// An integer with the width of its type (`i32`, `i64`, ...).
    Int(i64, u32),
    /// A float.
    Float(f64),
    /// A string, unescaped.
    String(String),
    /// A list.
    Array(Vec<Attr>),
    /// A dictionary.
    Dict(Attrs),
    /// `@name`.
    Symbol(String),
    /// Any attribute of a dialect, as its MLIR text.
    Raw(String),
}

impl Eq for Attr {}

impl std::hash::Hash for Attr {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Attr::Unit => {}
            Attr::Bool(v) => v.hash(state),
            Attr::Int(v, w) => (v, w).hash(state),
            Attr::Float(v) => v.to_bits().hash(state),
            Attr::String(v) | Attr::Symbol(v) | Attr::Raw(v) => v.hash(state),
            Attr::Array(v) => v.hash(state),
            Attr::Dict(v) => v.hash(state),
        }
    }
}

impl Attr {
    /// The string, if this is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Attr::String(s) | Attr::Symbol(s) => Some(s),
            _ => None,
        }
    }

    /// The integer, if this is one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Attr::Int(v, _) => Some(*v),
            _ => None,
        }
    }
}

/// Named attributes, sorted by name.
pub type Attrs = BTreeMap<String, Attr>;
