// RUN: hlo(-O2), lower, tile(generate-code), isa(check-sync)
// OPTIONS: target=inf2 auto-cast=matmult
// EVAL: atol=2e-1 rtol=5e-2
// CHECK: "isa.program"
// CHECK: bf16
func.func public @main(%x: tensor<8x32xf32>, %w: tensor<32x16xf32>) -> tensor<8x16xf32> {
  %0 = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0] : (tensor<8x32xf32>, tensor<32x16xf32>) -> tensor<8x16xf32>
  %1 = stablehlo.exponential %0 : tensor<8x16xf32>
  return %1 : tensor<8x16xf32>
}
