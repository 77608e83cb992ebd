//! The options of `neuronx-cc`: which exist, and what Ferrite does with each.
//!
//! Every option is in one of three classes: it changes the compilation, it is *noted* (accepted and named in the log
//! with the reason why it changes nothing here), or it is refused. None is ignored silently.

use std::path::PathBuf;

use ferrite_driver::options::{
    self, AutoCast, CastType, CompileOptions, DimBinding, IntegerDowncast, OptLevel, bad_value,
};
use ferrite_ir::diag::{Code, Diagnostic};
use ferrite_ir::machine::MachineModel;

use super::argv::{Arity, Given};
use super::log::Level;

/// Target when none is given: the documents require one, a client leaves it out and expects this.
const DEFAULT_TARGET: &str = "trn2";

/// An option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // described in TABLE
pub enum Opt {
    Framework,
    Target,
    ModelType,
    AutoCast,
    AutoCastType,
    NativeInt64,
    IntegerDowncast,
    DistributionStrategy,
    LogicalCores,
    OptLevel,
    MixedPrecisionOn,
    MixedPrecisionOff,
    SaturateInfinity,
    FastContextSwitch,
    FastLoading,
    Logfile,
    LogfileVerbose,
    Output,
    Verbose,
    Help,
    Version,
    ScratchpadPage,
    Pipeline,
    TensorizerOptions,
    HloOptions,
    MaxInstructions,
    CoresPerEngine,
    ExecuteRepetition,
    PipelineCores,
    FastMath,
    Fp32Cast,
    ExperimentalO1,
    LlmTraining,
    DimBinding,
    CacheDir,
    NoCache,
    RetryFailed,
    /// Accepted; the table says why it changes nothing.
    Noted,
}

/// An option's names and number of words.
pub struct Entry {
    /// Which one.
    pub option: Opt,
    /// Spellings.
    pub names: &'static [&'static str],
    /// Words that belong to it.
    pub arity: Arity,
    /// For `--help`: placeholder and description; or the reason of a noted option. Empty: not shown.
    pub help: &'static str,
}

const fn entry(option: Opt, arity: Arity, names: &'static [&'static str], help: &'static str) -> Entry {
    Entry {
        option,
        names,
        arity,
        help,
    }
}

