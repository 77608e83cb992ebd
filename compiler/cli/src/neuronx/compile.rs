//! `neuronx-cc compile`: a model in, a NEFF, a log and a status out.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use ferrite_driver::{compile, guard, model, reproducer};
use ferrite_ir::diag::{Code, Diagnostic, Severity};
use ferrite_neff::{Compression, WriteOptions};

use super::log::{Level, Log, utc_now};
use super::options::Settings;
use crate::exit;

/// Compiles `input`; `argv` is only told to the log and the reproducer.
pub fn main(
    argv: &[String],
    input: &str,
    settings: &Settings,
    out: &mut (dyn Write + Send),
    err: &mut dyn Write,
) -> u8 {
    let mut log = Log::open(&settings.logfile, settings.logfile_verbose);
    log.line(Level::INFO, &format!("command: neuronx-cc {}", argv.join(" ")));
    for note in &settings.notes {
        log.line(Level::WARNING, note);
        if settings.verbose <= Level::INFO {
            let _ = writeln!(out, "{} INFO: {note}", utc_now());
        }
    }
    let outcome = with_dots(settings.verbose == Level::USER, out, || {
        guard::guarded(|| run(Path::new(input), settings))
    });
    match outcome {
        Ok(done) => {
            for warning in &done.warnings {
                log.line(Level::WARNING, &line(warning));
                if settings.verbose <= Level::WARNING {
                    let _ = writeln!(err, "{} [WARNING] {}", utc_now(), line(warning));
                }
            }
            for text in &done.figures {
                log.line(Level::INFO, text);
            }
            log.line(Level::USER, "Compiler status PASS");
            if settings.verbose == Level::USER {
                let _ = writeln!(out, "\nCompiler status PASS");
            } else if settings.verbose < Level::USER {
                let _ = writeln!(out, "{} Compiler status PASS", utc_now());
            }
            exit::SUCCESS
        }
        Err(errors) => {
            for error in &errors {
                let internal = if error.code == Code::Bug {
                    "[INTERNAL_ERROR]"
                } else {
                    "[ERROR]"
                };
                log.line(Level::ERROR, &format!("{internal} {}", line(error)));
                let time = if settings.verbose == Level::USER {
                    String::new()
                } else {
                    format!("{} ", utc_now())
                };
                let _ = writeln!(err, "{time}{internal} {}", located(error, Path::new(input)));
            }
            if guard::is_bug(&errors) {
                let saved = reproducer::save("neuronxcc", argv, &[Path::new(input)], &errors);
                if let Some(folder) = saved {
                    let text = format!("Artifacts stored in: {}", folder.display());
                    log.line(Level::ERROR, &text);
                    let _ = writeln!(err, "{text}");
                }
            }
            log.line(
                Level::ERROR,
                &format!("Diagnostic logs stored in {}", settings.logfile.display()),
            );
            log.line(
                Level::ERROR,
                &format!("Subcommand returned with exitcode={}", exit::DEFECT),
            );
            exit::DEFECT
        }
    }
}

struct Done {
    warnings: Vec<Diagnostic>,
    figures: Vec<String>,
}

fn run(input: &Path, settings: &Settings) -> Result<Done, Vec<Diagnostic>> {
    let mut options = settings.compile.clone();
    if settings.save_temps {
        options.dump_ir = Some(PathBuf::from("sg00"));
    }
    let (module, input_names) = model::open(input)?;
    options.input_names = input_names;
    let compiled = compile::compile(module, &options)?;
    let one = |e: Diagnostic| vec![e];
    for program in &compiled.neff.programs {
        if let Some(limit) = settings.scratchpad_page {
            check_scratchpad(program, limit).map_err(one)?;
        }
    }
    let compression = if options.uncompressed {
        Compression::None
    } else {
        Compression::Gzip
    };
    compiled
        .neff
        .write_file(&WriteOptions { compression }, &settings.output)
        .map_err(one)?;

    let mut figures: Vec<String> = compiled
        .timings
        .iter()
        .map(|t| format!("{}: {:.1} ms, {} {} operations", t.pass, t.ms, t.ops, t.level))
        .collect();
    for program in &compiled.neff.programs {
        let gigabytes = program.scratch_bytes() as f64 / 1e9;
        figures.push(format!("Peak scratchpad usage: local : {gigabytes:.6} GB"));
        figures.push(format!("instructions: {}", program.instruction_count()));
    }
    Ok(Done {
        warnings: compiled.warnings,
        figures,
    })
}

/// No scratch variable may be larger than a page of the scratchpad.
fn check_scratchpad(program: &ferrite_ir::isa::Program, limit: u64) -> Result<(), Diagnostic> {
    let scratch = |v: &&ferrite_ir::isa::Var| matches!(v.kind, ferrite_ir::isa::VarKind::Scratch { .. });
    match program.vars.iter().filter(scratch).find(|v| v.bytes > limit) {
        None => Ok(()),
        Some(v) => Err(Diagnostic::error(
            Code::Ncc("EOOM002"),
            format!(
                "scratch variable `{}` takes {} bytes; a scratchpad page has {limit}",
                v.name, v.bytes
            ),
        )
        .help("give a larger `--hbm-scratchpad-page-size`")),
    }
}

/// A diagnostic in the form `[CODE] text`, with the lines that say where.
pub fn line(diagnostic: &Diagnostic) -> String {
    coded(diagnostic, &diagnostic.to_string())
}

/// The same with the line of the model that it is about.
fn located(diagnostic: &Diagnostic, model: &Path) -> String {
    let text = model::render(std::slice::from_ref(diagnostic), Some(model));
    coded(diagnostic, text.trim_end())
}

fn coded(diagnostic: &Diagnostic, text: &str) -> String {
    let head = match diagnostic.severity {
        Severity::Warning => format!("warning[{}]: ", diagnostic.code),
        Severity::Error => format!("error[{}]: ", diagnostic.code),
    };
    format!("[{}] {}", diagnostic.code, text.strip_prefix(&head).unwrap_or(text))
}

/// Runs `work`; a dot a second on `out` meanwhile, one at least.
fn with_dots<T>(wanted: bool, out: &mut (dyn Write + Send), work: impl FnOnce() -> T) -> T {
    if !wanted {
        return work();
    }
    std::thread::scope(|scope| {
        let (done, waiting) = mpsc::channel::<()>();
        scope.spawn(move || {
            loop {
                let _ = out.write_all(b".").and_then(|()| out.flush());
                match waiting.recv_timeout(Duration::from_secs(1)) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
                }
            }
        });
        let outcome = work();
        drop(done);
        outcome
    })
}
