//! Encodings of Shardy's attributes. Each becomes the text it has in MLIR, which is how the program keeps it.
//!
//! The numbers are those of `shardy/dialect/sdy/ir/bytecode.td`.

use ferrite_ir::text::{Attr, print_attribute};

use super::cursor::{Cursor, Read};
use super::decode::Decoder;

/// A Shardy attribute.
pub(super) fn attribute<'a>(decoder: &mut Decoder<'a>, cursor: &mut Cursor<'a>) -> Read<Attr<'a>> {
    let start = *cursor;
    let code = cursor.varint()?;
    let (name, body) = match code {
        0 => {
            let axes: Vec<String> = decoder.attributes(cursor)?.iter().map(print_attribute).collect();
            ("sdy", format!("manual_axes{{{}}}", axes.join(", ")))
        }
        1 => {
            let name = decoder.file.text(cursor)?;
            ("sdy.mesh_axis", format!("{name:?}={}", cursor.svarint()?))
        }
        2 => {
            let axes = bodies(decoder, cursor)?;
            let devices = cursor.svarints()?;
            let devices = match devices.len() {
                0 => String::new(),
                _ => format!(", device_ids={devices:?}"),
            };
            ("sdy.mesh", format!("[{axes}]{devices}"))
        }
        3 => {
            let (before, size) = (cursor.svarint()?, cursor.svarint()?);
            ("sdy.sub_axis_info", format!("({before}){size}"))
        }
        4 => {
            let name = decoder.file.text(cursor)?;
            let part = match cursor.flagged()? {
                (_, false) => String::new(),
                (index, true) => {
                    let index = usize::try_from(index).unwrap_or(usize::MAX);
                    format!(":{}", body(&decoder.attribute_at(index, &start)?))
                }
            };
            ("sdy.axis_ref", format!("{name:?}{part}"))
        }
        5 => {
            let axes = bodies(decoder, cursor)?;
            let open = match (cursor.byte()? & 1 != 0, axes.is_empty()) {
                (true, _) => "",
                (false, true) => "?",
                (false, false) => ", ?",
            };
            let priority = match cursor.flagged()? {
                (priority, true) => format!("p{priority}"),
                _ => String::new(),
            };
            ("sdy.dimension_sharding", format!("{{{axes}{open}}}{priority}"))
        }
        6 | 15 => {
            let mesh = match decoder.attribute(cursor)? {
                Attr::Dialect { body: Some(body), .. } => format!("mesh<{body}>"),
                symbol => print_attribute(&symbol),
            };
            let mut text = format!("{mesh}, [{}]", bodies(decoder, cursor)?);
            let kinds = if code == 15 {
                &["replicated", "unreduced"][..]
            } else {
                &["replicated"]
            };
            for kind in kinds {
                let axes = bodies(decoder, cursor)?;
                if !axes.is_empty() {
                    text.push_str(&format!(", {kind}={{{axes}}}"));
                }
            }
            ("sdy.sharding", text)
        }
        7 | 16 => {
            let list = decoder.attributes(cursor)?;
            let list: Vec<String> = list.iter().map(|item| format!("<{}>", body(item))).collect();
            ("sdy.sharding_per_value", format!("[{}]", list.join(", ")))
        }
        11 => {
            let axes = bodies(decoder, cursor)?;
            ("sdy.axis_ref_list", format!("{{{axes}}}"))
        }
        12 => {
            let lists = bodies(decoder, cursor)?;
            ("sdy.list_of_axis_ref_lists", format!("[{lists}]"))
        }
        code => return start.wrong(format!("attribute {code} of Shardy is not supported")),
    };
    Ok(Attr::Dialect {
        name: name.into(),
        body: Some(body_limit(body, &start)?.into()),
    })
}

/// Texts contain each other: a few bytes could describe one of any length.
fn body_limit(body: String, at: &Cursor) -> Read<String> {
    /// Far more than a sharding of any real mesh takes, device ids included.
    const LONGEST: usize = 1 << 20;
    if body.len() > LONGEST {
        return at.wrong("a sharding is longer than all measure");
    }
    Ok(body)
}

/// The text between the angle brackets.
fn body<'v>(attr: &'v Attr<'_>) -> &'v str {
    match attr {
        Attr::Dialect { body: Some(body), .. } => body,
        _ => "",
    }
}

/// Texts of a list of attributes, separated by commas.
fn bodies<'a>(decoder: &mut Decoder<'a>, cursor: &mut Cursor<'a>) -> Read<String> {
    let start = *cursor;
    let list = decoder.attributes(cursor)?;
    let texts: Vec<&str> = list.iter().map(body).collect();
    body_limit(texts.join(", "), &start)
}
