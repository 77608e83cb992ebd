//! The instructions of a computation: names to numbers, and what is wrong with a line without giving up on the next.

use std::collections::{HashMap, HashSet};

use super::super::Places;
use super::super::message::*;
use super::{Called, MAX_DEPTH, MAX_ERRORS, Operand, Pending, Read, Reader, Wrong, shapes};

/// The names of a computation.
#[derive(Default)]
struct Names<'a> {
    /// Places among the instructions.
    known: HashMap<&'a str, usize>,
    /// Those with which something is wrong that was said.
    refused: HashSet<&'a str>,
}

impl<'a> Reader<'a> {
    /// The instructions of a computation, in braces. One that cannot be read is left out, and the next line is tried.
    pub(super) fn instructions(
        &mut self,
        proto: &mut HloComputationProto,
        computations: &HashMap<&'a str, i64>,
        places: &mut Places,
    ) -> Read<()> {
        self.expect("{", "before the instructions of a computation")?;
        let mut names = Names::default();
        let mut rooted = false;
        while !self.eat("}") {
            if self.at >= self.bytes.len() {
                return self.wrong("expected `}` after the instructions of a computation");
            }
            let start = self.at;
            let place = self.place(start);
            let mut name = "";
            let (root, pending) = match self.named(&mut name, computations, places) {
                Ok(read) => read,
                Err(wrong) => {
                    names.refused.insert(name);
                    self.recover(start, wrong)?;
                    continue;
                }
            };
            let Some(index) = self.settle(pending, &names, proto, computations)? else {
                names.refused.insert(name);
                continue;
            };
            let id = proto.instructions[index].id;
            if names.known.insert(name, index).is_some() {
                let message = format!("instruction `{name}` is defined twice");
                self.report(Wrong { offset: start, message })?;
            }
            // Without `ROOT` the last instruction is the root.
            if root || !rooted {
                proto.root_id = id;
                rooted = root;
            }
            places.0.insert(id, place);
        }
        let root = proto.instructions.iter().find(|i| i.id == proto.root_id);
        if let Some(shape) = root.and_then(|root| root.shape.clone()) {
            self.roots.insert(proto.id, shape);
        }
        Ok(())
    }

    /// `[ROOT] name = ...`; the name is given back even if what follows cannot be read.
    fn named(
        &mut self,
        name: &mut &'a str,
        computations: &HashMap<&'a str, i64>,
        places: &mut Places,
    ) -> Read<(bool, Pending<'a>)> {
        *name = self.need_name("the name of an instruction")?;
        let root = *name == "ROOT";
        if root {
            *name = self.need_name("the name of the root instruction")?;
        }
        self.expect("=", "after the name of an instruction")?;
        let pending = self.instruction(name, Some((computations, places)))?;
        Ok((root, pending))
    }

    /// Adds an instruction, and before it those that stand in place of its operands; gives its place, or nothing if
    /// something is wrong with it, which is noted.
    fn settle(
        &mut self,
        pending: Pending<'a>,
        names: &Names<'a>,
        proto: &mut HloComputationProto,
        computations: &HashMap<&'a str, i64>,
    ) -> Read<Option<usize>> {
        let Pending {
            proto: mut instruction,
            operands,
            called,
            offset: start,
        } = pending;
        let mut complete = true;
        let mut given = Vec::with_capacity(operands.len());
        for operand in operands {
            let place = match operand {
                Operand::Nested(inner) => self.settle(*inner, names, proto, computations)?,
                Operand::Named(name, offset) => {
                    let known = names.known.get(name).copied();
                    if known.is_none() && !names.refused.contains(name) {
                        let message = format!("operand `{name}` is used before it is defined");
                        self.report(Wrong { offset, message })?;
                    }
                    known
                }
            };
            complete &= place.is_some();
            given.extend(place);
        }
        instruction.operand_ids = given.iter().map(|&place| proto.instructions[place].id).collect();
        for called in called {
            match called {
                Called::Nested(id) => instruction.called_computation_ids.push(id),
                Called::Named(called, offset) => match computations.get(called) {
                    Some(&id) => instruction.called_computation_ids.push(id),
                    None => {
                        let message = format!("computation `{called}` is not defined before");
                        self.report(Wrong { offset, message })?;
                        complete = false;
                    }
                },
            }
        }
        if !complete {
            return Ok(None);
        }
        if instruction.shape.is_none() {
            let shapes: Vec<&ShapeProto> = given
                .iter()
                .filter_map(|&place| proto.instructions[place].shape.as_ref())
                .collect();
            match shapes::infer(&instruction, &shapes, &self.roots) {
                Ok(shape) => instruction.shape = Some(shape),
                Err(message) => {
                    self.report(Wrong { offset: start, message })?;
                    return Ok(None);
                }
            }
        }
        instruction.id = self.id();
        if let Err(message) = self.asynchronous(&mut instruction) {
            self.report(Wrong { offset: start, message })?;
        }
        proto.instructions.push(*instruction);
        Ok(Some(proto.instructions.len() - 1))
    }

    /// A computation written in braces where its name would stand.
    pub(super) fn nested(
        &mut self,
        name: &str,
        computations: &HashMap<&'a str, i64>,
        places: &mut Places,
    ) -> Read<i64> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.wrong(format!("computations nest deeper than {MAX_DEPTH} levels"));
        }
        let mut proto = HloComputationProto {
            name: format!("{name}.nested"),
            id: self.id(),
            ..Default::default()
        };
        self.instructions(&mut proto, computations, places)?;
        self.depth -= 1;
        let id = proto.id;
        self.wrapped.push(proto);
        Ok(id)
    }

    /// Notes an error.
    ///
    /// # Errors
    /// It, if there are enough.
    fn report(&mut self, wrong: Wrong) -> Read<()> {
        if self.errors.len() + 1 >= MAX_ERRORS {
            return Err(wrong);
        }
        self.errors.push(wrong);
        Ok(())
    }

    /// Notes an error and goes on to the next line that begins an instruction or ends the computation.
    fn recover(&mut self, start: usize, wrong: Wrong) -> Read<()> {
        self.at = start.max(wrong.offset.min(self.bytes.len()));
        self.report(wrong)?;
        loop {
            let rest = &self.bytes[self.at..];
            self.at += rest.iter().position(|&b| b == b'\n').map_or(rest.len(), |n| n + 1);
            let line = self
                .source
                .get(self.at..)
                .and_then(|rest| rest.lines().next())
                .unwrap_or("");
            let word = line.trim_start();
            let word = word.strip_prefix("ROOT ").unwrap_or(word);
            let defines = word
                .split_once(" = ")
                .is_some_and(|(name, _)| !name.contains([' ', '(', '"']));
            if self.at >= self.bytes.len() || defines || word.starts_with('}') {
                return Ok(());
            }
        }
    }
}
