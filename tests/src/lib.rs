//! Workspace-level tests: filetests, corpus, command line.
