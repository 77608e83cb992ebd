//! The documented error catalogue where several errors can be told at once, or where a general refusal has a code of its
//! own.
//!
//! A pass stops at the first operation that it refuses. So that a user sees all of one kind, what would be refused for
//! the same reason is noted before the passes run ([`suspects`]), and added when one of it is refused ([`explain`]). A
//! program that compiles never hears of it.

use ferrite_ir::diag::{Code, Diagnostic};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{Func, Module, OpId, OpKind, Type};

use crate::native_calls;

/// Targets of custom calls that are documented; others are unknown to the compiler this one stands in for.
const CALLS: [&str; 34] = [
    "ApproxTopK",
    "PartialReduce",
    "AwsNeuronErf",
    "AwsNeuronGelu",
    "AwsNeuronSilu",
    "AwsNeuronGeluApprxTanh",
    "AwsNeuronGeluBackward",
    "AwsNeuronSiluBackward",
    "AwsNeuronSoftplus",
    "AwsNeuronRmsNorm",
    "AwsNeuronSoftmax",
    "AwsNeuronSoftmaxBackward",
    "AwsNeuronArgMax",
    "AwsNeuronArgMin",
    "AwsNeuronTopK",
    "AwsNeuronCollectiveMatmul",
    "AwsNeuronIntMatmult",
    "AwsNeuronDropoutMaskV1",
    "AwsNeuronTransferWithStaticRing",
    "AwsNeuronLNCShardingConstraint",
    "AwsNeuronDevicePrint",
    "ResizeNearest",
    "ResizeBilinear",
    "ResizeNearestGrad",
    "AwsNeuronCustomNativeKernel",
    "AwsNeuronCustomOp",
    "QuantizeMX",
    "__op$block_scaled_dot",
    "AwsNeuronNeff",
    "Sharding",
    "SPMDFullToShardShape",
    "SPMDShardToFullShape",
    "annotate_device_placement",
    "TopK",
];

/// Most elements of a constant that are looked at: a list of messages helps up to a point.
const LOOKED_AT: usize = 4096;

/// Operations that would be refused for a reason with a code of its own, if they are.
pub fn suspects(module: &Module) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for func in &module.funcs {
        for param in func.args() {
            if complex128(func.ty(*param)) {
                found.push(complex().at(module.locs.get(func.loc)));
            }
        }
        func.walk(func.body(), &mut |func, id| {
            found.extend(suspect(func, id).map(|e| e.at(module.locs.get(func.op(id).loc))));
        });
    }
    found
}

fn suspect(func: &Func, id: OpId) -> Option<Diagnostic> {
    let op = func.op(id);
    match &op.kind {
        OpKind::CustomCall(call) => {
            let known = CALLS.contains(&call.target.as_str())
                || [
                    "mhlo.",
                    "chlo.",
                    "stablehlo.",
                    "AwsNeuronModuleMarker",
                    "NeuronBoundaryMarker",
                ]
                .iter()
                .any(|prefix| call.target.starts_with(prefix));
            (!known).then(|| {
                let text = format!("the custom call `{}` is not known to the compiler", call.target);
                Diagnostic::error(Code::Ncc("EVRF015"), text)
                    .help("replace it with StableHLO operations, or with one of the documented AwsNeuron targets")
            })
        }
        OpKind::Constant(literal) if matches!(literal.ty().dtype, DType::I64 | DType::U64) => {
            let signed = literal.ty().dtype == DType::I64;
            let wrong = (0..literal.ty().element_count().min(LOOKED_AT))
                .map(|i| literal.get_i64(i))
                .find(|&v| match signed {
                    true => i32::try_from(v).is_err() && v != i64::MIN && v != i64::MAX,
                    false => u32::try_from(v as u64).is_err() && v as u64 != u64::MAX,
                })?;
            let (dtype, value) = match signed {
                true => ("i64", wrong.to_string()),
                false => ("ui64", (wrong as u64).to_string()),
            };
            let text = format!("the {dtype} constant {value} does not fit into 32 bits, in which it is computed");
            Some(Diagnostic::error(Code::Ncc("ESFH002"), text).help("use 32-bit integers in the model"))
        }
        _ if op.results.iter().any(|&r| complex128(func.ty(r))) => Some(complex()),
        _ => None,
    }
}

