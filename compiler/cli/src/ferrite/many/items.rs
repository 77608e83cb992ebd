//! What is to be compiled: the models of a folder, of a list, or the graphs that wait in a cache.

use std::path::{Path, PathBuf};

use ferrite_cache::{Key, State, Store};
use ferrite_driver::files;
use ferrite_frontend::Kind;
use ferrite_ir::diag::{Code, Diagnostic, Result};

use crate::neuronx::version::VERSION;

/// Endings of files that lie beside models and are none.
const OTHERS: [&str; 10] = [
    "npz",
    "npy",
    "safetensors",
    "neff",
    "json",
    "log",
    "lock",
    "done",
    "sha256",
    "md",
];

/// One graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// For reports: the path as it was found, or the entry of the cache.
    pub name: String,
    /// The model, absolute.
    pub model: PathBuf,
    /// Options of `neuronx-cc`.
    pub flags: Vec<String>,
    /// Its entry in the cache.
    pub key: Key,
    /// Where the NEFF goes besides the cache.
    pub output: Option<PathBuf>,
}

/// The graphs that `what` names: a cache, a folder of models, a model, or a list.
///
/// # Errors
/// Nothing there; a list that names what is not there; two models with one output.
pub fn find(what: &Path, flags: &[String], output: Option<&Path>, store: &Store) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    if what.is_dir() && is_cache(what) {
        if what != store.cache.root() {
            let text = format!("`{}` is a cache, and another is in use", what.display());
            return Err(Diagnostic::error(Code::Usage, text).help("name it with `--cache-dir` too"));
        }
        return pending(store, output);
    } else if what.is_dir() && !what.join("graph.hlo").is_file() {
        let mut found = Vec::new();
        models(what, &mut found)?;
        for path in found {
            let below = path.strip_prefix(what).unwrap_or(&path).to_path_buf();
            items.push(item(&path, flags, output, &below)?);
        }
    } else if what.is_dir() || is_model(what)? {
        items.push(item(what, flags, output, &file_name(what))?);
    } else {
        let text = String::from_utf8_lossy(&files::read(what)?).into_owned();
        let base = what.parent().unwrap_or(Path::new(""));
        for (number, line) in text.lines().enumerate() {
            let mut words = line.split_whitespace();
            let Some(path) = words.next().filter(|w| !w.starts_with('#')) else {
                continue;
            };
            let path = base.join(path);
            if !path.exists() {
                let text = format!(
                    "`{}` line {}: there is no `{}`",
                    what.display(),
                    number + 1,
                    path.display()
                );
                return Err(Diagnostic::error(Code::Io, text)
                    .help("a list has a model a line, with its own options of `neuronx-cc` behind it"));
            }
            let flags: Vec<String> = flags.iter().cloned().chain(words.map(str::to_string)).collect();
            items.push(item(&path, &flags, output, &file_name(&path))?);
        }
    }
    if items.is_empty() {
        let text = format!("`{}` has no models", what.display());
        return Err(
            Diagnostic::error(Code::Usage, text).help("give a folder of models, a list of them, or a compile cache")
        );
    }
    unique(&items)?;
    Ok(items)
}

/// The graphs of this compiler's version in the cache that have no result, failed ones too.
pub fn pending(store: &Store, output: Option<&Path>) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for entry in store.cache.entries()?.into_iter().filter(|e| e.version == VERSION) {
        let state = entry.state();
        let waits = matches!(state, State::Pending | State::Failed | State::Locked);
        let Some(model) = entry.model().filter(|_| waits || output.is_some()) else {
            continue;
        };
        items.push(Item {
            name: entry.key.to_string(),
            flags: entry.flags()?,
            output: output.map(|folder| folder.join(format!("{}.neff", entry.key))),
            key: entry.key,
            model: absolute(&model)?,
        });
    }
    Ok(items)
}

fn item(model: &Path, flags: &[String], output: Option<&Path>, below: &Path) -> Result<Item> {
    let model = absolute(model)?;
    Ok(Item {
        name: below.display().to_string(),
        key: Key::of(&model, flags)?,
        flags: flags.to_vec(),
        output: output.map(|folder| folder.join(below).with_extension("neff")),
        model,
    })
}

fn file_name(path: &Path) -> PathBuf {
    path.file_name().map_or_else(|| path.to_path_buf(), PathBuf::from)
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|e| files::failure(path, &e))
}

