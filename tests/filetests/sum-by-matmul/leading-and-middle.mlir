// RUN: sum-by-matmul
func.func @main(%x: tensor<3x5x16xf32>) -> (tensor<16xf32>, tensor<3x16xf32>) {
  %zero = stablehlo.constant dense<0.0> : tensor<f32>
  %one = stablehlo.constant dense<1.0> : tensor<f32>
  %0 = stablehlo.reduce(%x init: %zero) applies stablehlo.add across dimensions = [0, 1] : (tensor<3x5x16xf32>, tensor<f32>) -> tensor<16xf32>
  %1 = stablehlo.reduce(%x init: %one) applies stablehlo.add across dimensions = [1] : (tensor<3x5x16xf32>, tensor<f32>) -> tensor<3x16xf32>
  return %0, %1 : tensor<16xf32>, tensor<3x16xf32>
}
// OUT:
// func.func @main(%arg0: tensor<3x5x16xf32>) -> (tensor<16xf32>, tensor<3x16xf32>) {
//   %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
//   %cst_0 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
//   %cst_1 = stablehlo.constant dense<1.000000e+00> : tensor<3x5xf32>
//   %0 = stablehlo.dot_general %cst_1, %arg0, contracting_dims = [0, 1] x [0, 1] : (tensor<3x5xf32>, tensor<3x5x16xf32>) -> tensor<16xf32>
//   %cst_2 = stablehlo.constant dense<1.000000e+00> : tensor<3x5xf32>
//   %1 = stablehlo.dot_general %cst_2, %arg0, batching_dims = [0] x [0], contracting_dims = [1] x [1] : (tensor<3x5xf32>, tensor<3x5x16xf32>) -> tensor<3x16xf32>
//   %2 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<3x16xf32>
//   %3 = stablehlo.add %1, %2 : tensor<3x16xf32>
//   return %0, %3 : tensor<16xf32>, tensor<3x16xf32>
// }
