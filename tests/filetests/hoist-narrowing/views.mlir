// RUN: hoist-narrowing, merge-equal-ops, remove-dead-ops
func.func @main(%x: tensor<4x6xf32>) -> (tensor<3x8xbf16>, tensor<2x6xbf16>, tensor<6x4xbf16>) {
  %0 = stablehlo.negate %x : tensor<4x6xf32>
  %1 = stablehlo.transpose %0, dims = [1, 0] : (tensor<4x6xf32>) -> tensor<6x4xf32>
  %2 = stablehlo.reshape %1 : (tensor<6x4xf32>) -> tensor<3x8xf32>
  %3 = stablehlo.convert %2 : (tensor<3x8xf32>) -> tensor<3x8xbf16>
  %4 = stablehlo.slice %0 [1:3, 0:6] : (tensor<4x6xf32>) -> tensor<2x6xf32>
  %5 = stablehlo.convert %4 : (tensor<2x6xf32>) -> tensor<2x6xbf16>
  %6 = stablehlo.transpose %x, dims = [1, 0] : (tensor<4x6xf32>) -> tensor<6x4xf32>
  %7 = stablehlo.convert %6 : (tensor<6x4xf32>) -> tensor<6x4xbf16>
  return %3, %5, %7 : tensor<3x8xbf16>, tensor<2x6xbf16>, tensor<6x4xbf16>
}
// OUT:
// func.func @main(%arg0: tensor<4x6xf32>) -> (tensor<3x8xbf16>, tensor<2x6xbf16>, tensor<6x4xbf16>) {
//   %0 = stablehlo.negate %arg0 : tensor<4x6xf32>
//   %1 = stablehlo.convert %0 : (tensor<4x6xf32>) -> tensor<4x6xbf16>
//   %2 = stablehlo.transpose %1, dims = [1, 0] : (tensor<4x6xbf16>) -> tensor<6x4xbf16>
//   %3 = stablehlo.reshape %2 : (tensor<6x4xbf16>) -> tensor<3x8xbf16>
//   %4 = stablehlo.slice %1 [1:3, 0:6] : (tensor<4x6xbf16>) -> tensor<2x6xbf16>
//   %5 = stablehlo.transpose %arg0, dims = [1, 0] : (tensor<4x6xf32>) -> tensor<6x4xf32>
//   %6 = stablehlo.convert %5 : (tensor<6x4xf32>) -> tensor<6x4xbf16>
//   return %3, %4, %6 : tensor<3x8xbf16>, tensor<2x6xbf16>, tensor<6x4xbf16>
// }
