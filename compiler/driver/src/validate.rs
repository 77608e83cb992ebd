//! Compile, simulate, compare.
//!
//! The reference is the interpreter on the imported module, before any pass (after auto-cast's own rewrite where a
//! lower precision was asked for). Expected arrays, where there are some, are compared besides.

use std::path::Path;

use ferrite_interp::{Tensor, interpret};
use ferrite_ir::diag::{Code, Diagnostic};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::Module;
use ferrite_passes::hlo::bind_dimensions;
use ferrite_passes::program::Program;
use ferrite_report::{Profile, Summary};
use serde::Serialize;

use crate::arrays;
use crate::case::{Arithmetic, Bounds, Case, OutputTolerance};
use crate::compare::{Comparison, Tolerance, compare};
use crate::compile::{self, Compiled};
use crate::conformance;
use crate::model;
use crate::options::{AutoCast, CompileOptions, auto_cast_name};
use crate::record::{Recorder, Timing};
use crate::run::{self, RunOptions};
use crate::{manager, pipeline, random};

/// What a validation depends on besides model and arrays.
#[derive(Clone, Debug)]
pub struct ValidateOptions {
    /// How to compile.
    pub compile: CompileOptions,
    /// Relative tolerance in place of the case's or the default.
    pub rtol: Option<f64>,
    /// Absolute tolerance in place of the case's or the default.
    pub atol: Option<f64>,
    /// Whether the profile holds a timeline.
    pub timeline: bool,
    /// Which random inputs a model gets that is given none.
    pub seed: Option<u64>,
}

/// Outcome of a validation.
pub struct Validation {
    /// What is printed.
    pub report: Report,
    /// The simulated run.
    pub profile: Profile,
    /// What was compiled.
    pub compiled: Compiled,
}

/// The object of `validate --json`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether every output agrees with the interpreter and with what was expected.
    pub ok: bool,
    /// `--auto-cast`.
    pub auto_cast: &'static str,
    /// The outputs.
    pub outputs: Vec<OutputReport>,
    /// The simulated run.
    #[serde(flatten)]
    pub summary: Summary,
    /// Steps of the compilation.
    pub passes: Vec<Timing>,
}

/// One output.
#[derive(Clone, Debug, Serialize)]
pub struct OutputReport {
    /// Position.
    pub index: usize,
    /// Type.
    #[serde(rename = "type")]
    pub ty: String,
    /// Shape.
    pub shape: Vec<i64>,
    /// Whether it agrees with the interpreter and with what was expected.
    pub ok: bool,
    /// Largest absolute difference from the interpreter.
    pub max_abs_err: f64,
    /// Largest relative difference from the interpreter.
    pub max_rel_err: f64,
    /// What was allowed.
    pub tolerance: Tolerance,
    /// Against the interpreter.
    pub interpreter: Comparison,
    /// Against what was expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<Comparison>,
}

/// Validates a case folder of the corpus.
///
/// # Errors
/// A case that cannot be read, and whatever stops compiler, simulator or interpreter. Differing numbers are no error
/// but [`Report::ok`].
pub fn case(folder: &Path, options: &ValidateOptions) -> Result<Validation, Vec<Diagnostic>> {
    let case = Case::load(folder).map_err(one)?;
    let model = case.file("model.stablehlo.mlir").ok_or_else(|| {
        let text = format!("`{}` holds no `model.stablehlo.mlir`", folder.display());
        vec![Diagnostic::error(Code::Io, text)]
    })?;
    if case.description.num_devices > 1 {
        let text = format!(
            "the case is for {} devices; one is simulated so far",
            case.description.num_devices
        );
        return Err(vec![Diagnostic::error(Code::Unsupported, text)]);
    }
    let inputs = case.inputs().map_err(one)?;
    let expected = if case.description.has_golden {
        Some(case.expected().map_err(one)?)
    } else {
        None
    };
    let arithmetic = match options.compile.auto_cast {
        AutoCast::None => Arithmetic::AsWritten,
        AutoCast::Matmult | AutoCast::All => Arithmetic::Bf16Matmult,
    };
    let tolerance = |index: usize, want: &Tensor| case.tolerance(index, arithmetic, want);
    let check = |outputs: &[Tensor], options: &ValidateOptions| match &expected {
        None => Ok(None),
        Some(expected) => {
            let mut case = case.clone();
            case.description.tolerance = expected
                .iter()
                .enumerate()
                .map(|(index, want)| {
                    let t = options.tolerance(tolerance(index, want));
                    let none = Bounds {
                        atol: t.atol,
                        rtol: t.rtol,
                        mismatch_fraction: t.mismatch_fraction,
                    };
                    OutputTolerance {
                        index,
                        none,
                        bf16_matmult: None,
                    }
                })
                .collect();
            case.check(outputs, arithmetic).map(Some)
        }
    };
    validate(&case.description.name, &model, &inputs, options, &tolerance, &check)
}

