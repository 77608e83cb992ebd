// RUN: legalize-small-types
// EVAL: exact
func.func public @main(%x: tensor<5xi4>, %y: tensor<5xi4>) -> tensor<5xi4> {
  %0 = stablehlo.multiply %x, %y : tensor<5xi4>
  %1 = stablehlo.shift_right_logical %0, %y : tensor<5xi4>
  return %1 : tensor<5xi4>
}
