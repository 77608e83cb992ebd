//! Files: read with a diagnostic that names them, written whole or not at all.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use ferrite_ir::diag::{Code, Diagnostic};

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
    let fail = |e: io::Error| failure(path, &e);
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    let file = tempfile::Builder::new()
        .prefix(".ferrite-")
        .tempfile_in(folder.unwrap_or(Path::new(".")))
        .map_err(fail)?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    content(&mut out).map_err(fail)?;
    let file = out.into_inner().map_err(|e| fail(e.into_error()))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(0o644); // a temporary file is private, a result is not
        file.as_file().set_permissions(mode).map_err(fail)?;
    }
    file.persist(path).map(drop).map_err(|e| fail(e.error))
}

/// The diagnostic of a file that cannot be read or written.
pub fn failure(path: &Path, error: &io::Error) -> Diagnostic {
    Diagnostic::error(Code::Io, format!("`{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.npz");
        write(&path, b"old").unwrap();
        let error = write_with(&path, |out| {
            out.write_all(b"half of the new")?;
            Err(io::Error::other("disk full"))
        });
        assert!(error.unwrap_err().message.contains("disk full"));
        assert_eq!(read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read(Path::new("/no/such.mlir")).unwrap_err();
        assert_eq!(error.code, Code::Io);
        assert!(error.message.contains("/no/such.mlir"));
    }
}
