//! Parsing of files, operations, regions and blocks.

use std::collections::HashMap;

use super::custom;
use super::lexer::{Lexer, Parsed, SyntaxError};
use super::tree::*;
use super::types::Tensors;

/// How deep regions, types and attributes may nest together.
pub const MAX_DEPTH: u32 = 128;

/// How many errors are reported before parsing stops.
const MAX_ERRORS: usize = 20;

/// Parses a file. All errors that can be told apart are returned.
pub fn parse(source: &str) -> Result<Document<'_>, Vec<SyntaxError>> {
    if u32::try_from(source.len()).is_err() {
        let message = format!("the file has {} bytes; MLIR text is read up to 4 GiB", source.len());
        return Err(vec![SyntaxError {
            span: Span::default(),
            message,
            help: None,
        }]);
    }
    let mut parser = Parser::new(source);
    if let Err(error) = parser.file() {
        parser.errors.push(*error);
    }
    if parser.errors.is_empty()
        && let Err(error) = parser.order_locations()
    {
        parser.errors.push(*error);
    }
    if parser.errors.is_empty() {
        Ok(parser.document)
    } else {
        Err(parser.errors)
    }
}

/// Parses `text` as the attribute it is, without aliases.
pub fn parse_attribute(text: &str) -> Result<Attr<'_>, SyntaxError> {
    parse_whole(text, |parser| parser.attribute())
}

/// Parses `text` as the type it is, without aliases.
pub fn parse_type(text: &str) -> Result<Type<'_>, SyntaxError> {
    parse_whole(text, |parser| parser.ty())
}

/// Parses the body of a dialect attribute that has the form `key = value, key = value`.
pub fn parse_parameters(text: &str) -> Result<Vec<NamedAttr<'_>>, SyntaxError> {
    parse_whole(text, |parser| {
        let mut items = Vec::new();
        while !parser.lexer.at_end() {
            let Some(name) = parser.lexer.word() else {
                return Err(parser.lexer.error("expected the name of a parameter"));
            };
            parser.lexer.expect("=", "after the name of a parameter")?;
            items.push(NamedAttr {
                name: name.into(),
                value: parser.attribute()?,
            });
            if !parser.lexer.eat(",") {
                break;
            }
        }
        Ok(items)
    })
}

fn parse_whole<'a, T>(text: &'a str, step: impl FnOnce(&mut Parser<'a>) -> Parsed<T>) -> Result<T, SyntaxError> {
    if u32::try_from(text.len()).is_err() {
        let message = "the text is longer than 4 GiB".to_string();
        return Err(SyntaxError {
            span: Span::default(),
            message,
            help: None,
        });
    }
    let mut parser = Parser::new(text);
    let value = step(&mut parser).map_err(|error| *error)?;
    if parser.lexer.at_end() {
        Ok(value)
    } else {
        Err(*parser.lexer.error("expected nothing more"))
    }
}

pub(super) struct Parser<'a> {
    pub(super) lexer: Lexer<'a>,
    pub(super) document: Document<'a>,
    /// Aliases with the number of nodes that a use of them copies.
    pub(super) attr_aliases: HashMap<&'a str, (Attr<'a>, usize)>,
    pub(super) type_aliases: HashMap<&'a str, (Type<'a>, usize)>,
    pub(super) location_aliases: HashMap<&'a str, LocId>,
    pub(super) tensors: Tensors<'a>,
    /// Location aliases used before their definition: name, location, first use.
    pub(super) pending_locations: HashMap<&'a str, (LocId, Span)>,
    errors: Vec<SyntaxError>,
    depth: u32,
    copied: usize,
}

impl<'a> Parser<'a> {
    fn new(source: &'a str) -> Self {
        Parser {
            lexer: Lexer::new(source),
            document: Document::default(),
            attr_aliases: HashMap::new(),
            type_aliases: HashMap::new(),
            location_aliases: HashMap::new(),
            tensors: Tensors::default(),
            pending_locations: HashMap::new(),
            errors: Vec::new(),
            depth: 0,
            copied: 0,
        }
    }

