func.func public @main(%x: tensor<64x256xf32>, %w: tensor<256x512xf32>, %b: tensor<512xf32>) -> tensor<64x512xf32> {
  %0 = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0] : (tensor<64x256xf32>, tensor<256x512xf32>) -> tensor<64x512xf32>
  %1 = stablehlo.broadcast_in_dim %b, dims = [1] : (tensor<512xf32>) -> tensor<64x512xf32>
  %2 = stablehlo.add %0, %1 : tensor<64x512xf32>
  %cst = stablehlo.constant dense<0.000000e+00> : tensor<64x512xf32>
  %3 = stablehlo.maximum %2, %cst : tensor<64x512xf32>
  return %3 : tensor<64x512xf32>
}
