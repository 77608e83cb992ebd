use std::path::{Path, PathBuf};

use ferrite_ir::hlo::print::print;
use proptest::prelude::*;

use super::*;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bytecode/testdata")
}

/// Artifacts with the text they were written from.
fn artifacts() -> Vec<(String, Vec<u8>, String)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(data()).expect("the folder is there") {
        let path = entry.expect("the folder can be read").path();
        if path.extension().is_some_and(|e| e == "mlirbc") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().to_string();
            let text = path.with_file_name(format!("{}.mlir", name.split('.').next().unwrap_or("")));
            let text = std::fs::read_to_string(text).expect("each artifact has its text");
            all.push((name, std::fs::read(&path).expect("the file can be read"), text));
        }
    }
    all.sort();
    all
}

#[test]
fn every_version_of_an_artifact_is_the_program_it_was_written_from() {
    let all = artifacts();
    assert!(all.len() > 30, "{}", all.len());
    for (name, bytes, text) in all {
        let got = read(&bytes).unwrap_or_else(|errors| panic!("{name}: {}", errors[0]));
        let want = hlo::parse::parse(&text).unwrap_or_else(|errors| panic!("{name}: text: {}", errors[0]));
        let (got, want) = (print(&got), print(&want));
        for (got, want) in got.lines().zip(want.lines()) {
            assert_eq!(got, want, "{name}");
        }
        assert_eq!(got.lines().count(), want.lines().count(), "{name}");
    }
}

#[test]
fn locations_are_kept() {
    let bytes = std::fs::read(data().join("core.v1.17.0.mlirbc")).expect("the file is there");
    let module = read(&bytes).unwrap_or_else(|errors| panic!("{}", errors[0]));
    let func = &module.funcs[1];
    let op = func.region(func.body()).ops[0];
    let source = module.locs.get(func.op(op).loc).source.clone().map(|s| s.to_string());
    assert_eq!(source.as_deref(), Some("-:4"));
}

#[test]
fn every_truncation_is_refused_with_a_place() {
    let bytes = std::fs::read(data().join("core.v1.0.0.mlirbc")).expect("the file is there");
    for end in (4..bytes.len()).step_by(7) {
        let errors = read(&bytes[..end]).expect_err("a part of a file is none");
        assert!(errors[0].message.contains("at byte"), "{}", errors[0].message);
    }
}

#[test]
fn newer_bytecode_is_refused_by_its_version() {
    let errors = read(b"ML\xEFR\x0F\x00").expect_err("version 7");
    assert!(errors[0].message.contains("version 7"), "{}", errors[0].message);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever is done to the bytes of an artifact, reading ends without a panic.
    #[test]
    fn mutated_artifacts_never_panic(
        file in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of((any::<prop::sample::Index>(), 0usize..16)),
    ) {
        thread_local! {
            static ALL: Vec<(String, Vec<u8>, String)> = artifacts();
        }
        let mut bytes = ALL.with(|all| file.get(all).1.clone());
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Some((place, count)) = cut {
            let place = place.index(bytes.len());
            bytes.drain(place..(place + count).min(bytes.len()));
        }
        let _ = read(&bytes);
    }

    #[test]
    fn random_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        bytes.splice(0..0, *b"ML\xEFR\x0DS\0");
        let _ = read(&bytes);
    }
}
