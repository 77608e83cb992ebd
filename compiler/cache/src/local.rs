//! The cache in a folder: looking up, taking, publishing.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ferrite_ir::diag::{Code, Diagnostic, Result};
use tempfile::NamedTempFile;

use crate::entry::{DIGEST, DONE, Entry, FLAGS, LOCK, LOG, MODEL, NEFF, State, TEMPORARY, WRAPPED};
use crate::key::{Key, flags_json, version_folder};
use crate::lock::Lock;
use crate::{digest, io};

/// A cache folder, seen by one version of the compiler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    root: PathBuf,
    version: String,
}

/// What asking for an entry gave.
#[derive(Debug)]
pub enum Taken {
    /// The result, verified, as a temporary file in the folder that was named.
    Hit(NamedTempFile),
    /// It failed before, with this text.
    Failed(String),
    /// It is ours to make.
    Reserved(Reservation),
}

/// An entry that this process holds the lock of. Dropped without a result it leaves the graph, as if never taken.
#[derive(Debug)]
pub struct Reservation {
    entry: Entry,
    _lock: Lock,
}

impl Cache {
    /// The cache in `root` for a compiler of `version` (`2.27.5334.0+f702b353`).
    pub fn new(root: impl Into<PathBuf>, version: impl Into<String>) -> Cache {
        Cache {
            root: root.into(),
            version: version.into(),
        }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The place of an entry of this version, whether or not it is there.
    pub fn entry(&self, key: &Key) -> Entry {
        Entry {
            version: self.version.clone(),
            key: key.clone(),
            path: self.root.join(version_folder(&self.version)).join(key.to_string()),
        }
    }

    /// A copy of the result in `folder`, if it is complete and intact. `check` judges results without a digest.
    ///
    /// # Errors
    /// A folder that cannot be written; a result that cannot be read is no result.
    pub fn fetch(&self, key: &Key, folder: &Path, check: &dyn Fn(&Path) -> bool) -> Result<Option<NamedTempFile>> {
        let entry = self.entry(key);
        if !entry.file(DONE).exists() {
            return Ok(None);
        }
        let Ok(mut from) = File::open(entry.file(NEFF)) else {
            return Ok(None);
        };
        let mut copy = temporary(folder)?;
        let Ok(found) = digest::copy(&mut from, &mut copy) else {
            return Ok(None);
        };
        let intact = match std::fs::read_to_string(entry.file(DIGEST)) {
            Ok(line) => digest::parse(&line) == Some(&*found),
            Err(_) => check(copy.path()),
        };
        if intact {
            // When it was last used, for pruning. A cache that we may only read is as good.
            let done = File::options().write(true).open(entry.file(DONE));
            let _ = done.and_then(|f| f.set_modified(SystemTime::now()));
        }
        Ok(intact.then_some(copy))
    }

    /// The result, the remembered failure unless `retry`, or the right to make it: then nobody else does at the same
    /// time. Waits while another process holds the entry.
    ///
    /// # Errors
    /// A cache or `folder` that cannot be written.
    pub fn take(&self, key: &Key, folder: &Path, retry: bool, check: &dyn Fn(&Path) -> bool) -> Result<Taken> {
        if let Some(copy) = self.fetch(key, folder, check)? {
            return Ok(Taken::Hit(copy));
        }
        let entry = self.entry(key);
        let path = entry.file(LOCK);
        let lock = Lock::acquire(&path).map_err(|e| io(&path, &e))?;
        // Whoever held it before may have made it.
        if let Some(copy) = self.fetch(key, folder, check)? {
            return Ok(Taken::Hit(copy));
        }
        if !retry && entry.failed() {
            let path = entry.file(LOG);
            return std::fs::read_to_string(&path)
                .map(Taken::Failed)
                .map_err(|e| io(&path, &e));
        }
        let reservation = Reservation { entry, _lock: lock };
        reservation.clear()?;
        Ok(Taken::Reserved(reservation))
    }

    /// Keeps a graph and its flags for a later compilation. Says whether it was new.
    pub fn extract(&self, key: &Key, model: &Path, flags: &[String]) -> Result<bool> {
        let entry = self.entry(key);
        if entry.state() != State::Empty {
            return Ok(false);
        }
        let path = entry.file(LOCK);
        let lock = Lock::acquire(&path).map_err(|e| io(&path, &e))?;
        let reservation = Reservation { entry, _lock: lock };
        if reservation.entry.model().is_some() {
            return Ok(false);
        }
        reservation.keep_input(model, flags)?;
        Ok(true)
    }
}

impl Entry {
    /// Whether a failure is remembered, the lock aside.
    fn failed(&self) -> bool {
        self.file(LOG).exists() && !self.file(NEFF).exists()
    }
}

impl Reservation {
    /// The entry.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Keeps the graph and its flags beside the result. A folder with weights is not kept: it may be of any size.
    pub fn keep_input(&self, model: &Path, flags: &[String]) -> Result<()> {
        // The flags first: a graph without them cannot be compiled by others.
        place(&self.entry, FLAGS, |out| out.write_all(flags_json(flags).as_bytes()))?;
        if model.is_dir() || self.entry.model().is_some() {
            return Ok(());
        }
        let mut from = File::open(model).map_err(|e| io(model, &e))?;
        place(&self.entry, MODEL, |out| std::io::copy(&mut from, out).map(drop))
    }

