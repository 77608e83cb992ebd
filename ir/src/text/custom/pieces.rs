//! Parsing of custom forms that are lists of [`Piece`]s.

use std::rc::Rc;

use smallvec::SmallVec;

use super::format::{Kind, Piece, Special, Types};
use crate::text::lexer::Parsed;
use crate::text::parser::Parser;
use crate::text::tree::*;

/// Parses the pieces of a custom form into `operation`, whose name begins at `start`.
pub(super) fn parse<'a>(
    parser: &mut Parser<'a>,
    mut operation: Operation<'a>,
    pieces: &'static [Piece],
    start: usize,
) -> Parsed<Operation<'a>> {
    let op = &mut operation;
    for piece in pieces {
        parse_piece(parser, op, piece, start)?;
    }
    Ok(operation)
}

fn parse_piece<'a>(parser: &mut Parser<'a>, op: &mut Operation<'a>, piece: &'static Piece, start: usize) -> Parsed<()> {
    match piece {
        Piece::Text(text) => {
            if !eat_text(parser, text) {
                let name = op.name.clone();
                return Err(parser.lexer.error(format!("expected `{}` in `{name}`", text.trim())));
            }
        }
        Piece::Operand => op.operands.push(parser.operand()?),
        Piece::Operands => {
            if parser.lexer.peek() == b'%' {
                op.operands.append(&mut parser.operand_list()?);
            } else if parser.lexer.peek() == b'(' && parser.lexer.raw_at(1) == b')' {
                // `optimization_barrier ()`
                parser.lexer.set_position(parser.lexer.position() + 2);
            }
        }
        Piece::OperandsThenComma => {
            while parser.lexer.peek() == b'%' {
                op.operands.push(parser.operand()?);
                parser.lexer.expect(",", "after an operand")?;
            }
        }
        Piece::Attr(name, kind) => {
            let value = attribute(parser, *kind)?;
            op.set(*name, value);
        }
        Piece::Optional(pieces) => {
            let Some((Piece::Text(first), rest)) = pieces.split_first() else {
                return Ok(());
            };
            if eat_text(parser, first) {
                for piece in rest {
                    parse_piece(parser, op, piece, start)?;
                }
            }
        }
        Piece::Special(special) => parse_special(parser, op, *special)?,
        Piece::Bracketed => match parser.lexer.peek() {
            b'[' => {
                parser.lexer.bracketed("[", b']')?;
            }
            b'{' => {
                parser.lexer.bracketed("{", b'}')?;
            }
            _ => {}
        },
        Piece::Dict => {
            if parser.lexer.peek() == b'{' {
                op.attributes = parser.dictionary()?;
            }
        }
        Piece::Types(types) => parse_types(parser, op, *types, start)?,
    }
    Ok(())
}

/// Takes the words and punctuation of `text`, or nothing.
pub(super) fn eat_text(parser: &mut Parser<'_>, text: &str) -> bool {
    let start = parser.lexer.position();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if first.is_ascii_alphabetic() {
            rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        let found = if first.is_ascii_alphabetic() {
            parser.lexer.eat_word(token)
        } else {
            parser.lexer.eat(token)
        };
        if !found {
            parser.lexer.set_position(start);
            return false;
        }
        rest = after.trim_start();
    }
    true
}

fn integers(parser: &mut Parser<'_>) -> Parsed<Vec<i64>> {
    parser.lexer.expect("[", "before a list of integers")?;
    let mut values = Vec::new();
    if parser.lexer.eat("]") {
        return Ok(values);
    }
    loop {
        values.push(parser.lexer.integer("an integer")?);
        if !parser.lexer.eat(",") {
            break;
        }
    }
    parser.lexer.expect("]", "after a list of integers")?;
    Ok(values)
}

pub(super) fn i64_array<'a>(values: impl IntoIterator<Item = i64>) -> Attr<'a> {
    let values = values.into_iter().map(|v| Scalar::Int(i128::from(v))).collect();
    Attr::DenseArray {
        element: "i64".into(),
        values,
    }
}

