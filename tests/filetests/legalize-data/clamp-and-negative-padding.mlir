// RUN: legalize-data
func.func public @main(%x: tensor<6xf32>, %l: tensor<f32>) -> tensor<5xf32> {
  %c = stablehlo.constant dense<1.0> : tensor<f32>
  %0 = stablehlo.pad %x, %c, low = [-2], high = [1], interior = [0] : (tensor<6xf32>, tensor<f32>) -> tensor<5xf32>
  %1 = stablehlo.clamp %l, %0, %c : (tensor<f32>, tensor<5xf32>, tensor<f32>) -> tensor<5xf32>
  return %1 : tensor<5xf32>
}
// OUT:
// func.func public @main(%arg0: tensor<6xf32>, %arg1: tensor<f32>) -> tensor<5xf32> {
//   %cst = stablehlo.constant dense<1.000000e+00> : tensor<f32>
//   %0 = stablehlo.slice %arg0 [2:6] : (tensor<6xf32>) -> tensor<4xf32>
//   %1 = stablehlo.pad %0, %cst, low = [0], high = [1], interior = [0] : (tensor<4xf32>, tensor<f32>) -> tensor<5xf32>
//   %2 = stablehlo.broadcast_in_dim %arg1, dims = [] : (tensor<f32>) -> tensor<5xf32>
//   %3 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<5xf32>
//   %4 = stablehlo.maximum %1, %2 : tensor<5xf32>
//   %5 = stablehlo.minimum %4, %3 : tensor<5xf32>
//   return %5 : tensor<5xf32>
// }
