//! The archive behind the header: a tar file, gzip-compressed or plain, always the same bytes for the same files.
//!
//! Reading is bounded: nothing is allocated because a length field says so, a compressed archive may unpack to at
//! most [`ReadOptions::max_unpacked_bytes`], and members are slices of the unpacked archive rather than copies.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use bytes::Bytes;
use ferrite_ir::diag::Diagnostic;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use flate2::{Compression as Level, GzBuilder};

use crate::error::malformed;

/// How the archive is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// gzip, what every reader of NEFFs accepts.
    #[default]
    Gzip,
    /// None: `--enable-fast-loading-neuron-binaries`.
    None,
}

/// Limits and checks of reading.
#[derive(Clone, Copy, Debug)]
pub struct ReadOptions {
    /// Most bytes that a compressed archive may unpack to. A guard against crafted files, far above any real one.
    pub max_unpacked_bytes: u64,
    /// Whether to compare the hash in the header with the archive.
    pub verify_hash: bool,
}

impl Default for ReadOptions {
    fn default() -> Self {
        ReadOptions {
            max_unpacked_bytes: 64 << 30,
            verify_hash: true,
        }
    }
}

/// Files of an archive by path. The order of the map is the order in the archive, which puts `kelf-0.json` before
/// every `sgNN/def.json`, as streaming readers expect.
pub type Files = BTreeMap<String, Bytes>;

/// Files from this size on are weights, which hardly shrink: they are stored as they are, also inside gzip.
const STORED: usize = 1 << 20;

/// Writes `files` as a tar archive.
pub(crate) fn write(files: &Files, compression: Compression, out: &mut dyn Write) -> io::Result<()> {
    let mut tar = tar::Builder::new(Members { out, gzip: None });
    for (path, data) in files {
        let level = match compression {
            Compression::None => None,
            Compression::Gzip if data.len() >= STORED => Some(Level::none()),
            Compression::Gzip => Some(Level::fast()),
        };
        tar.get_mut().set_level(level)?;
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(data.len() as u64);
        tar.append_data(&mut header, path, data.as_ref())?;
    }
    tar.into_inner()?.set_level(None)
}

/// A file of gzip members, one after another, each with its own level: what `gzip` and every tar reader take as one
/// stream.
struct Members<'a> {
    out: &'a mut dyn Write,
    gzip: Option<(Level, Gzip)>,
}

/// Compresses into memory that is handed on in between, so that the next member can follow.
type Gzip = GzEncoder<Vec<u8>>;

impl Members<'_> {
    /// Ends the member, if its level is another one, and starts the next.
    fn set_level(&mut self, level: Option<Level>) -> io::Result<()> {
        if self.gzip.as_ref().map(|(level, _)| *level) == level {
            return Ok(());
        }
        if let Some((_, gzip)) = self.gzip.take() {
            self.out.write_all(&gzip.finish()?)?;
        }
        self.gzip = level.map(|level| {
            let member = GzBuilder::new().mtime(0).operating_system(255);
            (level, member.write(Vec::new(), level))
        });
        Ok(())
    }
}

impl Write for Members<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let Some((_, gzip)) = &mut self.gzip else {
            return self.out.write(data);
        };
        let written = gzip.write(data)?;
        self.out.write_all(gzip.get_ref())?;
        gzip.get_mut().clear();
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Reads the archive in `payload`, compressed or not.
pub(crate) fn read(payload: Bytes, options: &ReadOptions) -> Result<Files, Diagnostic> {
    let tar = if payload.starts_with(&[0x1f, 0x8b]) {
        unpack(&payload, options)?
    } else {
        payload
    };
    let mut files = Files::new();
    let bad = |e: io::Error| malformed("archive", format!("not a tar archive: {e}"));
    for entry in tar::Archive::new(tar.as_ref()).entries().map_err(bad)? {
        let entry = entry.map_err(bad)?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            continue;
        }
        if !kind.is_file() && !kind.is_contiguous() {
            return Err(malformed(&path, "neither a file nor a directory"));
        }
        let path = path.strip_prefix("./").unwrap_or(&path).to_string();
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(malformed(&path, "not a path inside the archive"));
        }
        let range = usize::try_from(entry.raw_file_position()).ok().and_then(|start| {
            let end = start.checked_add(usize::try_from(entry.size()).ok()?)?;
            (end <= tar.len()).then_some(start..end)
        });
        let Some(range) = range else {
            return Err(malformed(
                &path,
                format!("{} bytes announced, the archive ends before", entry.size()),
            ));
        };
        if files.insert(path.clone(), tar.slice(range)).is_some() {
            return Err(malformed(&path, "stands twice in the archive"));
        }
    }
    Ok(files)
}

