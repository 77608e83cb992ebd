//! The plain tree that MLIR text is parsed into and printed from.
//!
//! Every operation has the same shape here, whichever form (generic or custom) it was written in, so that each level
//! maps one structure to and from its own types. Names are not resolved: a value is its text, and what it refers to is
//! decided by the level that reads the tree. Texts borrow from the source where they can.

use std::borrow::Cow;
use std::rc::Rc;

use smallvec::SmallVec;

/// Text that is borrowed from the source, static, or owned.
pub type Text<'a> = Cow<'a, str>;

/// Sizes of the dimensions of a shaped type; [`DYNAMIC`] for a size that is not known.
pub type Sizes = SmallVec<[i64; 6]>;

/// The size of a dimension written `?` (the value MLIR uses too).
pub const DYNAMIC: i64 = i64::MIN;

/// A range of byte offsets in the source; empty at 0 for what no source holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// Index of a location in [`Document::locations`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocId(pub u32);

impl LocId {
    /// The unknown location, present in every document.
    pub const UNKNOWN: LocId = LocId(0);
}

/// A location in the source of a model, or built from others.
#[derive(Clone, Debug, PartialEq)]
pub enum Location<'a> {
    /// `loc(unknown)`.
    Unknown,
    /// `loc("file.py":1:2 to 3:4)`.
    File {
        /// Name of the file, as written.
        path: Text<'a>,
        /// First line, from 1.
        line: u32,
        /// First column.
        column: u32,
        /// Last line and column, where the location is a range.
        end: Option<(u32, u32)>,
    },
    /// `loc("name"(child))`.
    Name {
        /// The name, such as the path of an operation in a traced program.
        name: Text<'a>,
        /// Where the named thing is.
        child: Option<LocId>,
    },
    /// `loc(callsite(callee at caller))`.
    CallSite {
        /// Location in the callee.
        callee: LocId,
        /// Location of the call.
        caller: LocId,
    },
    /// `loc(fused<metadata>[children])`.
    Fused {
        /// What the fusion carries.
        metadata: Option<Box<Attr<'a>>>,
        /// The locations that were fused.
        children: Vec<LocId>,
    },
}

/// A number as a literal says it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar {
    /// `true` or `false`.
    Bool(bool),
    /// A decimal integer.
    Int(i128),
    /// A decimal floating-point literal, rounded to f64 as MLIR does.
    Float(f64),
    /// A hexadecimal number: an integer, or the bits of a floating-point number.
    Bits(u64),
}

