// RUN: remove-dead-ops
func.func public @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = stablehlo.add %x, %x : tensor<4xf32>
  %1 = stablehlo.multiply %0, %x : tensor<4xf32>
  return %0 : tensor<4xf32>
}
func.func private @nobody(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}
// OUT:
// func.func public @main(%arg0: tensor<4xf32>) -> tensor<4xf32> {
//   %0 = stablehlo.add %arg0, %arg0 : tensor<4xf32>
//   return %0 : tensor<4xf32>
// }