pub(super) fn typed_integer<'a>(value: i64, ty: &'static str) -> Attr<'a> {
    Attr::Integer {
        value: i128::from(value),
        ty: Some(Box::new(Type::Scalar(ty.into()))),
    }
}

fn word<'a>(parser: &mut Parser<'a>, what: &str) -> Parsed<&'a str> {
    parser
        .lexer
        .word()
        .ok_or_else(|| parser.lexer.error(format!("expected {what}")))
}

fn attribute<'a>(parser: &mut Parser<'a>, kind: Kind) -> Parsed<Attr<'a>> {
    Ok(match kind {
        Kind::Integer(ty) => {
            let value = parser.lexer.integer("an integer")?;
            // The type may be written although the form leaves it out.
            if parser.lexer.peek() == b':' && ty == "i64" {
                let position = parser.lexer.position();
                parser.lexer.eat(":");
                if !parser.lexer.eat_word(ty) {
                    parser.lexer.set_position(position);
                }
            }
            typed_integer(value, ty)
        }
        Kind::Float(ty) => Attr::Float {
            value: match parser.scalar()? {
                Scalar::Int(value) => Scalar::Float(value as f64),
                value @ (Scalar::Float(_) | Scalar::Bits(_)) => value,
                Scalar::Bool(_) => return Err(parser.lexer.error("expected a number")),
            },
            ty: Some(Box::new(Type::Scalar(ty.into()))),
        },
        Kind::Choice(words) => {
            let found = word(parser, "a predicate")?;
            match words.iter().position(|w| *w == found) {
                Some(position) => typed_integer(position as i64, "i64"),
                None => return Err(parser.lexer.error(format!("unknown predicate before this: `{found}`"))),
            }
        }
        Kind::Bool => match parser.scalar()? {
            Scalar::Bool(value) => Attr::Bool(value),
            _ => return Err(parser.lexer.error("expected `true` or `false`")),
        },
        Kind::I64Array => i64_array(integers(parser)?),
        Kind::Enum(name) => {
            let value = word(parser, "a word in capitals")?;
            Attr::Dialect {
                name: "stablehlo".into(),
                body: Some(format!("{name} {value}").into()),
            }
        }
        Kind::Precisions => {
            parser.lexer.expect("[", "before the precisions")?;
            let mut items = Vec::new();
            while !parser.lexer.eat("]") {
                let value = word(parser, "a precision: `DEFAULT`, `HIGH` or `HIGHEST`")?;
                let body = match value {
                    "DEFAULT" => Text::Borrowed("precision DEFAULT"),
                    _ => format!("precision {value}").into(),
                };
                items.push(Attr::Dialect {
                    name: "stablehlo".into(),
                    body: Some(body),
                });
                if !parser.lexer.eat(",") {
                    parser.lexer.expect("]", "after the precisions")?;
                    break;
                }
            }
            Attr::Array(items)
        }
        Kind::Body(name) => {
            parser.lexer.expect("<", "before the value")?;
            Attr::Dialect {
                name: name.into(),
                body: Some(parser.lexer.angle_body()?.into()),
            }
        }
        Kind::SymbolString => {
            if parser.lexer.peek() == b'"' {
                Attr::String(parser.lexer.string()?)
            } else {
                Attr::String(parser.symbol()?)
            }
        }
        Kind::Symbol => match parser.attribute()? {
            symbol @ Attr::Symbol(_) => symbol,
            _ => return Err(parser.lexer.error("expected a symbol before this")),
        },
        Kind::String => Attr::String(parser.lexer.string()?),
    })
}

