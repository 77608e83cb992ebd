//! Printing of custom forms with regions or alternatives.

use super::super::lexer::is_bracketed;
use super::super::tree::*;
use super::attributes::{put_attribute, put_dictionary, put_symbol};
use super::custom::{integers, put_integers, put_rest};
use super::{Fitted, Printer, Unfit};

fn string<'t>(op: &'t Operation, name: &str) -> Option<&'t str> {
    match op.attr(name) {
        Some(Attr::String(text)) => Some(text),
        _ => None,
    }
}

/// ` attributes {...}` with all attributes but those shown.
fn put_keyword_dictionary(printer: &mut Printer, op: &Operation, shown: &[&str]) {
    let mark = printer.out.len();
    printer.put(" attributes");
    let start = printer.out.len();
    put_rest(printer, op, shown);
    if printer.out.len() == start {
        printer.out.truncate(mark);
    }
}

pub(super) fn module<'a>(printer: &mut Printer<'_, 'a>, op: &Operation<'a>) -> Fitted {
    let [region] = &op.regions[..] else { return Err(Unfit) };
    if region.blocks.len() != 1 || !region.blocks[0].arguments.is_empty() || !op.operands.is_empty() {
        return Err(Unfit);
    }
    printer.put("module");
    if let Some(visibility) = string(op, "sym_visibility") {
        printer.put(&format!(" {visibility}"));
    }
    if let Some(name) = string(op, "sym_name") {
        printer.put(" ");
        put_symbol(&mut printer.out, name);
    }
    put_keyword_dictionary(printer, op, &["sym_name", "sym_visibility"]);
    printer.put(" ");
    printer.in_function = false;
    printer.region(region, false);
    Ok(())
}

pub(super) fn function<'a>(printer: &mut Printer<'_, 'a>, op: &Operation<'a>) -> Fitted {
    let [region] = &op.regions[..] else { return Err(Unfit) };
    let name = string(op, "sym_name").ok_or(Unfit)?;
    let Some(Attr::Type(Type::Function { inputs, results })) = op.attr("function_type") else {
        return Err(Unfit);
    };
    let dictionaries = |name: &str, count: usize| match op.attr(name) {
        None => Ok(vec![&[][..]; count]),
        Some(Attr::Array(items)) if items.len() == count => items
            .iter()
            .map(|item| {
                if let Attr::Dict(items) = item {
                    Ok(&items[..])
                } else {
                    Err(Unfit)
                }
            })
            .collect(),
        Some(_) => Err(Unfit),
    };
    let input_attrs = dictionaries("arg_attrs", inputs.len())?;
    let result_attrs = dictionaries("res_attrs", results.len())?;
    printer.put("func.func ");
    if let Some(visibility) = string(op, "sym_visibility") {
        printer.put(&format!("{visibility} "));
    }
    put_symbol(&mut printer.out, name);
    printer.put("(");
    let arguments = match region.blocks.first() {
        Some(entry) if entry.arguments.len() != inputs.len() => return Err(Unfit),
        Some(entry) => Some(&entry.arguments),
        None => None,
    };
    for (n, (ty, attrs)) in inputs.iter().zip(&input_attrs).enumerate() {
        if n > 0 {
            printer.put(", ");
        }
        if let Some(arguments) = arguments {
            printer.put(&format!("%{}: ", arguments[n].name));
        }
        printer.ty(ty);
        if !attrs.is_empty() {
            printer.put(" ");
            put_dictionary(&mut printer.out, attrs.iter());
        }
        if let Some(arguments) = arguments {
            printer.trailing_location(arguments[n].location);
        }
    }
    printer.put(")");
    if !results.is_empty() {
        printer.put(" -> ");
        let plain = result_attrs.iter().all(|attrs| attrs.is_empty());
        match &results[..] {
            [single] if plain && !matches!(single, Type::Function { .. }) => printer.ty(single),
            _ => {
                printer.put("(");
                printer.list(results.iter().zip(result_attrs), |p, (ty, attrs)| {
                    p.ty(ty);
                    if !attrs.is_empty() {
                        p.put(" ");
                        put_dictionary(&mut p.out, attrs.iter());
                    }
                });
                printer.put(")");
            }
        }
    }
    put_keyword_dictionary(
        printer,
        op,
        &["sym_name", "sym_visibility", "function_type", "arg_attrs", "res_attrs"],
    );
    if !region.blocks.is_empty() {
        printer.put(" ");
        printer.in_function = true;
        printer.region(region, false);
    }
    Ok(())
}

