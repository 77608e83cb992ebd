// RUN: legalize-complex
func.func public @main(%x: tensor<4xf32>, %y: tensor<4xf32>) -> tensor<4xf32> {
  %0 = stablehlo.complex %x, %y : tensor<4xcomplex<f32>>
  %1 = stablehlo.multiply %0, %0 : tensor<4xcomplex<f32>>
  %2 = stablehlo.imag %1 : (tensor<4xcomplex<f32>>) -> tensor<4xf32>
  return %2 : tensor<4xf32>
}
// OUT:
// func.func public @main(%arg0: tensor<4xf32>, %arg1: tensor<4xf32>) -> tensor<4xf32> {
//   %0 = stablehlo.complex %arg0, %arg1 : tensor<4xcomplex<f32>>
//   %1 = stablehlo.multiply %arg0, %arg0 : tensor<4xf32>
//   %2 = stablehlo.multiply %arg1, %arg1 : tensor<4xf32>
//   %3 = stablehlo.multiply %arg0, %arg1 : tensor<4xf32>
//   %4 = stablehlo.multiply %arg1, %arg0 : tensor<4xf32>
//   %5 = stablehlo.subtract %1, %2 : tensor<4xf32>
//   %6 = stablehlo.add %3, %4 : tensor<4xf32>
//   %7 = stablehlo.complex %5, %6 : tensor<4xcomplex<f32>>
//   return %6 : tensor<4xf32>
// }
