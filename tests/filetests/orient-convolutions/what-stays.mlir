// RUN: orient-convolutions
func.func @main(%x: tensor<2x16x16x3xf32>, %patch: tensor<16x16x3x4xf32>, %d: tensor<3x3x1x3xf32>) -> (tensor<2x1x1x4xf32>, tensor<2x14x14x3xf32>) {
  %0 = stablehlo.convolution(%x, %patch) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], window = {stride = [16, 16]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64} : (tensor<2x16x16x3xf32>, tensor<16x16x3x4xf32>) -> tensor<2x1x1x4xf32>
  %1 = stablehlo.convolution(%x, %d) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], window = {} {batch_group_count = 1 : i64, feature_group_count = 3 : i64} : (tensor<2x16x16x3xf32>, tensor<3x3x1x3xf32>) -> tensor<2x14x14x3xf32>
  return %0, %1 : tensor<2x1x1x4xf32>, tensor<2x14x14x3xf32>
}
// OUT:
// func.func @main(%arg0: tensor<2x16x16x3xf32>, %arg1: tensor<16x16x3x4xf32>, %arg2: tensor<3x3x1x3xf32>) -> (tensor<2x1x1x4xf32>, tensor<2x14x14x3xf32>) {
//   %0 = stablehlo.convolution(%arg0, %arg1) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], window = {stride = [16, 16], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64} : (tensor<2x16x16x3xf32>, tensor<16x16x3x4xf32>) -> tensor<2x1x1x4xf32>
//   %1 = stablehlo.convolution(%arg0, %arg2) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 3 : i64} : (tensor<2x16x16x3xf32>, tensor<3x3x1x3xf32>) -> tensor<2x14x14x3xf32>
//   return %0, %1 : tensor<2x1x1x4xf32>, tensor<2x14x14x3xf32>
// }
