// RUN: canonicalize, remove-dead-ops
// EVAL: exact
func.func @main(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %0 = stablehlo.transpose %x, dims = [1, 0] : (tensor<2x3xf32>) -> tensor<3x2xf32>
  %1 = stablehlo.transpose %0, dims = [1, 0] : (tensor<3x2xf32>) -> tensor<2x3xf32>
  return %1 : tensor<2x3xf32>
}
// OUT:
// func.func @main(%arg0: tensor<2x3xf32>) -> tensor<2x3xf32> {
//   return %arg0 : tensor<2x3xf32>
// }
