//! The command line of `ferrite`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ferrite_driver::Extensions;
use ferrite_driver::options::{
    AutoCast, CastType, CompileOptions, DEFAULT_MAX_INSTRUCTIONS, DEFAULT_TARGET, DimBinding, OptLevel,
};

use super::workbench::args::{OptArgs, PassFlags, PassesArgs, ReduceArgs, SweepArgs};

/// An open HLO-to-NEFF optimizing compiler for AWS NeuronCores, with a cycle-level simulator.
#[derive(Parser, Debug)]
#[command(name = "ferrite", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "exit codes: 0 success, 1 an error in the input or a comparison that failed, \
                        2 a wrong command line, 70 a defect of Ferrite"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Compiles a model to a NEFF.
    Compile(CompileArgs),
    /// Runs a NEFF in the simulator: results and cycles.
    Run(RunArgs),
    /// Simulates the time of a NEFF, without data.
    Profile(ProfileArgs),
    /// Compiles a model, runs it in the simulator and compares the results with the reference interpreter.
    Validate(ValidateArgs),
    /// Runs a model in the reference interpreter.
    Interpret(InterpretArgs),
    /// Shows what a NEFF holds.
    Inspect(InspectArgs),
    /// Runs passes on a program of any level and prints it, or finds the pass that breaks it.
    Opt(OptArgs),
    /// Writes a model in another form.
    Convert(ConvertArgs),
    /// Lists the passes and the pipelines of -O1, -O2 and -O3.
    Passes(PassesArgs),
    /// Shrinks a model that shows something wrong to a small one that still shows it.
    Reduce(ReduceArgs),
    /// Varies numbers of the machine model and simulates a model on each machine.
    Sweep(SweepArgs),
    /// Lists the targets.
    Targets(TargetsArgs),
    /// Looks into a compile cache and after it.
    Cache(CacheArgs),
    /// Compiles many models at once, through the compile cache.
    CompileMany(ManyArgs),
    /// Collects the graphs of a program and compiles them: the flow of neuron_parallel_compile.
    ParallelCompile(ParallelArgs),
    /// Lowers, compiles and validates a JAX or PyTorch model of a Python script.
    #[command(disable_help_flag = true)]
    Export(ExportArgs),
}

/// `ferrite export`: its options are those of `python -m neuronxcc.export`.
#[derive(Args, Debug)]
pub struct ExportArgs {
    /// The script and options; `--help` lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<String>,
}

/// `ferrite cache`.
#[derive(Args, Debug)]
pub struct CacheArgs {
    /// Folder of the cache, or URL of the store behind it [default: FERRITE_COMPILE_CACHE, then
    /// NEURON_COMPILE_CACHE_URL, then /var/tmp/neuron-compile-cache].
    #[arg(long, value_name = "PLACE", global = true)]
    pub cache_dir: Option<String>,
    /// Print one JSON object on stdout.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: CacheCommand,
}

/// What `ferrite cache` does.
#[derive(Subcommand, Debug)]
pub enum CacheCommand {
    /// Lists entries with state, size and flags.
    List,
    /// Finds an entry by its key or by a model file, or a registered model by its name.
    Lookup {
        /// MODULE_... (the name of an entry), a model file, or the name of a registered model.
        what: String,
        /// Options of neuronx-cc that the model was compiled with.
        #[arg(last = true)]
        flags: Vec<String>,
    },
    /// Fetches what the folder lacks from a store, and sends what the store lacks.
    Synchronize {
        /// s3://bucket/prefix, https://host/path, hf://owner/name or file:///folder.
        url: Option<String>,
        /// Only send.
        #[arg(long)]
        push: bool,
        /// Only fetch.
        #[arg(long)]
        pull: bool,
    },
    /// Removes entries by rule; never one that is being compiled.
    Prune {
        /// Not used for this long: 30d, 12h, 90m.
        #[arg(long, value_name = "TIME", value_parser = super::units::duration)]
        older_than: Option<std::time::Duration>,
        /// Least recently used ones, until no more is left than this: 10GB.
        #[arg(long, value_name = "SIZE", value_parser = super::units::bytes)]
        max_size: Option<u64>,
        /// Remembered failures.
        #[arg(long)]
        failed: bool,
        /// Entries of other versions of the compiler.
        #[arg(long)]
        other_versions: bool,
        /// Entries without graph and result.
        #[arg(long)]
        empty: bool,
    },
    /// Removes all entries but those that are being compiled.
    Clean,
    /// Compares every result with its digest.
    Verify {
        /// Remove damaged results: they are then compiled again when they are next asked for.
        #[arg(long)]
        remove: bool,
    },
    /// Removes locks of processes that are gone.
    ClearLocks,
}

