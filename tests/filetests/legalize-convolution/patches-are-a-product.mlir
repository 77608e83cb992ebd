// RUN: legalize-convolution
// EVAL: atol=1e-4 rtol=1e-5
// CHECK: stablehlo.dot_general
// CHECK-NOT: stablehlo.convolution
func.func public @main(%x: tensor<1x8x8x3xf32>, %w: tensor<4x4x3x6xf32>) -> tensor<1x2x2x6xf32> {
  %0 = stablehlo.convolution(%x, %w) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], window = {stride = [4, 4]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64} : (tensor<1x8x8x3xf32>, tensor<4x4x3x6xf32>) -> tensor<1x2x2x6xf32>
  return %0 : tensor<1x2x2x6xf32>
}
