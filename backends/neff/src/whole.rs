//! Files that are written whole or not at all: every executable writes its outputs so.
//!
//! What is written goes to a temporary file beside its place and is renamed once it is complete, so that readers see the
//! old file or the new one, never a part. A link stays, and what it leads to is replaced. What is no file (a device such as
//! `/dev/null`, a pipe) is never replaced: the complete contents are copied into it.

use std::io::{self, BufWriter, Seek};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Start of the names of temporary files.
pub const TEMPORARY: &str = ".ferrite-";

/// Bytes that go to the file at a time.
const BUFFER: usize = 1 << 20;

/// Where contents for a path end up.
enum Place {
    /// In a file of this name, which need not exist.
    File(PathBuf),
    /// In something that exists and is no file.
    Special,
}

fn place_of(path: &Path) -> Place {
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() && !found.is_dir() => Place::Special,
        Ok(_) => Place::File(path.canonicalize().unwrap_or_else(|_| path.to_path_buf())),
        Err(_) => Place::File(path.to_path_buf()),
    }
}

/// Writes what `content` gives to `path`.
///
/// # Errors
/// Those of `content` and of the file system; nothing at `path` has changed then, unless it is a device or a pipe.
pub fn write(path: &Path, content: impl FnOnce(&mut BufWriter<NamedTempFile>) -> io::Result<()>) -> io::Result<()> {
    let mut named = tempfile::Builder::new();
    named.prefix(TEMPORARY);
    let file = match place_of(path) {
        Place::Special => named.tempfile()?,
        Place::File(path) => {
            let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
            named.tempfile_in(folder.unwrap_or(Path::new(".")))?
        }
    };
    let mut out = BufWriter::with_capacity(BUFFER, file);
    content(&mut out)?;
    put(out.into_inner().map_err(io::IntoInnerError::into_error)?, path)
}

/// Puts a complete temporary file in its place, readable for all.
///
/// # Errors
/// Those of the file system, as of [`write()`].
pub fn put(mut file: NamedTempFile, path: &Path) -> io::Result<()> {
    match place_of(path) {
        Place::Special => {
            file.as_file_mut().rewind()?;
            let mut into = std::fs::OpenOptions::new().write(true).open(path)?;
            io::copy(file.as_file_mut(), &mut into).map(drop)
        }
        Place::File(path) => {
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                let mode = std::fs::Permissions::from_mode(0o644); // a temporary file is private, a result is not
                file.as_file().set_permissions(mode)?;
            }
            file.persist(path).map(drop).map_err(|e| e.error)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn an_interrupted_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.npz");
        write(&path, |out| out.write_all(b"old")).unwrap();
        let error = write(&path, |out| {
            out.write_all(b"half of the new")?;
            Err(io::Error::other("disk full"))
        });
        assert!(error.unwrap_err().to_string().contains("disk full"));
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays() {
        let folder = tempfile::tempdir().unwrap();
        let [real, link] = ["real", "link"].map(|name| folder.path().join(name));
        std::fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        write(&link, |out| out.write_all(b"new")).unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&real).unwrap(), b"new");
    }

    /// `-o /dev/null` by a user who may replace it did so, and with that broke the machine.
    #[cfg(unix)]
    #[test]
    fn a_pipe_is_written_to_and_not_replaced() {
        use std::os::unix::fs::FileTypeExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let reader = std::thread::spawn({
            let path = path.clone();
            move || std::fs::read(path).unwrap()
        });
        write(&path, |out| {
            out.write_all(b"head, body")?;
            out.rewind()?;
            out.write_all(b"HEAD")
        })
        .unwrap();
        assert_eq!(reader.join().unwrap(), b"HEAD, body");
        assert!(std::fs::metadata(&path).unwrap().file_type().is_fifo());
    }
}
