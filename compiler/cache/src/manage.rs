//! Looking after a cache folder: listing, verifying, pruning.

use std::path::Path;
use std::time::{Duration, SystemTime};

use ferrite_ir::diag::{Diagnostic, Result};
use serde::Serialize;

use crate::entry::{DIGEST, DONE, Entry, FLAGS, LOCK, LOG, MODEL, NEFF, OLD_MODEL, State, WRAPPED};
use crate::key::{Key, VERSION_PREFIX};
use crate::local::{Cache, remove_temporaries};
use crate::lock::Lock;
use crate::{digest, io};

/// What verifying a result gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// The digest fits.
    Intact,
    /// There is no digest; the form is right.
    Unsigned,
    /// The file is not what was written.
    Damaged,
}

/// What may be removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PruneRules {
    /// Not used for this long.
    pub older_than: Option<Duration>,
    /// Least recently used ones until the cache is no larger, in bytes.
    pub max_bytes: Option<u64>,
    /// Remembered failures.
    pub failed: bool,
    /// Entries of other versions of the compiler.
    pub other_versions: bool,
    /// Entries without result or graph.
    pub empty: bool,
}

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// Keys with their versions.
    pub removed: Vec<String>,
    /// Bytes.
    pub bytes: u64,
    /// Entries that a process holds: left alone.
    pub held: usize,
}

impl Cache {
    /// All entries of all versions, sorted. A cache that is not there has none.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for (version, folder) in self.versions()? {
            for (name, path) in folders(&folder)? {
                entries.extend(Key::parse(&name).map(|key| Entry {
                    version: version.clone(),
                    key,
                    path,
                }));
            }
        }
        entries.sort_by(|a, b| (&a.version, &a.key).cmp(&(&b.version, &b.key)));
        Ok(entries)
    }

    /// Version folders: version and path.
    pub fn versions(&self) -> Result<Vec<(String, std::path::PathBuf)>> {
        let all = folders(self.root())?.into_iter();
        Ok(all
            .filter_map(|(name, path)| Some((name.strip_prefix(VERSION_PREFIX)?.to_string(), path)))
            .collect())
    }

    /// Removes what the rules name, and never what a process is making.
    pub fn prune(&self, rules: &PruneRules) -> Result<Pruned> {
        let now = SystemTime::now();
        let mut pruned = Pruned::default();
        let mut kept = Vec::new();
        for entry in self.entries()? {
            let state = entry.state();
            let age = entry
                .last_used()
                .and_then(|t| now.duration_since(t).ok())
                .unwrap_or_default();
            let old = rules.older_than.is_some_and(|limit| age >= limit);
            let foreign = rules.other_versions && entry.version != self.version();
            let failed = rules.failed && state == State::Failed;
            let empty = rules.empty && state == State::Empty;
            if old || foreign || failed || empty {
                remove(&entry, &mut pruned)?;
            } else {
                kept.push((age, entry));
            }
        }
        if let Some(limit) = rules.max_bytes {
            kept.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.key.cmp(&b.1.key)));
            let mut total: u64 = kept.iter().map(|(_, e)| e.bytes()).sum();
            for (_, entry) in kept {
                if total <= limit {
                    break;
                }
                let bytes = entry.bytes();
                if remove(&entry, &mut pruned)? {
                    total -= bytes;
                }
            }
        }
        // Version folders that are empty now, if they are.
        for (_, path) in self.versions()? {
            let _ = std::fs::remove_dir(path);
        }
        Ok(pruned)
    }

    /// Removes lock files that no process holds; returns how many.
    pub fn clear_locks(&self) -> Result<usize> {
        let mut removed = 0;
        for entry in self.entries()? {
            let path = entry.file(LOCK);
            // Taking a lock that nobody holds, and giving it back, removes its file.
            if path.exists() && Lock::try_acquire(&path).map_err(|e| io(&path, &e))?.is_some() {
                removed += 1;
            }
        }
        Ok(removed)
    }
}

impl Entry {
    /// Verifies the result; nothing if there is none. `check` judges results without a digest.
    pub fn verify(&self, check: &dyn Fn(&Path) -> bool) -> Option<Check> {
        if !self.file(DONE).exists() {
            return None;
        }
        let neff = self.file(NEFF);
        let line = match std::fs::read_to_string(self.file(DIGEST)) {
            Ok(line) => line,
            Err(_) if check(&neff) => return Some(Check::Unsigned),
            Err(_) => return Some(Check::Damaged),
        };
        let found = digest::of_file(&neff).ok();
        let intact = found.is_some() && digest::parse(&line) == found.as_deref();
        Some(if intact { Check::Intact } else { Check::Damaged })
    }

    /// Removes a damaged result, so that it is made again when it is next asked for. Says whether that was possible:
    /// another process may be at it.
    pub fn discard_result(&self) -> Result<bool> {
        let path = self.file(LOCK);
        let Some(_lock) = Lock::try_acquire(&path).map_err(|e| io(&path, &e))? else {
            return Ok(false);
        };
        for name in [DONE, DIGEST, NEFF] {
            let _ = std::fs::remove_file(self.file(name));
        }
        Ok(true)
    }
}

