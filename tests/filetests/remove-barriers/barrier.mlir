// RUN: remove-barriers
// EVAL: exact
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = stablehlo.add %x, %x : tensor<4xf32>
  %1 = stablehlo.optimization_barrier %0 : tensor<4xf32>
  return %1 : tensor<4xf32>
}
// OUT:
// func.func @main(%arg0: tensor<4xf32>) -> tensor<4xf32> {
//   %0 = stablehlo.add %arg0, %arg0 : tensor<4xf32>
//   return %0 : tensor<4xf32>
// }
