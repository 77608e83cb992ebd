// A bound of a size is no matter of the element type: it stays.
// RUN: legalize-64bit
func.func @main(%x: tensor<3x4xi64>, %n: tensor<i32>) -> tensor<i32> {
  %0 = stablehlo.set_dimension_size %x, %n, dim = 0 : (tensor<3x4xi64>, tensor<i32>) -> tensor<?x4xi64, #stablehlo.bounds<3, ?>>
  %1 = stablehlo.get_dimension_size %0, dim = 0 : (tensor<?x4xi64, #stablehlo.bounds<3, ?>>) -> tensor<i32>
  return %1 : tensor<i32>
}
// OUT:
// func.func @main(%arg0: tensor<3x4xi64>, %arg1: tensor<i32>) -> tensor<i32> {
//   %0 = stablehlo.convert %arg0 : (tensor<3x4xi64>) -> tensor<3x4xi32>
//   %1 = stablehlo.set_dimension_size %0, %arg1, dim = 0 : (tensor<3x4xi32>, tensor<i32>) -> tensor<?x4xi32, #stablehlo.bounds<3, ?>>
//   %2 = stablehlo.get_dimension_size %1, dim = 0 : (tensor<?x4xi32, #stablehlo.bounds<3, ?>>) -> tensor<i32>
//   return %2 : tensor<i32>
// }
