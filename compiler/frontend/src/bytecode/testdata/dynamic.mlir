module @conv {
  func.func @dc(%a: tensor<1x8x8x3xf32>, %k: tensor<3x3x3x4xf32>, %p: tensor<2x2xi32>) -> tensor<1x?x?x4xf32> {
    %0 = "stablehlo.dynamic_conv"(%a, %k, %p) {window_strides = array<i64: 1, 1>, lhs_dilation = array<i64: 1, 1>, rhs_dilation = array<i64: 1, 1>, window_reversal = array<i1: false, true>, dimension_numbers = #stablehlo.conv<[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]>, feature_group_count = 1 : i64, batch_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision HIGH>]} : (tensor<1x8x8x3xf32>, tensor<3x3x3x4xf32>, tensor<2x2xi32>) -> tensor<1x?x?x4xf32>
    return %0 : tensor<1x?x?x4xf32>
  }
  func.func @small() -> (tensor<2xf4E2M1FN>, tensor<2xf6E2M3FN>, tensor<2xf8E8M0FNU>, tensor<2xf8E3M4>) {
    %0 = stablehlo.constant dense<[1.0, 2.0]> : tensor<2xf4E2M1FN>
    %1 = stablehlo.constant dense<[1.0, 2.0]> : tensor<2xf6E2M3FN>
    %2 = stablehlo.constant dense<[1.0, 2.0]> : tensor<2xf8E8M0FNU>
    %3 = stablehlo.constant dense<[1.0, 2.0]> : tensor<2xf8E3M4>
    return %0, %1, %2, %3 : tensor<2xf4E2M1FN>, tensor<2xf6E2M3FN>, tensor<2xf8E8M0FNU>, tensor<2xf8E3M4>
  }
}
