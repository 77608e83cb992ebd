// RUN: expand-ops, remove-dead-ops
func.func @main(%x: tensor<6x40xf32>, %w: tensor<40xf32>) -> (tensor<6x40xf32>, tensor<6x40xf32>, tensor<6xui32>) {
  %eps = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
  %0 = stablehlo.custom_call @AwsNeuronSoftmax(%x) {backend_config = "1"} : (tensor<6x40xf32>) -> tensor<6x40xf32>
  %1 = stablehlo.custom_call @AwsNeuronRmsNorm(%x, %w, %eps) {backend_config = "1"} : (tensor<6x40xf32>, tensor<40xf32>, tensor<f32>) -> tensor<6x40xf32>
  %2 = stablehlo.custom_call @AwsNeuronArgMax(%x) {backend_config = "1"} : (tensor<6x40xf32>) -> tensor<6xui32>
  return %0, %1, %2 : tensor<6x40xf32>, tensor<6x40xf32>, tensor<6xui32>
}
