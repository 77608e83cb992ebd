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

use bincode::config::{self, Configuration, Limit, LittleEndian, Varint};
use ferrite_ir::diag::Diagnostic;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::malformed;

/// Version of the encoding, in `info.json` too.
pub const VERSION: u32 = 1;

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
    let foreign = || {
        malformed(place, "not in Ferrite's instruction encoding")
            .help("instructions of other compilers cannot be read: their encoding is not public")
    };
    let Some((prefix, mut rest)) = bytes.split_first_chunk::<PREFIX>() else {
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
    let count = u64::from_le_bytes(count);
    let mut instructions = Vec::new();
    for index in 0..count {
        let offset = bytes.len() - rest.len();
        let (instruction, used) = bincode::serde::decode_from_slice(rest, format())
            .map_err(|e| malformed(place, format!("instruction {index} of {count}, byte {offset}: {e}")))?;
        instructions.push(instruction);
        rest = &rest[used..];
    }
    if !rest.is_empty() {
        return Err(malformed(
            place,
            format!("{} bytes after the last of {count} instructions", rest.len()),
        ));
    }
    Ok(instructions)
}
