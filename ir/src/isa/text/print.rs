//! A program as MLIR text.

use std::borrow::Cow;

use crate::isa::*;
use crate::text::source::Sources;
use crate::text::{self, Attr, Block, Document, Operation, Region, Resource};

use super::field::{Field, compound, integer, string};
use super::ops::{self, Attrs};

/// What to print besides the program itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrintOptions {
    /// Where instructions come from in the model's source.
    pub locations: bool,
    /// The bytes of constants; without them a program cannot be read back whole.
    pub constants: bool,
}

/// Prints a program as generic operations of the `isa` dialect.
pub fn print(program: &Program, options: PrintOptions) -> String {
    let mut document = Document::default();
    let mut sources = Sources::default();
    let mut body = Vec::new();
    for var in &program.vars {
        let resource = var.data.as_deref().filter(|_| options.constants).map(|data| Resource {
            dialect: Cow::Borrowed("builtin"),
            key: Cow::Owned(var.name.clone()),
            hex: Cow::Owned(hex(data)),
        });
        body.push(variable(var, resource.is_some()));
        document.resources.extend(resource);
    }
    body.extend(program.inputs.iter().map(|tensor| io_tensor("isa.input", tensor)));
    body.extend(program.outputs.iter().map(|tensor| io_tensor("isa.output", tensor)));
    for queue in &program.queues {
        let mut attrs = Attrs::default();
        attrs.put("sym_name", &queue.name);
        attrs.put("owner", &queue.owner);
        attrs.put("dge", &Some(queue.dge).filter(|&dge| dge != DgeMode::Static));
        body.push(operation("isa.queue", attrs));
    }
    for transfer in &program.transfers {
        let mut attrs = Attrs::default();
        attrs.put("queue", &transfer.queue);
        attrs.put("semaphore", &transfer.semaphore);
        let elements = transfer.elements.iter().map(|e| element(e, program)).collect();
        attrs.put_attr("elements", Some(Attr::Array(elements)));
        let mut printed = operation("isa.transfer", attrs);
        printed.location = sources.add(program.locs.get(transfer.loc), &mut document);
        body.push(printed);
    }
    for engine in Engine::ALL {
        let mut attrs = Attrs::default();
        attrs.put("engine", &engine);
        let mut stream = operation("isa.stream", attrs);
        let instructions = program.stream(engine).iter().map(|instr| {
            let mut attrs = Attrs::default();
            let name = ops::put(&instr.op, &mut attrs);
            attrs.put("wait", &instr.wait);
            attrs.put("update", &instr.update);
            let mut printed = operation(name, attrs);
            printed.location = sources.add(program.locs.get(instr.loc), &mut document);
            printed
        });
        stream.regions.push(region(instructions.collect()));
        body.push(stream);
    }

    let mut attrs = Attrs::default();
    attrs.put("target", &program.target);
    attrs.put("model_flops", &program.model_flops);
    let mut whole = operation("isa.program", attrs);
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

pub(crate) fn operation(name: impl Into<Cow<'static, str>>, attrs: Attrs) -> Operation<'static> {
    Operation {
        // Not properties, `<{...}>`: dialects that are defined at run time have none.
        attributes: attrs.0,
        ..Operation::new(name)
    }
}

/// The end of a region that holds a program or a stream. Operations of dialects that are defined at run time cannot end a
/// block, so it is one of MLIR's own that stands anywhere.
pub(crate) const END: &str = "vector.yield";

/// A region of these operations and [`END`].
pub(crate) fn region(mut operations: Vec<Operation>) -> Region {
    operations.push(Operation::new(END));
    Region {
        blocks: vec![Block {
            operations,
            ..Block::default()
        }],
    }
}

fn variable(var: &Var, has_data: bool) -> Operation<'static> {
    let mut attrs = Attrs::default();
    attrs.put("sym_name", &var.name);
    let kind = match var.kind {
        VarKind::Input { .. } => "input",
        VarKind::Output { .. } => "output",
        VarKind::Const => "const",
        VarKind::Scratch { .. } => "scratch",
    };
    attrs.put_attr("kind", Some(string(kind)));
    match var.kind {
        VarKind::Input { index } | VarKind::Output { index } => attrs.put("index", &index),
        VarKind::Scratch { offset } => attrs.put("offset", &offset),
        VarKind::Const => {}
    }
    attrs.put("bytes", &var.bytes);
    if has_data {
        let sizes = text::Sizes::from_slice(&[i64::try_from(var.bytes).unwrap_or(text::DYNAMIC)]);
        let bytes = text::Type::tensor(sizes, text::Type::Scalar(Cow::Borrowed("ui8")));
        let data = Attr::DenseResource {
            key: Cow::Owned(var.name.clone()),
            ty: Box::new(bytes),
        };
        attrs.put_attr("data", Some(data));
    }
    operation("isa.var", attrs)
}

pub(crate) fn io_tensor(name: &'static str, tensor: &IoTensor) -> Operation<'static> {
    let mut attrs = Attrs::default();
    attrs.put("sym_name", &tensor.name);
    attrs.put("dtype", &tensor.dtype);
    attrs.put("shape", &tensor.shape);
    attrs.put("alias", &tensor.alias);
    attrs.put("must_alias", &tensor.must_alias);
    operation(name, attrs)
}

/// `#isa.dma<op, source, destination>`.
fn element(element: &DmaElement, program: &Program) -> Attr<'static> {
    let op = element.op.put().into_iter();
    compound(
        "isa.dma",
        op.chain([access(&element.src, program), access(&element.dst, program)])
            .collect(),
    )
}

/// `#isa.access<@variable, byte offset, dtype, [steps], [counts]>`, or `"sbuf"` in place of the variable.
fn access(access: &DmaAccess, program: &Program) -> Attr<'static> {
    let place = match access.space {
        DmaSpace::Sbuf => string("sbuf"),
        DmaSpace::Hbm(var) => match program.vars.get(var.0 as usize) {
            Some(var) => Attr::Symbol(vec![Cow::Owned(var.name.clone())]),
            None => integer(var.0),
        },
    };
    let steps: Vec<i64> = access.dims.iter().map(|d| d.step).collect();
    let counts: Vec<u64> = access.dims.iter().map(|d| d.count).collect();
    let fields = [
        Some(place),
        access.offset.put(),
        access.dtype.put(),
        steps.put(),
        counts.put(),
    ];
    compound("isa.access", fields.into_iter().flatten().collect())
}

/// Digits of a resource: four bytes of alignment, then the data.
pub(crate) fn hex(data: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(8 + 2 * data.len());
    out.push_str("01000000");
    for &byte in data {
        out.push(DIGITS[usize::from(byte >> 4)] as char);
        out.push(DIGITS[usize::from(byte & 15)] as char);
    }
    out
}
