//! The executable `ferrite-mlir`: reads, checks, transforms and converts modules with MLIR.

mod mlir;

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Parser, Subcommand};
use ferrite_frontend::{Frontend, render_all};
use ferrite_ir::diag::{Code, Diagnostic};
use ferrite_mlir::portable;

use mlir::Mlir;

/// Ferrite's bridge to MLIR: our levels as MLIR, upstream dialects as models, upstream passes on both.
///
/// A file is StableHLO in any form that `ferrite` reads, a tile or isa program (`ferrite opt`, `--dump-ir`), or a module of
/// upstream dialects (linalg on tensors, TOSA, arith, math, tensor, scf, func), as text or bytecode; `-` is standard input.
#[derive(Parser)]
#[command(name = "ferrite-mlir", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Commands,
}

#[derive(Subcommand)]
enum Commands {
    /// Lowers a module of upstream dialects to StableHLO, which `ferrite` and `neuronx-cc` compile.
    ///
    /// What has no counterpart is refused with its name, its place and what to do instead.
    Import {
        /// The module.
        input: PathBuf,
        /// Where the StableHLO goes; standard output if not given.
        #[arg(short, long)]
        output: Option<PathBuf>,
        /// Upstream passes that run first, as `mlir-opt --pass-pipeline` takes them.
        #[arg(long, default_value = "")]
        passes: String,
    },
    /// Runs upstream MLIR passes on a module: before Ferrite's, or between two of them.
    ///
    /// StableHLO, tile and isa programs come back as such; other modules as MLIR prints them.
    Opt {
        /// The module.
        input: PathBuf,
        /// The pipeline: `canonicalize,cse`, `func.func(linalg-generalize-named-ops)`, ...
        #[arg(long)]
        passes: String,
        /// Where the result goes; standard output if not given.
        #[arg(short, long)]
        output: Option<PathBuf>,
    },
    /// Writes a module in the form that `mlir-opt --irdl-file=docs/dialects/hlo.irdl` and other tools read.
    Export {
        /// The module.
        input: PathBuf,
        /// Where the text goes; standard output if not given.
        #[arg(short, long)]
        output: Option<PathBuf>,
    },
    /// Verifies modules with MLIR's verifier and the definitions of our dialects.
    Check {
        /// The modules.
        #[arg(required = true)]
        inputs: Vec<PathBuf>,
    },
    /// Checks that programs of our levels come back from MLIR as they were.
    Roundtrip {
        /// The programs.
        #[arg(required = true)]
        inputs: Vec<PathBuf>,
        /// An `mlir-opt` to go through; the linked MLIR if not given.
        #[arg(long)]
        mlir_opt: Option<PathBuf>,
    },
    /// Writes the definitions of our dialects in IRDL (`hlo.irdl`, `tile.irdl`, `isa.irdl`).
    Dialects {
        /// The folder they go to.
        folder: PathBuf,
    },
}

/// What went wrong, with the text it speaks of.
struct Failure {
    diagnostics: Vec<Diagnostic>,
    name: String,
    text: Option<String>,
}

type Outcome<T> = Result<T, Failure>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprint!(
                "{}",
                render_all(&failure.diagnostics, &failure.name, failure.text.as_deref())
            );
            let bug = failure.diagnostics.iter().any(|d| d.code == Code::Bug);
            ExitCode::from(if bug { 70 } else { 1 })
        }
    }
}

fn run(command: Commands) -> Outcome<()> {
    match command {
        Commands::Import { input, output, passes } => {
            let file = File::read(&input)?;
            write(output.as_deref(), &import(&file, &passes)?)
        }
        Commands::Opt { input, passes, output } => {
            let file = File::read(&input)?;
            write(output.as_deref(), &opt(&file, &passes)?)
        }
        Commands::Export { input, output } => {
            let file = File::read(&input)?;
            write(output.as_deref(), &file.portable(true)?)
        }
        Commands::Check { inputs } => {
            for input in inputs {
                let file = File::read(&input)?;
                let text = file.portable(true)?;
                let mlir = file.mlir(&text)?;
                mlir.parse(text.as_bytes())
                    .map_err(|all| file.wrong_in(all, text.clone()))?;
                println!("{}: {}, verified", file.name, file.level);
            }
            Ok(())
        }
        Commands::Roundtrip { inputs, mlir_opt } => {
            let folder = tempfile::tempdir().map_err(|error| io(Path::new("a temporary folder"), &error))?;
            for input in inputs {
                let file = File::read(&input)?;
                roundtrip(&file, mlir_opt.as_deref(), folder.path())?;
                println!("{}: {}, the same", file.name, file.level);
            }
            Ok(())
        }
        Commands::Dialects { folder } => write_dialects(&folder),
    }
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Hlo,
    Tile,
    Isa,
    Upstream,
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Level::Hlo => "hlo",
            Level::Tile => "tile",
            Level::Isa => "isa",
            Level::Upstream => "upstream",
        })
    }
}

