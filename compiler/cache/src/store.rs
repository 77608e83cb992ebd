//! A cache folder, and the remote store that it is shared through, if there is one.

use std::path::PathBuf;

use ferrite_ir::diag::Result;

use crate::key::Key;
use crate::remote::Remote;
use crate::{Cache, DEFAULT_ROOT, as_folder};

/// Where a cache is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The folder.
    pub folder: PathBuf,
    /// URL of the store behind it.
    pub remote: Option<String>,
}

impl Places {
    /// From what was given, most important first: the first folder is the folder, the first URL the store behind it.
    pub fn of(given: &[Option<&str>]) -> Places {
        let given: Vec<&str> = given
            .iter()
            .flatten()
            .map(|t| t.trim())
            .filter(|t| !t.is_empty())
            .collect();
        Places {
            folder: given
                .iter()
                .find_map(|t| as_folder(t))
                .unwrap_or_else(|| DEFAULT_ROOT.into()),
            remote: given.iter().find(|t| as_folder(t).is_none()).map(ToString::to_string),
        }
    }
}

/// An opened cache.
pub struct Store {
    /// The folder.
    pub cache: Cache,
    /// The store behind it.
    pub remote: Option<Remote>,
}

impl Store {
    /// Opens what `places` names for a compiler of `version`.
    ///
    /// # Errors
    /// A URL of a kind that is not known, or whose settings are wrong.
    pub fn open(places: &Places, version: &str) -> Result<Store> {
        Ok(Store {
            cache: Cache::new(&places.folder, version),
            remote: places.remote.as_deref().map(Remote::open).transpose()?,
        })
    }

    /// Fetches an entry that the folder does not have from the store. Says whether it did.
    ///
    /// # Errors
    /// A store that does not answer; a result that does not fit its digest is no result.
    pub fn pull(&self, key: &Key) -> Result<bool> {
        match &self.remote {
            Some(remote) => remote.pull(&self.cache, &self.cache.entry(key)),
            None => Ok(false),
        }
    }

    /// Gives an entry of the folder to the store, if it is not there yet and the store takes any. Says whether it did.
    ///
    /// # Errors
    /// A store that refuses.
    pub fn push(&self, key: &Key) -> Result<bool> {
        match &self.remote {
            Some(remote) if !remote.is_read_only() => remote.push(&self.cache.entry(key)),
            _ => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_folder_and_the_first_url_count() {
        let places = Places::of(&[None, Some("s3://b/c"), Some("/x"), Some("https://h/y"), Some("/z")]);
        assert_eq!(
            places,
            Places {
                folder: "/x".into(),
                remote: Some("s3://b/c".into())
            }
        );
        assert_eq!(
            Places::of(&[None]),
            Places {
                folder: DEFAULT_ROOT.into(),
                remote: None
            }
        );
    }
}