fn parse_special<'a>(parser: &mut Parser<'a>, op: &mut Operation<'a>, special: Special) -> Parsed<()> {
    match special {
        Special::Slice => {
            let (mut starts, mut limits, mut strides) = (Vec::new(), Vec::new(), Vec::new());
            parser.lexer.expect("[", "before the ranges of a slice")?;
            if !parser.lexer.eat("]") {
                loop {
                    starts.push(parser.lexer.integer("the start of a range")?);
                    parser.lexer.expect(":", "after the start of a range")?;
                    limits.push(parser.lexer.integer("the limit of a range")?);
                    strides.push(if parser.lexer.eat(":") {
                        parser.lexer.integer("the stride of a range")?
                    } else {
                        1
                    });
                    if !parser.lexer.eat(",") {
                        break;
                    }
                }
                parser.lexer.expect("]", "after the ranges of a slice")?;
            }
            op.set("limit_indices", i64_array(limits));
            op.set("start_indices", i64_array(starts));
            op.set("strides", i64_array(strides));
        }
        Special::DotDimensions => {
            let mut parts = Vec::new();
            if eat_text(parser, ", batching_dims = ") {
                let (lhs, rhs) = integer_pair(parser)?;
                push_dimensions(&mut parts, "lhs_batching_dimensions", &lhs);
                push_dimensions(&mut parts, "rhs_batching_dimensions", &rhs);
            }
            if eat_text(parser, ", contracting_dims = ") {
                let (lhs, rhs) = integer_pair(parser)?;
                push_dimensions(&mut parts, "lhs_contracting_dimensions", &lhs);
                push_dimensions(&mut parts, "rhs_contracting_dimensions", &rhs);
            }
            let body = Some(parts.join(", ").into());
            op.set(
                "dot_dimension_numbers",
                Attr::Dialect {
                    name: "stablehlo.dot".into(),
                    body,
                },
            );
        }
        Special::ConvolutionDimensions => {
            let mut body = dimension_labels(parser)?;
            parser.lexer.expect_word("x", "after the dimensions of the input")?;
            body.push('x');
            body.push_str(&dimension_labels(parser)?);
            parser.lexer.expect("->", "after the dimensions of the kernel")?;
            body.push_str("->");
            body.push_str(&dimension_labels(parser)?);
            op.set(
                "dimension_numbers",
                Attr::Dialect {
                    name: "stablehlo.conv".into(),
                    body: Some(body.into()),
                },
            );
        }
        Special::Window => window(parser, op)?,
        Special::ExponentMantissa => {
            let format = word(parser, "a format such as `e5m10`")?;
            let parts = format.strip_prefix('e').and_then(|rest| rest.split_once('m'));
            let bits = parts.and_then(|(e, m)| Some((e.parse::<u32>().ok()?, m.parse::<u32>().ok()?)));
            let Some((exponent, mantissa)) = bits else {
                return Err(parser.lexer.error(format!(
                    "expected a format such as `e5m10` before this, found `{format}`"
                )));
            };
            op.set("exponent_bits", typed_integer(i64::from(exponent), "i32"));
            op.set("mantissa_bits", typed_integer(i64::from(mantissa), "i32"));
        }
    }
    Ok(())
}

fn integer_pair(parser: &mut Parser<'_>) -> Parsed<(Vec<i64>, Vec<i64>)> {
    let lhs = integers(parser)?;
    parser.lexer.expect_word("x", "between two lists of dimensions")?;
    Ok((lhs, integers(parser)?))
}

fn push_dimensions(parts: &mut Vec<String>, name: &str, values: &[i64]) {
    if !values.is_empty() {
        let list: Vec<String> = values.iter().map(i64::to_string).collect();
        parts.push(format!("{name} = [{}]", list.join(", ")));
    }
}

