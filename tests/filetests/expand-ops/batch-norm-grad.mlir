// RUN: expand-ops, canonicalize, merge-equal-ops, remove-dead-ops
// EVAL: atol=1e-4 rtol=1e-4
func.func @main(%x: tensor<2x3x4xf32>, %scale: tensor<3xf32>, %mean: tensor<3xf32>, %v: tensor<3xf32>, %grad: tensor<2x3x4xf32>) -> (tensor<2x3x4xf32>, tensor<3xf32>, tensor<3xf32>) {
  %variance = stablehlo.abs %v : tensor<3xf32>
  %0:3 = "stablehlo.batch_norm_grad"(%x, %scale, %mean, %variance, %grad) {epsilon = 0.001 : f32, feature_index = 1 : i64} : (tensor<2x3x4xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<2x3x4xf32>) -> (tensor<2x3x4xf32>, tensor<3xf32>, tensor<3xf32>)
  return %0#0, %0#1, %0#2 : tensor<2x3x4xf32>, tensor<3xf32>, tensor<3xf32>
}
// OUT:
// func.func @main(%arg0: tensor<2x3x4xf32>, %arg1: tensor<3xf32>, %arg2: tensor<3xf32>, %arg3: tensor<3xf32>, %arg4: tensor<2x3x4xf32>) -> (tensor<2x3x4xf32>, tensor<3xf32>, tensor<3xf32>) {
//   %0 = stablehlo.abs %arg3 : tensor<3xf32>
//   %cst = stablehlo.constant dense<1.000000e-03> : tensor<3xf32>
//   %1 = stablehlo.add %0, %cst : tensor<3xf32>
//   %2 = stablehlo.rsqrt %1 : tensor<3xf32>
//   %3 = stablehlo.broadcast_in_dim %arg2, dims = [1] : (tensor<3xf32>) -> tensor<2x3x4xf32>
//   %4 = stablehlo.subtract %arg0, %3 : tensor<2x3x4xf32>
//   %5 = stablehlo.multiply %arg4, %4 : tensor<2x3x4xf32>
//   %cst_0 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
//   %6 = stablehlo.reduce(%5 init: %cst_0) applies stablehlo.add across dimensions = [0, 2] : (tensor<2x3x4xf32>, tensor<f32>) -> tensor<3xf32>
//   %7 = stablehlo.multiply %6, %2 : tensor<3xf32>
//   %8 = stablehlo.reduce(%arg4 init: %cst_0) applies stablehlo.add across dimensions = [0, 2] : (tensor<2x3x4xf32>, tensor<f32>) -> tensor<3xf32>
//   %cst_1 = stablehlo.constant dense<1.250000e-01> : tensor<3xf32>
//   %9 = stablehlo.multiply %8, %cst_1 : tensor<3xf32>
//   %10 = stablehlo.multiply %7, %2 : tensor<3xf32>
//   %11 = stablehlo.multiply %10, %cst_1 : tensor<3xf32>
//   %12 = stablehlo.broadcast_in_dim %11, dims = [1] : (tensor<3xf32>) -> tensor<2x3x4xf32>
//   %13 = stablehlo.multiply %4, %12 : tensor<2x3x4xf32>
//   %14 = stablehlo.broadcast_in_dim %9, dims = [1] : (tensor<3xf32>) -> tensor<2x3x4xf32>
//   %15 = stablehlo.subtract %arg4, %14 : tensor<2x3x4xf32>
//   %16 = stablehlo.subtract %15, %13 : tensor<2x3x4xf32>
//   %17 = stablehlo.multiply %arg1, %2 : tensor<3xf32>
//   %18 = stablehlo.broadcast_in_dim %17, dims = [1] : (tensor<3xf32>) -> tensor<2x3x4xf32>
//   %19 = stablehlo.multiply %16, %18 : tensor<2x3x4xf32>
//   return %19, %7, %8 : tensor<2x3x4xf32>, tensor<3xf32>, tensor<3xf32>
// }
