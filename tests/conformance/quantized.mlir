func.func @q() {
  %x = stablehlo.constant dense<[-1.0, 0.25, 0.75, 3.0]> : tensor<4xf32>
  %q = stablehlo.uniform_quantize %x : (tensor<4xf32>) -> tensor<4x!quant.uniform<i8:f32, 0.5:2>>
  %d = stablehlo.uniform_dequantize %q : (tensor<4x!quant.uniform<i8:f32, 0.5:2>>) -> tensor<4xf32>
  check.expect_eq_const %d, dense<[-1.0, 0.0, 1.0, 3.0]> : tensor<4xf32>
  %s = stablehlo.add %q, %q : tensor<4x!quant.uniform<i8:f32, 0.5:2>>
  %d2 = stablehlo.uniform_dequantize %s : (tensor<4x!quant.uniform<i8:f32, 0.5:2>>) -> tensor<4xf32>
  check.expect_eq_const %d2, dense<[-2.0, 0.0, 2.0, 6.0]> : tensor<4xf32>
  %r = stablehlo.reshape %q : (tensor<4x!quant.uniform<i8:f32, 0.5:2>>) -> tensor<2x2x!quant.uniform<i8:f32, 0.5:2>>
  %xx = stablehlo.constant dense<[[1.0, 2.0], [0.5, -1.0]]> : tensor<2x2xf32>
  %w = stablehlo.uniform_quantize %xx : (tensor<2x2xf32>) -> tensor<2x2x!quant.uniform<i8<-127:127>:f32:1, {0.5, 0.25}>>
  %dot = stablehlo.dot_general %r, %w, contracting_dims = [1] x [0] : (tensor<2x2x!quant.uniform<i8:f32, 0.5:2>>, tensor<2x2x!quant.uniform<i8<-127:127>:f32:1, {0.5, 0.25}>>) -> tensor<2x2x!quant.uniform<i32:f32:1, {0.25, 0.125}>>
  %dd = stablehlo.uniform_dequantize %dot : (tensor<2x2x!quant.uniform<i32:f32:1, {0.25, 0.125}>>) -> tensor<2x2xf32>
  check.expect_eq_const %dd, dense<[[-1.0, -2.0], [2.5, -1.0]]> : tensor<2x2xf32>
  %hyb = stablehlo.dot_general %xx, %w, contracting_dims = [1] x [0] : (tensor<2x2xf32>, tensor<2x2x!quant.uniform<i8<-127:127>:f32:1, {0.5, 0.25}>>) -> tensor<2x2xf32>
  check.expect_eq_const %hyb, dense<[[2.0, 0.0], [0.0, 2.0]]> : tensor<2x2xf32>
  %rq = stablehlo.uniform_quantize %q : (tensor<4x!quant.uniform<i8:f32, 0.5:2>>) -> tensor<4x!quant.uniform<i16:f32, 0.25>>
  %z = stablehlo.constant() <{value = dense<2> : tensor<i8>}> : () -> tensor<!quant.uniform<i8:f32, 0.5:2>>
  %red = stablehlo.reduce(%q init: %z) applies stablehlo.add across dimensions = [0] : (tensor<4x!quant.uniform<i8:f32, 0.5:2>>, tensor<!quant.uniform<i8:f32, 0.5:2>>) -> tensor<!quant.uniform<i8:f32, 0.5:2>>
  %rd = stablehlo.uniform_dequantize %red : (tensor<!quant.uniform<i8:f32, 0.5:2>>) -> tensor<f32>
  check.expect_eq_const %rd, dense<3.0> : tensor<f32>
  return
}
// -----
func.func @blocks_with_scales_of_their_own() {
  %0 = stablehlo.constant dense<[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]> : tensor<2x4xf32>
  %1 = stablehlo.uniform_quantize %0 : (tensor<2x4xf32>) -> tensor<2x4x!quant.uniform<i8:f32:{0:1, 1:2}, {{0.5:1, 1.0}, {2.0, 0.25}}>>
  %3 = stablehlo.uniform_dequantize %1 : (tensor<2x4x!quant.uniform<i8:f32:{0:1, 1:2}, {{0.5:1, 1.0}, {2.0, 0.25}}>>) -> tensor<2x4xf32>
  check.expect_eq_const %3, dense<[[1.0, 2.0, 3.0, 4.0], [4.0, 6.0, 7.0, 8.0]]> : tensor<2x4xf32>
  func.return
}
