// RUN: expand-ops
func.func @main(%x: tensor<8xf32>) -> tensor<8xf32> {
  %c = stablehlo.constant dense<3.0> : tensor<8xf32>
  %0 = stablehlo.power %x, %c : tensor<8xf32>
  return %0 : tensor<8xf32>
}
// OUT:
// func.func @main(%arg0: tensor<8xf32>) -> tensor<8xf32> {
//   %cst = stablehlo.constant dense<3.000000e+00> : tensor<8xf32>
//   %0 = stablehlo.multiply %arg0, %arg0 : tensor<8xf32>
//   %1 = stablehlo.multiply %0, %arg0 : tensor<8xf32>
//   return %1 : tensor<8xf32>
// }