/// Every option that is known by name.
#[rustfmt::skip]
pub const TABLE: &[Entry] = &[
    entry(Opt::Framework, Arity::Value, &["--framework"], "XLA: the only framework"),
    entry(Opt::Target, Arity::Value, &["--target"], "inf2, trn1, trn1n, trn2 or trn3 (default trn2)"),
    entry(Opt::Output, Arity::Value, &["--output", "-o"], "where the NEFF goes (default file.neff)"),
    entry(Opt::DimBinding, Arity::Value, &["--dim-binding"], "sizes of open dimensions: 0.1=16 for dimension 1 of parameter 0, or a name of the model; a comma list"),
    entry(Opt::OptLevel, Arity::Value, &["--optlevel", "-O"], "1, 2 or 3 (default 2)"),
    entry(Opt::ModelType, Arity::Value, &["--model-type"], "generic, transformer or unet-inference: a hint, noted in the log"),
    entry(Opt::AutoCast, Arity::Value, &["--auto-cast"], "none, matmult or all: fp32 operations computed in a lower precision (default none)"),
    entry(Opt::AutoCastType, Arity::Value, &["--auto-cast-type"], "bf16, fp16, tf32 or fp8_e4m3 (default bf16)"),
    entry(Opt::MixedPrecisionOn, Arity::Flag, &["--enable-mixed-precision-accumulation"], "accumulate in fp32 (default)"),
    entry(Opt::MixedPrecisionOff, Arity::Flag, &["--disable-mixed-precision-accumulation"], "accumulate in the operands' type"),
    entry(Opt::NativeInt64, Arity::Value, &["--native-int64"], "enabled, disabled or default: whether 64-bit integers are computed in 64 bits (default no; never on trn1 and inf2)"),
    entry(Opt::IntegerDowncast, Arity::Value, &["--implicit-integer-downcast"], "default, all, none, or a comma list of dot, scatter, all_reduce, reduce_scatter, pow"),
    entry(Opt::LogicalCores, Arity::Value, &["--logical-nc-config", "--lnc", "-lnc"], "physical cores of a logical core: 1 or 2 (default 2 on trn2 and trn3, 1 elsewhere)"),
    entry(Opt::DistributionStrategy, Arity::Value, &["--distribution-strategy", "--distribution_strategy"], "llm-training: a hint, noted in the log"),
    entry(Opt::SaturateInfinity, Arity::Flag, &["--enable-saturate-infinity"], "noted: transposes made by Ferrite move infinities unchanged"),
    entry(Opt::FastContextSwitch, Arity::Flag, &["--enable-fast-context-switch"], "noted: constants are always loaded on demand"),
    entry(Opt::FastLoading, Arity::Flag, &["--enable-fast-loading-neuron-binaries"], "do not compress the NEFF"),
    entry(Opt::Verbose, Arity::Value, &["--verbose"], "debug, info, warning, error, critical or a number (default warning)"),
    entry(Opt::Logfile, Arity::Value, &["--logfile"], "log file (default log-neuron-cc.txt)"),
    entry(Opt::LogfileVerbose, Arity::Value, &["--logfile-verbose"], "level of the log file (default info)"),
    entry(Opt::Help, Arity::Flag, &["--help", "-h"], "this text"),
    entry(Opt::Version, Arity::Flag, &["--version"], "version of the compiler"),
    entry(Opt::ScratchpadPage, Arity::Value, &["--hbm-scratchpad-page-size"], "megabytes, a multiple of 512 below 4096: no scratch variable may be larger"),
    entry(Opt::Pipeline, Arity::Words, &["--pipeline"], "`compile`, with `SaveTemps` to keep the program after each pass"),
    entry(Opt::MaxInstructions, Arity::Value, &["--internal-max-instruction-limit"], "largest program (default 5000000)"),
    entry(Opt::HloOptions, Arity::Value, &["--internal-hlo2tensorizer-options"], ""),
    entry(Opt::TensorizerOptions, Arity::Value, &["--tensorizer-options"], ""),
    entry(Opt::CoresPerEngine, Arity::Value, &["--internal-num-neuroncores-per-sengine"], ""),
    entry(Opt::ExecuteRepetition, Arity::Value, &["--execute-repetition"], ""),
    entry(Opt::PipelineCores, Arity::Value, &["--neuroncore-pipeline-cores"], ""),
    entry(Opt::FastMath, Arity::Value, &["--fast-math"], ""),
    entry(Opt::Fp32Cast, Arity::Value, &["--fp32-cast"], ""),
    entry(Opt::ExperimentalO1, Arity::Flag, &["--enable-experimental-O1"], ""),
    entry(Opt::LlmTraining, Arity::Flag, &["--llm-training"], ""),
    entry(Opt::Noted, Arity::Value, &["--internal-backend-options", "--internal-dma-order-constraints", "--internal-tensorizer-opt-level", "--internal-compiler-debug-mode"], ""),
    entry(Opt::Noted, Arity::Words, &["--internal-enable-dge-levels", "--internal-disable-dge-levels"], ""),
    entry(Opt::Noted, Arity::Flag, &["--enable-internal-neff-wrapper", "--disable-dge", "--disable-internal-io-dge", "--internal-disable-fma-on-ios",
        "--internal-bir-enable-sb-allocation", "--internal-print-after-all", "--internal-hoist-allgather",
        "--internal-skip-backend-allocation-opt-nki", "--internal-enable-separate-load-and-compute"], ""),
    entry(Opt::Noted, Arity::Value, &["--compile_workdir", "--workdir", "--log_level", "--dump"], ""),
    entry(Opt::CacheDir, Arity::Value, &["--cache_dir"], "folder or URL of the compile cache, if FERRITE_COMPILE_CACHE switches it on"),
    entry(Opt::NoCache, Arity::Flag, &["--no_cache", "--no-cache"], "do not use the compile cache"),
    entry(Opt::RetryFailed, Arity::Flag, &["--retry_failed_compilation"], "compile again what the compile cache remembers as failed"),
];

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// For the compiler.
    pub compile: CompileOptions,
    /// Where the NEFF goes, if that was said.
    pub output: Option<PathBuf>,
    /// Where the log goes.
    pub logfile: PathBuf,
    /// Level of the console.
    pub verbose: Level,
    /// Level of the log file.
    pub logfile_verbose: Level,
    /// The program after each pass is kept in the current folder.
    pub save_temps: bool,
    /// Largest scratch variable in bytes, if limited.
    pub scratchpad_page: Option<u64>,
    /// Folder or URL of the compile cache.
    pub cache_dir: Option<String>,
    /// The compile cache is not to be used.
    pub no_cache: bool,
    /// What the compile cache remembers as failed is compiled again.
    pub retry_failed: bool,
    /// The options on which the NEFF depends, as they were given: part of its name in the cache.
    pub key_flags: Vec<String>,
    /// What was accepted without effect, one sentence each, for the log.
    pub notes: Vec<String>,
}

