//! Parsing of attributes.

use smallvec::SmallVec;

use super::lexer::Parsed;
use super::parser::Parser;
use super::tree::{Attr, Dense, DenseData, NamedAttr, Scalar, Text, Type};

impl<'a> Parser<'a> {
    /// An attribute, with its type where one is written.
    pub(super) fn attribute(&mut self) -> Parsed<Attr<'a>> {
        self.enter()?;
        let result = self.attribute_inner();
        self.leave();
        result
    }

    fn attribute_inner(&mut self) -> Parsed<Attr<'a>> {
        match self.lexer.peek() {
            b'"' => Ok(match self.lexer.string_or_bytes()? {
                Ok(text) => Attr::String(text),
                Err(bytes) => Attr::Bytes(bytes),
            }),
            b'[' => Ok(Attr::Array(self.attribute_list()?)),
            b'{' => Ok(Attr::Dict(self.dictionary()?)),
            b'@' => self.symbol_reference(),
            b'#' => self.hash_attribute(),
            b'!' | b'(' => Ok(Attr::Type(self.ty()?)),
            b'-' | b'0'..=b'9' => self.number_attribute(),
            _ => self.word_attribute(),
        }
    }

    /// `[a, b]`.
    pub(super) fn attribute_list(&mut self) -> Parsed<Vec<Attr<'a>>> {
        self.lexer.expect("[", "before a list")?;
        let mut items = Vec::new();
        if self.lexer.eat("]") {
            return Ok(items);
        }
        loop {
            items.push(self.attribute()?);
            if !self.lexer.eat(",") {
                break;
            }
        }
        self.lexer.expect("]", "after a list")?;
        Ok(items)
    }

    /// `{a = 1, b}`.
    pub(super) fn dictionary(&mut self) -> Parsed<Vec<NamedAttr<'a>>> {
        self.lexer.expect("{", "before a dictionary")?;
        if self.lexer.eat("}") {
            return Ok(Vec::new());
        }
        let mut items: Vec<NamedAttr> = Vec::with_capacity(1);
        loop {
            self.lexer.skip_space();
            let start = self.lexer.position();
            let name = if self.lexer.peek() == b'"' {
                self.lexer.string()?
            } else {
                match self.lexer.word() {
                    Some(word) => Text::Borrowed(word),
                    None => return Err(self.lexer.error("expected the name of an attribute")),
                }
            };
            // Dictionaries are short; the long ones of hostile files are caught by the limit.
            if items.len() >= 4096 {
                return Err(self.lexer.error("a dictionary has more than 4096 entries"));
            }
            if items.iter().any(|item| item.name == name) {
                let end = self.lexer.position();
                return Err(self
                    .lexer
                    .error_at(start, end, format!("attribute `{name}` is given twice")));
            }
            let value = if self.lexer.eat("=") {
                self.attribute()?
            } else {
                Attr::Unit
            };
            items.push(NamedAttr { name, value });
            if !self.lexer.eat(",") {
                break;
            }
        }
        self.lexer.expect("}", "after a dictionary")?;
        Ok(items)
    }

    /// `@name`, decoded.
    pub(super) fn symbol(&mut self) -> Parsed<Text<'a>> {
        self.lexer.expect("@", "before the name of a symbol")?;
        if self.lexer.raw() == b'"' {
            self.lexer.string()
        } else {
            Ok(Text::Borrowed(self.lexer.suffix("@")?))
        }
    }

    fn symbol_reference(&mut self) -> Parsed<Attr<'a>> {
        let mut path = vec![self.symbol()?];
        while self.lexer.eat("::") {
            path.push(self.symbol()?);
        }
        Ok(Attr::Symbol(path))
    }

    fn hash_attribute(&mut self) -> Parsed<Attr<'a>> {
        let start = self.lexer.position();
        self.lexer.expect("#", "before an attribute")?;
        let Some(name) = self.lexer.word() else {
            return Err(self.lexer.error("expected the name of an attribute after `#`"));
        };
        if self.lexer.raw() == b'<' {
            self.lexer.expect("<", "after the name")?;
            let body = self.lexer.angle_body()?;
            return Ok(Attr::Dialect {
                name: name.into(),
                body: Some(body.into()),
            });
        }
        if let Some((attr, size)) = self.attr_aliases.get(name) {
            let (attr, size) = (attr.clone(), *size);
            self.charge(size, start)?;
            return Ok(attr);
        }
        if let Some(&location) = self.location_aliases.get(name) {
            return Ok(Attr::Location(location));
        }
        if name.contains('.') {
            return Ok(Attr::Dialect {
                name: name.into(),
                body: None,
            });
        }
        let end = self.lexer.position();
        Err(self
            .lexer
            .error_at(start, end, format!("attribute alias `#{name}` is not defined")))
    }

    fn number_attribute(&mut self) -> Parsed<Attr<'a>> {
        let start = self.lexer.position();
        let Some(value) = self.lexer.number()? else {
            return Err(self.lexer.error("expected a number"));
        };
        let ty = if self.lexer.eat(":") {
            Some(Box::new(self.ty()?))
        } else {
            None
        };
        let float_type = ty.as_deref().is_some_and(is_float);
        let end = self.lexer.position();
        match value {
            Scalar::Int(_) if float_type => {
                let message = "expected a decimal point or a hexadecimal number for a floating-point attribute";
                Err(self.lexer.error_at(start, end, message))
            }
            Scalar::Bits(bits) if !float_type => Ok(Attr::Integer {
                value: i128::from(bits),
                ty,
            }),
            Scalar::Int(value) => Ok(Attr::Integer { value, ty }),
            value => {
                if matches!(value, Scalar::Float(_)) && ty.is_some() && !float_type {
                    return Err(self
                        .lexer
                        .error_at(start, end, "a number with a decimal point needs a float type"));
                }
                Ok(Attr::Float { value, ty })
            }
        }
    }

    fn word_attribute(&mut self) -> Parsed<Attr<'a>> {
        let start = self.lexer.position();
        let Some(word) = self.lexer.peek_word() else {
            return Err(self.lexer.error("expected an attribute"));
        };
        match word {
            "true" | "false" => {
                self.lexer.word();
                Ok(Attr::Bool(word == "true"))
            }
            "unit" => {
                self.lexer.word();
                Ok(Attr::Unit)
            }
            "array" => {
                self.lexer.word();
                self.dense_array()
            }
            "dense" => {
                self.lexer.word();
                self.dense()
            }
            "dense_resource" => {
                self.lexer.word();
                self.dense_resource()
            }
            "loc" => Ok(Attr::Location(self.location()?)),
            "affine_map" | "affine_set" | "strided" | "opaque" | "sparse" => {
                self.lexer.word();
                self.lexer.expect("<", "after the name of an attribute")?;
                self.lexer.angle_body()?;
                if matches!(word, "opaque" | "sparse") {
                    self.lexer.expect(":", "before the type of an attribute")?;
                    self.ty()?;
                }
                Ok(Attr::Raw(self.lexer.slice(start, self.lexer.position()).into()))
            }
            _ => Ok(Attr::Type(self.ty()?)),
        }
    }

    /// `<i64: 1, 2>` after `array`.
    fn dense_array(&mut self) -> Parsed<Attr<'a>> {
        self.lexer.expect("<", "after `array`")?;
        let Some(element) = self.lexer.word() else {
            return Err(self.lexer.error("expected the type of the elements of an array"));
        };
        let mut values = Vec::new();
        if self.lexer.eat(":") {
            loop {
                values.push(self.scalar()?);
                if !self.lexer.eat(",") {
                    break;
                }
            }
        }
        self.lexer.expect(">", "after an array")?;
        Ok(Attr::DenseArray {
            element: element.into(),
            values,
        })
    }

    /// A number or a Boolean.
    pub(super) fn scalar(&mut self) -> Parsed<Scalar> {
        if let Some(number) = self.lexer.number()? {
            return Ok(number);
        }
        match self.lexer.peek_word() {
            Some(word @ ("true" | "false")) => {
                self.lexer.word();
                Ok(Scalar::Bool(word == "true"))
            }
            _ => Err(self.lexer.error("expected a number, `true` or `false`")),
        }
    }

    /// `<...> : type` after `dense`.
    pub(super) fn dense(&mut self) -> Parsed<Attr<'a>> {
        self.lexer.expect("<", "after `dense`")?;
        let data = match self.lexer.peek() {
            b'>' => DenseData::Elements {
                shape: SmallVec::from_slice(&[0]),
                values: Vec::new(),
                complex: false,
            },
            b'"' => {
                let start = self.lexer.position();
                let text = self.lexer.quoted()?;
                let end = self.lexer.position();
                DenseData::Hex(self.hex_digits(text, start, end)?.into())
            }
            _ => {
                let mut list = ElementList::default();
                self.dense_elements(&mut list, 0)?;
                DenseData::Elements {
                    shape: list.shape,
                    values: list.values,
                    complex: list.complex == Some(true),
                }
            }
        };
        self.lexer.expect(">", "after the elements")?;
        self.lexer.expect(":", "and the type after `dense<...>`")?;
        let ty = self.ty()?;
        Ok(Attr::Dense(Box::new(Dense { data, ty })))
    }

    /// Checks that `text` is `0x` and an even number of hexadecimal digits, and returns the digits.
    pub(super) fn hex_digits(&self, text: &'a str, start: usize, end: usize) -> Parsed<&'a str> {
        match text.strip_prefix("0x") {
            Some(digits) if digits.len().is_multiple_of(2) && is_hexadecimal(digits) => Ok(digits),
            _ => Err(self
                .lexer
                .error_at(start, end, "expected `0x` and pairs of hexadecimal digits")),
        }
    }

    fn dense_elements(&mut self, list: &mut ElementList, level: usize) -> Parsed<()> {
        match self.lexer.peek() {
            b'[' => {
                self.enter()?;
                let start = self.lexer.position();
                self.lexer.expect("[", "before elements")?;
                let first_time = list.shape.len() == level;
                if first_time {
                    if list.leaf_level.is_some() {
                        return Err(self
                            .lexer
                            .error_at(start, start + 1, "lists of elements differ in depth"));
                    }
                    list.shape.push(0);
                }
                let mut count = 0;
                if !self.lexer.eat("]") {
                    loop {
                        self.dense_elements(list, level + 1)?;
                        count += 1;
                        if !self.lexer.eat(",") {
                            break;
                        }
                    }
                    self.lexer.expect("]", "after elements")?;
                }
                if first_time {
                    list.shape[level] = count;
                } else if list.shape[level] != count {
                    let message = format!(
                        "expected {} elements in this list, as in the first one",
                        list.shape[level]
                    );
                    return Err(self.lexer.error_at(start, self.lexer.position(), message));
                }
                self.leave();
                Ok(())
            }
            b'(' => {
                list.leaf(level, true).map_err(|message| self.lexer.error(message))?;
                self.lexer.expect("(", "before a complex number")?;
                list.values.push(self.scalar()?);
                self.lexer.expect(",", "between real and imaginary part")?;
                list.values.push(self.scalar()?);
                self.lexer.expect(")", "after a complex number")
            }
            _ => {
                list.leaf(level, false).map_err(|message| self.lexer.error(message))?;
                list.values.push(self.scalar()?);
                Ok(())
            }
        }
    }

    /// `<key> : type` after `dense_resource`.
    fn dense_resource(&mut self) -> Parsed<Attr<'a>> {
        self.lexer.expect("<", "after `dense_resource`")?;
        let key = self.resource_key()?;
        self.lexer.expect(">", "after the key of a resource")?;
        self.lexer.expect(":", "and the type after `dense_resource<...>`")?;
        let ty = Box::new(self.ty()?);
        Ok(Attr::DenseResource { key, ty })
    }

    /// A word or a string.
    pub(super) fn resource_key(&mut self) -> Parsed<Text<'a>> {
        if self.lexer.peek() == b'"' {
            return self.lexer.string();
        }
        match self.lexer.word() {
            Some(word) => Ok(word.into()),
            None => Err(self.lexer.error("expected the key of a resource")),
        }
    }
}