    /// Makes the result: `write` writes it to the path that it is given. It counts once this returns.
    ///
    /// # Errors
    /// Those of `write`, and a cache that cannot be written.
    pub fn publish(self, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let made = temporary(&self.entry.path)?;
        write(made.path())?;
        let digest = digest::of_file(made.path()).map_err(|e| io(made.path(), &e))?;
        // No fsync: a file torn by a power cut does not fit its digest, and is made again.
        place(&self.entry, DIGEST, |out| {
            out.write_all(digest::line(&digest, NEFF).as_bytes())
        })?;
        readable(&made)?;
        let path = self.entry.file(NEFF);
        made.persist(&path).map_err(|e| io(&path, &e.error))?;
        place(&self.entry, DONE, |_| Ok(()))
    }

    /// Remembers a failure.
    pub fn fail(self, text: &str) -> Result<()> {
        place(&self.entry, LOG, |out| out.write_all(text.as_bytes()))
    }

    /// Removes what does not count: torn or damaged results, old failures, files of killed processes.
    fn clear(&self) -> Result<()> {
        for name in [DONE, DIGEST, NEFF, LOG, WRAPPED] {
            let path = self.entry.file(name);
            match std::fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io(&path, &e)),
                _ => {}
            }
        }
        remove_temporaries(&self.entry.path);
        Ok(())
    }
}