fn unique(items: &[Item]) -> Result<()> {
    let mut outputs: Vec<&PathBuf> = items.iter().filter_map(|i| i.output.as_ref()).collect();
    outputs.sort();
    match outputs.windows(2).find(|pair| pair[0] == pair[1]) {
        None => Ok(()),
        Some(pair) => {
            let text = format!("two models would be compiled to `{}`", pair[0].display());
            Err(Diagnostic::error(Code::Usage, text).help("give them different names, or leave `--output-dir` out"))
        }
    }
}

fn is_cache(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.into_iter().any(|e| {
        e.file_name()
            .to_string_lossy()
            .starts_with(ferrite_cache::key::VERSION_PREFIX)
    })
}

fn is_model(path: &Path) -> Result<bool> {
    let ending = path
        .extension()
        .map(|e| e.to_string_lossy().into_owned())
        .unwrap_or_default();
    if OTHERS.contains(&ending.as_str()) {
        return Ok(false);
    }
    let kind = Kind::of(&files::read(path)?);
    Ok(!matches!(kind, Kind::Unknown | Kind::Empty))
}

/// Models below a folder, sorted; a folder with `graph.hlo` is one.
fn models(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    let mut paths: Vec<PathBuf> = entries
        .map_err(|e| files::failure(folder, &e))?
        .iter()
        .map(std::fs::DirEntry::path)
        .collect();
    paths.sort();
    for path in paths {
        if path.join("graph.hlo").is_file() {
            found.push(path);
        } else if path.is_dir() && !path.is_symlink() {
            models(&path, found)?;
        } else if path.is_file() && is_model(&path)? {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ferrite_cache::Places;

    use super::*;

    const MODEL: &str = "module {}";

    fn store(folder: &Path) -> Store {
        let places = Places {
            folder: folder.join("cache"),
            remote: None,
        };
        Store::open(&places, VERSION).unwrap()
    }

    fn names(items: &[Item]) -> Vec<&str> {
        items.iter().map(|i| i.name.as_str()).collect()
    }

    #[test]
    fn a_folder_holds_models_by_their_content() {
        let folder = tempfile::tempdir().unwrap();
        let models = folder.path().join("models");
        std::fs::create_dir_all(models.join("traced")).unwrap();
        for name in ["b.mlir", "a", "traced/graph.hlo"] {
            std::fs::write(models.join(name), MODEL).unwrap();
        }
        std::fs::write(models.join("notes.txt"), "some text").unwrap();
        std::fs::write(models.join("case.json"), "{}").unwrap();
        let found = find(&models, &[], Some(Path::new("out")), &store(folder.path())).unwrap();
        assert_eq!(names(&found), ["a", "b.mlir", "traced"]);
        assert_eq!(found[1].output.as_deref(), Some(Path::new("out/b.neff")));
    }

    #[test]
    fn a_line_of_a_list_has_options_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("m.mlir"), MODEL).unwrap();
        let list = folder.path().join("list");
        std::fs::write(&list, "# two of one\n\nm.mlir\nm.mlir -O1 --auto-cast all\n").unwrap();
        let common = ["--target=trn1".to_string()];
        let found = find(&list, &common, None, &store(folder.path())).unwrap();
        assert_eq!(found[1].flags, ["--target=trn1", "-O1", "--auto-cast", "all"]);
        assert_ne!(found[0].key, found[1].key);
        assert!(find(&list, &common, Some(Path::new("out")), &store(folder.path())).is_err());
        std::fs::write(&list, "gone.mlir\n").unwrap();
        let error = find(&list, &common, None, &store(folder.path())).unwrap_err();
        assert!(error.message.contains("line 1"), "{}", error.message);
    }

    #[test]
    fn a_cache_holds_graphs_that_wait() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("m");
        std::fs::write(&model, MODEL).unwrap();
        let store = store(folder.path());
        let key = Key::parse("MODULE_77+e30acd3a").unwrap();
        store
            .cache
            .extract(&key, &model, &["--target=trn1".to_string()])
            .unwrap();
        let found = find(store.cache.root(), &[], None, &store).unwrap();
        assert_eq!((names(&found), found[0].flags.len()), (vec!["MODULE_77+e30acd3a"], 1));
    }
}
