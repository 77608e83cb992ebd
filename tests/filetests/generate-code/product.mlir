// RUN: lower, generate-code, check-sync
// OPTIONS: target=inf2
// EVAL: atol=1e-4 rtol=1e-4
// CHECK: "isa.program"
// CHECK: isa.load_stationary
// CHECK: isa.multiply_moving
func.func public @main(%x: tensor<8x32xf32>, %w: tensor<32x16xf32>) -> tensor<8x16xf32> {
  %0 = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0] : (tensor<8x32xf32>, tensor<32x16xf32>) -> tensor<8x16xf32>
  %1 = stablehlo.exponential %0 : tensor<8x16xf32>
  return %1 : tensor<8x16xf32>
}
