//! What a Ferrite program is: HLO, tile and instruction levels, the text syntax and the machine model.
