func.func @a() {
  %0 = stablehlo.constant dense<[-2, 0, 2]> : tensor<3xi64>
  check.expect_eq %0, %0 : tensor<3xi64>
  check.expect_eq_const %0, dense<[-2, 0, 2]> : tensor<3xi64>
  func.return
}
func.func @b() {
  %0 = stablehlo.constant dense<5.0000> : tensor<f64>
  %1 = stablehlo.constant dense<5.0001> : tensor<f64>
  check.expect_almost_eq%0, %1 : tensor<f64>
  check.expect_almost_eq %0, %1, tolerance = 0.1 : tensor<f64>
  check.expect_almost_eq_const %0, dense<5.1> : tensor<f64> {tolerance = 0.1 : f64}
  %2 = stablehlo.constant dense<5.0> : tensor<f16>
  %3 = stablehlo.constant dense<5.010> : tensor<f16>
  check.expect_close %2, %3, max_ulp_difference = 3 : tensor<f16>, tensor<f16>
  "check.expect_close"(%2, %3) <{max_ulp_difference = 3 : ui64}> : (tensor<f16>, tensor<f16>) -> ()
  func.return
}
// -----
module @distribution_ops {
  func.func public @infeed(%token : !stablehlo.token) -> (tensor<2x2xi64>, !stablehlo.token, tensor<2x2xi64>, !stablehlo.token) {
    %r:2 = "stablehlo.infeed"(%token) : (!stablehlo.token) -> (tensor<2x2xi64>, !stablehlo.token)
    %s:2 = "stablehlo.infeed"(%token) : (!stablehlo.token) -> (tensor<2x2xi64>, !stablehlo.token)
    return %r#0, %r#1, %s#0, %s#1 : tensor<2x2xi64>, !stablehlo.token, tensor<2x2xi64>, !stablehlo.token
  }
  func.func public @q0() -> (tensor<2x2xi64>) {
    %q = stablehlo.constant dense<[[1, 2], [3, 4]]> : tensor<2x2xi64>
    return %q : tensor<2x2xi64>
  }
  func.func public @q1() -> (tensor<2x2xi64>) {
    %q = stablehlo.constant dense<[[5, 6], [7, 8]]> : tensor<2x2xi64>
    return %q : tensor<2x2xi64>
  }
  func.func public @main() {
    %token = stablehlo.after_all : !stablehlo.token
    %results:4 = "interpreter.run_parallel"(%token) {
      programs=[["infeed"]], infeed=["q0", "q1"], num_replicas=1, num_partitions=1
    } : (!stablehlo.token) -> (tensor<2x2xi64>, !stablehlo.token, tensor<2x2xi64>, !stablehlo.token)
    check.expect_eq_const %results#0, dense<[[1, 2], [3, 4]]> : tensor<2x2xi64>
    check.expect_eq_const %results#2, dense<[[5, 6], [7, 8]]> : tensor<2x2xi64>
    func.return
  }
}
// -----
module @cp {
  func.func @p(%operand : tensor<2xi64>) -> tensor<2xi64> {
    %result = "stablehlo.collective_permute"(%operand) {
      source_target_pairs = dense<[[0, 1], [1, 2], [3, 3]]> : tensor<3x2xi64>,
      channel_handle = #stablehlo.channel_handle<handle = 1, type = 0>
    } : (tensor<2xi64>) -> tensor<2xi64>
    return %result : tensor<2xi64>
  }
  func.func @main() {
    %0 = stablehlo.constant dense<[1, 2]> : tensor<2xi64>
    %1 = stablehlo.constant dense<[3, 4]> : tensor<2xi64>
    %r:4 = "interpreter.run_parallel"(%0, %1, %0, %1) { programs=[[@p, @p, @p, @p]] } : (tensor<2xi64>, tensor<2xi64>, tensor<2xi64>, tensor<2xi64>) -> (tensor<2xi64>, tensor<2xi64>, tensor<2xi64>, tensor<2xi64>)
    check.expect_eq_const %r#0, dense<0> : tensor<2xi64>
    check.expect_eq_const %r#1, dense<[1, 2]> : tensor<2xi64>
    check.expect_eq_const %r#2, dense<[3, 4]> : tensor<2xi64>
    check.expect_eq_const %r#3, dense<[3, 4]> : tensor<2xi64>
    func.return
  }
}
// -----
func.func @scan() {
  %input = stablehlo.constant dense<[[1, 2, 3], [4, 5, 6]]> : tensor<2x3xi32>
  %init = stablehlo.constant dense<0> : tensor<2xi32>
  %0:2 = chlo.scan(%input) inits(%init) dimension=1 {
  ^bb0(%a: tensor<2xi32>, %b: tensor<2xi32>):
    %1 = stablehlo.add %a, %b : tensor<2xi32>
    stablehlo.return %1, %1 : tensor<2xi32>, tensor<2xi32>
  } : (tensor<2x3xi32>, tensor<2xi32>) -> (tensor<2x3xi32>, tensor<2xi32>)
  check.expect_eq_const %0#0, dense<[[1, 3, 6], [4, 9, 15]]> : tensor<2x3xi32>
  check.expect_eq_const %0#1, dense<[6, 15]> : tensor<2xi32>
  %i1 = stablehlo.constant dense<[1, 2, 3, 4]> : tensor<4xi32>
  %z = stablehlo.constant dense<0> : tensor<i32>
  %2:2 = chlo.scan(%i1) inits(%z) dimension=0 attributes {is_reverse = true} {
  ^bb0(%a: tensor<i32>, %b: tensor<i32>):
    %1 = stablehlo.add %a, %b : tensor<i32>
    stablehlo.return %1, %1 : tensor<i32>, tensor<i32>
  } : (tensor<4xi32>, tensor<i32>) -> (tensor<4xi32>, tensor<i32>)
  check.expect_eq_const %2#0, dense<[10, 9, 7, 4]> : tensor<4xi32>
  check.expect_eq_const %2#1, dense<10> : tensor<i32>
  func.return
}
// -----
func.func @mulhi() {
  %a = stablehlo.constant dense<[64, -64, -64]> : tensor<3xi8>
  %b = stablehlo.constant dense<[4, 4, -4]> : tensor<3xi8>
  %r = "chlo.mulhi"(%a, %b) : (tensor<3xi8>, tensor<3xi8>) -> tensor<3xi8>
  check.expect_eq_const %r, dense<[1, -1, 1]> : tensor<3xi8>
  %c = stablehlo.constant dense<[1152921504606846976, -1152921504606846976, -1]> : tensor<3xi64>
  %d = stablehlo.constant dense<[16, 16, -1]> : tensor<3xi64>
  %s = chlo.mulhi %c, %d : tensor<3xi64>, tensor<3xi64> -> tensor<3xi64>
  check.expect_eq_const %s, dense<[1, -1, 0]> : tensor<3xi64>
  %e = stablehlo.constant dense<[17293822569102704640, 18446744073709551615]> : tensor<2xui64>
  %f = stablehlo.constant dense<[16, 18446744073709551615]> : tensor<2xui64>
  %t = "chlo.mulhi"(%e, %f) : (tensor<2xui64>, tensor<2xui64>) -> tensor<2xui64>
  check.expect_eq_const %t, dense<[15, 18446744073709551614]> : tensor<2xui64>
  func.return
}
// -----
func.func @probe() {
  %0 = stablehlo.constant dense<[[0], [0], [0]]> : tensor<3x1xi1>
  %3 = interpreter.probe %0, probe_id = "probe_i1" : tensor<3x1xi1>
  %4 = interpreter.print %3 : tensor<3x1xi1>
  check.expect_eq_const %4, dense<0> : tensor<3x1xi1>
  func.return
}
// -----
func.func @mhlo() {
  %0 = mhlo.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %1 = mhlo.add %0, %0 : tensor<2xf32>
  %2 = "mhlo.compare"(%0, %1) {comparison_direction = #mhlo<comparison_direction LT>} : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xi1>
  check.expect_eq_const %2, dense<true> : tensor<2xi1>
  %z = mhlo.constant dense<0.0> : tensor<f32>
  %3 = mhlo.reduce(%0 init: %z) applies mhlo.add across dimensions = [0] : (tensor<2xf32>, tensor<f32>) -> tensor<f32>
  check.expect_eq_const %3, dense<3.0> : tensor<f32>
  %4 = "mhlo.reduce"(%0, %z) ({
  ^bb0(%x: tensor<f32>, %y: tensor<f32>):
    %5 = mhlo.maximum %x, %y : tensor<f32>
    mhlo.return %5 : tensor<f32>
  }) {dimensions = dense<0> : tensor<1xi64>} : (tensor<2xf32>, tensor<f32>) -> tensor<f32>
  check.expect_eq_const %4, dense<2.0> : tensor<f32>
  %6 = mhlo.copy %0 : tensor<2xf32>
  %7 = "mhlo.dot_general"(%6, %6) {dot_dimension_numbers = #mhlo.dot<lhs_contracting_dimensions = [0], rhs_contracting_dimensions = [0]>} : (tensor<2xf32>, tensor<2xf32>) -> tensor<f32>
  check.expect_eq_const %7, dense<5.0> : tensor<f32>
  func.return
}
// -----
module {
sdy.mesh @mesh = <["x"=2, "y"=2]>
func.func @main() {
  %c = sdy.constant dense<2> : tensor<8x8xi32>
  %0 = sdy.all_gather [{}, {"y"}] %c out_sharding=<@mesh, [{"x"}, {}]> : tensor<8x8xi32>
  %1 = sdy.all_slice [{}, {"y"}] %0 out_sharding=<@mesh, [{"x"}, {"y"}]> : tensor<8x8xi32>
  %2 = sdy.all_to_all [{"y"}: 1->0] %1 out_sharding=<@mesh, [{"x", "y"}, {}]> : tensor<8x8xi32>
  %3 = sdy.collective_permute %2 out_sharding=<@mesh, [{"y", "x"}, {}]> : tensor<8x8xi32>
  %4 = sdy.propagation_barrier %3 allowed_direction=NONE : tensor<8x8xi32>
  sdy.sharding_group %4 group_id=21 : tensor<8x8xi32>
  %5 = sdy.named_computation<"foo">(%4) in_shardings=[<@mesh, [{"x"}, {}]>] out_shardings=[<@mesh, [{"x"}, {}]>] (%a: tensor<8x8xi32>) {
    %6 = stablehlo.add %a, %c : tensor<8x8xi32>
    sdy.return %6 : tensor<8x8xi32>
  } : (tensor<8x8xi32>) -> tensor<8x8xi32>
  check.expect_eq_const %5, dense<4> : tensor<8x8xi32>
  return
}
}
// -----
func.func @what_probes_see() {
  %zero = stablehlo.constant dense<0> : tensor<i64>
  %one = stablehlo.constant dense<1> : tensor<i64>
  %four = stablehlo.constant dense<4> : tensor<i64>
  %two = stablehlo.constant dense<2> : tensor<i64>
  %r:2 = stablehlo.while(%i = %zero, %p = %one) : tensor<i64>, tensor<i64>
  cond {
    %c = stablehlo.compare LT, %i, %two : (tensor<i64>, tensor<i64>) -> tensor<i1>
    stablehlo.return %c : tensor<i1>
  } do {
    %d = stablehlo.add %p, %p : tensor<i64>
    %s = interpreter.probe %d, probe_id = "doubled" : tensor<i64>
    %n = stablehlo.add %i, %one : tensor<i64>
    stablehlo.return %n, %s : tensor<i64>, tensor<i64>
  }
  check.expect_serialized_eq %two, probe_id = "doubled" : tensor<i64>
  check.expect_serialized_eq %four, probe_id = "doubled", iter = 1 : tensor<i64>
  func.return
}
// -----
module @to_the_first {
  func.func @largest(%x : tensor<3xi32>) -> tensor<3xi32> {
    %0 = "stablehlo.collective_reduce"(%x) ({
    ^bb0(%a: tensor<i32>, %b: tensor<i32>):
      %1 = stablehlo.maximum %a, %b : tensor<i32>
      stablehlo.return %1 : tensor<i32>
    }) {replica_groups = dense<[[1, 0], [2, 3]]> : tensor<2x2xi64>} : (tensor<3xi32>) -> tensor<3xi32>
    return %0 : tensor<3xi32>
  }
  func.func @main() {
    %a = stablehlo.constant dense<[1, 9, 3]> : tensor<3xi32>
    %b = stablehlo.constant dense<[7, 2, 8]> : tensor<3xi32>
    %r:4 = "interpreter.run_parallel"(%a, %b, %a, %b) {programs = [[@largest], [@largest], [@largest], [@largest]]} : (tensor<3xi32>, tensor<3xi32>, tensor<3xi32>, tensor<3xi32>) -> (tensor<3xi32>, tensor<3xi32>, tensor<3xi32>, tensor<3xi32>)
    check.expect_eq_const %r#0, dense<0> : tensor<3xi32>
    check.expect_eq_const %r#1, dense<[7, 9, 8]> : tensor<3xi32>
    check.expect_eq_const %r#2, dense<[7, 9, 8]> : tensor<3xi32>
    check.expect_eq_const %r#3, dense<0> : tensor<3xi32>
    func.return
  }
}
// -----
func.func @forms() {
  %x = stablehlo.constant dense<[[[[1.0], [2.0]], [[3.0], [4.0]]]]> : tensor<1x2x2x1xf32>
  %k = stablehlo.constant dense<1.0> : tensor<2x2x1x1xf32>
  %p = stablehlo.constant dense<[[1, 0], [0, 1]]> : tensor<2x2xi32>
  %r = stablehlo.dynamic_conv(%x, %k, %p) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], window = {stride = [1, 1]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64} : (tensor<1x2x2x1xf32>, tensor<2x2x1x1xf32>, tensor<2x2xi32>) -> tensor<1x2x2x1xf32>
  check.expect_almost_eq_const %r, dense<[[[[3.0], [2.0]], [[10.0], [6.0]]]]> : tensor<1x2x2x1xf32>, tolerance = 1.0e-12
  func.return
}
