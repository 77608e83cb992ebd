// RUN: egraph, remove-dead-ops
// EVAL: exact
// CHECK: stablehlo.concatenate %arg2, %arg1, %arg0
// CHECK-NOT: stablehlo.pad
func.func @main(%x: tensor<1x4xf32>, %y: tensor<1x4xf32>, %z: tensor<1x4xf32>) -> tensor<3x4xf32> {
  %c = stablehlo.constant dense<0.0> : tensor<f32>
  %0 = stablehlo.pad %x, %c, low = [2, 0], high = [0, 0], interior = [0, 0] : (tensor<1x4xf32>, tensor<f32>) -> tensor<3x4xf32>
  %1 = stablehlo.pad %y, %c, low = [1, 0], high = [1, 0], interior = [0, 0] : (tensor<1x4xf32>, tensor<f32>) -> tensor<3x4xf32>
  %2 = stablehlo.add %0, %1 : tensor<3x4xf32>
  %3 = stablehlo.pad %z, %c, low = [0, 0], high = [2, 0], interior = [0, 0] : (tensor<1x4xf32>, tensor<f32>) -> tensor<3x4xf32>
  %4 = stablehlo.add %2, %3 : tensor<3x4xf32>
  return %4 : tensor<3x4xf32>
}
