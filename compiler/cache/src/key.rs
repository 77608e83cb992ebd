//! Names of entries: version folder, model hash, flags hash.

use std::fmt;
use std::io::Read;
use std::path::Path;

use ferrite_ir::diag::Diagnostic;
use md5::Md5;
use sha2::{Digest, Sha256};

use crate::digest::hex;
use crate::io;

/// Prefix of version folders.
pub const VERSION_PREFIX: &str = "neuronxcc-";
/// Prefix of entries.
pub const MODULE_PREFIX: &str = "MODULE_";
/// Hexadecimal digits of a model hash (the length that transformers-neuronx uses).
const MODEL_DIGITS: usize = 20;

/// The folder of a compiler's version, `neuronxcc-2.27.5334.0+f702b353`.
pub fn version_folder(version: &str) -> String {
    format!("{VERSION_PREFIX}{version}")
}

/// What names an entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Hash of the graph: hexadecimal or decimal digits, as its maker chose.
    pub model: String,
    /// First 8 hexadecimal digits of the MD5 of the flags as JSON.
    pub flags: String,
}

impl Key {
    /// The key of a model file (or of a folder: all its files, by name) and flags.
    pub fn of(model: &Path, flags: &[String]) -> Result<Key, Diagnostic> {
        Key::with_more(model, flags, &[])
    }

    /// As [`Key::of`], for a compilation that depends on further bytes, such as a machine model.
    pub fn with_more(model: &Path, flags: &[String], more: &[u8]) -> Result<Key, Diagnostic> {
        let mut hasher = Sha256::new();
        if model.is_dir() {
            hash_folder(model, Path::new(""), &mut hasher)?;
        } else {
            hash_file(model, &mut hasher)?;
        }
        if !more.is_empty() {
            hasher.update(more);
        }
        let mut model = hex(&hasher.finalize());
        model.truncate(MODEL_DIGITS);
        Ok(Key {
            model,
            flags: flags_hash(flags),
        })
    }

    /// Reads `MODULE_<model>+<flags>`.
    pub fn parse(name: &str) -> Option<Key> {
        let (model, flags) = name.strip_prefix(MODULE_PREFIX)?.split_once('+')?;
        let word = |s: &str| !s.is_empty() && s.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        (word(model) && word(flags)).then(|| Key {
            model: model.to_string(),
            flags: flags.to_string(),
        })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MODULE_PREFIX}{}+{}", self.model, self.flags)
    }
}

fn hash_file(path: &Path, hasher: &mut Sha256) -> Result<(), Diagnostic> {
    let mut file = std::fs::File::open(path).map_err(|e| io(path, &e))?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(|e| io(path, &e))? {
            0 => return Ok(()),
            n => hasher.update(&buffer[..n]),
        }
    }
}

fn hash_folder(root: &Path, below: &Path, hasher: &mut Sha256) -> Result<(), Diagnostic> {
    let folder = root.join(below);
    let entries = std::fs::read_dir(&folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut names: Vec<_> = entries
        .map_err(|e| io(&folder, &e))?
        .into_iter()
        .map(|e| e.file_name())
        .collect();
    names.sort();
    for name in names {
        let path = below.join(&name);
        let whole = root.join(&path);
        if whole.is_dir() {
            hash_folder(root, &path, hasher)?;
            continue;
        }
        let size = std::fs::metadata(&whole).map_err(|e| io(&whole, &e))?.len();
        // Length before content: two files cannot be taken for one.
        let path = path.to_string_lossy();
        hasher.update((path.len() as u64).to_le_bytes());
        hasher.update(path.as_bytes());
        hasher.update(size.to_le_bytes());
        hash_file(&whole, hasher)?;
    }
    Ok(())
}

/// The flags that belong to a key: without the trailing `--verbose=35` that the clients' library adds.
pub fn key_flags(flags: &[String]) -> &[String] {
    match flags {
        [rest @ .., last] if last == "--verbose=35" => rest,
        all => all,
    }
}

/// First 8 hexadecimal digits of the MD5 of the list as Python's `json.dumps` writes it.
pub fn flags_hash(flags: &[String]) -> String {
    let mut text = hex(&Md5::digest(flags_json(key_flags(flags)).as_bytes()));
    text.truncate(8);
    text
}

/// A list of strings as Python's `json.dumps` writes it: `", "` between them, ASCII only.
pub fn flags_json(flags: &[String]) -> String {
    let quoted: Vec<String> = flags.iter().map(|f| python_string(f)).collect();
    format!("[{}]", quoted.join(", "))
}

fn python_string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            other => {
                let mut units = [0; 2];
                for unit in other.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(list: &[&str]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn flags_hashes_are_those_seen_in_real_caches() {
        for (list, hash) in [
            (&["--target=trn1"][..], "e30acd3a"),
            (&["--target=trn1", "--model-type=transformer"], "3cc9a3cb"),
            (
                &["--model-type=transformer", "--auto-cast=none", "--execute-repetition=1"],
                "39f12043",
            ),
            (
                &[
                    "--target=trn1",
                    "--model-type=cnn-training",
                    "-O1",
                    "--enable-saturate-infinity",
                ],
                "d505a3f8",
            ),
            (&["--target=trn1", "--verbose=35"], "e30acd3a"),
        ] {
            assert_eq!(flags_hash(&flags(list)), hash, "{list:?}");
        }
    }

    #[test]
    fn json_is_that_of_python() {
        assert_eq!(flags_json(&flags(&["a", "b\"\\"])), r#"["a", "b\"\\"]"#);
        assert_eq!(flags_json(&flags(&["é𝄞\u{7f}"])), r#"["\u00e9\ud834\udd1e\u007f"]"#);
        assert_eq!(flags_json(&[]), "[]");
    }

    #[test]
    fn names_are_read_back_and_others_refused() {
        let key = Key::parse("MODULE_9876543210+e30acd3a").unwrap();
        assert_eq!(key.to_string(), "MODULE_9876543210+e30acd3a");
        for name in ["MODULE_1", "MODULE_+a", "X_1+a", "MODULE_a/b+c", "MODULE_1+../x"] {
            assert_eq!(Key::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_folder_hashes_by_names_and_contents() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("weights")).unwrap();
        std::fs::write(folder.path().join("graph.hlo"), "g").unwrap();
        std::fs::write(folder.path().join("weights/a"), "1").unwrap();
        let first = Key::of(folder.path(), &[]).unwrap();
        assert_eq!(first, Key::of(folder.path(), &[]).unwrap());
        std::fs::rename(folder.path().join("weights/a"), folder.path().join("weights/b")).unwrap();
        assert_ne!(first, Key::of(folder.path(), &[]).unwrap());
        assert!(Key::of(&folder.path().join("none"), &[]).is_err());
    }
}