/// `[b, 0, 1, f]`, with canonical spacing.
fn dimension_labels(parser: &mut Parser<'_>) -> Parsed<String> {
    parser.lexer.expect("[", "before the dimensions of a convolution")?;
    let mut labels: Vec<String> = Vec::new();
    while !parser.lexer.eat("]") {
        labels.push(if parser.lexer.eat("?") {
            "?".to_string()
        } else if let Some(label) = parser.lexer.word() {
            label.to_string()
        } else {
            parser
                .lexer
                .small("a dimension: `b`, `f`, `i`, `o` or a number")?
                .to_string()
        });
        if !parser.lexer.eat(",") {
            parser.lexer.expect("]", "after the dimensions of a convolution")?;
            break;
        }
    }
    Ok(format!("[{}]", labels.join(", ")))
}

fn window<'a>(parser: &mut Parser<'a>, op: &mut Operation<'a>) -> Parsed<()> {
    while parser.lexer.peek() != b'}' {
        let key = word(parser, "`stride`, `pad`, `lhs_dilate`, `rhs_dilate` or `reverse`")?;
        parser.lexer.expect("=", "after the name of a part of a window")?;
        match key {
            "stride" => op.set("window_strides", i64_array(integers(parser)?)),
            "lhs_dilate" => op.set("lhs_dilation", i64_array(integers(parser)?)),
            "rhs_dilate" => op.set("rhs_dilation", i64_array(integers(parser)?)),
            "pad" => {
                let mut values = Vec::new();
                parser.lexer.expect("[", "before the padding")?;
                let mut count = 0;
                while !parser.lexer.eat("]") {
                    let pair = integers(parser)?;
                    let [low, high] = pair[..] else {
                        return Err(parser
                            .lexer
                            .error("expected two numbers a dimension of padding before this"));
                    };
                    values.extend([Scalar::Int(i128::from(low)), Scalar::Int(i128::from(high))]);
                    count += 1;
                    if !parser.lexer.eat(",") {
                        parser.lexer.expect("]", "after the padding")?;
                        break;
                    }
                }
                let shape = if count == 0 {
                    SmallVec::from_slice(&[0])
                } else {
                    SmallVec::from_slice(&[count, 2])
                };
                let data = DenseData::Elements {
                    shape,
                    values,
                    complex: false,
                };
                let sizes = Sizes::from_slice(&[count as i64, 2]);
                let ty = Type::tensor(sizes, Type::Scalar("i64".into()));
                op.set("padding", Attr::Dense(Box::new(Dense { data, ty })));
            }
            "reverse" => {
                parser.lexer.expect("[", "before the reversed dimensions")?;
                let mut values = Vec::new();
                while !parser.lexer.eat("]") {
                    values.push(match parser.scalar()? {
                        Scalar::Int(value) => Scalar::Bool(value != 0),
                        value => value,
                    });
                    if !parser.lexer.eat(",") {
                        parser.lexer.expect("]", "after the reversed dimensions")?;
                        break;
                    }
                }
                op.set(
                    "window_reversal",
                    Attr::DenseArray {
                        element: "i1".into(),
                        values,
                    },
                );
            }
            _ => {
                return Err(parser
                    .lexer
                    .error(format!("unknown part of a window before this: `{key}`")));
            }
        }
        if !parser.lexer.eat(",") {
            break;
        }
    }
    Ok(())
}

