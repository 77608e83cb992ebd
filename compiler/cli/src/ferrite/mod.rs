//! `ferrite`: compile, run, profile, validate, interpret, inspect, opt, convert, passes, reduce, sweep, targets, cache,
//! compile-many, export.
//!
//! Somebody else's executable is [`run_process`] with [`Extensions`]: passes, machine models and pipelines of its own.
//!
//! A command returns an [`Answer`]: text for people, or the one JSON object of `--json`.

pub mod args;
mod cache;
mod commands;
mod export;
pub mod many;
mod text;
mod units;
pub mod workbench;

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use ferrite_driver::{Extensions, guard, model, reproducer};
use ferrite_ir::diag::{Diagnostic, Severity};
use serde_json::{Value, json};

use crate::exit;
use args::{Cli, Command};

/// What a command has to say.
pub struct Answer {
    /// For people.
    text: String,
    /// The object of `--json`.
    json: Value,
    /// Whether the command's question was answered with yes; `validate` may answer no.
    ok: bool,
    warnings: Vec<Diagnostic>,
}

/// Outcome of a command.
type Outcome = Result<Answer, Vec<Diagnostic>>;

/// The whole of an executable: the process's arguments, streams and exit code.
pub fn run_process(extensions: Extensions) -> ExitCode {
    let argv: Vec<OsString> = std::env::args_os().collect();
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    ExitCode::from(main(&argv, extensions, &mut out, &mut err))
}

/// Runs the tool on its arguments, the program's name first, and returns the exit code.
pub fn main(argv: &[OsString], extensions: Extensions, out: &mut (dyn Write + Send), err: &mut dyn Write) -> u8 {
    // The other executable, for processes that this one starts: it need not be installed beside.
    if let [_, name, rest @ ..] = argv
        && name == "neuronx-cc"
    {
        let rest: Vec<String> = rest.iter().map(|a| a.to_string_lossy().into_owned()).collect();
        return crate::neuronx::main(&rest, out, err);
    }
    let cli = match Cli::try_parse_from(argv) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            let _ = write!(err, "{}", error.render());
            return exit::USAGE;
        }
        Err(help) => {
            let _ = write!(out, "{}", help.render());
            return exit::SUCCESS;
        }
    };
    if let Command::Export(args) = &cli.command {
        return export::run(args).unwrap_or_else(|error| {
            let _ = writeln!(err, "{error}");
            exit::of(&[error])
        });
    }
    let as_json = wants_json(&cli.command);
    let extensions = Arc::new(extensions);
    match guard::guarded(|| commands::run(&cli.command, &extensions)) {
        Ok(answer) => {
            if !answer.warnings.is_empty() {
                let text = model::render(&answer.warnings, model_of(&cli.command).as_deref());
                let _ = writeln!(err, "{}", text.trim_end());
            }
            let written = if as_json {
                serde_json::to_writer(&mut *out, &answer.json)
                    .map_err(Into::into)
                    .and_then(|()| writeln!(out))
            } else {
                out.write_all(answer.text.as_bytes())
            };
            // A closed pipe means that the reader has seen enough.
            let _ = written.and_then(|()| out.flush());
            if answer.ok { exit::SUCCESS } else { exit::FAILURE }
        }
        Err(errors) => {
            let _ = writeln!(
                err,
                "{}",
                model::render(&errors, model_of(&cli.command).as_deref()).trim_end()
            );
            if guard::is_bug(&errors) {
                let words: Vec<String> = argv.iter().map(|a| a.to_string_lossy().into_owned()).collect();
                let inputs = inputs(&cli.command);
                let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
                if let Some(folder) = reproducer::save("ferrite-bug", &words, &inputs, &errors) {
                    let _ = writeln!(err, "saved what is needed to reproduce it in {}", folder.display());
                }
            }
            if as_json {
                let object = json!({ "ok": false, "errors": errors.iter().map(diagnostic).collect::<Vec<_>>() });
                let _ = writeln!(out, "{object}");
            }
            exit::of(&errors)
        }
    }
}

fn wants_json(command: &Command) -> bool {
    match command {
        Command::Compile(a) => a.json,
        Command::Run(a) => a.json,
        Command::Profile(a) => a.json,
        Command::Validate(a) => a.json,
        Command::Interpret(a) => a.json,
        Command::Inspect(a) => a.json,
        Command::Opt(_) => false,
        Command::Convert(a) => a.json,
        Command::Passes(a) => a.json,
        Command::Reduce(a) => a.json,
        Command::Sweep(a) => a.json,
        Command::Targets(a) => a.json,
        Command::Cache(a) => a.json,
        Command::CompileMany(a) => a.json,
        Command::ParallelCompile(a) => a.json,
        Command::Export(_) => false,
    }
}

/// The files that a reproducer needs.
fn inputs(command: &Command) -> Vec<PathBuf> {
    match command {
        Command::Compile(a) => vec![a.model.clone()],
        Command::Run(a) => vec![a.neff.clone(), a.inputs.clone()],
        Command::Profile(a) => vec![a.neff.clone()],
        Command::Validate(a) => model_of(command).into_iter().chain(a.inputs.clone()).collect(),
        Command::Interpret(a) => std::iter::once(a.model.clone()).chain(a.inputs.clone()).collect(),
        Command::Inspect(a) => vec![a.neff.clone()],
        Command::Opt(a) => vec![a.input.clone()],
        Command::Convert(a) => vec![a.model.clone()],
        Command::Reduce(a) => vec![a.model.clone()],
        Command::Sweep(a) => vec![a.model.clone()],
        Command::Passes(_)
        | Command::Targets(_)
        | Command::Cache(_)
        | Command::CompileMany(_)
        | Command::ParallelCompile(_)
        | Command::Export(_) => Vec::new(),
    }
}

/// The model that places in messages are in.
fn model_of(command: &Command) -> Option<PathBuf> {
    match command {
        Command::Compile(a) => Some(a.model.clone()),
        Command::Validate(a) => a
            .model
            .clone()
            .or_else(|| a.case.as_ref().map(|folder| folder.join("model.stablehlo.mlir"))),
        Command::Interpret(a) => Some(a.model.clone()),
        Command::Opt(a) => Some(a.input.clone()),
        Command::Convert(a) => Some(a.model.clone()),
        Command::Reduce(a) => Some(a.model.clone()),
        Command::Sweep(a) => Some(a.model.clone()),
        Command::Run(_)
        | Command::Profile(_)
        | Command::Inspect(_)
        | Command::Passes(_)
        | Command::Targets(_)
        | Command::Cache(_)
        | Command::CompileMany(_)
        | Command::ParallelCompile(_)
        | Command::Export(_) => None,
    }
}

/// A diagnostic as JSON.
fn diagnostic(d: &Diagnostic) -> Value {
    json!({
        "severity": if d.severity == Severity::Error { "error" } else { "warning" },
        "code": d.code.to_string(),
        "message": d.message,
        "line": d.location.line,
        "column": d.location.column,
        "source": d.location.source.as_ref().map(ToString::to_string),
        "label": d.label,
        "help": d.help,
    })
}
