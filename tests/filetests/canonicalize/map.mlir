// RUN: canonicalize, remove-dead-ops
func.func @main(%x: tensor<2x3xf32>, %y: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %0 = "stablehlo.map"(%x, %y) ({
    ^bb0(%a: tensor<f32>, %b: tensor<f32>):
      %c = stablehlo.constant dense<2.0> : tensor<f32>
      %1 = stablehlo.multiply %a, %c : tensor<f32>
      %2 = stablehlo.add %1, %b : tensor<f32>
      stablehlo.return %2 : tensor<f32>
  }) {dimensions = array<i64: 0, 1>} : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}
// OUT:
// func.func @main(%arg0: tensor<2x3xf32>, %arg1: tensor<2x3xf32>) -> tensor<2x3xf32> {
//   %cst = stablehlo.constant dense<2.000000e+00> : tensor<2x3xf32>
//   %0 = stablehlo.multiply %arg0, %cst : tensor<2x3xf32>
//   %1 = stablehlo.add %0, %arg1 : tensor<2x3xf32>
//   return %1 : tensor<2x3xf32>
// }
