//! Printing of custom forms that are lists of pieces.

use super::super::custom::format::{Kind, Piece, Special, Types};
use super::super::parser::parse_parameters;
use super::super::tree::*;
use super::attributes::{put_attribute, put_dictionary, put_string, put_symbol};
use super::{Fitted, Printer, Unfit};

/// Prints an operation, after its name, as the pieces say.
pub(super) fn pieces<'a>(printer: &mut Printer<'_, 'a>, op: &Operation<'a>, pieces: &'static [Piece]) -> Fitted {
    let mut state = State {
        operands: op.operands.iter(),
        shown: Vec::new(),
    };
    for piece in pieces {
        put_piece(printer, op, piece, &mut state)?;
    }
    // Operands that no piece has printed: not an operation of this form.
    if state.operands.next().is_some() {
        Err(Unfit)
    } else {
        Ok(())
    }
}

struct State<'t, 'a> {
    operands: std::slice::Iter<'t, ValueUse<'a>>,
    /// Attributes that a piece has printed.
    shown: Vec<&'static str>,
}

fn put_piece<'a>(
    printer: &mut Printer<'_, 'a>,
    op: &Operation<'a>,
    piece: &'static Piece,
    state: &mut State<'_, 'a>,
) -> Fitted {
    match piece {
        Piece::Text(text) => {
            // `op` without operands ends in the space before them.
            if *text != " " || !op.operands.is_empty() || !op.properties.is_empty() {
                printer.put(text);
            }
        }
        Piece::Operand => printer.operand(state.operands.next().ok_or(Unfit)?),
        Piece::Operands => {
            let rest = state.operands.as_slice();
            printer.operands(rest);
            state.operands = [].iter();
        }
        Piece::OperandsThenComma => {
            let mut rest = state.operands.as_slice().iter();
            let mut first = true;
            for operand in rest.by_ref() {
                if !first {
                    printer.put(" ");
                }
                first = false;
                printer.operand(operand);
                printer.put(",");
            }
            state.operands = [].iter();
        }
        Piece::Attr(name, kind) => {
            let value = op.attr(name).ok_or(Unfit)?;
            state.shown.push(name);
            put_kind(printer, value, *kind)?;
        }
        Piece::Optional(pieces) => {
            let present = pieces
                .iter()
                .any(|p| matches!(p, Piece::Attr(name, _) if op.attr(name).is_some()));
            if present {
                for piece in *pieces {
                    put_piece(printer, op, piece, state)?;
                }
            }
        }
        Piece::Special(special) => put_special(printer, op, *special, state)?,
        // What stands in brackets was not read.
        Piece::Bracketed => return Err(Unfit),
        Piece::Dict => put_rest(printer, op, &state.shown),
        Piece::Types(types) => put_types(printer, op, *types),
    }
    Ok(())
}

/// ` {...}` with all attributes but those shown, sorted by name as MLIR does.
pub(super) fn put_rest(printer: &mut Printer, op: &Operation, shown: &[&str]) {
    let mut rest: Vec<&NamedAttr> = op
        .properties
        .iter()
        .chain(&op.attributes)
        .filter(|attr| !shown.contains(&&*attr.name))
        .collect();
    if rest.is_empty() {
        return;
    }
    rest.sort_by(|a, b| a.name.cmp(&b.name));
    printer.put(" ");
    put_dictionary(&mut printer.out, rest);
}

pub(super) fn integers(attr: &Attr) -> Result<Vec<i128>, Unfit> {
    match attr {
        Attr::DenseArray { element, values } if element == "i64" => values
            .iter()
            .map(|v| if let Scalar::Int(v) = v { Ok(*v) } else { Err(Unfit) })
            .collect(),
        Attr::Array(items) => items
            .iter()
            .map(|v| {
                if let Attr::Integer { value, .. } = v {
                    Ok(*value)
                } else {
                    Err(Unfit)
                }
            })
            .collect(),
        _ => Err(Unfit),
    }
}

pub(super) fn put_integers(printer: &mut Printer, values: &[i128]) {
    printer.put("[");
    printer.list(values, |p, value| p.put(&value.to_string()));
    printer.put("]");
}

