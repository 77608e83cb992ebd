// RUN: auto-cast
// OPTIONS: auto-cast=matmult auto-cast-type=bf16
// EVAL: atol=0.2 rtol=0.02
func.func @main(%x: tensor<4x8xf32>, %y: tensor<8x2xf32>) -> tensor<4x2xf32> {
  %0 = stablehlo.dot_general %x, %y, contracting_dims = [1] x [0] : (tensor<4x8xf32>, tensor<8x2xf32>) -> tensor<4x2xf32>
  %1 = stablehlo.tanh %0 : tensor<4x2xf32>
  return %1 : tensor<4x2xf32>
}
// OUT:
// func.func @main(%arg0: tensor<4x8xf32>, %arg1: tensor<8x2xf32>) -> tensor<4x2xf32> {
//   %0 = stablehlo.convert %arg0 : (tensor<4x8xf32>) -> tensor<4x8xbf16>
//   %1 = stablehlo.convert %arg1 : (tensor<8x2xf32>) -> tensor<8x2xbf16>
//   %2 = stablehlo.dot_general %0, %1, contracting_dims = [1] x [0] : (tensor<4x8xbf16>, tensor<8x2xbf16>) -> tensor<4x2xf32>
//   %3 = stablehlo.tanh %2 : tensor<4x2xf32>
//   return %3 : tensor<4x2xf32>
// }
