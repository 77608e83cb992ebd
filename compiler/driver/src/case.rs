//! Cases of the corpus: a program with inputs and expected results, each in a folder of its own.
//!
//! The corpus' README describes the files; here its rules for generated inputs, sampled outputs and tolerances.

use std::path::{Path, PathBuf};

use ferrite_interp::Tensor;
use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::TensorType;
use serde::Deserialize;

use crate::arrays::{read_npz, take_numbered};
use crate::compare::{Comparison, Tolerance, compare};
use crate::files;

/// What arithmetic a result was computed with; each has its own tolerances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// All in the types the program says.
    AsWritten,
    /// Operands of f32 contractions rounded to bf16.
    Bf16Matmult,
}

/// `case.json`, as far as we read it.
#[derive(Clone, Debug, Deserialize)]
pub struct Description {
    /// Name of the case; of its folder.
    pub name: String,
    /// What it is there for.
    #[serde(default)]
    pub exercises: String,
    /// Devices the program runs on.
    #[serde(default = "one")]
    pub num_devices: usize,
    /// Whether `expected.npz` is there.
    #[serde(default)]
    pub has_golden: bool,
    /// Parameters of the entry function.
    #[serde(default)]
    pub inputs: Vec<Argument>,
    /// Results of the entry function.
    #[serde(default)]
    pub outputs: Vec<Output>,
    /// Per output, where known.
    #[serde(default)]
    pub tolerance: Vec<OutputTolerance>,
    /// Twice the multiply-adds of all contractions.
    #[serde(default)]
    pub matmul_flops: f64,
}

fn one() -> usize {
    1
}

/// A parameter.
#[derive(Clone, Debug, Deserialize)]
pub struct Argument {
    /// Sizes.
    pub shape: Vec<i64>,
    /// Name of the element type in StableHLO.
    pub dtype: String,
    /// Path in the model's argument tree.
    #[serde(default)]
    pub name: String,
    /// How to make it, where no file holds it.
    pub generate: Option<Generate>,
}

/// A rule for an argument's elements.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs)] // the names are the corpus'
pub enum Generate {
    /// Evenly spread between two bounds.
    Uniform { seed: u64, lo: f64, hi: f64 },
    /// Integers from `lo` to below `hi`.
    Int { seed: u64, lo: i64, hi: i64 },
    /// One number everywhere.
    Constant { value: f64 },
    /// 1 where the last index is below the limit, else 0.
    LessThan { limit: i64 },
    /// The last index plus a start.
    Arange {
        #[serde(default)]
        start: i64,
    },
}

/// A result.
#[derive(Clone, Debug, Deserialize)]
pub struct Output {
    /// Sizes.
    pub shape: Vec<i64>,
    /// Name of the element type in StableHLO.
    pub dtype: String,
    /// `expected.npz` holds every so-manieth element only.
    pub sample_stride: Option<usize>,
    /// Euclidean norm of all elements.
    pub l2_norm: Option<f64>,
}

/// Tolerances of one output.
#[derive(Clone, Debug, Deserialize)]
pub struct OutputTolerance {
    /// Which output.
    pub index: usize,
    /// All arithmetic in the type the program says.
    pub none: Bounds,
    /// Contractions on bf16.
    pub bf16_matmult: Option<Bounds>,
}

/// Absolute and relative bound.
#[derive(Clone, Copy, Debug, Deserialize)]
#[allow(missing_docs)] // the names are the corpus'
pub struct Bounds {
    pub atol: f64,
    pub rtol: f64,
    #[serde(default)]
    pub mismatch_fraction: f64,
}

/// A case of the corpus.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its folder.
    pub folder: PathBuf,
    /// What `case.json` says.
    pub description: Description,
}

/// The element type with this StableHLO name.
fn dtype(name: &str) -> Result<DType> {
    DType::from_mlir(name).ok_or_else(|| Diagnostic::error(Code::Io, format!("`{name}` is no element type")))
}

impl Case {
    /// Reads the description of the case in a folder.
    ///
    /// # Errors
    /// If `case.json` is missing or malformed.
    pub fn load(folder: &Path) -> Result<Case> {
        let path = folder.join("case.json");
        let text = files::read(&path)?;
        let description = serde_json::from_slice(&text)
            .map_err(|e| Diagnostic::error(Code::Io, format!("`{}`: {e}", path.display())))?;
        Ok(Case {
            folder: folder.to_path_buf(),
            description,
        })
    }

