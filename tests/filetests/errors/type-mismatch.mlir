// RUN:
func.func public @main(%x: tensor<4xf32>, %y: tensor<5xf32>) -> tensor<4xf32> {
  %0 = stablehlo.add %x, %y : tensor<4xf32>
  return %0 : tensor<4xf32>
}
// OUT:
// error[FE_PARSE]: `%y` is used as `tensor<4xf32>`, but it is `tensor<5xf32>`
//   --> line 3:26