    /// Goes one level deeper. What is entered and left by error is not counted back: an error ends the operation, and
    /// [`Parser::block_operations`] restores the depth when it resumes.
    pub(super) fn enter(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.lexer.error(format!(
                "regions, types and attributes nest deeper than {MAX_DEPTH} levels"
            )));
        }
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Counts what uses of aliases copy, so that a short file cannot ask for a huge tree.
    pub(super) fn charge(&mut self, size: usize, start: usize) -> Parsed<()> {
        self.copied = self.copied.saturating_add(size);
        if self.copied > self.lexer.source().len().saturating_add(1 << 20) {
            let end = self.lexer.position();
            return Err(self
                .lexer
                .error_at(start, end, "uses of aliases expand to more than the file could hold"));
        }
        Ok(())
    }

    fn file(&mut self) -> Parsed<()> {
        while !self.lexer.at_end() {
            match self.lexer.peek() {
                b'#' => self.attribute_alias()?,
                b'!' => self.type_alias()?,
                b'{' if self.lexer.raw_at(1) == b'-' => self.file_metadata()?,
                b'}' => return Err(self.lexer.error("unbalanced `}`")),
                _ => {
                    let mut operations = std::mem::take(&mut self.document.operations);
                    let result = self.one_operation(&mut operations);
                    self.document.operations = operations;
                    result?;
                }
            }
        }
        let mut pending: Vec<_> = self.pending_locations.drain().collect();
        pending.sort_by_key(|(_, (id, _))| *id);
        for (name, (_, span)) in pending {
            self.errors.push(SyntaxError {
                span,
                message: format!("location alias `#{name}` is not defined"),
                help: None,
            });
        }
        Ok(())
    }

    fn attribute_alias(&mut self) -> Parsed<()> {
        self.lexer.expect("#", "before an alias")?;
        self.lexer.skip_space();
        let start = self.lexer.position();
        let Some(name) = self.lexer.word() else {
            return Err(self.lexer.error("expected the name of an alias after `#`"));
        };
        let end = self.lexer.position();
        self.lexer.expect("=", "after the name of an alias")?;
        if self.attr_aliases.contains_key(name) || self.location_aliases.contains_key(name) {
            return Err(self
                .lexer
                .error_at(start, end, format!("alias `#{name}` is defined twice")));
        }
        if self.lexer.peek_word() == Some("loc") {
            return self.define_location_alias(name);
        }
        let attr = self.attribute()?;
        let (size, depth) = attr_size(&attr);
        if depth > MAX_DEPTH {
            return Err(self.lexer.error_at(
                start,
                end,
                format!("alias `#{name}` nests deeper than {MAX_DEPTH} levels"),
            ));
        }
        self.attr_aliases.insert(name, (attr, size));
        Ok(())
    }

    fn type_alias(&mut self) -> Parsed<()> {
        self.lexer.expect("!", "before an alias")?;
        self.lexer.skip_space();
        let start = self.lexer.position();
        let Some(name) = self.lexer.word() else {
            return Err(self.lexer.error("expected the name of an alias after `!`"));
        };
        let end = self.lexer.position();
        self.lexer.expect("=", "after the name of an alias")?;
        let ty = self.ty()?;
        let (size, depth) = type_size(&ty);
        if depth > MAX_DEPTH {
            return Err(self.lexer.error_at(
                start,
                end,
                format!("alias `!{name}` nests deeper than {MAX_DEPTH} levels"),
            ));
        }
        if self.type_aliases.insert(name, (ty, size)).is_some() {
            return Err(self
                .lexer
                .error_at(start, end, format!("alias `!{name}` is defined twice")));
        }
        Ok(())
    }

    /// `{-# dialect_resources: {builtin: {key: "0x..."}}, external_resources: {...} #-}`.
    fn file_metadata(&mut self) -> Parsed<()> {
        self.lexer.expect("{-#", "before the metadata of a file")?;
        while !self.lexer.eat("#-}") {
            let Some(section) = self.lexer.word() else {
                return Err(self.lexer.error("expected the name of a section of file metadata"));
            };
            self.lexer.expect(":", "after the name of a section")?;
            self.lexer.expect("{", "before a section")?;
            while !self.lexer.eat("}") {
                let dialect = self.resource_key()?;
                self.lexer.expect(":", "after the name of a dialect")?;
                self.lexer.expect("{", "before the resources of a dialect")?;
                while !self.lexer.eat("}") {
                    let key = self.resource_key()?;
                    self.lexer.expect(":", "after the key of a resource")?;
                    if self.lexer.peek() == b'"' {
                        let start = self.lexer.position();
                        let text = self.lexer.quoted()?;
                        let end = self.lexer.position();
                        if section == "dialect_resources" {
                            let hex = self.hex_digits(text, start, end)?.into();
                            self.document.resources.push(Resource {
                                dialect: dialect.clone(),
                                key,
                                hex,
                            });
                        }
                    } else {
                        self.scalar()?;
                    }
                    self.lexer.eat(",");
                }
                self.lexer.eat(",");
            }
            self.lexer.eat(",");
        }
        Ok(())
    }

    /// Parses one operation; an error inside it is recorded and its line skipped, if parsing can go on after it.
    fn one_operation(&mut self, out: &mut Vec<Operation<'a>>) -> Parsed<()> {
        let start = self.lexer.position();
        let depth = self.depth;
        match self.operation() {
            Ok(operation) => out.push(operation),
            Err(error) => {
                if self.errors.len() + 1 >= MAX_ERRORS || !self.skip_line(start, error.span.start as usize) {
                    return Err(error);
                }
                self.errors.push(*error);
                self.depth = depth;
            }
        }
        Ok(())
    }

    /// Goes to the line after an error, if the operation that began at `start` is balanced by then.
    fn skip_line(&mut self, start: usize, error: usize) -> bool {
        let bytes = self.lexer.source().as_bytes();
        let mut open = 0i64;
        let mut quoted = false;
        let mut at = start;
        while let Some(&b) = bytes.get(at) {
            match b {
                b'\n' if at >= error => break,
                b'"' => quoted = !quoted,
                b'\\' if quoted => at += 1,
                b'(' | b'[' | b'{' if !quoted => open += 1,
                b')' | b']' | b'}' if !quoted => open -= 1,
                _ => {}
            }
            at += 1;
        }
        let at = at.min(bytes.len());
        let resumes = open == 0 && !quoted && at > start;
        if resumes {
            self.lexer.set_position(at);
        }
        resumes
    }

    /// An operation in either form, with its trailing location.
    pub(super) fn operation(&mut self) -> Parsed<Operation<'a>> {
        self.enter()?;
        self.lexer.skip_space();
        let start = self.lexer.position();
        let mut results = Vec::new();
        if self.lexer.raw() == b'%' {
            // Nearly always one.
            results.reserve_exact(1);
            loop {
                self.lexer.expect("%", "before the name of a result")?;
                let name = Text::Borrowed(self.lexer.suffix("%")?);
                let count = if self.lexer.eat(":") {
                    self.lexer.small("the number of results")?
                } else {
                    1
                };
                results.push(ResultGroup { name, count });
                if !self.lexer.eat(",") {
                    break;
                }
            }
            self.lexer.expect("=", "after the names of the results")?;
        }
        let name_start = {
            self.lexer.skip_space();
            self.lexer.position()
        };
        let mut operation = if self.lexer.raw() == b'"' {
            self.generic_operation()?
        } else {
            let Some(name) = self.lexer.word() else {
                return Err(self.lexer.error("expected an operation"));
            };
            custom::parse(self, name, name_start)?
        };
        if self.lexer.is_word("loc") {
            operation.location = self.location()?;
        }
        let named: u64 = results.iter().map(|group| u64::from(group.count)).sum();
        if !results.is_empty() && named != operation.result_types.len() as u64 {
            let message = format!(
                "`{}` has {} result(s), but {named} are named",
                operation.name,
                operation.result_types.len()
            );
            return Err(self.lexer.error_at(start, name_start, message));
        }
        let line_end = self.lexer.slice(start, self.lexer.position()).find('\n');
        let end = line_end.map_or(self.lexer.position(), |length| start + length);
        operation.span = Span {
            start: start as u32,
            end: end as u32,
        };
        operation.results = results;
        self.leave();
        Ok(operation)
    }

    /// `"name"(%a)[^bb] <{properties}> ({regions}) {attributes} : (types) -> types`.
    fn generic_operation(&mut self) -> Parsed<Operation<'a>> {
        let start = self.lexer.position();
        let name = self.lexer.string()?;
        if name.is_empty() {
            return Err(self
                .lexer
                .error_at(start, self.lexer.position(), "expected the name of an operation"));
        }
        let mut operation = Operation::new(name);
        self.generic_rest(&mut operation, start)?;
        Ok(operation)
    }

    /// What follows the name of an operation in generic form.
    pub(super) fn generic_rest(&mut self, operation: &mut Operation<'a>, start: usize) -> Parsed<()> {
        self.lexer.expect("(", "before the operands")?;
        if !self.lexer.eat(")") {
            operation.operands = self.operand_list()?;
            self.lexer.expect(")", "after the operands")?;
        }
        if self.lexer.eat("[") {
            while !self.lexer.eat("]") {
                self.lexer.expect("^", "before the label of a successor")?;
                operation.successors.push(self.lexer.suffix("^")?.into());
                self.lexer.eat(",");
            }
        }
        if self.lexer.eat("<{") {
            // `<{` is one thing for the eye only: put the brace back for the dictionary.
            self.lexer.set_position(self.lexer.position() - 1);
            operation.properties = self.dictionary()?;
            self.lexer.expect(">", "after the properties")?;
        }
        if self.lexer.eat("(") {
            loop {
                operation.regions.push(self.region(Vec::new())?);
                if !self.lexer.eat(",") {
                    break;
                }
            }
            self.lexer.expect(")", "after the regions")?;
        }
        if self.lexer.peek() == b'{' {
            operation.attributes = self.dictionary()?;
        }
        self.lexer.expect(":", "before the type of an operation")?;
        let (inputs, results) = self.function_type()?;
        if inputs.len() != operation.operands.len() {
            let message = format!(
                "`{}` has {} operand(s), but the type of {}",
                operation.name,
                operation.operands.len(),
                inputs.len()
            );
            return Err(self.lexer.error_at(start, self.lexer.position(), message));
        }
        operation.operand_types = inputs;
        operation.result_types = results;
        Ok(())
    }

    /// `%name` or `%name#1`.
    pub(super) fn operand(&mut self) -> Parsed<ValueUse<'a>> {
        self.lexer.expect("%", "before a value")?;
        let offset = self.lexer.position() as u32 - 1;
        let name = Text::Borrowed(self.lexer.suffix("%")?);
        let number = if self.lexer.raw() == b'#' {
            self.lexer.expect("#", "before the number of a result")?;
            self.lexer.small("the number of a result")?
        } else {
            0
        };
        Ok(ValueUse { name, number, offset })
    }

    /// `%a, %b`, at least one.
    pub(super) fn operand_list(&mut self) -> Parsed<Vec<ValueUse<'a>>> {
        let mut operands = vec![self.operand()?];
        while self.lexer.eat(",") {
            operands.push(self.operand()?);
        }
        Ok(operands)
    }

    /// `{ ... }`; the entry block has `arguments` unless it has a label of its own.
    pub(super) fn region(&mut self, arguments: Vec<BlockArgument<'a>>) -> Parsed<Region<'a>> {
        self.lexer.expect("{", "before a region")?;
        let mut region = Region::default();
        if self.lexer.peek() != b'^' && (self.lexer.peek() != b'}' || !arguments.is_empty()) {
            let operations = self.block_operations()?;
            region.blocks.push(Block {
                label: None,
                arguments,
                operations,
            });
        }
        while self.lexer.peek() == b'^' {
            let block = self.block()?;
            region.blocks.push(block);
        }
        self.lexer.expect("}", "after a region")?;
        Ok(region)
    }

    /// `^label(%a: type loc(...)): operations`.
    fn block(&mut self) -> Parsed<Block<'a>> {
        self.lexer.expect("^", "before the label of a block")?;
        let label = Some(Text::Borrowed(self.lexer.suffix("^")?));
        let mut arguments = Vec::new();
        if self.lexer.eat("(") && !self.lexer.eat(")") {
            loop {
                arguments.push(self.block_argument()?);
                if !self.lexer.eat(",") {
                    break;
                }
            }
            self.lexer.expect(")", "after the arguments of a block")?;
        }
        self.lexer.expect(":", "after the label of a block")?;
        let operations = self.block_operations()?;
        Ok(Block {
            label,
            arguments,
            operations,
        })
    }

    /// `%a: type loc(...)`.
    pub(super) fn block_argument(&mut self) -> Parsed<BlockArgument<'a>> {
        self.lexer.expect("%", "before a block argument")?;
        let name = Text::Borrowed(self.lexer.suffix("%")?);
        self.lexer.expect(":", "before the type of a block argument")?;
        let ty = self.ty()?;
        let location = if self.lexer.is_word("loc") {
            self.location()?
        } else {
            LocId::UNKNOWN
        };
        Ok(BlockArgument { name, ty, location })
    }

    /// Operations up to a `}` or `^`.
    fn block_operations(&mut self) -> Parsed<Vec<Operation<'a>>> {
        let mut operations = Vec::new();
        loop {
            match self.lexer.peek() {
                b'}' | b'^' => return Ok(operations),
                _ if self.lexer.at_end() => return Err(self.lexer.error("expected `}` after a region")),
                _ => self.one_operation(&mut operations)?,
            }
        }
    }

    /// The error list grows to the end: ends parsing with the locations resolved.
    fn order_locations(&mut self) -> Parsed<()> {
        let order = super::locations::order(&self.document.locations)
            .map_err(|_| self.lexer.error_at(0, 0, "locations refer to one another in a circle"))?;
        self.document.location_order = order;
        Ok(())
    }
}

