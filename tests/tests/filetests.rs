//! Runs every file under `tests/filetests`. `BLESS=1` rewrites what they expect.

use std::fs;
use std::path::{Path, PathBuf};

use ferrite_tests::filetest::run;

fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder of filetests is there") {
        let path = entry.expect("its entries can be read").path();
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|e| e == "mlir") {
            out.push(path);
        }
    }
}

#[test]
fn every_filetest_gives_what_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("filetests");
    let bless = std::env::var_os("BLESS").is_some_and(|v| v == "1");
    let mut paths = Vec::new();
    files(&root, &mut paths);
    paths.sort();
    assert!(!paths.is_empty());
    let mut failures = Vec::new();
    for path in &paths {
        let name = path.strip_prefix(&root).unwrap_or(path).display();
        let text = fs::read_to_string(path).expect("a filetest is text");
        match run(&text) {
            Err(error) => failures.push(format!("{name}: {error}")),
            Ok(found) if found == text => {}
            Ok(found) if bless => fs::write(path, found).expect("a filetest can be rewritten"),
            Ok(found) => failures.push(format!("{name}: found\n{found}\ninstead of\n{text}")),
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {} fail:\n{}",
        failures.len(),
        paths.len(),
        failures.join("\n\n")
    );
}
