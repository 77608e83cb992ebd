// RUN: legalize-gather
// EVAL: exact
func.func public @main(%x: tensor<6x4xf32>, %i: tensor<3x2x1xi32>) -> tensor<3x2x4xf32> {
  %0 = "stablehlo.gather"(%x, %i) <{dimension_numbers = #stablehlo.gather<offset_dims = [2], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 2>, indices_are_sorted = false, slice_sizes = array<i64: 1, 4>}> : (tensor<6x4xf32>, tensor<3x2x1xi32>) -> tensor<3x2x4xf32>
  return %0 : tensor<3x2x4xf32>
}
// OUT:
// func.func public @main(%arg0: tensor<6x4xf32>, %arg1: tensor<3x2x1xi32>) -> tensor<3x2x4xf32> {
//   %0 = stablehlo.reshape %arg1 : (tensor<3x2x1xi32>) -> tensor<3x2xi32>
//   %c = stablehlo.constant dense<0> : tensor<3x2xi32>
//   %1 = stablehlo.maximum %0, %c : tensor<3x2xi32>
//   %c_0 = stablehlo.constant dense<5> : tensor<3x2xi32>
//   %2 = stablehlo.minimum %1, %c_0 : tensor<3x2xi32>
//   %c_1 = stablehlo.constant dense<4> : tensor<3x2xi32>
//   %3 = stablehlo.multiply %2, %c_1 : tensor<3x2xi32>
//   %4 = stablehlo.broadcast_in_dim %3, dims = [0, 1] : (tensor<3x2xi32>) -> tensor<3x2xi32>
//   %5 = stablehlo.reshape %4 : (tensor<3x2xi32>) -> tensor<6x1xi32>
//   %6 = stablehlo.reshape %arg0 : (tensor<6x4xf32>) -> tensor<24xf32>
//   %7 = "stablehlo.gather"(%6, %5) <{dimension_numbers = #stablehlo.gather<offset_dims = [1], start_index_map = [0], index_vector_dim = 1>, indices_are_sorted = false, slice_sizes = array<i64: 4>}> : (tensor<24xf32>, tensor<6x1xi32>) -> tensor<6x4xf32>
//   %8 = stablehlo.reshape %7 : (tensor<6x4xf32>) -> tensor<3x2x1x4xf32>
//   %9 = stablehlo.reshape %8 : (tensor<3x2x1x4xf32>) -> tensor<3x2x4xf32>
//   return %9 : tensor<3x2x4xf32>
// }
