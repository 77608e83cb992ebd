//! A program from MLIR text.

use std::collections::HashMap;
use std::sync::Arc;

use crate::diag::{Code, Diagnostic};
use crate::isa::*;
use crate::text::source::{Locations, Places};
use crate::text::{self, Attr, Document, Operation};

use super::END;
use super::field::{Field, Read, parameters};
use super::ops::{self, Fields};

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
        program: Program::new(""),
        vars: HashMap::new(),
        errors: Vec::new(),
    };
    reader.document();
    if !reader.errors.is_empty() {
        return Err(reader.errors);
    }
    reader.program.locs = reader.locations.table;
    verify(&reader.program).map_err(|error| vec![error])?;
    Ok(reader.program)
}

/// Diagnostics of a text that is no MLIR.
pub(crate) fn syntax_errors(errors: Vec<text::SyntaxError>, places: &Places) -> Vec<Diagnostic> {
    let diagnostic = |error: text::SyntaxError| {
        let (line, column) = places.line_column(error.span.start);
        let diagnostic = Diagnostic::error(Code::Parse, error.message).at_line(line, column);
        match error.help {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        }
    };
    errors.into_iter().map(diagnostic).collect()
}

struct Reader<'d, 'a> {
    document: &'d Document<'a>,
    locations: Locations<'d>,
    program: Program,
    vars: HashMap<&'d str, VarId>,
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
            let message = format!("{} operations, expected one `isa.program`", operations.len());
            self.errors.push(Diagnostic::error(Code::Parse, message));
            return;
        };
        self.operation(program, |reader, operation, fields| {
            if operation.name != "isa.program" {
                return Err(format!("`{}` is not `isa.program`", operation.name));
            }
            reader.program.target = fields.get("target")?;
            reader.program.model_flops = fields.get("model_flops")?;
            Ok(())
        });
        let body = || {
            program
                .regions
                .iter()
                .flat_map(|r| &r.blocks)
                .flat_map(|b| &b.operations)
        };
        // Transfers name variables, so those come first wherever they stand.
        for operation in body().filter(|o| o.name == "isa.var") {
            self.operation(operation, Reader::variable);
        }
        for operation in body().filter(|o| o.name != "isa.var" && o.name != END) {
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

    fn variable(&mut self, operation: &'d Operation, fields: &mut Fields) -> Read<()> {
        let name: String = fields.get("sym_name")?;
        let kind: String = fields.get("kind")?;
        let kind = match kind.as_str() {
            "input" => VarKind::Input {
                index: fields.get("index")?,
            },
            "output" => VarKind::Output {
                index: fields.get("index")?,
            },
            "const" => VarKind::Const,
            "scratch" => VarKind::Scratch {
                offset: fields.get("offset")?,
            },
            other => return Err(format!("`{other}` is no kind of variable")),
        };
        let bytes = fields.get("bytes")?;
        let data = match fields.attr("data") {
            None => None,
            Some(Attr::DenseResource { key, .. }) => {
                let resource = self
                    .document
                    .resource(key)
                    .ok_or_else(|| format!("resource `{key}` is missing"))?;
                Some(unhex(&resource.hex)?)
            }
            Some(_) => return Err("`data`: expected `dense_resource<...>`".to_string()),
        };
        if let Some(have) = data.as_ref().map(|d| d.len() as u64)
            && have != bytes
        {
            return Err(format!("{have} bytes of data for a variable of {bytes}"));
        }
        let id = VarId(self.program.vars.len() as u32);
        if let Some(Attr::String(name)) = operation.attr("sym_name")
            && self.vars.insert(name, id).is_some()
        {
            return Err(format!("variable `{name}` is declared twice"));
        }
        self.program.vars.push(Var {
            name,
            kind,
            bytes,
            data,
        });
        Ok(())
    }

    fn member(&mut self, operation: &'d Operation, fields: &mut Fields) -> Read<()> {
        match &*operation.name {
            "isa.input" => self.program.inputs.push(io_tensor(fields)?),
            "isa.output" => self.program.outputs.push(io_tensor(fields)?),
            "isa.queue" => {
                let queue = Queue {
                    name: fields.get("sym_name")?,
                    owner: fields.get("owner")?,
                    dge: fields.get::<Option<DgeMode>>("dge")?.unwrap_or_default(),
                };
                self.program.queues.push(queue);
            }
            "isa.transfer" => {
                let elements = match fields.attr("elements") {
                    Some(Attr::Array(all)) => all.iter().map(|e| self.element(e)).collect::<Read<Vec<_>>>()?,
                    _ => return Err("`elements`: expected a list".to_string()),
                };
                let (queue, semaphore) = (fields.get("queue")?, fields.get("semaphore")?);
                let loc = self.locations.add(operation);
                self.program.transfers.push(Transfer {
                    queue,
                    semaphore,
                    elements,
                    loc,
                });
            }
            "isa.stream" => {
                let engine: Engine = fields.get("engine")?;
                if !self.program.stream(engine).is_empty() {
                    return Err(format!("a second stream of `{engine}`"));
                }
                for instruction in operation
                    .regions
                    .iter()
                    .flat_map(|r| &r.blocks)
                    .flat_map(|b| &b.operations)
                    .filter(|o| o.name != END)
                {
                    self.operation(instruction, |reader, instruction, fields| {
                        let op = ops::get(instruction, fields)?;
                        let (wait, update) = (fields.get("wait")?, fields.get("update")?);
                        let loc = reader.locations.add(instruction);
                        reader.program.streams[engine.index()].push(Instr { op, wait, update, loc });
                        Ok(())
                    });
                }
            }
            other => return Err(format!("`{other}` has no place in `isa.program`")),
        }
        Ok(())
    }

    fn element(&self, attr: &Attr) -> Read<DmaElement> {
        parameters(attr, "isa.dma", |all| match all {
            [op, src, dst] => Ok(DmaElement {
                op: DmaOp::get(Some(op))?,
                src: self.access(src)?,
                dst: self.access(dst)?,
            }),
            _ => Err("expected `#isa.dma<op, source, destination>`".to_string()),
        })
    }

    fn access(&self, attr: &Attr) -> Read<DmaAccess> {
        parameters(attr, "isa.access", |all| {
            let [place, offset, dtype, steps, counts] = all else {
                return Err(format!("{} parameters of `#isa.access`, expected 5", all.len()));
            };
            let space = match place {
                Attr::String(name) if name == "sbuf" => DmaSpace::Sbuf,
                Attr::Symbol(path) => match path.as_slice() {
                    [name] => {
                        let var = self.vars.get(&**name);
                        DmaSpace::Hbm(*var.ok_or_else(|| format!("variable `{name}` does not exist"))?)
                    }
                    _ => return Err("a nested symbol is no variable".to_string()),
                },
                _ => return Err("expected a variable or \"sbuf\"".to_string()),
            };
            let (steps, counts) = (Vec::<i64>::get(Some(steps))?, Vec::<u64>::get(Some(counts))?);
            if steps.len() != counts.len() {
                return Err(format!("{} steps and {} counts", steps.len(), counts.len()));
            }
            Ok(DmaAccess {
                space,
                offset: u64::get(Some(offset))?,
                dtype: crate::dtype::DType::get(Some(dtype))?,
                dims: steps
                    .into_iter()
                    .zip(counts)
                    .map(|(step, count)| DmaDim { step, count })
                    .collect(),
            })
        })
    }
}

pub(crate) fn io_tensor(fields: &mut Fields) -> Read<IoTensor> {
    Ok(IoTensor {
        name: fields.get("sym_name")?,
        dtype: fields.get("dtype")?,
        shape: fields.get("shape")?,
        alias: fields.get("alias")?,
        must_alias: fields.get("must_alias")?,
    })
}

/// Data of a resource, without the four bytes of alignment.
pub(crate) fn unhex(digits: &str) -> Read<Arc<[u8]>> {
    let value = |digit: u8| (digit as char).to_digit(16).map(|v| v as u8);
    let bytes = digits.as_bytes().chunks(2).skip(4).map(|pair| match pair {
        [high, low] => Some(value(*high)? << 4 | value(*low)?),
        _ => None,
    });
    bytes
        .collect::<Option<Arc<[u8]>>>()
        .ok_or_else(|| "not an even number of hexadecimal digits".to_string())
}