/// Removes what killed processes left half written in a folder whose lock is held.
pub(crate) fn remove_temporaries(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with(TEMPORARY) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// A file of an entry, whole or not at all.
pub(crate) fn place(entry: &Entry, name: &str, content: impl FnOnce(&mut File) -> std::io::Result<()>) -> Result<()> {
    let path = entry.file(name);
    let mut file = temporary(&entry.path)?;
    content(file.as_file_mut()).map_err(|e| io(&path, &e))?;
    readable(&file)?;
    file.persist(&path).map(drop).map_err(|e| io(&path, &e.error))
}

fn temporary(folder: &Path) -> Result<NamedTempFile> {
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    tempfile::Builder::new()
        .prefix(TEMPORARY)
        .tempfile_in(folder)
        .map_err(|e| Diagnostic::error(Code::Io, format!("`{}`: {e}", folder.display())))
}

/// A temporary file is private, a cache is shared.
fn readable(file: &NamedTempFile) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(file.path(), mode).map_err(|e| io(file.path(), &e))?;
    }
    let _ = file;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Case {
        folder: tempfile::TempDir,
        cache: Cache,
        key: Key,
    }

    fn case() -> Case {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().join("cache"), "1.0.0.0+00000000");
        let key = Key::parse("MODULE_12+34").unwrap();
        Case { folder, cache, key }
    }

    impl Case {
        fn take(&self, retry: bool) -> Taken {
            self.cache
                .take(&self.key, self.folder.path(), retry, &|_| true)
                .unwrap()
        }

        fn reserve(&self) -> Reservation {
            match self.take(false) {
                Taken::Reserved(reservation) => reservation,
                other => panic!("{other:?}"),
            }
        }

        fn make(&self, content: &str) {
            let write = |path: &Path| std::fs::write(path, content).map_err(|e| io(path, &e));
            self.reserve().publish(write).unwrap();
        }

        fn hit(&self) -> Option<String> {
            match self.take(false) {
                Taken::Hit(file) => Some(std::fs::read_to_string(file.path()).unwrap()),
                _ => None,
            }
        }

        fn file(&self, name: &str) -> PathBuf {
            self.cache.entry(&self.key).file(name)
        }
    }

    #[test]
    fn what_was_made_is_found_and_nothing_else_is_left() {
        let c = case();
        let model = c.folder.path().join("m");
        std::fs::write(&model, "graph").unwrap();
        let reservation = c.reserve();
        reservation.keep_input(&model, &["-O1".to_string()]).unwrap();
        reservation
            .publish(|path| std::fs::write(path, "neff").map_err(|e| io(path, &e)))
            .unwrap();
        assert_eq!(c.hit().as_deref(), Some("neff"));
        let mut names: Vec<String> = std::fs::read_dir(&c.cache.entry(&c.key).path)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, [FLAGS, DONE, MODEL, NEFF, DIGEST]);
        assert_eq!(c.cache.entry(&c.key).flags().unwrap(), ["-O1"]);
    }

    #[test]
    fn a_torn_or_changed_result_is_made_again() {
        let c = case();
        c.make("neff");
        std::fs::write(c.file(NEFF), "nef").unwrap();
        assert_eq!(c.hit(), None);
        c.make("neff");
        assert_eq!(c.hit().as_deref(), Some("neff"));
        std::fs::remove_file(c.file(DONE)).unwrap(); // killed before the end
        std::fs::write(c.file(".ferrite-left"), "x").unwrap();
        c.make("again");
        assert_eq!(c.hit().as_deref(), Some("again"));
        assert!(!c.file(".ferrite-left").exists());
    }

    #[test]
    fn results_of_others_have_no_digest_and_are_checked() {
        let c = case();
        c.make("neff");
        std::fs::remove_file(c.file(DIGEST)).unwrap();
        assert_eq!(c.hit().as_deref(), Some("neff"));
        let refused = c.cache.take(&c.key, c.folder.path(), false, &|_| false).unwrap();
        assert!(matches!(refused, Taken::Reserved(_)));
    }

    #[test]
    fn a_failure_is_remembered_until_it_is_retried() {
        let c = case();
        c.reserve().fail("[ERROR] no").unwrap();
        assert!(matches!(c.take(false), Taken::Failed(text) if text == "[ERROR] no"));
        assert!(matches!(c.take(true), Taken::Reserved(_)));
        assert!(matches!(c.take(false), Taken::Reserved(_)));
    }

    #[test]
    fn a_result_that_was_not_written_leaves_nothing() {
        let c = case();
        let error = c.reserve().publish(|_| Err(Diagnostic::error(Code::Verify, "no")));
        assert!(error.is_err());
        assert_eq!(c.cache.entry(&c.key).state(), State::Empty);
    }

    #[test]
    fn an_extracted_graph_waits_and_is_extracted_once() {
        let c = case();
        let model = c.folder.path().join("m");
        std::fs::write(&model, "graph").unwrap();
        assert!(c.cache.extract(&c.key, &model, &[]).unwrap());
        assert_eq!(c.cache.entry(&c.key).state(), State::Pending);
        assert!(!c.cache.extract(&c.key, &model, &[]).unwrap());
    }
}
