//! The 1024 bytes in front of the archive.
//!
//! Offsets and meanings are those of the published `neff_header_t`; what it leaves open is set as our container
//! reference says and marked "our assumption". All integers are little endian.

use ferrite_ir::diag::Diagnostic;

use crate::error::malformed;

/// Bytes of the header that we write, and the smallest one we read.
pub const HEADER_SIZE: usize = 1024;

/// Bit of `feature_bits` that says "the instruction binaries are Ferrite's own".
///
/// Our assumption: a bit no public runtime accepts (a published message shows a runtime whose mask is bits 0 to 7
/// and 63), so that an AWS runtime refuses the file before it reads an instruction.
pub const FERRITE_FEATURE: u64 = 1 << 62;

const BUILD_VERSION: usize = 128;
const NAME: usize = 256;
const TPB_PER_NODE: usize = 64;

/// The fixed header of a NEFF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Version of the packaging; 2.
    pub pkg_version: u64,
    /// Offset of the archive in the file.
    pub header_size: u64,
    /// Bytes of the archive.
    pub data_size: u64,
    /// NEFF version.
    pub version: (u64, u64),
    /// Text of at most 127 bytes that names the writer.
    pub build_version: String,
    /// NeuronCores needed for best execution.
    pub num_tpb: u32,
    /// MD5 of the archive in the first 16 bytes (our assumption: what the hash covers is not published).
    pub hash: [u8; 32],
    /// UUID, by us derived from the hash so that equal inputs give equal bytes.
    pub uuid: [u8; 16],
    /// Network name: the output path without its extension.
    pub name: String,
    /// NeuronCores asked for at compile time.
    pub requested_tpb_count: u32,
    /// Cores needed by each node of the graph.
    pub tpb_per_node: [u8; TPB_PER_NODE],
    /// Set of features that a runtime must know to run this file.
    pub feature_bits: u64,
    /// Physical cores per logical core.
    pub lnc_size: u32,
}

impl Header {
    /// A header for a program on `cores` cores, without hash, uuid and size: they come from the archive.
    pub fn new(name: &str, cores: u8, lnc_size: u32) -> Header {
        let mut tpb_per_node = [0; TPB_PER_NODE];
        tpb_per_node[0] = cores;
        Header {
            pkg_version: 2,
            header_size: HEADER_SIZE as u64,
            data_size: 0,
            version: (2, 0),
            build_version: format!("ferrite {}", env!("CARGO_PKG_VERSION")),
            num_tpb: u32::from(cores),
            hash: [0; 32],
            uuid: [0; 16],
            name: tail(name, NAME - 1).to_string(),
            requested_tpb_count: u32::from(cores),
            tpb_per_node,
            feature_bits: FERRITE_FEATURE,
            lnc_size,
        }
    }

    /// Sets what follows from the archive: its size, its MD5 and the uuid made from that.
    pub(crate) fn seal(&mut self, data_size: u64, md5: [u8; 16]) {
        self.data_size = data_size;
        self.hash = [0; 32];
        self.hash[..16].copy_from_slice(&md5);
        self.uuid = md5;
        self.uuid[6] = (self.uuid[6] & 0x0f) | 0x80; // RFC 9562 version 8: content of our own making
        self.uuid[8] = (self.uuid[8] & 0x3f) | 0x80; // RFC 9562 variant
    }

    /// Whether the instruction binaries are in Ferrite's encoding.
    pub fn is_ferrite(&self) -> bool {
        self.feature_bits & FERRITE_FEATURE != 0
    }

    /// The hash as tools print it: 32 hexadecimal digits.
    pub fn hash_hex(&self) -> String {
        hex(&self.hash[..16])
    }

    /// The uuid as tools print it: 32 hexadecimal digits.
    pub fn uuid_hex(&self) -> String {
        hex(&self.uuid)
    }

    /// Sets the network name; the last bytes of one that is too long are kept.
    pub fn set_name(&mut self, name: &str) {
        self.name = tail(name, NAME - 1).to_string();
    }

    /// The header as it stands in the file.
    pub fn to_bytes(&self) -> [u8; HEADER_SIZE] {
        let mut out = [0; HEADER_SIZE];
        let mut at = 0;
        let mut put = |bytes: &[u8], width: usize| {
            let used = bytes.len().min(width);
            out[at..at + used].copy_from_slice(&bytes[..used]);
            at += width;
        };
        put(&self.pkg_version.to_le_bytes(), 8);
        put(&self.header_size.to_le_bytes(), 8);
        put(&self.data_size.to_le_bytes(), 8);
        put(&self.version.0.to_le_bytes(), 8);
        put(&self.version.1.to_le_bytes(), 8);
        put(head(&self.build_version, BUILD_VERSION - 1).as_bytes(), BUILD_VERSION);
        put(&self.num_tpb.to_le_bytes(), 4);
        put(&self.hash, 32);
        put(&self.uuid, 16);
        put(tail(&self.name, NAME - 1).as_bytes(), NAME);
        put(&self.requested_tpb_count.to_le_bytes(), 4);
        put(&self.tpb_per_node, TPB_PER_NODE);
        put(&self.feature_bits.to_le_bytes(), 8);
        put(&self.lnc_size.to_le_bytes(), 4);
        out
    }

