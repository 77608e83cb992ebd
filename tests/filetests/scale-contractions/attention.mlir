// RUN: scale-contractions, remove-dead-ops
// EVAL: atol=1e-5 rtol=1e-5
func.func @main(%x: tensor<32x2xf32>, %k: tensor<32x2xf32>, %v: tensor<32x2xf32>) -> tensor<32x2xf32> {
  %q = stablehlo.negate %x : tensor<32x2xf32>
  %0 = stablehlo.dot_general %q, %k, contracting_dims = [1] x [1] : (tensor<32x2xf32>, tensor<32x2xf32>) -> tensor<32x32xf32>
  %c = stablehlo.constant dense<5.000000e-01> : tensor<32x32xf32>
  %1 = stablehlo.multiply %0, %c : tensor<32x32xf32>
  %inf = stablehlo.constant dense<0xFF800000> : tensor<f32>
  %2 = stablehlo.reduce(%1 init: %inf) applies stablehlo.maximum across dimensions = [1] : (tensor<32x32xf32>, tensor<f32>) -> tensor<32xf32>
  %3 = stablehlo.broadcast_in_dim %2, dims = [0] : (tensor<32xf32>) -> tensor<32x32xf32>
  %4 = stablehlo.subtract %1, %3 : tensor<32x32xf32>
  %5 = stablehlo.exponential %4 : tensor<32x32xf32>
  %zero = stablehlo.constant dense<0.000000e+00> : tensor<f32>
  %6 = stablehlo.reduce(%5 init: %zero) applies stablehlo.add across dimensions = [1] : (tensor<32x32xf32>, tensor<f32>) -> tensor<32xf32>
  %7 = stablehlo.broadcast_in_dim %6, dims = [0] : (tensor<32xf32>) -> tensor<32x32xf32>
  %8 = stablehlo.divide %5, %7 : tensor<32x32xf32>
  %9 = stablehlo.dot_general %8, %v, contracting_dims = [1] x [0] : (tensor<32x32xf32>, tensor<32x2xf32>) -> tensor<32x2xf32>
  return %9 : tensor<32x2xf32>
}
// OUT:
// func.func @main(%arg0: tensor<32x2xf32>, %arg1: tensor<32x2xf32>, %arg2: tensor<32x2xf32>) -> tensor<32x2xf32> {
//   %0 = stablehlo.negate %arg0 : tensor<32x2xf32>
//   %cst = stablehlo.constant dense<5.000000e-01> : tensor<32x2xf32>
//   %1 = stablehlo.multiply %0, %cst : tensor<32x2xf32>
//   %2 = stablehlo.dot_general %1, %arg1, contracting_dims = [1] x [1] : (tensor<32x2xf32>, tensor<32x2xf32>) -> tensor<32x32xf32>
//   %cst_0 = stablehlo.constant dense<0xFF800000> : tensor<f32>
//   %3 = stablehlo.reduce(%2 init: %cst_0) applies stablehlo.maximum across dimensions = [1] : (tensor<32x32xf32>, tensor<f32>) -> tensor<32xf32>
//   %4 = stablehlo.broadcast_in_dim %3, dims = [0] : (tensor<32xf32>) -> tensor<32x32xf32>
//   %5 = stablehlo.subtract %2, %4 : tensor<32x32xf32>
//   %6 = stablehlo.exponential %5 : tensor<32x32xf32>
//   %cst_1 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
//   %7 = stablehlo.reduce(%6 init: %cst_1) applies stablehlo.add across dimensions = [1] : (tensor<32x32xf32>, tensor<f32>) -> tensor<32xf32>
//   %8 = stablehlo.reshape %7 : (tensor<32xf32>) -> tensor<32xf32>
//   %9 = stablehlo.broadcast_in_dim %8, dims = [0] : (tensor<32xf32>) -> tensor<32x2xf32>
//   %10 = stablehlo.dot_general %6, %arg2, contracting_dims = [1] x [0] : (tensor<32x32xf32>, tensor<32x2xf32>) -> tensor<32x2xf32>
//   %11 = stablehlo.divide %10, %9 : tensor<32x2xf32>
//   return %11 : tensor<32x2xf32>
// }