/// How much `compile-many` and `parallel-compile` do at a time.
#[derive(Args, Debug)]
pub struct LimitFlags {
    /// Compilations at a time [default: the processors].
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<usize>,
    /// Memory that they may take together: 8GB [default: three quarters of the machine's].
    #[arg(long, value_name = "SIZE", value_parser = super::units::bytes)]
    pub memory: Option<u64>,
    /// Start a compilation that died again, up to N times.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub retries: u32,
}

impl LimitFlags {
    fn limits(&self) -> super::many::Limits {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        super::many::Limits {
            jobs: self.jobs.unwrap_or(processors).max(1),
            memory: self.memory.unwrap_or_else(|| machine_memory() / 4 * 3),
            retries: self.retries,
        }
    }
}

/// Memory of this machine in bytes; where the system does not tell, no bound.
fn machine_memory() -> u64 {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = info.lines().find_map(|l| l.strip_prefix("MemTotal:"));
    let kib = total.and_then(|t| t.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.map_or(u64::MAX, |kib| kib << 10)
}

/// `ferrite compile-many`.
#[derive(Args, Debug)]
pub struct ManyArgs {
    /// A folder of models, a list (a model a line, with options of its own behind it), a model, or a compile cache.
    #[arg(value_name = "DIR_OR_LIST")]
    pub what: PathBuf,
    /// Where the NEFFs go besides the cache.
    #[arg(short, long, value_name = "DIR")]
    pub output_dir: Option<PathBuf>,
    /// Folder of the cache, or URL of the store behind it [default: as `ferrite cache`].
    #[arg(long, value_name = "PLACE")]
    pub cache_dir: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub limits: LimitFlags,
    /// Take every N-th graph from the I-th on, counted from 0: one task of an array [default: what Slurm's and
    /// Kubernetes' variables say].
    #[arg(long, value_name = "I/N", value_parser = shard, default_value_t = default_shard())]
    pub shard: Shard,
    /// Compile again what the cache remembers as failed.
    #[arg(long)]
    pub retry_failed: bool,
    /// Write the report to this file.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Print one JSON object on stdout.
    #[arg(long)]
    pub json: bool,
    /// Options of neuronx-cc for every model.
    #[arg(last = true)]
    pub flags: Vec<String>,
}

impl ManyArgs {
    /// How much at a time.
    pub fn limits(&self) -> super::many::Limits {
        self.limits.limits()
    }
}

/// One part of the graphs: number and count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard(pub usize, pub usize);

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.0, self.1)
    }
}

fn shard(text: &str) -> Result<Shard, String> {
    let parts = text
        .split_once('/')
        .and_then(|(i, n)| Some(Shard(i.parse().ok()?, n.parse().ok()?)));
    parts
        .filter(|s| s.0 < s.1)
        .ok_or_else(|| format!("`{text}` is no I/N with I below N"))
}

/// The part that a task array gives to this process: Slurm's variables count from SLURM_ARRAY_TASK_MIN.
fn default_shard() -> Shard {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.trim().parse::<usize>().ok());
    let slurm = || {
        let (id, count) = (number("SLURM_ARRAY_TASK_ID")?, number("SLURM_ARRAY_TASK_COUNT")?);
        Some(Shard(
            id.checked_sub(number("SLURM_ARRAY_TASK_MIN").unwrap_or(0))?,
            count,
        ))
    };
    let kubernetes = || Some(Shard(number("JOB_COMPLETION_INDEX")?, number("JOB_COMPLETIONS")?));
    let given = slurm().or_else(kubernetes);
    given.filter(|s| s.0 < s.1).unwrap_or(Shard(0, 1))
}

