// RUN: split-contractions, canonicalize, remove-dead-ops
func.func @main(%x: tensor<2x5x16xf32>, %w: tensor<16x384xf32>, %bias: tensor<384xf32>) -> (tensor<2x2x5x64xf32>, tensor<2x2x5x64xf32>, tensor<2x5x128xf32>) {
  %0 = stablehlo.dot_general %x, %w, contracting_dims = [2] x [0] : (tensor<2x5x16xf32>, tensor<16x384xf32>) -> tensor<2x5x384xf32>
  %1 = stablehlo.broadcast_in_dim %bias, dims = [2] : (tensor<384xf32>) -> tensor<2x5x384xf32>
  %2 = stablehlo.add %0, %1 : tensor<2x5x384xf32>
  %3 = stablehlo.reshape %2 : (tensor<2x5x384xf32>) -> tensor<2x5x3x2x64xf32>
  %4 = stablehlo.transpose %3, dims = [2, 0, 3, 1, 4] : (tensor<2x5x3x2x64xf32>) -> tensor<3x2x2x5x64xf32>
  %5 = stablehlo.slice %4 [0:1, 0:2, 0:2, 0:5, 0:64] : (tensor<3x2x2x5x64xf32>) -> tensor<1x2x2x5x64xf32>
  %6 = stablehlo.reshape %5 : (tensor<1x2x2x5x64xf32>) -> tensor<2x2x5x64xf32>
  %7 = stablehlo.slice %4 [1:2, 0:2, 0:2, 0:5, 0:64] : (tensor<3x2x2x5x64xf32>) -> tensor<1x2x2x5x64xf32>
  %8 = stablehlo.reshape %7 : (tensor<1x2x2x5x64xf32>) -> tensor<2x2x5x64xf32>
  %9 = stablehlo.slice %2 [0:2, 0:5, 256:384] : (tensor<2x5x384xf32>) -> tensor<2x5x128xf32>
  return %6, %8, %9 : tensor<2x2x5x64xf32>, tensor<2x2x5x64xf32>, tensor<2x5x128xf32>
}
// OUT:
