// RUN: expand-ops
func.func @main(%x: tensor<2x3x4xf32>, %scale: tensor<3xf32>, %offset: tensor<3xf32>) -> (tensor<2x3x4xf32>, tensor<3xf32>, tensor<3xf32>) {
  %0:3 = "stablehlo.batch_norm_training"(%x, %scale, %offset) {epsilon = 0.001 : f32, feature_index = 1 : i64} : (tensor<2x3x4xf32>, tensor<3xf32>, tensor<3xf32>) -> (tensor<2x3x4xf32>, tensor<3xf32>, tensor<3xf32>)
  return %0#0, %0#1, %0#2 : tensor<2x3x4xf32>, tensor<3xf32>, tensor<3xf32>
}
// OUT:
// func.func @main(%arg0: tensor<2x3x4xf32>, %arg1: tensor<3xf32>, %arg2: tensor<3xf32>) -> (tensor<2x3x4xf32>, tensor<3xf32>, tensor<3xf32>) {
//   %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
//   %0 = stablehlo.reduce(%arg0 init: %cst) applies stablehlo.add across dimensions = [0, 2] : (tensor<2x3x4xf32>, tensor<f32>) -> tensor<3xf32>
//   %cst_0 = stablehlo.constant dense<1.250000e-01> : tensor<3xf32>
//   %1 = stablehlo.multiply %0, %cst_0 : tensor<3xf32>
//   %2 = stablehlo.broadcast_in_dim %1, dims = [1] : (tensor<3xf32>) -> tensor<2x3x4xf32>
//   %3 = stablehlo.subtract %arg0, %2 : tensor<2x3x4xf32>
//   %4 = stablehlo.multiply %3, %3 : tensor<2x3x4xf32>
//   %cst_1 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
//   %5 = stablehlo.reduce(%4 init: %cst_1) applies stablehlo.add across dimensions = [0, 2] : (tensor<2x3x4xf32>, tensor<f32>) -> tensor<3xf32>
//   %cst_2 = stablehlo.constant dense<1.250000e-01> : tensor<3xf32>
//   %6 = stablehlo.multiply %5, %cst_2 : tensor<3xf32>
//   %cst_3 = stablehlo.constant dense<1.000000e-03> : tensor<3xf32>
//   %7 = stablehlo.add %6, %cst_3 : tensor<3xf32>
//   %8 = stablehlo.rsqrt %7 : tensor<3xf32>
//   %9 = stablehlo.multiply %arg1, %8 : tensor<3xf32>
//   %10 = stablehlo.broadcast_in_dim %1, dims = [1] : (tensor<3xf32>) -> tensor<2x3x4xf32>
//   %11 = stablehlo.subtract %arg0, %10 : tensor<2x3x4xf32>
//   %12 = stablehlo.broadcast_in_dim %9, dims = [1] : (tensor<3xf32>) -> tensor<2x3x4xf32>
//   %13 = stablehlo.multiply %11, %12 : tensor<2x3x4xf32>
//   %14 = stablehlo.broadcast_in_dim %arg2, dims = [1] : (tensor<3xf32>) -> tensor<2x3x4xf32>
//   %15 = stablehlo.add %13, %14 : tensor<2x3x4xf32>
//   return %15, %1, %6 : tensor<2x3x4xf32>, tensor<3xf32>, tensor<3xf32>
// }
