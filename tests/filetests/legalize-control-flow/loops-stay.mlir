// RUN: legalize-control-flow
func.func @main(%p: tensor<i1>, %x: tensor<i32>) -> tensor<i32> {
  %c = stablehlo.constant dense<30> : tensor<i32>
  %0 = "stablehlo.if"(%p) ({
    %1 = stablehlo.while(%a = %x) : tensor<i32>
    cond {
      %2 = stablehlo.compare LT, %a, %c : (tensor<i32>, tensor<i32>) -> tensor<i1>
      stablehlo.return %2 : tensor<i1>
    } do {
      %2 = stablehlo.add %a, %c : tensor<i32>
      stablehlo.return %2 : tensor<i32>
    }
    stablehlo.return %1 : tensor<i32>
  }, {
    stablehlo.return %x : tensor<i32>
  }) : (tensor<i1>) -> tensor<i32>
  return %0 : tensor<i32>
}
// OUT:
// func.func @main(%arg0: tensor<i1>, %arg1: tensor<i32>) -> tensor<i32> {
//   %c = stablehlo.constant dense<30> : tensor<i32>
//   %0 = "stablehlo.if"(%arg0) ({
//     %1 = stablehlo.while(%iterArg = %arg1) : tensor<i32>
//     cond {
//       %2 = stablehlo.compare  LT, %iterArg, %c : (tensor<i32>, tensor<i32>) -> tensor<i1>
//       stablehlo.return %2 : tensor<i1>
//     } do {
//       %2 = stablehlo.add %iterArg, %c : tensor<i32>
//       stablehlo.return %2 : tensor<i32>
//     }
//     stablehlo.return %1 : tensor<i32>
//   }, {
//     stablehlo.return %arg1 : tensor<i32>
//   }) : (tensor<i1>) -> tensor<i32>
//   return %0 : tensor<i32>
// }
