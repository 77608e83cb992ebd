//! XLA HLO text, short and long form, to the messages of [`super::message`].

mod computation;
mod shapes;
mod sugar;

use std::collections::HashMap;

use ferrite_ir::diag::{Code, Diagnostic};

use super::attributes;
use super::message::*;
use super::shape::{UNBOUNDED, element_type};
use super::{Places, Program};

/// How deep tuples may nest.
const MAX_DEPTH: usize = 64;

/// At most this many errors are reported.
const MAX_ERRORS: usize = 20;

/// What is wrong at a byte offset.
pub(super) struct Wrong {
    offset: usize,
    message: String,
}

pub(super) type Read<T> = Result<T, Wrong>;

/// Reads a module.
pub(crate) fn parse(source: &str) -> Result<Program, Vec<Diagnostic>> {
    let mut reader = Reader {
        source,
        bytes: source.as_bytes(),
        at: 0,
        next_id: 1,
        counted: (0, 1, 0),
        errors: Vec::new(),
        wrapped: Vec::new(),
        roots: HashMap::new(),
        depth: 0,
    };
    let program = reader.module();
    let mut errors = reader.errors;
    match program {
        Ok(program) if errors.is_empty() => return Ok(program),
        Ok(_) => {}
        Err(wrong) => errors.push(wrong),
    }
    Err(errors.into_iter().map(|wrong| diagnostic(source, wrong)).collect())
}

fn diagnostic(source: &str, wrong: Wrong) -> Diagnostic {
    let before = &source.as_bytes()[..wrong.offset.min(source.len())];
    let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
    let start = before.iter().rposition(|&b| b == b'\n').map_or(0, |n| n + 1);
    let column = before[start..].iter().filter(|&&b| b & 0xC0 != 0x80).count() + 1;
    Diagnostic::error(Code::Parse, wrong.message).at_line(line as u32, column as u32)
}

struct Reader<'a> {
    source: &'a str,
    bytes: &'a [u8],
    at: usize,
    next_id: i64,
    /// Offset up to which lines are counted, number of the line there, offset of its start.
    counted: (usize, u32, usize),
    /// What was wrong with instructions that were left out.
    errors: Vec<Wrong>,
    /// Computations that are not written as such: those of asynchronous instructions, and those in braces.
    wrapped: Vec<HloComputationProto>,
    /// Shapes of the roots of computations.
    roots: HashMap<i64, ShapeProto>,
    /// How deep instructions and computations nest that stand in other ones.
    depth: usize,
}

/// An instruction whose operands and computations are still names.
struct Pending<'a> {
    /// Boxed: it has dozens of fields, and moves a few times.
    proto: Box<HloInstructionProto>,
    operands: Vec<Operand<'a>>,
    called: Vec<Called<'a>>,
    /// Where it begins.
    offset: usize,
}

