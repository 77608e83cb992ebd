//! From [`Module`] to MLIR text.
//!
//! A module becomes the tree of [`crate::text`] with the value names that MLIR would choose, and the tree is printed
//! in custom form as JAX prints it, or in generic form. What is printed reads back as an equal module.

mod attributes;
mod kinds;
mod literal;
mod names;

#[cfg(test)]
mod random;
#[cfg(test)]
mod tests;

use super::attrs::{Attr as HloAttr, Attrs};
use super::func::{Func, OpId, RegionId, ValueId};
use super::module::{Module, Param};
use super::ops::OpKind;
use super::types::{TensorType, Type};
use crate::loc::LocId;
use crate::text::source::Sources;
use crate::text::{self, Attr, Block, BlockArgument, Document, NamedAttr, Operation, Region, ResultGroup, ValueUse};

pub use crate::text::PrintOptions;
use names::Names;

/// Prints a module in custom form, without locations.
pub fn print(module: &Module) -> String {
    print_with(module, PrintOptions::default())
}

/// The text of an attribute.
pub fn attribute_text(attr: &super::attrs::Attr) -> String {
    text::print_attribute(&attributes::convert(attr))
}

/// Prints a module.
pub fn print_with(module: &Module, options: PrintOptions) -> String {
    text::print(&document(module, options.locations), options)
}

/// Prints one operation in custom form with the names that [`print`](fn@print) gives its values, for messages and dumps.
pub fn print_operation(module: &Module, func: &Func, op: OpId) -> String {
    let mut printer = Printer {
        module,
        document: Document::default(),
        sources: Sources::default(),
        locations: false,
    };
    let names = Names::new(func);
    let operation = printer.operation(func, op, &names);
    text::print(&Document::of(operation), PrintOptions::default())
        .trim_end()
        .to_string()
}

/// The tree of a module, with locations in the model's source if asked for.
pub fn document(module: &Module, locations: bool) -> Document<'_> {
    let mut printer = Printer {
        module,
        document: Document::default(),
        sources: Sources::default(),
        locations,
    };
    let mut top = Operation::new("builtin.module");
    if !module.name.is_empty() {
        top.set("sym_name", Attr::String(module.name.as_str().into()));
    }
    top.attributes = attributes::dictionary(&module.attrs);
    let mut block = Block::default();
    for symbol in &module.symbols {
        // Symbols are text that came from a parsed file; what is not one cannot be printed as one.
        if let Ok(parsed) = text::parse(symbol) {
            block.operations.extend(parsed.operations);
        }
    }
    for func in &module.funcs {
        let operation = printer.function(func);
        block.operations.push(operation);
    }
    top.regions.push(Region { blocks: vec![block] });
    printer.document.operations.push(top);
    printer.document
}

/// A type in the form of the tree.
pub(super) fn value_type(ty: &Type) -> text::Type<'static> {
    match ty {
        Type::Tensor(tensor) => tensor_type(tensor),
        Type::Token => text::Type::Dialect {
            name: "stablehlo.token".into(),
            body: None,
        },
        Type::Tuple(items) => text::Type::Tuple(items.iter().map(value_type).collect()),
        Type::Future(items) => {
            let body: Vec<String> = items.iter().map(Type::to_string).collect();
            text::Type::Dialect {
                name: "stablehlo.future".into(),
                body: Some(body.join(", ").into()),
            }
        }
    }
}

pub(super) fn tensor_type(tensor: &TensorType) -> text::Type<'static> {
    if tensor.extra.is_some() {
        // Quantization and bounds: the type prints itself.
        return text::Type::Raw(tensor.to_string().into());
    }
    let scalar = text::Type::Scalar(tensor.dtype.real().mlir().into());
    let element = if tensor.dtype.is_complex() {
        text::Type::Complex(Box::new(scalar))
    } else {
        scalar
    };
    text::Type::tensor(text::Sizes::from_slice(&tensor.shape), element)
}

struct Printer<'m> {
    module: &'m Module,
    document: Document<'m>,
    sources: Sources<'m>,
    locations: bool,
}

impl<'m> Printer<'m> {
    fn location(&mut self, id: LocId) -> text::LocId {
        if self.locations {
            self.sources.add(self.module.locs.get(id), &mut self.document)
        } else {
            text::LocId::UNKNOWN
        }
    }