    /// All cases below a folder, sorted by path. Folders without `case.json` are searched, others are not.
    pub fn find(root: &Path) -> Result<Vec<Case>> {
        let mut folders = vec![root.to_path_buf()];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            if folder.join("case.json").is_file() {
                found.push(folder);
                continue;
            }
            let entries = std::fs::read_dir(&folder).map_err(|e| files::failure(&folder, &e))?;
            folders.extend(entries.filter_map(|e| e.ok()).map(|e| e.path()).filter(|p| p.is_dir()));
        }
        found.sort();
        found.iter().map(|f| Case::load(f)).collect()
    }

    /// A file of the case, if it is there.
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        Some(self.folder.join(name)).filter(|p| p.is_file())
    }

    /// The arguments: read, or generated by the corpus' rules.
    ///
    /// # Errors
    /// If a file is missing or malformed.
    pub fn inputs(&self) -> Result<Vec<Tensor>> {
        let arguments = &self.description.inputs;
        let dtypes = arguments.iter().map(|a| dtype(&a.dtype)).collect::<Result<Vec<_>>>()?;
        if arguments.iter().any(|a| a.generate.is_some()) {
            let each = arguments.iter().zip(&dtypes).enumerate();
            return each.map(|(i, (a, &dtype))| generate(a, dtype, i)).collect();
        }
        if arguments.is_empty() {
            return Ok(Vec::new());
        }
        take_numbered(&mut read_npz(&self.folder.join("inputs.npz"))?, "arg", &dtypes)
    }

    /// The expected results; sampled ones are flat lists of the samples.
    ///
    /// # Errors
    /// If the file is missing or malformed.
    pub fn expected(&self) -> Result<Vec<Tensor>> {
        let dtypes = self
            .description
            .outputs
            .iter()
            .map(|o| dtype(&o.dtype))
            .collect::<Result<Vec<_>>>()?;
        take_numbered(&mut read_npz(&self.folder.join("expected.npz"))?, "out", &dtypes)
    }

    /// The tolerance of an output. Cases that name none get 1e-5 of the largest expected element, or what the dtype
    /// resolves if that is coarser. Floats may always be one rounding step off: that is what another order of summation
    /// costs.
    pub fn tolerance(&self, output: usize, arithmetic: Arithmetic, expected: &Tensor) -> Tolerance {
        let named = self.description.tolerance.iter().find(|t| t.index == output);
        let bounds = named.map(|t| match arithmetic {
            Arithmetic::AsWritten => t.none,
            Arithmetic::Bf16Matmult => t.bf16_matmult.unwrap_or(t.none),
        });
        let step = match expected.dtype() {
            DType::F32 | DType::TF32 | DType::C64 => f64::from(f32::EPSILON),
            DType::F64 | DType::C128 => f64::EPSILON,
            other => other.minifloat().map_or(0.0, |f| 2f64.powi(-(f.mantissa_bits as i32))),
        };
        match bounds {
            Some(b) => Tolerance {
                atol: b.atol,
                rtol: b.rtol.max(step),
                mismatch_fraction: b.mismatch_fraction,
            },
            None => {
                let steps = match expected.dtype().minifloat() {
                    Some(format) => 2f64.powi(1 - format.mantissa_bits as i32),
                    None => 1e-5,
                };
                let loose = if arithmetic == Arithmetic::Bf16Matmult {
                    steps.max(2e-2)
                } else {
                    steps
                };
                let sizes = expected.to_parts().into_iter().map(|p| p.0.hypot(p.1));
                let largest = sizes.filter(|v| v.is_finite());
                Tolerance::new(loose * largest.fold(0.0, f64::max), loose)
            }
        }
    }

    /// Compares results with the expected ones, output by output.
    ///
    /// # Errors
    /// If the expected results cannot be read.
    pub fn check(&self, results: &[Tensor], arithmetic: Arithmetic) -> Result<Vec<Comparison>> {
        let expected = self.expected()?;
        if expected.len() != results.len() {
            let message = format!("{} results were given, {} are expected", results.len(), expected.len());
            return Err(Diagnostic::error(Code::Mismatch, message));
        }
        let mut out = Vec::new();
        for (i, (got, want)) in results.iter().zip(&expected).enumerate() {
            let description = &self.description.outputs[i];
            let sampled = match description.sample_stride {
                Some(_) if got.shape()[..] != description.shape[..] => {
                    out.push(Comparison::refused(format!(
                        "the result is {}, not {:?}",
                        got.ty(),
                        description.shape
                    )));
                    continue;
                }
                Some(stride) => sample(got, stride)?,
                None => got.clone(),
            };
            out.push(compare(&sampled, want, self.tolerance(i, arithmetic, want)));
        }
        Ok(out)
    }
}

