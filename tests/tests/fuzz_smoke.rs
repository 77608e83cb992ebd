//! A bounded run of what the fuzz targets of the front ends check: the programs of this repository, changed at random.
//!
//! `compiler/frontend/fuzz` runs the same checks for as long as one likes, guided by coverage.

use std::path::{Path, PathBuf};

use crate::corpus_interp::repository;

#[path = "../../compiler/frontend/fuzz/checks.rs"]
mod checks;

/// Changed inputs for each form.
const ROUNDS: usize = 400;

/// Seeds are at most so large: every round costs as much as reading them.
const LARGEST: u64 = 12 << 10;

/// Numbers without a pattern, the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n.max(1)
    }
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    fn find(folder: &Path, name: &str, out: &mut Vec<PathBuf>) {
        for path in std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
        {
            if path.is_dir() {
                find(&path, name, out);
            } else if path.to_string_lossy().ends_with(name) && path.metadata().is_ok_and(|m| m.len() <= LARGEST) {
                out.push(path);
            }
        }
    }
    let mut files = Vec::new();
    find(&repository().join("tests/corpus"), name, &mut files);
    find(&repository().join("tests/conformance"), name, &mut files);
    files.sort();
    files.iter().filter_map(|path| std::fs::read(path).ok()).collect()
}

/// Bytes with a few of them changed, cut out, doubled, or taken from another seed.
fn changed(seeds: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = seeds[numbers.below(seeds.len())].clone();
    for _ in 0..1 + numbers.below(6) {
        let at = numbers.below(bytes.len());
        let end = (at + 1 + numbers.below(40)).min(bytes.len());
        match numbers.below(7) {
            0 => bytes
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|b| *b ^= 1 << numbers.below(8)),
            1 => bytes
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|b| *b = numbers.below(256) as u8),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let part = bytes[at..end].to_vec();
                let to = numbers.below(bytes.len() + 1);
                bytes.splice(to..to, part);
            }
            4 => {
                let other = &seeds[numbers.below(seeds.len())];
                let from = numbers.below(other.len());
                let part = other[from..(from + 1 + numbers.below(80)).min(other.len())].to_vec();
                bytes.splice(at..at, part);
            }
            5 => {
                // Another digit: sizes, dimensions and numbers are where programs go wrong.
                if let Some(digit) = bytes[at..].iter().position(u8::is_ascii_digit) {
                    bytes[at + digit] = b'0' + numbers.below(10) as u8;
                }
            }
            _ => bytes.truncate(at),
        }
    }
    bytes
}

fn run(name: &str) {
    let seeds = seeds(name);
    assert!(!seeds.is_empty(), "no seeds `{name}`");
    // `FERRITE_FUZZ_SECONDS=600` goes on for that long, from other numbers each time.
    let seconds = std::env::var("FERRITE_FUZZ_SECONDS")
        .ok()
        .and_then(|text| text.parse::<u64>().ok());
    let start = std::time::Instant::now();
    let begin = seconds.map_or(0, |_| u64::from(std::process::id()));
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15 ^ begin << 20);
    let mut round = 0;
    while seconds.map_or(round < ROUNDS, |seconds| start.elapsed().as_secs() < seconds) {
        round += 1;
        let bytes = changed(&seeds, &mut numbers);
        let outcome = std::panic::catch_unwind(|| checks::read(&bytes));
        if outcome.is_err() {
            let file = std::env::temp_dir().join(format!("fuzz-{name}-{round}"));
            let _ = std::fs::write(&file, &bytes);
            panic!("round {round} of `{name}`: the input is in {}", file.display());
        }
    }
    println!("{round} changed inputs of {} seeds `{name}`", seeds.len());
}

#[test]
fn changed_stablehlo() {
    run(".mlir");
}

#[test]
fn changed_hlo_text() {
    run("model.hlo.txt");
}

#[test]
fn changed_hlo_protos() {
    run("model.hlo.pb");
}

#[test]
fn changed_bytecode() {
    run("model.mlirbc");
}
