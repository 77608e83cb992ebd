//! The instruction binaries: Ferrite's own encoding, in place of AWS's, which is not public.
//!
//! ```text
//! offset  bytes  content
//!      0      8  "FERRITE\0"
//!      8      4  version of the encoding, little endian
//!     12      8  number of instructions, little endian
//!     20      -  the instructions, one after another
//! ```
//!
//! An instruction is the `serde` form of [`ferrite_ir::isa`]'s type in `bincode` 2's standard configuration (variable
//! length integers, little endian): fields in declaration order, enum variants by index. So every change of those
//! types that is not an addition of a variant at the end of an enum asks for a new [`VERSION`].
//!
//! This is the only module that knows `bincode`.

use std::marker::PhantomData;

use bincode::config::{self, Configuration, Limit, LittleEndian, Varint};
use bytes::Bytes;
use ferrite_ir::diag::Diagnostic;
use ferrite_ir::isa::Instr;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::malformed;

/// Version of the encoding, in `info.json` too.
pub const VERSION: u32 = 2;

const MAGIC: &[u8; 8] = b"FERRITE\0";
const PREFIX: usize = 20;

/// Most bytes of one instruction. Bounds what reading can allocate before the bytes are seen.
const MAX_INSTRUCTION: usize = 1 << 16;

const fn format() -> Configuration<LittleEndian, Varint, Limit<MAX_INSTRUCTION>> {
    config::standard().with_limit()
}

/// Encodes a stream of instructions.
pub(crate) fn encode<T: Serialize>(place: &str, instructions: &[T]) -> Result<Vec<u8>, Diagnostic> {
    let mut out = Vec::with_capacity(PREFIX + 24 * instructions.len());
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&(instructions.len() as u64).to_le_bytes());
    for (index, instruction) in instructions.iter().enumerate() {
        let start = out.len();
        bincode::serde::encode_into_std_write(instruction, &mut out, format())
            .map_err(|e| Diagnostic::bug(format!("`{place}`: instruction {index} cannot be encoded: {e}")))?;
        if out.len() - start > MAX_INSTRUCTION {
            return Err(Diagnostic::bug(format!(
                "`{place}`: instruction {index} takes more than {MAX_INSTRUCTION} bytes"
            )));
        }
    }
    Ok(out)
}

/// Decodes a stream of instructions; `place` names the file in errors.
pub(crate) fn decode<T: DeserializeOwned>(place: &str, bytes: &[u8]) -> Result<Vec<T>, Diagnostic> {
    Reader::new(place, bytes)?.collect()
}

/// Decodes a stream, one instruction after the other. The last item is an error if the file is not as long as it should be.
pub(crate) struct Reader<'a, T> {
    place: &'a str,
    /// Bytes of the file.
    size: usize,
    rest: &'a [u8],
    index: u64,
    pub(crate) count: u64,
    ended: bool,
    instructions: PhantomData<T>,
}

impl<'a, T> Reader<'a, T> {
    /// Reads the prefix.
    pub(crate) fn new(place: &'a str, bytes: &'a [u8]) -> Result<Reader<'a, T>, Diagnostic> {
        let foreign = || {
            malformed(place, "not in Ferrite's instruction encoding")
                .help("instructions of other compilers cannot be read: their encoding is not public")
        };
        let Some((prefix, rest)) = bytes.split_first_chunk::<PREFIX>() else {
            return Err(foreign());
        };
        let [magic @ .., _, _, _, _, _, _, _, _, _, _, _, _] = prefix;
        if magic != MAGIC {
            return Err(foreign());
        }
        let [_, _, _, _, _, _, _, _, v0, v1, v2, v3, count @ ..] = *prefix;
        let version = u32::from_le_bytes([v0, v1, v2, v3]);
        if version != VERSION {
            return Err(malformed(
                place,
                format!("encoding version {version}, this program reads version {VERSION}"),
            )
            .help("compile the model again, or use the version of Ferrite that wrote the file"));
        }
        Ok(Reader {
            place,
            size: bytes.len(),
            rest,
            index: 0,
            count: u64::from_le_bytes(count),
            ended: false,
            instructions: PhantomData,
        })
    }
}

impl<T: DeserializeOwned> Iterator for Reader<'_, T> {
    type Item = Result<T, Diagnostic>;

    fn next(&mut self) -> Option<Self::Item> {
        let (index, count) = (self.index, self.count);
        if self.ended {
            return None;
        }
        if index == count {
            self.ended = true;
            let left = self.rest.len();
            let text = format!("{left} bytes after the last of {count} instructions");
            return (left > 0).then(|| Err(malformed(self.place, text)));
        }
        self.index += 1;
        match bincode::serde::decode_from_slice(self.rest, format()) {
            Ok((instruction, used)) => {
                self.rest = &self.rest[used..];
                Some(Ok(instruction))
            }
            Err(e) => {
                self.ended = true;
                let offset = self.size - self.rest.len();
                Some(Err(malformed(
                    self.place,
                    format!("instruction {index} of {count}, byte {offset}: {e}"),
                )))
            }
        }
    }
}

/// The instructions of one engine, not decoded yet.
#[derive(Clone, Debug, Default)]
pub struct Code {
    place: String,
    /// The file; none for an engine without one.
    bytes: Option<Bytes>,
}

impl Code {
    pub(crate) fn new(place: String, bytes: Option<Bytes>) -> Code {
        Code { place, bytes }
    }

    /// Decodes them one after the other.
    ///
    /// # Errors
    /// A file in another encoding or of another version.
    pub fn instructions(&self) -> Result<Instructions<'_>, Diagnostic> {
        let reader = self.bytes.as_ref().map(|bytes| Reader::new(&self.place, bytes));
        Ok(Instructions(reader.transpose()?))
    }
}

/// The instructions of an engine in order; an error is the last item.
pub struct Instructions<'a>(Option<Reader<'a, Instr>>);

impl Instructions<'_> {
    /// How many there should be in all.
    pub fn announced(&self) -> u64 {
        self.0.as_ref().map_or(0, |r| r.count)
    }
}

impl Iterator for Instructions<'_> {
    type Item = Result<Instr, Diagnostic>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.as_mut()?.next()
    }
}