/// Validates a model file on the inputs of an `.npz` file (none for a model without inputs), besides against the arrays of
/// another if given, and by the checks that the model itself makes.
///
/// # Errors
/// As [`case`].
pub fn files(
    model: &Path,
    inputs: Option<&Path>,
    expected: Option<&Path>,
    options: &ValidateOptions,
) -> Result<Validation, Vec<Diagnostic>> {
    let module = read(model, &options.compile)?;
    let types = run::module_inputs(&module).map_err(one)?;
    let inputs = match inputs {
        Some(path) => arrays::read_inputs(path, &types).map_err(one)?,
        None if types.is_empty() => Vec::new(),
        None if options.seed.is_some() => {
            random::random_tensors(&types, options.seed.unwrap_or_default()).map_err(one)?
        }
        None => {
            let text = format!("the model has {} inputs", types.len());
            let help = "give them with `--inputs FILE.npz`, or take random ones with `--seed N`";
            return Err(vec![Diagnostic::error(Code::Usage, text).help(help)]);
        }
    };
    let lowest = (options.compile.auto_cast != AutoCast::None).then(|| options.compile.auto_cast_type.dtype());
    let tolerance = |_: usize, want: &Tensor| default_tolerance(want, lowest);
    let check = |outputs: &[Tensor], options: &ValidateOptions| {
        let Some(path) = expected else { return Ok(None) };
        let dtypes: Vec<DType> = outputs.iter().map(Tensor::dtype).collect();
        let want = arrays::take_numbered(&mut arrays::read_npz(path)?, "out", &dtypes)?;
        let pairs = outputs.iter().zip(&want).enumerate();
        Ok(Some(
            pairs
                .map(|(i, (got, want))| compare(got, want, options.tolerance(tolerance(i, want))))
                .collect(),
        ))
    };
    let name = model.file_stem().map(|n| n.to_string_lossy()).unwrap_or_default();
    validate(&name, model, &inputs, options, &tolerance, &check)
}

/// The model with its open dimensions bound.
fn read(model: &Path, options: &CompileOptions) -> Result<Module, Vec<Diagnostic>> {
    let mut module = model::read(model)?;
    if !options.dim_bindings.is_empty() {
        let machine = options.machine_model().map_err(one)?;
        bind_dimensions::bind(&mut module, &options.dim_bindings, &machine).map_err(one)?;
    }
    Ok(module)
}

type ToleranceOf<'a> = dyn Fn(usize, &Tensor) -> Tolerance + 'a;
type Check<'a> = dyn Fn(&[Tensor], &ValidateOptions) -> Result<Option<Vec<Comparison>>, Diagnostic> + 'a;