fn put_kind(printer: &mut Printer, value: &Attr, kind: Kind) -> Fitted {
    match (kind, value) {
        (Kind::Integer(ty), Attr::Integer { value, ty: written }) => {
            if written
                .as_deref()
                .is_some_and(|written| written.scalar_name() != Some(ty))
            {
                return Err(Unfit);
            }
            printer.put(&value.to_string());
        }
        (Kind::Bool, Attr::Bool(value)) => printer.put(&value.to_string()),
        (Kind::I64Array, value @ Attr::DenseArray { .. }) => {
            let values = integers(value)?;
            put_integers(printer, &values);
        }
        (
            Kind::Enum(name),
            Attr::Dialect {
                name: dialect,
                body: Some(body),
            },
        ) if dialect == "stablehlo" => {
            // MLIR prints a second space here.
            printer.put(" ");
            printer.put(enum_value(body, name)?);
        }
        (Kind::Precisions, Attr::Array(items)) => {
            printer.put("[");
            for (n, item) in items.iter().enumerate() {
                let Attr::Dialect { name, body: Some(body) } = item else {
                    return Err(Unfit);
                };
                if name != "stablehlo" {
                    return Err(Unfit);
                }
                if n > 0 {
                    printer.put(", ");
                }
                printer.put(enum_value(body, "precision")?);
            }
            printer.put("]");
        }
        (Kind::Body(expected), Attr::Dialect { name, body: Some(body) }) if name == expected => {
            printer.put("<");
            printer.put(body);
            printer.put(">");
        }
        (Kind::SymbolString, Attr::String(name)) => put_symbol(&mut printer.out, name),
        (Kind::Symbol, Attr::Symbol(_)) => put_attribute(&mut printer.out, value),
        (Kind::String, Attr::String(text)) => put_string(&mut printer.out, text.as_bytes()),
        _ => return Err(Unfit),
    }
    Ok(())
}

/// `LT` of `comparison_direction LT`.
fn enum_value<'t>(body: &'t str, name: &str) -> Result<&'t str, Unfit> {
    let value = body.trim().strip_prefix(name).map(str::trim).ok_or(Unfit)?;
    let word = !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if word { Ok(value) } else { Err(Unfit) }
}

fn put_special<'a>(
    printer: &mut Printer<'_, 'a>,
    op: &Operation<'a>,
    special: Special,
    state: &mut State<'_, 'a>,
) -> Fitted {
    let get = |name: &'static str, state: &mut State<'_, 'a>| {
        state.shown.push(name);
        op.attr(name).ok_or(Unfit)
    };
    match special {
        Special::Slice => {
            let starts = integers(get("start_indices", state)?)?;
            let limits = integers(get("limit_indices", state)?)?;
            let strides = integers(get("strides", state)?)?;
            if starts.len() != limits.len() || starts.len() != strides.len() {
                return Err(Unfit);
            }
            printer.put("[");
            printer.list(
                starts.iter().zip(&limits).zip(&strides),
                |p, ((start, limit), stride)| {
                    p.put(&format!("{start}:{limit}"));
                    if *stride != 1 {
                        p.put(&format!(":{stride}"));
                    }
                },
            );
            printer.put("]");
        }
        Special::DotDimensions => {
            let Attr::Dialect { name, body } = get("dot_dimension_numbers", state)? else {
                return Err(Unfit);
            };
            if name != "stablehlo.dot" {
                return Err(Unfit);
            }
            let parameters = parse_parameters(body.as_deref().unwrap_or("")).map_err(|_| Unfit)?;
            let list = |name: &str| match parameters.iter().find(|p| p.name == name) {
                Some(parameter) => integers(&parameter.value),
                None => Ok(Vec::new()),
            };
            let batching = (list("lhs_batching_dimensions")?, list("rhs_batching_dimensions")?);
            let contracting = (list("lhs_contracting_dimensions")?, list("rhs_contracting_dimensions")?);
            if !batching.0.is_empty() || !batching.1.is_empty() {
                printer.put(", batching_dims = ");
                put_integers(printer, &batching.0);
                printer.put(" x ");
                put_integers(printer, &batching.1);
            }
            printer.put(", contracting_dims = ");
            put_integers(printer, &contracting.0);
            printer.put(" x ");
            put_integers(printer, &contracting.1);
        }
        Special::ConvolutionDimensions => {
            let Attr::Dialect { name, body: Some(body) } = get("dimension_numbers", state)? else {
                return Err(Unfit);
            };
            if name != "stablehlo.conv" {
                return Err(Unfit);
            }
            printer.put(body);
        }
        Special::Window => put_window(printer, op, state)?,
        Special::ExponentMantissa => {
            let bits = |attr: &Attr| {
                if let Attr::Integer { value, .. } = attr {
                    Ok(*value)
                } else {
                    Err(Unfit)
                }
            };
            let exponent = bits(get("exponent_bits", state)?)?;
            let mantissa = bits(get("mantissa_bits", state)?)?;
            printer.put(&format!("e{exponent}m{mantissa}"));
        }
    }
    Ok(())
}