/// What an instruction takes.
enum Operand<'a> {
    /// The instruction with this name, which stands at this offset.
    Named(&'a str, usize),
    /// One written in its place.
    Nested(Box<Pending<'a>>),
}

/// A computation that an instruction calls.
enum Called<'a> {
    /// The one with this name, which stands at this offset.
    Named(&'a str, usize),
    /// One written in braces.
    Nested(i64),
}

impl<'a> Reader<'a> {
    fn wrong<T>(&self, message: impl Into<String>) -> Read<T> {
        Err(Wrong {
            offset: self.at,
            message: message.into(),
        })
    }

    fn skip(&mut self) {
        loop {
            while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
                self.at += 1;
            }
            if self.bytes.get(self.at) != Some(&b'/') {
                return;
            }
            if self.bytes[self.at..].starts_with(b"/*") {
                let end = self.bytes[self.at..].windows(2).position(|pair| pair == b"*/");
                self.at = end.map_or(self.bytes.len(), |n| self.at + n + 2);
            } else if self.bytes[self.at..].starts_with(b"//") {
                let end = self.bytes[self.at..].iter().position(|&b| b == b'\n');
                self.at = end.map_or(self.bytes.len(), |n| self.at + n);
            } else {
                return;
            }
        }
    }

    fn peek(&mut self) -> u8 {
        self.skip();
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    fn eat(&mut self, token: &str) -> bool {
        self.skip();
        let found = self.bytes[self.at..].starts_with(token.as_bytes());
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: &str, context: &str) -> Read<()> {
        if self.eat(token) {
            Ok(())
        } else {
            self.wrong(format!("expected `{token}` {context}"))
        }
    }

    /// A name: letters, digits and `_.-`, with an optional `%` before.
    fn name(&mut self) -> Option<&'a str> {
        self.eat("%");
        let start = self.at;
        let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b':' | b'$') || *b >= 0x80;
        if !self.bytes.get(start).is_some_and(is_name) {
            return None;
        }
        let length = self.bytes[start..]
            .iter()
            .position(|b| !is_name(b))
            .unwrap_or(self.bytes.len() - start);
        self.at += length;
        let mut name = self.source.get(start..self.at)?;
        // `->` ends a name.
        if name.ends_with('-') && self.bytes.get(self.at) == Some(&b'>') {
            name = &name[..name.len() - 1];
            self.at -= 1;
        }
        Some(name)
    }

    fn need_name(&mut self, what: &str) -> Read<&'a str> {
        match self.name() {
            Some(name) if !name.is_empty() => Ok(name),
            _ => self.wrong(format!("expected {what}")),
        }
    }

    /// The name that is next, without taking it.
    fn peek_name(&mut self) -> Option<&'a str> {
        let start = self.at;
        let name = self.name();
        self.at = start;
        name
    }

    fn module(&mut self) -> Read<Program> {
        let mut module = HloModuleProto::default();
        let mut places = Places::default();
        if self.name() != Some("HloModule") {
            return self.wrong("expected `HloModule`");
        }
        module.name = self.need_name("the name of the module")?.to_string();
        let mut partitions = 1;
        let mut replicas = 1;
        while self.eat(",") {
            let key = self.need_name("the name of a module attribute")?;
            self.expect("=", "after the name of an attribute")?;
            let start = self.at;
            let value = self.value();
            let bad = |message: String| Wrong { offset: start, message };
            match key {
                "input_output_alias" => module.input_output_alias = Some(attributes::aliases(value).map_err(bad)?),
                "buffer_donor" => module.buffer_donor = Some(attributes::donors(value).map_err(bad)?),
                "frontend_attributes" => {
                    module.frontend_attributes = Some(attributes::frontend_attributes(value).map_err(bad)?);
                }
                "num_partitions" => partitions = attributes::integer(value).map_err(bad)?,
                "replica_count" => replicas = attributes::integer(value).map_err(bad)?,
                // Layouts, schedules and propagation flags do not change what is computed.
                _ => {}
            }
        }
        module.device_assignment = (replicas > 1 || partitions > 1).then(|| DeviceAssignment {
            replica_count: i32::try_from(replicas).unwrap_or(1),
            computation_count: i32::try_from(partitions).unwrap_or(1),
            computation_devices: Vec::new(),
        });
        let mut computations: HashMap<&'a str, i64> = HashMap::new();
        loop {
            if self.peek() == 0 && self.at >= self.bytes.len() {
                break;
            }
            let start = self.at;
            let mut name = self.need_name("the name of a computation")?;
            if matches!(name, "FileNames" | "FunctionNames" | "FileLocations" | "StackFrames") {
                self.table(name, &mut module)?;
                continue;
            }
            let entry = name == "ENTRY";
            if entry {
                name = self.need_name("the name of the entry computation")?;
            }
            let proto = self.computation(name, &computations, &mut places)?;
            module.computations.append(&mut self.wrapped);
            if entry {
                module.entry_computation_id = proto.id;
                module.entry_computation_name = name.to_string();
            }
            if computations.insert(name, proto.id).is_some() {
                return Err(Wrong {
                    offset: start,
                    message: format!("computation `{name}` is defined twice"),
                });
            }
            module.computations.push(proto);
        }
        if module.entry_computation_id == 0 {
            // XLA takes the last one where none is marked.
            match module.computations.last() {
                Some(last) => module.entry_computation_id = last.id,
                None => return self.wrong("expected a computation marked `ENTRY`"),
            }
        }
        Ok(Program { module, places })
    }

    /// A numbered table of files, functions or frames.
    fn table(&mut self, name: &str, module: &mut HloModuleProto) -> Read<()> {
        let index = module.stack_frame_index.get_or_insert_default();
        while self.peek().is_ascii_digit() {
            self.name();
            let start = self.at;
            let rest = self.source[self.at..].lines().next().unwrap_or("").trim();
            self.at += self.source[self.at..].find('\n').unwrap_or(self.source.len() - self.at);
            let bad = |message: String| Wrong { offset: start, message };
            let number = |fields: &[(String, &str)], key: &str| {
                let value = fields.iter().find(|(name, _)| name == key).map(|(_, value)| *value);
                value
                    .map_or(Ok(0), attributes::integer)
                    .map(|n| i32::try_from(n).unwrap_or(0))
            };
            match name {
                "FileNames" => index.file_names.push(attributes::string(rest)),
                "FunctionNames" => index.function_names.push(attributes::string(rest)),
                _ => {
                    let fields = attributes::fields(rest).map_err(bad)?;
                    if name == "FileLocations" {
                        index.file_locations.push(FileLocation {
                            file_name_id: number(&fields, "file_name_id").map_err(bad)?,
                            function_name_id: number(&fields, "function_name_id").map_err(bad)?,
                            line: number(&fields, "line").map_err(bad)?,
                            column: number(&fields, "column").map_err(bad)?,
                        });
                    } else {
                        index.stack_frames.push(StackFrame {
                            file_location_id: number(&fields, "file_location_id").map_err(bad)?,
                            parent_frame_id: number(&fields, "parent_frame_id").map_err(bad)?,
                        });
                    }
                }
            }
        }
        Ok(())
    }

    fn computation(
        &mut self,
        name: &str,
        computations: &HashMap<&'a str, i64>,
        places: &mut Places,
    ) -> Read<HloComputationProto> {
        let mut proto = HloComputationProto {
            name: name.to_string(),
            id: self.id(),
            ..Default::default()
        };
        if self.eat("(") {
            // The signature of the long form repeats what the instructions say.
            let mut depth = 1usize;
            while depth > 0 {
                match self.peek() {
                    b'(' => depth += 1,
                    b')' => depth -= 1,
                    0 if self.at >= self.bytes.len() => return self.wrong("expected `)` after a signature"),
                    _ => {}
                }
                self.at += 1;
            }
            self.expect("->", "after the parameters of a signature")?;
            self.shape(0)?;
        }
        self.instructions(&mut proto, computations, places)?;
        if self.eat(",") {
            // `execution_thread="..."`
            self.need_name("the name of an attribute")?;
            self.expect("=", "after the name of an attribute")?;
            self.value();
        }
        Ok(proto)
    }

    /// Line and column of an offset; those asked for mostly follow one another.
    fn place(&mut self, offset: usize) -> (u32, u32) {
        if offset < self.counted.0 {
            self.counted = (0, 1, 0);
        }
        let between = &self.bytes[self.counted.0..offset];
        self.counted.1 += between.iter().filter(|&&b| b == b'\n').count() as u32;
        if let Some(newline) = between.iter().rposition(|&b| b == b'\n') {
            self.counted.2 = self.counted.0 + newline + 1;
        }
        self.counted.0 = offset;
        (self.counted.1, (offset - self.counted.2) as u32 + 1)
    }

    fn id(&mut self) -> i64 {
        self.next_id += 1;
        self.next_id - 1
    }

    /// `shape opcode(operands), key=value, ...`. The shape may be left out where it follows from the operands. One in
    /// place of an operand is without attributes; then `around` is nothing.
    fn instruction(&mut self, name: &str, around: Option<(&HashMap<&'a str, i64>, &mut Places)>) -> Read<Pending<'a>> {
        let mut proto = Box::<HloInstructionProto>::default();
        proto.name = name.to_string();
        self.skip();
        let begin = self.at;
        if self.peek() == b'(' || self.shape_is_next() {
            proto.shape = Some(self.shape(0)?);
        }
        let opcode = self.need_name("an opcode")?;
        if self.bytes.get(self.at) == Some(&b'[') {
            self.at = begin;
            return self.wrong(format!("unknown element type `{opcode}`"));
        }
        proto.opcode = opcode.to_string();
        self.expect("(", "before the operands")?;
        let mut operands = Vec::new();
        match opcode {
            "constant" => {
                let Some(shape) = &proto.shape else {
                    return self.wrong("expected a shape before `constant`");
                };
                let start = self.at;
                let text = self.until_close()?;
                let value = sugar::constant(shape, text, 0);
                proto.literal = Some(Box::new(value.map_err(|message| Wrong { offset: start, message })?));
            }
            "parameter" => {
                let start = self.at;
                let text = self.until_close()?;
                proto.parameter_number =
                    attributes::integer(text).map_err(|message| Wrong { offset: start, message })?;
            }
            _ => {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return self.wrong(format!("instructions nest deeper than {MAX_DEPTH} levels"));
                }
                while !self.eat(")") {
                    operands.push(self.operand(name)?);
                    if !self.eat(",") {
                        self.expect(")", "after the operands")?;
                        break;
                    }
                }
                self.depth -= 1;
            }
        }
        let mut pending = Pending {
            proto,
            operands,
            called: Vec::new(),
            offset: begin,
        };
        if let Some((computations, places)) = around {
            self.attributes(&mut pending, name, computations, places)?;
        }
        Ok(pending)
    }

    /// An operand: its name, with its shape before it or not, or an instruction in its place.
    fn operand(&mut self, name: &str) -> Read<Operand<'a>> {
        self.skip();
        let start = self.at;
        if self.peek() == b'(' || self.shape_is_next() {
            self.shape(0)?;
        }
        self.skip();
        let offset = self.at;
        let operand = self.need_name("an operand")?;
        if self.peek() != b'(' {
            return Ok(Operand::Named(operand, offset));
        }
        self.at = start;
        let inner = self.instruction(&format!("{name}.{operand}"), None)?;
        Ok(Operand::Nested(Box::new(inner)))
    }

    fn attributes(
        &mut self,
        pending: &mut Pending<'a>,
        name: &str,
        computations: &HashMap<&'a str, i64>,
        places: &mut Places,
    ) -> Read<()> {
        while self.eat(",") {
            let key = self.need_name("the name of an attribute")?;
            self.expect("=", "after the name of an attribute")?;
            self.skip();
            let start = self.at;
            let value = self.value();
            if !names_computations(key) {
                attributes::apply(&mut pending.proto, key, value)
                    .map_err(|message| Wrong { offset: start, message })?;
                continue;
            }
            let names: Vec<Called<'_>> = if value.starts_with('{') && value.contains('=') {
                let end = self.at;
                self.at = start;
                let nested = self.nested(name, computations, places)?;
                self.at = end;
                vec![Called::Nested(nested)]
            } else {
                let names = value
                    .split(['{', '}', ',', ' ', '%', '\n'])
                    .filter(|name| !name.is_empty());
                names.map(|name| Called::Named(name, start)).collect()
            };
            // XLA's order: a loop's body before its condition.
            if matches!(key, "body" | "select" | "true_computation") {
                pending.called.splice(0..0, names);
            } else {
                pending.called.extend(names);
            }
        }
        Ok(())
    }

    /// Whether an element type with its dimensions is next.
    fn shape_is_next(&mut self) -> bool {
        let word = self.peek_name();
        word.is_some_and(|word| element_type(word).is_some() && self.shape_follows(word))
    }

    /// Whether the name that is next is an element type with its dimensions.
    fn shape_follows(&self, word: &str) -> bool {
        self.source[self.at..]
            .trim_start()
            .strip_prefix(word)
            .is_some_and(|rest| rest.starts_with('['))
    }

    /// Text up to the `)` that closes a `(` already taken.
    fn until_close(&mut self) -> Read<&'a str> {
        let start = self.at;
        let mut depth = 1usize;
        loop {
            match self.bytes.get(self.at) {
                None => {
                    return Err(Wrong {
                        offset: start,
                        message: "expected `)` that closes this".to_string(),
                    });
                }
                Some(b'(') => depth += 1,
                Some(b')') => {
                    depth -= 1;
                    if depth == 0 {
                        self.at += 1;
                        return Ok(self.source.get(start..self.at - 1).unwrap_or(""));
                    }
                }
                Some(b'"') => {
                    self.at = string_end(self.bytes, self.at);
                    continue;
                }
                Some(_) => {}
            }
            self.at += 1;
        }
    }

    /// The value of an attribute: up to a comma, a newline or the end of what is around, brackets and strings skipped.
    fn value(&mut self) -> &'a str {
        self.skip();
        let start = self.at;
        let mut depth = 0usize;
        while let Some(&b) = self.bytes.get(self.at) {
            match b {
                b'{' | b'[' | b'(' => depth += 1,
                b'}' | b']' | b')' if depth > 0 => depth -= 1,
                b'}' | b')' => break,
                b',' | b'\n' if depth == 0 => break,
                b'"' => {
                    self.at = string_end(self.bytes, self.at);
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
        self.source.get(start..self.at).unwrap_or("").trim_end()
    }

    /// `f32[2,<=3]{1,0:T(8,128)}`, `(a, b)`, `token[]`.
    fn shape(&mut self, depth: usize) -> Read<ShapeProto> {
        if depth > MAX_DEPTH {
            return self.wrong(format!("tuples nest deeper than {MAX_DEPTH} levels"));
        }
        let mut shape = ShapeProto::default();
        if self.eat("(") {
            shape.element_type = TUPLE;
            while !self.eat(")") {
                shape.tuple_shapes.push(self.shape(depth + 1)?);
                if !self.eat(",") {
                    self.expect(")", "after the shapes of a tuple")?;
                    break;
                }
            }
            return Ok(shape);
        }
        let start = {
            self.skip();
            self.at
        };
        let word = self.need_name("a shape")?;
        shape.element_type = match element_type(word) {
            Some(number) => number,
            None => {
                return Err(Wrong {
                    offset: start,
                    message: format!("unknown element type `{word}`"),
                });
            }
        };
        self.expect("[", "after an element type")?;
        while !self.eat("]") {
            let dynamic = self.eat("<=");
            let unbounded = self.eat("?");
            shape.is_dynamic_dimension.push(dynamic || unbounded);
            if unbounded {
                shape.dimensions.push(UNBOUNDED);
            } else {
                let start = {
                    self.skip();
                    self.at
                };
                let size = self.name().unwrap_or("");
                match size.parse() {
                    Ok(size) => shape.dimensions.push(size),
                    Err(_) => {
                        return Err(Wrong {
                            offset: start,
                            message: format!("`{size}` is no size of a dimension"),
                        });
                    }
                }
            }
            if !self.eat(",") {
                self.expect("]", "after the dimensions")?;
                break;
            }
        }
        if !shape.is_dynamic_dimension.contains(&true) {
            shape.is_dynamic_dimension.clear();
        }
        // A layout follows at once.
        if self.bytes.get(self.at) == Some(&b'{') {
            self.at += 1;
            let mut depth = 1usize;
            while depth > 0 {
                match self.bytes.get(self.at) {
                    None => return self.wrong("expected `}` after a layout"),
                    Some(b'{') => depth += 1,
                    Some(b'}') => depth -= 1,
                    Some(_) => {}
                }
                self.at += 1;
            }
        }
        Ok(shape)
    }
}

/// One past the string that begins at `at`.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(&b) = bytes.get(at) {
        match b {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Whether an attribute names computations.
fn names_computations(key: &str) -> bool {
    matches!(
        key,
        "to_apply"
            | "condition"
            | "body"
            | "select"
            | "scatter"
            | "branch_computations"
            | "true_computation"
            | "false_computation"
            | "calls"
            | "called_computations"
    )
}
