//! Exit codes, part of the command line's contract.

use ferrite_ir::diag::{Code, Diagnostic};

/// Everything went well.
pub const SUCCESS: u8 = 0;
/// The input has errors, or a comparison failed.
pub const FAILURE: u8 = 1;
/// The command line is wrong.
pub const USAGE: u8 = 2;
/// A defect of Ferrite; for `neuronx-cc` any failed compilation.
pub const DEFECT: u8 = 70;

/// The code for a command of `ferrite` that ended with these errors: the gravest decides.
pub fn of(errors: &[Diagnostic]) -> u8 {
    let one = |error: &Diagnostic| match error.code {
        Code::Bug => DEFECT,
        Code::Usage | Code::Ncc("EARG001" | "EARG002") => USAGE,
        _ => FAILURE,
    };
    errors.iter().map(one).max().unwrap_or(FAILURE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_error_decides() {
        let error = |code| Diagnostic::error(code, "x");
        assert_eq!(of(&[error(Code::Parse), error(Code::Verify)]), FAILURE);
        assert_eq!(of(&[error(Code::Usage)]), USAGE);
        assert_eq!(of(&[error(Code::Parse), error(Code::Bug)]), DEFECT);
    }
}
