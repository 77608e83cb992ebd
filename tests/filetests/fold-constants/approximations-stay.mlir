// RUN: fold-constants, remove-dead-ops
// Engines compute exp in their own way: it is not folded.
func.func @main() -> tensor<f32> {
  %c = stablehlo.constant dense<2.0> : tensor<f32>
  %0 = stablehlo.exponential %c : tensor<f32>
  return %0 : tensor<f32>
}
// OUT:
// func.func @main() -> tensor<f32> {
//   %cst = stablehlo.constant dense<2.000000e+00> : tensor<f32>
//   %0 = stablehlo.exponential %cst : tensor<f32>
//   return %0 : tensor<f32>
// }
