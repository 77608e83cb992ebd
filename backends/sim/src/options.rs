//! What a run is asked to do.

/// What a run simulates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Time only: no data is touched, no inputs are needed.
    TimingOnly,
    /// Bytes and time.
    #[default]
    Functional,
}

/// Options of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether uninitialised reads, races and unordered semaphores are looked for.
    pub check: bool,
    /// Whether what ran when is recorded.
    pub timeline: bool,
    /// Whether results that become smaller floats are rounded stochastically, and from which seed; otherwise to nearest even.
    pub stochastic_rounding: Option<u64>,
    /// Instructions after which a run that does not end is an error.
    pub max_instructions: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            check: true,
            timeline: false,
            stochastic_rounding: None,
            max_instructions: 1_000_000_000,
        }
    }
}