pub(super) fn constant<'a>(printer: &mut Printer<'_, 'a>, op: &Operation<'a>) -> Fitted {
    let value = op.attr("value").ok_or(Unfit)?;
    let ty = match value {
        Attr::Dense(dense) => &dense.ty,
        Attr::DenseResource { ty, .. } => &**ty,
        _ => return Err(Unfit),
    };
    if op.result_types.len() != 1 || op.result_types[0] != *ty || !op.operands.is_empty() {
        return Err(Unfit);
    }
    printer.put(&op.name);
    put_rest(printer, op, &["value"]);
    printer.put(" ");
    put_attribute(&mut printer.out, value);
    Ok(())
}

/// The operation that `applies` may name instead of the whole body.
fn applied<'t, 'a>(op: &'t Operation<'a>, block: &'t Block<'a>) -> Option<&'t str> {
    let ([lhs, rhs], [inner, ret]) = (&block.arguments[..], &block.operations[..]) else {
        return None;
    };
    let commutative = matches!(
        &*inner.name,
        "stablehlo.add"
            | "stablehlo.multiply"
            | "stablehlo.maximum"
            | "stablehlo.minimum"
            | "stablehlo.and"
            | "stablehlo.or"
            | "stablehlo.xor"
    );
    let is = |value: &ValueUse, name: &str| value.name == name && value.number == 0;
    let init = op.operand_types.get(1)?;
    let plain = inner.properties.is_empty() && inner.attributes.is_empty() && ret.name == "stablehlo.return";
    let ([x, y], [result], [returned]) = (&inner.operands[..], &inner.results[..], &ret.operands[..]) else {
        return None;
    };
    let wired = is(x, &lhs.name) && is(y, &rhs.name) && is(returned, &result.name);
    let typed = inner
        .operand_types
        .iter()
        .chain(&inner.result_types)
        .all(|ty| ty == init);
    (commutative && plain && wired && typed).then_some(&*inner.name)
}

pub(super) fn reduce<'a>(printer: &mut Printer<'_, 'a>, op: &Operation<'a>) -> Fitted {
    let [region] = &op.regions[..] else { return Err(Unfit) };
    let [block] = &region.blocks[..] else { return Err(Unfit) };
    let inputs = op.operands.len() / 2;
    if inputs == 0 || op.operands.len() != 2 * inputs || block.arguments.len() != 2 * inputs {
        return Err(Unfit);
    }
    printer.put("stablehlo.reduce");
    printer.list(0..inputs, |p, n| {
        p.put("(");
        p.operand(&op.operands[n]);
        p.put(" init: ");
        p.operand(&op.operands[n + inputs]);
        p.put(")");
    });
    let applied = if inputs == 1 { applied(op, block) } else { None };
    if let Some(name) = applied {
        printer.put(&format!(" applies {name}"));
    }
    printer.put(" across dimensions = ");
    let dimensions = integers(op.attr("dimensions").ok_or(Unfit)?)?;
    put_integers(printer, &dimensions);
    put_rest(printer, op, &["dimensions"]);
    printer.put(" : ");
    printer.functional_type(op);
    if applied.is_none() {
        printer.newline();
        printer.put(" reducer");
        for n in 0..inputs {
            printer.put("(");
            printer.block_argument(&block.arguments[n]);
            printer.put(", ");
            printer.block_argument(&block.arguments[n + inputs]);
            printer.put(") ");
        }
        printer.put(" ");
        printer.in_function = false;
        printer.region(region, false);
    }
    Ok(())
}

