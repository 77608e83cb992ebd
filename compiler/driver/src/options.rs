//! What a compilation is asked for, whoever asks.

use std::path::PathBuf;
use std::sync::Arc;

use ferrite_ir::diag::{Code, Diagnostic};
use ferrite_ir::machine::{Generation, MachineModel};
pub use ferrite_passes::hlo::bind_dimensions::DimBinding;
pub use ferrite_passes::options::{AutoCast, CastType};

use crate::compile;
use crate::extensions::Extensions;

/// Target when nobody names one (our choice: the cheapest instance to rent with a NeuronCore-v2).
pub const DEFAULT_TARGET: &str = "inf2";

/// Most instructions that a program may have unless `--internal-max-instruction-limit` says otherwise
/// (the limit documented with `NCC_EBVF030`).
pub const DEFAULT_MAX_INSTRUCTIONS: usize = 5_000_000;

/// The value of `--auto-cast` with this name; `matmul` is an older spelling.
pub fn auto_cast(name: &str) -> Result<AutoCast, Diagnostic> {
    match name {
        "none" => Ok(AutoCast::None),
        "matmult" | "matmul" => Ok(AutoCast::Matmult),
        "all" => Ok(AutoCast::All),
        _ => Err(bad_value("--auto-cast", name, "none, matmult or all")),
    }
}

/// The name of a value of `--auto-cast`.
pub fn auto_cast_name(value: AutoCast) -> &'static str {
    match value {
        AutoCast::None => "none",
        AutoCast::Matmult => "matmult",
        AutoCast::All => "all",
    }
}

/// The value of `--auto-cast-type` with this name.
pub fn cast_type(name: &str) -> Result<CastType, Diagnostic> {
    match name {
        "bf16" => Ok(CastType::Bf16),
        "fp16" => Ok(CastType::Fp16),
        "tf32" => Ok(CastType::Tf32),
        "fp8_e4m3" => Ok(CastType::Fp8E4m3),
        _ => Err(bad_value("--auto-cast-type", name, "bf16, fp16, tf32 or fp8_e4m3")),
    }
}

/// How much work goes into the code: the number of `-O`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum OptLevel {
    /// Core optimisations, least compile time.
    O1,
    /// The default balance.
    #[default]
    O2,
    /// Possibly faster code for a longer compilation.
    O3,
}

impl OptLevel {
    /// The value of `--optlevel` with this text.
    pub fn from_name(name: &str) -> Result<OptLevel, Diagnostic> {
        match name {
            "1" => Ok(OptLevel::O1),
            "2" => Ok(OptLevel::O2),
            "3" => Ok(OptLevel::O3),
            _ => Err(bad_value("--optlevel", name, "1, 2 or 3")),
        }
    }

    /// The number.
    pub fn number(self) -> u8 {
        match self {
            OptLevel::O1 => 1,
            OptLevel::O2 => 2,
            OptLevel::O3 => 3,
        }
    }
}

/// Integer operations that `--implicit-integer-downcast` lets run in fp32 (exact below 2^24) or 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntegerDowncast {
    /// `dot_general`.
    pub dot: bool,
    /// Scatter with a combining body.
    pub scatter: bool,
    /// `all_reduce`.
    pub all_reduce: bool,
    /// `reduce_scatter`.
    pub reduce_scatter: bool,
    /// 64-bit `power`.
    pub pow: bool,
}

impl Default for IntegerDowncast {
    fn default() -> Self {
        IntegerDowncast::all(true)
    }
}

impl IntegerDowncast {
    /// Everything permitted, or nothing.
    pub fn all(permitted: bool) -> IntegerDowncast {
        IntegerDowncast {
            dot: permitted,
            scatter: permitted,
            all_reduce: permitted,
            reduce_scatter: permitted,
            pow: permitted,
        }
    }

    /// `default`, `all`, `none`, or a list such as `dot,scatter`.
    pub fn from_name(name: &str) -> Result<IntegerDowncast, Diagnostic> {
        match name {
            "default" | "all" => return Ok(IntegerDowncast::all(true)),
            "none" => return Ok(IntegerDowncast::all(false)),
            _ => {}
        }
        let mut permitted = IntegerDowncast::all(false);
        for part in name.split(',') {
            match part.trim() {
                "dot" => permitted.dot = true,
                "scatter" => permitted.scatter = true,
                "all_reduce" => permitted.all_reduce = true,
                "reduce_scatter" => permitted.reduce_scatter = true,
                "pow" => permitted.pow = true,
                _ => {
                    return Err(bad_value(
                        "--implicit-integer-downcast",
                        name,
                        "default, all, none, or a comma list of dot, scatter, all_reduce, reduce_scatter and pow",
                    ));
                }
            }
        }
        Ok(permitted)
    }
}