fn validate(
    name: &str,
    model: &Path,
    inputs: &[Tensor],
    options: &ValidateOptions,
    tolerance: &ToleranceOf<'_>,
    check: &Check<'_>,
) -> Result<Validation, Vec<Diagnostic>> {
    let mut module = read(model, &options.compile)?;
    let own_checks = own_checks(&mut module, options)?;
    let reference = reference(&module, options)?;
    let wanted = interpret(reference.as_ref().unwrap_or(&module), inputs).map_err(one)?;
    drop(reference);
    let named = CompileOptions {
        name: name.to_string(),
        dim_bindings: Vec::new(), // done
        ..options.compile.clone()
    };
    let compiled = compile::compile(module, &named)?;
    let simulation = RunOptions {
        machine: options.compile.machine.clone(),
        extensions: options.compile.extensions.clone(),
        timeline: options.timeline,
    };
    let done = run::run(&compiled.neff, inputs, &simulation)?;
    if done.outputs.len() != wanted.len() {
        let text = format!(
            "the program has {} outputs, the model {}",
            done.outputs.len(),
            wanted.len()
        );
        return Err(vec![Diagnostic::bug(text)]);
    }
    let mut golden = check(&done.outputs, options).map_err(one)?.map(Vec::into_iter);
    let pairs = done.outputs.iter().zip(&wanted).enumerate();
    let outputs: Vec<OutputReport> = pairs
        .map(|(index, (got, want))| {
            let allowed = options.tolerance(tolerance(index, want));
            let interpreter = compare(got, want, allowed);
            let golden = golden.as_mut().and_then(Iterator::next);
            let expected = own_checks.get(index).map(|check| check.compare(got)).or(golden);
            OutputReport {
                index,
                ty: want.ty().to_string(),
                shape: want.shape().to_vec(),
                ok: interpreter.ok && expected.as_ref().is_none_or(|e| e.ok),
                max_abs_err: interpreter.max_abs_err,
                max_rel_err: interpreter.max_rel_err,
                tolerance: allowed,
                interpreter,
                expected,
            }
        })
        .collect();
    let report = Report {
        ok: outputs.iter().all(|o| o.ok),
        auto_cast: auto_cast_name(options.compile.auto_cast),
        outputs,
        summary: Summary::new(&done.profile),
        passes: compiled.timings.clone(),
    };
    Ok(Validation {
        report,
        profile: done.profile,
        compiled,
    })
}

/// The checks of a program that checks itself, taken out of it; none of one that has inputs.
fn own_checks(module: &mut Module, options: &ValidateOptions) -> Result<Vec<conformance::Check>, Vec<Diagnostic>> {
    let inputs = run::module_inputs(module).map_err(one)?;
    if !inputs.is_empty() || !conformance::checks_itself(module) {
        return Ok(Vec::new());
    }
    *module = run_passes(module.clone(), "inline", &options.compile)?;
    conformance::take_checks(module).map_err(one)
}

/// The module with auto-cast's rewrite alone, if one was asked for.
fn reference(module: &Module, options: &ValidateOptions) -> Result<Option<Module>, Vec<Diagnostic>> {
    if options.compile.auto_cast == AutoCast::None {
        return Ok(None);
    }
    run_passes(module.clone(), "inline,auto-cast", &options.compile).map(Some)
}

/// The module after hlo passes, of which nothing is shown.
///
/// # Errors
/// Passes that are not there, and what they say.
pub fn run_passes(module: Module, passes: &str, options: &CompileOptions) -> Result<Module, Vec<Diagnostic>> {
    let quiet = options.quiet();
    let machine = quiet.machine_model().map_err(one)?;
    let passes = pipeline::resolve(passes, &quiet.extensions).map_err(one)?;
    let mut recorder = Recorder::new(&quiet).map_err(one)?;
    let mut program = Program::Hlo(module);
    manager::run(&mut program, &passes, &quiet, &machine, &mut recorder)?;
    match program {
        Program::Hlo(module) => Ok(module),
        _ => Err(vec![Diagnostic::bug("hlo passes left the hlo level")]),
    }
}

impl ValidateOptions {
    /// What the command line says wins.
    fn tolerance(&self, otherwise: Tolerance) -> Tolerance {
        Tolerance {
            rtol: self.rtol.unwrap_or(otherwise.rtol),
            atol: self.atol.unwrap_or(otherwise.atol),
            ..otherwise
        }
    }
}

/// Tolerance where nobody gave one: some roundings of the least precise type involved (our choice), relative to the
/// element and to the largest element, because sums of large terms may nearly cancel.
pub fn default_tolerance(want: &Tensor, lowest: Option<DType>) -> Tolerance {
    let relative = |dtype| match dtype {
        DType::F64 | DType::F32 | DType::C64 | DType::C128 => 1e-4,
        DType::TF32 | DType::F16 => 1e-2,
        DType::BF16 => 4e-2,
        _ => 2.5e-1,
    };
    if !want.dtype().is_float() && !want.dtype().is_complex() {
        return Tolerance::default();
    }
    let rtol: f64 = [Some(want.dtype()), lowest]
        .into_iter()
        .flatten()
        .map(relative)
        .fold(0.0, f64::max);
    let sizes = want.to_parts().into_iter().map(|(re, im)| re.hypot(im));
    let largest = sizes.filter(|v| v.is_finite()).fold(0.0, f64::max);
    Tolerance::new(0.25 * rtol * largest, rtol)
}

