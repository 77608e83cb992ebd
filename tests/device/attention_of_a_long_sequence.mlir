// Scores too large for the chip go by some rows at a time; the division follows the product.
func.func @main(%q: tensor<2x900x16xf32>, %k: tensor<2x1100x16xf32>, %v: tensor<2x1100x16xf32>) -> tensor<2x900x16xf32> {
  %s = stablehlo.dot_general %q, %k, batching_dims = [0] x [0], contracting_dims = [2] x [2] : (tensor<2x900x16xf32>, tensor<2x1100x16xf32>) -> tensor<2x900x1100xf32>
  %c = stablehlo.constant dense<1.250000e-01> : tensor<2x900x1100xf32>
  %0 = stablehlo.multiply %s, %c : tensor<2x900x1100xf32>
  %inf = stablehlo.constant dense<0xFF800000> : tensor<f32>
  %zero = stablehlo.constant dense<0.000000e+00> : tensor<f32>
  %1 = stablehlo.reduce(%0 init: %inf) applies stablehlo.maximum across dimensions = [2] : (tensor<2x900x1100xf32>, tensor<f32>) -> tensor<2x900xf32>
  %2 = stablehlo.broadcast_in_dim %1, dims = [0, 1] : (tensor<2x900xf32>) -> tensor<2x900x1100xf32>
  %3 = stablehlo.subtract %0, %2 : tensor<2x900x1100xf32>
  %4 = stablehlo.exponential %3 : tensor<2x900x1100xf32>
  %5 = stablehlo.reduce(%4 init: %zero) applies stablehlo.add across dimensions = [2] : (tensor<2x900x1100xf32>, tensor<f32>) -> tensor<2x900xf32>
  %6 = stablehlo.broadcast_in_dim %5, dims = [0, 1] : (tensor<2x900xf32>) -> tensor<2x900x1100xf32>
  %7 = stablehlo.divide %4, %6 : tensor<2x900x1100xf32>
  %8 = stablehlo.dot_general %7, %v, batching_dims = [0] x [0], contracting_dims = [2] x [1] : (tensor<2x900x1100xf32>, tensor<2x1100x16xf32>) -> tensor<2x900x16xf32>
  return %8 : tensor<2x900x16xf32>
}