/// A type.
#[derive(Clone, Debug, PartialEq)]
pub enum Type<'a> {
    /// `f32`, `i1`, `ui8`, `index`, `none`, ...: a builtin type that is a single word.
    Scalar(Text<'a>),
    /// `complex<f32>`.
    Complex(Box<Type<'a>>),
    /// `tensor<2x?x3xf32, #encoding>`. Shared: a program writes the same few types over and over.
    Tensor(Rc<Tensor<'a>>),
    /// `tensor<*xf32>`.
    UnrankedTensor(Box<Type<'a>>),
    /// `tuple<a, b>`.
    Tuple(Vec<Type<'a>>),
    /// `(a, b) -> (c)`.
    Function {
        /// Types of the operands.
        inputs: Vec<Type<'a>>,
        /// Types of the results.
        results: Vec<Type<'a>>,
    },
    /// `!dialect.name<body>`; the body is kept as text.
    Dialect {
        /// Name without the `!`.
        name: Text<'a>,
        /// What stands between `<` and `>`.
        body: Option<Text<'a>>,
    },
    /// A builtin type kept as text, such as `vector<4xf32>` and `memref<4xf32>`.
    Raw(Text<'a>),
}

/// What a [`Type::Tensor`] says.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor<'a> {
    /// Size of each dimension.
    pub sizes: Sizes,
    /// Type of an element.
    pub element: Type<'a>,
    /// The encoding attribute.
    pub encoding: Option<Attr<'a>>,
}

impl<'a> Type<'a> {
    /// A tensor type without encoding.
    pub fn tensor(sizes: Sizes, element: Type<'a>) -> Self {
        Type::Tensor(Rc::new(Tensor {
            sizes,
            element,
            encoding: None,
        }))
    }

    /// A scalar type, or the element of a shaped or complex one, that is a single word.
    pub fn scalar_name(&self) -> Option<&str> {
        match self {
            Type::Scalar(name) => Some(name),
            _ => None,
        }
    }

    /// The type of an element of a tensor.
    pub fn element(&self) -> Option<&Self> {
        match self {
            Type::Tensor(tensor) => Some(&tensor.element),
            Type::UnrankedTensor(element) => Some(element),
            _ => None,
        }
    }
}

/// `name = value` in a dictionary.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedAttr<'a> {
    /// The name.
    pub name: Text<'a>,
    /// The value; [`Attr::Unit`] where only the name is written.
    pub value: Attr<'a>,
}

/// An attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Attr<'a> {
    /// `unit`, or a name without a value.
    Unit,
    /// `true`, `false`.
    Bool(bool),
    /// `1 : i64`.
    Integer {
        /// The value.
        value: i128,
        /// The type, where written (MLIR's default is i64).
        ty: Option<Box<Type<'a>>>,
    },
    /// `1.0 : f32`, `0x7F800000 : f32`.
    Float {
        /// [`Scalar::Float`] or [`Scalar::Bits`].
        value: Scalar,
        /// The type, where written (MLIR's default is f64).
        ty: Option<Box<Type<'a>>>,
    },
    /// A string that is valid UTF-8.
    String(Text<'a>),
    /// A string that is not.
    Bytes(Vec<u8>),
    /// A type.
    Type(Type<'a>),
    /// `@a::@b`.
    Symbol(Vec<Text<'a>>),
    /// `[a, b]`.
    Array(Vec<Attr<'a>>),
    /// `{a = 1, b}`.
    Dict(Vec<NamedAttr<'a>>),
    /// `array<i64: 1, 2>`.
    DenseArray {
        /// Type of the elements.
        element: Text<'a>,
        /// The elements.
        values: Vec<Scalar>,
    },
    /// `dense<...> : tensor<...>`.
    Dense(Box<Dense<'a>>),
    /// `dense_resource<key> : tensor<...>`; the bytes are in [`Document::resources`].
    DenseResource {
        /// Key of the resource in the `builtin` dialect.
        key: Text<'a>,
        /// Type of the tensor.
        ty: Box<Type<'a>>,
    },
    /// `#dialect.name<body>`; the body is kept as text.
    Dialect {
        /// Name without the `#`.
        name: Text<'a>,
        /// What stands between `<` and `>`.
        body: Option<Text<'a>>,
    },
    /// `loc(...)` as a value.
    Location(LocId),
    /// A builtin attribute kept as text, such as `affine_map<...>`.
    Raw(Text<'a>),
}

/// The value of a `dense<...>` attribute.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense<'a> {
    /// The elements.
    pub data: DenseData<'a>,
    /// Type of the whole, a tensor or vector.
    pub ty: Type<'a>,
}

/// The elements of a `dense<...>` attribute, as written.
#[derive(Clone, Debug, PartialEq)]
pub enum DenseData<'a> {
    /// Nested lists. A scalar has an empty shape and stands for all elements; `dense<>` has shape `[0]`.
    Elements {
        /// Lengths of the nested lists, outermost first.
        shape: SmallVec<[usize; 6]>,
        /// The numbers in row-major order; two (real, imaginary) for an element written `(a, b)`.
        values: Vec<Scalar>,
        /// Whether elements are written `(real, imaginary)`.
        complex: bool,
    },
    /// `"0x0123..."`: the hexadecimal digits after `0x`, an even number, first byte first.
    Hex(Text<'a>),
    /// Bytes, little endian, each element in whole bytes; those of one element stand for all. Binary files have this form; it
    /// prints as hexadecimal digits.
    Raw(Cow<'a, [u8]>),
}

/// A group of results: `%name:count`.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultGroup<'a> {
    /// Name without the `%`.
    pub name: Text<'a>,
    /// Number of results in the group.
    pub count: u32,
}

/// Use of a value: `%name#number`.
#[derive(Clone, Debug)]
pub struct ValueUse<'a> {
    /// Name without the `%`.
    pub name: Text<'a>,
    /// Which result of the group, 0 where not written.
    pub number: u32,
    /// Byte offset in the source.
    pub offset: u32,
}

impl PartialEq for ValueUse<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.number == other.number
    }
}

/// An operation. Equality leaves out where it stands in the source.
#[derive(Clone, Debug)]
pub struct Operation<'a> {
    /// Full name, such as `stablehlo.add` or `func.func`.
    pub name: Text<'a>,
    /// Where it is in the source: its first line, roughly.
    pub span: Span,
    /// Names of the results. Empty when no result is named.
    pub results: Vec<ResultGroup<'a>>,
    /// Operands.
    pub operands: Vec<ValueUse<'a>>,
    /// Labels of successor blocks, without the `^`.
    pub successors: Vec<Text<'a>>,
    /// What stands in `<{...}>`, or what a custom form says of the operation itself.
    pub properties: Vec<NamedAttr<'a>>,
    /// What stands in `{...}`. A custom form may hold properties here too: use [`Operation::attr`].
    pub attributes: Vec<NamedAttr<'a>>,
    /// Regions.
    pub regions: Vec<Region<'a>>,
    /// Type of each operand.
    pub operand_types: Vec<Type<'a>>,
    /// Type of each result.
    pub result_types: Vec<Type<'a>>,
    /// The location written with it.
    pub location: LocId,
}

impl<'a> Operation<'a> {
    /// An operation with a name and nothing else.
    pub fn new(name: impl Into<Text<'a>>) -> Self {
        Operation {
            name: name.into(),
            span: Span::default(),
            results: Vec::new(),
            operands: Vec::new(),
            successors: Vec::new(),
            properties: Vec::new(),
            attributes: Vec::new(),
            regions: Vec::new(),
            operand_types: Vec::new(),
            result_types: Vec::new(),
            location: LocId::UNKNOWN,
        }
    }

    /// The property or attribute `name`.
    pub fn attr(&self, name: &str) -> Option<&Attr<'a>> {
        self.properties
            .iter()
            .chain(&self.attributes)
            .find(|a| a.name == name)
            .map(|a| &a.value)
    }

    /// Adds the property `name`.
    pub fn set(&mut self, name: impl Into<Text<'a>>, value: Attr<'a>) {
        self.properties.push(NamedAttr {
            name: name.into(),
            value,
        });
    }
}

impl PartialEq for Operation<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.results == other.results
            && self.operands == other.operands
            && self.successors == other.successors
            && self.properties == other.properties
            && self.attributes == other.attributes
            && self.regions == other.regions
            && self.operand_types == other.operand_types
            && self.result_types == other.result_types
    }
}

/// A region: a list of blocks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Region<'a> {
    /// The blocks; the first is the entry.
    pub blocks: Vec<Block<'a>>,
}

