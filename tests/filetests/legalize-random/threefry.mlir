// RUN: legalize-random
// EVAL: exact
// CHECK: stablehlo.xor
// CHECK-NOT: rng_bit_generator
func.func public @main(%s: tensor<2xui64>) -> tensor<3xui32> {
  %0, %1 = stablehlo.rng_bit_generator %s, algorithm = THREE_FRY : (tensor<2xui64>) -> (tensor<2xui64>, tensor<3xui32>)
  return %1 : tensor<3xui32>
}
