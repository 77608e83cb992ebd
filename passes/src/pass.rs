//! What a pass is, and what it may ask while it runs.
//!
//! A pass is a value with its options as fields and no state between runs. It knows no backend, no file, no environment
//! and no clock; what it must know of the machine is in [`PassContext::machine`]. Whoever runs passes verifies, times and
//! prints around them.

use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::hlo::Module;
use ferrite_ir::machine::MachineModel;
use ferrite_ir::tile;

use crate::options::CompileOptions;

/// Whether a pass changed its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// The program is as it was.
    No,
    /// Something is different.
    Yes,
}

impl Changed {
    /// `Yes` if `changed`.
    pub const fn from_bool(changed: bool) -> Changed {
        if changed { Changed::Yes } else { Changed::No }
    }

    /// `Yes` if either is.
    pub const fn or(self, other: Changed) -> Changed {
        match (self, other) {
            (Changed::No, Changed::No) => Changed::No,
            _ => Changed::Yes,
        }
    }

    /// Whether this is `Yes`.
    pub const fn is_yes(self) -> bool {
        matches!(self, Changed::Yes)
    }
}

/// What passes share while a program is compiled.
pub struct PassContext<'a> {
    /// The machine compiled for.
    pub machine: &'a MachineModel,
    /// What the user asked for.
    pub options: &'a CompileOptions,
    /// Warnings so far, in order.
    pub warnings: Vec<Diagnostic>,
}

impl<'a> PassContext<'a> {
    /// A context without warnings.
    pub fn new(machine: &'a MachineModel, options: &'a CompileOptions) -> PassContext<'a> {
        PassContext {
            machine,
            options,
            warnings: Vec::new(),
        }
    }

    /// Tells the user something that does not stop the compilation.
    pub fn warn(&mut self, warning: Diagnostic) {
        self.warnings.push(warning);
    }
}

/// A pass over the hlo level. In: a verified module. Out: a verified module.
pub trait HloPass: Send + Sync + 'static {
    /// Verb and object in kebab-case: flag, file and test folder carry it too.
    const NAME: &'static str;
    /// One paragraph for `ferrite passes`.
    const DOC: &'static str;

    /// Transforms the module.
    ///
    /// # Errors
    /// What the user must change in the program.
    fn run(&self, module: &mut Module, cx: &mut PassContext<'_>) -> Result<Changed>;
}

/// A pass over the tile level. In: a verified program. Out: a verified program.
pub trait TilePass: Send + Sync + 'static {
    /// Verb and object in kebab-case: flag, file and test folder carry it too.
    const NAME: &'static str;
    /// One paragraph for `ferrite passes`.
    const DOC: &'static str;

    /// Transforms the program.
    ///
    /// # Errors
    /// What the user must change in the program.
    fn run(&self, program: &mut tile::Program, cx: &mut PassContext<'_>) -> Result<Changed>;
}

/// The level of IR that a pass works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Tensors and mathematics.
    Hlo,
    /// Tiles and engines.
    Tile,
}

impl Level {
    /// Lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Hlo => "hlo",
            Level::Tile => "tile",
        }
    }
}

type RunOn<P> = Box<dyn Fn(&mut P, &mut PassContext<'_>) -> Result<Changed> + Send + Sync>;

/// A pass of any level.
pub struct AnyPass {
    /// Its name.
    pub name: &'static str,
    /// Its paragraph.
    pub doc: &'static str,
    /// What it runs on.
    pub run: Run,
}

/// The function of a pass, by level.
pub enum Run {
    /// On a module.
    Hlo(RunOn<Module>),
    /// On a tile program.
    Tile(RunOn<tile::Program>),
}

impl AnyPass {
    /// A pass of the hlo level.
    pub fn hlo<P: HloPass>(pass: P) -> AnyPass {
        AnyPass {
            name: P::NAME,
            doc: P::DOC,
            run: Run::Hlo(Box::new(move |module, cx| pass.run(module, cx))),
        }
    }

    /// A pass of the tile level.
    pub fn tile<P: TilePass>(pass: P) -> AnyPass {
        AnyPass {
            name: P::NAME,
            doc: P::DOC,
            run: Run::Tile(Box::new(move |program, cx| pass.run(program, cx))),
        }
    }

    /// The level it works on.
    pub fn level(&self) -> Level {
        match self.run {
            Run::Hlo(_) => Level::Hlo,
            Run::Tile(_) => Level::Tile,
        }
    }
}