/// `ferrite parallel-compile`.
#[derive(Args, Debug)]
pub struct ParallelArgs {
    /// One step of the flow [default: collect, then compile].
    #[arg(long, value_enum)]
    pub command: Option<ParallelCommand>,
    /// Folder of the cache [default: as `ferrite cache`].
    #[arg(long, value_name = "PLACE")]
    pub cache_dir: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub limits: LimitFlags,
    /// Compile again what the cache remembers as failed.
    #[arg(long)]
    pub retry_failed: bool,
    /// Write the report to this file.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Print one JSON object on stdout.
    #[arg(long)]
    pub json: bool,
    /// The program whose graphs are collected, with its arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub program: Vec<String>,
}

impl ParallelArgs {
    /// How much at a time.
    pub fn limits(&self) -> super::many::Limits {
        self.limits.limits()
    }
}

/// Steps of `ferrite parallel-compile`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ParallelCommand {
    /// Run the program to collect its graphs.
    Collect,
    /// Compile what was collected.
    Compile,
    /// Empty the cache.
    Clean,
    /// Remove locks of processes that are gone.
    ClearLocks,
}

/// Options of everything that compiles.
#[derive(Args, Debug)]
#[command(next_help_heading = "Compilation")]
pub struct CompileFlags {
    /// Machine to compile for: inf2, trn1, trn1n, trn2 or trn3.
    #[arg(long, default_value = DEFAULT_TARGET)]
    pub target: String,
    /// A machine model file in place of the built-in one (start from `ferrite targets --print NAME`).
    #[arg(long = "target-file", alias = "machine", value_name = "FILE")]
    pub machine: Option<PathBuf>,
    /// Size of a dimension that the model leaves open: `0.1=16` for dimension 1 of parameter 0, or `b=16` for a
    /// dimension variable of an exported model (may be repeated, or a comma list).
    #[arg(long, value_name = "DIM=SIZE", value_delimiter = ',', value_parser = dim_binding)]
    pub dim_binding: Vec<DimBinding>,
    /// Optimisation level.
    #[arg(short = 'O', long = "optlevel", value_name = "LEVEL", default_value = "2")]
    pub opt_level: Level,
    /// Which fp32 operations are computed in a lower precision.
    #[arg(long, value_name = "WHICH", default_value = "none")]
    pub auto_cast: Cast,
    /// The lower precision.
    #[arg(long, value_name = "TYPE", default_value = "bf16")]
    pub auto_cast_type: CastTo,
    /// Accumulate in the operands' type rather than in fp32.
    #[arg(long)]
    pub disable_mixed_precision_accumulation: bool,
    /// Compute 64-bit integers in 64 bits rather than 32 (trn2 and later).
    #[arg(long)]
    pub native_int64: bool,
    /// Physical cores of a logical core: as many programs in the NEFF, of which the first does the work.
    #[arg(long = "lnc", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=2))]
    pub logical_core: u32,
    /// Refuse programs of more instructions than this.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_INSTRUCTIONS)]
    pub max_instructions: usize,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub pass: PassFlags,
}

