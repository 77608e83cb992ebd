// What is converted from bf16 lies in memory as bf16 for those who read it: widening is exact, and engines do it on the way.
// RUN: lower
// OPTIONS: target=inf2
// EVAL: atol=1e-2 rtol=1e-2
// CHECK: kind = "scratch", bytes = 16384
// CHECK-NOT: kind = "scratch", bytes = 32768
func.func public @main(%x: tensor<128x64xf32>, %p: tensor<32x128xf32>, %q: tensor<64x16xf32>) -> (tensor<32x64xf32>, tensor<128x16xf32>, tensor<64x128xf32>) {
  %0 = stablehlo.tanh %x : tensor<128x64xf32>
  %1 = stablehlo.convert %0 : (tensor<128x64xf32>) -> tensor<128x64xbf16>
  %2 = stablehlo.convert %1 : (tensor<128x64xbf16>) -> tensor<128x64xf32>
  %3 = stablehlo.dot_general %p, %2, contracting_dims = [1] x [0] : (tensor<32x128xf32>, tensor<128x64xf32>) -> tensor<32x64xf32>
  %4 = stablehlo.dot_general %2, %q, contracting_dims = [1] x [0] : (tensor<128x64xf32>, tensor<64x16xf32>) -> tensor<128x16xf32>
  %5 = stablehlo.transpose %2, dims = [1, 0] : (tensor<128x64xf32>) -> tensor<64x128xf32>
  %6 = stablehlo.multiply %5, %5 : tensor<64x128xf32>
  return %3, %4, %6 : tensor<32x64xf32>, tensor<128x16xf32>, tensor<64x128xf32>
}