    /// Reads the header at the start of a file.
    pub fn from_bytes(file: &[u8]) -> Result<Header, Diagnostic> {
        let bytes: &[u8; HEADER_SIZE] = file.first_chunk().ok_or_else(|| {
            malformed(
                "header",
                format!(
                    "the file has {} bytes, a NEFF has a header of {HEADER_SIZE}",
                    file.len()
                ),
            )
        })?;
        Header::parse(bytes, file.len() as u64)
    }

    /// Reads the first bytes of a file of `len` bytes.
    pub(crate) fn parse(bytes: &[u8; HEADER_SIZE], len: u64) -> Result<Header, Diagnostic> {
        let mut fields = Fields { bytes, at: 0 };
        let header = Header {
            pkg_version: fields.u64(),
            header_size: fields.u64(),
            data_size: fields.u64(),
            version: (fields.u64(), fields.u64()),
            build_version: fields.text(BUILD_VERSION),
            num_tpb: fields.u32(),
            hash: fields.array(),
            uuid: fields.array(),
            name: fields.text(NAME),
            requested_tpb_count: fields.u32(),
            tpb_per_node: fields.array(),
            feature_bits: fields.u64(),
            lnc_size: fields.u32(),
        };
        if header.header_size < 24 || header.header_size > len {
            let size = header.header_size;
            return Err(malformed(
                "header",
                format!("header_size is {size} in a file of {len} bytes"),
            ));
        }
        if header.data_size > len {
            let have = len - header.header_size;
            return Err(malformed(
                "header",
                format!("the archive has {have} of {} bytes", header.data_size),
            ));
        }
        Ok(header)
    }
}

/// Reads consecutive fields; the widths of all calls add up to no more than the header (tested).
struct Fields<'a> {
    bytes: &'a [u8; HEADER_SIZE],
    at: usize,
}

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        out.copy_from_slice(&self.bytes[self.at..self.at + N]);
        self.at += N;
        out
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    fn text(&mut self, width: usize) -> String {
        let field = &self.bytes[self.at..self.at + width];
        self.at += width;
        let end = field.iter().position(|&b| b == 0).unwrap_or(width);
        String::from_utf8_lossy(&field[..end]).into_owned()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The longest prefix of at most `max` bytes that ends at a character.
fn head(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// The longest suffix of at most `max` bytes that starts at a character.
fn tail(text: &str, max: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(max))..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_at_the_published_offsets() {
        let mut header = Header::new("out/model", 2, 1);
        header.seal(0x1122, [0xab; 16]);
        let bytes = header.to_bytes();
        let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!(
            [u64_at(0), u64_at(8), u64_at(16), u64_at(24), u64_at(32)],
            [2, 1024, 0x1122, 2, 0]
        );
        assert!(bytes[40..168].starts_with(b"ferrite "));
        assert_eq!(u32_at(168), 2);
        assert_eq!(bytes[172..188], [0xab; 16]);
        assert_eq!(bytes[188..204], [0; 16]);
        assert_eq!((bytes[210] >> 4, bytes[212] >> 6), (8, 0b10));
        assert!(bytes[220..476].starts_with(b"out/model\0"));
        assert_eq!(u32_at(476), 2);
        assert_eq!(
            bytes[480..544].iter().map(|&b| u32::from(b)).collect::<Vec<_>>()[..2],
            [2, 0]
        );
        assert_eq!(u64_at(544), FERRITE_FEATURE);
        assert_eq!(u32_at(552), 1);
        assert!(bytes[556..].iter().all(|&b| b == 0));
    }

    #[test]
    fn reading_gives_back_what_was_written() {
        let mut header = Header::new("model", 1, 2);
        header.seal(0, [7; 16]);
        assert_eq!(Header::from_bytes(&header.to_bytes()), Ok(header));
    }

    #[test]
    fn a_long_name_keeps_its_end_and_whole_characters() {
        let name = format!("{}/mödel", "é".repeat(200));
        let header = Header::new(&name, 1, 1);
        assert!(header.name.len() <= 255 && name.ends_with(&header.name) && header.name.ends_with("/mödel"));
    }

    #[test]
    fn short_and_inconsistent_headers_are_refused() {
        assert!(Header::from_bytes(&[0; 1023]).is_err());
        let mut header = Header::new("model", 1, 1);
        header.header_size = 5000;
        assert!(Header::from_bytes(&header.to_bytes()).is_err());
        header.header_size = 1024;
        header.data_size = 5000;
        assert!(
            Header::from_bytes(&header.to_bytes())
                .unwrap_err()
                .message
                .contains("0 of 5000")
        );
    }
}
