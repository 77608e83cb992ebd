// RUN: legalize-window
// EVAL: exact
func.func public @main(%x: tensor<2x7xf32>) -> tensor<2x4xf32> {
  %i = stablehlo.constant dense<0xFF800000> : tensor<f32>
  %0 = "stablehlo.reduce_window"(%x, %i) <{window_dimensions = array<i64: 1, 3>, window_strides = array<i64: 1, 2>, padding = dense<[[0, 0], [1, 1]]> : tensor<2x2xi64>}> ({
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    %1 = stablehlo.maximum %a, %b : tensor<f32>
    stablehlo.return %1 : tensor<f32>
  }) : (tensor<2x7xf32>, tensor<f32>) -> tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}
// OUT:
// func.func public @main(%arg0: tensor<2x7xf32>) -> tensor<2x4xf32> {
//   %cst = stablehlo.constant dense<0xFF800000> : tensor<f32>
//   %0 = stablehlo.pad %arg0, %cst, low = [0, 1], high = [0, 1], interior = [0, 0] : (tensor<2x7xf32>, tensor<f32>) -> tensor<2x9xf32>
//   %1 = "stablehlo.reduce_window"(%0, %cst) <{base_dilations = array<i64: 1, 1>, padding = dense<0> : tensor<2x2xi64>, window_dilations = array<i64: 1, 1>, window_dimensions = array<i64: 1, 3>, window_strides = array<i64: 1, 2>}> ({
//   ^bb0(%arg1: tensor<f32>, %arg2: tensor<f32>):
//     %2 = stablehlo.maximum %arg1, %arg2 : tensor<f32>
//     stablehlo.return %2 : tensor<f32>
//   }) : (tensor<2x9xf32>, tensor<f32>) -> tensor<2x4xf32>
//   return %1 : tensor<2x4xf32>
// }
