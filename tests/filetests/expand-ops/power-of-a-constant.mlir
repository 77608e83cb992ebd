// RUN: expand-ops
func.func @main(%x: tensor<8xf32>) -> tensor<8xf32> {
  %c = stablehlo.constant dense<3.0> : tensor<8xf32>
  %0 = stablehlo.power %x, %c : tensor<8xf32>
  return %0 : tensor<8xf32>
}
