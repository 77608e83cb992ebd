//! The opt-in compile cache around `neuronx-cc compile`.
//!
//! Off unless `FERRITE_COMPILE_CACHE` is set: clients keep a cache of their own above this executable. Its entries have
//! the layout and keys of the clients' library. A cache that cannot be used never fails a compilation: the log says so.

use std::path::Path;

use ferrite_cache::{Key, Places, Store, Taken, URL_VARIABLE};
use ferrite_driver::{files, model};
use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_neff::{Container, Neff, ReadOptions};
use tempfile::NamedTempFile;

use super::compile::{Built, build, placeholder, text_of, write};
use super::options::Settings;
use super::version::VERSION;

/// The variable that switches the cache on: `1` for the documented place, or a folder or URL.
pub const VARIABLE: &str = "FERRITE_COMPILE_CACHE";
/// The documented variable that asks to keep graphs without compiling them.
pub const EXTRACT_VARIABLE: &str = "NEURON_EXTRACT_GRAPHS_ONLY";

/// How the cache is to be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// Where it is.
    pub places: Places,
    /// Graphs are kept and not compiled.
    pub extract: bool,
}

/// What the environment and the options of the clients' library ask for; nothing if the cache is off.
pub fn asked(settings: &Settings) -> Option<Use> {
    let variable = std::env::var(VARIABLE).ok()?;
    let own = match variable.trim() {
        "" | "0" => return None,
        "1" => None,
        place => Some(place),
    };
    // The program after each pass is not in the cache.
    if settings.no_cache || settings.save_temps {
        return None;
    }
    let documented = std::env::var(URL_VARIABLE).ok();
    Some(Use {
        places: Places::of(&[settings.cache_dir.as_deref(), own, documented.as_deref()]),
        extract: std::env::var(EXTRACT_VARIABLE).is_ok_and(|v| v == "1"),
    })
}

/// What went wrong.
pub enum Failure {
    /// In this compilation.
    Errors(Vec<Diagnostic>),
    /// In an earlier one of the same program: its text.
    Remembered(String),
}

/// Compiles `input` by way of the cache.
pub fn run(input: &Path, output: &Path, settings: &Settings, how: &Use) -> Result<Built, Failure> {
    let failed = Failure::Errors;
    let mut notes = Vec::new();
    let mut built = match through(input, output, settings, how, &mut notes)? {
        Some(built) => built,
        None => {
            let (built, neff) = build(input, output, settings).map_err(failed)?;
            write(&neff, output, settings).map_err(|e| failed(vec![e]))?;
            built
        }
    };
    for note in notes {
        match note {
            Note::Fact(text) => built.figures.push(text),
            Note::Trouble(what, error) => built
                .warnings
                .push(Diagnostic::warning(Code::Io, format!("{what}: {}", error.message))),
        }
    }
    Ok(built)
}

enum Note {
    Fact(String),
    /// What did not work, and why.
    Trouble(&'static str, Diagnostic),
}

/// The model is compiled as if there were no cache.
const UNUSED: &str = "the compile cache was not used";

/// Nothing if the cache is no use, with the reason in `notes`.
fn through(
    input: &Path,
    output: &Path,
    settings: &Settings,
    how: &Use,
    notes: &mut Vec<Note>,
) -> Result<Option<Built>, Failure> {
    macro_rules! or_without_cache {
        ($result:expr) => {
            match $result {
                Ok(value) => value,
                Err(error) => {
                    notes.push(Note::Trouble(UNUSED, error));
                    return Ok(None);
                }
            }
        };
    }
    let failed = |e: Diagnostic| Failure::Errors(vec![e]);
    // Standard input has no file to hash and keep.
    let stdin = match model::is_stdin(input) {
        true => Some(or_without_cache!(save(&model::bytes(input).map_err(failed)?))),
        false => None,
    };
    let source = stdin.as_ref().map_or(input, NamedTempFile::path);
    let key = Key::of(source, &settings.key_flags).map_err(failed)?;
    let store = or_without_cache!(Store::open(&how.places, VERSION));
    let cache = &store.cache;
    if how.extract {
        if source.is_dir() {
            let text = "a folder with weights is not kept for a later compilation";
            notes.push(Note::Trouble(UNUSED, Diagnostic::error(Code::Unsupported, text)));
            return Ok(None);
        }
        let neff = placeholder(input, output, settings).map_err(Failure::Errors)?;
        or_without_cache!(cache.extract(&key, source, &settings.key_flags));
        let fact = format!("cache: {key} is kept for a later compilation; the NEFF is a placeholder");
        notes.push(Note::Fact(fact));
        write(&neff, output, settings).map_err(failed)?;
        return Ok(Some(Built::default()));
    }
    if let Err(error) = store.pull(&key) {
        // The folder is still of use.
        notes.push(Note::Trouble(
            "nothing was fetched from the store behind the compile cache",
            error,
        ));
    }
    let folder = output.parent().unwrap_or(Path::new(""));
    match or_without_cache!(cache.take(&key, folder, settings.retry_failed, &is_neff)) {
        Taken::Hit(file) => {
            notes.push(Note::Fact(format!("cache: hit {key} in {}", cache.root().display())));
            deliver(file, output).map_err(failed)?;
            Ok(Some(Built::default()))
        }
        Taken::Failed(text) => Err(Failure::Remembered(text)),
        Taken::Reserved(reservation) => {
            if let Err(error) = reservation.keep_input(source, &settings.key_flags) {
                notes.push(Note::Trouble(UNUSED, error));
                return Ok(None);
            }
            let (built, mut neff) = match build(input, output, settings) {
                Ok(built) => built,
                Err(errors) => {
                    // A defect or a full disk says nothing about the program.
                    let lasting = errors.iter().all(|e| !matches!(e.code, Code::Bug | Code::Io));
                    if lasting && let Err(error) = reservation.fail(&text_of(&errors, input)) {
                        notes.push(Note::Trouble("the failure was not kept in the compile cache", error));
                    }
                    return Err(Failure::Errors(errors));
                }
            };
            write(&neff, output, settings).map_err(failed)?;
            // Under a name of its own: what is in the cache does not depend on who asked first.
            neff.name = key.to_string();
            match reservation.publish(|path| write(&neff, path, settings)) {
                Ok(()) => notes.push(Note::Fact(format!("cache: stored {key} in {}", cache.root().display()))),
                Err(error) => notes.push(Note::Trouble("the result was not kept in the compile cache", error)),
            }
            if let Err(error) = store.push(&key) {
                let what = "the result was not sent to the store behind the compile cache";
                notes.push(Note::Trouble(what, error));
            }
            Ok(Some(built))
        }
    }
}

/// Whether a file is a whole NEFF: for entries that another program made.
pub fn is_neff(path: &Path) -> bool {
    let bytes = std::fs::read(path).unwrap_or_default();
    Container::read(bytes.into(), &ReadOptions::default()).is_ok()
}

/// Puts a verified copy in its place, named as if it had just been compiled there.
pub fn deliver(mut file: NamedTempFile, output: &Path) -> Result<()> {
    ferrite_neff::rename(file.as_file_mut(), Neff::network_name(&output.to_string_lossy()))?;
    ferrite_neff::whole::put(file, output).map_err(|e| files::failure(output, &e))
}

fn save(bytes: &[u8]) -> Result<NamedTempFile> {
    use std::io::Write;
    let fail = |e: std::io::Error| files::failure(Path::new("<stdin>"), &e);
    let mut file = NamedTempFile::new().map_err(fail)?;
    file.write_all(bytes).map_err(fail)?;
    Ok(file)
}
