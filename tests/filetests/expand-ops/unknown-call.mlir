// RUN: expand-ops
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = stablehlo.custom_call @my_op(%x) : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
// OUT:
// error[NCC_EVRF015]: the custom call `my_op` is not known to the compiler
//   --> line 3:3
//    = help: replace it with StableHLO operations, or with one of the documented AwsNeuron targets
