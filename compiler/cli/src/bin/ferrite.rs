//! The executable `ferrite`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ferrite_cli::ferrite::run_process(ferrite_driver::Extensions::default())
}