pub(super) fn while_loop<'a>(printer: &mut Printer<'_, 'a>, op: &Operation<'a>) -> Fitted {
    let [cond, body] = &op.regions[..] else {
        return Err(Unfit);
    };
    let ([cond_block], [body_block]) = (&cond.blocks[..], &body.blocks[..]) else {
        return Err(Unfit);
    };
    let names = |block: &Block<'a>| block.arguments.iter().map(|a| a.name.clone()).collect::<Vec<_>>();
    // Arguments have the types of the operands in this form; in a program they may know less or more of a size.
    let own_types = |block: &Block<'a>| {
        let mut types = block.arguments.iter().zip(&op.operand_types);
        types.any(|(argument, ty)| argument.ty != *ty)
    };
    if names(cond_block) != names(body_block)
        || own_types(cond_block)
        || own_types(body_block)
        || cond_block.arguments.len() != op.operands.len()
        || op.operand_types != op.result_types
    {
        return Err(Unfit);
    }
    printer.put("stablehlo.while(");
    printer.list(
        body_block.arguments.iter().zip(&op.operands),
        |p, (argument, operand)| {
            p.put(&format!("%{} = ", argument.name));
            p.operand(operand);
            if argument.location != LocId::UNKNOWN {
                p.trailing_location(argument.location);
            }
        },
    );
    printer.put(")");
    if !op.operands.is_empty() {
        printer.put(" : ");
        printer.list(&op.operand_types, |p, ty| p.ty(ty));
    }
    put_keyword_dictionary(printer, op, &[]);
    printer.newline();
    printer.put("cond ");
    printer.in_function = false;
    printer.region(cond, false);
    printer.put(" do ");
    printer.region(body, false);
    Ok(())
}

fn body<'t>(op: &'t Operation, attr: &str, name: &str) -> Result<&'t str, Unfit> {
    match op.attr(attr) {
        Some(Attr::Dialect {
            name: found,
            body: Some(body),
        }) if found == name => Ok(body),
        _ => Err(Unfit),
    }
}

pub(super) fn mesh<'a>(printer: &mut Printer<'_, 'a>, op: &Operation<'a>) -> Fitted {
    let name = string(op, "sym_name").ok_or(Unfit)?;
    let axes = body(op, "mesh", "sdy.mesh")?;
    printer.put("sdy.mesh ");
    put_symbol(&mut printer.out, name);
    printer.put(&format!(" = <{axes}>"));
    put_rest(printer, op, &["sym_name", "mesh"]);
    Ok(())
}

pub(super) fn manual_computation<'a>(printer: &mut Printer<'_, 'a>, op: &Operation<'a>) -> Fitted {
    let [region] = &op.regions[..] else { return Err(Unfit) };
    let [block] = &region.blocks[..] else { return Err(Unfit) };
    let inputs = body(op, "in_shardings", "sdy.sharding_per_value")?;
    let outputs = body(op, "out_shardings", "sdy.sharding_per_value")?;
    let axes = body(op, "manual_axes", "sdy")?
        .strip_prefix("manual_axes")
        .ok_or(Unfit)?;
    if !is_bracketed(inputs, "[", b']') || !is_bracketed(outputs, "[", b']') || !is_bracketed(axes, "{", b'}') {
        return Err(Unfit);
    }
    printer.put("sdy.manual_computation(");
    printer.operands(&op.operands);
    printer.put(&format!(
        ") in_shardings={inputs} out_shardings={outputs} manual_axes={axes} ("
    ));
    printer.block_arguments(&block.arguments);
    printer.put(") ");
    printer.in_function = false;
    printer.region(region, false);
    put_rest(printer, op, &["in_shardings", "out_shardings", "manual_axes"]);
    printer.put(" : ");
    printer.functional_type(op);
    Ok(())
}
