// RUN: expand-ops
// EVAL: exact
func.func @main(%lo: tensor<f32>, %x: tensor<8xf32>, %hi: tensor<8xf32>) -> tensor<8xf32> {
  %0 = stablehlo.clamp %lo, %x, %hi : (tensor<f32>, tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  return %0 : tensor<8xf32>
}
// OUT:
// func.func @main(%arg0: tensor<f32>, %arg1: tensor<8xf32>, %arg2: tensor<8xf32>) -> tensor<8xf32> {
//   %0 = stablehlo.broadcast_in_dim %arg0, dims = [] : (tensor<f32>) -> tensor<8xf32>
//   %1 = stablehlo.maximum %arg1, %0 : tensor<8xf32>
//   %2 = stablehlo.minimum %1, %arg2 : tensor<8xf32>
//   return %2 : tensor<8xf32>
// }
