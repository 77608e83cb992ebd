// RUN: expand-ops, merge-equal-ops, remove-dead-ops
func.func @main(%x: tensor<8xf32>) -> tensor<8xf32> {
  %0 = chlo.erfc %x : tensor<8xf32> -> tensor<8xf32>
  return %0 : tensor<8xf32>
}
