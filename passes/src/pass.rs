//! What a pass is, and what it may ask while it runs.
//!
//! A pass is a value with its options as fields and no state between runs. It knows no backend, no file, no environment
//! and no clock; what it must know of the machine is in [`PassContext::machine`]. Whoever runs passes verifies, times and
//! prints around them.
//!
//! There is a trait for each level ([`HloPass`], [`TilePass`], [`IsaPass`]) and one for what goes from a level to the next
//! or keeps a decision beside the program ([`StepPass`]). Constants of the trait say what `ferrite passes` lists: name,
//! paragraph, options, and the [`Property`]s that a pass needs, makes true and keeps.

use std::fmt;

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::hlo::{Func, Module, OpId, OpKind, Type};
use ferrite_ir::machine::MachineModel;
use ferrite_ir::{isa, tile};

use crate::options::{CompileOptions, PassOption, Settings};
use crate::program::Program;

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
    /// Hears of the steps inside a pass that has several: whoever has a clock measures them.
    pub watch: Option<Box<Watch<'a>>>,
}

/// Who hears of steps.
pub type Watch<'a> = dyn FnMut(Step) + 'a;

/// A moment in a pass of several steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The step with this name begins.
    Begin(&'static str),
    /// The step that began last, and has not ended, ends.
    End,
}

impl<'a> PassContext<'a> {
    /// A context without warnings.
    pub fn new(machine: &'a MachineModel, options: &'a CompileOptions) -> PassContext<'a> {
        PassContext {
            machine,
            options,
            warnings: Vec::new(),
            watch: None,
        }
    }

    /// Tells whoever watches.
    pub fn step(&mut self, step: Step) {
        if let Some(watch) = &mut self.watch {
            watch(step);
        }
    }

    /// Tells the user something that does not stop the compilation.
    pub fn warn(&mut self, warning: Diagnostic) {
        self.warnings.push(warning);
    }
}

/// A fact about a program that passes need, make true or keep. Each can be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Property {
    /// hlo: the entry function holds the whole program: no calls and no composites.
    Inlined,
    /// hlo: every tensor of the entry function has a static shape.
    StaticShapes,
    /// tile: every operation has its engine.
    EnginesAssigned,
    /// tile: tiles and scratch buffers have addresses.
    Placed,
    /// tile: it is decided which semaphores keep the order.
    Synchronised,
}

impl Property {
    /// All of them.
    pub const ALL: &'static [Property] = &[
        Property::Inlined,
        Property::StaticShapes,
        Property::EnginesAssigned,
        Property::Placed,
        Property::Synchronised,
    ];

    /// In kebab-case.
    pub const fn name(self) -> &'static str {
        match self {
            Property::Inlined => "inlined",
            Property::StaticShapes => "static-shapes",
            Property::EnginesAssigned => "engines-assigned",
            Property::Placed => "placed",
            Property::Synchronised => "synchronised",
        }
    }

    /// Whether it is true of a program. What is said of another level is not.
    pub fn holds(self, program: &Program) -> bool {
        match (self, program) {
            (Property::Inlined, Program::Hlo(module)) => entry_ops(module, |func, op| {
                !matches!(func.op(op).kind, OpKind::Call(_) | OpKind::Composite(_))
            }),
            (Property::StaticShapes, Program::Hlo(module)) => entry_ops(module, |func, op| {
                let is_static = |ty: &Type| ty.tensor().is_none_or(|t| t.is_static());
                func.op(op).results.iter().all(|&r| is_static(func.ty(r)))
            }),
            (Property::EnginesAssigned, Program::Tile(tile)) => {
                let mut ops = tile.program.ops.iter();
                ops.all(|op| op.engine.is_some() || op.control().is_some())
            }
            (Property::Placed, Program::Tile(tile)) => tile.placement.is_some(),
            (Property::Synchronised, Program::Tile(tile)) => tile.sync.is_some(),
            _ => false,
        }
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether all operations of the entry function fit.
fn entry_ops(module: &Module, mut fits: impl FnMut(&Func, OpId) -> bool) -> bool {
    let Some(entry) = module.entry() else { return true };
    let func = module.func(entry);
    let mut all = true;
    func.walk(func.body(), &mut |func, op| all = all && fits(func, op));
    all
}

/// The level of IR that a pass works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Tensors and mathematics.
    Hlo,
    /// Tiles and engines.
    Tile,
    /// Instructions and time.
    Isa,
}

impl Level {
    /// From tensors to instructions.
    pub const ALL: [Level; 3] = [Level::Hlo, Level::Tile, Level::Isa];

