//! Pipelines, options and the order of stages.
