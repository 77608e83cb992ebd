// RUN: orient-contractions
// Many features pass few tokens: the tokens stay stationary, although the next contraction then transposes them.
func.func @main(%x: tensor<128x1024xbf16>, %w: tensor<1024x4096xbf16>, %v: tensor<4096x128xbf16>) -> tensor<128x128xbf16> {
  %0 = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0] : (tensor<128x1024xbf16>, tensor<1024x4096xbf16>) -> tensor<128x4096xbf16>
  %1 = stablehlo.dot_general %0, %v, contracting_dims = [1] x [0] : (tensor<128x4096xbf16>, tensor<4096x128xbf16>) -> tensor<128x128xbf16>
  return %1 : tensor<128x128xbf16>
}
// OUT:
// func.func @main(%arg0: tensor<128x1024xbf16>, %arg1: tensor<1024x4096xbf16>, %arg2: tensor<4096x128xbf16>) -> tensor<128x128xbf16> {
//   %0 = stablehlo.dot_general %arg0, %arg1, contracting_dims = [1] x [0] : (tensor<128x1024xbf16>, tensor<1024x4096xbf16>) -> tensor<128x4096xbf16>
//   %1 = stablehlo.dot_general %0, %arg2, contracting_dims = [1] x [0] : (tensor<128x4096xbf16>, tensor<4096x128xbf16>) -> tensor<128x128xbf16>
//   return %1 : tensor<128x128xbf16>
// }
