// RUN: legalize-quantized, remove-dead-ops
// CHECK: stablehlo.divide
// CHECK: stablehlo.round_nearest_even
// CHECK-NOT: quant.uniform
func.func public @main(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %0 = stablehlo.uniform_quantize %x : (tensor<2x3xf32>) -> tensor<2x3x!quant.uniform<i8:f32, 5.000000e-01:-3>>
  %1 = stablehlo.add %0, %0 : tensor<2x3x!quant.uniform<i8:f32, 5.000000e-01:-3>>
  %2 = stablehlo.uniform_dequantize %1 : (tensor<2x3x!quant.uniform<i8:f32, 5.000000e-01:-3>>) -> tensor<2x3xf32>
  return %2 : tensor<2x3xf32>
}