impl CompileFlags {
    /// The options for the compiler.
    pub fn options(&self, extensions: &Arc<Extensions>) -> CompileOptions {
        let defaults = CompileOptions::default();
        CompileOptions {
            target: self.target.clone(),
            machine: self.machine.clone(),
            dim_bindings: self.dim_binding.clone(),
            opt_level: match self.opt_level {
                Level::O1 => OptLevel::O1,
                Level::O2 => OptLevel::O2,
                Level::O3 => OptLevel::O3,
            },
            auto_cast: match self.auto_cast {
                Cast::None => AutoCast::None,
                Cast::Matmult => AutoCast::Matmult,
                Cast::All => AutoCast::All,
            },
            auto_cast_type: match self.auto_cast_type {
                CastTo::Bf16 => CastType::Bf16,
                CastTo::Fp16 => CastType::Fp16,
                CastTo::Tf32 => CastType::Tf32,
                CastTo::Fp8E4m3 => CastType::Fp8E4m3,
            },
            mixed_precision_accumulation: !self.disable_mixed_precision_accumulation,
            native_int64: self.native_int64,
            logical_core: self.logical_core,
            max_instructions: self.max_instructions,
            dump_ir: self.pass.dump_ir.clone(),
            print: self.pass.print(),
            passes: self.pass.passes.clone(),
            verify_each: self.pass.verify_each || defaults.verify_each,
            extensions: extensions.clone(),
            ..defaults
        }
    }
}

fn dim_binding(text: &str) -> Result<DimBinding, String> {
    DimBinding::parse(text).map_err(|e| e.message)
}

/// Values of `-O`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Level {
    /// Core optimisations, least compile time.
    #[value(name = "1")]
    O1,
    /// The default balance.
    #[value(name = "2")]
    O2,
    /// Possibly faster code for a longer compilation.
    #[value(name = "3")]
    O3,
}

/// Values of `--auto-cast`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Cast {
    /// None.
    None,
    /// Dots and convolutions.
    #[value(alias = "matmul")]
    Matmult,
    /// Every fp32 operation.
    All,
}

/// Values of `--auto-cast-type`.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[allow(missing_docs)] // the names are those of the types
pub enum CastTo {
    Bf16,
    Fp16,
    Tf32,
    #[value(name = "fp8_e4m3")]
    Fp8E4m3,
}

/// `ferrite compile`.
#[derive(Args, Debug)]
pub struct CompileArgs {
    /// The model: StableHLO text, or another form that the front end recognises by its content.
    pub model: PathBuf,
    /// Where the NEFF goes [default: the model's name with .neff].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Parameters to freeze into the NEFF as constants: an .npz file with arrays named arg0, arg1, ...
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// Do not compress the NEFF.
    #[arg(long)]
    pub uncompressed: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub flags: CompileFlags,
    /// Compile again without each pass in turn, and print the simulated cycles that it wins.
    #[arg(long)]
    pub cycles_won: bool,
    /// Print one JSON object on stdout.
    #[arg(long)]
    pub json: bool,
}

/// `ferrite run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// The NEFF.
    pub neff: PathBuf,
    /// Inputs: an .npz file with arrays named arg0, arg1, ...
    #[arg(long, value_name = "FILE")]
    pub inputs: PathBuf,
    /// Where the outputs go: an .npz file with arrays named out0, out1, ...
    #[arg(long, value_name = "FILE")]
    pub outputs: Option<PathBuf>,
    /// Write summary, Perfetto trace and pictures into DIR.
    #[arg(long, value_name = "DIR")]
    pub profile: Option<PathBuf>,
    /// Cores to simulate.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub cores: usize,
    /// A machine model file in place of the built-in one.
    #[arg(long = "target-file", alias = "machine", value_name = "FILE")]
    pub machine: Option<PathBuf>,
    /// Print one JSON object on stdout.
    #[arg(long)]
    pub json: bool,
}

/// `ferrite profile`.
#[derive(Args, Debug)]
pub struct ProfileArgs {
    /// The NEFF.
    pub neff: PathBuf,
    /// Write summary, Perfetto trace and pictures into DIR.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// A machine model file in place of the built-in one.
    #[arg(long = "target-file", alias = "machine", value_name = "FILE")]
    pub machine: Option<PathBuf>,
    /// Print one JSON object on stdout.
    #[arg(long)]
    pub json: bool,
}

