//! StableHLO in the form that dialects defined at run time have: what `mlir-opt --irdl-file=hlo.irdl` reads.
//!
//! In: a module. Out: its tree in generic form, where attributes that StableHLO writes in a syntax of its own are strings,
//! dictionaries and lists, nothing is a property, and regions end in `vector.yield`, because an operation that is defined
//! in IRDL cannot be a terminator. The front end reads this form as it reads StableHLO's own: nothing is lost.
//! Bounds of dynamic dimensions are one list, `#stablehlo.bounds<[-1, 4]>`, with -1 for none; so are the types of a future.
//! Operations on any number of values of different types (`reduce`, `while`, ...) cannot be defined in IRDL, and Shardy's
//! dialect is not here: a module with one of these needs `--allow-unregistered-dialect` ([`needs_unregistered`]).

use ferrite_ir::hlo::Module;
use ferrite_ir::hlo::print::document;
use ferrite_ir::text::{self, Attr, Operation, PrintOptions, Type};

use crate::irdl::hlo;

/// The text of a module in this form.
pub fn print(module: &Module, locations: bool) -> String {
    let mut document = document(module, locations);
    let undefined = hlo::undefined();
    for operation in &mut document.operations {
        rewrite(operation, &undefined, false);
    }
    let options = PrintOptions {
        generic: true,
        locations,
    };
    text::print(&document, options)
}

/// Whether MLIR's tools read the text only with `--allow-unregistered-dialect`.
pub fn needs_unregistered(text: &str) -> bool {
    text.contains(&format!("\"{}.", hlo::UNDEFINED)) || text.contains("sdy.")
}

/// `inside` an operation without definition MLIR finds no symbols.
fn rewrite(operation: &mut Operation, undefined: &[String], inside: bool) {
    let written = operation.operand_types.iter_mut().chain(&mut operation.result_types);
    written.for_each(listed);
    for attribute in operation.properties.iter_mut().chain(&mut operation.attributes) {
        if let Attr::Type(ty) = &mut attribute.value {
            listed(ty);
        }
    }
    let own = ["stablehlo.", "chlo.", "sdy."]
        .iter()
        .any(|prefix| operation.name.starts_with(prefix));
    if own {
        let mut attributes = std::mem::take(&mut operation.properties);
        attributes.append(&mut operation.attributes);
        for attribute in &mut attributes {
            attribute.value = builtin(&attribute.value);
        }
        operation.attributes = attributes;
        if matches!(&*operation.name, "stablehlo.return" | "sdy.return") {
            operation.name = "vector.yield".into();
        }
        if let Some(name) = operation.name.strip_prefix("stablehlo.")
            && undefined.iter().any(|undefined| *undefined == *operation.name)
        {
            operation.name = format!("{}.{name}", hlo::UNDEFINED).into();
        }
        // IRDL has no names with hyphens.
        if &*operation.name == "stablehlo.cross-replica-sum" {
            operation.name = "stablehlo.cross_replica_sum".into();
        }
    }
    if inside && &*operation.name == "func.call" {
        operation.name = format!("{}.call", hlo::UNDEFINED).into();
    }
    let inside = inside || operation.name.starts_with(hlo::UNDEFINED);
    for block in operation.regions.iter_mut().flat_map(|region| &mut region.blocks) {
        block.arguments.iter_mut().for_each(|argument| listed(&mut argument.ty));
        for operation in &mut block.operations {
            rewrite(operation, undefined, inside);
        }
    }
}

/// Writes lists in a type as one parameter: IRDL knows no types or attributes with any number of them.
fn listed(ty: &mut Type<'_>) {
    match ty {
        Type::Tuple(items) => items.iter_mut().for_each(listed),
        Type::Function { inputs, results } => inputs.iter_mut().chain(results).for_each(listed),
        Type::Dialect { name, body: Some(body) } if name == "stablehlo.future" => *body = format!("[{body}]").into(),
        // A tensor with bounds prints itself; these stand last in it.
        Type::Raw(body) => {
            const START: &str = "#stablehlo.bounds<";
            if let Some((before, list)) = body.split_once(START)
                && let Some(list) = list.strip_suffix(">>")
            {
                *body = format!("{before}{START}[{}]>>", list.replace('?', "-1")).into();
            }
        }
        _ => {}
    }
}

/// The same attribute without syntax of StableHLO's own.
fn builtin<'a>(attr: &Attr<'a>) -> Attr<'a> {
    match attr {
        Attr::Array(items) => Attr::Array(items.iter().map(builtin).collect()),
        Attr::Dialect { name, body: Some(body) } => match &**name {
            // `#stablehlo<transpose ADJOINT>`.
            "stablehlo" | "chlo" => match body.split_once(' ') {
                Some((_, word)) => Attr::String(word.trim().to_string().into()),
                None => attr.clone(),
            },
            "stablehlo.conv" => Attr::String(body.clone()),
            _ if name.starts_with("stablehlo.") || name.starts_with("chlo.") => match text::parse_parameters(body) {
                Ok(items) => Attr::Dict(
                    items
                        .into_iter()
                        .map(|item| text::NamedAttr {
                            name: item.name.into_owned().into(),
                            value: owned(&item.value),
                        })
                        .collect(),
                ),
                Err(_) => attr.clone(),
            },
            _ => attr.clone(),
        },
        other => other.clone(),
    }
}

/// An attribute that borrows nothing, of those that stand in parameters.
fn owned(attr: &Attr) -> Attr<'static> {
    match attr {
        Attr::Bool(value) => Attr::Bool(*value),
        Attr::Integer { value, .. } => Attr::Integer {
            value: *value,
            ty: None,
        },
        Attr::Array(items) => Attr::Array(items.iter().map(owned).collect()),
        other => Attr::Raw(text::print_attribute(other).into()),
    }
}
