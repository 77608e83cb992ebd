//! Header and archive together: any NEFF, whoever wrote it, without looking into the files.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use bytes::Bytes;
use ferrite_ir::diag::Diagnostic;
use md5::{Digest, Md5};

use crate::archive::{self, Compression, Files, ReadOptions};
use crate::error::{io as io_error, malformed};
use crate::header::{HEADER_SIZE, Header};
use crate::whole;

/// A NEFF as header and files.
#[derive(Clone, Debug, PartialEq)]
pub struct Container {
    /// The fixed header.
    pub header: Header,
    /// Files of the archive by path.
    pub files: Files,
}

impl Container {
    /// Reads a container. The files are slices of `file` if its archive is not compressed.
    pub fn read(file: Bytes, options: &ReadOptions) -> Result<Container, Diagnostic> {
        let header = Header::from_bytes(&file)?;
        let start = usize::try_from(header.header_size)
            .unwrap_or(file.len())
            .min(file.len());
        let payload = file.slice(start..);
        // Only our own files: what the hash of others covers is not published.
        if options.verify_hash && header.is_ferrite() {
            let md5: [u8; 16] = Md5::digest(&payload).into();
            if md5 != header.hash[..16] {
                return Err(malformed("header", "the hash does not fit the archive"));
            }
        }
        Ok(Container {
            header,
            files: archive::read(payload, options)?,
        })
    }

    /// Writes header and archive; sets size, hash and uuid in the header on the way. Needs no copy of the files.
    pub fn write(&mut self, compression: Compression, out: &mut (impl Write + Seek)) -> io::Result<()> {
        let start = out.stream_position()?;
        out.write_all(&[0; HEADER_SIZE])?;
        let mut payload = Hashing {
            out: &mut *out,
            md5: Md5::new(),
            bytes: 0,
        };
        archive::write(&self.files, compression, &mut payload)?;
        let (bytes, md5) = (payload.bytes, payload.md5.finalize().into());
        self.header.seal(bytes, md5);
        out.seek(SeekFrom::Start(start))?;
        out.write_all(&self.header.to_bytes())?;
        out.seek(SeekFrom::End(0))?;
        out.flush()
    }

    /// Writes the container to `path` by way of a temporary file beside it: readers see the old file or the new one,
    /// never a part.
    pub fn write_file(&mut self, compression: Compression, path: &Path) -> Result<(), Diagnostic> {
        let fail = |e: io::Error| io_error(&path.display().to_string(), &e);
        whole::write(path, |out| self.write(compression, out)).map_err(fail)
    }
}

/// Gives a NEFF on disk another network name. Nothing else depends on it: the hash covers the archive alone.
///
/// # Errors
/// A file that is no NEFF, or cannot be read or written.
pub fn rename(file: &mut std::fs::File, name: &str) -> Result<(), Diagnostic> {
    let fail = |e: io::Error| io_error(name, &e);
    let len = file.seek(SeekFrom::End(0)).map_err(fail)?;
    file.seek(SeekFrom::Start(0)).map_err(fail)?;
    let mut bytes = [0; HEADER_SIZE];
    file.read_exact(&mut bytes).map_err(fail)?;
    let mut header = Header::parse(&bytes, len)?;
    header.set_name(name);
    file.seek(SeekFrom::Start(0)).map_err(fail)?;
    file.write_all(&header.to_bytes()).map_err(fail)
}

/// Hashes and counts what passes.
struct Hashing<W> {
    out: W,
    md5: Md5,
    bytes: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let written = self.out.write(data)?;
        self.md5.update(&data[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container() -> Container {
        let files = Files::from([("kelf-0.json".to_string(), Bytes::from_static(b"{}"))]);
        Container {
            header: Header::new("model", 1, 1),
            files,
        }
    }

    fn bytes(compression: Compression) -> Bytes {
        let mut out = io::Cursor::new(Vec::new());
        container().write(compression, &mut out).unwrap();
        out.into_inner().into()
    }

    #[test]
    fn sizes_and_hash_are_those_of_the_archive() {
        let file = bytes(Compression::Gzip);
        let read = Container::read(file.clone(), &ReadOptions::default()).unwrap();
        assert_eq!(read.header.data_size as usize, file.len() - HEADER_SIZE);
        assert_eq!(read.header.hash[..16], Md5::digest(&file[HEADER_SIZE..])[..]);
        assert_eq!(read.files, container().files);
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        let mut file = bytes(Compression::None).to_vec();
        file[HEADER_SIZE + 512] ^= 1;
        let error = Container::read(file.clone().into(), &ReadOptions::default()).unwrap_err();
        assert!(error.message.contains("hash"));
        let unchecked = ReadOptions {
            verify_hash: false,
            ..ReadOptions::default()
        };
        assert!(Container::read(file.into(), &unchecked).is_ok());
    }

    #[test]
    fn a_renamed_file_is_as_if_written_under_that_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.neff");
        container().write_file(Compression::Gzip, &path).unwrap();
        let mut file = std::fs::File::options().read(true).write(true).open(&path).unwrap();
        rename(&mut file, "other/name").unwrap();
        let mut other = container();
        other.header.set_name("other/name");
        let mut expected = io::Cursor::new(Vec::new());
        other.write(Compression::Gzip, &mut expected).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), expected.into_inner());
    }

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.neff");
        std::fs::write(&path, "old").unwrap();
        container().write_file(Compression::Gzip, &path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes(Compression::Gzip));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(
            container()
                .write_file(Compression::Gzip, &folder.path().join("no/model.neff"))
                .is_err()
        );
    }
}
