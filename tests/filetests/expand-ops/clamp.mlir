// RUN: expand-ops
// EVAL: exact
func.func @main(%lo: tensor<f32>, %x: tensor<8xf32>, %hi: tensor<8xf32>) -> tensor<8xf32> {
  %0 = stablehlo.clamp %lo, %x, %hi : (tensor<f32>, tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  return %0 : tensor<8xf32>
}
