//! Stands for the remote stores in a build without them.

use ferrite_ir::diag::{Code, Diagnostic, Result};

use crate::entry::Entry;
use crate::local::Cache;

/// A remote store: none in this build.
pub struct Remote(std::convert::Infallible);

impl Remote {
    /// Refuses: this build has no network.
    ///
    /// # Errors
    /// Always.
    pub fn open(url: &str) -> Result<Remote> {
        let text = format!("`{url}`: this build has no remote stores");
        Err(Diagnostic::error(Code::Unsupported, text).help("build with `--features remote`, or name a folder"))
    }

    /// Never called.
    pub fn is_read_only(&self) -> bool {
        match self.0 {}
    }

    /// Never called.
    pub fn pull(&self, _: &Cache, _: &Entry) -> Result<bool> {
        match self.0 {}
    }

    /// Never called.
    pub fn entries(&self) -> Result<Vec<(String, crate::Key)>> {
        match self.0 {}
    }

    /// Never called.
    pub fn push(&self, _: &Entry) -> Result<bool> {
        match self.0 {}
    }

    /// Never called.
    pub fn list(&self, _: &str) -> Result<Vec<(String, u64)>> {
        match self.0 {}
    }
}
