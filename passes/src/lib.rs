//! What Ferrite does to programs: pure transformations over the IR levels.
