// RUN: egraph, remove-dead-ops
// EVAL: exact
func.func @main(%x: tensor<8x16xf32>, %y: tensor<8x16xf32>) -> (tensor<16x8xf32>, tensor<8x16xf32>) {
  %0 = stablehlo.add %x, %y : tensor<8x16xf32>
  %1 = stablehlo.transpose %0, dims = [1, 0] : (tensor<8x16xf32>) -> tensor<16x8xf32>
  return %1, %0 : tensor<16x8xf32>, tensor<8x16xf32>
}
// OUT:
// func.func @main(%arg0: tensor<8x16xf32>, %arg1: tensor<8x16xf32>) -> (tensor<16x8xf32>, tensor<8x16xf32>) {
//   %0 = stablehlo.add %arg0, %arg1 : tensor<8x16xf32>
//   %1 = stablehlo.transpose %0, dims = [1, 0] : (tensor<8x16xf32>) -> tensor<16x8xf32>
//   return %1, %0 : tensor<16x8xf32>, tensor<8x16xf32>
// }