fn parse_types<'a>(parser: &mut Parser<'a>, op: &mut Operation<'a>, types: Types, start: usize) -> Parsed<()> {
    let optional = matches!(types, Types::OperandsOnly | Types::Pairwise) && op.operands.is_empty();
    if optional && parser.lexer.peek() != b':' {
        return Ok(());
    }
    parser.lexer.expect(":", "before the types")?;
    let count = op.operands.len();
    match types {
        Types::Functional => (op.operand_types, op.result_types) = parser.function_type()?,
        Types::OperandsOnly => op.operand_types = parser.type_list()?,
        Types::Predicate => {
            let ty = parser.ty()?;
            op.result_types = vec![bits(&ty)];
            op.operand_types = vec![ty; count];
        }
        Types::To => {
            op.operand_types = vec![parser.ty()?];
            parser.lexer.expect_word("to", "before the type of the result")?;
            op.result_types = vec![parser.ty()?];
        }
        Types::Elements | Types::Extract | Types::Dim => {
            let ty = parser.ty()?;
            let Some(element) = ty.element().cloned() else {
                return Err(parser.lexer.error("expected a tensor type before this"));
            };
            let index = || Type::Scalar("index".into());
            if types == Types::Elements {
                op.operand_types = vec![element; count];
                op.result_types = vec![ty];
            } else {
                op.operand_types = vec![ty];
                op.operand_types.extend((1..count).map(|_| index()));
                op.result_types = vec![if types == Types::Dim { index() } else { element }];
            }
        }
        Types::Compared => {
            op.operand_types = parser.type_list()?;
            if let [ty] = &op.operand_types[..] {
                op.operand_types = vec![ty.clone(); count];
            }
        }
        Types::Pairwise => {
            op.operand_types = parser.type_list()?;
            op.result_types = op.operand_types.clone();
        }
        Types::ResultOnly => op.result_types = vec![parser.ty()?],
        Types::Same | Types::Select | Types::Complex | Types::Tuple | Types::Arrow => {
            if parser.lexer.peek() == b'(' {
                (op.operand_types, op.result_types) = parser.function_type()?;
            } else {
                short_types(parser, op, types)?;
            }
        }
    }
    if op.operand_types.len() != count {
        let message = format!(
            "`{}` has {count} operand(s), but types of {}",
            op.name,
            op.operand_types.len()
        );
        return Err(parser.lexer.error_at(start, parser.lexer.position(), message));
    }
    Ok(())
}

/// The tensor type with other elements.
fn with_element<'a>(tensor: &Tensor<'a>, element: Type<'a>) -> Type<'a> {
    Type::Tensor(Rc::new(Tensor {
        sizes: tensor.sizes.clone(),
        element,
        encoding: tensor.encoding.clone(),
    }))
}

/// The type with bits in place of its elements.
fn bits<'a>(ty: &Type<'a>) -> Type<'a> {
    let bit = Type::Scalar("i1".into());
    match ty {
        Type::Tensor(tensor) => with_element(tensor, bit),
        _ => bit,
    }
}

fn short_types<'a>(parser: &mut Parser<'a>, op: &mut Operation<'a>, types: Types) -> Parsed<()> {
    let count = op.operands.len();
    if types == Types::Arrow {
        op.operand_types = parser.type_list()?;
        parser.lexer.expect("->", "before the types of the results")?;
        op.result_types = parser.result_types()?;
        return Ok(());
    }
    let first = parser.ty()?;
    match types {
        // `arith.select` names one type where the predicate is a bit.
        Types::Select if parser.lexer.peek() != b',' => {
            op.operand_types = vec![Type::Scalar("i1".into()), first.clone(), first.clone()];
            op.result_types = vec![first];
        }
        Types::Select => {
            parser.lexer.expect(",", "between the types of predicate and result")?;
            let result = parser.ty()?;
            op.operand_types = vec![first, result.clone(), result.clone()];
            op.result_types = vec![result];
        }
        Types::Complex => {
            let Type::Tensor(tensor) = &first else {
                return Err(parser.lexer.error("expected a tensor type before this"));
            };
            let Type::Complex(real) = &tensor.element else {
                return Err(parser.lexer.error("expected a tensor of complex numbers before this"));
            };
            let real = with_element(tensor, (**real).clone());
            op.operand_types = vec![real; 2];
            op.result_types = vec![first];
        }
        Types::Tuple => {
            let Type::Tuple(items) = &first else {
                return Err(parser.lexer.error("expected a tuple type before this"));
            };
            op.operand_types = items.clone();
            op.result_types = vec![first];
        }
        _ => {
            op.operand_types = vec![first.clone(); count];
            op.result_types = vec![first];
        }
    }
    Ok(())
}
