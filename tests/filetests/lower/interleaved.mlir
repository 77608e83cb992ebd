// Values that alternate in memory are put together on chip and stored in long runs.
// RUN: lower
// OPTIONS: target=inf2
// EVAL: atol=0 rtol=0
// CHECK: "tile.tensor_copy"
func.func public @main(%x: tensor<256x64xbf16>, %y: tensor<256x64xbf16>) -> tensor<256x128xbf16> {
  %0 = stablehlo.reshape %x : (tensor<256x64xbf16>) -> tensor<256x64x1xbf16>
  %1 = stablehlo.reshape %y : (tensor<256x64xbf16>) -> tensor<256x64x1xbf16>
  %2 = stablehlo.concatenate %0, %1, dim = 2 : (tensor<256x64x1xbf16>, tensor<256x64x1xbf16>) -> tensor<256x64x2xbf16>
  %3 = stablehlo.reshape %2 : (tensor<256x64x2xbf16>) -> tensor<256x128xbf16>
  return %3 : tensor<256x128xbf16>
}
