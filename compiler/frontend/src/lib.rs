//! Front ends: every form a program comes in, to `ir::hlo`.
//!
//! [`Frontend::read`] takes the bytes of a file, recognises what they are from their content and returns a verified
//! module with the place of every operation. [`render`] shows a diagnostic with the offending line.
//!
//! *Where to start.* [`Frontend::read`].

mod bytecode;
mod kind;
mod render;
mod xla;

pub use kind::Kind;
pub use render::{render, render_all};

use ferrite_ir::diag::{Code, Diagnostic};
use ferrite_ir::hlo::{self, Module};

/// Reads programs.
pub struct Frontend;

impl Frontend {
    /// Reads a program of any supported kind. `name` is the name of the file, for messages.
    ///
    /// # Errors
    /// All that is wrong with the program. A kind that is recognised but not supported is refused by its name.
    pub fn read(bytes: &[u8], name: &str) -> Result<Module, Vec<Diagnostic>> {
        match Kind::of(bytes) {
            Kind::StableHlo => hlo::parse::parse(text(bytes, name)?),
            Kind::HloText => xla::read_text(text(bytes, name)?),
            Kind::MlirBytecode => bytecode::read(bytes),
            Kind::HloModuleProto => xla::read_proto(bytes, false),
            Kind::HloProto => xla::read_proto(bytes, true),
            kind => Err(vec![refusal(kind, name)]),
        }
    }
}

/// Names of the parameters of the entry function by number, where the kind of file has names: XLA's binary forms do.
/// Clients may name weights by them.
pub fn parameter_names(bytes: &[u8]) -> Vec<String> {
    match Kind::of(bytes) {
        Kind::HloModuleProto => xla::parameter_names(bytes, false),
        Kind::HloProto => xla::parameter_names(bytes, true),
        _ => Vec::new(),
    }
}

/// Writes a program as HLO text, which XLA's parser and ours read.
///
/// # Errors
/// As [`write_hlo_proto`].
pub fn write_hlo_text(module: &Module) -> Result<String, Vec<Diagnostic>> {
    xla::write_text(module)
}

/// Writes a program as serialized `HloModuleProto`, which XLA and its plugins read.
///
/// # Errors
/// What HLO has no form for: quantized types, operations whose shapes are data.
pub fn write_hlo_proto(module: &Module) -> Result<Vec<u8>, Vec<Diagnostic>> {
    xla::write(module)
}

fn text<'b>(bytes: &'b [u8], name: &str) -> Result<&'b str, Vec<Diagnostic>> {
    std::str::from_utf8(bytes).map_err(|error| vec![not_utf8(bytes, error.valid_up_to(), name)])
}

fn not_utf8(bytes: &[u8], offset: usize, name: &str) -> Diagnostic {
    let before = &bytes[..offset];
    let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
    let column = offset - before.iter().rposition(|&b| b == b'\n').map_or(0, |n| n + 1) + 1;
    Diagnostic::error(Code::Parse, format!("`{name}` is no text: byte {offset} is not UTF-8"))
        .at_line(line as u32, column as u32)
        .help("write the file again as MLIR text, or as binary HloModuleProto")
}

fn refusal(kind: Kind, name: &str) -> Diagnostic {
    let error = Diagnostic::error(
        Code::Unsupported,
        format!("`{name}` is {kind}, which is not supported yet"),
    );
    match kind {
        Kind::Unknown | Kind::Empty => Diagnostic::error(Code::Parse, format!("`{name}` is {kind}")).help(
            "a model is StableHLO text, XLA HLO text, a serialized HloModuleProto or a StableHLO portable artifact",
        ),
        _ => error.help("write StableHLO text: `jax.jit(f).lower(...).as_text(\"stablehlo\")`"),
    }
}
