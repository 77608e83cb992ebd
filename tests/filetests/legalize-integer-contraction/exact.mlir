// RUN: legalize-integer-contraction
// EVAL: exact
func.func public @main(%x: tensor<3x40xi32>, %y: tensor<40x2xi32>) -> tensor<3x2xi32> {
  %0 = stablehlo.dot_general %x, %y, contracting_dims = [1] x [0] : (tensor<3x40xi32>, tensor<40x2xi32>) -> tensor<3x2xi32>
  return %0 : tensor<3x2xi32>
}
