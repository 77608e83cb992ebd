//! Runs the commands that the book shows, and compares what they print. `BLESS=1` writes it anew.
//!
//! A block that begins with "```console" has commands after `$ ` and below each what it prints. The blocks of a page run in
//! one folder, in order; `layer.mlir` of the book is in it. Seconds of wall-clock time are not compared.

use std::fs;
use std::path::{Path, PathBuf};

use super::{ferrite, scratch, stderr, stdout};

const FENCE: &str = "```console\n";

fn book() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src")
}

/// Words of a command; single quotes hold blanks together.
fn words(command: &str) -> Vec<String> {
    let parts = command.split('\'').enumerate();
    parts
        .flat_map(|(i, part)| match i % 2 {
            0 => part.split_whitespace().map(str::to_string).collect::<Vec<_>>(),
            _ => vec![part.to_string()],
        })
        .collect()
}

/// Without what differs from run to run: seconds of a compilation, and milliseconds of passes.
fn comparable(text: &str) -> String {
    let line = |line: &str| match line.rsplit_once(", in ") {
        Some((before, time)) if time.ends_with(" s") => format!("{before}, in _ s"),
        _ => line.trim_end().to_string(),
    };
    text.lines().map(|l| line(l) + "\n").collect()
}

/// A block with what its commands print now.
fn rerun(block: &str, folder: &Path) -> String {
    let mut out = String::new();
    for line in block.lines().filter(|l| l.starts_with("$ ")) {
        let words = words(&line[2..]);
        let [program, args @ ..] = words.as_slice() else {
            continue;
        };
        assert_eq!(program, "ferrite", "the book runs no other command: {line}");
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = ferrite(folder, &args);
        out.push_str(&format!("{line}\n{}{}", stdout(&output), stderr(&output)));
    }
    out
}

fn page_with_output(page: &str) -> (String, usize) {
    let folder = scratch();
    fs::copy(book().join("layer.mlir"), folder.path().join("layer.mlir")).expect("it is in the book");
    let mut parts = page.split(FENCE);
    let mut out = parts.next().unwrap_or_default().to_string();
    let mut blocks = 0;
    for part in parts {
        let (block, rest) = part.split_once("```").expect("a block ends");
        let found = rerun(block, folder.path());
        let kept = if comparable(&found) == comparable(block) {
            block.to_string()
        } else {
            found
        };
        out.push_str(&format!("{FENCE}{kept}```{rest}"));
        blocks += 1;
    }
    (out, blocks)
}

#[test]
fn what_the_book_shows_is_what_the_commands_print() {
    let bless = std::env::var_os("BLESS").is_some_and(|v| v == "1");
    let mut count = 0;
    let mut wrong = Vec::new();
    for entry in fs::read_dir(book()).expect("the book is there") {
        let path = entry.expect("it is readable").path();
        if path.extension().is_none_or(|e| e != "md") {
            continue;
        }
        let page = fs::read_to_string(&path).expect("a page is text");
        let (found, blocks) = page_with_output(&page);
        count += blocks;
        if found == page {
            continue;
        }
        if bless {
            fs::write(&path, found).expect("a page can be written");
        } else {
            let diff = similar::TextDiff::from_lines(&page, &found)
                .unified_diff()
                .context_radius(2)
                .to_string();
            wrong.push(format!("{}:\n{diff}", path.display()));
        }
    }
    assert!(count >= 5, "only {count} blocks ran");
    assert!(
        wrong.is_empty(),
        "`make bless` writes the book anew\n{}",
        wrong.join("\n")
    );
}

#[test]
fn commands_are_taken_apart_as_a_shell_does() {
    assert_eq!(
        words("ferrite opt --passes 'hlo(a, b)' m"),
        ["ferrite", "opt", "--passes", "hlo(a, b)", "m"]
    );
    assert_eq!(comparable("x, in 0.01 s\ny  \n"), comparable("x, in 2.5 s\ny\n"));
}
