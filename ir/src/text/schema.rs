//! What the operations of a dialect may look like, as data.
//!
//! The levels with a dialect of our own describe it from the same tables that print and parse it; other tools (IRDL
//! definitions, documentation) are made from that.

/// What an attribute may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// An integer.
    Integer,
    /// A floating-point number.
    Float,
    /// Present or not.
    Flag,
    /// Any string.
    Text,
    /// One of these strings.
    Words(Vec<&'static str>),
    /// `@name`.
    Symbol,
    /// A type: of an element.
    DType,
    /// `dense_resource<...>`.
    Resource,
    /// A list of attributes. The definition languages at hand do not say of what.
    List(Box<Shape>),
    /// `#dialect.name<...>`.
    Dialect(&'static str),
    /// One of several.
    Any(Vec<Shape>),
    /// Present or not.
    Optional(Box<Shape>),
}

impl Shape {
    /// Whether the attribute may be left out.
    pub fn is_optional(&self) -> bool {
        matches!(self, Shape::Flag | Shape::Optional(_))
    }
}

/// Names of attributes, or of parameters of one, with what each may be.
pub type Attributes = Vec<(&'static str, Shape)>;

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpDef {
    /// Name without the dialect's.
    pub name: &'static str,
    /// Type of any number of operands, without the dialect's name; none if there are no operands.
    pub operands: Option<&'static str>,
    /// Type of the one result; none if there is no result.
    pub result: Option<&'static str>,
    /// Whether it has a region.
    pub region: bool,
    /// Its attributes.
    pub attributes: Attributes,
}

impl OpDef {
    /// An operation with attributes only.
    pub fn new(name: &'static str, attributes: Attributes) -> Self {
        OpDef {
            name,
            operands: None,
            result: None,
            region: false,
            attributes,
        }
    }
}

/// A dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Name.
    pub name: &'static str,
    /// Types without parameters.
    pub types: Vec<&'static str>,
    /// Attributes with their parameters.
    pub attributes: Vec<(&'static str, Attributes)>,
    /// Operations.
    pub ops: Vec<OpDef>,
}
