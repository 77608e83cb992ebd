// RUN: legalize-64bit
func.func @main(%x: tensor<4xi64>, %y: tensor<4xf64>) -> (tensor<4xi64>, tensor<4xf64>) {
  %c = stablehlo.constant dense<[1, -2, 3, 2147483647]> : tensor<4xi64>
  %0 = stablehlo.multiply %x, %x : tensor<4xi64>
  %1 = stablehlo.maximum %0, %c : tensor<4xi64>
  %2 = stablehlo.add %y, %y : tensor<4xf64>
  return %1, %2 : tensor<4xi64>, tensor<4xf64>
}
// OUT:
// func.func @main(%arg0: tensor<4xi64>, %arg1: tensor<4xf64>) -> (tensor<4xi64>, tensor<4xf64>) {
//   %0 = stablehlo.convert %arg0 : (tensor<4xi64>) -> tensor<4xi32>
//   %1 = stablehlo.convert %arg1 : (tensor<4xf64>) -> tensor<4xf32>
//   %c = stablehlo.constant dense<[1, -2, 3, 2147483647]> : tensor<4xi32>
//   %2 = stablehlo.multiply %0, %0 : tensor<4xi32>
//   %3 = stablehlo.maximum %2, %c : tensor<4xi32>
//   %4 = stablehlo.add %1, %1 : tensor<4xf32>
//   %5 = stablehlo.convert %3 : (tensor<4xi32>) -> tensor<4xi64>
//   %6 = stablehlo.convert %4 : (tensor<4xf32>) -> tensor<4xf64>
//   return %5, %6 : tensor<4xi64>, tensor<4xf64>
// }
