//! The executables neuronx-cc and ferrite.
