//! Definitions of our dialects in IRDL, which `mlir-opt --irdl-file` loads.
//!
//! In: the schemas of `tile` and `isa` from `ferrite_ir`, made from the tables that print and parse them, and the table of
//! [`hlo`]. Out: the text of `docs/dialects/*.irdl`. IRDL has no optional attributes: those stand in a comment, and an
//! operation may carry any attribute beyond the required ones.

pub(crate) mod hlo;

use std::fmt::Write as _;

use ferrite_ir::text::schema::{Dialect, OpDef, Shape};

/// A file of definitions.
#[derive(Clone, Debug)]
pub struct File {
    /// Name of the file, `tile.irdl`.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// The definitions of all our levels: `hlo` is two dialects, StableHLO's and CHLO's.
pub fn files() -> Vec<File> {
    let own = [ferrite_ir::tile::text::dialect(), ferrite_ir::isa::text::dialect()];
    let own = own.map(|dialect| File {
        name: format!("{}.irdl", dialect.name),
        text: dialect_text(&dialect),
    });
    std::iter::once(File {
        name: "hlo.irdl".to_string(),
        text: format!("{HEADER}\n{}", hlo::text()),
    })
    .chain(own)
    .collect()
}

/// Every operation of the hlo level that has a definition: full name, and the names of its attributes.
pub fn hlo_operations() -> Vec<(String, Vec<String>)> {
    hlo::operations()
}

const HEADER: &str = "// Made from the code; `make bless` writes it anew.\n";

/// Writes the constraints of one definition, each with a name of its own: a name used twice would mean the same attribute.
pub(crate) struct Constraints<'o> {
    out: &'o mut String,
    next: usize,
}

impl<'o> Constraints<'o> {
    pub(crate) fn new(out: &'o mut String) -> Self {
        Constraints { out, next: 0 }
    }

    pub(crate) fn add(&mut self, constraint: &str) -> String {
        let name = format!("%{}", self.next);
        self.next += 1;
        let _ = writeln!(self.out, "    {name} = irdl.{constraint}");
        name
    }

    pub(crate) fn any_of(&mut self, names: &[String]) -> String {
        match names {
            [one] => one.clone(),
            _ => self.add(&format!("any_of({})", names.join(", "))),
        }
    }

    pub(crate) fn base(&mut self, name: &str) -> String {
        self.add(&format!("base {name}"))
    }

    pub(crate) fn words(&mut self, words: &[&str]) -> String {
        let names: Vec<String> = words.iter().map(|word| self.add(&format!("is {word:?}"))).collect();
        self.any_of(&names)
    }

    fn shape(&mut self, shape: &Shape) -> String {
        match shape {
            Shape::Integer => self.base("\"#builtin.integer\""),
            Shape::Float => self.base("\"#builtin.float\""),
            Shape::Flag => self.base("\"#builtin.unit\""),
            Shape::Text => self.base("\"#builtin.string\""),
            Shape::Words(words) => self.words(words),
            Shape::Symbol => self.base("\"#builtin.symbol_ref\""),
            Shape::DType => self.base("\"#builtin.type\""),
            Shape::Resource => self.base("\"#builtin.dense_resource_elements\""),
            Shape::List(_) => self.base("\"#builtin.array\""),
            Shape::Dialect(name) => {
                let path = match name.split_once('.') {
                    Some((dialect, attribute)) => format!("@{dialect}::@{attribute}"),
                    None => format!("@{name}"),
                };
                self.base(&path)
            }
            Shape::Any(shapes) => {
                let names: Vec<String> = shapes.iter().map(|shape| self.shape(shape)).collect();
                self.any_of(&names)
            }
            Shape::Optional(shape) => self.shape(shape),
        }
    }
}

/// The definition of a dialect.
fn dialect_text(dialect: &Dialect) -> String {
    let mut out = format!("{HEADER}\nirdl.dialect @{} {{\n", dialect.name);
    for ty in &dialect.types {
        let _ = writeln!(out, "  irdl.type @{ty}");
    }
    for (name, parameters) in &dialect.attributes {
        let _ = writeln!(out, "  irdl.attribute @{name} {{");
        let mut constraints = Constraints::new(&mut out);
        let list: Vec<String> = parameters
            .iter()
            .map(|(name, shape)| format!("{name}: {}", constraints.shape(shape)))
            .collect();
        let _ = writeln!(out, "    irdl.parameters({})\n  }}", list.join(", "));
    }
    for op in &dialect.ops {
        op_text(dialect.name, op, &mut out);
    }
    out.push_str("}\n");
    out
}

fn op_text(dialect: &str, op: &OpDef, out: &mut String) {
    let optional: Vec<&str> = op
        .attributes
        .iter()
        .filter(|(_, shape)| shape.is_optional())
        .map(|(name, _)| *name)
        .collect();
    if !optional.is_empty() {
        let _ = writeln!(out, "  // Optional: {}.", optional.join(", "));
    }
    let _ = writeln!(out, "  irdl.operation @{} {{", op.name);
    let mut constraints = Constraints::new(out);
    let attributes: Vec<String> = op
        .attributes
        .iter()
        .filter(|(_, shape)| !shape.is_optional())
        .map(|(name, shape)| format!("\"{name}\" = {}", constraints.shape(shape)))
        .collect();
    let mut ty = |name| constraints.base(&format!("@{dialect}::@{name}"));
    let (operands, result) = (op.operands.map(&mut ty), op.result.map(&mut ty));
    let region = op.region.then(|| constraints.add("region"));
    if !attributes.is_empty() {
        let _ = writeln!(out, "    irdl.attributes {{{}}}", attributes.join(", "));
    }
    if let Some(ty) = operands {
        let _ = writeln!(out, "    irdl.operands(operands: variadic {ty})");
    }
    if let Some(ty) = result {
        let _ = writeln!(out, "    irdl.results(result: {ty})");
    }
    if let Some(region) = region {
        let _ = writeln!(out, "    irdl.regions(body: {region})");
    }
    out.push_str("  }\n");
}
