//! What somebody else's executable adds to ours: passes, machine models, pipelines.

use std::sync::Arc;

use ferrite_ir::diag::Result;
use ferrite_ir::machine::MachineModel;
use ferrite_passes::pass::{HloPass, IsaPass, StepPass, TilePass};
use ferrite_passes::registry::Registry;

/// Additions. The default is what `ferrite` itself has.
#[derive(Clone, Debug, Default)]
pub struct Extensions {
    /// Passes by name, ours among them.
    pub passes: Registry,
    /// Machine models with the text of their files; they shadow built-in ones of the same name.
    pub machines: Vec<(Arc<MachineModel>, String)>,
    /// Pipelines by name; they shadow `-O1` and its like.
    pub pipelines: Vec<(String, String)>,
}

/// Extensions are equal if they list the same.
impl PartialEq for Extensions {
    fn eq(&self, other: &Extensions) -> bool {
        let texts = |e: &Extensions| e.machines.iter().map(|m| m.1.clone()).collect::<Vec<_>>();
        self.passes == other.passes && texts(self) == texts(other) && self.pipelines == other.pipelines
    }
}

impl Extensions {
    /// Adds a pass over hlo; `new` makes it with its defaults.
    #[must_use]
    pub fn hlo<P: HloPass>(mut self, new: impl Fn() -> P + Send + Sync + 'static) -> Extensions {
        self.passes = self.passes.hlo(new);
        self
    }

    /// Adds a pass over tiles, such as a scheduler.
    #[must_use]
    pub fn tile<P: TilePass>(mut self, new: impl Fn() -> P + Send + Sync + 'static) -> Extensions {
        self.passes = self.passes.tile(new);
        self
    }

    /// Adds a pass over instructions.
    #[must_use]
    pub fn isa<P: IsaPass>(mut self, new: impl Fn() -> P + Send + Sync + 'static) -> Extensions {
        self.passes = self.passes.isa(new);
        self
    }

    /// Adds a pass from level to level.
    #[must_use]
    pub fn step<P: StepPass>(mut self, new: impl Fn() -> P + Send + Sync + 'static) -> Extensions {
        self.passes = self.passes.step(new);
        self
    }

    /// Adds a target: the text of a machine model file.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn machine(mut self, text: &str) -> Result<Extensions> {
        let machine = Arc::new(MachineModel::from_toml(text)?);
        self.machines.retain(|(known, _)| known.name != machine.name);
        self.machines.push((machine, text.to_string()));
        Ok(self)
    }

    /// Names a pipeline. In its own text its name means what it meant before: `-O2` may be `-O2,my-pass`.
    #[must_use]
    pub fn pipeline(mut self, name: &str, text: &str) -> Extensions {
        self.pipelines.retain(|(known, _)| known != name);
        self.pipelines.push((name.to_string(), text.to_string()));
        self
    }

    /// The added machine of this name.
    pub fn find_machine(&self, name: &str) -> Option<&(Arc<MachineModel>, String)> {
        self.machines.iter().find(|(machine, _)| machine.name == name)
    }
}
