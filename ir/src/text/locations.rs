//! Parsing of `loc(...)`, and the order in which locations can be read.

use super::lexer::Parsed;
use super::parser::Parser;
use super::tree::{LocId, Location, Span, Text};

impl<'a> Parser<'a> {
    /// `loc(...)`.
    pub(super) fn location(&mut self) -> Parsed<LocId> {
        if self.lexer.eat("loc(unknown)") {
            return Ok(LocId::UNKNOWN);
        }
        self.lexer.expect_word("loc", "before a location")?;
        self.lexer.expect("(", "after `loc`")?;
        let id = self.location_inner()?;
        self.lexer.expect(")", "after a location")?;
        Ok(id)
    }

    /// `loc(...)` after `#name =`.
    pub(super) fn define_location_alias(&mut self, name: &'a str) -> Parsed<()> {
        let id = self.location()?;
        match self.pending_locations.remove(name) {
            // Uses hold `pending`: it becomes a copy of what was defined.
            Some((pending, _)) => {
                self.document.locations[pending.0 as usize] = self.document.locations[id.0 as usize].clone();
                self.location_aliases.insert(name, pending);
            }
            None => {
                self.location_aliases.insert(name, id);
            }
        }
        Ok(())
    }

    fn add_location(&mut self, location: Location<'a>) -> LocId {
        let id = LocId(self.document.locations.len() as u32);
        self.document.locations.push(location);
        id
    }

    fn location_inner(&mut self) -> Parsed<LocId> {
        self.enter()?;
        let id = match self.lexer.peek() {
            b'#' => self.location_alias()?,
            b'"' => self.file_or_name()?,
            _ => {
                let Some(word) = self.lexer.word() else {
                    return Err(self.lexer.error("expected a location"));
                };
                match word {
                    "unknown" => LocId::UNKNOWN,
                    "callsite" => {
                        self.lexer.expect("(", "after `callsite`")?;
                        let callee = self.location_inner()?;
                        self.lexer.expect_word("at", "between callee and caller")?;
                        let caller = self.location_inner()?;
                        self.lexer.expect(")", "after the caller")?;
                        self.add_location(Location::CallSite { callee, caller })
                    }
                    "fused" => {
                        let metadata = if self.lexer.eat("<") {
                            let attr = self.attribute()?;
                            self.lexer.expect(">", "after the metadata of a fused location")?;
                            Some(Box::new(attr))
                        } else {
                            None
                        };
                        self.lexer.expect("[", "before the parts of a fused location")?;
                        let mut children = Vec::new();
                        if !self.lexer.eat("]") {
                            loop {
                                children.push(self.location_inner()?);
                                if !self.lexer.eat(",") {
                                    break;
                                }
                            }
                            self.lexer.expect("]", "after the parts of a fused location")?;
                        }
                        self.add_location(Location::Fused { metadata, children })
                    }
                    _ => return Err(self.lexer.error(format!("unknown kind of location `{word}`"))),
                }
            }
        };
        self.leave();
        Ok(id)
    }

    fn location_alias(&mut self) -> Parsed<LocId> {
        let start = self.lexer.position();
        self.lexer.expect("#", "before the alias of a location")?;
        let Some(name) = self.lexer.word() else {
            return Err(self.lexer.error("expected the alias of a location"));
        };
        if let Some(&id) = self.location_aliases.get(name) {
            return Ok(id);
        }
        if let Some((id, _)) = self.pending_locations.get(name) {
            return Ok(*id);
        }
        let id = self.add_location(Location::Unknown);
        let span = Span {
            start: start as u32,
            end: self.lexer.position() as u32,
        };
        self.pending_locations.insert(name, (id, span));
        Ok(id)
    }

    /// `"file":1:2`, `"file":1:2 to 3:4`, `"file":1:2 to :4` or `"name"(child)`.
    fn file_or_name(&mut self) -> Parsed<LocId> {
        let text: Text<'a> = self.lexer.string()?;
        if self.lexer.eat(":") {
            let line = self.lexer.small("the number of a line")?;
            self.lexer.expect(":", "between line and column")?;
            let column = self.lexer.small("the number of a column")?;
            let end = if self.lexer.eat_word("to") {
                let last_line = if self.lexer.peek() == b':' {
                    line
                } else {
                    self.lexer.small("the number of a line")?
                };
                self.lexer.expect(":", "between line and column")?;
                Some((last_line, self.lexer.small("the number of a column")?))
            } else {
                None
            };
            return Ok(self.add_location(Location::File {
                path: text,
                line,
                column,
                end,
            }));
        }
        let child = if self.lexer.eat("(") {
            let child = self.location_inner()?;
            self.lexer.expect(")", "after the location of a name")?;
            Some(child)
        } else {
            None
        };
        Ok(self.add_location(Location::Name { name: text, child }))
    }
}

/// All locations, each after those it refers to; an error when they form a circle.
pub(super) fn order(locations: &[Location]) -> Result<Vec<LocId>, LocId> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let mut state = vec![State::New; locations.len()];
    let mut order = Vec::with_capacity(locations.len());
    let mut stack = Vec::new();
    for root in 0..locations.len() {
        stack.push(root);
        while let Some(&id) = stack.last() {
            match state[id] {
                State::New => {
                    state[id] = State::Open;
                    for child in children(&locations[id]) {
                        match state[child.0 as usize] {
                            State::New => stack.push(child.0 as usize),
                            State::Open => return Err(child),
                            State::Done => {}
                        }
                    }
                }
                State::Open => {
                    state[id] = State::Done;
                    order.push(LocId(id as u32));
                    stack.pop();
                }
                State::Done => {
                    stack.pop();
                }
            }
        }
    }
    Ok(order)
}

/// The locations that a location refers to.
pub fn children(location: &Location) -> Vec<LocId> {
    match location {
        Location::Unknown | Location::File { .. } => Vec::new(),
        Location::Name { child, .. } => child.iter().copied().collect(),
        Location::CallSite { callee, caller } => vec![*callee, *caller],
        Location::Fused { children, .. } => children.clone(),
    }
}
