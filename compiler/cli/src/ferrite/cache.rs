//! `ferrite cache`: looking into a compile cache and after it.

use std::path::Path;
use std::time::{Duration, SystemTime};

use ferrite_cache::{Check, Entry, Key, Places, PruneRules, State, Store, URL_VARIABLE};
use ferrite_ir::diag::{Code, Diagnostic, Result};
use serde_json::{Value, json};

use super::args::{CacheArgs, CacheCommand};
use super::{Answer, Outcome};
use crate::neuronx::cached::{VARIABLE, is_neff};
use crate::neuronx::version::VERSION;

/// The cache that an option, or else the environment, names.
pub fn places(option: Option<&str>) -> Places {
    let own = std::env::var(VARIABLE).ok().filter(|v| !matches!(v.trim(), "0" | "1"));
    let documented = std::env::var(URL_VARIABLE).ok();
    Places::of(&[option, own.as_deref(), documented.as_deref()])
}

/// Runs a command on the cache.
pub fn run(args: &CacheArgs) -> Outcome {
    let open = |places: &Places| Store::open(places, VERSION);
    let places = places(args.cache_dir.as_deref());
    let answer = match &args.command {
        CacheCommand::List => open(&places).and_then(|s| list(&s)),
        CacheCommand::Lookup { what, flags } => open(&places).and_then(|s| lookup(&s, what, flags)),
        CacheCommand::Synchronize { url, push, pull } => {
            let remote = url.clone().or(places.remote.clone());
            synchronize(&Places { remote, ..places }, *push, *pull)
        }
        CacheCommand::Prune {
            older_than,
            max_size,
            failed,
            other_versions,
            empty,
        } => open(&places).and_then(|s| {
            let rules = PruneRules {
                older_than: *older_than,
                max_bytes: *max_size,
                failed: *failed,
                other_versions: *other_versions,
                empty: *empty,
            };
            if rules == PruneRules::default() {
                let text = "`ferrite cache prune` needs a rule";
                return Err(
                    Diagnostic::error(Code::Usage, text).help("give `--older-than`, `--max-size`, `--failed`, ...")
                );
            }
            prune(&s, &rules)
        }),
        CacheCommand::Clean => open(&places).and_then(|s| {
            let all = Some(Duration::ZERO);
            prune(
                &s,
                &PruneRules {
                    older_than: all,
                    ..PruneRules::default()
                },
            )
        }),
        CacheCommand::Verify { remove } => open(&places).and_then(|s| verify(&s, *remove)),
        CacheCommand::ClearLocks => open(&places).and_then(|s| {
            let removed = s.cache.clear_locks()?;
            Ok(answer(
                format!("removed {removed} locks of processes that are gone\n"),
                json!({ "ok": true, "removed": removed }),
            ))
        }),
    };
    answer.map_err(|e| vec![e])
}

fn answer(text: String, json: Value) -> Answer {
    Answer {
        text,
        json,
        ok: true,
        warnings: Vec::new(),
    }
}

fn describe(entry: &Entry) -> Value {
    let age = entry.last_used().and_then(|t| SystemTime::now().duration_since(t).ok());
    json!({
        "version": entry.version,
        "key": entry.key.to_string(),
        "state": entry.state(),
        "bytes": entry.bytes(),
        "last_used_seconds_ago": age.map(|a| a.as_secs()),
        "flags": entry.flags().ok(),
        "path": entry.path.to_string_lossy(),
    })
}

fn line(entry: &Entry) -> String {
    let flags = entry.flags().map(|f| f.join(" ")).unwrap_or_default();
    let (state, size) = (entry.state().name(), size(entry.bytes()));
    format!("{state:<8} {size:>10}  {}  {flags}\n", entry.key)
}

fn list(store: &Store) -> Result<Answer> {
    let entries = store.cache.entries()?;
    let registered = store.cache.registered("")?;
    let mut text = format!("{}\n", store.cache.root().display());
    let mut version = "";
    for entry in &entries {
        if entry.version != version {
            version = &entry.version;
            let own = if version == VERSION { " (this compiler)" } else { "" };
            text.push_str(&format!("neuronxcc-{version}{own}\n"));
        }
        text.push_str(&line(entry));
    }
    for model in &registered {
        let name = model.model_id.as_deref().or(model.model_type.as_deref()).unwrap_or("?");
        text.push_str(&format!("registered  {name}  {}\n", model.hash));
    }
    let bytes: u64 = entries.iter().map(Entry::bytes).sum();
    text.push_str(&format!("{} entries, {}\n", entries.len(), size(bytes)));
    Ok(answer(
        text,
        json!({
            "ok": true,
            "root": store.cache.root().to_string_lossy(),
            "compiler": VERSION,
            "bytes": bytes,
            "entries": entries.iter().map(describe).collect::<Vec<_>>(),
            "registered": registered,
        }),
    ))
}

