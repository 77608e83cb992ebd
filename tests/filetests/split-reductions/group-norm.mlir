// RUN: split-reductions, remove-dead-ops
// EVAL: atol=1e-5 rtol=1e-5
func.func @main(%x: tensor<4x6x2x8x16xf32>, %y: tensor<128x2x64xf32>, %z: tensor<4x128x6xf32>) -> (tensor<4x2xf32>, tensor<128xf32>, tensor<4x6xf32>) {
  %one = stablehlo.constant dense<1.000000e+00> : tensor<f32>
  %0 = stablehlo.reduce(%x init: %one) applies stablehlo.add across dimensions = [1, 3, 4] : (tensor<4x6x2x8x16xf32>, tensor<f32>) -> tensor<4x2xf32>
  %1 = stablehlo.reduce(%y init: %one) applies stablehlo.add across dimensions = [1, 2] : (tensor<128x2x64xf32>, tensor<f32>) -> tensor<128xf32>
  %2 = stablehlo.reduce(%z init: %one) applies stablehlo.add across dimensions = [1] : (tensor<4x128x6xf32>, tensor<f32>) -> tensor<4x6xf32>
  return %0, %1, %2 : tensor<4x2xf32>, tensor<128xf32>, tensor<4x6xf32>
}
// OUT:
// func.func @main(%arg0: tensor<4x6x2x8x16xf32>, %arg1: tensor<128x2x64xf32>, %arg2: tensor<4x128x6xf32>) -> (tensor<4x2xf32>, tensor<128xf32>, tensor<4x6xf32>) {
//   %cst = stablehlo.constant dense<1.000000e+00> : tensor<f32>
//   %cst_0 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
//   %0 = stablehlo.reduce(%arg0 init: %cst_0) applies stablehlo.add across dimensions = [3, 4] : (tensor<4x6x2x8x16xf32>, tensor<f32>) -> tensor<4x6x2xf32>
//   %1 = stablehlo.reduce(%0 init: %cst) applies stablehlo.add across dimensions = [1] : (tensor<4x6x2xf32>, tensor<f32>) -> tensor<4x2xf32>
//   %2 = stablehlo.reduce(%arg1 init: %cst) applies stablehlo.add across dimensions = [1, 2] : (tensor<128x2x64xf32>, tensor<f32>) -> tensor<128xf32>
//   %3 = stablehlo.reduce(%arg2 init: %cst) applies stablehlo.add across dimensions = [1] : (tensor<4x128x6xf32>, tensor<f32>) -> tensor<4x6xf32>
//   return %1, %2, %3 : tensor<4x2xf32>, tensor<128xf32>, tensor<4x6xf32>
// }
