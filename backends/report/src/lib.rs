//! Profiles of simulated runs: JSON summary, Perfetto trace.
