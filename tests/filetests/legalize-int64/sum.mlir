// RUN: legalize-64bit, legalize-int64, remove-dead-ops
// OPTIONS: target=trn2 native-int64
func.func public @main(%x: tensor<4xi64>, %y: tensor<4xi64>) -> (tensor<4xi64>, tensor<4xi1>) {
  %c = stablehlo.constant dense<5000000000> : tensor<4xi64>
  %0 = stablehlo.add %x, %c : tensor<4xi64>
  %1 = stablehlo.compare LT, %0, %y : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi1>
  return %0, %1 : tensor<4xi64>, tensor<4xi1>
}
// OUT:
// func.func public @main(%arg0: tensor<4xi64>, %arg1: tensor<4xi64>) -> (tensor<4xi64>, tensor<4xi1>) {
//   %0 = stablehlo.bitcast_convert %arg0 : (tensor<4xi64>) -> tensor<4x2xui32>
//   %1 = stablehlo.slice %0 [0:4, 0:1] : (tensor<4x2xui32>) -> tensor<4x1xui32>
//   %2 = stablehlo.reshape %1 : (tensor<4x1xui32>) -> tensor<4xui32>
//   %3 = stablehlo.slice %0 [0:4, 1:2] : (tensor<4x2xui32>) -> tensor<4x1xui32>
//   %4 = stablehlo.reshape %3 : (tensor<4x1xui32>) -> tensor<4xui32>
//   %c = stablehlo.constant dense<705032704> : tensor<4xui32>
//   %c_0 = stablehlo.constant dense<1> : tensor<4xui32>
//   %5 = stablehlo.add %2, %c : tensor<4xui32>
//   %6 = stablehlo.compare  LT, %5, %2,  UNSIGNED : (tensor<4xui32>, tensor<4xui32>) -> tensor<4xi1>
//   %7 = stablehlo.convert %6 : (tensor<4xi1>) -> tensor<4xui32>
//   %8 = stablehlo.add %4, %c_0 : tensor<4xui32>
//   %9 = stablehlo.add %8, %7 : tensor<4xui32>
//   %10 = stablehlo.reshape %5 : (tensor<4xui32>) -> tensor<4x1xui32>
//   %11 = stablehlo.reshape %9 : (tensor<4xui32>) -> tensor<4x1xui32>
//   %12 = stablehlo.concatenate %10, %11, dim = 1 : (tensor<4x1xui32>, tensor<4x1xui32>) -> tensor<4x2xui32>
//   %13 = stablehlo.bitcast_convert %12 : (tensor<4x2xui32>) -> tensor<4xi64>
//   %14 = stablehlo.bitcast_convert %arg1 : (tensor<4xi64>) -> tensor<4x2xui32>
//   %15 = stablehlo.slice %14 [0:4, 0:1] : (tensor<4x2xui32>) -> tensor<4x1xui32>
//   %16 = stablehlo.reshape %15 : (tensor<4x1xui32>) -> tensor<4xui32>
//   %17 = stablehlo.slice %14 [0:4, 1:2] : (tensor<4x2xui32>) -> tensor<4x1xui32>
//   %18 = stablehlo.reshape %17 : (tensor<4x1xui32>) -> tensor<4xui32>
//   %19 = stablehlo.bitcast_convert %9 : (tensor<4xui32>) -> tensor<4xi32>
//   %20 = stablehlo.bitcast_convert %18 : (tensor<4xui32>) -> tensor<4xi32>
//   %21 = stablehlo.compare  LT, %19, %20,  SIGNED : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi1>
//   %22 = stablehlo.compare  EQ, %19, %20,  SIGNED : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi1>
//   %23 = stablehlo.compare  LT, %5, %16,  UNSIGNED : (tensor<4xui32>, tensor<4xui32>) -> tensor<4xi1>
//   %24 = stablehlo.and %22, %23 : tensor<4xi1>
//   %25 = stablehlo.or %21, %24 : tensor<4xi1>
//   return %13, %25 : tensor<4xi64>, tensor<4xi1>
// }
