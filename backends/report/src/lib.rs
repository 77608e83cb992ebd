//! Profiles of simulated runs: JSON summary, Perfetto trace, one page for people,
//! pictures.
//!
//! Everything is made from a [`Profile`]; [`write_all`] puts the usual set of files into a folder.
//!
//! *Where to start.* [`Summary::new`] for the figures of a run, [`write_all`] for its files, [`Chart`] for a plot of anything else.

pub mod chart;
pub mod figure;
pub mod hot;
pub mod html;
mod interactive;
mod occupancy;
pub mod profile;
pub mod summary;
pub mod trace;

mod files;

pub use chart::{Chart, Series};
pub use figure::Figure;
pub use files::{Written, write_all};
pub use hot::{Hot, hottest};
pub use profile::{CoreProfile, EngineProfile, Profile, Span, Timeline, Track};
pub use summary::Summary;