    /// Lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Hlo => "hlo",
            Level::Tile => "tile",
            Level::Isa => "isa",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A pass over the hlo level. In: a verified module. Out: a verified module.
pub trait HloPass: Send + Sync + 'static {
    /// Verb and object in kebab-case: flag, file and test folder carry it too.
    const NAME: &'static str;
    /// One paragraph for `ferrite passes`.
    const DOC: &'static str;
    /// What must be true before.
    const REQUIRES: &'static [Property] = &[];
    /// What is true afterwards.
    const ESTABLISHES: &'static [Property] = &[];
    /// What stays true if it was.
    const PRESERVES: &'static [Property] = Property::ALL;
    /// Options that a pipeline's text may give: `name{option=value}`.
    const OPTIONS: &'static [PassOption] = &[];

    /// Takes options; only such as [`Self::OPTIONS`] lists come here.
    ///
    /// # Errors
    /// A value that is none of its option.
    fn set(&mut self, _options: &Settings) -> Result<()> {
        Ok(())
    }

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
    /// What must be true before.
    const REQUIRES: &'static [Property] = &[];
    /// What is true afterwards.
    const ESTABLISHES: &'static [Property] = &[];
    /// What stays true if it was.
    const PRESERVES: &'static [Property] = &[Property::EnginesAssigned];
    /// Options that a pipeline's text may give: `name{option=value}`.
    const OPTIONS: &'static [PassOption] = &[];

    /// Takes options; only such as [`Self::OPTIONS`] lists come here.
    ///
    /// # Errors
    /// A value that is none of its option.
    fn set(&mut self, _options: &Settings) -> Result<()> {
        Ok(())
    }

    /// Transforms the program.
    ///
    /// # Errors
    /// What the user must change in the program.
    fn run(&self, program: &mut tile::Program, cx: &mut PassContext<'_>) -> Result<Changed>;
}

/// A pass over the isa level. In: a verified program. Out: a verified program.
pub trait IsaPass: Send + Sync + 'static {
    /// Verb and object in kebab-case: flag, file and test folder carry it too.
    const NAME: &'static str;
    /// One paragraph for `ferrite passes`.
    const DOC: &'static str;
    /// What must be true before.
    const REQUIRES: &'static [Property] = &[];
    /// What is true afterwards.
    const ESTABLISHES: &'static [Property] = &[];
    /// What stays true if it was.
    const PRESERVES: &'static [Property] = Property::ALL;
    /// Options that a pipeline's text may give: `name{option=value}`.
    const OPTIONS: &'static [PassOption] = &[];

    /// Takes options; only such as [`Self::OPTIONS`] lists come here.
    ///
    /// # Errors
    /// A value that is none of its option.
    fn set(&mut self, _options: &Settings) -> Result<()> {
        Ok(())
    }

    /// Transforms the program.
    ///
    /// # Errors
    /// What the user must change in the program.
    fn run(&self, program: &mut isa::Program, cx: &mut PassContext<'_>) -> Result<Changed>;
}

/// A pass that goes from one level to the next, or that keeps a decision beside the program. The pass manager sees to it that the
/// program is of the level [`Self::LEVEL`].
pub trait StepPass: Send + Sync + 'static {
    /// Verb and object in kebab-case: flag, file and test folder carry it too.
    const NAME: &'static str;
    /// One paragraph for `ferrite passes`.
    const DOC: &'static str;
    /// The level it works on.
    const LEVEL: Level;
    /// The level of what it leaves.
    const RESULT: Level;
    /// What must be true before.
    const REQUIRES: &'static [Property] = &[];
    /// What is true afterwards.
    const ESTABLISHES: &'static [Property] = &[];
    /// What stays true if it was.
    const PRESERVES: &'static [Property] = &[Property::EnginesAssigned];
    /// Options that a pipeline's text may give: `name{option=value}`.
    const OPTIONS: &'static [PassOption] = &[];

    /// Takes options; only such as [`Self::OPTIONS`] lists come here.
    ///
    /// # Errors
    /// A value that is none of its option.
    fn set(&mut self, _options: &Settings) -> Result<()> {
        Ok(())
    }

    /// Transforms the program.
    ///
    /// # Errors
    /// What the user must change in the program.
    fn run(&self, program: &mut Program, cx: &mut PassContext<'_>) -> Result<Changed>;
}

/// What is known of a pass without running it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct About {
    /// Its name.
    pub name: &'static str,
    /// Its paragraph.
    pub doc: &'static str,
    /// The level it works on.
    pub level: Level,
    /// The level of what it leaves.
    pub result: Level,
    /// What must be true before.
    pub requires: &'static [Property],
    /// What is true afterwards.
    pub establishes: &'static [Property],
    /// What stays true if it was.
    pub preserves: &'static [Property],
    /// Its options.
    pub options: &'static [PassOption],
}

