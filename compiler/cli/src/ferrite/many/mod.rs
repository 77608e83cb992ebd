//! `ferrite compile-many` and `ferrite parallel-compile`: many graphs on one machine, under a bound of memory.
//!
//! Every graph goes through the compile cache: what is there is not compiled again, so that a run that was killed goes
//! on where it stopped, and several runs, on one machine or many, share the work. A graph is compiled by a process of
//! its own: one that dies or takes too much memory takes nothing else with it.

mod items;
mod memory;
mod work;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ferrite_cache::{PruneRules, State, Store};
use ferrite_driver::files;
use ferrite_ir::diag::{Code, Diagnostic, Result};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::json;

use super::args::{ManyArgs, ParallelArgs, ParallelCommand};
use super::cache::places;
use super::{Answer, Outcome};
use crate::neuronx::cached::{EXTRACT_VARIABLE, VARIABLE};
use crate::neuronx::version::VERSION;
use items::Item;
use memory::Memory;
use work::{Done, Worker};

/// What a graph came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Report {
    status: bool,
    retry: u32,
    /// Seconds; 0 if it was in the cache.
    compile_time: f64,
    /// Whether it was in the cache.
    cached: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Runs `ferrite compile-many`.
pub fn compile_many(args: &ManyArgs) -> Outcome {
    let store = Store::open(&places(args.cache_dir.as_deref()), VERSION).map_err(|e| vec![e])?;
    let all = items::find(&args.what, &args.flags, args.output_dir.as_deref(), &store).map_err(|e| vec![e])?;
    let super::args::Shard(index, count) = args.shard;
    let mine: Vec<Item> = all.into_iter().skip(index).step_by(count).collect();
    let reports = compile_all(&store, mine, &args.limits(), args.retry_failed).map_err(|e| vec![e])?;
    finish(reports, args.report.as_deref()).map_err(|e| vec![e])
}

/// How much at a time.
pub struct Limits {
    /// Processes.
    pub jobs: usize,
    /// Bytes that they may hold together.
    pub memory: u64,
    /// How often a process that died is started again.
    pub retries: u32,
}

fn compile_all(
    store: &Store,
    items: Vec<Item>,
    limits: &Limits,
    retry_failed: bool,
) -> Result<BTreeMap<String, Report>> {
    let bar = ProgressBar::new(items.len() as u64).with_style(
        ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} (about {eta} to go) {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let memory = Memory::new(limits.memory);
    let reports = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..limits.jobs.clamp(1, items.len().max(1)) {
            scope.spawn(|| {
                let worker = Worker {
                    store,
                    memory: &memory,
                    retries: limits.retries,
                    retry_failed,
                };
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let report = match worker.compile(item) {
                        Ok(Done { retry, seconds, cached }) => Report {
                            status: true,
                            retry,
                            compile_time: seconds,
                            cached,
                            error: None,
                        },
                        Err(failure) => {
                            let n = failed.fetch_add(1, Ordering::Relaxed) + 1;
                            bar.set_message(format!("{n} failed"));
                            Report {
                                status: false,
                                retry: failure.retry,
                                compile_time: failure.seconds,
                                cached: failure.cached,
                                error: Some(failure.text),
                            }
                        }
                    };
                    bar.inc(1);
                    if let Ok(mut reports) = reports.lock() {
                        reports.insert(item.name.clone(), report);
                    }
                }
            });
        }
    });
    bar.finish_and_clear();
    reports
        .into_inner()
        .map_err(|_| Diagnostic::bug("a worker panicked while it reported"))
}

fn finish(reports: BTreeMap<String, Report>, file: Option<&Path>) -> Answered {
    let ok = reports.values().filter(|r| r.status).count();
    let cached = reports.values().filter(|r| r.cached).count();
    let failed = reports.len() - ok;
    let mut text = String::new();
    for (name, report) in &reports {
        if let Some(error) = &report.error {
            text.push_str(&format!("{name}: {}\n", error.trim_end()));
        }
    }
    text.push_str(&format!(
        "{} graphs: {ok} compiled ({cached} from the cache), {failed} failed\n",
        reports.len()
    ));
    let json = json!({
        "ok": failed == 0,
        "compilation_summary": { "true": ok, "false": failed },
        "compilation_report": reports,
    });
    if let Some(path) = file {
        files::write(path, format!("{json:#}\n").as_bytes())?;
    }
    Ok(Answer {
        text,
        json,
        ok: failed == 0,
        warnings: Vec::new(),
    })
}

