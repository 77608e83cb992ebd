// A factor that is no power of two would round bf16 once more; numerators that are no exponentials below a row's maximum
// could overflow; what the caller gives would be copied.
// RUN: scale-contractions, remove-dead-ops
func.func @main(%x: tensor<32x2xbf16>, %k: tensor<32x2xbf16>, %p: tensor<32x32xf32>, %s: tensor<32xf32>, %v: tensor<32x2xf32>) -> (tensor<32x32xbf16>, tensor<32x32xbf16>, tensor<32x2xf32>) {
  %q = stablehlo.negate %x : tensor<32x2xbf16>
  %0 = stablehlo.dot_general %q, %k, contracting_dims = [1] x [1] : (tensor<32x2xbf16>, tensor<32x2xbf16>) -> tensor<32x32xbf16>
  %c = stablehlo.constant dense<3.000000e-01> : tensor<32x32xbf16>
  %1 = stablehlo.multiply %0, %c : tensor<32x32xbf16>
  %2 = stablehlo.dot_general %x, %k, contracting_dims = [1] x [1] : (tensor<32x2xbf16>, tensor<32x2xbf16>) -> tensor<32x32xbf16>
  %d = stablehlo.constant dense<5.000000e-01> : tensor<32x32xbf16>
  %3 = stablehlo.multiply %2, %d : tensor<32x32xbf16>
  %4 = stablehlo.broadcast_in_dim %s, dims = [0] : (tensor<32xf32>) -> tensor<32x32xf32>
  %5 = stablehlo.divide %p, %4 : tensor<32x32xf32>
  %6 = stablehlo.dot_general %5, %v, contracting_dims = [1] x [0] : (tensor<32x32xf32>, tensor<32x2xf32>) -> tensor<32x2xf32>
  return %1, %3, %6 : tensor<32x32xbf16>, tensor<32x32xbf16>, tensor<32x2xf32>
}
// OUT:
// func.func @main(%arg0: tensor<32x2xbf16>, %arg1: tensor<32x2xbf16>, %arg2: tensor<32x32xf32>, %arg3: tensor<32xf32>, %arg4: tensor<32x2xf32>) -> (tensor<32x32xbf16>, tensor<32x32xbf16>, tensor<32x2xf32>) {
//   %0 = stablehlo.negate %arg0 : tensor<32x2xbf16>
//   %1 = stablehlo.dot_general %0, %arg1, contracting_dims = [1] x [1] : (tensor<32x2xbf16>, tensor<32x2xbf16>) -> tensor<32x32xbf16>
//   %cst = stablehlo.constant dense<3.007810e-01> : tensor<32x32xbf16>
//   %2 = stablehlo.multiply %1, %cst : tensor<32x32xbf16>
//   %3 = stablehlo.dot_general %arg0, %arg1, contracting_dims = [1] x [1] : (tensor<32x2xbf16>, tensor<32x2xbf16>) -> tensor<32x32xbf16>
//   %cst_0 = stablehlo.constant dense<5.000000e-01> : tensor<32x32xbf16>
//   %4 = stablehlo.multiply %3, %cst_0 : tensor<32x32xbf16>
//   %5 = stablehlo.broadcast_in_dim %arg3, dims = [0] : (tensor<32xf32>) -> tensor<32x32xf32>
//   %6 = stablehlo.divide %arg2, %5 : tensor<32x32xf32>
//   %7 = stablehlo.dot_general %6, %arg4, contracting_dims = [1] x [0] : (tensor<32x32xf32>, tensor<32x2xf32>) -> tensor<32x2xf32>
//   return %2, %4, %7 : tensor<32x32xbf16>, tensor<32x32xbf16>, tensor<32x2xf32>
// }
