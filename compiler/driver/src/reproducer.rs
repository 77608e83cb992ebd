//! What a person needs to reproduce a defect of ours: inputs, command and message in one folder.

use std::path::{Path, PathBuf};

use ferrite_ir::diag::Diagnostic;

use crate::model;

/// Saves a reproducer under the current folder and returns where, or nothing if that cannot be done: a defect must not
/// hide behind a full disk. The folder's name is `prefix` and a hash of the message.
pub fn save(prefix: &str, argv: &[String], inputs: &[&Path], errors: &[Diagnostic]) -> Option<PathBuf> {
    save_in(Path::new(""), prefix, argv, inputs, errors)
}

fn save_in(parent: &Path, prefix: &str, argv: &[String], inputs: &[&Path], errors: &[Diagnostic]) -> Option<PathBuf> {
    let message: String = errors.iter().map(|e| format!("{e}\n")).collect();
    let folder = parent.join(format!("{prefix}-{:08x}", hash(&message)));
    std::fs::create_dir_all(&folder).ok()?;
    let about = format!(
        "version: {}\ncommand: {}\n\n{message}",
        env!("CARGO_PKG_VERSION"),
        argv.join(" ")
    );
    std::fs::write(folder.join("about.txt"), about).ok()?;
    for (index, input) in inputs.iter().enumerate() {
        let name = input.file_name().unwrap_or_default().to_string_lossy();
        let to = folder.join(format!("{index}-{name}"));
        if model::is_stdin(input) {
            std::fs::write(folder.join("stdin"), model::bytes(input).ok()?).ok()?;
        } else if input.is_file() {
            std::fs::copy(input, to).ok()?;
        } else if input.is_dir() {
            // Of a model's folder, what is not weights: their values seldom matter, and may fill a disk.
            std::fs::create_dir_all(&to).ok()?;
            for part in ["graph.hlo", "metadata.json"] {
                let from = input.join(part);
                if from.is_file() {
                    std::fs::copy(from, to.join(part)).ok()?;
                }
            }
        }
    }
    Some(folder)
}

/// FNV-1a: one defect, one folder.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reproduces_a_defect_is_saved_under_one_name() {
        let scratch = tempfile::tempdir().unwrap();
        let (file, folder) = (scratch.path().join("m.mlir"), scratch.path().join("traced"));
        std::fs::create_dir_all(folder.join("weights")).unwrap();
        for path in [file.clone(), folder.join("graph.hlo"), folder.join("weights/w.npy")] {
            std::fs::write(path, "content").unwrap();
        }
        let argv = ["compile".to_string(), "m.mlir".to_string()];
        let errors = [Diagnostic::bug("broken invariant")];
        let save = || save_in(scratch.path(), "bug", &argv, &[&file, &folder], &errors).unwrap();
        let saved = save();
        assert_eq!(saved, save());
        let about = std::fs::read_to_string(saved.join("about.txt")).unwrap();
        assert!(about.contains("compile m.mlir") && about.contains("broken invariant"));
        assert!(saved.join("0-m.mlir").is_file() && saved.join("1-traced/graph.hlo").is_file());
        assert!(!saved.join("1-traced/weights").exists());
    }
}
