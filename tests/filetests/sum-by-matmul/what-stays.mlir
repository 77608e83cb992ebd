// RUN: sum-by-matmul
func.func @main(%x: tensor<5x16xf32>, %i: tensor<5x16xi32>) -> (tensor<5xf32>, tensor<16xf32>, tensor<16xi32>) {
  %zero = stablehlo.constant dense<0.0> : tensor<f32>
  %none = stablehlo.constant dense<0> : tensor<i32>
  %0 = stablehlo.reduce(%x init: %zero) applies stablehlo.add across dimensions = [1] : (tensor<5x16xf32>, tensor<f32>) -> tensor<5xf32>
  %1 = stablehlo.reduce(%x init: %zero) applies stablehlo.maximum across dimensions = [0] : (tensor<5x16xf32>, tensor<f32>) -> tensor<16xf32>
  %2 = stablehlo.reduce(%i init: %none) applies stablehlo.add across dimensions = [0] : (tensor<5x16xi32>, tensor<i32>) -> tensor<16xi32>
  return %0, %1, %2 : tensor<5xf32>, tensor<16xf32>, tensor<16xi32>
}
// OUT:
// func.func @main(%arg0: tensor<5x16xf32>, %arg1: tensor<5x16xi32>) -> (tensor<5xf32>, tensor<16xf32>, tensor<16xi32>) {
//   %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
//   %c = stablehlo.constant dense<0> : tensor<i32>
//   %0 = stablehlo.reduce(%arg0 init: %cst) applies stablehlo.add across dimensions = [1] : (tensor<5x16xf32>, tensor<f32>) -> tensor<5xf32>
//   %1 = stablehlo.reduce(%arg0 init: %cst) applies stablehlo.maximum across dimensions = [0] : (tensor<5x16xf32>, tensor<f32>) -> tensor<16xf32>
//   %2 = stablehlo.reduce(%arg1 init: %c) applies stablehlo.add across dimensions = [0] : (tensor<5x16xi32>, tensor<i32>) -> tensor<16xi32>
//   return %0, %1, %2 : tensor<5xf32>, tensor<16xf32>, tensor<16xi32>
// }
