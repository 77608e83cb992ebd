// RUN: recognize-activations, remove-dead-ops
func.func @main(%x: tensor<4x8xf32>, %dy: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %half = stablehlo.constant dense<5.000000e-01> : tensor<4x8xf32>
  %root = stablehlo.constant dense<0.707106769> : tensor<4x8xf32>
  %slope = stablehlo.constant dense<-1.12837923> : tensor<4x8xf32>
  %0 = stablehlo.multiply %half, %x : tensor<4x8xf32>
  %1 = stablehlo.negate %x : tensor<4x8xf32>
  %2 = stablehlo.multiply %1, %root : tensor<4x8xf32>
  %3 = chlo.erfc %2 : tensor<4x8xf32> -> tensor<4x8xf32>
  %4 = stablehlo.multiply %2, %2 : tensor<4x8xf32>
  %5 = stablehlo.negate %4 : tensor<4x8xf32>
  %6 = stablehlo.exponential %5 : tensor<4x8xf32>
  %7 = stablehlo.multiply %0, %dy : tensor<4x8xf32>
  %8 = stablehlo.multiply %slope, %7 : tensor<4x8xf32>
  %9 = stablehlo.multiply %8, %6 : tensor<4x8xf32>
  %10 = stablehlo.multiply %9, %root : tensor<4x8xf32>
  %11 = stablehlo.negate %10 : tensor<4x8xf32>
  %12 = stablehlo.multiply %dy, %3 : tensor<4x8xf32>
  %13 = stablehlo.multiply %half, %12 : tensor<4x8xf32>
  %14 = stablehlo.add %11, %13 : tensor<4x8xf32>
  return %14 : tensor<4x8xf32>
}
// OUT:
// func.func @main(%arg0: tensor<4x8xf32>, %arg1: tensor<4x8xf32>) -> tensor<4x8xf32> {
//   %0 = stablehlo.custom_call @ferrite.gelu_derivative(%arg0) : (tensor<4x8xf32>) -> tensor<4x8xf32>
//   %1 = stablehlo.multiply %arg1, %0 : tensor<4x8xf32>
//   return %1 : tensor<4x8xf32>
// }
