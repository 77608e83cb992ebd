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
