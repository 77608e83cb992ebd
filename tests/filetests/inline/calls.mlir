// RUN: inline
func.func public @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = call @twice(%x) : (tensor<4xf32>) -> tensor<4xf32>
  %1 = call @twice(%0) : (tensor<4xf32>) -> tensor<4xf32>
  return %1 : tensor<4xf32>
}
func.func private @twice(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = stablehlo.add %x, %x : tensor<4xf32>
  return %0 : tensor<4xf32>
}
// OUT:
// func.func public @main(%arg0: tensor<4xf32>) -> tensor<4xf32> {
//   %0 = stablehlo.add %arg0, %arg0 : tensor<4xf32>
//   %1 = stablehlo.add %0, %0 : tensor<4xf32>
//   return %1 : tensor<4xf32>
// }
