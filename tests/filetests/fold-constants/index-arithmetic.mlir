// RUN: fold-constants, remove-dead-ops
// EVAL: exact
func.func @main() -> (tensor<2x3xi32>, tensor<2x3xi1>) {
  %row = stablehlo.iota dim = 0 : tensor<2x3xi32>
  %column = stablehlo.iota dim = 1 : tensor<2x3xi32>
  %three = stablehlo.constant dense<3> : tensor<2x3xi32>
  %0 = stablehlo.multiply %row, %three : tensor<2x3xi32>
  %1 = stablehlo.add %0, %column : tensor<2x3xi32>
  %2 = stablehlo.compare GE, %row, %column, SIGNED : (tensor<2x3xi32>, tensor<2x3xi32>) -> tensor<2x3xi1>
  return %1, %2 : tensor<2x3xi32>, tensor<2x3xi1>
}
// OUT:
// func.func @main() -> (tensor<2x3xi32>, tensor<2x3xi1>) {
//   %c = stablehlo.constant dense<[[0, 1, 2], [3, 4, 5]]> : tensor<2x3xi32>
//   %c_0 = stablehlo.constant dense<[[true, false, false], [true, true, false]]> : tensor<2x3xi1>
//   return %c, %c_0 : tensor<2x3xi32>, tensor<2x3xi1>
// }
