// RUN: lower, spill{share=0.14}
// OPTIONS: target=inf2
// EVAL: atol=1e-6 rtol=1e-5
// CHECK: "tile.dma_copy"
func.func public @main(%x: tensor<128x2048xf32>, %y: tensor<128x2048xf32>) -> (tensor<128x2048xf32>, tensor<128x2048xf32>, tensor<128x2048xf32>) {
  %0 = stablehlo.tanh %x : tensor<128x2048xf32>
  %1 = stablehlo.add %0, %y : tensor<128x2048xf32>
  %2 = stablehlo.multiply %1, %0 : tensor<128x2048xf32>
  return %0, %1, %2 : tensor<128x2048xf32>, tensor<128x2048xf32>, tensor<128x2048xf32>
}
