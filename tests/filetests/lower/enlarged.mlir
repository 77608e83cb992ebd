// Pixels that come twice are loaded once, in long runs, and repeated by an access pattern on chip.
// RUN: lower
// OPTIONS: target=inf2
// EVAL: atol=0 rtol=0
// CHECK: "tile.tensor_copy"
func.func public @main(%x: tensor<128x64xf32>) -> tensor<128x128xf32> {
  %0 = stablehlo.broadcast_in_dim %x, dims = [0, 1] : (tensor<128x64xf32>) -> tensor<128x64x2xf32>
  %1 = stablehlo.reshape %0 : (tensor<128x64x2xf32>) -> tensor<128x128xf32>
  return %1 : tensor<128x128xf32>
}
