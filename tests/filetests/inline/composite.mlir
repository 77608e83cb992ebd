// RUN: inline
func.func public @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = stablehlo.composite "my.square" %x {decomposition = @square} : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
func.func private @square(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = stablehlo.multiply %x, %x : tensor<4xf32>
  return %0 : tensor<4xf32>
}
// OUT:
// func.func public @main(%arg0: tensor<4xf32>) -> tensor<4xf32> {
//   %0 = stablehlo.multiply %arg0, %arg0 : tensor<4xf32>
//   return %0 : tensor<4xf32>
// }
