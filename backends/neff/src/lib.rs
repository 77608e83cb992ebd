//! The NEFF container: writer and reader, and our instruction encoding.
//!
//! A NEFF is a 1024-byte header and a tar archive with JSON descriptions, instruction binaries and constants.
//! Everything AWS documents about it is followed; the binary form of instructions is not public, and ours is used in
//! its place ([`header::FERRITE_FEATURE`] marks such files, which run in Ferrite's simulator and not on a device).
//!
//! *Where to start.* [`Neff::read_file`] and [`Neff::write_file`]; what a file holds is in [`Neff::programs`].

pub mod archive;
pub mod container;
mod dma;
mod encoding;
mod error;
mod graph;
pub mod header;
mod neff;
pub mod schema;
mod transfers;
pub mod whole;

pub use archive::{Compression, Files, ReadOptions};
pub use container::{Container, rename};
pub use encoding::{Code, Instructions, VERSION as ENCODING_VERSION};
pub use header::Header;
pub use neff::{Neff, Streamed, WriteOptions};