fn remove(entry: &Entry, pruned: &mut Pruned) -> Result<bool> {
    let path = entry.file(LOCK);
    let Some(lock) = Lock::try_acquire(&path).map_err(|e| io(&path, &e))? else {
        pruned.held += 1;
        return Ok(false);
    };
    let bytes = entry.bytes();
    // What says "complete" goes first: a reader in between finds nothing rather than half of it.
    for name in [DONE, DIGEST, NEFF, LOG, WRAPPED, FLAGS, MODEL, OLD_MODEL] {
        let _ = std::fs::remove_file(entry.file(name));
    }
    remove_temporaries(&entry.path);
    drop(lock);
    // Not if a file of someone else is in it, or someone has just taken it again.
    let _ = std::fs::remove_dir(&entry.path);
    pruned.bytes += bytes;
    pruned
        .removed
        .push(format!("{VERSION_PREFIX}{}/{}", entry.version, entry.key));
    Ok(true)
}

fn folders(folder: &Path) -> Result<Vec<(String, std::path::PathBuf)>> {
    let fail = |e: std::io::Error| -> Diagnostic { io(folder, &e) };
    let entries = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(fail)?,
    };
    let mut all = Vec::new();
    for entry in entries {
        let entry = entry.map_err(fail)?;
        if entry.path().is_dir() {
            all.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
        }
    }
    all.sort();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Taken;

    fn cache(folder: &Path, keys: &[&str]) -> Cache {
        let cache = Cache::new(folder, "1.0.0.0+00000000");
        for key in keys {
            let key = Key::parse(key).unwrap();
            let Taken::Reserved(r) = cache.take(&key, folder, false, &|_| true).unwrap() else {
                panic!("it was not there")
            };
            r.publish(|path| std::fs::write(path, [7; 1000]).map_err(|e| io(path, &e)))
                .unwrap();
        }
        cache
    }

    fn age(cache: &Cache, key: &str, hours: u64) {
        let done = cache.entry(&Key::parse(key).unwrap()).file(DONE);
        let file = std::fs::File::options().write(true).open(done).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(3600 * hours))
            .unwrap();
    }

    #[test]
    fn old_and_least_used_entries_go_first() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path(), &["MODULE_a+1", "MODULE_b+1", "MODULE_c+1"]);
        age(&cache, "MODULE_a+1", 50);
        age(&cache, "MODULE_b+1", 5);
        let day = Some(Duration::from_secs(24 * 3600));
        let old = cache
            .prune(&PruneRules {
                older_than: day,
                ..PruneRules::default()
            })
            .unwrap();
        assert_eq!(old.removed, ["neuronxcc-1.0.0.0+00000000/MODULE_a+1"]);
        assert!(old.bytes >= 1000);
        let rules = PruneRules {
            max_bytes: Some(1500),
            ..PruneRules::default()
        };
        assert_eq!(
            cache.prune(&rules).unwrap().removed,
            ["neuronxcc-1.0.0.0+00000000/MODULE_b+1"]
        );
        assert_eq!(cache.entries().unwrap().len(), 1);
    }

    #[test]
    fn what_is_being_made_stays() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path(), &["MODULE_a+1"]);
        let key = Key::parse("MODULE_b+1").unwrap();
        let Taken::Reserved(r) = cache.take(&key, folder.path(), false, &|_| true).unwrap() else {
            panic!("it was not there")
        };
        let all = PruneRules {
            older_than: Some(Duration::ZERO),
            ..PruneRules::default()
        };
        let pruned = cache.prune(&all).unwrap();
        assert_eq!((pruned.removed.len(), pruned.held), (1, 1));
        drop(r);
        assert_eq!(
            cache
                .prune(&PruneRules {
                    empty: true,
                    ..PruneRules::default()
                })
                .unwrap()
                .removed
                .len(),
            1
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_changed_byte_is_found_and_discarded() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path(), &["MODULE_a+1"]);
        let entry = cache.entries().unwrap().remove(0);
        assert_eq!(entry.verify(&|_| false), Some(Check::Intact));
        let mut bytes = std::fs::read(entry.file(NEFF)).unwrap();
        bytes[17] ^= 1;
        std::fs::write(entry.file(NEFF), bytes).unwrap();
        assert_eq!(entry.verify(&|_| true), Some(Check::Damaged));
        assert!(entry.discard_result().unwrap());
        assert_eq!(entry.verify(&|_| true), None);
    }

    #[test]
    fn locks_of_the_dead_are_cleared() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path(), &["MODULE_a+1", "MODULE_b+1"]);
        let entries = cache.entries().unwrap();
        std::fs::write(entries[0].file(LOCK), "99999\n").unwrap();
        let held = Lock::acquire(&entries[1].file(LOCK)).unwrap();
        assert_eq!(cache.clear_locks().unwrap(), 1);
        assert!(held_file(&entries[1]) && !entries[0].file(LOCK).exists());
        drop(held);
    }

    fn held_file(entry: &Entry) -> bool {
        entry.file(LOCK).exists()
    }
}
