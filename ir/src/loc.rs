//! Source locations: where an operation stands in the input file and where the model's author wrote it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Index of a location in a [`LocTable`]. `LocId::UNKNOWN` stands for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LocId(pub u32);

impl LocId {
    /// No location is known. Always entry 0 of a table.
    pub const UNKNOWN: LocId = LocId(0);
}

impl Default for LocId {
    fn default() -> Self {
        LocId::UNKNOWN
    }
}

/// One location.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Location {
    /// Line in the input file, from 1; 0 if unknown.
    pub line: u32,
    /// Column in the input file, from 1; 0 if unknown.
    pub column: u32,
    /// Where the model's author wrote it, as the front end found it.
    pub source: Option<Source>,
}

/// What the producer of a program says about where an operation came from (MLIR `loc`, XLA `OpMetadata`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Source {
    /// A position in a file.
    File {
        /// Path as written by the producer.
        file: String,
        /// Line from 1.
        line: u32,
        /// Column from 1, or 0.
        column: u32,
    },
    /// A name (`jit(step)/layer_17/mlp`) with what it contains.
    Name {
        /// The name.
        name: String,
        /// The location it names.
        child: Option<Part>,
    },
    /// A call: `callee` inlined at `caller`.
    CallSite {
        /// Inside the called function.
        callee: Part,
        /// Where the call stands.
        caller: Part,
    },
    /// Several places merged into one operation.
    Fused(Vec<Source>),
}

/// A place that is part of another one. Shared: in a traced program a call or a file is part of the places of thousands of
/// operations.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Part(Arc<Source>);

impl From<Source> for Part {
    fn from(source: Source) -> Part {
        Part(Arc::new(source))
    }
}

impl Deref for Part {
    type Target = Source;

    fn deref(&self) -> &Source {
        &self.0
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// As what it holds: that it is shared does not show.
impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Part, D::Error> {
        Source::deserialize(deserializer).map(Part::from)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File { file, line, .. } => write!(f, "{file}:{line}"),
            Source::Name {
                name,
                child: Some(child),
            } => write!(f, "{name} ({child})"),
            Source::Name { name, child: None } => f.write_str(name),
            Source::CallSite { callee, .. } => write!(f, "{callee}"),
            Source::Fused(all) => match all.first() {
                Some(first) if all.len() > 1 => write!(f, "{first} and {} more", all.len() - 1),
                Some(first) => write!(f, "{first}"),
                None => f.write_str("unknown"),
            },
        }
    }
}

/// The locations of one program. Ids stay valid for its whole life, through all levels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocTable {
    entries: Vec<Location>,
}

impl Default for LocTable {
    fn default() -> Self {
        LocTable {
            entries: vec![Location::default()],
        }
    }
}

impl LocTable {
    /// Makes room for about this many locations more.
    pub fn reserve(&mut self, count: usize) {
        self.entries.reserve(count);
    }

    /// Adds a location.
    pub fn add(&mut self, location: Location) -> LocId {
        if location == Location::default() {
            return LocId::UNKNOWN;
        }
        let id = LocId(self.entries.len() as u32);
        self.entries.push(location);
        id
    }

    /// The location with this id; an id from another table reads as unknown.
    pub fn get(&self, id: LocId) -> &Location {
        self.entries.get(id.0 as usize).unwrap_or(&self.entries[0])
    }

    /// Number of entries, the unknown one included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Never true: the unknown location is always there.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A short text for reports: `name (file.py:88), line 2071`, or `unknown`.
    pub fn describe(&self, id: LocId) -> String {
        let location = self.get(id);
        match (&location.source, location.line) {
            (Some(source), 0) => source.to_string(),
            (Some(source), line) => format!("{source}, line {line}"),
            (None, 0) => "unknown".to_string(),
            (None, line) => format!("line {line}:{}", location.column),
        }
    }
}