/// Gives the options their meaning, in order: the right-most wins.
pub fn settings(given: &[Given]) -> Result<Settings, Vec<Diagnostic>> {
    let mut s = Settings {
        compile: CompileOptions {
            target: DEFAULT_TARGET.to_string(),
            ..CompileOptions::default()
        },
        output: None,
        logfile: PathBuf::from("log-neuron-cc.txt"),
        verbose: Level::WARNING,
        logfile_verbose: Level::INFO,
        save_temps: false,
        scratchpad_page: None,
        cache_dir: None,
        no_cache: false,
        retry_failed: false,
        key_flags: key_flags(given),
        notes: Vec::new(),
    };
    let mut seen = Seen::default();
    let mut errors = Vec::new();
    for given in given {
        if let Err(error) = apply(given, &mut s, &mut seen) {
            errors.push(error);
        }
    }
    if !given.iter().any(|g| g.option == Some(Opt::Target)) {
        s.notes.push(format!("no `--target`: compiling for {DEFAULT_TARGET}"));
    }
    let narrow = MachineModel::target(&s.compile.target).is_ok_and(|m| !options::has_native_int64(&m));
    if s.compile.native_int64 && narrow {
        let text = format!(
            "`--native-int64 enabled` has no effect: {} computes in 32 bits",
            s.compile.target
        );
        s.notes.push(text);
    }
    if let Err(error) = seen.check_cores(&mut s) {
        errors.push(error);
    }
    if errors.is_empty() { Ok(s) } else { Err(errors) }
}

/// The options on which the result depends; not where it and its messages go.
fn key_flags(given: &[Given]) -> Vec<String> {
    let elsewhere = |option| {
        use Opt::*;
        matches!(
            option,
            Framework | Output | Logfile | LogfileVerbose | Verbose | Pipeline | CacheDir | NoCache | RetryFailed
        )
    };
    let kept = given.iter().filter(|g| !g.option.is_some_and(elsewhere));
    // Where temporary files go changes no result either.
    let kept =
        kept.filter(|g| !["--compile_workdir", "--workdir", "--log_level", "--dump"].contains(&g.spelled.as_str()));
    kept.flat_map(|g| g.tokens.iter().cloned()).collect()
}

/// What can only be judged when all options are known.
#[derive(Default)]
struct Seen {
    /// Logical core size, and whether by the current spelling.
    cores: Option<(u64, bool)>,
}

impl Seen {
    fn check_cores(&self, s: &mut Settings) -> Result<(), Diagnostic> {
        // An unknown target has its own error already.
        let Ok(machine) = MachineModel::target(&s.compile.target) else {
            return Ok(());
        };
        let supported = &machine.chip.logical_core_allowed;
        match self.cores {
            Some((n, _)) if !supported.contains(&n) => Err(Diagnostic::error(
                Code::Ncc("EARG001"),
                format!(
                    "a logical core of {n} physical cores does not exist on {}",
                    machine.name
                ),
            )
            .help(format!("give one of {supported:?}"))),
            given => {
                let n = given.map_or(machine.chip.logical_core_default, |(n, _)| n);
                s.compile.logical_core = n as u32;
                if n > 1 {
                    s.notes.push(format!(
                        "a logical core of {n} physical cores: the first does the work, the others have empty programs"
                    ));
                }
                Ok(())
            }
        }
    }
}

