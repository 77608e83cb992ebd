// RUN: canonicalize, remove-dead-ops
// EVAL: exact
// Adding 0.0 turns -0.0 into 0.0 and stays; adding -0.0 does nothing and goes.
func.func @main(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %zero = stablehlo.constant dense<0.0> : tensor<4xf32>
  %minus_zero = stablehlo.constant dense<-0.0> : tensor<4xf32>
  %0 = stablehlo.add %x, %zero : tensor<4xf32>
  %1 = stablehlo.add %x, %minus_zero : tensor<4xf32>
  return %0, %1 : tensor<4xf32>, tensor<4xf32>
}
// OUT:
// func.func @main(%arg0: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
//   %cst = stablehlo.constant dense<0.000000e+00> : tensor<4xf32>
//   %0 = stablehlo.add %arg0, %cst : tensor<4xf32>
//   return %0, %arg0 : tensor<4xf32>, tensor<4xf32>
// }
