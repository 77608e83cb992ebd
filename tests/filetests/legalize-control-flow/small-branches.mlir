// RUN: legalize-control-flow
func.func @main(%i: tensor<i32>, %x: tensor<3xf32>) -> tensor<3xf32> {
  %0 = "stablehlo.case"(%i) ({
    %1 = stablehlo.negate %x : tensor<3xf32>
    stablehlo.return %1 : tensor<3xf32>
  }, {
    %1 = stablehlo.abs %x : tensor<3xf32>
    stablehlo.return %1 : tensor<3xf32>
  }, {
    stablehlo.return %x : tensor<3xf32>
  }) : (tensor<i32>) -> tensor<3xf32>
  return %0 : tensor<3xf32>
}
// OUT:
// func.func @main(%arg0: tensor<i32>, %arg1: tensor<3xf32>) -> tensor<3xf32> {
//   %0 = stablehlo.negate %arg1 : tensor<3xf32>
//   %1 = stablehlo.abs %arg1 : tensor<3xf32>
//   %c = stablehlo.constant dense<1> : tensor<i32>
//   %2 = stablehlo.compare  EQ, %arg0, %c,  SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
//   %3 = stablehlo.broadcast_in_dim %2, dims = [] : (tensor<i1>) -> tensor<3xi1>
//   %4 = stablehlo.select %3, %1, %arg1 : tensor<3xi1>, tensor<3xf32>
//   %c_0 = stablehlo.constant dense<0> : tensor<i32>
//   %5 = stablehlo.compare  EQ, %arg0, %c_0,  SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
//   %6 = stablehlo.broadcast_in_dim %5, dims = [] : (tensor<i1>) -> tensor<3xi1>
//   %7 = stablehlo.select %6, %0, %4 : tensor<3xi1>, tensor<3xf32>
//   return %7 : tensor<3xf32>
// }
