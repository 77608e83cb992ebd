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
// func.func @main(%arg0: tensor<2x5x16xf32>, %arg1: tensor<16x384xf32>, %arg2: tensor<384xf32>) -> (tensor<2x2x5x64xf32>, tensor<2x2x5x64xf32>, tensor<2x5x128xf32>) {
//   %0 = stablehlo.slice %arg1 [0:16, 0:128] : (tensor<16x384xf32>) -> tensor<16x128xf32>
//   %1 = stablehlo.dot_general %arg0, %0, contracting_dims = [2] x [0] : (tensor<2x5x16xf32>, tensor<16x128xf32>) -> tensor<2x5x128xf32>
//   %2 = stablehlo.slice %arg2 [0:128] : (tensor<384xf32>) -> tensor<128xf32>
//   %3 = stablehlo.broadcast_in_dim %2, dims = [2] : (tensor<128xf32>) -> tensor<2x5x128xf32>
//   %4 = stablehlo.add %1, %3 : tensor<2x5x128xf32>
//   %5 = stablehlo.reshape %4 : (tensor<2x5x128xf32>) -> tensor<2x5x1x2x64xf32>
//   %6 = stablehlo.transpose %5, dims = [2, 0, 3, 1, 4] : (tensor<2x5x1x2x64xf32>) -> tensor<1x2x2x5x64xf32>
//   %7 = stablehlo.reshape %6 : (tensor<1x2x2x5x64xf32>) -> tensor<2x2x5x64xf32>
//   %8 = stablehlo.slice %arg1 [0:16, 128:256] : (tensor<16x384xf32>) -> tensor<16x128xf32>
//   %9 = stablehlo.dot_general %arg0, %8, contracting_dims = [2] x [0] : (tensor<2x5x16xf32>, tensor<16x128xf32>) -> tensor<2x5x128xf32>
//   %10 = stablehlo.slice %arg2 [128:256] : (tensor<384xf32>) -> tensor<128xf32>
//   %11 = stablehlo.broadcast_in_dim %10, dims = [2] : (tensor<128xf32>) -> tensor<2x5x128xf32>
//   %12 = stablehlo.add %9, %11 : tensor<2x5x128xf32>
//   %13 = stablehlo.reshape %12 : (tensor<2x5x128xf32>) -> tensor<2x5x1x2x64xf32>
//   %14 = stablehlo.transpose %13, dims = [2, 0, 3, 1, 4] : (tensor<2x5x1x2x64xf32>) -> tensor<1x2x2x5x64xf32>
//   %15 = stablehlo.reshape %14 : (tensor<1x2x2x5x64xf32>) -> tensor<2x2x5x64xf32>
//   %16 = stablehlo.slice %arg1 [0:16, 256:384] : (tensor<16x384xf32>) -> tensor<16x128xf32>
//   %17 = stablehlo.dot_general %arg0, %16, contracting_dims = [2] x [0] : (tensor<2x5x16xf32>, tensor<16x128xf32>) -> tensor<2x5x128xf32>
//   %18 = stablehlo.slice %arg2 [256:384] : (tensor<384xf32>) -> tensor<128xf32>
//   %19 = stablehlo.broadcast_in_dim %18, dims = [2] : (tensor<128xf32>) -> tensor<2x5x128xf32>
//   %20 = stablehlo.add %17, %19 : tensor<2x5x128xf32>
//   return %7, %15, %20 : tensor<2x2x5x64xf32>, tensor<2x2x5x64xf32>, tensor<2x5x128xf32>
// }