struct File {
    name: String,
    bytes: Vec<u8>,
    level: Level,
}

/// Dialects that no other level has.
const UPSTREAM: [&str; 6] = ["linalg.", "tosa.", "arith.", "tensor.", "scf.", "math."];

impl File {
    fn read(path: &Path) -> Outcome<File> {
        let mut bytes = Vec::new();
        if path == Path::new("-") {
            std::io::stdin().read_to_end(&mut bytes)
        } else {
            fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes))
        }
        .map_err(|error| io(path, &error))?;
        let level = level(&bytes);
        Ok(File {
            name: path.display().to_string(),
            bytes,
            level,
        })
    }

    fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }

    fn wrong(&self, diagnostics: Vec<Diagnostic>) -> Failure {
        Failure {
            diagnostics,
            name: self.name.clone(),
            text: self.text().map(str::to_string),
        }
    }

    /// As [`File::wrong`], for what was said about a text made of the file.
    fn wrong_in(&self, diagnostics: Vec<Diagnostic>, text: String) -> Failure {
        let name = self.name.clone();
        let text = Some(text);
        match self.level {
            Level::Hlo => Failure {
                diagnostics,
                name: format!("{name}, exported"),
                text,
            },
            _ => self.wrong(diagnostics),
        }
    }

    /// A context for a text made of it.
    fn mlir(&self, text: &str) -> Outcome<Mlir> {
        let unregistered = self.level == Level::Hlo && portable::needs_unregistered(text);
        Mlir::new(unregistered).map_err(|all| Failure {
            // About our definitions, not about the file.
            diagnostics: all,
            name: String::new(),
            text: None,
        })
    }

    /// The text that MLIR reads; of bytecode of upstream dialects, the text that MLIR prints.
    fn portable(&self, locations: bool) -> Outcome<String> {
        match self.level {
            Level::Hlo => {
                let module = Frontend::read(&self.bytes, &self.name).map_err(|all| self.wrong(all))?;
                Ok(portable::print(&module, locations))
            }
            _ => match self.text() {
                Some(text) => Ok(text.to_string()),
                None => {
                    let mlir = self.mlir("")?;
                    let module = mlir.parse(&self.bytes).map_err(|all| self.wrong(all))?;
                    mlir.print(&module, false, locations).map_err(|all| self.wrong(all))
                }
            },
        }
    }
}

fn level(bytes: &[u8]) -> Level {
    let has = |word: &str| bytes.windows(word.len()).any(|window| window == word.as_bytes());
    let code = |text: &str| {
        let text = text.trim();
        !text.is_empty()
            && !["//", "#", "module", "\"builtin.module\""]
                .iter()
                .any(|start| text.starts_with(start))
    };
    if let Ok(text) = std::str::from_utf8(bytes) {
        match text.lines().find(|line| code(line)).map(str::trim) {
            Some(line) if line.starts_with("\"tile.program\"") => return Level::Tile,
            Some(line) if line.starts_with("\"isa.program\"") => return Level::Isa,
            _ => {}
        }
    }
    let hlo = ["stablehlo", "vhlo", "mhlo.", "HloModule"].iter().any(|word| has(word));
    if !hlo && (bytes.starts_with(b"ML\xEFR") || UPSTREAM.iter().any(|word| has(word))) {
        Level::Upstream
    } else {
        Level::Hlo
    }
}

fn io(path: &Path, error: &std::io::Error) -> Failure {
    Failure {
        diagnostics: vec![Diagnostic::error(Code::Io, format!("`{}`: {error}", path.display()))],
        name: String::new(),
        text: None,
    }
}

fn write(path: Option<&Path>, text: &str) -> Outcome<()> {
    match path {
        Some(path) => fs::write(path, text).map_err(|error| io(path, &error)),
        // A reader that has enough closes the pipe.
        None => match std::io::stdout().write_all(text.as_bytes()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(io(Path::new("-"), &error)),
            _ => Ok(()),
        },
    }
}

fn write_dialects(folder: &Path) -> Outcome<()> {
    fs::create_dir_all(folder).map_err(|error| io(folder, &error))?;
    for file in ferrite_mlir::irdl::files() {
        write(Some(&folder.join(&file.name)), &file.text)?;
    }
    Ok(())
}