fn lookup(store: &Store, what: &str, flags: &[String]) -> Result<Answer> {
    let key = match Key::parse(what) {
        Some(key) => Some(key),
        None if Path::new(what).exists() => Some(Key::of(Path::new(what), flags)?),
        None => None,
    };
    let Some(key) = key else {
        let found = store.cache.registered(what)?;
        let text = found
            .iter()
            .map(|r| format!("{}  neuronxcc-{}  {}\n", r.hash, r.version, r.path.display()))
            .collect();
        let json = json!({ "ok": !found.is_empty(), "registered": found });
        return Ok(Answer {
            ok: !found.is_empty(),
            ..answer(
                if found.is_empty() {
                    format!("no model `{what}` is registered\n")
                } else {
                    text
                },
                json,
            )
        });
    };
    let pulled = store.pull(&key)?;
    let all = store.cache.entries()?.into_iter().filter(|e| e.key == key);
    let found: Vec<Entry> = all.collect();
    let done = found.iter().any(|e| e.state() == State::Done);
    let mut text: String = found.iter().map(line).collect();
    if found.is_empty() {
        text = format!("{key} is not in {}\n", store.cache.root().display());
    }
    let json = json!({
        "ok": done,
        "key": key.to_string(),
        "pulled": pulled,
        "entries": found.iter().map(describe).collect::<Vec<_>>(),
    });
    Ok(Answer {
        ok: done,
        ..answer(text, json)
    })
}

fn synchronize(places: &Places, push: bool, pull: bool) -> Result<Answer> {
    let store = Store::open(places, VERSION)?;
    let Some(remote) = &store.remote else {
        return Err(Diagnostic::error(Code::Usage, "there is no store to synchronize with")
            .help("give its URL: s3://bucket/prefix, https://host/path, hf://owner/name or file:///folder"));
    };
    // Without a word on the direction: both, as far as the store takes anything.
    let both = push == pull;
    let (push, pull) = (push || both && !remote.is_read_only(), pull || both);
    let there = remote.entries()?;
    let (mut pulled, mut pushed) = (Vec::new(), Vec::new());
    if pull {
        for (version, key) in &there {
            let cache = ferrite_cache::Cache::new(store.cache.root(), version);
            if remote.pull(&cache, &cache.entry(key))? {
                pulled.push(format!("neuronxcc-{version}/{key}"));
            }
        }
    }
    if push {
        let missing = |e: &&Entry| !there.iter().any(|(v, k)| *v == e.version && *k == e.key);
        for entry in store.cache.entries()?.iter().filter(missing) {
            if entry.state() == State::Done && remote.push(entry)? {
                pushed.push(format!("neuronxcc-{}/{}", entry.version, entry.key));
            }
        }
    }
    Ok(answer(
        format!("fetched {}, sent {}\n", pulled.len(), pushed.len()),
        json!({ "ok": true, "pulled": pulled, "pushed": pushed }),
    ))
}

fn prune(store: &Store, rules: &PruneRules) -> Result<Answer> {
    let pruned = store.cache.prune(rules)?;
    let mut text: String = pruned.removed.iter().map(|name| format!("{name}\n")).collect();
    text.push_str(&format!(
        "removed {} entries, {}",
        pruned.removed.len(),
        size(pruned.bytes)
    ));
    if pruned.held > 0 {
        text.push_str(&format!("; {} are being compiled and stay", pruned.held));
    }
    text.push('\n');
    let json = json!({ "ok": true, "removed": pruned.removed, "bytes": pruned.bytes, "held": pruned.held });
    Ok(answer(text, json))
}

fn verify(store: &Store, remove: bool) -> Result<Answer> {
    let (mut text, mut checked, mut damaged) = (String::new(), 0, Vec::new());
    for entry in store.cache.entries()? {
        let name = format!("neuronxcc-{}/{}", entry.version, entry.key);
        match entry.verify(&is_neff) {
            None => continue,
            Some(Check::Damaged) => {
                let removed = remove && entry.discard_result()?;
                let what = if removed { "damaged, removed" } else { "damaged" };
                text.push_str(&format!("{name}: {what}\n"));
                damaged.push(name);
            }
            Some(Check::Unsigned) => text.push_str(&format!("{name}: a NEFF without a digest\n")),
            Some(Check::Intact) => {}
        }
        checked += 1;
    }
    text.push_str(&format!("{checked} results, {} damaged\n", damaged.len()));
    Ok(Answer {
        ok: damaged.is_empty() || remove,
        ..answer(
            text,
            json!({ "ok": damaged.is_empty(), "checked": checked, "damaged": damaged }),
        )
    })
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}