/// `ferrite validate`.
#[derive(Args, Debug)]
pub struct ValidateArgs {
    /// The model.
    #[arg(required_unless_present = "case", conflicts_with = "case")]
    pub model: Option<PathBuf>,
    /// A case folder: model, inputs or how to make them, expected outputs, tolerances.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["inputs", "expected"])]
    pub case: Option<PathBuf>,
    /// Inputs: an .npz file with arrays named arg0, arg1, ...; not needed for a model without inputs.
    #[arg(long, value_name = "FILE")]
    pub inputs: Option<PathBuf>,
    /// Take random inputs, the N-th of them.
    #[arg(long, value_name = "N", conflicts_with_all = ["inputs", "case"])]
    pub seed: Option<u64>,
    /// Expected outputs: an .npz file with arrays named out0, out1, ...; compared besides the interpreter's.
    #[arg(long, value_name = "FILE")]
    pub expected: Option<PathBuf>,
    /// Relative tolerance [default: the case's, else by dtype and auto-cast].
    #[arg(long, value_name = "R")]
    pub rtol: Option<f64>,
    /// Absolute tolerance [default: the case's, else by dtype and auto-cast].
    #[arg(long, value_name = "A")]
    pub atol: Option<f64>,
    /// Write summary, Perfetto trace and pictures into DIR.
    #[arg(long, value_name = "DIR")]
    pub profile: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub flags: CompileFlags,
    /// Print one JSON object on stdout.
    #[arg(long)]
    pub json: bool,
}

/// `ferrite interpret`.
#[derive(Args, Debug)]
pub struct InterpretArgs {
    /// The model.
    pub model: PathBuf,
    /// Inputs: an .npz file with arrays named arg0, arg1, ...; needed if the model takes any.
    #[arg(long, value_name = "FILE")]
    pub inputs: Option<PathBuf>,
    /// Where the outputs go: an .npz file with arrays named out0, out1, ...
    #[arg(long, value_name = "FILE")]
    pub outputs: Option<PathBuf>,
    /// Print one JSON object on stdout.
    #[arg(long)]
    pub json: bool,
}

/// `ferrite convert`.
#[derive(Args, Debug)]
pub struct ConvertArgs {
    /// The model, in any form; `-` is standard input.
    pub model: PathBuf,
    /// The form to write.
    #[arg(long, value_name = "FORM", value_enum)]
    pub to: Form,
    /// Where the program goes; standard output if it is text.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write where operations come from (`loc(...)`); HLO has it in any case.
    #[arg(long)]
    pub locations: bool,
    /// Print one JSON object on stdout.
    #[arg(long, requires = "output")]
    pub json: bool,
}

/// Forms of a program.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// StableHLO text, pretty form.
    Stablehlo,
    /// StableHLO text, generic form.
    Generic,
    /// XLA HLO text.
    #[value(name = "hlo.txt")]
    HloText,
    /// Serialized HloModuleProto.
    #[value(name = "hlo.pb")]
    HloProto,
    /// StableHLO portable artifact: read, but not written yet.
    Mlirbc,
}

/// `ferrite inspect`.
#[derive(Args, Debug)]
pub struct InspectArgs {
    /// The NEFF.
    pub neff: PathBuf,
    /// Print the instructions as text.
    #[arg(long, conflicts_with = "json")]
    pub disassemble: bool,
    /// Print one JSON object on stdout.
    #[arg(long)]
    pub json: bool,
}

/// `ferrite targets`.
#[derive(Args, Debug)]
pub struct TargetsArgs {
    /// Print the machine model file of one target: a start for an edited one.
    #[arg(long, value_name = "NAME", conflicts_with = "json")]
    pub print: Option<String>,
    /// Print one JSON object on stdout.
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn levels_are_written_in_one_word_or_two() {
        for line in [["-O1"].as_slice(), &["-O", "1"], &["--optlevel=1"]] {
            let argv = ["ferrite", "compile", "m.mlir"].iter().chain(line);
            let Command::Compile(args) = Cli::try_parse_from(argv).unwrap().command else {
                panic!("{line:?}")
            };
            assert_eq!(args.flags.options(&Arc::default()).opt_level, OptLevel::O1);
        }
    }
}
