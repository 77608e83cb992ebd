//! Functional and cycle-level simulator of a NeuronCore; input is a NEFF.
