//! `neuronx-cc compile`: a model in, a NEFF, a log and a status out.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use ferrite_driver::{compile, guard, model, reproducer, scratchpad};
use ferrite_ir::diag::{Code, Diagnostic, Result, Severity};
use ferrite_neff::{Compression, Neff, WriteOptions};

use super::cached::{self, Failure};
use super::log::{Level, Log, utc_now};
use super::misused;
use super::options::Settings;
use crate::exit;

/// A model and where its NEFF goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    input: PathBuf,
    output: PathBuf,
}

/// The work that a command line names. Several models go one after the other into a folder, each under its own name.
///
/// # Errors
/// One file as the output of several models.
pub fn jobs(inputs: &[String], output: Option<&Path>) -> Result<Vec<Job>> {
    if let [input] = inputs {
        let default = Path::new("file.neff");
        return Ok(vec![Job {
            input: input.into(),
            output: output.unwrap_or(default).to_path_buf(),
        }]);
    }
    if let Some(file) = output.filter(|o| !o.is_dir()) {
        let text = format!("{} models, but `{}` is no folder", inputs.len(), file.display());
        return Err(misused(text).help("give the name of a folder with `--output`, or one model at a time"));
    }
    let folder = output.unwrap_or(Path::new(""));
    let mut jobs: Vec<Job> = Vec::new();
    for input in inputs.iter().map(PathBuf::from) {
        let stem = if model::is_stdin(&input) {
            "stdin".to_string()
        } else {
            input.file_stem().unwrap_or_default().to_string_lossy().into_owned()
        };
        let output = folder.join(format!("{stem}.neff"));
        if jobs.iter().any(|job| job.output == output) {
            let text = format!("two models would be compiled to `{}`", output.display());
            return Err(misused(text).help("give the models different names, or compile one at a time"));
        }
        jobs.push(Job { input, output });
    }
    Ok(jobs)
}

/// Compiles; `argv` is only told to the log and the reproducer. Every model is tried, even if one before it failed.
pub fn main(
    argv: &[String],
    jobs: &[Job],
    settings: &Settings,
    out: &mut (dyn Write + Send),
    err: &mut dyn Write,
) -> u8 {
    let mut log = Log::open(&settings.logfile, settings.logfile_verbose);
    log.line(Level::INFO, &format!("command: neuronx-cc {}", argv.join(" ")));
    let cache = cached::asked(settings);
    let unused = cache.is_none() && (settings.cache_dir.is_some() || settings.no_cache || settings.retry_failed);
    let unused = unused.then(|| {
        format!(
            "options of the compile cache have no effect unless {} is set",
            cached::VARIABLE
        )
    });
    for note in settings.notes.iter().chain(&unused) {
        log.line(Level::WARNING, note);
        if settings.verbose <= Level::INFO {
            let _ = writeln!(out, "{} INFO: {note}", utc_now());
        }
    }
    let mut failed = false;
    for job in jobs {
        let outcome = with_dots(settings.verbose == Level::USER, out, || {
            one(job, settings, cache.as_ref())
        });
        if settings.verbose == Level::USER {
            let _ = writeln!(out); // ends the line of dots
        }
        match outcome {
            Ok(built) => report(&built, settings, &mut log, out, err),
            Err(failure) => {
                failed = true;
                explain(&failure, argv, job, settings, &mut log, err);
            }
        }
    }
    if failed {
        log.line(
            Level::ERROR,
            &format!("Diagnostic logs stored in {}", settings.logfile.display()),
        );
        log.line(
            Level::ERROR,
            &format!("Subcommand returned with exitcode={}", exit::DEFECT),
        );
        return exit::DEFECT;
    }
    log.line(Level::USER, "Compiler status PASS");
    if settings.verbose == Level::USER {
        let _ = writeln!(out, "Compiler status PASS");
    } else if settings.verbose < Level::USER {
        let _ = writeln!(out, "{} Compiler status PASS", utc_now());
    }
    exit::SUCCESS
}

/// One model, a panic turned into a diagnostic.
fn one(job: &Job, settings: &Settings, cache: Option<&cached::Use>) -> Result<Built, Failure> {
    let mut remembered = None;
    let outcome = guard::guarded(|| {
        let (input, output) = (&*job.input, &*job.output);
        let Some(how) = cache else {
            let (built, neff) = build(input, output, settings)?;
            write(&neff, output, settings).map_err(|e| vec![e])?;
            return Ok(built);
        };
        cached::run(input, output, settings, how).map_err(|failure| match failure {
            Failure::Errors(errors) => errors,
            Failure::Remembered(text) => {
                remembered = Some(text);
                Vec::new()
            }
        })
    });
    outcome.map_err(|errors| match remembered {
        Some(text) => Failure::Remembered(text),
        None => Failure::Errors(errors),
    })
}

fn report(built: &Built, settings: &Settings, log: &mut Log, out: &mut dyn Write, err: &mut dyn Write) {
    for warning in &built.warnings {
        log.line(Level::WARNING, &line(warning));
        if settings.verbose <= Level::WARNING {
            let _ = writeln!(err, "{} [WARNING] {}", utc_now(), line(warning));
        }
    }
    for text in &built.figures {
        log.line(Level::INFO, text);
        if settings.verbose <= Level::INFO {
            let _ = writeln!(out, "{} INFO: {text}", utc_now());
        }
    }
}

