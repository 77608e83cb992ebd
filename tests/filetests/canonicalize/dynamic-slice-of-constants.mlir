// RUN: canonicalize, remove-dead-ops
// EVAL: exact
// The start index 9 is clamped so that the slice fits.
func.func @main(%x: tensor<8x6xf32>) -> tensor<2x6xf32> {
  %i = stablehlo.constant dense<9> : tensor<i32>
  %j = stablehlo.constant dense<0> : tensor<i32>
  %0 = stablehlo.dynamic_slice %x, %i, %j, sizes = [2, 6] : (tensor<8x6xf32>, tensor<i32>, tensor<i32>) -> tensor<2x6xf32>
  return %0 : tensor<2x6xf32>
}
// OUT:
// func.func @main(%arg0: tensor<8x6xf32>) -> tensor<2x6xf32> {
//   %0 = stablehlo.slice %arg0 [6:8, 0:6] : (tensor<8x6xf32>) -> tensor<2x6xf32>
//   return %0 : tensor<2x6xf32>
// }
