func.func @dyn(%a: tensor<?x3xf32>, %s: tensor<2xi64>, %s3: tensor<3xi32>, %t: tensor<i32>, %p: tensor<2x2xi64>, %f: tensor<f32>, %x: tensor<1x8x8x207xf32>, %k: tensor<3x3x207x16xf32>) -> tensor<?x3xf32> {
  %0 = "stablehlo.dynamic_broadcast_in_dim"(%a, %s3) <{broadcast_dimensions = array<i64: 1, 2>, known_expanding_dimensions = array<i64: 0>, known_nonexpanding_dimensions = array<i64: 1>}> : (tensor<?x3xf32>, tensor<3xi32>) -> tensor<?x?x3xf32>
  %1 = "stablehlo.dynamic_reshape"(%a, %s) : (tensor<?x3xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  %2 = "stablehlo.dynamic_iota"(%s) <{iota_dimension = 1 : i64}> : (tensor<2xi64>) -> tensor<?x?xi32>
  %3 = "stablehlo.dynamic_pad"(%a, %f, %s, %s, %s) : (tensor<?x3xf32>, tensor<f32>, tensor<2xi64>, tensor<2xi64>, tensor<2xi64>) -> tensor<?x?xf32>
  %4 = "stablehlo.real_dynamic_slice"(%a, %s, %s, %s) : (tensor<?x3xf32>, tensor<2xi64>, tensor<2xi64>, tensor<2xi64>) -> tensor<?x?xf32>
  %5 = "stablehlo.get_dimension_size"(%a) <{dimension = 0 : i64}> : (tensor<?x3xf32>) -> tensor<i32>
  %6 = "stablehlo.dynamic_conv"(%x, %k, %p) <{batch_group_count = 1 : i64, dimension_numbers = #stablehlo.conv<[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]>, feature_group_count = 1 : i64, lhs_dilation = array<i64: 1, 1>, rhs_dilation = array<i64: 1, 1>, window_strides = array<i64: 1, 1>}> : (tensor<1x8x8x207xf32>, tensor<3x3x207x16xf32>, tensor<2x2xi64>) -> tensor<1x?x?x16xf32>
  %7 = "stablehlo.dynamic_gather"(%a, %s3, %s) <{dimension_numbers = #stablehlo.gather<offset_dims = [1, 2], start_index_map = [0], index_vector_dim = 1>, indices_are_sorted = true}> : (tensor<?x3xf32>, tensor<3xi32>, tensor<2xi64>) -> tensor<3x?x?xf32>
  %8 = "stablehlo.set_dimension_size"(%k, %t) <{dimension = 0 : i64}> : (tensor<3x3x207x16xf32>, tensor<i32>) -> tensor<?x3x207x16xf32, #stablehlo.bounds<3, ?, ?, ?>>
  return %a : tensor<?x3xf32>
}
func.func @coll(%a: tensor<4x4xf32>, %tok: !stablehlo.token, %i: tensor<i64>) {
  %0 = "stablehlo.all_gather"(%a) <{all_gather_dim = 1 : i64, channel_handle = #stablehlo.channel_handle<handle = 1, type = 1>, replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>, use_global_device_ids}> : (tensor<4x4xf32>) -> tensor<4x8xf32>
  %1:2 = "stablehlo.all_reduce"(%a, %a) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
  ^bb0(%x: tensor<f32>, %y: tensor<f32>):
    %s = stablehlo.add %x, %y : tensor<f32>
    stablehlo.return %s : tensor<f32>
  }) : (tensor<4x4xf32>, tensor<4x4xf32>) -> (tensor<4x4xf32>, tensor<4x4xf32>)
  %2 = "stablehlo.all_to_all"(%a) <{concat_dimension = 0 : i64, replica_groups = dense<[[0, 1, 2, 3]]> : tensor<1x4xi64>, split_count = 4 : i64, split_dimension = 1 : i64}> : (tensor<4x4xf32>) -> tensor<16x1xf32>
  %3 = "stablehlo.collective_broadcast"(%a) <{replica_groups = dense<[[2, 1]]> : tensor<1x2xi64>}> : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %4 = "stablehlo.collective_permute"(%a) <{source_target_pairs = dense<[[0, 1], [1, 0]]> : tensor<2x2xi64>}> : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %5 = "stablehlo.reduce_scatter"(%a) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>, scatter_dimension = 1 : i64}> ({
  ^bb0(%x: tensor<f32>, %y: tensor<f32>):
    %s = stablehlo.add %x, %y : tensor<f32>
    stablehlo.return %s : tensor<f32>
  }) : (tensor<4x4xf32>) -> tensor<4x2xf32>
  %6 = "stablehlo.send"(%a, %tok) <{channel_handle = #stablehlo.channel_handle<handle = 5, type = 2>, is_host_transfer = true}> : (tensor<4x4xf32>, !stablehlo.token) -> !stablehlo.token
  %7:2 = "stablehlo.recv"(%6) <{channel_handle = #stablehlo.channel_handle<handle = 5, type = 3>, is_host_transfer = true}> : (!stablehlo.token) -> (tensor<3x4xi32>, !stablehlo.token)
  %8:3 = "stablehlo.infeed"(%tok) <{infeed_config = "x", layout = [[0, 1], [0]]}> : (!stablehlo.token) -> (tensor<3x3xi32>, tensor<3xi1>, !stablehlo.token)
  %9 = "stablehlo.outfeed"(%a, %tok) <{outfeed_config = "y"}> : (tensor<4x4xf32>, !stablehlo.token) -> !stablehlo.token
  %10 = "stablehlo.after_all"(%6, %9) : (!stablehlo.token, !stablehlo.token) -> !stablehlo.token
  %11 = "stablehlo.create_token"() : () -> !stablehlo.token
  %12 = "stablehlo.cross-replica-sum"(%a) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %13 = "stablehlo.partition_id"() : () -> tensor<ui32>
  %14 = "stablehlo.replica_id"() : () -> tensor<ui32>
  return
}
func.func @misc(%a: tensor<4x4xf32>, %b: tensor<4xf32>, %c: tensor<4x4xcomplex<f32>>, %i: tensor<i32>, %u: tensor<2xui64>, %p: tensor<i1>, %sc: tensor<f32>, %t: tuple<tensor<i32>, tensor<f32>>) {
  %0:3 = "stablehlo.batch_norm_grad"(%a, %b, %b, %b, %a) <{epsilon = 1.0e-3 : f32, feature_index = 1 : i64}> : (tensor<4x4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4x4xf32>) -> (tensor<4x4xf32>, tensor<4xf32>, tensor<4xf32>)
  %1 = "stablehlo.batch_norm_inference"(%a, %b, %b, %b, %b) <{epsilon = 1.0e-3 : f32, feature_index = 1 : i64}> : (tensor<4x4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<4x4xf32>
  %2:3 = "stablehlo.batch_norm_training"(%a, %b, %b) <{epsilon = 1.0e-3 : f32, feature_index = 1 : i64}> : (tensor<4x4xf32>, tensor<4xf32>, tensor<4xf32>) -> (tensor<4x4xf32>, tensor<4xf32>, tensor<4xf32>)
  %3 = "stablehlo.broadcast"(%b) <{broadcast_sizes = array<i64: 2, 3>}> : (tensor<4xf32>) -> tensor<2x3x4xf32>
  %4 = "stablehlo.cholesky"(%a) <{lower = true}> : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %44 = "stablehlo.cholesky"(%a) : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %5 = "stablehlo.dot"(%a, %b) <{precision_config = [#stablehlo<precision HIGH>, #stablehlo<precision DEFAULT>]}> : (tensor<4x4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %6 = "stablehlo.einsum"(%a, %a) <{einsum_config = "ab,bc->ac"}> : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %7 = "stablehlo.unary_einsum"(%a) <{einsum_config = "ab->a"}> : (tensor<4x4xf32>) -> tensor<4xf32>
  %8 = "stablehlo.fft"(%c) <{fft_length = array<i64: 4>, fft_type = #stablehlo<fft_type FFT>}> : (tensor<4x4xcomplex<f32>>) -> tensor<4x4xcomplex<f32>>
  %9 = "stablehlo.map"(%a, %a) <{dimensions = array<i64: 0, 1>}> ({
  ^bb0(%x: tensor<f32>, %y: tensor<f32>):
    %s = stablehlo.add %x, %y : tensor<f32>
    stablehlo.return %s : tensor<f32>
  }) : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %10:2 = "stablehlo.rng_bit_generator"(%u) <{rng_algorithm = #stablehlo<rng_algorithm THREE_FRY>}> : (tensor<2xui64>) -> (tensor<2xui64>, tensor<2x3xui32>)
  %shape = stablehlo.constant dense<[2, 3]> : tensor<2xi64>
  %11 = "stablehlo.rng"(%sc, %sc, %shape) <{rng_distribution = #stablehlo<rng_distribution UNIFORM>}> : (tensor<f32>, tensor<f32>, tensor<2xi64>) -> tensor<2x3xf32>
  %12 = "stablehlo.select_and_scatter"(%a, %a, %sc) <{window_dimensions = array<i64: 1, 1>, window_strides = array<i64: 1, 1>}> ({
  ^bb0(%x: tensor<f32>, %y: tensor<f32>):
    %s = stablehlo.compare GE, %x, %y, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>
    stablehlo.return %s : tensor<i1>
  }, {
  ^bb0(%x: tensor<f32>, %y: tensor<f32>):
    %s = stablehlo.add %x, %y : tensor<f32>
    stablehlo.return %s : tensor<f32>
  }) : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<f32>) -> tensor<4x4xf32>
  %13 = "stablehlo.torch_index_select"(%a, %shape) <{batch_dims = 0 : i64, dim = 0 : i64}> : (tensor<4x4xf32>, tensor<2xi64>) -> tensor<2x4xf32>
  %14 = "stablehlo.triangular_solve"(%a, %a) <{left_side = true, lower = true, transpose_a = #stablehlo<transpose NO_TRANSPOSE>, unit_diagonal = false}> : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %15 = "stablehlo.tuple"(%a, %i) : (tensor<4x4xf32>, tensor<i32>) -> tuple<tensor<4x4xf32>, tensor<i32>>
  %16 = "stablehlo.get_tuple_element"(%15) <{index = 0 : i32}> : (tuple<tensor<4x4xf32>, tensor<i32>>) -> tensor<4x4xf32>
  %17 = "stablehlo.case"(%i) ({
    stablehlo.return %sc : tensor<f32>
  }, {
    stablehlo.return %sc : tensor<f32>
  }) : (tensor<i32>) -> tensor<f32>
  %18 = "stablehlo.if"(%p) ({
    stablehlo.return %sc : tensor<f32>
  }, {
    stablehlo.return %sc : tensor<f32>
  }) : (tensor<i1>) -> tensor<f32>
  %19 = "stablehlo.optimization_barrier"(%a) : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %20 = "stablehlo.complex"(%a, %a) : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xcomplex<f32>>
  %21 = "stablehlo.real"(%20) : (tensor<4x4xcomplex<f32>>) -> tensor<4x4xf32>
  %22 = "stablehlo.reduce_precision"(%a) <{exponent_bits = 5 : i32, mantissa_bits = 10 : i32}> : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %23 = "stablehlo.bitcast_convert"(%a) : (tensor<4x4xf32>) -> tensor<4x4x2xi16>
  %24 = "stablehlo.dot_general"(%a, %a) <{algorithm = #stablehlo.dot_algorithm<lhs_precision_type = tf32, rhs_precision_type = tf32, accumulation_type = f32, lhs_component_count = 1, rhs_component_count = 1, num_primitive_operations = 1, allow_imprecise_accumulation = false>, dot_dimension_numbers = #stablehlo.dot<lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [0]>, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]}> : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %25:2 = "stablehlo.reduce"(%a, %a, %sc, %sc) <{dimensions = array<i64: 0>}> ({
  ^bb0(%x: tensor<f32>, %y: tensor<f32>, %z: tensor<f32>, %w: tensor<f32>):
    %s = stablehlo.add %x, %z : tensor<f32>
    stablehlo.return %s, %y : tensor<f32>, tensor<f32>
  }) : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<f32>, tensor<f32>) -> (tensor<4xf32>, tensor<4xf32>)
  %26 = "stablehlo.composite"(%a) <{name = "my.op", decomposition = @dec, composite_attributes = {n = 1 : i32}, version = 2 : i32}> : (tensor<4x4xf32>) -> tensor<4x4xf32>
  return
}
func.func private @dec(%a: tensor<4x4xf32>) -> tensor<4x4xf32> { return %a : tensor<4x4xf32> }
func.func @chlo(%a: tensor<4x4xf32>, %b: tensor<4xf32>, %c: tensor<4x4xcomplex<f32>>, %i: tensor<4x4xi32>, %p: tensor<4xi1>) {
  %0 = "chlo.broadcast_add"(%a, %b) : (tensor<4x4xf32>, tensor<4xf32>) -> tensor<4x4xf32>
  %1 = "chlo.broadcast_compare"(%a, %b) <{comparison_direction = #chlo<comparison_direction LT>, compare_type = #chlo<comparison_type FLOAT>, broadcast_dimensions = array<i64: 1>}> : (tensor<4x4xf32>, tensor<4xf32>) -> tensor<4x4xi1>
  %2 = "chlo.broadcast_select"(%p, %a, %b) : (tensor<4xi1>, tensor<4x4xf32>, tensor<4xf32>) -> tensor<4x4xf32>
  %3 = "chlo.broadcast_complex"(%a, %b) : (tensor<4x4xf32>, tensor<4xf32>) -> tensor<4x4xcomplex<f32>>
  %4 = "chlo.erf"(%a) : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %5 = "chlo.constant"() <{value = dense<1.0> : tensor<2xf32>}> : () -> tensor<2xf32>
  %6 = "chlo.constant_like"(%a) <{value = 3.2 : f32}> : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %7 = "chlo.is_inf"(%a) : (tensor<4x4xf32>) -> tensor<4x4xi1>
  %8:2 = "chlo.top_k"(%a) <{k = 2 : i64}> : (tensor<4x4xf32>) -> (tensor<4x2xf32>, tensor<4x2xi32>)
  %9 = "chlo.zeta"(%a, %a) : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %10 = "chlo.polygamma"(%a, %a) : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %11 = "chlo.next_after"(%a, %a) : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %12 = "chlo.conj"(%c) : (tensor<4x4xcomplex<f32>>) -> tensor<4x4xcomplex<f32>>
  %13 = "chlo.broadcast_zeta"(%a, %b) : (tensor<4x4xf32>, tensor<4xf32>) -> tensor<4x4xf32>
  %14 = "chlo.broadcast_next_after"(%a, %b) : (tensor<4x4xf32>, tensor<4xf32>) -> tensor<4x4xf32>
  %15 = "chlo.broadcast_polygamma"(%a, %b) : (tensor<4x4xf32>, tensor<4xf32>) -> tensor<4x4xf32>
  %16 = "chlo.mulhi"(%i, %i) : (tensor<4x4xi32>, tensor<4x4xi32>) -> tensor<4x4xi32>
  %17 = "chlo.square"(%a) : (tensor<4x4xf32>) -> tensor<4x4xf32>
  return
}
func.func @ragged(%lhs : tensor<11x5xf32>, %rhs : tensor<3x5x7xf32>, %group_sizes : tensor<3xi64>) -> tensor<11x7xf32> {
  %0 = "chlo.ragged_dot"(%lhs, %rhs, %group_sizes) {
    ragged_dot_dimension_numbers = #chlo.ragged_dot<lhs_batching_dimensions = [], rhs_batching_dimensions = [], lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [1], lhs_ragged_dimensions = [0], rhs_group_dimensions = [0]>,
    precision_config = [#chlo<precision DEFAULT>, #chlo<precision DEFAULT>]
  } : (tensor<11x5xf32>, tensor<3x5x7xf32>, tensor<3xi64>) -> tensor<11x7xf32>
  func.return %0 : tensor<11x7xf32>
}
func.func @async(%a: tensor<4x4xf32>) -> tensor<2x4xf32> {
  %0 = "stablehlo.async_start"(%a) ({
  ^bb0(%x: tensor<4x4xf32>):
    %1 = stablehlo.slice %x [0:2, 0:4] : (tensor<4x4xf32>) -> tensor<2x4xf32>
    stablehlo.return %1 : tensor<2x4xf32>
  }) : (tensor<4x4xf32>) -> !stablehlo.future<tensor<2x4xf32>>
  %2 = "stablehlo.async_done"(%0) : (!stablehlo.future<tensor<2x4xf32>>) -> tensor<2x4xf32>
  return %2 : tensor<2x4xf32>
}
func.func @main() { return }
// -----
// Arguments of a loop that know less of a size than its operands: no custom form says that.
func.func @main(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = "stablehlo.while"(%x) ({
  ^bb0(%a: tensor<4x?xf32, #stablehlo.bounds<?, 8>>):
    %c = stablehlo.constant dense<false> : tensor<i1>
    stablehlo.return %c : tensor<i1>
  }, {
  ^bb0(%a: tensor<4x?xf32, #stablehlo.bounds<?, 8>>):
    stablehlo.return %a : tensor<4x?xf32, #stablehlo.bounds<?, 8>>
  }) : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}