fn complex128(ty: &Type) -> bool {
    ty.tensor().is_some_and(|t| t.dtype == DType::C128)
}

fn complex() -> Diagnostic {
    Diagnostic::error(
        Code::Ncc("EVRF004"),
        "complex numbers of 64-bit floats have no lowering here",
    )
    .help("use complex64 in the model")
}

/// Adds to the errors of a failed compilation what is wrong elsewhere for the same reason, and gives a general refusal
/// the code that the operation's case has.
pub fn explain(mut errors: Vec<Diagnostic>, suspects: Vec<Diagnostic>) -> Vec<Diagnostic> {
    for error in &mut errors {
        let general = matches!(error.code, Code::Unsupported);
        if let Some(known) = suspects.iter().find(|s| general && s.location == error.location) {
            let label = std::mem::take(&mut error.message);
            *error = known.clone().label(label);
        }
    }
    for suspect in suspects {
        let same_kind = errors.iter().any(|e| e.code == suspect.code);
        let told = errors
            .iter()
            .any(|e| e.code == suspect.code && e.location == suspect.location);
        if same_kind && !told {
            errors.push(suspect);
        }
    }
    errors
}

/// Custom calls with documented rules for their operands and configuration, inputs that are no tensors of a static shape,
/// operations that need a host.
pub fn check(module: &Module) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    if let Some(entry) = module.entry() {
        let func = module.func(entry);
        for (number, &arg) in func.args().iter().enumerate() {
            let what = format!("parameter {number}");
            let found = dynamic(func.ty(arg), &what).or_else(|| token(func.ty(arg), &what));
            errors.extend(found.map(|e| e.at(module.locs.get(func.loc))));
        }
    }
    for func in &module.funcs {
        func.walk(func.body(), &mut |func, id| {
            let op = func.op(id);
            let found = native_calls::check(func, op).or_else(|| host(&op.kind));
            errors.extend(found.map(|e| e.at(module.locs.get(func.op(id).loc))));
        });
    }
    errors
}

/// What nobody answers while a NEFF runs.
fn host(kind: &OpKind) -> Option<Diagnostic> {
    use OpKind::*;
    matches!(kind, Infeed(_) | Outfeed(_) | Send(_) | Recv(_)).then(|| {
        let text = format!("`{}` talks to a host, and a NEFF runs without one", kind.mnemonic());
        Diagnostic::error(Code::Ncc("EVRF001"), text).help("make what is sent an input or an output of the model")
    })
}

fn token(ty: &Type, what: &str) -> Option<Diagnostic> {
    matches!(ty, Type::Token).then(|| {
        let text = format!("{what} is a token, and a NEFF has tensors alone");
        Diagnostic::error(Code::Ncc("EVRF001"), text).help("trace the model without ordered effects")
    })
}