/// Number of nodes of an attribute, and its depth.
fn attr_size(attr: &Attr) -> (usize, u32) {
    let (size, depth) = match attr {
        Attr::Array(items) => items.iter().map(attr_size).fold((0, 0), add),
        Attr::Dict(items) => items.iter().map(|item| attr_size(&item.value)).fold((0, 0), add),
        Attr::Integer { ty: Some(ty), .. } | Attr::Float { ty: Some(ty), .. } | Attr::DenseResource { ty, .. } => {
            type_size(ty)
        }
        Attr::Type(ty) => type_size(ty),
        Attr::DenseArray { values, .. } => (values.len(), 0),
        Attr::Dense(dense) => {
            let (size, depth) = type_size(&dense.ty);
            match &dense.data {
                DenseData::Elements { values, .. } => (size + values.len(), depth),
                DenseData::Hex(_) | DenseData::Raw(_) => (size, depth),
            }
        }
        _ => (0, 0),
    };
    (size.saturating_add(1), depth + 1)
}

/// Number of nodes of a type, and its depth.
fn type_size(ty: &Type) -> (usize, u32) {
    let (size, depth) = match ty {
        Type::Complex(element) | Type::UnrankedTensor(element) => type_size(element),
        Type::Tensor(tensor) => add(
            type_size(&tensor.element),
            tensor.encoding.as_ref().map_or((0, 0), attr_size),
        ),
        Type::Tuple(items) => items.iter().map(type_size).fold((0, 0), add),
        Type::Function { inputs, results } => inputs.iter().chain(results).map(type_size).fold((0, 0), add),
        _ => (0, 0),
    };
    (size.saturating_add(1), depth + 1)
}

fn add(a: (usize, u32), b: (usize, u32)) -> (usize, u32) {
    (a.0.saturating_add(b.0), a.1.max(b.1))
}
