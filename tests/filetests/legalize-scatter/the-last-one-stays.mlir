// RUN: legalize-scatter
// EVAL: exact
// CHECK: "stablehlo.scatter"
// CHECK: tensor<21xf32>
func.func public @main(%x: tensor<7x3xf32>, %i: tensor<4x1xi32>, %u: tensor<4x3xf32>) -> tensor<7x3xf32> {
  %0 = "stablehlo.scatter"(%x, %i, %u) <{indices_are_sorted = false, scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1], inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>, unique_indices = false}> ({
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    stablehlo.return %b : tensor<f32>
  }) : (tensor<7x3xf32>, tensor<4x1xi32>, tensor<4x3xf32>) -> tensor<7x3xf32>
  return %0 : tensor<7x3xf32>
}
