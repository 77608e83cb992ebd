// Complex numbers are ordered by real, then imaginary parts; conversions ignore the imaginary part.
func.func @main() {
  %a = stablehlo.constant dense<[(1.0, 2.0), (1.0, 3.0), (2.0, 0.0)]> : tensor<3xcomplex<f32>>
  %b = stablehlo.constant dense<[(1.0, 3.0), (1.0, 3.0), (-1.0, 9.0)]> : tensor<3xcomplex<f32>>
  %max = stablehlo.maximum %a, %b : tensor<3xcomplex<f32>>
  check.expect_eq_const %max, dense<[(1.0, 3.0), (1.0, 3.0), (2.0, 0.0)]> : tensor<3xcomplex<f32>>
  %lt = stablehlo.compare LT, %a, %b : (tensor<3xcomplex<f32>>, tensor<3xcomplex<f32>>) -> tensor<3xi1>
  check.expect_eq_const %lt, dense<[true, false, false]> : tensor<3xi1>
  %i = stablehlo.constant dense<[(0.0, 1.0), (2.0, 0.0)]> : tensor<2xcomplex<f64>>
  %p = stablehlo.convert %i : (tensor<2xcomplex<f64>>) -> tensor<2xi1>
  check.expect_eq_const %p, dense<[false, true]> : tensor<2xi1>
  return
}
// -----
// Without mantissa there is no NaN; formats without infinities use every exponent.
func.func @main() {
  %x = stablehlo.constant dense<[0x7FC00000, 0x7F800000, 0x3FC00000, 0x40200000]> : tensor<4xf32>
  %r = stablehlo.reduce_precision %x, format = e8m0 : tensor<4xf32>
  check.expect_eq_const %r, dense<[0x7F800000, 0x7F800000, 2.0, 2.0]> : tensor<4xf32>
  %y = stablehlo.constant dense<[288.0, 448.0]> : tensor<2xf8E4M3FN>
  %s = stablehlo.reduce_precision %y, format = e8m2 : tensor<2xf8E4M3FN>
  check.expect_eq_const %s, dense<[256.0, 448.0]> : tensor<2xf8E4M3FN>
  return
}
// -----
// Small floats round to nearest even; what they cannot hold becomes their infinity, their NaN or their largest value.
func.func @main() {
  %x = stablehlo.constant dense<[0.0, 1.75, 2.5, 500.0, 0x7F800000]> : tensor<5xf32>
  %a = stablehlo.convert %x : (tensor<5xf32>) -> tensor<5xf4E2M1FN>
  check.expect_eq_const %a, dense<[0.0, 2.0, 2.0, 6.0, 6.0]> : tensor<5xf4E2M1FN>
  %b = stablehlo.convert %x : (tensor<5xf32>) -> tensor<5xf8E4M3FN>
  check.expect_eq_const %b, dense<[0.0, 1.75, 2.5, 0x7F, 0x7F]> : tensor<5xf8E4M3FN>
  %c = stablehlo.convert %x : (tensor<5xf32>) -> tensor<5xf8E8M0FNU>
  check.expect_eq_const %c, dense<[0xFF, 2.0, 2.0, 512.0, 0xFF]> : tensor<5xf8E8M0FNU>
  %d = stablehlo.convert %x : (tensor<5xf32>) -> tensor<5xf8E4M3>
  check.expect_eq_const %d, dense<[0.0, 1.75, 2.5, 0x78, 0x78]> : tensor<5xf8E4M3>
  return
}
// -----
// Messages between devices, one that no one sends to gets zeros.
module {
  func.func @p(%x: tensor<2xi64>) -> tensor<2xi64> {
    %t = stablehlo.after_all : !stablehlo.token
    %s = "stablehlo.send"(%x, %t) <{channel_handle = #stablehlo.channel_handle<handle = 1, type = 1>, is_host_transfer = false, source_target_pairs = dense<[[0, 1]]> : tensor<1x2xi64>}> : (tensor<2xi64>, !stablehlo.token) -> !stablehlo.token
    %r:2 = "stablehlo.recv"(%s) <{channel_handle = #stablehlo.channel_handle<handle = 1, type = 1>, is_host_transfer = false, source_target_pairs = dense<[[0, 1]]> : tensor<1x2xi64>}> : (!stablehlo.token) -> (tensor<2xi64>, !stablehlo.token)
    return %r#0 : tensor<2xi64>
  }
  func.func @main() {
    %x = stablehlo.constant dense<[7, 8]> : tensor<2xi64>
    %y = stablehlo.constant dense<[9, 10]> : tensor<2xi64>
    %r:2 = "interpreter.run_parallel"(%x, %y) {programs = [[@p, @p]]} : (tensor<2xi64>, tensor<2xi64>) -> (tensor<2xi64>, tensor<2xi64>)
    check.expect_eq_const %r#0, dense<0> : tensor<2xi64>
    check.expect_eq_const %r#1, dense<[7, 8]> : tensor<2xi64>
    return
  }
}
// -----
// The form of tests that JAX exported.
module @jit_main attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main() -> (tensor<2xf32> {jax.result_info = "", mhlo.layout_mode = "default"}) {
    %0 = call @inputs() : () -> tensor<2xf32>
    %1 = call @expected() : () -> tensor<2xf32>
    %2 = stablehlo.cosine %0 : tensor<2xf32>
    stablehlo.custom_call @check.expect_close(%2, %1) {has_side_effect = true} : (tensor<2xf32>, tensor<2xf32>) -> ()
    stablehlo.custom_call @check.expect_almost_eq(%2, %1) {has_side_effect = true} : (tensor<2xf32>, tensor<2xf32>) -> ()
    %3 = stablehlo.custom_call @check.eq(%2, %0) : (tensor<2xf32>, tensor<2xf32>) -> tensor<i1>
    %4 = stablehlo.constant dense<false> : tensor<i1>
    stablehlo.custom_call @check.expect_eq(%3, %4) {has_side_effect = true} : (tensor<i1>, tensor<i1>) -> ()
    return %2 : tensor<2xf32>
  }
  func.func private @inputs() -> (tensor<2xf32> {mhlo.layout_mode = "default"}) {
    %cst = stablehlo.constant dense<[0.0, 1.0]> : tensor<2xf32>
    return %cst : tensor<2xf32>
  }
  func.func private @expected() -> (tensor<2xf32> {mhlo.layout_mode = "default"}) {
    %cst = stablehlo.constant dense<[1.0, 5.403023e-01]> : tensor<2xf32>
    return %cst : tensor<2xf32>
  }
}
// -----
// One process, several replicas and partitions: ids and groups.
module {
  func.func @p() -> (tensor<ui32>, tensor<ui32>, tensor<i64>) {
    %r = stablehlo.replica_id : tensor<ui32>
    %p = stablehlo.partition_id : tensor<ui32>
    %x = stablehlo.convert %p : (tensor<ui32>) -> tensor<i64>
    %b = "stablehlo.collective_broadcast"(%x) <{replica_groups = dense<[[1, 0]]> : tensor<1x2xi64>, channel_handle = #stablehlo.channel_handle<handle = 1, type = 0>}> : (tensor<i64>) -> tensor<i64>
    return %r, %p, %b : tensor<ui32>, tensor<ui32>, tensor<i64>
  }
  func.func @main() {
    %r:6 = "interpreter.run_parallel"() {programs = [[@p, @p]]} : () -> (tensor<ui32>, tensor<ui32>, tensor<i64>, tensor<ui32>, tensor<ui32>, tensor<i64>)
    check.expect_eq_const %r#1, dense<0> : tensor<ui32>
    check.expect_eq_const %r#4, dense<1> : tensor<ui32>
    check.expect_eq_const %r#3, dense<0> : tensor<ui32>
    return
  }
}
// -----
func.func @weak_order() {
  // All NaN are one, above infinity; both zeros are one.
  %x = stablehlo.constant dense<[0xFFC00000, 0x7F800000, 0x80000000, 1.0, 0x7FC00000]> : tensor<5xf32>
  %y = stablehlo.constant dense<[0x7FC00001, 0xFFC00000, 0.0, 2.0, 0xFF800000]> : tensor<5xf32>
  %0 = stablehlo.compare EQ, %x, %y, WEAKORDER : (tensor<5xf32>, tensor<5xf32>) -> tensor<5xi1>
  check.expect_eq_const %0, dense<[true, false, true, false, false]> : tensor<5xi1>
  %1 = stablehlo.compare LT, %x, %y, WEAKORDER : (tensor<5xf32>, tensor<5xf32>) -> tensor<5xi1>
  check.expect_eq_const %1, dense<[false, true, false, true, false]> : tensor<5xi1>
  %2 = stablehlo.compare GE, %x, %y, WEAKORDER : (tensor<5xf32>, tensor<5xf32>) -> tensor<5xi1>
  check.expect_eq_const %2, dense<[true, false, true, false, true]> : tensor<5xi1>
  func.return
}
// -----
func.func @known_calls() {
  %x = stablehlo.constant dense<[0.0, 1.0, -2.0]> : tensor<3xf32>
  %d = stablehlo.constant dense<[1.0, 2.0, 1.0]> : tensor<3xf32>
  %0 = stablehlo.custom_call @AwsNeuronSiluBackward(%d, %x) : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
  check.expect_almost_eq_const %0, dense<[0.5, 1.855341, -0.0907843]> : tensor<3xf32>
  %i = stablehlo.constant dense<[[[[1.0], [2.0], [3.0]], [[4.0], [5.0], [6.0]]]]> : tensor<1x2x3x1xf32>
  %1 = stablehlo.custom_call @ResizeNearest(%i) {backend_config = "\"00\""} : (tensor<1x2x3x1xf32>) -> tensor<1x3x2x1xf32>
  check.expect_eq_const %1, dense<[[[[1.0], [2.0]], [[1.0], [2.0]], [[4.0], [5.0]]]]> : tensor<1x3x2x1xf32>
  func.return
}