/// Everything a compilation depends on besides its input.
#[derive(Clone, Debug, PartialEq)]
pub struct CompileOptions {
    /// Name of the program in the NEFF: by convention the output path without its extension.
    pub name: String,
    /// Names of the inputs in the NEFF, in order; `input<n>` where missing.
    pub input_names: Vec<String>,
    /// Names of the outputs in the NEFF, in order; `output<n>` where missing.
    pub output_names: Vec<String>,
    /// Target: one of [`ferrite_ir::machine::MachineModel::targets`].
    pub target: String,
    /// A machine model file that replaces the built-in one of [`CompileOptions::target`].
    pub machine: Option<PathBuf>,
    /// Sizes for dimensions that the model leaves open.
    pub dim_bindings: Vec<DimBinding>,
    /// Effort.
    pub opt_level: OptLevel,
    /// Which operations are computed in [`CompileOptions::auto_cast_type`].
    pub auto_cast: AutoCast,
    /// The lower precision of auto-cast.
    pub auto_cast_type: CastType,
    /// Accumulating operators keep fp32 intermediates.
    pub mixed_precision_accumulation: bool,
    /// Integer operations that may lose width.
    pub integer_downcast: IntegerDowncast,
    /// 64-bit integers keep their width (the first generation of targets has none).
    pub native_int64: bool,
    /// F8E4M3FN operands are taken as F8E4M3 (their bytes reinterpreted).
    pub fp8_e4m3fn_as_e4m3: bool,
    /// Physical cores of a logical core, each with a program of its own: `--lnc`.
    pub logical_core: u32,
    /// Largest program, in static instructions.
    pub max_instructions: usize,
    /// The archive of the NEFF is not compressed.
    pub uncompressed: bool,
    /// Each stage is checked by its verifier.
    pub verify_each: bool,
    /// Folder for a numbered file per pass.
    pub dump_ir: Option<PathBuf>,
    /// What is kept as text on the way (`Compiled::prints`).
    pub print: PrintPasses,
    /// A pipeline's text in place of that of the level of `-O`.
    pub passes: Option<String>,
    /// The pass after which the pipeline ends.
    pub stop_after: Option<String>,
    /// Passes, machines and pipelines of somebody else.
    pub extensions: Arc<Extensions>,
}

/// Which passes' programs are kept as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrintPasses {
    /// Before passes of these names.
    pub before: Vec<String>,
    /// After passes of these names.
    pub after: Vec<String>,
    /// Before every pass.
    pub before_all: bool,
    /// After every pass.
    pub after_all: bool,
    /// After every pass that changed the program, as a difference.
    pub changed: bool,
}

impl Default for CompileOptions {
    fn default() -> Self {
        CompileOptions {
            name: "file".to_string(),
            input_names: Vec::new(),
            output_names: Vec::new(),
            target: DEFAULT_TARGET.to_string(),
            machine: None,
            dim_bindings: Vec::new(),
            opt_level: OptLevel::default(),
            auto_cast: AutoCast::default(),
            auto_cast_type: CastType::default(),
            mixed_precision_accumulation: true,
            integer_downcast: IntegerDowncast::default(),
            native_int64: false,
            fp8_e4m3fn_as_e4m3: false,
            logical_core: 1,
            max_instructions: DEFAULT_MAX_INSTRUCTIONS,
            uncompressed: false,
            verify_each: cfg!(debug_assertions),
            dump_ir: None,
            print: PrintPasses::default(),
            passes: None,
            stop_after: None,
            extensions: Arc::default(),
        }
    }
}

impl CompileOptions {
    /// The machine to compile for: the file, if one was given, else an added or built-in target.
    ///
    /// # Errors
    /// A target that is not known, a file that cannot be read.
    pub fn machine_model(&self) -> Result<Arc<MachineModel>, Diagnostic> {
        compile::machine(&self.target, self.machine.as_deref(), &self.extensions)
    }

    /// The same without whatever shows what happens, for compilations that only serve another.
    pub fn quiet(&self) -> CompileOptions {
        CompileOptions {
            dump_ir: None,
            print: PrintPasses::default(),
            stop_after: None,
            ..self.clone()
        }
    }

    /// What passes must know of these options.
    pub fn for_passes(&self) -> ferrite_passes::options::CompileOptions {
        ferrite_passes::options::CompileOptions {
            auto_cast: self.auto_cast,
            auto_cast_type: self.auto_cast_type,
            mixed_precision_accumulation: self.mixed_precision_accumulation,
            native_int64: self.native_int64,
            opt_level: self.opt_level.number(),
            input_names: self.input_names.clone(),
            output_names: self.output_names.clone(),
            verify_each: self.verify_each || cfg!(debug_assertions),
            ..Default::default()
        }
    }
}

/// Whether a target keeps 64-bit integers when asked to: all but the first generation (documented).
pub fn has_native_int64(machine: &MachineModel) -> bool {
    machine.generation != Generation::V2
}

/// The error of a wrong option value.
pub fn bad_value(option: &str, value: &str, expected: &str) -> Diagnostic {
    Diagnostic::error(Code::Usage, format!("`{value}` is no value of `{option}`")).help(format!("give {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back() {
        for cast in [AutoCast::None, AutoCast::Matmult, AutoCast::All] {
            assert_eq!(auto_cast(auto_cast_name(cast)).unwrap(), cast);
        }
        assert!(cast_type("bf16").is_ok() && cast_type("BF16").is_err());
        for level in [OptLevel::O1, OptLevel::O2, OptLevel::O3] {
            assert_eq!(OptLevel::from_name(&level.number().to_string()).unwrap(), level);
        }
    }

    #[test]
    fn a_downcast_list_permits_only_what_it_names() {
        let some = IntegerDowncast::from_name("dot,pow").unwrap();
        assert!(some.dot && some.pow && !some.scatter && !some.all_reduce && !some.reduce_scatter);
        assert_eq!(IntegerDowncast::from_name("dots").unwrap_err().code, Code::Usage);
    }
}
