//! What the user asked for, as far as passes must know it: options of the compilation, which the command line fills, and
//! options of one pass, which stand behind its name in a pipeline's text.

use std::fmt;
use std::str::FromStr;

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::dtype::DType;

/// An option of a pass, for `ferrite passes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassOption {
    /// In kebab-case.
    pub name: &'static str,
    /// What it decides.
    pub doc: &'static str,
    /// What holds without it, as people read it.
    pub default: &'static str,
}

/// Options given to one pass: `{name=value,...}`. A name alone means `true`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The pass, for messages.
    pub pass: String,
    /// Names and values, in order.
    pub values: Vec<(String, String)>,
}

impl Settings {
    /// Sets `target` if the option was given.
    ///
    /// # Errors
    /// A value that does not read as a `T`.
    pub fn read<T: FromStr>(&self, name: &str, target: &mut T) -> Result<()> {
        if let Some(value) = self.get(name) {
            *target = value.parse().map_err(|_| self.bad(name, "a value of its type"))?;
        }
        Ok(())
    }

    /// The text of an option, if it was given.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.values.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The error of a value that is none of its option.
    pub fn bad(&self, name: &str, expected: &str) -> Diagnostic {
        let value = self.get(name).unwrap_or_default();
        let text = format!("`{value}` is no value of option `{name}` of `{}`", self.pass);
        Diagnostic::error(Code::Usage, text).help(format!("give {expected}; `ferrite passes {}` tells more", self.pass))
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.values.iter().enumerate() {
            let open = if index == 0 { "{" } else { "," };
            write!(f, "{open}{name}={value}")?;
        }
        f.write_str(if self.values.is_empty() { "" } else { "}" })
    }
}

/// `--auto-cast`: which FP32 operations are computed in the cast type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AutoCast {
    /// None.
    #[default]
    None,
    /// Those that run on the matrix engine.
    Matmult,
    /// Every FP32 operation.
    All,
}

/// `--auto-cast-type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CastType {
    /// 1-8-7.
    #[default]
    Bf16,
    /// 1-5-10; values beyond its range become infinite.
    Fp16,
    /// 1-8-10, stored as FP32.
    Tf32,
    /// 1-4-3 with infinities.
    Fp8E4m3,
}

impl CastType {
    /// The element type.
    pub const fn dtype(self) -> DType {
        match self {
            CastType::Bf16 => DType::BF16,
            CastType::Fp16 => DType::F16,
            CastType::Tf32 => DType::TF32,
            CastType::Fp8E4m3 => DType::F8E4M3,
        }
    }
}

/// Options of a compilation that passes read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileOptions {
    /// `--auto-cast`.
    pub auto_cast: AutoCast,
    /// `--auto-cast-type`.
    pub auto_cast_type: CastType,
    /// `--enable-mixed-precision-accumulation`: FP32 intermediates in operations that accumulate.
    pub mixed_precision_accumulation: bool,
    /// `--native-int64 enabled`: 64-bit integers stay.
    pub native_int64: bool,
    /// `--enable-saturate-infinity`: infinities become the largest finite value in transposes on the PE array.
    pub saturate_infinity: bool,
    /// `-O`: 1, 2 or 3.
    pub opt_level: u8,
    /// Names of the program's inputs, in order; `input<n>` where missing.
    pub input_names: Vec<String>,
    /// Names of the program's outputs, in order; `output<n>` where missing.
    pub output_names: Vec<String>,
    /// Passes of several steps run verifiers and independent checkers between them.
    pub verify_each: bool,
}

impl Default for CompileOptions {
    fn default() -> Self {
        CompileOptions {
            auto_cast: AutoCast::None,
            auto_cast_type: CastType::Bf16,
            mixed_precision_accumulation: true,
            native_int64: false,
            saturate_infinity: false,
            opt_level: 2,
            input_names: Vec::new(),
            output_names: Vec::new(),
            verify_each: cfg!(debug_assertions),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_by_name_and_shown_as_they_were_given() {
        let settings = Settings {
            pass: "schedule".into(),
            values: vec![("lookahead".into(), "16".into()), ("share".into(), "x".into())],
        };
        let (mut lookahead, mut share, mut other) = (512usize, 0.5f64, true);
        settings.read("lookahead", &mut lookahead).unwrap();
        settings.read("other", &mut other).unwrap();
        assert_eq!((lookahead, other), (16, true));
        let error = settings.read("share", &mut share).unwrap_err();
        assert!(error.message.contains("`x`") && error.message.contains("`share` of `schedule`"));
        assert_eq!(settings.to_string(), "{lookahead=16,share=x}");
        assert_eq!(Settings::default().to_string(), "");
    }
}
