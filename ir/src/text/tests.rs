use std::path::{Path, PathBuf};

use super::*;

fn reparsed<'a>(text: &'a str, printed: &mut String, options: PrintOptions) -> (Document<'a>, String) {
    let document = parse(text).unwrap_or_else(|errors| panic!("{errors:?} in\n{text}"));
    *printed = print(&document, options);
    let again = parse(printed).unwrap_or_else(|errors| panic!("{errors:?} in\n{printed}"));
    (document, print(&again, options))
}

/// Prints `text` in both forms, and checks that each form reads back as itself.
fn round_trip(text: &str) {
    for generic in [false, true] {
        for locations in [false, true] {
            let mut printed = String::new();
            let options = PrintOptions { generic, locations };
            let (_, again) = reparsed(text, &mut printed, options);
            if locations {
                // Numbers of locations may change: only the form without them is compared.
                continue;
            }
            assert_eq!(printed, again);
        }
    }
}

/// The model files of the corpus, if there is one on this machine.
pub(crate) fn corpus() -> Vec<PathBuf> {
    let root = match std::env::var_os("FERRITE_CORPUS") {
        Some(root) => PathBuf::from(root),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus"),
    };
    let mut files = Vec::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "mlir") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

#[test]
fn the_corpus_survives_a_round_trip() {
    let files = corpus();
    for path in &files {
        let text = std::fs::read_to_string(path).unwrap();
        if let Err(errors) = parse(&text) {
            let at = errors[0].span.start as usize;
            let line = text[..at].matches('\n').count() + 1;
            panic!("{}:{line}: {}", path.display(), errors[0].message);
        }
        round_trip(&text);
    }
    println!("{} corpus files survive a round trip", files.len());
}
