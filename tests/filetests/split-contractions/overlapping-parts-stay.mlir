// RUN: split-contractions, remove-dead-ops
func.func @main(%x: tensor<4x16xf32>, %w: tensor<16x384xf32>) -> (tensor<4x256xf32>, tensor<4x256xf32>) {
  %0 = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0] : (tensor<4x16xf32>, tensor<16x384xf32>) -> tensor<4x384xf32>
  %1 = stablehlo.slice %0 [0:4, 0:256] : (tensor<4x384xf32>) -> tensor<4x256xf32>
  %2 = stablehlo.slice %0 [0:4, 128:384] : (tensor<4x384xf32>) -> tensor<4x256xf32>
  return %1, %2 : tensor<4x256xf32>, tensor<4x256xf32>
}
// OUT:
// func.func @main(%arg0: tensor<4x16xf32>, %arg1: tensor<16x384xf32>) -> (tensor<4x256xf32>, tensor<4x256xf32>) {
//   %0 = stablehlo.dot_general %arg0, %arg1, contracting_dims = [1] x [0] : (tensor<4x16xf32>, tensor<16x384xf32>) -> tensor<4x384xf32>
//   %1 = stablehlo.slice %0 [0:4, 0:256] : (tensor<4x384xf32>) -> tensor<4x256xf32>
//   %2 = stablehlo.slice %0 [0:4, 128:384] : (tensor<4x384xf32>) -> tensor<4x256xf32>
//   return %1, %2 : tensor<4x256xf32>, tensor<4x256xf32>
// }
