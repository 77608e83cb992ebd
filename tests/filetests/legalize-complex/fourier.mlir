// RUN: legalize-complex, canonicalize, remove-dead-ops
// EVAL: atol=1e-5 rtol=1e-5
// CHECK: stablehlo.dot_general
// CHECK-NOT: stablehlo.fft
// CHECK-NOT: complex<
func.func public @main(%x: tensor<2x8xf32>) -> tensor<2x5xf32> {
  %0 = stablehlo.fft %x, type = RFFT, length = [8] : (tensor<2x8xf32>) -> tensor<2x5xcomplex<f32>>
  %1 = stablehlo.real %0 : (tensor<2x5xcomplex<f32>>) -> tensor<2x5xf32>
  return %1 : tensor<2x5xf32>
}
