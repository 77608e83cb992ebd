//! The book: its pages, links and anchors, the pages made from the code, and the tutorial's pass. `BLESS=1` rewrites what is
//! made.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ferrite_driver::{CompileOptions, Extensions, manager, pipeline, record::Recorder};
use ferrite_ir::hlo::{parse, print};
use ferrite_passes::program::Program;
use ferrite_tests::reference::{operations_page, passes_page, rules_page};

#[path = "../../passes/examples/fold_double_negation.rs"]
#[allow(dead_code)] // its `main` is for people
mod fold_double_negation;

#[path = "../../passes/examples/form_clamps.rs"]
#[allow(dead_code)]
mod form_clamps;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The pages by their name.
fn pages() -> BTreeMap<String, String> {
    let folder = root().join("docs/src");
    let entries = fs::read_dir(&folder).expect("the book is there");
    let names = entries.map(|e| e.expect("it is readable").file_name().to_string_lossy().into_owned());
    let pages = names.filter(|n| n.ends_with(".md"));
    pages.map(|n| (n.clone(), read(&folder.join(n)))).collect()
}

/// The lines of a page outside of code blocks.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    page.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    })
}

/// Targets of the links and images of a line.
fn links(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices("](") {
        let rest = &line[at + 2..];
        found.extend(rest.find(')').map(|end| &rest[..end]));
    }
    found
}

/// The anchors that mdBook gives the headings of a page.
fn anchors(page: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut found = BTreeSet::new();
    for line in prose(page).filter(|l| l.starts_with('#')) {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let fits = title
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '));
        let id: String = fits.map(|c| if c == ' ' { '-' } else { c }).collect();
        let count = seen.entry(id.clone()).or_default();
        found.insert(if *count == 0 { id } else { format!("{id}-{count}") });
        *count += 1;
    }
    found
}

#[test]
fn every_page_is_in_the_summary_and_every_link_leads_somewhere() {
    let pages = pages();
    let mut wrong = Vec::new();
    let mut listed: BTreeSet<&str> = pages["SUMMARY.md"].lines().flat_map(links).collect();
    // A page may also stand in another one.
    let included = pages.values().flat_map(|page| page.split("{{#include ").skip(1));
    listed.extend(included.filter_map(|rest| rest.split("}}").next()));
    for name in pages
        .keys()
        .filter(|n| *n != "SUMMARY.md" && !listed.contains(n.as_str()))
    {
        wrong.push(format!("{name} is not in SUMMARY.md"));
    }
    for (name, page) in &pages {
        for target in prose(page).flat_map(links) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { name.as_str() } else { file };
            if !root().join("docs/src").join(file).exists() {
                wrong.push(format!("{name}: `{target}` leads nowhere"));
            } else if !anchor.is_empty() && !pages.get(file).is_some_and(|p| anchors(p).contains(anchor)) {
                wrong.push(format!("{name}: {file} has no heading `#{anchor}`"));
            }
        }
        for include in page.split("{{#include ").skip(1) {
            let what = include.split("}}").next().unwrap_or_default();
            let (file, anchor) = what.split_once(':').unwrap_or((what, ""));
            let text = fs::read_to_string(root().join("docs/src").join(file)).unwrap_or_default();
            if text.is_empty() || !text.contains(&format!("ANCHOR: {anchor}")) && !anchor.is_empty() {
                wrong.push(format!("{name}: nothing to include at `{what}`"));
            }
        }
    }
    for (file, text) in ["README.md", "ARCHITECTURE.md"].map(|f| (f, read(&root().join(f)))) {
        for target in prose(&text).flat_map(links).filter(|t| !t.contains("://")) {
            if !root().join(target.split('#').next().unwrap_or_default()).exists() {
                wrong.push(format!("{file}: `{target}` leads nowhere"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn links_and_anchors_are_read_as_mdbook_does() {
    assert_eq!(links("see [a](x.md#y) and ![b](i.png)"), ["x.md#y", "i.png"]);
    let page = "# Every `op`, in: order\n```\n# no heading\n```\n## Twice\n## Twice\n";
    let expected = ["every-op-in-order", "twice", "twice-1"].map(String::from);
    assert_eq!(anchors(page), BTreeSet::from(expected));
}

/// Compares a page with what the code makes of it.
fn made(name: &str, text: String) {
    let path = root().join("docs/src").join(name);
    if std::env::var_os("BLESS").is_some_and(|v| v == "1") {
        fs::write(&path, text).expect("a page can be written");
        return;
    }
    let old = fs::read_to_string(&path).unwrap_or_default();
    let diff = similar::TextDiff::from_lines(&old, &text)
        .unified_diff()
        .context_radius(2)
        .to_string();
    assert!(
        old == text,
        "{name} is not what the code says; `make bless` writes it anew\n{diff}"
    );
}

#[test]
fn the_page_of_operations_says_what_the_code_says() {
    made("ops.md", operations_page());
}

#[test]
fn the_page_of_rules_says_what_the_rules_say() {
    made("egraph-rules.md", rules_page());
}

#[test]
fn the_page_of_passes_says_what_the_registry_says() {
    made("passes.md", passes_page());
}

/// Code blocks of one language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let parts = page.split(&fence).skip(1);
    parts
        .map(|p| p.split("```").next().unwrap_or_default().to_string())
        .collect()
}

#[test]
fn the_tutorial_does_what_it_says() {
    let page = read(&root().join("docs/src/pass-tutorial.md"));
    let blocks = blocks(&page, "mlir");
    let extensions = Extensions::default().hlo(|| fold_double_negation::FoldDoubleNegation);
    let options = CompileOptions {
        verify_each: true,
        extensions: std::sync::Arc::new(extensions.hlo(|| form_clamps::FormClamps)),
        ..CompileOptions::default()
    };
    let machine = options.machine_model().expect("built in");
    let mut ran = Vec::new();
    for pair in blocks.chunks(2) {
        let [input, output] = pair else {
            panic!("a filetest without its expectation: {pair:?}")
        };
        let pipeline = input.lines().find_map(|l| l.strip_prefix("// RUN: "));
        let pipeline = pipeline.unwrap_or_else(|| panic!("no RUN line: {input}"));
        let module = parse::parse(input).expect("the input is a program");
        let passes = pipeline::resolve(pipeline, &options.extensions).expect("known");
        let mut recorder = Recorder::new(&options).expect("no folder to make");
        let mut program = Program::Hlo(module);
        manager::run(&mut program, &passes, &options, &machine, &mut recorder).expect("it runs");
        let want = parse::parse(output).expect("the output is a program");
        assert_eq!(program.text(), print::print(&want));
        ran.push(pipeline);
    }
    assert_eq!(
        ran,
        ["fold-double-negation, remove-dead-ops", "form-clamps, remove-dead-ops"]
    );
}

/// mdBook itself, where it is installed (`make book` installs it).
#[test]
fn mdbook_builds_it() {
    let folder = std::env::temp_dir().join(format!("ferrite-book-{}", std::process::id()));
    let built = Command::new("mdbook")
        .arg("build")
        .arg(root().join("docs"))
        .arg("-d")
        .arg(&folder)
        .output();
    match built {
        Err(_) => println!("mdbook is not installed: links and pages were checked, the HTML was not built"),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let exists = folder.join("index.html").exists();
            let _ = fs::remove_dir_all(&folder);
            assert!(output.status.success() && exists && !said.contains("ERROR"), "{said}");
        }
    }
}
