//! Workspace-level tests, one executable.

mod corpus_interp;
mod legalize;
