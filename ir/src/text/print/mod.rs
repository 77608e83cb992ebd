//! Printing of trees as MLIR text.

mod attributes;
mod custom;
mod float;
mod structured;

pub use attributes::{print_attribute, print_type};
pub use float::format_float;

use std::collections::HashSet;

use super::custom::format::format;
use super::tree::*;

/// How a tree is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrintOptions {
    /// All operations in generic form.
    pub generic: bool,
    /// Locations with every operation and argument.
    pub locations: bool,
}

/// Prints a file. What has no custom form, or does not fit it, is printed in generic form.
pub fn print(document: &Document, options: PrintOptions) -> String {
    let mut printer = Printer {
        out: String::new(),
        document,
        options,
        indent: 0,
        in_function: false,
        groups: HashSet::new(),
    };
    printer.location_aliases();
    for operation in &document.operations {
        printer.operation(operation);
        printer.out.push('\n');
    }
    printer.resources();
    printer.out
}

/// A custom form that does not fit the operation.
pub(super) struct Unfit;

pub(super) type Fitted = Result<(), Unfit>;

pub(super) struct Printer<'p, 'a> {
    pub(super) out: String,
    document: &'p Document<'a>,
    options: PrintOptions,
    indent: usize,
    /// Whether the operation stands directly in a function, where `func.` may be left out.
    in_function: bool,
    /// Names that stand for several results, whose first is `%name#0`.
    groups: HashSet<String>,
}