type RunOn<P> = Box<dyn Fn(&mut P, &mut PassContext<'_>) -> Result<Changed> + Send + Sync>;

/// A pass of any level, with its options set.
pub struct AnyPass {
    /// What is known of it.
    pub about: About,
    /// Options that differ from their defaults.
    pub settings: Settings,
    /// What it runs on.
    pub run: Run,
}

/// The function of a pass, by what it runs on.
pub enum Run {
    /// On a module.
    Hlo(RunOn<Module>),
    /// On a tile program.
    Tile(RunOn<tile::Program>),
    /// On an isa program.
    Isa(RunOn<isa::Program>),
    /// From level to level.
    Step(RunOn<Program>),
}

macro_rules! any_pass {
    ($(#[$doc:meta])* $fn:ident, $trait:ident, $variant:ident, $level:expr, $result:expr) => {
        $(#[$doc])*
        ///
        /// # Errors
        /// A value that is none of its option.
        pub fn $fn<P: $trait>(mut pass: P, settings: &Settings) -> Result<AnyPass> {
            pass.set(settings)?;
            Ok(AnyPass {
                about: About::$fn::<P>(),
                settings: settings.clone(),
                run: Run::$variant(Box::new(move |program, cx| pass.run(program, cx))),
            })
        }
    };
}

macro_rules! about {
    ($(#[$doc:meta])* $fn:ident, $trait:ident, $level:expr, $result:expr) => {
        $(#[$doc])*
        pub const fn $fn<P: $trait>() -> About {
            About {
                name: P::NAME,
                doc: P::DOC,
                level: $level,
                result: $result,
                requires: P::REQUIRES,
                establishes: P::ESTABLISHES,
                preserves: P::PRESERVES,
                options: P::OPTIONS,
            }
        }
    };
}

impl About {
    about!(
        /// Of a pass over hlo.
        hlo, HloPass, Level::Hlo, Level::Hlo);
    about!(
        /// Of a pass over tiles.
        tile, TilePass, Level::Tile, Level::Tile);
    about!(
        /// Of a pass over instructions.
        isa, IsaPass, Level::Isa, Level::Isa);
    about!(
        /// Of a pass from level to level.
        step, StepPass, P::LEVEL, P::RESULT);
}

impl AnyPass {
    any_pass!(
        /// A pass over hlo.
        hlo, HloPass, Hlo, Level::Hlo, Level::Hlo);
    any_pass!(
        /// A pass over tiles.
        tile, TilePass, Tile, Level::Tile, Level::Tile);
    any_pass!(
        /// A pass over instructions.
        isa, IsaPass, Isa, Level::Isa, Level::Isa);
    any_pass!(
        /// A pass from level to level.
        step, StepPass, Step, P::LEVEL, P::RESULT);

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.about.name
    }

    /// Name and options, as a pipeline's text gives them.
    pub fn text(&self) -> String {
        format!("{}{}", self.about.name, self.settings)
    }

    /// Runs it. Decisions beside a tile program that it does not keep are forgotten.
    ///
    /// # Errors
    /// Those of the pass; a program of another level, or one that lacks what the pass needs.
    pub fn apply(&self, program: &mut Program, cx: &mut PassContext<'_>) -> Result<Changed> {
        let (about, level) = (&self.about, program.level());
        if level != about.level {
            let text = format!(
                "`{}` works on the {} level, and the program is of the {level} level there",
                about.name, about.level
            );
            let help = match (level, about.level) {
                (Level::Hlo, _) => "`lower` goes from hlo to tile, `generate-code` or `encode` from tile to isa",
                (Level::Tile, Level::Isa) => "`generate-code`, or `encode`, goes from tile to isa",
                _ => "no pass goes back to a higher level",
            };
            return Err(Diagnostic::error(Code::Usage, text).help(help));
        }
        if let Some(missing) = about.requires.iter().find(|p| !p.holds(program)) {
            let text = format!("`{}` needs a program that is `{missing}`", about.name);
            return Err(Diagnostic::error(Code::Usage, text).help(missing.advice()));
        }
        let changed = match (&self.run, &mut *program) {
            (Run::Hlo(run), Program::Hlo(module)) => run(module, cx)?,
            (Run::Tile(run), Program::Tile(tile)) => run(&mut tile.program, cx)?,
            (Run::Isa(run), Program::Isa(isa)) => run(isa, cx)?,
            (Run::Step(run), program) => return run(program, cx),
            _ => {
                return Err(Diagnostic::bug(format!(
                    "`{}` says another level than it has",
                    about.name
                )));
            }
        };
        if changed.is_yes() {
            program.keep(about.preserves);
        }
        Ok(changed)
    }
}

impl Property {
    /// What makes it true.
    fn advice(self) -> &'static str {
        match self {
            Property::Inlined => "run `inline` before",
            Property::StaticShapes => {
                "give every dimension a size when the model is traced; `canonicalize` finds constant ones"
            }
            Property::EnginesAssigned => "run `assign-engines` before",
            Property::Placed => "run `place` before, and nothing between that changes the program",
            Property::Synchronised => "run `synchronise` before, and nothing between that changes the program",
        }
    }
}
