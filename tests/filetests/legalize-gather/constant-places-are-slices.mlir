// RUN: fold-constants, legalize-gather, remove-dead-ops
// EVAL: exact
func.func public @main(%x: tensor<6x4xf32>) -> tensor<2x3xf32> {
  %c = stablehlo.constant dense<9> : tensor<i32>
  %d = stablehlo.constant dense<-3> : tensor<i32>
  %0 = stablehlo.dynamic_slice %x, %c, %d, sizes = [2, 3] : (tensor<6x4xf32>, tensor<i32>, tensor<i32>) -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}
// OUT:
// func.func public @main(%arg0: tensor<6x4xf32>) -> tensor<2x3xf32> {
//   %0 = stablehlo.slice %arg0 [4:6, 0:3] : (tensor<6x4xf32>) -> tensor<2x3xf32>
//   return %0 : tensor<2x3xf32>
// }