type Answered = Result<Answer>;

/// Runs `ferrite parallel-compile`: the flow of `neuron_parallel_compile`.
pub fn parallel_compile(args: &ParallelArgs) -> Outcome {
    parallel(args).map_err(|e| vec![e])
}

fn parallel(args: &ParallelArgs) -> Answered {
    let places = places(args.cache_dir.as_deref());
    let store = Store::open(&places, VERSION)?;
    let text = match args.command {
        None => {
            collect(args, &store)?;
            return compile_pending(args, &store);
        }
        Some(ParallelCommand::Collect) => {
            collect(args, &store)?;
            let waiting = counts(&store)?.pending;
            format!("{waiting} graphs wait in {}\n", store.cache.root().display())
        }
        Some(ParallelCommand::Compile) => return compile_pending(args, &store),
        Some(ParallelCommand::Clean) => {
            let all = Some(std::time::Duration::ZERO);
            let rules = PruneRules {
                older_than: all,
                ..PruneRules::default()
            };
            format!("removed {} entries\n", store.cache.prune(&rules)?.removed.len())
        }
        Some(ParallelCommand::ClearLocks) => format!("removed {} locks\n", store.cache.clear_locks()?),
    };
    Ok(Answer {
        json: json!({ "ok": true }),
        text,
        ok: true,
        warnings: Vec::new(),
    })
}

/// Runs the program with the variables that make it collect its graphs.
fn collect(args: &ParallelArgs, store: &Store) -> Result<()> {
    let Some((program, rest)) = args.program.split_first() else {
        return Err(
            Diagnostic::error(Code::Usage, "no program whose graphs are to be collected")
                .help("give its command line: ferrite parallel-compile python3 train.py"),
        );
    };
    let status = Command::new(program)
        .args(rest)
        .env(EXTRACT_VARIABLE, "1")
        .env(VARIABLE, store.cache.root())
        .status()
        .map_err(|e| Diagnostic::error(Code::Io, format!("`{program}`: {e}")))?;
    let go_on = std::env::var("NEURON_IGNORE_TRAINING_SCRIPT_ERROR_AND_COMPILE").is_ok_and(|v| v == "1");
    if status.success() || go_on {
        return Ok(());
    }
    Err(Diagnostic::error(
        Code::Usage,
        format!("`{program}` ended with {status} while its graphs were collected"),
    )
    .help("NEURON_IGNORE_TRAINING_SCRIPT_ERROR_AND_COMPILE=1 compiles what was collected all the same"))
}

fn compile_pending(args: &ParallelArgs, store: &Store) -> Answered {
    let retries = std::env::var("NEURON_PARALLEL_COMPILE_MAX_RETRIES").ok();
    let retries = retries.and_then(|r| r.trim().parse().ok()).unwrap_or(0);
    let mut limits = args.limits();
    limits.retries = limits.retries.max(retries);
    let items = items::pending(store, None)?;
    let reports = compile_all(store, items, &limits, args.retry_failed)?;
    let dump = std::env::var("NEURON_PARALLEL_COMPILE_DUMP_RESULTS").ok();
    let dump = dump.filter(|d| !matches!(d.trim(), "" | "0")).map(|d| match d.trim() {
        "1" => PathBuf::from("parallel_compile_report.json"),
        path => PathBuf::from(path),
    });
    let mut answer = finish(reports, args.report.as_deref().or(dump.as_deref()))?;
    let Counts {
        pending,
        locked,
        failed,
        done,
        total,
    } = counts(store)?;
    answer.text.push_str(&format!(
        "total: {total}, done: {done}, failed: {failed}, locked: {locked}, remaining: {pending}\n"
    ));
    Ok(answer)
}

#[derive(Default)]
struct Counts {
    pending: usize,
    locked: usize,
    failed: usize,
    done: usize,
    total: usize,
}

fn counts(store: &Store) -> Result<Counts> {
    let mut counts = Counts::default();
    for entry in store.cache.entries()?.iter().filter(|e| e.version == VERSION) {
        counts.total += 1;
        match entry.state() {
            State::Done => counts.done += 1,
            State::Failed => counts.failed += 1,
            State::Locked => counts.locked += 1,
            State::Pending => counts.pending += 1,
            State::Empty => {}
        }
    }
    Ok(counts)
}
