// Equal layers are lowered once, as a loop: the weights are per trip, and so is what one layer hands on to the next.
// RUN: lower{layer-us=0}
// OPTIONS: target=inf2
// EVAL: atol=1e-4 rtol=1e-4
// CHECK: kind = "per_trip"
// CHECK: "tile.loop"
// CHECK: "tile.repeat"() {times = 3}
func.func public @main(%x: tensor<16x32xf32>, %w0: tensor<32x32xf32>, %w1: tensor<32x32xf32>, %w2: tensor<32x32xf32>) -> tensor<16x32xf32> {
  %0 = stablehlo.dot_general %x, %w0, contracting_dims = [1] x [0] : (tensor<16x32xf32>, tensor<32x32xf32>) -> tensor<16x32xf32>
  %1 = stablehlo.tanh %0 : tensor<16x32xf32>
  %2 = stablehlo.dot_general %1, %w1, contracting_dims = [1] x [0] : (tensor<16x32xf32>, tensor<32x32xf32>) -> tensor<16x32xf32>
  %3 = stablehlo.tanh %2 : tensor<16x32xf32>
  %4 = stablehlo.dot_general %3, %w2, contracting_dims = [1] x [0] : (tensor<16x32xf32>, tensor<32x32xf32>) -> tensor<16x32xf32>
  %5 = stablehlo.tanh %4 : tensor<16x32xf32>
  return %5 : tensor<16x32xf32>
}
