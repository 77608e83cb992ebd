//! Locks between processes that die with their process.
//!
//! The lock is the kernel's (`flock`) on a file that exists while it is held: clients that only look whether `*.lock`
//! exists see the same as before. A file that a killed process left behind is taken over by the next one.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A held lock. Dropping it removes the file and lets the next one in.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Waits until the lock is ours. Makes the folder if it is not there.
    pub fn acquire(path: &Path) -> io::Result<Lock> {
        loop {
            let file = open(path)?;
            file.lock()?;
            if let Some(lock) = confirm(file, path)? {
                return Ok(lock);
            }
        }
    }

    /// The lock, if nobody holds it.
    pub fn try_acquire(path: &Path) -> io::Result<Option<Lock>> {
        loop {
            let file = open(path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            if let Some(lock) = confirm(file, path)? {
                return Ok(Some(lock));
            }
        }
    }

    /// Whether a process holds this lock now. Does not create the file.
    pub fn is_held(path: &Path) -> bool {
        let Ok(file) = OpenOptions::new().read(true).open(path) else {
            return false;
        };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed while still held: whoever waits on this file then finds that it is no longer the one at the path.
        let _ = std::fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

fn open(path: &Path) -> io::Result<File> {
    loop {
        match OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
        {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // The folder is not there, or was just removed by someone who prunes.
                std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
            }
            other => return other,
        }
    }
}

/// A lock on a file that meanwhile was removed, or replaced, protects nothing.
fn confirm(mut file: File, path: &Path) -> io::Result<Option<Lock>> {
    if !same(&file, path)? {
        return Ok(None);
    }
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())?;
    Ok(Some(Lock {
        file,
        path: path.to_path_buf(),
    }))
}

#[cfg(unix)]
fn same(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let ours = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(there) => Ok((ours.dev(), ours.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Elsewhere an open file cannot be removed, so that what is at the path is what was opened.
#[cfg(not(unix))]
fn same(_: &File, path: &Path) -> io::Result<bool> {
    path.try_exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_and_the_file_goes_with_the_holder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below/m.lock");
        let lock = Lock::acquire(&path).unwrap();
        assert!(path.exists() && Lock::is_held(&path));
        assert!(Lock::try_acquire(&path).unwrap().is_none());
        drop(lock);
        assert!(!path.exists() && !Lock::is_held(&path));
        assert!(Lock::try_acquire(&path).unwrap().is_some());
    }

    #[test]
    fn a_file_left_behind_does_not_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.lock");
        std::fs::write(&path, "12345\n").unwrap();
        assert!(!Lock::is_held(&path));
        assert!(Lock::try_acquire(&path).unwrap().is_some());
    }

    #[test]
    fn many_threads_take_turns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.lock");
        let inside = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let lock = Lock::acquire(&path).unwrap();
                        assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
    }
}
