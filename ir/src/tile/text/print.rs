//! A tile program as MLIR text.

use std::borrow::Cow;

use crate::isa::text::field::string;
use crate::isa::text::ops::Attrs;
use crate::isa::text::{PrintOptions, hex, io_tensor_attrs, operation, region};
use crate::text::source::Sources;
use crate::text::{self, Attr, Document, Operation, Resource, ResultGroup, Type, ValueUse};
use crate::tile::*;

use super::field::{self, Object};

/// Prints a program as generic operations of the `tile` dialect.
pub fn print(program: &Program, options: PrintOptions) -> String {
    let mut document = Document::default();
    let mut sources = Sources::default();
    let mut body = Vec::new();
    for (number, buffer) in program.buffers.iter().enumerate() {
        let mut attrs = Attrs::default();
        attrs.put("name", &buffer.name);
        let kind = match buffer.kind {
            BufferKind::Input(_) => "input",
            BufferKind::Output(_) => "output",
            BufferKind::Const(_) => "const",
            BufferKind::Scratch => "scratch",
            BufferKind::PerTrip(_) => "per_trip",
        };
        attrs.put_attr("kind", Some(string(kind)));
        if let BufferKind::Input(index) | BufferKind::Output(index) = buffer.kind {
            attrs.put("index", &index);
        }
        attrs.put("bytes", &buffer.bytes);
        if let BufferKind::PerTrip(members) = &buffer.kind {
            attrs.put("members", &members.iter().map(|m| m.0).collect::<Vec<u32>>());
        }
        if let (BufferKind::Const(data), true) = (&buffer.kind, options.constants) {
            let key: Cow<'static, str> = format!("b{number}").into();
            attrs.put_attr("data", Some(resource_attr(key.clone(), data.len())));
            document.resources.push(Resource {
                dialect: "builtin".into(),
                key,
                hex: hex(data).into(),
            });
        }
        body.push(definition("tile.buffer", format!("b{number}"), attrs));
    }
    for (number, tile) in program.tiles.iter().enumerate() {
        let mut attrs = Attrs::default();
        attrs.put("name", &tile.name.to_string());
        attrs.put("space", &tile.space);
        attrs.put("partitions", &tile.partitions);
        attrs.put("bytes", &tile.bytes);
        body.push(definition("tile.tile", format!("t{number}"), attrs));
    }
    body.extend(
        program
            .inputs
            .iter()
            .map(|tensor| io_tensor_attrs("tile.input", tensor)),
    );
    body.extend(
        program
            .outputs
            .iter()
            .map(|tensor| io_tensor_attrs("tile.output", tensor)),
    );
    for op in &program.ops {
        let mut printed = operation_of(op);
        if options.locations {
            printed.location = sources.add(program.locs.get(op.loc), &mut document);
        }
        body.push(printed);
    }
    let mut attrs = Attrs::default();
    attrs.put("model_flops", &program.model_flops);
    let mut whole = operation("tile.program", attrs);
    whole.regions.push(region(body));
    document.operations.push(whole);
    text::print(
        &document,
        text::PrintOptions {
            generic: true,
            locations: options.locations,
        },
    )
}

/// The type of tiles and buffers: IRDL allows any number of operands of one type only.
const MEMORY: &str = "tile.memory";

fn dialect_type(name: &'static str) -> Type<'static> {
    Type::Dialect {
        name: name.into(),
        body: None,
    }
}

/// `dense_resource<key> : tensor<bytes x ui8>`.
fn resource_attr(key: Cow<'static, str>, bytes: usize) -> Attr<'static> {
    let sizes = text::Sizes::from_slice(&[i64::try_from(bytes).unwrap_or(text::DYNAMIC)]);
    Attr::DenseResource {
        key,
        ty: Box::new(Type::tensor(sizes, Type::Scalar("ui8".into()))),
    }
}

/// An operation whose result is a tile or buffer.
fn definition(name: &'static str, result: String, attrs: Attrs) -> Operation<'static> {
    let mut op = operation(name, attrs);
    op.results.push(ResultGroup {
        name: result.into(),
        count: 1,
    });
    op.result_types.push(dialect_type(MEMORY));
    op
}

fn operation_of(op: &Op) -> Operation<'static> {
    let mut operands: Vec<ValueUse<'static>> = Vec::new();
    let mut types = Vec::new();
    let numbered = field::renumber(&op.kind, &mut |object| {
        let name = match object {
            Object::Tile(id) => format!("t{id}"),
            Object::Buffer(id) => format!("b{id}"),
        };
        let number = operands.len() as u32;
        operands.push(ValueUse {
            name: name.into(),
            number: 0,
            offset: 0,
        });
        types.push(dialect_type(MEMORY));
        Ok(number)
    });
    let mut attrs = Attrs::default();
    // Numbering for print has no case that is refused; the unnumbered operation would stand for itself.
    let name = field::put(numbered.as_ref().unwrap_or(&op.kind), &mut attrs);
    attrs.put("engine", &op.engine);
    let mut printed = operation(format!("tile.{name}"), attrs);
    printed.operands = operands;
    printed.operand_types = types;
    printed
}
