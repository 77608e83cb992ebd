//! Diagnostics of this crate: every one names the file inside the archive it is about.

use ferrite_ir::diag::{Code, Diagnostic};

/// A NEFF that is not well formed: `what` is wrong in `place` (a path inside the archive, or `header`).
pub(crate) fn malformed(place: &str, what: impl std::fmt::Display) -> Diagnostic {
    Diagnostic::error(Code::BadNeff, format!("`{place}`: {what}"))
        .help("the file is damaged or was not written by Ferrite; compile the model again")
}

/// A file that cannot be read or written.
pub(crate) fn io(path: &str, error: &std::io::Error) -> Diagnostic {
    Diagnostic::error(Code::Io, format!("`{path}`: {error}"))
}
