// RUN: orient-contractions, canonicalize, remove-dead-ops
func.func @main(%x: tensor<2x3x4xf32>, %dy: tensor<2x3x5xf32>, %w: tensor<4x5xf32>) -> tensor<4x5xf32> {
  %0 = stablehlo.dot_general %dy, %x, contracting_dims = [0, 1] x [0, 1] : (tensor<2x3x5xf32>, tensor<2x3x4xf32>) -> tensor<5x4xf32>
  %1 = stablehlo.transpose %0, dims = [1, 0] : (tensor<5x4xf32>) -> tensor<4x5xf32>
  %2 = stablehlo.add %w, %1 : tensor<4x5xf32>
  return %2 : tensor<4x5xf32>
}
// OUT:
// func.func @main(%arg0: tensor<2x3x4xf32>, %arg1: tensor<2x3x5xf32>, %arg2: tensor<4x5xf32>) -> tensor<4x5xf32> {
//   %0 = stablehlo.dot_general %arg0, %arg1, contracting_dims = [0, 1] x [0, 1] : (tensor<2x3x4xf32>, tensor<2x3x5xf32>) -> tensor<4x5xf32>
//   %1 = stablehlo.add %arg2, %0 : tensor<4x5xf32>
//   return %1 : tensor<4x5xf32>
// }
