// RUN: egraph, remove-dead-ops
// EVAL: exact
func.func @main(%n: tensor<i32>, %x: tensor<4xf32>) -> tensor<4xf32> {
  %zero = stablehlo.constant dense<0> : tensor<i32>
  %0:2 = stablehlo.while(%i = %n, %v = %x) : tensor<i32>, tensor<4xf32>
  cond {
    %more = stablehlo.compare GT, %i, %zero, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    stablehlo.return %more : tensor<i1>
  } do {
    %one = stablehlo.constant dense<1> : tensor<i32>
    %next = stablehlo.subtract %i, %one : tensor<i32>
    %a = stablehlo.negate %v : tensor<4xf32>
    %b = stablehlo.negate %a : tensor<4xf32>
    %c = stablehlo.add %b, %x : tensor<4xf32>
    stablehlo.return %next, %c : tensor<i32>, tensor<4xf32>
  }
  return %0#1 : tensor<4xf32>
}
// OUT:
// func.func @main(%arg0: tensor<i32>, %arg1: tensor<4xf32>) -> tensor<4xf32> {
//   %c = stablehlo.constant dense<0> : tensor<i32>
//   %0:2 = stablehlo.while(%iterArg = %arg0, %iterArg_0 = %arg1) : tensor<i32>, tensor<4xf32>
//   cond {
//     %1 = stablehlo.compare  GT, %iterArg, %c,  SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
//     stablehlo.return %1 : tensor<i1>
//   } do {
//     %c_1 = stablehlo.constant dense<1> : tensor<i32>
//     %1 = stablehlo.subtract %iterArg, %c_1 : tensor<i32>
//     %2 = stablehlo.add %iterArg_0, %arg1 : tensor<4xf32>
//     stablehlo.return %1, %2 : tensor<i32>, tensor<4xf32>
//   }
//   return %0#1 : tensor<4xf32>
// }
