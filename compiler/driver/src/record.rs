//! What happens around a pass: time, verification, dumps. Passes do none of that themselves.

use std::path::PathBuf;
use std::time::Instant;

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::{hlo, isa, tile};
use serde::Serialize;

use crate::files;
use crate::options::CompileOptions;

/// One step of a compilation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timing {
    /// Pass or stage.
    pub pass: String,
    /// Level of its result: `hlo`, `tile` or `isa`.
    pub level: &'static str,
    /// Wall-clock milliseconds, verification and dumps excluded.
    pub ms: f64,
    /// Operations or instructions afterwards.
    pub ops: usize,
}

/// The program after a pass, as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Print {
    /// The pass.
    pub pass: String,
    /// The program.
    pub text: String,
}

/// A program of any level.
#[derive(Clone, Copy)]
pub enum Program<'a> {
    /// Tensors.
    Hlo(&'a hlo::Module),
    /// Tiles.
    Tile(&'a tile::Program),
    /// Instructions.
    Isa(&'a isa::Program),
}

impl Program<'_> {
    /// Name of the level.
    pub fn level(self) -> &'static str {
        match self {
            Program::Hlo(_) => "hlo",
            Program::Tile(_) => "tile",
            Program::Isa(_) => "isa",
        }
    }

    /// Operations or instructions.
    pub fn ops(self) -> usize {
        match self {
            Program::Hlo(module) => module.funcs.iter().map(hlo::Func::op_count).sum(),
            Program::Tile(program) => program.ops.len(),
            Program::Isa(program) => program.instruction_count(),
        }
    }

    /// The program in MLIR syntax.
    pub fn text(self) -> String {
        match self {
            Program::Hlo(module) => hlo::print::print(module),
            Program::Tile(program) => tile::text::print(
                program,
                tile::text::PrintOptions {
                    locations: true,
                    constants: false,
                },
            ),
            Program::Isa(program) => isa::text::print(
                program,
                isa::text::PrintOptions {
                    locations: true,
                    constants: false,
                },
            ),
        }
    }

    fn verify(self) -> Result<(), Vec<Diagnostic>> {
        match self {
            Program::Hlo(module) => hlo::verify::verify(module),
            Program::Tile(program) => tile::verify(program).map_err(|e| vec![e]),
            Program::Isa(program) => isa::verify(program).map_err(|e| vec![e]),
        }
    }
}

/// Records the steps of one compilation.
pub struct Recorder {
    verify: bool,
    dump: Option<PathBuf>,
    print_after: Vec<String>,
    /// Steps so far.
    pub timings: Vec<Timing>,
    /// Programs that were asked for so far.
    pub prints: Vec<Print>,
}

impl Recorder {
    /// A recorder for these options. Makes the dump folder.
    pub fn new(options: &CompileOptions) -> Result<Recorder> {
        if let Some(folder) = &options.dump_ir {
            std::fs::create_dir_all(folder).map_err(|e| files::failure(folder, &e))?;
        }
        Ok(Recorder {
            verify: options.verify_each,
            dump: options.dump_ir.clone(),
            print_after: options.print_after.clone(),
            timings: Vec::new(),
            prints: Vec::new(),
        })
    }

    /// Notes that `pass`, begun at `start`, left `program`; verifies, dumps and prints as asked.
    ///
    /// # Errors
    /// [`Code::Bug`] if the pass left a program that does not verify; [`Code::Io`] from dumping.
    pub fn done(&mut self, pass: &str, start: Instant, program: Program<'_>) -> Result<(), Vec<Diagnostic>> {
        self.timings.push(Timing {
            pass: pass.to_string(),
            level: program.level(),
            ms: start.elapsed().as_secs_f64() * 1e3,
            ops: program.ops(),
        });
        let printed = self.print_after.iter().any(|name| name == pass);
        if printed || self.dump.is_some() {
            let text = program.text();
            if let Some(folder) = &self.dump {
                let name = format!("{:02}-{pass}.{}.mlir", self.timings.len() - 1, program.level());
                files::write(&folder.join(name), text.as_bytes()).map_err(|e| vec![e])?;
            }
            if printed {
                let pass = pass.to_string();
                self.prints.push(Print { pass, text });
            }
        }
        if self.verify {
            program.verify().map_err(|errors| broken(pass, errors))?;
        }
        Ok(())
    }

    /// A name in `--print-after` that no step had is an error.
    pub fn finish(&self) -> Result<()> {
        let ran = |name: &&String| self.timings.iter().any(|t| t.pass == **name);
        match self.print_after.iter().find(|name| !ran(name)) {
            None => Ok(()),
            Some(name) => {
                let steps: Vec<&str> = self.timings.iter().map(|t| t.pass.as_str()).collect();
                Err(
                    Diagnostic::error(Code::Usage, format!("`--print-after={name}`: no such pass ran"))
                        .help(format!("these ran: {}", steps.join(", "))),
                )
            }
        }
    }
}

/// The user's program verified before; what a pass broke is our defect.
fn broken(pass: &str, errors: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let ours = |e: Diagnostic| Diagnostic {
        message: format!("`{pass}` left a program that does not verify: {}", e.message),
        ..Diagnostic::bug("").at(&e.location)
    };
    errors.into_iter().take(10).map(ours).collect()
}
