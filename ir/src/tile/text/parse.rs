//! A tile program from MLIR text.

use std::collections::HashMap;

use crate::diag::{Code, Diagnostic};
use crate::isa::text::field::Read;
use crate::isa::text::ops::Fields;
use crate::isa::text::{END, read_io_tensor, syntax_errors, unhex};
use crate::text::source::{Locations, Places};
use crate::text::{self, Attr, Document, Operation};
use crate::tile::*;

use super::field::{self, Object};

/// Reads what [`super::print()`] prints, and checks its structure.
///
/// # Errors
/// Every mistake of the text, with line and column; or the first broken rule of [`verify`].
pub fn parse(source: &str) -> Result<Program, Vec<Diagnostic>> {
    let places = Places::new(source);
    let document = text::parse(source).map_err(|errors| syntax_errors(errors, &places))?;
    let mut reader = Reader {
        document: &document,
        locations: Locations::new(&document, &places),
        program: Program::default(),
        values: HashMap::new(),
        errors: Vec::new(),
    };
    reader.document();
    if !reader.errors.is_empty() {
        return Err(reader.errors);
    }
    reader.program.locs = reader.locations.table;
    // What a pass breaks is a defect of ours; what a text breaks is a mistake in the text.
    verify(&reader.program).map_err(|error| {
        vec![Diagnostic {
            code: Code::Verify,
            ..error
        }]
    })?;
    Ok(reader.program)
}

struct Reader<'d, 'a> {
    document: &'d Document<'a>,
    locations: Locations<'d>,
    program: Program,
    values: HashMap<&'d str, Object>,
    errors: Vec<Diagnostic>,
}

