// RUN: legalize-data
func.func public @main(%x: tensor<6xf32>, %l: tensor<f32>) -> tensor<5xf32> {
  %c = stablehlo.constant dense<1.0> : tensor<f32>
  %0 = stablehlo.pad %x, %c, low = [-2], high = [1], interior = [0] : (tensor<6xf32>, tensor<f32>) -> tensor<5xf32>
  %1 = stablehlo.clamp %l, %0, %c : (tensor<f32>, tensor<5xf32>, tensor<f32>) -> tensor<5xf32>
  return %1 : tensor<5xf32>
}
