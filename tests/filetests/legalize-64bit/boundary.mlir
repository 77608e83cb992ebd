// RUN: legalize-64bit
func.func @main(%x: tensor<4xi64>, %y: tensor<4xf64>) -> (tensor<4xi64>, tensor<4xf64>) {
  %c = stablehlo.constant dense<[1, -2, 3, 2147483647]> : tensor<4xi64>
  %0 = stablehlo.multiply %x, %x : tensor<4xi64>
  %1 = stablehlo.maximum %0, %c : tensor<4xi64>
  %2 = stablehlo.add %y, %y : tensor<4xf64>
  return %1, %2 : tensor<4xi64>, tensor<4xf64>
}
