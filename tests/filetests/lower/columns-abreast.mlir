// One tile of rows, and a sum too long to hold many columns of the weights: blocks of the weights are loaded in rows of
// four banks' columns, once for all four.
// RUN: lower
// OPTIONS: target=inf2
// EVAL: atol=1e-4 rtol=1e-4
// CHECK: [8192, 2], [128, 2048]
func.func public @main(%x: tensor<1x2560xbf16>, %w: tensor<2560x4096xbf16>) -> tensor<1x4096xf32> {
  %0 = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0] : (tensor<1x2560xbf16>, tensor<2560x4096xbf16>) -> tensor<1x4096xf32>
  return %0 : tensor<1x4096xf32>
}
