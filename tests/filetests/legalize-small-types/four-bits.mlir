// RUN: legalize-small-types
// EVAL: exact
func.func public @main(%x: tensor<5xi4>, %y: tensor<5xi4>) -> tensor<5xi4> {
  %0 = stablehlo.multiply %x, %y : tensor<5xi4>
  %1 = stablehlo.shift_right_logical %0, %y : tensor<5xi4>
  return %1 : tensor<5xi4>
}
// OUT:
// func.func public @main(%arg0: tensor<5xi4>, %arg1: tensor<5xi4>) -> tensor<5xi4> {
//   %0 = stablehlo.convert %arg0 : (tensor<5xi4>) -> tensor<5xi32>
//   %1 = stablehlo.convert %arg1 : (tensor<5xi4>) -> tensor<5xi32>
//   %2 = stablehlo.multiply %0, %1 : tensor<5xi32>
//   %3 = stablehlo.convert %2 : (tensor<5xi32>) -> tensor<5xi4>
//   %4 = stablehlo.convert %arg1 : (tensor<5xi4>) -> tensor<5xi32>
//   %c = stablehlo.constant dense<15> : tensor<5xi32>
//   %5 = stablehlo.and %4, %c : tensor<5xi32>
//   %6 = stablehlo.convert %3 : (tensor<5xi4>) -> tensor<5xi32>
//   %c_0 = stablehlo.constant dense<15> : tensor<5xi32>
//   %7 = stablehlo.and %6, %c_0 : tensor<5xi32>
//   %8 = stablehlo.shift_right_logical %7, %5 : tensor<5xi32>
//   %c_1 = stablehlo.constant dense<4> : tensor<5xi32>
//   %9 = stablehlo.compare  LT, %5, %c_1,  SIGNED : (tensor<5xi32>, tensor<5xi32>) -> tensor<5xi1>
//   %c_2 = stablehlo.constant dense<0> : tensor<5xi32>
//   %10 = stablehlo.select %9, %8, %c_2 : tensor<5xi1>, tensor<5xi32>
//   %11 = stablehlo.convert %10 : (tensor<5xi32>) -> tensor<5xi4>
//   return %11 : tensor<5xi4>
// }