/// Operations that still have dynamic shapes when the passes are done.
pub fn check_static(module: &Module) -> Result<(), Vec<Diagnostic>> {
    let mut errors = Vec::new();
    if let Some(entry) = module.entry() {
        let func = module.func(entry);
        func.walk(func.body(), &mut |func, id| {
            let op = func.op(id);
            let what = format!("`{}`", op.kind.mnemonic());
            let found = op.results.iter().find_map(|&r| dynamic(func.ty(r), &what));
            errors.extend(found.map(|e| e.at(module.locs.get(op.loc))));
        });
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn dynamic(ty: &Type, what: &str) -> Option<Diagnostic> {
    let ty = ty.tensor().filter(|t| !t.is_static())?;
    Some(
        Diagnostic::error(Code::Ncc("EMOD025"), format!("{what} has a dynamic shape: {ty}"))
            .help("give every dimension a size when the model is traced, or with `--dim-binding`: `0.1=16` for dimension 1 of parameter 0"),
    )
}

#[cfg(test)]
mod tests {
    use ferrite_frontend::Frontend;

    use crate::CompileOptions;

    fn codes(text: &str, target: &str) -> Vec<(String, u32)> {
        let module = Frontend::read(text.as_bytes(), "m").unwrap();
        let options = CompileOptions {
            target: target.to_string(),
            ..CompileOptions::default()
        };
        let errors = crate::compile(module, &options).err().unwrap_or_default();
        errors.iter().map(|e| (e.code.to_string(), e.location.line)).collect()
    }

    fn coded(list: &[(&str, u32)]) -> Vec<(String, u32)> {
        list.iter().map(|(code, line)| (code.to_string(), *line)).collect()
    }

    #[test]
    fn all_unknown_custom_calls_are_reported() {
        let text = "func.func public @main(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
          %0 = stablehlo.custom_call @Nobody(%x) : (tensor<4xf32>) -> tensor<4xf32>
          %1 = stablehlo.custom_call @Someone(%x) : (tensor<4xf32>) -> tensor<4xf32>
          return %0, %1 : tensor<4xf32>, tensor<4xf32>
        }";
        assert_eq!(codes(text, "inf2"), coded(&[("NCC_EVRF015", 2), ("NCC_EVRF015", 3)]));
    }

    #[test]
    fn all_constants_that_do_not_fit_are_reported() {
        let text = "func.func public @main(%x: tensor<2xi64>) -> tensor<2xi64> {
          %0 = stablehlo.constant dense<[1, 5000000000]> : tensor<2xi64>
          %1 = stablehlo.constant dense<-7000000000> : tensor<2xi64>
          %2 = stablehlo.add %x, %0 : tensor<2xi64>
          %3 = stablehlo.multiply %2, %1 : tensor<2xi64>
          return %3 : tensor<2xi64>
        }";
        assert_eq!(codes(text, "trn1"), coded(&[("NCC_ESFH002", 2), ("NCC_ESFH002", 3)]));
    }

    #[test]
    fn dynamic_shapes_are_refused_and_named() {
        let text = "func.func public @main(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
          return %x : tensor<?x2xf32>
        }";
        assert_eq!(codes(text, "inf2"), coded(&[("NCC_EMOD025", 1)]));
    }

    #[test]
    fn wide_complex_numbers_have_their_code() {
        let text = "func.func public @main(%x: tensor<4xcomplex<f64>>) -> tensor<4xcomplex<f64>> {
          return %x : tensor<4xcomplex<f64>>
        }";
        let found = codes(text, "inf2");
        assert!(found.is_empty() || found[0].0 == "NCC_EVRF004", "{found:?}");
    }

    /// Errors of a small model on a trn1 of which one line is different.
    fn on_a_small_machine(line: &str, instead: &str) -> Vec<ferrite_ir::diag::Diagnostic> {
        let text = ferrite_ir::machine::MachineModel::target_text("trn1").unwrap();
        assert!(text.contains(line));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("small.toml");
        std::fs::write(&file, text.replace(line, instead)).unwrap();
        let options = CompileOptions {
            machine: Some(file),
            ..CompileOptions::default()
        };
        let model = "../../tests/corpus/models/vit_tiny_forward/model.stablehlo.mlir";
        let module = crate::model::read(std::path::Path::new(model)).unwrap();
        crate::compile(module, &options).err().unwrap_or_default()
    }

    #[test]
    fn a_program_that_needs_more_hbm_than_there_is_says_for_what() {
        // Inputs and outputs fit, scratch memory does not.
        let errors = on_a_small_machine(
            "bytes_per_core = { value = 17179869184",
            "bytes_per_core = { value = 300000",
        );
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(errors[0].code.to_string(), "NCC_EOOM001");
        assert!(errors[0].help.is_some() && errors[0].location.line > 0, "{errors:?}");
    }

    #[test]
    fn an_operation_that_does_not_fit_sbuf_is_named() {
        let line = "usable_bytes_per_partition = { value = 180224";
        let errors = on_a_small_machine(line, "usable_bytes_per_partition = { value = 256");
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(errors[0].code.to_string(), "NCC_EOOM002");
        assert!(errors[0].location.line > 0, "{errors:?}");
    }

    #[test]
    fn a_program_that_compiles_hears_nothing() {
        let text = "func.func public @main(%x: tensor<4xf32>) -> tensor<4xf32> {
          %0 = stablehlo.custom_call @AwsNeuronSilu(%x) : (tensor<4xf32>) -> tensor<4xf32>
          return %0 : tensor<4xf32>
        }";
        assert_eq!(codes(text, "inf2"), []);
    }
}
