//! XLA HLO: text, `HloModuleProto` and `HloProto`.
//!
//! Both forms become the messages of [`message`]; [`lower`] turns those into `ir::hlo`. Tuples vanish on the way:
//! every instruction becomes the list of its arrays, so that a loop over a tuple is a loop over values and a root
//! tuple is several results.

mod asynchronous;
mod attributes;
mod expanded;
mod kinds;
mod literal;
mod lower;
mod manual;
mod message;
mod print;
mod shape;
mod text;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use write::{write, write_text};

use std::collections::HashMap;

use ferrite_ir::diag::{Code, Diagnostic};
use ferrite_ir::hlo::{Module, verify};
use prost::Message;

/// A program in XLA's terms.
pub(crate) struct Program {
    module: message::HloModuleProto,
    places: Places,
}

/// Line and column of instructions by id; empty for binary files.
#[derive(Default)]
pub(crate) struct Places(HashMap<i64, (u32, u32)>);

/// Reads HLO text.
pub(crate) fn read_text(source: &str) -> Result<Module, Vec<Diagnostic>> {
    finish(&text::parse(source)?)
}

/// Reads a serialized `HloModuleProto`, or an `HloProto` that holds one.
pub(crate) fn read_proto(bytes: &[u8], wrapped: bool) -> Result<Module, Vec<Diagnostic>> {
    let broken = |error: prost::DecodeError| {
        vec![Diagnostic::error(
            Code::Parse,
            format!("broken HloModuleProto: {error}"),
        )]
    };
    let module = if wrapped {
        let proto = message::HloProto::decode(bytes).map_err(broken)?;
        proto
            .hlo_module
            .ok_or_else(|| vec![Diagnostic::error(Code::Parse, "the HloProto holds no module")])?
    } else {
        message::HloModuleProto::decode(bytes).map_err(broken)?
    };
    finish(&Program {
        module,
        places: Places::default(),
    })
}

/// Names of the entry computation's parameters by number, of a serialized `HloModuleProto` or an `HloProto`.
pub(crate) fn parameter_names(bytes: &[u8], wrapped: bool) -> Vec<String> {
    let module = if wrapped {
        message::HloProto::decode(bytes).ok().and_then(|p| p.hlo_module)
    } else {
        message::HloModuleProto::decode(bytes).ok()
    };
    module.map(|m| lower::parameter_names(&m)).unwrap_or_default()
}

fn finish(program: &Program) -> Result<Module, Vec<Diagnostic>> {
    let module = lower::lower(program)?;
    verify::verify(&module)?;
    Ok(module)
}
