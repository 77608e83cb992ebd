//! `neuronx-cc`: the command line that the public clients of the Neuron compiler call.

pub mod argv;
pub mod log;
pub mod options;
