// RUN: simplify-gathers, remove-dead-ops
// EVAL: exact
func.func @main(%x: tensor<3x2x4xf32>) -> (tensor<3x4x4xf32>, tensor<2x2x4xf32>, tensor<3x3x4xf32>) {
  %i = stablehlo.constant dense<[[0], [0], [1], [7]]> : tensor<4x1xi32>
  %0 = "stablehlo.gather"(%x, %i) <{dimension_numbers = #stablehlo.gather<offset_dims = [0, 2], collapsed_slice_dims = [1], start_index_map = [1], index_vector_dim = 1>, indices_are_sorted = false, slice_sizes = array<i64: 3, 1, 4>}> : (tensor<3x2x4xf32>, tensor<4x1xi32>) -> tensor<3x4x4xf32>
  %j = stablehlo.constant dense<[0, 2]> : tensor<2xi32>
  %1 = "stablehlo.gather"(%x, %j) <{dimension_numbers = #stablehlo.gather<offset_dims = [0, 2], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>, indices_are_sorted = false, slice_sizes = array<i64: 1, 2, 4>}> : (tensor<3x2x4xf32>, tensor<2xi32>) -> tensor<2x2x4xf32>
  %k = stablehlo.constant dense<[[0], [1], [0]]> : tensor<3x1xi32>
  %2 = "stablehlo.gather"(%x, %k) <{dimension_numbers = #stablehlo.gather<offset_dims = [0, 2], collapsed_slice_dims = [1], start_index_map = [1], index_vector_dim = 1>, indices_are_sorted = false, slice_sizes = array<i64: 3, 1, 4>}> : (tensor<3x2x4xf32>, tensor<3x1xi32>) -> tensor<3x3x4xf32>
  return %0, %1, %2 : tensor<3x4x4xf32>, tensor<2x2x4xf32>, tensor<3x3x4xf32>
}
// OUT:
// func.func @main(%arg0: tensor<3x2x4xf32>) -> (tensor<3x4x4xf32>, tensor<2x2x4xf32>, tensor<3x3x4xf32>) {
//   %0 = stablehlo.slice %arg0 [0:3, 0:2, 0:4] : (tensor<3x2x4xf32>) -> tensor<3x2x4xf32>
//   %1 = stablehlo.reshape %0 : (tensor<3x2x4xf32>) -> tensor<3x2x1x4xf32>
//   %2 = stablehlo.broadcast_in_dim %1, dims = [0, 1, 2, 3] : (tensor<3x2x1x4xf32>) -> tensor<3x2x2x4xf32>
//   %3 = stablehlo.reshape %2 : (tensor<3x2x2x4xf32>) -> tensor<3x4x4xf32>
//   %4 = stablehlo.slice %arg0 [0:3:2, 0:2, 0:4] : (tensor<3x2x4xf32>) -> tensor<2x2x4xf32>
//   %5 = stablehlo.transpose %4, dims = [1, 0, 2] : (tensor<2x2x4xf32>) -> tensor<2x2x4xf32>
//   %c = stablehlo.constant dense<[[0], [1], [0]]> : tensor<3x1xi32>
//   %6 = "stablehlo.gather"(%arg0, %c) <{dimension_numbers = #stablehlo.gather<offset_dims = [0, 2], collapsed_slice_dims = [1], start_index_map = [1], index_vector_dim = 1>, indices_are_sorted = false, slice_sizes = array<i64: 3, 1, 4>}> : (tensor<3x2x4xf32>, tensor<3x1xi32>) -> tensor<3x3x4xf32>
//   return %3, %5, %6 : tensor<3x4x4xf32>, tensor<2x2x4xf32>, tensor<3x3x4xf32>
// }
