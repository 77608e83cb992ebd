//! Names of values and what they stand for.

use std::collections::HashMap;

use super::super::func::{Func, OpId, ValueId};
use crate::text::ValueUse;

/// What a name stands for.
#[derive(Clone, Copy)]
pub(super) enum Definition {
    /// One value.
    Value(ValueId),
    /// The results of an operation.
    Results(OpId),
    /// Several values, by their place in [`Scope::lists`].
    List(usize),
    /// Results of an operation that was refused: uses of it are not worth another error.
    Refused,
}

/// What a name stands for, and the depth of the region that defines it.
type Entry = (Definition, u32);

/// How far the numbers of [`Scope::numbered`] may run ahead: memory stays linear in the names.
const AHEAD: usize = 64;

/// The names visible at a place in a function; inner regions see those around them.
#[derive(Default)]
pub(super) struct Scope<'t> {
    /// Names that are numbers, as MLIR gives them, by their number.
    numbered: Vec<Option<Entry>>,
    /// The other names; with them numbers that are far from the rest.
    names: HashMap<&'t str, Entry>,
    /// Values that stand behind one name without being the results of one operation.
    lists: Vec<Vec<ValueId>>,
    /// What names stood for before an inner region defined them.
    hidden: Vec<(&'t str, Option<Entry>)>,
    depth: u32,
}

impl<'t> Scope<'t> {
    /// Enters a region; give the result to [`Scope::leave`].
    pub(super) fn enter(&mut self) -> usize {
        self.depth += 1;
        self.hidden.len()
    }

    pub(super) fn leave(&mut self, mark: usize) {
        self.depth -= 1;
        if self.depth == 0 {
            *self = Scope::default();
            return;
        }
        while self.hidden.len() > mark {
            if let Some((name, before)) = self.hidden.pop() {
                self.set(name, before);
            }
        }
    }

    /// The place in [`Scope::numbered`] of a name that is, or may become, one of them.
    fn place(&self, name: &str) -> Option<usize> {
        let place = number(name).filter(|&number| number < self.numbered.len() + AHEAD)?;
        // One that was too far ahead when it was defined stays where it is.
        (self.numbered.get(place).is_some_and(Option::is_some) || !self.names.contains_key(name)).then_some(place)
    }

    fn set(&mut self, name: &'t str, entry: Option<Entry>) -> Option<Entry> {
        match (self.place(name), entry) {
            (Some(place), entry) => {
                if place >= self.numbered.len() {
                    self.numbered.resize(place + 1, None);
                }
                std::mem::replace(&mut self.numbered[place], entry)
            }
            (None, Some(entry)) => self.names.insert(name, entry),
            (None, None) => self.names.remove(name),
        }
    }

    fn get(&self, name: &str) -> Option<&Entry> {
        let numbered = number(name).and_then(|number| self.numbered.get(number)?.as_ref());
        numbered.or_else(|| self.names.get(name))
    }

    /// Defines a name; `false` if this region has defined it already.
    pub(super) fn define(&mut self, name: &'t str, definition: Definition) -> bool {
        let before = self.set(name, Some((definition, self.depth)));
        self.hidden.push((name, before));
        before.is_none_or(|(_, depth)| depth != self.depth)
    }

    /// What a name for several values stands for.
    pub(super) fn list(&mut self, values: Vec<ValueId>) -> Definition {
        self.lists.push(values);
        Definition::List(self.lists.len() - 1)
    }

    /// The value a use refers to; `Err` says what is wrong with it, or nothing if that was said before.
    pub(super) fn resolve(&self, func: &Func, value: &ValueUse) -> Result<ValueId, Option<String>> {
        match self.get(&value.name) {
            Some((Definition::Value(id), _)) if value.number == 0 => Ok(*id),
            Some((Definition::Results(op), _)) => numbered(&func.op(*op).results, value),
            Some((Definition::List(list), _)) => numbered(&self.lists[*list], value),
            Some((Definition::Refused, _)) => Err(None),
            Some(_) => Err(Some(format!(
                "`%{}` is one value, it has no number {}",
                value.name, value.number
            ))),
            None => Err(Some(format!("value `%{}` is used before it is defined", value.name))),
        }
    }
}

/// The number that a name is, if it is written as numbers are.
fn number(name: &str) -> Option<usize> {
    let digits = name.as_bytes();
    if digits.is_empty() || digits.len() > 9 || digits[0] == b'0' && digits.len() > 1 {
        return None;
    }
    digits.iter().try_fold(0, |number, digit| match digit {
        b'0'..=b'9' => Some(number * 10 + usize::from(digit - b'0')),
        _ => None,
    })
}

/// The value of a group that a use asks for.
fn numbered(values: &[ValueId], value: &ValueUse) -> Result<ValueId, Option<String>> {
    values.get(value.number as usize).copied().ok_or_else(|| {
        Some(format!(
            "`%{}` has {} result(s), none is number {}",
            value.name,
            values.len(),
            value.number
        ))
    })
}
