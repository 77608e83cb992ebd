//! Pages of the book that are made from the code: operations from their doc comments, passes from the registry.
//!
//! The sources are read as rustfmt leaves them: a doc comment a line, an item or a field a line.

use std::fmt::Write as _;
use std::path::Path;

use ferrite_driver::pipeline::{CODE, PIPELINES};
use ferrite_ir::hlo::{BinaryOp, UnaryOp};
use ferrite_passes::hlo::egraph::rules;
use ferrite_passes::pass::{Level, Property};
use ferrite_passes::registry::Registry;

/// The head of a page that nobody edits.
const MADE: &str = "<!-- Made from the code; `make bless` writes it anew. -->\n";

/// A documented item of a source: an enum with its variants, a struct with its fields, a variant with its fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// Its name.
    pub name: String,
    /// What is in parentheses behind a variant's name, or the type of a field.
    pub payload: String,
    /// Its doc comment, in one line.
    pub doc: String,
    /// What is inside.
    pub parts: Vec<Item>,
}

/// The public enum or struct of this name.
pub fn item(source: &str, name: &str) -> Option<Item> {
    let mut doc = String::new();
    let mut lines = source.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(text) = line.strip_prefix("///") {
            push(&mut doc, text);
            continue;
        }
        let head = line
            .strip_prefix("pub enum ")
            .or_else(|| line.strip_prefix("pub struct "));
        if let Some(head) = head
            && head.split(|c: char| !c.is_alphanumeric() && c != '_').next() == Some(name)
        {
            let parts = if line.ends_with('{') {
                parts(&mut lines, 1)
            } else {
                Vec::new()
            };
            return Some(Item {
                name: name.to_string(),
                payload: String::new(),
                doc,
                parts,
            });
        }
        if !line.starts_with("#[") {
            doc.clear();
        }
    }
    None
}

/// Variants or fields, up to the closing brace of their depth.
fn parts<'l>(lines: &mut std::iter::Peekable<impl Iterator<Item = &'l str>>, depth: usize) -> Vec<Item> {
    let (mut found, mut doc) = (Vec::new(), String::new());
    let indent = "    ".repeat(depth);
    for_each(lines, |line, lines| {
        if line == format!("{}}}", "    ".repeat(depth - 1)) || line == format!("{}}},", "    ".repeat(depth - 1)) {
            return false;
        }
        let Some(code) = line.strip_prefix(&indent) else {
            return true;
        };
        if let Some(text) = code.strip_prefix("///") {
            push(&mut doc, text);
            return true;
        }
        if code.is_empty() || code.starts_with("#[") || code.starts_with("//") || code.starts_with(' ') {
            return true;
        }
        let code = code.strip_prefix("pub ").unwrap_or(code);
        let end = code
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(code.len());
        let rest = code[end..].trim().trim_end_matches(',');
        let inner = if rest.ends_with('{') {
            parts(lines, depth + 1)
        } else {
            Vec::new()
        };
        found.push(Item {
            name: code[..end].to_string(),
            payload: rest
                .trim_start_matches([':', '(', '{'])
                .trim_end_matches(')')
                .trim()
                .to_string(),
            doc: std::mem::take(&mut doc),
            parts: inner,
        });
        true
    });
    found
}

