// RUN: orient-contractions, canonicalize, remove-dead-ops
func.func @main(%p: tensor<2x3x64x64xf32>, %v: tensor<2x3x64x4xf32>, %w: tensor<12x5xf32>) -> tensor<2x64x5xf32> {
  %0 = stablehlo.dot_general %p, %v, batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [2] : (tensor<2x3x64x64xf32>, tensor<2x3x64x4xf32>) -> tensor<2x3x64x4xf32>
  %1 = stablehlo.transpose %0, dims = [0, 2, 1, 3] : (tensor<2x3x64x4xf32>) -> tensor<2x64x3x4xf32>
  %2 = stablehlo.reshape %1 : (tensor<2x64x3x4xf32>) -> tensor<2x64x12xf32>
  %3 = stablehlo.dot_general %2, %w, contracting_dims = [2] x [0] : (tensor<2x64x12xf32>, tensor<12x5xf32>) -> tensor<2x64x5xf32>
  return %3 : tensor<2x64x5xf32>
}
// OUT:
// func.func @main(%arg0: tensor<2x3x64x64xf32>, %arg1: tensor<2x3x64x4xf32>, %arg2: tensor<12x5xf32>) -> tensor<2x64x5xf32> {
//   %0 = stablehlo.dot_general %arg1, %arg0, batching_dims = [0, 1] x [0, 1], contracting_dims = [2] x [3] : (tensor<2x3x64x4xf32>, tensor<2x3x64x64xf32>) -> tensor<2x3x4x64xf32>
//   %1 = stablehlo.transpose %0, dims = [0, 3, 1, 2] : (tensor<2x3x4x64xf32>) -> tensor<2x64x3x4xf32>
//   %2 = stablehlo.reshape %1 : (tensor<2x64x3x4xf32>) -> tensor<2x64x12xf32>
//   %3 = stablehlo.dot_general %2, %arg2, contracting_dims = [2] x [0] : (tensor<2x64x12xf32>, tensor<12x5xf32>) -> tensor<2x64x5xf32>
//   return %3 : tensor<2x64x5xf32>
// }
