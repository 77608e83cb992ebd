// RUN: combine-affine, remove-dead-ops
func.func @main(%x: tensor<2x5x4xf32>, %r: tensor<2x5x4xf32>, %m: tensor<4xf32>, %s: tensor<4xf32>, %t: tensor<4xf32>) -> tensor<2x5x4xf32> {
  %0 = stablehlo.broadcast_in_dim %m, dims = [2] : (tensor<4xf32>) -> tensor<2x5x4xf32>
  %1 = stablehlo.broadcast_in_dim %s, dims = [2] : (tensor<4xf32>) -> tensor<2x5x4xf32>
  %2 = stablehlo.broadcast_in_dim %t, dims = [2] : (tensor<4xf32>) -> tensor<2x5x4xf32>
  %3 = stablehlo.subtract %x, %0 : tensor<2x5x4xf32>
  %4 = stablehlo.multiply %3, %1 : tensor<2x5x4xf32>
  %5 = stablehlo.add %4, %2 : tensor<2x5x4xf32>
  %6 = stablehlo.add %5, %r : tensor<2x5x4xf32>
  return %6 : tensor<2x5x4xf32>
}
// OUT:
// func.func @main(%arg0: tensor<2x5x4xf32>, %arg1: tensor<2x5x4xf32>, %arg2: tensor<4xf32>, %arg3: tensor<4xf32>, %arg4: tensor<4xf32>) -> tensor<2x5x4xf32> {
//   %0 = stablehlo.broadcast_in_dim %arg3, dims = [2] : (tensor<4xf32>) -> tensor<2x5x4xf32>
//   %1 = stablehlo.multiply %arg2, %arg3 : tensor<4xf32>
//   %2 = stablehlo.negate %1 : tensor<4xf32>
//   %3 = stablehlo.multiply %arg0, %0 : tensor<2x5x4xf32>
//   %4 = stablehlo.add %2, %arg4 : tensor<4xf32>
//   %5 = stablehlo.broadcast_in_dim %4, dims = [2] : (tensor<4xf32>) -> tensor<2x5x4xf32>
//   %6 = stablehlo.add %3, %arg1 : tensor<2x5x4xf32>
//   %7 = stablehlo.add %6, %5 : tensor<2x5x4xf32>
//   return %7 : tensor<2x5x4xf32>
// }