    fn function(&mut self, func: &'m Func) -> Operation<'m> {
        let names = Names::new(func);
        let mut op = Operation::new("func.func");
        let dictionaries = |items: Vec<Vec<NamedAttr<'m>>>| Attr::Array(items.into_iter().map(Attr::Dict).collect());
        let params: Vec<_> = func.params.iter().map(param).collect();
        if params.iter().any(|items| !items.is_empty()) {
            op.set("arg_attrs", dictionaries(params));
        }
        let body = func.body();
        let inputs = func.args().iter().map(|&v| value_type(func.ty(v))).collect();
        let results = func.result_types().iter().map(value_type).collect();
        op.set("function_type", Attr::Type(text::Type::Function { inputs, results }));
        let results: Vec<_> = func
            .results
            .iter()
            .map(|result| attributes::dictionary(&result.attrs))
            .collect();
        if results.iter().any(|items| !items.is_empty()) {
            op.set("res_attrs", dictionaries(results));
        }
        op.set("sym_name", Attr::String(func.name.as_str().into()));
        op.attributes = attributes::dictionary(&func.attrs);
        op.attributes.retain(|item| item.name != "sym_visibility");
        match func.attrs.get("sym_visibility") {
            _ if !func.public => op.set("sym_visibility", Attr::String("private".into())),
            Some(visibility) => op.set("sym_visibility", attributes::convert(visibility)),
            None => {}
        }
        op.location = self.location(func.loc);
        let region = self.region(func, body, &names, "func.return");
        op.regions.push(region);
        op
    }

    fn region(&mut self, func: &'m Func, id: RegionId, names: &Names, terminator: &'static str) -> Region<'m> {
        let region = func.region(id);
        let arguments = region
            .args
            .iter()
            .map(|&v| BlockArgument {
                name: names.name(v).to_string().into(),
                ty: value_type(func.ty(v)),
                location: text::LocId::UNKNOWN,
            })
            .collect();
        let mut operations = Vec::with_capacity(region.ops.len() + 1);
        for &op in &region.ops {
            operations.push(self.operation(func, op, names));
        }
        let mut end = Operation::new(terminator);
        end.operands = region.results.iter().map(|&v| operand(names, v)).collect();
        end.operand_types = region.results.iter().map(|&v| value_type(func.ty(v))).collect();
        end.location = self.location(region.loc);
        operations.push(end);
        Region {
            blocks: vec![Block {
                label: None,
                arguments,
                operations,
            }],
        }
    }

    fn operation(&mut self, func: &'m Func, id: OpId, names: &Names) -> Operation<'m> {
        let op = func.op(id);
        let name = match &op.kind {
            OpKind::ChloBroadcastBinary(chlo) => format!("chlo.broadcast_{}", chlo.op).into(),
            kind => kind.mnemonic().into(),
        };
        let mut out = Operation {
            name,
            ..Operation::new("")
        };
        for &result in &op.results {
            match out.results.last_mut() {
                Some(group) if names.number(result) > 0 => group.count += 1,
                _ => out.results.push(ResultGroup {
                    name: names.name(result).to_string().into(),
                    count: 1,
                }),
            }
        }
        out.operands = op.operands.iter().map(|&v| operand(names, v)).collect();
        out.operand_types = op.operands.iter().map(|&v| value_type(func.ty(v))).collect();
        out.result_types = op.results.iter().map(|&v| value_type(func.ty(v))).collect();
        out.properties = kinds::properties(&op.kind);
        if let Some(attrs) = &op.attrs {
            out.attributes = attributes::dictionary(attrs);
        }
        out.location = self.location(op.loc);
        let terminator = match op.kind {
            OpKind::ManualComputation(_) => "sdy.return",
            _ => "stablehlo.return",
        };
        for &region in &op.regions {
            let region = self.region(func, region, names, terminator);
            out.regions.push(region);
        }
        out
    }
}

fn operand(names: &Names, value: ValueId) -> ValueUse<'static> {
    ValueUse {
        name: names.name(value).to_string().into(),
        number: names.number(value),
        offset: 0,
    }
}

fn param(param: &Param) -> Vec<NamedAttr<'_>> {
    let mut attrs: Attrs = param.attrs.clone();
    if let Some(alias) = param.alias {
        attrs.insert("tf.aliasing_output".to_string(), HloAttr::Int(alias.output as i64, 32));
    }
    if param.donated {
        attrs.insert("jax.buffer_donor".to_string(), HloAttr::Bool(true));
    }
    attributes::owned_dictionary(&attrs)
}
