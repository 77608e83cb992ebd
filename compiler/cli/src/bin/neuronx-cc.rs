//! The executable `neuronx-cc`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let argv: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|a| a.to_string_lossy().into_owned())
        .collect();
    ExitCode::from(ferrite_cli::neuronx::main(
        &argv,
        &mut std::io::stdout(),
        &mut std::io::stderr(),
    ))
}
