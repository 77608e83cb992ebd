//! Options of the commands for people who work on the compiler.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ferrite_driver::options::PrintPasses;
use ferrite_driver::sweep::Vary;

use super::super::args::CompileFlags;

/// Which passes run, and what is shown of them.
#[derive(Args, Debug)]
#[command(next_help_heading = "Passes")]
pub struct PassFlags {
    /// A pipeline in place of that of -O: passes and options, levels around, -O1, -O2 and -O3 for their passes:
    /// 'hlo(-O2,my-pass),lower,tile(schedule{lookahead=64}),...'.
    #[arg(long, value_name = "PIPELINE", allow_hyphen_values = true)]
    pub passes: Option<String>,
    /// Write the program after each pass into DIR, one numbered file each.
    #[arg(long, value_name = "DIR")]
    pub dump_ir: Option<PathBuf>,
    /// Print the program before this pass (may be repeated, or a comma list).
    #[arg(long, value_name = "PASS", value_delimiter = ',')]
    pub print_before: Vec<String>,
    /// Print the program after this pass (may be repeated, or a comma list).
    #[arg(long, value_name = "PASS", value_delimiter = ',')]
    pub print_after: Vec<String>,
    /// Print the program before every pass.
    #[arg(long)]
    pub print_before_all: bool,
    /// Print the program after every pass.
    #[arg(long)]
    pub print_after_all: bool,
    /// Print what each pass changed, as a difference.
    #[arg(long)]
    pub print_changed: bool,
    /// Whether differences are colored.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Color::Auto)]
    pub color: Color,
    /// Print how long each pass took.
    #[arg(long)]
    pub time_passes: bool,
    /// Run the verifiers after each pass, and check what passes say they establish and keep.
    #[arg(long)]
    pub verify_each: bool,
}

impl PassFlags {
    /// What is printed.
    pub fn print(&self) -> PrintPasses {
        PrintPasses {
            before: self.print_before.clone(),
            after: self.print_after.clone(),
            before_all: self.print_before_all,
            after_all: self.print_after_all,
            changed: self.print_changed,
        }
    }
}

/// Values of `--color`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Yes.
    Always,
    /// No.
    Never,
}

/// `ferrite opt`.
#[derive(Args, Debug)]
pub struct OptArgs {
    /// A model, or a program of the tile or isa level as text; `-` reads standard input.
    pub input: PathBuf,
    /// Where the program goes [default: standard output].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// End the pipeline after this pass.
    #[arg(long, value_name = "PASS")]
    pub stop_after: Option<String>,
    /// Print an hlo program in MLIR's generic form.
    #[arg(long)]
    pub generic: bool,
    /// Print tiles and instructions without where in the model they come from.
    #[arg(long)]
    pub no_locations: bool,
    /// Find the first pass whose program computes something else; tiles and instructions are simulated.
    #[arg(long)]
    pub bisect: bool,
    /// Inputs of --bisect: an .npz file with arrays named arg0, arg1, ... [default: random ones].
    #[arg(long, value_name = "FILE", requires = "bisect")]
    pub inputs: Option<PathBuf>,
    /// Which random inputs --bisect takes.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub flags: CompileFlags,
}

/// `ferrite passes`.
#[derive(Args, Debug)]
pub struct PassesArgs {
    /// Only this pass.
    pub name: Option<String>,
    /// Print one JSON object on stdout.
    #[arg(long)]
    pub json: bool,
}

/// `ferrite reduce`.
#[derive(Args, Debug)]
pub struct ReduceArgs {
    /// The model that shows something wrong.
    pub model: PathBuf,
    /// What must stay wrong.
    #[arg(long, value_enum, value_name = "WHAT", required_unless_present = "command")]
    pub check: Option<CheckKind>,
    /// A shell command that gets the path of a candidate as its last argument, and exits with 0 while it shows what is
    /// looked for.
    #[arg(long, value_name = "COMMAND", conflicts_with = "check")]
    pub command: Option<String>,
    /// Candidates to check at most.
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub max_checks: usize,
    /// Where the small model goes [default: standard output].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub flags: CompileFlags,
    /// Print one JSON object on stdout.
    #[arg(long)]
    pub json: bool,
}

/// Values of `ferrite reduce --check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CheckKind {
    /// It does not compile, with the same code.
    CompileFails,
    /// The simulator computes something else than the interpreter, on random inputs.
    ValidateFails,
}

/// `ferrite sweep`.
#[derive(Args, Debug)]
pub struct SweepArgs {
    /// The model.
    pub model: PathBuf,
    /// A number of the machine model and what it becomes: sbuf.usable_bytes_per_partition=98304,x0.5,x1 (xN is N times
    /// the number that is there). Several give all combinations.
    #[arg(long, value_name = "PATH=VALUES", required = true)]
    pub vary: Vec<Vary>,
    /// Simulate the program for the unchanged machine on all of them, rather than compile for each.
    #[arg(long)]
    pub keep_program: bool,
    /// Write sweep.csv, sweep.svg and sweep.png into DIR.
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub flags: CompileFlags,
    /// Print one JSON object on stdout.
    #[arg(long)]
    pub json: bool,
}