impl<'a> Printer<'_, 'a> {
    pub(super) fn put(&mut self, text: &str) {
        self.out.push_str(text);
    }

    pub(super) fn newline(&mut self) {
        self.out.push('\n');
        for _ in 0..self.indent {
            self.out.push_str("  ");
        }
    }

    /// Puts items with commas between.
    pub(super) fn list<T>(&mut self, items: impl IntoIterator<Item = T>, mut put: impl FnMut(&mut Self, T)) {
        for (n, item) in items.into_iter().enumerate() {
            if n > 0 {
                self.put(", ");
            }
            put(self, item);
        }
    }

    fn location_aliases(&mut self) {
        if !self.options.locations {
            return;
        }
        let document = self.document;
        for &id in &document.location_order {
            let Some(location) = document.locations.get(id.0 as usize) else {
                continue;
            };
            if id == LocId::UNKNOWN {
                continue;
            }
            self.put(&format!("#loc{} = loc(", id.0));
            match location {
                Location::Unknown => self.put("unknown"),
                Location::File {
                    path,
                    line,
                    column,
                    end,
                } => {
                    attributes::put_string(&mut self.out, path.as_bytes());
                    self.put(&format!(":{line}:{column}"));
                    match end {
                        Some((last, column)) if last == line => self.put(&format!(" to :{column}")),
                        Some((last, column)) => self.put(&format!(" to {last}:{column}")),
                        None => {}
                    }
                }
                Location::Name { name, child } => {
                    attributes::put_string(&mut self.out, name.as_bytes());
                    if let Some(child) = child {
                        self.put("(");
                        self.location_reference(*child);
                        self.put(")");
                    }
                }
                Location::CallSite { callee, caller } => {
                    self.put("callsite(");
                    self.location_reference(*callee);
                    self.put(" at ");
                    self.location_reference(*caller);
                    self.put(")");
                }
                Location::Fused { metadata, children } => {
                    self.put("fused");
                    if let Some(metadata) = metadata {
                        self.put("<");
                        attributes::put_attribute(&mut self.out, metadata);
                        self.put(">");
                    }
                    self.put("[");
                    self.list(children, |p, child| p.location_reference(*child));
                    self.put("]");
                }
            }
            self.put(")\n");
        }
    }

    fn location_reference(&mut self, id: LocId) {
        if id == LocId::UNKNOWN {
            self.put("unknown");
        } else {
            self.put(&format!("#loc{}", id.0));
        }
    }

    pub(super) fn trailing_location(&mut self, id: LocId) {
        if self.options.locations {
            self.put(" loc(");
            self.location_reference(id);
            self.put(")");
        }
    }

    fn resources(&mut self) {
        if self.document.resources.is_empty() {
            return;
        }
        self.put("\n{-#\n  dialect_resources: {\n");
        let mut resources: Vec<_> = self.document.resources.iter().collect();
        resources.sort_by(|a, b| a.dialect.cmp(&b.dialect));
        let mut open: Option<&str> = None;
        for resource in resources {
            if open == Some(&resource.dialect) {
                self.put(",\n");
            } else {
                if open.is_some() {
                    self.put("\n    },\n");
                }
                self.put("    ");
                attributes::put_word(&mut self.out, &resource.dialect);
                self.put(": {\n");
                open = Some(&resource.dialect);
            }
            self.put("      ");
            attributes::put_word(&mut self.out, &resource.key);
            self.put(": \"0x");
            self.put(&resource.hex);
            self.put("\"");
        }
        self.put("\n    }\n  }\n#-}\n");
    }

    pub(super) fn operation(&mut self, op: &Operation<'a>) {
        if !op.results.is_empty() {
            self.list(&op.results, |p, group| {
                p.put("%");
                p.put(&group.name);
                if group.count != 1 {
                    p.put(&format!(":{}", group.count));
                }
            });
            self.put(" = ");
        }
        let mark = self.out.len();
        let indent = self.indent;
        let in_function = self.in_function;
        if self.options.generic || self.custom(op).is_err() {
            self.out.truncate(mark);
            self.indent = indent;
            self.in_function = false;
            self.generic(op);
        }
        self.in_function = in_function;
        for group in &op.results {
            if group.count != 1 {
                self.groups.insert(group.name.to_string());
            } else if !self.groups.is_empty() {
                self.groups.remove(&*group.name);
            }
        }
        self.trailing_location(op.location);
    }

    fn custom(&mut self, op: &Operation<'a>) -> Fitted {
        let name: &str = &op.name;
        match name {
            "builtin.module" => structured::module(self, op),
            "func.func" => structured::function(self, op),
            "stablehlo.constant" | "chlo.constant" => structured::constant(self, op),
            "stablehlo.reduce" => structured::reduce(self, op),
            "stablehlo.while" => structured::while_loop(self, op),
            "sdy.mesh" => structured::mesh(self, op),
            "sdy.manual_computation" => structured::manual_computation(self, op),
            _ => {
                let pieces = format(name).ok_or(Unfit)?;
                if !op.regions.is_empty() || !op.successors.is_empty() {
                    return Err(Unfit);
                }
                let short = match name {
                    "func.return" | "func.call" if self.in_function => &name["func.".len()..],
                    _ => name,
                };
                self.put(short);
                custom::pieces(self, op, pieces)
            }
        }
    }

    fn generic(&mut self, op: &Operation<'a>) {
        attributes::put_string(&mut self.out, op.name.as_bytes());
        self.put("(");
        self.operands(&op.operands);
        self.put(")");
        if !op.successors.is_empty() {
            self.put("[");
            self.list(&op.successors, |p, label| {
                p.put("^");
                p.put(label);
            });
            self.put("]");
        }
        if !op.properties.is_empty() {
            self.put(" <");
            attributes::put_dictionary(&mut self.out, &op.properties);
            self.put(">");
        }
        if !op.regions.is_empty() {
            self.put(" (");
            self.list(&op.regions, |p, region| p.region(region, true));
            self.put(")");
        }
        if !op.attributes.is_empty() {
            self.put(" ");
            attributes::put_dictionary(&mut self.out, &op.attributes);
        }
        self.put(" : ");
        self.functional_type(op);
    }

    pub(super) fn operands(&mut self, operands: &[ValueUse<'a>]) {
        self.list(operands, |p, value| p.operand(value));
    }

    pub(super) fn operand(&mut self, value: &ValueUse<'a>) {
        self.put("%");
        self.put(&value.name);
        if value.number != 0 || (!self.groups.is_empty() && self.groups.contains(&*value.name)) {
            self.put(&format!("#{}", value.number));
        }
    }

    pub(super) fn functional_type(&mut self, op: &Operation<'a>) {
        attributes::put_function_type(&mut self.out, &op.operand_types, &op.result_types);
    }

    pub(super) fn ty(&mut self, ty: &Type<'a>) {
        attributes::put_type(&mut self.out, ty);
    }

    /// `{ ... }`; the arguments of the entry block are left out if they stand elsewhere.
    pub(super) fn region(&mut self, region: &Region<'a>, entry_arguments: bool) {
        self.put("{");
        for (n, block) in region.blocks.iter().enumerate() {
            let labelled = n > 0 || (entry_arguments && (block.label.is_some() || !block.arguments.is_empty()));
            if labelled {
                self.newline();
                match &block.label {
                    Some(label) => self.put(&format!("^{label}")),
                    None => self.put(&format!("^bb{n}")),
                }
                if !block.arguments.is_empty() {
                    self.put("(");
                    self.block_arguments(&block.arguments);
                    self.put(")");
                }
                self.put(":");
            }
            self.indent += 1;
            for operation in &block.operations {
                self.newline();
                self.operation(operation);
            }
            self.indent -= 1;
        }
        self.newline();
        self.put("}");
    }

    pub(super) fn block_arguments(&mut self, arguments: &[BlockArgument<'a>]) {
        self.list(arguments, |p, argument| p.block_argument(argument));
    }

    pub(super) fn block_argument(&mut self, argument: &BlockArgument<'a>) {
        self.put("%");
        self.put(&argument.name);
        self.put(": ");
        self.ty(&argument.ty);
        self.trailing_location(argument.location);
    }
}
