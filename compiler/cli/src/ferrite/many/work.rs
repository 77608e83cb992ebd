//! One graph: from the cache, or through a process of its own into the cache.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ferrite_cache::{Reservation, Store, Taken};
use ferrite_driver::files;
use ferrite_ir::diag::{Diagnostic, Result};

use super::items::Item;
use super::memory::{Memory, Verdict, resident};
use crate::exit;
use crate::neuronx::cached::{EXTRACT_VARIABLE, VARIABLE, deliver, is_neff};

/// Between two looks at a process.
const TICK: Duration = Duration::from_millis(20);

/// What compiles.
pub struct Worker<'w> {
    pub store: &'w Store,
    pub memory: &'w Memory,
    /// How often a process that died is started again.
    pub retries: u32,
    /// Whether remembered failures are tried again.
    pub retry_failed: bool,
}

/// A success.
pub struct Done {
    pub retry: u32,
    pub seconds: f64,
    pub cached: bool,
}

/// A failure.
pub struct Failure {
    pub retry: u32,
    pub seconds: f64,
    pub cached: bool,
    pub text: String,
}

impl From<Diagnostic> for Failure {
    fn from(error: Diagnostic) -> Failure {
        Failure {
            retry: 0,
            seconds: 0.0,
            cached: false,
            text: error.to_string(),
        }
    }
}

/// How a process ended.
enum End {
    Success,
    /// The compiler refused the program: it would do so again.
    Refused(String),
    /// It died, or met a defect.
    Died(String),
}

impl Worker<'_> {
    /// Makes sure that the graph's result is in the cache, and at its output if it has one.
    pub fn compile(&self, item: &Item) -> Result<Done, Failure> {
        let scratch = tempfile::tempdir().map_err(|e| files::failure(&std::env::temp_dir(), &e))?;
        let cache = &self.store.cache;
        // A store that does not answer costs a compilation, and no more; that it lacks the result is said below.
        let _ = self.store.pull(&item.key);
        let folder = match item.output.as_deref().and_then(Path::parent) {
            Some(folder) => {
                std::fs::create_dir_all(folder).map_err(|e| files::failure(folder, &e))?;
                folder
            }
            None => scratch.path(),
        };
        match cache.take(&item.key, folder, self.retry_failed, &is_neff)? {
            Taken::Hit(file) => {
                if let Some(output) = &item.output {
                    deliver(file, output)?;
                }
                Ok(Done {
                    retry: 0,
                    seconds: 0.0,
                    cached: true,
                })
            }
            Taken::Failed(text) => Err(Failure {
                retry: 0,
                seconds: 0.0,
                cached: true,
                text,
            }),
            Taken::Reserved(reservation) => self.make(item, reservation, scratch.path(), folder),
        }
    }

    fn make(&self, item: &Item, reservation: Reservation, scratch: &Path, folder: &Path) -> Result<Done, Failure> {
        reservation.keep_input(&item.model, &item.flags)?;
        let start = Instant::now();
        let mut retry = 0;
        let made = scratch.join(format!("{}.neff", item.key));
        loop {
            let failure = |text| Failure {
                retry,
                seconds: start.elapsed().as_secs_f64(),
                cached: false,
                text,
            };
            match self.process(item, &made, scratch)? {
                End::Success => break,
                End::Refused(text) => {
                    reservation.fail(&text)?;
                    return Err(failure(text));
                }
                End::Died(text) if retry >= self.retries => return Err(failure(text)),
                End::Died(_) => retry += 1,
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        reservation.publish(|path| {
            std::fs::copy(&made, path)
                .map(drop)
                .map_err(|e| files::failure(path, &e))
        })?;
        self.store.push(&item.key)?;
        if let Some(output) = &item.output
            && let Some(file) = self.store.cache.fetch(&item.key, folder, &is_neff)?
        {
            deliver(file, output)?;
        }
        Ok(Done {
            retry,
            seconds,
            cached: false,
        })
    }

    /// Compiles in a process that has its share of the memory.
    fn process(&self, item: &Item, made: &Path, scratch: &Path) -> Result<End> {
        let own = std::env::current_exe().map_err(|e| files::failure(Path::new("ferrite"), &e))?;
        let errors = scratch.join("stderr");
        let mut alone = false;
        loop {
            let share = self.memory.share(Memory::estimate(size(&item.model)), alone);
            let stderr = File::create(&errors).map_err(|e| files::failure(&errors, &e))?;
            let mut command = Command::new(&own);
            command
                .args(["neuronx-cc", "compile", "--framework=XLA"])
                .arg(&item.model);
            command.arg("--output").arg(made.file_name().unwrap_or_default());
            command.args(&item.flags).arg("--verbose=35");
            command
                .current_dir(scratch)
                .env_remove(VARIABLE)
                .env_remove(EXTRACT_VARIABLE);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
            let mut child = command.spawn().map_err(|e| files::failure(&own, &e))?;
            let verdict = loop {
                if let Some(status) = child.try_wait().map_err(|e| files::failure(&own, &e))? {
                    let text = || {
                        let text = std::fs::read_to_string(&errors).unwrap_or_default();
                        if text.trim().is_empty() {
                            format!("the compiler ended with {status}")
                        } else {
                            text
                        }
                    };
                    return Ok(match status.code().map(|c| u8::try_from(c).unwrap_or(exit::DEFECT)) {
                        Some(exit::SUCCESS) => End::Success,
                        Some(_) if !text().contains("[INTERNAL_ERROR]") => End::Refused(text()),
                        _ => End::Died(text()),
                    });
                }
                match share.uses(resident(child.id()).unwrap_or(0)) {
                    Verdict::Go => std::thread::sleep(TICK),
                    stop => break stop,
                }
            };
            let _ = child.kill();
            let _ = child.wait();
            if verdict == Verdict::TooLarge {
                let gigabytes = self.memory.limit() as f64 / 1e9;
                return Ok(End::Died(format!(
                    "compiling it takes more than the {gigabytes:.1} GB of `--memory`"
                )));
            }
            alone = true;
        }
    }
}

/// Bytes of a model: of a folder, all its files.
fn size(model: &Path) -> u64 {
    let Ok(data) = std::fs::metadata(model) else { return 0 };
    if !data.is_dir() {
        return data.len();
    }
    let entries = std::fs::read_dir(model).into_iter().flatten().flatten();
    entries.map(|e| size(&e.path())).sum()
}
