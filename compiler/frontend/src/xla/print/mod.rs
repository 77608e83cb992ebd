//! HLO text of a module's message, as XLA's parser and ours read it.
//!
//! Names stand with their `%`, so that none can be taken for a shape or an opcode. Signatures and layouts that say what
//! XLA takes for granted are left out; constants are written in full.

mod fields;
mod literal;

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use super::lower::sharding_text;
use super::message::*;
use super::shape::element_name;

/// What instructions and computations are called.
struct Names<'m> {
    computations: HashMap<i64, String>,
    instructions: HashMap<i64, String>,
    shapes: HashMap<i64, &'m ShapeProto>,
}

/// The text of a module.
///
/// # Errors
/// A constant that does not fit its type.
pub(super) fn text(module: &HloModuleProto) -> Result<String, String> {
    let names = names(module);
    let mut out = format!("HloModule {}", identifier(&module.name));
    header(&mut out, module);
    out.push('\n');
    for computation in &module.computations {
        let entry = if computation.id == module.entry_computation_id {
            "ENTRY "
        } else {
            ""
        };
        let name = &names.computations[&computation.id];
        let _ = writeln!(out, "\n{entry}%{name} {{");
        for instruction in &computation.instructions {
            let root = if instruction.id == computation.root_id {
                "ROOT "
            } else {
                ""
            };
            let _ = write!(out, "  {root}");
            self::instruction(&mut out, instruction, &names)?;
            out.push('\n');
        }
        out.push_str("}\n");
    }
    Ok(out)
}

/// Names that no two things share and that consist of the signs HLO has for names.
fn names(module: &HloModuleProto) -> Names<'_> {
    let mut taken = HashSet::new();
    let mut unique = |base: &str| {
        let base = identifier(base);
        let mut name = base.clone();
        let mut n = 1;
        while !taken.insert(name.clone()) {
            name = format!("{base}.{n}");
            n += 1;
        }
        name
    };
    let mut names = Names {
        computations: HashMap::new(),
        instructions: HashMap::new(),
        shapes: HashMap::new(),
    };
    for computation in &module.computations {
        names.computations.insert(computation.id, unique(&computation.name));
    }
    for instruction in module.computations.iter().flat_map(|c| &c.instructions) {
        names.instructions.insert(instruction.id, unique(&instruction.name));
        if let Some(shape) = &instruction.shape {
            names.shapes.insert(instruction.id, shape);
        }
    }
    names
}

fn identifier(name: &str) -> String {
    let sign = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-') {
            c
        } else {
            '_'
        }
    };
    let name: String = name.chars().map(sign).collect();
    match name.chars().next() {
        Some(first) if first.is_ascii_alphabetic() || first == '_' => name,
        _ => format!("_{name}"),
    }
}

fn header(out: &mut String, module: &HloModuleProto) {
    if let Some(alias) = module.input_output_alias.as_ref().filter(|a| !a.entries.is_empty()) {
        let entries: Vec<String> = alias
            .entries
            .iter()
            .map(|entry| {
                let kind = if entry.kind == 2 { "must-alias" } else { "may-alias" };
                format!(
                    "{{{}}}: ({}, {{{}}}, {kind})",
                    list(&entry.output_shape_index),
                    entry.parameter_number,
                    list(&entry.parameter_shape_index)
                )
            })
            .collect();
        let _ = write!(out, ", input_output_alias={{ {} }}", entries.join(", "));
    }
    if let Some(donor) = module.buffer_donor.as_ref().filter(|d| !d.entries.is_empty()) {
        let entry = |e: &DonorEntry| format!("({}, {{{}}})", e.parameter_number, list(&e.parameter_shape_index));
        let entries: Vec<String> = donor.entries.iter().map(entry).collect();
        let _ = write!(out, ", buffer_donor={{ {} }}", entries.join(", "));
    }
    if let Some(devices) = &module.device_assignment {
        if devices.replica_count > 1 {
            let _ = write!(out, ", replica_count={}", devices.replica_count);
        }
        if devices.computation_count > 1 {
            let _ = write!(out, ", num_partitions={}", devices.computation_count);
        }
    }
    if let Some(attributes) = module.frontend_attributes.as_ref().filter(|a| !a.map.is_empty()) {
        let _ = write!(out, ", frontend_attributes={}", dictionary(attributes));
    }
}

