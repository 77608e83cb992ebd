//! Places in the file, and locations in the model's source: read from a tree, and written into one.

use std::cell::Cell;
use std::collections::HashMap;

use crate::loc::{LocId, LocTable, Location, Part, Source};
use crate::text;

/// Parts that a location may have; of a longer one the outer callers are left out.
const MAX_PARTS: usize = 48;

/// Line starts of a file.
pub(crate) struct Places<'a> {
    source: &'a str,
    starts: Vec<u32>,
    /// The line that was asked for last: places are asked for in the order of the file, nearly always.
    last: Cell<usize>,
}

impl<'a> Places<'a> {
    pub(crate) fn new(source: &'a str) -> Self {
        let mut starts = vec![0];
        if u32::try_from(source.len()).is_ok() {
            // Much faster than byte by byte.
            starts.extend(source.match_indices('\n').map(|(n, _)| n as u32 + 1));
        }
        Places {
            source,
            starts,
            last: Cell::new(0),
        }
    }

    /// Line and column of a byte offset, both from 1; (0, 0) without a file.
    pub(crate) fn line_column(&self, offset: u32) -> (u32, u32) {
        if self.source.is_empty() {
            return (0, 0);
        }
        let line = self.line(offset);
        let start = self.starts[line];
        let before = self
            .source
            .as_bytes()
            .get(start as usize..offset as usize)
            .unwrap_or(&[]);
        // Columns count characters; of very long lines bytes, so that time stays linear.
        let column = if before.len() > 4096 {
            before.len()
        } else {
            before.iter().filter(|&&b| b & 0xC0 != 0x80).count()
        };
        (line as u32 + 1, column as u32 + 1)
    }

    /// The number of the line of a byte offset, from 0.
    fn line(&self, offset: u32) -> usize {
        let last = self.last.get();
        let near = &self.starts[last..self.starts.len().min(last + 4)];
        let line = match near.iter().position(|&start| start > offset) {
            Some(next @ 1..) => last + next - 1,
            _ => self.starts.partition_point(|&start| start <= offset).max(1) - 1,
        };
        self.last.set(line);
        line
    }
}

/// The locations of a document in the form of [`LocTable`], made when asked for.
pub(crate) struct Locations<'d> {
    places: &'d Places<'d>,
    /// Each location of the document with the number of its parts.
    sources: Vec<Option<(Part, usize)>>,
    pub(crate) table: LocTable,
}

impl<'d> Locations<'d> {
    pub(crate) fn new(document: &text::Document, places: &'d Places<'d>) -> Self {
        let mut sources: Vec<Option<(Part, usize)>> = vec![None; document.locations.len()];
        for &id in &document.location_order {
            let index = id.0 as usize;
            if let Some(location) = document.locations.get(index) {
                sources[index] = convert(location, &sources);
            }
        }
        let mut table = LocTable::default();
        table.reserve(places.starts.len());
        Locations { places, sources, table }
    }

    fn location(&self, offset: u32, id: text::LocId) -> Location {
        let (line, column) = self.places.line_column(offset);
        let source = self
            .sources
            .get(id.0 as usize)
            .and_then(Option::as_ref)
            .map(|(source, _)| Source::clone(source));
        Location { line, column, source }
    }

    /// The location of an operation, for a diagnostic.
    pub(crate) fn of(&self, op: &text::Operation) -> Location {
        self.location(op.span.start, op.location)
    }

    /// The location of a place inside an operation, for a diagnostic.
    pub(crate) fn at(&self, op: &text::Operation, offset: u32) -> Location {
        self.location(offset, op.location)
    }

    /// Adds the location of an operation to the table.
    pub(crate) fn add(&mut self, op: &text::Operation) -> LocId {
        let location = self.of(op);
        self.table.add(location)
    }
}

fn convert(location: &text::Location, done: &[Option<(Part, usize)>]) -> Option<(Part, usize)> {
    let get = |id: text::LocId| done.get(id.0 as usize).cloned().flatten();
    match location {
        text::Location::Unknown => None,
        text::Location::File { path, line, column, .. } => {
            let file = Source::File {
                file: path.to_string(),
                line: *line,
                column: *column,
            };
            Some((file.into(), 1))
        }
        text::Location::Name { name, child } => {
            let child = child.and_then(get).filter(|(_, parts)| *parts < MAX_PARTS);
            let parts = 1 + child.as_ref().map_or(0, |(_, parts)| *parts);
            let named = Source::Name {
                name: name.to_string(),
                child: child.map(|(source, _)| source),
            };
            Some((named.into(), parts))
        }
        text::Location::CallSite { callee, caller } => match (get(*callee), get(*caller)) {
            (Some((callee, a)), Some((caller, b))) if a + b < MAX_PARTS => {
                Some((Source::CallSite { callee, caller }.into(), a + b + 1))
            }
            (Some(callee), _) => Some(callee),
            (None, caller) => caller,
        },
        text::Location::Fused { children, .. } => {
            let mut parts = 1;
            let mut all = Vec::new();
            for (source, size) in children.iter().filter_map(|&id| get(id)) {
                if parts + size >= MAX_PARTS {
                    break;
                }
                parts += size;
                all.push(Source::clone(&source));
            }
            match all.len() {
                0 => None,
                1 => all.pop().map(|source| (source.into(), parts)),
                _ => Some((Source::Fused(all).into(), parts)),
            }
        }
    }
}

/// Writes locations into a document, equal ones once.
#[derive(Default)]
pub(crate) struct Sources<'m> {
    known: HashMap<&'m Source, text::LocId>,
}

impl<'m> Sources<'m> {
    /// The location of an operation of a program.
    pub(crate) fn add(&mut self, location: &'m Location, document: &mut text::Document<'m>) -> text::LocId {
        match &location.source {
            Some(source) => self.source(source, document),
            None => text::LocId::UNKNOWN,
        }
    }

    /// Sources are as deep as the front end lets them be, some dozens of parts.
    fn source(&mut self, source: &'m Source, document: &mut text::Document<'m>) -> text::LocId {
        if let Some(&id) = self.known.get(source) {
            return id;
        }
        let location = match source {
            Source::File { file, line, column } => text::Location::File {
                path: file.as_str().into(),
                line: *line,
                column: *column,
                end: None,
            },
            Source::Name { name, child } => text::Location::Name {
                name: name.as_str().into(),
                child: child.as_deref().map(|child| self.source(child, document)),
            },
            Source::CallSite { callee, caller } => text::Location::CallSite {
                callee: self.source(callee, document),
                caller: self.source(caller, document),
            },
            Source::Fused(all) => {
                let children = all.iter().map(|source| self.source(source, document)).collect();
                text::Location::Fused {
                    metadata: None,
                    children,
                }
            }
        };
        let id = document.add_location(location);
        self.known.insert(source, id);
        id
    }
}
