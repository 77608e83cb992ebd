//! XLA HLO text, short and long form, to the messages of [`super::message`].

use std::collections::HashMap;

use ferrite_ir::diag::{Code, Diagnostic};

use super::attributes;
use super::message::*;
use super::shape::element_type;
use super::{Places, Program};

/// How deep tuples may nest.
const MAX_DEPTH: usize = 64;

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
    };
    reader.module().map_err(|wrong| {
        let before = &source.as_bytes()[..wrong.offset.min(source.len())];
        let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
        let start = before.iter().rposition(|&b| b == b'\n').map_or(0, |n| n + 1);
        let column = before[start..].iter().filter(|&&b| b & 0xC0 != 0x80).count() + 1;
        vec![Diagnostic::error(Code::Parse, wrong.message).at_line(line as u32, column as u32)]
    })
}

struct Reader<'a> {
    source: &'a str,
    bytes: &'a [u8],
    at: usize,
    next_id: i64,
    /// Offset up to which lines are counted, number of the line there, offset of its start.
    counted: (usize, u32, usize),
}

/// An instruction whose operands and computations are still names.
struct Pending<'a> {
    proto: HloInstructionProto,
    operands: Vec<(&'a str, usize)>,
    called: Vec<(&'a str, usize)>,
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
        module.device_assignment = Some(DeviceAssignment {
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
            match &module.computations[..] {
                [single] => module.entry_computation_id = single.id,
                _ => return self.wrong("expected a computation marked `ENTRY`"),
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
        self.expect("{", "before the instructions of a computation")?;
        let mut instructions: HashMap<&'a str, i64> = HashMap::new();
        let mut rooted = false;
        while !self.eat("}") {
            if self.at >= self.bytes.len() {
                return self.wrong("expected `}` after the instructions of a computation");
            }
            let start = self.at;
            let mut name = self.need_name("the name of an instruction")?;
            let root = name == "ROOT";
            if root {
                name = self.need_name("the name of the root instruction")?;
            }
            let mut pending = self.instruction(name)?;
            pending.proto.id = self.id();
            for (operand, offset) in pending.operands {
                match instructions.get(operand) {
                    Some(&id) => pending.proto.operand_ids.push(id),
                    None => {
                        let message = format!("operand `{operand}` is used before it is defined");
                        return Err(Wrong { offset, message });
                    }
                }
            }
            for (called, offset) in pending.called {
                match computations.get(called) {
                    Some(&id) => pending.proto.called_computation_ids.push(id),
                    None => {
                        return Err(Wrong {
                            offset,
                            message: format!("computation `{called}` is not defined before"),
                        });
                    }
                }
            }
            if instructions.insert(name, pending.proto.id).is_some() {
                return Err(Wrong {
                    offset: start,
                    message: format!("instruction `{name}` is defined twice"),
                });
            }
            // Without `ROOT` the last instruction is the root.
            if root || !rooted {
                proto.root_id = pending.proto.id;
                rooted = root;
            }
            places.0.insert(pending.proto.id, self.place(start));
            proto.instructions.push(pending.proto);
        }
        if self.eat(",") {
            // `execution_thread="..."`
            self.need_name("the name of an attribute")?;
            self.expect("=", "after the name of an attribute")?;
            self.value();
        }
        Ok(proto)
    }

    /// Line and column of an offset that is not before the last one asked for.
    fn place(&mut self, offset: usize) -> (u32, u32) {
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

    /// `= shape opcode(operands), key=value, ...`.
    fn instruction(&mut self, name: &'a str) -> Read<Pending<'a>> {
        let mut proto = HloInstructionProto {
            name: name.to_string(),
            ..Default::default()
        };
        self.expect("=", "after the name of an instruction")?;
        let shape = self.shape(0)?;
        let opcode = self.need_name("an opcode")?;
        proto.opcode = opcode.to_string();
        self.expect("(", "before the operands")?;
        let mut operands = Vec::new();
        match opcode {
            "constant" => {
                let start = self.at;
                let text = self.until_close()?;
                let text = if text.trim().is_empty() { "{}" } else { text };
                if !shape.tuple_shapes.is_empty() {
                    return Err(Wrong {
                        offset: start,
                        message: "constants that are tuples are not supported".into(),
                    });
                }
                proto.literal = Some(LiteralProto {
                    shape: Some(shape.clone()),
                    text: text.to_string(),
                    ..Default::default()
                });
            }
            "parameter" => {
                let start = self.at;
                let text = self.until_close()?;
                proto.parameter_number =
                    attributes::integer(text).map_err(|message| Wrong { offset: start, message })?;
            }
            _ => {
                while !self.eat(")") {
                    let named = matches!(self.peek_name(), Some(word) if element_type(word).is_none() || !self.shape_follows(word));
                    if self.peek() == b'(' || !(self.peek() == b'%' || named) {
                        self.shape(0)?;
                    }
                    let offset = self.at;
                    operands.push((self.need_name("an operand")?, offset));
                    if !self.eat(",") {
                        self.expect(")", "after the operands")?;
                        break;
                    }
                }
            }
        }
        proto.shape = Some(shape);
        let mut called = Vec::new();
        while self.eat(",") {
            let key = self.need_name("the name of an attribute")?;
            self.expect("=", "after the name of an attribute")?;
            self.skip();
            let start = self.at;
            let value = self.value();
            if names_computations(key) {
                let names = value.split(['{', '}', ',', ' ', '%']).filter(|name| !name.is_empty());
                let names: Vec<_> = names.map(|name| (name, start)).collect();
                // XLA's order: a loop's body before its condition.
                if matches!(key, "body" | "select" | "true_computation") {
                    called.splice(0..0, names);
                } else {
                    called.extend(names);
                }
                continue;
            }
            attributes::apply(&mut proto, key, value).map_err(|message| Wrong { offset: start, message })?;
        }
        Ok(Pending {
            proto,
            operands,
            called,
        })
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
            shape.is_dynamic_dimension.push(dynamic);
            if self.eat("?") {
                return self.wrong("dimensions without a bound are not supported in HLO text");
            }
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
