// RUN: orient-convolutions, remove-dead-ops
func.func @main(%x: tensor<2x5x5x3xf32>, %w: tensor<3x3x3x4xf32>, %v: tensor<1x1x4x2xf32>, %t: tensor<4xf32>) -> (tensor<2x5x5x2xf32>, tensor<2x4xf32>) {
  %zero = stablehlo.constant dense<0.0> : tensor<f32>
  %zeros = stablehlo.constant dense<0.0> : tensor<2x5x5x4xf32>
  %0 = stablehlo.convolution(%x, %w) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], window = {pad = [[1, 1], [1, 1]]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64} : (tensor<2x5x5x3xf32>, tensor<3x3x3x4xf32>) -> tensor<2x5x5x4xf32>
  %1 = stablehlo.broadcast_in_dim %t, dims = [3] : (tensor<4xf32>) -> tensor<2x5x5x4xf32>
  %2 = stablehlo.add %0, %1 : tensor<2x5x5x4xf32>
  %3 = stablehlo.maximum %2, %zeros : tensor<2x5x5x4xf32>
  %4 = stablehlo.convolution(%3, %v) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], window = {} {batch_group_count = 1 : i64, feature_group_count = 1 : i64} : (tensor<2x5x5x4xf32>, tensor<1x1x4x2xf32>) -> tensor<2x5x5x2xf32>
  %5 = stablehlo.reduce(%3 init: %zero) applies stablehlo.add across dimensions = [1, 2] : (tensor<2x5x5x4xf32>, tensor<f32>) -> tensor<2x4xf32>
  return %4, %5 : tensor<2x5x5x2xf32>, tensor<2x4xf32>
}
// OUT:
// func.func @main(%arg0: tensor<2x5x5x3xf32>, %arg1: tensor<3x3x3x4xf32>, %arg2: tensor<1x1x4x2xf32>, %arg3: tensor<4xf32>) -> (tensor<2x5x5x2xf32>, tensor<2x4xf32>) {
//   %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
//   %0 = stablehlo.transpose %arg0, dims = [3, 0, 1, 2] : (tensor<2x5x5x3xf32>) -> tensor<3x2x5x5xf32>
//   %1 = stablehlo.convolution(%0, %arg1) dim_numbers = [f, b, 0, 1]x[0, 1, i, o]->[f, b, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64} : (tensor<3x2x5x5xf32>, tensor<3x3x3x4xf32>) -> tensor<4x2x5x5xf32>
//   %2 = stablehlo.broadcast_in_dim %arg3, dims = [0] : (tensor<4xf32>) -> tensor<4x2x5x5xf32>
//   %3 = stablehlo.add %1, %2 : tensor<4x2x5x5xf32>
//   %cst_0 = stablehlo.constant dense<0.000000e+00> : tensor<4x2x5x5xf32>
//   %4 = stablehlo.maximum %3, %cst_0 : tensor<4x2x5x5xf32>
//   %5 = stablehlo.convolution(%4, %arg2) dim_numbers = [f, b, 0, 1]x[0, 1, i, o]->[f, b, 0, 1], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64} : (tensor<4x2x5x5xf32>, tensor<1x1x4x2xf32>) -> tensor<2x2x5x5xf32>
//   %6 = stablehlo.transpose %5, dims = [1, 2, 3, 0] : (tensor<2x2x5x5xf32>) -> tensor<2x5x5x2xf32>
//   %7 = stablehlo.reduce(%4 init: %cst) applies stablehlo.add across dimensions = [2, 3] : (tensor<4x2x5x5xf32>, tensor<f32>) -> tensor<4x2xf32>
//   %8 = stablehlo.transpose %7, dims = [1, 0] : (tensor<4x2xf32>) -> tensor<2x4xf32>
//   return %6, %8 : tensor<2x5x5x2xf32>, tensor<2x4xf32>
// }
