//! Names this build: the version that `neuronx-cc --version` prints is the name of a cache folder, so it changes with
//! everything that decides what the compiler makes, and is the same on every machine that builds the same sources.

use std::path::{Path, PathBuf};

fn main() {
    let manifest = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let root = manifest.join("../..");
    let mut hash = 0xcbf2_9ce4_8422_2325; // FNV-1a
    for part in [
        "Cargo.lock",
        "ir",
        "passes",
        "backends",
        "compiler/frontend",
        "compiler/driver",
    ] {
        let path = root.join(part);
        println!("cargo::rerun-if-changed={}", path.display());
        add(&path, part, &mut hash);
    }
    // The command line gives options their meaning.
    let own = manifest.join("src");
    println!("cargo::rerun-if-changed={}", own.display());
    add(&own, "cli", &mut hash);
    println!(
        "cargo::rustc-env=FERRITE_BUILD_HASH={:08x}",
        (hash >> 32) as u32 ^ hash as u32
    );
}

/// Adds a source file, or the source files of a folder, in the order of their names.
fn add(path: &Path, name: &str, hash: &mut u64) {
    if path.is_dir() {
        let mut names: Vec<_> = std::fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.file_name())
            .collect();
        names.sort();
        for below in names {
            if below != "tests" && below != "target" {
                add(&path.join(&below), &format!("{name}/{}", below.to_string_lossy()), hash);
            }
        }
    } else if name == "Cargo.lock" || [".rs", ".toml"].iter().any(|end| name.ends_with(end)) {
        let bytes = std::fs::read(path).unwrap_or_default();
        for byte in name.bytes().chain(bytes) {
            *hash = (*hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