fn apply(given: &Given, s: &mut Settings, seen: &mut Seen) -> Result<(), Diagnostic> {
    let value = given.values.first().map(String::as_str).unwrap_or_default();
    let name = given.spelled.as_str();
    let Some(option) = given.option else {
        s.notes
            .push(format!("unknown option `{}` has no effect", spelled(given)));
        return Ok(());
    };
    match option {
        Opt::Framework => {
            let known = ["xla", "stablehlo"];
            if !known.contains(&value.to_ascii_lowercase().as_str()) {
                return Err(bad_value(name, value, "XLA"));
            }
        }
        Opt::Target => {
            MachineModel::target(value)?;
            s.compile.target = value.to_string();
        }
        Opt::ModelType => {
            let known = [
                "generic",
                "transformer",
                "unet-inference",
                "cnn-training",
                "transformer-inference",
            ];
            let what = if known.contains(&value) {
                "is a hint and"
            } else {
                "is unknown, taken as generic, and"
            };
            s.notes
                .push(format!("`--model-type {value}` {what} does not change the code"));
        }
        Opt::AutoCast => s.compile.auto_cast = options::auto_cast(value)?,
        Opt::AutoCastType => s.compile.auto_cast_type = options::cast_type(value)?,
        Opt::NativeInt64 => match value {
            "default" | "disabled" => s.compile.native_int64 = false,
            "enabled" => s.compile.native_int64 = true,
            _ => return Err(bad_value(name, value, "default, enabled or disabled")),
        },
        Opt::IntegerDowncast => s.compile.integer_downcast = IntegerDowncast::from_name(value)?,
        Opt::LogicalCores => seen.cores = Some((number(name, value)?, true)),
        Opt::CoresPerEngine => {
            if !seen.cores.is_some_and(|(_, current)| current) {
                seen.cores = Some((number(name, value)?, false));
            }
        }
        Opt::DimBinding => {
            for part in value.split(',') {
                s.compile.dim_bindings.push(DimBinding::parse(part)?);
            }
        }
        Opt::OptLevel => s.compile.opt_level = OptLevel::from_name(value)?,
        Opt::ExperimentalO1 => s.compile.opt_level = OptLevel::O1,
        Opt::MixedPrecisionOn => s.compile.mixed_precision_accumulation = true,
        Opt::MixedPrecisionOff => s.compile.mixed_precision_accumulation = false,
        Opt::FastLoading => s.compile.uncompressed = true,
        Opt::Output => s.output = Some(PathBuf::from(value)),
        Opt::CacheDir => s.cache_dir = Some(value.to_string()),
        Opt::NoCache => s.no_cache = true,
        Opt::RetryFailed => s.retry_failed = true,
        Opt::Logfile => s.logfile = PathBuf::from(value),
        Opt::Verbose => s.verbose = level(name, value)?,
        Opt::LogfileVerbose => s.logfile_verbose = level(name, value)?,
        Opt::ScratchpadPage => {
            let megabytes: u64 = number(name, value)?;
            if megabytes == 0 || !megabytes.is_multiple_of(512) || megabytes >= 4096 {
                return Err(bad_value(name, value, "a multiple of 512 below 4096"));
            }
            s.scratchpad_page = Some(megabytes << 20);
        }
        Opt::MaxInstructions => s.compile.max_instructions = number(name, value)?,
        Opt::Pipeline => {
            s.save_temps = false;
            for word in &given.values {
                match word.as_str() {
                    "compile" => {}
                    "SaveTemps" => s.save_temps = true,
                    _ => {
                        return Err(
                            Diagnostic::error(Code::Unsupported, format!("no pipeline stage `{word}`"))
                                .help("give `--pipeline compile` or `--pipeline compile SaveTemps`"),
                        );
                    }
                }
            }
        }
        Opt::HloOptions => {
            for word in value.split_whitespace() {
                match word {
                    "--experimental-unsafe-fp8e4m3fn-as-fp8e4m3" => s.compile.fp8_e4m3fn_as_e4m3 = true,
                    "--verify-hlo=true" => s.compile.verify_each = true,
                    "--verify-hlo=false" => s.compile.verify_each = false,
                    _ => s.notes.push(format!("`{name}`: `{word}` has no effect")),
                }
            }
        }
        Opt::TensorizerOptions => {
            for word in value.split_whitespace() {
                if word == "--print-nki" {
                    return Err(Diagnostic::error(Code::Unsupported, "`--print-nki` is not supported")
                        .help("`--pipeline compile SaveTemps` keeps the program after each pass"));
                }
                s.notes.push(format!("`{name}`: `{word}` has no effect"));
            }
        }
        Opt::ExecuteRepetition => {
            if number::<u64>(name, value)? != 1 {
                s.notes.push(format!(
                    "`{name} {value}`: a NEFF runs once whenever the runtime starts it"
                ));
            }
        }
        Opt::PipelineCores => {
            if number::<u64>(name, value)? != 1 {
                s.notes.push(format!(
                    "`{name} {value}`: the program is for one core, not cut over several"
                ));
            }
        }
        Opt::FastMath => fast_math(value, s)?,
        Opt::Fp32Cast => fp32_cast(name, value, s)?,
        Opt::DistributionStrategy => {
            let known = ["llm-training", "nemo", "fsdp"];
            if !known.contains(&value.to_ascii_lowercase().as_str()) {
                return Err(bad_value(name, value, "llm-training"));
            }
            s.notes
                .push(format!("`{name} {value}` is a hint and does not change the code"));
        }
        Opt::SaturateInfinity => s
            .notes
            .push(format!("`{name}`: transposes of Ferrite move infinities unchanged")),
        Opt::FastContextSwitch => s.notes.push(format!("`{name}`: constants are always loaded on demand")),
        Opt::LlmTraining | Opt::Noted => s.notes.push(format!("option `{}` has no effect", spelled(given))),
        Opt::Help | Opt::Version => {}
    }
    Ok(())
}

