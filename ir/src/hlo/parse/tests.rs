use super::*;
use crate::text::tests::corpus;

#[test]
fn the_corpus_is_read() {
    let mut failed = Vec::new();
    let files = corpus();
    for path in &files {
        let text = std::fs::read_to_string(path).unwrap();
        if let Err(errors) = parse(&text) {
            failed.push(format!("{}: {}", path.display(), errors[0]));
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {}:\n{}",
        failed.len(),
        files.len(),
        failed.join("\n")
    );
    println!("{} corpus files are read", files.len());
}