/// Elements 0, s, 2s, ... as a flat tensor.
fn sample(x: &Tensor, stride: usize) -> Result<Tensor> {
    let width = x.dtype().bytes();
    let picked: Vec<&[u8]> = x.bytes().chunks_exact(width).step_by(stride.max(1)).collect();
    let ty = TensorType::new(x.dtype(), &[picked.len() as i64]);
    Tensor::new(ty, &picked.concat()).ok_or_else(|| Diagnostic::bug("samples have the width of their type"))
}

/// The upper half of splitmix64 for a counter.
fn hash(seed: u64, k: u64) -> u32 {
    let mut z = (seed << 32).wrapping_add(k).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 32) as u32
}

/// Makes an argument by its rule.
fn generate(argument: &Argument, dtype: DType, index: usize) -> Result<Tensor> {
    let ty = TensorType::new(dtype, &argument.shape);
    let count = ty.element_count() as u64;
    let last = argument.shape.last().copied().unwrap_or(1).max(1) as u64;
    let bad = |what: &str| Diagnostic::error(Code::Io, format!("argument {index} of the case {what}"));
    let integers = |f: &dyn Fn(u64) -> i64| Tensor::from_i64_vec(ty.clone(), (0..count).map(f).collect());
    let rule = argument
        .generate
        .as_ref()
        .ok_or_else(|| bad("has neither data nor a rule"))?;
    let made = match *rule {
        Generate::Uniform { seed, lo, hi } => {
            let element = |k: u64| (lo + (hi - lo) * f64::from(hash(seed, k) >> 8) / 16_777_216.0) as f32;
            // Rounded to f32 first, whatever the argument's type is.
            Tensor::from_f64_vec(ty, (0..count).map(|k| f64::from(element(k))).collect())
        }
        Generate::Int { seed, lo, hi } => {
            let span = hi
                .checked_sub(lo)
                .filter(|&n| n > 0)
                .ok_or_else(|| bad("has an empty range"))?;
            integers(&|k| lo + i64::from(hash(seed, k)) % span)
        }
        Generate::Constant { value } => Tensor::from_f64_vec(ty, vec![value; count as usize]),
        Generate::LessThan { limit } => integers(&|k| i64::from(((k % last) as i64) < limit)),
        Generate::Arange { start } => integers(&|k| (k % last) as i64 + start),
    };
    made.ok_or_else(|| bad("has no known shape"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_gives_the_published_numbers() {
        assert_eq!(
            [0, 1, 2, 3].map(|k| hash(1, k)),
            [3291240986, 541299110, 3010476760, 2718182842]
        );
        assert_eq!([0, 1, 2].map(|k| hash(7, k)), [3168421504, 440314428, 2802766292]);
        let argument: Argument = serde_json::from_str(
            r#"{"shape": [4], "dtype": "f32", "generate": {"kind": "uniform", "lo": -1, "hi": 1, "seed": 1}}"#,
        )
        .expect("reads");
        let made = generate(&argument, DType::F32, 0).expect("makes");
        let want: Vec<f64> = [0.5326035f32, -0.74793804, 0.40186238, 0.26575243]
            .map(f64::from)
            .to_vec();
        assert_eq!(made.to_f64_vec(), want);
    }

    #[test]
    fn masks_and_ranges_count_along_the_last_dimension() {
        let make = |rule: &str| {
            let text = format!(r#"{{"shape": [2, 3], "dtype": "i32", "generate": {rule}}}"#);
            let argument: Argument = serde_json::from_str(&text).expect("reads");
            generate(&argument, DType::I32, 0).expect("makes").to_f64_vec()
        };
        assert_eq!(
            make(r#"{"kind": "less_than", "limit": 2}"#),
            [1.0, 1.0, 0.0, 1.0, 1.0, 0.0]
        );
        assert_eq!(
            make(r#"{"kind": "arange", "start": 5}"#),
            [5.0, 6.0, 7.0, 5.0, 6.0, 7.0]
        );
    }

    #[test]
    fn samples_are_taken_with_the_stride() {
        let x = Tensor::from_f32(&[2, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]).expect("fits");
        assert_eq!(sample(&x, 4).expect("samples").to_f64_vec(), [0.0, 4.0]);
    }
}