/// StableHLO text of a module of upstream dialects.
fn import(file: &File, passes: &str) -> Outcome<String> {
    if file.level != Level::Upstream {
        let message = format!("this is no module of upstream dialects, but {}", file.level);
        let help = "`ferrite` reads it as it is";
        return Err(file.wrong(vec![Diagnostic::error(Code::Usage, message).help(help)]));
    }
    let mlir = file.mlir("")?;
    let wrong = |all| file.wrong(all);
    let mut module = mlir.parse(&file.bytes).map_err(wrong)?;
    if !passes.is_empty() {
        mlir.run(&mut module, passes).map_err(wrong)?;
    }
    // Named operations of linalg differ in name only: what they mean is in their maps and bodies.
    mlir.run(&mut module, "func.func(linalg-generalize-named-ops)")
        .map_err(wrong)?;
    let text = mlir.print(&module, true, true).map_err(wrong)?;
    let module = ferrite_mlir::lower::module(&text, &file.name).map_err(wrong)?;
    let options = ferrite_ir::hlo::print::PrintOptions {
        generic: false,
        locations: true,
    };
    Ok(ferrite_ir::hlo::print::print_with(&module, options))
}

fn opt(file: &File, passes: &str) -> Outcome<String> {
    let source = match file.level {
        Level::Hlo => file.portable(true)?,
        _ => String::new(),
    };
    let mlir = file.mlir(&source)?;
    let bytes = if file.level == Level::Hlo {
        source.as_bytes()
    } else {
        &file.bytes
    };
    let wrong = |all| file.wrong_in(all, source.clone());
    let mut module = mlir.parse(bytes).map_err(wrong)?;
    mlir.run(&mut module, passes).map_err(wrong)?;
    mlir.verify(&module).map_err(wrong)?;
    let upstream = file.level == Level::Upstream;
    let text = mlir.print(&module, !upstream, !upstream).map_err(wrong)?;
    own_form(file.level, &text).map_err(|all| Failure {
        diagnostics: all,
        name: format!("{}, after the passes", file.name),
        text: Some(text.clone()),
    })
}

/// What MLIR printed, as our own printer prints it.
fn own_form(level: Level, text: &str) -> Result<String, Vec<Diagnostic>> {
    let own = ferrite_ir::isa::text::PrintOptions {
        locations: true,
        constants: true,
    };
    Ok(match level {
        Level::Hlo => {
            let options = ferrite_ir::hlo::print::PrintOptions {
                generic: false,
                locations: true,
            };
            ferrite_ir::hlo::print::print_with(&ferrite_ir::hlo::parse::parse(text)?, options)
        }
        Level::Tile => ferrite_ir::tile::text::print(&ferrite_ir::tile::text::parse(text)?, own),
        Level::Isa => ferrite_ir::isa::text::print(&ferrite_ir::isa::text::parse(text)?, own),
        Level::Upstream => text.to_string(),
    })
}

fn roundtrip(file: &File, mlir_opt: Option<&Path>, folder: &Path) -> Outcome<()> {
    if file.level == Level::Upstream {
        let message = "a module of upstream dialects is none of our levels";
        return Err(file.wrong(vec![Diagnostic::error(Code::Usage, message)]));
    }
    let source = file.portable(true)?;
    let back = match mlir_opt {
        None => {
            let mlir = file.mlir(&source)?;
            let module = mlir
                .parse(source.as_bytes())
                .map_err(|all| file.wrong_in(all, source.clone()))?;
            mlir.print(&module, true, true).map_err(|all| file.wrong(all))?
        }
        Some(executable) => through(executable, file, &source, folder)?,
    };
    let form = |text: &str| {
        own_form(file.level, text).map_err(|diagnostics| Failure {
            diagnostics,
            name: format!("{}, as MLIR prints it", file.name),
            text: Some(text.to_string()),
        })
    };
    let (before, after) = (form(&source)?, form(&back)?);
    if before != after {
        let differs = before.lines().zip(after.lines()).find(|(a, b)| a != b);
        let (a, b) = differs.unwrap_or(("(its length)", "(its length)"));
        let message = "the program differs after MLIR read and printed it";
        let error = Diagnostic::error(Code::Mismatch, message).help(format!("`{}` became `{}`", a.trim(), b.trim()));
        return Err(file.wrong(vec![error]));
    }
    Ok(())
}

/// What `mlir-opt` makes of a text.
fn through(executable: &Path, file: &File, source: &str, folder: &Path) -> Outcome<String> {
    write_dialects(folder)?;
    let level = file.level;
    let input = folder.join("input.mlir");
    write(Some(&input), source)?;
    let mut command = Command::new(executable);
    command
        .arg(format!(
            "--irdl-file={}",
            folder.join(format!("{level}.irdl")).display()
        ))
        .args(["--mlir-print-op-generic", "--mlir-print-debuginfo"]);
    if level == Level::Hlo && portable::needs_unregistered(source) {
        command.arg("--allow-unregistered-dialect");
    }
    let output = command.arg(&input).output().map_err(|error| io(executable, &error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let message = format!(
            "`{}` refuses it: {}",
            executable.display(),
            said.lines().next().unwrap_or("")
        );
        return Err(file.wrong(vec![Diagnostic::error(Code::Verify, message)]));
    }
    String::from_utf8(output.stdout).map_err(|_| file.wrong(vec![Diagnostic::bug("MLIR printed no UTF-8")]))
}
