//! `neuronx-cc`: the command line that the public clients of the Neuron compiler call.
//!
//! Exit codes: 0 success, 2 a wrong command line, 70 a compilation that failed for whatever reason.

pub mod argv;
pub mod cached;
pub mod compile;
mod help;
pub mod log;
pub mod options;
pub mod version;

use std::io::Write;

use ferrite_ir::diag::{Code, Diagnostic};

use crate::exit;
use argv::{Tokens, is_command};
use options::Opt;

/// Runs the tool on its arguments (without the program's name) and returns the exit code.
pub fn main(argv: &[String], out: &mut (dyn Write + Send), err: &mut dyn Write) -> u8 {
    let tokens = match argv::split(argv, &|word| std::path::Path::new(word).exists()) {
        Ok(tokens) => tokens,
        Err(errors) => return usage(&errors, err),
    };
    let asked = |option| tokens.options.iter().any(|g| g.option == Some(option));
    if asked(Opt::Version) {
        return version::print(out, err);
    }
    let (command, inputs) = match command(&tokens) {
        Ok(found) => found,
        Err(error) if argv.is_empty() || asked(Opt::Help) && tokens.words.is_empty() => {
            let _ = out.write_all(help::general().as_bytes());
            return if asked(Opt::Help) {
                exit::SUCCESS
            } else {
                usage(&[error], err)
            };
        }
        Err(error) => return usage(&[error], err),
    };
    if asked(Opt::Help) {
        let text = if command == "compile" {
            help::compile()
        } else {
            help::list_operators()
        };
        let _ = out.write_all(text.as_bytes());
        return exit::SUCCESS;
    }
    let settings = match options::settings(&tokens.options) {
        Ok(settings) => settings,
        Err(errors) => return usage(&errors, err),
    };
    match (command, inputs.as_slice()) {
        ("list-operators", _) => list_operators(out),
        (_, []) => usage(&[misused("`neuronx-cc compile` needs a model")], err),
        (_, inputs) => match compile::jobs(inputs, settings.output.as_deref()) {
            Ok(jobs) => compile::main(argv, &jobs, &settings, out, err),
            Err(error) => usage(&[error], err),
        },
    }
}

/// The command and the words that follow it.
fn command(tokens: &Tokens) -> Result<(&str, Vec<String>), Diagnostic> {
    match tokens.words.split_first() {
        Some((first, rest)) if is_command(first) => Ok((first, rest.to_vec())),
        Some((first, _)) => Err(misused(format!("no command `{first}`")).help("give `compile` or `list-operators`")),
        None => Err(misused("no command").help("give `compile` or `list-operators`")),
    }
}

pub(crate) fn misused(text: impl Into<String>) -> Diagnostic {
    Diagnostic::error(Code::Ncc("EARG002"), text)
}

fn usage(errors: &[Diagnostic], err: &mut dyn Write) -> u8 {
    for error in errors {
        let mut error = error.clone();
        // What is known and not supported is as wrong here as what is not known.
        if error.code == Code::Unsupported {
            error.code = Code::Ncc("EARG002");
        }
        let _ = writeln!(err, "[ERROR] {}", compile::line(&error));
    }
    exit::USAGE
}

fn list_operators(out: &mut dyn Write) -> u8 {
    for name in ferrite_driver::operators() {
        if writeln!(out, "{name}").is_err() {
            break; // the reader has seen enough
        }
    }
    exit::SUCCESS
}