fn one(error: Diagnostic) -> Vec<Diagnostic> {
    vec![error]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_follows_the_lowest_type() {
        let want = Tensor::from_f32(&[2], &[4.0, -8.0]).unwrap();
        assert_eq!(default_tolerance(&want, None).rtol, 1e-4);
        let low = default_tolerance(&want, Some(DType::BF16));
        assert_eq!((low.rtol, low.atol), (4e-2, 8e-2));
        let integers = Tensor::from_i32(&[1], &[7]).unwrap();
        assert_eq!(default_tolerance(&integers, Some(DType::BF16)), Tolerance::default());
    }

    /// Everything that 64-bit integers can do, on values that need all their bits.
    const WIDE: &str = r#"
func.func public @main(%x: tensor<8xi64>, %y: tensor<8xi64>, %u: tensor<8xui64>, %f: tensor<8xf32>, %i: tensor<i64>)
    -> (tensor<8xi64>, tensor<8xi64>, tensor<8xi64>, tensor<8xi64>, tensor<8xi64>, tensor<8xi64>, tensor<8xui64>, tensor<8xi1>,
        tensor<8xi64>, tensor<8xi64>, tensor<8xf32>, tensor<8xi64>, tensor<i64>, tensor<i64>, tensor<8xi64>, tensor<2xi64>,
        tensor<8xui64>, tensor<8xf32>, tensor<8xi64>, tensor<4x2xi64>, tensor<i64>) {
  %big = stablehlo.constant dense<5000000000> : tensor<8xi64>
  %s0 = stablehlo.add %x, %y : tensor<8xi64>
  %sum = stablehlo.subtract %s0, %big : tensor<8xi64>
  %product = stablehlo.multiply %x, %y : tensor<8xi64>
  %quotient = stablehlo.divide %x, %y : tensor<8xi64>
  %rest = stablehlo.remainder %x, %y : tensor<8xi64>
  %seven = stablehlo.constant dense<[0, 1, 31, 32, 33, 63, 64, -1]> : tensor<8xi64>
  %left = stablehlo.shift_left %x, %seven : tensor<8xi64>
  %right = stablehlo.shift_right_arithmetic %x, %seven : tensor<8xi64>
  %amount = stablehlo.convert %seven : (tensor<8xi64>) -> tensor<8xui64>
  %logical = stablehlo.shift_right_logical %u, %amount : tensor<8xui64>
  %less = stablehlo.compare LT, %x, %y : (tensor<8xi64>, tensor<8xi64>) -> tensor<8xi1>
  %largest = stablehlo.maximum %x, %y : tensor<8xi64>
  %chosen = stablehlo.select %less, %largest, %big : tensor<8xi1>, tensor<8xi64>
  %floats = stablehlo.convert %x : (tensor<8xi64>) -> tensor<8xf32>
  %whole = stablehlo.convert %f : (tensor<8xf32>) -> tensor<8xi64>
  %zero = stablehlo.constant dense<0> : tensor<i64>
  %total = stablehlo.reduce(%x init: %zero) applies stablehlo.add across dimensions = [0] : (tensor<8xi64>, tensor<i64>) -> tensor<i64>
  %least = stablehlo.reduce(%x init: %zero) applies stablehlo.minimum across dimensions = [0] : (tensor<8xi64>, tensor<i64>) -> tensor<i64>
  %sorted = "stablehlo.sort"(%x) <{dimension = 0 : i64}> ({
  ^bb0(%a: tensor<i64>, %b: tensor<i64>):
    %c = stablehlo.compare LT, %a, %b : (tensor<i64>, tensor<i64>) -> tensor<i1>
    stablehlo.return %c : tensor<i1>
  }) : (tensor<8xi64>) -> tensor<8xi64>
  %part = stablehlo.dynamic_slice %x, %i, sizes = [2] : (tensor<8xi64>, tensor<i64>) -> tensor<2xi64>
  %ratio = stablehlo.divide %u, %amount : tensor<8xui64>
  %unsigned = stablehlo.convert %u : (tensor<8xui64>) -> tensor<8xf32>
  %size = stablehlo.abs %x : tensor<8xi64>
  %zeros = stablehlo.count_leading_zeros %size : tensor<8xi64>
  %ones = stablehlo.popcnt %x : tensor<8xi64>
  %sign = stablehlo.sign %x : tensor<8xi64>
  %counts0 = stablehlo.add %zeros, %ones : tensor<8xi64>
  %counts = stablehlo.add %counts0, %sign : tensor<8xi64>
  %square = stablehlo.reshape %x : (tensor<8xi64>) -> tensor<2x4xi64>
  %turned = stablehlo.transpose %square, dims = [1, 0] : (tensor<2x4xi64>) -> tensor<4x2xi64>
  %one = stablehlo.constant dense<1> : tensor<i64>
  %end = stablehlo.constant dense<9> : tensor<i64>
  %three = stablehlo.constant dense<-300000000000> : tensor<i64>
  %n, %power = stablehlo.while(%k = %zero, %p = %one) : tensor<i64>, tensor<i64>
  cond {
    %more = stablehlo.compare LT, %k, %end : (tensor<i64>, tensor<i64>) -> tensor<i1>
    stablehlo.return %more : tensor<i1>
  } do {
    %k1 = stablehlo.add %k, %one : tensor<i64>
    %p1 = stablehlo.multiply %p, %three : tensor<i64>
    stablehlo.return %k1, %p1 : tensor<i64>, tensor<i64>
  }
  return %sum, %product, %quotient, %rest, %left, %right, %logical, %less, %chosen, %largest, %floats, %whole, %total, %least,
    %sorted, %part, %ratio, %unsigned, %counts, %turned, %power : tensor<8xi64>, tensor<8xi64>, tensor<8xi64>, tensor<8xi64>,
    tensor<8xi64>, tensor<8xi64>, tensor<8xui64>, tensor<8xi1>, tensor<8xi64>, tensor<8xi64>, tensor<8xf32>, tensor<8xi64>,
    tensor<i64>, tensor<i64>, tensor<8xi64>, tensor<2xi64>, tensor<8xui64>, tensor<8xf32>, tensor<8xi64>, tensor<4x2xi64>,
    tensor<i64>
}
"#;

    fn bytes(values: &[i64]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    #[test]
    fn native_64_bit_integers_are_exact_on_later_targets() {
        let folder = tempfile::tempdir().unwrap();
        let (model, inputs) = (folder.path().join("m.mlir"), folder.path().join("in.npz"));
        std::fs::write(&model, WIDE).unwrap();
        let x = [
            0,
            -1,
            i64::MIN,
            i64::MAX,
            5_000_000_007,
            -12_345_678_901_234,
            1 << 32,
            -(1 << 31),
        ];
        let y = [3, 0, -1, 2, -7_000_000_001, 4_294_967_297, i64::MIN, 10];
        let u = [0, -1, i64::MIN, 1, 1 << 33, (1 << 40) - 1, 0x7FFF_FF80_0000_0001, 77];
        let floats = [0.0f32, -1.5, 3e9, -8e18, 1e19, f32::NAN, -0.99, 16_777_217.0];
        let of = |shape: &[i64], dtype, bytes: Vec<u8>| {
            let ty = ferrite_ir::hlo::TensorType::new(dtype, shape);
            Tensor::new(ty, &bytes).unwrap()
        };
        let tensors = [
            of(&[8], DType::I64, bytes(&x)),
            of(&[8], DType::I64, bytes(&y)),
            of(&[8], DType::U64, bytes(&u)),
            Tensor::from_f32(&[8], &floats).unwrap(),
            of(&[], DType::I64, bytes(&[1 << 40])),
        ];
        arrays::write_numbered(&inputs, "arg", &tensors).unwrap();
        for (target, native, exact) in [("trn2", true, true), ("inf2", true, false)] {
            let options = ValidateOptions {
                compile: CompileOptions {
                    target: target.to_string(),
                    native_int64: native,
                    ..CompileOptions::default()
                },
                rtol: None,
                atol: None,
                timeline: false,
                seed: None,
            };
            let done = files(&model, Some(&inputs), None, &options);
            if !exact {
                // In 32 bits, where the constants do not fit.
                assert_eq!(done.err().unwrap()[0].code, Code::Ncc("ESFH002"));
                continue;
            }
            let report = done.unwrap_or_else(|e| panic!("{e:?}")).report;
            let wrong: Vec<_> = report
                .outputs
                .iter()
                .filter(|o| !o.ok)
                .map(|o| (o.index, o.interpreter.clone()))
                .collect();
            assert!(report.ok, "{wrong:?}");
        }
    }
}