/// A block: arguments and operations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block<'a> {
    /// Label without the `^`; an entry block needs none.
    pub label: Option<Text<'a>>,
    /// Arguments.
    pub arguments: Vec<BlockArgument<'a>>,
    /// Operations in order.
    pub operations: Vec<Operation<'a>>,
}

/// An argument of a block.
#[derive(Clone, Debug)]
pub struct BlockArgument<'a> {
    /// Name without the `%`.
    pub name: Text<'a>,
    /// Type.
    pub ty: Type<'a>,
    /// The location written with it.
    pub location: LocId,
}

impl PartialEq for BlockArgument<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.ty == other.ty
    }
}

/// Bytes that a file holds outside its operations (`{-# dialect_resources ... #-}`).
#[derive(Clone, Debug, PartialEq)]
pub struct Resource<'a> {
    /// Dialect the key belongs to.
    pub dialect: Text<'a>,
    /// The key.
    pub key: Text<'a>,
    /// Hexadecimal digits after `0x`. The first four bytes are the alignment, little endian; the data follows.
    pub hex: Text<'a>,
}

/// A parsed file.
#[derive(Clone, Debug)]
pub struct Document<'a> {
    /// Operations at the top level; one module as a rule.
    pub operations: Vec<Operation<'a>>,
    /// Locations; the first is [`Location::Unknown`].
    pub locations: Vec<Location<'a>>,
    /// All locations, each after those it refers to.
    pub location_order: Vec<LocId>,
    /// Resources.
    pub resources: Vec<Resource<'a>>,
}

impl Default for Document<'_> {
    fn default() -> Self {
        Document {
            operations: Vec::new(),
            locations: vec![Location::Unknown],
            location_order: vec![LocId::UNKNOWN],
            resources: Vec::new(),
        }
    }
}

impl<'a> Document<'a> {
    /// A document that holds one operation and no locations.
    pub fn of(operation: Operation<'a>) -> Self {
        Document {
            operations: vec![operation],
            ..Document::default()
        }
    }

    /// Adds a location, whose own references must be in the document already.
    pub fn add_location(&mut self, location: Location<'a>) -> LocId {
        let id = LocId(self.locations.len() as u32);
        self.locations.push(location);
        self.location_order.push(id);
        id
    }

    /// The resource of the `builtin` dialect with this key.
    pub fn resource(&self, key: &str) -> Option<&Resource<'a>> {
        self.resources.iter().find(|r| r.dialect == "builtin" && r.key == key)
    }
}