#[derive(Default)]
struct ElementList {
    shape: SmallVec<[usize; 6]>,
    values: Vec<Scalar>,
    leaf_level: Option<usize>,
    complex: Option<bool>,
}

impl ElementList {
    fn leaf(&mut self, level: usize, complex: bool) -> Result<(), &'static str> {
        if *self.leaf_level.get_or_insert(level) != level || self.shape.len() != level {
            return Err("lists of elements differ in depth");
        }
        if *self.complex.get_or_insert(complex) != complex {
            return Err("real and complex elements in one list");
        }
        Ok(())
    }
}

/// Whether a text is nothing but hexadecimal digits. Looks at many at once: they may be most of a file.
pub(crate) fn is_hexadecimal(text: &str) -> bool {
    let all = |chunk: &[u8]| chunk.iter().fold(true, |all, b| all & b.is_ascii_hexdigit());
    let (chunks, rest) = text.as_bytes().as_chunks::<64>();
    chunks.iter().all(|chunk| all(chunk)) && all(rest)
}

/// Whether a type is a floating-point one.
pub(super) fn is_float(ty: &Type) -> bool {
    ty.scalar_name().is_some_and(|name| {
        let rest = name
            .strip_prefix('f')
            .or_else(|| name.strip_prefix("bf"))
            .or_else(|| name.strip_prefix("tf"));
        rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    })
}