impl<'d> Reader<'d, '_> {
    fn document(&mut self) {
        let document = self.document;
        // Some tools wrap what they print into a module.
        let mut operations = &document.operations;
        if let [module] = operations.as_slice()
            && module.name == "builtin.module"
            && let [region] = module.regions.as_slice()
            && let [block] = region.blocks.as_slice()
        {
            operations = &block.operations;
        }
        let [program] = operations.as_slice() else {
            let message = format!("{} operations, expected one `tile.program`", operations.len());
            self.errors.push(Diagnostic::error(Code::Parse, message).at_line(1, 1));
            return;
        };
        self.operation(program, |reader, operation, fields| {
            if operation.name != "tile.program" {
                return Err(format!("`{}` is not `tile.program`", operation.name));
            }
            reader.program.model_flops = fields.get("model_flops")?;
            no_operands(operation)
        });
        for operation in program
            .regions
            .iter()
            .flat_map(|r| &r.blocks)
            .flat_map(|b| &b.operations)
            .filter(|o| o.name != END)
        {
            self.operation(operation, Reader::member);
        }
    }

    /// Runs `read` on an operation and records what went wrong in it.
    fn operation(
        &mut self,
        operation: &'d Operation,
        read: impl FnOnce(&mut Self, &'d Operation, &mut Fields) -> Read<()>,
    ) {
        let mut fields = Fields::new(operation);
        let result = read(self, operation, &mut fields).and_then(|()| fields.end());
        if let Err(message) = result {
            let location = self.locations.of(operation);
            self.errors.push(Diagnostic::error(Code::Parse, message).at(&location));
        }
    }

    fn member(&mut self, operation: &'d Operation, fields: &mut Fields) -> Read<()> {
        match &*operation.name {
            "tile.buffer" => self.buffer(operation, fields),
            "tile.tile" => self.tile(operation, fields),
            "tile.input" => {
                self.program.inputs.push(read_io_tensor(fields)?);
                no_operands(operation)
            }
            "tile.output" => {
                self.program.outputs.push(read_io_tensor(fields)?);
                no_operands(operation)
            }
            other => match other.strip_prefix("tile.") {
                Some(name) => self.op(operation, name, fields),
                None => Err(format!("`{other}` has no place in `tile.program`")),
            },
        }
    }

    /// Gives the one result of an operation its meaning.
    fn define(&mut self, operation: &'d Operation, object: Object) -> Read<()> {
        let [result] = operation.results.as_slice() else {
            return Err(format!("`{}` has one result, which needs a name", operation.name));
        };
        if result.count != 1 {
            return Err(format!("`{}` has one result, not {}", operation.name, result.count));
        }
        match self.values.insert(&result.name, object) {
            Some(_) => Err(format!("`%{}` is defined twice", result.name)),
            None => no_operands(operation),
        }
    }

    fn buffer(&mut self, operation: &'d Operation, fields: &mut Fields) -> Read<()> {
        // Defined before anything can go wrong in it, so that its uses are no further mistakes.
        self.define(operation, Object::Buffer(self.program.buffers.len() as u32))?;
        let id = self.program.add_buffer("", BufferKind::Scratch, 0);
        let name: String = fields.get("name")?;
        let bytes: u64 = fields.get("bytes")?;
        let kind: String = fields.get("kind")?;
        let kind = match kind.as_str() {
            "input" => BufferKind::Input(fields.get("index")?),
            "output" => BufferKind::Output(fields.get("index")?),
            "scratch" => BufferKind::Scratch,
            "per_trip" => {
                let members: Vec<u32> = fields.get("members")?;
                BufferKind::PerTrip(members.into_iter().map(BufferId).collect())
            }
            "const" => {
                let data = match fields.attr("data") {
                    Some(Attr::DenseResource { key, .. }) => match self.document.resource(key) {
                        Some(resource) => unhex(&resource.hex)?,
                        None => return Err(format!("resource `{key}` is missing")),
                    },
                    Some(_) => return Err("`data`: expected `dense_resource<...>`".to_string()),
                    None => return Err("`data`: is missing: this text was printed without constants".to_string()),
                };
                if data.len() as u64 != bytes {
                    return Err(format!("{} bytes of data for a buffer of {bytes}", data.len()));
                }
                BufferKind::Const(data)
            }
            other => return Err(format!("`{other}` is no kind of buffer")),
        };
        self.program.buffers[id.index()] = Buffer { name, kind, bytes };
        Ok(())
    }

    fn tile(&mut self, operation: &'d Operation, fields: &mut Fields) -> Read<()> {
        self.define(operation, Object::Tile(self.program.tiles.len() as u32))?;
        let id = self.program.add_tile(Space::Sbuf, 0, 0, "");
        let name: String = fields.get("name")?;
        let tile = Tile {
            space: fields.get("space")?,
            partitions: fields.get("partitions")?,
            bytes: fields.get("bytes")?,
            name: name.into(),
        };
        if tile.space == Space::Hbm {
            return Err("`space`: a tile is in SBUF or PSUM; HBM has buffers".to_string());
        }
        self.program.tiles[id.index()] = tile;
        Ok(())
    }

    fn op(&mut self, operation: &'d Operation, name: &str, fields: &mut Fields) -> Read<()> {
        let numbered = field::get(name, fields)?;
        let engine = fields.get("engine")?;
        let mut used = vec![false; operation.operands.len()];
        let kind = field::renumber(&numbered, &mut |object| {
            let (Object::Tile(number) | Object::Buffer(number)) = object;
            let Some(operand) = operation.operands.get(number as usize) else {
                let count = operation.operands.len();
                return Err(format!("an attribute names operand {number} of {count}"));
            };
            used[number as usize] = true;
            let value = self.values.get(&*operand.name).filter(|_| operand.number == 0);
            match (object, value) {
                (Object::Tile(_), Some(Object::Tile(id))) | (Object::Buffer(_), Some(Object::Buffer(id))) => Ok(*id),
                (Object::Tile(_), Some(_)) => Err(format!("`%{}` is a buffer, expected a tile", operand.name)),
                (Object::Buffer(_), Some(_)) => Err(format!("`%{}` is a tile, expected a buffer", operand.name)),
                (_, None) => Err(format!("`%{}` is not defined before", operand.name)),
            }
        })?;
        if let Some(number) = used.iter().position(|used| !used) {
            return Err(format!("no attribute says what operand {number} is for"));
        }
        if !operation.results.is_empty() || !operation.regions.is_empty() {
            return Err(format!("`{}` has no results and no regions", operation.name));
        }
        let loc = self.locations.add(operation);
        self.program.ops.push(Op { kind, engine, loc });
        Ok(())
    }
}

fn no_operands(operation: &Operation) -> Read<()> {
    match operation.operands.len() {
        0 => Ok(()),
        count => Err(format!("`{}` takes no operands, found {count}", operation.name)),
    }
}