/// Calls `f` with each line and the lines behind it, until it says stop.
fn for_each<'l, I: Iterator<Item = &'l str>>(
    lines: &mut std::iter::Peekable<I>,
    mut f: impl FnMut(&'l str, &mut std::iter::Peekable<I>) -> bool,
) {
    while let Some(line) = lines.next() {
        if !f(line, lines) {
            return;
        }
    }
}

fn push(doc: &mut String, text: &str) {
    if !doc.is_empty() {
        doc.push(' ');
    }
    doc.push_str(text.trim());
}

/// A name of Rust as the specification writes it: `DotGeneral` is `dot_general`.
pub fn snake(name: &str) -> String {
    let mut out = String::new();
    for (index, c) in name.chars().enumerate() {
        if c.is_ascii_uppercase() && index > 0 {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// A doc comment as Markdown: links of rustdoc lose their brackets, bars would end a cell.
fn markdown(doc: &str) -> String {
    doc.replace("[`", "`").replace("`]", "`").replace('|', "\\|")
}

/// Reads a source of the workspace.
fn source(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::fs::read_to_string(root.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The page of all operations of all levels.
pub fn operations_page() -> String {
    let mut out = format!(
        "# Every operation\n\n{MADE}\nNames, operands and attributes of the operations of the three levels, from their doc comments. What \
         runs where on the device, and how exactly, is in [Operations on the device](operations.md).\n\n## hlo\n\nThe words are those \
         of the [StableHLO specification](https://openxla.org/stablehlo/spec); an attribute is a field. Below each name is the variant of \
         `ferrite_ir::hlo::OpKind` that a pass matches or builds, with the struct of its attributes, all from `ferrite_ir::hlo`.\n\n"
    );
    let folder = "ir/src/hlo/ops";
    let files = [
        "collective",
        "contraction",
        "control",
        "elementwise",
        "indexing",
        "movement",
        "reduction",
        "special",
    ];
    let sources: Vec<String> = files.iter().map(|f| source(&format!("{folder}/{f}.rs"))).collect();
    let kinds = item(&source(&format!("{folder}/mod.rs")), "OpKind").expect("OpKind is there");
    for kind in &kinds.parts {
        let payload = kind.payload.trim_start_matches("Box<").trim_end_matches('>');
        match payload {
            "UnaryOp" => {
                let ops = UnaryOp::ALL.iter().map(|op| (op.mnemonic(), format!("{op:?}")));
                mnemonics(&mut out, "One operand", "OpKind::Unary(UnaryOp::..)", ops);
            }
            "BinaryOp" => {
                let ops = BinaryOp::ALL.iter().map(|op| (op.mnemonic(), format!("{op:?}")));
                mnemonics(&mut out, "Two operands", "OpKind::Binary(BinaryOp::..)", ops);
            }
            _ => {
                let attributes = sources.iter().find_map(|s| item(s, payload));
                let inside = if payload.is_empty() {
                    String::new()
                } else {
                    format!("({payload})")
                };
                let _ = write!(out, "### {}\n\n`OpKind::{}{inside}`\n\n", snake(&kind.name), kind.name);
                for doc in [
                    &kind.doc,
                    &attributes.as_ref().map(|a| a.doc.clone()).unwrap_or_default(),
                ] {
                    if !doc.is_empty() {
                        let _ = write!(out, "{}\n\n", markdown(doc));
                    }
                }
                fields(
                    &mut out,
                    attributes.as_ref().map(|a| a.parts.as_slice()).unwrap_or_default(),
                );
            }
        }
    }
    out.push_str("## tile\n\nWhat a tile program consists of; see [The tile level](tile.md).\n\n");
    let tile = source("ir/src/tile/mod.rs");
    for name in ["OpKind", "Control"] {
        variants(&mut out, &tile, name);
    }
    out.push_str(
        "## Instructions\n\nThe instructions of Vector, Scalar and GpSimd engines, common to tile and isa.\n\n",
    );
    let inst = source("ir/src/inst.rs");
    variants(&mut out, &inst, "Inst");
    out.push_str("## isa\n\nInstructions of a stream; see [The isa level](isa.md).\n\n");
    variants(&mut out, &source("ir/src/isa/mod.rs"), "Op");
    out
}

/// Operations of one variant: how that is written in Rust, then each mnemonic, with its name in Rust where it is another word.
fn mnemonics(out: &mut String, title: &str, rust: &str, names: impl Iterator<Item = (&'static str, String)>) {
    let named = |(mnemonic, name): (&str, String)| match mnemonic.rsplit_once('.') {
        Some((_, word)) if word == snake(&name) => format!("`{mnemonic}`"),
        _ => format!("`{mnemonic}` (`{name}`)"),
    };
    let names: Vec<String> = names.map(named).collect();
    let _ = write!(out, "### {title}\n\n`{rust}`\n\n{}\n\n", names.join(", "));
}

fn variants(out: &mut String, source: &str, name: &str) {
    let found = item(source, name).unwrap_or_else(|| panic!("there is no `{name}`"));
    for variant in &found.parts {
        let _ = write!(out, "### {name}::{}\n\n{}\n\n", variant.name, markdown(&variant.doc));
        fields(out, &variant.parts);
    }
}

fn fields(out: &mut String, fields: &[Item]) {
    if fields.is_empty() {
        return;
    }
    out.push_str("| field | meaning |\n| --- | --- |\n");
    for field in fields {
        let _ = writeln!(out, "| `{}` | {} |", field.name, markdown(&field.doc));
    }
    out.push('\n');
}

/// The page of all rules of the e-graph.
pub fn rules_page() -> String {
    let mut out = format!(
        "# The rules of the e-graph\n\n{MADE}\nEquations of the pass [`egraph`](egraph.md), used from left to right. A rule that is off \
         is used where a pipeline names it: `egraph{{rules=all}}`.\n\n"
    );
    let mut theme = "";
    for rule in rules::standard() {
        if rule.theme != theme {
            theme = rule.theme;
            let _ = write!(
                out,
                "\n## {theme}\n\n| rule | equation | holds |\n| --- | --- | --- |\n"
            );
        }
        let off = if rules::OFF.contains(&rule.name) { " (off)" } else { "" };
        let _ = writeln!(
            out,
            "| {}{off} | {} | {} |",
            rule.name,
            markdown(rule.identity),
            rule.exactness
        );
    }
    out
}

/// The page of all passes.
pub fn passes_page() -> String {
    let mut out = format!(
        "# Every pass\n\n{MADE}\nWhat `ferrite passes` lists. How to run them is in [The workbench](workbench.md).\n\n"
    );
    let registry = Registry::standard();
    for level in Level::ALL {
        let _ = write!(out, "## On the {level} level\n\n");
        for about in registry.entries().map(|e| e.about).filter(|a| a.level == level) {
            let _ = write!(out, "### {}\n\n{}\n\n", about.name, about.doc);
            if about.result != level {
                let _ = write!(out, "Its result is of the {} level.\n\n", about.result);
            }
            let names = |list: &[Property]| list.iter().map(|p| format!("`{p}`")).collect::<Vec<_>>().join(", ");
            if !about.requires.is_empty() {
                let _ = write!(out, "Needs: {}.\n\n", names(about.requires));
            }
            if !about.establishes.is_empty() {
                let _ = write!(out, "Establishes: {}.\n\n", names(about.establishes));
            }
            if !about.options.is_empty() {
                out.push_str("| option | decides | default |\n| --- | --- | --- |\n");
                for o in about.options {
                    let _ = writeln!(out, "| `{}` | {} | {} |", o.name, o.doc, o.default);
                }
                out.push('\n');
            }
        }
    }
    out.push_str("## Pipelines\n\n");
    for pipeline in PIPELINES {
        let _ = write!(out, "`{}`: {}.\n\n```text\n", pipeline.name, pipeline.doc);
        for names in pipeline.passes.chunks(4) {
            let _ = writeln!(out, "{}", names.join(", "));
        }
        out.push_str("```\n\n");
    }
    let _ = writeln!(out, "After each of them comes `{CODE}`.");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doc_comments_are_found_where_they_stand() {
        let source = "/// Colors.\n/// All of them.\n#[derive(Clone)]\npub enum Color<A> {\n    // A group.\n    /// Warm.\n    Red,\n    \
                      Blue(Shade),\n    /// Mixed.\n    Mixed {\n        /// Of what.\n        parts: Vec<A>,\n        other: u8,\n    },\n    \
                      /// Last.\n    White,\n}\npub struct Shade;\n";
        let found = item(source, "Color").unwrap();
        assert_eq!(found.doc, "Colors. All of them.");
        let names: Vec<(&str, &str, &str)> = found
            .parts
            .iter()
            .map(|p| (p.name.as_str(), p.payload.as_str(), p.doc.as_str()))
            .collect();
        assert_eq!(
            names,
            [
                ("Red", "", "Warm."),
                ("Blue", "Shade", ""),
                ("Mixed", "", "Mixed."),
                ("White", "", "Last.")
            ]
        );
        assert_eq!(found.parts[2].parts[0].doc, "Of what.");
        assert!(item(source, "Shade").unwrap().parts.is_empty() && item(source, "Tint").is_none());
        assert_eq!(snake("BroadcastInDim"), "broadcast_in_dim");
    }
}