fn explain(failure: &Failure, argv: &[String], job: &Job, settings: &Settings, log: &mut Log, err: &mut dyn Write) {
    let time = match settings.verbose {
        Level::USER => String::new(),
        _ => format!("{} ", utc_now()),
    };
    let errors = match failure {
        Failure::Errors(errors) => errors,
        Failure::Remembered(text) => {
            let what = "remembered from an earlier compilation; `--retry_failed_compilation` compiles again";
            log.line(Level::ERROR, &format!("{text}\n({what})"));
            let _ = writeln!(err, "{time}{}\n{time}({what})", text.trim_end());
            return;
        }
    };
    for error in errors {
        log.line(Level::ERROR, &format!("{} {}", kind(error), line(error)));
        let _ = writeln!(err, "{time}{} {}", kind(error), located(error, &job.input));
    }
    if guard::is_bug(errors)
        && let Some(folder) = reproducer::save("neuronxcc", argv, &[&job.input], errors)
    {
        let text = format!("Artifacts stored in: {}", folder.display());
        log.line(Level::ERROR, &text);
        let _ = writeln!(err, "{text}");
    }
}

/// The text of a failure as it goes to stderr, without times.
pub fn text_of(errors: &[Diagnostic], input: &Path) -> String {
    let lines = errors.iter().map(|e| format!("{} {}\n", kind(e), located(e, input)));
    lines.collect()
}

fn kind(error: &Diagnostic) -> &'static str {
    match error.code {
        Code::Bug => "[INTERNAL_ERROR]",
        _ => "[ERROR]",
    }
}

/// What a compilation has to say besides the NEFF.
#[derive(Debug, Default)]
pub struct Built {
    /// For the user.
    pub warnings: Vec<Diagnostic>,
    /// For the log.
    pub figures: Vec<String>,
}

/// Compiles one model. `output` gives the NEFF its name.
///
/// # Errors
/// All errors of the first stage that fails.
pub fn build(input: &Path, output: &Path, settings: &Settings) -> Result<(Built, Neff), Vec<Diagnostic>> {
    let mut options = settings.compile.clone();
    if settings.save_temps {
        options.dump_ir = Some(PathBuf::from("sg00"));
    }
    let (module, names) = model::open(input)?;
    (options.input_names, options.output_names) = (names.inputs, names.outputs);
    options.name = Neff::network_name(&output.to_string_lossy()).to_string();
    let mut compiled = compile::compile(module, &options)?;
    for program in &mut compiled.neff.programs {
        if let Some(page) = settings.scratchpad_page {
            scratchpad::fit(program, page).map_err(|e| vec![e])?;
        }
    }
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
    let built = Built {
        warnings: compiled.warnings,
        figures,
    };
    Ok((built, compiled.neff))
}

/// A NEFF with the model's tensors and no instructions, for runs that only collect graphs.
///
/// # Errors
/// All errors of the model.
pub fn placeholder(input: &Path, output: &Path, settings: &Settings) -> Result<Neff, Vec<Diagnostic>> {
    let (module, names) = model::open(input)?;
    let program = compile::placeholder(&module, &names, &settings.compile.target).map_err(|e| vec![e])?;
    Ok(Neff::new(Neff::network_name(&output.to_string_lossy()), program))
}

/// Writes a NEFF in the form that the options ask for.
pub fn write(neff: &Neff, output: &Path, settings: &Settings) -> Result<()> {
    let compression = if settings.compile.uncompressed {
        Compression::None
    } else {
        Compression::Gzip
    };
    neff.write_file(&WriteOptions { compression }, output)
}

/// A diagnostic in the form `[CODE] text`, with the lines that say where.
pub fn line(diagnostic: &Diagnostic) -> String {
    let diagnostic = documented(diagnostic);
    coded(&diagnostic, &diagnostic.to_string())
}

/// The same with the line of the model that it is about.
fn located(diagnostic: &Diagnostic, model: &Path) -> String {
    let diagnostic = documented(diagnostic);
    let text = model::render(std::slice::from_ref(&diagnostic), Some(model));
    coded(&diagnostic, text.trim_end())
}

/// With the documented code of a broken rule of the operation set, or of an operation that is not supported: `ferrite` has
/// words of its own for both.
fn documented(diagnostic: &Diagnostic) -> Diagnostic {
    let mut diagnostic = diagnostic.clone();
    match diagnostic.code {
        Code::Verify => {
            diagnostic.code = Code::Ncc("EVRF064");
            let advice = "the rule is that of the StableHLO specification: look at what made the model";
            diagnostic.help.get_or_insert_with(|| advice.to_string());
        }
        Code::Unsupported => {
            diagnostic.code = Code::Ncc("EVRF001");
            let advice = "`neuronx-cc list-operators --framework XLA` lists what is supported";
            diagnostic.help.get_or_insert_with(|| advice.to_string());
        }
        _ => {}
    }
    diagnostic
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
