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

/// The names visible at a place in a function; inner regions see those around them.
#[derive(Default)]
pub(super) struct Scope<'t> {
    /// What a name stands for, and the depth of the region that defines it.
    names: HashMap<&'t str, (Definition, u32)>,
    /// Values that stand behind one name without being the results of one operation.
    lists: Vec<Vec<ValueId>>,
    /// What names stood for before an inner region defined them.
    hidden: Vec<(&'t str, Option<(Definition, u32)>)>,
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
        for (name, before) in self.hidden.drain(mark..).rev() {
            match before {
                Some(before) => self.names.insert(name, before),
                None => self.names.remove(name),
            };
        }
    }

    /// Defines a name; `false` if this region has defined it already.
    pub(super) fn define(&mut self, name: &'t str, definition: Definition) -> bool {
        let before = self.names.insert(name, (definition, self.depth));
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
        match self.names.get(&*value.name) {
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
