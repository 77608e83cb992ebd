// RUN: auto-cast
// OPTIONS: auto-cast=all auto-cast-type=fp16
// EVAL: atol=0.02 rtol=0.01
func.func @main(%x: tensor<4x8xf32>) -> tensor<4xf32> {
  %c = stablehlo.constant dense<0.0> : tensor<f32>
  %0 = stablehlo.exponential %x : tensor<4x8xf32>
  %1 = stablehlo.reduce(%0 init: %c) applies stablehlo.add across dimensions = [1] : (tensor<4x8xf32>, tensor<f32>) -> tensor<4xf32>
  return %1 : tensor<4xf32>
}
// OUT:
// func.func @main(%arg0: tensor<4x8xf32>) -> tensor<4xf32> {
//   %0 = stablehlo.convert %arg0 : (tensor<4x8xf32>) -> tensor<4x8xf16>
//   %cst = stablehlo.constant dense<0.000000e+00> : tensor<f16>
//   %1 = stablehlo.exponential %0 : tensor<4x8xf16>
//   %2 = stablehlo.convert %1 : (tensor<4x8xf16>) -> tensor<4x8xf32>
//   %3 = stablehlo.convert %cst : (tensor<f16>) -> tensor<f32>
//   %4 = stablehlo.reduce(%2 init: %3) applies stablehlo.add across dimensions = [1] : (tensor<4x8xf32>, tensor<f32>) -> tensor<4xf32>
//   %5 = stablehlo.convert %4 : (tensor<4xf32>) -> tensor<4xf16>
//   return %4 : tensor<4xf32>
// }
