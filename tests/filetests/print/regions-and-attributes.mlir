// RUN:
func.func public @main(%x: tensor<2x3xbf16>, %n: tensor<i32>) -> (tensor<2xbf16>, tensor<i32>) {
  %z = stablehlo.constant dense<0.0> : tensor<bf16>
  %0 = stablehlo.reduce(%x init: %z) applies stablehlo.add across dimensions = [1] : (tensor<2x3xbf16>, tensor<bf16>) -> tensor<2xbf16>
  %c = stablehlo.constant dense<9> : tensor<i32>
  %1 = stablehlo.while(%a = %n) : tensor<i32>
  cond {
    %2 = stablehlo.compare LT, %a, %c : (tensor<i32>, tensor<i32>) -> tensor<i1>
    stablehlo.return %2 : tensor<i1>
  } do {
    %2 = stablehlo.add %a, %c : tensor<i32>
    stablehlo.return %2 : tensor<i32>
  }
  return %0, %1 : tensor<2xbf16>, tensor<i32>
}
// OUT:
// func.func public @main(%arg0: tensor<2x3xbf16>, %arg1: tensor<i32>) -> (tensor<2xbf16>, tensor<i32>) {
//   %cst = stablehlo.constant dense<0.000000e+00> : tensor<bf16>
//   %0 = stablehlo.reduce(%arg0 init: %cst) applies stablehlo.add across dimensions = [1] : (tensor<2x3xbf16>, tensor<bf16>) -> tensor<2xbf16>
//   %c = stablehlo.constant dense<9> : tensor<i32>
//   %1 = stablehlo.while(%iterArg = %arg1) : tensor<i32>
//   cond {
//     %2 = stablehlo.compare  LT, %iterArg, %c : (tensor<i32>, tensor<i32>) -> tensor<i1>
//     stablehlo.return %2 : tensor<i1>
//   } do {
//     %2 = stablehlo.add %iterArg, %c : tensor<i32>
//     stablehlo.return %2 : tensor<i32>
//   }
//   return %0, %1 : tensor<2xbf16>, tensor<i32>
// }
