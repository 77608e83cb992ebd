// RUN: orient-contractions, remove-dead-ops
func.func @main(%x: tensor<4x6xf32>, %w: tensor<6x8xf32>, %b: tensor<8xf32>, %v: tensor<8x5xf32>) -> tensor<4x5xf32> {
  %0 = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0] : (tensor<4x6xf32>, tensor<6x8xf32>) -> tensor<4x8xf32>
  %1 = stablehlo.broadcast_in_dim %b, dims = [1] : (tensor<8xf32>) -> tensor<4x8xf32>
  %2 = stablehlo.add %0, %1 : tensor<4x8xf32>
  %c = stablehlo.constant dense<0.0> : tensor<4x8xf32>
  %3 = stablehlo.maximum %2, %c : tensor<4x8xf32>
  %4 = stablehlo.dot_general %3, %v, contracting_dims = [1] x [0] : (tensor<4x8xf32>, tensor<8x5xf32>) -> tensor<4x5xf32>
  return %4 : tensor<4x5xf32>
}
// OUT:
// func.func @main(%arg0: tensor<4x6xf32>, %arg1: tensor<6x8xf32>, %arg2: tensor<8xf32>, %arg3: tensor<8x5xf32>) -> tensor<4x5xf32> {
//   %0 = stablehlo.dot_general %arg1, %arg0, contracting_dims = [0] x [1] : (tensor<6x8xf32>, tensor<4x6xf32>) -> tensor<8x4xf32>
//   %1 = stablehlo.broadcast_in_dim %arg2, dims = [0] : (tensor<8xf32>) -> tensor<8x4xf32>
//   %2 = stablehlo.add %0, %1 : tensor<8x4xf32>
//   %cst = stablehlo.constant dense<0.000000e+00> : tensor<8x4xf32>
//   %3 = stablehlo.maximum %2, %cst : tensor<8x4xf32>
//   %4 = stablehlo.transpose %3, dims = [1, 0] : (tensor<8x4xf32>) -> tensor<4x8xf32>
//   %5 = stablehlo.dot_general %4, %arg3, contracting_dims = [1] x [0] : (tensor<4x8xf32>, tensor<8x5xf32>) -> tensor<4x5xf32>
//   return %5 : tensor<4x5xf32>
// }
