//! Modules: functions, the entry point, what it promises about its buffers.

use super::attrs::Attrs;
use super::func::Func;
use super::types::Type;
use crate::loc::LocTable;

/// Index of a function in its module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FuncId(pub u32);

/// A program.
#[derive(Clone, Debug, Default)]
pub struct Module {
    /// Name without `@`; may be empty.
    pub name: String,
    /// Module attributes (`mhlo.num_replicas`, frontend attributes, ...).
    pub attrs: Attrs,
    /// Functions in textual order.
    pub funcs: Vec<Func>,
    /// Other top-level symbols that are kept as text (`sdy.mesh @mesh = <["x"=2]>`), in order.
    pub symbols: Vec<String>,
    /// Locations of all operations.
    pub locs: LocTable,
}

/// What is known of a function's parameter besides its type.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Param {
    /// Output that may or must share this parameter's buffer.
    pub alias: Option<Alias>,
    /// The caller gives the buffer away (`jax.buffer_donor`); no particular output is named.
    pub donated: bool,
    /// Everything else that was written on the parameter.
    pub attrs: Attrs,
}

/// Aliasing of a parameter with an output (`tf.aliasing_output`, `input_output_alias`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alias {
    /// Index of the output in the flattened results of the entry function.
    pub output: usize,
    /// Whether the buffers must be one.
    pub kind: AliasKind,
}

/// Strength of an aliasing promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AliasKind {
    /// The run time may bind one buffer to both.
    May,
    /// The run time always does.
    Must,
}

/// What is known of a function's result besides its type.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResultInfo {
    /// Everything that was written on the result (`jax.result_info`, shardings).
    pub attrs: Attrs,
}

impl Module {
    /// The function with this name.
    pub fn find(&self, name: &str) -> Option<FuncId> {
        self.funcs.iter().position(|f| f.name == name).map(|i| FuncId(i as u32))
    }

    /// The entry function: `main`, or the only public one, or the only one.
    pub fn entry(&self) -> Option<FuncId> {
        self.find("main").or_else(|| {
            let mut public = (0..self.funcs.len()).filter(|&i| self.funcs[i].public || self.funcs.len() == 1);
            match (public.next(), public.next()) {
                (Some(i), None) => Some(FuncId(i as u32)),
                _ => None,
            }
        })
    }

    /// The function with this id.
    pub fn func(&self, id: FuncId) -> &Func {
        &self.funcs[id.0 as usize]
    }

    /// The function with this id, to be changed.
    pub fn func_mut(&mut self, id: FuncId) -> &mut Func {
        &mut self.funcs[id.0 as usize]
    }

    /// Types of the entry function's results, or nothing if there is no entry.
    pub fn output_types(&self) -> Vec<Type> {
        self.entry().map(|id| self.func(id).result_types()).unwrap_or_default()
    }
}