/// The words of the old `--fast-math` that choose a cast.
fn fast_math(value: &str, s: &mut Settings) -> Result<(), Diagnostic> {
    for word in value.split([' ', ',']).filter(|w| !w.is_empty()) {
        match word {
            "none" | "no-fast-relayout" => s.compile.auto_cast = AutoCast::None,
            "all" | "fp32-cast-all" => fp32_cast("--fast-math", "all", s)?,
            "fp32-cast-all-fp16" => fp32_cast("--fast-math", "all-fp16", s)?,
            "fp32-cast-matmult" => fp32_cast("--fast-math", "matmult", s)?,
            "fp32-cast-matmult-bf16" => fp32_cast("--fast-math", "matmult-bf16", s)?,
            "fp32-cast-matmult-fp16" => fp32_cast("--fast-math", "matmult-fp16", s)?,
            "fast-relayout" => s
                .notes
                .push("`--fast-math fast-relayout`: transposes of Ferrite are exact".into()),
            _ => {
                return Err(bad_value(
                    "--fast-math",
                    word,
                    "none, all, or fp32-cast-{all,matmult}[-{bf16,fp16}]",
                ));
            }
        }
    }
    Ok(())
}

fn fp32_cast(name: &str, value: &str, s: &mut Settings) -> Result<(), Diagnostic> {
    let (cast, ty) = match value {
        "all" => (AutoCast::All, CastType::Bf16),
        "all-fp16" => (AutoCast::All, CastType::Fp16),
        "matmult" | "matmult-bf16" => (AutoCast::Matmult, CastType::Bf16),
        "matmult-fp16" => (AutoCast::Matmult, CastType::Fp16),
        _ => {
            return Err(bad_value(
                name,
                value,
                "all, all-fp16, matmult, matmult-bf16 or matmult-fp16",
            ));
        }
    };
    s.compile.auto_cast = cast;
    s.compile.auto_cast_type = ty;
    Ok(())
}

