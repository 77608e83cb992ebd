//! MLIR bytecode: StableHLO portable artifacts (VHLO), and plain StableHLO where it can be read.
//!
//! [`file`] finds the sections, [`decode`] attributes, types and locations, [`ir`] operations. What comes out is the tree
//! that the parser of MLIR text makes too, so that one reader turns both into `ir::hlo`.

mod builtin;
mod cursor;
mod decode;
mod file;
mod ir;
mod properties;
mod sdy;
mod stablehlo;
mod vhlo;

#[cfg(test)]
mod tests;

use ferrite_ir::diag::{Code, Diagnostic};
use ferrite_ir::hlo::{self, Module};
use ferrite_ir::text::Document;

use cursor::{Read, Wrong};

/// Reads bytecode.
///
/// # Errors
/// What is wrong with the file, with the offset of the byte, or with the program in it.
pub(crate) fn read(bytes: &[u8]) -> Result<Module, Vec<Diagnostic>> {
    let document = document(bytes).map_err(|Wrong { offset, message }| {
        vec![
            Diagnostic::error(Code::Parse, format!("at byte {offset}: {message}"))
                .help("write the artifact again, or write StableHLO text: `jax.jit(f).lower(...).as_text()`"),
        ]
    })?;
    hlo::parse::from_document(&document)
}

/// The operations of a file.
fn document(bytes: &[u8]) -> Read<Document<'_>> {
    let file = file::File::read(bytes)?;
    let mut decoder = decode::Decoder::new(file, bytes.len());
    ir::read(&mut decoder)?;
    Ok(decoder.document)
}
