// RUN: canonicalize, remove-dead-ops
// EVAL: exact
func.func @main(%x: tensor<5x3xf32>, %y: tensor<4x5xf32>) -> tensor<3x4xf32> {
  %0 = stablehlo.transpose %x, dims = [1, 0] : (tensor<5x3xf32>) -> tensor<3x5xf32>
  %1 = stablehlo.transpose %y, dims = [1, 0] : (tensor<4x5xf32>) -> tensor<5x4xf32>
  %2 = stablehlo.dot_general %0, %1, contracting_dims = [1] x [0] : (tensor<3x5xf32>, tensor<5x4xf32>) -> tensor<3x4xf32>
  return %2 : tensor<3x4xf32>
}
// OUT:
// func.func @main(%arg0: tensor<5x3xf32>, %arg1: tensor<4x5xf32>) -> tensor<3x4xf32> {
//   %0 = stablehlo.dot_general %arg0, %arg1, contracting_dims = [0] x [1] : (tensor<5x3xf32>, tensor<4x5xf32>) -> tensor<3x4xf32>
//   return %0 : tensor<3x4xf32>
// }
