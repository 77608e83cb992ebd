//! The archive behind the header: a tar file, gzip-compressed or plain, always the same bytes for the same files.
//!
//! Reading is bounded: nothing is allocated because a length field says so, a compressed archive may unpack to at
//! most [`ReadOptions::max_unpacked_bytes`], and members are slices of the unpacked archive rather than copies.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use bytes::Bytes;
use ferrite_ir::diag::Diagnostic;
use flate2::read::MultiGzDecoder;
use flate2::{Compress, Compression as Level, Crc, FlushCompress};

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
    match compression {
        Compression::None => {
            let mut tar = tar::Builder::new(out);
            for (path, data) in files {
                append(&mut tar, path, data)?;
            }
            tar.finish()
        }
        Compression::Gzip => {
            let mut tar = tar::Builder::new(Gzip::new(out)?);
            for (path, data) in files {
                let level = if data.len() >= STORED {
                    Level::none()
                } else {
                    Level::fast()
                };
                tar.get_mut().set_level(level)?;
                append(&mut tar, path, data)?;
            }
            tar.into_inner()?.finish()
        }
    }
}

fn append(tar: &mut tar::Builder<impl Write>, path: &str, data: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(data.len() as u64);
    tar.append_data(&mut header, path, data)
}

/// One gzip member whose level changes on the way. It is one member because not every reader goes on to a second: the
/// parts are joined at byte borders of one deflate stream, none looking back into another.
struct Gzip<'a> {
    out: &'a mut dyn Write,
    level: Level,
    deflate: Compress,
    checksum: Crc,
    buffer: Vec<u8>,
}

impl<'a> Gzip<'a> {
    /// Starts with the header: deflate, no name, no time, unknown system.
    fn new(out: &'a mut dyn Write) -> io::Result<Gzip<'a>> {
        out.write_all(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])?;
        let level = Level::fast();
        let deflate = Compress::new(level, false);
        Ok(Gzip {
            out,
            level,
            deflate,
            checksum: Crc::new(),
            buffer: Vec::with_capacity(1 << 16),
        })
    }

    fn set_level(&mut self, level: Level) -> io::Result<()> {
        if level != self.level {
            self.flush_deflate(FlushCompress::Full)?;
            self.deflate = Compress::new(level, false);
            self.level = level;
        }
        Ok(())
    }

    /// Hands on what the compressor still holds.
    fn flush_deflate(&mut self, how: FlushCompress) -> io::Result<()> {
        loop {
            self.buffer.clear();
            self.deflate
                .compress_vec(&[], &mut self.buffer, how)
                .map_err(io::Error::other)?;
            self.out.write_all(&self.buffer)?;
            // Room that was not used means that there was no more.
            if self.buffer.len() < self.buffer.capacity() {
                return Ok(());
            }
        }
    }

    fn finish(mut self) -> io::Result<()> {
        self.flush_deflate(FlushCompress::Finish)?;
        self.out.write_all(&self.checksum.sum().to_le_bytes())?;
        self.out.write_all(&self.checksum.amount().to_le_bytes())
    }
}

impl Write for Gzip<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.buffer.clear();
        let before = self.deflate.total_in();
        self.deflate
            .compress_vec(data, &mut self.buffer, FlushCompress::None)
            .map_err(io::Error::other)?;
        self.out.write_all(&self.buffer)?;
        let taken = (self.deflate.total_in() - before) as usize; // at most the length of `data`
        self.checksum.update(&data[..taken]);
        Ok(taken)
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
    fn large_files_are_stored_between_compressed_ones_in_one_member() {
        let mut files = files();
        files.insert("sg00/const_1.raw".to_string(), vec![7; 3 * STORED].into());
        files.insert("sg00/zzz.json".to_string(), vec![b' '; STORED / 2].into());
        let mut bytes = Vec::new();
        write(&files, Compression::Gzip, &mut bytes).unwrap();
        assert!(
            (3 * STORED..3 * STORED + 8192).contains(&bytes.len()),
            "{}",
            bytes.len()
        );
        let mut single = Vec::new();
        flate2::read::GzDecoder::new(bytes.as_slice())
            .read_to_end(&mut single)
            .unwrap();
        assert!(single.len() > 3 * STORED + STORED / 2);
        assert_eq!(read(bytes.into(), &ReadOptions::default()), Ok(files));
    }

    #[test]
    fn data_that_does_not_shrink_survives() {
        let noise: Vec<u8> = (0..STORED as u32 - 7)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        let files = Files::from([
            ("a".to_string(), Bytes::from(noise)),
            ("b".to_string(), Bytes::from("x")),
        ]);
        let mut bytes = Vec::new();
        write(&files, Compression::Gzip, &mut bytes).unwrap();
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