fn unpack(payload: &[u8], options: &ReadOptions) -> Result<Bytes, Diagnostic> {
    let mut out = Vec::new();
    let limit = options.max_unpacked_bytes;
    let mut reader = MultiGzDecoder::new(payload).take(limit.saturating_add(1));
    reader
        .read_to_end(&mut out)
        .map_err(|e| malformed("archive", format!("gzip: {e}")))?;
    if out.len() as u64 > limit {
        return Err(malformed("archive", format!("unpacks to more than {limit} bytes")));
    }
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Files {
        [("sg00/def.json", "{}"), ("kelf-0.json", "[1]"), ("sg00/w.npy", "")]
            .map(|(path, data)| (path.to_string(), Bytes::from(data)))
            .into()
    }

    fn written(compression: Compression) -> Vec<u8> {
        let mut out = Vec::new();
        write(&files(), compression, &mut out).unwrap();
        out
    }

    #[test]
    fn both_forms_are_read_back() {
        for compression in [Compression::Gzip, Compression::None] {
            let bytes = written(compression);
            assert_eq!(bytes.starts_with(&[0x1f, 0x8b]), compression == Compression::Gzip);
            assert_eq!(read(bytes.into(), &ReadOptions::default()), Ok(files()));
        }
    }

    #[test]
    fn large_files_are_stored_between_compressed_ones() {
        let mut files = files();
        files.insert("sg00/const_1.raw".to_string(), vec![7; STORED].into());
        let mut bytes = Vec::new();
        write(&files, Compression::Gzip, &mut bytes).unwrap();
        assert!((STORED..STORED + 2048).contains(&bytes.len()), "{}", bytes.len());
        assert_eq!(read(bytes.into(), &ReadOptions::default()), Ok(files));
    }

    #[test]
    fn the_graph_list_comes_first() {
        let bytes = written(Compression::None);
        let mut archive = tar::Archive::new(bytes.as_slice());
        let first = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(first.path_bytes().as_ref(), b"kelf-0.json");
    }

    #[test]
    fn a_bomb_is_refused() {
        let mut bomb = Vec::new();
        let zeros = Files::from([("zeros".to_string(), Bytes::from(vec![0; STORED - 1]))]);
        write(&zeros, Compression::Gzip, &mut bomb).unwrap();
        let options = ReadOptions {
            max_unpacked_bytes: 1 << 16,
            verify_hash: true,
        };
        assert!(
            read(bomb.into(), &options)
                .unwrap_err()
                .message
                .contains("more than 65536 bytes")
        );
    }

    #[test]
    fn paths_must_stay_inside() {
        for path in ["../x", "/etc/x", "a//b"] {
            let mut header = tar::Header::new_ustar();
            header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
            header.set_mode(0o644);
            header.set_size(0);
            header.set_cksum();
            let mut bytes = header.as_bytes().to_vec();
            bytes.resize(bytes.len() + 1024, 0);
            assert!(read(bytes.into(), &ReadOptions::default()).is_err(), "{path}");
        }
    }

    #[test]
    fn a_truncated_archive_is_an_error() {
        let bytes = written(Compression::None);
        assert!(read(bytes[..600].to_vec().into(), &ReadOptions::default()).is_err());
        let bytes = written(Compression::Gzip);
        assert!(read(bytes[..bytes.len() - 9].to_vec().into(), &ReadOptions::default()).is_err());
    }
}
