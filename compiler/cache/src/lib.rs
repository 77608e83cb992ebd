//! The compile cache that Neuron clients share: layout, keys and lock rules of libneuronxla and optimum-neuron.
//!
//! ```text
//! <root>/neuronxcc-<version>/MODULE_<model hash>+<flags hash>/
//!     model.hlo_module.pb        the graph as it came
//!     compile_flags.json         a JSON list of strings
//!     model.neff                 the result
//!     model.neff.sha256          its digest, in the form of `sha256sum` (ours; entries of others have none)
//!     model.done                 empty; written last
//!     model.log                  after a failure: the error's text
//!     model.hlo_module.pb.lock   while a process compiles
//! ```
//!
//! In: bytes and flags. Out: files, whole or not at all. An entry counts as done only when `model.done` is there and
//! the digest fits, so a process may die at any moment; the lock is one of the kernel's and dies with its process.
//! What a NEFF is, is not known here: callers pass a check for entries that have no digest.
//!
//! *Where to start.* [`Cache`] for a folder, [`Key`] for what names an entry, [`Places`] for a folder with a store behind it.

pub mod digest;
mod entry;
pub mod key;
mod local;
pub mod lock;
mod manage;
pub mod registry;
#[cfg(feature = "remote")]
pub mod remote;
#[cfg(not(feature = "remote"))]
#[path = "no_remote.rs"]
pub mod remote;
mod store;

pub use entry::{Entry, State};
pub use key::{Key, version_folder};
pub use local::{Cache, Reservation, Taken};
pub use manage::{Check, PruneRules, Pruned};
pub use store::{Places, Store};

use std::path::PathBuf;

use ferrite_ir::diag::{Code, Diagnostic};

/// Where the cache is when nobody says (documented).
pub const DEFAULT_ROOT: &str = "/var/tmp/neuron-compile-cache";

/// The variable with the folder or URL of the cache (documented).
pub const URL_VARIABLE: &str = "NEURON_COMPILE_CACHE_URL";

/// The folder behind a location, or nothing if it is a remote store.
pub fn as_folder(location: &str) -> Option<PathBuf> {
    match location.split_once("://") {
        None => Some(PathBuf::from(location)),
        Some(("file", path)) => Some(PathBuf::from(path)),
        Some(_) => None,
    }
}

pub(crate) fn io(path: &std::path::Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::error(Code::Io, format!("`{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_a_path_or_a_file_url() {
        assert_eq!(as_folder("file:///x"), Some("/x".into()));
        assert_eq!(as_folder("s3://bucket/x"), None);
    }
}
