// RUN: recognize-activations, remove-dead-ops
// EVAL: atol=1e-5 rtol=1e-5
func.func public @main(%x: tensor<8x16xf32>) -> tensor<8x16xf32> {
  %0 = stablehlo.logistic %x : tensor<8x16xf32>
  %1 = stablehlo.multiply %x, %0 : tensor<8x16xf32>
  return %1 : tensor<8x16xf32>
}
// OUT:
// func.func public @main(%arg0: tensor<8x16xf32>) -> tensor<8x16xf32> {
//   %0 = stablehlo.custom_call @AwsNeuronSilu(%arg0) : (tensor<8x16xf32>) -> tensor<8x16xf32>
//   return %0 : tensor<8x16xf32>
// }
