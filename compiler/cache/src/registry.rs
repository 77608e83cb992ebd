//! `0_REGISTRY`: which models optimum-neuron has in a cache.
//!
//! `<root>/neuronxcc-<version>/0_REGISTRY/<optimum version>/<architecture digest>/<hash>.json`, with links to the same
//! files under the model's type and name. Written by optimum-neuron; read here to answer `ferrite cache lookup`.

use std::path::{Path, PathBuf};

use ferrite_ir::diag::Result;
use serde::Serialize;
use serde_json::Value;

use crate::local::Cache;

/// The folder's name.
pub const REGISTRY: &str = "0_REGISTRY";

/// A registered model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Registered {
    /// Version of the compiler.
    pub version: String,
    /// Hash of the entry: its artefacts are under `MODULE_<hash>`, where they were traced.
    pub hash: String,
    /// Name of the model, if the entry has one.
    pub model_id: Option<String>,
    /// Type of the model, if the entry has one.
    pub model_type: Option<String>,
    /// The file.
    pub path: PathBuf,
    /// Whole content.
    pub content: Value,
}

impl Cache {
    /// Registered models whose name or type is `name`; all if it is empty.
    pub fn registered(&self, name: &str) -> Result<Vec<Registered>> {
        let mut found = Vec::new();
        for (version, folder) in self.versions()? {
            let mut paths = Vec::new();
            collect(&folder.join(REGISTRY), 0, &mut paths);
            paths.sort();
            for path in paths {
                found.extend(read(&version, path).filter(|r| {
                    let is = |field: &Option<String>| field.as_deref() == Some(name);
                    name.is_empty() || is(&r.model_id) || is(&r.model_type)
                }));
            }
        }
        Ok(found)
    }
}

/// Files below a folder, links left out: they are second names. The layout is a few levels deep.
fn collect(folder: &Path, depth: u32, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && depth < 8 {
            collect(&path, depth + 1, found);
        } else if kind.is_file() && path.extension().is_some_and(|e| e == "json") {
            found.push(path);
        }
    }
}

fn read(version: &str, path: PathBuf) -> Option<Registered> {
    let content: Value = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
    // The name stands at the top, or in the part that describes the Neuron configuration.
    let text = |key: &str| {
        let direct = content.get(key);
        let nested = ["neuron", "config"].iter().find_map(|part| content.get(part)?.get(key));
        direct.or(nested)?.as_str().map(str::to_string)
    };
    let (model_id, model_type) = (text("model_id").or_else(|| text("checkpoint_id")), text("model_type"));
    Some(Registered {
        version: version.to_string(),
        hash: path.file_stem()?.to_string_lossy().into_owned(),
        model_id,
        model_type,
        content,
        path,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_found_by_name_and_counted_once() {
        let folder = tempfile::tempdir().unwrap();
        let registry = folder.path().join("neuronxcc-2.21.33363.0+1/0_REGISTRY/0.4.0");
        std::fs::create_dir_all(registry.join("digest")).unwrap();
        let entry = r#"{"model_type": "llama", "neuron": {"checkpoint_id": "org/llama"}}"#;
        std::fs::write(registry.join("digest/abc.json"), entry).unwrap();
        std::fs::write(registry.join("digest/broken.json"), "{").unwrap();
        #[cfg(unix)]
        {
            std::fs::create_dir_all(registry.join("llama/org/llama")).unwrap();
            let link = registry.join("llama/org/llama/abc.json");
            std::os::unix::fs::symlink(registry.join("digest/abc.json"), link).unwrap();
        }
        let cache = Cache::new(folder.path(), "x");
        for name in ["org/llama", "llama", ""] {
            let found = cache.registered(name).unwrap();
            assert_eq!(found.len(), 1, "{name}");
            assert_eq!(found[0].hash, "abc");
        }
        assert!(cache.registered("org/other").unwrap().is_empty());
        assert!(cache.entries().unwrap().is_empty());
    }
}
