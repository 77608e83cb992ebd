// The gradient, its moment and the update of the parameter run together: neither is written and read again. The other reader
// of the parameter comes first, so that the result may be written over it.
// RUN: lower
// OPTIONS: target=inf2
// EVAL: atol=1e-4 rtol=1e-4
// CHECK: kind = "output"
// CHECK-NOT: kind = "scratch"
func.func public @main(%p: tensor<64x32xf32> {tf.aliasing_output = 0 : i32}, %m: tensor<64x32xf32> {tf.aliasing_output = 1 : i32}, %x: tensor<16x64xf32>, %e: tensor<16x32xf32>) -> (tensor<64x32xf32>, tensor<64x32xf32>, tensor<16x64xf32>) {
  %g = stablehlo.dot_general %x, %e, contracting_dims = [0] x [0] : (tensor<16x64xf32>, tensor<16x32xf32>) -> tensor<64x32xf32>
  %back = stablehlo.dot_general %e, %p, contracting_dims = [1] x [1] : (tensor<16x32xf32>, tensor<64x32xf32>) -> tensor<16x64xf32>
  %c = stablehlo.constant dense<0.1> : tensor<64x32xf32>
  %d = stablehlo.constant dense<0.9> : tensor<64x32xf32>
  %0 = stablehlo.multiply %g, %c : tensor<64x32xf32>
  %1 = stablehlo.multiply %m, %d : tensor<64x32xf32>
  %2 = stablehlo.add %0, %1 : tensor<64x32xf32>
  %3 = stablehlo.multiply %2, %c : tensor<64x32xf32>
  %4 = stablehlo.subtract %p, %3 : tensor<64x32xf32>
  return %4, %2, %back : tensor<64x32xf32>, tensor<64x32xf32>, tensor<16x64xf32>
}
