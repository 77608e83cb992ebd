// RUN: recognize-activations, remove-dead-ops
func.func @main(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %half = stablehlo.constant dense<5.000000e-01> : tensor<4x8xf32>
  %one = stablehlo.constant dense<1.000000e+00> : tensor<4x8xf32>
  %c = stablehlo.constant dense<4.471500e-02> : tensor<4x8xf32>
  %r = stablehlo.constant dense<0.797884583> : tensor<4x8xf32>
  %0 = stablehlo.multiply %x, %x : tensor<4x8xf32>
  %1 = stablehlo.multiply %x, %0 : tensor<4x8xf32>
  %2 = stablehlo.multiply %c, %1 : tensor<4x8xf32>
  %3 = stablehlo.add %x, %2 : tensor<4x8xf32>
  %4 = stablehlo.multiply %r, %3 : tensor<4x8xf32>
  %5 = stablehlo.tanh %4 : tensor<4x8xf32>
  %6 = stablehlo.add %one, %5 : tensor<4x8xf32>
  %7 = stablehlo.multiply %half, %6 : tensor<4x8xf32>
  %8 = stablehlo.multiply %x, %7 : tensor<4x8xf32>
  return %8 : tensor<4x8xf32>
}
// OUT:
// func.func @main(%arg0: tensor<4x8xf32>) -> tensor<4x8xf32> {
//   %0 = stablehlo.custom_call @AwsNeuronGeluApprxTanh(%arg0) : (tensor<4x8xf32>) -> tensor<4x8xf32>
//   return %0 : tensor<4x8xf32>
// }
