// RUN: hoist-scalars, merge-equal-ops, remove-dead-ops
func.func @main(%x: tensor<4x6xf32>, %w: tensor<6x8xf32>) -> tensor<2x4x4xf32> {
  %0 = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0] : (tensor<4x6xf32>, tensor<6x8xf32>) -> tensor<4x8xf32>
  %1 = stablehlo.reshape %0 : (tensor<4x8xf32>) -> tensor<4x2x4xf32>
  %2 = stablehlo.transpose %1, dims = [1, 0, 2] : (tensor<4x2x4xf32>) -> tensor<2x4x4xf32>
  %c = stablehlo.constant dense<5.000000e-01> : tensor<2x4x4xf32>
  %3 = stablehlo.multiply %2, %c : tensor<2x4x4xf32>
  return %3 : tensor<2x4x4xf32>
}
// OUT:
// func.func @main(%arg0: tensor<4x6xf32>, %arg1: tensor<6x8xf32>) -> tensor<2x4x4xf32> {
//   %0 = stablehlo.dot_general %arg0, %arg1, contracting_dims = [1] x [0] : (tensor<4x6xf32>, tensor<6x8xf32>) -> tensor<4x8xf32>
//   %cst = stablehlo.constant dense<5.000000e-01> : tensor<4x8xf32>
//   %1 = stablehlo.multiply %0, %cst : tensor<4x8xf32>
//   %2 = stablehlo.reshape %1 : (tensor<4x8xf32>) -> tensor<4x2x4xf32>
//   %3 = stablehlo.transpose %2, dims = [1, 0, 2] : (tensor<4x2x4xf32>) -> tensor<2x4x4xf32>
//   return %3 : tensor<2x4x4xf32>
// }
