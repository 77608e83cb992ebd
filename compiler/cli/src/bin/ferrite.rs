//! The executable `ferrite`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let argv: Vec<std::ffi::OsString> = std::env::args_os().collect();
    ExitCode::from(ferrite_cli::ferrite::main(
        &argv,
        &mut std::io::stdout(),
        &mut std::io::stderr(),
    ))
}
