// RUN: legalize-quantized
func.func public @main(%x: tensor<2x3xi8>) -> tensor<3x2xi8> {
  %0 = stablehlo.bitcast_convert %x : (tensor<2x3xi8>) -> tensor<2x3x!quant.uniform<i8:f32:1, {5.000000e-01,2.500000e-01,1.000000e+00}>>
  %1 = stablehlo.transpose %0, dims = [1, 0] : (tensor<2x3x!quant.uniform<i8:f32:1, {5.000000e-01,2.500000e-01,1.000000e+00}>>) -> tensor<3x2x!quant.uniform<i8:f32:0, {5.000000e-01,2.500000e-01,1.000000e+00}>>
  %2 = stablehlo.bitcast_convert %1 : (tensor<3x2x!quant.uniform<i8:f32:0, {5.000000e-01,2.500000e-01,1.000000e+00}>>) -> tensor<3x2xi8>
  return %2 : tensor<3x2xi8>
}
// OUT:
// func.func public @main(%arg0: tensor<2x3xi8>) -> tensor<3x2xi8> {
//   %0 = stablehlo.bitcast_convert %arg0 : (tensor<2x3xi8>) -> tensor<2x3xi8>
//   %1 = stablehlo.transpose %0, dims = [1, 0] : (tensor<2x3xi8>) -> tensor<3x2xi8>
//   %2 = stablehlo.bitcast_convert %1 : (tensor<3x2xi8>) -> tensor<3x2xi8>
//   return %2 : tensor<3x2xi8>
// }
