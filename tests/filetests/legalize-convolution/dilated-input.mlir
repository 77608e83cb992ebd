// RUN: legalize-convolution
// EVAL: atol=1e-4 rtol=1e-5
func.func public @main(%x: tensor<1x5x5x2xf32>, %w: tensor<3x3x2x4xf32>) -> tensor<1x9x9x4xf32> {
  %0 = stablehlo.convolution(%x, %w) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], window = {pad = [[1, 1], [1, 1]], lhs_dilate = [2, 2]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64} : (tensor<1x5x5x2xf32>, tensor<3x3x2x4xf32>) -> tensor<1x9x9x4xf32>
  return %0 : tensor<1x9x9x4xf32>
}
// OUT:
// func.func public @main(%arg0: tensor<1x5x5x2xf32>, %arg1: tensor<3x3x2x4xf32>) -> tensor<1x9x9x4xf32> {
//   %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
//   %0 = stablehlo.pad %arg0, %cst, low = [0, 1, 1, 0], high = [0, 1, 1, 0], interior = [0, 1, 1, 0] : (tensor<1x5x5x2xf32>, tensor<f32>) -> tensor<1x11x11x2xf32>
//   %1 = stablehlo.convolution(%0, %arg1) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64} : (tensor<1x11x11x2xf32>, tensor<3x3x2x4xf32>) -> tensor<1x9x9x4xf32>
//   return %1 : tensor<1x9x9x4xf32>
// }
