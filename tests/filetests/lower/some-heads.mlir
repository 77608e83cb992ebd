// All heads of a cache are too much for one block, and one head alone has short rows: a block brings in half of them.
// RUN: lower
// OPTIONS: target=inf2
// EVAL: atol=1e-2 rtol=1e-2
// CHECK: [8192, 2], [128, 2048]
func.func public @main(%p: tensor<32x1x1024xbf16>, %v: tensor<1024x32x128xbf16>) -> tensor<32x1x128xbf16> {
  %0 = stablehlo.dot_general %p, %v, batching_dims = [0] x [1], contracting_dims = [2] x [0] : (tensor<32x1x1024xbf16>, tensor<1024x32x128xbf16>) -> tensor<32x1x128xbf16>
  return %0 : tensor<32x1x128xbf16>
}
