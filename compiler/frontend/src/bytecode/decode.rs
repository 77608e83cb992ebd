//! Attributes, types and locations, decoded when asked for.
//!
//! They refer to each other by number. What is decoded is kept, so that each is read once; what it would take to copy it
//! to all its uses is counted, because a few bytes can describe a tree of any size.

use ferrite_ir::text::{self, Attr, DYNAMIC, Document, LocId, Location, NamedAttr, Text, Type};

use super::cursor::{Cursor, Read, Wrong};
use super::file::{Entry, File};
use super::{builtin, sdy, stablehlo, vhlo};

/// Deepest nesting of attributes and types, as in text.
const MAX_DEPTH: u32 = text::MAX_DEPTH;

/// Nodes of attributes and types that may be built for each byte of the file.
const NODES_PER_BYTE: usize = 64;

/// Nodes that may be built for any file.
const NODES: usize = 1 << 20;

enum Slot<T> {
    Unread,
    /// Being read: a reference to it would be a circle.
    Open,
    Done {
        value: T,
        nodes: usize,
    },
}

/// The attributes, types and locations of a file.
pub(super) struct Decoder<'a> {
    pub(super) file: File<'a>,
    attributes: Vec<Slot<Attr<'a>>>,
    types: Vec<Slot<Type<'a>>>,
    locations: Vec<Option<LocId>>,
    /// Where locations go; operations follow in the end.
    pub(super) document: Document<'a>,
    /// Nodes that may still be built.
    nodes: usize,
    depth: u32,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(file: File<'a>, size: usize) -> Self {
        Decoder {
            attributes: file.attributes.iter().map(|_| Slot::Unread).collect(),
            types: file.types.iter().map(|_| Slot::Unread).collect(),
            locations: vec![None; file.attributes.len()],
            document: Document::default(),
            nodes: size.saturating_mul(NODES_PER_BYTE).saturating_add(NODES),
            depth: 0,
            file,
        }
    }

    fn spend(&mut self, nodes: usize, at: &Cursor<'a>) -> Read<()> {
        match self.nodes.checked_sub(nodes) {
            Some(left) => {
                self.nodes = left;
                Ok(())
            }
            None => at.wrong("attributes and types grow beyond all measure when they are written out"),
        }
    }

    /// The attribute whose number is next.
    pub(super) fn attribute(&mut self, cursor: &mut Cursor<'a>) -> Read<Attr<'a>> {
        let start = *cursor;
        let index = cursor.index()?;
        self.attribute_at(index, &start)
    }

    /// The attribute with a number that stands at `at`.
    pub(super) fn attribute_at(&mut self, index: usize, at: &Cursor<'a>) -> Read<Attr<'a>> {
        match self.attributes.get(index) {
            None => return at.wrong(format!("there is no attribute {index}")),
            Some(Slot::Open) => return at.wrong(format!("attribute {index} contains itself")),
            Some(Slot::Done { value, nodes }) => {
                let (value, nodes) = (value.clone(), *nodes);
                self.spend(nodes, at)?;
                return Ok(value);
            }
            Some(Slot::Unread) => {}
        }
        self.attributes[index] = Slot::Open;
        let entry = self.file.attributes[index];
        self.enter(at)?;
        let value = self.read_attribute(entry)?;
        self.depth -= 1;
        let (nodes, depth) = measure(&value);
        self.check(nodes, depth, at)?;
        self.attributes[index] = Slot::Done {
            value: value.clone(),
            nodes,
        };
        Ok(value)
    }

    /// The type whose number is next.
    pub(super) fn ty(&mut self, cursor: &mut Cursor<'a>) -> Read<Type<'a>> {
        let start = *cursor;
        let index = cursor.index()?;
        self.type_at(index, &start)
    }

    /// The type with a number that stands at `at`.
    pub(super) fn type_at(&mut self, index: usize, at: &Cursor<'a>) -> Read<Type<'a>> {
        match self.types.get(index) {
            None => return at.wrong(format!("there is no type {index}")),
            Some(Slot::Open) => return at.wrong(format!("type {index} contains itself")),
            Some(Slot::Done { value, nodes }) => {
                let (value, nodes) = (value.clone(), *nodes);
                self.spend(nodes, at)?;
                return Ok(value);
            }
            Some(Slot::Unread) => {}
        }
        self.types[index] = Slot::Open;
        let entry = self.file.types[index];
        self.enter(at)?;
        let value = self.read_type(entry)?;
        self.depth -= 1;
        let (nodes, depth) = measure_type(&value);
        self.check(nodes, depth, at)?;
        self.types[index] = Slot::Done {
            value: value.clone(),
            nodes,
        };
        Ok(value)
    }

    fn enter(&mut self, at: &Cursor<'a>) -> Read<()> {
        if self.depth >= MAX_DEPTH {
            return at.wrong(format!("attributes and types nest deeper than {MAX_DEPTH} levels"));
        }
        self.depth += 1;
        Ok(())
    }

    fn check(&mut self, nodes: usize, depth: u32, at: &Cursor<'a>) -> Read<()> {
        if depth > MAX_DEPTH {
            return at.wrong(format!("attributes and types nest deeper than {MAX_DEPTH} levels"));
        }
        self.spend(nodes, at)
    }

    fn read_attribute(&mut self, entry: Entry<'a>) -> Read<Attr<'a>> {
        let mut cursor = entry.content;
        if !entry.encoded {
            let source = asm(&mut cursor)?;
            return text::parse_attribute(source).or_else(|error| {
                entry
                    .content
                    .wrong(format!("in the attribute `{}`: {}", shorten(source), error.message))
            });
        }
        let value = match entry.dialect {
            "builtin" => builtin::attribute(self, &mut cursor)?,
            "vhlo" => vhlo::attribute(self, &mut cursor)?,
            "stablehlo" | "mhlo" => stablehlo::attribute(self, &mut cursor)?,
            "sdy" => sdy::attribute(self, &mut cursor)?,
            "chlo" => stablehlo::chlo_attribute(&mut cursor)?,
            dialect => return cursor.wrong(format!("the encoding of attributes of `{dialect}` is not known")),
        };
        Ok(value)
    }

    fn read_type(&mut self, entry: Entry<'a>) -> Read<Type<'a>> {
        let mut cursor = entry.content;
        if !entry.encoded {
            let source = asm(&mut cursor)?;
            return text::parse_type(source).or_else(|error| {
                entry
                    .content
                    .wrong(format!("in the type `{}`: {}", shorten(source), error.message))
            });
        }
        match entry.dialect {
            "builtin" => builtin::ty(self, &mut cursor),
            "vhlo" => vhlo::ty(self, &mut cursor),
            "stablehlo" | "mhlo" => stablehlo::ty(self, &mut cursor),
            "quant" => stablehlo::quantized(self, &mut cursor),
            dialect => cursor.wrong(format!("the encoding of types of `{dialect}` is not known")),
        }
    }

    /// A list of attributes.
    pub(super) fn attributes(&mut self, cursor: &mut Cursor<'a>) -> Read<Vec<Attr<'a>>> {
        let count = cursor.count()?;
        (0..count).map(|_| self.attribute(cursor)).collect()
    }

    /// A list of types.
    pub(super) fn types(&mut self, cursor: &mut Cursor<'a>) -> Read<Vec<Type<'a>>> {
        let count = cursor.count()?;
        (0..count).map(|_| self.ty(cursor)).collect()
    }

    /// An attribute that is a string of text.
    pub(super) fn name(&mut self, cursor: &mut Cursor<'a>) -> Read<Text<'a>> {
        let start = *cursor;
        match self.attribute(cursor)? {
            Attr::String(name) => Ok(name),
            _ => start.wrong("expected a name"),
        }
    }

    /// Names with their attributes.
    pub(super) fn dictionary(&mut self, cursor: &mut Cursor<'a>) -> Read<Vec<NamedAttr<'a>>> {
        let count = cursor.count()?;
        (0..count)
            .map(|_| {
                Ok(NamedAttr {
                    name: self.name(cursor)?,
                    value: self.attribute(cursor)?,
                })
            })
            .collect()
    }

    /// A string, whatever its bytes.
    pub(super) fn string(&mut self, cursor: &mut Cursor<'a>) -> Read<Attr<'a>> {
        let bytes = self.file.string(cursor)?;
        Ok(match std::str::from_utf8(bytes) {
            Ok(text) => Attr::String(text.into()),
            Err(_) => Attr::Bytes(bytes.to_vec()),
        })
    }

    /// The location whose number is next. What cannot be read as one is unknown: it decides nothing.
    pub(super) fn location(&mut self, cursor: &mut Cursor<'a>) -> Read<LocId> {
        let index = cursor.index()?;
        Ok(self.location_at(index, 0))
    }

    fn location_at(&mut self, index: usize, depth: u32) -> LocId {
        match self.locations.get_mut(index) {
            None => return LocId::UNKNOWN,
            Some(Some(id)) => return *id,
            // Circles end here.
            Some(slot) => *slot = Some(LocId::UNKNOWN),
        }
        let entry = self.file.attributes[index];
        if !entry.encoded || entry.dialect != "builtin" || depth >= MAX_DEPTH {
            return LocId::UNKNOWN;
        }
        let id = match builtin::location(self, entry.content, depth + 1) {
            Ok(Some(location)) => self.document.add_location(location),
            Ok(None) | Err(_) => LocId::UNKNOWN,
        };
        self.locations[index] = Some(id);
        id
    }

    /// A location inside another one.
    pub(super) fn inner_location(&mut self, cursor: &mut Cursor<'a>, depth: u32) -> Read<LocId> {
        let index = cursor.index()?;
        Ok(self.location_at(index, depth))
    }

    /// A location as a value.
    pub(super) fn location_value(&mut self, content: Cursor<'a>) -> Read<Attr<'a>> {
        let location = builtin::location(self, content, 1)?.unwrap_or(Location::Unknown);
        Ok(Attr::Location(self.document.add_location(location)))
    }
}

fn asm<'a>(cursor: &mut Cursor<'a>) -> Read<&'a str> {
    let start = *cursor;
    std::str::from_utf8(cursor.c_string()?).or_else(|_| start.wrong("a text is not UTF-8"))
}

fn shorten(source: &str) -> &str {
    let end = source.char_indices().nth(80).map_or(source.len(), |(n, _)| n);
    &source[..end]
}

/// Sizes of a shaped type.
pub(super) fn sizes(cursor: &mut Cursor) -> Read<text::Sizes> {
    let size = |size: i64| if size < 0 { DYNAMIC } else { size };
    Ok(cursor.svarints()?.into_iter().map(size).collect())
}

/// Wraps an error of a part that has no place of its own.
pub(super) fn wrong(at: &Cursor, message: impl Into<String>) -> Wrong {
    Wrong {
        offset: at.offset(),
        message: message.into(),
    }
}

/// Nodes and depth of an attribute.
fn measure(attr: &Attr) -> (usize, u32) {
    let join = |parts: &mut dyn Iterator<Item = (usize, u32)>| {
        let (nodes, depth) = parts.fold((1usize, 0), |(nodes, depth), (n, d)| {
            (nodes.saturating_add(n), depth.max(d))
        });
        (nodes, depth + 1)
    };
    match attr {
        Attr::Array(items) => join(&mut items.iter().map(measure)),
        Attr::Dict(items) => join(&mut items.iter().map(|item| measure(&item.value))),
        Attr::Type(ty) => join(&mut std::iter::once(measure_type(ty))),
        Attr::Integer { ty: Some(ty), .. } | Attr::Float { ty: Some(ty), .. } | Attr::DenseResource { ty, .. } => {
            join(&mut std::iter::once(measure_type(ty)))
        }
        Attr::Dense(dense) => join(&mut std::iter::once(measure_type(&dense.ty))),
        Attr::DenseArray { values, .. } => (1 + values.len(), 1),
        Attr::Dialect { body: Some(body), .. } => (1 + body.len() / 16, 1),
        _ => (1, 1),
    }
}

/// Nodes and depth of a type.
fn measure_type(ty: &Type) -> (usize, u32) {
    let join = |parts: &mut dyn Iterator<Item = (usize, u32)>| {
        let (nodes, depth) = parts.fold((1usize, 0), |(nodes, depth), (n, d)| {
            (nodes.saturating_add(n), depth.max(d))
        });
        (nodes, depth + 1)
    };
    match ty {
        Type::Complex(part) | Type::UnrankedTensor(part) => join(&mut std::iter::once(measure_type(part))),
        Type::Tensor(tensor) => {
            let (nodes, depth) = measure_type(&tensor.element);
            let (more, deeper) = tensor.encoding.as_ref().map_or((0, 0), measure);
            (1 + tensor.sizes.len() / 8 + nodes + more, 1 + depth.max(deeper))
        }
        Type::Tuple(items) => join(&mut items.iter().map(measure_type)),
        Type::Function { inputs, results } => join(&mut inputs.iter().chain(results).map(measure_type)),
        Type::Dialect { body: Some(body), .. } => (1 + body.len() / 16, 1),
        _ => (1, 1),
    }
}
