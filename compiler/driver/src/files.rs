//! Files: read with a diagnostic that names them, written whole or not at all.

use std::io::{self, Write};
use std::path::Path;

use ferrite_ir::diag::{Code, Diagnostic};
use ferrite_neff::whole;

/// The bytes of a file.
pub fn read(path: &Path) -> Result<Vec<u8>, Diagnostic> {
    std::fs::read(path).map_err(|e| failure(path, &e))
}

/// Writes `content` to `path` by way of a temporary file beside it: readers see the old file or the new one.
pub fn write(path: &Path, content: &[u8]) -> Result<(), Diagnostic> {
    write_with(path, |out| out.write_all(content))
}

/// As [`write()`], with contents made on the way.
pub fn write_with(path: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Diagnostic> {
    whole::write(path, |out| content(out)).map_err(|e| failure(path, &e))
}

/// The diagnostic of a file that cannot be read or written.
pub fn failure(path: &Path, error: &io::Error) -> Diagnostic {
    Diagnostic::error(Code::Io, format!("`{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_named() {
        let error = read(Path::new("/no/such.mlir")).unwrap_err();
        assert_eq!(error.code, Code::Io);
        assert!(error.message.contains("/no/such.mlir"));
    }
}
