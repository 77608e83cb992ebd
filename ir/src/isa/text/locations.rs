//! Source locations between a program's table and MLIR's `loc`.
//!
//! The position in the input file is not printed: it is that of the text itself when the text is read.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::loc::{Location, Source};
use crate::text;

/// Deepest nesting that is read; a location is for people, and what lies deeper is left out.
const MAX_DEPTH: usize = 32;
/// Most places of one location that are read.
const MAX_PLACES: usize = 64;

/// Writes locations, equal ones once.
#[derive(Default)]
pub(super) struct Locations {
    known: HashMap<Source, text::LocId>,
}

impl Locations {
    pub(super) fn write(&mut self, location: &Location, document: &mut text::Document<'static>) -> text::LocId {
        match &location.source {
            Some(source) => self.source(source, document),
            None => text::LocId::UNKNOWN,
        }
    }

    fn source(&mut self, source: &Source, document: &mut text::Document<'static>) -> text::LocId {
        if let Some(&id) = self.known.get(source) {
            return id;
        }
        let location = match source {
            Source::File { file, line, column } => text::Location::File {
                path: Cow::Owned(file.clone()),
                line: *line,
                column: *column,
                end: None,
            },
            Source::Name { name, child } => text::Location::Name {
                name: Cow::Owned(name.clone()),
                child: child.as_ref().map(|child| self.source(child, document)),
            },
            Source::CallSite { callee, caller } => text::Location::CallSite {
                callee: self.source(callee, document),
                caller: self.source(caller, document),
            },
            Source::Fused(all) => text::Location::Fused {
                metadata: None,
                children: all.iter().map(|child| self.source(child, document)).collect(),
            },
        };
        let id = document.add_location(location);
        self.known.insert(source.clone(), id);
        id
    }
}

/// What a location of a text says.
pub(super) fn read(document: &text::Document, id: text::LocId) -> Option<Source> {
    let mut places = MAX_PLACES;
    read_nested(document, id, MAX_DEPTH, &mut places)
}

fn read_nested(document: &text::Document, id: text::LocId, depth: usize, places: &mut usize) -> Option<Source> {
    if depth == 0 || *places == 0 {
        return None;
    }
    *places -= 1;
    let mut nested = |id: text::LocId| read_nested(document, id, depth - 1, places);
    match document.locations.get(id.0 as usize)? {
        text::Location::Unknown => None,
        text::Location::File { path, line, column, .. } => Some(Source::File {
            file: path.to_string(),
            line: *line,
            column: *column,
        }),
        text::Location::Name { name, child } => Some(Source::Name {
            name: name.to_string(),
            child: child.and_then(nested).map(Box::new),
        }),
        text::Location::CallSite { callee, caller } => match (nested(*callee), nested(*caller)) {
            (Some(callee), Some(caller)) => Some(Source::CallSite {
                callee: Box::new(callee),
                caller: Box::new(caller),
            }),
            (one, other) => one.or(other),
        },
        text::Location::Fused { children, .. } => {
            let all: Vec<Source> = children.iter().filter_map(|&child| nested(child)).collect();
            (!all.is_empty()).then_some(Source::Fused(all))
        }
    }
}
