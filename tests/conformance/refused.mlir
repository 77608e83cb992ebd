// expect-error: check.expect_eq` failed: 1 of 2 elements differ; element 1 is 2, expected was 3
func.func @main() {
  %0 = stablehlo.constant dense<[1, 2]> : tensor<2xi32>
  check.expect_eq_const %0, dense<[1, 3]> : tensor<2xi32>
  return
}
// -----
// expect-error: is larger than the
func.func @main() {
  %0 = stablehlo.iota dim = 0 : tensor<1000000000000xf32>
  return
}
// -----
// expect-error: talks to a host that is not there
func.func @main() {
  %t = stablehlo.after_all : !stablehlo.token
  %0:2 = "stablehlo.infeed"(%t) <{infeed_config = ""}> : (!stablehlo.token) -> (tensor<2xi32>, !stablehlo.token)
  return
}
// -----
// expect-error: no device sends what channel 3 is to receive
func.func @main() {
  %t = stablehlo.after_all : !stablehlo.token
  %0:2 = "stablehlo.recv"(%t) <{channel_handle = #stablehlo.channel_handle<handle = 3, type = 1>}> : (!stablehlo.token) -> (tensor<2xi32>, !stablehlo.token)
  return
}
// -----
// expect-error: element types f32 and bf16 differ (convolution C27)
func.func @main(%x: tensor<1x8x8x4xf32>, %k: tensor<3x3x4x2xbf16>) -> tensor<1x6x6x2xf32> {
  %0 = stablehlo.convolution(%x, %k) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], window = {} {batch_group_count = 1 : i64, feature_group_count = 1 : i64} : (tensor<1x8x8x4xf32>, tensor<3x3x4x2xbf16>) -> tensor<1x6x6x2xf32>
  return %0 : tensor<1x6x6x2xf32>
}
// -----
// expect-error: inserted_window_dims [1, 0] are not ascending
func.func @main(%x: tensor<4x4xf32>, %i: tensor<3x2xi32>, %u: tensor<3xf32>) -> tensor<4x4xf32> {
  %0 = "stablehlo.scatter"(%x, %i, %u) <{scatter_dimension_numbers = #stablehlo.scatter<inserted_window_dims = [1, 0], scatter_dims_to_operand_dims = [0, 1], index_vector_dim = 1>}> ({
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    stablehlo.return %b : tensor<f32>
  }) : (tensor<4x4xf32>, tensor<3x2xi32>, tensor<3xf32>) -> tensor<4x4xf32>
  return %0 : tensor<4x4xf32>
}
// -----
// expect-error: starts with 1 carries and ends with 0
func.func @main(%x: tensor<4xi32>, %i: tensor<i32>) {
  %0 = "chlo.scan"(%x, %i) <{dimension = 0 : i64, operandSegmentSizes = array<i32: 1, 1>, resultSegmentSizes = array<i32: 1, 0>}> ({
  ^bb0(%a: tensor<i32>, %b: tensor<i32>):
    stablehlo.return %a : tensor<i32>
  }) : (tensor<4xi32>, tensor<i32>) -> tensor<4xi32>
  return
}
// -----
// expect-error: a function must be one block
func.func @main(%x: tensor<f32>) -> tensor<f32> {
  cf.br ^bb1(%x : tensor<f32>)
^bb1(%y: tensor<f32>):
  return %y : tensor<f32>
}
// -----
// expect-error: the visibility of `main` must be `public`, `private` or `nested`, not `"ubplic"`
"builtin.module"() ({
  "func.func"() <{function_type = () -> (), sym_name = "main", sym_visibility = "ubplic"}> ({
    "func.return"() : () -> ()
  }) : () -> ()
}) : () -> ()
