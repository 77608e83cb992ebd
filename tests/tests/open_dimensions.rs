//! Models with open dimensions: bound to sizes, compiled, simulated, compared with the interpreter on the model as it was.

use ferrite_driver::options::{CompileOptions, DimBinding};
use ferrite_frontend::Frontend;
use ferrite_interp::{Tensor, interpret};
use ferrite_ir::hlo::Module;

use super::device::on_device;

/// What `jax.export` makes of `softmax(x @ w + y)` along rows, with a batch `b` that two parameters share.
const EXPORTED: &str = r#"
module {
  func.func public @main(%x: tensor<?x4xf32>, %w: tensor<4x3xf32>, %y: tensor<?x3xf32>) -> tensor<?x3xf32> {
    %0 = stablehlo.get_dimension_size %x, dim = 0 : (tensor<?x4xf32>) -> tensor<i32>
    %1 = stablehlo.get_dimension_size %y, dim = 0 : (tensor<?x3xf32>) -> tensor<i32>
    %c = stablehlo.constant dense<1> : tensor<i32>
    %2 = stablehlo.compare GE, %0, %c, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    stablehlo.custom_call @shape_assertion(%2, %0) {api_version = 2 : i32, error_message = "b must be at least 1", has_side_effect = true} : (tensor<i1>, tensor<i32>) -> ()
    %3 = stablehlo.compare EQ, %1, %0, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    stablehlo.custom_call @shape_assertion(%3, %0) {api_version = 2 : i32, error_message = "b must be one size", has_side_effect = true} : (tensor<i1>, tensor<i32>) -> ()
    %4 = call @inner(%0, %x, %w, %y) : (tensor<i32>, tensor<?x4xf32>, tensor<4x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
    return %4 : tensor<?x3xf32>
  }
  func.func private @inner(%b: tensor<i32> {jax.global_constant = "b"}, %x: tensor<?x4xf32>, %w: tensor<4x3xf32>, %y: tensor<?x3xf32>) -> tensor<?x3xf32> {
    %three = stablehlo.constant dense<3> : tensor<1xi32>
    %zero = stablehlo.constant dense<0.0> : tensor<f32>
    %0 = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0] : (tensor<?x4xf32>, tensor<4x3xf32>) -> tensor<?x3xf32>
    %1 = stablehlo.add %0, %y : tensor<?x3xf32>
    %2 = stablehlo.exponential %1 : tensor<?x3xf32>
    %3 = stablehlo.reduce(%2 init: %zero) applies stablehlo.add across dimensions = [1] : (tensor<?x3xf32>, tensor<f32>) -> tensor<?xf32>
    %4 = stablehlo.reshape %b : (tensor<i32>) -> tensor<1xi32>
    %5 = stablehlo.concatenate %4, %three, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %6 = stablehlo.dynamic_broadcast_in_dim %3, %5, dims = [0] : (tensor<?xf32>, tensor<2xi32>) -> tensor<?x3xf32>
    %7 = stablehlo.divide %2, %6 : tensor<?x3xf32>
    return %7 : tensor<?x3xf32>
  }
}
"#;

fn model() -> Module {
    Frontend::read(EXPORTED.as_bytes(), "exported").expect("the text is a model")
}

fn bound(bindings: &[&str]) -> CompileOptions {
    CompileOptions {
        dim_bindings: bindings
            .iter()
            .map(|text| DimBinding::parse(text).expect("a binding"))
            .collect(),
        ..CompileOptions::default()
    }
}

#[test]
fn a_batch_is_bound_by_place_or_by_name() {
    let numbers = |n: usize, from: f32| -> Vec<f32> { (0..n).map(|i| from + 0.1 * i as f32).collect() };
    let inputs = [
        Tensor::from_f32(&[5, 4], &numbers(20, -1.0)),
        Tensor::from_f32(&[4, 3], &numbers(12, 0.3)),
        Tensor::from_f32(&[5, 3], &numbers(15, -0.5)),
    ];
    let inputs = inputs.map(|t| t.expect("as many values as elements"));
    let want = interpret(&model(), &inputs).expect("the interpreter takes any size");
    for binding in ["0.0=5", "arg2.0=5", "b=5"] {
        let got = on_device(&model(), &bound(&[binding]), &inputs).unwrap_or_else(|e| panic!("{binding}: {e:?}"));
        assert_eq!(got[0].ty(), want[0].ty(), "{binding}");
        for i in 0..want[0].count() {
            let (g, w) = (got[0].get_f64(i), want[0].get_f64(i));
            assert!((g - w).abs() < 1e-5, "{binding}, {i}: {g} instead of {w}");
        }
    }
}

#[test]
fn what_cannot_be_bound_is_refused() {
    let refused = |bindings: &[&str]| {
        let errors = on_device(&model(), &bound(bindings), &[]).expect_err("it is refused");
        format!("{} {:?}", errors[0], errors[0].help)
    };
    assert!(refused(&[]).contains("NCC_EMOD025"));
    assert!(refused(&["t=4"]).contains("names b"));
    for wrong in ["0.1=5", "0.2=4", "9.0=4"] {
        assert!(!refused(&[wrong]).contains("EMOD025"), "{wrong}");
    }
    assert!(refused(&["b=0"]).contains("b must be at least 1"));
    for wrong in ["0.0", "0.x=4", "=4", "0.0=-1", "b"] {
        assert!(DimBinding::parse(wrong).is_err(), "{wrong}");
    }
}
