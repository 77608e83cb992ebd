//! SHA-256 of files, in the form that `sha256sum -c` reads.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The digest of a file.
pub fn of_file(path: &Path) -> io::Result<String> {
    copy(&mut File::open(path)?, &mut io::sink())
}

/// Copies everything and returns the digest of what passed.
pub fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(hex(&hasher.finalize())),
            n => {
                hasher.update(&buffer[..n]);
                to.write_all(&buffer[..n])?;
            }
        }
    }
}

/// The line for a file.
pub fn line(digest: &str, name: &str) -> String {
    format!("{digest}  {name}\n")
}

/// The digest in such a line.
pub fn parse(text: &str) -> Option<&str> {
    let digest = text.split_whitespace().next()?;
    (digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit())).then_some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_back() {
        let mut copied = Vec::new();
        let digest = copy(&mut &b"abc"[..], &mut copied).unwrap();
        assert_eq!(copied, b"abc");
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            digest,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(parse(&line(&digest, "model.neff")), Some(&*digest));
        assert_eq!(parse(&digest[1..]), None);
        assert_eq!(parse(""), None);
    }
}
