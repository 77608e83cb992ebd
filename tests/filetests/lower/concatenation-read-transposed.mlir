// Pieces are put where the reader of the transposed result wants them: no copy in between.
// RUN: lower
// OPTIONS: target=inf2
// EVAL: atol=0 rtol=0
// CHECK: kind = "output"
// CHECK-NOT: "copy_
func.func public @main(%x: tensor<1x4x8x16xf32>, %y: tensor<1x4x8x16xf32>) -> tensor<8x128xf32> {
  %0 = stablehlo.concatenate %x, %y, dim = 0 : (tensor<1x4x8x16xf32>, tensor<1x4x8x16xf32>) -> tensor<2x4x8x16xf32>
  %1 = stablehlo.transpose %0, dims = [2, 0, 1, 3] : (tensor<2x4x8x16xf32>) -> tensor<8x2x4x16xf32>
  %2 = stablehlo.reshape %1 : (tensor<8x2x4x16xf32>) -> tensor<8x128xf32>
  %3 = stablehlo.negate %2 : tensor<8x128xf32>
  return %3 : tensor<8x128xf32>
}
