//! `neuronx-cc --version`, and the version as it names cache folders.

use std::io::Write;

use crate::exit;

/// The version: four numbers, `+`, eight hexadecimal digits that stand for the sources of this build.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), ".0+", env!("FERRITE_BUILD_HASH"));

/// The version in the shape that clients parse; the first line goes to both streams because they read either.
pub fn print(out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let first = format!("NeuronX Compiler version {VERSION}");
    let about = concat!(
        "Ferrite ",
        env!("CARGO_PKG_VERSION"),
        ": an open compiler with the command line of neuronx-cc"
    );
    let _ = writeln!(out, "{first}\n\n{about}");
    let _ = writeln!(err, "{first}");
    exit::SUCCESS
}
