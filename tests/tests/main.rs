//! Workspace-level tests, one executable.

mod book;
mod conformance;
mod control_flow;
mod corpus_device;
mod corpus_interp;
mod device;
mod device_programs;
mod device_sweep;
mod egraph;
mod expansions;
mod faults;
mod filetests;
mod forms;
mod fuzz_smoke;
mod hlo_passes;
mod images;
mod layer_loops;
mod legalize;
mod open_dimensions;
mod order;
mod random_ops;
mod random_programs;
mod tile_backend;
