module @newer {
  func.func private @dec(%a: tensor<2xf32>) -> tensor<2xf32> { return %a : tensor<2xf32> }
  func.func @f(%a: tensor<2xf32>, %m: tensor<2x3xf32>, %b: tensor<3x4xf32>, %t: !stablehlo.token, %g: tensor<2x4x5xf32>, %i: tensor<2x3x1xi32>) -> tensor<2xf32> {
    %0 = stablehlo.exponential %a {result_accuracy = #stablehlo.result_accuracy<atol = 1.000000e-05, ulps = 2, mode = #stablehlo.result_accuracy_mode<TOLERANCE>>} : tensor<2xf32>
    %00 = stablehlo.tanh %a {result_accuracy = #stablehlo.result_accuracy<mode = #stablehlo.result_accuracy_mode<HIGHEST>>} : tensor<2xf32>
    %1 = "stablehlo.composite"(%a) {name = "my.op", composite_attributes = {k = 3 : i64, s = "x", d = dense<[1, 2]> : tensor<2xi64>, f = 1.5 : f32, b = true, l = [1 : i32, "q"]}, decomposition = @dec, version = 2 : i32} : (tensor<2xf32>) -> tensor<2xf32>
    %2 = stablehlo.custom_call @bar(%a) {api_version = 4 : i32, backend_config = {x = 1 : i64, y = "z", arr = dense<[1, 2]> : tensor<2xi64>}} : (tensor<2xf32>) -> tensor<2xf32>
    %3 = stablehlo.dot_general %m, %b, contracting_dims = [1] x [0], algorithm = <lhs_precision_type = bf16, rhs_precision_type = bf16, accumulation_type = f32, lhs_component_count = 1, rhs_component_count = 1, num_primitive_operations = 3, allow_imprecise_accumulation = false> : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
    %4 = stablehlo.tan %a : tensor<2xf32>
    %5 = "stablehlo.collective_broadcast"(%a) {replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>} : (tensor<2xf32>) -> tensor<2xf32>
    %6 = "stablehlo.gather"(%g, %i) {dimension_numbers = #stablehlo.gather<offset_dims = [2], collapsed_slice_dims = [1], operand_batching_dims = [0], start_indices_batching_dims = [0], start_index_map = [1], index_vector_dim = 2>, slice_sizes = array<i64: 1, 1, 5>} : (tensor<2x4x5xf32>, tensor<2x3x1xi32>) -> tensor<2x3x5xf32>
    %7:2 = "stablehlo.all_reduce"(%a, %a) ({ ^bb0(%x: tensor<f32>, %y: tensor<f32>): %q = stablehlo.add %x, %y : tensor<f32> stablehlo.return %q : tensor<f32> }) {replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>} : (tensor<2xf32>, tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>)
    %8:2 = "stablehlo.recv"(%t) {channel_handle = #stablehlo.channel_handle<handle = 6, type = 1>, source_target_pairs = dense<[[0, 1]]> : tensor<1x2xi64>} : (!stablehlo.token) -> (tensor<2xf32>, !stablehlo.token)
    %c = stablehlo.constant dense<[1, 0, -1]> : tensor<3xi2>
    return %0 : tensor<2xf32>
  }
}
