module @rare attributes {mhlo.num_replicas = 1 : i32} {
  func.func private @dec(%a: tensor<2xf32>) -> tensor<2xf32> { return %a : tensor<2xf32> }
  func.func @einsum(%a: tensor<2x3xf32>, %b: tensor<3x4xf32>) -> (tensor<2x4xf32>, tensor<3x2xf32>) {
    %0 = "stablehlo.einsum"(%a, %b) {einsum_config = "ab,bc->ac"} : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
    %1 = "stablehlo.unary_einsum"(%a) {einsum_config = "ab->ba"} : (tensor<2x3xf32>) -> tensor<3x2xf32>
    return %0, %1 : tensor<2x4xf32>, tensor<3x2xf32>
  }
  func.func @misc(%a: tensor<2x3xf32>, %i: tensor<2xi32>, %t: !stablehlo.token) -> (tensor<2x3xf32>, tensor<4x2x3xf32>, tensor<2x3xf32>) {
    %0 = "stablehlo.torch_index_select"(%a, %i) {dim = 0 : i64, batch_dims = 0 : i64} : (tensor<2x3xf32>, tensor<2xi32>) -> tensor<2x3xf32>
    %1 = "stablehlo.broadcast"(%a) {broadcast_sizes = array<i64: 4>} : (tensor<2x3xf32>) -> tensor<4x2x3xf32>
    %2 = "stablehlo.map"(%a) ({ ^bb0(%x: tensor<f32>): %y = stablehlo.negate %x : tensor<f32>  stablehlo.return %y : tensor<f32> }) {dimensions = array<i64: 0, 1>} : (tensor<2x3xf32>) -> tensor<2x3xf32>
    %3 = stablehlo.reduce_precision %a, format = e5m10 : tensor<2x3xf32>
    return %0, %1, %2 : tensor<2x3xf32>, tensor<4x2x3xf32>, tensor<2x3xf32>
  }
  func.func @dots(%a: tensor<2x3xf32>, %b: tensor<3x4xf32>) -> (tensor<2x4xf32>, tensor<2x4xf32>) {
    %0 = stablehlo.dot %a, %b, precision = [HIGH, HIGHEST] : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
    %1 = stablehlo.dot_general %a, %b, contracting_dims = [1] x [0], precision = [DEFAULT, HIGHEST] : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
    return %0, %1 : tensor<2x4xf32>, tensor<2x4xf32>
  }
  func.func @linalg(%a: tensor<3x3xf32>, %b: tensor<3x2xf32>, %c: tensor<4xcomplex<f32>>) -> (tensor<3x3xf32>, tensor<3x2xf32>, tensor<4xcomplex<f32>>) {
    %0 = stablehlo.cholesky %a, lower = true : tensor<3x3xf32>
    %1 = "stablehlo.triangular_solve"(%a, %b) {left_side = true, lower = true, unit_diagonal = false, transpose_a = #stablehlo<transpose ADJOINT>} : (tensor<3x3xf32>, tensor<3x2xf32>) -> tensor<3x2xf32>
    %2 = stablehlo.fft %c, type = IFFT, length = [4] : (tensor<4xcomplex<f32>>) -> tensor<4xcomplex<f32>>
    return %0, %1, %2 : tensor<3x3xf32>, tensor<3x2xf32>, tensor<4xcomplex<f32>>
  }
  func.func @rng(%s: tensor<2xui64>, %lo: tensor<f32>, %hi: tensor<f32>) -> (tensor<2xui64>, tensor<4xui32>, tensor<4xf32>) {
    %0, %1 = stablehlo.rng_bit_generator %s, algorithm = PHILOX : (tensor<2xui64>) -> (tensor<2xui64>, tensor<4xui32>)
    %sh = stablehlo.constant dense<4> : tensor<1xi64>
    %2 = stablehlo.rng %lo, %hi, %sh, distribution = UNIFORM : (tensor<f32>, tensor<f32>, tensor<1xi64>) -> tensor<4xf32>
    return %0, %1, %2 : tensor<2xui64>, tensor<4xui32>, tensor<4xf32>
  }
  func.func @bn(%a: tensor<2x3xf32>, %s: tensor<3xf32>) -> (tensor<2x3xf32>, tensor<3xf32>, tensor<3xf32>) {
    %0, %1, %2 = "stablehlo.batch_norm_training"(%a, %s, %s) {epsilon = 1.000000e-03 : f32, feature_index = 1 : i64} : (tensor<2x3xf32>, tensor<3xf32>, tensor<3xf32>) -> (tensor<2x3xf32>, tensor<3xf32>, tensor<3xf32>)
    %3 = "stablehlo.batch_norm_inference"(%a, %s, %s, %s, %s) {epsilon = 1.000000e-03 : f32, feature_index = 1 : i64} : (tensor<2x3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
    %4:3 = "stablehlo.batch_norm_grad"(%a, %s, %s, %s, %a) {epsilon = 1.000000e-03 : f32, feature_index = 1 : i64} : (tensor<2x3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<2x3xf32>) -> (tensor<2x3xf32>, tensor<3xf32>, tensor<3xf32>)
    return %0, %1, %2 : tensor<2x3xf32>, tensor<3xf32>, tensor<3xf32>
  }
  func.func @window(%a: tensor<4x6xf32>, %z: tensor<f32>, %src: tensor<2x3xf32>) -> (tensor<2x3xf32>, tensor<4x6xf32>) {
    %0 = "stablehlo.reduce_window"(%a, %z) ({ ^bb0(%x: tensor<f32>, %y: tensor<f32>): %m = stablehlo.maximum %x, %y : tensor<f32> stablehlo.return %m : tensor<f32> }) {window_dimensions = array<i64: 2, 2>, window_strides = array<i64: 2, 2>} : (tensor<4x6xf32>, tensor<f32>) -> tensor<2x3xf32>
    %1 = "stablehlo.select_and_scatter"(%a, %src, %z) ({ ^bb0(%x: tensor<f32>, %y: tensor<f32>): %m = stablehlo.compare GE, %x, %y, TOTALORDER : (tensor<f32>, tensor<f32>) -> tensor<i1> stablehlo.return %m : tensor<i1> }, { ^bb0(%x: tensor<f32>, %y: tensor<f32>): %m = stablehlo.add %x, %y : tensor<f32> stablehlo.return %m : tensor<f32> }) {window_dimensions = array<i64: 2, 2>, window_strides = array<i64: 2, 2>, padding = dense<0> : tensor<2x2xi64>} : (tensor<4x6xf32>, tensor<2x3xf32>, tensor<f32>) -> tensor<4x6xf32>
    return %0, %1 : tensor<2x3xf32>, tensor<4x6xf32>
  }
  func.func @ids(%a: tensor<4xf32>) -> (tensor<ui32>, tensor<ui32>) {
    %0 = stablehlo.partition_id : tensor<ui32>
    %1 = stablehlo.replica_id : tensor<ui32>
    %2 = stablehlo.optimization_barrier %a : tensor<4xf32>
    return %0, %1 : tensor<ui32>, tensor<ui32>
  }
  func.func @calls(%a: tensor<2xf32>) -> tensor<2xf32> {
    %0 = call @dec(%a) : (tensor<2xf32>) -> tensor<2xf32>
    %1 = stablehlo.custom_call @foo(%0) {has_side_effect = true, backend_config = "abc", api_version = 2 : i32, called_computations = [@dec], operand_layouts = [dense<0> : tensor<1xindex>], result_layouts = [dense<0> : tensor<1xindex>], output_operand_aliases = [#stablehlo.output_operand_alias<output_tuple_indices = [], operand_index = 0, operand_tuple_indices = []>]} : (tensor<2xf32>) -> tensor<2xf32>
    return %1 : tensor<2xf32>
  }
}