fn instruction(out: &mut String, p: &HloInstructionProto, names: &Names<'_>) -> Result<(), String> {
    let wrong = |message: String| format!("instruction `{}`: {message}", p.name);
    let _ = write!(out, "%{} = ", names.instructions[&p.id]);
    let none = ShapeProto::default();
    let of = p.shape.as_ref().unwrap_or(&none);
    shape(out, of).map_err(wrong)?;
    let _ = write!(out, " {}(", p.opcode);
    match &*p.opcode {
        "parameter" => {
            let _ = write!(out, "{}", p.parameter_number);
        }
        "constant" => {
            let proto = p.literal.as_ref().ok_or_else(|| wrong("it has no value".into()))?;
            let value = super::literal::literal(of, proto).map_err(wrong)?;
            literal::write(out, &value);
        }
        _ => {
            for (n, id) in p.operand_ids.iter().enumerate() {
                let name = names.instructions.get(id);
                let name = name.ok_or_else(|| wrong("an operand is not there".into()))?;
                let _ = write!(out, "{}%{name}", if n == 0 { "" } else { ", " });
            }
        }
    }
    out.push(')');
    for (key, value) in fields::of(p, names).map_err(wrong)? {
        let _ = write!(out, ", {key}={value}");
    }
    let sharding = match &p.sharding {
        Some(sharding) => sharding_text(sharding),
        None => p.sharding_text.clone(),
    };
    if !sharding.is_empty() {
        let _ = write!(out, ", sharding={sharding}");
    }
    if let Some(attributes) = p.frontend_attributes.as_ref().filter(|a| !a.map.is_empty()) {
        let _ = write!(out, ", frontend_attributes={}", dictionary(attributes));
    }
    if let Some(m) = &p.metadata {
        let mut items = Vec::new();
        if !m.op_name.is_empty() {
            items.push(format!("op_name={}", quoted(m.op_name.as_bytes())));
        }
        if !m.source_file.is_empty() {
            items.push(format!("source_file={}", quoted(m.source_file.as_bytes())));
        }
        if m.source_line > 0 {
            items.push(format!("source_line={}", m.source_line));
        }
        if m.source_column > 0 {
            items.push(format!("source_column={}", m.source_column));
        }
        if !items.is_empty() {
            let _ = write!(out, ", metadata={{{}}}", items.join(" "));
        }
    }
    Ok(())
}

fn shape(out: &mut String, shape: &ShapeProto) -> Result<(), String> {
    if shape.element_type == TUPLE {
        out.push('(');
        for (n, item) in shape.tuple_shapes.iter().enumerate() {
            if n > 0 {
                out.push_str(", ");
            }
            self::shape(out, item)?;
        }
        out.push(')');
        return Ok(());
    }
    let name = element_name(shape.element_type);
    out.push_str(name.ok_or_else(|| format!("XLA's element type {} has no name", shape.element_type))?);
    out.push('[');
    for (n, size) in shape.dimensions.iter().enumerate() {
        let dynamic = shape.is_dynamic_dimension.get(n).copied().unwrap_or(false);
        let _ = write!(
            out,
            "{}{}{size}",
            if n > 0 { "," } else { "" },
            if dynamic { "<=" } else { "" }
        );
    }
    out.push(']');
    Ok(())
}

/// Numbers with commas.
fn list(items: &[i64]) -> String {
    items.iter().map(i64::to_string).collect::<Vec<_>>().join(",")
}

fn dictionary(attributes: &FrontendAttributes) -> String {
    let items: Vec<String> = attributes
        .map
        .iter()
        .map(|(key, value)| format!("{key}={}", quoted(value.as_bytes())))
        .collect();
    format!("{{{}}}", items.join(","))
}

/// A string in quotes, with the escapes of C.
fn quoted(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for &byte in bytes {
        match byte {
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b'\r' => out.push_str("\\r"),
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "\\{byte:03o}");
            }
        }
    }
    out.push('"');
    out
}
