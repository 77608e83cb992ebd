//! What a person needs to reproduce a defect of ours: inputs, command and message in one folder.

use std::path::{Path, PathBuf};

use ferrite_ir::diag::Diagnostic;

use crate::model;

/// Saves a reproducer under the current folder and returns where, or nothing if that cannot be done: a defect must not
/// hide behind a full disk. The folder's name is `prefix` and a hash of the message.
pub fn save(prefix: &str, argv: &[String], inputs: &[&Path], errors: &[Diagnostic]) -> Option<PathBuf> {
    let message: String = errors.iter().map(|e| format!("{e}\n")).collect();
    let folder = PathBuf::from(format!("{prefix}-{:08x}", hash(&message)));
    std::fs::create_dir_all(&folder).ok()?;
    let about = format!(
        "version: {}\ncommand: {}\n\n{message}",
        env!("CARGO_PKG_VERSION"),
        argv.join(" ")
    );
    std::fs::write(folder.join("about.txt"), about).ok()?;
    for (index, input) in inputs.iter().enumerate().filter(|(_, p)| p.is_file()) {
        let name = input
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        std::fs::copy(input, folder.join(format!("{index}-{name}"))).ok()?;
    }
    if inputs.iter().any(|p| model::is_stdin(p)) {
        std::fs::write(folder.join("stdin"), model::bytes(Path::new("-")).ok()?).ok()?;
    }
    Some(folder)
}

/// FNV-1a: one defect, one folder.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}