fn put_window<'a>(printer: &mut Printer<'_, 'a>, op: &Operation<'a>, state: &mut State<'_, 'a>) -> Fitted {
    const PARTS: [(&str, &str); 5] = [
        ("stride", "window_strides"),
        ("pad", "padding"),
        ("lhs_dilate", "lhs_dilation"),
        ("rhs_dilate", "rhs_dilation"),
        ("reverse", "window_reversal"),
    ];
    let mut first = true;
    for (short, name) in PARTS {
        let Some(value) = op.attr(name) else { continue };
        state.shown.push(name);
        if !first {
            printer.put(", ");
        }
        first = false;
        printer.put(short);
        printer.put(" = ");
        match (short, value) {
            ("pad", Attr::Dense(dense)) => {
                let Type::Tensor(tensor) = &dense.ty else {
                    return Err(Unfit);
                };
                let [count, 2] = tensor.sizes[..] else {
                    return Err(Unfit);
                };
                let DenseData::Elements {
                    shape,
                    values,
                    complex: false,
                } = &dense.data
                else {
                    return Err(Unfit);
                };
                let at = |n: usize| match values.get(if shape.is_empty() { 0 } else { n }) {
                    Some(Scalar::Int(value)) => Ok(*value),
                    _ => Err(Unfit),
                };
                printer.put("[");
                for n in 0..usize::try_from(count).map_err(|_| Unfit)? {
                    if n > 0 {
                        printer.put(", ");
                    }
                    printer.put(&format!("[{}, {}]", at(2 * n)?, at(2 * n + 1)?));
                }
                printer.put("]");
            }
            ("reverse", Attr::DenseArray { values, .. }) => {
                printer.put("[");
                printer.list(values, |p, value| {
                    let on = matches!(value, Scalar::Bool(true)) || matches!(value, Scalar::Int(n) if *n != 0);
                    p.put(if on { "true" } else { "false" });
                });
                printer.put("]");
            }
            (_, value) => {
                let values = integers(value)?;
                put_integers(printer, &values);
            }
        }
    }
    Ok(())
}

fn put_types<'a>(printer: &mut Printer<'_, 'a>, op: &Operation<'a>, types: Types) {
    let single = match &op.result_types[..] {
        [ty] => Some(ty),
        _ => None,
    };
    if matches!(types, Types::OperandsOnly | Types::Pairwise) && op.operands.is_empty() {
        if types == Types::Pairwise {
            printer.put(" ()");
        }
        return;
    }
    printer.put(" : ");
    match (types, single, &op.operand_types[..]) {
        (Types::Same, Some(ty), operands) if operands.iter().all(|t| t == ty) => printer.ty(ty),
        (Types::Select, Some(ty), [predicate, on_true, on_false]) if on_true == ty && on_false == ty => {
            printer.ty(predicate);
            printer.put(", ");
            printer.ty(ty);
        }
        (Types::Complex, Some(ty), [lhs, rhs]) if lhs == rhs && is_complex_of(ty, lhs) => printer.ty(ty),
        (Types::Tuple, Some(ty @ Type::Tuple(items)), operands) if items[..] == *operands => printer.ty(ty),
        (Types::ResultOnly, Some(ty), []) => printer.ty(ty),
        (Types::OperandsOnly | Types::Compared, _, operands) => printer.list(operands, |p, ty| p.ty(ty)),
        (Types::Pairwise, _, operands) if op.result_types[..] == *operands => printer.list(operands, |p, ty| p.ty(ty)),
        (Types::Arrow, _, operands) if !operands.is_empty() => {
            printer.list(operands, |p, ty| p.ty(ty));
            printer.put(" -> ");
            match single {
                Some(ty) => printer.ty(ty),
                None => {
                    printer.put("(");
                    printer.list(&op.result_types, |p, ty| p.ty(ty));
                    printer.put(")");
                }
            }
        }
        _ => printer.functional_type(op),
    }
}

fn is_complex_of(complex: &Type, real: &Type) -> bool {
    match (complex, real) {
        (Type::Tensor(complex), Type::Tensor(real)) => {
            complex.sizes == real.sizes
                && complex.encoding == real.encoding
                && matches!(&complex.element, Type::Complex(part) if **part == real.element)
        }
        _ => false,
    }
}
