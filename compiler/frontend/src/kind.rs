//! What a file is, from its content.

use std::fmt;

/// The kind of a model file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// MLIR text, custom or generic form.
    StableHlo,
    /// XLA HLO text (`HloModule name ...`).
    HloText,
    /// A serialized `xla.HloModuleProto`.
    HloModuleProto,
    /// A serialized `xla.HloProto`, as XLA dumps it: a module and its buffers.
    HloProto,
    /// MLIR bytecode: a StableHLO portable artifact.
    MlirBytecode,
    /// No bytes.
    Empty,
    /// None of these.
    Unknown,
}

impl Kind {
    /// Recognises the kind of a file.
    pub fn of(bytes: &[u8]) -> Kind {
        if bytes.is_empty() {
            return Kind::Empty;
        }
        if bytes.starts_with(b"ML\xEFR") {
            return Kind::MlirBytecode;
        }
        if let Some(kind) = text(bytes) {
            return kind;
        }
        proto(bytes).unwrap_or(Kind::Unknown)
    }
}

/// The kind of a text, from its first word that is no comment.
fn text(bytes: &[u8]) -> Option<Kind> {
    let mut rest = bytes;
    loop {
        rest = rest.trim_ascii_start();
        if rest.starts_with(b"//") {
            rest = &rest[rest.iter().position(|&b| b == b'\n')?..];
        } else if rest.starts_with(b"/*") {
            rest = &rest[rest.windows(2).position(|pair| pair == b"*/")? + 2..];
        } else {
            break;
        }
    }
    let starts = |words: &[&str]| {
        words.iter().any(|word| {
            rest.strip_prefix(word.as_bytes())
                .is_some_and(|after| after.first().is_none_or(|b| !b.is_ascii_alphanumeric() && *b != b'_'))
        })
    };
    if starts(&["HloModule"]) {
        return Some(Kind::HloText);
    }
    // A protocol buffer may begin with `"` or `#` too: those bytes would be small tags followed by other signs.
    let sigil = match rest {
        [b'#' | b'!', next, ..] => next.is_ascii_alphabetic() || *next == b'_',
        [b'"', ..] => rest[1..]
            .iter()
            .take(64)
            .position(|&b| b == b'"')
            .is_some_and(|n| rest[1..=n].is_ascii()),
        [b'{', b'-', b'#', ..] => true,
        _ => false,
    };
    (sigil || starts(&["module", "func.func", "builtin.module", "sdy.mesh"])).then_some(Kind::StableHlo)
}

/// One field of a protocol buffer message.
struct Field<'b> {
    number: u64,
    /// The bytes of a length-delimited field.
    bytes: Option<&'b [u8]>,
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn field<'b>(bytes: &mut &'b [u8]) -> Option<Field<'b>> {
    let tag = varint(bytes)?;
    let skip = |bytes: &mut &'b [u8], count: u64| {
        let (head, rest) = bytes.split_at_checked(usize::try_from(count).ok()?)?;
        *bytes = rest;
        Some(head)
    };
    let content = match tag & 7 {
        0 => {
            varint(bytes)?;
            None
        }
        1 => {
            skip(bytes, 8)?;
            None
        }
        2 => {
            let length = varint(bytes)?;
            Some(skip(bytes, length)?)
        }
        5 => {
            skip(bytes, 4)?;
            None
        }
        _ => return None,
    };
    (tag >> 3 != 0).then_some(Field {
        number: tag >> 3,
        bytes: content,
    })
}

/// Tells the two messages apart: field 1 of `HloModuleProto` is the name of the module, field 1 of `HloProto` is a
/// `HloModuleProto`; field 3 of the former is a computation.
fn proto(bytes: &[u8]) -> Option<Kind> {
    let mut rest = bytes;
    let mut module = None;
    let mut count = 0;
    while !rest.is_empty() {
        let field = field(&mut rest)?;
        count += 1;
        match (field.number, field.bytes) {
            (1, Some(content)) if module.is_none() => {
                let mut inner = content;
                let first = self::field(&mut inner);
                let nested = first.is_some_and(|f| f.number == 1 && f.bytes.is_some()) && has_computation(content);
                module = Some(if nested { Kind::HloProto } else { Kind::HloModuleProto });
            }
            (3, Some(_)) if module.is_none() => module = Some(Kind::HloModuleProto),
            _ => {}
        }
        // What the first fields say is enough; the reader checks the rest.
        if module.is_some() && count > 2 {
            break;
        }
    }
    module
}

fn has_computation(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while !rest.is_empty() {
        match field(&mut rest) {
            Some(Field {
                number: 3,
                bytes: Some(_),
            }) => return true,
            Some(_) => {}
            None => return false,
        }
    }
    false
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::StableHlo => "MLIR text",
            Kind::HloText => "XLA HLO text",
            Kind::HloModuleProto => "a serialized HloModuleProto",
            Kind::HloProto => "a serialized HloProto",
            Kind::MlirBytecode => "MLIR bytecode (a StableHLO portable artifact)",
            Kind::Empty => "empty",
            Kind::Unknown => "no model in a known form",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_known_by_their_first_word() {
        assert_eq!(Kind::of(b"// a comment\n\nmodule @m {\n}"), Kind::StableHlo);
        assert_eq!(Kind::of(b"#loc1 = loc(\"x\")\nmodule {}"), Kind::StableHlo);
        assert_eq!(Kind::of(b"\"builtin.module\"() ({}) : () -> ()"), Kind::StableHlo);
        assert_eq!(Kind::of(b"HloModule jit_f, entry_computation_layout={}"), Kind::HloText);
        assert_eq!(Kind::of(b"modules are nice"), Kind::Unknown);
        assert_eq!(Kind::of(b""), Kind::Empty);
    }

    #[test]
    fn binaries_are_known_by_their_structure() {
        assert_eq!(Kind::of(b"ML\xEFR\x01rest"), Kind::MlirBytecode);
        let module = b"\x0A\x05jit_f\x12\x04main\x1A\x03\x0A\x01a";
        assert_eq!(Kind::of(module), Kind::HloModuleProto);
        let mut dump = vec![0x0A, module.len() as u8];
        dump.extend(module);
        assert_eq!(Kind::of(&dump), Kind::HloProto);
        assert_eq!(Kind::of(&[0xFF; 32]), Kind::Unknown);
    }
}
