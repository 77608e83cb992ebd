//! Programs of `tests/conformance` that check themselves: what the StableHLO specification and the interpreter of its
//! authors say of values, types and text.

use ferrite_tests::conformance::{check, programs};

use crate::corpus_interp::repository;

#[test]
fn programs_check_themselves() {
    let folder = repository().join("tests/conformance");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "mlir"))
        .collect();
    files.sort();
    let (mut failures, mut count) = (Vec::new(), 0);
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        for (i, program) in programs(&text).enumerate() {
            count += 1;
            if let Err(why) = check(program) {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                failures.push(format!("{name}, program {i}: {why}"));
            }
        }
    }
    assert!(count > 0, "{} holds no programs", folder.display());
    assert!(failures.is_empty(), "{} of {count} fail: {failures:#?}", failures.len());
}
