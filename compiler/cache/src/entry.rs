//! One entry: its files and what they say about its state.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ferrite_ir::diag::Diagnostic;
use serde::Serialize;

use crate::io;
use crate::key::Key;
use crate::lock::Lock;

/// The graph.
pub const MODEL: &str = "model.hlo_module.pb";
/// The graph in older entries.
pub const OLD_MODEL: &str = "model.hlo.pb";
/// The flags.
pub const FLAGS: &str = "compile_flags.json";
/// The result.
pub const NEFF: &str = "model.neff";
/// The result's digest.
pub const DIGEST: &str = "model.neff.sha256";
/// Says that the result is complete.
pub const DONE: &str = "model.done";
/// The text of a failure.
pub const LOG: &str = "model.log";
/// The lock.
pub const LOCK: &str = "model.hlo_module.pb.lock";
/// What `--enable-internal-neff-wrapper` may leave.
pub const WRAPPED: &str = "wrapped_neff.hlo";
/// Prefix of files that are being written.
pub const TEMPORARY: &str = ".ferrite-";

/// What an entry holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// A result that may be used.
    Done,
    /// A failure that is remembered.
    Failed,
    /// A process is compiling it.
    Locked,
    /// A graph that waits to be compiled.
    Pending,
    /// Nothing of use.
    Empty,
}

impl State {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            State::Done => "done",
            State::Failed => "failed",
            State::Locked => "locked",
            State::Pending => "pending",
            State::Empty => "empty",
        }
    }
}

/// The folder of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Version folder it is in, without the prefix.
    pub version: String,
    /// Its key.
    pub key: Key,
    /// Its folder.
    pub path: PathBuf,
}

impl Entry {
    /// A file of it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The graph, under its present or older name.
    pub fn model(&self) -> Option<PathBuf> {
        [MODEL, OLD_MODEL]
            .map(|n| self.file(n))
            .into_iter()
            .find(|p| p.exists())
    }

    /// The flags.
    pub fn flags(&self) -> Result<Vec<String>, Diagnostic> {
        let path = self.file(FLAGS);
        let text = std::fs::read(&path).map_err(|e| io(&path, &e))?;
        serde_json::from_slice(&text).map_err(|e| {
            let text = format!("`{}`: {e}", path.display());
            Diagnostic::error(ferrite_ir::diag::Code::Parse, text).help("the file is a JSON list of strings")
        })
    }

    /// The state, by the rules that the clients have; a lock counts only while its process lives.
    pub fn state(&self) -> State {
        let has = |name: &str| self.file(name).exists();
        if has(NEFF) && has(DONE) {
            State::Done
        } else if Lock::is_held(&self.file(LOCK)) {
            State::Locked
        } else if has(LOG) && !has(NEFF) {
            State::Failed
        } else if self.model().is_some() {
            State::Pending
        } else {
            State::Empty
        }
    }

    /// Bytes of all its files.
    pub fn bytes(&self) -> u64 {
        files(&self.path).map(|(_, size, _)| size).sum()
    }

    /// When it was last used: a hit touches `model.done`.
    pub fn last_used(&self) -> Option<SystemTime> {
        let of = |name: &str| std::fs::metadata(self.file(name)).and_then(|m| m.modified()).ok();
        of(DONE).or_else(|| files(&self.path).filter_map(|(_, _, time)| time).max())
    }
}

/// Files of a folder: path, size, time.
fn files(folder: &Path) -> impl Iterator<Item = (PathBuf, u64, Option<SystemTime>)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|e| {
        let data = e.metadata().ok().filter(std::fs::Metadata::is_file)?;
        Some((e.path(), data.len(), data.modified().ok()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_those_of_the_clients() {
        let folder = tempfile::tempdir().unwrap();
        let entry = Entry {
            version: "1".into(),
            key: Key::parse("MODULE_1+2").unwrap(),
            path: folder.path().to_path_buf(),
        };
        let write = |name: &str| std::fs::write(entry.file(name), "x").unwrap();
        assert_eq!(entry.state(), State::Empty);
        write(MODEL);
        assert_eq!(entry.state(), State::Pending);
        write(LOCK); // of a process that is gone
        assert_eq!(entry.state(), State::Pending);
        let lock = Lock::acquire(&entry.file(LOCK)).unwrap();
        assert_eq!(entry.state(), State::Locked);
        drop(lock);
        write(LOG);
        assert_eq!(entry.state(), State::Failed);
        write(NEFF);
        assert_eq!(entry.state(), State::Pending);
        write(DONE);
        assert_eq!(entry.state(), State::Done);
        assert_eq!(entry.bytes(), 4);
        assert!(entry.flags().is_err());
        std::fs::write(entry.file(FLAGS), r#"["--target=trn1"]"#).unwrap();
        assert_eq!(entry.flags().unwrap(), ["--target=trn1"]);
    }
}