fn spelled(given: &Given) -> String {
    let mut text = given.spelled.clone();
    for value in &given.values {
        text.push(' ');
        text.push_str(value.trim());
    }
    text
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, Diagnostic> {
    value.parse().map_err(|_| bad_value(name, value, "a number"))
}

fn level(name: &str, value: &str) -> Result<Level, Diagnostic> {
    Level::from_name(value).ok_or_else(|| bad_value(name, value, "debug, info, warning, error, critical or a number"))
}

#[cfg(test)]
mod tests {
    use super::super::argv::split;
    use super::*;

    fn parse(line: &[&str]) -> Result<Settings, Vec<Diagnostic>> {
        let argv: Vec<String> = line.iter().map(ToString::to_string).collect();
        settings(&split(&argv, &|_| false)?.options)
    }

    #[test]
    fn the_right_most_wins() {
        let s = parse(&[
            "-O1",
            "--auto-cast=all",
            "--optlevel",
            "3",
            "--auto-cast",
            "matmul",
            "-o",
            "a/m.neff",
        ])
        .unwrap();
        assert_eq!(s.compile.opt_level, OptLevel::O3);
        assert_eq!(s.compile.auto_cast, AutoCast::Matmult);
        assert_eq!(s.output, Some("a/m.neff".into()));
    }

    #[test]
    fn the_lists_of_real_clients_are_accepted() {
        let nxdi = [
            "--enable-saturate-infinity",
            "--enable-mixed-precision-accumulation",
            "--model-type",
            "transformer",
            "-O1",
            "--tensorizer-options=--enable-ccop-compute-overlap --cc-pipeline-tiling-factor=2 --vectorize-strided-dma ",
            "--lnc=1",
            "--hbm-scratchpad-page-size=1024",
            "--internal-enable-dge-levels",
            "spill_reload",
            "--internal-hlo2tensorizer-options=--experimental-unsafe-fp8e4m3fn-as-fp8e4m3 --verify-hlo=true",
            "--target",
            "trn1",
            "--verbose=35",
        ];
        let s = parse(&nxdi).unwrap();
        assert!(s.compile.fp8_e4m3fn_as_e4m3 && s.compile.verify_each);
        assert_eq!(s.scratchpad_page, Some(1 << 30));
        assert_eq!(s.verbose, Level(35));
        assert!(s.notes.iter().any(|n| n.contains("--cc-pipeline-tiling-factor=2")));

        let zml = [
            "--target=trn2",
            "--optlevel=1",
            "--model-type=transformer",
            "--enable-fast-loading-neuron-binaries",
            "--enable-fast-context-switch",
            "--verbose",
            "error",
            "--logfile-verbose",
            "error",
            "--logfile=x.txt",
        ];
        assert!(parse(&zml).unwrap().compile.uncompressed);
        let tf = [
            "--fast-math=none",
            "--fp32-cast=matmult-fp16",
            "--pipeline",
            "compile",
            "SaveTemps",
        ];
        let s = parse(&tf).unwrap();
        assert_eq!(
            (s.compile.auto_cast, s.compile.auto_cast_type),
            (AutoCast::Matmult, CastType::Fp16)
        );
        assert!(s.save_temps);
    }

    #[test]
    fn what_is_not_supported_is_refused() {
        for line in [
            &["--native-int64", "perhaps"][..],
            &["--target", "inf1"],
            &["--framework", "TENSORFLOW"],
            &["--hbm-scratchpad-page-size=1000"],
            &["--execute-repetition=often"],
            &["--neuroncore-pipeline-cores=all"],
            &["--pipeline", "tensorize", "SaveTemps"],
        ] {
            assert!(parse(line).is_err(), "{line:?}");
        }
        let error = &parse(&["--target", "inf2", "--lnc", "2"]).unwrap_err()[0];
        assert_eq!(error.code, Code::Ncc("EARG001"));
    }

    #[test]
    fn what_older_clients_count_is_noted() {
        let s = parse(&["--execute-repetition=5", "--neuroncore-pipeline-cores", "4"]).unwrap();
        for name in ["--execute-repetition 5", "--neuroncore-pipeline-cores 4"] {
            assert!(s.notes.iter().any(|n| n.contains(name)), "{:?}", s.notes);
        }
        assert!(
            parse(&["--execute-repetition=1"])
                .unwrap()
                .notes
                .iter()
                .all(|n| !n.contains("repetition"))
        );
    }

    #[test]
    fn native_integers_are_those_of_later_targets() {
        let on = |target: &str| parse(&["--native-int64", "enabled", "--target", target]).unwrap();
        assert!(on("trn2").compile.native_int64 && !on("trn2").notes.iter().any(|n| n.contains("int64")));
        assert!(on("trn1").notes.iter().any(|n| n.contains("--native-int64")));
        let off = parse(&["--native-int64=enabled", "--native-int64=default", "--target=trn2"]).unwrap();
        assert!(!off.compile.native_int64);
    }

    #[test]
    fn a_key_has_what_decides_the_result_as_it_was_given() {
        let s = parse(&[
            "--target=trn1",
            "--framework",
            "XLA",
            "-O1",
            "--lnc",
            "1",
            "-o",
            "x",
            "--verbose=35",
            "--logfile=y",
        ]);
        assert_eq!(s.unwrap().key_flags, ["--target=trn1", "-O1", "--lnc", "1"]);
    }

    #[test]
    fn a_logical_core_has_the_size_of_the_target_or_what_is_asked_for() {
        let size = |line: &[&str]| parse(line).unwrap().compile.logical_core;
        assert_eq!(size(&["--target", "trn2"]), 2);
        assert_eq!(size(&["--target", "trn2", "--lnc=1"]), 1);
        assert_eq!(size(&["--target", "trn3", "-lnc", "2"]), 2);
        assert_eq!(size(&["--target", "trn1"]), 1);
        assert_eq!(
            size(&["--internal-num-neuroncores-per-sengine=1", "--target", "trn2"]),
            1
        );
    }

    #[test]
    fn no_name_stands_twice_in_the_table() {
        let mut names: Vec<&str> = TABLE.iter().flat_map(|e| e.names).copied().collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
